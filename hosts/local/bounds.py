"""Numbers that a driver or a tool reports, taken only where they can be true (SAFETY S3)."""

from __future__ import annotations

import math

from hosts.host import GpuProcess

NAME_LIMIT = 128
_MAX_PID = 1 << 22  # the kernel's own upper limit
_MAX_MIB = 1 << 26  # 64 TiB


def percent(value: float | None) -> int | None:
    """A utilisation in percent, or None."""
    return _whole(value, 0, 100)


def celsius(value: float | None) -> int | None:
    """A temperature in °C, or None."""
    return _whole(value, -60, 250)


def mebibytes(value: float | None) -> int | None:
    """A size in MiB, or None."""
    return _whole(value, 0, _MAX_MIB)


def watts(value: float | None) -> float | None:
    """A power in W, or None."""
    return value if value is not None and math.isfinite(value) and 0 <= value <= 100_000 else None


def pid(value: float | None) -> int | None:
    """A process id, or None."""
    return _whole(value, 1, _MAX_PID)


def index(value: float | None) -> int | None:
    """A device's number, or None."""
    return _whole(value, 0, 4095)


def unowned(used: int | None, processes: tuple[GpuProcess, ...] | None) -> int | None:
    """MiB of `used` that none of the processes holds, or None where not every figure is known."""
    if used is None or processes is None:
        return None
    held = 0
    for process in processes:
        if process.memory is None:
            return None
        held += process.memory
    return max(0, used - held)


def _whole(value: float | None, least: int, most: int) -> int | None:
    if value is None or not math.isfinite(value) or not least <= value <= most:
        return None
    return int(value)
