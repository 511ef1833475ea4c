"""nvidia-smi: outputs of real versions of it, and what no version should say."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hosts.host import Accelerators, GpuDevice, GpuProcess, MigDevice
from hosts.local import smi_text
from hosts.local.nvidia_smi import Answer, NvidiaSmi, Questions
from hosts.local.smi_text import FIELDS
from tests.peers import smi_replay
from tests.peers.nvml import smi_script

pytestmark = pytest.mark.travels

ZERO = "0000-0000-0000-0000"
H200 = f"GPU-00000000-{ZERO[:-5]}-000000000000"
WARNING = "WARNING: infoROM is corrupted at gpu 0000:65:00.0"
LOST = "GPU 1: GPU is lost; GPU 1: Unknown Error; it ended with code 15"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def replay(tools: Path, house: Path, recording: str) -> Path:
    """Install an nvidia-smi that answers out of a recording; gives the file in which its questions are noted."""
    asked = tools / "asked"
    words = [sys.executable, "-I", smi_replay.__file__, str(house / f"tests/data/nvidia_smi/{recording}.txt")]
    script = tools / "nvidia-smi"
    script.write_text(f'#!/bin/sh\necho "${{1%%=*}}" >> {shlex.quote(str(asked))}\nexec {shlex.join(words)} "$@"\n')
    script.chmod(0o755)
    return asked


def read(further: bool = True, timeout: float = 20.0) -> Accelerators:
    found = NvidiaSmi().read(timeout, further)
    assert found is not None
    return found


def told(device: GpuDevice) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(device).items() if value not in (None, (), [])}


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (
            "rtx2080super-465.27",
            {
                "index": 0, "name": "NVIDIA GeForce RTX 2080 SUPER", "uuid": "GPU-1937b558-347d-0f30-105b-893b98985668",
                "memory_used": 344, "memory_total": 7979, "utilisation": 0, "temperature": 32, "power": 30.37,
                "power_limit": 250.0, "ghost": 344,
            },
        ),
        (
            "rtx2060-460.91.03",
            {
                "index": 0, "name": "GeForce RTX 2060", "memory_used": 682, "memory_total": 5934, "utilisation": 20,
                "temperature": 36,
            },
        ),
        ("gb10", {"index": 0, "name": "NVIDIA GB10", "utilisation": 2, "temperature": 38}),
        ("gtx770-2018", {"index": 0, "name": "GeForce GTX 770", "temperature": 52}),
        ("a100-mig-pod-535.161.08", {"index": 0, "name": "NVIDIA A100-SXM4-80GB", "temperature": 47}),
    ],
)  # fmt: skip
def test_one_card(tools: Path, house: Path, recording: str, expected: dict[str, Any]) -> None:
    replay(tools, house, recording)
    found = read()
    assert (found.source, found.detail) == ("nvidia-smi", "")
    assert [told(device) for device in found.devices] == [expected]


def test_eight_cards_of_a_driver_that_does_not_know_a_field(tools: Path, house: Path) -> None:
    asked = replay(tools, house, "titanx-2016")
    tool = NvidiaSmi()
    for _ in range(2):
        found = tool.read(20.0, further=False)
        assert found is not None
        assert (found.source, found.detail, len(found.devices)) == ("nvidia-smi", "", 8)
        assert [device.memory_used for device in found.devices] == [802, 10032, 6442, 6442, 6459, 6440, 6451, 6442]
    questions = asked.read_text().split()
    assert questions.count("--query-gpu") == 3, "a field that was refused is not asked for again"


def test_mig_without_load(tools: Path, house: Path) -> None:
    replay(tools, house, "h200-mig-590.48.01-idle")
    found = read()
    (device,) = found.devices
    assert (found.driver, found.detail) == ("590.48.01", "")
    assert (device.memory_used, device.utilisation, device.processes, device.ghost) == (55, None, (), 55)
    assert device.mig == (
        MigDevice(0, f"MIG-00000000-{ZERO[:-5]}-000000000000", "1c.3g.71gb", 22, 71424),
        MigDevice(1, f"MIG-00000001-{ZERO[:-5]}-000000000001", "2c.3g.71gb", 22, 71424),
        MigDevice(2, f"MIG-00000002-{ZERO[:-5]}-000000000002", "2g.35gb", 17, 33280),
        MigDevice(3, f"MIG-00000003-{ZERO[:-5]}-000000000003", "1g.18gb", 9, 16384),
        MigDevice(4, f"MIG-00000004-{ZERO[:-5]}-000000000004", "1g.18gb", 9, 16384),
    )


def test_mig_under_load(tools: Path, house: Path) -> None:
    replay(tools, house, "h200-mig-590.48.01-load")
    (device,) = read().devices
    assert device.uuid == H200
    assert device.processes == (
        GpuProcess(12249, 2194, command="/root/tools/memhog"),
        GpuProcess(12250, 1170, command="/root/tools/memhog"),
        GpuProcess(12267, 13526, command="./gpu_burn"),
    )
    assert device.ghost == 16959 - 2194 - 1170 - 13526
    assert [part.memory_used for part in device.mig] == [16925, 16925, 17, 9, 9]


def test_it_can_be_asked_wherever_it_runs(house: Path) -> None:
    recording = smi_replay.Recording((house / "tests/data/nvidia_smi/h200-mig-590.48.01-load.txt").read_text())
    asked: list[str] = []

    def put(asking: Questions) -> Accelerators:
        words = next(asking)
        while True:
            asked.append(words[0].partition("=")[0])
            out, code = recording.answer(list(words))
            try:
                words = asking.send(Answer(code, out))
            except StopIteration as end:
                found: Accelerators = end.value
                return found

    assert [len(device.mig) for device in put(NvidiaSmi().questions()).devices] == [5]
    assert asked == ["--query-gpu", "--query-compute-apps", "-q", "-L"]


def test_a_container_is_told_a_pid_without_a_name(tools: Path, house: Path) -> None:
    replay(tools, house, "host-pid-in-container-2021")
    (device,) = read().devices
    assert device.processes == (GpuProcess(40170, 185),)


def test_a_container_is_told_of_no_process(tools: Path, house: Path) -> None:
    asked = replay(tools, house, "container-535.183.01")
    (device,) = read(further=False).devices
    assert (device.memory_used, device.processes) == (7325, ())
    assert "-q" not in asked.read_text().split()
    (device,) = read(further=True).devices
    assert device.ghost is None, "the closer look told nothing"


@pytest.mark.parametrize(
    ("recording", "source", "detail"),
    [
        ("no-devices", "none", "no devices were found"),
        ("mismatch-470", "unknown", "Failed to initialize NVML: Driver/library version mismatch"),
        (
            "mismatch-580.178",
            "unknown",
            "Failed to initialize NVML: Driver/library version mismatch NVML library version: 580.178",
        ),
        (
            "driver-not-running-440",
            "unknown",
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
            "NVIDIA driver is installed and running.",
        ),
        (
            "handle-610.57.04",
            "unknown",
            "Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error",
        ),
        (
            "gpu-lost-reboot-2019",
            "unknown",
            "Unable to determine the device handle for GPU 0000:03:00.0: GPU is lost. Reboot the system to recover "
            "this GPU",
        ),
    ],
)
def test_no_answer(tools: Path, house: Path, recording: str, source: str, detail: str) -> None:
    replay(tools, house, recording)
    assert read() == Accelerators((), source, detail=f"nvidia-smi: {detail}")


def test_a_lost_gpu_is_unknown_and_the_other_stands(tools: Path, house: Path) -> None:
    replay(tools, house, "gpu-lost")
    found = read()
    assert found.detail == f"nvidia-smi: {LOST}"
    assert [device.memory_used for device in found.devices] == [1000, None]
    assert set(told(found.devices[1])) == {"index", "name", "uuid"}
    assert [device.processes for device in found.devices] == [None, None]


def test_a_line_of_its_own_for_a_gpu_that_is_gone(tools: Path) -> None:
    said = "Unable to determine the device handle for GPU0000:3B:00.0: Unknown Error"
    smi_script(tools, row(memory__used="5") + said + "\n", "", code=15, apps_code=15)
    found = read()
    assert [device.memory_used for device in found.devices] == [5]
    assert found.detail == f"nvidia-smi: {said}; it ended with code 15"


def test_a_warning_below_whole_answers_takes_nothing_from_them(tools: Path, house: Path) -> None:
    replay(tools, house, "inforom-warning")
    found = read()
    assert found.detail == f"nvidia-smi: {WARNING}"
    assert [device.memory_used for device in found.devices] == [62000, 4]
    assert [device.processes for device in found.devices] == [(GpuProcess(4194000, 61900, command="python"),), ()]
    assert [device.ghost for device in found.devices] == [100, 4]


def test_a_warning_below_the_closer_look_takes_nothing_from_it(tools: Path, house: Path) -> None:
    replay(tools, house, "h200-mig-590.48.01-load")
    whole = read()
    recorded = (house / "tests/data/nvidia_smi/h200-mig-590.48.01-load.txt").read_text()
    (tools / "tests/data/nvidia_smi").mkdir(parents=True)
    (tools / "tests/data/nvidia_smi/warned.txt").write_text(f"{recorded}says {WARNING}\nexit 14\n")
    replay(tools, tools, "warned")
    assert read() == dataclasses.replace(whole, detail=f"nvidia-smi: {WARNING}")


def test_a_warning_without_words_is_still_said(tools: Path) -> None:
    smi_script(tools, row(memory__used="5"), APPS, code=14, apps_code=14)
    found = read()
    assert found.detail == "nvidia-smi: it ended with code 14"
    assert found.devices[0].processes == (GpuProcess(4194000, 900, command="python"),)


def row(**values: str) -> str:
    names = {"index": "0", "name": "N", "uuid": "GPU-a"} | {
        key.replace("__", "."): value for key, value in values.items()
    }
    return ", ".join(names.get(field, "[N/A]") for field in FIELDS) + "\n"


APPS = "GPU-a, 4194000, 900, python\n"
DRAWS = """
GPU 00000000:01:00.0
    GPU UUID                  : GPU-a
    Processes
        Process ID            : 1248
            Type              : G
            Name              : /usr/lib/xorg/Xorg
            Used GPU Memory   : 2000 MiB
        Process ID            : 4194000
            Type              : C
            Name              : python
            Used GPU Memory   : {} MiB
"""


@pytest.mark.parametrize(
    ("used", "held", "pids", "ghost"),
    [
        ("1000", "900", [4194000], 100),
        ("2900", "900", [1248, 4194000], 0),
        ("9000", "900", [1248, 4194000], 6100),
        ("9000", "[N/A]", [1248, 4194000], None),
    ],
)
def test_memory_that_no_computing_process_holds_is_looked_into(
    tools: Path, used: str, held: str, pids: list[int], ghost: int | None
) -> None:
    closer = tools / "closer"
    closer.write_text(DRAWS.format(held))
    smi_script(tools, row(memory__used=used), APPS, before=f'[ "$1" != -q ] || exec cat {shlex.quote(str(closer))}')
    (device,) = read().devices
    assert [process.pid for process in device.processes or ()] == pids
    assert device.ghost == ghost


@pytest.mark.parametrize("word", ["ERR!", "[Unknown Error]", "Unknown Error", "[GPU requires reset]"])
def test_what_the_tool_could_not_read_is_unknown_and_said(tools: Path, word: str) -> None:
    smi_script(tools, row(power__draw=word, memory__used="5"))
    found = read()
    assert (found.devices[0].power, found.devices[0].memory_used) == (None, 5)
    assert found.detail == f"nvidia-smi: GPU 0: {word.strip('[]')}"


@pytest.mark.parametrize("word", ["[N/A]", "N/A", "[Not Supported]", "[Requested functionality has been deprecated]"])
def test_what_the_tool_does_not_tell_is_no_fault(tools: Path, word: str) -> None:
    smi_script(tools, row(power__draw=word), "[Not Supported]\n")
    found = read()
    assert (found.devices[0].power, found.devices[0].processes, found.detail) == (None, None, "")


def test_names_may_hold_commas(tools: Path) -> None:
    smi_script(tools, row(name="A, B, Inc."), "GPU-a, 4194000, 5, sh -c a, b\nGPU-a, 4194001, [N/A], [Not Found]\n")
    (device,) = read().devices
    assert device.name == "A, B, Inc."
    assert device.processes == (GpuProcess(4194000, 5, command="sh -c a, b"), GpuProcess(4194001, None))


@pytest.mark.parametrize("apps", ["GPU-a, 99999999, 1, x\n", "GPU-a, [Insufficient Permissions], 1\n", "broken\n"])
def test_a_list_with_a_line_that_cannot_be_read_is_no_list(apps: str) -> None:
    assert smi_text.parse_processes(APPS + apps) is None


def test_numbers_are_bounded(tools: Path) -> None:
    wild = {"memory__used": "99999999999", "memory__total": "-1", "utilization__gpu": "101", "temperature__gpu": "999"}
    smi_script(tools, row(**wild, power__draw="1e9", enforced__power__limit="٣"))
    assert set(told(read().devices[0])) == {"index", "name", "uuid"}


def test_the_closer_look_is_an_outline_that_anybody_may_have_written() -> None:
    bare = "        deep : 1\nGPU x\n                deeper : 2\n    MIG Device\n        Index : no\n"
    assert smi_text.parse_details(bare) == {}
    processes = "    Processes\n        Process ID : 0\n        Process ID : 9\n"
    hostile = f"GPU 1\n    GPU UUID : GPU-a\n{processes}    GPU UUID : GPU-b\n"
    assert smi_text.parse_details(hostile)["GPU-b"].processes == (GpuProcess(9, None),)


def test_the_closer_look_may_find_nobody(house: Path) -> None:
    recorded = (house / "tests/data/nvidia_smi/h200-mig-590.48.01-idle.txt").read_text()
    (detail,) = smi_text.parse_details(recorded).values()
    assert detail.processes == ()


@pytest.mark.parametrize(
    ("out", "code", "source", "detail"),
    [
        ("", 12, "unknown", "nvidia-smi: it ended with code 12 and said nothing"),
        ("?\xff garbage, 1, 2\n", 0, "unknown", None),
        ("9" * 40 + ", a, b, 1, 2, 3, 4, 5, 6, 7, 8\n", 0, "unknown", None),
        ('Field "index" is not a valid field to query.\n', 2, "unknown", None),
    ],
)
def test_nonsense(tools: Path, out: str, code: int, source: str, detail: str | None) -> None:
    smi_script(tools, out, code=code)
    found = read()
    assert (found.source, found.devices) == (source, ())
    assert found.detail.startswith("nvidia-smi: ") if detail is None else found.detail == detail


def test_a_tool_that_hangs(tools: Path) -> None:
    smi_script(tools, "", before="exec sleep 60")
    began = time.monotonic()
    assert read(timeout=0.3).detail.startswith("nvidia-smi: no answer within 0.")
    assert time.monotonic() - began < 30


def test_no_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert NvidiaSmi().read(1.0) is None


def test_every_recording_has_its_source(house: Path) -> None:
    folder = house / "tests/data/nvidia_smi"
    told_of = (folder / "README.md").read_text()
    names = [path.stem for path in folder.glob("*.txt")]
    assert len(names) >= 8
    assert [name for name in names if f"`{name}`" not in told_of.replace("`-load`", "`h200-mig-590.48.01-load`")] == []
    assert os.path.basename(smi_replay.__file__) in told_of
