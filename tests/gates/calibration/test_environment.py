from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.environment import judge_environment, same_environment, satisfies
from gates.documents import Broken, Document, Json
from gates.verdict import Decision

pytestmark = pytest.mark.travels

FINGERPRINT: dict[str, Json] = {
    "hostname": "h20-a",
    "image": "registry/omni@sha256:0f",
    "gpu_model": "NVIDIA H20",
    "gpu_count": 2,
    "driver": "570.86",
    "cuda": "13.0",
    "python": "3.11.9",
    "pins": {"torch": "2.9.1+cu130", "sglang": "0.5.5", "flashinfer_python": "0.5.2", "none": None},
    "cache_paths": {"HF_HOME": "/cache/hf"},
}
REFERENCE: dict[str, Json] = {
    "gpu_model": "H20",
    "image": "registry/omni@sha256:0f",
    "pins": {"torch": "2.9.1", "flashinfer-python": "==0.5.2"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_the_reference_holds() -> None:
    verdict = judge_environment(FINGERPRINT, REFERENCE)
    assert (verdict.decision, verdict.outcome) == (Decision.PASS, "ok")
    assert [item.what for item in verdict.evidence] == ["gpu_model", "image", "pins.flashinfer-python", "pins.torch"]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"gpu_model": "H200"}, "gpu_model NVIDIA H20, expected H200"),
        ({"image": "registry/omni:latest"}, "image registry/omni@sha256:0f, expected registry/omni:latest"),
        ({"pins": {"torch": "2.9.0"}}, "pins.torch 2.9.1+cu130, expected 2.9.0"),
        ({"pins": {"torch": "2.9.1+cu126"}}, "pins.torch 2.9.1+cu130, expected 2.9.1+cu126"),
        ({"gpu_model": "H100", "pins": {"gone": "1"}}, "gpu_model NVIDIA H20, expected H100"),
    ],
)
def test_a_difference_is_named(reference: dict[str, Json], said: str) -> None:
    verdict = judge_environment(FINGERPRINT, reference)
    assert (verdict.decision, verdict.outcome, verdict.detail) == (Decision.FAIL, "DIFFERS", said)


@pytest.mark.parametrize(
    ("fingerprint", "reference", "missing"),
    [
        (None, None, ("no reference", "no environment-fingerprint.json")),
        (FINGERPRINT, None, ("no reference",)),
        (FINGERPRINT, {}, ("no reference",)),
        (FINGERPRINT, {"gpu_model": None, "pins": {}}, ("no reference",)),
        (None, REFERENCE, ("no environment-fingerprint.json",)),
        (Broken("cut off"), REFERENCE, ("environment-fingerprint.json: cut off",)),
        ({}, {"gpu_model": "H20"}, ("gpu_model",)),
        ({"gpu_model": None}, {"gpu_model": "H20"}, ("gpu_model",)),
        (FINGERPRINT, {"pins": {"none": "1.0"}}, ("pins.none",)),
        (FINGERPRINT, {"pins": {"torch": ">=2.0"}}, ("pins.torch",)),
        (FINGERPRINT, "H20", ("a reference that is a mapping",)),
        (FINGERPRINT, {"gpu_model": "H20", "pins": []}, ("reference.pins as a mapping",)),
    ],
)
def test_what_is_missing_is_unknown(fingerprint: Document, reference: Json, missing: tuple[str, ...]) -> None:
    verdict = judge_environment(fingerprint, reference)
    assert (verdict.decision, verdict.outcome, verdict.missing) == (Decision.UNKNOWN, "unknown", missing)


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        ("2.5.1", "2.5.1", True),
        ("2.5.1+cu130", "2.5.1", True),
        ("2.5.1+cu130", "2.5.1+CU130", True),
        ("2.5.1", "2.5.1+cu130", False),
        ("2.5", "2.5.0", True),
        ("2.5.10", "2.5.1", False),
        ("2.5.1.post1", "2.5.1", False),
        ("2.5.1.post1", "2.5.1post1", True),
        ("2.5.0rc1", "2.5rc1", True),
        ("v2.5", "2.5", True),
        ("2.05", "2.5", True),
        ("2.5.1", "== 2.5.1", True),
        ("2.5.1", ">=2", None),
        ("2.5.1", "2.*", None),
        ("2.5.1", "", None),
    ],
)
def test_versions(found: str, wanted: str, said: bool | None) -> None:
    assert satisfies(found, wanted) is said


def test_an_environment_is_itself() -> None:
    assert same_environment(FINGERPRINT, dict(FINGERPRINT)) == []
    assert same_environment({}, {}) == []


@pytest.mark.parametrize(
    "key", [*("hostname", "image", "gpu_model", "gpu_count", "driver", "cuda", "python"), "pins", "cache_paths"]
)
def test_every_part_of_a_fingerprint_counts(key: str) -> None:
    other_value: Json = {"torch": "1"} if key in ("pins", "cache_paths") else "x"
    others: list[dict[str, Json]] = [{**FINGERPRINT, key: None}, {**FINGERPRINT, key: other_value}]
    for other in others:
        for differences in (same_environment(FINGERPRINT, other), same_environment(other, FINGERPRINT)):
            assert differences
            assert all(line.startswith(key) for line in differences)


def test_a_missing_fingerprint_is_another_one() -> None:
    assert same_environment(None, FINGERPRINT) == ["one of the two fingerprints is missing"]
    assert same_environment(None, None) == []


def test_differences_are_told_in_words() -> None:
    other: Json = {**FINGERPRINT, "gpu_count": 4, "pins": {"torch": "2.9.2"}}
    assert same_environment(FINGERPRINT, other) == [
        "gpu_count: 2 became 4",
        "pins.flashinfer_python: 0.5.2 became unknown",
        "pins.sglang: 0.5.5 became unknown",
        "pins.torch: 2.9.1+cu130 became 2.9.2",
    ]


@given(JSON, JSON)
def test_whatever_they_hold_a_verdict_comes(fingerprint: Json, reference: Json) -> None:
    verdict = judge_environment(fingerprint, reference)
    assert verdict.detail.isprintable()
    assert (verdict.decision is Decision.UNKNOWN) is (verdict.outcome == "unknown")
    assert bool(same_environment(fingerprint, reference)) is bool(same_environment(reference, fingerprint))
    assert same_environment(fingerprint, fingerprint) == []


@given(st.dictionaries(st.sampled_from([*FINGERPRINT]), JSON))
def test_a_fingerprint_that_is_its_own_reference_never_differs(fingerprint: dict[str, Json]) -> None:
    assert judge_environment(fingerprint, fingerprint).outcome != "DIFFERS"
