from __future__ import annotations

from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

from tests.tui.screens.homes import running
from tests.tui.screens.run_desk import RunDesk, run_desk
from tui.help import HelpScreen


def updates(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How wide the help was each time that its text was made again."""
    made: list[int] = []
    update = Static.update

    def counted(self: Static, *args: object, **more: object) -> None:
        if isinstance(self.screen, HelpScreen):
            made.append(self.content_size.width)
        update(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Static, "update", counted)
    return made


def widths(at: RunDesk) -> tuple[int, int]:
    """Of the widest line, and of what it has room in."""
    text = at.app.screen.query_one(Static)
    assert isinstance(text.content, Content)
    return max(line.cell_length for line in text.content.split("\n")), text.content_size.width


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (188, 90), (200, 50)])
async def test_the_help_is_written_once(tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = running(tmp_path, "r")
    async with run_desk(bench, bench.look(), size) as at:
        made = updates(monkeypatch)
        await at.press("question_mark")
        assert isinstance(at.app.screen, HelpScreen)
        widest, room = widths(at)
        assert 0 < widest <= room
        assert made == []
        await at.pilot.resize_terminal(size[0] - 30, size[1])
        await at.until(lambda: made and widths(at)[0] <= widths(at)[1] < room)
        assert len(made) == 1


async def test_what_lies_under_a_dialog_keeps_its_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = running(tmp_path, "r")
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.settled()
        laid_out: list[tuple[str, Size | None]] = []
        layout = Screen._refresh_layout

        def counted(self: Screen[object], size: Size | None = None, scroll: bool = False) -> None:
            laid_out.append((type(self).__name__, size))
            layout(self, size, scroll)

        monkeypatch.setattr(Screen, "_refresh_layout", counted)
        await at.press("question_mark")
        assert laid_out.count(("HelpScreen", Size(120, 40))) == 1
        assert ("RunScreen", Size(120, 40)) not in laid_out
        del laid_out[:]
        await at.press("question_mark", "question_mark")
        assert not [size for _, size in laid_out if size is not None], "nothing has another size"
        await at.pilot.resize_terminal(100, 30)
        await at.until(lambda: at.app.screen.query_one(VerticalScroll).outer_size.width == 90)
        assert ("RunScreen", Size(100, 30)) in laid_out


async def test_the_help_is_made_once_and_tells_of_what_has_the_focus_now(tmp_path: Path) -> None:
    bench = running(tmp_path, "r")
    async with run_desk(bench, bench.look(), (120, 60)) as at:
        await at.press("1", "question_mark")
        first = at.app.screen
        assert isinstance(first, HelpScreen)
        assert "keys: stage matrix" in at.shown
        assert "the stage above" in at.shown
        await at.press("end", "escape")
        await at.until(lambda: at.app.screen is at.screen)
        await at.press("3", "question_mark")
        assert at.app.screen is first
        await at.until(lambda: "the stage above" not in at.shown)
        assert "keys: job" in at.shown
        assert at.app.screen.query_one(VerticalScroll).scroll_offset.y == 0
        await at.press("question_mark")
        await at.pilot.resize_terminal(90, 30)
        await at.press("question_mark")
        await at.until(lambda: 0 < widths(at)[0] <= widths(at)[1] < 90)
