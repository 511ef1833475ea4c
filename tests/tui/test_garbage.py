from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from tui.cli import garbage
from tui.cli.garbage import sweeping_in_pauses, throw_away_little_by_little

PATIENCE_S = 30.0


class Node:
    """One of two that hold each other."""

    def __init__(self) -> None:
        self.other: Node | None = None


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test changes of the collector is changed for it alone; the clock of the sweeper goes faster."""
    monkeypatch.setattr(garbage, "_EVERY_S", 0.01)
    before = gc.get_threshold()
    throw_away_little_by_little()
    yield
    gc.set_threshold(*before)


def old_garbage() -> weakref.ref[Node]:
    """Garbage that only a look at everything finds, after as many looks at the younger ones as are enough."""
    one, two = Node(), Node()
    one.other, two.other = two, one
    gc.collect(1)
    gc.collect(1)
    left = weakref.ref(one)
    del one, two
    while gc.get_count()[2] < 5:
        gc.collect(1)
    return left


async def test_what_is_thrown_away_is_gone_in_a_pause() -> None:
    gc.collect()
    async with sweeping_in_pauses(lambda: time.monotonic() - 60.0):
        for _ in range(2):  # what is there at the first sweep stays uncollected by the second only where it is in use
            left = old_garbage()
            end = time.monotonic() + PATIENCE_S
            while left() is not None:
                assert time.monotonic() < end
                await asyncio.sleep(0.01)


async def test_nothing_is_swept_while_somebody_types() -> None:
    gc.collect()
    asked: list[float] = []
    often = asyncio.Event()

    def typing() -> float:
        asked.append(time.monotonic())
        if len(asked) == 20:
            often.set()
        return asked[-1]

    left = old_garbage()
    async with sweeping_in_pauses(typing):
        async with asyncio.timeout(PATIENCE_S):
            await often.wait()
        assert left() is not None
    gc.collect()
    assert left() is None
