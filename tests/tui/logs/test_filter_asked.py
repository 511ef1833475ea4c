"""What is taken away of what is shown and hidden is what was asked for, and nothing else."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered


async def filtered(at: PaneDesk, key: str, text: str = "") -> None:
    await at.press(key)
    await at.type(text)
    await at.press("enter")
    await at.settled()


def chips(at: PaneDesk) -> list[str]:
    return [chip.text for chip in at.pane.chips.chips]


async def test_the_newest_is_taken_away_first() -> None:
    async with desk(numbered(300)) as at:
        await filtered(at, "ampersand", "line")
        await at.press("l")
        await filtered(at, "greater_than_sign", "200")
        await filtered(at, "exclamation_mark", "9")
        await filtered(at, "less_than_sign", "5")
        await at.press("l")  # another level is as new as a first one
        left = [chips(at)]
        while left[-1]:
            await at.press("backspace")
            left.append(chips(at))
        assert left == [
            ["line", "no 9", "warning or above", "since 5", "until 200"],
            ["line", "no 9", "since 5", "until 200"],
            ["line", "no 9", "until 200"],
            ["line", "until 200"],
            ["line"],
            [],
        ]


async def test_what_a_click_takes_away_is_not_the_newest_any_more() -> None:
    async with desk(numbered(300)) as at:
        await filtered(at, "less_than_sign", "5")
        await filtered(at, "ampersand", "line")
        await at.pilot.click("#log-chips", offset=(2, 0))
        await at.until(lambda: chips(at) == ["since 5"])
        await at.press("backspace")
        assert chips(at) == []


async def test_nothing_takes_the_words_away_and_says_so() -> None:
    async with desk(numbered(300), (120, 24)) as at:
        await filtered(at, "ampersand", "line")
        await filtered(at, "less_than_sign", "100")
        await at.press("ampersand")
        assert at.rows[-2].startswith("only lines with words; ! first hides them; nothing takes all words away")
        await at.press("enter")
        await at.settled()
        assert chips(at) == ["since 100"]


@pytest.mark.parametrize(("key", "typed"), [("exclamation_mark", ""), ("exclamation_mark", "!"), ("ampersand", "!")])
async def test_words_that_nobody_typed_hide_nothing_and_take_nothing_away(key: str, typed: str) -> None:
    async with desk(numbered(300)) as at:
        await filtered(at, "ampersand", "line 1")
        await filtered(at, key, typed)
        assert at.pane.asking is None
        assert chips(at) == ["line 1"]
        assert at.lines[-1] == "line 199"


async def test_words_that_were_taken_back_hide_nothing() -> None:
    async with desk(numbered(300)) as at:
        await filtered(at, "ampersand", "line 1")
        await at.press("exclamation_mark", "9")
        await at.until(lambda: at.lines[-1] == "line 188")
        await at.press("backspace", "enter")
        await at.until(lambda: at.lines[-1] == "line 199")
        assert at.pane.asking is None
        assert chips(at) == ["line 1"]
