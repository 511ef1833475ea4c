"""A run with a stage worth looking at, the test file that holds its thresholds, and an app around one screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from jobs.calibration.checkout import Checkout
from jobs.connect import open_reader
from tests.monitors.runs import AT
from tests.peers.quick import Quick, until
from tests.tui.desks import Desk
from tests.tui.screens.runs import RunBench
from tui.app import GatewatchApp
from tui.screens.subject import RunLook, RunPlace

KEY = "asr_speed"
SOURCE = """\
from tests.slack import apply_slack

CONCURRENCY = 8
_ASR_P95 = {8: {"throughput_qps": 11.9, "latency_mean_s": 0.61, "rtf_mean": 0.25, "tokens": 900}}
"""
METRICS: Mapping[str, tuple[str, str, int]] = {
    "throughput_qps": ("min", "Throughput (req/s)", 3),
    "latency_mean_s": ("max", "Latency mean (s)", 3),
    "rtf_mean": ("max", "RTF mean", 4),
    "tokens": ("min", "Tokens", 0),
}
VALUES = {
    "throughput_qps": (12.345, 12.4, 12.38, 12.41, 12.52),
    "latency_mean_s": (0.652, 0.661, 0.648, 0.655, 0.66),
    "rtf_mean": (0.2, 0.21, 0.203, 0.2, 0.205),
    "tokens": (900, 900, 900, 900, 900),
}
"""One tightens, one loosens, one stays, and one has no spread at all."""


def stage_of(metrics: Mapping[str, tuple[str, str, int]] = METRICS, **more: Any) -> dict[str, Any]:
    """An entry of a manifest."""
    where = {"json_file": "r.json", "json_path": "a.b"}
    return {
        "test": "tests/test_asr_ci.py",
        "title": "ASR Speed",
        "group": "speed",
        "expected_samples": 50,
        "sample_counts": {"total": where, "ok": where},
        "metrics": {
            name: {
                "source": f"_ASR_P95['{name}']",
                "worst": worst,
                "status": "OK",
                "display": {"label": label, "scale": 1, "digits": digits},
                **where,
            }
            for name, (worst, label, digits) in metrics.items()
        },
        **more,
    }


@dataclass
class StageBench:
    """A run of one unit with two stages; the second is the one to look at."""

    bench: RunBench
    repo: Path
    requests: int = 0

    @classmethod
    def make(cls, folder: Path, repeats: int = 5, stage: Mapping[str, Any] | None = None, key: str = KEY) -> StageBench:
        bench = RunBench.make(folder, {"test_asr_ci": ("asr_accuracy", key)}, repeats, model="asr")
        accuracy = {"accuracy": ("min", "Accuracy (%)", 2)}
        manifest = {"asr_accuracy": stage_of(accuracy, title="ASR", group="accuracy"), key: dict(stage or stage_of())}
        bench.folder.write("stages.yaml", manifest)
        repo = folder / "repo"
        (repo / "tests").mkdir(parents=True)
        (repo / "tests" / "test_asr_ci.py").write_text(SOURCE)
        (repo / "models" / "asr").mkdir(parents=True)
        (repo / "models" / "asr" / "config.yaml").write_text("name: asr\nslack: {higher: 0.95, lower: 1.05}\n")
        return cls(bench, repo)

    def whole(self, runs: int = 5, **more: Any) -> None:
        """So many whole repeats."""
        for run in range(1, runs + 1):
            values = {name: found[(run - 1) % 5] for name, found in VALUES.items()}
            about = {"attempts": 1, "recorded_at": "2026-05-25T02:50:00Z", "pytest_rc": 0, "duration_s": 218.0 + run}
            self.bench.folder.cell(KEY, run, **{"metrics": values, **about, **more})
            self.bench.folder.cell("asr_accuracy", run, **{"metrics": {"accuracy": 0.9}, **about})
            self.bench.log("test_asr_ci", run, b"line of repeat %d\n" % run)

    def mixed(self) -> None:
        """Three that count, one that does not, one that failed after three attempts; the sixth runs."""
        self.whole(3)
        values = {name: found[3] for name, found in VALUES.items()}
        more = {"recorded_at": "2026-05-25T03:10:00Z", "gpu_indices": [0, 1], "pytest_rc": 1}
        self.bench.folder.cell(
            KEY, 4, metrics=values, sample_counts={"total": 50, "ok": 49}, attempts=1, duration_s=63.0, **more
        )
        gone = {"status": "failed", "reason": "killed by SIGKILL (exit -9)", "metrics": {}, "attempts": 3, **more}
        self.bench.folder.cell(KEY, 5, **{**gone, "duration_s": 12.5, "pytest_rc": -9})
        for number in (1, 2, 3):
            self.bench.log("test_asr_ci", 5, b"attempt %d\n" % number)
            data = {"n": number, "outcome": "infra", "reason": "killed by SIGKILL (exit -9)", "duration_s": 12.5}
            self.bench.note("attempt.ended", 600, unit="test_asr_ci", run=5, **data)
        self.bench.log("test_asr_ci", 4, b"line of repeat 4\n")
        self.bench.begin()
        self.bench.start("test_asr_ci", 6, ago=125)

    def place(self, **more: Any) -> RunPlace:
        """The run, with the checkout that its thresholds are in."""
        place = self.bench.place(**more)
        checkout = Checkout(self.repo)
        watched = replace(place.watched, checkout=checkout)
        return replace(place, watched=watched, reader=open_reader(None), request=self._asked)

    def look(self, **changed: Any) -> RunLook:
        return self.bench.look(**changed)

    async def see(self, **changed: Any) -> RunLook:
        """The same from a test with an event loop: a look waits for threads of its own."""
        return await asyncio.to_thread(lambda: self.bench.look(**changed))

    def _asked(self) -> None:
        self.requests += 1


class Floor(Screen[None]):
    """What lies below the screen that is tested."""

    def compose(self) -> ComposeResult:
        yield Static("the floor", id="floor")


class OneApp(GatewatchApp):
    """An app with a clock that stands still; it remembers what it was told and where it was sent."""

    def __init__(self, now: Callable[[], float], *, read_only: bool = False, ascii_only: bool = False) -> None:
        super().__init__(ascii_only=ascii_only, now=now, zone=UTC)
        self.read_only = read_only
        self.opened: list[tuple[str, str | None]] = []
        self.told: list[str] = []

    def get_default_screen(self) -> Screen[None]:
        return Floor()

    def open_run(self, run_dir: str, host: str | None = None, root: str | None = None) -> None:
        self.opened.append((run_dir, host))

    def notify(self, message: str, **options: Any) -> None:
        self.told.append(message)
        super().notify(message, **options)


class Seat(Desk[OneApp]):
    """What a test sees and does."""

    @property
    def screen(self) -> str:
        return self.shown

    def holds(self, words: str) -> bool:
        """Whether the screen says this, wherever it breaks its rows."""
        bare = "".join(self.screen.replace("│", "").split())
        return "".join(words.split()) in bare


@asynccontextmanager
async def seat(size: tuple[int, int] = (80, 24), now: float = AT, **options: Any) -> AsyncIterator[Seat]:
    """An app without a terminal."""
    app = OneApp(lambda: now, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Seat(app, pilot)
    if app.failure is not None:
        raise app.failure


async def alive(quick: Quick) -> None:
    """Runner, shim and pytest live."""
    await asyncio.to_thread(until, lambda: len(quick.processes()) == 3, "runner, shim and pytest")


async def ended(quick: Quick) -> None:
    """The run is whole, and nothing of it lives."""

    def wait() -> None:
        until(lambda: quick.processes() == [], "the end of the runner")
        audit = quick.gatewatch("calibrate", "audit")
        assert audit.code == 0, audit.text

    await asyncio.to_thread(wait)
