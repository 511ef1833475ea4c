"""What is typed ahead of a screen that is on its way is meant for that screen."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key

from tests.peers.quick import Quick, old_run
from tests.tui.test_dashboard import Watcher, desk, runs_of
from tui.dashboard import DashboardApp
from tui.dashboard_begin import Sight, begin
from tui.dashboard_runs import Wanted
from tui.help import HelpScreen
from tui.palette import Palette
from tui.screens.home import HomeScreen
from tui.screens.host_screen import HostScreen
from tui.screens.hosts import HostsScreen
from tui.screens.stage_log import RepeatLogScreen

_CHARACTERS = {"slash": "/", "question_mark": "?"}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A module that is not imported before one says so."""
    real, held = importlib.import_module, dict[str, threading.Event]()

    def imported(name: str, package: str | None = None) -> Any:
        if name in held:
            held[name].wait(30.0)
        return real(name, package)

    @contextmanager
    def holding(name: str) -> Iterator[None]:
        held[name] = threading.Event()
        try:
            yield
        finally:
            held[name].set()

    monkeypatch.setattr(importlib, "import_module", imported)
    yield holding
    for one in held.values():
        one.set()


async def at_once(at: Watcher, *keys: str) -> None:
    """Type these as fast as a terminal hands them over, and let them come where they come."""
    for key in keys:
        at.app.post_message(Key(key, key if len(key) == 1 else _CHARACTERS.get(key)).set_sender(at.app))
    for _ in range(8):
        await at.pilot.pause(0.05)


async def test_what_is_typed_while_the_hosts_are_opened_is_meant_for_them(
    tmp_path: Path, slow: Callable[[str], Any]
) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2") and "here" in at.app.hosts)
        with slow("tui.screens.hosts"):
            await at_once(at, "H", "enter")
            assert isinstance(at.app.screen, HomeScreen), "the run below was not gone into"
        await at.until(lambda: isinstance(at.app.screen, HostScreen), "all of the host that the cursor is on")
        assert [type(screen) for screen in at.app.screen_stack] == [HomeScreen, HostsScreen, HostScreen]


async def test_the_only_run_does_not_come_over_the_hosts_that_are_on_their_way(
    tmp_path: Path, slow: Callable[[str], Any]
) -> None:
    runs, found = runs_of(tmp_path, "r1"), asyncio.Event()

    async def begin_late(app: DashboardApp) -> None:
        await found.wait()
        await begin(app, Sight(runs=tuple(map(Wanted, runs))))

    async with desk(Sight(), start=begin_late) as at:
        with slow("tui.screens.hosts"):
            await at_once(at, "H")
            found.set()
            await at.until(lambda: at.looked("r1"))
            await at.settled()
        await at.until(lambda: isinstance(at.app.screen, HostsScreen), "the hosts")
        await at.settled()
        assert [type(screen) for screen in at.app.screen_stack] == [HomeScreen, HostsScreen]


async def test_the_palette_that_is_typed_behind_the_hosts_lies_over_them_and_is_there_once(
    tmp_path: Path, slow: Callable[[str], Any]
) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
        with slow("tui.screens.hosts"):
            await at_once(at, "H", "ctrl+p")
        await at.until(lambda: isinstance(at.app.screen, Palette), "the palette, on top")
        await at_once(at, "ctrl+p", "ctrl+p")
        assert [type(screen) for screen in at.app.screen_stack] == [HomeScreen, HostsScreen, Palette]


async def test_a_palette_that_something_lies_over_is_opened_anew_and_is_there_once(tmp_path: Path) -> None:
    async with desk(Sight(runs=(Wanted(runs_of(tmp_path, "r1")[0]), Wanted("none")))) as at:
        await at.until(lambda: at.looked("r1"))
        await at.press("ctrl+p")
        await at.until(lambda: isinstance(at.app.screen, Palette))
        at.app.show_hosts()
        await at.until(lambda: isinstance(at.app.screen, HostsScreen))
        await at_once(at, "ctrl+p", "ctrl+p")
        assert at.app.failure is None
        assert [type(screen) for screen in at.app.screen_stack] == [HomeScreen, HostsScreen, Palette]


@pytest.mark.parametrize("typed", [("f", "slash", "x", "enter"), ("enter", "f", "slash", "x", "enter")])
async def test_what_is_typed_while_a_log_is_opened_is_meant_for_it(
    typed: tuple[str, ...], quick: Quick, slow: Callable[[str], Any]
) -> None:
    async with desk(Sight(runs=(Wanted(str(old_run(quick.runs / "run"))), Wanted("none")))) as at:
        await at.until(lambda: at.looked("run") and "here" in at.app.hosts)
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen) and any("here" in row for row in at.rows))
        with slow("tui.screens.stage_log"):
            await at_once(at, *typed, "question_mark")
            assert not isinstance(at.app.screen, HelpScreen), "it is no key of what is left"
        await at.until(lambda: isinstance(at.app.screen, HelpScreen), "the help")
        assert isinstance(at.app.screen_stack[-2], RepeatLogScreen), "of the log"


async def test_so_is_what_was_on_its_way_already(quick: Quick, slow: Callable[[str], Any]) -> None:
    async with desk(Sight(runs=(Wanted(str(old_run(quick.runs / "run"))), Wanted("none")))) as at:
        await at.until(lambda: at.looked("run") and "here" in at.app.hosts)
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen) and any("here" in row for row in at.rows))
        await at.press("f", "slash", "x")
        with slow("tui.screens.stage_log"):
            field = at.app.focused
            assert field is not None
            for key, character in (("enter", None), ("slash", "/"), ("v", "v"), ("w", "w")):
                field._forward_event(Key(key, character).set_sender(at.app))  # as where a key has waited long enough
            await at_once(at, "x", "y")
            assert "only hosts with" not in at.shown, "it is not typed into the filter of the hosts"
        await at.until(lambda: isinstance(at.app.screen, RepeatLogScreen), "the log")
        await at.until(lambda: "find vwxy" in at.shown, "what is looked for in it, in its order")


async def test_keys_are_not_kept_when_nothing_could_be_opened(tmp_path: Path) -> None:
    async with desk(Sight(runs=(Wanted(runs_of(tmp_path, "r1")[0]), Wanted("none")))) as at:
        await at.until(lambda: at.looked("r1"))
        at.app._hosts_asked("tail", "nowhere:x")
        await at_once(at, "question_mark")
        await at.until(lambda: isinstance(at.app.screen, HelpScreen), "the help, all the same")


async def test_what_is_typed_behind_a_choice_in_the_palette_is_meant_for_what_it_opens(tmp_path: Path) -> None:
    async with desk(Sight(runs=(Wanted(runs_of(tmp_path, "r1")[0]), Wanted("none")))) as at:
        await at.until(lambda: at.looked("r1"))
        await at.press("ctrl+p")
        await at.until(lambda: isinstance(at.app.screen, Palette))
        await at.type("hosts")
        await at.settled()
        await at_once(at, "enter", "question_mark")
        await at.until(lambda: isinstance(at.app.screen, HelpScreen), "the help")
        assert [type(screen) for screen in at.app.screen_stack] == [HomeScreen, HostsScreen, HelpScreen]


async def test_a_choice_of_nothing_in_the_palette_keeps_no_keys(tmp_path: Path) -> None:
    async with desk(Sight(runs=(Wanted(runs_of(tmp_path, "r1")[0]), Wanted("none")))) as at:
        await at.until(lambda: at.looked("r1"))
        await at.press("ctrl+p")
        await at.until(lambda: isinstance(at.app.screen, Palette))
        await at.type("zqxzqx")
        await at.settled()
        await at_once(at, "enter", "down", "enter", "a")
        await at.until(lambda: "zqxzqxa" in at.shown, "what is typed on")
        await at.press("escape")
        await at.until(lambda: isinstance(at.app.screen, HomeScreen))
