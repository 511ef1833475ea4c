"""What a resume and a fresh start refuse, and that a refusal changes nothing."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from hosts.errors import GatewatchError, InputError, RefusedError
from tests.jobs.runner.conftest import Make
from tests.jobs.runner.fast import FastProject, FastRun, command, until

ALPHA = ("alpha_accuracy", "alpha_speed")
TEST = "tests/test_fast_alpha_ci.py"


def _sums(root: Path) -> dict[str, str]:
    """What a refusal must leave as it is: everything but the record of the call itself."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != "starting"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _edit(project: FastProject, old: str, new: str) -> str:
    path = project.repo / TEST
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return project.commit(f"{old} becomes {new}")


def _refused(run: FastRun, kind: type[GatewatchError], words: str, resume: bool = True) -> None:
    before = _sums(run.root)
    with pytest.raises(kind, match=words) as refused:
        run.start(resume)
    assert "\n" not in str(refused.value)
    assert _sums(run.root) == before
    assert run.processes() == []


@pytest.fixture
def ended(project: FastProject) -> FastRun:
    """A run that is complete."""
    run = project.run(stages=ALPHA)
    run.finish()
    return run


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CONCURRENCY = 4", "CONCURRENCY = 8"),
        ("MAX_SAMPLES = 20", "MAX_SAMPLES = 21"),
        ('measure("speed", tmp_path', 'measure("speeds", tmp_path'),
    ],
)
def test_another_measurement_is_not_resumed(ended: FastRun, old: str, new: str) -> None:
    was = ended.plan()["git_sha"]
    now = _edit(ended.project, old, new)
    _refused(
        ended, RefusedError, f"HEAD is {now[:12]}, the run is of {was[:12]}, and more than threshold literals .*{TEST}"
    )


def test_a_changed_threshold_is_the_same_measurement(make_project: Make) -> None:
    project = make_project(script={"test_fast_alpha_ci:1": ["partial", "ok"]})
    run = project.run(stages=ALPHA, max_passes=1)
    run.finish()
    assert run.halted()["why"] == "exhausted"
    was = run.plan()["git_sha"]
    _edit(project, "ALPHA_ACC_MIN = 0.5", "ALPHA_ACC_MIN = 0.75")
    run.finish(resume=True)
    assert run.audit()[:2] == [
        f"calibration_git_sha: {was}",
        "GIT PROVENANCE: ok (all artifacts match calibration commit)",
    ]
    assert run.audit()[-1] == "STRICT + GIT: READY"


def test_a_file_beside_the_tests_may_not_change_either(ended: FastRun) -> None:
    path = ended.project.repo / "tests/conftest.py"
    path.write_text(path.read_text() + "\n# harmless?\n")
    ended.project.commit("a comment elsewhere")
    _refused(ended, RefusedError, r"tests/conftest.py is not a test file of this run")


def test_a_changed_working_tree_is_not_resumed(ended: FastRun) -> None:
    path = ended.project.repo / TEST
    path.write_text(path.read_text().replace("CONCURRENCY = 4", "CONCURRENCY = 5"))
    _refused(ended, RefusedError, "the working tree changed since the run was started")


def test_a_checkout_that_moves_under_a_run_halts_it(make_project: Make) -> None:
    project = make_project(script={"test_fast_alpha_ci:2": ["silent", "ok"]})
    run = project.run(repeats=3, stages=ALPHA)
    run.start()
    until(lambda: project.launches("test_fast_alpha_ci:2"), "the second repeat")
    was, now = run.plan()["git_sha"], _edit(project, "MAX_SAMPLES = 20", "MAX_SAMPLES = 21")
    (pytest_process,) = [process for process in run.processes() if "pytest" in process.argv]
    from hosts.local.procs import send_signal

    assert send_signal(pytest_process.ref, 9)
    run.wait()
    assert run.halted()["why"] == "halt"
    assert now in run.halted()["detail"]
    assert was in run.halted()["detail"]
    project.git("checkout", "-q", was)
    run.finish(resume=True)
    assert run.audit()[-1] == "STRICT + GIT: READY"
    assert project.launches("test_fast_alpha_ci:1") == 1


def test_a_mistyped_directory_is_an_error_and_no_new_run(project: FastProject) -> None:
    run = project.run(stages=ALPHA)
    run.finish()
    typo = run.root.with_name("rr")
    with pytest.raises(InputError, match=f"{typo} holds no run to resume"):
        FastRun(project, typo, 1, ALPHA).start(resume=True)
    assert not typo.exists()
    where = ["--root", str(project.repo), "--venv-python", sys.executable, "--output-dir", str(typo)]
    done = command("calibrate", "run", "--resume", *where)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(typo) in done.stderr
    assert not typo.exists()


def test_the_start_verb_refuses_it_by_itself(ended: FastRun) -> None:
    from jobs.runner.verbs import verbs_with

    typo = ended.root.with_name("rr")
    payload = {**ended.payload(resume=True), "run_dir": str(typo)}
    with pytest.raises(InputError, match=r"holds no plan.json, so there is nothing to resume"):
        verbs_with(lambda: ended.image)["start"].run(payload)
    assert not typo.exists()


def test_a_fresh_request_needs_a_fresh_directory(ended: FastRun) -> None:
    _refused(ended, InputError, "already holds a run; --resume continues it", resume=False)


def test_a_directory_that_git_would_track_is_refused_with_the_line_that_helps(project: FastProject) -> None:
    run = FastRun(project, project.repo / "runs" / "r", 1, ALPHA)
    with pytest.raises(InputError, match=r"git would track .*add the line `/runs/` to .*gitignore"):
        run.start()
    assert not run.root.exists()
    ignore = project.repo / ".gitignore"
    ignore.write_text(ignore.read_text() + "/runs/\n")
    run.finish()
    assert run.audit()[-1] == "STRICT + GIT: READY"


def test_another_environment_is_not_resumed(ended: FastRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "/somewhere/else")
    _refused(ended, RefusedError, "the environment is another one now: cache_paths.HF_HOME")
