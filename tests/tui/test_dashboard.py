"""The dashboard: messages first; what it is given to look at, and that no error of one thing ends another."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from textual.events import Key
from textual.message import Message
from textual.pilot import Pilot

from hosts.here import LocalReader
from hosts.local.mounts import file_system
from monitors.calibration import CalibrationMonitor
from tests.monitors.runs import RunFolder
from tests.peers.quick import old_run
from tests.tui.desks import Desk
from tui.dashboard import DashboardApp
from tui.dashboard_begin import Sight, begin
from tui.dashboard_hosts import HOST, Station, run_folders
from tui.dashboard_messages import Broken, Faltered, Looked
from tui.dashboard_runs import Wanted
from tui.screens.home import HomeScreen
from tui.screens.run import RunScreen
from tui.screens.subject import RunLook


class Watcher(Desk[DashboardApp]):
    """A dashboard, and whoever watches it."""

    def __init__(self, app: DashboardApp, pilot: Pilot[Any], messages: list[Message]) -> None:
        super().__init__(app, pilot)
        self.messages = messages

    def looked(self, name: str) -> list[Looked]:
        """The messages of a run that was seen, once one of them has been dealt with."""
        if not any(entry.look is not None for watch, entry in self.app.entries.items() if watch.endswith(name)):
            return []
        return [one for one in self.messages if isinstance(one, Looked) and one.watch.endswith(name)]


@asynccontextmanager
async def desk(
    sight: Sight, size: tuple[int, int] = (80, 24), start: Callable[[DashboardApp], Any] | None = None, **options: Any
) -> AsyncIterator[Watcher]:
    """A dashboard on these."""
    app = DashboardApp(start or (lambda app: begin(app, sight)), **options)
    messages: list[Message] = []
    async with app.run_test(size=size, notifications=True, message_hook=messages.append) as pilot:
        yield Watcher(app, pilot, messages)


def runs_of(tmp_path: Path, *names: str) -> list[str]:
    return [str(whole_run(tmp_path / ".tune-runs" / name)) for name in names]


def whole_run(path: Path) -> Path:
    """A run of two stages and two repeats, all there and ended."""
    path.mkdir(parents=True)
    run = RunFolder(path)
    run.plan()
    for stage in ("a", "b"):
        for number in (1, 2):
            run.cell(stage, number)
    run.note("run.ended")
    return path


async def test_one_run_is_gone_into_and_escape_comes_home(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, "r1")
    async with desk(Sight(runs=(Wanted(run),))) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        await at.until(lambda: at.looked("r1"))
        await at.until(lambda: any("4/4" in row for row in at.rows))
        await at.press("escape")
        await at.until(lambda: isinstance(at.app.screen, HomeScreen))
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, RunScreen))


async def test_what_is_typed_while_a_run_is_opened_is_meant_for_it(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
        for key in ("enter", "question_mark"):
            at.app.post_message(Key(key, None).set_sender(at.app))
        await at.until(lambda: any("keys: stage matrix" in row for row in at.rows))


async def test_several_are_rows_and_the_host_is_looked_at_too(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
        await at.until(lambda: [one for one in at.messages if isinstance(one, Looked) and one.watch == HOST])
        assert isinstance(at.app.screen, HomeScreen)
        await at.until(lambda: sum("4/4" in row for row in at.rows) == 2)
        assert {one.host for one in at.messages if isinstance(one, Looked)} == {"here"}


async def test_a_look_goes_to_every_screen_of_the_run_also_to_one_that_is_covered(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
        at.app.enter(runs[0])
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        shown: list[tuple[str, int | None]] = []

        class Shows(HomeScreen):
            watched = runs[0]

            def show(self, look: Any) -> None:
                shown.append((look.snapshot.watch, look.snapshot.progress.done))

        covered = Shows(lambda _: None, lambda _: None)
        await at.app.push_screen(covered)
        await at.app.push_screen(HomeScreen(lambda _: None, lambda _: None))
        before = len(shown)
        shutil.rmtree(Path(runs[0]) / "a")
        at.app.entries[runs[0]].place.request()  # type: ignore[union-attr]  # it was found
        await at.until(lambda: shown[before:] and shown[-1][1] is not None and shown[-1][1] < 4)
        assert {watch for watch, _ in shown} == {runs[0]}


async def test_a_plan_that_cannot_be_used_is_a_row_that_says_so(tmp_path: Path) -> None:
    good, bad = runs_of(tmp_path, "good", "bad")
    (Path(bad) / "plan.json").write_text("{")
    async with desk(Sight(runs=(Wanted(good), Wanted(bad))), size=(200, 50)) as at:
        await at.until(lambda: any("unknown" in row and "plan.json" in row for row in at.rows))
        (Path(bad) / "plan.json").write_bytes((Path(good) / "plan.json").read_bytes())
        at.app.entries[bad].place.request()  # type: ignore[union-attr]  # it was found
        await at.until(lambda: at.app.entries[bad].problem == "")
        await at.until(lambda: not any("unknown" in row and "plan.json" in row for row in at.rows))


async def test_what_is_not_there_is_a_row_too(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, "r1")
    none = str(tmp_path / "none")
    async with desk(Sight(runs=(Wanted(run), Wanted(none), Wanted("no host:/x"))), size=(200, 50)) as at:
        await at.until(lambda: any("no such run directory" in row for row in at.rows))
        assert any("no host:/x" in row and "unknown" in row for row in at.rows)
        await at.until(lambda: at.looked("r1"))
        at.app.enter(none)
        await at.pilot.pause()
        assert isinstance(at.app.screen, HomeScreen)


async def test_runs_below_a_folder_are_found_also_those_that_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.dashboard_begin.LOOK_AGAIN_S", 0.05)
    async with desk(Sight(below=(str(tmp_path),))) as at:
        await at.until(lambda: any("gatewatch demo" in row for row in at.rows), "what comes next")
        runs_of(tmp_path, "r1")
        await at.until(lambda: at.looked("r1"))
        assert isinstance(at.app.screen, HomeScreen), "nobody is taken away from where he is"
        runs_of(tmp_path, "r2")
        await at.until(lambda: at.looked("r2"))
        assert sum(any(name in row for row in at.rows) for name in ("r1", "r2")) == 2


async def test_a_run_is_opened_while_it_is_open(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=(Wanted(runs[0]),))) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        at.app.open_run(runs[1])
        await at.until(lambda: isinstance(at.app.screen, RunScreen) and at.app.screen.watched == runs[1])
        await at.until(lambda: at.looked("r2"))
        depth = len(at.app.screen_stack)
        at.app.open_run(runs[1])
        at.app.open_run(str(tmp_path / "none"))
        await at.until(lambda: str(tmp_path / "none") in at.app.entries)
        assert len(at.app.screen_stack) == depth, "one run is one screen"


@pytest.mark.parametrize("read_only", [True, False])
async def test_what_a_key_opens_is_imported_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    imported: dict[str, bool] = {}
    real = importlib.import_module

    def noted(name: str, package: str | None = None) -> Any:
        imported[name] = threading.current_thread() is threading.main_thread()
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", noted)
    wanted = {f"tui.screens.{name}" for name in ("run", "stage", *(() if read_only else ("prompt", "resume", "form")))}
    async with desk(Sight(runs=(Wanted(runs_of(tmp_path, "r1")[0]),)), read_only=read_only) as at:
        await at.until(lambda: wanted <= imported.keys())
        assert not any(imported[name] for name in wanted)
        assert imported.keys() & {"tui.screens.prompt"} == wanted & {"tui.screens.prompt"}, "who looks needs no prompt"


async def test_a_look_that_comes_while_it_is_left_is_shown_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screens are taken apart then, pane by pane."""
    shown: list[bool] = []
    (run,) = runs_of(tmp_path, "r1")
    async with desk(Sight(runs=(Wanted(run),))) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen) and at.looked("r1"))
        snapshot, loop = at.looked("r1")[-1].snapshot, asyncio.get_running_loop()
        show, took = RunScreen.show, DashboardApp.on_looked

        def noted(self: RunScreen, look: RunLook) -> None:
            shown.append(at.app.is_running)
            show(self, look)

        def taken(self: DashboardApp, message: Looked) -> None:
            took(self, message)
            loop.call_soon(self.post_message, Looked("here", run, snapshot))  # another one, as long as one is taken

        monkeypatch.setattr(RunScreen, "show", noted)
        monkeypatch.setattr(DashboardApp, "on_looked", taken)
        at.app.post_message(Looked("here", run, snapshot))
        await at.until(lambda: len(shown) > 2)
    assert all(shown)


async def test_read_only_is_said_and_no_actor_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    made: list[object] = []
    monkeypatch.setattr("hosts.here.LocalActor.__init__", lambda *given, **_: made.append(given))
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1"))
        await at.press("N")
        await at.until(lambda: any("read-only: start with --act" in row for row in at.rows))
        at.app.enter(runs[0])
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        await at.press("A", "R", "N")
        assert made == []
        place = at.app.entries[runs[0]].place
        assert place is not None
        assert place.read_only
        assert not hasattr(place.reader, "call")


async def test_acting_is_allowed_where_it_was_asked_for(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs))), read_only=False) as at:
        await at.until(lambda: at.looked("r1"))
        assert [entry.place.read_only for entry in at.app.entries.values() if entry.place] == [False, False]


async def test_a_host_that_fails_is_blind_and_the_others_go_on(tmp_path: Path, quick: Any) -> None:
    run = str(old_run(quick.runs / "near"))
    far = old_run(quick.runs / "far")
    quick.hop("deaf", enter="'false'")
    async with desk(Sight(runs=(Wanted(run), Wanted(f"deaf:{far}", root=str(quick.folder)))), size=(200, 50)) as at:
        await at.until(lambda: at.looked("near"))
        await at.until(lambda: any("blind" in row and "far" in row for row in at.rows))
        await at.until(lambda: any("1 host is dark" in row for row in at.rows))
        assert at.app.entries[f"deaf:{far}"].look is not None
        assert any(
            row.startswith((" deaf ", " here ")) and "deaf nothing known yet not seen yet" in row for row in at.rows
        )
        at.app.enter(f"deaf:{far}")
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        assert at.app.failure is None


async def test_what_falters_in_us_is_said_and_the_watch_goes_on(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, "r1")
    async with desk(Sight(runs=(Wanted(run), Wanted(str(tmp_path / "none"))))) as at:
        await at.until(lambda: at.looked("r1"))
        at.app.post_message(Faltered("here", "OSError: [red]"))
        await at.until(lambda: any("OSError: [red]" in row for row in at.rows))
        assert at.app.failure is None


async def test_a_defect_of_ours_ends_the_app_and_is_told(tmp_path: Path) -> None:
    app = DashboardApp(lambda app: begin(app, Sight()))

    async def breaks() -> None:
        async with app.run_test() as pilot:
            app.post_message(Broken(ZeroDivisionError("defect")))
            await pilot.pause()

    with pytest.raises(ZeroDivisionError):
        await breaks()
    assert isinstance(app.failure, ZeroDivisionError)


async def test_since_one_left(tmp_path: Path) -> None:
    run = RunFolder.make(tmp_path)
    run.plan()
    other = Wanted(str(tmp_path / "none"))
    sight = Sight(runs=(Wanted(str(run.root)), other))
    async with desk(sight, size=(200, 50)) as at:
        await at.until(lambda: at.looked("run"))
        assert not any("since " in row for row in at.rows)
    for stage in ("a", "b"):
        for number in (1, 2):
            run.cell(stage, number)
    async with desk(sight, size=(200, 50)) as at:
        await at.until(lambda: any(row.startswith(" since ") and "2 stages done (a, b)" in row for row in at.rows))
    async with desk(sight, size=(200, 50)) as at:
        await at.until(lambda: at.looked("run"))
        assert not any(row.startswith(" since ") for row in at.rows), "what was told is known"


async def test_a_large_fold_does_not_hold_the_screen_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitors.calibration import CalibrationMonitor

    runs = runs_of(tmp_path, "r1", "r2")
    for run in runs:
        for number in range(40):
            RunFolder(Path(run)).cell(f"more-{number}", 1)
    in_loop: list[bool] = []
    fold = CalibrationMonitor.fold

    def folded(self: CalibrationMonitor, *given: Any) -> Any:
        try:
            asyncio.get_running_loop()
            in_loop.append(True)
        except RuntimeError:
            in_loop.append(False)
        return fold(self, *given)

    monkeypatch.setattr(CalibrationMonitor, "fold", folded)
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
    assert in_loop
    assert not any(in_loop)


def test_what_is_listened_to(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, "r1")
    for name in ("_pytest/test_a", ".gatewatch", "_discarded"):
        (Path(run) / name).mkdir(parents=True)
    (Path(run) / "link").symlink_to(tmp_path)
    names = {str(Path(folder).relative_to(run)) for folder in run_folders(run)}
    assert {".", "_pytest"} <= names, "a new unit's folder tells that something else runs"
    assert names & {"_pytest/test_a", ".gatewatch", "_discarded", "link"} == set(), "logs grow all the time"
    assert run_folders(str(tmp_path / "none")) == []


def test_the_list_of_mounts_is_read_once_for_all_folders_of_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked after every change which folders to listen to, and a large run has hundreds."""
    run = whole_run(tmp_path / "run")
    for number in range(20):
        (run / f"stage{number}").mkdir()
    asked: list[str] = []

    def counted(path: str) -> str | None:
        asked.append(path)
        return file_system(path)

    monkeypatch.setattr("tui.dashboard_hosts.file_system", counted)
    station = Station("here", LocalReader(), True, 5.0, lambda *_: None, lambda *_: None)
    station.add("r", CalibrationMonitor(str(run)), str(run))
    station.add("gone", CalibrationMonitor("/none"), str(tmp_path / "none"))
    assert set(station.listened()) == set(run_folders(str(run)))
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["[red]x", "\x1b]0;pwned\x07", "a\u202eb", "x" * 250, "模型 é"])
async def test_a_run_folder_may_be_called_anything(name: str, tmp_path: Path) -> None:
    from tests.tui.logs.corpus import unsafe

    run = str(whole_run(tmp_path / ".tune-runs" / name))
    async with desk(Sight(runs=(Wanted(run),))) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen) and bool(at.messages) and run in at.app.entries)
        await at.until(lambda: at.app.entries[run].look is not None)
        await at.press("escape")
        await at.until(lambda: isinstance(at.app.screen, HomeScreen))
        assert unsafe("\n".join(at.rows), "\n") == set()


async def test_a_run_that_is_added_during_a_look_is_not_blind_for_it(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "r1", "r2")
    async with desk(Sight(runs=tuple(map(Wanted, runs)))) as at:
        await at.until(lambda: at.looked("r1") and at.looked("r2"))
        runs_looked = [one for one in at.messages if isinstance(one, Looked) and one.watch != HOST]
        assert [one.snapshot.error for one in runs_looked if one.snapshot.state.value == "blind"] == []


async def test_looks_that_come_in_a_shower_are_one_message() -> None:
    one, other = Looked("h", "w", cast(Any, 1)), Looked("h", "w", cast(Any, 2))
    assert other.can_replace(one)
    assert not other.can_replace(Looked("h", "v", cast(Any, 1)))
    assert not other.can_replace(Looked("g", "w", cast(Any, 1)))
