"""How quick `gatewatch tail` is, beside toolong, lnav, less +F, tail -f and ripgrep on the same logs in the same run.

    python bench/logs.py --peers                  all of it: 1 GB and 10 GB, an hour with all peers
    python bench/logs.py --quick                  small and rough, to see that it works
    python bench/logs.py --parts follow,pipe --viewers gatewatch --rates 1000000 --seconds 60

Every viewer runs in a terminal of its own of 120x40, whose screen is read: a figure counts when what was asked for can
be seen. Logs are made for the run, in a folder below --folder that is removed afterwards (12 GB for all of it). A peer
that is not installed is said and left out; --peers installs toolong, which needs a textual of its own, into that
folder. Ctrl-c ends it with what was measured so far. The load average stands beside every figure, since on a busy
machine only ratios to peers and processor time mean much. Nothing is asserted by time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.logs_follow import measure_follow, measure_lines, measure_pipe
from bench.logs_make import SHAPES, make_log
from bench.logs_still import Effort, measure_still, measure_tools, warm_up
from bench.logs_table import OURS, briefly_followed, briefly_still, show
from bench.logs_viewers import Peer, find_peers, ripgrep, version_of

PARTS = ("still", "follow", "lines", "pipe")

_INTERRUPTED = 130
_ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Measure, print; 2 where there is no folder to work in, 130 after ctrl-c."""
    args = _arguments()
    folder = Path(args.folder or os.environ.get("TMPDIR") or tempfile.gettempdir())
    if not os.access(folder, os.W_OK | os.X_OK):
        print(f"{folder} is no folder that can be written to", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-", dir=folder) as work:
        names = args.viewers.split(",") if args.viewers else []
        peers, missing = find_peers(Path(work), names, args.peers, args.toolong)
        rg = ripgrep()
        if rg is None:
            missing.append("ripgrep: not measured: rg is not installed")
        for line in missing:
            _say(line)
        figures: dict[str, Any] = {"missing": missing}
        code = 0
        try:
            measure(args, Path(work), peers, rg, figures)
        except KeyboardInterrupt:
            _say("interrupted; this was measured")
            code = _INTERRUPTED
    print(json.dumps(figures, indent=2)) if args.json else show(figures)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where logs are made for the run (default: TMPDIR)")
    parser.add_argument("--peers", action="store_true", help="install toolong for the run")
    parser.add_argument("--toolong", metavar="COMMAND", help="an installed toolong")
    parser.add_argument("--viewers", help="only these, with commas: gatewatch,toolong,lnav,less,tail")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--size", type=float, default=1.04, help="GB of the log on which everything is measured")
    parser.add_argument(
        "--large", type=float, default=10.0, help="GB of one that is opened, and searched by ours; 0: none"
    )
    parser.add_argument("--shapes", default=",".join(SHAPES), help="of logs; the first on which all is measured")
    parser.add_argument("--rates", default="100000,1000000", help="lines a second")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each burst")
    parser.add_argument("--rounds", type=int, default=3, help="of fresh processes, of which the median is taken")
    parser.add_argument("--quick", action="store_true", help="small and rough")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.singles = 60
    if args.quick:
        args.size, args.large, args.shapes, args.rates = 0.01, 0, "server", "20000"
        args.seconds, args.rounds, args.singles = 1.0, 1, 5
    return args


def measure(args: argparse.Namespace, folder: Path, peers: list[Peer], rg: str | None, figures: dict[str, Any]) -> None:
    """All figures, into `figures` as they come: on still logs by shape and size, on growing ones by rate."""
    versions = {peer.name: peer.version for peer in peers}
    if rg is not None:
        versions["ripgrep"] = version_of([rg, "--version"])
    figures |= {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "rounds": args.rounds,
        "seconds": args.seconds,
        "versions": versions,
        "still": [],
        "follow": [],
        "lines": {},
        "pipe": [],
    }
    parts = args.parts.split(",")
    rates = [int(rate) for rate in args.rates.split(",") if rate]
    warming = make_log(folder / "warming.log", "server", 100_000)
    for peer in peers:
        warm_up(peer, warming, folder)
    if "still" in parts:
        for shape, size, effort in _plan(args):
            figures["still"].append({"viewers": {}, "tools": {}})
            _still(folder, peers, rg, shape, size, effort, figures["still"][-1])
    for rate in rates if "follow" in parts else ():
        figures["follow"].append({"rate": rate, "viewers": {}})
        _follow(folder, peers, rate, args.seconds, figures["follow"][-1]["viewers"])
    for peer in peers if "lines" in parts else ():
        _say(f"one line after another: {peer.name}")
        seconds = measure_lines(peer, folder, args.singles)
        figures["lines"][peer.name] = {"seconds": seconds, "load": os.getloadavg()[0]}
    for rate in rates if "pipe" in parts else ():
        figures["pipe"].append({"rate": rate, "viewers": {}})
        _pipe(folder, rate, args.seconds, peers, figures["pipe"][-1]["viewers"])


def _plan(args: argparse.Namespace) -> Iterator[tuple[str, float, Effort]]:
    """Shape, size in GB, and how much is measured; peers take minutes to search the large one, so only ours does."""
    idle, jumps = (0.3, 2) if args.quick else (3.0, 5)
    shapes = [shape for shape in args.shapes.split(",") if shape]
    for shape in shapes if args.size else ():
        first = shape == shapes[0]
        yield (
            shape,
            args.size,
            Effort(args.rounds if first else 1, idle, jumps, counts=True, searches=True, filters=first),
        )
    if args.large and shapes:
        yield shapes[0], args.large, Effort(1, idle, jumps, counts=False, searches=False, filters=False)


def _still(
    folder: Path, peers: list[Peer], rg: str | None, shape: str, size: float, effort: Effort, found: dict[str, Any]
) -> None:
    assert shape in SHAPES, f"{shape} is none of {', '.join(SHAPES)}"
    path = folder / f"{shape}.log"
    try:
        _say(f"writing {size:g} GB of {shape}")
        made = make_log(path, shape, round(size * 1e9))
        found |= {"shape": shape, "bytes": made.size, "lines": made.lines}
        for peer in peers:
            _say(f"{shape}, {size:g} GB: {peer.name}, load {os.getloadavg()[0]:.1f}")
            whole = Effort(effort.rounds, effort.idle, effort.jumps) if peer.name == OURS else effort
            found["viewers"][peer.name] = measure_still(peer, made, folder, whole)
            _say(f"  {briefly_still(found['viewers'][peer.name])}")
        found["tools"] |= measure_tools(made, rg, effort.rounds)
    finally:
        path.unlink(missing_ok=True)


def _follow(folder: Path, peers: list[Peer], rate: int, seconds: float, found: dict[str, Any]) -> None:
    for peer in peers:
        _say(f"{rate:,} lines/s for {seconds:g} s: {peer.name}, load {os.getloadavg()[0]:.1f}")
        found[peer.name] = measure_follow(peer, folder, rate, seconds)
        _say(f"  {briefly_followed(found[peer.name])}")


def _pipe(folder: Path, rate: int, seconds: float, peers: list[Peer], found: dict[str, Any]) -> None:
    commands = {"tail -f": ["tail", "-n", "+1", "-f"]}
    if any(peer.name == OURS for peer in peers):
        gatewatch = [sys.executable, str(_ROOT / "gatewatch.py"), "tail", "--plain", "--lines", "all", "--follow"]
        commands = {OURS: gatewatch, **commands}
    for name, argv in commands.items():
        _say(f"{rate:,} lines/s for {seconds:g} s into a pipe: {name}, load {os.getloadavg()[0]:.1f}")
        found[name] = measure_pipe(argv, folder, rate, seconds)


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
