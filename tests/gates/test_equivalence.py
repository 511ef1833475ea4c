from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.equivalence import equal_but_for_thresholds, threshold_names, unforgiven_changes
from gates.calibration.schema import Manifest, parse_manifest
from gates.documents import Json

pytestmark = pytest.mark.travels

TEST = "tests/test_mmmu_ci.py"
THRESHOLDS = "tests/thresholds.py"
OTHER = "tests/test_other_ci.py"

SOURCE = b'''\
"""A test."""
import time

CONCURRENCY = 16
MAX_SAMPLES = 50
TIMEOUT_S = 600.0
MMMU_ACC_MIN = 0.61
MMMU_DELTA_MIN: float = -0.05
MAX_FAILED_REQUESTS = 0
_MMMU_P95 = {
    8: {
        "throughput_qps": 1.25,  # calibrated
        "latency_mean_s": 3,
        "max_samples": 50,
    },
}


def test_mmmu(tmp_path):
    limit = 5
    assert limit > MMMU_ACC_MIN
'''


def metric(source: str) -> Json:
    return {"source": source, "json_file": "r.json", "json_path": "a.b", "worst": "min"}


def stage(test: str, sources: dict[str, str], **more: Json) -> Json:
    metrics: Json = {key: metric(source) for key, source in sources.items()}
    return {"test": test, "group": "speed", "metrics": metrics, **more}


@pytest.fixture
def manifest() -> Manifest:
    sources = {
        "accuracy": "MMMU_ACC_MIN",
        "delta": "MMMU_DELTA_MIN",
        "failed": "MAX_FAILED_REQUESTS",
        "throughput_qps": "_MMMU_P95['throughput_qps']",
        "latency_mean_s": '_MMMU_P95["latency_mean_s"]',
    }
    return parse_manifest(
        {
            "mmmu": stage(TEST, sources, threshold_file=THRESHOLDS),
            "other": stage(OTHER, {"latency": "TIMEOUT_S"}),
        }
    )


def reasons(manifest: Manifest, after: bytes, before: bytes = SOURCE, path: str = TEST) -> list[str]:
    return unforgiven_changes({path: (before, after)}, manifest)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = 0.59"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = 1"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = -0.5"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = 5e-1  # lower"),
        (b"float = -0.05", b"float = -0.06"),
        (b"float = -0.05", b"float = +0.01"),
        (b"float = -0.05", b"float = 0"),
        (b"MAX_FAILED_REQUESTS = 0", b"MAX_FAILED_REQUESTS = 3"),
        (b'"throughput_qps": 1.25', b'"throughput_qps": 1.31'),
        (b'"latency_mean_s": 3', b"'latency_mean_s': 2.9"),
        (b"  # calibrated", b""),
        (b"    limit = 5\n", b"    limit = (\n        5  # five\n    )\n\n"),
        (b"import time\n", b"# -*- coding: utf-8 -*-\n\n\nimport time;\n"),
        (b"\n", b"\r\n"),
        (b'"""A test."""', b'\xef\xbb\xbf"""A test."""'),
    ],
)
def test_forgiven(manifest: Manifest, old: bytes, new: bytes) -> None:
    after = SOURCE.replace(old, new)
    assert after != SOURCE
    assert reasons(manifest, after) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CONCURRENCY = 16", b"CONCURRENCY = 8"),
        (b"MAX_SAMPLES = 50", b"MAX_SAMPLES = 2000"),
        (b"MAX_SAMPLES = 50", b"MAX_SAMPLES = 50.0"),
        (b"TIMEOUT_S = 600.0", b"TIMEOUT_S = 60.0"),
        (b'"max_samples": 50', b'"max_samples": 51'),
        (b"    8: {", b"    16: {"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = 0.6 + 0.01"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = True"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = None"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = __import__('os').getpid()"),
        (b"MMMU_ACC_MIN = 0.61\n", b""),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MAX = 0.61"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = OTHER = 0.61"),
        (b"MMMU_ACC_MIN = 0.61", b"MMMU_ACC_MIN = 0.61j"),
        (b"MMMU_DELTA_MIN: float", b"MMMU_DELTA_MIN: int"),
        (b'"throughput_qps": 1.25', b'"throughput_qps": fast()'),
        (b'"throughput_qps": 1.25', b'"throughput": 1.25'),
        (b"    limit = 5\n", b"    limit = 6\n"),
        (b"    limit = 5\n", b"    limit = 5\n    MMMU_ACC_MIN = 0.1\n"),
        (b"assert limit >", b"assert limit >="),
        (b"import time\n", b"import time\nimport os\n"),
        (b"import time\n", b"import time; time.sleep(0)\n"),
        (b'"""A test."""', b'"""Another test."""'),
    ],
)
def test_not_forgiven(manifest: Manifest, old: bytes, new: bytes) -> None:
    after = SOURCE.replace(old, new)
    assert after != SOURCE
    assert reasons(manifest, after) == [f"{TEST} differs in more than thresholds"]


def test_a_local_of_the_same_name_is_no_threshold(manifest: Manifest) -> None:
    before = SOURCE + b"    MMMU_ACC_MIN = 0.5\n"
    assert reasons(manifest, before.replace(b"    MMMU_ACC_MIN = 0.5", b"    MMMU_ACC_MIN = 0.4"), before) != []


def test_a_threshold_of_another_file_is_none_of_this_one(manifest: Manifest) -> None:
    """TIMEOUT_S is a threshold in one test and a timeout in the other."""
    after = SOURCE.replace(b"TIMEOUT_S = 600.0", b"TIMEOUT_S = 60.0")
    assert reasons(manifest, after, path=OTHER) == []
    assert reasons(manifest, after, path=TEST) == [f"{TEST} differs in more than thresholds"]
    assert threshold_names(manifest, OTHER) == (frozenset({"TIMEOUT_S"}), frozenset())
    names, keys = threshold_names(manifest, THRESHOLDS)
    assert names == {"MMMU_ACC_MIN", "MMMU_DELTA_MIN", "MAX_FAILED_REQUESTS"}
    assert keys == {("_MMMU_P95", "throughput_qps"), ("_MMMU_P95", "latency_mean_s")}


def test_the_file_that_holds_the_thresholds(manifest: Manifest) -> None:
    assert reasons(manifest, b"MMMU_ACC_MIN = 2\n", b"MMMU_ACC_MIN = 1\n", THRESHOLDS) == []
    assert reasons(manifest, b"SLACK = 2\n", b"SLACK = 1\n", THRESHOLDS) != []


def test_files_that_come_go_or_are_none_of_ours(manifest: Manifest) -> None:
    texts: dict[str, tuple[bytes | None, bytes | None]] = {
        TEST: (None, SOURCE),
        OTHER: (SOURCE, None),
        "conftest.py": (b"", b"1"),
        THRESHOLDS: (b"A = 1\n", b"A = 1\n"),
    }
    assert unforgiven_changes(texts, manifest) == [
        f"{TEST} was added",
        f"{OTHER} was removed",
        "conftest.py is not a test file of this run",
    ]
    assert unforgiven_changes({}, manifest) == []


@pytest.mark.parametrize(
    "broken", [b"def test(:\n", b"\0", b"# coding: nonsense\n", b"x = '\xff'\n", b"(" * 5000, b"-" * 100_000 + b"1"]
)
def test_what_python_cannot_read_must_be_the_same(manifest: Manifest, broken: bytes) -> None:
    assert reasons(manifest, broken, broken) == []
    assert reasons(manifest, broken + b" ", broken) != []
    assert reasons(manifest, broken) != []
    assert reasons(manifest, SOURCE, broken) != []


def test_a_source_that_python_warns_about_is_read_in_silence(manifest: Manifest) -> None:
    before = SOURCE + b'PATTERN = "\\d"\n'
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert reasons(manifest, before.replace(b"0.61", b"0.5"), before) == []
    assert seen == []


NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6).map(str), st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)
)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_any_two_numbers_are_the_same_threshold(plain: str, typed: str, nested: str) -> None:
    names, keys = frozenset({"MMMU_ACC_MIN", "MMMU_DELTA_MIN"}), frozenset({("_MMMU_P95", "throughput_qps")})
    after = SOURCE.replace(b"= 0.61", f"= {plain}".encode()).replace(b"= -0.05", f"= {typed}".encode())
    after = after.replace(b"1.25", nested.encode())
    assert equal_but_for_thresholds(SOURCE, after, names, keys)
    assert equal_but_for_thresholds(SOURCE, after, frozenset(), frozenset()) is (
        float(plain) == 0.61 and float(typed) == -0.05 and float(nested) == 1.25
    )
