"""The lines around a place, as a screen shows them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from monitors.logs.arrivals import Arrivals
from monitors.logs.folding import Folding
from monitors.logs.marks import Marks
from monitors.logs.scene import Scene, Spot
from monitors.logs.strip import Strip, Strips
from monitors.logs.types import BEFORE, LogLine, Place, Window


class Framer:
    """Makes windows: lines with their marks, numbers and arrival.

    Args:
        marks: Rows of ours.
        arrivals: When what was seen.
    """

    def __init__(self, marks: Marks, arrivals: Arrivals) -> None:
        self._marks = marks
        self._arrivals = arrivals
        self._folding = Folding()

    async def window(self, scene: Scene, strips: Strips, end: Place, at: Place, before: int, after: int) -> Window:
        """At most `before` lines that begin before `at`, and `after` that do not; the log ends at `end`."""
        start = await scene.snap(at)
        # One more on either side tells whether it goes on, and which marks stand between. Each has a purse of its own:
        # what lies below must not use up what the way up costs.
        scene.purse.refill()
        ahead = await strips.ahead(start, after + 1)
        scene.purse.refill()
        behind = await strips.behind(start, before + 1)
        scene.purse.refill()
        cut = any(strip.cut and not strip.whole for strip in (ahead, behind))
        busy = any(not strip.whole and not (strip.cut and strip.spots) for strip in (ahead, behind))
        if behind.cut and not behind.whole and len(behind.spots) > 1:
            before = min(before, len(behind.spots) - 1)  # the first of them tells which marks stand between
        spots = [*behind.spots[max(0, len(behind.spots) - before) :], *ahead.spots[:after]]
        at_start = behind.whole and len(behind.spots) <= before
        at_end = ahead.whole and len(ahead.spots) <= after

        previous = behind.spots[-before - 1].at if len(behind.spots) > before else None
        if previous is None and not at_start and spots:
            generation, row = spots[0]
            previous = Place(generation.number, row.start - 1 if cut else min(generation.first, row.start - 1))
        lines, finished = await self._lines(scene, spots, previous, behind, ahead)
        if at_end:
            last = spots[-1:] or behind.spots[-1:]
            tail = self._tail(last[0].at if last else None, end)
            if tail is not None:
                at_end = tail.at < at or len(ahead.spots) < after
                lines += [tail] if at_end else []
        anchor = bisect_left([line.at for line in lines], at)
        if anchor > before:
            at_start = False
            lines, anchor = lines[anchor - before :], before
        return Window(tuple(lines), anchor, at_start, at_end, busy or not finished, cut)

    async def _lines(
        self, scene: Scene, spots: Sequence[Spot], previous: Place | None, *strips: Strip
    ) -> tuple[list[LogLine], bool]:
        lines: list[LogLine] = []
        finished = True
        said = {at: shown for strip in strips for at, shown in strip.said.items()}
        context = {at for strip in strips for at in strip.context}
        near: tuple[int, int] | None = None
        texts = await scene.texts(spots)
        for spot, text in zip(spots, texts, strict=True):
            generation, row = spot
            at = spot.at
            known = await scene.known(generation)
            if previous is None or previous.generation != at.generation:
                near = None
            rank = await scene.rank(generation, row.start, near)
            if rank is not None:
                near = (row.end, rank + row.ended)
                known.index.remember(row.start, rank)
                known.index.remember(*near)
            shown = said.get(at)
            if shown is None:
                shown, folded = await self._folding.fold(scene, spot, text, known.encoding)
                finished = finished and folded
            piece = await scene.piece(spot)
            low = max(generation.first, row.start - BEFORE)
            lines.append(
                LogLine(
                    at,
                    row.end,
                    shown,
                    size=row.end - row.start - (known.encoding.unit if row.ended else 0),
                    number=rank + 1 if rank is not None and known.index.origin == 0 else None,
                    complete=row.ended,
                    piece=piece,
                    marks=self._marks.between(previous, at),
                    context=at in context,
                    arrived=self._arrivals.at(at),
                    encoding=known.encoding.name,
                    before=await scene.read(generation, low, row.start) if piece else b"",
                )
            )
            previous = at
        return lines, finished

    def _tail(self, last: Place | None, end: Place) -> LogLine | None:
        """What carries the marks behind the last line, which may stand in the middle of it."""
        marks = self._marks.between(last, None)
        if not marks:
            return None
        at = max(marks[-1].at, end)
        return LogLine(at, at.offset, b"", 0, None, True, marks=marks)
