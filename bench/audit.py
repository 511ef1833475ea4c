"""How long an audit takes: all of a large run directory, and one changed file of it.

    python bench/audit.py [--run-dir DIR] [--root DIR] [--stages 500] [--repeats 20] [--journal] [--rounds 5] [--json]

Without --run-dir a run directory of 500 stages x 20 repeats is made in a temporary folder. What is measured is what
`calibrate audit` and a watcher do: LocalReader.observe, then the monitor's fold (assemble, judge, sum up). Figures are
medians, beside two peers on the same files in the same run: `json.load` of each of them, and `find -name 'run*.json'`.
Nothing is asserted by time; that one changed file is the only one that is read again is.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gates.calibration.layout import DOCUMENTS, JOURNAL, parse_cell_path
from gates.calibration.schema import Manifest
from gates.journal import Event, encode_event
from gatewatch import GC_THRESHOLD
from hosts.errors import GatewatchError
from hosts.here import LocalReader
from hosts.host import Observation
from jobs.calibration.locate import find_run
from monitors.calibration import Calibration, CalibrationMonitor
from monitors.snapshot import Now, Snapshot

SHA = "0123456789abcdef0123456789abcdef01234567"
METRICS = ("throughput_qps", "output_tok_per_req_s", "latency_mean_s", "latency_p95_s", "rtf_mean")
# A file that changed a moment ago is read again to be sure; the measured looks come after that.
SETTLE_S = 0.3


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock, and of this process's own work (all threads)."""

    wall: float
    cpu: float

    @staticmethod
    def now() -> Taken:
        return Taken(time.perf_counter(), time.process_time())

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.wall - other.wall, self.cpu - other.cpu)


def main() -> int:
    """Measure, print; 2 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=Path, help="a run directory to measure; it is read, never written")
    parser.add_argument("--root", help="the checkout that knows its model (default: found from the run directory)")
    parser.add_argument("--stages", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--journal", action="store_true", help="with a journal, which grows with every changed file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLD)  # as the command does
    if args.run_dir is not None and not (args.run_dir / "plan.json").is_file():
        print(f"no data: {args.run_dir} holds no plan.json, so nothing was measured", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as folder:
        copy = Path(folder) / "run"
        try:
            manifest = _known(args.run_dir, args.root) if args.run_dir is not None else None
        except GatewatchError as error:
            print(f"no data: {error}", file=sys.stderr)
            return 2
        if args.run_dir is not None:
            copy_run(args.run_dir, copy)
        else:
            make_run(copy, args.stages, args.repeats)
            if args.journal:
                make_journal(copy)
        cells = sorted(copy.glob("*/run*.json"))
        time.sleep(SETTLE_S)
        figures = asyncio.run(measure(copy, manifest, cells, args.rounds))
    print(json.dumps(figures, indent=2)) if args.json else show(figures)
    return 0


def make_run(run_dir: Path, stages: int, repeats: int) -> None:
    """A strictly complete run of so many stages and repeats, with the manifest that it froze."""
    keys = [f"stage{number:04d}_speed" for number in range(stages)]
    at = {"json_file": "test0/a/a_results.json", "json_path": "speed.value"}
    manifest = {
        key: {
            "test": f"tests/test_{key}.py",
            "title": key,
            "group": "speed",
            "extra_env": {},
            "context_vars": [],
            "expected_samples": 50,
            "sample_counts": {"total": at, "ok": at},
            "metrics": {name: {"source": name.upper(), "worst": "max", **at} for name in METRICS},
        }
        for key in keys
    }
    run_dir.mkdir()
    plan = {"model": "bench", "stages": keys, "repeats": repeats, "calibration_git_sha": SHA}
    (run_dir / "plan.json").write_text(json.dumps(plan))
    (run_dir / "stages.yaml").write_text(json.dumps(manifest))
    for key in keys:
        (run_dir / key).mkdir()
        for run in range(1, repeats + 1):
            (run_dir / key / f"run{run}.json").write_text(json.dumps(_record(key, run), indent=2))


def make_journal(run_dir: Path) -> None:
    """The journal that a run of these cells leaves: an attempt's three events for each, and its record."""
    events: list[Event] = []
    for path in sorted(run_dir.glob("*/run*.json")):
        unit, run = f"test_{path.parent.name}", int(path.stem.removeprefix("run"))
        about = {"unit": unit, "run": run, "n": 1, "token": f"{len(events):026d}"}
        for kind in ("attempt.intended", "attempt.started", "attempt.ended"):
            events.append(_event(len(events), kind, {**about, "stages": [path.parent.name]}))
        events.append(_recorded(len(events), path))
    (run_dir / JOURNAL).write_bytes(b"".join(map(encode_event, events)))


def _event(seq: int, kind: str, data: dict[str, Any]) -> Event:
    writer = {"host": "bench", "boot_id": "0" * 32, "pid": 4711, "start_ticks": 123456, "sid": 4711}
    return Event(f"{seq:026d}", seq, writer, "2026-05-25T02:43:02Z", kind, data)


def _recorded(seq: int, path: Path) -> Event:
    run = int(path.stem.removeprefix("run"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return _event(seq, "cell.recorded", {"stage": path.parent.name, "run": run, "sha256": sha256})


def _record(key: str, run: int) -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": "",
        "metrics": {name: 1.0 + run / 1000 + place for place, name in enumerate(METRICS)},
        "sample_counts": {"total": 50, "ok": 50},
        "duration_s": 159.0 + run,
        "attempts": 1,
        "attempt_history": [],
        "gpu_indices": [0, 1],
        "git_sha": SHA,
        "recorded_at": "2026-05-25T02:43:02Z",
        "pytest_log": f"_pytest/test_{key}/run{run}.log",
        "basetemp": f"_pytest/test_{key}/basetemp_run{run}",
        "pytest_rc": 0,
    }


def copy_run(source: Path, target: Path) -> None:
    """What an audit reads of a run directory, so that one file of it can be changed."""
    target.mkdir()
    for path in (*(source / name for name in (*DOCUMENTS, JOURNAL)), *source.glob("*/run*.json")):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(exist_ok=True)
            shutil.copy(path, target / path.relative_to(source))


def _known(run_dir: Path, root: str | None) -> Manifest | None:
    plan = json.loads((run_dir / "plan.json").read_bytes())
    return find_run(str(run_dir), root, None, None, None).manifest(str(plan.get("model")))


async def measure(run_dir: Path, manifest: Manifest | None, cells: list[Path], rounds: int) -> dict[str, Any]:
    """All figures; every round measures the peers too, so that a busy moment of the machine meets all of them."""
    taken: dict[str, list[Taken]] = {}
    ready = ""
    for _ in range(rounds):
        observed, folded, ready = await _all(run_dir, manifest)
        found = {"observe": observed, "fold": folded, "audit": observed + folded}
        found["peer_json_load"], found["peer_find"] = _timed(lambda: _load(cells)), _timed(lambda: _find(run_dir))
        for name, figure in found.items():
            taken.setdefault(name, []).append(figure)
    one, read = await _one(run_dir, manifest, cells, rounds)
    taken.update(one)
    return {
        "python": platform.python_version(),
        "files": len(cells),
        "bytes": sum(path.stat().st_size for path in cells),
        "journal_bytes": (run_dir / JOURNAL).stat().st_size if (run_dir / JOURNAL).exists() else 0,
        "rounds": rounds,
        "strict_ready": ready,
        "one_files_read": read,
        "wall_s": {name: statistics.median(figure.wall for figure in figures) for name, figures in taken.items()},
        "cpu_s": {name: statistics.median(figure.cpu for figure in figures) for name, figures in taken.items()},
    }


async def _all(run_dir: Path, manifest: Manifest | None) -> tuple[Taken, Taken, str]:
    """One complete look by a reader that knows nothing yet: observe, fold, and how many stages are ready."""
    reader, monitor = LocalReader(), CalibrationMonitor(str(run_dir), manifest)
    began = Taken.now()
    seen = await reader.observe(monitor.wants(None), None, 60.0)
    looked = Taken.now()
    snapshot = monitor.fold(None, seen, Now(time.time()))
    ended = Taken.now()
    result = _audit(snapshot)
    return looked - began, ended - looked, f"{result.ready_count}/{len(result.stages)}"


async def _one(
    run_dir: Path, manifest: Manifest | None, cells: list[Path], rounds: int
) -> tuple[dict[str, list[Taken]], int]:
    """One changed file after another, seen by a reader that knows all others; and how many were read again at most."""
    reader, monitor = LocalReader(), CalibrationMonitor(str(run_dir), manifest)
    seen = await reader.observe(monitor.wants(None), None, 60.0)
    snapshot = monitor.fold(None, seen, Now(time.time()))
    taken: dict[str, list[Taken]] = {"one_observe": [], "one_fold": []}
    read = 0
    for number in range(rounds):
        path = cells[(number * 7919) % len(cells)]
        changed = _spoil(run_dir, path)
        began = Taken.now()
        seen = await reader.observe(monitor.wants(snapshot), seen.cursor, 60.0)
        looked = Taken.now()
        snapshot = monitor.fold(snapshot, seen, Now(time.time()))
        taken["one_observe"].append(looked - began)
        taken["one_fold"].append(Taken.now() - looked)
        read = max(read, len(seen.trees[0].files))
        _expect_only(path.relative_to(run_dir).as_posix(), changed, seen, snapshot)
        await asyncio.sleep(SETTLE_S)  # until the changed file's time stamp can be relied on
        seen = await reader.observe(monitor.wants(snapshot), seen.cursor, 60.0)
        snapshot = monitor.fold(snapshot, seen, Now(time.time()))
    return taken, read


def _spoil(run_dir: Path, path: Path) -> set[str]:
    """Change a record so that its mark changes, as a writer does: whole, under its name. Returns what changed."""
    record = json.loads(path.read_bytes())
    record["sample_counts"]["ok"] = record["sample_counts"]["total"] - 1
    new = path.with_suffix(".new")
    new.write_text(json.dumps(record))
    new.replace(path)
    name = path.relative_to(run_dir).as_posix()
    if not (run_dir / JOURNAL).exists():
        return {name}
    with open(run_dir / JOURNAL, "ab") as journal:
        journal.write(encode_event(_recorded(1_000_000, path)))
    return {name, JOURNAL}


def _expect_only(path: str, changed: set[str], seen: Observation, snapshot: Snapshot[Calibration]) -> None:
    """Exactly what changed was read again, and the cell was judged by what its file says now."""
    if set(seen.trees[0].files) != changed:
        raise SystemExit(f"expected {changed} alone to be read again, not {sorted(seen.trees[0].files)[:5]}")
    key = parse_cell_path(path)
    stage = _audit(snapshot).get(key[0]) if key is not None else None
    if key is None or stage is None or stage.cells[key[1] - 1].mark.value != "△":
        raise SystemExit(f"{path} was changed and its cell was not")


def _audit(snapshot: Snapshot[Calibration]) -> Any:
    assert snapshot.body.audit is not None, snapshot.error
    return snapshot.body.audit


def _load(paths: list[Path]) -> None:
    for path in paths:
        with open(path, "rb") as file:
            json.load(file)


def _find(run_dir: Path) -> None:
    subprocess.run(["find", str(run_dir), "-name", "run*.json"], check=True, stdout=subprocess.DEVNULL)


def _timed(work: Callable[[], None]) -> Taken:
    began = Taken.now()
    work()
    return Taken.now() - began


def show(figures: dict[str, Any]) -> None:
    """A table for a person."""
    journal = f" and a journal of {figures['journal_bytes'] / 1e6:.1f} MB" if figures["journal_bytes"] else ""
    print(
        f"{figures['files']} run files, {figures['bytes'] / 1e6:.1f} MB{journal}, "
        f"{figures['strict_ready']} stages ready, Python {figures['python']}, median of {figures['rounds']}"
    )
    print(f"{'':<34}{'wall':>12}{'cpu':>12}{'wall / json.load':>20}")
    rows = (
        ("audit of all: observe + fold", "audit"),
        ("  observe (scan, stat, read)", "observe"),
        ("  fold (parse, judge, sum up)", "fold"),
        ("one changed file: observe", "one_observe"),
        ("one changed file: fold and gates", "one_fold"),
        ("peer: json.load of every file", "peer_json_load"),
        ("peer: find -name 'run*.json'", "peer_find"),
    )
    for words, name in rows:
        wall, cpu = figures["wall_s"][name], figures["cpu_s"][name]
        ratio = wall / figures["wall_s"]["peer_json_load"]
        shown = "-" if name == "peer_find" else f"{cpu * 1e3:.1f} ms"  # its time is another process's
        print(f"{words:<34}{wall * 1e3:>9.1f} ms{shown:>12}{ratio:>18.2f} x")
    print(f"files read again for one change: {figures['one_files_read']}")


if __name__ == "__main__":
    sys.exit(main())
