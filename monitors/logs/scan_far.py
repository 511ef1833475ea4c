"""Scans of logs on other hosts, done there: what is found travels, and not what is looked at.

A piece of a scan is given to a worker on the host that has its bytes, one worker for all pieces of a source. When the
way there is lost, the piece goes on where it was, once there is a way again. What cannot be done there is done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from itertools import pairwise
from operator import gt
from typing import Any, NamedTuple, NoReturn, Protocol, runtime_checkable

from hosts.errors import GatewatchError, UnreachableError
from hosts.host import Json
from hosts.local import scanwire, strictjson
from hosts.local.blocks import FAILS, PASSES, THROUGH, UNKNOWN, BlockHits, unpack
from hosts.local.lines import BLOCK
from hosts.stream_scan import Orders, Scanning
from monitors.logs.scan_piece import Piece
from monitors.logs.types import GoneError, Source

AGAIN_S = 1.0
"""Seconds after which a scan that could not go on is tried again."""

LINGER_S = 10.0
"""Seconds that a worker stays for the next scan."""

_STARTING_S = 15.0  # for a worker to say that it is there
_PATIENCE_S = 5.0  # for a worker that is to drop a job; it may hang on a dead mount
_TRIES = 3
_SHOWN = 200
_NEWS = 1 << 16


class Opening(NamedTuple):
    """Which file to look at, for whoever opens it there.

    Attributes:
        path: Its name.
        inode: Which file that has to be.
        size: How many bytes it has to have.
        head: The sha256 of its first `covers` bytes, in hex.
        covers: See there.
    """

    path: str
    inode: int
    size: int
    head: str
    covers: int


class Searcher(Protocol):
    """Knows where one generation lies."""

    @property
    def host(self) -> Scanning:
        """Who has it."""
        ...

    async def where(self) -> Opening:
        """Which file it is now.

        Raises:
            GoneError: It is not there any more, or not to be told from another.
            UnreachableError: Nobody answers.
        """
        ...


@runtime_checkable
class SearchedSource(Protocol):
    """A source of which some generations can be searched where they lie."""

    def searcher(self, generation: int) -> Searcher | None:
        """Who searches a generation; None where its bytes have to be read for that."""
        ...


def searcher_of(source: Source, generation: int) -> Searcher | None:
    """See SearchedSource."""
    return source.searcher(generation) if isinstance(source, SearchedSource) else None


class FarScan(Protocol):
    """The scan that a piece belongs to."""

    def order_for(self, piece: Piece) -> dict[str, Any]:
        """What a worker is told of a piece."""
        ...

    def deliver(self, piece: Piece, first: int, blocks: list[BlockHits]) -> None: ...
    def idle(self, piece: Piece, size: int) -> None: ...
    def fail(self, problem: str) -> None: ...
    def resume(self, piece: Piece) -> None: ...


class _NobodyError(Exception):
    """Nobody there scans."""


class _DiedError(Exception):
    """The worker there ended, or talked nonsense."""


class FarScans:
    """All that one scanner has looked at on other hosts."""

    def __init__(self) -> None:
        self._workers: dict[Scanning, FarWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, scan: FarScan, piece: Piece, searcher: Searcher) -> None:
        """Have a piece looked at there, or here where that is not to be had; to cancel `Piece.far` ends it."""
        piece.far = asyncio.create_task(self._look(scan, piece, searcher))
        self._tasks.add(piece.far)
        piece.far.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))

    async def _look(self, scan: FarScan, piece: Piece, searcher: Searcher) -> None:
        """Try as long as there is hope."""
        failures = 0
        while failures <= _TRIES:
            before = piece.scanned
            try:
                await self._worker(searcher.host).work(scan, piece, await searcher.where())
            except _NobodyError:
                break
            except UnreachableError:
                failures = 0
            except (GatewatchError, _DiedError):
                failures = 1 if piece.scanned > before else failures + 1
            await asyncio.sleep(AGAIN_S)
        piece.far, piece.near = None, True
        scan.resume(piece)

    def _worker(self, host: Scanning) -> FarWorker:
        worker = self._workers.get(host)
        if worker is None or worker.over:
            worker = self._workers[host] = FarWorker(host)
        return worker


@dataclass
class _Job:
    scan: FarScan
    piece: Piece
    failed: asyncio.Future[NoReturn]


class FarWorker:
    """One worker on another host; it is started at once, and ends when nobody has had work for it for a while.

    Args:
        host: Where.

    Attributes:
        over: It has ended, or is about to.
    """

    def __init__(self, host: Scanning) -> None:
        self.over = False
        self._host = host
        self._orders: Orders = asyncio.Queue()
        self._jobs: dict[int, _Job] = {}
        self._number = self._syncs = self._synced = 0
        self._idle: asyncio.TimerHandle | None = None
        self._problem: Exception = _NobodyError()
        self._task = asyncio.create_task(self._run())
        self._starting = asyncio.get_running_loop().call_later(_STARTING_S, self._end)
        self._rest()

    async def work(self, scan: FarScan, piece: Piece, opening: Opening) -> NoReturn:
        """Have a piece looked at until that cannot go on, or nobody waits for this any more.

        Raises:
            GoneError: It is another file by now.
            UnreachableError: The way there is lost.
            _NobodyError, _DiedError: See there.
        """
        self._number += 1
        number = self._number
        if self.over:
            raise self._problem
        job = self._jobs[number] = _Job(scan, piece, asyncio.get_running_loop().create_future())
        piece.worker, piece.job = self, number
        self.send("open", number, *opening)
        self.send("scan", number, {"file": number, **scan.order_for(piece)})
        try:
            await job.failed
            raise AssertionError("a job that nobody ends has ended")
        finally:
            del self._jobs[number]
            job.failed.cancel()
            piece.worker = piece.job = None
            self.cancel(number)
            self.send("close", number)
            self._rest()

    def send(self, *order: Json) -> None:
        """Give an order."""
        if not self.over:
            self._orders.put_nowait([*order])

    def cancel(self, job: int) -> None:
        """Have a job dropped; a worker that does not listen is ended."""
        self._syncs += 1
        self.send("cancel", job)
        self.send("sync", self._syncs)
        asyncio.get_running_loop().call_later(_PATIENCE_S, self._insist, self._syncs)

    async def close(self) -> None:
        """End it."""
        self._end()
        await asyncio.gather(self._task, return_exceptions=True)

    def _end(self) -> None:
        self.over = True
        self._starting.cancel()
        if self._idle is not None:
            self._idle.cancel()
        self._task.cancel()

    def _rest(self) -> None:
        if self.over:
            return
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(LINGER_S, self._end_idle)

    def _end_idle(self) -> None:
        if not self._jobs:
            self._end()

    def _insist(self, sync: int) -> None:
        up = not isinstance(self._problem, _NobodyError)  # one that starts will see all orders together
        if up and self._synced < sync and not self.over:
            self._end()

    async def _run(self) -> None:
        try:
            async with contextlib.aclosing(self._host.scan(self._orders)) as frames:
                async for kind, body in frames:
                    self._problem = _DiedError()
                    self._starting.cancel()
                    self._take(kind, body)
        except UnreachableError as error:
            self._problem = error
        except (GatewatchError, ValueError, struct.error):
            pass  # it ends, and what it had is tried again, or done here
        finally:
            self._end()
            for job in self._jobs.values():
                if not job.failed.done():
                    job.failed.set_exception(self._problem)

    def _take(self, kind: int, body: bytes) -> None:
        """What the worker says, which nobody has looked at.

        Raises:
            ValueError, struct.error: It makes no sense.
        """
        if kind == scanwire.HITS:
            number, first = scanwire.JOB.unpack_from(body)
            if (job := self._jobs.get(number)) is not None:
                job.scan.deliver(job.piece, first, checked(body[scanwire.JOB.size :], job.piece.size))
            return
        news = strictjson.loads(body, "news of a scan", max_bytes=_NEWS) if kind == scanwire.NEWS else None
        match news:
            case ["sync", int(sync)]:
                self._synced = sync
            case ["another", int(number)] if (job := self._jobs.get(number)) is not None:
                if not job.failed.done():
                    job.failed.set_exception(GoneError("another file by now"))
            case ["idle", int(number), int(size)] if (job := self._jobs.get(number)) is not None:
                if size > job.piece.size:
                    raise ValueError("more was looked at than there is")
                job.scan.idle(job.piece, size)
            case ["problem", int(number), str(text)] if (job := self._jobs.get(number)) is not None:
                line = " ".join(text.split())[:_SHOWN]
                job.scan.fail("".join(char if char.isprintable() else "?" for char in line))
            case ["another" | "idle" | "problem", int(), *_]:
                pass  # of a job that is not wanted any more
            case _:
                raise ValueError("something that is no news of a scan arrived")


def checked(data: bytes, size: int) -> list[BlockHits]:
    """Results that came from another host, of a log of this size.

    Raises:
        ValueError, struct.error: They are none.
    """
    found = unpack(data)
    for one in found:
        begin = one.block * BLOCK
        if not begin <= one.upto <= min(begin + BLOCK, size) or (one.newlines, one.rows) != (UNKNOWN, UNKNOWN):
            raise ValueError("results of a block that is not there")
        if len(one.bits) > BLOCK // 8 + 1 or one.head > BLOCK + 1 or one.leaves not in {THROUGH, FAILS, PASSES}:
            raise ValueError("results of a block that cannot be")
        if one.starts:
            ascending = all(low < high for low, high in pairwise((-1, *one.starts, one.upto - begin)))
            if not ascending or len(one.starts) != int.from_bytes(one.bits, "little").bit_count():
                raise ValueError("places in a block that are not there")
            if not all(low <= high for low, high in pairwise((0, *one.ranks))) or any(map(gt, one.ranks, one.starts)):
                raise ValueError("more newlines than bytes")
    return found
