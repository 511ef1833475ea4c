"""The last so many rows of what is printed, kept until it is known that they are the last."""

from __future__ import annotations

import re
from collections import deque

LARGEST = 64 << 20
"""Bytes that are kept of one row behind its first piece; of a longer one a row of ours says how much is left out."""

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")  # a carriage return ends none


class Kept:
    """Rows as they are to be written, and rows of ours between them.

    Args:
        most: How many; those of ours are not counted, and go with the row behind them.
    """

    def __init__(self, most: int) -> None:
        self._rows = deque[bytes](maxlen=most)
        self._more = deque[bytes]()  # pieces of the last row, behind its first
        self._size = 0  # of these
        self._left_out = 0  # of it, before these
        self._ours = b""  # before the next row
        self._open = False

    @property
    def lacks(self) -> bool:
        """Whether there are fewer than that."""
        return len(self._rows) < (self._rows.maxlen or 0)

    def add(self, text: bytes) -> None:
        """Rows, or pieces of them: what lacks its newline goes on in what comes next."""
        lines: list[bytes] = _LINE.findall(text)
        if lines and self._open:
            self._go_on(lines.pop(0))
        if lines:
            self._close()
            lines[0], self._ours = self._ours + lines[0], b""
            self._rows.extend(lines)
        self._open = not text.endswith(b"\n") if text else self._open

    def say(self, row: bytes) -> None:
        """A row of ours."""
        self._ours += row

    @property
    def text(self) -> bytes:
        """All of it."""
        self._close()
        return b"".join(self._rows) + (self._ours if self._rows.maxlen else b"")

    def _go_on(self, piece: bytes) -> None:
        self._more.append(piece)
        self._size += len(piece)
        while self._size > LARGEST and len(self._more) > 1:
            self._size -= len(self._more[0])
            self._left_out += len(self._more.popleft())

    def _close(self) -> None:
        """Join the pieces of the last row."""
        if self._more and self._rows:
            gap = b"\n--- %s bytes of this line are left out\n" % f"{self._left_out:,}".encode()
            self._rows[-1] = b"".join((self._rows[-1], gap if self._left_out else b"", *self._more))
        self._more.clear()
        self._size = self._left_out = 0
