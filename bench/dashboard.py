"""How quick `gatewatch watch` is: from its start to the first paint, at rest, and under a log that grows.

    python bench/dashboard.py                     all of it: a few minutes
    python bench/dashboard.py --quick             small and rough, to see that it works
    python bench/dashboard.py --parts start,rest --rounds 9

The dashboard runs in a terminal of its own of 120x40, whose screen is read: a figure counts when it can
be seen. Run directories are made for the run. Beside it stands, in turns, the least that an app of the same framework
can be: one line of text (`bare app`). Keys are measured over a log that stands still and over one that grows, on the
same screen. Nothing is asserted by time.
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
from bench.logs_pty import Viewer
from bench.logs_screen import Screen

PARTS = ("start", "rest", "keys")

_ROOT = Path(__file__).resolve().parent.parent
_WRITER = str(_ROOT / "bench" / "logs_write.py")
_PATIENCE_S = 90.0
_BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("a line of text")
Bare().run()
"""
_LOG = "_pytest/stage0000/run1.log"
_HELP, _SHOWN = b"?", "keys:"


def main() -> int:
    """Measure, print; 2 where something did not come on the screen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--sizes", default="25x5,500x20", help="stages x repeats of the runs, with commas")
    parser.add_argument("--rounds", type=int, default=7, help="starts, of which the median is taken")
    parser.add_argument("--seconds", type=float, default=60.0, help="at rest")
    parser.add_argument("--rate", type=int, default=10_000, help="lines a second of the log that grows")
    parser.add_argument("--keys", type=int, default=200, help="that are pressed")
    parser.add_argument("--quick", action="store_true", help="small and rough")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.sizes, args.rounds, args.seconds, args.rate, args.keys = "3x2", 1, 1.0, 2000, 6
    figures: dict[str, Any] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "rounds": args.rounds,
        "start": {},
        "rest": {},
        "keys": {},
    }
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as folder:
        measure(args, Path(folder), figures)
    print(json.dumps(figures, indent=2)) if args.json else show(figures)
    return 0


def measure(args: argparse.Namespace, folder: Path, figures: dict[str, Any]) -> None:
    """All figures, into `figures`."""
    runs: dict[str, Path] = {}
    for size in args.sizes.split(","):
        stages, repeats = (int(part) for part in size.split("x"))
        run = runs[f"{stages * repeats} artifacts"] = folder / size
        make_run(run, stages, repeats)
        log = run / _LOG
        log.parent.mkdir(parents=True)
        log.write_bytes(b"".join(b"line %06d\n" % number for number in range(1000)))
    parts = args.parts.split(",")
    if "start" in parts:
        figures["start"] = _starts(runs, folder, args.rounds)
    if "rest" in parts:
        figures["rest"] = _rests(runs, folder, args.seconds)
    if "keys" in parts:
        name, run = next(iter(runs.items()))
        figures["keys"] = {"run": name, "rate": args.rate, **_keys(run, folder, args.rate, args.keys)}


def _starts(runs: dict[str, Path], folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds from the start to the first text, and to what was asked for."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ("bare app", *runs)}
    for _ in range(rounds + 1):  # the first one warms the page cache
        for name, times in taken.items():
            with _viewer(name, runs, folder) as viewer:
                first = _seen(viewer, _something)
                whole = _seen(viewer, _ready if name in runs else _something)
                times.append((first - viewer.started, whole - viewer.started))
                _leave(viewer)
    return {
        name: {
            "first_s": statistics.median(first for first, _ in some[1:]),
            "whole_s": statistics.median(whole for _, whole in some[1:]),
        }
        for name, some in taken.items()
    }


def _rests(runs: dict[str, Path], folder: Path, seconds: float) -> dict[str, Any]:
    """Processor time and bytes written to the terminal while nothing happens, and memory after it."""
    figures: dict[str, Any] = {}
    for name in ("bare app", *runs):
        with _viewer(name, runs, folder) as viewer:
            _seen(viewer, _ready if name in runs else _something)
            viewer.settle()
            cpu, written, began = viewer.cpu(), viewer.written, time.monotonic()
            viewer.drain(seconds)
            lasted = time.monotonic() - began
            figures[name] = {
                "cpu_share": (viewer.cpu() - cpu) / lasted,
                "written_bytes_per_s": (viewer.written - written) / lasted,
                "uss_bytes": viewer.uss(),
            }
            _leave(viewer)
    return figures


def _keys(run: Path, folder: Path, rate: int, presses: int) -> dict[str, Any]:
    """Seconds from a key to its effect, over a log that stands still and then over the same one as it grows."""
    with _viewer("run", {"run": run}, folder) as viewer:
        _seen(viewer, lambda screen: _ready(screen) and screen.holds("line 000999"))
        viewer.settle()
        still = _press(viewer, presses)
        before = (run / _LOG).stat().st_size
        long = 3600.0  # it is ended long before
        with subprocess.Popen(
            [sys.executable, _WRITER, str(run / _LOG), str(rate), str(long), "end"], stdout=subprocess.DEVNULL
        ) as writer:
            try:
                _seen(viewer, lambda screen: screen.holds("engine.loop"))
                began, cpu = time.monotonic(), viewer.cpu()
                busy = _press(viewer, presses)
                lasted = time.monotonic() - began
                share = (viewer.cpu() - cpu) / lasted
            finally:
                writer.kill()
        grown = (run / _LOG).stat().st_size - before
        _leave(viewer)
    return {"presses": presses, "still_s": still, "growing_s": busy, "cpu_share": share, "log_grew_bytes": grown}


def _press(viewer: Viewer, presses: int) -> list[float]:
    """Seconds from each press of the help key to the help, and to the screen without it; sorted."""
    taken = []
    for number in range(presses):
        shown = number % 2 == 0
        pressed = viewer.press(_HELP)
        taken.append(_seen(viewer, lambda screen, shown=shown: screen.holds(_SHOWN) is shown) - pressed)
        viewer.drain(0.03)
    if presses % 2:
        viewer.press(_HELP)
    return sorted(taken)


def _viewer(name: str, runs: dict[str, Path], folder: Path) -> Viewer:
    env = {"XDG_STATE_HOME": str(folder / "state")}
    if name not in runs:
        return Viewer([sys.executable, "-c", _BARE], folder, env)
    return Viewer([sys.executable, str(_ROOT / "gatewatch.py"), "watch", str(runs[name])], folder, env)


def _seen(viewer: Viewer, shown: Any) -> float:
    """When it came on the screen, seconds of the monotonic clock; RuntimeError where it did not."""
    at = viewer.until(shown, _PATIENCE_S)
    if at is None:
        raise RuntimeError("not on the screen:\n" + "\n".join(viewer.screen.lines()))
    return at


def _something(screen: Screen) -> bool:
    return any(line.strip() for line in screen.lines())


def _ready(screen: Screen) -> bool:
    return screen.holds("stages ready")


def _leave(viewer: Viewer) -> None:
    viewer.press(b"\x11")  # ctrl-q, in ours and in the framework
    viewer.drain(0.2)


def show(figures: dict[str, Any]) -> None:
    """Tables for a person."""
    print(f"Python {figures['python']}, {figures['cores']} cores, load average {figures['load']:.1f}")
    if figures["start"]:
        peer = figures["start"]["bare app"]["first_s"]
        print(f"\n{'start to paint':<24}{'first':>10}{'':>9}{'the run':>12}")
        for name, row in figures["start"].items():
            ratio = row["first_s"] / peer
            print(f"{name:<24}{row['first_s'] * 1e3:>7.0f} ms{ratio:>7.1f} x{row['whole_s'] * 1e3:>9.0f} ms")
    if figures["rest"]:
        print(f"\n{'at rest':<24}{'of a core':>10}{'written':>12}{'memory':>12}")
        for name, row in figures["rest"].items():
            memory = "unknown" if row["uss_bytes"] is None else f"{row['uss_bytes'] / 1e6:.0f} MB"
            print(f"{name:<24}{row['cpu_share']:>9.2%} {row['written_bytes_per_s']:>8.0f} B/s{memory:>12}")
    if figures["keys"]:
        keys = figures["keys"]
        print(f"\n{'key to paint':<24}{'p50':>10}{'p99':>12}   ({keys['presses']} keys, {keys['run']})")
        for name, some in (("log stands still", keys["still_s"]), (f"{keys['rate']:,} lines/s", keys["growing_s"])):
            print(f"{name:<24}{_at(some, 0.5) * 1e3:>7.0f} ms{_at(some, 0.99) * 1e3:>9.0f} ms")
        print(f"{keys['cpu_share']:.0%} of a core meanwhile")


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    sys.exit(main())
