"""Selecting lines further than a screen reaches."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered


def ends(at: PaneDesk) -> tuple[int, int]:
    """Where the first and the last line that are selected begin."""
    chosen = at.pane.view.selection
    assert chosen is not None
    assert chosen.lines
    assert chosen.head.place == at.pane.view.current
    return chosen.first.place.offset, chosen.last.place.offset


def offset(number: int) -> int:
    return len(numbered(number - 1))


async def test_pages_and_ends_take_what_is_selected_along() -> None:
    async with desk(numbered(5000)) as at:
        assert at.pane.view.size.height == 22
        await at.press("V", "pageup", "pageup")
        await at.until(lambda: ends(at) == (offset(5000 - 42), offset(5000)))
        await at.until(lambda: "line 4958" in at.lines)
        await at.press("g")
        await at.until(lambda: ends(at) == (0, offset(5000)) and at.lines[0] == "line 1")
        await at.press("ctrl+d", "pagedown", "up")
        await at.until(lambda: ends(at) == (offset(1 + 11 + 21 - 1), offset(5000)))
        await at.press("G")
        await at.until(lambda: ends(at) == (offset(5000), offset(5000)) and "line 5000" in at.lines)
        assert at.pane.reader is not None
        assert not at.pane.reader.following
        await at.press("escape", "g", "G")
        await at.until(lambda: at.pane.reader is not None and at.pane.reader.following)


@pytest.mark.parametrize(("key", "expected"), [("up", 4999), ("down", 5000)])
async def test_a_line_more_is_one_beside_the_last_however_far_one_looked_away(key: str, expected: int) -> None:
    async with desk(numbered(5000)) as at:
        await at.press("V", "up", "down")
        await at.until(lambda: ends(at)[0] == offset(5000))
        assert at.pane.reader is not None
        at.pane.reader.home()
        await at.until(lambda: at.lines[0] == "line 1")
        await at.settled()
        await at.press(key)
        await at.until(lambda: f"line {expected}" in at.lines)
        assert ends(at) == (offset(expected), offset(5000))
