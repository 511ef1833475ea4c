"""How full and how busy something is, in a cell, a bar or a row of them. The glyph alone tells; colour only helps."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from hosts.host import GpuDevice
from tui.marks import Look
from tui.screens.host_facts import is_free
from tui.screens.run_ink import Span

LEVELS = "▁▂▃▄▅▆▇█"
_DIGITS = "12345678"
_BUSY = 50  # percent

FREE = Look("·", ".", "free: under 2 GiB used, no process", "success")
GHOST = Look("!", "!", "ghost memory: used, and nobody owns it", "error")
UNKNOWN = Look("?", "?", "not known", "warning")
SIGNS = (
    FREE,
    Look("▁", "1", "least full, or least busy", "secondary"),
    Look("█", "8", "most", "primary"),
    GHOST,
    UNKNOWN,
)
"""What the help says of a cell."""


class Measure(Enum):
    """What a cell of a GPU shows; the value is its word."""

    MEMORY = "memory"
    BUSY = "busy"


def gpu_cell(device: GpuDevice, ghost: int, measure: Measure, ascii_only: bool) -> Span:
    """One accelerator in one cell; `ghost` is how many MiB of it nobody owns, and marks it where that is most of it."""
    if ghost and ghost * 2 >= (device.memory_used or 0):
        return GHOST.sign(ascii_only), GHOST.style
    if measure is Measure.MEMORY and is_free(device):
        return FREE.sign(ascii_only), FREE.style
    share = memory_share(device) if measure is Measure.MEMORY else busy_share(device)
    if share is None:
        return UNKNOWN.sign(ascii_only), UNKNOWN.style
    if measure is Measure.BUSY and share == 0:
        return FREE.sign(ascii_only), "muted"
    busy = device.utilisation is not None and device.utilisation >= _BUSY
    return level(share, ascii_only), "primary" if busy else "secondary"


def memory_share(device: GpuDevice) -> float | None:
    """How full its memory is, 0 to 1."""
    if device.memory_used is None or not device.memory_total:
        return None
    return min(1.0, device.memory_used / device.memory_total)


def busy_share(device: GpuDevice) -> float | None:
    """How busy it is, 0 to 1."""
    return None if device.utilisation is None else max(0.0, min(1.0, device.utilisation / 100))


def level(share: float | None, ascii_only: bool) -> str:
    """One of eight heights, or in ASCII their number; `?` where it is not known."""
    if share is None:
        return "?"
    signs = _DIGITS if ascii_only else LEVELS
    return signs[max(0, min(len(signs) - 1, int(share * len(signs))))]


def spark(history: Sequence[float | None], room: int, ascii_only: bool) -> str:
    """The newest of a history, a cell each."""
    return "".join(level(share, ascii_only) for share in history[-room:]) if room > 0 else ""


def bar(share: float | None, room: int, ascii_only: bool, *, ghost: float = 0.0) -> tuple[Span, ...]:
    """A bar of `room` cells; what is not known is a `?`, and at its end stands what of it nobody owns, as a share."""
    if share is None:
        return (("?" + " " * (room - 1), "warning"),)
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    filled = max(0, min(room, round(share * room)))
    filled = max(1, filled) if share > 0.005 else filled
    left = min(filled, max(1, round(ghost * room))) if ghost > 0 else 0
    marked = (GHOST.sign(ascii_only) * left, GHOST.style)
    return (full * (filled - left), "primary"), marked, (empty * (room - filled), "muted")


def gib(mib: float | None) -> str:
    """MiB as GiB without a unit: `71`, `9.8`, `?`."""
    if mib is None:
        return "?"
    told = mib / 1024
    return f"{told:.0f}" if told >= 9.95 or told < 0.05 else f"{told:.1f}"


def number(value: float | None, unit: str = "") -> str:
    """A number with its unit; `?` where it is not known."""
    return "?" if value is None else f"{value:.0f}{unit}"
