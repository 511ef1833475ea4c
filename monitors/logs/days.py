"""Which day, or which year, lines are of that do not say it: worked out backwards from the log's end.

A clock alone is of the day on which it was last shown before the next line that is looked at; the last line is from
before its file was last written. Where nobody knows when that was, the log is taken to be of where somebody looks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import NamedTuple, Protocol, runtime_checkable

from monitors.logs.types import Place

DAY = 86400.0
FAR = 400
"""Days by which to move `near` to see what a line's time lacks: it moves as many, or by a year, or not at all."""

_LATE = 600.0  # a line may be late, and the clock of who keeps the files behind
_FEW = 5  # neighbours of which one may tell of another time
_YEAR_BACK = 150 * DAY  # from the end: a line without a year is of the eleven months before it, or the one behind


@runtime_checkable
class DatedSource(Protocol):
    """A source that knows when its log was last written."""

    async def written(self) -> float | None:
        """When the newest bytes were written, seconds since the epoch, by the clock over there; None: unknown."""
        ...


class Stamp(NamedTuple):
    """A line that says when it was written.

    Attributes:
        when: Seconds since the epoch.
        moves: Days by which that moves with `near`, as far as it was looked: `FAR` for a clock alone.
    """

    offset: int
    at: Place
    when: float
    moves: int = 0


class Days:
    """What lines are near to.

    Args:
        hints: Offsets and times, in order of the offsets; at least one.
    """

    def __init__(self, hints: Sequence[tuple[int, float]]) -> None:
        self._offsets = [offset for offset, _ in hints]
        self._times = [when for _, when in hints]

    def near(self, offset: int) -> float:
        """A time that a line at an offset is less than half a day from."""
        index = max(0, bisect_right(self._offsets, offset) - 1)
        behind = min(index + 1, len(self._times) - 1)
        return (self._times[index] + self._times[behind]) / 2


def lacks_days(stamps: Sequence[Stamp]) -> bool:
    """Whether most of these lines are of any day."""
    return 2 * sum(stamp.moves == FAR for stamp in stamps) > len(stamps)


def lacks_years(stamps: Sequence[Stamp]) -> bool:
    """Whether most of these lines are of any day or any year."""
    return 2 * sum(stamp.moves != 0 for stamp in stamps) > len(stamps)


def years(end: float) -> Days:
    """For lines with a day and without a year, of a log that was last written at `end`."""
    return Days([(0, end - _YEAR_BACK)])


def clocks(crowds: Sequence[Sequence[Stamp]], end: float | None, goal: float, now: float) -> Days:
    """For clocks without a day.

    Args:
        crowds: Neighbours, each crowd less than a day from the next, the last lines included; one of them holds any.
        end: When the log was last written, None where that is not known.
        goal: Where somebody looks.
        now: Our clock, seconds since the epoch.
    """
    steps = [_nearest(later.when, one.when) - one.when for crowd in crowds for one, later in pairwise(crowd)]
    backwards = sum(step < 0 for step in steps) > 2 * sum(step > 0 for step in steps)
    usual = sorted(_usual(crowd) for crowd in crowds if crowd)
    later = now if end is None else end
    hints: list[tuple[int, float]] = []
    for stamp in usual if backwards else reversed(usual):
        later = _nearest(stamp.when, later - DAY / 2 + _LATE) if stamp.moves else stamp.when
        hints.append((stamp.offset, later))
    if end is None and all(stamp.moves for stamp in usual):
        times = [when for _, when in hints]
        earlier = _days_before(min(times), max(times), goal) * DAY
        hints = [(offset, when - earlier) for offset, when in hints]
    return Days(sorted(hints))


def few(stamps: Sequence[Stamp]) -> list[Sequence[Stamp]]:
    """All lines of a short log, as crowds of neighbours."""
    whole = max(1, len(stamps) // _FEW)
    bounds = [index * len(stamps) // whole for index in range(whole + 1)]
    return [stamps[low:high] for low, high in pairwise(bounds)]


def _nearest(when: float, near: float) -> float:
    """The same clock on the day on which it is nearest to a time; an hour off where clocks were put back or forward."""
    return when - DAY * round((when - near) / DAY)


def _usual(crowd: Sequence[Stamp]) -> Stamp:
    """The one that is next to all others; one that says its day is better than any that does not."""
    sure = [stamp for stamp in crowd if not stamp.moves] or crowd
    return min(sure, key=lambda one: sum(abs(_nearest(other.when, one.when) - one.when) for other in sure))


def _days_before(first: float, last: float, goal: float) -> int:
    """How many days earlier a log is to be taken, so that it is nearest to a time."""
    days = max(0, ceil((first - goal) / DAY))
    if days and goal > last - days * DAY and goal - (last - days * DAY) > first - (days - 1) * DAY - goal:
        return days - 1
    return days
