"""When which bytes of a log were first seen."""

from __future__ import annotations

from bisect import bisect_right

from monitors.logs.types import Generation, Place

MOST = 8192
"""Times that are kept; beyond that the older half becomes coarser."""


class Arrivals:
    """Our clock at every growth of a log, within a bound: of what came long ago every second time is dropped.

    A byte is never said to have come later than it did.
    """

    def __init__(self) -> None:
        self._places: list[Place] = []  # what begins here ...
        self._times: list[float | None] = []  # ... came then
        self._end = Place(-1, 0)

    def grown(self, generations: tuple[Generation, ...], when: float | None) -> None:
        """Everything behind what was there at the last call came at `when`; None: before we looked."""
        for generation in generations:
            begin = Place(generation.number, generation.first)
            end = Place(generation.number, generation.size)
            if end <= self._end or end <= begin:
                continue
            self._note(max(begin, self._end), when)
            self._end = end

    def at(self, place: Place) -> float | None:
        """When the byte at a place came; None where that was before we looked."""
        index = bisect_right(self._places, place) - 1
        return self._times[index] if index >= 0 else None

    def _note(self, place: Place, when: float | None) -> None:
        if self._times and self._times[-1] == when:
            return
        self._places.append(place)
        self._times.append(when)
        if len(self._places) > MOST:
            # Index 0 stays: it tells what was there before we looked
            del self._places[2 : MOST // 2 : 2]
            del self._times[2 : MOST // 2 : 2]
