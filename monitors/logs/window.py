"""The lines around a place, as a screen shows them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from monitors.logs.arrivals import Arrivals
from monitors.logs.folding import Folding
from monitors.logs.marks import Marks
from monitors.logs.scene import Scene, Spot
from monitors.logs.strip import Strip, Strips
from monitors.logs.types import LogLine, Place, Window


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
        # One more on either side tells whether it goes on, and which marks stand between
        ahead = await strips.ahead(start, after + 1)
        behind = await strips.behind(start, before + 1)
        spots = [*behind.spots[max(0, len(behind.spots) - before) :], *ahead.spots[:after]]
        at_start = behind.whole and len(behind.spots) <= before
        at_end = ahead.whole and len(ahead.spots) <= after
        busy = not (ahead.whole and behind.whole)

        previous = behind.spots[-before - 1].at if len(behind.spots) > before else None
        if previous is None and not at_start and spots:
            generation, row = spots[0]
            previous = Place(generation.number, min(generation.first, row.start - 1))
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
        return Window(tuple(lines), anchor, at_start, at_end, busy or not finished)

    async def _lines(
        self, scene: Scene, spots: Sequence[Spot], previous: Place | None, *strips: Strip
    ) -> tuple[list[LogLine], bool]:
        lines: list[LogLine] = []
        finished = True
        near: tuple[int, int] | None = None
        texts = await scene.texts(spots)
        for index, (spot, text) in enumerate(zip(spots, texts, strict=True)):
            generation, row = spot
            known = await scene.known(generation)
            if index and spots[index - 1].generation.number != generation.number:
                near = None
            rank = await scene.rank(generation, row.start, near)
            if rank is not None:
                known.index.remember(row.start, rank)
                near = (row.end, rank + row.ended)
                known.index.remember(row.end, rank + row.ended)
            said = next((strip.said[spot.at] for strip in reversed(strips) if spot.at in strip.said), None)
            if said is None:
                said, folded = await self._folding.fold(scene, spot, text, known.encoding)
                finished = finished and folded
            size = row.end - row.start - (known.encoding.unit if row.ended else 0)
            lines.append(
                LogLine(
                    spot.at,
                    row.end,
                    said,
                    size,
                    rank + 1 if rank is not None and known.index.origin == 0 else None,
                    row.ended,
                    await scene.piece(spot),
                    self._marks.between(previous, spot.at),
                    any(spot.at in strip.context for strip in strips),
                    self._arrivals.at(spot.at),
                )
            )
            previous = spot.at
        return lines, finished

    def _tail(self, last: Place | None, end: Place) -> LogLine | None:
        """What carries the marks behind the last line, which may stand in the middle of it."""
        marks = self._marks.between(last, None)
        if not marks:
            return None
        at = max(marks[-1].at, end)
        return LogLine(at, at.offset, b"", 0, None, True, marks=marks)
