"""`gatewatch calibrate discard`: disown one observation, with a reason; the repeat is run again by --resume."""

from __future__ import annotations

import argparse
import asyncio

from tui.cli.calibration_options import add_host, add_model, add_repo, add_root
from tui.cli.commands import add_json


class Discard:
    """Disowns one stage's run, with a reason. Nothing is deleted; the journal keeps who, when and why."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("stage", metavar="STAGE", help="the stage's key, as `status` shows it")
        parser.add_argument("number", metavar="RUN", type=_run_number, help="which of its runs, such as 3 or run3")
        parser.add_argument("--reason", metavar="TEXT", required=True, help="why it must not count")
        parser.add_argument(
            "--run-dir",
            metavar="DIR",
            help="the run directory: a path, a name below .tune-runs/, or HOST:/path (default: the newest)",
        )
        add_root(parser)
        add_repo(parser)
        add_model(parser)
        add_host(parser)
        parser.add_argument("--read-only", action="store_true", help="refuse to discard anything")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        return asyncio.run(discard_cell(args))


async def discard_cell(args: argparse.Namespace) -> int:
    """Disown a cell on the host where the run lies."""
    from jobs.calibration.discard import discard
    from jobs.connect import open_actor
    from tui import console
    from tui.cli.asking import connects
    from tui.cli.calibration_find import find
    from tui.exits import ExitCode

    watched = await find(args, args.run_dir)
    actor = await asyncio.to_thread(
        open_actor, watched.profile if not watched.local else None, args.read_only, connects()
    )
    try:
        done = await discard(actor, watched.run_dir, args.stage, args.number, args.reason)
    finally:
        await actor.close()
    if args.json:
        console.print_json({"run_dir": watched.run_dir, "cell": done.cell, "journalled": done.journalled})
    elif done.journalled:
        console.print_text(f"discarded {done.cell}; it is run again by --resume, or by the runner that is at work")
    else:
        console.print_text(f"the runner at work will discard {done.cell} at its next step")
    return ExitCode.OK


def _run_number(text: str) -> int:
    digits = text.removeprefix("run").removesuffix(".json")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 9 or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"expected a run's number, such as 3, got {text!r}")
    return int(digits)


DISCARD = Discard()
