"""`gatewatch hosts gpus`: the accelerators of hosts, who holds them, and how busy the hosts are. It only looks."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tui.cli.commands import add_json
from tui.cli.hosts_options import add_timeout

if TYPE_CHECKING:
    from hosts.connects import Connects
    from hosts.errors import GatewatchError
    from hosts.host import Accelerators, GpuDevice, GpuProcess, HostReader, Observation

DEADLINE_S = 20.0
_HEADS = ("HOST", "GPU", "NAME", "BUSY", "MEMORY", "TEMP", "POWER", "HELD BY")
_MOST = 3  # processes of one GPU that are named on its row; --json has them all
_UNKNOWN = "?"


class HostGpus:
    """Looks at hosts, all at once; one that does not answer hides no other."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        from tui.cli.calibration_options import add_root

        parser.add_argument(
            "hosts",
            metavar="HOST",
            nargs="*",
            help="a profile in hosts/, or [user@]host as ssh knows it (default: every profile, else this machine)",
        )
        add_root(parser)
        add_timeout(parser, DEADLINE_S, 3600, "seconds for a host")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        return asyncio.run(_show(args))


GPUS = HostGpus()


async def _show(args: argparse.Namespace) -> int:
    from hosts.errors import GatewatchError
    from tui import console
    from tui.cli.asking import connects
    from tui.exits import combine

    readers, wrong = await asyncio.to_thread(_readers, args.hosts, args.root, connects())
    answers = await asyncio.gather(*(_look(reader, args.timeout) for reader in readers))
    seen = [*answers, *wrong]
    failed = [(name, what) for name, what in seen if isinstance(what, GatewatchError)]
    for name, error in failed:
        console.error(str(error) if name in str(error) else f"{name}: {error}")
    found = [(name, what) for name, what in seen if not isinstance(what, GatewatchError)]
    for name, what in found:
        if "python" in what.errors:
            console.warn(f"{name}: {what.errors['python']}")
    if args.json:
        console.print_json({"hosts": [_document(name, what) for name, what in seen]})
    elif found:
        console.print_table(_HEADS, [row for name, what in found for row in _rows(name, what)], whole=_HEADS[:2])
    return combine(error.code for _, error in failed)


def _readers(
    names: Sequence[str], root: str | None, connects: Connects
) -> tuple[list[HostReader], list[tuple[str, GatewatchError]]]:
    """A way to every host that was asked for, and what is wrong with the others."""
    from hosts.errors import GatewatchError, InputError
    from hosts.profiles import profile_paths, read_profile
    from jobs.calibration.checkout import find_checkout
    from jobs.connect import open_reader
    from tui.cli.tail_hosts import open_host

    readers: list[HostReader] = []
    wrong: list[tuple[str, GatewatchError]] = []
    paths = []
    if not names:
        try:
            paths = profile_paths(find_checkout(root).hosts_folder)
        except InputError:
            if root is not None:
                raise
    for name in dict.fromkeys(names):
        try:
            readers.append(open_host(name, root, connects))
        except GatewatchError as error:
            wrong.append((name, error))
    for path in paths:
        try:
            readers.append(open_reader(read_profile(path).profile, connects))
        except GatewatchError as error:
            wrong.append((path.stem, error))
    if not names and not paths:
        readers.append(open_reader(None))
    return readers, wrong


async def _look(reader: HostReader, deadline: float) -> tuple[str, Observation | GatewatchError]:
    from hosts.errors import GatewatchError
    from hosts.host import Wants

    try:
        return reader.name, await reader.observe(Wants(accelerators=True, load=True), None, deadline)
    except GatewatchError as error:
        return reader.name, error
    finally:
        await reader.close()


def _rows(name: str, seen: Observation) -> list[tuple[str, ...]]:
    told = seen.accelerators
    if told is None:
        return [(name, "-", seen.errors.get("accelerators", "not told"), *[""] * 5)]
    if not told.devices:
        return [(name, "-", _nothing(told), *[""] * 5)]
    return [
        (
            name,
            str(device.index),
            device.name or _UNKNOWN,
            _with(device.utilisation, "%"),
            f"{_gib(device.memory_used)}/{_gib(device.memory_total)}G",
            _with(device.temperature, " °C"),
            _power(device),
            _held(device),
        )
        for device in told.devices
    ]


def _nothing(told: Accelerators) -> str:
    if told.source == "none":
        return "none"
    return f"unknown: {told.detail}" if told.detail else "unknown"


def _with(value: float | None, unit: str) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}{unit}"


def _gib(mib: int | None) -> str:
    return _UNKNOWN if mib is None else f"{mib / 1024:.1f}"


def _power(device: GpuDevice) -> str:
    limit = "" if device.power_limit is None else f"/{device.power_limit:.0f}"
    return _UNKNOWN if device.power is None else f"{device.power:.0f}{limit} W"


def _held(device: GpuDevice) -> str:
    from monitors.host import GHOST_MIB

    if device.processes is None:
        return "processes unknown"
    shown = [_process(process) for process in device.processes[:_MOST]]
    if len(device.processes) > _MOST:
        shown.append(f"+{len(device.processes) - _MOST} more")
    if device.ghost is not None and device.ghost > GHOST_MIB:
        shown.append(f"{_gib(device.ghost)}G held by nobody")
    return "; ".join(shown)


def _process(process: GpuProcess) -> str:
    words = [str(process.pid), process.owner or "", f"{_gib(process.memory)}G", process.command or ""]
    return " ".join(word for word in words if word)


def _document(name: str, what: Observation | GatewatchError) -> dict[str, Any]:
    from hosts.errors import GatewatchError

    if isinstance(what, GatewatchError):
        return {"name": name, "error": str(what)}
    return {
        "name": name,
        "error": None,
        "at": what.at,
        "received": what.received,
        "rtt": what.rtt,
        "accelerators": asdict(what.accelerators) if what.accelerators is not None else None,
        "load": asdict(what.load) if what.load is not None else None,
        "errors": dict(what.errors),
    }
