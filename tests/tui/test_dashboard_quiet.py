"""A dashboard that watches writes nothing but our own state and starts nothing: by what it asks of the kernel."""

from __future__ import annotations

import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.monitors.conftest import Start, start
from tests.monitors.runs import RunFolder
from tests.monitors.test_quiet import STRACE, environment, everything, faults
from tests.peers.quick import until
from tests.peers.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
TERMINALS = ("/dev/tty", "/dev/pts/", "/dev/ptmx")
PATIENCE_S = 90.0

pytestmark = pytest.mark.timeout(240)

__all__ = ["start"]  # the fixture


@pytest.fixture
def checkout(tmp_path: Path, start: Start) -> Path:
    """A checkout with a run at work in it, and its log."""
    (tmp_path / "project" / ".tune-runs").mkdir(parents=True)
    run = RunFolder(tmp_path / "project" / ".tune-runs" / "run")
    run.root.mkdir()
    run.plan()
    run.lock(start(run.run_id)[1])
    start(run.run_id)
    run.note("run.started")
    run.note("attempt.started", unit="test_a", run=2, log="_pytest/test_a/run2.log", stages=["a", "b"])
    run.cell("a", 1)
    run.write("_pytest/test_a/run2.log", b"collected 1 item\nthe end of it\n")
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "gatewatch.py"), *words]


def _shown(screen: Terminal, words: str, behind: int) -> bool:
    return words in screen.text[behind:]


def session(argv: list[str], checkout: Path) -> None:
    """A person looks around, in the run, in a stage and at home, and leaves."""
    env = environment(checkout)
    with Terminal(argv, checkout / "project", env, (40, 120)) as screen:
        screen.until("the end of it", PATIENCE_S)
        for keys, words in ((b"\r", "stage"), (b"\x1b", "supervision"), (b"r", "supervision"), (b"\x1b", "WATCH")):
            seen = len(screen.text)
            screen.press(keys)
            until(partial(_shown, screen, words, seen), f"{words!r} after {keys!r}", PATIENCE_S)
        for keys in (b"A", b"N", b"u", b"r", b"?", b"?", b"q"):
            screen.press(keys)
        assert screen.wait(PATIENCE_S) == 0


def test_what_is_watched_is_not_touched(checkout: Path) -> None:
    before = everything(checkout / "project")
    session(command("watch", ".tune-runs/run"), checkout)
    assert everything(checkout / "project") == before


@pytest.mark.skipif(shutil.which("strace") is None, reason="NOT TESTED: strace is not installed")
def test_the_kernel_is_asked_for_nothing_else(checkout: Path) -> None:
    traces = checkout / "traces"
    traces.mkdir()
    (checkout / "ours" / "state").mkdir(parents=True)
    strace = shutil.which("strace")
    assert strace is not None
    tracer = [strace, "-ff", "-y", "-s", "4096", "-qq", *STRACE, "-o", str(traces / "t")]
    session([*tracer, *command("watch", ".tune-runs/run")], checkout)
    lines = [line for path in traces.iterdir() for line in path.read_text("utf-8", "replace").splitlines()]
    assert any("plan.json" in line for line in lines), "the trace shows what was read"
    started = [line for line in lines if line.startswith("execve(") and line.endswith(" = 0")]
    assert len(started) == 1, "the program itself"
    kept = re.compile(rf"(openat|renameat2?|unlinkat|fchmod)\(\d+<{re.escape(str(checkout / 'ours'))}/[^>]*>")
    known = [line for line in lines if kept.match(line) or any(f'"{place}' in line for place in TERMINALS)]
    assert any(line.startswith("openat") and "O_CREAT" in line for line in known), "what is kept for the return"
    asked = [line for line in lines if line not in started and line not in known]
    assert [fault for line in asked if (fault := faults(line, checkout / "ours"))] == []
