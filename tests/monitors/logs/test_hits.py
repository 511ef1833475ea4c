"""Searches and filters over logs that grow, rotate and lose bytes, against a plain reading of what is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.calibration.signatures import failure_of
from hosts.errors import InputError, UnreachableError
from hosts.local import lines, scan
from hosts.local.levels import Level, level_of
from hosts.local.lines import UTF8, UTF16_LE, Encoding
from monitors.logs.hits import Search
from monitors.logs.matching import matcher_of
from monitors.logs.scanning import Scanner
from monitors.logs.types import Filter, Place, Query
from tests.monitors.logs.memory import MemorySource

PATIENCE = 30.0


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 32)
        patch.setattr(scan, "_LOOK", 4)
        yield


ROWS = [
    "ERROR x",
    "Killed",
    " 1%\rx oom killed",
    "INFO y",
    "x",
    "",
    "WARNING x y",
    "z" * 40,
    "DEBUG",
    "  x",
    "Traceback (most recent call last):",
]
TEXTS = st.lists(st.sampled_from(ROWS), max_size=12).map("\n".join)
WANTED = st.sampled_from(
    [
        Query("x"),
        Query("X"),
        Query("error"),
        Query(level=Level.WARNING),
        Filter(level=Level.ERROR),
        Filter(include=(Query("x"),), exclude=(Query("y"),)),
        Filter(include=(Query("x"), Query(level=Level.WARNING))),
        Query(level=Level.ERROR, failures=True),
        Filter(include=(Query("x"), Query(level=Level.ERROR, failures=True)), level=Level.INFO),
        Filter(include=(Query(level=Level.WARNING, failures=True),), exclude=(Query(level=Level.CRITICAL),)),
        Filter(exclude=(Query(level=Level.ERROR),)),
        Filter(exclude=(Query("x"),), level=Level.INFO),
    ]
)


def expected(source: MemorySource, wanted: Query | Filter, encoding: Encoding = UTF8) -> list[Place]:
    """Every row that passes."""
    found: list[Place] = []
    for number, first, data in source.readable():
        last: Level | None = None
        for start, text in rows_of(first, data, encoding):
            own = level_of(text.encode())
            last = own if own is not None or isinstance(wanted, Query) else last
            if passes(wanted, text, last, own):
                found.append(Place(number, start))
    return found


def rows_of(first: int, data: bytes, encoding: Encoding) -> list[tuple[int, str]]:
    def read(at: int, size: int) -> bytes:
        return data[at - first : at - first + size]

    size = first + len(data)
    starts: list[int] = [first] if data else []
    while starts and (following := lines.drive(lines.row_after(starts[-1], size, first, encoding), read)) is not None:
        starts.append(following)
    rows = [(start, read(start, end - start)) for start, end in pairwise([*starts, size])]
    return [(start, lines.content(row, encoding).decode(encoding.name, "replace")) for start, row in rows]


def passes(wanted: Query | Filter, text: str, level: Level | None, own: Level | None) -> bool:
    if isinstance(wanted, Query):
        if wanted.level is not None and wanted.failures:
            return (own is not None and own.rank >= wanted.level.rank) or bool(failure_of(text.encode()))
        if wanted.level is not None:
            return level is not None and level.rank >= wanted.level.rank
        return wanted.text.lower() in text.lower() if wanted.ignore_case else wanted.text in text
    return (
        all(passes(one, text, level, own) for one in wanted.include)
        and not any(passes(one, text, level, own) for one in wanted.exclude)
        and (wanted.level is None or (level is not None and level.rank >= wanted.level.rank))
    )


async def settled(search: Search) -> None:
    async with asyncio.timeout(PATIENCE):
        while not search.progress.done:
            changed = asyncio.Event()
            unlisten = search.listen(changed.set)
            if not search.progress.done:
                await changed.wait()
            unlisten()


CHANGES = st.one_of(
    st.tuples(st.just("append"), TEXTS),
    st.tuples(st.just("rotate"), TEXTS),
    st.tuples(st.just("truncate"), TEXTS),
    st.tuples(st.just("forget"), st.integers(0, 200).map(str)),
)


def change(source: MemorySource, kind: str, text: str) -> None:
    if kind == "append":
        source.append(text.encode())
    elif kind == "rotate":
        source.rotate(text.encode())
    elif kind == "truncate":
        source.truncate(text.encode(), kept=50)
    else:
        last = source.shape.generations[-1]
        source.forget(last.number, min(last.size, max(last.first, int(text))))


@settings(deadline=None)
@given(TEXTS, WANTED, st.lists(CHANGES, max_size=5), st.booleans(), st.booleans(), st.data())
def test_every_hit_is_found_from_everywhere(
    text: str,
    wanted: Query | Filter,
    changes: list[tuple[str, str]],
    descriptors: bool,
    wait: bool,
    draw: st.DataObject,
) -> None:
    if matcher_of(wanted).by_level and isinstance(wanted, Filter):
        # A row may still have the level of one that is gone: both answers are right
        changes = [one for one in changes if one[0] not in {"truncate", "forget"}]

    async def run() -> None:
        source = MemorySource(text.encode(), descriptors=descriptors)
        scanner = Scanner()
        search = Search(source, scanner, wanted)
        await source.start(search.update)
        try:
            for kind, words in [*changes, ("append", "")]:
                if wait:
                    await settled(search)
                change(source, kind, words)
                search.update()
                await check(source, search, expected(source, wanted), draw)
            await settled(search)
            await check_numbers(search, expected(source, wanted))
        finally:
            search.close()
            await scanner.close()
            await source.close()
        assert scanner.pid is None

    asyncio.run(run())


async def check(source: MemorySource, search: Search, hits: list[Place], draw: st.DataObject) -> None:
    """Answers are right at once, whether the scan has come so far or not."""
    generations = source.shape.generations
    generation = draw.draw(st.integers(0, generations[-1].number), "generation")
    at = Place(generation, draw.draw(st.integers(0, 300), "offset"))
    async with asyncio.timeout(PATIENCE):
        assert await search.next(at) == next((hit for hit in hits if hit > at), None)
        assert await search.previous(at) == next((hit for hit in reversed(hits) if hit < at), None)
        most = draw.draw(st.integers(1, 5), "most")
        assert await search.ahead(at, most, wait=True) == ([hit for hit in hits if hit >= at][:most], True)
        assert await search.behind(at, most, wait=True) == ([hit for hit in hits if hit < at][-most:], True)


async def test_every_hit_of_many_logs_is_found() -> None:
    for seed in range(150):
        await check_log(random.Random(seed))


async def check_log(draw: random.Random) -> None:
    """Changes of all kinds, and questions in between that do not wait for the scan."""

    def text() -> str:
        return "\n".join(draw.choices(ROWS, k=draw.randrange(8)))

    within = Filter(include=(Query(level=Level.ERROR, failures=True),), level=Level.WARNING)
    choices = (Query("x"), Query(level=Level.WARNING), Filter(level=Level.ERROR), Filter(exclude=(Query("x"),)), within)
    wanted: Query | Filter = draw.choice(choices)
    kinds = ["append", "append", "rotate", *(["truncate", "forget"] if not matcher_of(wanted).by_level else [])]
    source = MemorySource(text().encode(), descriptors=draw.random() < 0.5)
    scanner = Scanner()
    search = Search(source, scanner, wanted)
    await source.start(search.update)
    async with asyncio.timeout(PATIENCE):
        for kind in draw.choices(kinds, k=4):
            if draw.random() < 0.5:
                await settled(search)
            change(source, kind, str(draw.randrange(200)) if kind == "forget" else text())
            search.update()
            hits = expected(source, wanted)
            last = source.shape.generations[-1]
            at = Place(draw.randint(0, last.number), draw.choice([0, last.size, draw.randrange(300)]))
            assert await search.next(at) == next((hit for hit in hits if hit > at), None)
            assert await search.previous(at) == next((hit for hit in reversed(hits) if hit < at), None)
            assert await search.ahead(at, 3, wait=True) == ([hit for hit in hits if hit >= at][:3], True)
            assert await search.behind(at, 3, wait=True) == ([hit for hit in hits if hit < at][-3:], True)
        await settled(search)
        await check_numbers(search, expected(source, wanted))
    search.close()
    await scanner.close()
    await source.close()


async def test_without_waiting_what_is_known_is_given() -> None:
    source = MemorySource(b"x 1\nx 2\ny\nx")
    scanner = Scanner()
    search = Search(source, scanner, Query("x"))
    await settled(search)
    source.append(b" 3\nx 4\n")
    search.update()
    # The new ones were not looked at; what was known does not go away meanwhile
    assert await search.behind(Place(0, 99), 9) == ([Place(0, 0), Place(0, 4), Place(0, 10)], False)
    assert await search.ahead(Place(0, 1), 9) == ([Place(0, 4), Place(0, 10)], False)
    async with asyncio.timeout(PATIENCE):
        assert await search.behind(Place(0, 99), 1, wait=True) == ([Place(0, 14)], True)
    assert await search.behind(Place(0, 99), 1) == ([Place(0, 14)], True)
    search.close()
    await scanner.close()


async def check_numbers(search: Search, hits: list[Place]) -> None:
    assert search.progress.hits == len(hits)
    assert [await search.nth(number) for number in range(len(hits) + 1)] == [*hits, None]
    for number, hit in enumerate(hits):
        assert await search.ordinal(hit) == number + 1
        assert await search.ordinal(Place(hit.generation, hit.offset - 1)) == number


async def test_a_question_waits_for_the_blocks_between_and_no_others() -> None:
    source = MemorySource(b"x\n" + b"y\n" * 2000 + b"x\n" + b"y\n" * 2000)
    source.open.clear()
    scanner = Scanner()
    search = Search(source, scanner, Query("x"), at=Place(0, 0), forward=True)
    search.update()
    async with asyncio.timeout(PATIENCE):
        assert await search.ahead(Place(0, 0), 1) == ([], False)
        asked = asyncio.create_task(search.ahead(Place(0, 0), 2, wait=True))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not asked.done()
        source.open.set()
        assert await asked == ([Place(0, 0), Place(0, 4002)], True)
    search.close()
    await scanner.close()


@pytest.mark.parametrize("encoding", [UTF8, UTF16_LE], ids=["utf-8", "le"])
@pytest.mark.parametrize("descriptors", [False, True])
async def test_colours_are_not_searched(descriptors: bool, encoding: Encoding) -> None:
    rows = ["x \x1b[32mPASSED\x1b[0m", "\x1b[1m\x1b[31mERROR\x1b[0m: b", "no 31m", "x P\x1b[3", "2mASSED", "ERROR: b\n"]
    parts = [row.encode(encoding.name) for row in "\n\0".join(rows).replace("[3\n", "[3").split("\0")]
    source = MemorySource(encoding.bom * (encoding is not UTF8) + parts[0], descriptors=descriptors)
    scanner = Scanner()
    found = {}
    for query in (
        Query("x PASSED"),
        Query("x passed"),
        Query("error: b"),
        Query("^(ERROR|x P).*[bD]$", regex=True),
        Query("31m"),
    ):
        found[query] = Search(source, scanner, query, encoding=lambda _: encoding)
    for part in parts[1:]:
        for search in found.values():
            await settled(search)
        source.append(part)
        for search in found.values():
            search.update()
    for search in found.values():
        await settled(search)
        search.close()
    assert [search.progress.hits for search in found.values()] == [2, 2, 2, 4, 1]
    await scanner.close()
    await source.close()


async def test_closing_answers_who_waits() -> None:
    source = MemorySource(b"y\n" * 100)
    source.open.clear()
    scanner = Scanner()
    search = Search(source, scanner, Query("x"))
    search.update()
    asked = asyncio.create_task(search.ahead(Place(0, 0), 1, wait=True))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not asked.done()
    search.close()
    async with asyncio.timeout(PATIENCE):
        assert await asked == ([], False)
        source.open.set()
        assert await search.next(Place(0, 0)) is None
        await scanner.close()


async def test_a_log_that_does_not_answer_is_asked_again() -> None:
    source = MemorySource(b"x\n" * 100)
    source.unreachable = "no answer"
    scanner = Scanner()
    search = Search(source, scanner, Query("x"))
    search.update()
    asked = asyncio.create_task(search.next(Place(0, 0)))
    for _ in range(20):
        await asyncio.sleep(0)
    with pytest.raises(UnreachableError):  # where the place asked about cannot be read either
        async with asyncio.timeout(PATIENCE):
            await search.next(Place(0, 1))
    source.unreachable = ""
    search.update()
    async with asyncio.timeout(PATIENCE):
        assert await search.next(Place(0, 0)) == Place(0, 2)
        await asyncio.gather(asked, return_exceptions=True)
        await settled(search)
    assert search.progress.hits == 100
    search.close()
    await scanner.close()


async def test_a_log_in_utf16_is_searched() -> None:
    text = "\ufeffERROR x\r\ny\r\nERROR é\r\n" * 20
    source = MemorySource(text.encode("utf-16-le"), descriptors=True)
    scanner = Scanner()
    search = Search(source, scanner, Query("É"), encoding=lambda _: UTF16_LE)
    assert search.progress.total == len(text.encode("utf-16-le"))
    other = Search(source, scanner, Query("é"), encoding=lambda _: UTF16_LE)
    async with asyncio.timeout(PATIENCE):
        await settled(search)
        await settled(other)
        assert search.progress.hits == 0
        assert other.progress.hits == 20
        hits = expected(source, Query("é"), UTF16_LE)
        assert [await other.nth(number) for number in range(20)] == hits
    search.close()
    other.close()
    await scanner.close()
    await source.close()


async def test_what_is_no_expression_is_said() -> None:
    scanner = Scanner()
    search = Search(MemorySource(b"x\n"), scanner, Query("(", regex=True))
    assert search.progress.problem == "not a regular expression: missing ), unterminated subpattern at position 0"
    assert await search.next(Place(0, 0)) is None
    search.update()
    search.close()
    await scanner.close()
    with pytest.raises(InputError):
        matcher_of(Filter(include=(Query("*", regex=True),)))


async def test_an_encoding_that_was_mistaken_is_no_harm() -> None:
    data = "x\ny\nx\n".encode("utf-16-le")
    encodings = [UTF8]
    source = MemorySource(data)
    scanner = Scanner()
    search = Search(source, scanner, Query("x"), encoding=lambda _: encodings[-1])
    await settled(search)
    encodings.append(UTF16_LE)
    search.update()
    assert search.progress.hits == 0
    async with asyncio.timeout(PATIENCE):
        await settled(search)
        assert await search.ahead(Place(0, 0), 9, wait=True) == ([Place(0, 0), Place(0, 8)], True)
    search.close()
    await scanner.close()
