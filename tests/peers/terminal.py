"""A real terminal of a given size with one process in it: keys go in, bytes come out."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.quick import until

CTRL_C = b"\x03"
CTRL_D = b"\x04"

# The terminal becomes the process's controlling one, so that ctrl-c is a signal; then the program takes its place.
_ENTER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


_STYLES_AND_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;?]*)?\Z")


class Stripped:
    """Text without the sequences that colour and move, as it comes in."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""
        self._parts: list[str] = []

    def add(self, data: bytes) -> None:
        """Take more of it; a sequence or a letter that has only begun waits for its end."""
        text = self._begun + self._decoder.decode(data)
        cut = _UNFINISHED.search(text)
        end = cut.start() if cut is not None else len(text)
        self._begun = text[end:]
        self._parts.append(_STYLES_AND_MOVES.sub("", text[:end]))

    @property
    def text(self) -> str:
        """All that came so far, but for what has only begun."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""


class Terminal:
    """Runs `argv` (an absolute program) in a terminal of its own.

    Args:
        size: Rows and columns.
        stdout: Where the standard output goes instead of the terminal, for what is data.
    """

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        size: tuple[int, int] = (24, 80),
        stdout: Path | None = None,
    ) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        with contextlib.ExitStack() as files:
            files.callback(os.close, slave)
            out = files.enter_context(stdout.open("wb")) if stdout is not None else slave
            self.process = subprocess.Popen(
                [sys.executable, "-c", _ENTER, *argv],
                cwd=cwd,
                env={"TERM": "xterm-256color", **env},
                stdin=slave,
                stdout=out,
                stderr=slave,
                start_new_session=True,
            )
        self._seen = bytearray()
        self._stripped = Stripped()
        self._taken = 0  # bytes that were stripped already
        self._open = True
        self._enough, self._tell = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def output(self) -> bytes:
        """All bytes that the terminal got so far."""
        return bytes(self._seen)

    @property
    def text(self) -> str:
        """What it got, without the sequences that colour and move."""
        if self._taken < len(self._seen):
            fresh = bytes(self._seen[self._taken :])
            self._taken += len(fresh)
            self._stripped.add(fresh)
        return self._stripped.text

    def until(self, words: str, seconds: float = 30) -> None:
        """Wait until these words were shown."""
        until(lambda: words in self.text or not self._thread.is_alive(), f"{words!r} in {self.text!r}", seconds)
        assert words in self.text, self.text

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait(self, seconds: float = 30) -> int:
        """The exit status; everything that was shown is read by then."""
        status = self.process.wait(seconds)
        self._thread.join(seconds)
        return status

    def hang_up(self) -> None:
        """Close the terminal window."""
        if self._open:
            self._open = False
            os.close(self._tell)  # while somebody waits to read from it, the terminal would stay
            self._thread.join(10)
            os.close(self._enough)
            os.close(self._master)

    def _read(self) -> None:
        while True:
            if self._enough in select.select([self._master, self._enough], [], [])[0]:
                return
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # nobody has the other end open any more
                return
            if not data:
                return
            self._seen += data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._thread.join(10)
        self.hang_up()
