"""The file at a path, kept open while it is followed: what is left of it is read even after its name is gone."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat

from hosts.errors import InputError
from hosts.host import Chunk
from hosts.local.following import BESIDE, FINGERPRINT, HELD, Follower, Item, Neighbour, Range, seen_by
from hosts.local.reasons import why

_RETRIES = 5


class OpenFile:
    """Reads ranges for a `Follower`.

    Args:
        path: The file that is followed; "~" is expanded.
    """

    def __init__(self, path: str) -> None:
        self._name = path
        self._path = os.path.expanduser(path)
        self._held = _File()
        self._met = _File()  # what was last found at the path in its stead

    def read(self, wanted: Range) -> Chunk | None:
        """A range, or None where there is no such file.

        Raises:
            InputError: It cannot be read, or is no regular file.
        """
        try:
            if wanted.path == HELD:
                return self._held.chunk(wanted) if self._held.inode else None
            if wanted.path != self._name:
                other = _File.opened(wanted.path)
                try:
                    return other.chunk(wanted)
                finally:
                    other.close()
            return self._at_path().chunk(wanted)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {wanted.path or self._name}: {why(error)}") from None

    def grown(self, fingerprint: str, offset: int, last: bytes, most: int) -> bytes | None:
        """What stands behind `offset` in the file that is held, up to `most` bytes: a range with few questions.

        Args:
            fingerprint: Of the file's first KiB.
            offset: Where to begin.
            last: The bytes before it.

        Returns:
            None where it takes a whole look to know: another file may be at the path, or other bytes in this one.
        """
        try:
            if self._held.is_of(os.stat(self._path)):
                return self._held.grown(fingerprint, offset, last, most)
        except (OSError, ValueError):
            pass  # the whole look meets it too, and tells
        return None

    def beside(self) -> list[Neighbour]:
        """The files in its folder; none where that cannot be read."""
        found = []
        try:
            with os.scandir(os.path.dirname(self._path) or ".") as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):  # moved on since
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            found.append(Neighbour(entry.name, status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            return []
        return found

    def settle(self, inode: int) -> None:
        """Keep the file with this inode open from now on, and not the one of before."""
        if self._met.inode and self._met.inode == inode:
            self._held.close()
            self._held, self._met = self._met, _File()

    def close(self) -> None:
        self._held.close()
        self._met.close()

    def _at_path(self) -> _File:
        status = os.stat(self._path)
        if self._held.is_of(status):
            if self._held.lives():
                return self._held
            self._held.close()  # a server of files gave it up; opened again it may be the same
        if not self._met.is_of(status):
            self._met.close()
            self._met = _File.opened(self._path)
        return self._met


def glance(follower: Follower, file: OpenFile, most: int) -> list[Item]:
    """What is new in a file, at most `most` bytes of it, found with as little as will do.

    When a line comes after a rest, every step finds the processor cold and is a part of the line's delay.

    Raises:
        InputError: The file is there and cannot be read.
    """
    tail = follower.tail()
    new = file.grown(tail[0].fingerprint, tail[0].offset, tail[1], most) if tail is not None else None
    return [follower.added(new, len(new) < most)] if new else look(follower, file, most)


def look(follower: Follower, file: OpenFile, most: int) -> list[Item]:
    """What is new in a file, at most `most` bytes of it.

    Raises:
        InputError: The file is there and cannot be read.
    """

    def read(wanted: Range) -> Chunk | None:
        if wanted.path == BESIDE:
            follower.beside = file.beside()
            return None
        return file.read(wanted)

    items = seen_by(follower.look(most), read)
    file.settle(follower.position.inode)
    return items


class _File:
    """A descriptor, and which file it is of; inode 0 for none."""

    def __init__(self, descriptor: int = -1, device: int = 0, inode: int = 0) -> None:
        self.inode = inode
        self._descriptor = descriptor
        self._device = device
        self._head = b""  # the first KiB when it was last looked at, and what that is known by
        self._digest = ""

    @classmethod
    def opened(cls, path: str) -> _File:
        # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever
        descriptor = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise ValueError("not a regular file")
        return cls(descriptor, status.st_dev, status.st_ino)

    def is_of(self, status: os.stat_result) -> bool:
        return (self._device, self.inode) == (status.st_dev, status.st_ino)

    def lives(self) -> bool:
        try:
            os.fstat(self._descriptor)
        except OSError as error:
            if error.errno == errno.ESTALE:
                return False
            raise
        return True

    def chunk(self, wanted: Range) -> Chunk:
        """A range, as it was at one instant: the file is looked at before and after."""
        descriptor = self._descriptor
        for _ in range(_RETRIES):
            status = os.fstat(descriptor)
            whole = status.st_size
            head = os.pread(descriptor, min(FINGERPRINT, whole), 0)
            size = max(0, min(wanted.size, whole - wanted.offset))
            data = os.pread(descriptor, size, wanted.offset) if size else b""
            # Truncated and written anew while we read: what we hold is of two files, so look again
            if os.fstat(descriptor).st_size >= whole and os.pread(descriptor, len(head), 0) == head:
                break
        if head != self._head or not self._digest:
            self._head, self._digest = head, hashlib.sha256(head).hexdigest()
        return Chunk(data, wanted.offset, whole, self.inode, status.st_mtime_ns, self._digest)

    def grown(self, fingerprint: str, offset: int, last: bytes, most: int) -> bytes | None:
        """See `OpenFile.grown`: what is read first is held against what the file still is afterwards."""
        if fingerprint != self._digest or len(self._head) < FINGERPRINT:
            return None
        begin = offset - len(last)
        data = os.pread(self._descriptor, len(last) + most, begin)
        if not data.startswith(last) or os.pread(self._descriptor, FINGERPRINT, 0) != self._head:
            return None
        if os.fstat(self._descriptor).st_size < begin + len(data):
            return None
        return data[len(last) :]

    def close(self) -> None:
        if self.inode:
            os.close(self._descriptor)
        self._descriptor, self._device, self.inode = -1, 0, 0
