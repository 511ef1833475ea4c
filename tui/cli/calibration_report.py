"""`gatewatch calibrate report`: the observation report of a run that both gates let through."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from tui.cli.calibration_options import add_run
from tui.cli.commands import add_json

if TYPE_CHECKING:
    from jobs.calibration.locate import Watched
    from jobs.calibration.report import Made


class Report:
    """Writes report.md into the run directory; says why not when a gate does not pass."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_run(parser)
        parser.add_argument(
            "--since",
            metavar="COMMIT",
            help="commit of the last calibration, by id, tag or branch: add what changed since and what was seen of it",
        )
        parser.add_argument(
            "--export", metavar="DIR", help="also write report.md and a text for a pull request there; commits nothing"
        )
        parser.add_argument("--read-only", action="store_true", help="print the report and write nothing into the run")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        return asyncio.run(make_report(args))


async def make_report(args: argparse.Namespace) -> int:
    """Make the report and write it where it belongs; `--json` prints it and writes nothing into the run."""
    from jobs.calibration.report import make
    from jobs.connect import open_actor, open_reader
    from tui import console
    from tui.cli.asking import connects
    from tui.cli.calibration_find import find

    watched = await find(args, args.run_dir)
    profile = watched.profile if not watched.local else None
    quiet = args.json or args.read_only
    if quiet:
        reader = await asyncio.to_thread(open_reader, profile, connects())
        try:
            made = await make(reader, watched, args.repo, args.since)
        finally:
            await reader.close()
        return await _show(args, watched, made, None)
    actor = await asyncio.to_thread(open_actor, profile, False, connects())
    try:
        made = await make(actor, watched, args.repo, args.since)
        if made.report is None:
            return await _show(args, watched, made, None)
        from hosts.errors import GatewatchError, UnreachableError
        from jobs.calibration.report import write

        try:
            path = await write(actor, watched.run_dir, made.text)
        except GatewatchError as error:
            # An export does not hang on a run directory that cannot be written.
            if not args.export or isinstance(error, UnreachableError):
                raise
            console.warn(str(error))
            path = None
        return await _show(args, watched, made, path)
    finally:
        await actor.close()


async def _show(args: argparse.Namespace, watched: Watched, made: Made, path: str | None) -> int:
    from gates.calibration.audit import audit_lines
    from gates.calibration.report import report_json
    from jobs.calibration.report import export
    from tui import console
    from tui.exits import ExitCode

    for warning in made.warnings:
        console.warn(warning)
    if made.report is None:
        if args.json:
            console.print_json({"error": "run_not_ready", "reasons": list(made.reasons), "run_dir": watched.run_dir})
        else:
            console.error(f"no report of {watched.run_dir}: the run is not ready")
            for reason in made.reasons:
                console.milestone(f"  {reason}")
        return ExitCode.SAYS_NO
    exported = []
    if args.export:
        exported = [str(file) for file in await asyncio.to_thread(export, args.export, made)]
    if args.json:
        document = report_json(made.report)
        console.print_json(
            {"run_dir": watched.run_dir, **document, "warnings": list(made.warnings), "exported": exported}
        )
        return ExitCode.OK
    if args.read_only:
        console.print_text(*made.text.splitlines())
        return ExitCode.OK
    audit = made.look.snapshot.body.audit
    assert audit is not None  # a look has an audit
    for line in audit_lines(audit)[-2:]:
        console.milestone(line)
    console.print_text(*([path] if path is not None else []), *exported)
    return ExitCode.OK


REPORT = Report()
