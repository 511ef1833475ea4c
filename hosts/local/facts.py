"""What this host is and how busy it is, and how much room is left where its files lie."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import TypeVar

from hosts.host import DiskSeen, Load
from hosts.local.mounts import file_system, is_network
from hosts.local.reasons import why

_BLOCK = 1 << 14
T = TypeVar("T")


def read_load() -> tuple[Load, str]:
    """What is known of this host now, and in one line why the rest is not; "" when there is nothing left out."""
    faults: list[str] = []

    def part(name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (OSError, ValueError, AttributeError) as error:
            faults.append(f"{name}: {why(error)}")
            return None

    memory = part("memory", _memory) or (None, None)
    uname = os.uname()
    load = Load(
        part("load averages", _averages),
        os.cpu_count(),
        memory[0],
        memory[1],
        part("boot id", _boot_id),
        part("uptime", _uptime),
        uname.nodename or None,
        uname.release or None,
    )
    return load, "; ".join(faults)


def look_at_disk(path: str) -> DiskSeen:
    """The file system that `path` lies on; "~" is expanded. It may hang where that is served by another machine.

    Free is what everybody may write, as `df` tells it: what is kept for root is room for nobody's logs, and the same
    disk has the same number for whoever looks.
    """
    if "\0" in path:
        return DiskSeen(path, None, None, error="a file's name holds no NUL")
    try:
        place = os.path.expanduser(path)
        disk = os.statvfs(place)
        kind = file_system(place)
    except OSError as error:
        return DiskSeen(path, None, None, error=why(error))
    if not disk.f_blocks:  # one that counts none, such as proc, is not full
        return DiskSeen(path, None, None, kind, is_network(kind))
    return DiskSeen(path, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, kind, is_network(kind))


def _averages() -> tuple[float, float, float]:
    one, five, fifteen = (float(word) for word in _read("/proc/loadavg").split()[:3])
    if not all(math.isfinite(value) and value >= 0 for value in (one, five, fifteen)):
        raise ValueError("not as it should be")
    return one, five, fifteen


def _memory() -> tuple[int | None, int | None]:
    """Total and available MiB; a kernel before 3.14 does not tell the latter."""
    found: dict[str, int] = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            found[name] = int(rest.split()[0]) // 1024
    return found.get("MemTotal"), found.get("MemAvailable")


def _boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _read(path: str) -> str:
    """A small file of /proc, in one read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _BLOCK).decode("ascii")
    finally:
        os.close(fd)
