"""`gatewatch demo`: calibrate the embedded example for real, in a temporary folder, and watch it."""

from __future__ import annotations

import argparse
import asyncio

from hosts.errors import InputError
from tui.cli.watch import add_screen, need_screen

REPEATS = 3


class Demo:
    """Copies the example to a temporary folder and calibrates it there; shows the dashboard, or the audit."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--headless", action="store_true", help="without a screen: progress on stderr, the audit on stdout"
        )
        parser.add_argument(
            "--repeats", metavar="N", type=int, choices=range(1, 21), default=REPEATS, help="repeats (3)"
        )
        parser.add_argument("--stages", metavar="NAMES", default="ALL", help="stages, bases or @groups (ALL)")
        add_screen(parser, act=False)
        answer = parser.add_mutually_exclusive_group()
        answer.add_argument(
            "--apply", action="store_true", help="headless: write the new thresholds into the copy, and show the diff"
        )
        answer.add_argument("--json", action="store_true", help="headless: print one JSON document on stdout")

    def run(self, args: argparse.Namespace) -> int:
        if not args.headless:
            for name in ("apply", "json"):
                if getattr(args, name):
                    raise InputError(f"--{name} goes with --headless")
            need_screen("gatewatch demo --headless")
            from tui.cli.watch_demo import watch_demo

            return watch_demo(args)
        from tui.cli.calibration_start import run_demo

        return asyncio.run(run_demo(args))


CLI = Demo()
