"""A file that is saved into the folder whose newest log one reads: the log stays the log."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from monitors.logs.choosing import STAY_S, Looked
from monitors.logs.local import LocalSource
from monitors.logs.looking import Look
from monitors.logs.model import LogModel
from monitors.logs.pointing import LocalLooker, PointingSource
from monitors.logs.types import MarkKind
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.panes import FrozenApp, PaneDesk, numbered


class Counted(LocalLooker):
    """A looker whose looks are counted."""

    looks = 0

    async def look(self, current: str | None) -> Looked:
        seen = await super().look(current)
        self.looks += 1
        return seen


@pytest.mark.parametrize("parts", [None, ("*.log",)], ids=["folder", "pattern"])
@pytest.mark.parametrize("links", [True, False])
async def test_what_one_saves_does_not_take_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...] | None, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    monkeypatch.chdir(tmp_path)
    log, saved, now = tmp_path / "a.log", tmp_path / "saved.log", [0.0]
    log.write_bytes(numbered(300))
    looker = Counted(Look(str(tmp_path), parts))
    source = PointingSource(
        looker, LocalSource, str(tmp_path), "no log yet", visible_interval=0.01, monotonic=lambda: now[0]
    )

    async def make() -> LogModel:
        return LogModel(source)

    app = FrozenApp(make)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        at = PaneDesk(app, pilot, MemorySource())
        await at.until(lambda: "line 300" in at.shown)
        now[0] += STAY_S
        await at.press("S")
        await at.type("saved.log")
        await at.press("enter")
        await at.until(lambda: "written to saved.log" in at.shown)
        assert saved.read_bytes() == numbered(300)
        looks = looker.looks
        await at.until(lambda: looker.looks > looks + 2)
        assert not source.shape.marks
        with log.open("ab") as file:
            file.write(b"the next\n")
        await at.until(lambda: "the next" in at.shown)
        with saved.open("ab") as file:  # from here on it is somebody else's
            file.write(b"not ours\n")
        now[0] += 3600
        await at.until(lambda: "not ours" in at.shown)
        assert source.shape.marks[0].kind is MarkKind.REPOINTED
