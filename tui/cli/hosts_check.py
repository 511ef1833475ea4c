"""`gatewatch hosts check`: has a host what it needs? Named hosts in general, else what the models need. Read-only."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from tui.cli.commands import add_json
from tui.cli.hosts_options import add_timeout

if TYPE_CHECKING:
    from jobs.host_check import HostCheck as Found

DEADLINE_S = 30.0


class HostCheck:
    """Looks at named hosts in general, or at one host for every model of the checkout; keeps nothing."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        from tui.cli.calibration_options import add_site, add_venv

        parser.add_argument(
            "hosts",
            metavar="HOST",
            nargs="*",
            help="a profile in hosts/, or [user@]host as ssh knows it: is it reachable, has it a Python, GPUs, room, "
            "the right time (default: what the models of the checkout need on --host)",
        )
        add_timeout(parser, DEADLINE_S, 3600, "seconds for a host that is named")
        add_site(parser)
        add_venv(parser)
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        if args.hosts:
            return asyncio.run(_check(args))
        from tui.cli.calibration_precheck import check_host

        return asyncio.run(check_host(args))


CHECK = HostCheck()


async def _check(args: argparse.Namespace) -> int:
    from hosts.errors import InputError
    from tui import console
    from tui.cli.asking import connects
    from tui.exits import combine

    named = [f"--{name}" for name in ("host", "model", "repo", "venv_python") if getattr(args, name) is not None]
    if named:
        raise InputError(f"{named[0].replace('_', '-')} is for what models need; leave it out, or name no HOST")
    shared = connects()
    found = await asyncio.gather(*(_one(name, args, shared) for name in dict.fromkeys(args.hosts)))
    if args.json:
        console.print_json({"hosts": [_document(one) for one in found]})
    else:
        for one in found:
            _print(one, several=len(found) > 1)
    return combine(one.code for one in found)


async def _one(name: str, args: argparse.Namespace, shared: object) -> Found:
    from gates.calibration.precheck import failed
    from hosts.connects import Connects
    from hosts.errors import GatewatchError
    from jobs.connect import open_reader, refuse_stranger
    from jobs.host_check import HostCheck as Found
    from jobs.host_check import check_host
    from jobs.named_host import named_profile

    assert isinstance(shared, Connects)
    try:
        profile = await asyncio.to_thread(named_profile, name, args.root)
        refuse_stranger(profile)
        reader = await asyncio.to_thread(open_reader, profile, shared)
    except GatewatchError as error:
        return Found(name, (failed("profile", str(error)),), error.code)
    try:
        return await check_host(reader, profile, args.timeout)
    finally:
        await reader.close()


def _print(found: Found, several: bool) -> None:
    from tui import console

    if several:
        console.print_text(f"{found.name}:")
    for item in found.items:
        console.print_text(f"{item.mark} {item.name}: {item.detail}")
        if item.mend is not None:
            there = "" if item.mend.startswith("ssh") else f" (on {found.name})"
            console.print_text(f"    mend{there}: {item.mend}")
    faults = sum(not item.ok for item in found.items)
    console.print_text(f"{len(found.items) - faults} of {len(found.items)} items ✓")


def _document(found: Found) -> dict[str, object]:
    return {"name": found.name, "ok": found.ok, "items": [asdict(item) for item in found.items]}
