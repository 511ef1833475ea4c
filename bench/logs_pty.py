"""A viewer in a terminal of its own: keys go in, the screen is read, and what it costs is looked up in /proc."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.logs_screen import Screen

ROWS, COLUMNS = 40, 120
_LOOK_S = 0.005
_PIECE = 1 << 18  # bytes


class Viewer:
    """One process that owns a terminal of 120x40.

    What it writes is read only within `until` and `drain`; a viewer whose terminal is not read stands still.

    Attributes:
        started: When it was started, seconds of the monotonic clock.
        written: Bytes that it wrote so far.
        screen: What its terminal shows.
        stamp: When the last bytes came that made it so, seconds of the monotonic clock.
    """

    def __init__(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> None:
        whole = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", **(env or {})}
        # LINES and COLUMNS would stand in for the terminal's own size
        for name in ("NO_COLOR", "TMUX", "LESS", "LESSOPEN", "LINES", "COLUMNS"):
            whole.pop(name, None)
        self.screen = Screen(ROWS, COLUMNS)
        self.written = 0
        self.stamp = 0.0
        self.started = time.monotonic()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the child: nothing but calls that cannot fail half-way
            try:
                os.chdir(cwd)
                fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
                os.execvpe(argv[0], list(argv), whole)  # noqa: S606 - an argument vector, no shell
            finally:
                os._exit(127)

    def press(self, keys: bytes) -> float:
        """Send keys; returns when."""
        now = time.monotonic()
        os.write(self._fd, keys)
        return now

    def until(self, shown: Callable[[Screen], bool], patience: float) -> float | None:
        """Wait until the screen is as asked for.

        Returns:
            When the bytes came that made it so, seconds of the monotonic clock; None after `patience` seconds.
        """
        stamp = time.monotonic()
        end = stamp + patience
        while not shown(self.screen):
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                return None
            stamp = self.stamp
        return stamp

    def drain(self, seconds: float) -> None:
        """Read what it writes for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self._read(left):
                return

    def settle(self, quiet: float = 0.3, patience: float = 10.0) -> None:
        """Read until it writes nothing for `quiet` seconds."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            before = self.written
            self.drain(quiet)
            if self.written == before:
                return

    def uss(self, own: bool = False) -> int | None:
        """Bytes that no other process shares, of it and of all that it started; None where the kernel does not say.

        Args:
            own: Without pages that are a file's and could be dropped: what the processes have made themselves.
        """
        kinds = ("Private_Dirty", "Private_Hugetlb", "Swap:") if own else ("Private_",)
        total = 0
        for pid in self._tree():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                try:
                    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                except PermissionError:
                    return None
                total += 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(kinds))
        return total

    def cpu(self) -> float:
        """Seconds of processor time so far, of it and of all that it started."""
        tree = self._tree()
        return sum(map(process_time, tree)) + sum(map(_of_ended, tree))

    def helpers(self) -> list[int]:
        """The processes that it started and that still run."""
        return self._tree()[1:]

    def helpers_cpu(self) -> float:
        """Seconds of processor time so far of what it started and what still runs."""
        return sum(map(process_time, self.helpers()))

    def close(self) -> None:
        """End it, by force if need be."""
        tree = self._tree()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    os.close(self._fd)
                    for pid in tree[1:]:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    return
                self.drain(0.02)
        raise RuntimeError(f"process {self.pid} does not end")

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _more(self) -> bool:
        return bool(select.select([self._fd], [], [], 0)[0])

    def _read(self, seconds: float) -> bool:
        """Take what is there, wait for it if need be; False once it has ended."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return True
        parts: list[bytes] = []
        size, began = 0, time.monotonic()
        try:
            while True:  # a terminal gives a page at a time; a flood is taken in larger pieces
                parts.append(os.read(self._fd, 1 << 18))
                self.stamp = time.monotonic()
                size += len(parts[-1])
                if size >= _PIECE or self.stamp > began + _LOOK_S or not self._more():
                    break
        except OSError:  # nobody has the other end open any more
            if not size:
                return False
        self.written += size
        self.screen.feed(b"".join(parts))
        if self.screen.answers:
            os.write(self._fd, self.screen.answers)
            self.screen.answers.clear()
        return True

    def _tree(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found.extend(map(int, tasks.read_text().split()))
        return found


def process_time(pid: int) -> float:
    """Seconds of processor time of one process, to the nanosecond (Linux, posix-timers: the clock of another one)."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:  # it has ended
        return 0.0


def _of_ended(pid: int) -> float:
    """Seconds of the children that a process has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")
