"""What nvidia-smi prints, taken apart. Its forms differ by version: tests/data/nvidia_smi has recorded ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hosts.host import GpuDevice, GpuProcess, MigDevice
from hosts.local import bounds

FIELDS = (
    "index",
    "uuid",
    "memory.used",
    "memory.total",
    "utilization.gpu",
    "temperature.gpu",
    "power.draw",
    "enforced.power.limit",
    "mig.mode.current",
    "driver_version",
    "name",
)
"""What is asked of each GPU; the name last, since it may hold commas itself."""

_SAID_LIMIT = 200
_WARNING = "WARNING: "
_UNTOLD = re.compile(
    r"\[?(?:n/?a|not supported|insufficient permissions|not found|no data|requested functionality has been deprecated"
    r")\]?",
    re.IGNORECASE,
)
_FAULT = re.compile(r"\[.*\]|err!|unknown error|gpu is lost|gpu requires reset", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_GPU = re.compile(r"GPU (\d+): ")
_INSTANCE = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+):\s*\(UUID:\s*([^)\s]+)\)")
_MEMORY_BLOCKS = ("FB Memory Usage", "Shared FB Memory Usage")


@dataclass(frozen=True)
class Row:
    """One GPU of the answer; `mig` says that it is split."""

    device: GpuDevice
    driver: str | None
    mig: bool


@dataclass
class Detail:
    """What `nvidia-smi -q` adds about one GPU: MIG memory (used, total) by index, and all processes of any kind."""

    uuid: str | None = None
    memory: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)
    processes: tuple[GpuProcess, ...] | None = None


def parse_row(line: str, fields: tuple[str, ...], faults: dict[str, None]) -> Row | None:
    """One line of --query-gpu, or None where it is something else; what the tool could not read goes to `faults`."""
    words = [word.strip() for word in line.split(",", len(fields) - 1)]
    if len(words) != len(fields):
        return None
    told = dict(zip(fields, words, strict=True))
    index = bounds.index(_number(told.get("index", "")))
    if index is None:
        return None
    for word in words:  # "[GPU is lost]" is a fault; "[N/A]" is only nothing
        if _FAULT.fullmatch(word) and not _UNTOLD.fullmatch(word):
            faults[f"GPU {index}: {one_line(word.strip('[]'))}"] = None

    def number(name: str) -> float | None:
        return _number(told.get(name, ""))

    device = GpuDevice(
        index,
        _word(told.get("name", "")),
        _word(told.get("uuid", "")),
        bounds.mebibytes(number("memory.used")),
        bounds.mebibytes(number("memory.total")),
        bounds.percent(number("utilization.gpu")),
        bounds.celsius(number("temperature.gpu")),
        bounds.watts(number("power.draw")),
        power_limit=bounds.watts(number("enforced.power.limit")),
    )
    return Row(device, _word(told.get("driver_version", "")), told.get("mig.mode.current") == "Enabled")


def parse_processes(out: str) -> dict[str, tuple[GpuProcess, ...]] | None:
    """The processes of --query-compute-apps by their GPU's uuid; None when there is a line that cannot be read.

    A list with such a line is no list of all processes. A warning is about a card, and stands below the whole list.
    """
    found: dict[str, dict[int, GpuProcess]] = {}
    for line in out.splitlines():
        if not line.strip() or line.startswith(_WARNING):
            continue
        words = [word.strip() for word in line.split(",", 3)]
        pid = bounds.pid(_number(words[1])) if len(words) >= 3 else None
        if pid is None:
            return None
        name = _word(words[3]) if len(words) == 4 else None
        _add(found.setdefault(words[0], {}), GpuProcess(pid, bounds.mebibytes(_number(words[2])), command=name))
    return {uuid: _in_order(processes) for uuid, processes in found.items()}


def parse_list(out: str) -> dict[int, dict[int, MigDevice]]:
    """The MIG instances of `nvidia-smi -L` by GPU and by their own number."""
    found: dict[int, dict[int, MigDevice]] = {}
    gpu = None
    for line in out.splitlines():
        whole, part = _GPU.match(line), _INSTANCE.match(line)
        if whole is not None:
            gpu = bounds.index(_number(whole[1]))
        elif part is not None and gpu is not None:
            index = bounds.index(_number(part[2]))
            if index is not None:
                found.setdefault(gpu, {})[index] = MigDevice(index, _word(part[3]), _word(part[1]))
    return found


def instances(listed: Mapping[int, MigDevice], detail: Detail | None) -> tuple[MigDevice, ...]:
    """MIG instances of one GPU: who they are from the list, what they hold from the detail."""
    memory = {} if detail is None else detail.memory
    found = []
    for index in sorted({*listed, *memory}):
        known = listed.get(index, MigDevice(index, None, None))
        used, total = memory.get(index, (None, None))
        found.append(MigDevice(index, known.uuid, known.profile, used, total))
    return tuple(found)


def parse_details(out: str) -> dict[str, Detail]:
    """What `nvidia-smi -q` says of each GPU, by its uuid: an outline, a level for every four blanks."""
    found = []
    detail = Detail()
    path: list[str] = []
    index: int | None = None
    process: dict[str, str] = {}
    processes: dict[int, GpuProcess] = {}

    def end_process() -> None:
        pid = bounds.pid(_number(process.get("Process ID", "")))
        if pid is not None:
            mib = bounds.mebibytes(_number(process.get("Used GPU Memory", "").removesuffix(" MiB")))
            _add(processes, GpuProcess(pid, mib, command=_word(process.get("Name", ""))))
            detail.processes = _in_order(processes)
        process.clear()

    for line in out.splitlines():
        key, colon, value = (part.strip() for part in line.partition(" : "))
        level = (len(line) - len(line.lstrip(" "))) // 4
        path = [*path[:level], *[""] * (level - len(path)), key]
        if level == 0:
            if key.startswith("GPU "):
                end_process()
                detail, processes, index = Detail(), {}, None
                found.append(detail)
        elif level == 1:
            end_process()
            if key == "GPU UUID":
                detail.uuid = _word(value)
            elif key == "Processes":
                detail.processes = ()
        elif path[1] == "MIG Device" and level == 2 and key == "Index":
            index = bounds.index(_number(value))
        elif path[1] == "MIG Device" and level == 3 and path[2] in _MEMORY_BLOCKS and index is not None:
            used, total = detail.memory.get(index, (None, None))
            mib = bounds.mebibytes(_number(value.removesuffix(" MiB")))
            detail.memory[index] = (mib, total) if key == "Used" else (used, mib) if key == "Total" else (used, total)
        elif path[1] == "Processes" and colon:
            if key == "Process ID":
                end_process()
            process[key] = value
    end_process()
    return {detail.uuid: detail for detail in found if detail.uuid is not None}


def one_line(text: str) -> str:
    """The beginning of what the tool said, on one line."""
    return " ".join(text.split())[:_SAID_LIMIT]


def _add(processes: dict[int, GpuProcess], process: GpuProcess) -> None:
    """A process stands once for each MIG slice that it uses; its memory is unknown when that of one is."""
    before = processes.get(process.pid)
    if before is not None:
        known = None if before.memory is None or process.memory is None else before.memory + process.memory
        process = GpuProcess(process.pid, known, command=before.command)
    processes[process.pid] = process


def _in_order(processes: Mapping[int, GpuProcess]) -> tuple[GpuProcess, ...]:
    return tuple(processes[pid] for pid in sorted(processes))


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _word(text: str) -> str | None:
    return None if not text or text.startswith("[") or _UNTOLD.fullmatch(text) else text[: bounds.NAME_LIMIT]
