"""Bad input: one clear line, exit 2, nothing on stdout, and not a byte changed on the disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.quick import ROOT, STAGES, Quick, git, old_run, tree
from tui.cli.main import main

RUN = ("calibrate", "run", "--stages", "ALL", "--repeats", "2")
Words = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """What is wrong, and what the line has to say of it."""

    prepare: Callable[[Quick], Words]
    said: tuple[str, ...]


CASES: dict[str, Case] = {}


def bad(*said: str) -> Callable[[Callable[[Quick], Words]], Callable[[Quick], Words]]:
    """Note a case: a function that spoils a checkout and gives the words of the command."""

    def note(prepare: Callable[[Quick], Words]) -> Callable[[Quick], Words]:
        CASES[prepare.__name__] = Case(prepare, said)
        return prepare

    return note


def edit(path: Path, old: str, new: str) -> Words:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return RUN


def profile(quick: Quick, text: str, name: str = "h20-a") -> None:
    (quick.folder / "hosts").mkdir(exist_ok=True)
    (quick.folder / "hosts" / f"{name}.yaml").write_text(text)


# What people write


@bad("models/quick/config.yaml:11: ", "while parsing a flow node")
def broken_config(quick: Quick) -> Words:
    quick.config.write_text(quick.config.read_text() + "x: [1,\n")
    return RUN


@bad("models/quick/config.yaml:2: a tab stands in the indentation")
def a_tab(quick: Quick) -> Words:
    quick.config.write_text("name: a\n\tb: 1\n")
    return RUN


@bad("models/quick/config.yaml:10: duplicate key 'name' (first on line 1)")
def the_same_key_twice(quick: Quick) -> Words:
    quick.config.write_text(quick.config.read_text() + "name: again\n")
    return RUN


@bad("config.yaml:7: gpus_per_test[\"test_quick_a.py\"]: expected a whole number, found 'two'")
def wrong_type_in_config(quick: Quick) -> Words:
    return edit(quick.config, "test_quick_a.py: 0", "test_quick_a.py: two")


@bad("config.yaml:1: expected a mapping of keys, found a list")
def config_is_a_list(quick: Quick) -> Words:
    quick.config.write_text("- a\n")
    return RUN


@bad('config.yaml:11: pytest_extra_args["test_quick_a.py"]: -x would end the session at the first failure')
def stop_at_the_first_failure(quick: Quick) -> Words:
    quick.config.write_text(quick.config.read_text() + "pytest_extra_args:\n  test_quick_a.py: ['-x']\n")
    return RUN


@bad("models/quick/config.yaml is missing")
def no_config(quick: Quick) -> Words:
    quick.config.unlink()
    return RUN


@bad("models/quick/stages.yaml:38: ", "while parsing a flow mapping")
def broken_stages(quick: Quick) -> Words:
    quick.manifest.write_text(quick.manifest.read_text() + "z: {a: 1\n")
    return RUN


@bad("stages.yaml: a_accuracy.expected_samples: expected a whole number of at least 1, got 'fifty'")
def wrong_type_in_stages(quick: Quick) -> Words:
    return edit(quick.manifest, "expected_samples: 50", "expected_samples: fifty")


@bad("stages.yaml: a_accuracy.metrics.accuracy.worst: expected min or max, got 'mean'")
def worst_of_a_third_kind(quick: Quick) -> Words:
    return edit(quick.manifest, "worst: min", "worst: mean")


@bad("models/quick/stages.yaml is missing; make it with: gatewatch calibrate discover --model quick")
def no_stages(quick: Quick) -> Words:
    quick.manifest.unlink()
    return RUN


@bad("a_accuracy.accuracy: NEEDS_CONFIG; say under metric_sources in models/quick/config.yaml where the value is")
def needs_config(quick: Quick) -> Words:
    return edit(quick.manifest, "json_path: summary.accuracy, worst: min", "worst: min, status: NEEDS_CONFIG")


@bad("stages.yaml: a_accuracy: sample_counts has no path for total and ok")
def never_strict(quick: Quick) -> Words:
    text = quick.manifest.read_text()
    start = text.index("  sample_counts:")
    quick.manifest.write_text(text[:start] + text[text.index("  metrics:") :])
    return RUN


@bad("host slow: launcher: slurm is not supported yet; use local or ssh")
def a_slurm_host(quick: Quick) -> Words:
    profile(quick, "launcher: slurm\nrepo_root: /x\n", "slow")
    return (*RUN, "--host", "slow")


@bad("host slow: launcher: slurm is not supported yet")
def a_run_on_a_slurm_host(quick: Quick) -> Words:
    profile(quick, "launcher: slurm\nrepo_root: /x\n", "slow")
    return ("calibrate", "audit", "--run-dir", "slow:/x")


@bad("hosts/h20-a.yaml:1: launcher: input should be 'local', 'ssh' or 'slurm', found 'pbs'")
def an_unknown_launcher(quick: Quick) -> Words:
    profile(quick, "launcher: pbs\n")
    return (*RUN, "--host", "h20-a")


@bad("host h20-a: the repository's absolute path there is needed; set repo_root, or pass --repo")
def a_far_host_without_a_repository(quick: Quick) -> Words:
    profile(quick, "ssh: {host: h}\n")
    return (*RUN, "--host", "h20-a")


# What people ask for


@bad("venv python /nope/python (from --venv-python) does not exist")
def no_venv(quick: Quick) -> Words:
    return (*RUN, "--venv-python", "/nope/python")


@bad("venv python /nope/python (from config models/quick/config.yaml) does not exist; name another with --venv-python")
def no_venv_of_the_config(quick: Quick) -> Words:
    return edit(quick.config, sys.executable, "/nope/python")


@bad("no venv python is named; pass --venv-python, or set default_venv_python in ")
def no_venv_at_all(quick: Quick) -> Words:
    return edit(quick.config, f"default_venv_python: {sys.executable}", "")


@bad("/v/bin/python has no pytest; install it there")
def a_venv_without_pytest(quick: Quick) -> Words:
    venv = quick.folder.parent / "v"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    return (*RUN, "--venv-python", str(venv / "bin" / "python"))


@bad("/python does not run: no ␛[2Jway")
def a_venv_that_breaks(quick: Quick) -> Words:
    python = quick.folder.parent / "python"
    python.write_text("#!/bin/sh\nprintf 'no \\033[2Jway\\n' >&2\nexit 3\n")
    python.chmod(0o755)
    return (*RUN, "--venv-python", str(python))


@bad("/python does not exist or cannot be executed")
def a_venv_that_is_no_program(quick: Quick) -> Words:
    python = quick.folder.parent / "python"
    python.write_text("")
    return (*RUN, "--venv-python", str(python))


@bad("--stages: no stage is called 'a_acuracy'; near: a_accuracy, @accuracy")
def a_mistyped_stage(quick: Quick) -> Words:
    return ("calibrate", "run", "--stages", "b,a_acuracy", "--repeats", "2")


@bad("--stages: no stage is called 'zzzzzzz'; known are a, b and ALL")
def an_unknown_stage(quick: Quick) -> Words:
    return ("calibrate", "run", "--stages", "zzzzzzz", "--repeats", "2")


@bad("--model quik: no such model in ", "; did you mean quick? (there are: quick)")
def a_mistyped_model(quick: Quick) -> Words:
    return (*RUN, "--model", "quik")


@bad("--host h20a: no such profile in ", "; did you mean h20-a? (there are: h20-a)")
def a_mistyped_host(quick: Quick) -> Words:
    profile(quick, "repo_root: /x\n")
    return (*RUN, "--host", "h20a")


@bad("--host nowhere: there is no profile in ")
def a_host_without_profiles(quick: Quick) -> Words:
    return (*RUN, "--host", "nowhere")


@bad("--stages, --repeats missing, and there is no terminal to ask on; try --stages ALL --repeats 5")
def nothing_said_and_no_terminal(quick: Quick) -> Words:
    return ("calibrate", "run")


@bad("--repeats missing, and there is no terminal to ask on; try --repeats 5")
def no_repeats_and_no_terminal(quick: Quick) -> Words:
    return ("calibrate", "run", "--stages", "a")


@bad("--model missing, and there is no terminal to ask on; try --model quick or second")
def two_models_and_no_terminal(quick: Quick) -> Words:
    shutil.copytree(quick.config.parent, quick.config.parent.parent / "second")
    return RUN


@bad("argument --repeats: expected a whole number from 1 to 1000, got '0'; see gatewatch calibrate run --help")
def no_repeats(quick: Quick) -> Words:
    return ("calibrate", "run", "--stages", "ALL", "--repeats", "0")


@bad("argument --max-passes: expected a whole number from 1 to 1000, got 'many'")
def many_passes(quick: Quick) -> Words:
    return (*RUN, "--max-passes", "many")


@bad("read-only: this would start or change something; leave --read-only out")
def a_read_only_run(quick: Quick) -> Words:
    return (*RUN, "--read-only")


@bad("read-only: this would stop a run; leave --read-only out")
def a_read_only_stop(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    return ("calibrate", "stop", "--run-dir", "o", "--read-only")


@bad("the following arguments are required: --run-dir")
def stopping_nothing_in_particular(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    return ("calibrate", "stop")


@bad("--repo nope: no such folder")
def no_such_repository(quick: Quick) -> Words:
    return (*RUN, "--repo", "nope")


@bad("--root pytest.ini: no such folder")
def a_root_that_is_a_file(quick: Quick) -> Words:
    return (*RUN, "--root", "pytest.ini")


@bad("no models/*/config.yaml in ", "; --root is the folder that holds models/")
def no_checkout(quick: Quick) -> Words:
    shutil.rmtree(quick.folder / "models")
    return RUN


@bad(" is not a git checkout with a commit, so the calibration's commit cannot be recorded")
def no_git(quick: Quick) -> Words:
    shutil.rmtree(quick.folder / ".git")
    return (*RUN, "--root", ".")


@bad(" is not a git checkout with a commit")
def git_without_a_commit(quick: Quick) -> Words:
    shutil.rmtree(quick.folder / ".git")
    git(quick.folder, "init", "--quiet")
    return RUN


@bad("test file tests/test_quick_b.py is not in ")
def a_test_that_is_not_there(quick: Quick) -> Words:
    (quick.folder / "tests" / "test_quick_b.py").unlink()
    return RUN


# Where runs lie


@bad("/.tune-runs/f is a file; a run directory is a folder")
def a_run_directory_that_is_a_file(quick: Quick) -> Words:
    quick.runs.mkdir()
    (quick.runs / "f").write_text("")
    return (*RUN, "--output-dir", ".tune-runs/f")


@bad("/.tune-runs/f/x cannot be a run directory: ", "/.tune-runs/f is a file")
def a_run_directory_below_a_file(quick: Quick) -> Words:
    quick.runs.mkdir()
    (quick.runs / "f").write_text("")
    return (*RUN, "--output-dir", ".tune-runs/f/x")


@bad("git would track ", "/results/one; add the line `/results/` to ", "/quick/.gitignore")
def a_run_directory_that_git_would_track(quick: Quick) -> Words:
    return (*RUN, "--output-dir", "results/one")


@bad("git would track ", "/one; add the line `/one/` to ")
def a_run_directory_at_the_top(quick: Quick) -> Words:
    return (*RUN, "--output-dir", "one")


@bad("/quick is the repository itself; a run directory lies in a folder that git ignores")
def a_run_directory_that_is_the_repository(quick: Quick) -> Words:
    return (*RUN, "--output-dir", ".")


@bad("--output-dir is a path on the host that --host names, without HOST:")
def a_run_directory_with_a_host(quick: Quick) -> Words:
    return (*RUN, "--output-dir", "far:/x")


@bad("/o already holds a run; --resume continues it, another --output-dir starts a new one")
def a_fresh_run_over_another(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    return (*RUN, "--output-dir", ".tune-runs/o")


@bad("--resume continues one run: name it with --output-dir")
def a_resume_of_nothing(quick: Quick) -> Words:
    return ("calibrate", "run", "--resume")


@bad("/.tune-runs/oo holds no run to resume: ")
def a_resume_of_a_mistyped_directory(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    return ("calibrate", "run", "--resume", "--output-dir", ".tune-runs/oo")


@bad("/o has 2 repeats; --repeats cannot change that on --resume")
def a_resume_with_other_repeats(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    return ("calibrate", "run", "--resume", "--repeats", "3", "--output-dir", ".tune-runs/o")


@bad("--stages names other stages than the run that is resumed")
def a_resume_with_other_stages(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    return ("calibrate", "run", "--resume", "--stages", "b", "--output-dir", ".tune-runs/o")


@bad("/o is a run of model other, not of quick")
def a_resume_of_another_model(quick: Quick) -> Words:
    old_run(quick.runs / "o", model="other")
    return ("calibrate", "run", "--resume", "--model", "quick", "--output-dir", ".tune-runs/o")


@bad("/o is a run of model other, which is not in ", "/quick/models")
def a_resume_of_a_model_that_went(quick: Quick) -> Words:
    old_run(quick.runs / "o", model="other")
    return ("calibrate", "run", "--resume", "--output-dir", ".tune-runs/o")


@bad("stage c_wer of ", "/o is no longer in stages.yaml; start a new run")
def a_resume_of_a_stage_that_went(quick: Quick) -> Words:
    old_run(quick.runs / "o", [*STAGES, "c_wer"])
    return ("calibrate", "run", "--resume", "--output-dir", ".tune-runs/o")


@bad("/o/plan.json:1:7: expecting value")
def a_resume_of_half_a_plan(quick: Quick) -> Words:
    (old_run(quick.runs / "o") / "plan.json").write_text('{"a": ')
    return ("calibrate", "run", "--resume", "--output-dir", ".tune-runs/o")


@bad("commit 0123456789abcdef0123456789abcdef01234567 is not in ")
def a_resume_of_an_unknown_commit(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    return ("calibrate", "run", "--resume", "--output-dir", ".tune-runs/o")


@bad("a run on another host is named by its absolute path: --run-dir HOST:/path")
def a_relative_path_on_a_host(quick: Quick) -> Words:
    profile(quick, "ssh: {host: h}\n")
    return ("calibrate", "audit", "--run-dir", "h20-a:x/y")


@bad("models/quick/stages.yaml:2: ")
def an_audit_by_a_broken_manifest(quick: Quick) -> Words:
    old_run(quick.runs / "o")
    quick.manifest.write_text("a: [\n")
    return ("calibrate", "audit", "--run-dir", "o")


@bad("no run found in ", "/quick/.tune-runs; name one with --run-dir")
def an_audit_of_nothing(quick: Quick) -> Words:
    return ("calibrate", "audit")


def check(words: Words, said: tuple[str, ...], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """One line on stderr, nothing on stdout, exit 2: at the descriptors, where a terminal would be."""
    code = main(words)
    out, err = capfdbinary.readouterr()
    line = err.decode()
    assert (code, out) == (2, b""), line
    assert line.startswith("gatewatch: error: ")
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert [part for part in said if part not in line] == [], line


@pytest.mark.parametrize("name", CASES)
def test_bad_input(
    name: str,
    quick: Quick,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    words = CASES[name].prepare(quick)
    monkeypatch.chdir(quick.folder)
    before = tree(tmp_path)
    for asked in (words, (*words, "--json")):
        check(asked, CASES[name].said, capfdbinary)
    assert tree(tmp_path) == before


PLANS = {
    "half": ('{"model": "quick"', "/plan.json:1:18: expecting ',' delimiter"),
    "empty": ("", "/plan.json:1:1: empty"),
    "a list": ("[]", "/plan.json: expected a JSON object, got a list"),
    "wrong type": (json.dumps({"model": "quick", "stages": ["a_wer"], "repeats": "five"}), "repeats: expected a whole"),
    "NaN": ('{"model": "quick", "repeats": NaN}', '/plan.json:1:31: NaN is not JSON (at "repeats")'),
    "a way out": (json.dumps({"model": "quick", "stages": ["../x"], "repeats": 1}), "stages[0]: a stage's name starts"),
    "another model": (
        json.dumps({"model": "other", "stages": ["a_wer"], "repeats": 1}),
        "is a run of model other, not of",
    ),
}


@pytest.mark.parametrize("word", ["audit", "status"])
@pytest.mark.parametrize("plan", PLANS)
def test_a_run_directory_with_a_bad_plan(
    word: str, plan: str, quick: Quick, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    content, said = PLANS[plan]
    run = old_run(quick.runs / "o")
    (run / "plan.json").write_text(content)
    monkeypatch.chdir(quick.folder)
    before = tree(quick.folder)
    check(("calibrate", word, "--run-dir", "o", "--model", "quick"), (said,), capfdbinary)
    assert tree(quick.folder) == before


@pytest.mark.parametrize("word", ["audit", "status", "stop"])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere", "/nowhere: no such run directory"),
        (".tune-runs/file", "/file is a file; a run directory is a folder with plan.json"),
        ("folder", "/folder holds no plan.json, so it is not a run directory"),
        ("pytest.ini", "/pytest.ini is a file"),
        ("", "empty target; expected a path or HOST:PATH"),
    ],
)
def test_no_run_directory(
    word: str,
    place: str,
    said: str,
    quick: Quick,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    (quick.runs / "folder").mkdir(parents=True)
    (quick.runs / "file").write_text("")
    monkeypatch.chdir(quick.folder)
    before = tree(quick.folder)
    check(("calibrate", word, "--run-dir", place), (said,), capfdbinary)
    assert tree(quick.folder) == before


@pytest.mark.parametrize("plan", ["link", "folder"])
def test_a_plan_that_is_no_file(
    plan: str, quick: Quick, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = old_run(quick.runs / "o") / "plan.json"
    path.unlink()
    path.mkdir() if plan == "folder" else path.symlink_to("nowhere")
    monkeypatch.chdir(quick.folder)
    check(("calibrate", "audit", "--run-dir", "o"), ("cannot read ", "/o/plan.json: not "), capfdbinary)


@pytest.mark.parametrize("variable", ["TUNE_VENV_PYTHON", "TUNE_HOST"])
def test_an_environment_that_names_what_is_not_there(
    variable: str, quick: Quick, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    profile(quick, "repo_root: /x\n")
    monkeypatch.setenv(variable, "/nope")
    monkeypatch.chdir(quick.folder)
    said = {"TUNE_VENV_PYTHON": "(from $TUNE_VENV_PYTHON)", "TUNE_HOST": "$TUNE_HOST /nope: no such profile"}
    check(RUN, (said[variable],), capfdbinary)


def test_stopping_what_does_not_run_changes_nothing(quick: Quick) -> None:
    old_run(quick.runs / "o")
    before = tree(quick.folder)
    done = quick.gatewatch("calibrate", "stop", "--run-dir", "o", "--json")
    assert (done.code, done.out) == (1, b"")
    assert done.said == f"gatewatch: error: no runner is at work in {quick.runs / 'o'}\n"
    assert tree(quick.folder) == before


def test_a_folder_that_may_not_be_written(
    anybody: None, quick: Quick, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    quick.runs.mkdir(mode=0o500)
    monkeypatch.chdir(quick.folder)
    check((*RUN, "--output-dir", ".tune-runs/x"), ("/.tune-runs cannot be written",), capfdbinary)


def test_a_stranger_in_the_place_of_a_room(quick: Quick) -> None:
    stranger = quick.folder / "jobs"
    stranger.mkdir()
    (stranger / "__init__.py").write_text("raise SystemExit('the stranger ran')\n")
    # As an installed gatewatch is started: the current folder is not on the path, PYTHONPATH is.
    code = f"import sys; sys.path.append({str(ROOT)!r}); import gatewatch; sys.exit(gatewatch.main())"
    words = [sys.executable, "-c", code, "calibrate", "audit", "--json"]
    env = {**os.environ, "PYTHONPATH": str(quick.folder), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(words, cwd=quick.folder, env=env, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"its package 'jobs' would be imported from '{stranger}'" in done.stderr
