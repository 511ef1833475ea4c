"""The line that one is at, where a log's screen gets smaller."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered


async def at_the_bottom(at: PaneDesk, number: int) -> str:
    """Has a line as the one that one is at, in the last row; returns its text."""
    await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines is not None)
    await at.press("at")
    await at.type(str(number))
    await at.press("enter")
    await at.until(lambda: at.pane.view.current is not None)
    await at.settled()
    assert at.pane.reader is not None
    line = next(row.shown.text for row in at.pane.view.rows if row.line.at == at.pane.view.current and row.index == 0)
    at.pane.reader.scroll(at.lines.index(line) + 1 - len(at.lines))
    await at.until(lambda: at.lines[-1] == line)
    return line


@pytest.mark.parametrize("late", [False, True])
async def test_the_line_that_one_is_at_stays_on_screen_when_the_first_filter_takes_a_row(late: bool) -> None:
    data = b"".join(b"%s row %d\n" % (level, n) for level in (b"ERROR", b"DEBUG") for n in range(1, 101))
    async with desk(data) as at:
        await at_the_bottom(at, 100)
        before = at.lines
        if late:
            at.forget()
            at.source.open.clear()
        await at.press("l")
        await at.until(lambda: len(at.lines) < len(before))
        at.source.open.set()
        await at.settled()
        assert at.lines == before[1:]
        await at.press("backspace")
        await at.until(lambda: len(at.lines) == len(before))
        await at.settled()
        assert at.lines == before


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("size", [(80, 15), (40, 24), (40, 15)])
async def test_the_line_that_one_is_at_stays_on_screen_when_the_window_gets_smaller(
    wrap: bool, size: tuple[int, int]
) -> None:
    async with desk(b"".join(b"line %d %s\n" % (n, b"z" * (n % 60)) for n in range(1, 501))) as at:
        if wrap:
            await at.press("w")
        line = await at_the_bottom(at, 259)
        await at.pilot.resize_terminal(*size)
        await at.settled()
        assert line[:10] in [row[:10] for row in at.lines]
        top = at.lines[0]
        await at.pilot.resize_terminal(size[0], 40)
        await at.settled()
        assert at.lines[0] == top


async def test_a_line_that_was_not_on_screen_is_not_led_to_when_the_window_changes() -> None:
    async with desk(numbered(500)) as at:
        await at_the_bottom(at, 300)
        await at.press("up")
        await at.settled()
        top = at.lines[0]
        await at.pilot.resize_terminal(80, 15)
        await at.settled()
        assert at.lines[0] == top
        await at.press("end")
        await at.until(lambda: at.lines[-1] == "line 500")
        await at.pilot.resize_terminal(80, 10)
        await at.settled()
        assert at.lines[-1] == "line 500"


@pytest.mark.parametrize("key", ["slash", "ampersand"])
async def test_the_line_in_the_last_row_is_there_again_once_what_took_the_row_is_gone(key: str) -> None:
    async with desk(numbered(500)) as at:
        await at_the_bottom(at, 300)
        before = at.lines
        await at.press(key)
        await at.type("line 4")
        await at.settled()
        await at.press("escape")
        await at.until(lambda: len(at.lines) == len(before))
        await at.settled()
        assert at.lines == before


@pytest.mark.parametrize(
    ("keys", "first"), [(("pagedown",), "line 300"), (("pageup",), "line 276"), (("home",), "line 1")]
)
async def test_what_one_asks_for_after_that_counts(keys: tuple[str, ...], first: str) -> None:
    async with desk(numbered(2000)) as at:
        await at_the_bottom(at, 300)
        at.forget()
        at.source.open.clear()
        await at.pilot.resize_terminal(80, 15)
        await at.until(lambda: (at.lines[0], at.lines[-1]) == ("line 288", "line 300"))
        await at.press(*keys)
        at.source.open.set()
        await at.settled()
        assert at.lines[0] == first


async def test_what_one_asked_for_before_that_counts() -> None:
    async with desk(numbered(2000)) as at:
        await at_the_bottom(at, 300)
        at.forget()
        at.source.open.clear()
        await at.press("home")
        await at.pilot.resize_terminal(80, 15)
        at.source.open.set()
        await at.settled()
        assert at.lines[0] == "line 1"


async def test_lines_that_nobody_has_any_more_stay_on_screen_with_it() -> None:
    data = numbered(500)
    async with desk(data) as at:
        await at_the_bottom(at, 300)
        at.source.append(numbered(20, 501))
        at.source.forget(0, data.index(b"line 400\n"))
        await at.settled()
        await at.pilot.resize_terminal(80, 15)
        await at.settled()
        assert (at.lines[0], at.lines[-1]) == ("line 288", "line 300")
