"""What is told below the fleet: the chosen GPU fully, its holders, and its host; on a tall screen all its GPUs too."""

from __future__ import annotations

from hosts.host import GpuDevice
from tui.screens.host_cells import gib, number
from tui.screens.host_facts import HostFacts, plain
from tui.screens.host_held import holders
from tui.screens.host_lines import body_lines, gpu_key, power, standing
from tui.screens.hosts_grid import Brush, told_notes
from tui.screens.run_ink import Row, Span, cut, width
from tui.screens.run_words import seen
from tui.words import size

LEAST = 3
"""Rows that are always told."""

_LEAST_LINES = 4  # of the host's own, or there are none


def tell(host: HostFacts | None, place: int, room: int, most: int, brush: Brush) -> tuple[Row, ...]:
    """At most `most` rows about a GPU (counted from 0) of a host."""
    if host is None:
        return ()
    devices = host.devices
    device = devices[min(place, len(devices) - 1)] if devices else None
    rows: list[Row] = [_host(host, room, brush), *_device(host, device, room, brush)]
    spare = most - len(rows) - 1
    if spare >= _LEAST_LINES:
        told = body_lines(host, room, brush)
        told = told if host.look.runs else told[:-2]  # that no run is watched there is left to its own screen
        key = gpu_key(device) if device is not None else ""
        at = next((index for index, line in enumerate(told) if key and line.key == key), 0)
        # Where not all fits, the GPUs are told and not the machine, of which the first row tells already.
        first = next((index - 1 for index, line in enumerate(told) if line.key), 0) if len(told) > spare else 0
        first = max(0, at - spare + 1, min(first, len(told) - spare))
        rows.append(())
        rows += [
            _marked(line.make(), brush) if key and line.key == key else line.make()
            for line in told[first : first + spare]
        ]
    return tuple(rows[:most])


def _marked(row: Row, brush: Brush) -> Row:
    (text, style), *rest = row
    return ((">" if brush.ascii_only else "▌", "accent"), (text[1:], style), *rest)


def _host(host: HostFacts, room: int, brush: Brush) -> Row:
    sign = host.sign
    spans: list[Span] = [
        (f" {sign.sign(brush.ascii_only)} ", sign.style),
        (cut(host.name, room // 3, brush.more), "strong"),
    ]
    spans.append((f"  {standing(host, brush)}", "muted" if sign.style == "success" else sign.style))
    connection, notes = host.look.connection, told_notes(host, brush.clock)
    age = host.age(brush.now)
    if host.aged(brush.now) and age is not None:
        spans.append((f"  values of {seen(age)} ago", "warning"))
    if notes:
        spans.append((": " if connection is not None and connection.reason else "  ", ""))
        spans.append((cut("; ".join(notes), max(0, room - width(spans) - 1), brush.more), "warning"))
    elif host.look.snapshot is not None:
        spans += _machine(host)
    return _cut(spans, room, brush)


def _machine(host: HostFacts) -> list[Span]:
    load = host.body.load
    average = "?" if load is None or load.averages is None else f"{load.averages[0]:.1f}"
    cores = "?" if load is None or load.cores is None else str(load.cores)
    told: list[Span] = [("  load ", "secondary"), (f"{average} of {cores}", "")]
    memory = "?" if host.memory is None else f"{gib(host.memory[0])}/{gib(host.memory[1])}G"
    told += [("  memory ", "secondary"), (memory, "")]
    if host.disk is not None and host.disk.free is not None:
        told += [("  disk ", "secondary"), (f"{size(host.disk.free)} free", "")]
        told.append((f" {plain(host.disk.file_system or '?', 12)} {plain(host.disk.path, 80)}", "muted"))
    return told


def _device(host: HostFacts, device: GpuDevice | None, room: int, brush: Brush) -> list[Row]:
    if device is None:
        if host.age(brush.now) is None:
            return [((" nothing was seen of it yet", "muted"),)]
        known = host.body.accelerators
        why = f": {plain(known.detail, 300)}" if known is not None and known.detail else ""
        unknown = known is None or known.source == "unknown"
        what = cut(("GPUs unknown" if unknown else "no GPU") + why, room - 2, brush.more)
        return [((" " + what, "warning" if unknown or why else "muted"),)]
    spans: list[Span] = [(f" GPU {device.index}", "strong")]
    spans.append((f"  {plain(device.name or 'name unknown', 40)}", "secondary" if device.name else "warning"))
    value = "muted" if host.gpus_aged(brush.now) else ""
    told = device.memory_used is not None and device.memory_total is not None
    spans += [
        ("  memory ", "secondary"),
        (f"{gib(device.memory_used)}/{gib(device.memory_total)}G", value if told else "warning"),
    ]
    spans += [
        ("  busy ", "secondary"),
        (number(device.utilisation, "%"), value if device.utilisation is not None else "warning"),
    ]
    degrees = " C" if brush.ascii_only else " °C"
    spans += [("  temp ", "secondary"), (number(device.temperature, degrees), value)]
    spans += [("  power ", "secondary"), (power(device), value)]
    if device.mig:
        spans.append((f"  {len(device.mig)} MIG", "secondary"))
    if host.body.unread is not None:  # how old all is that the host told is said before
        old = f"  {seen(max(0.0, brush.now - host.body.unread))} ago"
        spans.append((old if width(spans) + len(old) < room else "", "warning"))  # half of an age would be another
    held = holders(host, device, brush)
    style = (
        "warning" if "unknown" in held or device.index in host.body.ghosts else "muted" if held == "nobody" else value
    )
    lead: list[Span] = [(" held by ", "secondary")]
    return [_cut(spans, room, brush), (*lead, (cut(held, max(0, room - 10), brush.more), style))]


def _cut(spans: list[Span], room: int, brush: Brush) -> Row:
    """As many spans as fit, the last of them cut."""
    shown: list[Span] = []
    for text, style in spans:
        left = room - 1 - width(shown)
        if left <= 0:
            break
        shown.append((cut(text, left, brush.more), style))
    return tuple(shown)
