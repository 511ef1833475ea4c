"""Where the files of one repeat lie. What readers of a run need is in `gates.calibration.layout`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
