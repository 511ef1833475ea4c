"""`gatewatch calibrate discover`: its options; the work is imported on first use."""

from __future__ import annotations

import argparse
import asyncio

from tui.cli.calibration_options import add_site, add_venv
from tui.cli.commands import add_json


class Discover:
    """Makes models/<M>/stages.yaml from the thresholds in the test files."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_site(parser)
        add_venv(parser)
        parser.add_argument(
            "--check", action="store_true", help="write nothing, and exit 1 when stages.yaml is not up to date"
        )
        parser.add_argument("--read-only", action="store_true", help="write nothing")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_found import run_discover

        return asyncio.run(run_discover(args))


DISCOVER = Discover()
