"""`gatewatch calibrate merge`: one run made of several that observed different tests."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from tui.cli.calibration_options import add_host, add_model, add_repo, add_root
from tui.cli.commands import add_json


class Merge:
    """Makes a new run directory of runs of the same model, commit and machine; the runs stay as they are."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("out", metavar="OUT", help="the new run directory: a path, or a name below .tune-runs/")
        parser.add_argument("runs", metavar="RUN", nargs="+", help="two or more runs: paths, names, or HOST:/path")
        add_root(parser)
        add_repo(parser)
        add_model(parser)
        add_host(parser)
        parser.add_argument("--read-only", action="store_true", help="refuse to make anything")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        return asyncio.run(merge_runs(args))


async def merge_runs(args: argparse.Namespace) -> int:
    """Merge the runs on the host where they lie."""
    from hosts.errors import InputError
    from jobs.calibration.merge import merge
    from jobs.calibration.watch import look
    from jobs.connect import open_actor
    from tui import console
    from tui.cli.asking import connects
    from tui.cli.calibration_find import find
    from tui.exits import ExitCode

    if len(args.runs) < 2:
        raise InputError("a merge needs two runs: calibrate merge OUT A B")
    found = [await find(args, run) for run in args.runs]
    hosts = {(run.local, run.profile.name if run.profile is not None and not run.local else "") for run in found}
    if len(hosts) != 1:
        raise InputError("the runs lie on different hosts; copy them to one first")
    profile = found[0].profile if not found[0].local else None
    actor = await asyncio.to_thread(open_actor, profile, args.read_only, connects())
    try:
        model = (await look(actor, found[0], processes=False)).model
        made = await merge(actor, _out(args.out, found[0].run_dir, found[0].local), found, model)
    finally:
        await actor.close()
    if args.json:
        console.print_json({"run_dir": made, "runs": [run.run_dir for run in found]})
    else:
        console.print_text(made)
    return ExitCode.OK


def _out(text: str, beside: str, local: bool) -> str:
    """A bare name lies beside the first run, as names of runs do."""
    if "/" not in text and not text.startswith("~"):
        return str(Path(beside).parent / text)
    return str(Path(text).expanduser().absolute()) if local else text


MERGE = Merge()
