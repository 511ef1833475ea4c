"""The last bytes of a file that were seen, so that they outlive what its writer does to it."""

from __future__ import annotations

import threading
from collections import deque

LIMIT = 4 << 20
"""Bytes that are held of one file at least, once it has so many."""

_PIECE = 64 << 10  # smaller pieces are joined: a writer of short lines must not make a list of a million


class Ring:
    """A run of bytes that ends where the file was last seen to end.

    Written by one thread, read by any.

    Args:
        limit: Bytes to hold; up to one piece more are held.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._lock = threading.RLock()
        self._pieces: deque[bytes | bytearray] = deque()
        self._start = 0
        self._end = 0

    @property
    def start(self) -> int:
        """Offset of the first byte that is held."""
        return self._start

    @property
    def end(self) -> int:
        """Offset behind the last byte that is held."""
        return self._end

    def reset(self, at: int) -> None:
        """Hold nothing; what comes next begins at `at`."""
        with self._lock:
            self._pieces.clear()
            self._start = self._end = at

    def append(self, data: bytes) -> None:
        """The bytes behind the last."""
        with self._lock:
            last = self._pieces[-1] if self._pieces else None
            if isinstance(last, bytearray) and len(last) + len(data) <= _PIECE:
                last += data
            else:
                self._pieces.append(bytearray(data) if len(data) < _PIECE else data)
            self._end += len(data)
            while self._end - self._start - len(self._pieces[0]) >= self.limit:
                self._start += len(self._pieces.popleft())

    def prepend(self, data: bytes) -> None:
        """The bytes before the first."""
        with self._lock:
            self._pieces.appendleft(data)
            self._start -= len(data)

    def read(self, offset: int, size: int) -> bytes | None:
        """Bytes from `offset` on, fewer at the end; None where `offset` is not among what is held."""
        with self._lock:
            if not self._start <= offset <= self._end:
                return None
            found: list[bytes | bytearray] = []
            at = self._end
            stop = min(offset + size, self._end)
            for piece in reversed(self._pieces):  # what is asked for is nearly always near the end
                at -= len(piece)
                if at < stop:
                    found.append(piece[max(0, offset - at) : stop - at])
                if at <= offset:
                    break
            return b"".join(reversed(found))

    def last(self, size: int) -> bytes:
        """The last bytes, as many as are held and at most `size`."""
        with self._lock:
            return self.read(max(self._start, self._end - size), size) or b""

    def everything(self) -> bytes:
        """All that is held, joined."""
        with self._lock:
            return b"".join(self._pieces)
