"""A log that nobody sees costs nothing but counting, and is right at once when somebody sees it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.scanning import Scanner
from monitors.logs.types import Filter, Place, Query

PATIENCE_S = 30.0
OTHER = b"nothing to see\n"
HIT = b"a HIT\n"
HITS = Filter((Query("HIT"),))
SLOWLY = Filter((Query("(?<=a )HIT|(n)othi(.)g (.)o .*(s)..e", regex=True),))
MUCH = 20_000_000 // len(OTHER)


@pytest.fixture(params=[0, 4 << 20], ids=["worker", "thread"])
def small(request: pytest.FixtureRequest) -> int:
    """Bytes up to which a thread looks, and no worker."""
    return int(request.param)


@asynccontextmanager
async def opened(path: Path, small: int) -> AsyncIterator[LogModel]:
    scanner = Scanner(small=small)
    model = LogModel(await open_source(Target(None, str(path))), scanner=scanner)
    await model.start()
    try:
        yield model
    finally:
        await model.close()
        await scanner.close()


async def until(model: LogModel, what: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    unlisten = model.listen(changed.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                changed.clear()
                await changed.wait()
    finally:
        unlisten()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def looked(model: LogModel) -> tuple[int, int]:
    """Bytes that the filter has looked at, and lines that it found."""
    passing = model.state.filter
    assert passing is not None
    return passing.scanned, passing.hits


async def shown(model: LogModel) -> list[bytes]:
    window = await model.window(model.end_place(), 10, 0)
    return [line.data for line in window.lines]


async def test_what_is_written_while_nobody_sees_it_is_counted_alone(tmp_path: Path, small: int) -> None:
    path = tmp_path / "growing.log"
    path.write_bytes(OTHER * 100 + HIT)
    async with opened(path, small) as model:
        model.filter(HITS)
        search = model.search(Query("see"))
        await until(model, lambda: looked(model) == (path.stat().st_size, 1) and search.progress.hits == 100)
        before = looked(model), search.progress
        model.visible(False)
        for number in range(5):
            append(path, HIT + OTHER * 10)
            await until(model, lambda number=number: model.state.lines == 101 + 11 * (number + 1))  # type: ignore[misc]
        assert (looked(model), search.progress.scanned) == (before[0], before[1].scanned)
        model.visible(True)
        await until(model, lambda: looked(model) == (path.stat().st_size, 6) and search.progress.hits == 150)
        assert await shown(model) == [HIT.strip()] * 6
        assert await search.previous(model.end_place()) is not None


async def test_a_filter_that_is_not_through_waits_to_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    path.write_bytes(HIT + OTHER * MUCH)
    async with opened(path, 0) as model:
        await until(model, lambda: model.state.lines == MUCH + 1)
        model.filter(SLOWLY)
        await until(model, lambda: looked(model)[0] > 0)
        model.visible(False)
        before = looked(model)
        assert before[0] < path.stat().st_size
        append(path, HIT)
        await until(model, lambda: model.state.lines == MUCH + 2)
        assert looked(model) == before
        model.visible(True)
        await until(model, lambda: looked(model) == (path.stat().st_size, 2))
        assert await shown(model) == [HIT.strip()] * 2


async def test_what_is_asked_for_while_nobody_sees_it_begins_when_somebody_does(tmp_path: Path, small: int) -> None:
    path = tmp_path / "quiet.log"
    path.write_bytes(HIT + OTHER * 1000)
    async with opened(path, small) as model:
        model.visible(False)
        model.filter(HITS)
        await until(model, lambda: model.state.lines == 1001)
        assert looked(model) == (0, 0)
        model.visible(True)
        await until(model, lambda: looked(model) == (path.stat().st_size, 1))
        assert await shown(model) == [HIT.strip()]


async def test_a_log_that_turned_meanwhile_is_looked_at_whole(tmp_path: Path, small: int) -> None:
    path = tmp_path / "turning.log"
    path.write_bytes(HIT * 3)
    async with opened(path, small) as model:
        model.filter(HITS)
        await until(model, lambda: looked(model)[1] == 3)
        model.visible(False)
        path.rename(tmp_path / "turning.log.1")
        path.write_bytes("a HIT of another encoding\n".encode("utf-16") * 2)
        await until(model, lambda: model.state.encoding == "utf-16-le" and model.state.lines == 5)
        assert looked(model)[1] == 3
        model.visible(True)
        await until(model, lambda: looked(model)[1] == 5)


async def test_who_needs_what_is_found_gets_it_all_the_same(tmp_path: Path, small: int) -> None:
    path = tmp_path / "saved.log"
    path.write_bytes(OTHER * 100)
    async with opened(path, small) as model:
        model.filter(HITS)
        await until(model, lambda: looked(model)[0] == path.stat().st_size)
        model.visible(False)
        append(path, HIT)
        await until(model, lambda: model.state.lines == 101)
        with model.needed():
            await until(model, lambda: looked(model)[1] == 1)
        append(path, HIT)
        await until(model, lambda: model.state.lines == 102)
        assert looked(model)[1] == 1
        model.visible(True)
        await until(model, lambda: looked(model)[1] == 2)
        assert await shown(model) == [HIT.strip()] * 2
        assert model.start_place() == Place(0, 0)
