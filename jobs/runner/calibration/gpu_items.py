"""The GPU items of a precheck: are there enough, and who holds them; nothing is ended, ever."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gates.calibration.environment import UNKNOWN
from gates.calibration.precheck import FREE_GPUS, Item, failed, passed
from hosts.errors import InputError
from hosts.host import Accelerators, GpuDevice
from hosts.local.leases import holder_of, is_held, lease_name, lease_place
from jobs.runner.calibration.gpus import busy_reason, choices, usable
from jobs.runner.calibration.job import GpuRules
from jobs.runner.calibration.mends import load_driver

_PCI = Path("/sys/bus/pci/devices")
_NVIDIA = "0x10de"
_DISPLAY = "0x03"
_LOST = "nvidia-smi has to list every GPU; why it does not, this tells: sudo dmesg | grep NVRM"


def look_at_gpus(
    need: int, seen: Accelerators, rules: GpuRules, profile: str | None, environment: Mapping[str, str] = os.environ
) -> list[Item]:
    """Whether so many GPUs are there and free; nothing is asked where none is needed.

    Args:
        need: The most that one pytest uses.
        profile: The file that excludes GPUs, None where there is none.
    """
    if need == 0:
        return []
    if seen.source == UNKNOWN:
        return [failed("GPUs", f"{need} needed; the GPUs cannot be read: {seen.detail}{_given()}")]
    devices = usable(seen, rules)
    if not seen.devices:
        return [_none(need, seen.detail)]
    if len(devices) < need:
        said = f"; {seen.detail}" if seen.detail else ""  # such as of one that is missing
        return [failed("GPUs", f"{_too_few(need, devices, seen, rules, profile)}{said}")]
    reasons = _busy(devices, rules, environment)
    clear = [device for device in devices if device.index not in reasons]
    if choices(devices, clear, need, rules):
        return [passed(FREE_GPUS, f"{len(clear)} of {len(devices)} are free, {need} needed")]
    said = "; ".join(reasons.values()) or "no group of GPUs is clear as a whole"
    return [failed(FREE_GPUS, f"{len(clear)} of {len(devices)} are free, {need} needed: {said}; a run waits for them")]


def _busy(devices: list[GpuDevice], rules: GpuRules, environment: Mapping[str, str]) -> dict[int, str]:
    leases = lease_place(environment)
    reasons: dict[int, str] = {}
    for device in devices:
        reason = busy_reason(device, rules.limit_mib)
        lease = leases / lease_name(device.uuid or str(device.index))
        try:
            if reason is None and is_held(lease):
                reason = f"GPU {device.index} is leased by {holder_of(lease)}"
        except InputError as error:
            reason = f"GPU {device.index}: {error}"
        if reason is not None:
            reasons[device.index] = reason
    return reasons


def _too_few(need: int, devices: list[GpuDevice], seen: Accelerators, rules: GpuRules, profile: str | None) -> str:
    there = len(seen.devices)
    if there < need:
        return f"{need} needed, this machine has {there}: choose stages that need fewer, or another host"
    why = []
    if rules.exclude:
        why.append(f"gpu_exclude: {', '.join(map(str, rules.exclude))}")
    if rules.include is not None:
        why.append(f"gpu_include: {', '.join(map(str, rules.include)) or 'none'}")
    where = profile or "the host profile"
    return f"{need} needed, and of {there} {where} lets {len(devices)} be used ({'; '.join(why)}): change that there"


def _none(need: int, said: str) -> Item:
    if said:  # a driver answers, and has no card left
        return failed("GPUs", f"{need} needed, and there is none: {said}; {_LOST}")
    if not _on_the_bus():
        return failed("GPUs", f"{need} needed, this machine has no NVIDIA GPU: choose another host")
    why = f"{need} needed; an NVIDIA GPU is on the PCI bus, and no driver is loaded"
    command = load_driver()
    return failed("GPUs", why if command else f"{why}, nor installed for this kernel", command)


def _on_the_bus(devices: Path = _PCI) -> bool:
    for device in devices.glob("*"):
        try:
            vendor, kind = (device / "vendor").read_text().strip(), (device / "class").read_text().strip()
        except OSError:
            continue
        if vendor == _NVIDIA and kind.startswith(_DISPLAY):
            return True
    return False


def _given() -> str:
    """A container that was given no GPU sees the driver of its host, and no device."""
    if os.path.exists("/proc/driver/nvidia/version") and not os.path.exists("/dev/nvidiactl"):
        return "; there is no /dev/nvidiactl: a container must be started with its GPUs"
    return ""
