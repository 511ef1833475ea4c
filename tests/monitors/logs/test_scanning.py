"""Scans by a worker process and by a thread: what they find, and what becomes of them when something goes wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hosts.errors import UnreachableError
from hosts.local.blocks import BlockHits, Matcher, Pattern
from hosts.local.lines import BLOCK, UTF8, UTF16_LE
from monitors.logs import local_late, local_look, scan_process
from monitors.logs.local import LocalSource
from monitors.logs.scanning import Scan, Scanner
from monitors.logs.types import Shape, Source
from tests.monitors.logs.memory import MemorySource

PATIENCE = 30.0
FOR_EVER = Matcher((Pattern("(a+)+$", regex=True),))
TRAP = b"a" * 60 + b"b\n"
LARGE = (b"INFO one line of a log\n" * (BLOCK // 23)) * 6


class Results:
    """What a scan has told.

    Attributes:
        blocks: By generation and block.
        told: Every block that was told, in order.
        lost: Generations that were looked at anew.
    """

    def __init__(self, scanner: Scanner, source: Source, matcher: Matcher | None = None) -> None:
        self.blocks: dict[tuple[int, int], BlockHits] = {}
        self.told: list[tuple[int, int]] = []
        self.lost: list[int] = []
        self._changed = asyncio.Event()
        self.scan = scanner.scan(source, matcher, self._found, self._changed.set, self._lost)

    def _found(self, generation: int, blocks: list[BlockHits]) -> None:
        for block in blocks:
            self.told.append((generation, block.block))
            self.blocks[generation, block.block] = block

    def _lost(self, generation: int) -> None:
        self.lost.append(generation)
        for key in [key for key in self.blocks if key[0] == generation]:
            del self.blocks[key]

    def newlines(self, generation: int = 0) -> int:
        return sum(block.newlines for (number, _), block in self.blocks.items() if number == generation)

    def hits(self) -> int:
        return sum(int.from_bytes(block.bits, "little").bit_count() for block in self.blocks.values())

    async def until(self, what: Callable[[Scan], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not what(self.scan):
                self._changed.clear()
                await self._changed.wait()

    async def done(self) -> None:
        await self.until(lambda scan: scan.progress.done)


@asynccontextmanager
async def scanning(
    data: bytes, *, descriptors: bool = True, small: int = 0
) -> AsyncIterator[tuple[Scanner, MemorySource]]:
    source = MemorySource(data, descriptors=descriptors)
    scanner = Scanner(small=small)
    try:
        yield scanner, source
    finally:
        await scanner.close()
        await source.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: int | None) -> None:
    assert pid is not None
    async with asyncio.timeout(PATIENCE):
        while alive(pid):  # noqa: ASYNC110 - nobody tells of the end of somebody else's process
            await asyncio.sleep(0.01)


async def busy(pid: int | None) -> None:
    """Wait until a process has worked for a quarter of a second: blocks of these logs take a tenth of that."""
    ticks = os.sysconf("SC_CLK_TCK")

    def worked() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    began = worked()
    async with asyncio.timeout(PATIENCE):
        while worked() < began + 0.25:  # noqa: ASYNC110 - nobody tells of another process's time
            await asyncio.sleep(0.01)


async def test_little_needs_no_worker() -> None:
    async with scanning(b"x\n" * 100, small=1000) as (scanner, source):
        results = Results(scanner, source)
        results.scan.update()
        await results.done()
        assert results.newlines() == 100
        assert scanner.pid is None


async def test_what_grows_out_of_a_thread_is_taken_over_by_the_worker() -> None:
    async with scanning(b"", small=3 * BLOCK) as (scanner, source):
        results = Results(scanner, source)
        everything = b""
        for _ in range(6):
            source.append(LARGE[:BLOCK])
            everything += LARGE[:BLOCK]
            results.scan.update()
            await results.done()
            assert results.newlines() == everything.count(b"\n")
        assert scanner.pid is not None
        assert results.told.count((0, 0)) == 1


@pytest.mark.parametrize("descriptors", [True, False])
async def test_the_worker_counts_and_finds_as_the_log_grows(descriptors: bool) -> None:
    async with scanning(LARGE, descriptors=descriptors) as (scanner, source):
        count, find = Results(scanner, source), Results(scanner, source, Matcher((Pattern("NEEDLE"),)))
        for scan in (count.scan, find.scan):
            scan.update()
        for _ in range(5):
            source.append(b"a NEEDLE\nhere\n" * 1000)
            for results in (count, find):
                results.scan.update()
        await count.done()
        await find.done()
        assert count.newlines() == LARGE.count(b"\n") + 10_000
        assert find.hits() == 5000
        assert find.scan.progress.scanned == find.scan.progress.total == len(LARGE) + 5 * 14_000
        assert source.bytes_read == 0 if descriptors else source.bytes_read > 0


async def test_generations_come_and_go() -> None:
    async with scanning(b"x\n" * 10) as (scanner, source):
        results = Results(scanner, source)
        results.scan.update()
        await results.done()
        source.rotate(b"y\n" * 20)
        source.truncate(b"z\n" * 30, kept=4)
        source.forget(0)
        results.scan.update()
        await results.done()
        assert (results.newlines(1), results.newlines(2)) == (2, 30)
        assert results.scan.progress.total == 4 + 60


@pytest.mark.parametrize("small", [0, 1 << 30])
async def test_what_is_thrown_away_is_not_waited_for(small: int) -> None:
    async with scanning(LARGE, small=small) as (scanner, source):
        results = Results(scanner, source, Matcher((Pattern("INFO"),)))
        results.scan.update()
        await results.done()
        first = 2 * BLOCK + BLOCK // 2
        source.forget(0, first)
        results.scan.update()
        assert not results.scan.progress.done
        await results.done()
        left = sum(int.from_bytes(results.blocks[0, block].bits, "little").bit_count() for block in range(2, 6))
        assert left == LARGE[first:].count(b"INFO")


async def test_what_is_thrown_away_while_the_worker_waits_for_it_is_not_waited_for() -> None:
    async with scanning(LARGE, descriptors=False) as (scanner, source):
        results = Results(scanner, source, Matcher((Pattern("INFO"),)))
        source.open.clear()
        results.scan.update()
        async with asyncio.timeout(PATIENCE):
            while not source.reads:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        source.forget(0, 5 * BLOCK + 100)
        results.scan.update()
        await asyncio.sleep(0.3)  # the worker has heard of it, and still waits
        source.open.set()
        await results.done()
        assert results.hits() == LARGE[5 * BLOCK + 100 :].count(b"INFO")


async def test_bytes_that_can_be_had_again_before_they_were_refused_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scanning(LARGE, descriptors=False) as (scanner, source):
        asked, refuse = asyncio.Event(), asyncio.Event()

        async def away(*_of: int) -> bytes:
            asked.set()
            await refuse.wait()
            monkeypatch.undo()
            raise UnreachableError("away")

        monkeypatch.setattr(source, "read", away)
        results = Results(scanner, source, Matcher((Pattern("INFO"),)))
        results.scan.update()
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
        results.scan.update()
        await asyncio.sleep(0.3)  # the worker has heard of it, and still waits
        refuse.set()
        await results.done()


async def test_cancelling_ends_an_expression_without_end_and_keeps_what_others_did() -> None:
    async with scanning(TRAP + LARGE) as (scanner, source):
        count = Results(scanner, source)
        count.scan.update()
        await count.done()
        stuck = Results(scanner, source, FOR_EVER)
        stuck.scan.update()
        worker = scanner.pid
        await busy(worker)
        source.append(b"more\n")
        count.scan.update()
        stuck.scan.close()
        await gone(worker)
        await count.done()
        assert count.newlines() == LARGE.count(b"\n") + 2
        # The last two blocks are those that could grow
        assert {key for key in count.told if count.told.count(key) > 1} <= {(0, 5), (0, 6)}
        assert scanner.pid != worker


async def test_scans_that_were_closed_do_no_harm() -> None:
    async with scanning(LARGE * 4) as (scanner, source):
        count = Results(scanner, source)
        count.scan.update()
        await count.done()
        for _ in range(5):
            other = Results(scanner, source, Matcher((Pattern("NEEDLE"),)))
            other.scan.update()
            other.scan.close()
        last = Results(scanner, source, Matcher((Pattern("INFO"),)))
        last.scan.update()
        await last.done()
        assert last.hits() == (LARGE * 4).count(b"\n")


async def test_a_worker_that_somebody_kills_is_replaced() -> None:
    async with scanning(LARGE) as (scanner, source):
        results = Results(scanner, source)
        results.scan.update()
        await results.done()
        assert scanner.pid is not None
        os.kill(scanner.pid, signal.SIGKILL)
        source.append(b"more\n")
        results.scan.update()
        await results.until(lambda scan: scan.progress.done and results.newlines() == LARGE.count(b"\n") + 1)


async def test_a_worker_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_process, "_CODE", "raise SystemExit(1)")
    async with scanning(LARGE) as (scanner, source):
        results = Results(scanner, source)
        results.scan.update()
        await results.until(lambda scan: scan.progress.problem != "")
        assert results.scan.progress.problem == "the scan worker does not stay alive"
        assert not results.scan.progress.done


async def test_a_file_that_is_cut_while_it_is_scanned_is_no_error() -> None:
    async with scanning(LARGE) as (scanner, source):
        descriptor = source.descriptor(0)
        assert descriptor is not None
        os.ftruncate(descriptor, 3 * BLOCK)
        results = Results(scanner, source, Matcher((Pattern("INFO"),)))
        results.scan.update()
        await results.done()
        assert results.hits() == LARGE[: 3 * BLOCK].count(b"INFO")
        assert results.scan.progress.problem == ""


async def test_closing_leaves_no_process() -> None:
    async with scanning(TRAP + LARGE) as (scanner, source):
        results = Results(scanner, source, FOR_EVER)
        results.scan.update()
        async with asyncio.timeout(PATIENCE):
            while scanner.pid is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        worker = scanner.pid
        await scanner.close()
        await gone(worker)
        results.scan.update()  # and nothing starts another
        assert scanner.pid is None


async def test_closing_at_once_leaves_no_process() -> None:
    async with scanning(LARGE) as (scanner, source):
        Results(scanner, source).scan.update()


ORPHAN = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
from tests.monitors.logs.test_scanning import FOR_EVER, LARGE, TRAP, Results, scanning

async def main():
    async with scanning(TRAP + LARGE) as (scanner, source):
        count = Results(scanner, source)
        count.scan.update()
        await count.done()
        Results(scanner, source, FOR_EVER).scan.update()
        print(scanner.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_the_worker_does_not_outlive_its_owner(house: Path) -> None:
    def start() -> tuple[subprocess.Popen[bytes], int]:
        owner = subprocess.Popen([sys.executable, "-c", ORPHAN, str(house)], stdout=subprocess.PIPE)
        assert owner.stdout is not None
        return owner, int(owner.stdout.readline())

    owner, worker = await asyncio.to_thread(start)
    assert alive(worker)
    owner.kill()
    await asyncio.to_thread(owner.communicate)
    await gone(worker)


async def test_what_was_read_as_another_encoding_is_read_anew() -> None:
    data = ("x" * 31 + "\n").encode("utf-16-le") * (BLOCK // 32)
    async with scanning(data) as (scanner, source):
        encodings = [UTF8]
        found: dict[int, int] = {}
        changed = asyncio.Event()
        lost: list[int] = []
        scan = scanner.scan(
            source,
            None,
            lambda _, blocks: found.update({block.block: block.newlines for block in blocks}),
            changed.set,
            lost.append,
            encoding=lambda _: encodings[-1],
        )
        scan.update()
        encodings.append(UTF16_LE)
        scan.update()
        async with asyncio.timeout(PATIENCE):
            while not scan.progress.done:
                changed.clear()
                await changed.wait()
        assert lost == [0]
        assert sum(found.values()) == BLOCK // 32


async def test_a_descriptor_that_is_taken_back_is_not_believed() -> None:
    async with scanning(LARGE) as (scanner, source):
        results = Results(scanner, source)
        results.scan.update()
        await results.done()
        source._descriptors = {}
        results.scan.update()
        await results.done()
        assert results.lost == [0]
        assert results.newlines() == LARGE.count(b"\n")
        assert source.bytes_read >= len(LARGE)


async def test_what_the_worker_reads_of_a_past_file_that_is_written_over_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_look, "_TIDY", 1e9)
    monkeypatch.setattr(local_late, "_FIRST_S", 1e9)
    log, old = tmp_path / "app.log", tmp_path / "app.log.1"
    log.write_bytes(LARGE)
    source, scanner, changed = LocalSource(str(log)), Scanner(small=0), asyncio.Event()

    async def until(what: Callable[[Shape], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not what(source.shape):
                changed.clear()
                await changed.wait()

    try:
        await source.start(changed.set)
        log.rename(old)
        log.write_bytes(b"the next one\n")
        await until(lambda shape: len(shape.generations) == 2)
        old.write_bytes(LARGE.replace(b"INFO", b"WARN"))
        results = Results(scanner, source, Matcher((Pattern("WARN"),)))
        results.scan.update()
        await until(lambda shape: shape.generations[0].first == len(LARGE))
        assert results.hits() > 0
        results.scan.update()
        await results.done()
        assert results.scan.progress.total == len(b"the next one\n")
    finally:
        await scanner.close()
        await source.close()
