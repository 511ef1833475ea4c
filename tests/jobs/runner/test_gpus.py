from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hosts.errors import GatewatchError
from hosts.host import Accelerators, GpuDevice, GpuProcess
from hosts.local.leases import LEASE_DIR_VARIABLE, is_held, lease_directory, lease_gpus, lease_name
from jobs.runner.calibration.gpus import (
    GpuGrant,
    GpuWaitError,
    acquire_gpus,
    busy_reason,
    choices,
    parse_numbers,
    usable,
    user_name,
)
from jobs.runner.calibration.job import GpuRules

pytestmark = pytest.mark.travels

RULES = GpuRules(wait_s=600.0, settle_s=3.0)
FOREIGN = GpuProcess(4711, 70_000, "bert", "python train.py")


def device(index: int, used: int | None = 3, processes: Sequence[GpuProcess] | None = ()) -> GpuDevice:
    holders = None if processes is None else tuple(processes)
    return GpuDevice(index, "H20", f"GPU-{index}", used, 97_000, 0, processes=holders)


def host(*devices: GpuDevice, source: str = "nvml") -> Accelerators:
    return Accelerators(devices, source, detail="the driver hangs" if source == "unknown" else "")


@dataclass
class Gate:
    """A host whose accelerators change as time goes by, and a clock that only waiting moves."""

    looks: Callable[[float], Accelerators]
    now: float = 0.0
    waits: list[tuple[float, str]] = field(default_factory=list)

    def read(self) -> Accelerators:
        return self.looks(self.now)

    def wait(self, seconds: float, reason: str) -> None:
        self.waits.append((seconds, reason))
        self.now += seconds

    def acquire(self, need: int, rules: GpuRules = RULES) -> GpuGrant:
        return acquire_gpus(need, rules, self.read, {"run": "/runs/mine", "pid": 1}, self.wait, lambda: self.now)

    @property
    def reasons(self) -> list[str]:
        return list(dict.fromkeys(reason for _, reason in self.waits if reason))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(LEASE_DIR_VARIABLE, str(tmp_path / "leases"))
    return lease_directory(os.environ)


def leased(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("gpu-*.lock") if is_held(path)}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (device(0), None),
        (device(0, used=0), None),
        (device(0, used=2048), None),
        (device(0, used=2049), "GPU 0: 2049 MiB used, at most 2048 allowed, no owner visible"),
        (device(0, used=3, processes=[FOREIGN]), "GPU 0: 3 MiB, held by pid 4711 (bert)"),
        (device(0, used=3, processes=[GpuProcess(7, None)]), "GPU 0: 3 MiB, held by pid 7 (unknown owner)"),
        (device(0, used=None), "GPU 0: memory in use is unknown"),
        (device(0, used=3, processes=None), None),
        (device(0, used=2049, processes=None), "GPU 0: 2049 MiB used, at most 2048 allowed, no owner visible"),
    ],
)
def test_when_a_gpu_is_clear(seen: GpuDevice, why: str | None) -> None:
    assert busy_reason(seen, 2048) == why


def test_many_holders_are_not_all_named() -> None:
    seen = device(1, 90_000, [GpuProcess(pid, 1, "ann") for pid in range(10, 30)])
    assert str(busy_reason(seen, 2048)).count("pid ") == 4


def test_no_gpu_is_needed(folder: Path) -> None:
    gate = Gate(lambda _: pytest.fail("nobody asked for the accelerators"))
    assert gate.acquire(0) == GpuGrant()
    assert gate.waits == []
    assert leased(folder) == set()


def test_clear_gpus_are_looked_at_twice_and_leased(folder: Path) -> None:
    looks: list[float] = []

    def look(now: float) -> Accelerators:
        looks.append(now)
        return host(device(0), device(1), device(2))

    gate = Gate(look)
    grant = gate.acquire(2)
    assert (grant.indices, grant.cpus) == ((0, 1), ())
    assert looks == [0.0, 3.0], "again when it has settled"
    assert leased(folder) == {lease_name("GPU-0"), lease_name("GPU-1")}
    grant.close()
    assert leased(folder) == set()


def test_a_busy_gpu_is_passed_over(folder: Path) -> None:
    gate = Gate(lambda _: host(device(0, 70_000, [FOREIGN]), device(1), device(2)))
    grant = gate.acquire(2)
    assert grant.indices == (1, 2)
    grant.close()


def test_a_foreign_holder_is_named_and_waited_for(folder: Path) -> None:
    busy, free = device(1, 70_000, [FOREIGN]), device(1)
    gate = Gate(lambda now: host(device(0), busy if now < 100 else free))
    grant = gate.acquire(2)
    assert grant.indices == (0, 1)
    assert gate.reasons == ["GPU 1: 70000 MiB, held by pid 4711 (bert)"]
    assert 100 <= gate.now < 110
    grant.close()


def test_the_wait_has_a_deadline(folder: Path) -> None:
    gate = Gate(lambda _: host(device(0, 70_000, [FOREIGN])))
    with pytest.raises(
        GpuWaitError, match=r"GPUs not clear after 600 s: GPU 0: .* held by pid 4711 \(bert\)"
    ) as caught:
        gate.acquire(1)
    assert caught.value.final is False
    assert 600 <= gate.now <= 604
    assert leased(folder) == set()


def test_gpus_that_cannot_be_read_are_waited_for(folder: Path) -> None:
    gate = Gate(lambda now: host(source="unknown") if now < 50 else host(device(0)))
    gate.acquire(1).close()
    assert gate.reasons == ["the GPUs cannot be read: the driver hangs"]
    never = Gate(lambda _: host(source="unknown"))
    with pytest.raises(GpuWaitError, match=r"not clear after 600 s: the GPUs cannot be read: the driver hangs"):
        never.acquire(1)


@pytest.mark.parametrize("seen", [host(source="none"), host(device(0)), host(device(0), device(1))])
def test_a_host_with_too_few_gpus_is_told_at_once(folder: Path, seen: Accelerators) -> None:
    gate = Gate(lambda _: seen)
    with pytest.raises(GpuWaitError, match=r"2 GPUs needed, this host offers [01] \((none|nvml)\)") as caught:
        gate.acquire(2, replace(RULES, exclude=(1,)))
    assert caught.value.final is True
    assert gate.waits == []


def test_include_and_exclude() -> None:
    seen = host(*(device(index) for index in range(8)))
    assert [item.index for item in usable(seen, GpuRules(exclude=(0, 3)))] == [1, 2, 4, 5, 6, 7]
    assert [item.index for item in usable(seen, GpuRules(include=(2, 3, 9), exclude=(3,)))] == [2]
    assert usable(seen, GpuRules(include=())) == []


def test_only_what_configuration_offers_is_granted(folder: Path) -> None:
    gate = Gate(lambda _: host(*(device(index) for index in range(4))))
    grant = gate.acquire(2, replace(RULES, exclude=(0, 2)))
    assert grant.indices == (1, 3)
    grant.close()


def test_memory_that_comes_back_while_it_settles(folder: Path) -> None:
    """A server that is still ending may take memory again: the lease is given back and the wait goes on."""
    gate = Gate(lambda now: host(device(0, 9_000 if 2 < now < 20 else 3)))
    grant = gate.acquire(1)
    assert gate.reasons == ["GPU 0: 9000 MiB used, at most 2048 allowed, no owner visible"]
    assert gate.now >= 20
    grant.close()


def test_a_gpu_that_disappears_while_it_settles(folder: Path) -> None:
    gate = Gate(lambda now: host(device(0), *([] if 2 < now < 20 else [device(1)])))
    with pytest.raises(GpuWaitError, match="2 GPUs needed, this host offers 1"):
        gate.acquire(2)
    assert "GPU 1 cannot be seen: it is gone" in gate.reasons
    assert leased(folder) == set()


def test_what_the_driver_says_of_a_gpu_that_is_gone_is_told(folder: Path) -> None:
    said = "Unable to determine the device handle for GPU1: 0000:34:00.0: GPU is lost"
    gate = Gate(
        lambda now: host(device(0), device(1)) if now < 2 else Accelerators((device(0),), "nvidia-smi", detail=said)
    )
    with pytest.raises(GpuWaitError, match=rf"2 GPUs needed, this host offers 1 \(nvidia-smi\); {re.escape(said)}\Z"):
        gate.acquire(2)
    assert gate.reasons == [f"GPU 1 cannot be seen: {said}"]


def test_a_driver_that_hangs_while_it_settles_took_no_gpu_away(folder: Path) -> None:
    gate = Gate(lambda now: host(source="unknown") if 2 < now < 20 else host(device(0)))
    gate.acquire(1).close()
    assert gate.reasons == ["GPU 0 cannot be seen: the driver hangs", "the GPUs cannot be read: the driver hangs"]


def test_a_run_that_is_to_end_gives_its_lease_back(folder: Path) -> None:
    gate = Gate(lambda _: host(device(0)))

    def stop(_seconds: float, _reason: str) -> None:
        assert leased(folder) == {lease_name("GPU-0")}
        raise GatewatchError("stopped")

    with pytest.raises(GatewatchError, match="stopped"):
        acquire_gpus(1, RULES, gate.read, {}, stop, lambda: 0.0)
    assert leased(folder) == set()


def test_a_lease_of_another_run_is_named_and_waited_for(folder: Path) -> None:
    taken = lease_gpus(folder, ["GPU-0"], {"run": "/runs/other", "pid": 99, "user": "bert"})
    assert isinstance(taken, list)

    def look(now: float) -> Accelerators:
        if now > 30:
            taken[0].close()
        return host(device(0))

    gate = Gate(look)
    gate.acquire(1).close()
    assert gate.reasons == ["GPU 0 is leased by /runs/other (pid 99, user bert)"]


def test_a_leased_gpu_is_passed_over_for_a_free_one(folder: Path) -> None:
    taken = lease_gpus(folder, ["GPU-0"], {"run": "/runs/other"})
    assert isinstance(taken, list)
    grant = Gate(lambda _: host(device(0), device(1))).acquire(1)
    assert grant.indices == (1,)
    for lease in (*taken, *grant.leases):
        lease.close()


GROUPS = {"0,1": "0-3", "2,3": "4-7"}


def test_a_whole_group_with_its_cpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5, 6, 7, 8})
    rules = replace(RULES, cpusets=GROUPS)
    gate = Gate(lambda _: host(device(0, 70_000, [FOREIGN]), device(1), device(2), device(3)))
    grant = gate.acquire(2, rules)
    assert (grant.indices, grant.cpus) == ((2, 3), (5, 6, 7)), "as far as we may use them ourselves"
    grant.close()


def test_two_halves_of_two_groups_are_no_group(folder: Path) -> None:
    rules = replace(RULES, cpusets=GROUPS)
    gate = Gate(
        lambda now: host(device(0, 70_000, [FOREIGN]), device(1), device(2), device(3, 70_000 if now < 60 else 3))
    )
    grant = gate.acquire(2, rules)
    assert grant.indices == (2, 3)
    assert gate.now >= 60
    grant.close()


@pytest.mark.parametrize(
    ("clear", "need", "rules", "found"),
    [
        ((0, 1, 2, 3), 2, GpuRules(cpusets=GROUPS), [((0, 1), (0, 1, 2, 3)), ((2, 3), (4, 5, 6, 7))]),
        ((1, 2, 3), 2, GpuRules(cpusets=GROUPS), [((2, 3), (4, 5, 6, 7))]),
        ((1, 2), 2, GpuRules(cpusets=GROUPS), []),
        ((1, 2), 1, GpuRules(cpusets=GROUPS), [((1,), ())]),
        ((0, 1, 2, 3), 4, GpuRules(cpusets=GROUPS), [((0, 1, 2, 3), ())]),
        ((1, 2), 2, GpuRules(), [((1, 2), ())]),
        ((1, 2, 3), 2, GpuRules(exclude=(0, 2), cpusets=GROUPS), [((1, 3), ())]),
        ((1,), 2, GpuRules(), []),
        ((), 1, GpuRules(), []),
    ],
)
def test_choices(clear: Sequence[int], need: int, rules: GpuRules, found: object) -> None:
    offered = usable(host(*(device(index) for index in range(4))), rules)
    free = [item for item in offered if item.index in clear]
    assert choices(offered, free, need, rules) == found


@pytest.mark.parametrize(
    ("text", "numbers"), [("0", (0,)), ("0,1", (0, 1)), ("0-3, 8-9", (0, 1, 2, 3, 8, 9)), ("5,2", (5, 2))]
)
def test_numbers_as_the_kernel_writes_them(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "1-", "1-b", "0,,1"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_numbers(text)


def test_who_we_are() -> None:
    assert user_name()
