"""The keys that move do so whatever is selected, and whatever was closed before."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered

MOVES = [
    ("up", 997),
    ("k", 997),
    ("down", 999),
    ("j", 999),
    ("shift+up", 997),
    ("shift+down", 999),
    ("pageup", 977),
    ("g", 1),
    ("G", 1000),
]
"""Keys, and where each leads a selection of lines that ends at line 998."""


def offset(number: int) -> int:
    return len(numbered(number - 1))


def head(at: PaneDesk) -> int | None:
    """Where the selection of lines ends, and one is."""
    chosen = at.pane.view.selection
    if chosen is None or not chosen.lines or chosen.head.place != at.pane.view.current:
        return None
    assert chosen.start.place.offset == offset(1000)
    return chosen.head.place.offset


async def dragged(at: PaneDesk) -> None:
    """Two lines are selected with the mouse, the first of them in the fourth row."""
    await at.pilot.mouse_down("#log-view", offset=(3, 3))
    await at.pilot.hover("#log-view", offset=(8, 4))
    await at.pilot.mouse_up("#log-view", offset=(8, 4))
    await at.settled()
    chosen = at.pane.view.selection
    assert chosen is not None
    assert not chosen.empty
    assert not chosen.lines


@pytest.mark.parametrize(("key", "expected"), [("up", "line 957"), ("k", "line 957"), ("down", "line 959")])
async def test_text_that_the_mouse_selected_stops_no_key(key: str, expected: str) -> None:
    async with desk(numbered(1000)) as at:
        await at.press("pageup")
        await at.until(lambda: at.lines[0] == "line 958")
        await dragged(at)
        await at.press(key)
        await at.until(lambda: at.lines[0] == expected)


async def looked_back(at: PaneDesk, is_marked: bool = True) -> None:
    """Line 958 is the first one on screen, and 968 the one that one is at."""
    await at.press("pageup")
    await at.until(lambda: at.lines[0] == "line 958")
    at.pane.view.set_current(at.pane.view.rows[10].line.at if is_marked else None)


@pytest.mark.parametrize(("key", "expected"), [("up", "line 957"), ("k", "line 957"), ("down", "line 959")])
async def test_no_key_moves_a_line_marked_before_the_mouse_selected_text(key: str, expected: str) -> None:
    async with desk(numbered(1000)) as at:
        await looked_back(at)
        await dragged(at)
        view = at.pane.view
        before = view.selection
        await at.press(key)
        await at.until(lambda: at.lines[0] == expected)
        assert view.selection == before
        assert view.current is not None
        assert view.current.offset == offset(968)


@pytest.mark.parametrize("is_marked", [False, True])
@pytest.mark.parametrize("key", ["shift+up", "shift+down"])
async def test_its_lines_are_what_more_lines_are_selected_to(key: str, is_marked: bool) -> None:
    async with desk(numbered(1000)) as at:
        await looked_back(at, is_marked)
        await dragged(at)
        await at.press(key)
        await at.settled()
        chosen = at.pane.view.selection
        assert chosen is not None
        assert chosen.lines
        assert chosen.start.place.offset == offset(961)
        assert chosen.head.place == at.pane.view.current
        assert chosen.head.place.offset == offset(961 if key == "shift+up" else 963)


async def test_an_open_line_goes_on_to_the_next_one_beside_text_that_is_selected() -> None:
    async with desk(numbered(1000)) as at:
        await looked_back(at)
        await at.press("enter")
        await at.until(lambda: at.pane.detail.is_open)
        await at.settled()
        await dragged(at)
        await at.press("down")
        await at.until(lambda: at.pane.view.current is not None and at.pane.view.current.offset == offset(969))


async def test_a_key_lets_go_of_the_end_with_text_selected() -> None:
    async with desk(numbered(1000)) as at:
        await dragged(at)
        await at.press("f")
        await at.until(lambda: at.pane.reader is not None and at.pane.reader.following)
        await at.press("up")
        await at.until(lambda: at.lines[-1] == "line 999")
        assert at.pane.reader is not None
        assert not at.pane.reader.following


@pytest.mark.parametrize(("key", "expected"), MOVES)
@pytest.mark.parametrize("way", [("slash", "escape"), ("f",)], ids=["find", "follow"])
async def test_a_selection_of_lines_goes_on_where_it_ended(way: tuple[str, ...], key: str, expected: int) -> None:
    async with desk(numbered(1000)) as at:
        await at.press("V", "up", "up")
        await at.until(lambda: head(at) == offset(998))
        await at.press(*way)
        await at.settled()
        assert at.pane.view.current is None
        await at.press(key)
        await at.until(lambda: head(at) == offset(expected))
        assert at.pane.reader is not None
        assert not at.pane.reader.following
        await at.until(lambda: f"line {expected}" in at.lines)


async def test_a_selection_that_went_off_the_screen_is_gone_back_to() -> None:
    async with desk(numbered(5000)) as at:
        await at.press("V", "pageup", "g")
        await at.until(lambda: at.lines[0] == "line 1")
        await at.press("f")
        await at.until(lambda: at.lines[-1] == "line 5000")
        await at.press("down")
        await at.until(lambda: at.lines[:2] == ["line 1", "line 2"])
        assert at.pane.view.line is not None
        assert at.pane.view.line.number == 2


async def test_the_log_moves_beside_an_open_line_that_is_not_marked_any_more() -> None:
    async with desk(numbered(1000)) as at:
        await at.press("pageup", "enter")
        await at.until(lambda: at.pane.detail.is_open)
        await at.settled()
        await at.press("slash", "escape")
        await at.settled()
        assert at.pane.detail.is_open
        top = int(at.lines[0].split()[1])
        await at.press("down")
        await at.until(lambda: at.lines[0] == f"line {top + 1}")
        await at.press("up", "up")
        await at.until(lambda: at.lines[0] == f"line {top - 1}")
