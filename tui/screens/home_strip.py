"""The hosts in few words: how the way there stands, and how full and how busy each accelerator is.

Where there are none it is load and memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hosts.connection import Connection
from hosts.host import Accelerators, GpuDevice, Load
from monitors.host import HostBody
from monitors.snapshot import Now, Snapshot, State
from tui.sanitise import clean_inline, redact
from tui.screens.host_look import DARK, way_look
from tui.screens.run_ink import Row, Span, width
from tui.screens.run_words import seen, way_span

if TYPE_CHECKING:
    from tui.screens.home_detail import Space

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = ".:-=+*%#"
_BUSY = 50  # percent
_GAP: Span = ("   ", "")
_Host = Snapshot[HostBody]


def strip_rows(hosts: Sequence[_Host], ways: Mapping[str, Connection], space: Space) -> tuple[Row, ...]:
    """As many hosts in each row as fit; how many are left out stands at the end, and none of these is in trouble first.

    Args:
        ways: How the way to each host stands, by name; one without needs none.
    """
    rows, left = _laid(hosts, ways, space)
    if left:
        worst = [host for host in hosts if is_troubled(host, ways.get(host.watch))]
        rows, hidden = _laid(worst, ways, space)
        others = [host for host in hosts if not is_troubled(host, ways.get(host.watch))]
        rows, _ = _laid([*worst, *others], ways, space, brief=bool(hidden))
    return rows


def _laid(
    hosts: Sequence[_Host], ways: Mapping[str, Connection], space: Space, *, brief: bool = False
) -> tuple[tuple[Row, ...], int]:
    """The rows, and how many hosts have no room in them.

    Args:
        brief: Of those in trouble only how the way there stands.
    """
    rows: list[tuple[Span, ...]] = []
    current: tuple[Span, ...] = ()
    for place, host in enumerate(hosts):
        part = host_spans(host, ways.get(host.watch), space, brief=brief)
        left = len(hosts) - place
        rest: Span = (f"+{left} {'host' if left == 1 else 'hosts'}", "muted")
        last = len(rows) + 1 == space.most
        joined = (*current, _GAP, *part) if current else ((" ", ""), *part)
        room = space.room - (width((_GAP, rest)) if last and left > 1 else 0)  # kept for what comes behind it
        if current and width(joined) > room:
            if last:
                return (*rows, (*current, _GAP, rest)), left
            rows.append(current)
            joined = ((" ", ""), *part)
        current = joined
    return ((*rows, current) if current else tuple(rows)), 0


def is_troubled(host: _Host, way: Connection | None) -> bool:
    """Whether it cannot be seen now."""
    return host.state is State.BLIND or (way is not None and way.way in DARK)


def host_spans(host: _Host, way: Connection | None, space: Space, *, brief: bool = False) -> tuple[Span, ...]:
    """One host; in brief, and where it is in trouble, without what was last seen of it."""
    name = clean_inline(redact(host.watch), limit=40)
    age = host.seen.age(Now(space.now))
    body = host.body
    told, style = way_span(way, space.now, space.zone, host.seen.received)
    spans: list[Span] = [(f"{name} ", "secondary")]
    if told:
        spans.append((f"{way_look(way).sign(space.ascii_only)} {told} ", style))
    devices = body.accelerators.devices if body.accelerators is not None else ()
    blind = host.state is State.BLIND
    old = blind or body.unread is not None
    shown: list[Span] = []
    if brief and told and is_troubled(host, way):
        return (*spans[:-1], (spans[-1][0].rstrip(), style))
    if devices:
        shown = [*(_device(one, space.ascii_only) for one in devices), (f" {_sum(devices)}", "muted" if old else "")]
    elif body.accelerators is not None or body.load is not None or not told:
        shown = _plain(body.accelerators, body.load)
    if blind and age is not None:
        shown.append((f" {seen(age)} old", "warning"))
    elif body.unread is not None:
        shown.append((f" {seen(max(0.0, space.now - body.unread))} old", "warning"))
    elif blind and not told:
        shown.append((" not seen yet", "warning"))
    if not shown:
        spans[-1] = (spans[-1][0].rstrip(), spans[-1][1])
    return (*spans, *shown)


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
