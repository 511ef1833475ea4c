"""The lines of a log that a filter lets pass, with the lines around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hosts.local import lines
from monitors.logs.scene import Scene, Spot
from monitors.logs.strip import Strip, Strips
from monitors.logs.types import Filter, Place

if TYPE_CHECKING:
    from monitors.logs.hits import Search

_SOON = 0.1  # seconds that an answer may wait for the scan, so that fresh lines do not make the screen flicker


class Chosen:
    """What a search has found, as far as it has got.

    Args:
        scene: The log.
        search: Looks for the lines that pass.
        spec: What it looks for, between which places, and how many lines around are shown too.
    """

    def __init__(self, scene: Scene, search: Search, spec: Filter) -> None:
        self._scene = scene
        self._search = search
        self._context = max(0, spec.context)
        self._since = spec.since or Place(-1, 0)
        self._until = spec.until or scene.end

    async def ahead(self, at: Place, most: int) -> Strip:
        begin = at
        if self._context:
            with self._scene.purse.open():
                around = await self._scene.behind(at, self._context)
            begin = around[0].at if around else at
        begin = max(begin, self._since)
        hits, whole = await self._search.ahead(begin, most + self._context)
        if not hits and not whole and await self._soon():
            hits, whole = await self._search.ahead(begin, most + self._context)
        inside = [hit for hit in hits if hit < self._until]
        rows, paid = await self._with_context(inside, lambda place: place >= at)
        whole = paid and (whole or len(inside) < len(hits))
        return _strip(rows, inside, slice(0, most), whole or len(rows) >= most, cut=not paid)

    async def behind(self, at: Place, most: int) -> Strip:
        end = at
        if self._context:
            with self._scene.purse.open():
                around = await self._scene.ahead(at, self._context)
            last = around[-1] if around else None
            end = Place(last.generation.number, last.row.end) if last is not None else at
        end = min(end, self._until)
        hits, whole = await self._search.behind(end, most + self._context)
        if not hits and not whole:
            if await self._soon():
                hits, whole = await self._search.behind(end, most + self._context)
            if not hits and not whole and at >= self._scene.end:
                hits, _ = await self._search.behind(self._scanned(end), most + self._context)
        inside = [hit for hit in hits if hit >= self._since]
        rows, paid = await self._with_context(inside[::-1], lambda place: place < at)
        part = slice(max(0, len(rows) - most), None)
        whole = paid and (whole or len(inside) < len(hits))
        return _strip(rows, inside, part, whole or len(rows) >= most, cut=not paid)

    async def _with_context(self, hits: list[Place], wanted: Callable[[Place], bool]) -> tuple[dict[Place, Spot], bool]:
        """The rows of hits that are wanted, the first hit first, and whether all hits could be paid for.

        What belongs to one hit is never cut, so that no row is missing between those that are given. There are two at
        least where there are two at all.
        """
        rows: dict[Place, Spot] = {}
        for hit in hits:
            if (newlines := self._search.newlines_before(hit)) is not None:
                await self._scene.note(hit, newlines)
        await self._scene.warm(sorted(hits))
        for hit in hits:
            if len(rows) > 1 and self._scene.purse.empty:
                return rows, False
            with self._scene.purse.open():
                before = await self._scene.behind(hit, self._context) if self._context else []
                behind = await self._scene.ahead(hit, 1 + self._context)
            rows |= {spot.at: spot for spot in (*before, *behind) if wanted(spot.at)}
        return rows, True

    async def _soon(self) -> bool:
        """Whether the scan got on within a moment."""
        if self._search.progress.problem:
            return False
        news = asyncio.Event()
        unlisten = self._search.listen(news.set)
        try:
            async with asyncio.timeout(_SOON):
                await news.wait()
        except TimeoutError:
            return False
        finally:
            unlisten()
        return True

    def _scanned(self, at: Place) -> Place:
        """The end of the last block before a place that was looked at: what is written faster than it is looked at."""
        for generation in reversed(self._scene.generations):
            if generation.number <= at.generation:
                for block in range((generation.size - 1) // lines.BLOCK - 1, generation.first // lines.BLOCK - 1, -1):
                    if self._search.hits.is_known(generation.number, block):
                        return Place(generation.number, (block + 1) * lines.BLOCK)
        return at


def _strip(rows: dict[Place, Spot], hits: list[Place], part: slice, whole: bool, *, cut: bool) -> Strip:
    places = sorted(rows)[part]
    return Strip([rows[at] for at in places], whole, frozenset({*places} - {*hits}), cut=cut)


class Between:
    """Lines between two places, of those that somebody else chooses."""

    def __init__(self, strips: Strips, scene: Scene, spec: Filter) -> None:
        self._strips = strips
        self._scene = scene
        self._since = spec.since
        self._until = spec.until

    async def ahead(self, at: Place, most: int) -> Strip:
        if self._since is not None and at < self._since:
            at = await self._scene.snap(self._since)
        strip = await self._strips.ahead(at, most)
        if self._until is not None and any(spot.at >= self._until for spot in strip.spots):
            strip.spots = [spot for spot in strip.spots if spot.at < self._until]
            strip.whole = True
        return strip

    async def behind(self, at: Place, most: int) -> Strip:
        if self._until is not None and at > self._until:
            at = await self._scene.snap(self._until)
        strip = await self._strips.behind(at, most)
        if self._since is not None and any(spot.at < self._since for spot in strip.spots):
            strip.spots = [spot for spot in strip.spots if spot.at >= self._since]
            strip.whole = True
        return strip


def choose(scene: Scene, every: Strips, search: Search | None, spec: Filter | None) -> Strips:
    """The lines that are to be seen.

    Args:
        scene: The log.
        every: All of its lines.
        search: Looks for the lines that pass, None where all do.
        spec: The filter, None without one.
    """
    if spec is None:
        return every
    strips: Strips = Chosen(scene, search, spec) if search is not None else every
    return Between(strips, scene, spec) if spec.since is not None or spec.until is not None else strips


def is_choosy(spec: Filter) -> bool:
    """Whether a filter looks at the lines, and not only where they are."""
    return bool(spec.include or spec.exclude or spec.level is not None)
