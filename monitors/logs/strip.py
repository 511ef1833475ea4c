"""The lines of a log that are to be seen, when all of them are: those that were painted over are left out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from hosts.local.lines import content
from monitors.logs.scene import Scene, Spot
from monitors.logs.spans import LOOKAHEAD
from monitors.logs.types import KEEP, Place

_CHUNK = 128
_PAINTED = 1024  # rows whose painting is followed for one answer; that takes about a tenth of a second


@dataclass
class Strip:
    """Some neighbouring lines of those that are to be seen.

    Attributes:
        spots: In order.
        whole: Whether these are all that were asked for, or all there are.
        context: Which of them did not pass the filter themselves.
        said: What lines show of which a part was painted over.
        cut: Whether the purse was empty before there were as many; means nothing where these are the whole.
    """

    spots: list[Spot]
    whole: bool
    context: frozenset[Place] = frozenset()
    said: dict[Place, bytes] = field(default_factory=dict)
    cut: bool = False


class Strips(Protocol):
    """A choice of a log's lines."""

    async def ahead(self, at: Place, most: int) -> Strip:
        """At most `most` lines from `at` on, where a row begins or the log ends."""
        ...

    async def behind(self, at: Place, most: int) -> Strip:
        """At most `most` lines before `at`."""
        ...


class AllLines:
    """Every line but those that a later one painted over."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._followed = 0
        self._said: dict[Place, bytes] = {}

    async def ahead(self, at: Place, most: int) -> Strip:
        found: list[Spot] = []
        while len(found) < most:
            at = await self._hop(at)
            wanted = most + LOOKAHEAD if not found else _CHUNK + LOOKAHEAD
            spots = await self._scene.ahead(at, wanted)
            if not spots:
                break
            last = len(spots) < wanted
            gone = await self._painted(spots, [])
            settled = len(spots) if last else len(spots) - LOOKAHEAD
            found += [spot for spot, over in zip(spots[:settled], gone, strict=False) if not over]
            if last or self._followed > _PAINTED:
                ended = last and (not self._scene.purse.empty or spots[-1].end >= self._scene.end)
                return self._strip(found[:most], len(found) >= most or ended)
            at = Place(spots[settled - 1].generation.number, spots[settled - 1].row.end)
        return self._strip(found[:most], True)

    async def behind(self, at: Place, most: int) -> Strip:
        found: list[Spot] = []
        following: list[Spot] | None = None
        while len(found) < most:
            hopped = await self._hop_back(at)
            if following is None or hopped != at:
                at = hopped
                following = await self._scene.ahead(at, LOOKAHEAD)
                self._scene.purse.refill()  # of long lines, these alone may take it all
            wanted = most if not found else _CHUNK
            spots = await self._scene.behind(at, wanted)
            gone = await self._painted(spots, following)
            found[:0] = [spot for spot, over in zip(spots, gone, strict=False) if not over]
            if len(spots) < wanted or self._followed > _PAINTED:
                last = len(spots) < wanted
                ended = last and (not self._scene.purse.empty or not spots or spots[0].at <= self._scene.start)
                return self._strip(found[-most:], len(found) >= most or ended)
            following = [*spots, *following][:LOOKAHEAD]
            at = spots[0].at
        return self._strip(found[-most:] if most else [], True)

    def _strip(self, spots: list[Spot], whole: bool) -> Strip:
        return Strip(spots, whole, said=self._said, cut=self._scene.purse.empty)

    async def _hop(self, at: Place) -> Place:
        for generation in self._scene.generations:
            if generation.number == at.generation:
                return Place(at.generation, (await self._scene.known(generation)).painted.end_of(at.offset))
        return at

    async def _hop_back(self, at: Place) -> Place:
        for generation in self._scene.generations:
            if generation.number == at.generation:
                return Place(at.generation, (await self._scene.known(generation)).painted.start_of(at.offset))
        return at

    async def _painted(self, spots: Sequence[Spot], following: Sequence[Spot]) -> list[bool]:
        """For each of `spots`, whether it was painted over by one of those behind it."""
        gone: list[bool] = []
        everything = [*spots, *following]
        for generation, group in groupby(everything, key=lambda spot: spot.generation):
            rows = list(group)
            known = await self._scene.known(generation)
            texts = await self._scene.texts(rows)
            if not _may_move_up(texts, wide=known.encoding.unit > 1):
                gone += [False] * len(rows)
                continue
            self._followed += len(rows)
            from monitors.logs.progress import settle

            lines = [content(text, known.encoding) for text in texts]
            # Following the painting of a screenful takes longer than a keypress may wait
            for spot, text, shown in zip(
                rows, texts, await asyncio.to_thread(settle, lines, known.encoding.name), strict=True
            ):
                gone.append(shown is None)
                if shown is None:
                    known.painted.add(spot.row.start, spot.row.end)
                elif len(text) == spot.row.end - spot.row.start:
                    self._said[spot.at] = shown[:KEEP]
        return gone[: len(spots)]


def _may_move_up(texts: Sequence[bytes], *, wide: bool) -> bool:
    """Whether one of these rows moves the cursor up; what tells that of one row is loaded when a row has an escape."""
    escaped = [text for text in texts if b"\x1b" in text]
    if not escaped or wide:
        return bool(escaped)
    from monitors.logs.progress import moves_up

    return any(map(moves_up, escaped))
