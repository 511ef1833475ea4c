"""Ending a run on purpose: pytest ends, nothing is left alive, and resume continues."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from hosts.errors import RefusedError
from hosts.local.procs import send_signal
from tests.jobs.runner.chaos import role_of
from tests.jobs.runner.conftest import Make
from tests.jobs.runner.fast import FastProject, FastRun, command, until

ALPHA = ("alpha_accuracy", "alpha_speed")
SCRIPT = {"test_fast_alpha_ci:2": ["silent", "ok"]}


def _inbox(run: FastRun) -> None:
    run.stop()


def _command(run: FastRun) -> None:
    done = command("calibrate", "stop", "--run-dir", str(run.root), "--root", str(run.project.repo))
    assert done.returncode == 0, done.stderr


def _signal(number: signal.Signals) -> Callable[[FastRun], None]:
    def send(run: FastRun) -> None:
        runner = run.runner()
        assert runner is not None
        assert send_signal(runner, number)

    return send


@pytest.mark.parametrize(
    ("stop", "why"),
    [
        (_inbox, "a person asked for it"),
        (_command, "a person asked for it"),
        (_signal(signal.SIGTERM), "SIGTERM"),
        (_signal(signal.SIGINT), "SIGINT"),
        (_signal(signal.SIGHUP), "SIGHUP"),
    ],
    ids=["verb", "command", "SIGTERM", "SIGINT", "SIGHUP"],
)
def test_stop_ends_pytest_and_resume_continues(make_project: Make, stop: Callable[[FastRun], None], why: str) -> None:
    project = make_project(script=SCRIPT)
    run = project.run(repeats=2, stages=ALPHA)
    run.start()
    until(lambda: project.launches("test_fast_alpha_ci:2"), "the second repeat")
    first = {stage: (run.root / stage / "run1.json").read_bytes() for stage in ALPHA}
    stop(run)
    until(lambda: run.runner() is None, "the end of the runner")
    # Whoever sees the lock given up must not find anything at work but the runner's own last step.
    assert [process.argv for process in run.processes() if role_of(process) != "runner"] == []
    run.wait()
    assert run.halted()["why"] == "stopped"
    assert why in run.halted()["detail"]
    assert not run.places.lock.exists()
    assert {"run2.log", "run2.rc"} <= {path.rsplit("/", 1)[-1] for path in run.discarded()}
    assert [offer.action for offer in run.look().snapshot.offers] == ["resume"]
    run.finish(resume=True)
    assert run.audit()[-1] == "STRICT + GIT: READY"
    assert {stage: (run.root / stage / "run1.json").read_bytes() for stage in ALPHA} == first
    assert [project.launches(f"test_fast_alpha_ci:{repeat}") for repeat in (1, 2)] == [1, 2]


@pytest.mark.timeout(120)
def test_a_stop_at_any_moment_of_a_launch_leaves_nothing_alive(make_project: Make) -> None:
    project = make_project(script={"test_fast_alpha_ci:1": ["silent"]})
    run = project.run(stages=ALPHA)
    for number in range(8):
        run.start(resume=number > 0)
        time.sleep(number * 0.06)  # from right after the lock to a pytest at work
        run.stop()
        until(lambda: run.runner() is None, "the end of a run that was stopped")
        assert run.halted()["why"] == "stopped"
        run.wait()


def test_a_stop_that_came_too_late_does_not_stop_the_next_runner(make_project: Make) -> None:
    project = make_project(script={"test_fast_alpha_ci:1": ["silent", "ok"]})
    run = project.run(stages=ALPHA)
    run.start()
    until(project.witnessed, "a pytest at work")
    run.stop()
    (request,) = run.places.inbox.iterdir()
    data = request.read_bytes()
    run.wait()
    request.write_bytes(data)
    run.start(resume=True)
    # Even one that arrives when the next runner has looked already.
    request.write_bytes(data)
    run.wait()
    assert run.audit()[-1] == "STRICT + GIT: READY"


def test_nobody_to_stop_is_said(project: FastProject) -> None:
    run = project.run(stages=ALPHA)
    run.finish()
    with pytest.raises(RefusedError, match="no runner is at work in"):
        run.stop()
    assert list(run.places.inbox.iterdir()) == []
