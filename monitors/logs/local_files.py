"""The system calls that a local log needs, and what their failures mean for a person."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from hosts.local.reasons import why
from monitors.logs.types import Status

# Nothing that we open may hold us (a FIFO), become our terminal, or be inherited by what we start.
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_ABSENT = {errno.ENOENT, errno.ENOTDIR}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_SILENT = {errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ESTALE}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}

Key = tuple[int, int]
"""Device and inode: which file it is, for as long as somebody holds it open."""


class Files:
    """The system, as far as a local log asks it anything."""

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path)

    def fstat(self, handle: int) -> os.stat_result:
        return os.fstat(handle)

    def open(self, path: str) -> int:
        return os.open(path, FLAGS)

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        return os.pread(handle, size, offset)

    def names(self, folder: str) -> list[str]:
        return os.listdir(folder)

    def data_from(self, handle: int) -> int:
        """Where the first byte is that was ever written; 0 where the file system does not say."""
        try:
            return os.lseek(handle, 0, os.SEEK_DATA)
        except OSError as error:
            return os.fstat(handle).st_size if error.errno == errno.ENXIO else 0


@dataclass(frozen=True)
class Trouble:
    """Why a path cannot be looked at.

    Attributes:
        status: What that makes of the log.
        detail: One line for people.
        absent: Whether there is simply nothing.
    """

    status: Status
    detail: str
    absent: bool = False


def key_of(status: os.stat_result) -> Key:
    """Which file it is."""
    return status.st_dev, status.st_ino


def signature_of(status: os.stat_result) -> tuple[int, ...]:
    """What differs as soon as a file was touched or another took its place."""
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def trouble_of(error: OSError) -> Trouble:
    """What a failed call means for a log."""
    if error.errno in _ABSENT:
        return Trouble(Status.WAITING, "no such file yet", True)
    if error.errno in _FORBIDDEN:
        return Trouble(Status.DENIED, "it may not be read: " + why(error).lower())
    if error.errno in _SILENT:
        return Trouble(Status.STALE, "no answer from the file system: " + why(error).lower())
    return Trouble(Status.FAILED, "it cannot be read: " + why(error).lower())


def unfit(status: os.stat_result) -> Trouble | None:
    """Why something that is no plain file cannot be followed by its path, or None where it can."""
    if stat.S_ISREG(status.st_mode):
        return None
    return Trouble(Status.FAILED, f"it is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no file')}, not a file")


def is_unsized(handle: int) -> bool:
    """Whether it is a file of /proc, /sys and their like, whose size does not say how much can be read."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_blocks:
        return False  # it has a place on a disk, and a size
    try:
        last = os.pread(handle, 1, max(0, status.st_size - 1))
    except OSError:
        return False
    # A writer may have begun, or have emptied it, between the two calls
    return bool(last) is (status.st_size == 0) and os.fstat(handle).st_size == status.st_size
