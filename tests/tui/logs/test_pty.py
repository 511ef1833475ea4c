"""A real terminal with `gatewatch tail` in it: what the driver writes is ours alone, and it leaves no trace behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.peers.terminal import CTRL_C
from tests.tui.logs.corpus import Bomb, bombs
from tests.tui.logs.terminals import Screen, clean_afterwards, started, strangers, tail

_BREAKING = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tui.logs.view import LogView
def broken(self, y):
    raise RuntimeError("\\x1b]0;owned\\x07 [red]lost[/red]")
import tui.logs.pane
def go(self):
    LogView.render_line = broken
    self.view.refresh()
tui.logs.pane.LogPane.action_end = go
from tui.cli.main import main
sys.exit(main())
"""

_BREAKING_THREAD = """
import sys, threading
sys.path.insert(0, sys.argv.pop(1))
import tui.logs.pane
def broken():
    raise RuntimeError("\\x1b]0;owned\\x07 [red]lost[/red]")
tui.logs.pane.LogPane.action_follow = lambda self: threading.Thread(target=broken, name="looker").start()
from tui.cli.main import main
sys.exit(main())
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "engine.log"
    path.write_bytes(b"".join(b"2026-05-25 02:43:01,000 INFO line %04d\n" % number for number in range(300)))
    return path


def chosen(request: pytest.FixtureRequest) -> list[Bomb]:
    """Every tenth bomb and the last one; all of them in the long proof."""
    every = [bomb for bomb in bombs() if bomb.encoding == "utf-8"]
    return every if request.config.getoption("--long-proof") else [*every[:-1:10], every[-1]]


@pytest.mark.timeout(600)  # a terminal is slow to fill, and the long proof has hundreds of bombs
@pytest.mark.parametrize("options", [(), ("--wrap", "--numbers")], ids=["plain", "wrapped and numbered"])
def test_no_sequence_of_a_log_reaches_the_terminal(
    options: tuple[str, ...], house: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    many = chosen(request)
    log = tmp_path / "bombs \x1b]0;owned\x07[red].log"
    log.write_bytes(b"top of it\n" + b"".join(bomb.data + b"\n" for bomb in many) + b"end of it\n")
    words = {bomb.word: bomb.name for bomb in many}
    with started(house, log, *options, size=(60, 200)) as screen:
        screen.until("Following.")
        screen.press(b"g")
        screen.until("top of it")
        while unseen := {name for word, name in words.items() if word not in screen.text}:
            painted = len(screen.output)
            screen.press(b"\x1b[6~")
            until(lambda painted=painted: len(screen.output) > painted, f"one of {unseen}")  # type: ignore[misc]
        screen.press(b"q")
        assert screen.wait() == 0
        assert strangers(screen.output) == []
        clean_afterwards(screen)


@pytest.mark.timeout(600)
def test_no_sequence_of_a_log_comes_through_what_one_does_with_it(
    house: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    many = chosen(request)
    log = tmp_path / "bombs.log"
    log.write_bytes(b"top of it\n" + b"".join(bomb.data + b"\n" for bomb in many) + b"end of it\n")
    with started(house, log) as screen:
        screen.until("Following.")
        screen.press_and_see(b"/", "smart case")
        screen.press_and_see(f"{many[0].word}\r".encode(), "1 of 1")
        screen.press(b"g")
        screen.until("top of it")
        screen.press(b"V")
        for number in range(len(many)):
            screen.press(b"\x1b[1;2By")  # one line more, and take both along
            until(lambda number=number: screen.output.count(b"\x1b]52;c;") > number, "a copy")  # type: ignore[misc]
            screen.press_and_see(b"\r", "the whole line: ")
            screen.press_and_see(b"x", "]")
            screen.press_and_see(b"\r", "whole line")
        screen.press_and_see(b"&mixed\r", "mixed ×")
        screen.press_and_see(b"?", "keys: log")
        screen.press(CTRL_C)
        assert screen.wait() == 130
        assert strangers(screen.output) == []
        clean_afterwards(screen)


@pytest.mark.parametrize("prompt", ["/", "@", "&", "S"])
def test_what_is_pasted_is_no_key_and_no_sequence(prompt: str, house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("300 lines")
        screen.press(prompt.encode())
        for pasted in ("\x9b2J\u202e\u200b", "\x1b]0;owned\x07q\x07\x7f"):
            screen.press_and_see(f"\x1b[200~pasted{pasted}behind\x1b[201~".encode(), "behind")
        screen.press(CTRL_C)
        for pasted in ("\x9b2J\u202e\u200bq", "\x1b]0;owned\x07q\x07\x7f"):  # where there is nothing to type into
            screen.press(f"\x1b[200~{pasted}\x1b[201~".encode())
        screen.press_and_see(b"?", "keys: log")  # what came before it has been seen by then
        screen.press(b"q")  # closes the help
        screen.press_and_see(b"#", "300 2026")
        screen.press(b"q")
        assert screen.wait() == 0
        assert strangers(screen.output) == []
        clean_afterwards(screen)


def test_keys_that_are_typed_ahead_go_where_they_are_meant(house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("300 lines")
        screen.press_and_see(b"/line 0123q", "line 0123q")
        screen.press_and_see(b"\x7f\r", "1 of 1")
        screen.press(b"?qq")  # closes the help, then the app
        assert screen.wait() == 0
        clean_afterwards(screen)


@pytest.mark.parametrize(
    ("keys", "shown"),
    [(b"", "300 lines"), (b"?", "keys: log"), (b"\x10", "Search for commands"), (b"\r", "the whole line: ")],
    ids=["log", "help", "palette", "whole line"],
)
def test_ctrl_c_ends_it_wherever_one_is(keys: bytes, shown: str, house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("300 lines")
        screen.press(keys)
        screen.until(shown)
        screen.press(CTRL_C)
        assert screen.wait() == 130
        clean_afterwards(screen)


def test_wide_text_with_an_encoding_of_its_own(house: Path, tmp_path: Path) -> None:
    many = [bomb for bomb in bombs() if bomb.encoding == "utf-16-le"]
    log = tmp_path / "wide.log"
    newline = "\n".encode("utf-16-le")
    lines = [f"top{'':9}".encode("utf-16-le"), *(bomb.data for bomb in many), "end".encode("utf-16-le")]
    log.write_bytes(b"\xff\xfe" + newline.join(lines))
    with started(house, log, size=(60, 200)) as screen:
        screen.until("Following.")
        screen.press(b"g")
        screen.until("top")
        screen.until(many[0].word)
        screen.press(b"q")
        assert screen.wait() == 0
        assert strangers(screen.output) == []


# The last line is there before the app is, the count of lines only with it.
@pytest.mark.parametrize("shown", ["line 0299", "300 lines"], ids=["first look", "app"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_ends_it_and_the_terminal_is_clean(number: signal.Signals, shown: str, house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until(shown)
        screen.process.send_signal(number)
        assert screen.wait() == -number
        clean_afterwards(screen)


@pytest.mark.parametrize("shown", ["line 0299", "300 lines"], ids=["first look", "app"])
def test_an_interrupt_from_outside(shown: str, house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until(shown)
        screen.process.send_signal(signal.SIGINT)
        assert screen.wait() == 130
        clean_afterwards(screen)
        assert "Traceback" not in screen.text


def test_a_defect_of_ours_is_one_line_and_the_terminal_is_clean(house: Path, log: Path) -> None:
    argv = [sys.executable, "-c", _BREAKING, str(house), "tail", log.name]
    screen = Screen(argv, log.parent)
    with screen:
        screen.until("300 lines")
        screen.press(b"G")
        assert screen.wait() == 2
        clean_afterwards(screen)
        said = screen.text.rpartition("gatewatch: ")[2]
        assert said.startswith("error: unexpected RuntimeError: ␛]0;owned␇ [red]lost[/red] (run it again")
        assert "Traceback" not in screen.text
        assert strangers(screen.output) == []


def test_what_goes_wrong_in_a_thread_is_a_line_on_the_screen(house: Path, log: Path) -> None:
    screen = Screen([sys.executable, "-c", _BREAKING_THREAD, str(house), "tail", log.name], log.parent)
    with screen:
        screen.until("300 lines")
        screen.press_and_see(b"f", "unexpected RuntimeError in looker: ␛]0;owned␇")
        screen.press(b"q")
        assert screen.wait() == 0
        assert strangers(screen.output) == []
        assert "Traceback" not in screen.text
        clean_afterwards(screen)


def test_the_terminal_window_is_closed(house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("300 lines")
        screen.hang_up()
        assert screen.process.wait(30) != 0


def test_standard_input_is_the_log_and_the_terminal_has_the_keys(house: Path, log: Path) -> None:
    piped = 'exec cat engine.log | exec "$@"'
    argv = ["/bin/sh", "-c", piped, "sh", *tail(house, "-")]
    screen = Screen(argv, log.parent)
    with screen:
        screen.until("300 lines")
        screen.press_and_see(b"g", "line 0000")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)


def test_a_log_that_cannot_be_opened_is_said_without_a_screen(house: Path, log: Path) -> None:
    with Screen(tail(house, "-"), log.parent) as screen:
        assert screen.wait() == 2
        assert screen.text.endswith("gatewatch: error: standard input is a terminal\r\n")
        assert b"\x1b" not in screen.output


def test_without_a_mouse_none_is_asked_for(house: Path, log: Path) -> None:
    with started(house, log, "--no-mouse", "--ascii") as screen:
        screen.until("300 lines")
        screen.press(b"q")
        assert screen.wait() == 0
        assert {"1000", "1002", "1003", "1006", "1015"} & screen.modes().keys() == set()
        clean_afterwards(screen)
