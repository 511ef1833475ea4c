"""The accelerators of a host as rows of a table: each GPU and its MIG instances, and who holds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gates.calibration.layout import PYTEST
from hosts.host import Accelerators, GpuDevice, GpuProcess, MigDevice
from monitors.calibration.stages import stage_at
from monitors.host import GHOST_MIB, Skew
from monitors.owners import RUN
from tui.words import clock

HEADS = ("HOST", "GPU", "NAME", "BUSY", "MEMORY", "TEMP", "POWER", "HELD BY")
_MOST = 3  # processes of one GPU that are named on its row; --json has them all
_UNKNOWN = "?"


class Belongs(NamedTuple):
    """The run and the stage that a process says it works for, None where it does not.

    Attributes:
        run_dir: Absolute on its host.
        run_id: The run's own.
        stage: With the repeat, such as `test_a run 2`.
    """

    run_dir: str | None = None
    run_id: str | None = None
    stage: str | None = None

    @property
    def words(self) -> str:
        """As a person is told."""
        run = (self.run_dir or "").rstrip("/").rpartition("/")[2] or (f"run {self.run_id}" if self.run_id else "")
        return " · ".join(word for word in (run, self.stage) if word)


def belongs(process: GpuProcess) -> Belongs:
    """Whose a process is, by its mark and by the folder that its pytest works in; no run has to be known for that."""
    run_id = next((mark[len(RUN) :] for mark in process.marks or () if mark.startswith(RUN)), None)
    root, _, below = (process.basetemp or "").rpartition(f"/{PYTEST}/")
    stage = stage_at(f"{PYTEST}/{below}") if root else None
    return Belongs(root if stage else None, run_id, stage)


def gpu_rows(name: str, told: Accelerators | None, error: str, skew: Skew, now: float) -> Iterator[tuple[str, ...]]:
    """The rows of one host.

    Args:
        name: The host's.
        told: What it told of its accelerators.
        error: Why it told nothing.
        skew: Its clock against ours; times are shown by ours.
        now: Our clock, seconds since the epoch.
    """
    if told is None:
        yield (name, "-", "not told", *[""] * 4, error)
    elif not told.devices:  # why not has most room in the last column
        yield (name, "-", "none" if told.source == "none" else "unknown", *[""] * 4, told.detail)
    for device in told.devices if told is not None else ():
        yield (
            name,
            str(device.index),
            device.name or _UNKNOWN,
            _with(device.utilisation, "%"),
            _memory(device),
            _with(device.temperature, " °C"),
            _power(device),
            _held(device, skew, now),
        )
        for part in device.mig:
            yield (
                name,
                f"{device.index}:{part.index}",
                f"MIG {part.profile or _UNKNOWN}",
                "",
                _memory(part),
                "",
                "",
                "",
            )


def _with(value: float | None, unit: str) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}{unit}"


def _memory(one: GpuDevice | MigDevice) -> str:
    return f"{_gib(one.memory_used)}/{_gib(one.memory_total)}G"


def _gib(mib: int | None) -> str:
    return _UNKNOWN if mib is None else f"{mib / 1024:.1f}"


def _power(device: GpuDevice) -> str:
    limit = "" if device.power_limit is None else f"/{device.power_limit:.0f}"
    return _UNKNOWN if device.power is None else f"{device.power:.0f}{limit} W"


def _held(device: GpuDevice, skew: Skew, now: float) -> str:
    if device.processes is None:
        return "processes unknown"
    largest = sorted(device.processes, key=lambda process: -(process.memory or 0))
    shown = [_process(process, skew, now) for process in largest[:_MOST]]
    if len(device.processes) > _MOST:
        shown.append(f"+{len(device.processes) - _MOST} more")
    told = sum(process.memory or 0 for process in device.processes if process.gone)
    if device.ghost is not None and device.ghost - told > GHOST_MIB:
        shown.append(f"{_gib(device.ghost - told)}G held by nobody")
    return "; ".join(shown)


def _process(process: GpuProcess, skew: Skew, now: float) -> str:
    if process.gone:
        return f"{_gib(process.memory)}G of {process.pid}, which is gone"
    since = f"since {clock(process.since - skew.seconds, now)}" if process.since is not None else ""
    words = [str(process.pid), process.owner or "", f"{_gib(process.memory)}G", since, belongs(process).words]
    return " ".join(word for word in (*words, process.command or "") if word)
