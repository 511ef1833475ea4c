"""The nvidia-smi tool, for machines where NVML cannot be loaded from Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass, replace

from hosts.host import Accelerators, GpuDevice, GpuProcess, MigDevice
from hosts.local import bounds, smi_text
from hosts.local.smi_text import FIELDS, Detail, Row

_FORMAT = "--format=csv,noheader,nounits"
_PROCESSES = "--query-compute-apps=gpu_uuid,pid,used_memory,process_name"
_NO_DEVICES = "no devices were found"
_WHOLE = (0, 14)  # 14: all of the answer, and a warning that the infoROM of one card is corrupted
_NO_FIELD = re.compile(r'Field "([^"\n]{1,64})" is not a valid field to query')
_OUTPUT_LIMIT = 1 << 20
_LITTLE = 1024  # MiB without an owner that are not looked into: the driver itself, a desktop


@dataclass(frozen=True)
class Answer:
    """What the tool said to one question: exit status, stdout and stderr."""

    code: int
    out: str
    said: str = ""


Questions = Generator["tuple[str, ...]", Answer, Accelerators]
"""Yields the arguments of one call of the tool, wants the answer sent back, and returns what follows from all."""


class NvidiaSmi:
    """Asks the tool, again and again; remembers which fields this version of it does not know."""

    def __init__(self) -> None:
        self._fields: tuple[str, ...] = FIELDS

    def read(self, timeout: float, further: bool = True) -> Accelerators | None:
        """Ask the tool of this machine, in `timeout` seconds together.

        Args:
            timeout: Seconds.
            further: As in `questions`.

        Returns:
            None when there is no such tool here; source "unknown" when it fails or answers nothing that can be read.
        """
        tool = shutil.which("nvidia-smi")
        if tool is None:
            return None
        until = time.monotonic() + timeout
        asking = self.questions(further)
        try:
            arguments = next(asking)
            while True:
                arguments = asking.send(_run([tool, *arguments], until))
        except StopIteration as end:
            found: Accelerators = end.value
            return found

    def questions(self, further: bool = True) -> Questions:
        """Ask for devices, then for processes, then for what is left open; whoever runs the tool, and wherever.

        Args:
            further: Whether memory that no computing process owns is looked into: something may draw.
        """
        answer = yield from self._devices()
        faults: dict[str, None] = {}
        rows: list[Row] = []
        for line in answer.out.splitlines():
            row = smi_text.parse_row(line, self._fields, faults)
            if row is not None:
                rows.append(row)
            elif line.strip():
                faults[smi_text.one_line(line)] = None
        if not rows:
            return _nothing(answer)
        if answer.code and not (answer.code in _WHOLE and faults):
            faults[smi_text.one_line(answer.said) or f"it ended with code {answer.code}"] = None
        apps = yield (_PROCESSES, _FORMAT)
        processes = None if apps.code not in _WHOLE else smi_text.parse_processes(apps.out)
        devices = [_with_processes(row.device, processes) for row in rows]
        split = {row.device.index for row in rows if row.mig}
        if split or (further and any((device.ghost or 0) > _LITTLE for device in devices)):
            devices = yield from _closer(devices, split)
        detail = "nvidia-smi: " + "; ".join(faults) if faults else ""
        driver = next((row.driver for row in rows if row.driver), None)
        return Accelerators(tuple(devices), "nvidia-smi", driver, None, detail)

    def _devices(self) -> Generator[tuple[str, ...], Answer, Answer]:
        """A field that is not known is left out, and not asked for again."""
        while True:
            answer = yield ("--query-gpu=" + ",".join(self._fields), _FORMAT)
            unknown = _NO_FIELD.search(answer.out + answer.said) if answer.code else None
            if unknown is None or unknown[1] not in self._fields or len(self._fields) == 1:
                return answer
            self._fields = tuple(field for field in self._fields if field != unknown[1])


def _nothing(answer: Answer) -> Accelerators:
    """What it means that there was no device in the answer."""
    if _NO_DEVICES in (answer.out + answer.said).lower():
        return Accelerators((), "none", detail="nvidia-smi: no devices were found")
    said = smi_text.one_line(answer.out) or smi_text.one_line(answer.said)
    return Accelerators(
        (), "unknown", detail=f"nvidia-smi: {said or f'it ended with code {answer.code} and said nothing'}"
    )


def _with_processes(device: GpuDevice, listed: dict[str, tuple[GpuProcess, ...]] | None) -> GpuDevice:
    if listed is None or device.uuid is None:
        return device
    processes = listed.get(device.uuid, ())
    return replace(device, processes=processes, ghost=bounds.unowned(device.memory_used, processes))


def _closer(devices: list[GpuDevice], split: set[int]) -> Generator[tuple[str, ...], Answer, list[GpuDevice]]:
    """`devices` with MIG instances and with the processes that draw; what cannot be seen is taken back."""
    answer = yield ("-q",)
    details = {} if answer.code not in _WHOLE else smi_text.parse_details(answer.out)
    listed: dict[int, dict[int, MigDevice]] = {}
    if split:
        answer = yield ("-L",)
        listed = {} if answer.code not in _WHOLE else smi_text.parse_list(answer.out)
    return [_looked_into(device, details.get(device.uuid or ""), device.index in split, listed) for device in devices]


def _looked_into(
    device: GpuDevice, detail: Detail | None, split: bool, listed: dict[int, dict[int, MigDevice]]
) -> GpuDevice:
    if detail is not None and detail.processes is not None:
        ghost = bounds.unowned(device.memory_used, detail.processes)
        device = replace(device, processes=detail.processes, ghost=ghost)
    elif (device.ghost or 0) > _LITTLE:
        device = replace(device, ghost=None)
    return replace(device, mig=smi_text.instances(listed.get(device.index, {}), detail)) if split else device


def _run(argv: list[str], until: float) -> Answer:
    """Code 124 when it took too long, as timeout(1) has it."""
    timeout = max(0.1, until - time.monotonic())
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"no answer within {timeout:.2g} s")
    except OSError as error:
        return Answer(126, "", os.strerror(error.errno) if error.errno else str(error))
    return Answer(done.returncode, _decode(done.stdout), _decode(done.stderr))


def _decode(data: bytes) -> str:
    return data[:_OUTPUT_LIMIT].decode("utf-8", "replace")
