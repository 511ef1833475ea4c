"""How long the command line takes to start, beside a Python that does nothing.

    python bench/startup.py [--rounds 15] [--json]

Wall time of whole processes, medians, taken in turns so that a busy moment of the machine meets all of them. Nothing is
asserted by time; which modules a command may import is held by tests/house.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.audit import make_run

_ROOT = Path(__file__).resolve().parent.parent
_PEER = "python -c pass"


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as folder:
        run = Path(folder) / "run"
        make_run(run, 3, 3)
        gatewatch = [sys.executable, str(_ROOT / "gatewatch.py")]
        commands = {
            _PEER: [sys.executable, "-c", "pass"],
            "python -c 'import asyncio, json, argparse'": [sys.executable, "-c", "import asyncio, json, argparse"],
            "gatewatch --version": [*gatewatch, "--version"],
            "gatewatch calibrate --help": [*gatewatch, "calibrate", "--help"],
            "gatewatch calibrate audit (9 cells)": [*gatewatch, "calibrate", "audit", "--run-dir", str(run)],
        }
        figures = measure(commands, Path(folder), args.rounds)
    print(json.dumps(figures, indent=2)) if args.json else show(figures)
    return 0


def measure(commands: dict[str, list[str]], cwd: Path, rounds: int) -> dict[str, Any]:
    """Seconds of wall time by command, and how many modules each imported."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, argv in commands.items():
            began = time.perf_counter()
            subprocess.run(argv, cwd=cwd, check=True, capture_output=True)
            times[name].append(time.perf_counter() - began)
    return {
        "python": platform.python_version(),
        "rounds": rounds,
        # The first round warms the page cache and writes byte code.
        "seconds": {name: statistics.median(taken[1:]) for name, taken in times.items()},
        "modules": {name: _modules(argv, cwd) for name, argv in commands.items()},
    }


def _modules(argv: list[str], cwd: Path) -> int:
    done = subprocess.run(
        argv, cwd=cwd, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    )
    return sum(line.startswith("import time:") for line in done.stderr.splitlines()) - 1


def show(figures: dict[str, Any]) -> None:
    """A table for a person."""
    print(f"Python {figures['python']}, median of {figures['rounds']} processes each, in turns")
    peer = figures["seconds"][_PEER]
    for name, seconds in figures["seconds"].items():
        print(f"{name:<44}{seconds * 1e3:>8.1f} ms{seconds / peer:>7.1f} x{figures['modules'][name]:>6} modules")


if __name__ == "__main__":
    sys.exit(main())
