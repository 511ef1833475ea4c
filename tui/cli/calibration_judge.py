"""`gatewatch calibrate audit` and `… status`: what a run directory says of itself."""

from __future__ import annotations

import argparse
import asyncio

from tui.cli.calibration_options import add_run
from tui.cli.commands import add_json


class Judge:
    """Options that asking about a run has."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_run(parser)
        parser.add_argument("--read-only", action="store_true", help="change nothing (asking never does)")
        add_json(parser)


class Audit(Judge):
    """Says whether every stage has N whole repeats of one commit."""

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_show import show_audit

        return asyncio.run(show_audit(args))


class Status(Judge):
    """Says how a run stands right now."""

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_show import show_status

        return asyncio.run(show_status(args))


AUDIT = Audit()
STATUS = Status()
