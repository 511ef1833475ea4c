"""The times beside rows that bars painted over, and whether such a log says when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, Place
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.panes import desk
from tui.logs.goto import says_when
from tui.logs.written import Written

NOW = datetime(2026, 11, 21, 14, 2, 30, tzinfo=UTC).timestamp()
BARS = "".join(f"\r{number:3d}%|###       | {number}/100 [00:05<00:05, 3.10it/s]" for number in range(100))
BLANK = "\r" + " " * 60 + "\r"


async def test_the_time_beside_a_row_is_that_of_what_it_ends_up_showing() -> None:
    rows = (
        "2026-11-21 14:02:11 INFO begin",
        f"{BARS}{BLANK}2026-11-21 14:02:12 INFO fine",
        f"{BARS}14:02:13 ERROR glued",
        f"{BARS}",
        f"2026-11-21 14:02:14 INFO before{BARS}",
    )
    async with desk("".join(f"{row}\n" for row in rows).encode()) as at:
        await at.press("home", "t", "t", "t")
        await at.settled()
        shown = [row[1:13].strip() for row in at.rows[: len(at.lines)]]
        assert shown == ["14:02:11.000", "14:02:12.000", "14:02:13.000", "", "14:02:14.000"]


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_piece_of_a_line_says_when_only_if_it_was_painted_over(newest_first: bool) -> None:
    parts = ["14:02:12 INFO fine", "100%|##########| 100/100 [00:05<00:05, 3.10it/s]"]
    data = "\r".join(parts if newest_first else parts[::-1]).encode()
    written = Written(lambda: NOW)
    said = parts[0].encode()
    for shown, size, when in ((data, len(data), NOW - 18), (said, 5000, NOW - 18), (said, len(said) + 1, None)):
        line = LogLine(Place(0, 1 << 20), (1 << 20) + size, shown, size, None, True, 1)
        assert written.when(line, UTC) == when


async def test_a_log_all_of_whose_lines_stand_behind_bars_says_when() -> None:
    source = MemorySource(f"{BARS}{BLANK}2026-11-21 14:02:12 INFO fine\n".encode() * 3)
    model = LogModel(source, zone=UTC)
    await model.start()
    assert await says_when(model, NOW, UTC)
    await model.close()
