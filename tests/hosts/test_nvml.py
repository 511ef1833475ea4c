"""NVML through pynvml's own ctypes path, on a library that changes and fails while we watch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.nvml import COMPILER, FakeNvml, build, gpu

built = pytest.mark.skipif(COMPILER is None, reason="NOT TESTED: no C compiler to build the NVML stand-in with")
pytestmark = [pytest.mark.travels, built]

ALIVE, GONE = os.getpid(), 4194000

# Pids mean the same to the driver and to us, as they do on a machine where nothing is contained.
WATCH = """
import dataclasses, json, sys
from hosts.local import accelerators, gpu_owners
gpu_owners.counts_like_the_driver = accelerators.counts_like_the_driver = lambda: %s
reader = accelerators.AcceleratorReader()
for line in sys.stdin:
    print(json.dumps(dataclasses.asdict(reader.read(float(line)))), flush=True)
"""


class Watcher:
    """A process that looks again and again with one and the same reader."""

    def __init__(self, house: Path, nvml: FakeNvml, counts: bool = True) -> None:
        env = {"PATH": "/nowhere", "PYTHONPATH": str(house), **nvml.environment}
        argv = [sys.executable, "-W", "error", "-c", WATCH % counts]
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def look(self, timeout: float = 10.0) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(timeout, file=self.process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def gpu(self) -> dict[str, Any]:
        device: dict[str, Any] = self.look()["devices"][0]
        return device

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(library: Path, tmp_path: Path) -> FakeNvml:
    return FakeNvml(library, tmp_path / "gpus")


@pytest.fixture
def watcher(house: Path, nvml: FakeNvml) -> Iterator[Watcher]:
    watcher = Watcher(house, nvml)
    yield watcher
    watcher.close()


def test_utilisation_changes_from_look_to_look(nvml: FakeNvml, watcher: Watcher) -> None:
    seen = []
    for utilisation in (0, 37, 100):
        nvml.says("driver count 1", *gpu(0, utilisation=utilisation, used=utilisation * 100))
        device = watcher.gpu()
        seen.append((device["utilisation"], device["memory_used"]))
    assert seen == [(0, 0), (37, 3700), (100, 10000)]


def test_a_gpu_is_lost_and_comes_back(nvml: FakeNvml, watcher: Watcher) -> None:
    nvml.says("driver count 2", *gpu(0), *gpu(1))
    before = watcher.look()
    lost = [f"1 {line.split()[1]} !15" for line in gpu(1)]
    nvml.says("driver count 2", *gpu(0), *lost)
    during = watcher.look()
    assert during["devices"][0] == before["devices"][0]
    assert {key for key, value in during["devices"][1].items() if value not in (None, [])} == {"index"}
    assert (during["source"], during["detail"]) == ("nvml", "GPU 1: GPU is lost")
    nvml.says("driver count 2", *gpu(0), *gpu(1))
    assert watcher.look() == before


def test_the_driver_goes_and_comes_back(nvml: FakeNvml, watcher: Watcher) -> None:
    nvml.says("driver count 1", *gpu(0))
    before = watcher.look()
    nvml.says("driver init !18")
    assert watcher.look()["source"] == "unknown"
    nvml.says("driver count 1", *gpu(0))
    assert watcher.look() == before


def test_one_call_hangs_and_returns(nvml: FakeNvml, watcher: Watcher) -> None:
    nvml.says("driver count 1", *gpu(0))
    assert watcher.look()["source"] == "nvml"
    nvml.says("driver count 1", "0 utilisation ~", *gpu(0))
    first = watcher.look(0.1)
    assert (first["source"], first["detail"]) == ("unknown", "the GPU driver did not answer within 0.1 s")
    assert watcher.look(0.1)["detail"].startswith("the GPU driver has not answered for ")
    nvml.says("driver count 1", *gpu(0, utilisation=7))
    until = time.monotonic() + 30
    while watcher.look()["source"] != "nvml":
        assert time.monotonic() < until, "the call came back, and nobody asked again"
    assert watcher.gpu()["utilisation"] == 7


def test_processes_come_and_go(nvml: FakeNvml, watcher: Watcher) -> None:
    seen = []
    one, other = f"0 process {ALIVE} 500", f"0 process {os.getppid()} 400"
    for lines in ((), (one,), (one, other), ()):
        nvml.says("driver count 1", *gpu(0, used=1000), *lines)
        device = watcher.gpu()
        seen.append(([process["pid"] for process in device["processes"]], device["ghost"]))
    both = sorted([ALIVE, os.getppid()])
    assert seen == [([], 1000), ([ALIVE], 500), (both, 100), ([], 1000)]


@pytest.mark.parametrize(
    ("lines", "pids", "ghost"),
    [
        ((), [], 71_000),
        ((f"0 process {ALIVE} 70000",), [ALIVE], 1_000),
        ((f"0 drawer {ALIVE} 70000",), [ALIVE], 1_000),
        ((f"0 sharer {ALIVE} 70000",), [ALIVE], 1_000),
        ((f"0 process {ALIVE} 70000", f"0 drawer {ALIVE} 70000"), [ALIVE], 1_000),
        ((f"0 process {ALIVE} 90000",), [ALIVE], 0),
        ((f"0 process {ALIVE} -",), [ALIVE], None),
        ((f"0 process {GONE} 70000", f"0 process {ALIVE} 600"), [ALIVE, GONE], 70_400),
        (("0 process 0 70000",), [], None),
    ],
)
def test_memory_that_nobody_owns(
    nvml: FakeNvml, watcher: Watcher, lines: tuple[str, ...], pids: list[int], ghost: int | None
) -> None:
    nvml.says("driver count 1", *gpu(0, used=71_000), *lines)
    device = watcher.gpu()
    assert device["ghost"] == ghost
    assert [process["pid"] for process in device["processes"]] == pids


@pytest.mark.parametrize("many", ["processes", "drawers", "sharers"])
def test_no_memory_is_called_a_ghost_when_a_list_is_missing(nvml: FakeNvml, watcher: Watcher, many: str) -> None:
    nvml.says("driver count 1", f"0 {many} !3", *gpu(0, used=71_000))
    device = watcher.gpu()
    assert device["ghost"] is None
    assert (device["processes"] is None) is (many == "processes")


def test_in_a_container_nothing_is_a_ghost(house: Path, nvml: FakeNvml) -> None:
    nvml.says("driver count 2", *gpu(0, used=71_000), *gpu(1, used=71_000), "1 process 4194000 7")
    watcher = Watcher(house, nvml, counts=False)
    try:
        first, second = watcher.look()["devices"]
    finally:
        watcher.close()
    assert (first["processes"], first["ghost"]) == (None, None)
    assert ([process["pid"] for process in second["processes"]], second["ghost"]) == ([4194000], None)


MIG = (
    "0 mig 1",
    "0.0 name NVIDIA H200 MIG 1c.3g.71gb",
    "0.0 uuid MIG-00000000-0000-0000-0000-000000000000",
    "0.0 total 71424",
    "0.0 used 16925",
    "0.4 name NVIDIA H200 MIG 1g.18gb",
    "0.5 name unlike any other",
    "0.5 total !15",
)


def test_mig_instances(nvml: FakeNvml, watcher: Watcher) -> None:
    nvml.says("driver count 1", *MIG, "0 utilisation !3", *gpu(0, used=16_959, total=143_771))
    found = watcher.look()
    assert found["devices"][0]["utilisation"] is None
    assert found["devices"][0]["mig"] == [
        {
            "index": 0,
            "uuid": "MIG-00000000-0000-0000-0000-000000000000",
            "profile": "1c.3g.71gb",
            "memory_used": 16925,
            "memory_total": 71424,
        },
        {"index": 4, "uuid": None, "profile": "1g.18gb", "memory_used": None, "memory_total": None},
        {"index": 5, "uuid": None, "profile": "unlike any other", "memory_used": None, "memory_total": None},
    ]
    assert found["detail"] == "GPU 0: GPU is lost"
    nvml.says("driver count 1", "0 mig 0", *MIG, *gpu(0))
    assert watcher.gpu()["mig"] == [], "it is split no more"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_only_root_is_shown_all_processes_of_mig_instances(nvml: FakeNvml, watcher: Watcher) -> None:
    nvml.says("driver count 1", *MIG, *gpu(0, used=16_959))
    assert watcher.gpu()["ghost"] == 16_959


def test_an_old_driver_lacks_functions(house: Path, tmp_path: Path) -> None:
    nvml = FakeNvml(build(tmp_path, "-DOLD_DRIVER"), tmp_path / "gpus")
    nvml.says("driver version 470.42.01", "driver count 1", *gpu(0, used=1000), "0 process 4194000 900")
    watcher = Watcher(house, nvml)
    try:
        found = watcher.look()
    finally:
        watcher.close()
    device = found["devices"][0]
    assert (found["source"], found["detail"], device["memory_used"]) == ("nvml", "", 1551)
    assert [(process["pid"], process["memory"]) for process in device["processes"]] == [(4194000, 900)]
    assert device["ghost"] is None, "it has no list of the processes that share one server"
