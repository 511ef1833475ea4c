"""Where the runner keeps things in a run directory. What readers need is in `gates.calibration.layout`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ATTEMPT_MARK = "GATEWATCH_ATTEMPT"
RUN_MARK = "GATEWATCH_RUN"


@dataclass(frozen=True)
class RunPlaces:
    """The fixed places of one run directory (absolute)."""

    root: Path

    @property
    def ours(self) -> Path:
        """`.gatewatch/`: what the runner needs and nobody else reads."""
        return self.root / ".gatewatch"

    @property
    def lock(self) -> Path:
        return self.ours / "lock"

    @property
    def job(self) -> Path:
        return self.ours / "job.json"

    @property
    def inbox(self) -> Path:
        return self.ours / "inbox"

    @property
    def runner_log(self) -> Path:
        return self.ours / "runner.log"

    @property
    def last_words(self) -> Path:
        return self.ours / "last-words"

    @property
    def journal(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def milestones(self) -> Path:
        return self.root / "run.log"

    @property
    def discarded(self) -> Path:
        return self.root / "_discarded"

    def image(self, sha256: str) -> Path:
        """Where the runner itself lies."""
        return self.ours / f"gatewatch-runner-{sha256[:16]}.pyz"

    def relative(self, path: Path) -> str:
        """`path` relative to the run, for records."""
        return path.relative_to(self.root).as_posix()


@dataclass(frozen=True)
class RepeatPlaces:
    """The files of one repeat of one unit, below `_pytest/<unit>/`."""

    folder: Path
    repeat: int

    @property
    def log(self) -> Path:
        return self.folder / f"run{self.repeat}.log"

    @property
    def basetemp(self) -> Path:
        return self.folder / f"basetemp_run{self.repeat}"

    @property
    def rc(self) -> Path:
        """Written by the shim when pytest has ended: `{token, rc, started_at, ended_at, duration_s}`."""
        return self.folder / f"run{self.repeat}.rc"

    @property
    def attempt(self) -> Path:
        """Written before a launch: token, number, history. The disk's word on what was intended."""
        return self.folder / f"run{self.repeat}.attempt.json"

    @property
    def started(self) -> Path:
        """Written by the shim once pytest runs: its ProcRef."""
        return self.folder / f"run{self.repeat}.started.json"

    @property
    def alive(self) -> Path:
        """Held (`flock`) by shim and pytest for as long as either lives."""
        return self.folder / f"run{self.repeat}.alive"

    def old_log(self, attempt: int) -> Path:
        """The log of an earlier attempt."""
        return self.folder / f"run{self.repeat}.attempt{attempt}.log"
