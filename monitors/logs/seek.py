"""Finding a time in a log by halving: a bounded number of places is looked at, however long the log is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo

from monitors.logs.scene import Scene, Spot
from monitors.logs.times import line_time
from monitors.logs.types import Place

_LINES = 64
_LOOKS = 16  # batches of lines without a time that are passed over, a traceback or a table
_CLOSE = 256 << 10  # bytes from which on lines are looked at one by one


class Seeker:
    """Looks for times.

    Args:
        scene: Makes a scene of the log as it is now.
        when: The time, seconds since the epoch.
        zone: Of times that do not name theirs.
    """

    def __init__(self, scene: Callable[[], Scene], when: float, zone: tzinfo | None) -> None:
        self._scene = scene
        self._when = when
        self._zone = zone

    async def find(self) -> Place | None:
        """The first line that was written at that time or after it; of a log that runs backwards, or before it.

        None where no line was, or no line says when. A log that is not in order gives one of its places.

        Raises:
            GoneError, UnreachableError: Its bytes cannot be read.
        """
        scene = self._scene()
        total = sum(one.size - one.first for one in scene.generations)
        first, last = await self._stamped(0, total), await self._last(total)
        if first is None or last is None:
            return None
        backwards = first[1] > last[1]
        low, high = 0, total
        while high - low > _CLOSE:
            middle = (low + high) // 2
            found = await self._stamped(middle, high)
            if found is None or self._reached(found[1], backwards):
                high = middle
            else:
                low = middle
        return await self._walk(low, backwards)

    def _reached(self, when: float, backwards: bool) -> bool:
        return when <= self._when if backwards else when >= self._when

    async def _walk(self, low: int, backwards: bool) -> Place | None:
        scene = self._scene()
        at = await scene.snap(self._place(scene, low))
        while True:
            spots = await scene.ahead(at, _LINES)
            for spot, text in zip(spots, await self._texts(scene, spots), strict=True):
                when = line_time(text, self._when, self._zone)
                if when is not None and self._reached(when, backwards):
                    return spot.at
            if len(spots) < _LINES and not scene.purse.empty:
                return None
            if scene.purse.empty:
                scene = self._scene()
            if spots:
                at = Place(spots[-1].generation.number, spots[-1].row.end)

    async def _stamped(self, offset: int, before: int) -> tuple[Place, float] | None:
        """The first line at or behind an offset that says when, and what it says."""
        scene = self._scene()
        at = await scene.snap(self._place(scene, offset))
        for _ in range(_LOOKS):
            spots = await scene.ahead(at, _LINES)
            for spot, text in zip(spots, await self._texts(scene, spots), strict=True):
                when = line_time(text, self._when, self._zone)
                if when is not None:
                    return spot.at, when
            if len(spots) < _LINES:
                return None
            at = Place(spots[-1].generation.number, spots[-1].row.end)
            if self._offset(scene, at) >= before:
                return None
        return None

    async def _last(self, total: int) -> tuple[Place, float] | None:
        """The last line that says when, near the end."""
        scene = self._scene()
        at = scene.end
        for _ in range(_LOOKS):
            spots = await scene.behind(at, _LINES)
            texts = await self._texts(scene, spots)
            for spot, text in zip(reversed(spots), reversed(texts), strict=True):
                when = line_time(text, self._when, self._zone)
                if when is not None:
                    return spot.at, when
            if len(spots) < _LINES:
                return None
            at = spots[0].at
        return None

    async def _texts(self, scene: Scene, spots: Sequence[Spot]) -> list[str]:
        found = []
        for spot, text in zip(spots, await scene.texts(spots), strict=True):
            known = await scene.known(spot.generation)
            found.append(text.decode(known.encoding.name, "replace"))
        return found

    def _place(self, scene: Scene, offset: int) -> Place:
        for generation in scene.generations:
            if offset < generation.size - generation.first:
                return Place(generation.number, generation.first + offset)
            offset -= generation.size - generation.first
        return scene.end

    def _offset(self, scene: Scene, at: Place) -> int:
        before = 0
        for generation in scene.generations:
            if generation.number < at.generation:
                before += generation.size - generation.first
            elif generation.number == at.generation:
                before += at.offset - generation.first
        return before
