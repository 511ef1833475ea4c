"""Commands about a run whose file system does not answer, or says what is wrong: they say so, and ctrl-c ends them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.tui.test_dashboard import whole_run
from tui.cli.main import main

Start = Callable[..., subprocess.Popen[bytes]]

COMMANDS = {
    "status": ("status", "--run-dir", "./dead"),
    "status in json": ("status", "--json", "--run-dir", "./dead"),
    "audit": ("audit", "--run-dir", "./dead"),
    "stop": ("stop", "--run-dir", "./dead"),
    "report": ("report", "--run-dir", "./dead"),
    "plan": ("plan", "--run-dir", "./dead"),
    "apply": ("apply", "--mode", "full", "--yes", "--run-dir", "./dead"),
    "discard": ("discard", "a", "1", "--reason", "noise", "--run-dir", "./dead"),
    "merge": ("merge", "./both", "./dead", "./good"),
}
every_command = pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)

# The command as it is, but for one folder of which nobody tells anything, and for how long it waits.
_DEAD = """
import os, sys, threading
house, patience = sys.argv[1:3]
sys.path.insert(0, house)
import tui.cli.calibration_find
from tui.cli.main import main
tui.cli.calibration_find._PATIENCE_S = float(patience)
real = os.stat
def stat(path, *words, **named):
    if "/dead" in str(path):
        open("asked", "w").close()
        threading.Event().wait()
    return real(path, *words, **named)
os.stat = stat
sys.exit(main(["calibrate", *sys.argv[3:]]))
"""


@pytest.fixture
def start(house: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a command where ./dead does not answer and ./good does."""
    whole_run(tmp_path / "dead")
    whole_run(tmp_path / "good")
    with ExitStack() as ends:

        def begin(*words: str, patience: float) -> subprocess.Popen[bytes]:
            argv = [sys.executable, "-c", _DEAD, str(house), str(patience), *words]
            with (tmp_path / "said").open("wb") as said:
                made = subprocess.Popen(
                    argv, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
                )
            ends.enter_context(made)
            ends.callback(made.kill)
            return made

        yield begin


@every_command
def test_a_file_system_that_does_not_answer(start: Start, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert start(*words, patience=0.2).wait(30) == 4
    said = (tmp_path / "said").read_text()
    assert said == "gatewatch: error: ./dead: no answer from the file system for 0.2 s\n"


@every_command
def test_ctrl_c_ends_a_wait_for_it(start: Start, tmp_path: Path, words: tuple[str, ...]) -> None:
    running = start(*words, patience=1000)
    until((tmp_path / "asked").exists, "that it asks")
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
@every_command
def test_a_file_system_that_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    number: int,
) -> None:
    dead = tmp_path / "dead"

    def look(path: Path, model: str | None) -> None:
        if path == dead:
            raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("jobs.calibration.locate._check_here", look)
    monkeypatch.chdir(tmp_path)
    dead.mkdir()
    assert main(["calibrate", *words]) == 2
    assert capsys.readouterr() == ("", f"gatewatch: error: ./dead: {os.strerror(number)}\n")
