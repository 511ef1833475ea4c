"""The times of `gatewatch tail --since --until` on the screen: found, not reached, nowhere to be found, and not yet."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import PaneDesk, desk
from tui.logs.goto import Goal
from tui.logs.screen import Wish

DATED = b"".join(b"2026-05-25 02:43:%02dZ INFO line %d\n" % (number, number) for number in range(8))
SECOND = 1_779_676_980.0  # 2026-05-25 02:43:00 UTC


def wish(since: float | None = None, until: float | None = None) -> Wish:
    """Times, in seconds after the first line's."""
    goals = [None if when is None else ("-10m", Goal(time=SECOND + when)) for when in (since, until)]
    return Wish(since=goals[0], until=goals[1])


def numbers(at: PaneDesk) -> list[int]:
    return [int(line.rpartition(" ")[2]) for line in at.lines if "line" in line]


def chips(at: PaneDesk) -> bool:
    """Whether anything is left out."""
    return at.pane.chosen.since is not None or at.pane.chosen.until is not None


async def test_times_that_are_there() -> None:
    async with desk(DATED, wish=wish(2, 5)) as at:
        await at.until(lambda: numbers(at) == [2, 3, 4])


async def test_since_a_time_after_the_last_line_shows_what_comes() -> None:
    async with desk(DATED, wish=wish(60)) as at:
        await at.until(lambda: chips(at) and not at.lines)
        await at.until(lambda: any("nothing in this log is that late" in row for row in at.rows))
        assert any("02:43:07" in row for row in at.rows)
        at.source.append(b"2026-05-25 02:45:00Z INFO line 8\n")
        await at.until(lambda: numbers(at) == [8])


@pytest.mark.parametrize("key", ["less_than_sign", "greater_than_sign"])
async def test_a_time_after_the_last_line_is_typed(key: str) -> None:
    async with desk(DATED) as at:
        await at.press(key)
        await at.type("2026-05-25 02:45")
        await at.press("enter")
        await at.until(lambda: any("nothing in this log is that late" in row for row in at.rows))
        assert numbers(at) == [0, 1, 2, 3, 4, 5, 6, 7]
        assert not chips(at)


async def test_until_a_time_after_the_last_line_shows_all() -> None:
    async with desk(DATED, wish=wish(2, 60)) as at:
        await at.until(lambda: numbers(at) == [2, 3, 4, 5, 6, 7])


@pytest.mark.parametrize("asked", [wish(2), wish(None, 2)], ids=["since", "until"])
async def test_lines_that_say_no_time_are_all_shown_and_it_is_said(asked: Wish) -> None:
    async with desk(b"line 0\nline 1\n", wish=asked) as at:
        await at.until(lambda: any("no line says when it was written" in row for row in at.rows))
        assert numbers(at) == [0, 1]
        assert not chips(at)


async def test_a_log_that_comes_later_is_looked_at_when_it_is_there() -> None:
    async with desk(None, wish=wish(2, 5)) as at:
        at.source.append(DATED)
        await at.until(lambda: numbers(at) == [2, 3, 4])
