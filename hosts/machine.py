"""What a machine is made of and how busy it is: its accelerators, its load, its file systems.

Part of the answers of hosts/host.py, and held to the same: the standard library, Python 3.10.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds GPU memory (MiB, None where unknown); owner and the rest None where it is not visible.

    Attributes:
        since: When it started, far clock, seconds since the epoch.
        sid: Its session id.
        marks: The `NAME=value` marks of a run and an attempt that it or what it descends from carries; empty
            where there are none, None where that could not be seen.
        basetemp: The `--basetemp` of the pytest that it is or descends from, or None.
        gone: There is no such process any more, though the driver still counts its memory.
    """

    pid: int
    memory: int | None
    owner: str | None = None
    command: str | None = None
    since: float | None = None
    sid: int | None = None
    marks: tuple[str, ...] | None = None
    basetemp: str | None = None
    gone: bool = False


@dataclass(frozen=True)
class MigDevice:
    """One MIG instance of a GPU; memory in MiB, None where unknown.

    Compute instances of one GPU instance share its memory, and each shows all of it: these do not add up.

    Attributes:
        index: As NVML counts the instances of its GPU.
        profile: Such as 1g.10gb, or 1c.3g.71gb for a part of one.
    """

    index: int
    uuid: str | None
    profile: str | None
    memory_used: int | None = None
    memory_total: int | None = None


@dataclass(frozen=True)
class GpuDevice:
    """One accelerator at one instant; memory in MiB, utilisation in percent, °C, W; None where unknown.

    Attributes:
        processes: None where the tool could not tell, and empty where it said that there are none.
        power_limit: W.
        mig: Its MIG instances, by index.
        ghost: MiB in use that no living process owns; None where not all processes, or not all they use, could be
            seen. Some of it is the driver's own.
    """

    index: int
    name: str | None
    uuid: str | None
    memory_used: int | None
    memory_total: int | None
    utilisation: int | None
    temperature: int | None = None
    power: float | None = None
    processes: tuple[GpuProcess, ...] | None = None
    power_limit: float | None = None
    mig: tuple[MigDevice, ...] = ()
    ghost: int | None = None


@dataclass(frozen=True)
class Accelerators:
    """All accelerators of a host. No GPU at all is a value: `devices` is empty and `source` is "none".

    Attributes:
        source: nvml | nvidia-smi | none | unknown.
        driver: Driver version, or None.
        cuda: The driver's CUDA version such as "13.0", or None.
        detail: Why a source could not be used, in one line, or "".
        at: Far clock when it answered, seconds since the epoch, where that may have been before the look; else None.
    """

    devices: tuple[GpuDevice, ...]
    source: str
    driver: str | None = None
    cuda: str | None = None
    detail: str = ""
    at: float | None = None


@dataclass(frozen=True)
class Load:
    """What a host is and how busy: load averages over 1, 5 and 15 minutes, cores, memory in MiB; None where unknown.

    Attributes:
        boot_id: The kernel's own; another one means that it was started anew.
        uptime: Seconds since it was started, sleep counted.
        hostname: The host's name for itself.
        kernel: Its release, such as 5.15.0-171-generic.
    """

    averages: tuple[float, float, float] | None
    cores: int | None
    memory_total: int | None
    memory_available: int | None
    boot_id: str | None = None
    uptime: float | None = None
    hostname: str | None = None
    kernel: str | None = None


@dataclass(frozen=True)
class DiskSeen:
    """The file system that a path lies on; `free` is what everybody may still write, bytes, None where unknown.

    Attributes:
        path: As it was asked for.
        file_system: Its type, such as ext4 or nfs4.
        network: Whether it is served by another machine: it may hang, and tells of no changes made there.
        error: Why it could not be looked at, or None.
    """

    path: str
    free: int | None
    total: int | None
    file_system: str | None = None
    network: bool = False
    error: str | None = None
