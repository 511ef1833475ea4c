"""A very long line is many rows on a screen; it is saved and copied as what it is in the file: one line."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hosts.errors import InputError
from hosts.local import lines
from hosts.target import Target
from monitors.logs import walk
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.types import Filter, Place, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.panes import desk, numbered
from tests.tui.logs.test_pieces import at_once, opened, seen
from tui.logs import pieces as module
from tui.logs import selection, wholes
from tui.logs.pieces import pieces
from tui.logs.rows import display_rows
from tui.logs.selection import Point, Selection, collect
from tui.logs.wholes import Lost

BLOCK = 512
NEEDLE = Query("needle")
FILTERS = {
    "hits": Filter((NEEDLE,)),
    "without": Filter(exclude=(NEEDLE,)),
    "context": Filter((NEEDLE,), context=1),
    "without, context": Filter(exclude=(NEEDLE,), context=2),
    "from": Filter((NEEDLE,), since=Place(0, 4000)),
    "up to": Filter(exclude=(NEEDLE,), until=Place(0, 7000)),
    "between": Filter((NEEDLE,), context=1, since=Place(0, 3000), until=Place(0, 9000)),
}


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of some kB are long."""
    monkeypatch.setattr(lines, "BLOCK", BLOCK)
    monkeypatch.setattr(walk, "PAGE", 128)  # a page is never larger than a block
    monkeypatch.setattr(walk, "_MOST", BLOCK)
    monkeypatch.setattr(module, "_MOST", 700)
    monkeypatch.setattr(wholes, "STEP", 300)


def log(seed: int) -> bytes:
    """Lines of all lengths, with needles in some places of them; the last one may be unfinished."""
    some = random.Random(seed)
    made = []
    for _ in range(some.randrange(10, 60)):
        line = bytearray(b"hay " * (some.randrange(100, 1500) if some.random() < 0.3 else some.randrange(5)))
        for _ in range(some.choice([0, 0, 1, 2])):
            place = some.randrange(len(line) + 1)
            line[place:place] = b"needle"
        made.append(bytes(line) + b"\n")
    return b"".join(made) + (b"needle" if some.random() < 0.3 else b"")


def rows_of(begin: int, end: int) -> list[int]:
    """Where the rows of a line begin."""
    return [begin, *(at for at in range(-(-begin // BLOCK) * BLOCK, end, BLOCK) if at - BLOCK >= begin and at > begin)]


def expected(data: bytes, spec: Filter) -> tuple[bytes, int]:
    """What is to be saved, worked out from the file alone: the lines of all rows that are shown, in the range."""
    starts: list[int] = []
    owners: list[int] = []
    begin = 0
    for number, line in enumerate(data.splitlines(keepends=True)):
        rows = rows_of(begin, begin + len(line))
        starts += rows
        owners += [number] * len(rows)
        begin += len(line)
    since = spec.since.offset if spec.since is not None else 0
    until = spec.until.offset if spec.until is not None else len(data)
    shown: set[int] = set()
    ends = [*starts[1:], len(data)]
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        passes = (b"needle" in data[start:end]) is bool(spec.include)
        if passes and since <= start < until:
            shown |= {*range(row - spec.context, row + spec.context + 1)}
    shown = {row for row in shown if 0 <= row < len(starts) and since <= starts[row] < until}
    chosen = {owners[row] for row in shown}
    within = [row for row, owner in enumerate(owners) if owner in chosen and since <= starts[row] < until]
    return b"".join(data[starts[row] : ends[row]] for row in within), len(chosen)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("spec", FILTERS.values(), ids=FILTERS)
async def test_every_line_that_passes_is_saved_as_it_is_in_the_file(spec: Filter, seed: int) -> None:
    data = log(seed)
    async with opened(data, spec) as (model, _):
        assert await at_once(model, model.start_place(), model.end_place(), spec) == expected(data, spec)


@pytest.mark.usefixtures("_small")
async def test_a_wide_line_is_whole_too() -> None:
    text = "\ufeffhay\n" + "hay " * 1000 + "needle" + "\u0a0a" * 1000 + "\nhay\nneedle\n"
    spec = Filter((NEEDLE,))
    async with opened(text.encode("utf-16-le"), spec) as (model, _):
        found, count = await at_once(model, model.start_place(), model.end_place(), spec)
        assert found.decode("utf-16-le").split("\n") == [*text.split("\n")[1:2], "needle", ""]
        assert count == 2


async def test_lines_of_a_real_file_with_real_blocks(tmp_path: Path) -> None:
    data = b"hay\n" + b"y" * (3 << 20) + b"needle" + b"y" * (2 << 20) + b"\nhay\n" + b"z" * (3 << 20) + b"\nneedle\n"
    path = tmp_path / "long.log"
    path.write_bytes(data)
    whole = data.splitlines(keepends=True)
    for spec, wanted in ((Filter((NEEDLE,)), whole[1::3]), (Filter((NEEDLE,), context=1), [whole[1], *whole[3:]])):
        model = LogModel(await open_source(Target(None, str(path))))
        await model.start()
        model.filter(spec)
        await seen(model)
        found, count = await at_once(model, model.start_place(), model.end_place(), spec)
        assert found == b"".join(wanted)
        assert count == len(wanted)
        await model.close()


async def test_a_long_line_is_copied_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    long = b"y" * (2 << 20) + b"needle" + b"y" * (2 << 20)
    async with opened(b"hay\n" + long + b"\nhay\nneedle\n", Filter((NEEDLE,))) as (model, _):
        everything = Selection(Point(model.start_place()), Point(model.end_place()), lines=True)
        taken = await collect(model, everything, display_rows)
        assert taken.text == long.decode() + "\nneedle\n"
        assert taken.what == "2 lines"
        monkeypatch.setattr(selection, "MOST", 2 << 20)
        with pytest.raises(InputError, match="save them to a file instead"):
            await collect(model, everything, display_rows)


def forgotten(source: MemorySource) -> None:
    source.forget(0, 3_000_000)


def truncated(source: MemorySource) -> None:
    source.truncate(kept=100_000)


def dropped(source: MemorySource) -> None:
    source.rotate(numbered(1000))
    source.forget(0)


@pytest.mark.parametrize("throw", [forgotten, truncated, dropped])
@pytest.mark.parametrize("data", [numbered(400_000), b"y" * 4_600_000 + b"\n"], ids=["lines", "one line"])
async def test_what_is_thrown_away_meanwhile_is_told(data: bytes, throw: Callable[[MemorySource], None]) -> None:
    async with opened(data, None) as (model, source):
        lost, found = Lost(), []
        async for piece in pieces(model, model.start_place(), model.end_place(), None, lost):
            found += [part for _, part in piece.parts]
            if len(b"".join(found)) > 1 << 20 and not lost.size and source.shape.generations[0].first == 0:
                throw(source)
        seams = found.count(b"\n")  # what is left of a line is no part of what was had of it
        saved = b"".join(found)
        assert seams == (throw is not dropped and data.startswith(b"y"))
        assert 0 < len(saved) - seams == len(data) - lost.size < len(data)


async def test_the_message_tells_what_was_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = numbered(3_000_000)
    async with desk(data) as at:
        await at.until(lambda: "3,000,000 lines" in at.rows[-2])
        await at.press("S")
        await at.type("saved.txt")
        at.source.open.clear()
        await at.press("enter")
        at.source.forget(0, 20_000_000)
        at.source.open.set()
        await at.until(lambda: "MB of the log were thrown away meanwhile and are missing" in at.shown)
        await at.until((tmp_path / "saved.txt").exists)
        assert len((tmp_path / "saved.txt").read_bytes()) < len(data) - 10_000_000
