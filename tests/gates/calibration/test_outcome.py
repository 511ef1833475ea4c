from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.extract import Extraction, MissingValue
from gates.calibration.logscan import LogFacts, scan_log
from gates.calibration.outcome import Kind, Outcome, judge_attempt

pytestmark = pytest.mark.travels

CLEAN = Extraction({"accuracy": 0.61}, 50, 50, None, None, ())
LACKING = Extraction(
    {"accuracy": None}, 50, 50, None, None, (MissingValue("t0/r.json", "accuracy", "summary.accuracy is not there"),)
)
PARTIAL = replace(CLEAN, ok=48)
SMALL = replace(CLEAN, total=16, ok=16)
DOCS = Extraction({}, None, None, None, None, (), counts_asked=False)
QUIET = LogFacts()
READY = "INFO: Application startup complete.\n"
OOM = scan_log(READY + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n")
CRASHED = scan_log("RuntimeError: Server process exited with code 1\n")
CLOSED = scan_log("===== 1 failed, 2 passed in 10.00s =====\n")


def judge(rc: int | None, found: Extraction, facts: LogFacts = QUIET, ended: str = "exited") -> Outcome:
    return judge_attempt(rc, ended, facts, {"a": found}, {"a": 50})


@pytest.mark.parametrize(
    ("rc", "found", "kind", "status", "reason"),
    [
        (0, CLEAN, Kind.OK, "ok", ""),
        (1, CLEAN, Kind.THRESHOLD, "ok", "threshold_assertion (exit 1)"),
        (0, LACKING, Kind.HALT, "failed", "a: missing accuracy: t0/r.json: summary.accuracy is not there (exit 0)"),
        (1, LACKING, Kind.HALT, "failed", "a: missing accuracy: t0/r.json: summary.accuracy is not there (exit 1)"),
        (4, LACKING, Kind.HALT, "failed", "a: missing accuracy: t0/r.json: summary.accuracy is not there (exit 4)"),
        (127, LACKING, Kind.HALT, "failed", "a: missing accuracy: t0/r.json: summary.accuracy is not there (exit 127)"),
        (0, SMALL, Kind.HALT, "failed", "a: 16 samples, expected 50 (exit 0)"),
        (1, SMALL, Kind.HALT, "failed", "a: 16 samples, expected 50 (exit 1)"),
        (0, PARTIAL, Kind.PARTIAL, "ok", "partial: 48 of 50 samples ok (exit 0)"),
        (1, PARTIAL, Kind.PARTIAL, "ok", "partial: 48 of 50 samples ok (exit 1)"),
        (2, CLEAN, Kind.INVALID, "failed", "pytest exit 2 (interrupted)"),
        (3, CLEAN, Kind.INVALID, "failed", "pytest exit 3 (internal error)"),
        (137, CLEAN, Kind.INFRA, "failed", "killed by SIGKILL (exit 137)"),
        (-9, LACKING, Kind.INFRA, "failed", "killed by SIGKILL (exit -9)"),
        (139, LACKING, Kind.INFRA, "failed", "killed by SIGSEGV (exit 139)"),
        (143, CLEAN, Kind.INFRA, "failed", "killed by SIGTERM (exit 143)"),
        (163, CLEAN, Kind.INFRA, "failed", "killed by signal 35 (exit 163)"),
        (
            0,
            replace(LACKING, observation_valid=False),
            Kind.INVALID,
            "failed",
            "the test says that the observation is not valid",
        ),
        (
            1,
            replace(CLEAN, allowed_asked=True),
            Kind.INVALID,
            "failed",
            "pytest exit 1, and the test does not allow it",
        ),
        (
            1,
            replace(CLEAN, allowed_asked=True, allowed_pytest_failure=False),
            Kind.INVALID,
            "failed",
            "pytest exit 1, and",
        ),
        (
            1,
            replace(CLEAN, allowed_asked=True, allowed_pytest_failure=True),
            Kind.THRESHOLD,
            "ok",
            "threshold_assertion",
        ),
        (0, replace(CLEAN, allowed_asked=True), Kind.OK, "ok", ""),
        (0, DOCS, Kind.OK, "ok", ""),
        (1, DOCS, Kind.INVALID, "failed", "pytest exit 1"),
        (5, DOCS, Kind.INVALID, "failed", "pytest exit 5 (no tests ran)"),
    ],
)
def test_a_quiet_log(rc: int, found: Extraction, kind: Kind, status: str, reason: str) -> None:
    outcome = judge(rc, found)
    assert (outcome.kind, outcome.stages["a"].kind, outcome.stages["a"].status) == (kind, kind, status)
    assert outcome.stages["a"].reason.startswith(reason)
    assert outcome.reason == outcome.stages["a"].reason
    assert (outcome.rc, outcome.rc_recovered) == (rc, False)


@pytest.mark.parametrize(
    "log",
    [
        "torch.OutOfMemoryError: CUDA out of memory, retried with a smaller batch\n",
        READY + "CUDA out of memory\n",
        "ConnectionRefusedError: Connection refused\n" * 50,
        "E  AssertionError: server died below 3.0\n",
        "RuntimeError: Server process exited with code 1\n" + READY,
        "Fatal Python error: Segmentation fault\n",
    ],
)
@pytest.mark.parametrize("rc", [0, 1])
def test_a_clean_observation_is_one_whatever_the_log_says(log: str, rc: int) -> None:
    assert judge(rc, CLEAN, scan_log(log)).kind is (Kind.THRESHOLD if rc else Kind.OK)


@pytest.mark.parametrize("found", [LACKING, PARTIAL, SMALL])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (OOM, "CUDA OOM (exit 1)"),
        (CRASHED, "process died before the server was ready (exit 1)"),
        (scan_log(READY + "Fatal Python error: Segmentation fault\n"), "segmentation fault (exit 1)"),
    ],
)
def test_infrastructure_explains_what_is_not_whole(found: Extraction, facts: LogFacts, reason: str) -> None:
    outcome = judge(1, found, facts)
    assert (outcome.kind, outcome.reason) == (Kind.INFRA, reason)
    assert any(item.line for item in outcome.evidence)


def test_an_ordinary_assertion_explains_nothing() -> None:
    facts = scan_log(READY + "E  AssertionError: server died below 3.0\nConnection refused\n")
    assert judge(1, LACKING, facts).kind is Kind.HALT


@pytest.mark.parametrize(
    ("ended", "reason"),
    [("timeout", "timeout"), ("stalled", "stalled: no output"), ("crashed", "the server crashed before it was ready")],
)
@pytest.mark.parametrize("rc", [None, 0, 1, -15])
def test_what_we_ended_is_infrastructure(ended: str, reason: str, rc: int | None) -> None:
    outcome = judge(rc, CLEAN, ended=ended)
    assert (outcome.kind, outcome.reason, outcome.stages["a"].status) == (Kind.INFRA, reason, "failed")


def test_a_stop_on_request_is_nothing_else() -> None:
    assert judge(None, LACKING, ended="stopped").kind is Kind.STOPPED
    assert judge(0, CLEAN, OOM, ended="stopped").kind is Kind.STOPPED


@pytest.mark.parametrize("ended", ["exited", "lost"])
def test_a_lost_exit_status_is_taken_from_the_closing_line(ended: str) -> None:
    outcome = judge(None, CLEAN, CLOSED, ended)
    assert (outcome.kind, outcome.rc, outcome.rc_recovered) == (Kind.THRESHOLD, 1, True)
    assert outcome.evidence[-1].line == 1
    outcome = judge(None, CLEAN, QUIET, ended)
    assert (outcome.kind, outcome.reason, outcome.rc) == (Kind.INFRA, "the exit status was lost", None)


def test_an_unknown_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="ended"):
        judge(0, CLEAN, ended="vanished")


def test_the_gravest_stage_speaks_for_the_attempt() -> None:
    outcome = judge_attempt(1, "exited", QUIET, {"a": CLEAN, "b": LACKING, "c": PARTIAL}, {"a": 50, "b": None})
    assert outcome.kind is Kind.HALT
    assert outcome.reason.startswith("b: missing")
    assert [item.file for item in outcome.evidence] == ["t0/r.json"]
    assert [stage.kind for stage in outcome.stages.values()] == [Kind.THRESHOLD, Kind.HALT, Kind.PARTIAL]


EXTRACTIONS = st.sampled_from([CLEAN, LACKING, PARTIAL, SMALL, DOCS, replace(CLEAN, observation_valid=False)])
FACTS = st.sampled_from([QUIET, OOM, CRASHED, CLOSED])
ENDS = st.sampled_from(["exited", "timeout", "stalled", "crashed", "lost", "stopped"])


@given(st.none() | st.integers(-70, 300), ENDS, FACTS, st.dictionaries(st.sampled_from("abc"), EXTRACTIONS, max_size=3))
def test_status_ok_only_with_every_value(
    rc: int | None, ended: str, facts: LogFacts, found: dict[str, Extraction]
) -> None:
    outcome = judge_attempt(rc, ended, facts, found, dict.fromkeys(found, 50))
    assert outcome.stages.keys() == found.keys()
    for key, stage in outcome.stages.items():
        if stage.status == "ok":
            assert found[key].missing == ()
            assert stage.kind in (Kind.OK, Kind.THRESHOLD, Kind.PARTIAL)
            assert not found[key].counts_asked or found[key].total == 50
            assert outcome.rc in (0, 1)
        else:
            assert stage.reason
    if outcome.kind is Kind.HALT:
        assert ended in ("exited", "lost")
