"""What is saved in large pieces is what is shown line by line, whatever the log and the filter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hosts.local import lines
from hosts.local.blocks import BlockHits
from hosts.local.levels import Level
from monitors.logs.hitmap import HitMap
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, Place, Query, Window
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.panes import numbered
from tui.logs import pieces as module
from tui.logs.batches import batches
from tui.logs.pieces import pieces

PATIENCE_S = 30.0
BAR = b"\r".join(b"loading: %d%%|##| %d/100" % (share, share) for share in range(0, 101, 20)) + b"\n"
CLIMB = b"0: 10%|#  | 1/10\n\x1b[A0: 20%|## | 2/10\n"
LEVELS = b"INFO it begins\n" * 40 + b"ERROR it ends\n  File x\n  File y\n" * 30 + b"DEBUG more\n" * 40
LOGS = {
    "lines": numbered(2000),
    "unfinished": numbered(300) + b"line 7 and no end",
    "bars": numbered(200) + BAR * 20 + numbered(200),
    "climbing": numbered(300) + CLIMB * 30 + numbered(300),
    "long": numbered(100) + b"7" * 3000 + b"\n" + numbered(100) + b"y" * 900 + b"\n" + numbered(50),
    "blank": b"\n" * 700 + b"7\r\n" * 300,
    "levels": LEVELS,
    "wide": "\ufeff".encode("utf-16-le") + numbered(400).decode().encode("utf-16-le"),
}
FILTERS = {
    "none": None,
    "sparse": Filter((Query("77"),)),
    "dense": Filter((Query("7"),)),
    "without": Filter(exclude=(Query("7"),)),
    "context": Filter((Query("77"),), context=2),
    "level": Filter(level=Level.WARNING),
    "between": Filter((Query("7"),), since=Place(0, 700), until=Place(0, 2500)),
    "part": Filter(since=Place(0, 700), until=Place(0, 2500)),
}


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that even a short log has many."""
    monkeypatch.setattr(lines, "BLOCK", 512)
    monkeypatch.setattr(module, "_MOST", 700)


async def seen(model: LogModel) -> None:
    """Wait until all is counted and filtered."""
    changed = asyncio.Event()
    unlisten = model.listen(changed.set)
    async with asyncio.timeout(PATIENCE_S):
        while model.state.lines is None or (model.state.filter is not None and not model.state.filter.done):
            changed.clear()
            await changed.wait()
    unlisten()


@asynccontextmanager
async def opened(data: bytes, spec: Filter | None) -> AsyncIterator[tuple[LogModel, MemorySource]]:
    source = MemorySource(data)
    model = LogModel(source)
    await model.start()
    model.filter(spec)
    await seen(model)
    try:
        yield model, source
    finally:
        await model.close()


async def by_line(model: LogModel, at: Place, end: Place) -> tuple[bytes, int]:
    data, count = b"", 0
    async for some in batches(model, at, end, 100):
        for line in some:
            data += await model.read(line.at, line.end - line.at.offset) if line.end > line.at.offset else b""
            count += line.piece == 0 and line.end > line.at.offset
    return data, count


async def at_once(model: LogModel, at: Place, end: Place, spec: Filter | None) -> tuple[bytes, int]:
    data, count = b"", 0
    async for piece in pieces(model, at, end, spec):
        data += b"".join(part for _, part in piece.parts)
        count += piece.lines
    return data, count


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("spec", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("data", LOGS.values(), ids=LOGS)
async def test_the_same_as_line_by_line(data: bytes, spec: Filter | None) -> None:
    async with opened(data, spec) as (model, _):
        start, end = model.start_place(), model.end_place()
        assert await at_once(model, start, end, spec) == await by_line(model, start, end)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("pad", range(len(CLIMB)))
async def test_what_climbs_behind_a_piece_paints_over_its_end(pad: int) -> None:
    """Wherever the piece ends: the line above may be its last."""
    data = numbered(200) + b"y" * pad + b"\n" + CLIMB + numbered(200)
    async with opened(data, None) as (model, _):
        start, end = model.start_place(), model.end_place()
        assert await at_once(model, start, end, None) == await by_line(model, start, end)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("late", [3, 20, 40])
async def test_hits_that_are_not_known_yet_are_waited_for(late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, data = FILTERS["dense"], b"".join(b"line %010d\n" % number for number in range(2000))  # no row in two blocks
    withheld: list[tuple[HitMap, int, BlockHits]] = []
    put = HitMap.put

    def withhold(self: HitMap, generation: int, found: BlockHits) -> None:
        if found.block == late:
            withheld.append((self, generation, found))
        else:
            put(self, generation, found)

    monkeypatch.setattr(HitMap, "put", withhold)
    async with opened(data, spec) as (model, _):
        assert withheld
        window = model.window

        async def looked(at: Place, before: int, after: int) -> Window:
            found = await window(at, before, after)
            if found.busy and not found.lines:
                for one in withheld:
                    put(*one)
            return found

        monkeypatch.setattr(model, "window", looked)
        found, _ = await at_once(model, model.start_place(), model.end_place(), spec)
        assert found == b"".join(line for line in data.splitlines(keepends=True) if b"7" in line)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("spec", FILTERS.values(), ids=FILTERS)
async def test_a_log_that_turned_and_lost_its_beginning(spec: Filter | None) -> None:
    async with opened(numbered(500), spec) as (model, source):
        source.rotate(numbered(500, 3000))
        source.forget(0, 1000)
        source.append(numbered(77))
        await seen(model)
        start, end = model.start_place(), model.end_place()
        assert await at_once(model, start, end, spec) == await by_line(model, start, end)


@pytest.mark.parametrize("spec", [None, FILTERS["dense"], FILTERS["without"]], ids=["all", "dense", "without"])
async def test_few_single_lines_are_looked_at(spec: Filter | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(numbered(500_000), spec) as (model, _):
        asked = 0
        window = model.window

        async def counted(at: Place, before: int, after: int) -> object:
            nonlocal asked
            asked += after
            return await window(at, before, after)

        monkeypatch.setattr(model, "window", counted)
        _, count = await at_once(model, model.start_place(), model.end_place(), spec)
        assert count > 100_000
        assert asked < count / 5
