"""Other programs at a line of a log whose file system does not answer: keys work, and nothing is opened too late."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events

from monitors.logs import opening
from monitors.logs.local import LocalSource
from monitors.logs.model import LogModel
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.panes import FrozenApp, PaneDesk, numbered
from tui import shims
from tui.help import HelpScreen
from tui.logs import handpart


class Mount:
    """A file system with one log, that answers or does not; and the programs that were started at that."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.asked = 0
        self.programs: list[list[str]] = []
        self._answers = threading.Event()
        self._answers.set()
        self._real = os.stat

    def die(self) -> None:
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()

    def stat(self, path: Any, *words: Any, **named: Any) -> os.stat_result:
        # Whoever follows the log sees it as it is
        if path == str(self.log) and not threading.current_thread().name.startswith("log "):
            self.asked += 1
            self._answers.wait()
        return self._real(path, *words, **named)

    async def run(self, _app: object, argv: Sequence[str], _env: object) -> int:
        self.programs.append(list(argv))
        return 0


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mount:
    monkeypatch.chdir(tmp_path)
    log = Path("engine.log")
    log.write_bytes(numbered(300))
    made = Mount(log)
    monkeypatch.setattr(os, "stat", made.stat)
    monkeypatch.setattr(shims, "run_in_terminal", made.run)
    monkeypatch.setenv("PAGER", "most")
    monkeypatch.setenv("VISUAL", "nano")
    return made


@asynccontextmanager
async def desk(mount: Mount) -> AsyncIterator[PaneDesk]:
    """A pane that shows the log of a file system."""

    async def make() -> LogModel:
        return LogModel(LocalSource(str(mount.log)))

    app = FrozenApp(make)
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        at = PaneDesk(app, pilot, MemorySource())
        await at.until(lambda: "line 300" in at.shown and "300 lines" in at.shown)
        try:
            yield at
        finally:
            mount.answer()


def handles(log: Path) -> int:
    """How often this process has it open."""
    return sum(Path(f"/proc/self/fd/{name}").resolve() == log.absolute() for name in os.listdir("/proc/self/fd"))


async def done(at: PaneDesk) -> None:
    """Nothing is looked for any more, and no program has the terminal."""
    await at.until(lambda: not [one for one in at.app.workers if one.group == "terminal"], "that it is done")


@pytest.mark.parametrize(("key", "program"), [("v", "most"), ("o", "nano")])
async def test_keys_work_meanwhile_and_it_is_opened_once(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, key: str, program: str
) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 1000)
    async with desk(mount) as at:
        before = handles(mount.log)
        mount.die()
        await at.press(key)
        await at.until(lambda: mount.asked)
        await at.press("g")
        await at.until(lambda: "line 1" in at.lines)
        await at.press("v", "o", "G")
        await at.until(lambda: "line 300" in at.lines)
        assert (mount.asked, mount.programs) == (1, [])
        mount.answer()
        await done(at)
        assert mount.programs == [[program, "+300", "engine.log"]]
        await at.until(lambda: handles(mount.log) == before)


async def test_what_is_typed_at_once_waits_for_the_program(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 1000)
    monkeypatch.setattr(handpart, "_QUICK_S", 1000)
    async with desk(mount) as at:
        mount.die()
        await at.press("v")
        await at.until(lambda: mount.asked)
        await at.press("g")
        assert "line 1" not in at.lines
        mount.answer()
        await at.until(lambda: "line 1" in at.lines)
        assert mount.programs == [["most", "+300", "engine.log"]]


async def test_it_is_said_that_nobody_answers(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 0.05)
    async with desk(mount) as at:
        mount.die()
        await at.press("v")
        await at.until(lambda: "no answer from the file system for 0.05 s" in at.shown)
        await done(at)
        assert mount.programs == []
        monkeypatch.setattr(opening, "_PATIENCE_S", 1000)
        mount.answer()
        await at.press("v")
        await done(at)
        assert mount.programs == [["most", "+300", "engine.log"]]


async def to_another_log(at: PaneDesk) -> None:
    await at.pane.show_log(LogModel(MemorySource(numbered(3))))


async def to_the_help(at: PaneDesk) -> None:
    await at.press("question_mark")
    await at.until(lambda: isinstance(at.app.screen, HelpScreen))


async def to_another_window(at: PaneDesk) -> None:
    at.app.post_message(events.AppBlur())
    await at.until(lambda: at.app.focused is None)


async def to_typing(at: PaneDesk) -> None:
    await at.press("slash")
    await at.until(lambda: at.app.focused is not at.pane.view)


async def to_sharing(at: PaneDesk) -> None:
    await at.press("s")
    await at.until(lambda: at.app.shared)


@pytest.mark.parametrize("leave", [to_another_log, to_the_help, to_typing, to_sharing])
async def test_whoever_is_elsewhere_by_then_is_left_alone(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, leave: Callable[[PaneDesk], Awaitable[None]]
) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 1000)
    async with desk(mount) as at:
        mount.die()
        await at.press("v")
        await at.until(lambda: mount.asked)
        await leave(at)
        mount.answer()
        await done(at)
        assert mount.programs == []


async def test_another_log_is_asked_for_at_once(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 1000)
    async with desk(mount) as at:
        mount.die()
        await at.press("v")
        await at.until(lambda: mount.asked)
        await to_another_log(at)
        await at.until(lambda: "line 3" in at.lines)
        await at.press("v")
        await at.until(lambda: "only a file of this machine can be opened" in at.shown)


async def test_another_window_is_not_elsewhere(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 1000)
    async with desk(mount) as at:
        mount.die()
        await at.press("v")
        await at.until(lambda: mount.asked)
        await to_another_window(at)
        mount.answer()
        await done(at)
        assert mount.programs == [["most", "+300", "engine.log"]]


async def test_what_the_palette_is_asked_for_is_opened(mount: Mount) -> None:
    async with desk(mount) as at:
        await at.press("ctrl+p")
        await at.type("pager")
        await at.until(lambda: "log: pager" in at.shown)
        await at.press("enter")
        await at.until(lambda: mount.programs)
        assert mount.programs == [["most", "+300", "engine.log"]]
