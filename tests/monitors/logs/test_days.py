"""Which day a log is of that shows clocks alone: that of its file, wherever that is."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.host import Chunk
from monitors.logs.days import DAY, FAR, DatedSource, Stamp, clocks
from monitors.logs.local import LocalSource
from monitors.logs.looking import Look
from monitors.logs.model import LogModel
from monitors.logs.pointing import LocalLooker, PointingSource
from monitors.logs.remote import RemoteSource
from monitors.logs.types import Place, Source
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


HOUR = 3600.0
MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC).timestamp()


def crowds_of(*crowds: Sequence[float]) -> list[list[Stamp]]:
    """Neighbours by the hours of the day that they show; a thousand bytes from one crowd to the next."""
    return [
        [Stamp(1000 * number + row, Place(0, 0), hours * HOUR, FAR) for row, hours in enumerate(crowd)]
        for number, crowd in enumerate(crowds)
    ]


@pytest.mark.parametrize(
    "crowd", [(0.0,), (0.0, 0.0, 0.0, 0.0, 0.001), (0.001, 0.0, 0.002, 0.001), (0.001, 0.0, 0.0, 0.001)]
)
def test_lines_that_do_not_run_backwards_for_sure_are_in_order(crowd: Sequence[float]) -> None:
    """Alone, mostly of one second, or out of order with no more than two steps back for each forward."""
    late, early = [20.0 + one for one in crowd], [4.0 + one for one in crowd]
    found = clocks(crowds_of(late, early), MIDNIGHT + 4.1 * HOUR, 0.0, 0.0)
    assert found.near(1999) == pytest.approx(MIDNIGHT + 4 * HOUR, abs=60)
    assert found.near(0) == pytest.approx(MIDNIGHT, abs=60)  # halfway between them


@pytest.mark.parametrize("crowd", [(0.001, 0.0), (0.001, 0.0, 0.0, 0.0), (0.002, 0.001, 0.003, 0.002, 0.001)])
def test_lines_of_which_most_are_earlier_than_the_one_before_run_backwards(crowd: Sequence[float]) -> None:
    early, late = [4.0 + one for one in crowd], [20.0 + one for one in crowd]
    found = clocks(crowds_of(early, late), MIDNIGHT + 4.1 * HOUR, 0.0, 0.0)
    assert found.near(1999) == pytest.approx(MIDNIGHT - 4 * HOUR, abs=60)
    assert found.near(0) == pytest.approx(MIDNIGHT, abs=60)


@pytest.mark.parametrize(
    ("goal", "day"),
    [
        (12.5, 0),
        (23.0, 0),  # behind it, and it is of no day that is still to come
        (35.0, 0),
        (11.0, 0),
        (12.5 - 72, -3),
        (12.0 - 72, -3),
        (14.0 - 72, -3),
        (11.0 - 72, -3),
        (0.6 - 72, -3),
        (0.4 - 72, -4),
        (0.5 - 72, -4),  # as far from one as from the other
    ],
)
def test_a_log_of_which_nobody_knows_when_it_ended_is_of_the_day_nearest_to_where_one_looks(
    goal: float, day: int
) -> None:
    now = MIDNIGHT + 15 * HOUR
    found = clocks(crowds_of([12.0], [13.0]), None, MIDNIGHT + goal * HOUR, now)
    assert found.near(0) == MIDNIGHT + day * DAY + 12.5 * HOUR
    assert found.near(1000) == MIDNIGHT + day * DAY + 13 * HOUR
