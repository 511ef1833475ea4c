"""Home in an app without a terminal, over runs of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

from textual.screen import Screen

from hosts.connection import Connection, Way
from monitors.host import HostBody
from monitors.snapshot import Eta, Snapshot, State
from tests.monitors.runs import AT
from tests.tui.desks import Desk
from tests.tui.screens.runs import RunBench, eight_gpus, host_look
from tui.app import GatewatchApp
from tui.dashboard_fleet import unseen
from tui.dashboard_runs import Entry
from tui.screens.home import HomeScreen
from tui.screens.home_rows import HomeRow, rows_of
from tui.screens.subject import RunLook

UNITS = {"mmmu": ("mmmu_accuracy", "mmmu_speed"), "tts": ("tts_wer",)}


def entry_of(bench: RunBench, title: str, where: str, **changed: Any) -> Entry:
    """What the dashboard knows of a run; `changed` goes into its snapshot."""
    place = replace(bench.place(title=title, host=where), watch=f"{where}:{title}")
    # Side by side, as the runs of one checkout lie, and in the same place wherever tests run
    watched = replace(place.watched, run_dir=f"/data/project/.tune-runs/{title.replace(' ', '_')}")
    place = replace(place, watched=watched)
    return Entry(place.watch, title, where, place, bench.look(**changed))


def bench_of(folder: Path, name: str, **plan: Any) -> RunBench:
    """A small run in a folder of its own."""
    (folder / name).mkdir()
    return RunBench.make(folder / name, UNITS, 3, **{"model": name, **plan})


def complete(folder: Path, name: str, **plan: Any) -> RunBench:
    """A run that is whole and has ended."""
    bench = bench_of(folder, name, **plan)
    bench.begin(7200)
    for unit in UNITS:
        bench.observed(unit, 3)
    bench.leave()
    return bench


def applied(folder: Path, name: str, **plan: Any) -> RunBench:
    """The same, and its thresholds are written."""
    bench = complete(folder, name, **plan)
    bench.note("apply.done")
    return bench


def running(folder: Path, name: str, **plan: Any) -> RunBench:
    """A run at its second unit."""
    bench = bench_of(folder, name, **plan)
    bench.begin(3600)
    bench.observed("mmmu", 3)
    bench.start("tts", 1)
    return bench


def dead(folder: Path, name: str, **plan: Any) -> RunBench:
    """A run whose runner was killed."""
    bench = running(folder, name, **plan)
    bench.die()
    return bench


def everything(folder: Path) -> list[Entry]:
    """A run of every kind, in no order."""
    eta = Eta(AT + 5400, "mean of this run's own repeats")
    blind = entry_of(running(folder, "seedtts"), "seedtts eval", "h20-b", state=State.BLIND, error="h20-b: no answer")
    assert blind.look is not None
    seen = replace(blind.look.snapshot.seen, received=AT - 840)
    blind = replace(blind, look=RunLook(replace(blind.look.snapshot, seen=seen), hosts()["h20-b"]))
    waiting = bench_of(folder, "whisper")
    waiting.begin(600)
    waiting.note("unit.waiting", 540, unit="mmmu", run=1, why="GPU 0: held by pid 7712")
    halted = running(folder, "voices")
    halted.leave("run.halted", why="metric", detail="a pytest passed without its metric tts_wer")
    return [
        entry_of(running(folder, "tts"), "tts r3", "h100-1", eta=eta),
        entry_of(applied(folder, "old-1"), "old-1 r3", "h20-a"),
        entry_of(dead(folder, "qwen2"), "qwen2.5-omni r3", "h20-a"),
        entry_of(waiting, "whisper r3", "h20-a"),
        blind,
        entry_of(complete(folder, "qwen3", timestamp="2026-05-24T00:00:00Z"), "qwen3-omni r3", "h20-a"),
        entry_of(applied(folder, "old-2"), "old-2 r3", "h20-a"),
        entry_of(halted, "voices r3", "h100-1"),
        Entry("h9:/r", "/data/r", "h9", problem="--run-dir h9:/r: HOST is the name of a profile in hosts/"),
        entry_of(complete(folder, "early", model="qwen3", timestamp="2026-05-20T00:00:00Z"), "early r3", "h20-a"),
    ]


def hosts(blind: bool = True) -> dict[str, Snapshot[HostBody]]:
    """Eight accelerators, none, and a host that is dark."""
    dark = replace(host_look((), error="no answer"), watch="h20-b")
    dark = replace(dark, seen=replace(dark.seen, received=AT - 840))
    found = {"h20-a": eight_gpus(), "h100-1": replace(host_look(), watch="h100-1")}
    return {**found, "h20-b": dark} if blind else found


def ways() -> dict[str, Connection]:
    """A way in every state, and of `fleet` a host for each."""
    return {
        "gpu-a": Connection(Way.UP, AT - 900, 0.034),
        "gpu-b": Connection(Way.WAITING, AT - 4, None, AT + 8, "connection refused"),
        "gpu-c": Connection(Way.WAITING, AT - 4, 0.2, AT - 1, "no route to host"),
        "gpu-d": Connection(Way.REFUSED, AT - 60, None, None, "login refused for alice"),
        "gpu-e": Connection(Way.KEY_CHANGED, AT - 60, None, None, "its host key has changed"),
        "gpu-f": Connection(Way.STALE, AT - 7, 0.03, None, "nothing heard for 7 s"),
        "gpu-g": Connection(Way.CONNECTING, AT),
    }


def fleet() -> dict[str, Snapshot[HostBody]]:
    """This machine, hosts that were seen and cannot be seen now, and some that never were."""
    dark = replace(eight_gpus(), state=State.BLIND, error="no answer")
    dark = replace(dark, seen=replace(dark.seen, received=AT - 840))
    known = {"here": host_look(), "gpu-a": eight_gpus(), "gpu-c": dark, "gpu-f": eight_gpus()}
    new = {name: unseen(name) for name in ways() if name not in known}
    return {name: replace(one, watch=name) for name, one in {**known, **new}.items()}


class HomeApp(GatewatchApp):
    """Home alone, with a clock that stands still."""

    def __init__(self, first: Sequence[str] = ("Looking …",), read_only: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.now = lambda: AT
        self.zone = UTC
        self.read_only = read_only
        self.entered: list[str] = []
        self.asked: list[str] = []
        self.home = HomeScreen(self.entered.append, self.asked.append, first)

    def get_default_screen(self) -> Screen[None]:
        return self.home


class HomeDesk(Desk[HomeApp]):
    """Home, and whoever uses it."""

    async def show(self, entries: Sequence[Entry], seen: dict[str, Snapshot[HostBody]] | None = None) -> None:
        self.app.home.show_all(entries, hosts() if seen is None else seen)
        await self.pilot.pause()


@asynccontextmanager
async def home(size: tuple[int, int] = (80, 24), **options: Any) -> AsyncIterator[HomeDesk]:
    """Home, empty."""
    app = HomeApp(**options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        yield HomeDesk(app, pilot)


def rows(entries: Sequence[Entry]) -> tuple[HomeRow, ...]:
    """As Home works them out."""
    return rows_of(entries, AT, UTC)
