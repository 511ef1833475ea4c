"""The strip: what the host's accelerators hold and do; where there is none, its load and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hosts.host import GpuDevice, GpuProcess, Load
from monitors.host import HostBody
from monitors.owners import Whose
from monitors.snapshot import Now, Snapshot, State
from tui.screens.run_facts import plain
from tui.screens.run_header import STALE_AFTER_S
from tui.screens.run_ink import Row, Span, cut
from tui.screens.run_ink import width as cells
from tui.screens.run_words import seen

BARS = "▁▂▃▄▅▆▇█"
_TENTHS = " .:-=+*#%@"
_LOOKS = 4
FREE_MIB = 2048
"""Of memory; the gate before a launch calls one with more, or with a process, busy (spec/calibration.md, section 4)."""


_OURS, _SHARED, _OTHER_RUN, _OTHERS = "this run", "this run and others", "another run", "others"
_HOLDERS = (_OURS, _SHARED, _OTHER_RUN, _OTHERS, "")
"""Who holds an accelerator, in the order in which they are told; "" where that is not known."""


def host_strip(
    host: Snapshot[HostBody] | None, now: float, width: int, ascii_only: bool = False, watch: str | None = None
) -> Row:
    """One row of at most `width` cells.

    Args:
        watch: The run that is shown; its accelerators are told apart from those of others.
    """
    if host is None:
        return ((" the host has not been looked at yet", "muted"),)
    body: HostBody | None = host.body
    if body is None:
        return ((cut(f" host: unknown ({plain(host.error or 'no look yet')})", width, _more(ascii_only)), "warning"),)
    aged = _aged(host, now, ascii_only)
    room = width - cells(aged)
    devices = body.accelerators.devices if body.accelerators is not None else ()
    held = {device.index: holder(device, body.owners, watch) for device in devices}
    spans = _devices(devices, held, body.memory, room, ascii_only) if devices else _machine(body, room, ascii_only)
    if aged:
        spans = [(text, "muted" if style else style) for text, style in spans]
    return (*aged, *spans)


def _aged(host: Snapshot[HostBody], now: float, ascii_only: bool) -> list[Span]:
    """How old it is, where the last look failed or is long ago."""
    age = host.seen.age(Now(now))
    if age is None:
        return [(" never seen ", "warning")]
    if host.state is State.BLIND or age >= STALE_AFTER_S:
        return [(f" {'o' if ascii_only else '◌'} {seen(age)} old ", "warning")]
    if host.body.unread is not None:
        return [(f" {'o' if ascii_only else '◌'} GPUs {seen(max(0.0, now - host.body.unread))} old ", "warning")]
    return []


def holder(device: GpuDevice, owners: Mapping[int, Whose], watch: str | None) -> str:
    """Whose processes an accelerator has: this run's, another one's that is watched, or somebody else's."""
    if watch is None or not device.processes:
        return ""
    runs = [owners[process.pid].watch for process in device.processes if process.pid in owners]
    strangers = [process for process in device.processes if process.pid not in owners]
    if watch in runs:
        return _SHARED if strangers or set(runs) != {watch} else _OURS
    if not all(map(_is_told, strangers)):
        return ""
    return _OTHERS if strangers else _OTHER_RUN


def _is_told(process: GpuProcess) -> bool:
    """Whether anything is known of it: in a container the pids of the driver name nobody."""
    return process.owner is not None or process.marks is not None


def _devices(
    devices: Sequence[GpuDevice],
    held: Mapping[int, str],
    memory: Mapping[int, tuple[float | None, ...]],
    room: int,
    ascii_only: bool,
) -> list[Span]:
    """The busy ones each with its history; those that do nothing are counted together, and so is what has no room."""
    free = [device.index for device in devices if _is_free(device)]
    busy = [device for device in devices if device.index not in free]
    busy.sort(key=lambda device: _HOLDERS.index(held[device.index]))
    lead: list[Span] = [(" GPU", "muted")]
    tail: list[Span] = [(f" {_ranges(free)} free", "success")] if free else []
    room -= cells(lead)
    for looks, total in ((_LOOKS, True), (1, True), (1, False), (0, False)):
        spans = _grouped(busy, held, lambda device: _device(device, memory, looks, total, ascii_only))  # noqa: B023
        if cells(spans) + cells(tail) <= room:
            return [*lead, *spans, *tail]
    for count in range(len(busy) - 1, -1, -1):
        shown = _grouped(busy[:count], held, lambda device: _device(device, memory, 0, False, ascii_only))
        left: list[Span] = [(f" +{len(busy) - count} busy", "warning")]
        if cells(shown) + cells(tail) + cells(left) <= room or not count:
            return [*lead, *shown, *left, *tail]
    return [*lead, *tail]


def _grouped(
    busy: Sequence[GpuDevice], held: Mapping[int, str], shown: Callable[[GpuDevice], list[Span]]
) -> list[Span]:
    """Devices in the order of their holders, each holder named once."""
    spans: list[Span] = []
    before = ""
    for device in busy:
        who = held[device.index]
        if who != before:
            spans.append((f" {who or 'holder unknown'}:", "primary" if who == _OURS else "warning"))
            before = who
        spans += shown(device)
    return spans


def _device(
    device: GpuDevice, memory: Mapping[int, tuple[float | None, ...]], looks: int, total: bool, ascii_only: bool
) -> list[Span]:
    history = memory.get(device.index, ())[-looks:] if looks else ()
    used = "?" if device.memory_used is None else _gib(device.memory_used)
    of = f"/{'?' if device.memory_total is None else _gib(device.memory_total)}" if total else ""
    load = "?%" if device.utilisation is None else f"{device.utilisation}%"
    known = device.memory_used is not None and device.utilisation is not None
    held = f"{used}{of}G" if device.memory_used is not None or total else "?G"
    bars = "".join(_bar(share, ascii_only) for share in history)
    return [
        (f" {device.index} ", "secondary"),
        (f"{bars} " if bars else "", "primary"),
        (f"{held} {load} ", "" if known else "warning"),
    ]


def _is_free(device: GpuDevice) -> bool:
    """Only what is known to be free is."""
    if device.memory_used is None or device.memory_used > FREE_MIB:
        return False
    return not device.processes and not device.utilisation


def _machine(body: HostBody, room: int, ascii_only: bool) -> list[Span]:
    """Load and memory of a host without accelerators, or whose accelerators could not be read."""
    spans: list[Span] = []
    accelerators = body.accelerators
    if accelerators is None:
        spans.append((" GPUs unknown ", "warning"))
    elif accelerators.source == "unknown":
        why = f" ({plain(accelerators.detail, 100)})" if accelerators.detail else ""
        spans.append((f" GPUs unknown{why} ", "warning"))
    else:
        spans.append((" no GPU ", "muted"))
    spans += _load(body, ascii_only)
    if cells(spans) > room:
        spans = [(spans[0][0].split(" (")[0] + " ", spans[0][1]), *spans[1:]]
    return spans


def _load(body: HostBody, ascii_only: bool) -> list[Span]:
    load: Load | None = body.load
    if load is None:
        return [(" load unknown  memory unknown", "warning")]
    spans: list[Span] = []
    bars = "".join(_bar(share, ascii_only) for share in body.busy[-_LOOKS:])
    average = "unknown" if load.averages is None else f"{load.averages[0]:.1f}"
    cores = f" of {load.cores} cores" if load.cores else ""
    spans += [(" load ", "secondary"), (f"{bars} " if bars else "", "primary")]
    spans.append((f"{average}{cores} ", "" if load.averages is not None else "warning"))
    if load.memory_total is None or load.memory_available is None:
        return [*spans, (" memory unknown", "warning")]
    used = load.memory_total - load.memory_available
    share = used / load.memory_total if load.memory_total else 0.0
    spans.append((" memory ", "secondary"))
    spans.append((f"{_bar(share, ascii_only)} ", "primary"))
    spans.append((f"{_gib(used)}/{_gib(load.memory_total)}G", ""))
    return spans


def _bar(share: float | None, ascii_only: bool) -> str:
    if share is None:
        return "?"
    signs = _TENTHS[1:] if ascii_only else BARS
    return signs[max(0, min(len(signs) - 1, int(share * len(signs))))]


def _gib(mib: int) -> str:
    return f"{mib / 1024:.0f}"


def _ranges(indices: Sequence[int]) -> str:
    """`2-7`, `1,3`, `0,4-7`."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def _more(ascii_only: bool) -> str:
    return "..." if ascii_only else "…"
