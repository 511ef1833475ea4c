"""The scan worker of hosts/local/scanwork.py for somebody on another machine: it opens the files itself."""

from __future__ import annotations

import _socket
import contextlib
import os
from types import FrameType
from typing import NamedTuple

from hosts.host import Json
from hosts.local import scanwire
from hosts.local.scanwork import CancelledStepError, Worker

HEAD = 1024
"""Bytes of a file's beginning that tell it from another."""

PLACED = 64
"""Hits of a block up to which it is told where they begin: to find out, nobody has to fetch the block."""

_NICER = 10  # what runs there goes first: a host with accelerators has a training to feed
_PEEKED = 1 << 16


class _Opened(NamedTuple):
    """A file that was opened by its name: its descriptor, and how it begins."""

    descriptor: int
    head: bytes


class FarWorker(Worker):
    """A worker that opens files itself, and tells nothing of one that is another by now.

    Args:
        line: A socket; frames go over it in both directions.
    """

    def __init__(self, line: int) -> None:
        super().__init__(line, None, ripgrep=True)
        self._peeked = _socket.socket(fileno=os.dup(line))
        self._opened: dict[int, _Opened] = {}

    def _do_open(self, file: int, path: str, inode: int, size: int, head: str, covers: int) -> None:
        """Open a file if it has this inode, at least so many bytes, and `covers` first ones with this sha256 in hex."""
        import hashlib
        import stat

        descriptor = -1
        with contextlib.suppress(OSError, ValueError):
            # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever
            descriptor = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            status = os.fstat(descriptor)
            begins = os.pread(descriptor, HEAD, 0)
            same = not covers or hashlib.sha256(begins[:covers]).hexdigest() == head
            if stat.S_ISREG(status.st_mode) and status.st_ino == inode and status.st_size >= size and same:
                self._files[file] = descriptor
                self._opened[file] = _Opened(descriptor, begins)
                return
        if descriptor >= 0:
            os.close(descriptor)
        self._send(scanwire.news("another", file))

    def _do_close(self, file: int) -> None:
        self._opened.pop(file, None)
        super()._do_close(file)

    def _do_scan(self, number: int, order: dict[str, Json]) -> None:
        if order["file"] in self._opened:
            super()._do_scan(number, order)
            if number in self._tasks:
                self._tasks[number].job.placing = PLACED

    def _flush(self) -> None:
        # What was read may be of a file that was truncated and written anew meanwhile
        for number in [number for number in self._results if not self._is_same(number)]:
            self._do_cancel(number)
            self._send(scanwire.news("another", number))
        super()._flush()

    def _is_same(self, number: int) -> bool:
        task = self._tasks.get(number)
        opened = self._opened.get(task.file) if task is not None else None
        if task is None or opened is None:
            return False
        try:
            head = os.pread(opened.descriptor, len(opened.head), 0)
            return head == opened.head and os.fstat(opened.descriptor).st_size >= task.job.size
        except OSError:
            return False

    def _tick(self, number: int, frame: FrameType | None) -> None:
        super()._tick(number, frame)
        # Nobody else ends an expression that takes long, once it is not wanted any more
        with contextlib.suppress(BlockingIOError):
            waiting = self._peeked.recv(_PEEKED, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
            if b'["cancel",' in waiting:
                raise CancelledStepError


def main(line: int) -> None:
    """Serve over a socket, given as a descriptor."""
    with contextlib.suppress(OSError):
        os.nice(_NICER)
    FarWorker(line).run()
