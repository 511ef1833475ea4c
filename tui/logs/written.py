"""When the lines on screen say that they were written; each is looked through once, not at every paint."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import tzinfo

from monitors.logs.times import line_time, told
from monitors.logs.types import KEEP, LogLine, Place

_HEAD = 8 << 10  # bytes in which a line says when, in JSON too
_RETURN = 2  # bytes of a carriage return before a newline, at most
_KEPT = 512
_LATE = 3600.0  # seconds by which a line may be from before the one above it
_HALF_DAY = 43200.0
_BACK = 64  # lines without a time that are passed over: a traceback, a table

Before = Callable[[Place], "LogLine | None"]
"""The line before the one that begins here, None where it is not held."""


class Written:
    """The own times of lines.

    Args:
        now: Our clock, seconds since the epoch: a line that says no day is of the last hours, as far as one knows.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._found: OrderedDict[tuple[object, ...], float | None] = OrderedDict()

    def when(self, line: LogLine, zone: tzinfo | None, near: float | None = None) -> float | None:
        """When a line was written, seconds since the epoch; None where it does not say.

        Args:
            line: The line; a piece of a long one says nothing, unless it was painted over.
            zone: Of times that do not name theirs; the machine's own where None.
            near: A time near to it, for a line that says no day; by default that at which it came.
        """
        repaints = b"\r" in line.data or len(line.data) + _RETURN < min(line.size, KEEP)
        if line.piece and not repaints:
            return None
        head = line.data if repaints else line.data[:_HEAD]
        key = (line.at, line.encoding, len(head), hash(head), near)
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key]
        if near is None:
            near = self._now() if line.arrived is None else line.arrived
        found = self._found[key] = line_time(told(head, line.encoding), near, zone)
        if len(self._found) > _KEPT:
            self._found.popitem(last=False)
        return found

    def step(self, line: LogLine, before: Before, zone: tzinfo | None) -> float | None:
        """Seconds since the nearest line before it that says when; None where either does not say.

        That line's time tells which day this one is of, so that the step is right whatever day that was.
        """
        if self.when(line, zone) is None:
            return None
        earlier = before(line.at)
        for _ in range(_BACK):
            if earlier is None:
                break
            then = self.when(earlier, zone)
            if then is not None:
                when = self.when(line, zone, then)
                if when is not None and when < then - _LATE:  # a clock alone: it went on for longer than half a day
                    when = self.when(line, zone, then + _HALF_DAY - _LATE)
                return None if when is None else when - then
            earlier = before(earlier.at)
        return None
