"""Which day a log is of that shows clocks alone: that of its file, wherever that is."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.host import Chunk
from monitors.logs.days import DatedSource
from monitors.logs.local import LocalSource
from monitors.logs.looking import Look
from monitors.logs.model import LogModel
from monitors.logs.pointing import LocalLooker, PointingSource
from monitors.logs.remote import RemoteSource
from monitors.logs.types import Source
from tests.peers.callers import until

UTC = timezone.utc
ENDED = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
BEGAN = ENDED - timedelta(hours=16)


def local(path: Path) -> Source:
    return LocalSource(str(path))


def far(path: Path) -> Source:
    return RemoteSource(LocalReader("box"), str(path))


def pointing(path: Path) -> PointingSource:
    looker = LocalLooker(Look(str(path.parent), None))
    return PointingSource(looker, LocalSource, str(path.parent), "no log yet")


@pytest.mark.parametrize("make", [local, far, pointing])
async def test_a_log_of_clocks_is_of_when_its_file_was_written(make: Callable[[Path], Source], tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    rows = [f"{BEGAN + timedelta(minutes=number):%H:%M:%S} line {number}\n" for number in range(16 * 60)]
    path.write_text("".join(rows))
    os.utime(path, (ENDED.timestamp(),) * 2)
    source = make(path)
    assert isinstance(source, DatedSource)
    model = LogModel(source, zone=UTC)
    await model.start()
    try:
        assert await until(lambda: model.state.bytes > 0)
        assert await source.written() == ENDED.timestamp()
        for hours in (1, 4, 7, 15):
            place = await model.at_time((BEGAN + timedelta(hours=hours)).timestamp())
            assert place is not None
            assert (await model.read(place, 17)).split()[2] == b"%d" % (hours * 60)
        assert await model.at_time((ENDED + timedelta(days=1)).timestamp()) is None
        assert await model.at_time((BEGAN - timedelta(days=2)).timestamp()) == model.start_place()
    finally:
        await model.close()


async def test_a_host_that_does_not_say_when(tmp_path: Path) -> None:
    class Lost(LocalReader):
        async def read(self, path: str, offset: int, size: int) -> Chunk:
            raise UnreachableError("box: the connection was lost")

    assert await RemoteSource(Lost("box"), str(tmp_path / "run.log")).written() is None
    assert await LocalSource(str(tmp_path / "run.log")).written() is None
    assert await pointing(tmp_path / "run.log").written() is None
