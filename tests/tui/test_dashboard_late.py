"""File systems that do not answer, and answer later: what a dashboard shows until then, and what it asks again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobs.calibration import checkout
from jobs.finding import Finder
from tests.tui.test_dashboard import desk, runs_of
from tui.answers import answers
from tui.dashboard_begin import Sight
from tui.dashboard_runs import Locator, Wanted
from tui.screens.home import HomeScreen


@dataclass
class Mount:
    """A file system that answers nobody until it is let go."""

    patch: pytest.MonkeyPatch
    asked: list[str] = field(default_factory=list)
    back: threading.Event = field(default_factory=threading.Event)

    def holds(self, owner: Any, name: str, what: Callable[..., str]) -> None:
        """Whoever calls this about something called "silent" waits."""
        real = getattr(owner, name)

        def held(*given: Any) -> Any:
            if "silent" in (about := what(*given)):
                self.asked.append(about)
                self.back.wait()
            return real(*given)

        self.patch.setattr(owner, name, held)


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    for name in ("tui.dashboard_begin._PATIENCE_S", "tui.dashboard_runs._PATIENCE_S"):
        monkeypatch.setattr(name, 0.3)
    monkeypatch.setattr("tui.dashboard_begin.LOOK_AGAIN_S", 0.05)
    made = Mount(monkeypatch)
    yield made
    made.back.set()


async def test_those_that_hang_leave_room_for_the_others() -> None:
    back = threading.Event()
    hung: list[Callable[[], bool]] = [back.wait] * 20
    try:
        *late, there = await answers([*hung, lambda: True], 0.01)
        assert there.result() is True
        assert not any(one.done() for one in late)
        back.set()
        assert [await one for one in late] == [True] * 20
    finally:
        back.set()


async def test_few_are_asked_beside_each_other() -> None:
    under_way: list[int] = []
    counted: list[int] = []
    eight = threading.Barrier(8)

    def ask() -> None:
        under_way.append(1)
        counted.append(len(under_way))
        eight.wait(60)
        under_way.pop()

    assert all(one.done() for one in await answers([ask] * 64, 60))
    assert max(counted) <= 8


async def test_a_run_is_asked_for_once_and_watched_when_it_answers(tmp_path: Path, mount: Mount) -> None:
    runs = runs_of(tmp_path, "good", "silent")
    mount.holds(Locator, "locate", lambda _, wanted: str(wanted.run_dir))
    searched = threading.Semaphore(0)
    look = Finder.look

    def counted(finder: Finder) -> Any:
        searched.release()
        return look(finder)

    mount.patch.setattr(Finder, "look", counted)
    async with desk(Sight(runs=(Wanted(runs[1], title="mine"),), below=(str(tmp_path),)), size=(200, 50)) as at:
        await at.until(lambda: any("mine" in row and "unknown" in row for row in at.rows))
        await at.until(lambda: at.looked("good"))
        for _ in range(3):
            await at.until(lambda: searched.acquire(blocking=False), "another search")
        assert mount.asked == [runs[1]]
        mount.back.set()
        await at.until(lambda: at.looked("silent"))
        await at.until(
            lambda: any("mine" in row and "4/4" in row for row in at.rows), "under the name that it was given"
        )
        assert at.app.entries.keys() == set(runs)
        assert not at.app.late
        assert isinstance(at.app.screen, HomeScreen)


async def test_a_folder_is_searched_again_only_when_it_has_answered(tmp_path: Path, mount: Mount) -> None:
    runs_of(tmp_path / "good", "r0", "r1")
    runs_of(tmp_path / "silent", "r2")
    mount.holds(Finder, "look", lambda finder: str(finder.folder))
    folders = (str(tmp_path / "silent"), str(tmp_path / "good"))
    async with desk(Sight(below=folders), size=(200, 50)) as at:
        await at.until(lambda: at.looked("r1"))
        await at.until(lambda: any("no answer from the file system of" in row for row in at.rows))
        runs_of(tmp_path / "good", "r3")
        await at.until(lambda: at.looked("r3"))
        assert mount.asked == [folders[0]]
        mount.back.set()
        await at.until(lambda: at.looked("r2"))
        await at.until(lambda: not any("no answer from the file system" in row for row in at.rows))


async def test_folders_are_searched_while_that_of_the_hosts_does_not_answer(tmp_path: Path, mount: Mount) -> None:
    runs_of(tmp_path, "r1")
    mount.holds(checkout, "find_hosts", lambda root: f"silent {root}")
    async with desk(Sight(below=(str(tmp_path),), hosts=("box",)), size=(200, 50)) as at:
        await at.until(lambda: any("host box: no answer from the file system" in row for row in at.rows))
        await at.until(lambda: at.looked("r1"))
        mount.back.set()
        await at.until(lambda: any("no hosts/*.yaml" in row for row in at.rows), "what is wrong with it")
