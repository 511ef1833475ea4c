"""ripgrep as a source of hints: where in a file rows may be that a matcher lets pass.

It reads many times as fast as Python, and its expressions are others: it is given a loose form, and what it finds is
looked at again where that form may match more (hosts/local/regexes.py). If it fails, or finds too much to be of use,
it hints at nothing more.
"""

from __future__ import annotations

import os
import re
from array import array
from typing import NamedTuple

from hosts.local import lines
from hosts.local.levels import COLOUR
from hosts.local.regexes import Loose

MOST = 1 << 18
"""Offsets that are taken from it; with more than these it is no quicker than looking at every row."""

_COLOURED = COLOUR + r"[^\n]*"  # once for a row
_WORD = re.compile(r"\(\?-u\)(?:\\x[0-9a-f]{2}){2,}")
_OPTIONS = (
    *("--no-config", "--text", "--encoding", "none", "--mmap", "--threads", "1", "--color", "never"),
    *("--no-filename", "--no-line-number", "--byte-offset", "--only-matching", "--replace", ""),
)


def find_ripgrep() -> str | None:
    """The program, where it can be used."""
    import shutil

    return shutil.which("rg") if os.path.isdir("/proc/self/fd") else None


class Grep:
    """One run over a file.

    Args:
        program: The path of rg.
        descriptor: The file's, open for reading.
        loose: What to look for.
        size: Bytes of the file that rg will see at least.

    Attributes:
        covered: Blocks below this one were looked at.
        exact: See Loose.
        failed: It stopped before the end.
    """

    def __init__(self, program: str, descriptor: int, loose: Loose, size: int) -> None:
        import subprocess

        self.covered = 0
        self.exact = loose.exact
        self.failed = False
        self._blocks = size // lines.BLOCK
        self._found: dict[int, array[int]] = {}
        self._number = 0
        self._rest = b""
        self._process = subprocess.Popen(
            [program, *_OPTIONS, "--regexp", loose.text, f"/proc/self/fd/{descriptor}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(descriptor,),
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self._output >= 0

    def fileno(self) -> int:
        """What to wait for while it is running."""
        return self._output

    def of(self, block: int) -> list[int]:
        """Offsets in a block where the expression matches, ascending."""
        return list(self._found.get(block, ()))

    def poll(self) -> None:
        """Take in what it has written."""
        while self.running:
            try:
                data = os.read(self._output, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self._end()
                return
            self._take(data)
            if self._number > MOST:
                self.close()

    def close(self) -> None:
        """Stop it."""
        if self.running:
            self._process.kill()
            self._end()

    def _take(self, data: bytes) -> None:
        *complete, self._rest = (self._rest + data).split(b"\n")
        # A replacement of nothing leaves "offset:"; a carriage return may stand behind
        for line in complete:
            at = int(line[: line.index(b":")])
            block = at // lines.BLOCK
            if block not in self._found:
                self._found[block] = array("Q")
            self._found[block].append(at)
        self._number += len(complete)
        if complete:
            self.covered = min(block, self._blocks)

    def _end(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._output = -1
        # 1: no match; anything else is a wish that rg does not grant, or a signal
        if self._process.wait() in (0, 1):
            self.covered = self._blocks
        else:
            self.failed = True


class Greps(NamedTuple):
    """What several runs over a file hint at together."""

    runs: tuple[Grep, ...]

    @property
    def covered(self) -> int:
        """Blocks below this one were looked at by all."""
        return min(run.covered for run in self.runs)

    @property
    def exact(self) -> bool:
        """See Loose."""
        return self.runs[0].exact

    def of(self, block: int) -> list[int]:
        """Offsets in a block at which one of them found something, ascending."""
        return sorted(at for run in self.runs for at in run.of(block))

    def close(self) -> None:
        """Stop them."""
        for run in self.runs:
            run.close()


def look(program: str, descriptor: int, loose: Loose, size: int, *, coloured: bool) -> Greps:
    """Have a file looked through.

    To look for what colours may divide is slow. Where there seem to be none, those that there are after all are asked
    for: beside a word, which costs nearly nothing, and else in a second run, since together they would be slow.

    Args:
        program: See Grep.
        descriptor: Likewise.
        loose: Likewise.
        size: Likewise.
        coloured: Whether there are many colours in it.

    Raises:
        OSError: They cannot be started.
    """
    if coloured:
        return Greps((Grep(program, descriptor, loose._replace(text=loose.coloured), size),))
    if _WORD.fullmatch(loose.text):
        return Greps((Grep(program, descriptor, loose._replace(text=f"{loose.text}|{_COLOURED}"), size),))
    first = Grep(program, descriptor, loose, size)
    try:
        return Greps((first, Grep(program, descriptor, Loose("(?-u)" + _COLOURED, exact=False), size)))
    except OSError:
        first.close()
        raise
