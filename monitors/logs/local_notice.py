"""Being told by the kernel that a file was written to, moved or removed (inotify), instead of looking for nothing.

Only ever a hint to look sooner. Not every file system tells (a network's does not tell of what other machines
write), so a source that finds its file grown without having been told stops relying on it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctypes import CDLL

_EVENTS = 0x00000002 | 0x00000004 | 0x00000800  # <sys/inotify.h>: IN_MODIFY, IN_ATTRIB (links), IN_MOVE_SELF
_MISSES = 2


class Notice:
    """Tells that one file was written to.

    Attributes:
        handle: Readable when it was, -1 where the kernel does not tell (no inotify here, or none left).
    """

    def __init__(self) -> None:
        self.handle = -1
        self._watched = -1
        self._misses = 0
        self._system: CDLL | None = None
        try:
            import ctypes  # 10 ms: not before somebody has something to read

            self._system = ctypes.CDLL(None)
            self.handle = self._system.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        except (ImportError, OSError, AttributeError):
            pass  # it is looked more often then

    @property
    def trusted(self) -> bool:
        """Whether no write has to be feared of which nothing is told."""
        return self._watched >= 0 and self._misses < _MISSES

    def watch(self, handle: int) -> None:
        """Tell of one open file, and of no other any more."""
        if self._system is None or self.handle < 0:
            return
        if self._watched >= 0:
            self._system.inotify_rm_watch(self.handle, self._watched)
        path = b"/proc/self/fd/%d" % handle  # the file itself, whatever it is called by now
        self._watched = self._system.inotify_add_watch(self.handle, path, _EVENTS)

    def told(self) -> bool:
        """Whether something was told since this was asked last."""
        if self.handle < 0:
            return False
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self.handle, 4096))
        return False

    def grown(self, told: bool) -> None:
        """The file has grown, and that was told or not."""
        self._misses = 0 if told else self._misses + 1

    def close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = self._watched = -1
