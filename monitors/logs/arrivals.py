"""When which bytes of a log were first seen."""

from __future__ import annotations

from bisect import bisect_right

from monitors.logs.types import Generation, Place

MOST = 8192
"""Times that are kept; beyond that the older ones become coarser."""

SHARES = (1024, 512, 256, 128)
"""By how much of its age a time may be too early, as 1/share: the finest of these that makes room."""


class Arrivals:
    """Our clock at every growth of a log, within a bound: the longer ago, the fewer times are kept.

    A byte is never said to have come later than it did, nor earlier by more than a small share of how long ago it is:
    what came an hour ago is told to half a minute at the worst, in a log that grew a thousand times a second for a
    month.
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
            self._thin()

    def _thin(self) -> None:
        room = MOST * 3 // 4
        for share in SHARES:
            kept = self._needed(share)
            if len(kept) <= room:
                break
        else:  # our clock hardly moves, or was set
            kept = [*kept[: MOST // 2 : 2], *kept[MOST // 2 :]]
        self._places = [self._places[index] for index in kept]
        self._times = [self._times[index] for index in kept]

    def _needed(self, share: int) -> list[int]:
        """Which times must stay, so that none of the bytes is told more than 1/`share` of its age too early."""
        times, kept = self._times, [0]
        now = times[-1]
        for index in range(1, len(times) - 1):
            before, behind = times[kept[-1]], times[index + 1]
            if before is None or behind is None or now is None or (behind - before) * share > now - behind:
                kept.append(index)
        return [*kept, len(times) - 1]
