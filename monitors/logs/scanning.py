"""Scans of logs beside the event loop: in a worker process, or for little in a thread.

A scan covers all generations of a log. What it finds is given block by block and in any order; it keeps nothing but
which blocks are done. The worker is one process for all scans of a scanner, started when the first of them needs it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from hosts.errors import UnreachableError
from hosts.local import lines, scanwire
from hosts.local.blocks import BlockHits, Matcher, unpack
from hosts.local.lines import Encoding
from hosts.local.scan import renumbered
from monitors.logs.scan_far import FarScans, Searcher, searcher_of
from monitors.logs.scan_piece import Piece
from monitors.logs.scan_process import ScanProcess
from monitors.logs.scan_small import SmallScan
from monitors.logs.types import GoneError, Place, Progress, Source

SMALL = 4 << 20
"""Bytes of a log up to which no worker is started for it, unless somebody's expression is to be matched."""

_DEATHS = 3
_CLOSING = 2.0  # seconds that a killed worker has to go

Found = Callable[[int, list[BlockHits]], None]


class Scanner:
    """Has logs scanned. Made and used on one event loop.

    Args:
        small: Bytes of a log up to which a thread will do.
        ripgrep: Whether ripgrep may be used where it is installed.
    """

    def __init__(self, *, small: int = SMALL, ripgrep: bool = True) -> None:
        self.small = small
        self._ripgrep = ripgrep
        self._process: ScanProcess | None = None
        self._dying: list[ScanProcess] = []
        self._deaths = 0
        self._numbers = 0
        self._scans: list[Scan] = []
        self._jobs: dict[int, tuple[Scan, Piece]] = {}
        self._files: dict[int, tuple[Source, int]] = {}
        self._reads: set[asyncio.Task[None]] = set()
        self._far = FarScans()

    @property
    def pid(self) -> int | None:
        """The worker's process, None while there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Have the worker come up before the first scan needs it."""
        if self._process is None:
            self._process = ScanProcess(self._ripgrep, self._take, self._ended)

    def scan(
        self,
        source: Source,
        matcher: Matcher | None,
        found: Found,
        changed: Callable[[], None],
        lost: Callable[[int], None] = lambda _: None,
        total: Callable[[int, int, int], None] = lambda *_: None,
        *,
        encoding: Callable[[int], Encoding] = lambda _: lines.UTF8,
        at: Place | None = None,
        forward: bool = True,
    ) -> Scan:
        """Begin a scan; it looks at nothing before its first `update`.

        Args:
            source: The log.
            matcher: What to look for; None counts newlines.
            found: Called on the loop with a generation's number and what was found in some of its blocks, a block
                again when more of it is known.
            changed: Called on the loop after progress, about 20 times a second at most.
            lost: Called with a generation that is looked at anew: what was found in it is not true.
            total: Called with a generation, an offset and the lines before that, an unfinished last one counted, where
                somebody quicker has counted them; only without a matcher, and before most blocks are looked at.
            encoding: Says how a generation is written.
            at: Where to begin; the oldest byte by default.
            forward: To which side first.
        """
        scan = Scan(self, source, matcher, found, changed, lost, total, encoding, at or Place(0, 0), forward)
        self._scans.append(scan)
        return scan

    async def close(self) -> None:
        """End every scan, and the worker."""
        for scan in tuple(self._scans):
            scan.close()
        await self._far.close()
        self._let_go()
        for process in self._dying:
            process.kill()
            await process.gone(_CLOSING)
        for read in self._reads:
            read.cancel()
        await asyncio.gather(*self._reads, return_exceptions=True)

    # For the scans.

    def begin(self, scan: Scan, piece: Piece) -> None:
        """Give a piece to the worker."""
        self.start()
        assert self._process is not None
        self._numbers += 1
        piece.worker, piece.job = self._process, self._numbers
        self._jobs[piece.job] = scan, piece
        self._files[piece.job] = scan.source, piece.generation
        self._process.send_file(piece.job, piece.descriptor)
        self._process.send("scan", piece.job, {"file": piece.job, **scan.order_for(piece)})

    def begin_far(self, scan: Scan, piece: Piece, searcher: Searcher) -> None:
        """Have a piece looked at where it lies."""
        self._far.begin(scan, piece, searcher)

    def order(self, name: str, piece: Piece, *rest: Any) -> None:
        """Tell whoever looks at a piece more about it."""
        if piece.worker is not None and piece.job is not None:
            piece.worker.send(name, piece.job, *rest)

    def cancel(self, piece: Piece) -> None:
        """Take a piece from whoever looks at it."""
        if piece.far is not None:
            piece.far.cancel()
        elif piece.worker is not None and piece.job is not None:
            piece.worker.cancel(piece.job)
            piece.worker.send("close", piece.job)
            self._jobs.pop(piece.job, None)
            self._files.pop(piece.job, None)
        piece.worker = piece.job = piece.far = None

    def forget(self, scan: Scan) -> None:
        """A scan was closed."""
        self._scans.remove(scan)

    def _let_go(self) -> None:
        self._dying = [process for process in self._dying if not process.is_gone]
        if self._process is not None:
            self._dying.append(self._process)
        self._process = None

    # From the worker.

    def _take(self, kind: int, body: bytes) -> None:
        if kind == scanwire.HITS:
            self._deaths = 0
            number, first = scanwire.JOB.unpack_from(body)
            if (held := self._jobs.get(number)) is not None:
                held[0].deliver(held[1], first, unpack(body[scanwire.JOB.size :]))
            return
        name, number, *rest = json.loads(body)
        if name == "read":
            read = asyncio.create_task(self._answer(number, *rest))
            self._reads.add(read)
            read.add_done_callback(self._reads.discard)
        elif (held := self._jobs.get(number)) is not None:
            if name == "idle":
                held[0].idle(held[1], *rest)
            elif name == "total":
                held[0].foresee(held[1], *rest)
            elif name == "problem":
                held[0].fail(*rest)

    async def _answer(self, file: int, at: int, size: int) -> None:
        process = self._process
        held = self._files.get(file)
        if process is None:
            return
        try:
            if held is None:
                raise GoneError("nobody asks any more")
            process.send_bytes(await held[0].read(held[1], at, size))
        except (UnreachableError, GoneError):
            process.send("unread")  # the next update tries again, or knows better

    def _ended(self, by_itself: bool) -> None:
        """The worker is gone: what it had is given to another."""
        self._let_go()
        self._deaths += by_itself
        orphans = list(self._jobs.values())
        self._jobs.clear()
        self._files.clear()
        for scan, piece in orphans:
            piece.worker = piece.job = None
            if self._deaths > _DEATHS:
                scan.fail("the scan worker does not stay alive")
            else:
                scan.resume(piece)


class Scan:
    """One scan; made by `Scanner.scan`.

    Attributes:
        source: The log.
    """

    def __init__(
        self,
        scanner: Scanner,
        source: Source,
        matcher: Matcher | None,
        found: Found,
        changed: Callable[[], None],
        lost: Callable[[int], None],
        total: Callable[[int, int, int], None],
        encoding: Callable[[int], Encoding],
        at: Place,
        forward: bool,
    ) -> None:
        self.source = source
        self._scanner = scanner
        self._matcher = matcher
        self._found = found
        self._changed = changed
        self._lost = lost
        self._total = total
        self._encoding = encoding
        self._focus, self._forward = at, forward
        self._pieces: dict[int, Piece] = {}
        self._resting: set[int] = set()  # generations that were not looked at to their end, and that nobody looks at
        self._problem, self._closed = "", False

    @property
    def progress(self) -> Progress:
        """How far it is; it counts no hits."""
        pieces = self._pieces.values()
        return Progress(
            scanned=sum(piece.scanned for piece in pieces),
            total=sum(piece.size - piece.first for piece in pieces),
            done=all(piece.idle >= piece.size for piece in pieces) and not self._problem,
            problem=self._problem,
        )

    def covers(self, generation: int, size: int) -> bool:
        """Whether the block that ends a generation of this size was looked at up to there."""
        piece = self._pieces.get(generation)
        return piece is not None and piece.covers(size)

    def is_settled(self, generation: int, block: int) -> bool:
        """Whether what was found in a block stays true whatever is appended."""
        piece = self._pieces.get(generation)
        return piece is not None and piece.is_settled(block)

    def high(self, generation: int) -> int:
        """Behind this offset nothing was looked at yet."""
        return piece.high if (piece := self._pieces.get(generation)) is not None else 0

    def update(self) -> None:
        """Look at the source's shape again."""
        if self._closed:
            return
        generations = {one.number: one for one in self.source.shape.generations if one.size > one.first}
        for number in self._pieces.keys() - generations.keys():
            self._drop(self._pieces.pop(number))
        resting, self._resting = self._resting, set()
        for number, one in generations.items():
            encoding, descriptor = self._encoding(number), self.source.descriptor(number)
            piece = self._pieces.get(number)
            if piece is not None and (piece.encoding != encoding or piece.descriptor not in (None, descriptor)):
                # Read as something else, or out of a file that may hold something else by now
                self._drop(self._pieces.pop(number))
                self._lost(number)
                piece = None
            if piece is None:
                piece = self._pieces[number] = Piece(number, one.first, one.size, encoding, descriptor)
                self.resume(piece)
                continue
            if (piece.first, piece.size) != (one.first, one.size) or piece.job is not None:
                piece.grow(one.first, one.size, by_rows=self._matcher is not None)
                self._scanner.order("grow", piece, one.first, one.size)
            if number in resting:
                self.resume(piece)
            piece.wake.set()

    def rest(self) -> None:
        """Look at nothing more before the next `update`, which goes on where this ended."""
        self._resting = {number for number, piece in self._pieces.items() if piece.idle < piece.size}
        for number in self._resting:
            self._drop(self._pieces[number])

    def toward(self, at: Place, forward: bool) -> None:
        """Go on from a place, to this side first."""
        if (at, forward) == (self._focus, self._forward):
            return
        self._focus, self._forward = at, forward
        for piece in self._pieces.values():
            self._scanner.order("toward", piece, *self._way(piece))

    def close(self) -> None:
        """End it."""
        if self._closed:
            return
        self._closed = True
        for piece in self._pieces.values():
            self._drop(piece)
        self._scanner.forget(self)

    # For the scanner.

    def deliver(self, piece: Piece, first: int, blocks: list[BlockHits]) -> None:
        """Blocks were looked at, when the first byte was this one."""
        if not self._closed and self._pieces.get(piece.generation) is piece:
            self._problem = ""
            if first != piece.first and self._matcher is not None:
                blocks = [block for block in blocks if block.block > renumbered(piece.first)[-1]]
            for block in blocks:
                piece.saw(block)
            self._found(piece.generation, blocks)
            if piece.worker is not None and piece.generation != self.source.shape.generations[-1].number:
                piece.verify(self.source)
            self._changed()

    def idle(self, piece: Piece, size: int) -> None:
        """All of a piece was looked at, up to this size."""
        if not self._closed:
            piece.idle = size
            self._changed()

    def foresee(self, piece: Piece, upto: int, lines: int) -> None:
        """There are so many lines in a piece up to an offset."""
        if not self._closed and self._pieces.get(piece.generation) is piece:
            self._total(piece.generation, upto, lines)
            self._changed()

    def fail(self, problem: str) -> None:
        """It cannot go on."""
        if not self._closed:
            self._problem = problem
            self._changed()

    def resume(self, piece: Piece) -> None:
        """Have a piece looked at, as far as that is not done."""
        total = sum(one.size - one.first for one in self.source.shape.generations)
        if total <= self._scanner.small and not (self._matcher is not None and self._matcher.has_regex):
            piece.thread = asyncio.create_task(self._by_thread(piece))
            return
        searcher = searcher_of(self.source, piece.generation) if self._matcher is not None and not piece.near else None
        if searcher is not None and total > self._scanner.small:
            self._scanner.begin_far(self, piece, searcher)
        else:
            self._scanner.begin(self, piece)

    def order_for(self, piece: Piece) -> dict[str, Any]:
        """What a worker is told of a piece."""
        at, forward, rank = self._way(piece)
        return {
            "matcher": self._matcher.to_json() if self._matcher is not None else None,
            "encoding": piece.encoding.name,
            "first": piece.first,
            "size": piece.size,
            "at": at,
            "forward": forward,
            "rank": rank,
            "skip": piece.spans(),
        }

    def _way(self, piece: Piece) -> tuple[int, bool, int]:
        """Where in a piece to begin, to which side first, and how soon."""
        distance = piece.generation - self._focus.generation
        if distance == 0:
            return self._focus.offset, self._forward, 0
        ahead = distance > 0
        return 0 if ahead else piece.size, ahead, 2 * abs(distance) + (ahead != self._forward)

    def _drop(self, piece: Piece) -> None:
        self._scanner.cancel(piece)
        piece.end_tasks()

    async def _by_thread(self, piece: Piece) -> None:
        """Look at a piece, and again whenever it grew, until it is too large for a thread."""
        small = SmallScan(self.source, piece, self._matcher)
        while piece.size - piece.first <= self._scanner.small:
            piece.wake.clear()
            first, size = piece.first, piece.size
            try:
                blocks = await small.scan()
            except (UnreachableError, GoneError):
                pass  # the next update tries again, or knows better
            except OSError as error:
                self.fail(f"cannot read: {error.strerror}")
            else:
                self.deliver(piece, first, blocks)
                if first == piece.first:
                    self.idle(piece, size)
            if (piece.first, piece.size) == (first, size):
                await piece.wake.wait()
        piece.thread = None
        self.resume(piece)
