"""How long a log on another host waits before it asks again, by a clock that goes on by itself."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator

import pytest

from hosts.errors import GatewatchError, UnreachableError
from monitors.logs.record import ShapeRecorder
from monitors.logs.remote_way import WayThere
from monitors.logs.types import Status

LOST = UnreachableError("box: the connection was lost")
DENIED = GatewatchError("box: run.log: Permission denied")


class Skipping(selectors.DefaultSelector):
    """Waits for nothing: what would have been waited is added to its clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """A loop on which hours pass in no time."""

    def __init__(self) -> None:
        self._skipping = Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now

    def seconds(self, work: Coroutine[object, object, None]) -> float:
        """What some work takes."""
        before = self.time()
        self.run_until_complete(work)
        return self.time() - before


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def way(loop: Loop) -> WayThere:
    return WayThere("box", ShapeRecorder(now=loop.time), 60.0, loop.time)


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.001)


def test_a_file_that_may_not_be_read_is_asked_for_ever_less_often(way: WayThere, loop: Loop) -> None:
    waited = [loop.seconds(way.refused(DENIED)) for _ in range(40)]
    assert waited == [about(min(turn, 30.0)) for turn in range(1, 41)]
    assert way._record.shape.status is Status.DENIED
    way.allowed()
    assert loop.seconds(way.refused(DENIED)) == about(1.0)


@pytest.mark.parametrize("drawn", [lambda low, _: low, lambda _, high: high], ids=["shortest", "longest"])
def test_a_host_that_is_away_is_tried_ever_less_often_and_anew_once_it_answered(
    way: WayThere, loop: Loop, drawn: Callable[[float, float], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", drawn)
    longest = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, *[30.0] * 20]
    for _ in range(2):
        waited = [loop.seconds(way.lost(LOST)) for _ in longest]
        assert waited == [about(drawn(most / 2, most)) for most in longest]
        assert way._record.shape.status is Status.STALE
        way.answered()


@pytest.mark.parametrize("error", [LOST, DENIED])
def test_who_wants_to_know_now_waits_no_longer(way: WayThere, loop: Loop, error: GatewatchError) -> None:
    async def waiting() -> None:
        loop.call_later(0.1, way.wake)
        await (way.lost(error) if isinstance(error, UnreachableError) else way.refused(error))

    assert loop.seconds(waiting()) == about(0.1)
