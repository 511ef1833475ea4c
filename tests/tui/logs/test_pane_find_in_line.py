"""What is found in a long line is in sight, or it is said why it is not."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered

LONG = b"start " + b"w " * 1500 + b"NEEDLE " + b"w " * 200 + b"\n"
BEHIND = "further behind in this line; Enter shows the whole line"


async def find(at: PaneDesk, text: str) -> None:
    await at.press("slash")
    await at.type(text)
    await at.press("enter")


def painted(at: PaneDesk) -> str:
    """The log as it is on the screen, without the status line and the keys."""
    return "\n".join(at.rows[:-2])


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("before", [0, 5, 100])
async def test_the_place_in_a_long_line_is_in_sight(wrapped: bool, before: int) -> None:
    async with desk(numbered(before) + LONG + numbered(100)) as at:
        if wrapped:
            await at.press("w")
        await find(at, "NEEDLE")
        await at.until(lambda: "1 of 1" in at.rows[-2])
        await at.until(lambda: "NEEDLE" in painted(at))
        await at.press("home", "n")
        await at.until(lambda: "NEEDLE" in painted(at))


async def test_a_place_at_the_left_is_in_sight_again() -> None:
    async with desk(numbered(100) + LONG + b"NEEDLE here\n") as at:
        await find(at, "NEEDLE")
        await at.until(lambda: "2 of 2" in at.rows[-2])
        assert at.pane.view.left == 0
        await at.press("N")
        await at.until(lambda: "1 of 2" in at.rows[-2] and "NEEDLE w" in painted(at))
        assert at.pane.view.left > 2900
        await at.press("n")
        await at.until(lambda: "2 of 2" in at.rows[-2] and "NEEDLE here" in painted(at))
        assert at.pane.view.left == 0


async def test_what_is_cancelled_moves_nothing_aside() -> None:
    async with desk(numbered(100) + LONG + b"end\n") as at:
        before = painted(at)
        await at.press("slash")
        await at.type("NEEDLE")
        await at.until(lambda: "NEEDLE w" in painted(at))
        await at.press("escape")
        await at.until(lambda: painted(at) == before)


@pytest.mark.parametrize("key", ["escape", "E"])
async def test_what_was_moved_aside_is_moved_back(key: str) -> None:
    async with desk(b"ERROR one\n" + numbered(100) + LONG + numbered(9)) as at:
        await at.press("right")
        await at.settled()
        before = at.pane.view.left
        await find(at, "NEEDLE")
        await at.until(lambda: "NEEDLE w" in painted(at))
        await at.press(key)
        await at.until(lambda: at.pane.view.left == before)


@pytest.mark.parametrize("word", ["NEEDLE", "\u00fcber"])
async def test_a_place_behind_what_is_shown_is_said_to_be_there(word: str) -> None:
    async with desk(numbered(100) + b"w " * 6000 + word.encode() + b" w\n" + numbered(3)) as at:
        await find(at, word)
        await at.until(lambda: "1 of 1" in at.rows[-2])
        await at.until(lambda: BEHIND in at.rows[-2])


async def test_nothing_is_said_of_what_is_in_sight_or_not_to_be_told() -> None:
    async with desk(numbered(100) + b"NEEDLE \x1b[31mred\x1b[0m" + b"w " * 6000 + b"\n", (120, 24)) as at:
        for word in ("NEEDLE", "red"):
            await find(at, word)
            await at.until(lambda: "1 of 1" in at.rows[-2])
            await at.settled()
            assert "further" not in at.rows[-2]
            await at.press("escape", "escape")


@pytest.mark.parametrize("how", ["filter", "top"])
async def test_text_that_was_moved_aside_for_a_line_is_back_when_that_is_gone(how: str) -> None:
    async with desk(numbered(300) + LONG + numbered(9)) as at:
        await find(at, "NEEDLE")
        await at.until(lambda: "NEEDLE w" in painted(at))
        if how == "filter":
            await at.press("ampersand")
            await at.type("line 2")
            await at.press("enter")
        else:
            await at.press("g")
        await at.until(lambda: "line 2" in painted(at))
        assert at.pane.view.left == 0
