"""What is an observation, what is tried again, and what stops a calibration at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.jobs.runner.conftest import Make
from tests.jobs.runner.fast import FastProject, FastRun, command

ALPHA = ("alpha_accuracy", "alpha_speed")
NAME = "test_fast_alpha_ci:1"
RESULT = "test_accuracy0/accuracy/accuracy_results.json"


def _run(project: FastProject, max_passes: int = 10) -> FastRun:
    run = project.run(stages=ALPHA, max_passes=max_passes)
    run.finish()
    return run


def _ended(run: FastRun) -> None:
    assert run.journal().events[-1].kind == "run.ended", run.said()
    assert run.audit()[-1] == "STRICT + GIT: READY"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", (RESULT, "summary.accuracy", "accuracy", "exit 0")),
        ("failed-missing", (RESULT, "summary.accuracy", "accuracy", "exit 1")),
        ("total", ("alpha_accuracy", "21 samples, expected 20")),
    ],
)
def test_a_wrong_configuration_halts_at_once_and_is_not_tried_again(
    make_project: Make, how: str, said: tuple[str, ...]
) -> None:
    project = make_project(script={NAME: [how]})
    run = _run(project)
    halted = run.halted()
    assert halted["why"] == "halt"
    for words in said:
        assert words in halted["detail"]
    assert project.launches(NAME) == 1
    assert run.places.last_words.read_text().strip() == halted["detail"]
    assert run.look().snapshot.offers == ()


def test_a_halt_is_exit_1_and_one_line_for_who_watches(make_project: Make, tmp_path: Path) -> None:
    project = make_project(script={NAME: ["missing"]})
    arguments = ["--root", str(project.repo), "--venv-python", sys.executable, "--output-dir", str(tmp_path / "out")]
    done = command("calibrate", "run", "--stages", "alpha", "--repeats", "1", *arguments)
    assert done.returncode == 1, done.stderr
    assert RESULT in done.stderr
    assert "Traceback" not in done.stderr


def test_a_halt_goes_on_when_a_person_mended_it(make_project: Make) -> None:
    project = make_project(script={NAME: ["missing", "ok"]})
    run = _run(project)
    assert run.halted()["why"] == "halt"
    run.finish(resume=True)
    _ended(run)
    assert "alpha_speed/run1.json" in run.discarded()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("killed", "killed by SIGKILL (exit -9)"),
        ("exit137", "killed by SIGKILL (exit 137)"),
        ("oom", "CUDA OOM (exit 1)"),
    ],
)
def test_an_infrastructure_failure_is_tried_up_to_four_times_and_its_history_kept(
    make_project: Make, how: str, reason: str
) -> None:
    project = make_project(script={NAME: [how, how, how, "ok"]})
    run = _run(project)
    _ended(run)
    assert project.launches(NAME) == 4
    for stage in ALPHA:
        cell = run.cell(stage)
        assert (cell["status"], cell["attempts"]) == ("ok", 4)
        assert [entry["number"] for entry in cell["attempt_history"]] == [1, 2, 3]
        assert {entry["reason"] for entry in cell["attempt_history"]} == {reason}
        logs = [entry["log"] for entry in cell["attempt_history"]]
        assert logs == [f"run1.attempt{number}.log" for number in (1, 2, 3)]
        assert all((run.unit() / log).read_text().startswith("====") for log in logs)
        assert cell["pytest_log"] == "_pytest/test_fast_alpha_ci/run1.log"


def test_four_failures_are_recorded_as_failed_and_the_next_pass_begins_anew(make_project: Make) -> None:
    project = make_project(script={NAME: ["killed"] * 5 + ["ok"]})
    run = _run(project)
    _ended(run)
    assert project.launches(NAME) == 6
    assert run.cell("alpha_speed")["attempts"] == 2
    assert "alpha_speed/run1.json" in run.discarded()
    assert [path for path in run.discarded() if path.endswith(".attempt3.log")] != []


@pytest.mark.parametrize(
    ("how", "limit", "reason"),
    [("endless", "test_timeout_s: 5\n", "timeout"), ("silent", "stall_s: 4\n", "stalled: no output")],
)
def test_a_limit_ends_the_launch_and_the_next_one_is_clean(
    make_project: Make, how: str, limit: str, reason: str
) -> None:
    project = make_project(limit, script={NAME: [how, "ok"]})
    run = _run(project)
    _ended(run)
    history = run.cell("alpha_speed")["attempt_history"]
    assert [entry["reason"] for entry in history] == [reason]
    assert project.launches(NAME) == 2


def test_a_failed_threshold_is_an_observation_and_costs_no_other_metric(make_project: Make) -> None:
    project = make_project(script={NAME: ["threshold"]})
    assert "-x" in (project.repo / "pytest.ini").read_text().split()
    run = _run(project)
    _ended(run)
    assert project.launches(NAME) == 1
    for stage in ALPHA:
        cell = run.cell(stage)
        assert (cell["status"], cell["pytest_rc"], cell["reason"]) == ("ok", 1, "threshold_assertion (exit 1)")


def test_a_partial_repeat_is_kept_aside_and_run_again(make_project: Make) -> None:
    project = make_project(script={NAME: ["partial", "ok"]})
    run = _run(project)
    _ended(run)
    assert project.launches(NAME) == 2
    assert {"alpha_accuracy/run1.json", "alpha_speed/run1.json"} <= set(run.discarded())
    # A new observation and no second attempt at the old one.
    assert (run.cell("alpha_speed")["attempts"], run.cell("alpha_speed")["attempt_history"]) == (1, [])


def test_a_repeat_that_stays_partial_exhausts_its_passes(make_project: Make) -> None:
    project = make_project(script={NAME: ["partial"]})
    run = _run(project, max_passes=2)
    assert run.halted()["why"] == "exhausted"
    assert "run1" in run.halted()["detail"]
    assert project.launches(NAME) == 2
    assert run.cell("alpha_speed")["sample_counts"] == {"total": 20, "ok": 19}


@pytest.mark.parametrize("junk", [b"{", b"", b"null", b'{"status": "ok"}', b"\xff\xfe"])
def test_a_damaged_cell_is_moved_aside_and_the_whole_repeat_is_run_again(project: FastProject, junk: bytes) -> None:
    run = _run(project)
    before = run.cell("alpha_accuracy")
    (run.root / "alpha_speed" / "run1.json").write_bytes(junk)
    run.finish(resume=True)
    assert run.journal().events[-1].kind == "run.ended"
    assert run.audit()[-1] == "STRICT + GIT: READY"
    assert project.launches(NAME) == 2
    aside = {path.parent.name: path.read_bytes() for path in run.places.discarded.rglob("alpha_*/run1.json")}
    assert aside["alpha_speed"] == junk
    # The ✓ sibling goes with it: one pytest feeds both.
    assert run.cell("alpha_accuracy")["attempt_token"] != before["attempt_token"]
    assert b"attempt_token" in aside["alpha_accuracy"]
