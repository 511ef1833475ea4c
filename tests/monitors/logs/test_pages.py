from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.logs import pages
from monitors.logs.pages import PageCache
from monitors.logs.types import GoneError
from tests.monitors.logs.memory import MemorySource

PAGE = 16
BUDGET = 10 * PAGE


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE", PAGE)
        yield


def held(cache: PageCache) -> int:
    """What is held, counted anew."""
    return sum(map(len, cache._pages.values()))


asked = st.tuples(st.sampled_from(["read", "grow", "forget", "turn", "warm"]), st.integers(0, 300), st.integers(0, 60))


@settings(deadline=None)
@given(st.lists(asked, max_size=40))
def test_whatever_is_read_is_right_and_no_more_than_the_budget_is_held(steps: list[tuple[str, int, int]]) -> None:
    async def run() -> None:
        source = MemorySource(bytes(range(100)))
        cache = PageCache(source.read, BUDGET)
        for what, at, size in steps:
            live = source.shape.generations[-1]
            if what == "grow":
                source.append(bytes((live.size + step) % 251 for step in range(size)))
            elif what == "turn" and at > 250:
                source.rotate(bytes(size))
            elif what == "forget":
                source.forget(live.number, min(at, live.size))
                cache.forget(source.shape.generations)
            elif what == "warm":
                one = source.shape.generations[at % len(source.shape.generations)]
                await cache.warm(one, [(at, at + size), (at // 3, at // 3 + 1), (size, size + 1)])
            elif what == "read":
                one = source.shape.generations[at % len(source.shape.generations)]
                whole = source.whole(one.number)[: one.size]
                if at < one.first and min(size, one.size - at) > 0:
                    with pytest.raises(GoneError):
                        await cache.read(one, at, size)
                else:
                    assert await cache.read(one, at, size) == whole[at : at + size]
            assert cache.held == held(cache) <= BUDGET

    asyncio.run(run())


async def test_what_is_held_is_not_fetched_again() -> None:
    source = MemorySource(bytes(range(8 * PAGE)))
    cache = PageCache(source.read, BUDGET)
    one = source.shape.generations[0]
    await cache.read(one, 5, PAGE)
    assert source.reads == [(0, 0, 2 * PAGE)]
    await cache.read(one, 0, 2 * PAGE)
    assert len(source.reads) == 1
    await cache.read(one, 0, 2 * PAGE + 1)
    assert source.reads[1:] == [(0, 2 * PAGE, PAGE)]


async def test_of_a_page_that_grew_the_rest_is_fetched() -> None:
    source = MemorySource(bytes(PAGE + 4))
    cache = PageCache(source.read, BUDGET)
    await cache.read(source.shape.generations[0], PAGE, 4)
    source.append(b"abcd")
    assert await cache.read(source.shape.generations[0], PAGE, 8) == b"\0\0\0\0abcd"
    assert source.reads == [(0, PAGE, 4), (0, PAGE + 4, 4)]


async def test_of_a_page_that_lost_its_beginning_what_is_left_is_read() -> None:
    source = MemorySource(bytes(range(3 * PAGE)))
    source.forget(0, PAGE + 5)
    cache = PageCache(source.read, BUDGET)
    one = source.shape.generations[0]
    assert await cache.read(one, PAGE + 5, 4) == bytes(range(PAGE + 5, PAGE + 9))
    assert await cache.read(one, PAGE + 5, 2 * PAGE - 5) == bytes(range(PAGE + 5, 3 * PAGE))
    assert source.reads[0] == (0, PAGE + 5, PAGE - 5)


async def test_what_can_no_longer_be_read_is_not_held() -> None:
    source = MemorySource(bytes(4 * PAGE))
    source.rotate(bytes(3 * PAGE))
    cache = PageCache(source.read, BUDGET)
    for one in source.shape.generations:
        for at in range(0, one.size, PAGE):
            await cache.read(one, at, PAGE)
    assert cache.held == held(cache) == 7 * PAGE
    source.forget(0, 2 * PAGE + 1)
    cache.forget(source.shape.generations)
    assert cache.held == held(cache) == 5 * PAGE
    source.forget(0)
    cache.forget(source.shape.generations)
    assert cache.held == held(cache) == 3 * PAGE


async def test_what_was_used_last_is_kept_longest() -> None:
    source = MemorySource(bytes(20 * PAGE))
    cache = PageCache(source.read, BUDGET)
    one = source.shape.generations[0]
    for page in (*range(10), 0, 10):  # the tenth page pushes the second out, for the first was used since
        await cache.read(one, page * PAGE, PAGE)
    source.reads.clear()
    await cache.read(one, 0, PAGE)
    assert source.reads == []
    await cache.read(one, PAGE, PAGE)
    assert len(source.reads) == 1


async def test_much_at_once_is_not_held() -> None:
    source = MemorySource(bytes(20 * PAGE))
    cache = PageCache(source.read, BUDGET)
    assert await cache.read(source.shape.generations[0], 0, 20 * PAGE) == bytes(20 * PAGE)
    assert cache.held == 0


async def test_two_at_a_time() -> None:
    """Both get what they asked for, and what is longer stays."""
    source = MemorySource(bytes(range(PAGE + 8)))
    cache = PageCache(source.read, BUDGET)
    short = source.shape.generations[0]
    source.append(b"rest")
    long = source.shape.generations[0]
    first, second = await asyncio.gather(cache.read(long, PAGE, 12), cache.read(short, PAGE, 8))
    assert first == bytes(range(PAGE, PAGE + 8)) + b"rest"
    assert second == first[:8]
    assert cache.held == held(cache) == 12


class Slow:
    """Reads that end once so many of them are under way."""

    def __init__(self, source: MemorySource, together: int) -> None:
        self._source = source
        self._together = together
        self._begun = 0
        self._enough = asyncio.Event()

    async def read(self, number: int, offset: int, size: int) -> bytes:
        self._begun += 1
        if self._begun == self._together:
            self._enough.set()
        await self._enough.wait()
        return await self._source.read(number, offset, size)


async def test_what_is_far_apart_is_asked_for_at_once() -> None:
    source = MemorySource(bytes(range(100)) * 2)
    cache = PageCache(Slow(source, 3).read, 2 * BUDGET)
    one = source.shape.generations[0]
    async with asyncio.timeout(20):
        await cache.warm(one, [(0, 1), (3 * PAGE - 1, 4 * PAGE + 1), (11 * PAGE, 11 * PAGE + 2), (199, 400)])
    assert sorted(source.reads) == [(0, 0, PAGE), (0, 2 * PAGE, 3 * PAGE), (0, 11 * PAGE, 200 - 11 * PAGE)]
    source.reads.clear()
    assert await cache.read(one, 2 * PAGE, PAGE) == (bytes(range(100)) * 2)[2 * PAGE : 3 * PAGE]
    assert source.reads == []


async def test_no_more_is_asked_for_beforehand_than_half_of_what_can_be_held() -> None:
    source = MemorySource(bytes(30 * PAGE))
    cache = PageCache(source.read, BUDGET)
    await cache.warm(source.shape.generations[0], [(page * PAGE, page * PAGE + 1) for page in range(0, 30, 2)])
    assert cache.held == BUDGET // 2
