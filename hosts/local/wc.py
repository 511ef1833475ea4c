"""`wc -l` as a quick answer to how many lines a file has.

It counts several times as fast as Python, but says nothing of where the lines are: who needs that counts block by block
as well. Where it is missing, fails, or is no quicker than we are, nobody waits for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import NamedTuple

WORTH = 128 << 20
"""Bytes of a file from which on it is asked."""

INTERVAL = 0.1
"""Seconds between two looks at how far it is."""

_LEAST = 512 << 20  # bytes a second; a slow disk, or a wc that looks at every byte, gives no more


class Total(NamedTuple):
    """What the beginning of a file holds.

    Attributes:
        upto: Its bytes.
        lines: The lines in them, an unfinished last one counted.
    """

    upto: int
    lines: int


class LineCount:
    """One run over a file.

    Args:
        program: The path of wc.
        descriptor: The file's, open for reading.
        rate: Bytes in a second that it has to count, so that it is waited for.

    Attributes:
        total: What it has found, None before it has, and where it found nothing.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, program: str, descriptor: int, rate: float = _LEAST) -> None:
        self.total: Total | None = None
        self._rate = rate
        # Opened anew, for a place to read at of its own: this one tells how far it is
        self._file = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        self._output = -1
        try:
            self._output, far = os.pipe()
            try:
                self._pid = os.posix_spawn(
                    program,
                    ["wc", "-l"],
                    os.environ | {"LC_ALL": "C"},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, self._file, 0),
                        (os.POSIX_SPAWN_DUP2, far, 1),
                        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    ],
                )
            finally:
                os.close(far)
        except OSError:
            self._let_go()
            raise
        self._began = time.monotonic()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._pid

    @property
    def running(self) -> bool:
        """Whether it is worth to wait for it."""
        return self._file >= 0

    def fileno(self) -> int:
        """What to wait for while it is running."""
        return self._output

    def poll(self, ready: bool) -> None:
        """Take in what it says if it says something, and else see whether it is quick enough."""
        if not self.running:
            return
        if ready:
            self._end(os.read(self._output, 100))
            return
        seconds = time.monotonic() - self._began
        if seconds >= INTERVAL and self._at() < self._rate * seconds:
            self.close()

    def close(self) -> None:
        """Stop it."""
        if self.running:
            os.kill(self._pid, signal.SIGKILL)
            self._end(b"")

    def _end(self, said: bytes) -> None:
        upto = self._at()
        failed = os.waitpid(self._pid, 0)[1]
        with contextlib.suppress(ValueError, OSError):
            if not failed and upto:
                self.total = Total(upto, int(said) + (os.pread(self._file, 1, upto - 1) != b"\n"))
        self._let_go()

    def _at(self) -> int:
        """How many bytes it has read."""
        return os.lseek(self._file, 0, os.SEEK_CUR)

    def _let_go(self) -> None:
        for descriptor in (self._file, self._output):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._output = -1


def find_wc() -> str | None:
    """The program, where it can be used."""
    for folder in os.get_exec_path():
        path = os.path.join(folder, "wc")
        if os.path.isabs(path) and os.access(path, os.X_OK):
            return path
    return None
