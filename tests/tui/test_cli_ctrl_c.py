"""Ctrl-c on an attached run, in a real terminal and without one: the run is never ended by accident."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from hosts.local.locks import read_holder
from hosts.local.procs import is_alive
from tests.peers.quick import Quick, until
from tests.peers.terminal import CTRL_C, CTRL_D, Terminal

# Real runs, each of several processes: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

QUESTION = "[l]eave it running (enter), [e]nd it so that --resume continues, [w]atch on?"


def attached(quick: Quick, stdout: Path | None = None) -> Terminal:
    """`calibrate run` in a terminal, with its tests at work."""
    words = ("calibrate", "run", "--stages", "ALL", "--repeats", "2", "--output-dir", str(quick.runs / "r"))
    made = Terminal(quick.argv(*words), quick.folder, {**os.environ, **quick.env}, stdout=stdout)
    made.until("START test_quick_a 1/2")
    until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
    return made


def runner_lives(quick: Quick) -> bool:
    holder = read_holder(quick.runs / "r" / ".gatewatch" / "lock")
    return holder is not None and is_alive(holder.ref) is True


def stop_it(quick: Quick) -> None:
    """`calibrate stop`, and nothing is left alive."""
    done = quick.gatewatch("calibrate", "stop", "--run-dir", str(quick.runs / "r"))
    assert (done.code, done.err) == (0, b"")
    assert done.text == f"asked the runner of {quick.runs / 'r'} to end; --resume continues\n"
    until(lambda: not quick.processes(), "the end of all processes")
    assert not runner_lives(quick)


@pytest.mark.parametrize("answer", [b"l\n", b"\n", CTRL_C, CTRL_D, b"?\n"], ids=["l", "enter", "ctrl-c", "ctrl-d", "?"])
def test_leaving_it_running(answer: bytes, quick: Quick, tmp_path: Path) -> None:
    with quick.holding(), attached(quick, tmp_path / "out") as screen:
        screen.press(CTRL_C)
        screen.until(QUESTION)
        assert screen.process.poll() is None
        screen.press(answer)
        assert screen.wait() == 130
        assert f"look at it with: gatewatch calibrate status --run-dir {quick.runs / 'r'}" in unwrapped(screen)
        assert (tmp_path / "out").read_bytes() == b""
        assert runner_lives(quick)
        assert len(quick.processes()) == 3
        quick.kill()


def test_ending_it(quick: Quick, tmp_path: Path) -> None:
    with quick.holding(), attached(quick, tmp_path / "out") as screen:
        screen.press(CTRL_C)
        screen.until(QUESTION)
        screen.press(b"e\n")
        screen.until("ABORT stopped: a person asked for it")
        assert screen.wait() == 130
        assert f"ended; continue with: gatewatch calibrate run --resume --output-dir {quick.runs / 'r'}" in unwrapped(
            screen
        )
    assert quick.processes() == []
    assert (tmp_path / "out").read_bytes() == b""
    assert not list(quick.runs.glob("r/*/run*.json"))  # nothing half done was recorded
    done = quick.run("--resume")
    assert done.code == 0, done.said
    assert "STRICT + GIT: READY" in done.text
    assert "RESUME quick: 3 stages, 2 repeats" in done.said


def test_watching_on(quick: Quick, tmp_path: Path) -> None:
    with attached_and_held(quick, tmp_path / "out") as screen:
        screen.press(CTRL_C)
        screen.until(QUESTION)
        screen.press(b"w\n")
        quick.hold.unlink()
        screen.until("END every repeat of every stage has been observed")
        assert screen.wait() == 0
    assert "STRICT + GIT: READY" in (tmp_path / "out").read_text()
    assert quick.processes() == []


def attached_and_held(quick: Quick, stdout: Path) -> Terminal:
    quick.hold.write_text("")
    return attached(quick, stdout)


def test_closing_the_terminal_leaves_it_running(quick: Quick) -> None:
    with quick.holding(), attached(quick) as screen:
        screen.hang_up()
        screen.process.wait(30)
        assert runner_lives(quick)
        assert len(quick.processes()) == 3
        quick.kill()


def test_without_a_terminal_it_is_left_running(quick: Quick) -> None:
    words = quick.argv("calibrate", "run", "--stages", "ALL", "--repeats", "2", "--output-dir", str(quick.runs / "r"))
    with quick.holding():
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words,
            cwd=quick.folder,
            env={**os.environ, **quick.env},
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        ) as process:
            until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
            assert process.stderr is not None
            while b"START" not in process.stderr.readline():  # it watches by now
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, b"")
        last = err.decode().splitlines()[-1]
        assert (
            last
            == f"gatewatch: the run goes on; look at it with: gatewatch calibrate status --run-dir {quick.runs / 'r'}"
        )
        assert runner_lives(quick)
        stop_it(quick)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_watcher_that_is_killed_takes_nothing_with_it(how: signal.Signals, quick: Quick) -> None:
    with quick.holding(), attached(quick) as screen:
        screen.process.send_signal(how)
        screen.process.wait(30)
        assert runner_lives(quick)
        assert len(quick.processes()) == 3
        quick.kill()


def test_detached_it_returns_at_once(quick: Quick) -> None:
    with quick.holding():  # its tests cannot end, so it cannot have waited for them
        done = quick.run("--detach", "--json")
        assert done.code == 0
        data = done.json()
        assert (data["run_dir"], data["model"]) == (str(quick.runs / "r"), "quick")
        assert runner_lives(quick)
        assert data["runner"]["pid"] == read_pid(quick)
        stop_it(quick)


def read_pid(quick: Quick) -> int:
    holder = read_holder(quick.runs / "r" / ".gatewatch" / "lock")
    assert holder is not None
    return holder.ref.pid


def unwrapped(screen: Terminal) -> str:
    """What was shown, with the line breaks of a narrow terminal taken out."""
    return screen.text.replace("\r\n", "").replace("\n", "")
