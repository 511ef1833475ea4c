"""A nameless file that keeps the end of a stream: its offsets are those of the stream, its oldest bytes are let go.

What is let go is punched out of the file, so that the room on the disk is bounded and an offset stays an offset. The
file has no name from its first moment: nobody else can open it, and it is gone with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hosts.local.lines import SNIFF, Encoding, find_newline, sniff
from hosts.local.trees import read_at
from monitors.logs.types import GoneError

_KEEP_SIZE_AND_PUNCH = 3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, linux/falloc.h
_GRAIN = 64 << 10  # holes begin and end at multiples of this, whatever the file system's blocks are
_STEPS = 64
_LEAST = 4 * _GRAIN
_NEAR = 64 << 10
_SHARE_OF_FREE = 4
_WORTH = 16 << 20


class SpoolFile:
    """The last bytes of one stream. One thread appends; any thread reads.

    Args:
        fd: An empty file that is ours to close, on a file system that can punch holes.
        limit: The most bytes that are kept.

    Attributes:
        first: The first byte that can still be read.
        size: Bytes that were appended in all.
        limit: As above; less once the disk was full.
    """

    def __init__(self, fd: int, limit: int) -> None:
        self.first = 0
        self.size = 0
        self.limit = max(limit, _LEAST)
        self._fd = _Descriptor(fd)
        self._punched = 0
        self._encoding: Encoding | None = None

    @property
    def descriptor(self) -> int:
        """For `pread` by a worker; what lies before `first` reads as zeros."""
        return self._fd.number

    @property
    def piece(self) -> int:
        """The most bytes to append at once, so that `limit` holds."""
        return self.limit // 4

    def room(self, size: int) -> int:
        """What `first` has to become before `size` bytes more are appended; `first` itself where there is room."""
        over = self.size + size - self._punched - self.limit
        if over <= 0:
            return self.first
        step = max(_GRAIN, self.limit // _STEPS // _GRAIN * _GRAIN)
        end = min(self._punched + -(-over // step) * step, self.size)
        return self._line_start(end // _GRAIN * _GRAIN)

    def let_go(self, first: int) -> None:
        """Give the room before `first` back. Whoever reads has been told of it before."""
        self.first = first
        end = first // _GRAIN * _GRAIN
        if end > self._punched:
            punch(self._fd.number, self._punched, end - self._punched)
            self._punched = end

    def append(self, data: memoryview) -> int:
        """Write at the end.

        Returns:
            How many bytes were taken: fewer only where the disk is full; then `limit` has shrunk, and what `room`
            says by that can be let go before the next try.

        Raises:
            OSError: Nothing can be written, and nothing more can be let go.
        """
        taken = 0
        while taken < len(data):
            try:
                count = os.pwrite(self._fd.number, data[taken:], self.size)
            except OSError as error:
                held = self.size - self._punched
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or held <= _LEAST:
                    raise
                self.limit = max(_LEAST, held // 2 // _GRAIN * _GRAIN)
                return taken
            taken += count
            self.size += count
        return taken

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from `offset` on.

        Raises:
            GoneError: They were let go, before or meanwhile.
        """
        fd = self._fd  # held until the read is over: the number cannot come to mean another file
        data = read_at(fd.number, offset, max(0, min(size, self.size - offset)))
        if offset < self.first:  # asked after the read: a hole punched meanwhile gave zeros
            raise GoneError(f"the bytes before {self.first:,} were let go to stay within {self.limit:,}")
        return data

    def _line_start(self, at: int) -> int:
        """Where a line begins at or shortly after `at`; `at` where none does."""
        if at <= self._punched:
            return self.first
        if self._encoding is None:
            self._encoding = sniff(read_at(self._fd.number, 0, SNIFF))
        unit = self._encoding.unit
        found = find_newline(read_at(self._fd.number, at - unit, _NEAR), self._encoding)
        return at if found < 0 else min(at + found, self.size)


class _Descriptor:
    """A file descriptor that is closed when the last one who holds this lets go of it, in whichever thread."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        with contextlib.suppress(OSError):  # nobody is left to be told, and nothing written here is to last
            os.close(self.number)


def open_on_disk(folders: Iterable[Path], limit: int) -> SpoolFile | None:
    """A file in the first of these folders that will do, or None where none will: no room, no rights, no holes.

    It takes at most a quarter of the room that is free there now.
    """
    for folder in folders:
        try:
            fd = _nameless(folder)
        except OSError:
            continue
        try:
            os.pwrite(fd, b"\0" * _GRAIN, 0)
            punch(fd, 0, _GRAIN)
            os.ftruncate(fd, 0)
            free = os.fstatvfs(fd)
        except OSError:
            os.close(fd)
            continue
        share = free.f_bavail * free.f_frsize // _SHARE_OF_FREE
        if share < min(limit, _WORTH):
            os.close(fd)
            continue
        return SpoolFile(fd, min(limit, share))
    return None


def open_in_memory(limit: int) -> SpoolFile:
    """A file that is in no file system.

    Raises:
        OSError: The system has none to give.
    """
    return SpoolFile(os.memfd_create("gatewatch spool", os.MFD_CLOEXEC), limit)


def punch(fd: int, offset: int, size: int) -> None:
    """Give the blocks of a range back to the file system; the range reads as zeros.

    Raises:
        OSError: The file system has no holes.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or libc.fallocate  # musl has the one name alone
    sizes = ctypes.c_int64(offset), ctypes.c_int64(size)
    if fallocate(ctypes.c_int(fd), ctypes.c_int(_KEEP_SIZE_AND_PUNCH), *sizes) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _nameless(folder: Path) -> int:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
    fd, name = tempfile.mkstemp(prefix=".gatewatch-", suffix=".tmp", dir=folder)
    os.unlink(name)
    return fd
