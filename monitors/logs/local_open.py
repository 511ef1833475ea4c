"""One opened file, and how it is told that its bytes are still those that were seen."""

from __future__ import annotations

import os

from monitors.logs.local_files import Files, key_of
from monitors.logs.local_ring import LIMIT, Ring

HEAD = 1024
"""Bytes at the beginning of a file, and before its end, that say whether it is what it was."""

_CHUNK = 1 << 20
_FILL = 512 << 10
_NULS = 64 << 10


class OpenFile:
    """A file that grows, and its content as far as it was seen.

    Args:
        files: The system.
        handle: Its descriptor, ours to close.
        name: What it was opened as.

    Attributes:
        size: How far it was seen.
        first: Where what is shown of it begins.
        number: The generation that it is, -1 before it is one.
        grew: When it was last seen to grow, on the looker's clock.
    """

    def __init__(self, files: Files, handle: int, name: str) -> None:
        self.files = files
        self.handle = handle
        self.key = key_of(files.fstat(handle))
        self.name = name
        self.ring = Ring()
        self.size = 0
        self.first = 0
        self.number = -1
        self.grew = 0.0
        self._head = b""

    def begin(self, first: int | None = None) -> None:
        """Take what it holds now as seen; its last bytes are read, the rest is left where it is.

        Args:
            first: Where what is shown of it begins, None: after the hole that it may begin with.

        Raises:
            OSError: It cannot be read; it is closed.
        """
        try:
            size = self.files.fstat(self.handle).st_size
            start = max(0, size - HEAD)
            tail = self.files.pread(self.handle, size - start, start)
            self.ring.reset(start)
            self.ring.append(tail)
            self.size = start + len(tail)
            self.first = min(self._hole() if first is None else first, self.size)
            self._head = self.files.pread(self.handle, min(HEAD, self.size), 0)
        except OSError:
            self.close()
            raise

    def again(self) -> OpenFile:
        """The same file in a descriptor of its own; what is shown of it begins behind what was seen."""
        other = OpenFile(self.files, os.dup(self.handle), self.name)
        other.ring, other._head, other.grew = self.ring, self._head, self.grew
        other.size = other.first = self.size
        return other

    def take(self, size: int) -> bool:
        """See what was appended.

        Args:
            size: Bytes that the file has now, at least as many as were seen.

        Returns:
            Whether it still holds what was seen before. If not, nothing was taken.
        """
        start = max(self.size, size - LIMIT)
        pieces = []
        at = start
        while at < size:
            data = self.files.pread(self.handle, min(_CHUNK, size - at), at)
            if not data:
                break
            pieces.append(data)
            at += len(data)
        # Compared after the reading: what came is of this content only if that is still here now
        if not self.holds():
            return False
        if at < size and start > self.size:
            return True  # it shrank just now; the next look finds out
        if at == self.size:
            return True
        if len(self._head) < HEAD:
            self._head = self.files.pread(self.handle, min(HEAD, at), 0)
        if start > self.size:
            self.ring.reset(start)
        for data in pieces:
            self.ring.append(data)
        empty, self.size = self.size == 0, at
        if empty:
            self.first = self._hole()
        return True

    def holds(self) -> bool:
        """Whether the first bytes and the last ones that were seen are in their places."""
        tail = self.ring.last(HEAD)
        if self.files.pread(self.handle, len(tail), self.size - len(tail)) != tail:
            return False
        # A small file's tail is all of it
        return self.size <= len(tail) or self.files.pread(self.handle, len(self._head), 0) == self._head

    def same_in(self, handle: int, upto: int) -> bool:
        """Whether another file holds the first `upto` bytes of this one, as far as that can be compared."""
        if upto <= self.ring.start < self.size:
            return False
        tail = self.ring.read(max(self.ring.start, upto - HEAD), upto - max(self.ring.start, upto - HEAD))
        if tail is None or self.files.pread(handle, len(tail), upto - len(tail)) != tail:
            return False
        head = self._head[:upto]
        return self.files.pread(handle, len(head), 0) == head

    def copied_in(self, handle: int, size: int) -> bool:
        """Whether another file of so many bytes is a copy of this one, perhaps not a whole one."""
        upto = min(size, self.size)
        if upto < HEAD and upto < self.size:
            return False
        if upto > self.ring.start:
            return self.same_in(handle, upto)
        for start in (0, upto - HEAD):
            if self.files.pread(handle, HEAD, start) != self.files.pread(self.handle, HEAD, start):
                return False
        return True

    def fill(self) -> bool:
        """Read a little of what is before the bytes that are held; whether there is more to do."""
        lowest = max(0, self.size - LIMIT)
        if self.ring.start <= lowest:
            return False
        start = max(lowest, self.ring.start - _FILL)
        data = self.files.pread(self.handle, self.ring.start - start, start)
        if len(data) == self.ring.start - start and self.holds():
            self.ring.prepend(data)
            return True
        return False

    def _hole(self) -> int:
        """Bytes at the beginning that nobody wrote, as after a truncation below a writer that goes on where it was."""
        if self.size < HEAD:
            return 0
        start = min(self.files.data_from(self.handle), self.size)
        if start < HEAD:
            return 0
        block = self.files.pread(self.handle, min(_NULS, self.size - start), start)
        return start + len(block) - len(block.lstrip(b"\0"))

    def close(self) -> None:
        os.close(self.handle)
