from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.host import Accelerators, GpuDevice, GpuProcess, Load
from monitors.host import HostBody
from monitors.snapshot import Progress, Seen, Snapshot, State
from tests.monitors.runs import AT
from tests.tui.screens.runs import eight_gpus, gpu, host_look
from tui.screens.run_ink import width
from tui.screens.strip import host_strip


def shown(host: Snapshot[HostBody] | None, room: int = 80, after: float = 0.0, ascii_only: bool = False) -> str:
    return "".join(text for text, _ in host_strip(host, AT + after, room, ascii_only)).rstrip()


def test_busy_ones_by_themselves_and_free_ones_together() -> None:
    assert shown(eight_gpus()) == " GPU 0 ▄▅▆▆ 71/96G 98%  1 ▄▅▆▆ 69/96G 97%  2-7 free"
    assert shown(eight_gpus(busy=())) == " GPU 0-7 free"
    assert shown(eight_gpus(), ascii_only=True).isascii()


def test_less_room_leaves_whole_parts_out() -> None:
    busy = eight_gpus(busy=tuple(range(8)))
    assert shown(busy, 200).count("▆") > 8
    assert "+" in shown(busy, 60)
    assert shown(busy, 60).endswith("busy")


@given(st.integers(20, 220), st.sets(st.integers(0, 7)))
def test_it_fits_its_row(room: int, busy: set[int]) -> None:
    assert width(host_strip(eight_gpus(busy=tuple(sorted(busy))), AT, room)) <= max(room, 30)


@pytest.mark.parametrize(
    ("device", "told"),
    [
        (gpu(0, None), " GPU 0 ? ?/96G 0%"),
        (gpu(0, 50_000, None, None), " GPU 0 ? 49/?G ?%"),
        (gpu(0, 4, busy=40), " GPU 0 ▁ 0/96G 40%"),
        (gpu(0, 4, processes=(GpuProcess(1, None),)), " GPU 0 ▁ 0/96G 0%"),
        (gpu(0, 4, processes=()), " GPU 0 free"),
    ],
)
def test_only_what_is_known_to_be_free_is_free(device: GpuDevice, told: str) -> None:
    assert shown(host_look((device,))) == told


def test_a_machine_without_accelerators_shows_load_and_memory() -> None:
    assert shown(host_look()) == " no GPU  load ▂ 12.4 of 64 cores  memory ▂ 111/503G"


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (Load(None, None, None, None), " no GPU  load ? unknown  memory unknown"),
        (Load((1.0, 1.0, 1.0), None, 1024, 2048), " no GPU  load ? 1.0  memory ▁ -1/1G"),
    ],
)
def test_what_is_not_known_is_said(load: Load, told: str) -> None:
    assert shown(host_look(load=load)) == told


def test_accelerators_that_cannot_be_read_are_not_none() -> None:
    body = HostBody(Accelerators((), "unknown", detail="nvidia-smi: [red]\x1b[2J"), None)
    host = Snapshot("h", State.RUNNING, Seen(AT, AT), Progress(None, None), None, (), (), (), None, body)
    assert shown(host).startswith(" GPUs unknown (nvidia-smi: [red]␛[2J)")
    assert "load unknown" in shown(host)


def test_an_old_strip_says_how_old() -> None:
    assert shown(None) == " the host has not been looked at yet"
    assert shown(eight_gpus(), after=119) == shown(eight_gpus())
    assert shown(eight_gpus(), after=130).startswith(" ◌ 2m old  GPU 0")
    assert shown(host_look((gpu(0),), error="gone")).startswith(" ◌ <5s old ")
