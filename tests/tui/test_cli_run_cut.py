"""`calibrate run --host` over a real SSH link that is cut: what is said last tells what became of the run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError, UnreachableError, VerbError
from hosts.local.locks import read_holder
from hosts.local.procs import is_alive
from jobs.calibration import control, starting
from tests.peers import sshd
from tests.peers.quick import Quick, until
from tests.peers.terminal import CTRL_C, Terminal
from tui.cli import calibration_follow, calibration_start
from tui.cli.main import main
from tui.exits import ExitCode

# Real runs, each of several processes: on a busy machine a minute is not enough.
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sshd.SSHD, reason="asyncssh's own server cannot be stopped and started again"),
]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def far(quick: Quick, peer: sshd.SshPeer) -> Quick:
    """The quick project, with a profile that says that it lies behind SSH."""
    (quick.folder / "hosts").mkdir()
    (quick.folder / "hosts" / "far.yaml").write_text(
        f"name: far\nhostname: far.invalid\nrepo_root: {quick.folder}\nlauncher: ssh\n"
        f"ssh: {{host: 127.0.0.1, port: {peer.port}, identity_file: {peer.keys['plain']}, "
        f"known_hosts: {peer.known_hosts}}}\n"
    )
    # Nothing of our environment passes an SSH login, so what the tests wait for is said in the configuration.
    config = quick.config.read_text()
    quick.config.write_text(config.replace("auto_env:\n", f"auto_env:\n  QUICK_HOLD: {quick.hold}\n"))
    quick.commit("a profile")
    return quick


@pytest.fixture
def run(far: Quick, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(far.folder)
    monkeypatch.setattr(calibration_follow, "REMOTE_INTERVAL_S", 0.2)

    def call(*words: str) -> tuple[int, str, str]:
        given = ("--host", "far", "--stages", "b", "--repeats", "1", "--output-dir", str(far.runs / "r"))
        code = main(["calibrate", "run", *given, *words])
        return (code, *capsys.readouterr())

    return call


def look_again(far: Quick) -> str:
    return f"look at it with: gatewatch calibrate status --run-dir far:{far.runs / 'r'}"


def runner_lives(far: Quick) -> bool:
    holder = read_holder(far.runs / "r" / ".gatewatch" / "lock")
    return holder is not None and is_alive(holder.ref) is True


def test_a_link_that_is_cut_at_the_launch(
    run: Run, far: Quick, peer: sshd.SshPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = starting.begin

    async def begin_and_cut(*given: Any) -> object:
        beginning = asyncio.create_task(begin(*given))
        await asyncio.to_thread(until, (far.runs / "r" / "plan.json").exists, "a run that was begun")
        peer.stop()
        return await beginning

    monkeypatch.setattr(calibration_start, "begin", begin_and_cut)
    monkeypatch.setattr(control, "_PAUSE_S", 0.05)
    code, out, err = run("--detach")
    assert (code, out) == (ExitCode.UNREACHABLE, "")
    assert err.splitlines()[-2] == f"gatewatch: the run may have been started; {look_again(far)}"
    assert err.splitlines()[-1].startswith("gatewatch: error: far: ")


def test_a_first_call_that_is_still_at_work_is_told_as_a_start_that_may_have_been(
    run: Run, far: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_given: Any) -> object:
        raise VerbError("not-yet", "still running")

    monkeypatch.setattr(calibration_start, "begin", busy)
    code, _, err = run()
    assert code == ExitCode.UNKNOWN
    assert f"gatewatch: the run may have been started; {look_again(far)}\n" in err


@pytest.mark.parametrize("planned", [True, False], ids=["after its plan", "before its plan"])
def test_a_host_that_failed_at_a_start(planned: bool, run: Run, far: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failed(*_given: Any, **_more: Any) -> object:
        if planned:
            (far.runs / "r").mkdir(parents=True)
            (far.runs / "r" / "plan.json").write_text("{}")
        raise VerbError("internal", "cannot write it: no space left on device")

    monkeypatch.setattr(starting, "start", failed)
    code, _, err = run()
    _, *said = err.splitlines()
    if planned:
        assert code == ExitCode.UNKNOWN
        assert said == [
            f"gatewatch: the run may have been started; {look_again(far)}",
            "gatewatch: error: cannot write it: no space left on device",
        ]
    else:
        assert code == ExitCode.SAYS_NO
        assert said == ["gatewatch: error: the run was not started: cannot write it: no space left on device"]


def test_a_start_that_is_refused_is_not_told_as_one_that_may_have_been(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_given: Any) -> object:
        raise InputError("already holds a run")

    monkeypatch.setattr(calibration_start, "begin", refused)
    code, _, err = run()
    assert code == ExitCode.USAGE
    assert "look at it" not in err


def test_a_link_that_is_cut_before_the_first_look(run: Run, far: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dark(*_given: Any) -> object:
        raise UnreachableError("127.0.0.1: the link broke")

    monkeypatch.setattr(calibration_start, "make_monitor", dark)
    monkeypatch.setattr(control, "_PAUSE_S", 0.05)
    code, _, err = run()
    assert code == ExitCode.UNREACHABLE
    assert err.splitlines()[-2] == f"gatewatch: the run was started; {look_again(far)}"


@pytest.mark.parametrize("back", [True, False], ids=["for a moment", "for good"])
def test_a_link_that_is_cut_at_the_end(
    back: bool, run: Run, far: Quick, peer: sshd.SshPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_run = calibration_follow.follow_run
    soon: list[asyncio.TimerHandle] = []

    async def follow_and_cut(*given: Any) -> object:
        found = await follow_run(*given)
        peer.stop()
        if back:
            soon.append(asyncio.get_running_loop().call_later(0.3, peer.start))
        return found

    monkeypatch.setattr(calibration_start, "follow_run", follow_and_cut)
    if not back:
        monkeypatch.setattr(control, "_PAUSE_S", 0.05)
    code, out, err = run()
    if back:
        assert code == ExitCode.OK, err
        assert "STRICT + GIT: READY" in out
    else:
        assert (code, out) == (ExitCode.UNREACHABLE, "")
        assert err.splitlines()[-2] == f"gatewatch: the run has ended; {look_again(far)}"


def test_a_run_that_cannot_be_ended_because_its_host_is_away(far: Quick, peer: sshd.SshPeer) -> None:
    run_dir = far.runs / "r"
    words = ("calibrate", "run", "--host", "far", "--stages", "ALL", "--repeats", "2", "--output-dir", str(run_dir))
    size = (24, 400)  # no line is broken
    with far.holding(), Terminal(far.argv(*words), far.folder, {**os.environ, **far.env}, size) as screen:
        screen.until("START test_quick_a 1/2")
        until(lambda: len(far.processes()) == 3, "runner, shim and pytest")
        peer.stop()
        screen.until("blind: ")
        screen.press(CTRL_C)
        screen.until("[e]nd it so that --resume continues")
        screen.press(b"e\n")
        assert screen.wait() == ExitCode.UNREACHABLE
        stop = f"gatewatch calibrate stop --run-dir far:{run_dir}"
        told = f"gatewatch: the run may go on; {look_again(far)}\r\ngatewatch: end it with: {stop}\r\n"
        assert f"{told}gatewatch: error: far: " in screen.text
        assert runner_lives(far)
        assert len([line for line in screen.text.splitlines() if "blind: " in line]) <= 2, screen.text
        peer.start()
        assert far.gatewatch(*stop.split()[1:]).code == 0
        until(lambda: not far.processes(), "the end of all processes")
