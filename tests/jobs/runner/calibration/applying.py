"""A checkout with five threshold files, a plan for all of them, and ways to cut an apply off."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gates.calibration.edits import Edit, FileEdits, digest, files_json, number_text
from gates.calibration.source import Number, literal, parse_all
from hosts.host import Json
from jobs.runner.calibration import replace
from jobs.runner.calibration.apply import apply, apply_status
from jobs.runner.calibration.sources import sources
from tests.jobs.runner import dying

FILES: Mapping[str, bytes] = {
    "tests/test_a.py": b"T = 3  # T = 3\nU = 0.5\n",
    "tests/test_b.py": b"T: float = (\r\n    1_800.0  # T = 1\r\n)\r\n",
    "tests/deep/limits.py": b"\xef\xbb\xbfT = -5.5e-2\n",
    "tests/deep/latin.py": b"# coding: latin-1\ns = '\xe9'; T = 0x10\n",
    "top.py": b"def test_it():\n\tT = 9\n\nT =- 7",
}
NEW: Mapping[str, bytes] = {
    "tests/test_a.py": b"T = 4  # T = 3\nU = 0.25\n",
    "tests/test_b.py": b"T: float = (\r\n    1801.5  # T = 1\r\n)\r\n",
    "tests/deep/limits.py": b"\xef\xbb\xbfT = -0.06\n",
    "tests/deep/latin.py": b"# coding: latin-1\ns = '\xe9'; T = 17\n",
    "top.py": b"def test_it():\n\tT = 9\n\nT =8",
}
VALUES: Mapping[str, Mapping[str, float]] = {
    "tests/test_a.py": {"T": 4, "U": 0.25},
    "tests/test_b.py": {"T": 1801.5},
    "tests/deep/limits.py": {"T": -0.06},
    "tests/deep/latin.py": {"T": 17},
    "top.py": {"T": 8},
}
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Bench:
    """The checkout and a run directory in it."""

    repo: Path
    run: Path

    @classmethod
    def make(cls, folder: Path) -> Bench:
        """Write and commit it all."""
        bench = cls(folder / "repo", folder / "repo" / ".tune-runs" / "r1")
        bench.run.mkdir(parents=True)
        for path, data in {**FILES, ".gitignore": b"/.tune-runs/\n", "other.py": b"T = 3\n"}.items():
            (bench.repo / path).parent.mkdir(parents=True, exist_ok=True)
            (bench.repo / path).write_bytes(data)
        (bench.repo / "tests/test_b.py").chmod(0o755)
        for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "x")):
            subprocess.run([*GIT, *command], cwd=bench.repo, check=True)
        return bench

    def plan(self, paths: Sequence[str] = tuple(FILES)) -> tuple[FileEdits, ...]:
        """What is to be written, from the files as they are."""
        asked: list[Json] = list(paths)
        found = parse_all(sources({"python": sys.executable, "repo": str(self.repo), "paths": asked}))
        planned = []
        for path in paths:
            facts = found[path]
            edits = []
            for symbol, value in VALUES[path].items():
                number = literal(facts, symbol)
                assert isinstance(number, Number)
                assert facts.mode is not None
                about = MappingProxyType({"stage": path, "source": symbol})
                new = number_text(value, number.text).encode()
                edits.append(Edit(number.start, number.end, number.text.encode(), new, about))
            assert facts.mode is not None
            planned.append(FileEdits(path, facts.sha256, facts.mode, facts.inode, tuple(edits)))
        return tuple(planned)

    def same(self, planned: Sequence[FileEdits]) -> tuple[FileEdits, ...]:
        """The plan for files that hold what they held, but are other files by now: nobody need read them again."""
        return tuple(changed(one, inode=os.stat(self.repo / one.path).st_ino) for one in planned)

    def payload(self, planned: Sequence[FileEdits] | None = None, **more: Any) -> dict[str, Json]:
        """For the apply verb."""
        files = self.plan() if planned is None else planned
        what: dict[str, Json] = {"run_dir": str(self.run), "repo": str(self.repo), "python": sys.executable}
        return {**what, "files": files_json(files), "shown_sha256": digest(files), "who": {"name": "o"}, **more}

    def apply(self, planned: Sequence[FileEdits] | None = None, **more: Any) -> dict[str, Any]:
        return _object(apply(self.payload(planned, **more)))

    def act(self, action: str) -> dict[str, Any]:
        """Finish or roll back."""
        return _object(apply({"run_dir": str(self.run), "action": action}))

    def status(self) -> dict[str, Any]:
        return _object(apply_status({"run_dir": str(self.run)}))

    def files(self) -> dict[str, bytes]:
        """The planned files as they are."""
        return {path: (self.repo / path).read_bytes() for path in FILES}

    def tree(self) -> dict[str, tuple[int, bytes]]:
        """Everything in the checkout but the run: mode and bytes, of git's own files too."""
        found = {}
        for path in sorted(self.repo.rglob("*")):
            name = path.relative_to(self.repo).as_posix()
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and not name.startswith(".tune-runs/"):
                found[name] = (stat.S_IMODE(status.st_mode), path.read_bytes())
        return found

    def mixed(self) -> bool:
        """Whether a planned file holds neither its old nor its new bytes."""
        return any(data not in (FILES[path], NEW[path]) for path, data in self.files().items())

    def killed(self, payload: Json, step: int, *, torn: bool = False) -> bool:
        """Apply in a process that ends without a word right before its n-th change of the disk; False: it lived."""
        child = os.fork()
        if child == 0:
            try:
                _die(payload, step, torn)
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        assert os.WEXITSTATUS(status) == 0, "the apply failed by itself"
        return False


def _die(payload: Json, step: int, torn: bool) -> None:
    os.environ.update(FAST_DIE_WHO="apply", FAST_DIE_AT=str(step))
    os.environ.pop("FAST_DIE_ONCE", None)
    os.environ.update({"FAST_DIE_TORN": "1"} if torn else {})
    dying.arm("apply")
    plain = replace.exchange

    def exchange(one: str, other: str, folder: int) -> bool:
        os.kill(os.getpid(), 0)  # counts as a step
        return plain(one, other, folder)

    replace.exchange = exchange
    apply(payload)
    os._exit(0)


def _object(answer: Json) -> dict[str, Any]:
    assert isinstance(answer, dict)
    return answer
