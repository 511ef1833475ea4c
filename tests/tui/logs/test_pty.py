"""A real terminal with `gatewatch tail` in it: what the driver writes is ours alone, and it leaves no trace behind."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.peers.terminal import CTRL_C, Terminal
from tests.tui.logs.corpus import Bomb, bombs, unsafe

# A whole app in a process of its own, which several of these fill with keys: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

# All that may stand between the texts: colours, places, clearing, the modes that are set at the start and taken back,
# the questions that are asked of a terminal, and the clipboard, which holds base64.
OURS = re.compile(
    r"\x1b\[[0-9;]*m"
    r"|\x1b\[\d+;\d+H"
    r"|\x1b\[[0-2]?[JK]"
    r"|\x1b\[\?(?:25|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2031|2048|7)[hl]"
    r"|\x1b\[\?(?:2026|2048|1016)\$p"
    r"|\x1b\[>\d*u|\x1b\[<u|\x1b\[=\d+;\d+u|\x1b\[\?u|\x1b\[\?4m|\x1b\[c|\x1b\[6n"
    r"|\x1b\]52;c;[A-Za-z0-9+/=]*(?:\x07|\x1b\\)"
)
MODES = re.compile(rb"\x1b\[\?(\d+)([hl])")
RESTING = {"25": "h", "7": "h"}  # all others are off in a terminal that nothing runs in

_BREAKING = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tui.logs.view import LogView
def broken(self, y):
    raise RuntimeError("\\x1b]0;owned\\x07 [red]lost[/red]")
whole = LogView.render_line
LogView.action_break = lambda self: None
import tui.logs.pane
def go(self):
    LogView.render_line = broken
    self.view.refresh()
tui.logs.pane.LogPane.action_end = go
from tui.cli.main import main
sys.exit(main())
"""


class Screen(Terminal):
    """`gatewatch tail` in a terminal."""

    def __init__(self, argv: list[str], cwd: Path, size: tuple[int, int] = (24, 100)) -> None:
        kept = ("PATH", "LC_ALL", "LANG", "PYTHONPYCACHEPREFIX", *(name for name in os.environ if "XDG" in name))
        env = {name: os.environ[name] for name in kept if name in os.environ}
        self.before: list[object] = []
        super().__init__(argv, cwd, {"LC_ALL": "C.UTF-8", **env}, size)

    @property
    def settings(self) -> list[object]:
        """What the terminal does with what is typed."""
        return termios.tcgetattr(self._master)

    def modes(self) -> dict[str, str]:
        """Every mode that was ever set, and how it was left."""
        return {number.decode(): state.decode() for number, state in MODES.findall(self.output)}

    def press_and_see(self, keys: bytes, words: str) -> None:
        """Press keys, and wait until these words are shown after them."""
        seen = len(self.text)
        self.press(keys)
        until(lambda: words in self.text[seen:], f"{words!r} in {self.text[seen:]!r}")

    def quiet(self) -> None:
        """Wait until nothing more is written for a moment."""
        seen = -1
        while seen != len(self.output):
            seen = len(self.output)
            until(self._idle(), "a moment without a paint")

    def _idle(self) -> Callable[[], bool]:
        last = [len(self.output), 0]

        def still() -> bool:
            now = len(self.output)
            last[:] = [now, last[1] + 1 if now == last[0] else 0]
            return last[1] >= 5

        return still


def tail(house: Path, *words: str) -> list[str]:
    return [sys.executable, str(house / "gatewatch.py"), "tail", *words]


def strangers(output: bytes) -> list[str]:
    """What was written and is neither text nor ours."""
    left = OURS.sub("", output.decode("utf-8"))
    return [left[max(0, at - 20) : at + 20] for at, letter in enumerate(left) if letter in unsafe(left, "\r", "\n")]


def clean_afterwards(screen: Screen) -> None:
    """The terminal is as a shell left it."""
    assert {number: state for number, state in screen.modes().items() if state != RESTING.get(number, "l")} == {}
    assert screen.modes()["1049"] == "l"
    assert screen.settings == screen.before
    pushed = screen.output.count(b"\x1b[>1u") - screen.output.count(b"\x1b[<u")
    assert pushed <= 0


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "engine.log"
    path.write_bytes(b"".join(b"2026-05-25 02:43:01,000 INFO line %04d\n" % number for number in range(300)))
    return path


def started(house: Path, log: Path, *words: str) -> Screen:
    screen = Screen(tail(house, log.name, *words), log.parent)
    screen.before = screen.settings
    return screen


def narrow() -> list[Bomb]:
    return [bomb for bomb in bombs() if bomb.encoding == "utf-8"]


@pytest.mark.parametrize("options", [(), ("--wrap", "--numbers")], ids=["plain", "wrapped and numbered"])
def test_no_sequence_of_a_log_reaches_the_terminal(options: tuple[str, ...], house: Path, tmp_path: Path) -> None:
    many = narrow()
    log = tmp_path / "bombs \x1b]0;owned\x07[red].log"
    log.write_bytes(b"top of it\n" + b"".join(bomb.data + b"\n" for bomb in many) + b"end of it\n")
    with started(house, log, *options) as screen:
        screen.until("end of it")
        screen.press_and_see(b"g", "top of it")
        for _ in range(2000):
            screen.press(b"\x1b[6~")
            screen.quiet()
            if "end of it" in screen.text.rpartition("top of it")[2]:
                break
        missing = [bomb.name for bomb in many if bomb.word not in screen.text]
        assert missing == []
        screen.press(b"q")
        assert screen.wait() == 0
        assert strangers(screen.output) == []
        clean_afterwards(screen)


def test_no_sequence_of_a_log_comes_through_what_one_does_with_it(house: Path, tmp_path: Path) -> None:
    many = narrow()
    log = tmp_path / "bombs.log"
    log.write_bytes(b"top of it\n" + b"".join(bomb.data + b"\n" for bomb in many))
    with started(house, log) as screen:
        screen.until("mixed0049")
        screen.press_and_see(b"/\x1b[200~\x1b]0;x\x07bomb0001\x1b[201~\r", "bomb0001")
        screen.press(b"\x1b")
        screen.press_and_see(b"g", "top of it")
        screen.press(b"V")
        for number in range(len(many)):
            screen.press(b"\x1b[B" + (b"y" if number % 7 == 0 else b""))
        screen.quiet()
        screen.press(b"\x1b\r")  # the line that one is at, whole
        screen.quiet()
        for _ in range(60):
            screen.press(b"k")
        screen.quiet()
        screen.press(b"\x1b&mixed\r")
        screen.quiet()
        screen.press(b"?")
        screen.quiet()
        screen.press(CTRL_C)
        assert screen.wait() == 130
        assert strangers(screen.output) == []
        assert b"\x1b]52;c;" in screen.output
        clean_afterwards(screen)


def test_wide_text_with_an_encoding_of_its_own(house: Path, tmp_path: Path) -> None:
    many = [bomb for bomb in bombs() if bomb.encoding == "utf-16-le"]
    log = tmp_path / "wide.log"
    newline = "\n".encode("utf-16-le")
    log.write_bytes(b"\xff\xfe" + b"".join(bomb.data + newline for bomb in many) + "end".encode("utf-16-le"))
    with started(house, log) as screen:
        screen.until("end")
        screen.press_and_see(b"g", many[0].word)
        screen.press(b"q")
        assert screen.wait() == 0
        assert strangers(screen.output) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it_and_the_terminal_is_clean(number: signal.Signals, house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("line 0299")
        screen.process.send_signal(number)
        assert screen.wait() == -number
        clean_afterwards(screen)


def test_an_interrupt_from_outside(house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("line 0299")
        screen.process.send_signal(signal.SIGINT)
        assert screen.wait() == 130
        clean_afterwards(screen)
        assert "Traceback" not in screen.text


def test_a_defect_of_ours_is_one_line_and_the_terminal_is_clean(house: Path, log: Path) -> None:
    argv = [sys.executable, "-c", _BREAKING, str(house), "tail", log.name]
    screen = Screen(argv, log.parent)
    screen.before = screen.settings
    with screen:
        screen.until("line 0299")
        screen.press(b"G")
        assert screen.wait() == 2
        clean_afterwards(screen)
        said = screen.text.rpartition("gatewatch: ")[2]
        assert said.startswith("error: unexpected RuntimeError: ␛]0;owned␇ [red]lost[/red] (run it again")
        assert "Traceback" not in screen.text
        assert strangers(screen.output) == []


def test_the_terminal_window_is_closed(house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("line 0299")
        screen.hang_up()
        assert screen.process.wait(30) != 0


def test_standard_input_is_the_log_and_the_terminal_has_the_keys(house: Path, log: Path) -> None:
    code = "import os, sys; os.dup2(os.open(sys.argv[1], os.O_RDONLY), 0); os.execv(sys.argv[2], sys.argv[2:])"
    piped = 'exec cat engine.log | exec "$@"'
    argv = ["/bin/sh", "-c", piped, "sh", *tail(house, "-")]
    screen = Screen(argv, log.parent)
    screen.before = screen.settings
    with screen:
        screen.until("line 0299")
        screen.press_and_see(b"g", "line 0000")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)
    assert code


def test_a_log_that_cannot_be_opened_is_said_without_a_screen(house: Path, log: Path) -> None:
    (log.parent / "sock").mkdir()
    with Screen(tail(house, "-"), log.parent) as screen:
        assert screen.wait() == 2
        assert screen.text.endswith("gatewatch: error: standard input is a terminal\r\n")
        assert b"\x1b" not in screen.output


def test_without_a_mouse_none_is_asked_for(house: Path, log: Path) -> None:
    with started(house, log, "--no-mouse", "--ascii") as screen:
        screen.until("line 0299")
        screen.press(b"q")
        assert screen.wait() == 0
        assert {"1000", "1002", "1003", "1006", "1015"} & screen.modes().keys() == set()
        clean_afterwards(screen)
