"""The hosts' accelerators as one strip: how full and how busy each is; load and memory where there are none."""

from __future__ import annotations

from collections.abc import Sequence

from hosts.host import Accelerators, GpuDevice, Load
from monitors.host import HostBody
from monitors.snapshot import Now, Snapshot, State
from tui.sanitise import clean_inline, redact
from tui.screens.run_ink import Row, Span, width
from tui.screens.run_words import seen

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = ".:-=+*%#"
_BUSY = 50  # percent
_GAP: Span = ("   ", "")


def strip_rows(
    hosts: Sequence[Snapshot[HostBody]], now: float, room: int, most: int, ascii_only: bool
) -> tuple[Row, ...]:
    """As many hosts in each row as fit, in at most `most` rows; how many are left out stands at the end."""
    rows: list[tuple[Span, ...]] = []
    current: tuple[Span, ...] = ()
    parts = [host_spans(host, now, ascii_only) for host in hosts]
    for place, part in enumerate(parts):
        joined = (*current, _GAP, *part) if current else ((" ", ""), *part)
        if current and width(joined) > room:
            if len(rows) + 1 == most:
                left = len(parts) - place
                return (*rows, (*current, _GAP, (f"+{left} hosts", "muted")))
            rows.append(current)
            joined = ((" ", ""), *part)
        current = joined
    return (*rows, current) if current else tuple(rows)


def host_spans(host: Snapshot[HostBody], now: float, ascii_only: bool) -> tuple[Span, ...]:
    """One host."""
    name = clean_inline(redact(host.watch), limit=40)
    age = host.seen.age(Now(now))
    body = host.body
    spans: list[Span] = [(f"{name} ", "secondary")]
    devices = body.accelerators.devices if body.accelerators is not None else ()
    if devices:
        spans += [_device(one, ascii_only) for one in devices]
        spans.append((f" {_sum(devices)}", ""))
    else:
        spans += _plain(body.accelerators, body.load)
    if host.state is State.BLIND:
        spans.append((f" {seen(age)} old" if age is not None else " not seen yet", "warning"))
    return tuple(spans)


def _device(device: GpuDevice, ascii_only: bool) -> Span:
    bars = _ASCII_BARS if ascii_only else _BARS
    if device.memory_used is None or not device.memory_total:
        return ("?" if ascii_only else "·"), "muted"
    share = min(1.0, device.memory_used / device.memory_total)
    busy = device.utilisation is not None and device.utilisation >= _BUSY
    return bars[min(len(bars) - 1, int(share * len(bars)))], "primary" if busy else "muted"


def _sum(devices: Sequence[GpuDevice]) -> str:
    used = [one.memory_used for one in devices]
    total = [one.memory_total for one in devices]
    if None in used or None in total:
        return "memory unknown"
    return f"{sum(filter(None, used)) / 1024:.0f}/{sum(filter(None, total)) / 1024:.0f}G"


def _plain(accelerators: Accelerators | None, load: Load | None) -> list[Span]:
    spans: list[Span] = []
    if accelerators is not None:
        spans.append(("GPU unknown  " if accelerators.source == "unknown" else "no GPU  ", "muted"))
    if load is not None and load.averages is not None and load.cores:
        spans.append((f"load {load.averages[0]:.1f} of {load.cores}", ""))
    if load is not None and load.memory_total and load.memory_available is not None:
        used = (load.memory_total - load.memory_available) / 1024
        spans.append((f"  memory {used:.1f}/{load.memory_total / 1024:.1f}G", ""))
    return spans or [("nothing known yet", "muted")]
