"""Changes of files and folders as the kernel reports them (inotify), through the C library alone."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass

MODIFY = 0x2
ATTRIBUTES = 0x4
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETED_SELF = 0x400
MOVED_SELF = 0x800
OVERFLOW = 0x4000

FILE = MODIFY | ATTRIBUTES | DELETED_SELF | MOVED_SELF
"""What tells that a file has grown, shrunk or lost its name."""

FOLDER = CREATE | MOVED_TO | MOVED_FROM | DELETE
"""What tells that a name in a folder has come to mean another file."""

_ONLY_FOLDERS = 0x01000000
_HEADER = struct.Struct("iIII")
_BUFFER = 1 << 16


@dataclass(frozen=True)
class Event:
    """What happened to a watched thing: `name` is that of an entry where it is a folder, else empty."""

    watch: int
    mask: int
    name: bytes


class Inotify:
    """One instance; a user has few of them (fs.inotify.max_user_instances, often 128), so it is to be shared.

    Raises:
        OSError: There is none to be had: EMFILE where all are in use, ENOSYS where the system has no such thing.
    """

    def __init__(self) -> None:
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._add = self._libc.inotify_add_watch
            self._remove = self._libc.inotify_rm_watch
            start = self._libc.inotify_init1
        except (AttributeError, TypeError) as error:
            raise OSError(f"no inotify here: {error}") from None
        self._add.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
        self._descriptor: int = start(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _failed()

    def fileno(self) -> int:
        """The descriptor; it is readable when there are events."""
        return self._descriptor

    def add(self, path: str, mask: int, folder: bool = False) -> int:
        """Watch what is at a path now; its number, the same again for what is watched already.

        The mask takes the place of an earlier one of the same file.

        Raises:
            OSError: It is not there, may not be read, is no folder, or there are too many watches (ENOSPC).
        """
        number: int = self._add(self._descriptor, os.fsencode(path), mask | (_ONLY_FOLDERS if folder else 0))
        if number < 0:
            raise _failed()
        return number

    def remove(self, watch: int) -> None:
        """Watch that no more; what has gone already is no error."""
        self._remove(self._descriptor, watch)

    def events(self) -> list[Event]:
        """What has happened since the last call; nothing where nothing has."""
        try:
            data = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return []
        found: list[Event] = []
        at = 0
        while at < len(data):
            watch, mask, _cookie, size = _HEADER.unpack_from(data, at)
            at += _HEADER.size + size
            found.append(Event(watch, mask, data[at - size : at].rstrip(b"\0")))
        return found

    def close(self) -> None:
        os.close(self._descriptor)


def _failed() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
