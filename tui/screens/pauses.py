"""How long a log is usually silent, learnt from the log itself while it grows."""

from __future__ import annotations

from collections import deque

KEPT = 64
"""Pauses that are remembered, the newest."""

LEAST_S = 1.0
"""A shorter silence is no pause: lines come in showers."""

_KNOWN = 3  # before so many, nothing is usual


class Pauses:
    """Learns from when a log grew.

    Args:
        since: When it was last longer, our clock, seconds since the epoch; None where that is not known.
    """

    def __init__(self, since: float | None = None) -> None:
        self.last = since
        self._size: int | None = None
        self._pauses: deque[float] = deque(maxlen=KEPT)

    def seen(self, size: int, now: float) -> bool:
        """It has so many bytes; returns whether it grew. What was there at the first call did not."""
        before, self._size = self._size, size
        if before is None or size == before:
            return False
        if self.last is not None and size > before and now - self.last >= LEAST_S:
            self._pauses.append(now - self.last)
        self.last = now
        return True

    @property
    def usual(self) -> float | None:
        """Nine of ten pauses are at most so long (seconds); None while too few are known."""
        if len(self._pauses) < _KNOWN:
            return None
        ordered = sorted(self._pauses)
        return ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]

    def quiet(self, now: float) -> float | None:
        """Seconds of silence up to now, None where that is not known."""
        return None if self.last is None else max(0.0, now - self.last)
