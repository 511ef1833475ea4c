"""The rows of a log that a query or a filter lets pass, while they are still being looked for."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from hosts.errors import InputError
from hosts.local import lines
from hosts.local.blocks import BlockHits
from hosts.local.lines import Encoding, Reading
from hosts.local.match import rows_of_bits
from hosts.local.scan import renumbered
from monitors.logs.hitmap import HitMap, Hole, Span, Spot
from monitors.logs.matching import matcher_of
from monitors.logs.scanning import Scan, Scanner
from monitors.logs.types import Filter, Generation, GoneError, Place, Progress, Query, Source

T = TypeVar("T")
Read = Callable[[int, int, int], Awaitable[bytes]]

_NOWHERE = (array("I"), array("I"))
_KEPT = 4


class Search:
    """A scan of a log and what it has found; questions about places wait only for the blocks that matter.

    Whoever made it calls `update` after every change of the source's shape, and `close` in the end.

    Args:
        source: The log.
        scanner: Who does the work.
        wanted: What to look for; rows of a filter inherit levels, those of a query do not.
        read: Reads bytes, the source itself unless something is held nearer.
        encoding: Says how a generation is written.
        at: Where the scan begins, the log's end by default; it goes on from there to both sides.
        forward: To which side first.
        resting: Whether nothing is looked at before the first `update`.
    """

    def __init__(
        self,
        source: Source,
        scanner: Scanner,
        wanted: Query | Filter,
        *,
        read: Read | None = None,
        encoding: Callable[[int], Encoding] = lambda _: lines.UTF8,
        at: Place | None = None,
        forward: bool = False,
        resting: bool = False,
    ) -> None:
        self._source = source
        self._read = read or source.read
        self._encoding = encoding
        self._listeners: list[Callable[[], None]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._held: OrderedDict[tuple[int, int, int], tuple[bytes, int, bool]] = OrderedDict()
        self._closed = False
        self._scan: Scan | None = None
        self._problem = ""
        self.hits = HitMap()
        self._firsts: dict[int, int] = {}
        self._starts: dict[tuple[int, int], tuple[array[int], array[int]]] = {}  # and the newlines before them
        self._generations: tuple[Generation, ...] = ()
        try:
            matcher = matcher_of(wanted)
        except InputError as error:
            self._problem = str(error)
            return
        self.hits = HitMap(starts_in=matcher.level is None)
        if at is None and (generations := source.shape.generations):
            at = Place(generations[-1].number, generations[-1].size)
        self._scan = scanner.scan(
            source, matcher, self._found, self._changed, self._lost, encoding=encoding, at=at, forward=forward
        )
        if not resting:
            self.update()

    @property
    def progress(self) -> Progress:
        """How far the scan is."""
        if self._scan is None:
            return Progress(problem=self._problem)
        return replace(self._scan.progress, hits=self.hits.total)

    def update(self) -> None:
        """Look at the source's shape again: it grew, began anew, or lost bytes."""
        if self._scan is None or self._closed:
            return
        self._generations = self._source.shape.generations
        present = {one.number: one for one in self._generations}
        for number in [number for number in self._firsts if number not in present]:
            del self._firsts[number]
            self.hits.drop(number)
            self._forget(number)
        for number, one in present.items():
            if self._firsts.get(number) != one.first:
                self._firsts[number] = one.first
                self._forget(number, renumbered(one.first)[-1] + 1)
                self.hits.trim(number, one.first // lines.BLOCK)
                for block in renumbered(one.first):
                    self.hits.reopen(number, block)
        self._scan.update()

    def rest(self) -> None:
        """Look at nothing more before the next `update`; until then all answers are about the log as it was."""
        if self._scan is not None and not self._closed:
            self._scan.rest()

    def listen(self, call: Callable[[], None]) -> Callable[[], None]:
        """Be called on the loop after progress, at most about 20 times a second; gives what ends it."""
        self._listeners.append(call)
        return lambda: self._listeners.remove(call) if call in self._listeners else None

    def is_settled(self, generation: int, block: int) -> bool:
        """Whether all hits of a block are known, and stay so whatever is appended."""
        known = self._scan is not None and self._scan.is_settled(generation, block)
        return known and self.hits.is_known(generation, block)

    def covers(self, generation: int, size: int) -> bool:
        """Whether the block that a generation of this size ends in was looked at up to there."""
        return self._scan is not None and self._scan.covers(generation, size)

    @property
    def closed(self) -> bool:
        """Whether nobody looks any more."""
        return self._closed

    def close(self) -> None:
        """Stop looking; what was found can still be asked for. Questions that wait are answered with None."""
        if not self._closed:
            self._closed = True
            if self._scan is not None:
                self._scan.close()
            self._changed()

    async def next(self, at: Place) -> Place | None:
        """The first hit that begins after `at`; None where the log as it is now has none.

        Raises:
            UnreachableError: The row was found and its bytes cannot be read.
        """
        found, _ = await self.ahead(Place(at.generation, at.offset + 1), 1, wait=True)
        return found[0] if found else None

    async def previous(self, at: Place) -> Place | None:
        """The last hit that begins before `at`; None where there is none.

        Raises:
            UnreachableError: The row was found and its bytes cannot be read.
        """
        found, _ = await self.behind(at, 1, wait=True)
        return found[-1] if found else None

    async def ahead(self, at: Place, most: int, *, wait: bool = False) -> tuple[list[Place], bool]:
        """At most `most` hits that begin at or after `at`, and whether that is all there is to say.

        Args:
            at: Any byte.
            most: How many.
            wait: Whether to wait for what is not scanned yet. Without it, what is known of the row that the log ends
                in may be what was known before it grew.

        Raises:
            UnreachableError: The rows were found and their bytes cannot be read.
        """
        found: list[Place] = []
        sizes = {one.number: one.size for one in self._generations if one.number >= at.generation}
        while len(found) < most:
            generation, block, row = await self._spot(at)
            here = self.hits.next(Spot(generation, block, row - 1), self._spans()) or self._unscanned(sizes)
            if isinstance(here, Spot) and wait and not self._stays(here, sizes):
                here = Hole(here.generation, here.block)
            if here is None:
                return found, True
            if isinstance(here, Hole):
                if not await self._fill(here, forward=True, wait=wait):
                    return found, False
            elif places := await self._places(here, most - len(found)):
                found += places
                at = Place(places[-1].generation, places[-1].offset + 1)
        return found, True

    async def behind(self, at: Place, most: int, *, wait: bool = False) -> tuple[list[Place], bool]:
        """At most `most` hits that begin before `at`, in order, and whether that is all there is to say.

        Args:
            at: Any byte.
            most: How many.
            wait: See `ahead`. Without it, what nobody has looked at yet at the log's end is passed over.

        Raises:
            UnreachableError: The rows were found and their bytes cannot be read.
        """
        found: list[Place] = []
        whole = True
        sizes = {one.number: one.size for one in self._generations if one.number <= at.generation}
        sizes[at.generation] = min(at.offset, sizes.get(at.generation, 0))
        if not wait and self._scan is not None and self._unscanned(sizes) is not None:
            whole = False
            at = min(at, Place(at.generation, self._scan.high(at.generation)))
        while len(found) < most:
            spot = await self._spot(at)
            here: Spot | Hole | None = self._unscanned(sizes) if wait else None
            if here is None:
                here = self.hits.previous(spot, self._spans())
            if isinstance(here, Spot) and wait and not self._stays(here, sizes):
                here = Hole(here.generation, here.block)
            if here is None:
                return found, whole
            if isinstance(here, Hole):
                if not await self._fill(here, forward=False, wait=wait):
                    return found, False
            elif places := await self._places(here, most - len(found), backward=True):
                found[:0] = places
                at = places[0]
        return found, whole

    async def ordinal(self, at: Place) -> int:
        """How many of the hits found so far begin at `at` or before it.

        Raises:
            UnreachableError: Nobody answers who has the bytes.
        """
        return self.hits.before(await self._spot(Place(at.generation, at.offset + 1)))

    async def nth(self, number: int) -> Place | None:
        """The hit with that many hits before it, among those found so far.

        Raises:
            UnreachableError: Nobody answers who has the bytes.
        """
        while (spot := self.hits.nth(number)) is not None:
            if places := await self._places(spot, 1):
                return places[0]
        return None

    def newlines_before(self, hit: Place) -> int | None:
        """Newlines between the beginning of a hit's block and the hit; None where whoever scanned it did not say."""
        block, at = divmod(hit.offset, lines.BLOCK)
        starts, ranks = self._starts.get((hit.generation, block), _NOWHERE)
        index = bisect_left(starts, at)
        return ranks[index] if index < len(starts) and starts[index] == at else None

    def _found(self, generation: int, blocks: list[BlockHits]) -> None:
        if generation in self._firsts:
            for block in blocks:
                self.hits.put(generation, block)
                self._starts.pop((generation, block.block), None)
                if block.starts:
                    self._starts[generation, block.block] = array("I", block.starts), array("I", block.ranks)

    def _forget(self, generation: int, upto: int | None = None) -> None:
        """Where hits begin is not known any more, of the blocks below `upto`, or of all."""
        gone = [key for key in self._starts if key[0] == generation and (upto is None or key[1] < upto)]
        for key in gone:
            del self._starts[key]

    def _told(self, generation: int, block: int) -> dict[int, int] | None:
        """Where the hits of a block begin, by their rows; None where that has to be read."""
        bits = self.hits.rows(generation, block)
        starts, _ = self._starts.get((generation, block), _NOWHERE)
        if not self.hits.is_known(generation, block) or bits.bit_count() > len(starts):
            return None
        # Of rows at the beginning that wait for a level, those may be left out
        rows = rows_of_bits(bits, len(starts))
        return dict(zip(rows, starts[len(starts) - len(rows) :], strict=True))

    def _lost(self, generation: int) -> None:
        """A generation is scanned anew: what is known of it is not true any more."""
        self.hits.drop(generation)
        self._forget(generation)
        if generation in self._firsts:
            self.hits.trim(generation, self._firsts[generation] // lines.BLOCK)

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for call in tuple(self._listeners):
            call()

    def _generation(self, number: int) -> Generation | None:
        return next((one for one in self._generations if one.number == number), None)

    def _spans(self) -> list[Span]:
        return [
            Span(one.number, one.first // lines.BLOCK, -(-one.size // lines.BLOCK))
            for one in self._generations
            if one.size > one.first
        ]

    def _unscanned(self, sizes: dict[int, int]) -> Hole | None:
        """The end of a generation that was not scanned up to its size."""
        for one in self._generations:
            size = sizes.get(one.number, 0)
            if size > one.first and (self._scan is None or not self._scan.covers(one.number, size)):
                return Hole(one.number, (size - 1) // lines.BLOCK)
        return None

    def _stays(self, spot: Spot, sizes: dict[int, int]) -> bool:
        """Whether a hit is one in a log of these sizes, and not only in the shorter one that was looked at."""
        if self._scan is None or self._scan.is_settled(spot.generation, spot.block):
            return True
        one = self._generation(spot.generation)
        return one is None or self._scan.covers(spot.generation, sizes.get(spot.generation, one.size))

    async def _fill(self, hole: Hole, forward: bool, wait: bool) -> bool:
        """Have a block scanned before others; whether there is something new to look at."""
        if self._scan is None or self._closed or self._scan.progress.problem:
            return False
        self._scan.toward(Place(hole.generation, hole.block * lines.BLOCK), forward)
        if wait:
            changed = asyncio.get_running_loop().create_future()
            self._waiting.append(changed)
            await changed
        return wait

    async def _spot(self, at: Place) -> Spot:
        """The row of the first byte at or behind `at` that a row begins with."""
        one = self._generation(at.generation)
        if one is None or at.offset <= one.first:
            return Spot(at.generation, one.first // lines.BLOCK if one is not None else 0, 0)
        offset = min(at.offset, one.size)
        block = offset // lines.BLOCK
        if offset % lines.BLOCK == 0:
            return Spot(at.generation, block, 0)
        told = self._told(at.generation, block)
        if told is not None:  # any row will do that stands so between the hits
            before = bisect_left([*told.values()], offset - block * lines.BLOCK)
            return Spot(at.generation, block, [*told, max(told, default=-1) + 1][before])
        try:
            data, base, begins = await self._block(one, block)
        except GoneError:
            return Spot(at.generation, block, 0)
        row = lines.rows_before(data, base, offset, self._encoding(at.generation), begins=begins)
        return Spot(at.generation, block, row)

    async def _places(self, spot: Spot, most: int, backward: bool = False) -> list[Place]:
        """Where hits of one block begin: at most so many from a hit on, or up to it; none where the bytes are gone."""
        one = self._generation(spot.generation)
        bits = self.hits.rows(spot.generation, spot.block)
        numbers: list[int] = []
        bits = bits & ((2 << spot.row) - 1) if backward else bits >> spot.row << spot.row
        while bits and len(numbers) < most:
            number = bits.bit_length() - 1 if backward else (bits & -bits).bit_length() - 1
            numbers.append(number)
            bits ^= 1 << number
        numbers.sort()
        starts: list[int] = []
        if one is not None and (told := self._told(*spot[:2])) is not None:
            starts = [spot.block * lines.BLOCK + told[number] for number in numbers]
        elif one is not None:
            try:
                data, base, begins = await self._block(one, spot.block)
            except GoneError:
                data = b""
            else:
                encoding = self._encoding(spot.generation)
                starts = lines.nth_rows(data, base, numbers, encoding, begins=begins)
        if not starts:
            self.hits.trim(spot.generation, spot.block + 1)
        return [Place(spot.generation, start) for start in starts]

    async def _block(self, one: Generation, block: int) -> tuple[bytes, int, bool]:
        """A block's bytes, where they begin, and whether a row begins there."""
        base = max(block * lines.BLOCK, one.first)
        size = min((block + 1) * lines.BLOCK, one.size) - base
        key = (one.number, base, one.first)
        held = self._held.get(key)
        if held is None or len(held[0]) < size:
            begins = await self._drive(one.number, lines.begins_at(base, one.first, self._encoding(one.number)))
            held = self._held[key] = (await self._read(one.number, base, size), base, begins)
        self._held.move_to_end(key)
        while len(self._held) > _KEPT:
            self._held.popitem(last=False)
        return held

    async def _drive(self, generation: int, reading: Reading[T]) -> T:
        try:
            wanted = next(reading)
            while True:
                wanted = reading.send(await self._read(generation, *wanted))
        except StopIteration as ended:
            value: T = ended.value
            return value
