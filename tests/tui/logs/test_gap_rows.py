"""Rows of ours in a log say how much is missing and when, whatever the width and however long the reason."""

from __future__ import annotations

import pytest

from monitors.logs.types import MarkKind
from tests.tui.logs.panes import desk, numbered

REASON = "some of the log's files came and went before anybody could look at them, and what they held was not kept"


@pytest.mark.parametrize(("missing", "said"), [(2_000_000, ", 2.00 MB missing, "), (None, ", how much is missing is ")])
@pytest.mark.parametrize("columns", [80, 60, 200])
async def test_how_much_stays_and_the_reason_gives_way(missing: int | None, said: str, columns: int) -> None:
    async with desk(numbered(5), (columns, 24)) as at:
        at.source.mark(MarkKind.LOST, REASON, missing)
        await at.until(lambda: any("some of" in row for row in at.rows))
        (gap,) = [row for row in at.rows if "some of" in row]
        assert said in gap
        assert (REASON in gap) == (columns == 200)
