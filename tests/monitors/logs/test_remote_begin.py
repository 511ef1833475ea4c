"""A way that is lost when a log was looked at for the first time, and nothing of it has come over."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hosts.errors import UnreachableError
from hosts.host import Chunk
from monitors.logs import remote, remote_way
from monitors.logs.remote import RemoteSource
from monitors.logs.types import MarkKind
from tests.monitors.logs.test_remote import Way, append, kinds, lines, readable, sizes
from tests.peers.callers import until

Open = Callable[[], Awaitable[RemoteSource]]


class Early(Way):
    """A way that is lost as soon as more than a little is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = True

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        if self.fails and size > remote._TAIL // 4:
            raise UnreachableError("box: the connection was lost")
        return await super().read(path, offset, size)


@pytest.fixture
def way() -> Early:
    return Early()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


@pytest.fixture
async def follow(log: Path, way: Early, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    monkeypatch.setattr(remote_way, "_FIRST_S", 0.01)
    made: list[RemoteSource] = []

    async def make() -> RemoteSource:
        made.append(RemoteSource(way, str(log), visible_interval=0.01))
        await made[-1].start(lambda: None)
        return made[-1]

    yield make
    for source in made:
        await source.close()


@pytest.mark.parametrize("count", [200, 20_000])
async def test_a_copy_that_is_made_then_is_found(follow: Open, log: Path, way: Early, count: int) -> None:
    append(log, lines(count))
    source = await follow()
    assert await until(lambda: sizes(source) == [len(lines(count))] and source.shape.detail != "")
    append(log, lines(5_000, count))
    shutil.copyfile(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, "new\n")
    way.fails = False
    assert await until(lambda: sizes(source) == [len(lines(count + 5_000)), 4])
    assert await readable(source) == lines(count + 5_000) + b"new\n"
    assert [kind for kind in kinds(source) if kind is not MarkKind.OFFLINE] == [MarkKind.ROTATED]


async def test_of_a_file_that_went_then_nobody_knows_how_long_it_was(follow: Open, log: Path, way: Early) -> None:
    append(log, lines(200))
    source = await follow()
    assert await until(lambda: sizes(source) == [len(lines(200))] and source.shape.detail != "")
    append(log, lines(5_000, 200))
    os.truncate(log, 0)
    append(log, "new\n")
    way.fails = False
    assert await until(lambda: sizes(source)[1:] == [4])
    [lost] = [mark for mark in source.shape.marks if mark.kind is MarkKind.LOST]
    assert lost.text == f"at least {len(lines(200)):,} bytes went with the file that held them"


@pytest.mark.blocks_loop(reason="the writer takes its turn in the middle of a look")
async def test_what_is_known_of_another_file_is_no_help(follow: Open, log: Path, way: Early) -> None:
    """The one at the path was looked at, and is another one by the time that its end is."""
    append(log, lines(20_000))
    read, rotations = way.read, iter([f"{log}.1"])

    async def turned(path: str, offset: int, size: int) -> Chunk:
        if offset and (name := next(rotations, None)):
            os.rename(log, name)
            append(log, b"another " + lines(20_000, 7))
        return await read(path, offset, size)

    way.read = turned  # type: ignore[method-assign]
    way.fails = False
    source = await follow()
    assert await until(lambda: sizes(source) == [len(lines(20_000)), len(lines(20_000)) + 8])
    assert await until(lambda: source._place()[0].offset == len(lines(20_000)) + 8)
    assert await readable(source) == lines(20_000) + b"another " + lines(20_000, 7)
