from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.errors import InputError
from hosts.local import strictjson
from jobs.runner.calibration.job import GpuRules, Job, UnitJob, parse_job, read_job

pytestmark = pytest.mark.travels

SLOW = [HealthCheck.too_slow]  # a loaded machine is not a wrong answer

TEXT = st.text(min_size=1, max_size=8)
TEXTS = st.lists(st.text(max_size=8), max_size=3).map(tuple)
PAIRS = st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=3)
SECONDS = st.floats(0, 1e6, allow_nan=False)
NUMBERS = st.lists(st.integers(0, 64), max_size=4).map(tuple)
UNITS = st.builds(
    UnitJob,
    key=TEXT,
    test=TEXT,
    stages=TEXTS,
    args=TEXTS,
    env=PAIRS,
    gpus=st.integers(0, 8),
    timeout_s=SECONDS,
    stall_s=SECONDS,
)
RULES = st.builds(
    GpuRules,
    include=st.none() | NUMBERS,
    exclude=NUMBERS,
    cpusets=st.none() | PAIRS,
    limit_mib=st.integers(0, 1 << 20),
    wait_s=SECONDS,
    settle_s=SECONDS,
)
JOBS = st.builds(
    Job,
    repo=TEXT,
    venv_python=TEXT,
    overlay=PAIRS,
    units=st.lists(UNITS, min_size=1, max_size=3).map(tuple),
    max_passes=st.integers(0, 1000),
    max_attempts=st.integers(0, 9),
    gpu=RULES,
    cold_paths=st.none() | TEXTS,
    startup_warn_s=SECONDS,
    settings=TEXTS,
    take_over=st.booleans(),
)


def job_data() -> dict[str, Any]:
    unit = {"key": "t", "test": "t.py", "stages": ["a"], "args": [], "env": {}, "gpus": 2, "timeout_s": 5, "stall_s": 1}
    gpu = {"include": None, "exclude": [3], "cpusets": {"0,1": "0-3"}, "limit_mib": 100, "wait_s": 1, "settle_s": 0}
    return {"repo": "/r", "venv_python": "/p", "overlay": {"A": "1"}, "units": [unit], "gpu": gpu}


@settings(deadline=None, suppress_health_check=SLOW)
@given(JOBS)
def test_what_was_written_is_read(job: Job) -> None:
    assert parse_job(strictjson.loads(strictjson.dumps(job.to_json()))) == job


def test_what_may_be_left_out() -> None:
    job = parse_job(job_data())
    assert (job.max_passes, job.max_attempts, job.cold_paths, job.startup_warn_s, job.take_over) == (
        10,
        4,
        None,
        60,
        False,
    )
    assert parse_job({key: value for key, value in job_data().items() if key != "gpu"}).gpu == GpuRules()


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        ((), [], "job: expected an object"),
        (("repo",), None, "job.repo: expected text"),
        (("repo",), "", "job.repo: expected text"),
        (("venv_python",), 3, "job.venv_python: expected text"),
        (("overlay",), {"A": 1}, "job.overlay: expected names with text values"),
        (("overlay",), ["A"], "job.overlay: expected names with text values"),
        (("units",), [], r"job.units: expected a list with at least one unit"),
        (("units",), {}, r"job.units: expected a list with at least one unit"),
        (("units", 0), "t.py", r"job.units\[0\]: expected an object"),
        (("units", 0, "stages"), "a", "job.stages: expected a list"),
        (("units", 0, "stages"), [1], "job.stages: expected a list of text"),
        (("units", 0, "gpus"), "2", "job.gpus: expected a number that is not negative"),
        (("units", 0, "gpus"), True, "job.gpus: expected a number that is not negative"),
        (("units", 0, "timeout_s"), -1, "job.timeout_s: expected a number that is not negative"),
        (("gpu",), [], "job.gpu: expected an object"),
        (("gpu",), None, "job.gpu: expected an object"),
        (("gpu", "exclude"), ["3"], "job.exclude: expected a list of whole numbers"),
        (("gpu", "exclude"), [True], "job.exclude: expected a list of whole numbers"),
        (("gpu", "exclude"), 3, "job.exclude: expected a list"),
        (("gpu", "include"), "0,1", "job.include: expected a list"),
        (("gpu", "include"), [0, 1.5], "job.include: expected a list of whole numbers"),
        (("gpu", "cpusets"), ["0,1"], "job.cpusets: expected names with text values"),
        (("gpu", "limit_mib"), None, "job.limit_mib: expected a number that is not negative"),
        (("cold_paths",), "a", "job.cold_paths: expected a list"),
        (("settings",), [None], "job.settings: expected a list of text"),
    ],
)
def test_nothing_is_forgiven(where: tuple[str | int, ...], value: Any, why: str) -> None:
    """A GPU rule that is passed over would take a GPU that a person has excluded."""
    body: Any = job_data()
    if not where:
        body = value
    else:
        inner = body
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
    with pytest.raises(InputError, match=why):
        parse_job(body)


def test_a_file_that_is_not_there_or_no_job(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this run cannot be resumed by gatewatch"):
        read_job(tmp_path / "job.json")
    (tmp_path / "job.json").write_text("{")
    with pytest.raises(InputError, match=r"job\.json:1:2"):
        read_job(tmp_path / "job.json")
    (tmp_path / "job.json").write_bytes(strictjson.dumps(parse_job(job_data()).to_json()))
    assert read_job(tmp_path / "job.json") == parse_job(job_data())
