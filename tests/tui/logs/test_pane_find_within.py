"""Finding while a filter shows some lines alone: what is found is always one of those."""

from __future__ import annotations

from functools import partial

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered

LEVELS = b"".join(
    b"%s %s step %d\n  at one.py\n" % ((b"ERROR", b"INFO", b"WARNING")[n % 3], (b"relay", b"other")[n // 3 % 2], n)
    for n in range(300)
)


def at_line(at: PaneDesk) -> str | None:
    """The line that one is at, None where it is not on screen."""
    return next((row.shown.text for row in at.pane.view.rows if row.line.at == at.pane.view.current), None)


def is_at(at: PaneDesk, line: str) -> bool:
    return at_line(at) == line


async def filtered(at: PaneDesk, key: str, text: str) -> None:
    await at.press(key)
    await at.type(text)
    await at.press("enter")
    await at.settled()


async def test_what_is_found_passes_the_filter_and_is_counted_so() -> None:
    async with desk(numbered(1000)) as at:
        await filtered(at, "ampersand", "0")
        await filtered(at, "slash", "5")
        fives = [f"line {n}" for n in range(1, 1001) if "0" in str(n) and "5" in str(n)]
        await at.until(lambda: f"{len(fives)} of {len(fives)}" in at.rows[-2])
        for expected in reversed(fives[-8:-1]):
            await at.press("N")
            await at.until(partial(is_at, at, expected), expected)
        await at.press("G", "n")
        await at.until(lambda: at_line(at) == fives[0])


async def test_another_filter_is_another_count_and_none_gives_all_again() -> None:
    async with desk(numbered(1000)) as at:
        await filtered(at, "slash", "5")
        await at.until(lambda: "271 of 271" in at.rows[-2])
        await filtered(at, "exclamation_mark", "9")
        left = [f"line {n}" for n in range(1, 1001) if "5" in str(n) and "9" not in str(n)]
        await at.until(lambda: f"of {len(left)}" in at.rows[-2] or f"{len(left)} found" in at.rows[-2])
        await at.press("n")
        await at.until(lambda: at_line(at) == left[0])
        await at.press("backspace")
        await at.until(lambda: "of 271" in at.rows[-2])


async def test_what_is_found_lies_between_since_and_until() -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await filtered(at, "less_than_sign", "300")
        await filtered(at, "greater_than_sign", "600")
        await filtered(at, "slash", "50")
        found = [f"line {n}" for n in range(300, 600) if "50" in str(n)]
        await at.until(lambda: f"{len(found)} of {len(found)}" in at.rows[-2])
        assert at_line(at) == found[-1]
        await at.press("n")
        await at.until(lambda: at_line(at) == found[0])
        await at.press("N")
        await at.until(lambda: at_line(at) == found[-1])


@pytest.mark.parametrize(("keys", "expected"), [("E", "ERROR other step 297"), ("e", "ERROR other step 3")])
async def test_errors_that_are_hidden_are_passed_over(keys: str, expected: str) -> None:
    async with desk(LEVELS) as at:
        await filtered(at, "exclamation_mark", "relay")
        await at.press("home")
        await at.settled()
        await at.press(keys)
        await at.until(lambda: at_line(at) == expected)


async def test_the_rows_behind_an_error_are_no_errors_to_go_to() -> None:
    async with desk(LEVELS) as at:
        await at.press("l", "l")  # with the rows behind each, which have its level
        await at.until(lambda: at.lines[-1] == "  at one.py")
        await filtered(at, "exclamation_mark", "relay")
        await at.press("E")
        await at.until(lambda: at_line(at) == "ERROR other step 297")
        await at.press("E")
        await at.until(lambda: at_line(at) == "ERROR other step 291")


async def test_between_places_that_lie_the_wrong_way_round_there_is_nothing() -> None:
    async with desk(numbered(1000), (100, 24)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await filtered(at, "slash", "line 4")
        await at.until(lambda: "111 of 111" in at.rows[-2])
        await filtered(at, "ampersand", "line")
        await filtered(at, "less_than_sign", "900")
        await filtered(at, "greater_than_sign", "200")
        await at.until(lambda: "0 shown of 1,000 lines" in at.rows[-2])
        assert "-" not in at.rows[-2]
        await at.until(lambda: "0 found" in at.rows[-2])


@pytest.mark.parametrize(("key", "place"), [("less_than_sign", "500"), ("greater_than_sign", "400")])
async def test_a_line_that_the_filter_hides_by_now_is_none_of_those_found(key: str, place: str) -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await filtered(at, "slash", "line 43")
        await at.until(lambda: "11 of 11" in at.rows[-2])
        if key == "less_than_sign":
            await at.press("n")
            await at.until(lambda: " 1 of 11" in at.rows[-2])
        await filtered(at, key, place)
        await at.settled()
        await at.until(lambda: "0 found" in at.rows[-2] or "1 found" in at.rows[-2])
