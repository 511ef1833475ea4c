"""Where a runner keeps its own things in a run directory, whatever the system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ATTEMPT_MARK = "GATEWATCH_ATTEMPT"
RUN_MARK = "GATEWATCH_RUN"
RUNS = ".tune-runs"  # where run directories are made in a repository


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
    def starting(self) -> Path:
        """Held (`flock`) by whoever starts a runner here, until that runner holds the lock."""
        return self.ours / "starting"

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
