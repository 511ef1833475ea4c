"""What `gatewatch tail` paints before its framework is there: safe, in its place, and gone afterwards."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from hosts.local.wc import WORTH
from tests.peers.quick import until
from tests.peers.terminal import CTRL_C
from tests.tui.logs.corpus import bombs, unsafe
from tests.tui.logs.terminals import Screen, clean_afterwards, strangers
from tui.cli.tail_first import Tail, last_rows

pytestmark = pytest.mark.timeout(120)

# The command as it is, but for the framework, which is not imported before somebody says so.
_HELD = """
import os, sys, time
house, gate = sys.argv[1:3]
sys.path.insert(0, house)
import tui.cli.tail_screen
real = tui.cli.tail_screen.importlib.import_module
def import_module(name, package=None):
    if name == "tui.logs.screen":
        open(gate + ".reached", "w").close()
        while not os.path.exists(gate):
            time.sleep(0.01)
    return real(name, package)
tui.cli.tail_screen.importlib.import_module = import_module
from tui.cli.main import main
sys.exit(main(["tail", *sys.argv[3:]]))
"""


def rows(
    data: bytes, *, at: int = 0, room: int = 20, most: int = 4, wrap: bool = False, colour: bool = False
) -> list[str]:
    return last_rows(Tail(at, data), room, most, wrap=wrap, colour=colour)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"1\n2\n3\n4\n5\n6\n", ["3", "4", "5", "6"]),
        (b"\n\nx\n", ["", "", "x"]),
        (b"x\r\ny\r\n", ["x", "y"]),
        (b"0123456789012345678901234\n", ["01234567890123456789"]),
        (b"a: 10%|#         |\ra: 50%|#####     |\ra: 90%|######### |", ["a: 90%|######### |"]),
        ("⚠️ 表\n".encode(), ["⚠️ 表"]),
    ],
)
def test_the_last_rows_of_a_log(data: bytes, shown: list[str]) -> None:
    assert rows(data) == shown


def test_half_a_line_at_the_beginning_is_left_out_and_the_rest_stands_at_the_foot() -> None:
    assert rows(b"half\na\nb\n", at=100) == ["", "", "a", "b"]


def test_long_lines_are_broken_where_that_is_asked_for() -> None:
    assert rows(b"0123456789012345678901234\n", wrap=True) == ["01234567890123456789", "01234"]


def test_bars_that_were_painted_over_are_left_out() -> None:
    data = b"a: 10%|#   |\nb: 10%|#   |\n\x1b[2A\ra: 50%|##  |\nb: 50%|##  |\n"
    assert [row.strip() for row in rows(data)] == ["a: 50%|##  |", "b: 50%|##  |"]


@pytest.mark.parametrize("colour", [False, True])
def test_no_sequence_of_a_log_is_in_a_row(colour: bool) -> None:
    for bomb in bombs():
        if bomb.encoding == "utf-8":
            shown = "".join(rows(bomb.data + b"\n", room=200, colour=colour))
            ours = shown.replace("\x1b[0m", "")
            assert unsafe(re.sub(r"\x1b\[[0-9;]*m", "", ours)) == set(), bomb.name


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "engine.log"
    path.write_bytes(b"".join(b"2026-05-25 02:43:01,000 INFO line %04d\n" % number for number in range(300)))
    return path


def held(house: Path, log: Path, *words: str) -> Screen:
    argv = [sys.executable, "-c", _HELD, str(house), str(log.parent / "gate"), log.name, *words]
    screen = Screen(argv, log.parent)
    screen.before = screen.settings
    return screen


def at_gate(log: Path) -> None:
    """Wait until everything before the framework is done."""
    until((log.parent / "gate.reached").exists, "the import of the framework")


def test_the_end_is_there_before_the_framework_and_keys_wait_for_it(house: Path, log: Path) -> None:
    with held(house, log) as screen:
        screen.until("line 0299")
        screen.press(b"g")
        at_gate(log)
        assert b"?1000h" not in screen.output  # the framework asks for this
        assert "line 0000" not in screen.text
        (log.parent / "gate").touch()
        screen.until("line 0000")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)
        assert strangers(screen.output) == []
        assert screen.output.count(b"\x1b[?1049h") == 1  # a second time would clear it
        assert b"g" not in screen.output.split(b"line 0299")[1][:40]  # nor is a key shown


def test_how_many_lines_a_large_log_has_is_said_before_the_framework(house: Path, log: Path) -> None:
    with open(log, "r+b") as file:
        file.seek(WORTH)  # a hole is quickly counted
        file.write(b"\nline 0300\n")
    with held(house, log) as screen:
        at_gate(log)
        screen.until("302 lines, ")
        assert " quit" not in screen.text  # which is the framework's
        (log.parent / "gate").touch()
        screen.until(" quit")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)


def test_a_key_means_the_line_that_was_seen_when_it_was_pressed(house: Path, log: Path) -> None:
    with held(house, log) as screen:
        screen.until("line 0299")
        screen.press(b"\r")
        at_gate(log)
        (log.parent / "gate").touch()
        screen.until("the whole line: ")


def test_what_is_pasted_meanwhile_goes_where_it_is_meant(house: Path, log: Path) -> None:
    with held(house, log) as screen:
        screen.until("line 0299")
        screen.press(b"/")
        screen.press(b"\x1b[200~pasted\x1b]0;owned\x07q\x1b[201~")
        at_gate(log)
        (log.parent / "gate").touch()
        screen.until("pasted]0;ownedq")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_meanwhile_ends_it_and_the_terminal_is_clean(number: signal.Signals, house: Path, log: Path) -> None:
    with held(house, log) as screen:
        screen.until("line 0299")
        screen.process.send_signal(number)
        assert screen.wait() == -number
        clean_afterwards(screen)


def test_ctrl_c_meanwhile(house: Path, log: Path) -> None:
    with held(house, log) as screen:
        screen.until("line 0299")
        screen.press(CTRL_C)
        (log.parent / "gate").touch()
        assert screen.wait() == 130
        clean_afterwards(screen)
        assert b"?1000h" not in screen.output


@pytest.mark.parametrize(
    "words",
    [("--grep", "02"), ("--level", "info"), ("--since", "02:00"), ("--until", "23:00"), ("--numbers",)],
    ids=" ".join,
)
def test_what_is_not_simply_the_end_is_not_guessed(words: tuple[str, ...], house: Path, log: Path) -> None:
    with held(house, log, *words) as screen:
        at_gate(log)
        assert screen.output == b""
        (log.parent / "gate").touch()
        until(lambda: b"?2004h" in screen.output, "the framework")


@pytest.mark.parametrize("kind", ["empty", "folder", "pipe", "wide"])
def test_what_is_no_file_of_text_waits_for_the_framework(kind: str, house: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    if kind == "folder":
        log.mkdir()
    elif kind == "pipe":
        os.mkfifo(log)
    else:
        log.write_bytes("\ufeffwide".encode("utf-16-le") if kind == "wide" else b"")
    with held(house, log) as screen:
        at_gate(log)
        assert screen.output == b""
