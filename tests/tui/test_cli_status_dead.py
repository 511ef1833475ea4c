"""`calibrate status` and `audit` of a run whose file system does not answer: they say so, and ctrl-c ends them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.tui.test_dashboard import whole_run

Start = Callable[..., subprocess.Popen[bytes]]

# The command as it is, but for one folder of which nobody tells anything, and for how long it waits.
_DEAD = """
import os, sys, threading
house, patience = sys.argv[1:3]
sys.path.insert(0, house)
import tui.cli.calibration_show
from tui.cli.main import main
tui.cli.calibration_show._PATIENCE_S = float(patience)
real = os.stat
def stat(path, *words, **named):
    if "/dead" in str(path):
        open("asked", "w").close()
        threading.Event().wait()
    return real(path, *words, **named)
os.stat = stat
sys.exit(main(["calibrate", *sys.argv[3:], "--run-dir", "./dead"]))
"""


@pytest.fixture
def start(house: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a command on ./dead."""
    whole_run(tmp_path / "dead")
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


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("audit",)])
def test_a_file_system_that_does_not_answer(start: Start, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert start(*words, patience=0.2).wait(30) == 4
    said = (tmp_path / "said").read_text()
    assert said == "gatewatch: error: ./dead: no answer from the file system for 0.2 s\n"


@pytest.mark.parametrize("word", ["status", "audit"])
def test_ctrl_c_ends_a_wait_for_it(start: Start, tmp_path: Path, word: str) -> None:
    running = start(word, patience=1000)
    until((tmp_path / "asked").exists, "that it asks")
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
