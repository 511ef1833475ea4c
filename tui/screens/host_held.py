"""Who holds the GPUs of a host, and the runs that are watched there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from functools import partial

from hosts.host import GpuDevice, GpuProcess
from tui.marks import STATES
from tui.screens.host_cells import gib
from tui.screens.host_facts import HostFacts, is_free, plain
from tui.screens.host_line import Line, fixed
from tui.screens.host_look import HostRun
from tui.screens.hosts_grid import Brush, left
from tui.screens.run_ink import Row, Span, cut, middle, width


def holders(host: HostFacts, device: GpuDevice, brush: Brush, most: int = 4) -> str:
    """Who holds a GPU: run and stage where they are known, else owner, pid and command."""
    parts = []
    if device.processes is None:
        parts.append("processes unknown")
    parts += [holder(host, process, brush) for process in _largest_first(device)[:most]]
    if device.processes and len(device.processes) > most:
        parts.append(f"+{len(device.processes) - most} more")
    if device.index in host.body.ghosts:
        parts.append(f"{gib(host.body.ghosts[device.index])} GiB ghost memory, no owner")
    return "; ".join(parts) or ("nobody" if is_free(device) else "nobody that is known")


def _largest_first(device: GpuDevice) -> list[GpuProcess]:
    return sorted(device.processes or (), key=lambda process: -(process.memory or 0))


def holder(host: HostFacts, process: GpuProcess, brush: Brush) -> str:
    """One process in words."""
    if process.gone:
        size = f"{gib(process.memory)}G of " if process.memory is not None else ""
        return f"{size}pid {process.pid}, which is gone"
    whose = belonging(host, process, brush)
    about = [plain(process.owner or "owner unknown", 40), f"pid {process.pid}"]
    about += [f"{gib(process.memory)}G"] if process.memory is not None else []
    if whose:
        return f"{whose} ({', '.join(about)})"
    return " ".join([*about, plain(process.command or "command unknown", 200)])


def belonging(host: HostFacts, process: GpuProcess, brush: Brush) -> str:
    """The run and the stage of a process, or ""."""
    whose = host.body.owners.get(process.pid)
    if whose is None:
        return ""
    title = _titles(host).get(whose.watch, whose.watch)
    stage = f" {'-' if brush.ascii_only else '·'} {plain(whose.stage, 80)}" if whose.stage else ""
    return plain(title, 80) + stage


def _titles(host: HostFacts) -> Mapping[str, str]:
    return {run.watch: run.title for run in host.look.runs}


def process_lines(host: HostFacts, room: int, brush: Brush, aged: bool) -> Iterator[Line]:
    """The processes of every GPU; nothing where there is none."""
    found = [(device, process) for device in host.devices for process in _largest_first(device)]
    blind = [str(device.index) for device in host.devices if device.processes is None]
    if not host.devices:
        return
    owner = min(14, max([5, *(width([(plain(one.owner or "?", 40), "")]) for _, one in found)]))
    whose = [belonging(host, process, brush) for _, process in found]
    run = min(max(12, room // 4), max([11, *(width([(text, "")]) for text in whose)]))
    run = run if host.look.runs or any(whose) else 0  # where no run is watched, none can be told
    yield fixed()
    head = f" {'GPU':<4}{'PID':<9}{'MEMORY':<8}{'OWNER':<{owner}}  {'STARTED':<11}"
    yield fixed((head + (f"{'RUN, STAGE':<{run}}  " if run else "") + "COMMAND", "muted"))
    if blind:
        yield fixed(
            (cut(f" processes unknown on GPU {', '.join(blind)}: memory alone tells", room, brush.more), "warning")
        )
    if not found and not blind:
        yield fixed((" no process is known", "muted"))
    for (device, process), text in zip(found, whose, strict=True):
        known = host.body.owners.get(process.pid)
        watch = known.watch if known is not None and known.watch in _titles(host) else ""
        make = partial(_process, host, device, process, text, (owner, run, room), brush, aged)
        yield Line(make, f"pid {process.pid} {device.index}", watch)


def _process(
    host: HostFacts,
    device: GpuDevice,
    process: GpuProcess,
    whose: str,
    rooms: tuple[int, int, int],
    brush: Brush,
    aged: bool,
) -> Row:
    owner, run, room = rooms
    snapshot = host.look.snapshot
    since = "?"
    if process.since is not None and snapshot is not None:
        since = brush.clock(snapshot.seen.ours(process.since))
    style = "muted" if aged else ""
    memory = "?" if process.memory is None else f"{gib(process.memory)}G"
    told = left(cut(plain(process.owner or "?", 40), owner, brush.more), owner)
    spans: list[Span] = [
        (f" {device.index:<4}{process.pid:<9}", "secondary"),
        (f"{memory:<8}", style if process.memory is not None else "warning"),
        (f"{told}  ", style if process.owner else "warning"),
        (f"{since:<11}", style if process.since is not None else "warning"),
    ]
    if run:
        shown = left(middle(whose or "-", run, brush.more), run)
        spans.append((shown + "  ", "muted" if aged or not whose else "primary"))
    text = process.command or ("it is gone" if process.gone else "?")
    command = _command(plain(text, 1000), max(0, room - width(spans) - 1), brush.more)
    spans.append((command, style if process.command else "warning"))
    return tuple(spans)


def _command(text: str, room: int, more: str) -> str:
    """A command in `room` cells; before its end is given up, the folder is that its program lies in."""
    if width([(text, "")]) > room:
        program, blank, rest = text.partition(" ")
        text = (posixpath.basename(program) or program) + blank + rest
    return cut(text, room, more)


def run_lines(host: HostFacts, room: int, brush: Brush) -> Iterator[Line]:
    """The runs that are watched there, or that there is none."""
    yield fixed()
    yield fixed((" RUNS WATCHED HERE" if host.look.runs else " no run is watched here", "muted"))
    for run in host.look.runs:
        yield Line(partial(_run, run, room, brush), f"run {run.watch}", run.watch, run.log)


def _run(run: HostRun, room: int, brush: Brush) -> Row:
    look = STATES.get(run.state.value, STATES["unknown"])
    title = cut(plain(run.title, 80), max(8, room // 3), brush.more)
    spans: list[Span] = [(f" {look.sign(brush.ascii_only)} {look.word:<11}", look.style), (title, "")]
    spans.append((f"  {plain(run.stage, 80)}" if run.stage else "", "primary"))
    log = middle(plain(run.log, 400), max(0, room - width(spans) - 4), brush.more) if run.log else ""
    return (*spans, (f"  {log}" if log else "", "muted"))
