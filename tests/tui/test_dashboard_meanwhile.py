"""What somebody opens while the only run is still looked up stays, and every key goes on doing what it says."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from tests.tui.test_dashboard import Watcher, desk, runs_of
from tui.cli import watch_screen
from tui.dashboard import DashboardApp
from tui.dashboard_begin import Sight, begin
from tui.dashboard_runs import Wanted
from tui.help import HelpScreen
from tui.palette import Palette
from tui.screens.form import FormScreen
from tui.screens.home import HomeScreen
from tui.screens.hosts import HostsScreen
from tui.screens.run import RunScreen

Begin = Callable[[DashboardApp], Awaitable[None]]


@pytest.fixture(params=["named", "of a workspace"])
def start(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """What a dashboard on the only run begins with."""
    (run,) = runs_of(tmp_path, "r1")
    if request.param != "named":
        return lambda app: begin(app, Sight(runs=(Wanted(run),)))
    began: list[Begin] = []

    def show(_: argparse.Namespace, begin: Begin, *_look: object, **_options: object) -> int:
        began.append(begin)
        return 0

    monkeypatch.setattr(watch_screen, "show", show)
    given = {"run_dir": [run], "root": None, "repo": None, "host": None, "model": None, "act": False}
    assert watch_screen.watch_runs(argparse.Namespace(**given)) == 0
    return began[0]


@asynccontextmanager
async def slow(start: Begin, **options: Any) -> AsyncIterator[tuple[Watcher, Callable[[], None]]]:
    """A dashboard whose run is looked up when one says so."""
    found = asyncio.Event()

    async def begin_late(app: DashboardApp) -> None:
        await found.wait()
        await start(app)

    async with desk(Sight(), start=begin_late, size=(120, 40), **options) as at:
        yield at, found.set


def stack(at: Watcher) -> list[type[Screen[Any]]]:
    return [type(screen) for screen in at.app.screen_stack]


@pytest.mark.parametrize(
    ("key", "opens"),
    [("ctrl+p", Palette), ("question_mark", HelpScreen), ("H", HostsScreen), ("N", FormScreen)],
)
async def test_nothing_comes_over_it(start: Begin, key: str, opens: type[Screen[Any]]) -> None:
    async with slow(start, read_only=False) as (at, find):
        await at.press(key)
        await at.until(lambda: isinstance(at.app.screen, opens))
        find()
        await at.until(lambda: at.looked("r1"))
        await at.settled()
        assert stack(at) == [HomeScreen, opens]
        await at.press("escape")
        await at.until(lambda: isinstance(at.app.screen, HomeScreen) and any("4/4" in row for row in at.rows))
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, RunScreen), "a way in, as on every row")


async def test_others_who_look_on_already_look_on_in_the_run_too(start: Begin, tmp_path: Path) -> None:
    async with slow(start) as (at, find):
        await at.press("s")
        find()
        await at.until(lambda: isinstance(at.app.screen, RunScreen) and any("4/4" in row for row in at.rows))
        assert at.app.shared
        assert str(tmp_path) not in at.shown
        await at.press("s")
        assert not at.app.shared


async def test_a_palette_is_opened_for_what_came_over_another_one(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs))), size=(120, 40)) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
        await at.press("ctrl+p")
        await at.until(lambda: any("hosts  (H)" in row for row in at.rows), "what can be done at home")
        at.app.enter(runs[0])
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        await at.press("ctrl+p")
        await at.until(lambda: isinstance(at.app.screen, Palette))
        await at.type("zoom")
        await at.until(lambda: "run: zoom  (z)" in at.shown, "what can be done in the run")
        assert stack(at) == [HomeScreen, RunScreen, Palette]
        await at.press("escape", "escape")
        await at.until(lambda: isinstance(at.app.screen, HomeScreen), "home, with nothing over it")


async def test_so_is_the_help(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs))), size=(120, 40)) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
        await at.press("question_mark")
        await at.until(lambda: isinstance(at.app.screen, HelpScreen))
        at.app.enter(runs[0])
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        await at.press("question_mark")
        await at.until(lambda: any("keys: stage matrix" in row for row in at.rows), "what can be pressed in the run")
        assert stack(at) == [HomeScreen, RunScreen, HelpScreen]
        await at.press("escape", "escape")
        await at.until(lambda: isinstance(at.app.screen, HomeScreen))
        await at.press("question_mark")
        await at.until(lambda: isinstance(at.app.screen, HelpScreen) and any("keys:" in row for row in at.rows))
        await at.press("escape", "q")
        await at.until(lambda: not at.app.is_running)
