"""One directory has one runner: the second is refused in one line, and a dead one is no obstacle."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import GatewatchError, RefusedError
from hosts.local.files import new_ulid
from hosts.local.locks import read_holder
from hosts.local.procs import end_marked, send_signal
from jobs.runner.places import RUN_MARK
from tests.jobs.runner.conftest import Make
from tests.jobs.runner.fast import HOUSE, START, FastProject, FastRun, command, until

ALPHA = ("alpha_accuracy", "alpha_speed")
BETA = ("beta_one_accuracy",)
RACES = 6
LONG_RACES = 24


@pytest.fixture
def live(make_project: Make) -> FastRun:
    """A run whose pytest does not end by itself."""
    project = make_project(script={"test_fast_alpha_ci:1": ["silent"]})
    run = project.run(stages=ALPHA)
    run.start()
    until(project.witnessed, "a pytest at work")
    return run


def _end(run: FastRun) -> None:
    """As if the machine had lost power: nobody has time for a last word."""

    def nobody_left() -> bool:
        left = run.processes()
        for process in left:
            send_signal(process.ref, signal.SIGKILL)
        return not left

    # Not one round: what was being forked during the look is only seen by the next one.
    until(nobody_left, f"an end of {run.root}", pause_s=0.05)


def test_a_second_start_is_refused_in_one_line(live: FastRun) -> None:
    before = live.places.job.read_bytes(), (live.root / "plan.json").read_bytes()
    runner = live.runner()
    assert runner is not None
    with pytest.raises(RefusedError, match=f"already running: pid {runner.pid} on ") as refused:
        live.start(resume=True)
    assert (refused.value.code, "\n" in str(refused.value)) == (1, False)
    assert (live.places.job.read_bytes(), (live.root / "plan.json").read_bytes()) == before
    _end(live)


def test_the_command_line_says_it_in_one_line_too(live: FastRun) -> None:
    where = ["--root", str(live.project.repo), "--venv-python", sys.executable, "--output-dir", str(live.root)]
    done = command("calibrate", "run", "--resume", "--detach", *where)
    assert done.returncode == 1, done.stderr
    assert [line for line in done.stderr.splitlines() if "already running" in line] == done.stderr.splitlines()[-1:]
    assert done.stdout == ""
    assert live.runner() is not None
    _end(live)


def _runner(run: FastRun) -> subprocess.Popen[str]:
    """The runner itself, past everything that start looks at."""
    (image,) = run.places.ours.glob("*.pyz")
    return subprocess.Popen(
        [sys.executable, "-I", str(image), "run", "calibration", str(run.root), new_ulid()],
        env={**os.environ, RUN_MARK: run.plan()["run_id"]},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.timeout(180)
def test_of_two_runners_at_the_same_instant_exactly_one_wins(live: FastRun, request: pytest.FixtureRequest) -> None:
    for _ in range(LONG_RACES if request.config.getoption("--long-proof") else RACES):
        _end(live)  # and so every race begins with the lock of a dead one
        with _runner(live) as one, _runner(live) as other:
            winner, loser = _decided(one, other)
            assert loser.returncode == 1
            assert loser.stderr is not None
            assert re.fullmatch("gatewatch runner: already running: pid [0-9]+ on .*\n", loser.stderr.read())
            holder = read_holder(live.places.lock)
            assert holder is not None
            assert (holder.ref.pid, winner.poll()) == (winner.pid, None)
            _end(live)
    _end(live)
    # Whatever they launched, they launched one after the other: the witness would have seen two at a time.
    live.project.witnessed()


def _decided(one: subprocess.Popen[str], other: subprocess.Popen[str]) -> tuple[subprocess.Popen[str], ...]:
    """Winner and loser, as soon as one has given up."""
    until(lambda: one.poll() is not None or other.poll() is not None, "one of two gives up")
    return (other, one) if one.poll() is not None else (one, other)


def _race(first: FastRun, second: FastRun) -> tuple[FastRun, GatewatchError]:
    """Start two requests for one directory at once: who won, and what the other was told."""
    gate = threading.Barrier(2)
    told: dict[int, GatewatchError | None] = {}

    def start(number: int, run: FastRun) -> None:
        gate.wait()
        try:
            run.start()
            told[number] = None
        except GatewatchError as error:
            told[number] = error

    threads = [threading.Thread(target=start, args=item) for item in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    errors = [(number, error) for number, error in told.items() if error is not None]
    assert len(errors) == 1, told
    (number, error), *_ = errors
    return (second if number == 0 else first), error


@pytest.mark.timeout(180)
def test_of_two_requests_for_one_fresh_directory_one_is_carried_out_whole(project: FastProject) -> None:
    for number in range(2):
        winner, error = _race(project.run(f"r{number}", stages=ALPHA), project.run(f"r{number}", stages=BETA))
        assert "\n" not in str(error)
        winner.wait()
        job = json.loads(winner.places.job.read_bytes())
        assert [stage for unit in job["units"] for stage in unit["stages"]] == list(winner.stages)
        assert winner.plan()["stages"] == list(winner.stages)
        assert winner.audit()[-1] == "STRICT + GIT: READY"


def test_a_start_that_is_overtaken_does_not_put_its_request_under_the_other_runner(
    project: FastProject, tmp_path: Path
) -> None:
    slow, fast = project.run(stages=ALPHA), project.run(stages=BETA)
    once = tmp_path / "stopped"
    about = {"FAST_DIE_WHO": "start", "FAST_DIE_AT": "1", "FAST_DIE_LIKE": r"rename .*job\.json"}
    about |= {"FAST_DIE_ONCE": str(once), "FAST_DIE_SIGNAL": str(int(signal.SIGSTOP))}
    with subprocess.Popen(
        [sys.executable, "-c", START], env={**os.environ, **about}, cwd=HOUSE, stdin=subprocess.PIPE, text=True
    ) as starting:
        assert starting.stdin is not None
        starting.stdin.write(json.dumps(slow.payload()))
        starting.stdin.close()
        until(once.exists, "a start that has looked at everything and written nothing")
        try:
            with pytest.raises(RefusedError, match="is just being started"):
                fast.start()
        finally:
            starting.send_signal(signal.SIGCONT)
        assert starting.wait(50) == 0
    slow.wait()
    job = json.loads(slow.places.job.read_bytes())
    assert [stage for unit in job["units"] for stage in unit["stages"]] == slow.plan()["stages"] == list(ALPHA)
    assert slow.audit()[-1] == "STRICT + GIT: READY"


def _rewrite(lock: Path, **changes: Any) -> Mapping[str, Any]:
    body: dict[str, Any] = json.loads(lock.read_bytes())
    body["holder"].update(changes)
    lock.write_text(json.dumps(body))
    return body


def test_the_lock_of_before_a_reboot_is_no_obstacle(live: FastRun) -> None:
    _end(live)
    # The same pid and start time as a live process: only the boot tells them apart.
    body = _rewrite(live.places.lock, boot_id="00000000-0000-0000-0000-000000000000", pid=os.getpid())
    if body["holder"]["host"] in ("", "(none)") or body["holder"]["host"].startswith("localhost"):
        with pytest.raises(RefusedError, match="--take-over"):  # a name that proves no machine
            live.start(resume=True)
        return
    live.start(resume=True)
    assert live.runner() is not None
    _end(live)


def test_the_lock_of_another_host_needs_consent(live: FastRun) -> None:
    _end(live)
    _rewrite(live.places.lock, host="elsewhere", boot_id="00000000-0000-0000-0000-000000000000")
    before = live.places.lock.read_bytes()
    with pytest.raises(RefusedError, match=r"on elsewhere .*--take-over"):
        live.start(resume=True)
    assert live.places.lock.read_bytes() == before
    assert live.processes() == []


def test_a_lock_that_is_no_lock_is_told(live: FastRun) -> None:
    _end(live)
    live.places.lock.write_bytes(b"{")
    with pytest.raises(RefusedError, match="cannot be read"):
        live.start(resume=True)
    assert end_marked([f"{RUN_MARK}={live.plan()['run_id']}"], 0.0) == []
