from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.calibration.layout import JOURNAL
from gates.calibration.schema import parse_manifest
from gates.verdict import Decision
from hosts.host import Observation, Wants, merge
from hosts.local.observe import Observer
from hosts.local.procs import self_ref
from monitors.calibration import LAST_WORDS, LOCK, RUN_MARK, Calibration, CalibrationMonitor
from monitors.snapshot import Now, Progress, Snapshot, State
from tests.monitors.conftest import Start
from tests.monitors.runs import AT, RunFolder, Watch, stage_data

pytestmark = pytest.mark.travels

SLOW = [HealthCheck.too_slow]  # a loaded machine is not a wrong answer


def complete(run: RunFolder, repeats: int = 2) -> None:
    for stage in ("a", "b"):
        for repeat in range(1, repeats + 1):
            run.cell(stage, repeat)


def liveness(snapshot: Snapshot[Calibration]) -> Decision:
    return snapshot.verdicts[1].decision


def test_a_run_at_work(run: RunFolder, watch: Watch, start: Start) -> None:
    _, runner = start(run.run_id)
    run.plan()
    run.lock(runner)
    run.note("run.started")
    snapshot = watch.look()
    assert (snapshot.state, snapshot.error, snapshot.body.runner) == (State.RUNNING, None, "alive")
    assert snapshot.progress == Progress(0, 4)
    assert snapshot.active == (), "the runner alone is no pytest"
    assert snapshot.body.pytest_active is False
    assert snapshot.offers == ()
    assert liveness(snapshot) is Decision.NOT_YET
    assert snapshot.eta is not None
    assert snapshot.eta.at is None

    start(run.run_id)
    run.note("attempt.started", unit="test_a", run=1, log="_pytest/test_a/run1.log", stages=["a", "b"])
    snapshot = watch.look(1)
    assert [(item.name, item.log, item.since) for item in snapshot.active] == [
        ("test_a run 1", "_pytest/test_a/run1.log", 1779676982.0)
    ]
    assert snapshot.body.pytest_active is True


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["unit.waiting"], State.WAITING),
        (["attempt.started", "unit.slow_start"], State.SLOW_START),
        (["unit.waiting", "attempt.intended", "attempt.started"], State.RUNNING),
        (["attempt.started", "unit.slow_start", "attempt.ended"], State.RUNNING),
        (["unit.waiting", "attempt.adopted"], State.RUNNING),
        (["unit.waiting", "a.kind.of.the.future"], State.WAITING),
    ],
)
def test_what_a_live_run_is_doing(run: RunFolder, watch: Watch, start: Start, kinds: list[str], state: State) -> None:
    run.plan()
    run.lock(start(run.run_id)[1])
    run.note("run.started")
    for kind in kinds:
        run.note(kind, unit="test_a", run=1, why="GPU 0: held by pid 7 (bert)")
    assert watch.look().state is state


def test_a_dead_runner_leaves_its_reason_and_an_offer(run: RunFolder, watch: Watch, start: Start) -> None:
    process, runner = start(run.run_id)
    run.plan(root="/lab", host="h20-a")
    run.lock(runner)
    run.note("run.started")
    assert watch.look().state is State.RUNNING
    process.kill()
    process.wait()
    run.words("cannot write events.jsonl: no space left on device")
    snapshot = watch.look(1)
    assert (snapshot.state, snapshot.body.runner) == (State.DEAD, "dead")
    assert snapshot.error == (
        "the runner is gone without a last event: cannot write events.jsonl: no space left on device"
    )
    (offer,) = snapshot.offers
    assert offer.action == "resume"
    assert offer.change == f"gatewatch calibrate run --root /lab --host h20-a --resume --output-dir {run.root}"
    assert offer.verdict == snapshot.verdicts[1].digest()
    assert liveness(snapshot) is Decision.FAIL


def test_a_runner_that_gave_its_lock_up_without_a_last_event(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.note("run.started")
    snapshot = watch.look()
    assert (snapshot.state, snapshot.body.runner) == (State.DEAD, "none")
    assert snapshot.error == (
        "the runner is gone without a last event and without a word: it was killed, or its disk failed"
    )


@pytest.mark.parametrize(("why", "offered"), [("halt", False), ("stopped", True), ("exhausted", True)])
def test_a_halted_run(run: RunFolder, watch: Watch, why: str, offered: bool) -> None:
    run.plan()
    run.note("run.started")
    run.note("run.halted", why=why, detail="test_a 1/2: missing a.b in r.json (exit 0)")
    snapshot = watch.look()
    assert snapshot.state is State.HALTED
    assert snapshot.error == "test_a 1/2: missing a.b in r.json (exit 0)"
    assert bool(snapshot.offers) is offered, "a HALT needs a person, not a resume"
    run.note("run.resumed")
    assert watch.look(1).state is State.DEAD


def test_an_ended_run(run: RunFolder, watch: Watch) -> None:
    run.plan()
    complete(run)
    run.note("run.started")
    run.note("run.ended")
    snapshot = watch.look()
    assert (snapshot.state, snapshot.error, snapshot.offers) == (State.ENDED, None, ())
    assert snapshot.progress == Progress(4, 4)
    assert snapshot.verdicts[0].decision is Decision.PASS
    assert liveness(snapshot) is Decision.PASS


def test_a_pytest_that_outlived_its_runner(run: RunFolder, watch: Watch, start: Start) -> None:
    process, runner = start(run.run_id)
    _, orphan = start(run.run_id)
    run.plan()
    run.lock(runner)
    run.note("run.started")
    run.note("attempt.started", unit="test_a", run=1, log="x.log")
    process.kill()
    process.wait()
    snapshot = watch.look()
    assert (snapshot.state, snapshot.body.runner) == (State.RUNNING, "dead")
    assert snapshot.error == "the runner is gone and its pytest still runs; --resume takes it over"
    assert [seen.ref for seen in snapshot.body.processes] == [orphan]
    assert len(snapshot.active) == 1


def test_processes_of_another_run_are_not_ours(run: RunFolder, watch: Watch, start: Start) -> None:
    """One look at a host serves all runs that are watched there."""
    process, runner = start(run.run_id)
    start("the other run")
    run.plan()
    run.lock(runner)
    run.note("run.started")
    process.kill()
    process.wait()
    watch.look(1)
    other = Wants(procs=replace(Wants().procs, marks=(f"{RUN_MARK}=the other run",)))
    seen = watch.observer.observe(merge([watch.monitor.wants(watch.last), other]), watch.cursor, "box")
    assert seen.procs is not None
    assert len(seen.procs.live) == 1
    snapshot = watch.monitor.fold(watch.last, seen, Now(watch.now))
    assert (snapshot.state, snapshot.body.processes) == (State.DEAD, ())


def test_a_holder_that_cannot_be_judged(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.lock(replace(self_ref(), host="gpu-7", boot_id="another"))
    run.note("run.started")
    snapshot = watch.look()
    assert (snapshot.state, snapshot.body.runner) == (State.UNKNOWN, "unknown")
    assert snapshot.error is not None
    assert snapshot.error.endswith(
        "on gpu-7 since 2026-05-25T02:43:02Z, which cannot be judged from here; "
        "if it is gone for certain, --resume --take-over goes on"
    )
    assert snapshot.offers == ()
    assert liveness(snapshot) is Decision.UNKNOWN


def test_processes_that_could_not_be_looked_at(run: RunFolder, watch: Watch, start: Start) -> None:
    _, runner = start(run.run_id)
    run.plan()
    run.lock(runner)
    run.note("run.started")
    assert watch.look().state is State.RUNNING
    seen = replace(watch.observe(), procs=None, errors={"procs": "no answer in time"})
    snapshot = watch.monitor.fold(watch.last, seen, Now(watch.now))
    assert (snapshot.state, snapshot.body.runner) == (State.UNKNOWN, "unknown")
    assert snapshot.error == "no answer in time"
    assert snapshot.offers == (), "nobody is dead for certain"


@pytest.mark.parametrize("content", [b"", b"garbage", b'{"holder": null}'])
@pytest.mark.parametrize("at_work", [True, False])
def test_a_lock_that_cannot_be_read(run: RunFolder, watch: Watch, start: Start, content: bytes, at_work: bool) -> None:
    run.plan()
    run.note("run.started")
    run.write(LOCK, content)
    if at_work:
        start(run.run_id)
    snapshot = watch.look()
    assert snapshot.body.runner == "unknown"
    assert snapshot.state is (State.RUNNING if at_work else State.UNKNOWN)
    assert snapshot.error == "whether a runner lives cannot be told, .gatewatch/lock: it is not a lock"
    assert snapshot.offers == ()


def test_a_lock_that_may_not_be_read_and_then_may(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.note("run.started")
    (run.root / LOCK).parent.mkdir()
    (run.root / LOCK).symlink_to("lock")  # a loop, which not even root can read
    snapshot = watch.look()
    assert snapshot.state is State.UNKNOWN
    assert snapshot.error is not None
    assert "whether a runner lives cannot be told, .gatewatch/lock: " in snapshot.error
    (run.root / LOCK).unlink()
    run.lock(replace(self_ref(), boot_id="before"))
    assert watch.look().state is State.DEAD


def test_a_journal_that_may_not_be_read_is_not_an_empty_one(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.note("run.started")
    run.note("run.halted", why="halt", detail="missing key")
    assert watch.look().state is State.HALTED
    kept = (run.root / JOURNAL).read_bytes()
    (run.root / JOURNAL).unlink()
    (run.root / JOURNAL).symlink_to(JOURNAL)
    for who in (watch, Watch.of(run)):
        snapshot = who.look()
        assert snapshot.state is State.UNKNOWN
        assert snapshot.error is not None
        assert snapshot.error.startswith("how it ended cannot be told, events.jsonl: ")
        assert snapshot.offers == ()
    assert len(watch.look().body.journal.events) == 2, "what was known stands"
    complete(run)
    assert Watch.of(run).look().state is State.ENDED
    (run.root / JOURNAL).unlink()
    run.write(JOURNAL, kept)
    assert watch.look().body.unread == {}


def test_what_goes_away_is_forgotten(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.note("run.halted", why="halt", detail="missing key")
    run.words("the last words")
    run.lock(replace(self_ref(), boot_id="before"))
    body = watch.look().body
    assert (len(body.journal.events), body.words, body.holder is None) == (1, "the last words", False)
    for name in (JOURNAL, LAST_WORDS, LOCK):
        (run.root / name).unlink()
    body = watch.look(1).body
    assert (body.journal.events, body.written, body.words, body.holder) == ((), b"", "", None)


@pytest.mark.parametrize(
    ("whole", "state"), [(True, State.ENDED), (False, State.UNKNOWN)], ids=["complete", "incomplete"]
)
def test_an_old_run_without_journal_and_lock(run: RunFolder, whole: bool, state: State) -> None:
    run.write("plan.json", {"model": "m", "stages": ["a", "b"], "repeats": 2, "calibration_git_sha": "f" * 40})
    complete(run)
    for path in run.root.glob("*/run*.json"):
        path.write_bytes(path.read_bytes().replace(b"ffea71b6ef7ee164858d25b7edad4592a4091752", b"f" * 40))
    if not whole:
        (run.root / "b" / "run2.json").unlink()
    from_checkout = parse_manifest({stage: stage_data() for stage in ("a", "b")})
    snapshot = Watch.of(run, manifest=from_checkout).look()
    assert snapshot.state is state
    assert snapshot.body.run is not None
    assert snapshot.body.run.manifest_from == "checkout"
    assert snapshot.progress == Progress(4 if whole else 3, 4)
    assert snapshot.offers == ()
    if not whole:
        assert snapshot.error is not None
        assert re.fullmatch(
            r"no pytest of this run lives on \S+, and nothing was written for \d+ s: between two, or at its end",
            snapshot.error,
        )


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (None, "there is no plan.json"),
        (b"{", "plan.json cannot be used: plan.json:1:2: expecting property name enclosed in double quotes"),
        (b"[]", "plan.json cannot be used: expected a JSON object, got a list"),
        (b'{"model": "m"}', "plan.json cannot be used: stages: expected a list of stage names"),
        (
            b'{"model": "m", "stages": ["a"], "repeats": 0}',
            "plan.json cannot be used: repeats: expected 1 to 1000, got 0",
        ),
    ],
)
def test_without_a_usable_plan(run: RunFolder, watch: Watch, plan: bytes | None, why: str) -> None:
    run.cell("a", 1)
    if plan is not None:
        run.write("plan.json", plan)
    snapshot = watch.look()
    assert (snapshot.state, snapshot.error) == (State.UNKNOWN, why)
    assert snapshot.verdicts[0].decision is not Decision.PASS


def test_blind_keeps_the_last_values(run: RunFolder, watch: Watch) -> None:
    run.plan()
    complete(run)
    run.note("run.ended")
    good = watch.look()
    away = run.root.rename(run.root.with_name("away"))
    watch.now += 300
    blind = watch.look(1)
    assert blind == replace(good, state=State.BLIND, error=blind.error)
    assert blind.error is not None
    assert "not there" in blind.error
    assert blind.seen.age(Now(watch.now)) == 300
    away.rename(run.root)
    watch.cursor = None
    watch.now += 60
    again = watch.look(1)
    assert again == replace(good, seen=again.seen)
    assert again.seen.age(Now(watch.now)) == 0


def test_blind_from_the_start(tmp_path: Path) -> None:
    monitor = CalibrationMonitor(str(tmp_path / "nowhere"))
    seen = Observer().observe(monitor.wants(None), None, "box")
    snapshot = monitor.fold(None, seen, Now(1.0))
    assert (snapshot.state, snapshot.seen.age(Now(1.0)), snapshot.progress) == (State.BLIND, None, Progress(None, None))
    assert snapshot.verdicts == ()
    nothing = monitor.fold(None, Observation("box", 1.0, 1.0, 0.0), Now(1.0))
    assert (nothing.state, nothing.error) == (State.BLIND, "nothing was seen of the run directory")
    other = monitor.fold(None, replace(seen, errors={"trees": "no answer in time"}), Now(1.0))
    assert other.error == "no answer in time"


def test_a_cell_that_cannot_be_read_is_broken_and_not_forged(run: RunFolder, watch: Watch) -> None:
    """The sum of what was not read proves nothing."""
    run.plan()
    complete(run)
    digest = watch.look().body.sums["a/run1.json"]
    run.note("cell.recorded", stage="a", run=1, sha256=digest)
    assert watch.look(1).verdicts[0].decision is Decision.PASS
    (run.root / "a" / "run1.json").unlink()
    (run.root / "a" / "run1.json").symlink_to("run1.json")
    snapshot = watch.look(1)
    assert snapshot.body.audit is not None
    assert snapshot.body.audit.findings == ()
    assert snapshot.body.audit.stages[0].cells[0].mark.value == "✗"
    run.cell("a", 1, reason="changed by hand")
    (finding,) = watch.look(1).body.audit.findings  # type: ignore[union-attr]  # a folded body has one
    assert finding.startswith("a/run1.json: changed since it was recorded")


def test_what_could_not_be_read_and_went_away_is_gone(run: RunFolder, watch: Watch) -> None:
    run.plan()
    (run.root / "a").mkdir()
    (run.root / "a" / "run1.json").symlink_to("run1.json")
    assert "a/run1.json" in watch.look().body.documents
    shutil.rmtree(run.root / "a")
    assert "a/run1.json" not in watch.look(1).body.documents


def test_the_eta_counts_units_and_not_stages(run: RunFolder, watch: Watch, start: Start) -> None:
    units = [
        {"key": "u1", "test": "tests/test_a.py", "stages": ["a", "b"]},
        {"key": "u2", "test": "tests/test_c.py", "stages": ["c", "d"]},
    ]
    run.plan(("a", "b", "c", "d"), repeats=3, units=units)
    run.lock(start(run.run_id)[1])
    run.note("run.started")
    for stage in ("a", "b"):
        run.cell(stage, 1, duration_s=100.0)
        run.cell(stage, 2, duration_s=200.0)
    eta = watch.look().eta
    assert eta is not None
    assert eta.at == watch.now + 150.0 + 3 * 150.0, "one repeat of u1 is left, and three of u2 by the mean of all"
    assert eta.basis == "mean of this run's own repeats; 1 units not seen yet"


@pytest.mark.parametrize(("ran", "left"), [(0.0, 150.0), (60.0, 90.0), (1000.0, 0.0)])
def test_what_runs_already_is_not_waited_for_again(
    run: RunFolder, watch: Watch, start: Start, ran: float, left: float
) -> None:
    run.plan(("a", "b"), repeats=3, units=[{"key": "u1", "test": "tests/test_a.py", "stages": ["a", "b"]}])
    run.lock(start(run.run_id)[1])
    run.note("run.started")
    for stage in ("a", "b"):
        run.cell(stage, 1, duration_s=100.0)
        run.cell(stage, 2, duration_s=200.0)
    run.note("attempt.started", unit="u1", run=3, log="_pytest/u1/run3.log", stages=["a", "b"])
    start(run.run_id)
    since = watch.look().body.supervision.since
    assert since is not None
    watch.now = since + ran
    eta = watch.look().eta
    assert eta is not None
    assert eta.at == watch.now + left


def test_how_surely_a_folder_is_ours() -> None:
    monitor = CalibrationMonitor("/r")
    assert monitor.sniff(frozenset({"events.jsonl"})) == 0
    assert monitor.sniff(frozenset({"plan.json"})) == 50
    assert monitor.sniff(frozenset({"plan.json", "_pytest"})) == 90
    assert monitor.sniff(frozenset({"plan.json", "a/run1.json"})) == 90


def test_what_it_wants(run: RunFolder, watch: Watch) -> None:
    want = watch.monitor.wants(None)
    assert [tree.root for tree in want.trees] == [str(run.root)] * 2
    assert [tree.limit for tree in want.trees if "_pytest/*/run*.log" in tree.globs] == [0], "no log is ever loaded"
    assert (want.procs.refs, want.procs.marks, want.procs.pytests) == ((), (), True)
    run.plan()
    run.lock(self_ref())
    want = watch.monitor.wants(watch.look(1))
    assert want.procs.refs == (self_ref(),)
    assert want.procs.marks == (f"{RUN_MARK}={run.run_id}",)


STAGES = st.sampled_from(["a", "b", "stray"])
RUNS = st.integers(1, 3)


def _loop(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def _drop(path: Path) -> None:
    path.unlink(missing_ok=True)


def _cut(path: Path, size: int) -> None:
    if path.is_symlink() or not path.exists():
        return
    path.write_bytes(path.read_bytes()[:size])


def _aged(path: Path, ago: int) -> None:
    if path.is_file():
        os.utime(path, (AT - ago, AT - ago))


def _note(run: RunFolder, kind: str, data: dict[str, Any]) -> None:
    if not (run.root / JOURNAL).is_symlink():
        run.note(kind, **data)


Change = Callable[[RunFolder], object]
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(lambda stage, repeat: lambda run: run.cell(stage, repeat), STAGES, RUNS),
    st.builds(
        lambda stage, repeat, ok: lambda run: run.cell(stage, repeat, sample_counts={"total": 50, "ok": ok}),
        STAGES,
        RUNS,
        st.integers(0, 50),
    ),
    st.builds(
        lambda stage, repeat, data: lambda run: run.write(f"{stage}/run{repeat}.json", data),
        STAGES,
        RUNS,
        st.sampled_from([b"", b"{", b"null", b"[]", b'{"status": "failed"}']),
    ),
    st.builds(lambda stage, repeat: lambda run: _drop(run.root / stage / f"run{repeat}.json"), STAGES, RUNS),
    st.builds(lambda stage, repeat: lambda run: _loop(run.root / stage / f"run{repeat}.json"), STAGES, RUNS),
    st.builds(lambda stage: lambda run: shutil.rmtree(run.root / stage, ignore_errors=True), STAGES),
    st.builds(
        lambda kind, stage, repeat: (
            lambda run: _note(
                run,
                kind,
                {"stage": stage, "run": repeat, "why": "discard", "reason": "x", "sha256": "0" * 64, "unit": "u"},
            )
        ),
        st.sampled_from(
            ["run.started", "run.halted", "run.ended", "cell.recorded", "cell.discarded", "attempt.started"]
        ),
        STAGES,
        RUNS,
    ),
    st.builds(
        lambda stage, repeat, ago: lambda run: _aged(run.root / stage / f"run{repeat}.json", ago),
        STAGES,
        RUNS,
        st.sampled_from([-5, 60, 599, 601, 9000]),
    ),
    st.builds(lambda size: lambda run: _cut(run.root / JOURNAL, size), st.integers(0, 600)),
    st.sampled_from(
        [
            lambda run: _drop(run.root / JOURNAL),
            lambda run: _loop(run.root / JOURNAL),
            lambda run: run.lock(replace(self_ref(), boot_id="before")),
            lambda run: run.lock(replace(self_ref(), boot_id="x", host="far")),
            lambda run: run.write(LOCK, b"garbage"),
            lambda run: _drop(run.root / LOCK),
            lambda run: run.words("the end"),
            lambda run: _drop(run.root / LAST_WORDS),
            lambda run: run.plan(),
            lambda run: run.plan(repeats=3),
            lambda run: run.plan(("b",)),
            lambda run: _drop(run.root / "plan.json"),
            lambda run: _drop(run.root / "stages.yaml"),
            lambda run: run.write("stages.yaml", b"{"),
            lambda run: run.write("environment-fingerprint.json", {"python": "3.11"}),
        ]
    ),
)


@settings(deadline=None, suppress_health_check=SLOW, max_examples=60)
@given(steps=st.lists(st.lists(CHANGES, max_size=3), min_size=1, max_size=6))
def test_look_by_look_equals_one_look(steps: list[list[Change]]) -> None:
    """A fold of differences gives what a fold of everything gives, whatever happens to the files in between."""
    with TemporaryDirectory() as folder:
        run = RunFolder.make(Path(folder))
        run.plan()
        watch = Watch.of(run)
        watch.look()
        for changes in steps:
            for change in changes:
                change(run)
            step = watch.look(1)
            # The processes that a look asks for are those that the look before has named.
            step = watch.monitor.fold(step, watch.observe(), Now(watch.now))
            watch.last = step
            fresh = Watch.of(run).look()
            kept = {JOURNAL, LOCK} & set(step.body.unread)
            if kept:  # what could be read before still stands there; a first look has nothing to keep
                continue
            assert step == fresh
            assert step.body.audit == fresh.body.audit
            assert [verdict.digest() for verdict in step.verdicts] == [verdict.digest() for verdict in fresh.verdicts]


def test_a_file_that_went_takes_its_time_with_it(run: RunFolder, watch: Watch) -> None:
    """Whoever looks for the first time and whoever has looked all along say the same, and offer the same."""
    run.plan()
    run.lock(replace(self_ref(), boot_id="before"))
    for path in run.root.rglob("*"):
        os.utime(path, (AT - 9000, AT - 9000))
    run.cell("a", 1)
    os.utime(run.root / "a" / "run1.json", (AT - 5, AT - 5))
    assert watch.look().body.last_write == AT - 5
    (run.root / "a" / "run1.json").unlink()
    step, fresh = watch.look(), Watch.of(run).look()
    assert step.body.last_write == fresh.body.last_write == AT - 9000
    assert step == fresh
    assert step.offers == fresh.offers != ()


def test_nothing_of_the_old_look_survives_a_full_one(run: RunFolder, watch: Watch) -> None:
    run.plan()
    complete(run)
    run.words("old")
    watch.look()
    watch.cursor = None
    (run.root / "a" / "run1.json").unlink()
    (run.root / LAST_WORDS).unlink()
    snapshot = watch.look(1)
    assert "a/run1.json" not in snapshot.body.documents
    assert snapshot.body.words == ""
    assert snapshot.progress == Progress(3, 4)


def test_a_fold_changes_nothing_that_was_given_out(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.cell("a", 1)
    first = watch.look()
    documents, sums = dict(first.body.documents), dict(first.body.sums)
    run.cell("a", 1, status="failed")
    run.cell("a", 2)
    (run.root / "stages.yaml").unlink()
    second = watch.look(1)
    assert (dict(first.body.documents), dict(first.body.sums)) == (documents, sums)
    assert second.body.documents != first.body.documents
    with pytest.raises(TypeError):
        first.body.documents["x"] = None  # type: ignore[index]  # that is the point
