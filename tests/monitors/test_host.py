from __future__ import annotations

import pytest

from hosts.host import Accelerators, GpuDevice, Load, Observation
from monitors.host import HISTORY, HostBody, HostMonitor
from monitors.snapshot import Now, Seen, Snapshot, State

LOAD = Load((4.0, 2.0, 1.0), 8, 64000, 32000)


def gpu(index: int, used: int | None, total: int | None = 80000) -> GpuDevice:
    return GpuDevice(index, "H100", f"GPU-{index}", used, total, 50)


def look(at: float, *devices: GpuDevice, load: Load | None = LOAD, **errors: str) -> Observation:
    found = None if "accelerators" in errors else Accelerators(devices, "nvml")
    return Observation("h", at, at + 1, 0.1, accelerators=found, load=load, errors=errors)


def fold(*seen: Observation) -> Snapshot[HostBody]:
    last: Snapshot[HostBody] | None = None
    for one in seen:
        last = HostMonitor("h").fold(last, one, Now(one.received))
    assert last is not None
    return last


def test_a_history_of_every_device() -> None:
    found = fold(look(1, gpu(0, 0), gpu(1, 40000)), look(2, gpu(0, 80000), gpu(1, None)))
    assert dict(found.body.memory) == {0: (0.0, 1.0), 1: (0.5, None)}
    assert found.body.busy == (0.5, 0.5)
    assert (found.state, found.error, found.seen) == (State.RUNNING, None, Seen(2, 3))


def test_a_history_has_an_end() -> None:
    found = fold(*(look(at, gpu(0, at * 100)) for at in range(2 * HISTORY)))
    assert len(found.body.memory[0]) == len(found.body.busy) == HISTORY
    assert found.body.memory[0][-1] == pytest.approx((2 * HISTORY - 1) / 800)


def test_a_device_that_went_is_not_shown_any_more() -> None:
    found = fold(look(1, gpu(0, 0), gpu(1, 0)), look(2, gpu(1, 0)))
    assert list(found.body.memory) == [1]


def test_what_could_not_be_read_keeps_its_last_value() -> None:
    found = fold(look(1, gpu(0, 8000)), look(2, accelerators="the driver hangs"))
    assert found.body.accelerators == Accelerators((gpu(0, 8000),), "nvml")
    assert (found.state, found.error) == (State.RUNNING, "accelerators: the driver hangs")
    blind = fold(look(1, gpu(0, 8000)), look(5, load=None, accelerators="gone"))
    assert (blind.state, blind.seen) == (State.BLIND, Seen(1, 2)), "its age is that of what is shown"


def test_what_a_tool_does_not_give_is_unknown() -> None:
    found = fold(look(1, gpu(0, 5, None), load=Load(None, None, None, None)))
    assert found.body.memory[0] == (None,)
    assert found.body.busy == (None,)
