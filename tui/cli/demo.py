"""`gatewatch demo`: calibrate the embedded example for real, in a temporary folder."""

from __future__ import annotations

import argparse
import asyncio

from hosts.errors import InputError

REPEATS = 3


class Demo:
    """Copies the example to a temporary folder, calibrates it, and shows its audit."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--headless", action="store_true", help="without a screen: progress on stderr, the audit on stdout"
        )
        parser.add_argument(
            "--repeats", metavar="N", type=int, choices=range(1, 21), default=REPEATS, help="repeats (3)"
        )
        parser.add_argument("--stages", metavar="NAMES", default="ALL", help="stages, bases or @groups (ALL)")
        answer = parser.add_mutually_exclusive_group()
        answer.add_argument(
            "--apply", action="store_true", help="write the new thresholds into the copy, and show the diff"
        )
        answer.add_argument("--json", action="store_true", help="print one JSON document on stdout")

    def run(self, args: argparse.Namespace) -> int:
        if not args.headless:
            raise InputError("the dashboard is not in this version; run: gatewatch demo --headless")
        from tui.cli.calibration_start import run_demo

        return asyncio.run(run_demo(args))


CLI = Demo()
