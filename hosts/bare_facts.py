"""What /proc tells of a host, read over SFTP."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re

from hosts.bare_sftp import Sftp
from hosts.errors import InputError
from hosts.host import Load

_LIMIT = 1 << 16
_INITIAL_PID_NS = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel
_RANGES = re.compile(r"\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*\Z")


async def read_load(sftp: Sftp) -> tuple[Load, str]:
    """What is known of the host now, and in one line why the rest is not; "" when there is nothing left out."""
    found = await asyncio.gather(*(_small(sftp, path) for path in _FILES.values()))
    texts = dict(zip(_FILES, found, strict=True))
    memory = dict(re.findall(r"^(\w+): +(\d{1,15}) kB$", texts["memory"], re.MULTILINE))
    faults = [name for name in ("load averages", "memory") if not texts[name]]
    load = Load(
        _averages(texts["load averages"]),
        _count(texts["cores"].strip()),
        _mebibytes(memory.get("MemTotal")),
        _mebibytes(memory.get("MemAvailable")),
        texts["boot id"].strip()[:64] or None,
        _number(texts["uptime"].partition(" ")[0]),
        texts["hostname"].strip()[:253] or None,
        texts["kernel"].strip()[:200] or None,
    )
    return load, f"{', '.join(faults)}: cannot be read" if faults else ""


async def read_clock(sftp: Sftp) -> float | None:
    """The host's clock, to about half a second: when it was started, as it sees that now, and how long it has run."""
    text, numbers = await asyncio.gather(_small(sftp, _FILES["uptime"]), _small(sftp, "/proc/stat", 1 << 20))
    uptime = _number(text.partition(" ")[0])
    started = re.search(r"^btime (\d{1,12})$", numbers, re.MULTILINE)
    # The second of its start, of which the middle is the best guess
    return int(started[1]) + 0.5 + uptime if started is not None and uptime is not None else None


async def counts_like_the_driver(sftp: Sftp) -> bool:
    """Whether a pid means the same process there as it does to the driver; not where that cannot be told."""
    with contextlib.suppress(InputError):
        return await sftp.link("/proc/self/ns/pid") == _INITIAL_PID_NS
    return False


async def read_mounts(sftp: Sftp) -> str:
    """What is mounted where, as the kernel tells it; "" where it does not."""
    return await _small(sftp, "/proc/self/mountinfo", 1 << 20)


async def read_home(sftp: Sftp) -> str:
    """Where the session's relative paths begin, links followed, as the kernel tells it: the folder is not asked about.

    "" where it does not tell.
    """
    with contextlib.suppress(InputError):
        home = await sftp.link("/proc/self/cwd")
        return home if home.startswith("/") else ""
    return ""


_FILES = {
    "load averages": "/proc/loadavg",
    "memory": "/proc/meminfo",
    "cores": "/sys/devices/system/cpu/online",
    "boot id": "/proc/sys/kernel/random/boot_id",
    "uptime": "/proc/uptime",
    "hostname": "/proc/sys/kernel/hostname",
    "kernel": "/proc/sys/kernel/osrelease",
}


async def _small(sftp: Sftp, path: str, limit: int = _LIMIT) -> str:
    """A small file of /proc, which says of itself that it is empty; "" where there is none."""
    with contextlib.suppress(InputError):
        handle = await sftp.open(path)
        try:
            return (await sftp.read(handle, path, 0, limit)).decode("utf-8", "replace")
        finally:
            sftp.done(handle, path)
    return ""


def _averages(text: str) -> tuple[float, float, float] | None:
    found = [_number(word) for word in text.split()[:3]]
    if len(found) < 3 or found[0] is None or found[1] is None or found[2] is None:
        return None
    return found[0], found[1], found[2]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _count(text: str) -> int | None:
    if not _RANGES.match(text):
        return None
    pairs = [part.partition("-") for part in text.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in pairs) or None


def _mebibytes(text: str | None) -> int | None:
    return None if text is None else int(text) // 1024
