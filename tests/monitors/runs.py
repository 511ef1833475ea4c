"""Run directories as files, and real looks at them."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gates.journal import Event, encode_event
from hosts.host import Cursor, Observation, ProcRef
from hosts.local.observe import Observer
from hosts.local.procs import proc_ref_json
from monitors.calibration import LAST_WORDS, LOCK, Calibration, CalibrationMonitor
from monitors.snapshot import Now, Snapshot

SHA = "ffea71b6ef7ee164858d25b7edad4592a4091752"
AT = 1_779_676_982.0


def stage_data(test: str = "tests/test_a.py", **more: Any) -> dict[str, Any]:
    where = {"json_file": "r.json", "json_path": "a.b"}
    metric = {"source": "A_MIN", "worst": "min", "status": "OK", **where}
    return {
        "test": test,
        "title": "A",
        "group": "accuracy",
        "expected_samples": 50,
        "sample_counts": {"total": where, "ok": where},
        "metrics": {"accuracy": metric},
        **more,
    }


def cell_data(**more: Any) -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": "",
        "metrics": {"accuracy": 0.61},
        "sample_counts": {"total": 50, "ok": 50},
        "duration_s": 100.0,
        "git_sha": SHA,
        **more,
    }


@dataclass
class RunFolder:
    """A run directory that tests write by hand, file by file."""

    root: Path
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0

    @classmethod
    def make(cls, folder: Path) -> RunFolder:
        """A new one in `folder`."""
        run = cls(folder / "run")
        run.root.mkdir()
        return run

    def write(self, name: str, data: Any) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(content)
        os.replace(new, path)

    def plan(self, stages: tuple[str, ...] = ("a", "b"), repeats: int = 2, **more: Any) -> None:
        units = [{"key": "test_a", "test": "tests/test_a.py", "stages": list(stages)}]
        body = {"model": "m", "stages": list(stages), "repeats": repeats, "calibration_git_sha": SHA, "units": units}
        self.write("plan.json", {**body, "run_id": self.run_id, **more})
        self.write("stages.yaml", {stage: stage_data() for stage in stages})

    def cell(self, stage: str, run: int, **more: Any) -> None:
        self.write(f"{stage}/run{run}.json", cell_data(**more))

    def note(self, kind: str, **data: Any) -> None:
        self.number += 1
        event = Event(f"id{self.number}", self.number, {}, "2026-05-25T02:43:02Z", kind, data)
        with (self.root / "events.jsonl").open("ab") as file:
            file.write(encode_event(event))

    def lock(self, ref: ProcRef) -> None:
        body = {"holder": proc_ref_json(ref), "nonce": "n", "counter": 1, "at": "2026-05-25T02:43:02Z"}
        self.write(LOCK, body)

    def words(self, text: str) -> None:
        self.write(LAST_WORDS, text.encode().ljust(4096))


@dataclass
class Watch:
    """A monitor that looks for real, from look to look."""

    monitor: CalibrationMonitor
    observer: Observer = field(default_factory=Observer)
    cursor: Cursor | None = None
    last: Snapshot[Calibration] | None = None
    now: float = AT
    change: Callable[[Observation], Observation] = field(default=lambda seen: seen)

    def observe(self) -> Observation:
        seen = self.observer.observe(self.monitor.wants(self.last), self.cursor, "box")
        self.cursor = seen.cursor
        return self.change(replace(seen, at=self.now, received=self.now))

    def look(self, times: int = 2) -> Snapshot[Calibration]:
        """Look so often: the first look finds the run's processes, the second looks at them."""
        for _ in range(times):
            self.last = self.monitor.fold(self.last, self.observe(), Now(self.now))
        assert self.last is not None
        return self.last

    @classmethod
    def of(cls, run: RunFolder, **more: Any) -> Watch:
        return cls(CalibrationMonitor(str(run.root), **more))
