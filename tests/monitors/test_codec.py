from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.calibration.schema import Manifest, parse_manifest
from gates.documents import Json
from gates.verdict import Decision, Evidence, Offer, Verdict
from hosts.local import strictjson
from hosts.local.procs import self_ref
from hosts.local.wire import WireError
from monitors.calibration import LOCK, Calibration, CalibrationMonitor
from monitors.codec import from_json, manifest_json, to_json
from monitors.snapshot import Active, Eta, Now, Progress, Seen, Snapshot, State
from tests.monitors.conftest import Start
from tests.monitors.runs import RunFolder, Watch, stage_data

pytestmark = pytest.mark.travels

SLOW = [HealthCheck.too_slow]  # a loaded machine is not a wrong answer

REFERENCE: Json = {"gpu_model": "H20", "pins": {"torch": "2.5"}}


def again(snapshot: Snapshot[Calibration]) -> Snapshot[Calibration]:
    """There and back, through the bytes that would be kept."""
    return from_json(strictjson.loads(strictjson.dumps(to_json(snapshot))))


def assert_same(snapshot: Snapshot[Calibration]) -> None:
    back = again(snapshot)
    assert back == snapshot
    assert [verdict.digest() for verdict in back.verdicts] == [verdict.digest() for verdict in snapshot.verdicts]
    assert [offer.id for offer in back.offers] == [offer.id for offer in snapshot.offers]
    assert to_json(back) == to_json(snapshot)


def test_a_run_at_work(run: RunFolder, watch: Watch, start: Start) -> None:
    run.plan()
    run.lock(start(run.run_id)[1])
    start(run.run_id)
    run.note("run.started")
    run.note("attempt.started", unit="test_a", run=2, log="x.log", stages=["a", "b"])
    run.cell("a", 1)
    run.cell("b", 1, sample_counts={"total": 50, "ok": 49})
    run.write("b/run2.json", b"{")
    snapshot = watch.look()
    assert snapshot.state is State.RUNNING
    assert snapshot.eta is not None
    assert snapshot.active
    assert len(snapshot.body.processes) == 2
    assert_same(snapshot)


def test_a_dead_run_with_its_offer(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.note("run.started")
    run.words("cannot write events.jsonl: no space left on device")
    run.lock(replace(self_ref(), boot_id="before"))
    snapshot = watch.look()
    assert snapshot.offers
    assert snapshot.body.words
    assert_same(snapshot)


def test_what_judged_comes_along(run: RunFolder) -> None:
    """Without the checkout's manifest and the profile's reference another verdict would come out."""
    run.write("plan.json", {"model": "m", "stages": ["a"], "repeats": 1, "calibration_git_sha": "f" * 40})
    run.cell("a", 1, git_sha="f" * 40)
    run.write("environment-fingerprint.json", {"gpu_model": "A100", "python": "3.11", "pins": {}})
    manifest = parse_manifest({"a": stage_data(), "unused": stage_data()})
    snapshot = Watch.of(run, manifest=manifest, reference=REFERENCE).look()
    assert snapshot.body.audit is not None
    assert snapshot.body.audit.strict.decision is Decision.PASS
    assert snapshot.body.audit.environment.decision is Decision.FAIL
    assert_same(snapshot)
    assert again(snapshot).body.manifest == manifest


def test_blind_unread_and_empty(run: RunFolder, watch: Watch, tmp_path: Path) -> None:
    nothing = CalibrationMonitor(str(tmp_path / "no"), None, REFERENCE)
    blind = nothing.fold(None, Watch(nothing).observe(), Now(1.0))
    assert blind.body.run is None
    assert_same(blind)
    run.plan()
    run.write(LOCK, b"garbage")
    assert watch.look().body.unread
    assert_same(watch.look())


def test_text_that_is_none(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.note("run.started", text="\u2028 é \ud800 \x1b[2J")
    with (run.root / "events.jsonl").open("ab") as file:
        file.write(b"\xff\xfe torn \xed\xa0\x80")
    run.words("ü\x1b[31m")
    run.write("a/run1.json", {"status": "ok", "reason": "\ud800", "x": [1, 1.5, None, {"": []}], "big": 10**300})
    snapshot = watch.look()
    assert snapshot.body.journal.torn is True
    assert_same(snapshot)


def test_the_next_look_goes_on_from_what_was_kept(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.note("run.started")
    run.cell("a", 1)
    watch.last = again(watch.look())
    run.cell("a", 2)
    run.note("run.ended")
    assert watch.look(1) == Watch.of(run).look()


def test_a_verdict_cannot_be_kept_against_the_evidence(run: RunFolder, watch: Watch) -> None:
    """What was kept of a run's audit is the evidence; who reads it judges it himself."""
    run.plan(repeats=1)
    run.cell("a", 1)
    data: Any = to_json(watch.look())
    assert "audit" not in data["body"]
    data["body"]["documents"]["b/run1.json"] = copy.deepcopy(data["body"]["documents"]["a/run1.json"])
    audit = from_json(data).body.audit
    assert audit is not None
    assert audit.strict_complete is True


TEXT = st.text(max_size=8)
SCALAR = st.none() | TEXT | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
EVIDENCE = st.builds(
    Evidence, what=TEXT, file=st.none() | TEXT, line=st.none() | st.integers(1, 9), value=SCALAR, limit=SCALAR
)
LEAF = st.builds(
    Verdict,
    gate=TEXT,
    decision=st.sampled_from(Decision),
    outcome=TEXT,
    failure=st.none() | TEXT,
    detail=TEXT,
    evidence=st.lists(EVIDENCE, max_size=2).map(tuple),
    missing=st.lists(TEXT, max_size=2).map(tuple),
    action=st.none() | TEXT,
)
VERDICTS = st.builds(lambda one, parts: replace(one, parts=tuple(parts)), LEAF, st.lists(LEAF, max_size=2))
SECONDS = st.none() | st.floats(0, 1e10, allow_nan=False)
COUNT = st.none() | st.integers(0, 10**6)
OFFERS = st.builds(
    Offer,
    run=TEXT,
    action=TEXT,
    verdict=TEXT,
    change=TEXT,
    host=TEXT,
    danger=st.booleans(),
    expires=SECONDS,
    default=TEXT,
)
SNAPSHOTS: st.SearchStrategy[Snapshot[Calibration]] = st.builds(
    Snapshot,
    watch=TEXT,
    state=st.sampled_from(State),
    seen=st.builds(Seen, at=SECONDS, received=SECONDS),
    progress=st.builds(Progress, done=COUNT, total=COUNT),
    eta=st.none() | st.builds(Eta, at=SECONDS, basis=TEXT),
    active=st.lists(st.builds(Active, name=TEXT, log=st.none() | TEXT, since=SECONDS, note=TEXT), max_size=2).map(
        tuple
    ),
    verdicts=st.lists(VERDICTS, max_size=2).map(tuple),
    offers=st.lists(OFFERS, max_size=2).map(tuple),
    error=st.none() | TEXT,
    body=st.just(Calibration()),
)


@settings(deadline=None, suppress_health_check=SLOW, max_examples=80)
@given(SNAPSHOTS)
def test_every_envelope_comes_back(snapshot: Snapshot[Calibration]) -> None:
    assert_same(snapshot)


CELLS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=SLOW, max_examples=40)
@given(cells=st.lists(CELLS, max_size=4), journal=st.binary(max_size=60), words=st.text(max_size=10))
def test_every_body_comes_back(cells: list[Any], journal: bytes, words: str) -> None:
    with TemporaryDirectory() as folder:
        run = RunFolder.make(Path(folder))
        run.plan(repeats=4)
        for number, cell in enumerate(cells, 1):
            run.write(f"a/run{number}.json", cell)
        run.note("run.started")
        with (run.root / "events.jsonl").open("ab") as file:
            file.write(journal)
        run.words(words)
        assert_same(Watch.of(run).look())


def test_values_that_are_no_numbers_are_only_shown() -> None:
    verdict = Verdict("g", Decision.UNKNOWN, "x", evidence=(Evidence("loss", value=math.nan, limit=math.inf),))
    empty = Snapshot(
        "w", State.BLIND, Seen(None, None), Progress(None, None), None, (), (verdict,), (), None, Calibration()
    )
    (kept,) = again(empty).verdicts
    assert kept.evidence == (Evidence("loss", value="nan", limit="inf"),)
    assert kept.digest() == verdict.digest()


FULL: dict[str, Any] = {
    "test": "tests/test_a.py",
    "title": "A",
    "group": "wer",
    "extra_env": {"B": "2", "A": "1"},
    "context_vars": ["CONCURRENCY"],
    "variant": "stream",
    "calibration_preset": "higgs",
    "gpus": 0,
    "hf_model_ids": ["x/y"],
    "test_file_sha256": "0" * 64,
    "last_discovered_at": "2026-05-22T16:52:36Z",
    "expected_samples": 50,
    "threshold_file": "tests/thresholds.py",
    "threshold_file_sha256": "1" * 64,
    "observation_validity": "r.json::valid",
    "allowed_pytest_failure": {"json_file": "r.json", "json_path": "allowed"},
    "sample_counts": {key: {"json_file": "r.json", "json_path": key} for key in ("total", "ok")},
    "metrics": {
        "wer": {
            "source": "WER_MAX['a']",
            "json_file": "r.json",
            "json_path": "wer",
            "worst": "max",
            "display": {"label": "WER (%)", "scale": 100, "digits": 2},
            "status": "OK",
        },
        "rtf": {"source": "RTF_MAX", "worst": "max", "status": "NEEDS_CONFIG"},
    },
}


@pytest.mark.parametrize(
    "stages",
    [
        {"full": FULL},
        {"small": {"test": "t.py", "group": "speed", "metrics": {"a": {"source": "A", "worst": "min"}}}},
        {"docs": {"test": "t.py"}},
        {"half": {**FULL, "sample_counts": {"total": FULL["sample_counts"]["total"]}}},
        {"b": FULL, "a": {"test": "t.py"}},
    ],
)
def test_a_manifest_comes_back(stages: dict[str, Any]) -> None:
    manifest: Manifest = parse_manifest(stages)
    back = parse_manifest(strictjson.loads(strictjson.dumps(manifest_json(manifest))))
    assert back == manifest
    assert back.keys == manifest.keys


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_set("v", to=1), "snapshot: expected a calibration's of version 3"),
        (_set("system", to="nightly"), "snapshot: expected a calibration's of version 3"),
        (_set("state", to="fine"), "state: not a state"),
        (_set("state", to=None), "state: not a state"),
        (_set("state", to=[]), "state: not a state"),
        (_set("watch", to=3), "watch: expected text"),
        (_set("seen", to=None), "seen: expected an object"),
        (_set("progress", "done", to=1.5), "done: expected int"),
        (_set("active", to={}), "active: expected an array"),
        (_set("offers", to=[{}]), "offers: run is missing"),
        (_set("verdicts", to=[[]]), "verdict: expected an object"),
        (_set("verdicts", 0, "decision", to="maybe"), "decision: not one that is known here"),
        (_set("verdicts", 0, "decision", to={}), "decision: not one that is known here"),
        (_set("verdicts", 0, "missing", to=[1]), "missing: expected text"),
        (_set("verdicts", 1, "evidence", 0, "line", to=True), "line: expected a whole number"),
        (_set("verdicts", 1, "evidence", 0, "value", to=[]), "value: expected text, a number or null"),
        (_set("body", to=None), "body: expected an object"),
        (_set("body", "documents", "plan.json", to={}), "broken: expected text"),
        (_set("body", "documents", "plan.json", to=1), "plan.json: expected an object"),
        (_set("body", "sums", "plan.json", to=None), "sums: expected text"),
        (_set("body", "journal", to=None), "journal: expected text"),
        (_set("body", "holder", to={}), "ref is missing"),
        (_set("body", "manifest", to={"a": {}}), "manifest: "),
        (_set("body", "manifest", to=[]), "manifest: "),
        (_set("body", "processes", to=[1]), "processes: expected an object"),
        (_set("body", "stopped", to=[1]), "stopped: expected an object"),
        (_set("body", "times", to=[]), "times: expected an object"),
        (_set("body", "times", to={"plan.json": "now"}), "times: expected numbers"),
    ],
)
def test_what_is_no_snapshot(run: RunFolder, watch: Watch, change: Callable[[Any], None], why: str) -> None:
    run.plan()
    data: Any = to_json(watch.look())
    change(data)
    with pytest.raises(WireError) as caught:
        from_json(data)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [None, [], "x", 1, {}])
def test_what_is_nothing_like_it(data: Json) -> None:
    with pytest.raises(WireError, match="snapshot: expected"):
        from_json(data)
