from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hosts.local import bounds
from tests.peers.nvml import COMPILER, FakeNvml, build, gpu, smi_script

pytestmark = pytest.mark.travels

READ = """
import dataclasses, json, sys
from hosts.local.accelerators import read_accelerators
print(json.dumps(dataclasses.asdict(read_accelerators({timeout}))))
"""
WITHOUT_PYNVML = "import sys; sys.modules['pynvml'] = None\n" + READ

with_nvml = [
    pytest.mark.skipif(COMPILER is None, reason="NOT TESTED: no C compiler to build the NVML stand-in with"),
]

Read = Callable[..., "dict[str, Any]"]


def known(device: dict[str, Any]) -> set[str]:
    """The fields of which something is known."""
    return {key for key, value in device.items() if value not in (None, [])}


@pytest.fixture
def read(house: Path, tmp_path: Path) -> Read:
    """Look at the accelerators in a child process with warnings as errors, and check that it says nothing else."""
    (tmp_path / "bin").mkdir()

    def run(env: dict[str, str], code: str = READ, timeout: float = 10.0, path: str | None = None) -> dict[str, Any]:
        env = {"PATH": path or str(tmp_path / "bin") + ":/usr/bin:/bin", "PYTHONPATH": str(house), **env}
        argv = [sys.executable, "-W", "error", "-c", code.replace("{timeout}", str(timeout))]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=50)
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(library: Path, tmp_path: Path) -> FakeNvml:
    return FakeNvml(library, tmp_path / "gpus")


class TestNvml:
    pytestmark = with_nvml

    def test_all_that_it_tells(self, nvml: FakeNvml, read: Read) -> None:
        nvml.says(
            "driver version 580.95.05", "driver cuda 13020", "driver count 2", *gpu(0), *gpu(1, used=0, utilisation=0),
            f"0 process {os.getpid()} 900", "0 process 4194000 -",
        )  # fmt: skip
        found = read(nvml.environment)
        assert (found["source"], found["driver"], found["cuda"], found["detail"]) == ("nvml", "580.95.05", "13.2", "")
        first, second = found["devices"]
        assert first | {"processes": None} == {
            "index": 0,
            "name": "NVIDIA H100 80GB HBM3",
            "uuid": "GPU-00000000-0000-0000-0000-000000000000",
            "memory_used": 1000,
            "memory_total": 81559,
            "utilisation": 50,
            "temperature": 41,
            "power": 123.456,
            "processes": None,
            "power_limit": 700.0,
            "mig": [],
            "ghost": None,
        }
        assert second["memory_used"] == 0
        mine, foreign = first["processes"]
        assert (mine["pid"], mine["memory"]) == (os.getpid(), 900)
        assert {key for key, value in foreign.items() if value not in (None, foreign["gone"])} == {"pid"}
        assert foreign["gone"] is (os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC)
        if os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC:
            assert second["processes"] == []
            assert mine["owner"] == getpass.getuser()
            assert mine["command"].split()[0] == Path("/proc/self/cmdline").read_text().split("\0")[0]
        else:
            assert second["processes"] is None
            assert mine["owner"] is None

    def test_used_memory_is_as_nvidia_smi_counts_it(self, nvml: FakeNvml, read: Read) -> None:
        nvml.says("driver count 1", *gpu(0, used=1000))
        assert read(nvml.environment)["devices"][0]["memory_used"] == 1000
        nvml.says("driver count 1", "driver memory_v2 !13", *gpu(0, used=1000))
        assert read(nvml.environment)["devices"][0]["memory_used"] == 1551, "an old driver does not tell them apart"

    def test_not_supported_is_none_and_no_fault(self, nvml: FakeNvml, read: Read) -> None:
        nvml.says("driver count 1", "0 name Tesla K80")
        found = read(nvml.environment)
        assert found["source"] == "nvml"
        assert found["detail"] == ""
        assert known(found["devices"][0]) == {"index", "name"}

    def test_one_lost_gpu_is_unknown_and_the_others_stand(self, nvml: FakeNvml, read: Read) -> None:
        nvml.says("driver count 3", *gpu(0), "1 handle !15", *gpu(1), "2 utilisation !15", "2 used !15", *gpu(2))
        found = read(nvml.environment)
        assert found["detail"] == "GPU 1: GPU is lost; GPU 2: GPU is lost"
        assert found["source"] == "nvml"
        assert [device["memory_used"] for device in found["devices"]] == [1000, None, None]
        assert [device["name"] is None for device in found["devices"]] == [False, True, False]
        assert found["devices"][2]["utilisation"] is None

    @pytest.mark.parametrize(
        ("lines", "detail"),
        [
            (None, "NVML: Driver Not Loaded"),
            (["driver init !18"], "NVML: RM has detected an NVML/RM version mismatch."),
            (["driver version 1", "driver count !999"], "driver: Unknown Error"),
            (["driver version 1"], "NVML does not tell how many GPUs there are"),
        ],
    )
    def test_a_driver_that_fails_is_unknown(
        self, nvml: FakeNvml, read: Read, lines: Sequence[str] | None, detail: str
    ) -> None:
        if lines is not None:
            nvml.says(*lines)
        found = read(nvml.environment)
        assert (found["source"], found["devices"], found["detail"]) == ("unknown", [], detail)

    def test_a_driver_without_a_gpu_is_none(self, nvml: FakeNvml, read: Read) -> None:
        nvml.says("driver version 580.1", "driver count 0")
        found = read(nvml.environment)
        assert (found["source"], found["driver"], found["devices"]) == ("none", "580.1", [])

    def test_a_hanging_driver_is_unknown_and_asked_only_once(self, nvml: FakeNvml, read: Read) -> None:
        code = """
import dataclasses, json, threading
from hosts.local.accelerators import AcceleratorReader
reader = AcceleratorReader()
first, second = reader.read({timeout}), reader.read({timeout})
assert second.detail.startswith("the GPU driver has not answered for "), second
assert sum(thread.name == "accelerators" for thread in threading.enumerate()) == 1
print(json.dumps(dataclasses.asdict(first)))
"""
        nvml.says("driver count ~")
        found = read(nvml.environment, code, timeout=0.2)
        assert found["source"] == "unknown"
        assert found["detail"] == "the GPU driver did not answer within 0.2 s"

    def test_it_is_opened_anew_for_each_read(self, nvml: FakeNvml, read: Read, tmp_path: Path) -> None:
        code = f"""
import json
from pathlib import Path
from hosts.local.accelerators import AcceleratorReader
reader, state = AcceleratorReader(), Path({str(tmp_path / "gpus")!r})
seen = [reader.read().source]
state.rename(state.with_suffix(".away"))
seen.append(reader.read().source)
state.with_suffix(".away").rename(state)
seen.append(reader.read().source)
print(json.dumps({{"seen": seen}}))
"""
        nvml.says("driver count 1", *gpu(0))
        assert read(nvml.environment, code)["seen"] == ["nvml", "unknown", "nvml"]

    def test_impossible_numbers_are_unknown(self, nvml: FakeNvml, read: Read) -> None:
        nvml.says(
            "driver count 1", "driver cuda 7", "0 total 100", "0 used 200", "0 utilisation 4294967295",
            "0 temperature 4294967295", "0 milliwatts 4294967295", "0 processes yes", "0 process 0 5",
            "0 process 4294967295 5",
        )  # fmt: skip
        found = read(nvml.environment)
        device = found["devices"][0]
        assert known(device) == {"index"}
        assert found["cuda"] is None

    def test_a_process_with_several_slices_is_counted_once(self, nvml: FakeNvml, read: Read) -> None:
        nvml.says("driver count 1", *gpu(0), "0 process 4194000 5", "0 process 4194000 7")
        assert [(p["pid"], p["memory"]) for p in read(nvml.environment)["devices"][0]["processes"]] == [(4194000, 12)]


ROW = "{}, GPU-{}, 1000, 81559, 50, 41, 123.46, 700.00, Disabled, 580.95.05, NVIDIA H100 80GB HBM3\n"


def test_nvidia_smi_where_pynvml_is_missing(read: Read, tmp_path: Path) -> None:
    apps = f"GPU-a, {os.getpid()}, 900, python\nGPU-a, 4194000, [N/A], /opt/serve\n"
    smi_script(tmp_path / "bin", ROW.format(0, "a") + ROW.format(1, "b"), apps)
    found = read({}, WITHOUT_PYNVML)
    assert (found["source"], found["driver"], found["detail"]) == ("nvidia-smi", "580.95.05", "")
    first, second = found["devices"]
    assert (first["memory_used"], first["memory_total"], first["utilisation"]) == (1000, 81559, 50)
    assert (first["temperature"], first["power"], first["uuid"]) == (41, 123.46, "GPU-a")
    assert first["power_limit"] == 700.0
    assert [(p["pid"], p["memory"]) for p in first["processes"]] == [(os.getpid(), 900), (4194000, None)]
    assert first["processes"][1]["command"] == "/opt/serve", "what we cannot see ourselves the tool may know"
    assert not second["processes"]


def test_nvidia_smi_that_hangs(read: Read, tmp_path: Path) -> None:
    smi_script(tmp_path / "bin", "", before="exec sleep 60")
    found = read({}, WITHOUT_PYNVML, timeout=0.3)
    assert found["source"] == "unknown"
    assert found["detail"] == "nvidia-smi: no answer within 0.3 s"


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a GPU here")
def test_no_gpu_at_all_is_a_value(read: Read, tmp_path: Path) -> None:
    for code in (READ, WITHOUT_PYNVML):
        found = read({"LD_LIBRARY_PATH": ""}, code, path=str(tmp_path / "bin"))
        assert found == {"devices": [], "source": "none", "driver": None, "cuda": None, "detail": "", "at": None}


@pytest.mark.parametrize("module", ["import warnings; warnings.warn('old', FutureWarning)", "x = 1 / 0", "x ="])
def test_another_module_of_that_name_disturbs_nobody(read: Read, tmp_path: Path, house: Path, module: str) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "pynvml.py").write_text(module + "\n")
    smi_script(tmp_path / "bin", ROW.format(0, "a"))
    found = read({"PYTHONPATH": f"{folder}:{house}"})
    assert found["source"] == "nvidia-smi"


def test_bounds() -> None:
    assert [bounds.percent(value) for value in (None, -1, 0, 100, 101, float("nan"), float("inf"))] == [
        None, None, 0, 100, None, None, None,
    ]  # fmt: skip
    assert bounds.watts(float("nan")) is None
    assert bounds.pid(0) is None
    assert bounds.mebibytes(1e12) is None
