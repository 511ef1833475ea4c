"""`gatewatch hosts gpus`: the accelerators of hosts, who holds them, and how busy the hosts are. It only looks."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tui.cli.commands import add_json
from tui.cli.hosts_options import add_timeout

if TYPE_CHECKING:
    from hosts.connects import Connects
    from hosts.errors import GatewatchError
    from hosts.host import Accelerators, HostReader, Observation
    from monitors.host import Skew

DEADLINE_S = 20.0


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
    from monitors.host import HostBody, notes
    from tui import console
    from tui.cli.asking import connects
    from tui.cli.hosts_rows import HEADS, gpu_rows
    from tui.exits import ExitCode, combine
    from tui.words import clock

    readers, wrong = await asyncio.to_thread(_readers, args.hosts, args.root, connects())
    answers = await asyncio.gather(*(_look(reader, args.timeout) for reader in readers))
    seen = [*answers, *wrong]
    failed = [(name, what) for name, what in seen if isinstance(what, GatewatchError)]
    for name, error in failed:
        console.error(str(error) if str(error).startswith(f"{name}:") else f"{name}: {error}")
    found = [(name, what) for name, what in seen if not isinstance(what, GatewatchError)]
    now = time.time()
    for name, what in found:
        if "python" in what.seen.errors:
            console.warn(f"{name}: {what.seen.errors['python']}")
        told = what.seen.accelerators
        if told is not None and told.devices and told.detail:
            console.warn(f"{name}: {told.detail}")
        for note in notes(HostBody(skew=what.skew), partial(clock, now=now)):
            console.warn(f"{name}: {note}")
    if args.json:
        console.print_json({"hosts": [_document(name, what) for name, what in seen]})
    elif found:
        rows = [
            row
            for name, what in found
            for row in gpu_rows(name, what.seen.accelerators, what.seen.errors.get("accelerators", ""), what.skew, now)
        ]
        console.print_table(HEADS, rows, whole=HEADS[:2])
    return combine([*(error.code for _, error in failed), *(ExitCode.UNKNOWN for _, what in found if what.unknown)])


def _readers(
    names: Sequence[str], root: str | None, connects: Connects
) -> tuple[list[HostReader], list[tuple[str, GatewatchError]]]:
    """A way to every host that was asked for, and what is wrong with the others."""
    from hosts.errors import GatewatchError, InputError
    from hosts.profiles import profile_paths, read_profile
    from jobs.calibration.checkout import find_hosts
    from jobs.connect import open_reader, refuse_stranger
    from jobs.named_host import named_profile

    readers: list[HostReader] = []
    wrong: list[tuple[str, GatewatchError]] = []
    paths = []
    if not names:
        try:
            paths = profile_paths(find_hosts(root))
        except InputError:
            if root is not None:
                raise
    for name in dict.fromkeys(names):
        try:
            profile = named_profile(name, root)
            refuse_stranger(profile)
            readers.append(open_reader(profile, connects))
        except GatewatchError as error:
            wrong.append((name, error))
    for path in paths:
        try:
            profile = read_profile(path).profile
            refuse_stranger(profile)
            readers.append(open_reader(profile, connects))
        except GatewatchError as error:
            wrong.append((path.stem, error))
    if not names and not paths:
        readers.append(open_reader(None))
    return readers, wrong


async def _look(reader: HostReader, deadline: float) -> tuple[str, Told | GatewatchError]:
    from hosts.errors import GatewatchError
    from hosts.host import Wants
    from monitors.ghosts import surely_seen

    try:
        seen = await surely_seen(reader, deadline)
        timed = seen
        with contextlib.suppress(GatewatchError):  # what was told stands; only of the clock less is known then
            timed = await reader.observe(Wants(), None, deadline)  # the first may have logged in, and started a helper
        return reader.name, Told(seen, timed)
    except GatewatchError as error:
        return reader.name, error
    finally:
        await reader.close()


@dataclass(frozen=True)
class Told:
    """What a host told: all that was asked, and then once more nothing but the time."""

    seen: Observation
    timed: Observation

    @property
    def skew(self) -> Skew:
        """Its clock against ours."""
        from monitors.host import skew_of

        return skew_of(self.timed)

    @property
    def unknown(self) -> bool:
        """Whether nobody can say what accelerators there are."""
        told = self.seen.accelerators
        return told is None or (not told.devices and told.source != "none")


def _document(name: str, what: Told | GatewatchError) -> dict[str, Any]:
    from hosts.errors import GatewatchError

    if isinstance(what, GatewatchError):
        return {"name": name, "error": str(what)}
    seen, timed, skew = what.seen, what.timed, what.skew
    return {
        "name": name,
        "error": None,
        "at": timed.at,
        "received": timed.received,
        "rtt": timed.rtt,
        "skew": {"seconds": skew.seconds, "uncertainty": skew.uncertainty},
        "accelerators": _accelerators(seen.accelerators) if seen.accelerators is not None else None,
        "load": asdict(seen.load) if seen.load is not None else None,
        "errors": dict(seen.errors),
    }


def _accelerators(told: Accelerators) -> dict[str, Any]:
    """All that was told, and of each process the run and the stage."""
    from tui.cli.hosts_rows import belongs

    document = asdict(told)
    for device, shown in zip(told.devices, document["devices"], strict=True):
        for process, one in zip(device.processes or (), shown["processes"] or (), strict=True):
            one.update(belongs(process)._asdict())
    return document
