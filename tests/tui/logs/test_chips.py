"""The chips above a log: as many as there is room for, and how many more there are."""

from __future__ import annotations

import pytest
from textual.app import ComposeResult

from tests.tui.logs.panes import desk, numbered
from tests.tui.snapshots import text
from tui.app import GatewatchApp
from tui.logs.chips import Chip, FilterChips

WORDS = ["first word", "second word", "third word", "fourth word", "no fifth word", "no sixth word"]
CHIPS = [Chip(f"words {place}", text) for place, text in enumerate([*WORDS, "since 100", "until 900"])]


class ChipsApp(GatewatchApp):
    """Nothing but chips."""

    def compose(self) -> ComposeResult:
        yield FilterChips()


async def painted(chips: list[Chip], note: str, width: int = 80) -> str:
    """The row of the chips."""
    app = ChipsApp()
    async with app.run_test(size=(width, 24)) as pilot:
        app.query_one(FilterChips).show(chips, note)
        await pilot.pause()
        return text(app)[0].rstrip()


@pytest.mark.parametrize(("width", "shown", "more"), [(80, 4, "+4"), (200, 8, ""), (30, 1, "+7"), (12, 0, "+8")])
@pytest.mark.parametrize("note", ["12 lines", ""])
async def test_chips_that_have_no_room_are_counted(width: int, shown: int, more: str, note: str) -> None:
    row = await painted(CHIPS, note, width)
    assert [chip.text in row for chip in CHIPS] == [True] * shown + [False] * (8 - shown)
    assert row.endswith("  ".join(part for part in (more, note) if part))


async def test_a_chip_that_is_not_shown_is_not_taken_away() -> None:
    async with desk(numbered(1000)) as at:
        for word in ("line", "e", "n", "i", "l", "in", "ne", "li", "lin", "ine", "e ", "no such"):
            await at.press("ampersand")
            await at.type(word)
            await at.press("enter")
        await at.settled()
        taken = [chip.text for chip in at.pane.chips.chips]
        place = at.rows[0].index("+")
        await at.pilot.click("#log-chips", offset=(place, 0))
        await at.settled()
        assert [chip.text for chip in at.pane.chips.chips] == taken
        await at.pilot.click("#log-chips", offset=(at.rows[0].index("n"), 0))
        await at.until(lambda: len(at.pane.chips.chips) == len(taken) - 1)


async def test_a_long_note_is_cut_where_one_sees_it() -> None:
    for chips in (CHIPS[:1], CHIPS):
        row = await painted(chips, "what is wrong with it " * 10)
        assert row.endswith("…")
        assert "first word" in row
        assert ("+" in row) is (len(chips) > 1)
