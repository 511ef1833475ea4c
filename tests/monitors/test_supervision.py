from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gates.verdict import Decision
from hosts.host import Observation, ProcRef, ProcsSeen, PytestSeen
from monitors.calibration.body import Supervision
from monitors.calibration.supervision import pytests_of
from monitors.snapshot import Active, State
from tests.monitors.conftest import Start
from tests.monitors.runs import AT, RunFolder, Watch

pytestmark = pytest.mark.travels

REF = ProcRef("gpu-7", "boot", 4711, 99, 4711)
MINUTE = 60.0


def pytest_below(basetemp: str | None, output: str | None = None, cwd: str | None = "/w") -> PytestSeen:
    return PytestSeen(REF, ("python", "-m", "pytest"), cwd, basetemp, output, AT - 300)


def log(run: RunFolder, unit: str, repeat: int, written: float, suffix: str = "") -> None:
    name = f"_pytest/{unit}/run{repeat}{suffix}.log"
    run.write(name, b"some output\n")
    os.utime(run.root / name, (written, written))


def old_tools_run(run: RunFolder) -> None:
    run.write("plan.json", {"model": "m", "stages": ["a", "b"], "repeats": 2, "calibration_git_sha": "f" * 40})
    os.utime(run.root / "plan.json", (AT - 9000, AT - 9000))


class Desk:
    """Looks at a run with processes that the test makes up: nobody can start another program's pytest on gpu-7."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.pytests: tuple[PytestSeen, ...] | None = ()

    def seen(self, seen: Observation) -> Observation:
        return replace(seen, procs=ProcsSeen((), (), self.pytests, "gpu-7"))


@pytest.fixture
def desk(watch: Watch) -> Desk:
    desk = Desk(watch)
    watch.change = desk.seen
    return desk


def test_a_pytest_of_another_program_is_found_by_its_process(run: RunFolder, watch: Watch, desk: Desk) -> None:
    old_tools_run(run)
    log(run, "test_a", 1, AT - 100)
    log(run, "test_a", 2, AT - 5)
    desk.pytests = (pytest_below(f"{run.root}/_pytest/test_a/basetemp_run2"), pytest_below("/elsewhere/basetemp_run1"))
    snapshot = watch.look(1)
    assert snapshot.state is State.RUNNING
    assert snapshot.body.supervision == Supervision("process", "_pytest/test_a/run2.log", "test_a run 2", AT - 300)
    assert snapshot.active == (Active("test_a run 2", "_pytest/test_a/run2.log", AT - 300, "found by its process"),)
    assert snapshot.body.pytest_active
    assert snapshot.verdicts[1].decision is Decision.NOT_YET
    assert any("pid 4711" in str(item.value) for item in snapshot.verdicts[1].evidence)


def test_the_log_is_where_its_output_goes_when_it_is_not_in_its_place(run: RunFolder, watch: Watch, desk: Desk) -> None:
    old_tools_run(run)
    desk.pytests = (pytest_below(f"{run.root}/_pytest/test_a/basetemp_run1", "/tmp/by-hand.log"),)
    assert watch.look(1).body.supervision.log == "/tmp/by-hand.log"
    desk.pytests = (pytest_below(f"{run.root}/_pytest/x", f"{run.root}/by-hand.log"),)
    found = watch.look(1).body.supervision
    assert (found.log, found.name) == ("by-hand.log", "_pytest/x")
    desk.pytests = (pytest_below(f"{run.root}/_pytest/test_a/basetemp_run1"),)
    assert watch.look(1).body.supervision.log == "_pytest/test_a/run1.log"


def test_the_newest_log_only_when_nothing_runs(run: RunFolder, watch: Watch, desk: Desk) -> None:
    old_tools_run(run)
    assert watch.look(1).body.supervision == Supervision()
    log(run, "test_a", 1, AT - 100)
    log(run, "test_b", 1, AT - 50)
    log(run, "test_b", 1, AT - 1, ".attempt1")
    run.write("run.log", b"START\n")
    found = watch.look(1)
    assert found.body.supervision == Supervision("last", "_pytest/test_b/run1.log", "test_b run 1")
    assert found.active == ()


def test_a_runner_between_two_pytests_shows_no_old_log(run: RunFolder, watch: Watch, start: Start) -> None:
    run.plan()
    run.lock(start(run.run_id)[1])
    run.note("run.started")
    run.note("attempt.started", unit="test_a", run=1, log="_pytest/test_a/run1.log", stages=["a", "b"])
    log(run, "test_a", 1, AT)
    start(run.run_id)
    assert watch.look().body.supervision.how == "journal"
    run.note("attempt.ended", unit="test_a", run=1)
    assert watch.look().body.supervision == Supervision()


def test_what_nobody_writes_is_dead_with_the_evidence(run: RunFolder, watch: Watch, desk: Desk) -> None:
    old_tools_run(run)
    log(run, "test_a", 1, AT - 14 * MINUTE)
    snapshot = watch.look(1)
    assert snapshot.state is State.DEAD
    assert snapshot.error == "no pytest of this run lives on gpu-7, and nothing was written for 14 min"
    assert [offer.action for offer in snapshot.offers] == ["resume"]
    watch.now += 5 * MINUTE
    later = watch.look(1)
    assert later.error == "no pytest of this run lives on gpu-7, and nothing was written for 19 min"
    assert later.offers == snapshot.offers, "what is offered does not change with the minute"
    desk.pytests = None
    assert watch.look(1).state is State.UNKNOWN, "who runs there was not seen"


def test_what_was_calibrated_elsewhere_is_not_called_dead_from_here(run: RunFolder, watch: Watch, desk: Desk) -> None:
    old_tools_run(run)
    run.write("environment-fingerprint.json", {"hostname": "gpu-8"})
    for path in run.root.iterdir():
        os.utime(path, (AT - 9000, AT - 9000))
    snapshot = watch.look(1)
    assert (snapshot.state, snapshot.error) == (
        State.UNKNOWN,
        "it was calibrated on gpu-8; whether it still runs there cannot be told from gpu-7",
    )


def test_a_pytest_that_says_nothing_is_stalled(run: RunFolder, watch: Watch, desk: Desk) -> None:
    old_tools_run(run)
    log(run, "test_a", 1, AT - 30 * MINUTE)
    seen = pytest_below(f"{run.root}/_pytest/test_a/basetemp_run1")
    desk.pytests = (replace(seen, since=AT - 40 * MINUTE),)
    snapshot = watch.look(1)
    assert snapshot.state is State.STALLED
    assert snapshot.error == "nothing was written for 30 min; pid 4711 still lives"
    desk.pytests = (replace(seen, since=AT - 1),)
    assert watch.look(1).state is State.RUNNING, "it has only just begun"


def test_whose_pytest_it_is(tmp_path: Path) -> None:
    run = str(tmp_path / "runs" / "r5")
    inside = pytest_below(f"{run}/_pytest/t/basetemp_run1")
    by_name = pytest_below("runs/r5/_pytest/t/basetemp_run1", cwd=None)
    neighbour = pytest_below(f"{run}b/_pytest/t/basetemp_run1")
    other_name = pytest_below("runs/xr5/_pytest/t/basetemp_run1", cwd=None)
    found = pytests_of(run, (inside, by_name, neighbour, other_name, pytest_below(None)))
    assert found == (inside, by_name)
    assert pytests_of(run + "/", (inside,)) == (inside,)
