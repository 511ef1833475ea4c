from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.schema import (
    Locator,
    SchemaError,
    needs_config,
    parse_manifest,
    same_measure,
    unstrictable,
)
from gates.documents import Json
from tests.gates.calibration.samples import docs_data, manifest_of, metric_data, stage_data, stage_of

pytestmark = pytest.mark.travels

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def test_a_stage_is_read_whole() -> None:
    data = stage_data(
        gpus=2,
        variant="stream",
        calibration_preset="higgs",
        extra_env={"B": "2", "A": 1},
        hf_model_ids=["org/model"],
        threshold_file="tests/tts_ci_config.py",
        observation_validity="t0/results.json::summary.valid",
        allowed_pytest_failure="summary.allowed",
        something_new={"ignored": True},
    )
    stage = stage_of(manifest_of(mmmu_accuracy=data), "mmmu_accuracy")
    assert stage.extra_env == (("A", "1"), ("B", "2"))
    assert (stage.gpus, stage.variant, stage.calibration_preset, stage.expected_samples) == (2, "stream", "higgs", 50)
    assert stage.observation_validity == Locator("t0/results.json", "summary.valid")
    assert stage.allowed_pytest_failure == Locator("t0/results.json", "summary.allowed")
    assert [metric.key for metric in stage.metrics] == ["accuracy"]
    assert stage.metrics[0].locator == Locator("t0/results.json", "summary.accuracy")
    assert stage.metrics[0].worst == "min"
    assert not stage.is_docs


def test_a_docs_stage_has_no_metrics() -> None:
    stage = stage_of(manifest_of(readme_docs=docs_data()), "readme_docs")
    assert stage.is_docs
    assert unstrictable(stage) is None
    assert tuple(stage.locators()) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test": None}, "test: expected text, got nothing"),
        ({"test": "/etc/passwd"}, "test: expected a relative path without '..'"),
        ({"test": "-p"}, "test: expected a relative path"),
        ({"group": 5}, "group: expected text, got 5"),
        ({"gpus": True}, "gpus: expected a whole number of at least 0, got True"),
        ({"gpus": -1}, "gpus: expected a whole number of at least 0, got -1"),
        ({"expected_samples": 0}, "expected_samples: expected a whole number of at least 1, got 0"),
        ({"expected_samples": "50"}, "expected_samples: expected a whole number of at least 1, got '50'"),
        ({"context_vars": [1]}, "context_vars[0]: expected text, got 1"),
        ({"context_vars": {}}, "context_vars: expected a list of texts, got a mapping"),
        ({"extra_env": []}, "extra_env: expected a mapping of environment variables, got a list"),
        ({"extra_env": {"A": True}}, "extra_env.A: expected text (quote it), got True"),
        ({"extra_env": {"A=B": "1"}}, "extra_env.A=B: not a name of an environment variable"),
        ({"metrics": []}, "metrics: expected a mapping of metrics, got a list"),
        ({"metrics": {"a/b": {}}}, "metrics.a/b: a metric's name contains '/'"),
        ({"metrics": {"rtf": {**metric_data(), "worst": "avg"}}}, "metrics.rtf.worst: expected min or max, got 'avg'"),
        ({"metrics": {"rtf": {**metric_data(), "source": None}}}, "metrics.rtf.source: expected text, got nothing"),
        (
            {"metrics": {"rtf": {**metric_data(), "json_file": "../x.json"}}},
            "metrics.rtf.json_file: expected a relative path",
        ),
        (
            {"metrics": {"rtf": {**metric_data(), "json_file": "/x.json"}}},
            "metrics.rtf.json_file: expected a relative path",
        ),
        ({"metrics": {"rtf": {**metric_data(), "status": "MAYBE"}}}, "metrics.rtf.status: expected OK or NEEDS_CONFIG"),
        ({"metrics": {"rtf": {**metric_data(), "display": {"scale": 0}}}}, "display.scale: expected a number above 0"),
        ({"metrics": {"rtf": {**metric_data(), "display": {"scale": math.inf}}}}, "display.scale: expected a number"),
        (
            {"metrics": {"rtf": {**metric_data(), "display": {"digits": 1.5}}}},
            "display.digits: expected a whole number",
        ),
        ({"observation_validity": {"json_file": "a.json"}}, "observation_validity: expected json_file and json_path"),
    ],
)
def test_an_error_names_its_key_path(change: dict[str, Json], said: str) -> None:
    body = {**stage_data(), **change}
    with pytest.raises(SchemaError) as caught:
        manifest_of(mmmu_speed=body)
    message = str(caught.value)
    assert message.startswith("stages.yaml: mmmu_speed.")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "name", ["", "..", ".", ".hidden", "a/b", "a\nb", "a\x00b", "\x1b[2J", "_pytest", "_discarded", "\ud800", "x" * 300]
)
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(SchemaError, match="a stage's name") as caught:
        parse_manifest({name: stage_data()})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("document", [None, [], "x", 5, {}, {"a": None}])
def test_what_is_no_manifest_is_an_error(document: Json) -> None:
    with pytest.raises(SchemaError, match=r"^config/stages.yaml: "):
        parse_manifest(document, "config/stages.yaml")


@given(JSON, JSON)
def test_whatever_it_holds_it_is_read_or_refused(document: Json, inside: Json) -> None:
    stage: Json = {**stage_data(), "metrics": inside, "sample_counts": document}
    candidates: list[Json] = [document, {"stage": inside}, {"stage": stage}]
    for candidate in candidates:
        said = ""
        try:
            assert parse_manifest(candidate).keys
        except SchemaError as error:
            said = str(error)
        assert "\n" not in said


def test_metrics_without_a_path_need_configuration() -> None:
    unset = {**metric_data(), "json_file": None, "json_path": None, "status": "NEEDS_CONFIG"}
    manifest = manifest_of(
        a=stage_data(metrics=[]) | {"metrics": {"rtf": unset, "qps": metric_data()}},
        b=stage_data() | {"metrics": {"rtf": {**metric_data(), "status": "NEEDS_CONFIG"}}},
        c=stage_data(),
    )
    assert needs_config(manifest, ["c", "b", "a"]) == [("a", "rtf"), ("b", "rtf")]
    assert needs_config(manifest, ["c"]) == []


@pytest.mark.parametrize(
    "counts", [None, {"total": None, "ok": None}, {"total": {"json_file": "a.json", "json_path": None}}]
)
def test_without_counts_no_repeat_can_be_strict(counts: Json) -> None:
    stage = stage_of(manifest_of(mmmu_speed=stage_data() | {"sample_counts": counts}), "mmmu_speed")
    assert stage.sample_counts is None
    assert "mmmu_speed" in (unstrictable(stage) or "")


def test_the_same_measure_may_be_found_and_shown_elsewhere() -> None:
    before = manifest_of(a=stage_data(), b=stage_data())
    moved = stage_data(expected_samples=20, title="Other", gpus=4)
    moved["metrics"] = {
        "accuracy": {**metric_data(path="other.path"), "display": {"label": "x", "scale": 1, "digits": 0}}
    }
    assert same_measure(before, manifest_of(a=moved, b=stage_data()), ["a", "b"]) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (stage_data(test="tests/test_other.py"), "a.test"),
        (stage_data(extra_env={"A": "1"}), "a.extra_env"),
        (stage_data(metrics=["accuracy", "rtf"]), "a.metrics"),
        (stage_data() | {"metrics": {"accuracy": metric_data(source="B_MIN")}}, "a.metrics.accuracy.source"),
        (stage_data() | {"metrics": {"accuracy": metric_data(worst="max")}}, "a.metrics.accuracy.worst"),
    ],
)
def test_another_measure_is_told(other: dict[str, Json], said: str) -> None:
    before, after = manifest_of(a=stage_data()), manifest_of(a=other)
    differences = same_measure(before, after, ["a"])
    assert len(differences) == 1
    assert differences[0].startswith(said)
    assert len(same_measure(after, before, ["a"])) == 1


def test_a_stage_that_one_manifest_lacks_is_told() -> None:
    one, other = manifest_of(a=stage_data()), manifest_of(b=stage_data())
    assert same_measure(one, other, ["a"]) == ["a: only in the first manifest"]
    assert same_measure(one, other, ["b"]) == ["b: only in the second manifest"]
