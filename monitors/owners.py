"""Which run, and which stage of it, a process on an accelerator belongs to: by marks and folders, never by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from hosts.host import Accelerators, GpuProcess

RUN = "GATEWATCH_RUN="
ATTEMPT = "GATEWATCH_ATTEMPT="


def _nowhere(relative: str) -> str | None:
    return None


@dataclass(frozen=True)
class KnownRun:
    """A run that is watched on a host, and what its processes are known by.

    Attributes:
        watch: What it is called.
        root: Its directory there, absolute; "" where that is not known.
        run_id: What its processes carry as their run, None where nobody gave them anything to carry.
        stages: The name of what runs, by the token that its processes carry as their attempt.
        place: The name of what runs, by the `--basetemp` of a pytest relative to `root`, or None.
    """

    watch: str
    root: str = ""
    run_id: str | None = None
    stages: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    place: Callable[[str], str | None] = _nowhere


@dataclass(frozen=True)
class Whose:
    """The run that a process belongs to, and the stage of it, None where that is not known."""

    watch: str
    stage: str | None


def owners(accelerators: Accelerators | None, runs: Sequence[KnownRun]) -> Mapping[int, Whose]:
    """The run of each process on these accelerators by its pid; those of nobody that is known are left out."""
    found: dict[int, Whose] = {}
    for device in accelerators.devices if accelerators is not None else ():
        for process in device.processes or ():
            whose = belongs(process, runs)
            if whose is not None:
                found[process.pid] = whose
    return MappingProxyType(found)


def belongs(process: GpuProcess, runs: Sequence[KnownRun]) -> Whose | None:
    """The run of one process; a mark counts before the folder that it works in."""
    run_id, token = _mark(process, RUN), _mark(process, ATTEMPT)
    for run in runs:
        if run_id is not None and run_id == run.run_id:
            return Whose(run.watch, run.stages.get(token or "") or _placed(run, process))
    for run in runs:
        if None in (run_id, run.run_id) and _below(run, process) is not None:
            return Whose(run.watch, _placed(run, process))
    return None


def _mark(process: GpuProcess, name: str) -> str | None:
    return next((mark[len(name) :] for mark in process.marks or () if mark.startswith(name)), None)


def _placed(run: KnownRun, process: GpuProcess) -> str | None:
    relative = _below(run, process)
    return None if relative is None else run.place(relative)


def _below(run: KnownRun, process: GpuProcess) -> str | None:
    prefix = run.root.rstrip("/") + "/"
    if not run.root or process.basetemp is None or not process.basetemp.startswith(prefix):
        return None
    return process.basetemp[len(prefix) :]
