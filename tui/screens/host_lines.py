"""One host in full: how the way there stands, its meters, every GPU with its history, who holds them, and its runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from hosts.connection import Way
from hosts.host import DiskSeen, GpuDevice, Load, MigDevice
from tui.screens.host_cells import bar, busy_share, gib, memory_share, number, spark
from tui.screens.host_facts import HostFacts, plain
from tui.screens.host_held import holders, process_lines, run_lines
from tui.screens.host_line import Line, fixed
from tui.screens.host_look import connection_words, retry_in, unreachable
from tui.screens.hosts_grid import Brush, left, told_notes
from tui.screens.run_ink import Row, Span, cut, fold, middle, width
from tui.screens.run_words import lasting, seen
from tui.words import percent, size

_REASON_ROWS = 10  # the command that mends a changed key stands at the end
_NAME_FROM, _HELD_FROM = 118, 160  # columns of the screen


def lines(host: HostFacts, room: int, brush: Brush) -> tuple[Line, ...]:
    """All of them, from the top."""
    told = body_lines(host, room, brush)
    return (*_standing(host, room, brush), *((fixed(),) if told else ()), *told)


def body_lines(host: HostFacts, room: int, brush: Brush) -> tuple[Line, ...]:
    """The same without how the way there stands; of a host that never answered there are only its runs."""
    if host.age(brush.now) is None:
        return tuple(run_lines(host, room, brush)) if host.look.runs else ()
    return tuple(_lines(host, room, brush))


def gpu_key(device: GpuDevice) -> str:
    """The key of a GPU's line."""
    return f"gpu {device.index}"


def _lines(host: HostFacts, room: int, brush: Brush) -> Iterator[Line]:
    yield from _machine(host, room, brush, host.aged(brush.now))
    aged = host.gpus_aged(brush.now)
    if host.devices:
        at = gpu_columns(host, room)
        yield fixed()
        yield Line(partial(gpu_head, at))
        for device in host.devices:
            yield Line(partial(gpu_row, host, device, at, brush, aged), gpu_key(device))
            for part in device.mig:
                yield Line(partial(_mig, part, room, brush, aged))
    else:
        known = host.body.accelerators
        yield fixed()  # why there is none, or why they are not known, is told above
        none = known is not None and known.source == "none"
        yield fixed((" no GPU", "muted") if none else (" GPUs unknown", "warning"))
    yield from process_lines(host, room, brush, aged)
    yield from run_lines(host, room, brush)


# How it stands.


def standing(host: HostFacts, brush: Brush) -> str:
    """How the way there stands, in full."""
    look = host.look
    if look.connection is None and not look.local:
        return "not looked at yet" if look.snapshot is None else "the last look failed" if host.blind else "up"
    words = connection_words(look.connection, brush.now, brush.clock, host.received)
    wait = retry_in(look.connection, brush.now) if look.connection is not None else 0
    if look.connection is None or not wait:
        return words
    if look.connection.way is Way.KEY_CHANGED:
        return f"{words}, compared again in {wait} s"
    return f"{unreachable(look.connection, brush.clock, host.received)}, {words}"


def _standing(host: HostFacts, room: int, brush: Brush) -> Iterator[Line]:
    sign = host.sign
    age = host.age(brush.now)
    aged = host.aged(brush.now)
    when = "never seen" if age is None else f"seen {seen(age)} ago"
    yield Line(
        lambda: (
            (f" {sign.sign(brush.ascii_only)} ", sign.style),
            (standing(host, brush), "muted" if sign.style == "success" else sign.style),
            ("  " + when, "warning" if aged else "muted"),
            ("  " + cut(_about(host), max(0, room - 8 - len(when) - len(standing(host, brush))), brush.more), "muted"),
        )
    )
    for note in told_notes(host, brush.clock):
        sign_of = "^" if brush.ascii_only else "▲"
        for place, text in enumerate(fold(note, max(8, room - 5), _REASON_ROWS, brush.more)):
            yield fixed((f" {' ' if place else sign_of} ", "warning"), (text, "warning"))
    if host.look.local and host.look.without_events:  # elsewhere nothing else is to be expected
        told = f"changes are looked for by polling: {plain(host.look.without_events, 300)}"
        yield fixed((" " + cut(told, max(0, room - 2), brush.more), "muted"))


def _about(host: HostFacts) -> str:
    """What it is."""
    load, known = host.body.load, host.body.accelerators
    parts = []
    if load is not None:
        if load.hostname and load.hostname != host.look.name:
            parts.append(f"calls itself {plain(load.hostname, 60)}")
        parts += [plain(load.kernel, 60)] if load.kernel else []
        parts += [f"up {lasting(load.uptime)}"] if load.uptime is not None else []
    if known is not None:
        parts += [f"driver {plain(known.driver, 30)}"] if known.driver else []
        parts += [f"CUDA {plain(known.cuda, 30)}"] if known.cuda else []
    skew = host.body.skew
    if skew is not None and not skew.told:
        parts.append("clock as ours")
    return ", ".join(parts)


# The machine.


def _machine(host: HostFacts, room: int, brush: Brush, aged: bool) -> Iterator[Line]:
    wide = max(10, min(40, room // 5 if room >= _NAME_FROM else 10))
    load = host.body.load
    history = spark([_capped(share) for share in host.body.busy], max(8, min(60, room // 4)), brush.ascii_only)
    yield Line(partial(_meter, "load", _capped(host.load), _load_words(load), history, wide, brush, aged))
    share = host.memory[0] / host.memory[1] if host.memory is not None and host.memory[1] else None
    told = "unknown" if host.memory is None else f"{gib(host.memory[0])}/{gib(host.memory[1])} GiB used"
    yield Line(partial(_meter, "memory", share, told, "", wide, brush, aged))
    for disk in host.body.disks:
        yield Line(partial(_disk, disk, room, wide, brush, aged))


def _capped(share: float | None) -> float | None:
    return None if share is None else min(1.0, share)


def _load_words(load: Load | None) -> str:
    if load is None or load.averages is None:
        return "unknown"
    cores = f" of {load.cores} cores" if load.cores else ", cores unknown"
    return " ".join(f"{one:.1f}" for one in load.averages) + cores


def _meter(name: str, share: float | None, told: str, history: str, wide: int, brush: Brush, aged: bool) -> Row:
    shown: list[Span] = [(f" {name:<7}", "secondary"), *_aged(bar(share, wide, brush.ascii_only), aged)]
    shown.append((f" {told}", "warning" if told == "unknown" else "muted" if aged else ""))
    return (*shown, (f"  {history}" if history else "", "muted" if aged else "primary"))


def _disk(disk: DiskSeen, room: int, wide: int, brush: Brush, aged: bool) -> Row:
    share = 1 - disk.free / disk.total if disk.free is not None and disk.total else None
    told = "free: unknown" if disk.free is None else f"{size(disk.free)} free"
    if disk.free is not None and disk.total:
        told += f" of {size(disk.total)} ({percent(disk.free / disk.total)})"
    kind = plain(disk.file_system or "type unknown", 20) + (", no events" if disk.network else "")
    if disk.error:
        told = plain(disk.error, 200)
    head: list[Span] = [(" disk   ", "secondary"), *_aged(bar(share, wide, brush.ascii_only), aged)]
    rest = f" {told}  {kind}"
    path = middle(plain(disk.path, 300), max(8, room - width(head) - len(rest) - 4), brush.more)
    colour = "warning" if disk.error or disk.free is None else "muted" if aged else ""
    return (*head, (f" {told}", colour), (f"  {kind}", "muted"), (f"  {path}", "secondary"))


def _aged(spans: tuple[Span, ...], aged: bool) -> tuple[Span, ...]:
    return tuple((text, "muted") for text, _ in spans) if aged else spans


# The accelerators.


@dataclass(frozen=True)
class GpuColumns:
    """Cells of each part of a GPU's row.

    Attributes:
        bar: Of both bars.
        looks: Of both histories.
        name: 0 where there is no room for it.
        held: Likewise.
    """

    bar: int
    looks: int
    name: int
    held: int


_FIXED = 1 + 4 + 1 + 8 + 5 + 6 + 9 + 10  # mark, index, numbers of memory, busy, temperature and power, and blanks


def gpu_columns(host: HostFacts, room: int) -> GpuColumns:
    """What fits into `room` cells."""
    longest = max((width([(plain(device.name or "?", 40), "")]) for device in host.devices), default=1)
    name = min(26, longest) if room >= _NAME_FROM else 0
    held = min(44, room - _HELD_FROM + 24) if room >= _HELD_FROM else 0
    left_over = max(8, room - _FIXED - (name + 2 if name else 0) - (held + 2 if held else 0))
    bars = max(2, min(16, left_over // 4))
    return GpuColumns(bars, max(2, min(60, left_over // 2 - bars)), name, held)


def gpu_head(at: GpuColumns) -> Row:
    """The titles of the GPUs' columns."""
    memory, busy = at.bar + 1 + 8 + 1 + at.looks, at.bar + 1 + 5 + 1 + at.looks
    text = f" {'GPU':<4}{'MEMORY':<{memory}}  {'BUSY':<{busy}}  {'TEMP':<5} {'POWER':<9}"
    text += f"  {'NAME':<{at.name}}" if at.name else ""
    return ((text + ("  HELD BY" if at.held else ""), "muted"),)


def gpu_row(host: HostFacts, device: GpuDevice, at: GpuColumns, brush: Brush, aged: bool) -> Row:
    """One GPU."""
    body, style = host.body, "muted" if aged else ""
    memory, busy = body.memory.get(device.index, ()), body.utilisation.get(device.index, ())
    known = device.memory_used is not None
    spans: list[Span] = [(f" {device.index:<4}", "secondary")]
    ghost = body.ghosts.get(device.index, 0) / device.memory_total if device.memory_total else 0.0
    spans += _aged(bar(memory_share(device), at.bar, brush.ascii_only, ghost=ghost), aged)
    held = f"{gib(device.memory_used)}/{gib(device.memory_total)}G"
    spans.append((f" {held:<8}", style if known else "warning"))
    spans.append((f" {left(spark(memory, at.looks, brush.ascii_only), at.looks)}", "muted" if aged else "primary"))
    spans += [("  ", ""), *_aged(bar(busy_share(device), at.bar, brush.ascii_only), aged)]
    spans.append((f" {number(device.utilisation, '%'):>5}", style if device.utilisation is not None else "warning"))
    spans.append((f" {left(spark(busy, at.looks, brush.ascii_only), at.looks)}", "muted" if aged else "primary"))
    heat = "?" if device.temperature is None else f"{device.temperature}°C"
    if brush.ascii_only:
        heat = heat.replace("°", "")
    spans.append((f"  {heat:<5}", style if device.temperature is not None else "warning"))
    spans.append((f" {power(device):<9}", style if device.power is not None else "warning"))
    if at.name:
        spans.append(("  " + left(cut(plain(device.name or "?", 40), at.name, brush.more), at.name), "muted"))
    if at.held:
        spans.append(("  " + cut(holders(host, device, brush), at.held, brush.more), style))
    return tuple(spans)


def power(device: GpuDevice) -> str:
    """`350/400W`, `350W`, `?`."""
    limit = "" if device.power_limit is None else f"/{device.power_limit:.0f}"
    return "?" if device.power is None else f"{device.power:.0f}{limit}W"


def _mig(part: MigDevice, room: int, brush: Brush, aged: bool) -> Row:
    share = None
    if part.memory_used is not None and part.memory_total:
        share = min(1.0, part.memory_used / part.memory_total)
    wide = max(2, min(10, room // 8))
    told = f" {gib(part.memory_used)}/{gib(part.memory_total)}G"
    name = f"     MIG {part.index} {plain(part.profile or '?', 24):<12} "
    return ((name, "secondary"), *_aged(bar(share, wide, brush.ascii_only), aged), (told, "muted" if aged else ""))
