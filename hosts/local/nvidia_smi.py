"""The nvidia-smi tool, for machines where NVML cannot be loaded from Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import replace

from hosts.host import Accelerators, GpuDevice, GpuProcess
from hosts.local import bounds

_DEVICES = (
    "--query-gpu=index,name,uuid,memory.used,memory.total,utilization.gpu,temperature.gpu,power.draw,driver_version"
)
_PROCESSES = "--query-compute-apps=gpu_uuid,pid,used_memory"
_FORMAT = "--format=csv,noheader,nounits"
_AFTER_NAME = 7  # columns that follow the name, which may hold commas itself
_NO_DEVICES = "no devices were found"
_OUTPUT_LIMIT = 1 << 20
_SAID_LIMIT = 200
_UNTOLD = re.compile(r"\[?(?:n/?a|not supported|insufficient permissions|not found|no data)\]?\Z", re.IGNORECASE)


def read(timeout: float) -> Accelerators | None:
    """Ask nvidia-smi for devices, then for processes, in `timeout` seconds together.

    Returns:
        None when there is no such tool here; source "unknown" when it fails or answers nothing that can be read.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    until = time.monotonic() + timeout
    code, out, said = _run([tool, _DEVICES, _FORMAT], timeout)
    faults: dict[str, None] = {}
    devices: list[GpuDevice] = []
    driver = None
    for line in out.splitlines():
        parsed = _device(line, faults)
        if parsed is not None:
            devices.append(parsed[0])
            driver = driver or parsed[1]
        elif line.strip():
            faults[_one_line(line)] = None
    if not devices:
        if _NO_DEVICES in (out + said).lower():
            return Accelerators((), "none", detail="nvidia-smi: no devices were found")
        why = _one_line(out) or _one_line(said) or f"it ended with code {code} and said nothing"
        return Accelerators((), "unknown", detail=f"nvidia-smi: {why}")
    if code:
        faults[_one_line(said) or f"it ended with code {code}"] = None
    processes = _processes(tool, until - time.monotonic())
    if processes is not None:
        devices = [replace(device, processes=tuple(processes.get(device.uuid or "", ()))) for device in devices]
    detail = "nvidia-smi: " + "; ".join(faults) if faults else ""
    return Accelerators(tuple(devices), "nvidia-smi", driver, None, detail)


def _run(argv: list[str], timeout: float) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; code 124 when it took too long, as timeout(1) has it."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(0.1, timeout),
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"no answer within {timeout:g} s"
    except OSError as error:
        return 126, "", os.strerror(error.errno) if error.errno else str(error)
    return done.returncode, _decode(done.stdout), _decode(done.stderr)


def _device(line: str, faults: dict[str, None]) -> tuple[GpuDevice, str | None] | None:
    fields = [field.strip() for field in line.split(",")]
    if len(fields) < 2 + _AFTER_NAME:
        return None
    index = bounds.index(_number(fields[0]))
    if index is None:
        return None
    name = ", ".join(fields[1:-_AFTER_NAME])
    uuid, used, total, utilisation, temperature, power, driver = fields[-_AFTER_NAME:]
    for field in fields:  # "[GPU is lost]" is a fault; "[N/A]" is only nothing
        if field.startswith("[") and not _UNTOLD.match(field):
            faults[f"GPU {index}: {_one_line(field.strip('[]'))}"] = None
    device = GpuDevice(
        index,
        _word(name),
        _word(uuid),
        bounds.mebibytes(_number(used)),
        bounds.mebibytes(_number(total)),
        bounds.percent(_number(utilisation)),
        bounds.celsius(_number(temperature)),
        bounds.watts(_number(power)),
    )
    return device, _word(driver)


def _processes(tool: str, timeout: float) -> dict[str, list[GpuProcess]] | None:
    """The processes of each device by its uuid, or None when the tool cannot tell."""
    code, out, _ = _run([tool, _PROCESSES, _FORMAT], timeout)
    if code:
        return None
    memory: dict[tuple[str, int], int | None] = {}
    for line in out.splitlines():
        fields = [field.strip() for field in line.split(",")]
        pid = bounds.pid(_number(fields[1])) if len(fields) == 3 else None
        if pid is None:
            if line.strip():
                return None  # a list with a line that cannot be read is no list of all processes
            continue
        mib = bounds.mebibytes(_number(fields[2]))
        before = memory.get((fields[0], pid), 0)
        memory[fields[0], pid] = None if mib is None or before is None else before + mib
    found: dict[str, list[GpuProcess]] = {}
    for (uuid, pid), mib in sorted(memory.items(), key=lambda entry: entry[0]):
        found.setdefault(uuid, []).append(GpuProcess(pid, mib))
    return found


def _number(text: str) -> float | None:
    if not re.fullmatch(r"-?\d{1,12}(?:\.\d{1,6})?", text, re.ASCII):
        return None
    return float(text)


def _word(text: str) -> str | None:
    return None if not text or text.startswith("[") or _UNTOLD.match(text) else text[: bounds.NAME_LIMIT]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SAID_LIMIT]


def _decode(data: bytes) -> str:
    return data[:_OUTPUT_LIMIT].decode("utf-8", "replace")
