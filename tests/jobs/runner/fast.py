"""The fast project, calibrated for real: its checkout, its runs, and what its own witness saw of them."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import marshal
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gates.calibration.audit import audit_lines
from gates.journal import Journal, decode_journal
from hosts.here import LocalReader
from hosts.host import Json, ProcRef, ProcSeen
from hosts.local.locks import read_holder
from hosts.local.procs import is_alive, marked
from jobs.bundle import build_image
from jobs.calibration.locate import find_run
from jobs.calibration.request import RunOptions, make_request
from jobs.calibration.site import find_site
from jobs.calibration.watch import Look, look
from jobs.runner.places import RUN_MARK, RunPlaces
from jobs.runner.verbs import verbs_with

TEMPLATE = Path(__file__).resolve().parents[2] / "projects" / "fast"
HOUSE = TEMPLATE.parents[2]
UNITS: Mapping[str, tuple[str, ...]] = {
    "test_fast_alpha_ci": ("alpha_accuracy", "alpha_speed"),
    "test_fast_beta_ci:one": ("beta_one_accuracy",),
    "test_fast_beta_ci:two": ("beta_two_accuracy",),
}
"""What the witness calls each unit, and the stages that it feeds."""

FOLDERS = ("test_fast_alpha_ci", "test_fast_beta_ci__one", "test_fast_beta_ci__two")
"""The units' folders below `_pytest/`, in the order in which they run."""

PATIENCE_S = 40.0

START = """
import json, sys
from tests.jobs.runner import dying
from tests.jobs.runner.fast import mortal_image
from jobs.runner.verbs import verbs_with
image, payload = mortal_image(), json.load(sys.stdin)
dying.arm("start")
verbs_with(lambda: image)["start"].run(payload)
"""
"""The start verb in a process of its own, with its payload on standard input; it can die (dying.py)."""


def until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, pause_s: float = 0.01) -> Any:
    """Poll until `true` gives something, and give it; fails with `what` when that takes too long."""
    end = time.monotonic() + patience_s
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < end, f"not within {patience_s:.0f} s: {what}"
        time.sleep(pause_s)


@dataclass(frozen=True)
class Witnessed:
    """One pytest as the project itself saw it: when it started and ended, monotonic; `end` None when it never did."""

    name: str
    token: str
    pid: int
    start: float
    end: float | None


@dataclass
class FastProject:
    """A copy of the template under git.

    Attributes:
        repo: The checkout, which is also the git repository.
        side: The witness's log.
        env: More variables for every job.
    """

    repo: Path
    side: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        folder: Path,
        config: str = "",
        script: Mapping[str, Sequence[str]] | None = None,
        batch_s: float = 0.01,
    ) -> FastProject:
        """Copy the template to `folder`, commit it, and point its witness to a place beside it.

        Args:
            config: More lines for config.yaml.
            script: How each launch behaves, see the template's conftest.py.
            batch_s: Each measurement takes four of these.
        """
        repo, side = folder / "repo", folder / "side.log"
        shutil.copytree(TEMPLATE, repo, ignore=shutil.ignore_patterns("__pycache__"))
        path = repo / "models/fast/config.yaml"
        env = f'auto_env:\n  FAST_SIDE: "{side}"\n  FAST_BATCH_S: "{batch_s}"\n'
        if script is not None:
            (folder / "script.json").write_text(json.dumps(script))
            env += f'  FAST_SCRIPT: "{folder / "script.json"}"\n'
        path.write_text(path.read_text().replace("auto_env:\n", env) + config)
        project = cls(repo, side)
        project.git("init", "-q", "-b", "main")
        project.commit("a project")
        return project

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@localhost", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *arguments], cwd=self.repo, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything; gives the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def run(self, name: str = "r", repeats: int = 1, stages: Sequence[str] = ("ALL",), max_passes: int = 10) -> FastRun:
        """A run directory of this project; nothing is started yet."""
        return FastRun(self, self.repo / ".tune-runs" / name, repeats, tuple(stages), max_passes)

    @property
    def hold(self) -> Path:
        """While it exists, a launch that is told "held" goes on and on."""
        return Path(f"{self.side}.hold")

    def witnessed(self) -> list[Witnessed]:
        """Every pytest that started, in order; fails when two were ever alive at a time by their own lock."""
        lines = [line.split() for line in self.side.read_text().splitlines()] if self.side.is_file() else []
        assert [line for line in lines if line[0] == "overlap"] == []
        ends = {(line[2], line[4]): float(line[3]) for line in lines if line[0] == "end"}
        return [
            Witnessed(name, token, int(pid), float(at), ends.get((token, pid)))
            for word, name, token, at, pid in lines
            if word == "start"
        ]

    def launches(self, name: str) -> int:
        """How often one repeat of one unit, `unit:repeat`, was started."""
        return sum(seen.name == name for seen in self.witnessed())


@dataclass
class FastRun:
    """One run directory of the project, started by the real verb, with the real runner as a process of its own."""

    project: FastProject
    root: Path
    repeats: int
    stages: tuple[str, ...]
    max_passes: int = 10

    @property
    def places(self) -> RunPlaces:
        return RunPlaces(self.root)

    @property
    def image(self) -> bytes:
        """The runner that start copies; it dies where the environment says so (dying.py)."""
        return mortal_image()

    def payload(self, resume: bool = False) -> dict[str, Json]:
        """What the start verb gets, made as the command line makes it."""
        site = find_site(str(self.project.repo), None, None)
        options = RunOptions(
            model="fast",
            stages=() if resume else self.stages,
            repeats=None if resume else self.repeats,
            output_dir=str(self.root),
            resume=resume,
            max_passes=self.max_passes,
            venv_python=sys.executable,
        )
        request = asyncio.run(make_request(site, options, LocalReader(), {}))
        assert isinstance(request.payload, dict)
        return request.payload

    def start(self, resume: bool = False) -> Json:
        """Call the start verb; returns when the runner holds the lock."""
        return verbs_with(lambda: self.image)["start"].run(self.payload(resume))

    def stop(self) -> None:
        """Call the stop verb."""
        verbs_with(lambda: self.image)["stop"].run({"run_dir": str(self.root)})

    def runner(self) -> ProcRef | None:
        """The runner that holds the lock and lives."""
        holder = read_holder(self.places.lock)
        return holder.ref if holder is not None and is_alive(holder.ref) else None

    def wait(self, patience_s: float = PATIENCE_S) -> None:
        """Until no process of this run is left."""
        until(lambda: not self.processes(), f"an end of {self.root}", patience_s, 0.1)

    def finish(self, resume: bool = False) -> None:
        """Start, or resume, and wait for the end."""
        self.start(resume)
        self.wait()

    def processes(self) -> list[ProcSeen]:
        """Every live process that carries this run's mark."""
        run_id = self.plan().get("run_id")
        return marked([f"{RUN_MARK}={run_id}"]) if isinstance(run_id, str) else []

    def plan(self) -> dict[str, Any]:
        """plan.json, empty while there is none."""
        try:
            plan = json.loads((self.root / "plan.json").read_bytes())
        except FileNotFoundError:
            return {}
        assert isinstance(plan, dict)
        return plan

    def journal(self) -> Journal:
        """events.jsonl."""
        return decode_journal(self.places.journal.read_bytes())

    def journal_or_none(self) -> Journal | None:
        """events.jsonl, or None while there is none."""
        return self.journal() if self.places.journal.exists() else None

    def events(self, *kinds: str) -> list[Mapping[str, Any]]:
        """The data of all events of these kinds."""
        return [event.data for event in self.journal().events if event.kind in kinds]

    def halted(self) -> Mapping[str, Any]:
        """Why the run ended before its end; fails when the journal's last event is another one."""
        last = self.journal().events[-1]
        assert last.kind == "run.halted", last
        return last.data

    def cell(self, stage: str, repeat: int = 1) -> dict[str, Any]:
        """run{k}.json of one stage."""
        body = json.loads((self.root / stage / f"run{repeat}.json").read_bytes())
        assert isinstance(body, dict)
        return body

    def cells(self) -> Iterator[tuple[str, int, Path]]:
        """Unit (as the witness calls it), repeat and path of every cell that the plan asks for."""
        for unit, stages in UNITS.items():
            for stage in stages:
                if self.stages == ("ALL",) or stage in self.stages:
                    for repeat in range(1, self.repeats + 1):
                        yield unit, repeat, self.root / stage / f"run{repeat}.json"

    def unit(self, folder: str = FOLDERS[0]) -> Path:
        """A unit's folder."""
        return self.root / "_pytest" / folder

    def discarded(self) -> list[str]:
        """What was moved aside, relative to each folder of `_discarded/`."""
        return sorted(
            path.relative_to(self.places.discarded).as_posix().split("/", 1)[1]
            for path in self.places.discarded.rglob("*")
            if path.is_file()
        )

    def look(self) -> Look:
        """What a screen would show."""
        return asyncio.run(look(LocalReader(), find_run(str(self.root), str(self.project.repo), None, None, None)))

    def audit(self, torn: bool = False) -> list[str]:
        """The audit as text; fails on a finding, since what the disk denies is a lost record.

        Args:
            torn: Lines of the journal that were cut short by a death are no surprise.
        """
        found = self.look().snapshot.body
        assert found.audit is not None
        assert found.audit.findings == ()
        assert found.run is not None
        assert [note for note in found.run.notes if not (torn and "not a JSON object" in note)] == []
        return audit_lines(found.audit)

    def said(self) -> str:
        """Everything that the runner left in words, for a failure's message."""
        logs = (self.places.milestones, self.places.runner_log)
        return "\n".join(path.read_text("utf-8", "replace") for path in logs if path.is_file())


@cache
def mortal_image() -> bytes:
    """The real image with a different first line: everything that matters in it is what travels."""
    dying = Path(__file__).with_name("dying.py").read_bytes()
    return image_with({"__main__.py": lambda source: b"import dying\n" + source, "dying.py": lambda _: dying})


def image_with(changes: Mapping[str, Callable[[bytes], bytes]]) -> bytes:
    """The real image, but for what is changed or added in it.

    Beside each source lies what this Python compiles it to, so that not every runner and shim does it again.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(build_image().data)) as real, zipfile.ZipFile(buffer, "w") as changed:
        there = real.namelist()
        for name in (*there, *(changes.keys() - there)):
            source = changes.get(name, bytes)(real.read(name) if name in there else b"")
            changed.writestr(name, source)
            changed.writestr(f"{name}c", _bytecode(source, name))
    return buffer.getvalue()


def _bytecode(source: bytes, name: str) -> bytes:
    """A .pyc that is not held against its source again (PEP 552)."""
    code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source) + code


def command(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line itself."""
    return subprocess.run(
        [sys.executable, str(HOUSE / "gatewatch.py"), *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=50,
    )
