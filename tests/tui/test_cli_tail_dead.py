"""`gatewatch tail` of a file whose file system does not answer: it says so, and ctrl-c ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.peers.terminal import CTRL_C, Terminal

Start = Callable[..., subprocess.Popen[bytes]]

# The command as it is, but for one path of which nobody tells anything, and for how long it waits.
_DEAD = """
import os, sys, threading
house, dead, patience = sys.argv[1:4]
sys.path.insert(0, house)
import monitors.logs.opening
from tui.cli.main import main
monitors.logs.opening._PATIENCE_S = float(patience)
real = os.stat
def stat(path, *words, **named):
    if path == dead:
        open("asked", "w").close()
        threading.Event().wait()
    return real(path, *words, **named)
os.stat = stat
sys.exit(main(["tail", dead, *sys.argv[4:]]))
"""


def dead(house: Path, patience: float, *words: str) -> list[str]:
    """`gatewatch tail a.log` where nobody tells anything of that."""
    return [sys.executable, "-c", _DEAD, str(house), "a.log", str(patience), *words]


@pytest.fixture
def start(house: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts it with --plain."""
    with ExitStack() as ends:

        def tail(*words: str, patience: float, piped: bool) -> subprocess.Popen[bytes]:
            argv = dead(house, patience, "--plain", *words)
            with (tmp_path / "out").open("wb") as out, (tmp_path / "said").open("wb") as said:
                printed = subprocess.PIPE if piped else out
                made = subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=printed, stderr=said)
            ends.enter_context(made)
            ends.callback(made.kill)
            return made

        yield tail


@pytest.mark.parametrize("words", [(), ("-f",), ("--wait",), ("--wait", "--until", "14:02")])
@pytest.mark.parametrize("piped", [True, False])
def test_a_file_system_that_does_not_answer(
    start: Start, tmp_path: Path, words: tuple[str, ...], *, piped: bool
) -> None:
    assert start(*words, patience=0.2, piped=piped).wait(15) == 4
    said = (tmp_path / "said").read_text()
    assert said == "gatewatch: error: a.log: no answer from the file system for 0.2 s\n"


@pytest.mark.parametrize("words", [(), ("-f",), ("--wait",)])
@pytest.mark.parametrize("piped", [True, False])
def test_ctrl_c_ends_a_wait_for_it(start: Start, tmp_path: Path, words: tuple[str, ...], *, piped: bool) -> None:
    running = start(*words, patience=1000, piped=piped)
    until((tmp_path / "asked").exists, "that it asks")
    running.send_signal(signal.SIGINT)
    assert running.wait(15) == 130


def on_screen(house: Path, folder: Path, patience: float) -> Terminal:
    return Terminal(dead(house, patience), folder, {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, (24, 100))


def test_it_needs_no_screen(house: Path, tmp_path: Path) -> None:
    with on_screen(house, tmp_path, 0.2) as screen:
        assert screen.wait() == 4
        assert screen.text == "gatewatch: error: a.log: no answer from the file system for 0.2 s\r\n"
        assert b"\x1b" not in screen.output


def test_ctrl_c_ends_a_wait_for_it_without_a_screen(house: Path, tmp_path: Path) -> None:
    with on_screen(house, tmp_path, 1000) as screen:
        until((tmp_path / "asked").exists, "that it asks")
        screen.press(CTRL_C)
        assert screen.wait() == 130
