from __future__ import annotations

from dataclasses import replace

import pytest

from hosts.host import Accelerators, DiskSeen, GpuDevice, GpuProcess, Load, Observation, Wants
from monitors.host import HISTORY, PATIENCE_S, HostBody, HostMonitor, Skew, notes
from monitors.owners import KnownRun, Whose
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
    assert dict(found.body.memory) == {0: (0.1, None)}
    assert found.body.unread == 2
    assert "GPUs unknown since 2:00" in notes(found.body, clock)
    blind = fold(look(1, gpu(0, 8000)), look(5, load=None, accelerators="gone"))
    assert (blind.state, blind.seen) == (State.BLIND, Seen(1, 2)), "its age is that of what is shown"


def fails(at: float, load: Load = LOAD) -> Observation:
    return replace(look(at, load=load), accelerators=Accelerators((), "unknown", detail="it fails"))


def test_a_driver_that_fails_takes_nothing_from_what_it_said_before() -> None:
    held = replace(gpu(0, 8000), processes=(GpuProcess(7, 5),), ghost=7000)
    looks = [look(1, held, gpu(1, 40000)), look(2, held, gpu(1, 40000)), fails(3), fails(4)]
    body = fold(*looks).body
    assert body.accelerators == Accelerators((held, gpu(1, 40000)), "unknown", detail="it fails")
    assert dict(body.memory) == {0: (0.1, 0.1, None, None), 1: (0.5, 0.5, None, None)}
    assert dict(body.utilisation) == {0: (0.5, 0.5, None, None), 1: (0.5, 0.5, None, None)}
    assert dict(body.ghosts) == {0: 7000}
    assert body.unread == 3, "when they were last told, and not when that failed"
    assert notes(replace(body, skew=None), clock)[0] == "GPUs unknown since 3:00: it fails"
    back = fold(*looks, look(5, held)).body
    assert (back.accelerators, back.unread) == (Accelerators((held,), "nvml"), None)
    assert dict(back.memory) == {0: (0.1, 0.1, None, None, 0.1)}


def answered(at: float, then: float, *devices: GpuDevice) -> Observation:
    """A look that has what the driver said at an earlier time."""
    return replace(look(at), accelerators=Accelerators(devices, "nvidia-smi", at=then))


def test_what_a_slow_driver_said_before_the_look_is_as_old_as_it_is() -> None:
    first, second = replace(gpu(0, 8000), ghost=7000), replace(gpu(0, 16000), ghost=6000)
    body = fold(answered(10, 10, first), answered(20, 11, second)).body
    assert (body.accelerators, body.unread) == (Accelerators((second,), "nvidia-smi", at=11), None)
    body = fold(answered(10, 10, first), answered(60, 11, second)).body
    assert body.unread == 61 - 49, "by our clock"
    assert notes(replace(body, skew=None), clock)[0] == "GPUs unknown since 12:00"
    assert (dict(body.memory), dict(body.ghosts)) == ({0: (0.1, 0.2)}, {0: 6000})


def test_what_a_driver_said_only_once_confirms_nothing_when_it_is_told_again() -> None:
    held = replace(gpu(0, 8000), ghost=7000)
    body = fold(answered(10, 10, held), answered(15, 10, held)).body
    assert (dict(body.memory), dict(body.utilisation)) == ({0: (0.1,)}, {0: (0.5,)})
    assert (dict(body.ghosts), body.unread) == ({}, None)
    body = fold(answered(10, 10, held), answered(15, 10, held), answered(40, 10, held)).body
    assert (body.unread, dict(body.memory)) == (11, {0: (0.1,)})
    failed = [replace(look(at), accelerators=Accelerators((), "unknown", detail="it fails", at=12)) for at in (15, 20)]
    body = fold(answered(10, 10, held), *failed).body
    assert (dict(body.memory), body.unread) == ({0: (0.1, None)}, 11)


def test_a_driver_that_never_said_anything_has_nothing_to_keep() -> None:
    for looks in ((fails(1),), (look(1), fails(2)), (look(1, accelerators="hangs"), fails(2))):
        body = fold(*looks).body
        assert (body.accelerators, body.unread) == (Accelerators((), "unknown", detail="it fails"), None)
        assert notes(replace(body, skew=None), clock) == ("GPUs unknown: it fails",)


def test_what_gpus_held_before_a_machine_was_started_anew_is_not_kept() -> None:
    held, boots = replace(gpu(0, 8000), ghost=7000), [replace(LOAD, boot_id=boot) for boot in "aab"]
    body = fold(look(1, held, load=boots[0]), look(2, held, load=boots[1]), fails(3, boots[2])).body
    assert (body.accelerators, body.unread) == (Accelerators((), "unknown", detail="it fails"), None)
    assert not body.ghosts


def test_what_a_tool_does_not_give_is_unknown() -> None:
    found = fold(look(1, gpu(0, 5, None), load=Load(None, None, None, None)))
    assert found.body.memory[0] == (None,)
    assert found.body.busy == (None,)


def test_a_history_of_how_busy_each_device_is() -> None:
    idle, full = replace(gpu(0, 0), utilisation=0), replace(gpu(0, 0), utilisation=100)
    found = fold(look(1, idle), look(2, full, gpu(1, 0)), look(3, replace(gpu(0, 0), utilisation=None)))
    assert dict(found.body.utilisation) == {0: (0.0, 1.0, None)}
    assert len(fold(*(look(at, gpu(0, 0)) for at in range(2 * HISTORY))).body.utilisation[0]) == HISTORY


def at_clock(at: float, received: float, rtt: float) -> Observation:
    return Observation("h", at, received, rtt, load=LOAD)


@pytest.mark.parametrize(
    ("looks", "skew", "told"),
    [
        ([(103.0, 101.0, 2.0)], Skew(3.0, 1.0, 101.0), True),
        ([(100.5, 101.0, 2.0)], Skew(0.5, 1.0, 101.0), False),
        ([(97.0, 101.0, 2.0)], Skew(-3.0, 1.0, 101.0), True),
        # A slow look tells less than the sharp one before it, and takes nothing back.
        ([(100.3, 100.0, 0.2), (105.5, 110.0, 10.0)], Skew(0.4, 0.101, 110.0), True),
    ],
)
def test_the_clock_against_ours(looks: list[tuple[float, float, float]], skew: Skew, told: bool) -> None:
    found = fold(*(at_clock(*one) for one in looks)).body.skew
    assert found is not None
    assert (found.seconds, found.uncertainty) == pytest.approx((skew.seconds, skew.uncertainty))
    assert (found.at, found.told) == (skew.at, told)


def test_a_clock_that_was_set_is_told_by_the_second_look() -> None:
    first, jump, again = at_clock(100, 100.05, 0.1), at_clock(7300, 200.05, 0.1), at_clock(7310, 210.05, 0.1)
    assert not fold(first).body.skew.told  # type: ignore[union-attr]
    assert not fold(first, jump).body.skew.told, "our own machine may have slept"  # type: ignore[union-attr]
    found = fold(first, jump, again).body
    assert found.skew is not None
    assert found.skew.told
    assert found.skew.seconds == pytest.approx(7100)
    assert notes(found, str) == ("clock 7100 s ahead",)
    woken = fold(first, jump, at_clock(220, 220.05, 0.1), at_clock(230, 230.05, 0.1)).body
    assert notes(woken, str) == ()


@pytest.mark.parametrize(("ahead", "note"), [(0.5, ()), (-0.5, ()), (4.0, ("clock 4.0 s ahead",))])
def test_a_clock_that_is_read_without_a_python_is_not_known_to_the_second(ahead: float, note: tuple[str, ...]) -> None:
    looks = [replace(at_clock(at + ahead, at + 0.001, 0.002), errors={"python": "none"}) for at in (100.0, 110.0)]
    assert notes(fold(*looks).body, str) == note


@pytest.mark.parametrize(
    ("seconds", "note"),
    [
        (0.04, ()),
        (-0.06, ("clock 0.1 s behind",)),
        (4.24, ("clock 4.2 s ahead",)),
        (-75.6, ("clock 76 s behind",)),
    ],
)
def test_what_people_are_told_of_the_clock(seconds: float, note: tuple[str, ...]) -> None:
    assert notes(HostBody(skew=Skew(seconds, 0.001, 5.0)), str) == note
    assert notes(HostBody(skew=Skew(seconds, 100.0, 5.0)), str) == ()


def test_a_host_that_was_started_anew() -> None:
    boots = [replace(LOAD, boot_id=boot, uptime=30.0) for boot in ("a", None, "a", "b", "b")]
    looks = [look(at * 100.0, load=load) for at, load in enumerate(boots, 1)]
    assert [fold(*looks[:count]).body.rebooted for count in (1, 2, 3)] == [None, None, None]
    body = fold(*looks).body
    assert (body.rebooted, body.boot_id) == (401 - 30.0, "b")
    assert notes(body, lambda at: f"<{at:.0f}>") == ("rebooted <371>", "clock 0.9 s behind")


def test_disks_that_were_asked_for() -> None:
    monitor = HostMonitor("h", disks=("/data",))
    assert monitor.wants(None) == Wants(accelerators=True, load=True, disks=("/data",), patience=PATIENCE_S)
    mine, other = DiskSeen("/data", 5, 10, "nfs4", True), DiskSeen("/other", 1, 2)
    first = monitor.fold(None, replace(look(1), disks=(other, mine)), Now(1))
    assert first.body.disks == (mine,)
    assert monitor.fold(first, look(2), Now(2)).body.disks == (mine,)


def test_memory_without_an_owner_is_named_when_two_looks_found_it() -> None:
    def left(mib: int | None) -> GpuDevice:
        return replace(gpu(3, 70000), ghost=mib)

    assert dict(fold(look(1, left(70000))).body.ghosts) == {}
    found = fold(look(1, left(70000)), look(2, left(69632)))
    assert dict(found.body.ghosts) == {3: 69632}
    assert "GPU 3: 68.0 GiB ghost memory, no owner" in notes(found.body, str)
    assert dict(fold(look(1, left(70000)), look(2, left(None))).body.ghosts) == {}
    assert dict(fold(look(1, left(700)), look(2, left(700))).body.ghosts) == {}, "the driver's own"
    kept = fold(look(1, left(70000)), look(2, left(70000)), look(3, accelerators="the driver hangs"))
    assert dict(kept.body.ghosts) == {3: 70000}


def clock(at: float) -> str:
    return f"{at:.0f}:00"


def told_of_cards(*seen: Observation) -> tuple[str, ...]:
    return notes(replace(fold(*seen).body, skew=None), clock)


def test_a_device_that_went_is_told_until_it_is_back() -> None:
    cards = [gpu(index, 5) for index in range(4)]
    moved = [*cards[:2], replace(cards[3], index=2)]
    looks = [look(1, *cards), look(2, *cards[:3]), look(3, *cards[:3]), look(4, *cards)]
    assert [told_of_cards(*looks[:count]) for count in (1, 2, 3, 4)] == [
        (),
        ("GPU 3 is gone since 3:00",),
        ("GPU 3 is gone since 3:00",),
        (),
    ]
    assert told_of_cards(looks[0], look(2, *cards[:2])) == ("GPUs 2, 3 are gone since 3:00",)
    found = told_of_cards(looks[0], look(2, *cards[:3]), look(5, *cards[:2]))
    assert found == ("GPU 3 is gone since 3:00", "GPU 2 is gone since 6:00")
    assert told_of_cards(looks[0], look(2, *moved)) == ("what was GPU 2 is gone since 3:00",)
    assert told_of_cards(looks[0], look(2)) == ("all 4 GPUs are gone since 3:00",)


def test_a_device_that_cannot_be_asked_is_not_gone() -> None:
    first, lost = look(1, gpu(0, 5), gpu(1, 5)), replace(gpu(1, None), uuid=None)
    hangs = replace(look(2), accelerators=Accelerators((), "unknown", detail="hangs"))
    assert told_of_cards(first, hangs) == ("GPUs unknown since 2:00: hangs",)
    assert told_of_cards(first, look(2, accelerators="the driver hangs")) == ("GPUs unknown since 2:00",)
    assert told_of_cards(first, look(2, gpu(0, 5), lost)) == ()
    after = told_of_cards(first, hangs, look(3, gpu(0, 5)))
    assert after == ("GPU 1 is gone since 4:00",), "what was there before is not forgotten"


def test_a_machine_that_was_started_anew_has_what_it_has() -> None:
    boots = [replace(LOAD, boot_id=boot) for boot in ("a", "a", "b")]
    looks = [look(1, gpu(0, 5), gpu(1, 5), load=boots[0]), look(2, gpu(0, 5), load=boots[1])]
    assert fold(*looks).body.gone
    assert not fold(*looks, look(3, gpu(0, 5), load=boots[2])).body.gone


def test_a_host_that_makes_up_devices_fills_no_memory() -> None:
    found = fold(*(look(at, replace(gpu(0, 5), uuid=f"GPU-{at}")) for at in range(1000))).body
    assert len(found.cards) <= 64
    assert len(notes(found, clock)) < 70


def test_whose_processes_they_are() -> None:
    marked = GpuProcess(7, 5, marks=("GATEWATCH_RUN=r",))
    runs = [KnownRun("run-1", run_id="r")]
    seen = look(1, replace(gpu(0, 5), processes=(marked, GpuProcess(8, 5))))
    found = HostMonitor("h", runs=lambda: runs).fold(None, seen, Now(1))
    assert dict(found.body.owners) == {7: Whose("run-1", None)}


def test_a_host_without_a_python_of_ours_says_so_at_every_look() -> None:
    found = fold(look(1, python="no python there"), look(2, python="no python there", accelerators="gone"))
    assert (found.state, found.error) == (State.RUNNING, "no python there; accelerators: gone")
    assert fold(look(1, python="no python there"), look(2)).error is None


def test_a_driver_that_does_not_say_all_is_noted() -> None:
    def told(source: str, detail: str, *devices: GpuDevice) -> tuple[str, ...]:
        return notes(HostBody(Accelerators(devices, source, detail=detail)), str)

    assert told("unknown", "the driver has not answered for 9 s") == (
        "GPUs unknown: the driver has not answered for 9 s",
    )
    assert told("unknown", "") == ("GPUs unknown",)
    assert told("nvml", "GPU 1: GPU is lost", gpu(0, 5), gpu(1, None)) == ("GPU 1: GPU is lost",)
    assert told("none", "nvidia-smi: no devices were found") == ("nvidia-smi: no devices were found",)
    assert told("none", "") == told("nvml", "", gpu(0, 5)) == ()


@pytest.mark.parametrize(
    ("free", "total", "told"),
    [
        (0, 1000, ("/data is full",)),
        (19, 1000, ("/data is nearly full",)),
        (20, 1000, ()),
        (None, 1000, ()),
        (5, None, ()),
        (0, 0, ()),  # of a file system that holds nothing
    ],
)
def test_a_disk_without_room_is_told(free: int | None, total: int | None, told: tuple[str, ...]) -> None:
    assert notes(HostBody(disks=(DiskSeen("/data", free, total),)), str) == told
