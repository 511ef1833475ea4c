"""What the line of a run that is waited for on a terminal says beside its bar."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.local.procs import self_ref
from hosts.local.verbs import READ_VERBS
from jobs.calibration.locate import Watched
from jobs.connect import open_actor
from monitors.calibration import CalibrationMonitor, state
from monitors.snapshot import Active, Eta, Progress, Seen, Snapshot, State
from tests.monitors.conftest import Start, start
from tests.monitors.runs import RunFolder
from tests.monitors.test_left_alone import Begin, begin
from tui.cli import calibration_follow, calibration_start
from tui.cli.asking import connects
from tui.cli.calibration_advice import advice
from tui.cli.calibration_follow import Left, describe, follow_run
from tui.cli.calibration_start import watch_run
from tui.exits import ExitCode

AT = 1_779_676_982.0

__all__ = ["begin", "start"]  # the fixtures


def test_what_ran_when_it_was_seen_last_is_not_told_of_a_run_that_is_out_of_sight() -> None:
    running = (Active("tts 2/5", None, AT),)
    seen: Snapshot[Any] = Snapshot(
        "r", State.RUNNING, Seen(AT, AT), Progress(3, 5), Eta(AT + 60, "mean"), running, (), (), None, None
    )
    assert describe(seen).endswith(", tts 2/5")
    blind = replace(seen, state=State.BLIND, error="no answer")
    told = time.strftime("%H:%M:%S", time.localtime(AT))
    assert describe(blind) == f"blind, seen {told}"
    never = replace(blind, seen=Seen(None, None))
    assert describe(never) == "blind"


async def test_a_host_that_stays_away_is_told_once_for_each_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = "connection refused"
    errors = [refused, f"retry in 4 s ({refused})", f"retry in 2 s ({refused})", refused, "retry in 9 s (no route)"]

    class Away(LocalReader):
        async def observe(self, *_given: Any) -> Any:
            error = errors.pop(0)
            if not errors:
                errors.append(error)
                os.kill(os.getpid(), signal.SIGINT)  # a person has seen enough
            raise UnreachableError(f"far: {error}")

        async def follow(self, *_given: Any) -> Any:
            await asyncio.Event().wait()
            yield

    monkeypatch.setattr(calibration_follow, "REMOTE_INTERVAL_S", 0.001)
    reader = Away("far", READ_VERBS)
    left, last = await follow_run(reader, CalibrationMonitor("/r", None, None), "/r", False, 0)
    assert (left, last and last.state) == (Left.LEAVE, State.BLIND)
    assert capsys.readouterr().err.splitlines() == [
        "gatewatch: blind: far: connection refused",
        "gatewatch: blind: far: no route",
    ]


def follow(run: RunFolder, then: Callable[[str], bool], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is told of a run until `then` says that it is enough, and in some more looks, which find nothing new."""
    return asyncio.run(_follow(run, then, capsys))


async def _follow(run: RunFolder, then: Callable[[str], bool], capsys: pytest.CaptureFixture[str]) -> list[str]:
    watched = Watched(str(run.root), None, True, None, None)
    told = ""

    async def leave() -> None:
        nonlocal told
        end = time.monotonic() + 20
        while not then(told) and time.monotonic() < end:
            await asyncio.sleep(0.02)
            told += capsys.readouterr().err
        await asyncio.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    leaving = asyncio.create_task(leave())
    monitor = CalibrationMonitor(str(run.root), None, None)
    here = LocalReader("box", READ_VERBS)
    left, _ = await follow_run(here, monitor, str(run.root), True, 0, partial(advice, watched))
    await leaving
    assert left is Left.LEAVE
    return (told + capsys.readouterr().err).splitlines()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that has begun, looked at without a pause."""
    monkeypatch.setattr(calibration_follow, "LOCAL_INTERVAL_S", 0.01)
    made = RunFolder.make(tmp_path)
    made.plan(root="/lab")
    made.note("run.started")
    return made


def test_a_run_of_which_nobody_can_tell_whether_it_lives_is_told_with_what_goes_on_with_it(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run.lock(replace(self_ref(), host="gpu-7", boot_id="another"))
    first, second = follow(run, lambda told: "--output-dir" in told, capsys)
    assert first.startswith("gatewatch: unknown: held by pid ")
    assert first.endswith(
        " on gpu-7 since 2026-05-25T02:43:02Z, which cannot be judged from here; "
        "if it is gone for certain, --resume --take-over goes on"
    )
    resume = f"gatewatch calibrate run --root /lab --resume --take-over --output-dir {run.root}"
    assert second == f"gatewatch: if it is gone for certain: {resume}"


def test_a_runner_that_is_stopped_is_told_once_with_what_lets_it_go_on_and_so_is_that_it_does(
    run: RunFolder, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    _, runner = start(run.run_id)
    run.lock(runner)
    os.kill(runner.pid, signal.SIGSTOP)
    wrote = iter(range(1_779_000_000, 1_780_000_000))

    def enough(told: str) -> bool:
        at = next(wrote)  # its pytest goes on writing, and since when nothing was written is another time at each look
        os.utime(run.root / "plan.json", (at, at))
        if "kill -CONT" in told:
            os.kill(runner.pid, signal.SIGCONT)
        return "well again" in told

    first, second = follow(run, enough, capsys)
    assert first.startswith(f"gatewatch: stalled: the runner, pid {runner.pid}, is stopped (state T) and nothing was ")
    assert first.endswith(f"; kill -CONT {runner.pid} lets it go on")
    assert second == "gatewatch: well again: running"


def test_a_silent_run_is_told_with_its_log_and_with_what_ends_it(
    run: RunFolder, start: Start, begin: Begin, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "STALLED_AFTER_S", 0.0)
    _, runner = start(run.run_id)
    run.lock(runner)
    run.note("attempt.started", unit="test_a", run=1, log="x y.log", stages=["a", "b"])
    begin(run.root / "_pytest" / "test_a" / "basetemp_run1", run.run_id)
    first, *rest = follow(run, lambda told: "calibrate stop" in told, capsys)
    assert re.fullmatch(r"gatewatch: stalled: nothing was written since \S+Z; pid \d+ still lives", first)
    assert rest == [
        f"gatewatch: its log: gatewatch tail '{run.root}/x y.log'",
        f"gatewatch: to end it, so that --resume continues: gatewatch calibrate stop --run-dir {run.root}",
    ]


def test_what_was_only_seen_once_may_have_fallen_between_two_processes(
    run: RunFolder, start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, runner = start(run.run_id)
    run.lock(runner)
    looks = 0
    fold = CalibrationMonitor.fold

    def folded(self: CalibrationMonitor, previous: Any, seen: Any, now: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks % 2:
            seen = replace(seen, procs=None, errors={"procs": "no answer in time"})
        return fold(self, previous, seen, now)

    monkeypatch.setattr(CalibrationMonitor, "fold", folded)
    assert follow(run, lambda _: looks > 10, capsys) == []


def test_what_stands_beside_the_bar_of_a_run_that_does_not_go_on() -> None:
    item = (Active("tts 2/5", None, AT),)
    seen: Snapshot[Any] = Snapshot(
        "r", State.STALLED, Seen(AT, AT), Progress(3, 5), None, item, (), (), "it is stopped", None
    )
    assert describe(seen) == "stalled, tts 2/5"
    assert describe(replace(seen, state=State.UNKNOWN)) == "unknown"


async def test_a_run_that_nobody_can_end_from_here_is_not_told_as_ended(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.lock(replace(await asyncio.to_thread(self_ref), host="gpu-7", boot_id="another"))

    async def asked(*_given: Any) -> tuple[Left, None]:
        return Left.END, None

    monkeypatch.setattr(calibration_start, "follow_run", asked)
    watched = Watched(str(run.root), None, True, None, None)
    actor = await asyncio.to_thread(open_actor, None, False, connects())
    try:
        assert await watch_run(False, actor, watched) == ExitCode.INTERRUPTED
    finally:
        await actor.close()
    ending, why, *rest = capsys.readouterr().err.splitlines()
    assert ending == "gatewatch: ending it …"
    assert why.endswith("cannot be judged from here; stop it on its own host")
    resume = f"gatewatch calibrate run --root /lab --resume --take-over --output-dir {run.root}"
    assert rest == [
        f"gatewatch: it is not ended; look at it with: gatewatch calibrate status --run-dir {run.root}",
        f"gatewatch: if it is gone for certain: {resume}",
    ]
