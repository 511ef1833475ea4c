"""Ctrl-c and other signals on an attached run, in a real terminal and without one: it is never ended by accident."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.local.locks import read_holder
from hosts.local.procs import is_alive
from tests.peers.quick import Quick, until
from tests.peers.terminal import CTRL_C, CTRL_D, Terminal
from tui.cli.calibration_follow import ended_with_a_word

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
        assert screen.process.wait(30) == 128 + signal.SIGHUP
        assert runner_lives(quick)
        assert len(quick.processes()) == 3
        quick.kill()


GOES_ON = "the run goes on"
LEFT = "the run is left as it is"


@pytest.mark.parametrize(
    ("how", "code", "fate"),
    [(signal.SIGINT, 130, GOES_ON), (signal.SIGTERM, 143, LEFT), (signal.SIGHUP, 129, LEFT)],
    ids=["INT", "TERM", "HUP"],
)
def test_without_a_terminal_it_is_left_running(how: signal.Signals, code: int, fate: str, quick: Quick) -> None:
    with quick.holding(), alone(quick, "--stages", "ALL") as process:
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        assert process.stderr is not None
        while b"START" not in process.stderr.readline():  # it watches by now
            assert process.poll() is None
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (code, b"")
        assert err.decode().splitlines()[-1] == f"gatewatch: {fate}; {look_again(quick)}"
        assert runner_lives(quick)
        stop_it(quick)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_start_that_is_not_waited_for_says_what_may_have_become_of_it(how: signal.Signals, quick: Quick) -> None:
    python, waits = quick.folder.parent / "python", quick.folder.parent / "waits"
    begun = quick.runs / "r" / ".gatewatch"
    # Its first call after the host has taken the start waits.
    python.write_text(
        f'#!/bin/sh\nwhile [ -e {waits} ] && [ -e {begun} ]; do sleep 0.02; done\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    waits.write_text("")
    with quick.holding(), alone(quick, "--stages", "b", "--detach", "--venv-python", str(python)) as process:
        until(begun.exists, "a start")
        process.send_signal(how)
        assert process.stderr is not None
        while b"may have been started" not in (line := process.stderr.readline()):
            assert line, "it ended without a word"
        waits.unlink()
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (128 + how, b"", b"")
        assert line.decode() == f"gatewatch: the run may have been started; {look_again(quick)}\n"
        until(lambda: runner_lives(quick), "the runner: what had begun was let finish")
        stop_it(quick)


def test_what_was_told_to_outlive_its_terminal_does() -> None:
    async def within() -> str:
        with ended_with_a_word():
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.01)
            return "still here"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert asyncio.run(within()) == "still here"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@contextlib.contextmanager
def alone(quick: Quick, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`calibrate run` without a terminal."""
    with subprocess.Popen(
        quick.argv("calibrate", "run", "--repeats", "2", "--output-dir", str(quick.runs / "r"), *words),
        cwd=quick.folder,
        env={**os.environ, **quick.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def look_again(quick: Quick) -> str:
    return f"look at it with: gatewatch calibrate status --run-dir {quick.runs / 'r'}"


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
