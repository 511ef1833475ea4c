from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.records import MAX_REPEATS, RecordError, parse_plan, parse_record
from gates.documents import Json
from tests.gates.calibration.samples import SHA, plan_data, record_data

pytestmark = pytest.mark.travels

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_a_plan_is_read() -> None:
    plan = parse_plan(plan_data(["a", "b", "a"], stages_yaml_sha256="f" * 64, reference={"gpu_model": "H20"}))
    assert plan.stages == ("a", "b")
    assert (plan.model, plan.repeats, plan.calibration_git_sha) == ("qwen3-omni-v1", 5, SHA)
    assert plan.dirty is False
    assert plan.reference == {"gpu_model": "H20"}
    assert plan.raw["tune_version"] == "0.6.0"


def test_the_least_plan() -> None:
    plan = parse_plan({"model": "m", "stages": ["a"], "repeats": 1})
    assert (plan.calibration_git_sha, plan.dirty, plan.stages_yaml_sha256) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": None}, "model: expected text, got nothing"),
        ({"model": ""}, "model: expected text"),
        ({"stages": "ALL"}, "stages: expected a list"),
        ({"stages": []}, "stages: expected a list"),
        ({"stages": ["a", 1]}, "stages[1]: expected text, got 1"),
        ({"stages": ["../a"]}, "stages[0]: a stage's name starts with '.'"),
        ({"repeats": True}, "repeats: expected a whole number, got True"),
        ({"repeats": 5.0}, "repeats: expected a whole number, got 5.0"),
        ({"repeats": "5"}, "repeats: expected a whole number, got '5'"),
        ({"repeats": 0}, f"repeats: expected 1 to {MAX_REPEATS}, got 0"),
        ({"repeats": 10**9}, "repeats: expected 1 to"),
        ({"calibration_git_sha": 5}, "calibration_git_sha: expected text, got 5"),
        ({"dirty": "no"}, "dirty: expected true or false, got 'no'"),
    ],
)
def test_a_plan_that_cannot_be_used_names_the_key(change: dict[str, Json], said: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse_plan({**plan_data(["a"]), **change})
    assert said in str(caught.value)


def test_a_record_is_read() -> None:
    record = parse_record(
        record_data(
            {"n_above_50": 0, "wer": 0.0051, "gone": None}, 50.0, 48, reason="x", gpu_indices=[0, 1], attempt_token="t"
        )
    )
    assert dict(record.metrics) == {"n_above_50": 0, "wer": 0.0051, "gone": None}
    assert isinstance(record.metrics["n_above_50"], int)
    assert (record.total, record.ok, record.gpu_indices) == (50, 48, (0, 1))
    assert (record.status, record.reason, record.attempt_token, record.odd) == ("ok", "x", "t", ())


def test_what_is_only_shown_may_have_any_shape() -> None:
    record = parse_record(
        record_data(
            gpu_indices="0,1",
            attempts="twice",
            duration_s=math.inf,
            attempt_history={},
            recorded_at=5,
            destructive_evidence=[1],
            pytest_rc=True,
        )
    )
    assert (record.gpu_indices, record.attempts, record.duration_s) == ((), None, None)
    assert set(record.odd) == {
        *(
            "gpu_indices",
            "attempts",
            "duration_s",
            "attempt_history",
            "recorded_at",
            "destructive_evidence",
            "pytest_rc",
        ),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": None}, "status: expected text"),
        ({"metrics": []}, "metrics: expected a mapping, got a list"),
        ({"metrics": {"a": "0.5"}}, "metrics.a: expected a finite number or null, got '0.5'"),
        ({"metrics": {"a": True}}, "metrics.a: expected a finite number or null, got True"),
        ({"metrics": {"a": math.inf}}, "metrics.a: expected a finite number or null, got inf"),
        ({"metrics": {"a": -math.inf}}, "metrics.a"),
        ({"metrics": {"a": math.nan}}, "metrics.a"),
        ({"metrics": {"a": 10**400}}, "metrics.a"),
        ({"sample_counts": [50, 50]}, "sample_counts: expected a mapping"),
        ({"sample_counts": {"total": 50.5}}, "sample_counts.total: expected a whole number or null, got 50.5"),
        ({"sample_counts": {"ok": -1}}, "sample_counts.ok: expected a whole number or null, got -1"),
        ({"sample_counts": {"ok": True}}, "sample_counts.ok"),
        ({"sample_counts": {"ok": math.nan}}, "sample_counts.ok"),
        ({"git_sha": 5}, "git_sha: expected text"),
        ({"destructive": "yes"}, "destructive: expected true or false"),
    ],
)
def test_a_record_that_decides_wrongly_names_the_key(change: dict[str, Json], said: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse_record({**record_data(), **change})
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


@given(JSON, st.sampled_from(sorted({*record_data(), *plan_data(["a"]), "destructive", "attempt_history"})), JSON)
def test_whatever_it_holds_it_is_read_or_refused(document: Json, key: str, inside: Json) -> None:
    for candidate in (document, {**record_data(), key: inside}, {**plan_data(["a"]), key: inside}):
        try:
            record = parse_record(candidate)
        except RecordError:
            pass
        else:
            assert all(value is None or math.isfinite(value) for value in record.metrics.values())
        try:
            plan = parse_plan(candidate)
        except RecordError:
            pass
        else:
            assert 1 <= plan.repeats <= MAX_REPEATS


def test_a_record_takes_no_more_room_than_its_fields() -> None:
    assert not hasattr(parse_record(record_data()), "__dict__")
