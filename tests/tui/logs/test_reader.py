"""When news of a log are painted, by a clock that the test sets; an interval is so long that none ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from hosts.local import lines
from hosts.local.counting import Counts
from hosts.local.lines import Encoding
from monitors.logs import model as model_module
from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, MarkKind, Place
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


@contextlib.asynccontextmanager
async def reading(source: MemorySource) -> AsyncIterator[Watch]:
    """Somebody who sees the last 20 rows of a log."""
    model = LogModel(source)
    await model.start()
    time, shown = [0.0], asyncio.Event()
    reader = Reader(model, lay, shown.set, clock=lambda: time[0], fps=1 / INTERVAL_S)
    reader.resize(20)
    running = asyncio.create_task(reader.run())
    async with asyncio.timeout(PATIENCE_S):
        await shown.wait()
    assert len(reader.rows) == 20
    try:
        yield Watch(reader, time, shown)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await model.close()


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    async with reading(MemorySource(numbered(100))) as made:
        yield made


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


async def look(watch: Watch, at: Place) -> None:
    """Pause at a line, and have all read that this leads to."""
    watch.reader.show(at, above=0)
    async with asyncio.timeout(PATIENCE_S):
        while watch.reader.rows[0].line.at != at:
            await watch.changed.wait()
            watch.changed.clear()
    await watch.loads()


async def comes(watch: Watch, true: Callable[[], bool]) -> None:
    """Until something holds that nobody but the log's news can lead to."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            watch.at(watch.time[0] + INTERVAL_S)
            watch.reader.news()
            await asyncio.sleep(0.01)


async def test_whoever_pauses_is_told_at_once_what_is_missing() -> None:
    source = MemorySource(numbered(500))
    async with reading(source) as watch:
        await look(watch, Place(0, 0))
        source.mark(MarkKind.LOST, "a gap", at=Place(0, len(numbered(5))))
        await comes(watch, lambda: watch.reader.rows[5].index < 0)
        assert watch.reader.rows[6].shown.text == "line 6"


async def test_what_one_pauses_at_is_read_again_once_it_is_known_how_it_is_written() -> None:
    data = ("\n" * 30 + "on\n" * 100).encode("utf-16-le")  # without a mark, 64 bytes tell
    source = MemorySource(data[:60])
    async with reading(source) as watch:
        await look(watch, Place(0, 0))
        assert {row.line.encoding for row in watch.reader.rows} == {"utf-8"}
        assert all(row.line.complete for row in watch.reader.rows)
        source.append(data[60:])
        await comes(watch, lambda: {row.line.encoding for row in watch.reader.rows} == {"utf-16-le"})


class LateSource(MemorySource):
    """A log that is counted where it lies, and not before it is said to be."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.counted = asyncio.Event()

    def counter(self, generation: int) -> LateSource:
        assert generation == 0
        return self

    def held(self, at: int, size: int) -> bytes | None:
        return None

    async def count(self, low: int, size: int, encoding: Encoding) -> AsyncGenerator[Counts]:
        await self.counted.wait()
        whole = self.whole(0)
        for begin in range(low, size, lines.BLOCK):
            end = min(begin + lines.BLOCK, size)
            yield [(begin // lines.BLOCK, end, lines.count(whole[begin:end], encoding, begin))]


async def test_lines_that_one_pauses_at_have_their_numbers_as_soon_as_they_are_counted() -> None:
    source = LateSource(numbered(300_000))
    async with reading(source) as watch:
        watch.reader.numbers = True
        await look(watch, Place(0, len(numbered(250_000))))
        assert [row.line.number for row in watch.reader.rows] == [None] * 20
        source.counted.set()
        await comes(watch, lambda: [row.line.number for row in watch.reader.rows] == [*range(250_001, 250_021)])


async def test_a_key_that_is_held_on_a_slow_log_leads_no_further_than_a_few_screens() -> None:
    source = MemorySource(numbered(100_000))
    async with reading(source) as watch:
        await reached(watch.reader.model, lambda: watch.reader.model.state.lines is not None)
        source.open.clear()
        for _ in range(100):
            watch.reader.scroll(-20)
        source.open.set()
        async with asyncio.timeout(PATIENCE_S):
            while watch.reader.rows[-1].shown.text == "line 100000":
                await watch.changed.wait()
                watch.changed.clear()
        await watch.loads()
        assert watch.reader.rows[-1].shown.text == f"line {100_000 - 50 * 20}"


class StuckSource(MemorySource):
    """A log whose second MiB nobody gives, once it is so."""

    stuck = False

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        if self.stuck and 1 << 20 <= offset < 2 << 20:
            await asyncio.Event().wait()
        return await super().read(generation, offset, size)


async def test_a_read_that_does_not_end_makes_room_for_what_is_wanted_by_now() -> None:
    source = StuckSource(numbered(300_000))
    async with reading(source) as watch:
        await reached(watch.reader.model, lambda: watch.reader.model.state.lines is not None)
        source.stuck = True
        watch.reader.show(Place(0, 3 << 19), above=0)
        await watch.loads()
        await look(watch, Place(0, len(numbered(50_000))))
