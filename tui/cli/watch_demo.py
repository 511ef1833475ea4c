"""`gatewatch demo` on the dashboard: a real calibration of the example, detached, and the screen on it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.local.pasting import pasted
from jobs.runner.places import RUNS
from monitors.snapshot import State
from tui import console
from tui.cli.calibration_start import run_calibration, set_up_demo
from tui.cli.watch_screen import first_words, show
from tui.dashboard_runs import Locator, Wanted
from tui.exits import ExitCode

if TYPE_CHECKING:
    from tui.dashboard import DashboardApp

_OVER = (State.ENDED, State.HALTED, State.DEAD)


def watch_demo(args: argparse.Namespace) -> int:
    """Set the example up, start its calibration detached, and show it until somebody leaves.

    Raises:
        GatewatchError: It cannot be set up or started.
    """
    folder = set_up_demo(args.stages)
    run_dir = folder / RUNS / "demo"
    code = asyncio.run(run_calibration(_start_words(args, folder, run_dir)))
    if code != ExitCode.OK:
        return code
    console.flush()
    found = Locator().locate(Wanted(str(run_dir), root=str(folder)))
    apps: list[DashboardApp] = []

    async def begin(app: DashboardApp) -> None:
        from tui.dashboard_begin import go_in  # it needs the framework, which a start that fails does without

        apps.append(app)
        [watch] = await app.add_found([(Wanted(str(run_dir)), found)])
        go_in(app, watch)

    try:
        with first_words([str(run_dir)]) as look:
            return show(args, begin, look, read_only=False)
    finally:
        over = bool(apps) and any(
            entry.look is not None and entry.look.snapshot.state in _OVER for entry in apps[0].entries.values()
        )
        again = pasted(["gatewatch", "watch", str(run_dir), "--act"])
        console.milestone(f"the example lies in {folder}" + ("" if over else "; its calibration goes on by itself"))
        console.milestone(f"come back with: {again}")


def _start_words(args: argparse.Namespace, folder: Path, run_dir: Path) -> argparse.Namespace:
    """The words of `calibrate run` that start it with the Python that runs us."""
    return argparse.Namespace(
        root=str(folder),
        repo=str(folder),
        model=None,
        host=None,
        venv_python=sys.executable,
        stages=[args.stages],
        repeats=args.repeats,
        output_dir=str(run_dir),
        resume=False,
        max_passes=10,
        detach=True,
        take_over=False,
        read_only=False,
        json=False,
    )
