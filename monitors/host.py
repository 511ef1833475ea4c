"""Folds what a host tells of itself: accelerators, load, and a short history of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from hosts.host import Accelerators, Load, Observation, Wants
from monitors.snapshot import Now, Progress, Seen, Snapshot, State

HISTORY = 60
"""Looks that are kept for a sparkline."""


@dataclass(frozen=True)
class HostBody:
    """What a host has, and how busy it is.

    Attributes:
        accelerators: At the last good look; None before there was one.
        load: Likewise.
        memory: Share of memory used by GPU index, 0 to 1, oldest first; None where it was not known.
        busy: One-minute load average by core, oldest first.
    """

    accelerators: Accelerators | None = None
    load: Load | None = None
    memory: Mapping[int, tuple[float | None, ...]] = field(default_factory=lambda: MappingProxyType({}))
    busy: tuple[float | None, ...] = ()


class HostMonitor:
    """Watches a host itself.

    Args:
        name: What the host is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def sniff(self, names: frozenset[str]) -> int:
        """A host is no folder."""
        return 0

    def wants(self, previous: Snapshot[HostBody] | None) -> Wants:
        """Accelerators and load."""
        return Wants(accelerators=True, load=True)

    def fold(self, previous: Snapshot[HostBody] | None, seen: Observation, now: Now) -> Snapshot[HostBody]:
        """The snapshot after one more look; a part that could not be read keeps its last value and is named."""
        before = previous.body if previous is not None else HostBody()
        errors = [f"{part}: {seen.errors[part]}" for part in ("accelerators", "load") if part in seen.errors]
        devices = seen.accelerators
        body = replace(
            before,
            accelerators=devices if devices is not None else before.accelerators,
            load=seen.load if seen.load is not None else before.load,
            memory=_with_memory(before.memory, devices),
            busy=(*before.busy, _busy(seen.load))[-HISTORY:],
        )
        blind = devices is None and seen.load is None
        last = previous.seen if blind and previous is not None else Seen(seen.at, seen.received)
        state = State.BLIND if blind else State.RUNNING
        error = "; ".join(errors) or ("nothing was seen of the host" if blind else None)
        return Snapshot(self._name, state, last, Progress(None, None), None, (), (), (), error, body)


def _with_memory(
    before: Mapping[int, tuple[float | None, ...]], seen: Accelerators | None
) -> Mapping[int, tuple[float | None, ...]]:
    if seen is None:
        return before
    shares = {
        device.index: None
        if device.memory_used is None or not device.memory_total
        else min(1.0, device.memory_used / device.memory_total)
        for device in seen.devices
    }
    return MappingProxyType({index: (*before.get(index, ()), share)[-HISTORY:] for index, share in shares.items()})


def _busy(load: Load | None) -> float | None:
    if load is None or load.averages is None or not load.cores:
        return None
    return load.averages[0] / load.cores
