from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gates.calibration.assemble import assemble
from gates.calibration.audit import Audit, Mark, audit, audit_lines, judge_cell, reaudit
from gates.documents import Broken, Document, Json
from gates.journal import Event, Journal
from gates.verdict import Decision
from tests.gates.calibration.samples import (
    OTHER_SHA,
    SHA,
    docs_data,
    documents_of,
    manifest_of,
    plan_data,
    record_data,
    stage_data,
    stage_of,
)

pytestmark = pytest.mark.travels

MANIFEST = manifest_of(
    mmmu_accuracy=stage_data(),
    mmmu_speed=stage_data(metrics=["throughput_qps", "rtf_mean"], expected_samples=None),
    readme_docs=docs_data(),
)
STAGES = MANIFEST.keys
ACCURACY, SPEED, DOCS = (stage_of(MANIFEST, key) for key in STAGES)


def good(stage: str, **more: Json) -> dict[str, Json]:
    if stage == "readme_docs":
        return record_data({}, None, None, **more)
    return record_data({metric.key: 0.5 for metric in stage_of(MANIFEST, stage).metrics}, **more)


def full(repeats: int = 2) -> dict[str, Document]:
    cells: dict[str, Document] = {f"{key}/run{k}.json": good(key) for key in STAGES for k in range(1, repeats + 1)}
    return documents_of(plan_data(STAGES, repeats), cells)


def judged(documents: dict[str, Document], journal: Journal | None = None) -> Audit:
    return audit(assemble(documents, MANIFEST, journal))


def discard(stage: str, run: int, reason: str = "thermal throttling") -> Journal:
    data = {"stage": stage, "run": run, "why": "discard", "reason": reason}
    return Journal((Event("id", 1, {}, "2026-05-25T02:43:02Z", "cell.discarded", data),))


@pytest.mark.parametrize(
    ("document", "mark", "reason"),
    [
        (None, "—", "not run yet"),
        (Broken("a/run1.json:3:1: cut off"), "✗", "unreadable: a/run1.json:3:1: cut off"),
        ([], "✗", "unreadable: expected a JSON object, got a list"),
        (record_data(status="failed", reason="timeout"), "✗", "status failed: timeout"),
        (record_data({"accuracy": None}), "✗", "accuracy is null"),
        (record_data({}), "✗", "accuracy is missing"),
        (record_data({"accuracy": math.nan}), "✗", "unreadable: metrics.accuracy"),
        (record_data({"accuracy": math.inf}), "✗", "unreadable: metrics.accuracy"),
        (record_data(total=None), "✗", "sample_counts.total is null"),
        (record_data(ok=None), "✗", "sample_counts.ok is null"),
        (record_data(total=16, ok=16), "✗", "16 samples, expected 50"),
        (record_data(observation_valid=False), "✗", "not valid"),
        (record_data(destructive=True), "D", "the artifact says destructive"),
        (record_data(destructive=True, destructive_evidence=["co-tenant"]), "D", "destructive: co-tenant"),
        (record_data(status="failed", destructive=True), "✗", "status failed"),
        (record_data(ok=48), "△", "48 of 50 samples ok"),
        (record_data(ok=48, reason="threshold_assertion (OOM)"), "△", "48 of 50 samples ok"),
        (record_data(ok=51), "△", "51 of 50 samples ok"),
        (record_data(reason="threshold_assertion (exit 1)", pytest_rc=1), "✓", ""),
        (record_data({"accuracy": 1, "other": None}), "✓", ""),
        (record_data(git_sha=None), "✓", ""),
    ],
)
def test_what_a_cell_is_worth(document: Document, mark: str, reason: str) -> None:
    cell = judge_cell(ACCURACY, 1, document)
    assert cell.mark is Mark(mark)
    assert reason in cell.reason
    assert (cell.reason == "") is (cell.mark is Mark.STRICT)


def test_without_expected_samples_ok_has_to_be_total() -> None:
    metrics: dict[str, Json] = {"throughput_qps": 1.0, "rtf_mean": 0.4}
    assert judge_cell(SPEED, 1, record_data(metrics, 7, 7)).mark is Mark.STRICT
    assert judge_cell(SPEED, 1, record_data(metrics, 7, 6)).mark is Mark.PARTIAL
    assert judge_cell(SPEED, 1, record_data(metrics, 0, 0)).mark is Mark.BROKEN


def test_a_docs_stage_has_to_pass_and_nothing_else() -> None:
    assert judge_cell(DOCS, 1, record_data({}, None, None)).mark is Mark.STRICT
    assert judge_cell(DOCS, 1, record_data({}, 3, 2)).mark is Mark.STRICT
    assert judge_cell(DOCS, 1, record_data({}, None, None, status="failed")).mark is Mark.BROKEN


def test_a_discard_by_a_person() -> None:
    assert judge_cell(ACCURACY, 1, record_data(), "thermal").mark is Mark.DISCARDED
    assert judge_cell(ACCURACY, 1, record_data(), "thermal").reason == "discarded: thermal"
    assert judge_cell(ACCURACY, 1, None, "thermal").mark is Mark.ABSENT
    broken = judge_cell(ACCURACY, 1, record_data(status="failed"), "thermal")
    assert broken.mark is Mark.BROKEN
    assert "thermal" in broken.reason


def test_without_a_manifest_a_cell_is_unknown_or_at_fault() -> None:
    assert judge_cell("a", 1, record_data()).mark is Mark.UNKNOWN
    assert judge_cell("a", 1, record_data({})).mark is Mark.UNKNOWN
    assert judge_cell("a", 1, record_data({"x": None})).mark is Mark.BROKEN
    assert judge_cell("a", 1, record_data(ok=3)).mark is Mark.PARTIAL
    assert judge_cell("a", 1, None).mark is Mark.ABSENT


def test_a_whole_old_run_is_ready() -> None:
    result = judged(full())
    assert audit_lines(result) == [
        f"calibration_git_sha: {SHA}",
        "GIT PROVENANCE: ok (all artifacts match calibration commit)",
        "ENVIRONMENT: unknown (no reference; no environment-fingerprint.json)",
        "mmmu_accuracy: ✓✓ (2/2 strict, expected=50)",
        "mmmu_speed: ✓✓ (2/2 strict)",
        "readme_docs: ✓✓ (2/2 strict)",
        "STRICT READY: 3/3 stages (2 repeats each)",
        "STRICT + GIT: READY",
    ]
    assert (result.verdict.decision, result.verdict.outcome) == (Decision.PASS, "READY")
    assert [part.gate for part in result.verdict.parts] == [
        *("calibration.strict", "calibration.provenance", "calibration.environment")
    ]
    assert result.complete
    assert result.strict_complete
    assert result.incomplete == ()


def test_every_mark_in_one_line() -> None:
    cells: dict[str, Document] = {
        "mmmu_accuracy/run1.json": record_data(),
        "mmmu_accuracy/run2.json": record_data(ok=48),
        "mmmu_accuracy/run3.json": Broken("cut off"),
        "mmmu_accuracy/run5.json": record_data(),
        "mmmu_accuracy/run6.json": record_data(destructive=True),
    }
    result = judged(documents_of(plan_data(["mmmu_accuracy"], 6), cells))
    assert audit_lines(result)[3:] == [
        "mmmu_accuracy: ✓△✗—✓D (2/6 strict, expected=50)",
        "STRICT READY: 0/1 stages (6 repeats each)",
        "STRICT + GIT: NOT READY",
    ]
    assert result.incomplete == tuple(("mmmu_accuracy", run) for run in (2, 3, 4, 6))
    assert result.strict.decision is Decision.FAIL
    assert [item.file for item in result.strict.evidence] == [f"mmmu_accuracy/run{k}.json" for k in (2, 3, 6)]
    assert not result.complete


def test_partial_repeats_are_complete_and_not_strict() -> None:
    documents = full()
    documents["mmmu_accuracy/run2.json"] = record_data(ok=48)
    result = judged(documents)
    assert (result.complete, result.strict_complete) == (True, False)


def test_only_what_is_absent_is_not_yet() -> None:
    documents = full()
    del documents["mmmu_speed/run2.json"]
    result = judged(documents)
    assert (result.strict.decision, result.verdict.decision) == (Decision.NOT_YET, Decision.NOT_YET)
    assert result.strict.missing == ("mmmu_speed: 1 of 2 repeats missing",)
    nothing = judged(documents_of(plan_data(STAGES), {}))
    assert nothing.verdict.decision is Decision.NOT_YET
    assert audit_lines(nothing)[1] == "GIT PROVENANCE: not yet (no artifacts)"


def test_spare_repeats_stand_in_for_bad_ones() -> None:
    documents = full()
    documents["mmmu_accuracy/run2.json"] = record_data(destructive=True)
    assert not judged(documents).strict_complete
    documents["mmmu_accuracy/run7.json"] = record_data()
    result = judged(documents)
    assert audit_lines(result)[3] == "mmmu_accuracy: ✓D✓ (2/2 strict, expected=50)"
    assert result.strict.decision is Decision.PASS
    assert result.incomplete == ()


@pytest.mark.parametrize("environment", [False, True])
def test_the_words_for_another_commit(environment: bool) -> None:
    documents = full(4)
    documents["mmmu_accuracy/run1.json"] = good("mmmu_accuracy", git_sha=OTHER_SHA)
    documents["mmmu_speed/run2.json"] = good("mmmu_speed", git_sha=None)
    if environment:
        documents["readme_docs/run1.json"] = good("readme_docs", git_sha="")
    result = judged(documents)
    missing = (
        "2 without git_sha: mmmu_speed/run2.json, readme_docs/run1.json"
        if environment
        else "1 without git_sha: mmmu_speed/run2.json"
    )
    assert audit_lines(result)[1] == (
        f"GIT PROVENANCE: FAIL (1 artifact differs: mmmu_accuracy/run1.json has {OTHER_SHA}; {missing})"
    )
    assert audit_lines(result)[-1] == "STRICT + GIT: NOT READY"
    assert result.strict.decision is Decision.PASS
    assert result.verdict.decision is Decision.FAIL
    assert ("mmmu_accuracy", 1) in result.incomplete
    assert ("mmmu_speed", 2) in result.incomplete


def test_many_foreign_artifacts_are_counted_and_not_all_named() -> None:
    documents = documents_of(
        plan_data(["mmmu_accuracy"], 200),
        {f"mmmu_accuracy/run{k}.json": record_data(git_sha=OTHER_SHA) for k in range(1, 201)},
    )
    result = judged(documents)
    assert "200 artifacts differ: mmmu_accuracy/run1.json has" in audit_lines(result)[1]
    assert len(audit_lines(result)[1]) < 400
    assert len(result.provenance.evidence) == 51
    assert result.provenance.evidence[-1].what == "and 150 more"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (3, "3 artifacts unreadable: mmmu_accuracy/run1.json, mmmu_accuracy/run2.json, mmmu_accuracy/run3.json"),
        (4, "mmmu_accuracy/run3.json, mmmu_accuracy/run4.json"),
        (5, "mmmu_accuracy/run3.json, …"),
    ],
)
def test_nothing_is_hidden_for_the_room_of_one(count: int, said: str) -> None:
    documents = full(6)
    for run in range(1, count + 1):
        documents[f"mmmu_accuracy/run{run}.json"] = Broken("cut off")
    assert judged(documents).provenance.detail.endswith(said)


def test_an_unreadable_artifact_makes_provenance_unknown() -> None:
    documents = full()
    documents["mmmu_accuracy/run1.json"] = Broken("cut off")
    assert judged(documents).provenance.decision is Decision.UNKNOWN
    documents["mmmu_accuracy/run1.json"] = record_data({"accuracy": "x"})
    assert judged(documents).provenance.decision is Decision.PASS
    documents["mmmu_accuracy/run1.json"] = record_data({"accuracy": "x"}, git_sha=OTHER_SHA)
    assert judged(documents).provenance.decision is Decision.FAIL


@pytest.mark.parametrize("sha", [None, "", "unknown"])
def test_a_plan_without_a_commit_proves_nothing(sha: str | None) -> None:
    documents = full()
    documents["plan.json"] = plan_data(STAGES, 2, calibration_git_sha=sha)
    documents["mmmu_accuracy/run1.json"] = record_data(git_sha=sha)
    result = judged(documents)
    assert audit_lines(result)[:2] == [
        "calibration_git_sha: unknown",
        "GIT PROVENANCE: unknown (plan.json has no calibration_git_sha)",
    ]
    assert result.verdict.decision is Decision.UNKNOWN
    assert result.incomplete == ()


def test_a_text_from_outside_cannot_forge_a_line() -> None:
    documents = full()
    documents["mmmu_accuracy/run1.json"] = record_data(git_sha="x)\nSTRICT + GIT: READY")
    documents["mmmu_speed/run1.json"] = record_data(status="failed", reason="\x1b[2J\nSTRICT + GIT: READY")
    documents["environment-fingerprint.json"] = {"gpu_model": "H20\nSTRICT + GIT: READY"}
    documents["plan.json"] = plan_data(STAGES, 2, reference={"gpu_model": "H100"})
    result = judged(documents)
    assert all(line.isprintable() for line in audit_lines(result))
    assert all(item.what.isprintable() for part in result.verdict.parts for item in part.evidence)


def test_another_environment_fails_and_an_unknown_one_is_only_told() -> None:
    documents = full()
    documents["plan.json"] = plan_data(STAGES, 2, reference={"gpu_model": "H20", "pins": {"torch": "2.9.1"}})
    documents["environment-fingerprint.json"] = {"gpu_model": "NVIDIA H20", "pins": {"torch": "2.9.1+cu130"}}
    result = judged(documents)
    assert audit_lines(result)[2] == "ENVIRONMENT: ok"
    assert result.verdict.decision is Decision.PASS
    documents["environment-fingerprint.json"] = {"gpu_model": "NVIDIA H100", "pins": {"torch": "2.9.1"}}
    result = judged(documents)
    assert audit_lines(result)[2] == "ENVIRONMENT: DIFFERS (gpu_model NVIDIA H100, expected H20)"
    assert audit_lines(result)[-1] == "STRICT + GIT: READY"
    assert (result.verdict.decision, result.verdict.failure) == (Decision.FAIL, "environment")
    documents["environment-fingerprint.json"] = Broken("cut off")
    result = judged(documents)
    assert audit_lines(result)[2] == "ENVIRONMENT: unknown (environment-fingerprint.json: cut off)"
    assert result.verdict.decision is Decision.PASS


def test_without_a_plan_values_are_shown_and_nothing_is_decided() -> None:
    documents = full()
    del documents["plan.json"]
    result = judged(documents)
    assert result.verdict.decision is Decision.UNKNOWN
    assert "plan.json" in result.strict.missing
    assert audit_lines(result)[3] == "mmmu_accuracy: ✓✓ (2 strict, expected=50)"
    assert audit_lines(result)[-2:] == ["STRICT READY: unknown (no plan.json)", "STRICT + GIT: NOT READY"]
    assert (result.complete, result.strict_complete) == (False, False)


def test_without_a_manifest_values_are_shown_and_nothing_is_decided() -> None:
    result = audit(assemble(full()))
    assert result.verdict.decision is Decision.UNKNOWN
    assert result.strict.missing == ("a manifest (stages.yaml)",)
    assert audit_lines(result)[3] == "mmmu_accuracy: ?? (0/2 strict)"
    stage = result.get("mmmu_accuracy")
    assert stage is not None
    record = stage.cells[0].record
    assert record is not None
    assert record.metrics["accuracy"] == 0.5


def test_a_contradiction_is_at_best_unknown() -> None:
    recorded = Journal(
        (Event("id", 1, {}, "2026-05-25T02:43:02Z", "cell.recorded", {"stage": "mmmu_speed", "run": 9}),)
    )
    result = judged(full(), recorded)
    assert result.strict.decision is Decision.UNKNOWN
    assert "mmmu_speed/run9.json: recorded at" in result.strict.detail
    documents = full()
    documents["mmmu_accuracy/run1.json"] = record_data(status="failed")
    assert judged(documents, recorded).strict.decision is Decision.FAIL


def test_a_discard_shows_and_is_run_again() -> None:
    result = judged(full(), discard("mmmu_accuracy", 2))
    assert audit_lines(result)[3] == "mmmu_accuracy: ✓D (1/2 strict, expected=50)"
    assert result.incomplete == (("mmmu_accuracy", 2),)


# What a cell may be, at random.
BAD = st.sampled_from([None, math.nan, math.inf, -math.inf, True, "0.5", 10**400])
SHAS = st.sampled_from([SHA, SHA, SHA, OTHER_SHA, None])


@st.composite
def cells(draw: st.DrawFn, stage: str) -> Document:
    kind = draw(st.sampled_from(["good", "good", "good", "partial", "failed", "broken", "null", "destructive", "size"]))
    if kind == "broken":
        return Broken("cut off")
    document = good(stage, git_sha=draw(SHAS))
    if kind == "partial":
        document["sample_counts"] = {"total": 50, "ok": 49}
    elif kind == "failed":
        document["status"] = "failed"
    elif kind == "null":
        document["metrics"] = {}
    elif kind == "destructive":
        document["destructive"] = True
    elif kind == "size":
        document["sample_counts"] = {"total": 16, "ok": 16}
    return document


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Document]:
    repeats = draw(st.integers(1, 3))
    documents: dict[str, Document] = {"plan.json": plan_data(STAGES, repeats)}
    for stage in STAGES:
        for run in range(1, repeats + 3):
            if draw(st.integers(0, 3)):
                documents[f"{stage}/run{run}.json"] = draw(cells(stage))
    return documents


@given(runs(), st.integers())
def test_the_order_of_documents_changes_nothing(documents: dict[str, Document], seed: int) -> None:
    items = list(documents.items())
    Random(seed).shuffle(items)
    one, other = judged(documents), judged(dict(items))
    assert one == other
    assert one.verdict.digest() == other.verdict.digest()
    assert audit_lines(one) == audit_lines(other)


@given(runs(), st.sampled_from(STAGES), st.integers(1, 6), st.data())
def test_a_good_cell_never_makes_a_ready_stage_unready(
    documents: dict[str, Document], stage: str, run: int, data: st.DataObject
) -> None:
    before = judged(documents)
    path = f"{stage}/run{run}.json"
    assume(path not in documents or data.draw(st.booleans()))
    after = judged({**documents, path: good(stage)})
    for one, other in zip(before.stages, after.stages, strict=True):
        assert other.ready or not one.ready
        assert other.strict >= one.strict
    assert after.ready_count >= before.ready_count
    assert set(after.incomplete) <= set(before.incomplete)


@given(st.sampled_from(["mmmu_accuracy", "mmmu_speed"]), BAD, st.data())
def test_a_value_that_is_no_number_is_never_strict(stage: str, bad: Json, data: st.DataObject) -> None:
    document = good(stage)
    metrics = dict(document["metrics"]) if isinstance(document["metrics"], dict) else {}
    places = [("metrics", key) for key in metrics] + [("sample_counts", key) for key in ("total", "ok")]
    table, key = data.draw(st.sampled_from(places))
    inner = document[table]
    assert isinstance(inner, dict)
    document[table] = {**inner, key: bad}
    cell = judge_cell(stage_of(MANIFEST, stage), 1, document)
    assert cell.mark is Mark.BROKEN
    documents = full()
    documents[f"{stage}/run1.json"] = document
    assert judged(documents).verdict.decision is not Decision.PASS


@given(runs(), runs(), st.booleans(), st.none() | st.tuples(st.sampled_from(STAGES), st.integers(1, 3)))
def test_auditing_again_is_auditing(
    before: dict[str, Document], after: dict[str, Document], same_plan: bool, discarded: tuple[str, int] | None
) -> None:
    if same_plan:
        after["plan.json"] = before["plan.json"]
    journal = discard(*discarded) if discarded else None
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    run = assemble(after, MANIFEST, journal)
    again, anew = reaudit(judged(before), run, changed), audit(run)
    assert again == anew
    assert again.verdict.digest() == anew.verdict.digest()
    back = reaudit(again, assemble(before, MANIFEST), changed)
    assert back == judged(before)


def test_one_changed_file_costs_one_cell() -> None:
    before = judged(full(4))
    documents = full(4)
    documents["mmmu_speed/run3.json"] = record_data(status="failed")
    after = reaudit(before, assemble(documents, MANIFEST), ["mmmu_speed/run3.json", "run.log", "_pytest/x/run1.log"])
    kept = [other is one for one, other in zip(before.stages, after.stages, strict=True)]
    assert kept == [True, False, True]
    cells = zip(before.stages[1].cells, after.stages[1].cells, strict=True)
    assert [other is one for one, other in cells] == [True, True, False, True]


@given(runs())
def test_what_a_verdict_says_agrees_with_its_marks(documents: dict[str, Document]) -> None:
    result = judged(documents)
    for stage in result.stages:
        assert stage.strict == sum(cell.mark is Mark.STRICT for cell in stage.cells)
        assert stage.ready is (stage.strict >= (result.repeats or 0))
    assert (result.strict.decision is Decision.PASS) is result.strict_complete
    if result.verdict.decision is Decision.PASS:
        assert result.incomplete == ()
        assert audit_lines(result)[-1] == "STRICT + GIT: READY"
    for part in (result.strict, result.provenance):
        assert (part.decision is Decision.PASS) is (
            part.failure is None and not part.missing and part.outcome in ("READY", "ok")
        )
