"""When news of a log are painted, by a clock that the test sets; an interval is so long that none ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from monitors.logs import model as model_module
from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, Place
from tests.monitors.logs.memory import MemorySource
from tests.monitors.logs.test_model import reached
from tests.tui.desks import PATIENCE_S
from tests.tui.logs.panes import desk, numbered
from tui.logs.reader import Reader
from tui.logs.rows import DisplayRow, display_rows

INTERVAL_S = 1000.0
TURNS = 100  # of the loop, within which what is due has begun


@dataclass
class Watch:
    """A reader that has painted at 0, and its clock."""

    reader: Reader
    time: list[float]
    changed: asyncio.Event

    def at(self, seconds: float) -> None:
        self.time[0] = seconds

    async def loads(self) -> int:
        """How often it has read by now."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return self.reader.loads


def lay(line: LogLine) -> tuple[DisplayRow, ...]:
    return display_rows(line)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    model = LogModel(MemorySource(numbered(100)))
    await model.start()
    time, shown = [0.0], asyncio.Event()
    reader = Reader(model, lay, shown.set, clock=lambda: time[0], fps=1 / INTERVAL_S)
    reader.resize(20)
    running = asyncio.create_task(reader.run())
    async with asyncio.timeout(PATIENCE_S):
        await shown.wait()
    assert len(reader.rows) == 20
    yield Watch(reader, time, shown)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await model.close()


async def test_news_are_painted_when_the_interval_is_over(watch: Watch) -> None:
    before = watch.reader.loads
    watch.at(INTERVAL_S)
    watch.reader.news()
    assert await watch.loads() == before + 1


async def test_news_wait_for_what_a_key_leads_to(watch: Watch) -> None:
    before = watch.reader.loads
    watch.at(INTERVAL_S - 1)
    watch.reader.keyed()
    watch.at(INTERVAL_S)
    watch.reader.news()
    assert await watch.loads() == before
    watch.reader.end()  # what the key led to
    assert await watch.loads() == before + 1


async def test_keys_that_never_rest_hold_news_up_for_three_intervals(watch: Watch) -> None:
    before = watch.reader.loads
    watch.at(3 * INTERVAL_S - 1)
    watch.reader.keyed()
    watch.at(3 * INTERVAL_S)
    watch.reader.news()
    assert await watch.loads() == before + 1


async def test_a_key_over_the_log_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    async with desk(numbered(100)) as at:
        monkeypatch.setattr(at.pane.reader, "keyed", lambda: told.append(True))
        await at.press("Z")
        assert told == [True]


LONG = b"".join(b"%d " % number + b"y" * 10_000 + b"\n" for number in range(200))


@pytest.fixture
async def long_lines(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    """A log of lines of which one answer holds fewer than a screen, once what is to be counted is counted."""
    monkeypatch.setattr(model_module, "LIMIT", 64 << 10)
    model = LogModel(MemorySource(LONG))
    await model.start()
    await reached(model, lambda: model.state.lines is not None)
    time = [0.0]
    changed = asyncio.Event()
    reader = Reader(model, lay, changed.set, clock=lambda: time[0], fps=1 / INTERVAL_S)
    reader.resize(20)
    running = asyncio.create_task(reader.run())
    yield Watch(reader, time, changed)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await model.close()


async def shows(watch: Watch, first: int) -> None:
    """Until the screen is full and begins with a line."""
    wanted = [str(number) for number in range(first, first + 20)]
    async with asyncio.timeout(PATIENCE_S):
        while [row.shown.text.split()[0] for row in watch.reader.rows] != wanted:
            await watch.changed.wait()
            watch.changed.clear()


async def test_a_screen_of_long_lines_is_full_and_is_left_a_page_at_a_time_to_the_top_and_back(
    long_lines: Watch,
) -> None:
    reader = long_lines.reader
    await shows(long_lines, 180)
    for first in range(160, -1, -20):
        reader.scroll(-20)
        await shows(long_lines, first)
    assert reader.at_top
    for first in range(20, 181, 20):
        reader.scroll(20)
        await shows(long_lines, first)
    reader.home()
    await shows(long_lines, 0)
    reader.show(Place(0, LONG.index(b"\n90 ") + 1), above=10)
    await shows(long_lines, 80)


async def test_a_screen_of_long_lines_is_not_read_again_while_nothing_happens(long_lines: Watch) -> None:
    reader = long_lines.reader
    await shows(long_lines, 180)
    reader.scroll(-40)
    await shows(long_lines, 140)
    assert reader.view.cut
    assert not reader.view.busy
    before = await long_lines.loads()
    long_lines.at(2 * INTERVAL_S)
    reader.news()
    assert await long_lines.loads() == before


@pytest.mark.parametrize("pages", [1, 6, 15])
async def test_pages_that_are_turned_faster_than_lines_are_read_all_count(pages: int) -> None:
    async with desk(numbered(2000)) as at:
        reader = at.pane.reader
        assert reader is not None
        height = reader.view.height
        for _ in range(pages):
            reader.scroll(-height)
        await at.until(lambda: at.lines[0] == f"line {2001 - (pages + 1) * height}")
        for _ in range(pages):
            reader.scroll(height)
        await at.until(lambda: at.lines[0] == f"line {2001 - height}")
        await at.settled()
        assert at.lines[0] == f"line {2001 - height}"


async def test_pages_up_and_down_at_once_lead_nowhere() -> None:
    async with desk(numbered(2000)) as at:
        reader = at.pane.reader
        assert reader is not None
        height = reader.view.height
        for rows in (*[-height] * 9, *[height] * 8):
            reader.scroll(rows)
        await at.until(lambda: at.lines[0] == f"line {2001 - 2 * height}")
        await at.settled()
        assert at.lines[0] == f"line {2001 - 2 * height}"
