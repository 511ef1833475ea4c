"""The line for typing while one goes beside it: what it shows meanwhile goes with it, and nothing of it stays."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk
from tui.logs.askbar import AskField

BOOMS = b"".join(
    b"%s %d\n" % (b"ERROR boom" if n % 10 == 0 else b"INFO line" if n % 2 else b"boom", n) for n in range(500)
)


async def beside(at: PaneDesk, key: str, text: str) -> None:
    """Type something, and click into the log."""
    await at.press(key)
    await at.type(text)
    await at.settled()
    await at.pilot.click("#log-view", offset=(5, 3))
    await at.settled()
    assert at.pane.view.has_focus


@pytest.mark.parametrize("key", ["slash", "at", "S", "greater_than_sign", "exclamation_mark"])
async def test_another_question_takes_the_place_of_a_filter_that_nobody_took(key: str) -> None:
    async with desk(BOOMS) as at:
        before = at.lines
        await beside(at, "ampersand", "boom")
        assert at.lines != before
        await at.press(key)
        await at.until(lambda: at.lines == before)
        await at.press("escape")
        await at.settled()
        assert at.lines == before
        assert at.pane.asking is None
        assert at.pane.reader is not None
        assert at.pane.reader.following


@pytest.mark.parametrize(("first", "second"), [("ampersand", "slash"), ("slash", "ampersand")])
async def test_escape_leads_back_to_where_one_was_before_the_first_question(first: str, second: str) -> None:
    async with desk(BOOMS) as at:
        await at.press("pageup", "pageup", "up")
        await at.settled()
        before = at.lines
        await beside(at, first, "ERROR boom 10")
        assert at.lines != before
        await at.press(second)
        await at.type("ERROR boom 4")
        await at.settled()
        await at.press("escape")
        await at.until(lambda: at.lines == before)


@pytest.mark.parametrize("key", ["ampersand", "slash", "at", "S"])
async def test_escape_beside_ends_the_question(key: str) -> None:
    async with desk(BOOMS) as at:
        before = at.lines
        await beside(at, key, "boom")
        await at.press("escape")
        await at.until(lambda: at.lines == before)
        assert at.pane.asking is None
        assert "lines" in at.rows[-2]


async def test_the_same_question_goes_on() -> None:
    async with desk(BOOMS) as at:
        await beside(at, "ampersand", "boom")
        await at.press("ampersand")
        await at.type(" 1")
        await at.press("enter")
        await at.settled()
        assert [chip.text for chip in at.pane.chips.chips] == ["boom 1"]


async def test_another_filter_leaves_what_is_typed_in_force() -> None:
    async with desk(BOOMS) as at:
        await beside(at, "ampersand", "boom")
        await at.press("l", "l", "l")
        await at.until(lambda: all(line.startswith("ERROR boom") for line in at.lines))
        await at.press("backspace")
        await at.until(lambda: at.lines[-1] == "boom 498")
        assert not any("INFO" in line for line in at.lines)
        await at.press("escape")
        await at.until(lambda: at.lines[-1] == "INFO line 499")


@pytest.mark.parametrize("key", ["tab", "shift+tab"])
async def test_tab_leads_nowhere_while_one_types(key: str) -> None:
    async with desk(BOOMS) as at:
        await at.press("ampersand")
        await at.type("boom")
        await at.press(key)
        await at.settled()
        assert isinstance(at.app.focused, AskField)
        await at.press("escape")
        await at.until(lambda: at.lines[-1] == "INFO line 499")
