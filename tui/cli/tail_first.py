"""The end of a local log on the terminal before the screen's framework is there.

Importing that framework is most of what `gatewatch tail` takes to start. Meanwhile the last rows of the log stand where
the framework is going to paint them: made safe like all others, in the terminal's own colours, and still. Keys that are
pressed meanwhile wait in the terminal.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import stat
import termios
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from hosts.local.lines import SNIFF, UTF8, content, sniff
from hosts.target import Target
from monitors.logs.spans import LOOKAHEAD
from monitors.logs.types import LogLine, Place

if TYPE_CHECKING:
    from monitors.logs.types import LogState
    from tui.logs.rows import DisplayRow

_KEYS, _SCREEN = 0, 2  # the descriptors that the framework takes keys from and paints on
_PATIENCE_S = 0.05  # that the file system may take
_TAIL = 64 << 10  # bytes of the log that are looked at
_BELOW, _LEFT, _RIGHT = 2, 1, 1  # rows and columns around the log that are not its text
# What is pasted is marked as such from the beginning on, so that none of it is taken for keys.
_MARK = 2  # cells of the sign before the status line's words
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J", "\x1b[?2004l\x1b[?1049l\x1b[?25h"


class FirstLook:
    """The terminal, from the first paint until the framework has it, and afterwards its settings.

    Attributes:
        shown: Whether anything was painted; the framework then finds a screen of its own already.
    """

    def __init__(self) -> None:
        self.shown = False
        self._before: list[Any] | None = None
        self._signals: dict[signal.Signals, Any] = {}
        self._handed_over = False

    def show(self, rows: Sequence[str]) -> None:
        """Paint rows from the top of a screen of our own; where that does not work, nothing is painted."""
        placed = "".join(f"\x1b[{at};{_LEFT + 1}H{row}" for at, row in enumerate(rows, 1))
        try:
            self._before = termios.tcgetattr(_KEYS)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                self._signals[number] = signal.signal(number, self._end)
            termios.tcsetattr(_KEYS, termios.TCSANOW, _quiet(self._before))
            self.shown = True
            _write(_ENTER + placed)
        except (termios.error, OSError):
            self.close()

    def tell(self, state: LogState) -> None:
        """Say below the log how much there is, in the words and in the place of the framework's status line."""
        if not self.shown or self._handed_over:
            return
        from tui.logs.status import Facts, sentence

        with contextlib.suppress(OSError):
            columns, lines = os.get_terminal_size(_SCREEN)
            said = sentence(state, Facts(), columns - _MARK)
            _write(f"\x1b[{lines - _BELOW + 1};{_MARK + 1}H{said.name}: {said.text}\x1b[K")

    def hand_over(self) -> None:
        """The framework has the terminal from here on, and gives the screen back itself."""
        self._handed_over = True

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.shown and not self._handed_over:
            with contextlib.suppress(OSError):
                _write(_LEAVE)
        self.shown = False
        if self._before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(_KEYS, termios.TCSANOW, self._before)
            self._before = None
        for number, before in self._signals.items():
            if signal.getsignal(number) == self._end:
                signal.signal(number, before)
        self._signals.clear()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


@contextlib.contextmanager
def first_look(args: argparse.Namespace, target: Target) -> Iterator[FirstLook]:
    """Show the end of the log at once, where it is a file here and all of its lines are asked for."""
    look = FirstLook()
    try:
        if _is_plain(args, target) and all(map(os.isatty, (_KEYS, _SCREEN))):
            columns, lines = os.get_terminal_size(_SCREEN)
            tail = _read(os.path.expanduser(target.path))
            room = columns - _LEFT - _RIGHT
            if tail is not None and room > 0 and lines > _BELOW:
                look.show(last_rows(tail, room, lines - _BELOW, wrap=args.wrap, colour="NO_COLOR" not in os.environ))
        yield look
    finally:
        look.close()


def _is_plain(args: argparse.Namespace, target: Target) -> bool:
    chosen = args.grep or args.exclude or args.level or args.context or args.since or args.until or args.numbers
    return target.host is None and target.path != "-" and not chosen


class Tail(NamedTuple):
    """The end of a log.

    Attributes:
        at: Where it begins.
        data: Its bytes.
    """

    at: int
    data: bytes


def _read(path: str) -> Tail | None:
    """What the file ends in; None where it is none, is empty, is not read quickly, or is no UTF-8."""
    found: list[Tail] = []

    def look() -> None:
        with contextlib.suppress(OSError, ValueError):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            try:
                status = os.fstat(handle)
                if stat.S_ISREG(status.st_mode) and status.st_size and sniff(os.pread(handle, SNIFF, 0)) is UTF8:
                    at = max(0, status.st_size - _TAIL)
                    found.append(Tail(at, os.pread(handle, _TAIL, at)))
            finally:
                os.close(handle)

    thread = threading.Thread(target=look, name=f"first look {path}", daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return found[0] if found else None


def last_rows(tail: Tail, room: int, most: int, *, wrap: bool, colour: bool) -> list[str]:
    """The last rows of a log as text for a terminal.

    Args:
        tail: What it ends in.
        room: Cells of a row.
        most: Rows at most.
        wrap: Break long lines, or cut them.
        colour: Set looks by sequences that are made here.
    """
    from tui.logs.rows import Options, broken, display_rows, painted

    options = Options(levels=colour, colours=colour)
    rows: list[DisplayRow] = []
    lines = _lines(tail, most)
    for line in reversed(lines):
        made = display_rows(line, room if wrap else None, options)
        rows[:0] = made if wrap else [next(broken(row, room)) for row in made]
        if len(rows) >= most:
            break
    shown = [painted(row) for row in rows[-most:]]
    blank = most - len(shown) if tail.at else 0  # what is above them was not looked at
    return [""] * blank + shown


def _lines(tail: Tail, most: int) -> list[LogLine]:
    """The last lines that are whole, progress bars collapsed."""
    rows = [row + b"\n" for row in tail.data.split(b"\n")]
    rows[-1] = rows[-1][:-1]
    kept = rows[-most - LOOKAHEAD :] if len(rows) > most + LOOKAHEAD else rows[1 if tail.at else 0 :]
    rows = kept if kept and kept[-1] else kept[:-1]
    begin = tail.at + len(tail.data) - sum(map(len, rows))
    texts: list[bytes | None] = [content(row) for row in rows]
    if any(sign in tail.data for sign in (b"\r", b"\x08", b"\x1b")):
        from monitors.logs.progress import collapse, moves_up, settle

        known = [text or b"" for text in texts]
        if any(b"\x1b" in text and moves_up(text) for text in known):
            texts = list(settle(known))
        else:
            texts = [collapse(text) for text in known]
    lines = []
    for row, text in zip(rows, texts, strict=True):
        if text is not None:
            lines.append(LogLine(Place(0, begin), begin + len(row), text, len(row), None, row.endswith(b"\n")))
        begin += len(row)
    return lines


def _quiet(settings: list[Any]) -> list[Any]:
    """Settings in which keys are kept for later and not shown; ctrl-c interrupts, ctrl-z would leave a torn screen."""
    quiet = [*settings[:6], list(settings[6])]
    quiet[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON | termios.IXOFF)
    quiet[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    quiet[6][termios.VSUSP] = b"\0"
    return quiet


def _write(text: str) -> None:
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(_SCREEN, data) :]
