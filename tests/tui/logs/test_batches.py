"""Copying and saving more than one answer gives, before the filter has looked at all of it, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from monitors.logs.model import LogModel
from monitors.logs.types import Filter, LogLine, Place, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.panes import desk
from tui.logs.batches import batches
from tui.logs.rows import DisplayRow, display_rows
from tui.logs.selection import Point, Selection, collect

APART = b"".join(b"HIT %d\n" % number + b"nothing\n" * 9000 for number in range(200))
HITS = [f"HIT {number}" for number in range(200)]


def whole(line: LogLine) -> tuple[DisplayRow, ...]:
    return display_rows(line)


async def test_hits_that_are_not_found_yet_are_all_copied() -> None:
    model = LogModel(MemorySource(b"nothing\n" * 4_000_000 + APART))
    await model.start()
    model.filter(Filter((Query("HIT"),)))
    everything = Selection(Point(Place(0, 0)), Point(model.end_place()), lines=True)
    taken = await collect(model, everything, whole)
    assert taken.text.splitlines() == HITS
    assert taken.what == "200 lines"
    await model.close()


async def test_hits_that_are_far_apart_are_all_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with desk(APART) as at:
        await at.press("ampersand")
        await at.type("HIT")
        await at.press("enter")
        await at.press("S")
        await at.type("hits.txt")
        await at.press("enter")
        await at.until((tmp_path / "hits.txt").exists)
        assert (tmp_path / "hits.txt").read_text().splitlines() == HITS


async def test_lines_end_where_they_are_wanted_to() -> None:
    model = LogModel(MemorySource(b"a\nb\nc\nd\n"))
    await model.start()
    found = [[line.data for line in lines] async for lines in batches(model, Place(0, 2), Place(0, 6), 1)]
    assert found == [[b"b"], [b"c"]]
    await model.close()


async def test_saving_a_long_line_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = b"y" * (96 << 20) + b"\n"
    async with desk(data) as at:
        await at.until(lambda: "1 line," in at.rows[-2])
        tracemalloc.start()
        try:
            await at.press("S")
            await at.type("long.txt")
            await at.press("enter")
            await at.until((tmp_path / "long.txt").exists)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 48 << 20
        assert (tmp_path / "long.txt").read_bytes() == data
