"""The number of lines, whatever happens to the files that hold them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hosts.local import lines
from hosts.local.counting import Counts
from hosts.local.lines import Encoding
from monitors.logs.index import Index
from monitors.logs.local import LocalSource
from monitors.logs.model import LogModel
from monitors.logs.scanning import Scanner
from monitors.logs.scene import Known, counts
from monitors.logs.types import Generation, GoneError, Place
from tests.monitors.logs.looks import Log
from tests.monitors.logs.memory import MemorySource
from tests.monitors.logs.test_model import reached
from tests.monitors.logs.test_uncounted import settled

PATIENCE = 30.0
HELD = 26  # bytes of a log on another host that are here


@pytest.mark.parametrize("small", [0, 1 << 20])
@pytest.mark.parametrize("how", ["truncate", "copytruncate"])
async def test_an_unfinished_line_still_counts_once_its_bytes_lie_elsewhere(
    tmp_path: Path, how: str, small: int
) -> None:
    log = Log(tmp_path)
    log.append(b"line\n" * 100 + b"unfinished")
    scanner = Scanner(small=small)
    model = LogModel(LocalSource(str(log.path)), scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 101)
    if how == "copytruncate":
        log.copytruncate()
    else:
        log.path.write_bytes(b"")
    log.append(b"new\n")
    await reached(model, lambda: len(model.shape.generations) == 2 and model.state.lines == 102)
    await model.close()
    await scanner.close()


class Far:
    """Who counts a generation where it lies, of which only the end is here."""

    def __init__(self, source: FarSource, number: int) -> None:
        self._source = source
        self._number = number

    def held(self, at: int, size: int) -> bytes | None:
        there = self._source.shape.generations[self._number]
        return None if at < there.size - HELD else self._source.whole(self._number)[at : min(at + size, there.size)]

    async def count(self, low: int, size: int, encoding: Encoding) -> AsyncGenerator[Counts]:
        whole, first = self._source.whole(self._number), self._source.shape.generations[self._number].first
        for block in range(low // lines.BLOCK, -(-size // lines.BLOCK)):
            await asyncio.sleep(0)
            begin, end = max(block * lines.BLOCK, first), min((block + 1) * lines.BLOCK, size)
            yield [(block, end, lines.count(whole[begin:end], encoding, begin))]


class FarSource(MemorySource):
    """A log in memory that is counted as one on another host is."""

    def counter(self, generation: int) -> Far:
        return Far(self, generation)


@pytest.mark.parametrize("make", [MemorySource, FarSource])
@pytest.mark.parametrize("end", ["", "unfinished"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
async def test_lines_that_are_gone_are_not_counted(
    make: type[MemorySource], end: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 64)
    text = "".join(f"line {number}\n" * (number % 3) for number in range(60)) + end
    mark = "" if encoding == "utf-8" else "\ufeff"
    data = (mark + text).encode(encoding)
    for first in sorted(
        {*range(0, len(data), len(data) // 32 * 2), *range(0, len(data), 128), len(data) - 2, len(data)}
    ):
        source = make(data)
        scanner = Scanner(small=1 << 20)
        model = LogModel(source, scanner=scanner)
        await model.start()
        await reached(model, lambda: model.state.lines == text.count("\n") + bool(end))  # noqa: B023
        source.truncate(f"{mark}new 1\nnew 2\n".encode(encoding), len(data) - first)
        left = data[first:].decode(encoding)
        there = left.count("\n") + (left[-1:] not in {"", "\n"})
        await reached(model, lambda: len(model.shape.generations) == 2 and model.state.lines == there + 2)  # noqa: B023
        window = await model.window(model.start_place(), 0, 1000)
        assert sum(line.end > line.at.offset for line in window.lines) >= there
        numbers = [line.number for line in window.lines if line.at.generation == 0 and line.end > line.at.offset]
        gone = text.count("\n") - left.count("\n")
        assert numbers in ([*range(gone + 1, gone + there + 1)], [None] * there)
        await model.close()
        await scanner.close()


async def test_while_nobody_has_read_what_it_takes_the_lines_that_are_gone_count_on() -> None:
    source = FarSource(b"".join(b"line %d\n" % number for number in range(300_000)))
    scanner = Scanner()
    model = LogModel(source, scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 300_000)
    source.unreachable = "nobody answers"
    source.truncate(b"", 2_000_000)
    await reached(model, lambda: len(model.shape.generations) == 2)
    assert model.state.lines == 300_000
    source.unreachable = ""
    source.append(b"new\n")
    await reached(model, lambda: model.state.lines == source.whole(0)[-2_000_000:].count(b"\n") + 1)
    await model.close()
    await scanner.close()


@pytest.mark.parametrize("make", [MemorySource, FarSource])
async def test_more_lines_may_go_while_those_that_are_gone_are_counted(make: type[MemorySource]) -> None:
    source = make(b"".join(b"line %d\n" % number for number in range(300_000)))
    scanner = Scanner()
    model = LogModel(source, scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 300_000)
    source.open.clear()
    source.reads.clear()
    source.forget(0, 1_300_000)
    await settled()
    assert source.reads
    source.forget(0, 1_700_000)
    await settled()
    source.open.set()
    await reached(model, lambda: model.state.lines == source.whole(0).count(b"\n", 1_700_000))
    await model.close()
    await scanner.close()


LARGE = b"".join(b"line %d\n" % number for number in range(600_000))
"""More than is held of a log whose writer throws it away."""


@pytest.mark.parametrize("after", [b"", b"one\n"])
@pytest.mark.parametrize("interval", [0.01, 0.25])
async def test_what_is_left_of_a_large_log_that_was_truncated_is_counted_without_another_write(
    tmp_path: Path, after: bytes, interval: float
) -> None:
    log = Log(tmp_path)
    log.append(LARGE)
    scanner = Scanner()
    model = LogModel(LocalSource(str(log.path), visible_interval=interval), scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 600_000)
    log.path.write_bytes(after)
    await reached(model, lambda: len(model.shape.generations) == 2 and model.state.lines not in {None, 600_000})
    first = model.shape.generations[0].first
    assert 0 < first < len(LARGE) - (4 << 20) + 1
    left = LARGE[first:].count(b"\n") + after.count(b"\n")
    await reached(model, lambda: model.state.lines == left)
    await model.close()
    await scanner.close()


async def test_rows_that_are_left_of_a_log_that_was_truncated_keep_their_numbers(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(LARGE)
    scanner = Scanner()
    model = LogModel(LocalSource(str(log.path)), scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 600_000)
    async with asyncio.timeout(PATIENCE):
        while model._known[0].index.sure < len(LARGE) // lines.BLOCK:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    log.path.write_bytes(b"")
    await reached(model, lambda: model.shape.generations[0].first > 0 and model.state.lines not in {None, 600_000})
    first = model.shape.generations[0].first
    assert model.state.lines == LARGE[first:].count(b"\n")
    window = await model.window(Place(0, LARGE.index(b"line 500000\n")), 1, 2)
    assert [line.number for line in window.lines] == [500_000, 500_001, 500_002]
    assert await model.at_number(0, 500_001) == window.lines[1].at
    await model.close()
    await scanner.close()


class Doubtful(MemorySource):
    """A log in memory whose file is another one by now, though it has not said so yet."""

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        if size == 1 and self.descriptor(generation) is not None:
            raise GoneError("written over")
        return await super().read(generation, offset, size)


@pytest.mark.parametrize("sure", [True, False])
async def test_counts_of_what_may_have_been_another_content_give_no_numbers(sure: bool) -> None:
    source = (MemorySource if sure else Doubtful)(LARGE, descriptors=True)
    scanner = Scanner()
    model = LogModel(source, scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 600_000)
    await settled()
    descriptors, source._descriptors = source._descriptors, None
    source.truncate(b"new\n")
    left = LARGE[-4 << 20 :].count(b"\n") + 1
    await reached(model, lambda: len(model.shape.generations) == 2 and model.state.lines == left)
    window = await model.window(Place(0, LARGE.index(b"line 500000\n")), 0, 1)
    assert [line.number for line in window.lines] == [500_001 if sure else None]
    await model.close()
    await scanner.close()
    for descriptor in (descriptors or {}).values():
        os.close(descriptor)


async def test_what_is_read_through_the_source_need_not_be_checked() -> None:
    source, scanner = MemorySource(LARGE), Scanner()
    model = LogModel(source, scanner=scanner)
    await model.start()
    await reached(model, lambda: model.state.lines == 600_000)
    await settled()
    assert (0, 0, 1) not in source.reads
    await model.close()
    await scanner.close()


def test_half_a_character_that_is_left_is_a_line() -> None:
    known = Known(Index(), lines.UTF16_LE)
    known.index.add(0, 5, 0)
    known.index.caught_up = True
    assert counts((Generation(0, 5, 4),), {0: known}) == (1, 1)
