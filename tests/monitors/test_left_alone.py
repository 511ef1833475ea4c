"""What lives on without its runner, and what lives and cannot work: said at once, and a resume where it helps."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gates.verdict import Offer
from hosts.host import ProcRef
from hosts.local.procs import look_at, marked, ref_of
from monitors.calibration import RUN_MARK, Calibration
from monitors.snapshot import Snapshot, State
from tests.monitors.conftest import PATIENCE_S, Start
from tests.monitors.runs import RunFolder, Watch

pytestmark = pytest.mark.travels

ORPHAN = "the runner is gone and its pytest still runs"


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


Begin = Callable[..., ProcRef]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts processes that are called as a pytest is, with a run's mark or without."""
    started: list[subprocess.Popen[bytes]] = []
    (tmp_path / "pytest").write_text("read line\n")

    def one(basetemp: Path, run_id: str | None = None) -> ProcRef:
        argv = ["python3", "-m", "pytest", f"--basetemp={basetemp}"]  # to this shell, -m is a word of its own
        environment = {**os.environ, **({RUN_MARK: run_id} if run_id else {})}
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        process = subprocess.Popen(
            argv, executable="/bin/sh", cwd=tmp_path, env=environment, stdin=pipe, stderr=null, start_new_session=True
        )
        started.append(process)
        until(lambda: run_id is None or process.pid in [one.ref.pid for one in marked([f"{RUN_MARK}={run_id}"])])
        ref = ref_of(process.pid)
        assert ref is not None
        return ref

    yield one
    for process in started:
        process.kill()
        process.communicate()


def stop(ref: ProcRef) -> None:
    os.kill(ref.pid, signal.SIGSTOP)
    until(lambda: [seen.state for seen in look_at([ref])[0]] == ["T"])


def resume_of(snapshot: Snapshot[Calibration]) -> Offer | None:
    return next((offer for offer in snapshot.offers if offer.action == "resume"), None)


def values(snapshot: Snapshot[Calibration], what: str) -> list[object]:
    return [item.value for item in snapshot.verdicts[1].evidence if item.what == what]


@pytest.fixture
def orphan(run: RunFolder, start: Start, begin: Begin) -> ProcRef:
    """A run whose runner was killed, and the pytest that it had started."""
    process, runner = start(run.run_id)
    run.plan()
    run.lock(runner)
    run.note("run.started")
    run.note("attempt.started", unit="test_a", run=1, log="x.log", stages=["a", "b"])
    ref = begin(run.root / "_pytest" / "test_a" / "basetemp_run1", run.run_id)
    process.kill()
    process.wait()
    return ref


def test_an_orphan_is_offered_to_a_resume_with_the_evidence(
    run: RunFolder, watch: Watch, start: Start, orphan: ProcRef
) -> None:
    snapshot = watch.look()
    assert (snapshot.state, snapshot.error) == (State.RUNNING, f"{ORPHAN}; --resume takes it over")
    offer = resume_of(snapshot)
    assert offer is not None
    assert offer.change == f"gatewatch calibrate run --resume --output-dir {run.root}"
    assert values(snapshot, "runner") == ["dead"]
    (named,) = values(snapshot, "process")
    assert str(named).startswith(f"pid {orphan.pid} python3 -m pytest")
    start(run.run_id)  # a server, or another child of it
    later = watch.look()
    assert len(later.body.processes) == 2
    assert later.offers == (offer,), "what comes and goes around it makes no other offer"


def test_an_orphan_that_has_nothing_left_to_do_is_not_resumed(run: RunFolder, watch: Watch, orphan: ProcRef) -> None:
    for stage in ("a", "b"):
        for repeat in (1, 2):
            run.cell(stage, repeat)
    snapshot = watch.look()
    assert (snapshot.error, snapshot.offers) == (ORPHAN, ())


@pytest.mark.parametrize("kind", ["run.ended", "run.halted"])
def test_what_is_about_to_end_after_its_run_is_no_orphan(
    run: RunFolder, watch: Watch, orphan: ProcRef, kind: str
) -> None:
    run.note(kind)
    snapshot = watch.look()
    assert (snapshot.state, snapshot.error, snapshot.offers) == (State.RUNNING, None, ())


def test_a_pytest_of_somebody_else_is_not_taken_over(run: RunFolder, watch: Watch, begin: Begin) -> None:
    run.plan()
    begin(run.root / "_pytest" / "test_a" / "basetemp_run1")
    snapshot = watch.look()
    assert (snapshot.state, snapshot.error, snapshot.offers) == (State.RUNNING, None, ())


def test_a_stopped_pytest_is_stalled_at_once(
    run: RunFolder, watch: Watch, start: Start, begin: Begin, tmp_path: Path
) -> None:
    run.plan()
    _, runner = start(run.run_id)
    run.lock(runner)
    run.note("run.started")
    run.note("attempt.started", unit="test_a", run=1, log="x.log", stages=["a", "b"])
    ref = begin(run.root / "_pytest" / "test_a" / "basetemp_run1", run.run_id)
    assert watch.look().state is State.RUNNING
    stop(ref)
    for path in run.root.rglob("*"):
        os.utime(path, (watch.now - 30, watch.now - 30))
    snapshot = watch.look(1)
    assert snapshot.state is State.STALLED
    stopped = f"its pytest, pid {ref.pid}, is stopped (state T) and nothing was written for 30 s"
    assert snapshot.error == f"{stopped}; kill -CONT {ref.pid} lets it go on"
    assert values(snapshot, "stopped") == [f"pid {ref.pid}, state T: a signal stopped it, SIGCONT lets it go on"]
    assert "2026-05-25T02:42:32Z" in snapshot.verdicts[1].detail, "a verdict does not change with every second"
    os.kill(ref.pid, signal.SIGCONT)
    until(lambda: watch.look(1).state is State.RUNNING)

    stop(runner)
    snapshot = watch.look(1)
    assert snapshot.state is State.STALLED
    assert str(snapshot.error).startswith(f"the runner, pid {runner.pid}, is stopped (state T)")


def test_a_stopped_pytest_of_another_program_is_stalled_too(run: RunFolder, watch: Watch, begin: Begin) -> None:
    run.plan()
    ref = begin(run.root / "_pytest" / "test_a" / "basetemp_run1")
    begin(run.root.parent / "elsewhere")
    assert watch.look().state is State.RUNNING
    stop(ref)
    snapshot = watch.look(1)
    assert snapshot.state is State.STALLED
    assert snapshot.body.stopped == (ref,)


def test_a_stopped_orphan_is_still_offered(watch: Watch, orphan: ProcRef) -> None:
    stop(orphan)
    snapshot = watch.look()
    assert snapshot.state is State.STALLED
    assert str(snapshot.error).endswith(f"; {ORPHAN}; --resume takes it over")
    assert resume_of(snapshot) is not None


def test_what_else_of_a_run_is_stopped_is_its_own_business(
    run: RunFolder, watch: Watch, start: Start, orphan: ProcRef
) -> None:
    stop(start(run.run_id)[1])
    assert watch.look().state is State.RUNNING
