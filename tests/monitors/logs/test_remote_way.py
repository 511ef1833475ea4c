"""A log on a host that does not answer: what is told of that, and when it is tried again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.connection import Connection, Way
from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.host import Chunk
from hosts.lent import lend
from monitors.logs.remote import RemoteSource
from monitors.logs.types import Status
from tests.peers.callers import until

SOON_S = 6.0


class Box(LocalReader):
    """This machine, over a connection that waits before it tries again."""

    def __init__(self) -> None:
        super().__init__("box")
        self.connection = Connection(Way.UP, time.time())
        self.said = "box: retry in 49 s (connect to 127.0.0.1:22: connection\nrefused)"

    def wait(self, seconds: float) -> None:
        """It is lost, and tried again so much later."""
        now = time.time()
        self.connection = Connection(Way.WAITING, now, None, now + seconds, "connection refused")

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        now = time.time()
        if self.connection.way is not Way.UP and (self.connection.retry_at or now) > now:
            raise UnreachableError(self.said)
        self.connection = replace(self.connection, way=Way.UP, retry_at=None)
        return await super().read(path, offset, size)


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture(params=[False, True], ids=["its own", "lent"])
async def log(request: pytest.FixtureRequest, box: Box, tmp_path: Path) -> AsyncIterator[RemoteSource]:
    path = tmp_path / "run.log"
    path.write_text("one\n")
    source = RemoteSource(lend(box) if request.param else box, str(path), visible_interval=0.01)
    source._way._fails = 16  # it was away for long: the next wait of the log's own is a long one
    try:
        await source.start(lambda: None)
        yield source
    finally:
        await source.close()


async def lost(log: RemoteSource, box: Box, seconds: float) -> None:
    """The way is lost once the log was seen, and tried again so much later."""
    assert await until(lambda: log.shape.status is Status.LIVE)
    log._way._fails = 16
    box.wait(seconds)
    assert await until(lambda: log.shape.status is Status.STALE)


async def test_why_it_is_lost_is_told_without_a_number_that_would_stand_still(log: RemoteSource, box: Box) -> None:
    await lost(log, box, 50.0)
    assert log.shape.detail == "box: connect to 127.0.0.1:22: connection refused"


async def test_it_is_tried_again_as_soon_as_its_host_is(log: RemoteSource, box: Box) -> None:
    await lost(log, box, 1.0)
    assert await until(lambda: log.shape.status is Status.LIVE, SOON_S)


async def test_it_is_tried_again_as_soon_also_where_our_clock_is_set_back(log: RemoteSource, box: Box) -> None:
    await lost(log, box, 1.0)
    log._way._now = lambda: time.time() - 3600.0
    assert await until(lambda: log.shape.status is Status.LIVE, SOON_S)


async def test_it_is_tried_again_once_somebody_else_has_reached_its_host(log: RemoteSource, box: Box) -> None:
    await lost(log, box, 50.0)
    box.connection = Connection(Way.UP, time.time())
    assert await until(lambda: log.shape.status is Status.LIVE, SOON_S)


async def test_a_time_that_has_come_and_helps_nothing_is_no_reason_to_ask_all_the_time(
    log: RemoteSource, box: Box
) -> None:
    await lost(log, box, 50.0)
    box.connection = replace(box.connection, retry_at=time.time())
    tries = 0

    async def read(path: str, offset: int, size: int) -> Chunk:
        nonlocal tries
        tries += 1
        raise UnreachableError(box.said)

    box.read = read  # type: ignore[method-assign]
    assert not await until(lambda: tries > 20, 2.0)
