"""`gatewatch calibrate run` and `… stop`: their options; the work is imported on first use."""

from __future__ import annotations

import argparse
import asyncio

from tui.cli.calibration_options import add_host, add_model, add_repo, add_root, add_venv
from tui.cli.commands import add_json


class Run:
    """Runs every selected stage N times, detached, and watches it unless told not to."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        add_root(parser)
        add_repo(parser)
        add_model(parser)
        add_host(parser)
        add_venv(parser)
        parser.add_argument(
            "--stages", metavar="NAME", action="append", help="stages, bases, @groups or ALL; several with commas"
        )
        parser.add_argument("--repeats", metavar="N", type=_repeats, help="1 (smoke), 2, 3, 5 or any other number")
        parser.add_argument(
            "--output-dir", metavar="DIR", help="the run directory (default: a new one below .tune-runs/)"
        )
        parser.add_argument("--resume", action="store_true", help="continue the run in --output-dir")
        parser.add_argument(
            "--max-passes", metavar="N", type=_passes, default=10, help="passes over what is incomplete (10)"
        )
        parser.add_argument("--detach", action="store_true", help="start it and return at once")
        parser.add_argument(
            "--take-over", action="store_true", help="take a lock whose holder cannot be judged from here"
        )
        parser.add_argument("--read-only", action="store_true", help="refuse to start anything")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_start import run_calibration

        return asyncio.run(run_calibration(args))


class Stop:
    """Asks the runner of a run to end; what is incomplete is left to --resume."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--run-dir",
            metavar="DIR",
            required=True,
            help="the run: a path, a name below .tune-runs/, or HOST:/path",
        )
        add_root(parser)
        add_repo(parser)
        add_model(parser)
        add_host(parser)
        parser.add_argument("--read-only", action="store_true", help="refuse to stop anything")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.calibration_start import stop_calibration

        return asyncio.run(stop_calibration(args))


def _repeats(text: str) -> int:
    return _whole(text, 1, 1000)


def _passes(text: str) -> int:
    return _whole(text, 1, 1000)


def _whole(text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got {text!r}")
    return value


RUN = Run()
STOP = Stop()
