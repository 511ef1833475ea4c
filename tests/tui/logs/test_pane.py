from __future__ import annotations

from functools import partial

import pytest
from textual.events import MouseScrollUp

from monitors.logs.types import MarkKind, Status
from tests.tui.logs.panes import PaneDesk, desk, numbered
from tui.logs import panebase
from tui.logs.gutter import Times


async def test_the_end_is_there_at_once_and_is_followed() -> None:
    async with desk(numbered(1000)) as at:
        assert at.lines[-1] == "line 1000"
        at.source.append(numbered(3, 1001))
        await at.until(lambda: at.lines[-1] == "line 1003")
        await at.until(lambda: "1,003 lines" in at.rows[-2])
        assert "Following." in at.rows[-2]


@pytest.mark.parametrize("key", ["up", "k", "pageup", "ctrl+u", "home", "g"])
async def test_any_way_up_lets_go_and_nothing_moves_until_one_comes_back(key: str) -> None:
    async with desk(numbered(1000)) as at:
        await at.press(key)
        await at.settled()
        assert at.pane.reader is not None
        assert not at.pane.reader.following
        before = at.lines
        at.source.append(numbered(1234, 1001))
        await at.until(lambda: "+1,234 lines" in at.rows[-2])
        assert at.lines == before
        await at.press("G")
        await at.until(lambda: at.lines[-1] == "line 2234")
        await at.until(lambda: "+" not in at.rows[-2])


async def test_a_click_on_the_chip_goes_to_the_end() -> None:
    async with desk(numbered(500)) as at:
        await at.press("pageup")
        at.source.append(numbered(5, 501))
        await at.until(lambda: "+5 lines" in at.rows[-2])
        await at.pilot.click("#log-status", offset=(at.rows[-2].index("+5") + 1, 0))
        await at.until(lambda: at.lines[-1] == "line 505")


async def test_the_wheel_lets_go_too() -> None:
    async with desk(numbered(500)) as at:
        await at.pilot._post_mouse_events([MouseScrollUp], "#log-view")
        await at.settled()
        assert at.pane.reader is not None
        assert not at.pane.reader.following
        assert at.lines[-1] == "line 497"


async def test_a_gap_is_a_row_across_the_width() -> None:
    async with desk(numbered(3)) as at:
        at.source.rotate(b"after\n", MarkKind.REPLACED, missing=2_000_000)
        await at.until(lambda: "after" in at.lines)
        (gap,) = [row for row in at.rows if "missing" in row]
        assert "2.00 MB missing" in gap
        assert gap.count("╌") > 20
        at.source.mark(MarkKind.OFFLINE, "no connection for 3 min")
        at.source.append(b"back\n")
        await at.until(lambda: any("no connection for 3 min" in row for row in at.rows))
        assert at.lines[-1] == "back"


@pytest.mark.parametrize(
    ("status", "said"),
    [(Status.WAITING, "waiting"), (Status.STALE, "stale"), (Status.DENIED, "denied"), (Status.FAILED, "failed")],
)
async def test_what_is_wrong_is_said_with_its_reason(status: Status, said: str) -> None:
    async with desk(numbered(3)) as at:
        at.source.status(status, "the reason")
        await at.until(lambda: said in at.rows[-2].lower())
        assert "the reason" in at.rows[-2]
        assert at.lines[-1] == "line 3", "what was read stays"


async def test_how_lines_are_shown() -> None:
    async with desk(numbered(40) + b"x" * 200 + b"\n") as at:
        assert at.lines[-1] == "x" * 200
        await at.press("w")
        await at.until(lambda: len(at.lines[-1]) < 80)
        assert "".join(line for line in at.lines if line.startswith("x")) == "x" * 200
        await at.press("w", "number_sign")
        await at.until(lambda: any(row.lstrip(" ▌").startswith("41 ") for row in at.rows))
        await at.press("t")
        seen = [at.pane.view.look.times]
        for _ in range(4):
            await at.press("t")
            seen.append(at.pane.view.look.times)
        assert seen == [Times.ARRIVED, Times.DELTA, Times.WRITTEN, Times.STEP, Times.OFF]
        before = at.rows
        await at.press("right")
        await at.settled()
        assert at.rows != before


async def test_painting_stops_and_reading_goes_on() -> None:
    async with desk(numbered(100)) as at:
        await at.press("space")
        at.source.append(numbered(50, 101))
        await at.settled()
        assert at.lines[-1] == "line 100"
        await at.press("space")
        await at.until(lambda: at.lines[-1] == "line 150")


async def test_the_whole_line_and_back() -> None:
    async with desk(numbered(50) + b'{"level": "info", "deep": {"a": [1, 2]}}\n') as at:
        await at.press("enter")
        await at.until(lambda: at.pane.detail.is_open)
        await at.until(lambda: any(row.strip() == '"level": "info"' for row in at.rows))
        await at.until(lambda: at.lines[-1].startswith('{"level"'), "the line itself in sight")
        await at.press("x")
        await at.until(lambda: any('{"level"' in row for row in at.rows[-12:]))
        await at.press("escape")
        assert not at.pane.detail.is_open
        assert at.pane.view.has_focus


async def test_bookmarks() -> None:
    async with desk(numbered(300)) as at:
        await at.press("home")
        await at.settled()
        await at.press("m", "G")
        await at.settled()
        await at.press("m")
        assert len(at.pane.view.bookmarks) == 2
        await at.press("apostrophe")
        await at.settled()
        assert "line 300" in at.lines
        await at.press("apostrophe")
        await at.until(lambda: at.lines[0] == "line 1")
        await at.press("M")
        await at.until(lambda: at.lines[-1] == "line 300" or "line 300" in at.lines)


async def test_selecting_and_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPBOARD", "file")
    async with desk(numbered(300)) as at:
        await at.press("V", "up", "up", "y")
        await at.until(lambda: at.pane.view.selection is None)
        (toast,) = [row for row in at.rows if "3 lines written to" in row or "3 lines" in row][:1]
        assert toast


async def test_typing_where_to_go() -> None:
    async with desk(numbered(3000)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 3000)
        await at.press("at")
        await at.type("1234")
        await at.press("enter")
        await at.until(lambda: "line 1234" in at.lines)
        await at.press("at")
        await at.type("nonsense")
        await at.press("enter")
        await at.until(lambda: any("not a time" in row for row in at.rows))
        await at.press("escape")
        assert at.pane.asking is None


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (10, 3), (40, 10), (79, 23), (300, 100)])
async def test_no_size_is_too_small(size: tuple[int, int]) -> None:
    async with desk(numbered(300)) as at:
        await at.pilot.resize_terminal(*size)
        await at.settled()
        await at.press("pageup", "slash", "escape", "enter")
        await at.pilot.resize_terminal(80, 24)
        await at.settled()
        assert len(at.rows) == 24


async def test_nothing_is_painted_while_nothing_happens() -> None:
    async with desk(numbered(300)) as at:
        painted, loads = at.pane.view.painted, at.pane.reader.loads if at.pane.reader else 0
        for _ in range(10):
            await at.pilot.pause(0.05)
        assert at.pane.view.painted == painted
        assert at.pane.reader is not None
        assert at.pane.reader.loads == loads


async def test_a_log_that_nobody_sees_is_not_read() -> None:
    async with desk(numbered(300)) as at:
        assert at.pane.reader is not None
        at.pane.seen(False)
        await at.settled()
        loads, painted = at.pane.reader.loads, at.pane.view.painted
        at.source.append(numbered(5000, 301))
        await at.pilot.pause(0.3)
        assert (at.pane.reader.loads, at.pane.view.painted, at.source.visible) == (loads, painted, False)
        at.pane.seen(True)
        await at.until(lambda: at.lines[-1] == "line 5300")


async def test_help_and_leaving() -> None:
    async with desk(numbered(3)) as at:
        await at.press("question_mark")
        await at.until(lambda: any("keys: log" in row for row in at.rows))
        await at.press("escape", "q")
        await at.until(lambda: at.app.return_value == 0)


def is_at(at: PaneDesk, line: str) -> bool:
    return at.pane.view.line is not None and at.pane.view.line.data == line.encode()


async def test_a_number_means_the_file_that_is_on_screen_and_then_the_others() -> None:
    async with desk(numbered(1000)) as at:
        await at.press("g")
        await at.settled()
        at.source.rotate(b"".join(b"new %d\n" % number for number in range(5)))
        for number, line in (("500", "line 500"), ("3", "line 3"), ("1", "line 1")):
            await at.press("at")
            await at.type(number)
            await at.press("enter")
            await at.until(partial(is_at, at, line), line)
        await at.press("G")
        await at.until(lambda: at.lines[-1] == "new 4")
        await at.press("at")
        await at.type("700")
        await at.press("enter")
        await at.until(lambda: "line 700" in at.lines)


async def test_beside_rows_that_are_there_it_does_not_say_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panebase, "_SIDE_EVERY", 60.0)
    async with desk(b"") as at:
        await at.until(lambda: "Empty." in at.rows[-2])
        at.source.status(Status.LIVE)  # news while there is nothing: no lines are counted
        await at.settled()
        at.source.append(b"line 1\n")
        await at.until(lambda: at.lines == ["line 1"])
        await at.until(lambda: "Empty." not in at.rows[-2])
