from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.extract import Missing, extract, json_files, read_count, read_locator, read_number
from gates.calibration.schema import Locator
from gates.documents import Broken, Document, Json
from tests.gates.calibration.samples import docs_data, manifest_of, metric_data, stage_data, stage_of

pytestmark = pytest.mark.travels

FILE = "t0/results.json"
RESULTS: Json = {
    "summary": {"accuracy": 0.61, "total_samples": 50, "valid": True, "half": 50.5, "n": 50.0, "none": None},
    "speed": {"completed_requests": 48, "text": "0.5", "huge": 10**400},
    "rows": [{"x": 1}, {"x": 2}],
    "a.b": {"c.d": 5},
    "a": {"b": {"e": 6}},
    "__len__": {"__len__": 7},
}


def read(path: str) -> Json | Missing:
    return read_locator({FILE: RESULTS}, Locator(FILE, path))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("summary.accuracy", 0.61),
        ("summary.none", None),
        ("rows.0.x", 1),
        ("rows.1.x", 2),
        ("rows.__len__", 2),
        ("rows.0.__len__", 1),
        ("a.b.e", 6),
        ("a.b.c.d", 5),
        ("__len__.__len__", 7),
        ("summary.__len__", 6),
    ],
)
def test_a_path_is_followed(path: str, value: Json) -> None:
    assert read(path) == value


@pytest.mark.parametrize(
    "path",
    [
        "gone",
        "summary.gone",
        "rows.2.x",
        "rows.-1.x",
        "rows.x",
        "rows.1_0",
        "summary.accuracy.x",
        "a.b.x",
        "",
        ".",
        "a..b",
    ],
)
def test_a_path_that_leads_nowhere_says_so(path: str) -> None:
    found = read(path)
    assert isinstance(found, Missing)
    assert path in found.why


def test_a_file_that_is_not_there_or_broken() -> None:
    locator = Locator(FILE, "x")
    assert read_locator({}, locator) == Missing("the file is not there")
    assert read_locator({FILE: Broken("cut off")}, locator) == Missing("cut off")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("summary.valid", "summary.valid is true, not a number"),
        ("summary.none", "summary.none is null, not a number"),
        ("speed.text", "speed.text is text, not a number"),
        ("speed.huge", "speed.huge is not finite"),
        ("rows", "rows is a list, not a number"),
    ],
)
def test_what_is_no_number_is_missing(path: str, why: str) -> None:
    assert read_number({FILE: RESULTS}, Locator(FILE, path)) == Missing(why)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_missing(value: float) -> None:
    assert isinstance(read_number({FILE: {"x": value}}, Locator(FILE, "x")), Missing)
    assert isinstance(read_count({FILE: {"x": value}}, Locator(FILE, "x")), Missing)


def test_counts_are_whole() -> None:
    assert read_count({FILE: RESULTS}, Locator(FILE, "summary.n")) == 50
    assert isinstance(read_count({FILE: RESULTS}, Locator(FILE, "summary.half")), Missing)
    assert isinstance(read_count({FILE: {"x": -1}}, Locator(FILE, "x")), Missing)


def test_a_stage_is_extracted() -> None:
    stage = stage_of(
        manifest_of(a=stage_data(observation_validity="summary.valid", allowed_pytest_failure="summary.gone")), "a"
    )
    found = extract(stage, {FILE: RESULTS})
    assert dict(found.metrics) == {"accuracy": 0.61}
    assert (found.total, found.ok, found.observation_valid, found.allowed_pytest_failure) == (50, 48, True, None)
    assert found.missing == ()
    assert (found.counts_asked, found.allowed_asked) == (True, True)
    assert json_files([stage]) == (FILE,)


def test_everything_missing_is_named_with_file_and_key() -> None:
    stage = stage_of(manifest_of(a=stage_data(observation_validity="summary.valid")), "a")
    found = extract(stage, {})
    assert dict(found.metrics) == {"accuracy": None}
    assert [str(item) for item in found.missing] == [
        f"{key}: {FILE}: the file is not there"
        for key in ("accuracy", "sample_counts.total", "sample_counts.ok", "observation_validity")
    ]


def test_what_is_not_configured_is_missing() -> None:
    unset = {**metric_data(), "json_file": None}
    stage = stage_of(manifest_of(a=stage_data() | {"metrics": {"rtf": unset}, "sample_counts": None}), "a")
    assert [item.key for item in extract(stage, {FILE: RESULTS}).missing] == [
        "rtf",
        "sample_counts.total",
        "sample_counts.ok",
    ]


def test_a_docs_stage_asks_for_nothing() -> None:
    found = extract(stage_of(manifest_of(d=docs_data()), "d"), {})
    assert (found.metrics, found.missing, found.counts_asked) == ({}, (), False)


KEYS = st.sampled_from(["a", "b", "a.b", "0", "__len__", ""])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@given(TREES, st.lists(KEYS, min_size=1, max_size=5))
def test_whatever_the_file_holds_an_answer_comes(document: Document, parts: list[str]) -> None:
    locator = Locator(FILE, ".".join(parts))
    number = read_number({FILE: document}, locator)
    assert isinstance(number, Missing) or (math.isfinite(number) and type(number) in (int, float))
    count = read_count({FILE: document}, locator)
    assert isinstance(count, Missing) or (type(count) is int and count >= 0)


@given(st.lists(st.text(alphabet="ab.", min_size=1, max_size=4), min_size=1, max_size=5), st.integers())
def test_a_value_below_any_keys_is_found(keys: list[str], value: int) -> None:
    document: Json = value
    for key in reversed(keys):
        document = {key: document}
    assert read_locator({FILE: document}, Locator(FILE, ".".join(keys))) == value
