"""Runs as the screens are given them: a real run directory, a real look at it, and processes that a test makes up.

    bench = RunBench.make(tmp_path)         # 25 stages x 5, nothing has run yet
    bench.begin()                           # a runner lives
    bench.observed("mmmu", 5)               # five whole repeats of a unit
    bench.start("mmsu_talker", 2)           # its pytest runs, and says a little in its log
    place, look = bench.place(), bench.look()

The clock of all that is `bench.now`; whoever makes pictures hands it to the app as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gates.journal import Event, encode_event
from hosts.connection import Connection
from hosts.here import LocalReader
from hosts.host import (
    Accelerators,
    GpuDevice,
    GpuProcess,
    Load,
    Observation,
    ProcRef,
    ProcSeen,
    ProcsSeen,
    PytestSeen,
)
from hosts.local.files import utc_now
from jobs.calibration.locate import Watched
from monitors.calibration import RUN_MARK, Calibration
from monitors.host import HostBody, HostMonitor
from monitors.owners import KnownRun
from monitors.snapshot import Now, Snapshot, State
from tests.monitors.runs import AT, SHA, RunFolder, Watch
from tui.screens.subject import RunLook, RunPlace

WATCH = "run-1"
RUNNER = ProcRef("h20-a", "boot", 4001, 90, 4001)
PYTEST = ProcRef("h20-a", "boot", 4711, 99, 4711)
UNITS: Mapping[str, tuple[str, ...]] = {
    "mmmu": ("mmmu_accuracy", "mmmu_speed"),
    "mmmu_talker": ("mmmu_talker_accuracy", "mmmu_talker_wer", "mmmu_talker_speed"),
    "mmsu": ("mmsu_accuracy", "mmsu_speed"),
    "mmsu_talker": ("mmsu_talker_accuracy", "mmsu_talker_wer", "mmsu_talker_speed"),
    "tts": ("tts_wer", "tts_speed"),
    "videoamme": ("videoamme_accuracy", "videoamme_speed"),
    "videoamme_talker": ("videoamme_talker_accuracy", "videoamme_talker_wer", "videoamme_talker_speed"),
    "videoamme_talker_tp2": ("videoamme_talker_tp2_accuracy", "videoamme_talker_tp2_wer", "videoamme_talker_tp2_speed"),
    "videomme": ("videomme_accuracy", "videomme_speed"),
    "videomme_talker": ("videomme_talker_accuracy", "videomme_talker_wer", "videomme_talker_speed"),
}
"""Units and their stages, as those of a real run: 25 stages."""


class FarReader(LocalReader):
    """This machine, as one to which there is a way."""

    def __init__(self, name: str, way: Connection) -> None:
        super().__init__(name)
        self.connection = way


@dataclass
class RunBench:
    """One run that a test writes, and whoever looks at it.

    Attributes:
        folder: The run directory.
        units: Its units, and the stages of each.
        now: Far clock and ours, seconds since the epoch.
        silent: Seconds since the newest file was written.
        runner: Whether the holder of the lock lives.
        pytests: What `ps` shows of other programs; None where it was not seen.
        asked: How often a look was asked for.
        way: How the way to its host stands; None where none is needed.
    """

    folder: RunFolder
    watch: Watch
    units: Mapping[str, tuple[str, ...]]
    repeats: int
    now: float = AT
    silent: float = 2.0
    runner: bool = False
    active: bool = False
    pytests: tuple[PytestSeen, ...] | None = ()
    node: str = "h20-a"
    asked: list[float] = field(default_factory=list)
    way: Connection | None = None

    @classmethod
    def make(
        cls, folder: Path, units: Mapping[str, tuple[str, ...]] = UNITS, repeats: int = 5, **plan: Any
    ) -> RunBench:
        """A run of which nothing has run yet. `plan` goes into plan.json."""
        run = RunFolder.make(folder)
        bench = cls(run, Watch.of(run), units, repeats)
        bench.watch.change = bench._seen
        listed = [{"key": key, "test": f"tests/test_{key}.py", "stages": list(some)} for key, some in units.items()]
        run.plan(bench.stages, repeats, **{"model": "qwen3-omni", "units": listed, **plan})
        return bench

    @property
    def stages(self) -> tuple[str, ...]:
        """All of them, in the order of the plan."""
        return tuple(stage for stages in self.units.values() for stage in stages)

    @property
    def root(self) -> Path:
        """The run directory."""
        return self.folder.root

    # What the runner would write.

    def note(self, kind: str, ago: float = 0.0, **data: Any) -> None:
        """One event, `ago` seconds old."""
        self.folder.number += 1
        event = Event(f"id{self.folder.number}", self.folder.number, {}, utc_now(self.now - ago), kind, data)
        with (self.root / "events.jsonl").open("ab") as file:
            file.write(encode_event(event))

    def say(self, line: str, ago: float = 0.0) -> None:
        """One milestone in run.log, `ago` seconds old."""
        with (self.root / "run.log").open("a", encoding="utf-8") as file:
            file.write(f"{utc_now(self.now - ago)} {line}\n")

    def begin(self, ago: float = 3600.0) -> None:
        """A runner of ours takes the run."""
        self.folder.lock(RUNNER)
        self.runner = True
        about = {"model": "qwen3-omni", "stages": list(self.stages), "repeats": self.repeats, "git_sha": SHA}
        self.note("run.started", ago, **about, units=list(self.units), runner="gatewatch-runner-1.pyz")
        self.say(f"RUN qwen3-omni: {len(self.stages)} stages, {self.repeats} repeats, commit {SHA}", ago)

    def past(self, unit: str, runs: int, ago: float, each: float = 160.0) -> None:
        """So many repeats of a unit, whole, one after the other; the last ended `ago` seconds ago."""
        self.observed(unit, runs)
        for run in range(1, runs + 1):
            ended = ago + (runs - run) * each
            self.start(unit, run, ended + each - 2)
            self.end(unit, run, ended, outcome="ok", rc=0, n=1, duration_s=each - 2)
            self.say(f"PASS {unit} {run}/{self.repeats} {each - 2:.1f} s", ended)

    def observed(self, unit: str, runs: int | range, **more: Any) -> None:
        """Whole repeats of a unit (all that are given, or 1 to so many); `more` goes into each artifact."""
        for run in range(1, runs + 1) if isinstance(runs, int) else runs:
            for place, stage in enumerate(self.units[unit]):
                told = {"duration_s": 150.0 + 4 * run + place, "metrics": {"accuracy": 0.6 + run / 100}, **more}
                self.folder.cell(stage, run, **told)

    def log(self, unit: str, run: int, data: bytes = b"") -> str:
        """Append to the log of a repeat; gives its path relative to the run directory."""
        name = f"_pytest/{unit}/run{run}.log"
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(data)
        return name

    def start(
        self, unit: str, run: int, ago: float = 60.0, data: bytes = b"collecting ... collected 12 items\n"
    ) -> str:
        """A pytest of this unit and repeat runs since `ago` seconds; gives its log's path."""
        name = self.log(unit, run, data)
        about = {"unit": unit, "run": run, "n": 1, "token": "t"}
        self.note("attempt.intended", ago, **about, gpus=[0, 1])
        self.note("attempt.started", ago, **about, log=name, stages=list(self.units[unit]))
        self.say(f"START {unit} {run}/{self.repeats} GPU 0,1 {name}", ago)
        self.active = True
        return name

    def end(self, unit: str, run: int, ago: float = 0.0, **data: Any) -> None:
        """That pytest has ended."""
        self.note("attempt.ended", ago, unit=unit, run=run, **data)
        self.active = False

    def die(self) -> None:
        """The runner and all that it started are gone; its lock is still there."""
        self.runner = self.active = False

    def leave(self, kind: str = "run.ended", **data: Any) -> None:
        """The runner ends in order and gives its lock up."""
        self.note(kind, **data)
        self.die()
        (self.root / ".gatewatch/lock").unlink(missing_ok=True)

    # What is seen.

    def _seen(self, seen: Observation) -> Observation:
        mark = f"{RUN_MARK}={self.folder.run_id}"
        live = [ProcSeen(RUNNER, ("python", "runner.pyz", "serve"), "S", (mark,))] if self.runner else []
        live += [ProcSeen(PYTEST, ("python", "-m", "pytest"), "R", (mark,))] if self.active else []
        dead = () if self.runner else (RUNNER,)
        return replace(
            seen,
            host=self.node,
            at=self.now,
            received=self.now,
            procs=ProcsSeen(tuple(live), dead, self.pytests, self.node),
        )

    def snapshot(self) -> Snapshot[Calibration]:
        """A look for real; files count as written `silent` seconds ago. An async test may call it as well."""
        for path in self.root.rglob("*"):
            os.utime(path, (self.now - self.silent, self.now - self.silent))
        self.watch.now = self.now
        self.watch.cursor = self.watch.last = None
        with ThreadPoolExecutor(1) as beside:  # looking blocks, which an event loop must not
            return beside.submit(self.watch.look).result()

    def look(self, host: Snapshot[HostBody] | None = None, **changed: Any) -> RunLook:
        """What the screens are given; `changed` replaces parts of the snapshot, such as `eta`."""
        return RunLook(replace(self.snapshot(), **changed), host)

    def blind(self, why: str, after: float, host: Snapshot[HostBody] | None = None) -> RunLook:
        """The last look, and nothing since `after` seconds."""
        known = self.watch.last or self.snapshot()
        self.now += after
        return RunLook(replace(known, state=State.BLIND, error=why), host)

    def place(self, *, title: str = "qwen3-omni r5", host: str = "h20-a", read_only: bool = True) -> RunPlace:
        """How the screens get to it: it lies on this machine, whatever it is called."""
        return RunPlace(
            watch=WATCH,
            title=title,
            watched=Watched(str(self.root), None, True, None, None),
            reader=LocalReader(host) if self.way is None else FarReader(host, self.way),
            host=host,
            read_only=read_only,
            connect=None,
            request=lambda: self.asked.append(self.now),
        )


def gpu(index: int, used: int | None = 0, total: int | None = 97_871, busy: int | None = 0, **more: Any) -> GpuDevice:
    """One accelerator; memory in MiB, `busy` in percent."""
    return GpuDevice(index, "NVIDIA H20-3e", f"GPU-{index}", used, total, busy, **more)


def host_look(
    devices: tuple[GpuDevice, ...] | None = (),
    load: Load | None = None,
    *,
    at: float = AT,
    history: Callable[[int], tuple[GpuDevice, ...]] | None = None,
    error: str | None = None,
) -> Snapshot[HostBody]:
    """What is seen of a host: no accelerator by default; None says that they could not be looked at.

    Args:
        history: The devices of eight earlier looks, by how many looks ago.
        error: The last look failed, and this is why.
    """
    load = load or Load((12.4, 11.0, 9.0), 64, 515_000, 401_000)
    monitor, last = HostMonitor("h20-a", runs=lambda: (KnownRun(WATCH, run_id="r"),)), None
    for ago in range(8 if history is not None else 0, -1, -1):
        some = history(ago) if history is not None and ago else devices
        seen = None if some is None else Accelerators(some, "nvml" if some else "none", "580.1", "13.0")
        last = monitor.fold(last, Observation("h20-a", at, at, 0.01, accelerators=seen, load=load), Now(at))
    assert last is not None
    return replace(last, state=State.BLIND, error=error) if error is not None else last


def eight_gpus(*, busy: tuple[int, ...] = (0, 1)) -> Snapshot[HostBody]:
    """A host of eight accelerators, of which those in `busy` are used."""
    held = (GpuProcess(PYTEST.pid, 72_000, "runner", "python", marks=("GATEWATCH_RUN=r",)),)

    def at(ago: int) -> tuple[GpuDevice, ...]:
        used = max(4_000, 72_700 - 9_000 * ago)
        return tuple(
            gpu(index, used - 1_900 * index, busy=98 - index, processes=held) if index in busy else gpu(index, 4)
            for index in range(8)
        )

    return host_look(at(0), history=at)
