"""`hosts gpus` looks a second time before it says that memory is held by nobody."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.errors import UnreachableError
from hosts.host import Accelerators, GpuDevice, GpuProcess, Observation, Wants
from tui.cli.hosts_gpus import Told, _look
from tui.cli.hosts_rows import gpu_rows

OURS = GpuProcess(7, 70_000, "op", "python")


def gpu(index: int, ghost: int | None, *processes: GpuProcess) -> GpuDevice:
    return GpuDevice(index, "H200", f"GPU-{index}", 70_600, 143_771, 0, processes=processes, ghost=ghost)


class Asked:
    """A host that tells these accelerators, one after the other; None where it does not answer."""

    name = "box"

    def __init__(self, *answers: Accelerators | None) -> None:
        self._answers = list(answers)
        self.looks = 0

    async def observe(self, want: Wants, *_: Any) -> Observation:
        if not want.accelerators:
            return Observation("box", 1000.0, 1000.0, 0.01)
        self.looks += 1
        told = self._answers.pop(0)
        if told is None:
            raise UnreachableError("no answer")
        return Observation("box", 1000.0, 1000.0, 0.01, accelerators=told)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answers", "held"),
    [
        ([(gpu(0, 100, OURS),)], ["7 op 68.4G python"]),
        ([(gpu(0, 70_000),), (gpu(0, 70_000),)], ["68.4G held by nobody"]),
        ([(gpu(0, 70_000),), (gpu(0, 0),)], [""]),
        ([(gpu(0, 70_000),), (gpu(0, 0, OURS),)], ["7 op 68.4G python"]),
        ([(gpu(0, 0), gpu(1, 70_000)), (gpu(0, 70_000), gpu(1, 70_000))], ["", "68.4G held by nobody"]),
        ([(gpu(0, 70_000),), (gpu(0, None),)], [""]),
        ([(gpu(0, 70_000),), None], [""]),
    ],
)
async def test_memory_without_an_owner_is_told_where_two_looks_find_it(
    answers: list[tuple[GpuDevice, ...] | None], held: list[str]
) -> None:
    reader: Any = Asked(*(None if one is None else Accelerators(one, "nvml") for one in answers))
    _, found = await _look(reader, 5)
    assert isinstance(found, Told)
    rows = gpu_rows("box", found.seen.accelerators, "", found.skew, 1000.0)
    assert [row[-1] for row in rows] == held
    assert reader.looks == len(answers), "a host where all has an owner is asked once"
