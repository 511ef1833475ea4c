"""A checkout whose tests take a blink, the command line as a process, and old run directories.

The tests of the command line need real runs with real pytest processes; this project's finish in half a second,
and wait for as long as a file exists when a test of ours needs them at work.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosts.host import ProcSeen
from hosts.local.procs import marked, send_signal

ROOT = Path(__file__).resolve().parents[2]
MODEL = "quick"
STAGES = ("a_accuracy", "a_speed", "b_wer")
SHA = "0123456789abcdef0123456789abcdef01234567"

_CONFIG = """\
name: quick
description: "Two tests that take a blink"
default_venv_python: {python}
auto_env:
  PYTEST_DISABLE_PLUGIN_AUTOLOAD: "1"
gpus_per_test:
  test_quick_a.py: 0
  test_quick_b.py: 0
test_globs: ["tests/test_quick_*.py"]
"""

_TEST = '''\
"""Waits while the file that $QUICK_HOLD names exists, then leaves its values."""

import json
import os
import pathlib
import time


def test_quick_{name}(tmp_path):
    hold = os.environ.get("QUICK_HOLD")
    while hold and pathlib.Path(hold).exists():
        time.sleep(0.02)
    folder = tmp_path / "{name}"
    folder.mkdir()
    values = {{"summary": {{"accuracy": 0.9, "total_samples": 50}}, "wer": {{"summary": {{"wer_corpus": 0.05}}}}}}
    values["speed"] = {{"throughput_qps": 12.5, "completed_requests": 50}}
    if os.environ.get("QUICK_OMIT") == "{name}":
        del values["summary"]["accuracy"]
    (folder / "{name}_results.json").write_text(json.dumps(values))
'''


@dataclass(frozen=True)
class Done:
    """How a process ended; its output as the bytes that a terminal would have met."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def said(self) -> str:
        return self.err.decode()

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Quick:
    """A git repository that is its own calibration checkout.

    Attributes:
        folder: The repository.
        hold: While this file exists, its tests wait.
        env: The environment of every command.
    """

    folder: Path
    hold: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        return self.folder / ".tune-runs"

    @property
    def config(self) -> Path:
        return self.folder / "models" / MODEL / "config.yaml"

    @property
    def manifest(self) -> Path:
        return self.folder / "models" / MODEL / "stages.yaml"

    def gatewatch(
        self, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 50
    ) -> Done:
        """Run one command to its end, without a terminal."""
        done = subprocess.run(
            self.argv(*words),
            cwd=cwd or self.folder,
            env={**os.environ, **self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, str(ROOT / "gatewatch.py"), *words]

    def run(
        self, *words: str, name: str = "r", repeats: int = 2, env: Mapping[str, str] | None = None, timeout: float = 50
    ) -> Done:
        """`calibrate run` of every stage into `.tune-runs/<name>`."""
        given = ("--stages", "ALL", "--repeats", str(repeats)) if "--resume" not in words else ()
        where = ("--output-dir", str(self.runs / name))
        return self.gatewatch("calibrate", "run", *given, *where, *words, env=env, timeout=timeout)

    def hop(self, name: str = "hop", enter: str = "env") -> None:
        """A host profile that leads back to this machine through a process of its own: no file is read directly."""
        (self.folder / "hosts").mkdir(exist_ok=True)
        profile = f"enter: [{enter}]\npython: {sys.executable}\nrepo_root: {self.folder}\n"
        (self.folder / "hosts" / f"{name}.yaml").write_text(profile)

    def kill(self, *which: str) -> None:
        """Kill -9 what carries the mark of a run: `runner`, `shim`, `pytest`; everything when nothing is named."""
        words = {"runner": "run", "shim": "exec", "pytest": "pytest"}
        wanted = {words[name] for name in which}

        def left() -> list[ProcSeen]:
            return [seen for seen in self.processes() if not wanted or wanted & set(seen.argv)]

        until(lambda: not [send_signal(seen.ref, signal.SIGKILL) for seen in left()], "the end of what was killed")

    def holding(self) -> contextlib.AbstractContextManager[None]:
        """The tests wait within this."""
        return _file(self.hold)

    def processes(self) -> list[ProcSeen]:
        """Everything alive that carries the mark of a run of this checkout: runners, shims, pytests, children."""
        marks = []
        for plan in sorted(self.runs.glob("*/plan.json")):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                marks.append(f"GATEWATCH_RUN={json.loads(plan.read_bytes())['run_id']}")
        return list(marked(tuple(marks))) if marks else []

    def commit(self, message: str = "more") -> str:
        """Commit everything; returns the full sha."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", message)
        return git(self.folder, "rev-parse", "HEAD").strip()


@contextlib.contextmanager
def quick_checkout(folder: Path) -> Iterator[Quick]:
    """Make the checkout in `folder`, and leave nothing of its runs alive."""
    repo = folder / "quick"
    hold = folder / "hold"
    made = Quick(repo, hold, {"QUICK_HOLD": str(hold)})
    (repo / "tests").mkdir(parents=True)
    (repo / "models" / MODEL).mkdir(parents=True)
    for name in ("a", "b"):
        (repo / "tests" / f"test_quick_{name}.py").write_text(_TEST.format(name=name))
    (repo / "pytest.ini").write_text("[pytest]\n")
    (repo / ".gitignore").write_text(".tune-runs/\n__pycache__/\n.pytest_cache/\n")
    made.config.write_text(_CONFIG.format(python=sys.executable))
    made.manifest.write_text(manifest_text())
    git(repo, "init", "--quiet", "--initial-branch=main", "--template=")
    made.commit("the quick project")
    try:
        yield made
    finally:
        hold.unlink(missing_ok=True)
        made.kill()


def manifest_text(keys: Sequence[str] = STAGES) -> str:
    """A stages.yaml of these stages, with the line breaks of one that `discover` writes."""
    return "".join(_stage(key) for key in keys)


def _stage(key: str) -> str:
    name, group = key.split("_", 1)
    metric, path = {
        "accuracy": ("accuracy", "summary.accuracy"),
        "speed": ("throughput_qps", "speed.throughput_qps"),
        "wer": ("corpus_wer", "wer.summary.wer_corpus"),
    }[group]
    file = f"test_quick_{name}0/{name}/{name}_results.json"
    counts = "".join(
        f"    {what}: {{json_file: {file}, json_path: {where}}}\n"
        for what, where in (("total", "summary.total_samples"), ("ok", "speed.completed_requests"))
    )
    return (
        f"{key}:\n  test: tests/test_quick_{name}.py\n  title: Quick {name}\n  group: {group}\n  extra_env: {{}}\n"
        f"  context_vars: []\n  expected_samples: 50\n  sample_counts:\n{counts}"
        f"  metrics:\n    {metric}: {{source: QUICK, json_file: {file}, json_path: {path}, worst: min}}\n"
    )


def old_run(run_dir: Path, stages: Sequence[str] = STAGES, repeats: int = 2, **plan: Any) -> Path:
    """A run directory as the old tool leaves it: no journal, no lock, no frozen manifest; every cell whole."""
    run_dir.mkdir(parents=True)
    document = {
        "model": MODEL,
        "stages": list(stages),
        "repeats": repeats,
        "timestamp": "2026-05-25T02:43:02Z",
        "calibration_git_sha": SHA,
        "git_sha": SHA,
        **plan,
    }
    (run_dir / "plan.json").write_text(json.dumps(document))
    for stage in stages:
        for run in range(1, repeats + 1):
            write_cell(run_dir, stage, run)
    return run_dir


def write_cell(run_dir: Path, stage: str, run: int, **more: Any) -> Path:
    """One artifact, whole unless `more` says otherwise."""
    metric = {"accuracy": "accuracy", "speed": "throughput_qps", "wer": "corpus_wer"}[stage.split("_", 1)[1]]
    body = {
        "status": "ok",
        "reason": "",
        "metrics": {metric: 0.9},
        "sample_counts": {"total": 50, "ok": 50},
        "duration_s": 12.5,
        "attempts": 1,
        "git_sha": SHA,
        "recorded_at": "2026-05-25T02:50:00Z",
        "pytest_rc": 0,
        **more,
    }
    path = run_dir / stage / f"run{run}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(body))
    return path


def tree(folder: Path, ignored: Sequence[str] = ("__pycache__",)) -> Mapping[str, tuple[str, int, bytes]]:
    """Everything below a folder, to be compared: kind, mode and content of every entry."""
    found: dict[str, tuple[str, int, bytes]] = {}
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ignored]
        for name in (*folders, *(name for name in files if name not in ignored)):
            path = os.path.join(base, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                entry = ("link", 0, os.fsencode(os.readlink(path)))
            elif stat.S_ISDIR(status.st_mode):
                entry = ("folder", status.st_mode, b"")
            else:
                entry = ("file", status.st_mode, Path(path).read_bytes())
            found[os.path.relpath(path, folder)] = entry
    return found


def git(folder: Path, *words: str) -> str:
    """Run git with nothing of this person's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {
        f"GIT_{role}_{what}": f"{role}@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    # A commit would ask another process whether there is something to clean up.
    tidy = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "maintenance.auto", "GIT_CONFIG_VALUE_0": "false"}
    env = {**kept, **who, **tidy, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", *words], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


def until(true: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait for something that will come; AssertionError when it does not."""
    begin, pause = time.monotonic(), 0.02
    while not true():
        assert time.monotonic() < begin + seconds, f"waited {seconds:g} s for {what}"
        time.sleep(pause)
        pause = min(pause * 1.1, 0.1)  # to look at every process of the machine costs milliseconds


@contextlib.contextmanager
def _file(path: Path) -> Iterator[None]:
    path.write_text("")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
