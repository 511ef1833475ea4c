from __future__ import annotations

import re
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.host import Accelerators, GpuDevice, GpuProcess, Load
from monitors.host import HostBody
from monitors.owners import Whose
from monitors.snapshot import Progress, Seen, Snapshot, State
from tests.monitors.runs import AT
from tests.tui.screens.runs import eight_gpus, gpu, host_look
from tui.screens.run_ink import width
from tui.screens.strip import host_strip


def shown(
    host: Snapshot[HostBody] | None,
    room: int = 80,
    after: float = 0.0,
    ascii_only: bool = False,
    watch: str | None = None,
) -> str:
    return "".join(text for text, _ in host_strip(host, AT + after, room, ascii_only, watch)).rstrip()


def test_busy_ones_by_themselves_and_free_ones_together() -> None:
    assert shown(eight_gpus()) == " GPU 0 ▄▅▆▆ 71/96G 98%  1 ▄▅▆▆ 69/96G 97%  2-7 free"
    assert shown(eight_gpus(busy=())) == " GPU 0-7 free"
    assert shown(eight_gpus(), ascii_only=True).isascii()


def owned(*owners: tuple[str | None, ...]) -> Snapshot[HostBody]:
    """A busy GPU for each; its processes are of these runs, of somebody else's (""), or nothing is known of them."""
    pids, devices, known = count(1), [], {}
    for index, whose in enumerate(owners):
        processes = []
        for one in whose:
            pid = next(pids)
            processes.append(GpuProcess(pid, 9, owner=None if one is None else "alice"))
            if one:
                known[pid] = Whose(one, None)
        devices.append(gpu(index, 50_000, busy=9, processes=tuple(processes)))
    look = host_look(tuple(devices))
    return replace(look, body=replace(look.body, owners=known))


def test_what_is_this_runs_is_told_from_what_is_not() -> None:
    host = owned(("",), ("r", "r"), ("q",), (None,), ("r", ""), ("r",), ("q", ""), ())
    parts = re.split(r" ([a-z ]+):", shown(host, 300, watch="r"))[1:]
    assert [(who.strip(), re.findall(r"(\d) ▅", what)) for who, what in batched(parts)] == [
        ("this run", ["1", "5"]),
        ("this run and others", ["4"]),
        ("another run", ["2"]),
        ("others", ["0", "6"]),
        ("holder unknown", ["3", "7"]),
    ]
    assert ":" not in shown(host, 300), "nobody asks for a run"
    assert ":" not in shown(owned((None,), ()), 300, watch="r"), "nothing is known of any"
    assert shown(eight_gpus(), watch="run-1") == " GPU this run: 0 ▄▅▆▆ 71/96G 98%  1 ▄▅▆▆ 69/96G 97%  2-7 free"


def batched(parts: list[str]) -> list[tuple[str, str]]:
    return list(zip(parts[::2], parts[1::2], strict=True))


def test_less_room_leaves_whole_parts_out() -> None:
    busy = eight_gpus(busy=tuple(range(8)))
    assert shown(busy, 200).count("▆") > 8
    assert "+" in shown(busy, 60)
    assert shown(busy, 60).endswith("busy")


@given(st.integers(20, 220), st.sets(st.integers(0, 7)))
def test_it_fits_its_row(room: int, busy: set[int]) -> None:
    assert width(host_strip(eight_gpus(busy=tuple(sorted(busy))), AT, room, watch="run-1")) <= max(room, 30)


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
    failing = eight_gpus()
    failing = replace(failing, body=replace(failing.body, unread=AT - 40))
    assert shown(failing) == " ◌ GPUs 30s old  GPU 0 ▄▅▆▆ 71/96G 98%  1 ▄▅▆▆ 69/96G 97%  2-7 free"
    assert {style for _, style in host_strip(failing, AT, 80)[1:]} == {"muted", ""}
    assert shown(host_look((gpu(0),), error="gone")).startswith(" ◌ <5s old ")
