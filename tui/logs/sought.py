"""What is looked for in a log, between the two places of a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitors.logs.types import Filter, Place

if TYPE_CHECKING:
    from monitors.logs.hits import Search


class Sought:
    """A search, of what lies between the two places of a filter.

    Attributes:
        search: Looks for the lines.
        bounded: Whether there is such a place.
    """

    def __init__(self, search: Search, spec: Filter | None) -> None:
        self.search = search
        self._since = spec.since if spec is not None else None
        self._until = spec.until if spec is not None else None
        self.bounded = self._since is not None or self._until is not None

    async def at(self, place: Place) -> Place | None:
        """The first that begins at a place or after it.

        Raises:
            UnreachableError: Its bytes cannot be read.
        """
        begin = place if self._since is None else max(place, self._since)
        places, _ = await self.search.ahead(begin, 1, wait=True)
        return places[0] if places and (self._until is None or places[0] < self._until) else None

    async def next(self, place: Place) -> Place | None:
        """The first that begins after a place.

        Raises:
            UnreachableError: Its bytes cannot be read.
        """
        return await self.at(Place(place.generation, place.offset + 1))

    async def previous(self, place: Place) -> Place | None:
        """The last that begins before a place.

        Raises:
            UnreachableError: Its bytes cannot be read.
        """
        found = await self.search.previous(place if self._until is None else min(place, self._until))
        return found if found is not None and (self._since is None or found >= self._since) else None

    async def count(self, shown: Place | None) -> tuple[int | None, int]:
        """Which of those found so far one is, None where it is not between the places, and how many they are.

        Raises:
            UnreachableError: The bytes cannot be read.
        """
        left_out = await self._before(self._since) if self._since is not None else 0
        ordinal = None
        if shown is not None and self._between(shown):
            ordinal = await self.search.ordinal(shown) - left_out
        hits = self.search.progress.hits if self._until is None else await self._before(self._until)
        return ordinal, max(0, hits - left_out)  # the places may lie the wrong way round

    def _between(self, place: Place) -> bool:
        return (self._since is None or place >= self._since) and (self._until is None or place < self._until)

    async def _before(self, place: Place) -> int:
        return await self.search.ordinal(Place(place.generation, place.offset - 1))
