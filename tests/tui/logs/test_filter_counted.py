"""How many lines are shown is counted between since and until, where there are such places."""

from __future__ import annotations

from tests.tui.logs.panes import PaneDesk, desk, numbered
from tui import words


async def filtered(at: PaneDesk, key: str, text: str) -> None:
    await at.press(key)
    await at.type(text)
    await at.press("enter")
    await at.settled()


def passing(first: int, last: int) -> int:
    """Lines of these with a 5."""
    return sum("5" in str(number) for number in range(first, last + 1))


async def told(at: PaneDesk, count: int, lines: str = "1,000 lines") -> None:
    """Both rows that say so say that so many lines are shown."""
    await at.until(lambda: f"{words.count(count)} shown of {lines}, " in at.rows[-2], f"{count} shown")
    await at.until(lambda: at.rows[0].rstrip().endswith(f" {words.counted(count, 'line')}"), f"{count} lines")


async def test_what_is_shown_is_counted_between_two_places() -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await filtered(at, "ampersand", "5")
        await told(at, passing(1, 1000))
        await filtered(at, "less_than_sign", "300")
        await told(at, passing(300, 1000))
        await filtered(at, "greater_than_sign", "352")
        await told(at, passing(300, 351))
        await filtered(at, "exclamation_mark", "30")
        await told(at, passing(300, 351) - 1)
        await at.press("backspace", "backspace")  # and until
        await told(at, passing(300, 1000))
        await filtered(at, "ampersand", "")
        assert "shown of" not in at.rows[-2]
        assert not at.rows[0].rstrip().endswith("lines")
        await filtered(at, "ampersand", "5")
        await told(at, passing(300, 1000))


async def test_lines_of_a_level_are_counted_between_two_places() -> None:
    log = b"".join(b"%s step %d\n" % (b"INFO" if number % 10 else b"ERROR", number) for number in range(1, 1001))
    async with desk(log) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await at.press("l", "l")
        await filtered(at, "less_than_sign", "300")
        await filtered(at, "greater_than_sign", "320")
        assert [line for line in at.lines if line] == ["ERROR step 300", "ERROR step 310"]
        await told(at, 2)


async def test_what_comes_behind_the_last_place_is_not_shown_and_what_comes_before_it_is() -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await filtered(at, "ampersand", "5")
        await filtered(at, "less_than_sign", "995")
        await told(at, 1)
        at.source.append(b"line 1005\nline 1006\n")
        await told(at, 2, "1,002 lines")
        await filtered(at, "greater_than_sign", "1000")
        await told(at, 1, "1,002 lines")
        at.source.append(b"line 1005\nline 1006\n")
        await told(at, 1, "1,004 lines")


async def test_lines_around_are_not_counted_with_those_that_pass() -> None:
    async with desk(numbered(1000), (100, 24)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await filtered(at, "ampersand", "99")
        await told(at, 19)
        await at.press("c")
        await at.until(lambda: "19 hits of 1,000 lines, 1 around, " in at.rows[-2])
        await at.until(lambda: at.rows[0].rstrip().endswith(" 19 hits"))
        await filtered(at, "less_than_sign", "999")
        await at.until(lambda: "1 hit of 1,000 lines, 1 around, " in at.rows[-2])
        await at.press("backspace", "c", "c", "c")
        await told(at, 19)


async def test_nothing_between_two_places_is_none() -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await filtered(at, "ampersand", "5")
        await filtered(at, "less_than_sign", "996")
        await told(at, 0)
