"""`gatewatch calibrate plan` and `… apply`: their options; the work is imported on first use."""

from __future__ import annotations

import argparse
import asyncio

from tui.cli.calibration_options import add_run
from tui.cli.commands import add_json

MODES = ("report", "smart", "full")


class Plan:
    """Shows what an apply would write, and why."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_run(parser)
        parser.add_argument("--read-only", action="store_true", help="change nothing (planning never does)")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_write import show_plan

        return asyncio.run(show_plan(args))


class Apply:
    """Writes worst-of-N into the test files, after showing exactly what changes."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_run(parser)
        parser.add_argument(
            "--mode",
            choices=MODES,
            help="report: touch nothing; smart: write what is safe and ask for the rest; full: write every metric",
        )
        parser.add_argument(
            "--answers", metavar="FILE", help='{"stage/source": "keep" | "apply" | number} as JSON; - for stdin'
        )
        parser.add_argument("--yes", action="store_true", help="write without asking on the terminal")
        parser.add_argument("--finish", action="store_true", help="complete an interrupted apply")
        parser.add_argument("--roll-back", action="store_true", help="undo an interrupted apply")
        parser.add_argument("--read-only", action="store_true", help="refuse to write anything")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_write import apply_run

        return asyncio.run(apply_run(args))


PLAN = Plan()
APPLY = Apply()
