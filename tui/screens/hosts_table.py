"""The fleet as a table: a line a host, as many columns as the width has room for, and never a half number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.screens.host_cells import gib
from tui.screens.host_facts import HostFacts, Order, plain
from tui.screens.hosts_grid import LONG, WORD, Brush, left, short, told_notes
from tui.screens.run_ink import Row, Span, cut, middle, width
from tui.screens.run_words import seen
from tui.words import percent, size

_LEAST_HOST, _MOST_HOST = 12, 32
_LEAST_NOTE, _MOST_RUNS = 14, 28
_LONG_FROM = 130  # columns of the screen from which on it is said since when a host is unreachable
_GAP = "  "
_HEADS = {
    "host": "HOST",
    "state": "STATE",
    "free": "FREE",
    "busy": "BUSY/MAX",
    "vram": "VRAM",
    "load": "LOAD",
    "mem": "MEMORY",
    "disk": "DISK FREE",
    "runs": "RUNS",
    "seen": "SEEN",
    "note": "TO NOTE",
}
_SHORT = {"disk": "DISK", "mem": "MEM", "busy": "BUSY"}
_GPUS = {"free", "busy", "vram"}
_NUMBERS = {"free", "busy", "vram", "load", "mem", "seen"}
_NARROW = ("host", "state", "free", "busy", "vram", "load", "disk", "seen")
_ALL = ("host", "state", "free", "busy", "vram", "load", "mem", "disk", "seen", "runs", "note")
_WIDE_FROM = 110


@dataclass(frozen=True)
class Columns:
    """Which columns there are, and their cells.

    Attributes:
        rooms: Cells of each by its name, in the order in which they stand.
        wide: Disks are told with their type, and memory in GiB.
    """

    rooms: tuple[tuple[str, int], ...]
    wide: bool


def columns(hosts: Sequence[HostFacts], room: int) -> Columns:
    """What fits into `room` cells."""
    wide = room >= _WIDE_FROM
    rooms: dict[str, int] = {}
    for name in _ALL if wide else _NARROW:
        title = _title(name, wide)
        rooms[name] = max([len(title), *(_cells(name, host, wide) for host in hosts)])
    rooms["host"] = max(_LEAST_HOST, min(_MOST_HOST, rooms["host"]))
    rooms["state"] = 2 + (LONG if room >= _LONG_FROM else WORD)
    rooms["seen"] = 5
    if wide:
        rooms["runs"] = min(rooms["runs"], _MOST_RUNS)
        rooms["note"] = _LEAST_NOTE
        if not any(host.look.runs for host in hosts):
            del rooms["runs"]
    for name in ("note", "runs", "mem", "disk"):
        if _sum(rooms) <= room:
            break
        rooms.pop(name, None)
    over = _sum(rooms) - room
    if over > 0:
        rooms["host"] = max(_LEAST_HOST, rooms["host"] - over)
    elif "note" in rooms:
        rooms["note"] -= over
    return Columns(tuple(rooms.items()), wide)


def _sum(rooms: dict[str, int]) -> int:
    return 1 + sum(rooms.values()) + len(_GAP) * (len(rooms) - 1)


def head(at: Columns, order: Order, reverse: bool, ascii_only: bool) -> Row:
    """The titles; the one that the rows are sorted by is marked."""
    arrow = ("^" if ascii_only else "▲") if reverse else ("v" if ascii_only else "▼")
    spans: list[Span] = []
    for place, (name, room) in enumerate(at.rooms):
        sorts = name == order.name
        title = _title(name, at.wide) + (arrow if sorts else "")
        lead = _GAP if place else " "
        cells = room + len(lead)  # a title of numbers has the gap before it for its mark
        shown = title.rjust(cells) if name in _NUMBERS else left(lead + title, cells)
        spans.append((cut(shown, cells, ""), "accent" if sorts else "muted"))
    return tuple(spans)


def column_at(at: Columns, x: int) -> str:
    """The name of the column that the cell `x` is in; the gap before a column is its own."""
    end = 1
    for place, (name, room) in enumerate(at.rooms):
        end += room + (len(_GAP) if place else 0)
        if x < end:
            return name
    return ""


def line(host: HostFacts, at: Columns, brush: Brush) -> Row:
    """One host."""
    here = host.look.name == brush.chosen[0]
    aged = host.aged(brush.now)
    spans: list[Span] = [((">" if brush.ascii_only else "▌") if here else " ", "accent")]
    for place, (name, room) in enumerate(at.rooms):
        if place:
            spans.append((_GAP, ""))
        spans += _column(name, room, host, at.wide, brush, here=here, aged=aged)
    return tuple(spans)


def _column(name: str, room: int, host: HostFacts, wide: bool, brush: Brush, *, here: bool, aged: bool) -> list[Span]:
    sign = host.sign
    if name == "host":
        return [(left(middle(host.name, room, brush.more), room), "strong" if here else "muted" if aged else "")]
    if name == "state":
        words = short(host, brush, room - 2)
        return [(f"{sign.sign(brush.ascii_only)} ", sign.style), (left(words, room - 2), _quiet(sign.style))]
    if name == "seen":
        age = host.age(brush.now)
        return [("never".rjust(room)[:room] if age is None else seen(age).rjust(room), "warning" if aged else "muted")]
    if name == "note":
        return [(left(cut("; ".join(told_notes(host, brush.clock)), room, brush.more), room), "warning")]
    text, style = _told(name, host, wide)
    text = cut(text, room, brush.more)
    shown = text.rjust(room) if name in _NUMBERS else left(text, room)
    return [(shown, "muted" if aged or (name in _GPUS and host.gpus_aged(brush.now)) else style)]


def _quiet(style: str) -> str:
    return "muted" if style == "success" else style


def _title(name: str, wide: bool) -> str:
    return _HEADS[name] if wide else _SHORT.get(name, _HEADS[name])


def _cells(name: str, host: HostFacts, wide: bool) -> int:
    if name == "host":
        return width([(host.name, "")])
    return 0 if name in ("state", "seen", "note") else width([(_told(name, host, wide)[0], "")])


def _told(name: str, host: HostFacts, wide: bool) -> Span:
    """What a column says of a host, as it does not change until the host is looked at again."""
    told = host.told.get((name, wide))
    if told is None:
        told = host.told[name, wide] = _TOLD[name](host, wide)
    return told


def _free(host: HostFacts, wide: bool) -> Span:
    known = host.body.accelerators
    if host.devices:
        return f"{host.free}/{len(host.devices)}{_doubt(host)}", "success" if host.free else ""
    return ("?", "warning") if known is None or known.source == "unknown" else ("none", "muted")


def _doubt(host: HostFacts) -> str:
    """Behind what the last look told nothing of."""
    return "?" if host.body.unread is not None else ""


def _none(host: HostFacts) -> Span:
    """Nothing is told of the GPUs, because there is none or because nobody knows."""
    known = host.body.accelerators
    return ("-", "muted") if known is not None and known.source == "none" else ("?", "warning")


def _busy(host: HostFacts, wide: bool) -> Span:
    if host.busy is None:
        return _none(host)
    return f"{host.busy[0]:.0f}/{host.busy[1]}%{_doubt(host)}", ""


def _vram(host: HostFacts, wide: bool) -> Span:
    if host.used is None:
        return _none(host)
    doubt = "?" if host.partly else _doubt(host)
    return f"{gib(host.used[0])}/{gib(host.used[1])}G{doubt}", "warning" if host.partly else ""


def _load(host: HostFacts, wide: bool) -> Span:
    return ("?", "warning") if host.load is None else (f"{host.load:.0%}", "")


def _memory(host: HostFacts, wide: bool) -> Span:
    if host.memory is None:
        return "?", "warning"
    return f"{gib(host.memory[0])}/{gib(host.memory[1])}G", ""


def _disk(host: HostFacts, wide: bool) -> Span:
    disk = host.disk
    if disk is None or disk.free is None:
        return "?", "warning"
    if not wide:
        return size(disk.free), ""
    share = f" {percent(disk.free / disk.total)}" if disk.total else ""
    return f"{size(disk.free)}{share} {plain(disk.file_system or '?', 12)}", ""


def _runs(host: HostFacts, wide: bool) -> Span:
    runs = host.look.runs
    if not runs:
        return "", ""
    more = f" +{len(runs) - 1}" if len(runs) > 1 else ""
    return cut(plain(runs[0].title, 60), _MOST_RUNS - len(more)) + more, "secondary"


_TOLD = {
    "free": _free,
    "busy": _busy,
    "vram": _vram,
    "load": _load,
    "mem": _memory,
    "disk": _disk,
    "runs": _runs,
}
