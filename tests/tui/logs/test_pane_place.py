"""Whatever is opened and closed again, looked for and given up, one is where one was."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered


async def go(at: PaneDesk, number: int) -> str:
    """Somewhere in the middle, with no line that one is at; returns the top line."""
    await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 5000)
    await at.press("at")
    await at.type(str(number))
    await at.press("enter")
    await at.until(lambda: f"line {number}" in at.lines)
    await at.settled()
    await at.press("escape")
    return at.lines[0]


@pytest.mark.parametrize("text", ["line 12", "no such line", "line 4"])
async def test_a_filter_that_is_cancelled_loses_no_place(text: str) -> None:
    async with desk(numbered(5000)) as at:
        top = await go(at, 3000)
        await at.press("ampersand")
        await at.type(text)
        await at.settled()
        assert at.lines[:1] != [top]
        await at.press("escape")
        await at.until(lambda: at.lines and at.lines[0] == top, top)
        await at.settled()
        assert at.lines[0] == top


async def test_what_is_rubbed_out_of_a_filter_loses_no_place() -> None:
    async with desk(numbered(5000)) as at:
        top = await go(at, 3000)
        await at.press("ampersand")
        await at.type("12")
        await at.settled()
        await at.type("3")
        await at.settled()
        await at.press("backspace", "backspace", "backspace")
        await at.until(lambda: at.lines and at.lines[0] == top, top)
        await at.press("enter")
        await at.settled()
        assert at.lines[0] == top


async def test_filters_that_are_taken_away_lead_back() -> None:
    async with desk(numbered(5000)) as at:
        top = await go(at, 3000)
        for text in ("line 7", "0", "no such line"):
            await at.press("ampersand")
            await at.type(text)
            await at.press("enter")
            await at.settled()
        assert at.lines == []
        await at.press("backspace", "backspace")
        await at.until(lambda: at.lines and all(line.startswith("line 7") for line in at.lines))
        await at.press("backspace")
        await at.until(lambda: at.lines and at.lines[0] == top, top)


async def test_whoever_moves_in_a_filtered_log_chooses_another_place() -> None:
    async with desk(numbered(5000)) as at:
        await go(at, 3000)
        await at.press("ampersand")
        await at.type("00")
        await at.press("enter")
        await at.until(lambda: at.lines[:1] == ["line 3000"])
        await at.press("pageup")
        await at.until(lambda: at.lines[0] != "line 3000")
        await at.settled()
        top = at.lines[0]
        await at.press("backspace")
        await at.settled()
        assert at.lines[0] == top


async def test_a_filter_that_is_cancelled_lets_go_of_no_end() -> None:
    async with desk(numbered(5000)) as at:
        await at.press("ampersand")
        await at.type("line 12")
        await at.until(lambda: at.lines[-1] == "line 1299")
        await at.press("escape")
        await at.until(lambda: at.lines[-1] == "line 5000")
        at.source.append(numbered(1, 5001))
        await at.until(lambda: at.lines[-1] == "line 5001")


async def test_a_find_that_is_cancelled_leads_back_into_the_line() -> None:
    long = b"".join(b"L%d " % n + b"".join(b"%05d " % k for k in range(1000)) + b"\n" for n in range(5))
    async with desk(long) as at:
        await at.press("w", "home")
        await at.until(lambda: at.lines[0].startswith("L0"))
        await at.press(*["down"] * 7)
        await at.settled()
        top = at.lines[0]
        assert not top.startswith("L0")
        await at.press("slash")
        await at.type("L4")
        await at.until(lambda: any(line.startswith("L4") for line in at.lines))
        await at.press("escape")
        await at.until(lambda: not any(line.startswith("L4") for line in at.lines))
        await at.settled()
        assert at.lines[0] == top


async def test_a_line_that_was_shown_whole_moves_nothing() -> None:
    async with desk(numbered(5000)) as at:
        top = await go(at, 3000)
        await at.press("V", *["down"] * 19, "escape")
        await at.settled()
        assert at.lines[0] == top
        await at.press("enter")
        await at.until(lambda: at.pane.detail.is_open and at.lines[0] != top)
        await at.settled()
        await at.press("escape")
        await at.until(lambda: at.lines[0] == top and len(at.lines) == 22)
        await at.settled()
        assert at.lines[0] == top


async def test_an_end_that_was_followed_is_followed_again_after_a_line_was_shown_whole() -> None:
    async with desk(numbered(100)) as at:
        await at.press("enter")
        await at.until(lambda: at.pane.detail.is_open)
        at.source.append(numbered(50, 101))
        await at.settled()
        assert "line 101" not in at.lines
        await at.press("escape")
        await at.until(lambda: at.lines[-1] == "line 150")


async def test_whoever_moves_beside_a_whole_line_stays_there() -> None:
    async with desk(numbered(5000)) as at:
        top = await go(at, 3000)
        await at.press("enter")
        await at.until(lambda: at.pane.detail.is_open)
        await at.settled()
        assert at.pane.reader is not None
        at.pane.reader.scroll(-100)
        await at.settled()
        there = at.lines[0]
        await at.press("escape")
        await at.settled()
        assert at.lines[0] == there != top


@pytest.mark.parametrize("way", ["taken away", "rubbed out"])
async def test_the_line_that_was_found_within_a_filter_stays_where_it_is(way: str) -> None:
    async with desk(numbered(5000)) as at:
        await go(at, 3000)
        await at.press("ampersand")
        await at.type("5")
        await at.press("enter")
        await at.settled()
        await at.press("slash")
        await at.type("00")
        await at.press("enter")
        await at.until(lambda: "line 3005" in at.lines)
        await at.press("n", "n")
        await at.until(lambda: at.pane.view.current is not None and "line 4005" in at.lines)
        await at.settled()
        row = at.lines.index("line 4005")
        assert row > 0
        if way == "taken away":
            await at.press("backspace")
        else:
            await at.press("ampersand")
            await at.type("no such")
            await at.settled()
            await at.press("escape")
        await at.until(lambda: len(at.lines) > row and at.lines[row] == "line 4005")
        await at.settled()
        assert at.lines[row] == "line 4005"


async def test_a_line_that_no_filter_shows_is_where_it_was_once_all_are_gone() -> None:
    async with desk(numbered(5000)) as at:
        await go(at, 3000)
        await at.press("at")
        await at.type("3005")
        await at.press("enter")
        await at.settled()
        row = at.lines.index("line 3005")
        before = at.lines
        for text in ("line 30", "7", "no such line"):
            await at.press("ampersand")
            await at.type(text)
            await at.press("enter")
            await at.settled()
        await at.press("backspace", "backspace", "backspace")
        await at.until(lambda: len(at.lines) > row and at.lines[row] == "line 3005")
        await at.settled()
        assert at.lines == before


async def test_a_place_within_a_line_stays_however_often_the_window_changes() -> None:
    long = numbered(50) + b"".join(b"%07d " % n for n in range(1000)) + b"\n" + numbered(100)
    async with desk(long) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 151)
        await at.press("w", "at")
        await at.type("51")
        await at.press("enter")
        await at.settled()
        await at.press("pagedown", "pagedown", "pagedown")
        await at.settled()
        before = at.rows[0][:8]
        for width in (81, 80, 81, 80):
            await at.pilot.resize_terminal(width, 24)
            await at.settled()
        assert at.rows[0][:8] == before
        await at.press("number_sign", "number_sign")
        await at.settled()
        assert at.rows[0][:8] == before


@pytest.mark.parametrize("change", ["", "grown", "rotated", "lost"])
async def test_a_window_that_is_large_for_a_while_leads_nowhere(change: str) -> None:
    wide = b"".join(b"%d %s\n" % (number, b"z" * (number % 100)) for number in range(500))
    async with desk(wide) as at:
        await at.press("w", *["up"] * 7)
        await at.settled()
        top = at.lines
        await at.pilot.resize_terminal(120, 40)
        await at.settled()
        large = at.lines
        assert large[0] != top[0]
        if change == "grown":
            at.source.append(numbered(50))
            await at.until(lambda: "+50 lines" in at.shown)
        elif change == "rotated":
            at.source.rotate(numbered(50))
            await at.until(lambda: "+50 lines" in at.shown)
        elif change == "lost":
            at.source.forget(0, wide.index(b"\n490 ") + 1)
        await at.settled()
        assert [line for line in at.lines if "gone" not in line][:30] == large[:30]
        await at.pilot.resize_terminal(80, 24)
        await at.settled()
        assert [line for line in at.lines if "gone" not in line][:15] == top[:15]


async def test_a_line_that_is_opened_on_a_larger_screen_stays_where_it_is() -> None:
    async with desk(numbered(500)) as at:
        await at.press(*["up"] * 3)
        await at.pilot.resize_terminal(80, 60)
        await at.settled()
        top = at.lines[0]
        await at.pilot.click("#log-view", offset=(3, 2))
        await at.press("enter")
        await at.until(lambda: at.pane.detail.is_open)
        await at.settled()
        assert at.lines[0] == top


@pytest.mark.parametrize("grown", [b"", b"new\n"])
async def test_a_larger_window_is_full_as_far_as_there_are_lines(grown: bytes) -> None:
    async with desk(numbered(1000), (80, 8)) as at:
        await at.press("up")
        await at.settled()
        at.source.append(grown)
        await at.until(lambda: not grown or "+1 line" in at.rows[-2])
        await at.pilot.resize_terminal(80, 40)
        await at.until(lambda: len(at.lines) == 38)
        assert at.lines[-1] == (grown.decode().strip() or "line 1000")


async def test_the_newest_key_leads_where_one_is() -> None:
    wide = b"".join(b"line %d %s\n" % (n, b"p" * 300) for n in range(100_000))
    async with desk(wide) as at:
        await at.press("up")
        await at.pilot.click("#log-view", offset=(3, 5))
        await at.press("m")
        await at.settled()
        top = at.top
        at.forget()
        at.source.open.clear()
        await at.press("g", "apostrophe")
        at.source.open.set()
        await at.settled()
        assert at.top == top


async def test_rows_of_ours_are_shown_once_while_nothing_passes_the_filter() -> None:
    async with desk(numbered(100)) as at:
        await at.press("ampersand")
        await at.type("zzz")
        await at.press("enter", "f")
        await at.settled()
        for number in range(3):
            at.source.rotate(b"next %d\n" % number)
            await at.settled()
            at.source.append(b"more\n" * 5)
            await at.settled()
        assert sum("rotated" in row for row in at.rows) == 3
        at.source.append(b"zzz\n")
        await at.until(lambda: "zzz" in at.lines)
        assert sum("rotated" in row for row in at.rows) == 3


async def test_a_gap_moves_nothing_where_a_filter_has_left_out_the_line_one_was_at() -> None:
    async with desk(numbered(5000)) as at:
        await go(at, 3005)
        await at.press("ampersand")
        await at.type("line 30")
        await at.press("enter")
        await at.until(lambda: at.lines[:1] == ["line 3000"])
        await at.settled()
        at.source.forget(0, len(numbered(2999)))
        await at.settled()
        assert at.lines[0] == "line 3000"
        await at.press("up")
        await at.until(lambda: "are gone" in at.lines[0])
