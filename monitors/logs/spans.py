"""Stretches of a file, joined where they touch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

LOOKAHEAD = 64
"""Lines behind a line in which it may be painted over."""

MOST = 4096
"""Stretches that are kept; beyond that all are forgotten."""


class Spans:
    """Which stretches of a file are known to hold nothing that is to be seen; what is forgotten is found out again."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Note the bytes [start, end)."""
        low, high = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if low < high:
            start, end = min(start, self._starts[low]), max(end, self._ends[high - 1])
        elif len(self._starts) >= MOST:
            self._starts.clear()
            self._ends.clear()
            low = high = 0
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def end_of(self, offset: int) -> int:
        """Where the stretch ends that holds the byte at `offset`; `offset` where none does."""
        at = bisect_right(self._starts, offset) - 1
        return max(offset, self._ends[at]) if at >= 0 else offset

    def start_of(self, offset: int) -> int:
        """Where the stretch begins that holds the byte before `offset`; `offset` where none does."""
        at = bisect_left(self._ends, offset)
        return min(offset, self._starts[at]) if at < len(self._starts) else offset
