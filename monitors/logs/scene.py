"""A log as it was at one instant: what every answer to one question is worked out from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from hosts.local import lines
from hosts.local.lines import UTF8, Encoding, Reading, count
from monitors.logs.index import Index
from monitors.logs.pages import PageCache
from monitors.logs.spans import Spans
from monitors.logs.types import KEEP, Generation, Place
from monitors.logs.walk import Purse, Row, Walk

T = TypeVar("T")

_SPAN = 256 << 10
_NEWLINE = 4  # the bytes of a carriage return and a line feed in UTF-16


class Spot(NamedTuple):
    """A row, and the generation it is in."""

    generation: Generation
    row: Row

    @property
    def at(self) -> Place:
        return Place(self.generation.number, self.row.start)

    @property
    def end(self) -> Place:
        return Place(self.generation.number, self.row.end)


@dataclass
class Known:
    """What was found out about one generation, and stays true while it grows.

    Attributes:
        index: Its newlines.
        encoding: How it is written.
        settled: Whether the encoding is known for good.
        painted: Rows that later ones painted over.
    """

    index: Index
    encoding: Encoding = UTF8
    settled: bool = False
    painted: Spans = field(default_factory=Spans)


def counts(generations: Sequence[Generation], known: Mapping[int, Known]) -> tuple[int | None, int]:
    """How many lines can be read, None while they are counted for the first time, and the bytes counted so far."""
    count: int | None = 0
    counted = 0
    for generation in generations:
        one = known.get(generation.number)
        index = one.index if one is not None else Index(generation.first)
        counted += max(0, min(index.counted, generation.size) - max(index.origin, generation.first))
        here = index.lines(generation.size, generation.first)
        if one is not None and 0 < generation.size - generation.first < one.encoding.unit:
            here = 1  # half a character is all that is left
        count = count + here if count is not None and here is not None else None
    return count, counted


Learn = Callable[[Generation], Awaitable[Known]]


class Scene:
    """The generations that can be read, each of a fixed size.

    Everything raises GoneError where bytes were thrown away since, and UnreachableError where nobody answers.

    Args:
        generations: Oldest first.
        pages: Where bytes are read.
        learn: Gives what is known of a generation.
        purse: What the answer may cost; walks end early when it is empty.
    """

    def __init__(self, generations: tuple[Generation, ...], pages: PageCache, learn: Learn, purse: Purse) -> None:
        self.generations = tuple(one for one in generations if one.size > one.first)
        self.purse = purse
        self._pages = pages
        self._learn = learn
        self._walks: dict[int, Walk] = {}

    async def known(self, generation: Generation) -> Known:
        """What is known of a generation."""
        return await self._learn(generation)

    async def read(self, generation: Generation, start: int, end: int) -> bytes:
        """Bytes of a generation."""
        return await self._pages.read(generation, start, end - start)

    async def texts(self, spots: Sequence[Spot]) -> list[bytes]:
        """The bytes of rows, newlines included; of a row that is longer than a line may be, its beginning."""
        texts: list[bytes] = []
        done = 0
        while done < len(spots):
            generation, row = spots[done]
            end, upto = row.end, done + 1
            while upto < len(spots) and end - row.start < _SPAN and spots[upto].generation is generation:
                following = spots[upto].row
                if following.start != end or following.end - end > KEEP:
                    break
                end, upto = following.end, upto + 1
            whole = upto > done + 1 or end - row.start <= KEEP + _NEWLINE
            data = await self.read(generation, row.start, end if whole else row.start + KEEP)
            texts += [data[spot.row.start - row.start : spot.row.end - row.start] for spot in spots[done:upto]]
            done = upto
        return texts

    async def snap(self, at: Place) -> Place:
        """The first row that does not begin before `at`; where none does, the end."""
        for generation in self.generations:
            if generation.number > at.generation:
                return Place(generation.number, generation.first)
            if generation.number == at.generation:
                walk = await self._walk(generation)
                start = await self._drive(generation, walk.at_or_after(at.offset))
                if start < generation.size:
                    return Place(generation.number, start)
        return self.end

    @property
    def start(self) -> Place:
        """The first byte."""
        first = self.generations[0] if self.generations else Generation(0, 0)
        return Place(first.number, first.first)

    @property
    def end(self) -> Place:
        """Behind the last byte."""
        last = self.generations[-1] if self.generations else Generation(0, 0)
        return Place(last.number, last.size)

    async def ahead(self, at: Place, most: int) -> list[Spot]:
        """At most `most` rows from the row that begins at `at`, or the first one behind it in another generation."""
        spots: list[Spot] = []
        for generation in self.generations:
            if generation.number < at.generation or len(spots) == most:
                continue
            start = at.offset if generation.number == at.generation else generation.first
            walk = await self._walk(generation)
            rows = await self._drive(generation, walk.forward(start, most - len(spots)))
            spots += [Spot(generation, row) for row in rows]
            if spots and self.purse.empty:
                break
        return spots

    async def behind(self, at: Place, most: int) -> list[Spot]:
        """At most `most` rows before `at`, which is where a row begins or a generation ends; in order."""
        spots: list[Spot] = []
        for generation in reversed(self.generations):
            if generation.number > at.generation or len(spots) == most:
                continue
            end = at.offset if generation.number == at.generation else generation.size
            walk = await self._walk(generation)
            rows = await self._drive(generation, walk.backward(end, most - len(spots)))
            spots[:0] = [Spot(generation, row) for row in rows]
            if len(spots) > 1 and self.purse.empty:
                break
        return spots

    async def piece(self, spot: Spot) -> int:
        """Which piece of its line a row is."""
        walk = await self._walk(spot.generation)
        return await self._drive(spot.generation, walk.piece(spot.row.start))

    async def rank(self, generation: Generation, offset: int, near: tuple[int, int] | None = None) -> int | None:
        """Newlines between the origin of a generation's index and an offset, None where that takes more than a block.

        Args:
            near: Another offset, not behind this one, and its rank.
        """
        known = await self._learn(generation)
        index = known.index
        rank = index.rank(offset)
        if rank is not None:
            return rank
        found = _nearest(index, generation, offset, near)
        if found is None or self.purse.empty:
            return None
        base, rank = found
        low, high = min(base, offset), max(base, offset)
        data = await self.read(generation, low, high)
        if len(data) < high - low:
            return None
        self.purse.spent += len(data) // 4  # only counted, which is quick
        newlines = count(data, known.encoding, low)
        rank += newlines if base <= offset else -newlines
        index.remember(offset, rank)
        return rank

    async def note(self, place: Place, newlines: int) -> None:
        """Take it from who scanned the row's block that it has so many newlines before the row."""
        for generation in self.generations:
            index = (await self._learn(generation)).index if generation.number == place.generation else None
            block = place.offset // lines.BLOCK
            before = index.before(block) if index is not None and block * lines.BLOCK >= index.origin else None
            if index is not None and before is not None:
                index.remember(place.offset, before + newlines)

    async def warm(self, places: Sequence[Place]) -> None:
        """Have the rows held that begin at these places, and what it takes to number them; far apart or not."""
        for generation in self.generations:
            offsets = [place.offset for place in places if place.generation == generation.number]
            if len(offsets) < 2:
                continue
            index, near = (await self._learn(generation)).index, None
            spans = [(offset, offset + 1) for offset in offsets]
            for offset in offsets:
                found = _nearest(index, generation, offset, near) if index.rank(offset) is None else None
                if found is not None:
                    spans.append((min(found[0], offset), max(found[0], offset)))
                near = (offset, 0)
            await self._pages.warm(generation, spans)

    async def _walk(self, generation: Generation) -> Walk:
        walk = self._walks.get(generation.number)
        if walk is None:
            known = await self._learn(generation)
            walk = Walk(generation.first, generation.size, known.encoding, known.index, self.purse)
            self._walks[generation.number] = walk
        return walk

    async def _drive(self, generation: Generation, reading: Reading[T]) -> T:
        try:
            wanted = next(reading)
            while True:
                wanted = reading.send(await self._pages.read(generation, *wanted))
        except StopIteration as ended:
            value: T = ended.value
            return value


def _nearest(index: Index, generation: Generation, offset: int, near: tuple[int, int] | None) -> tuple[int, int] | None:
    """The nearest offset whose rank is known, and that, from which to count; None where it is farther than a block."""
    bases = [near] if near is not None else []
    before = index.before(offset // lines.BLOCK)
    if before is not None:
        bases.append((max(offset // lines.BLOCK * lines.BLOCK, index.origin), before))
    behind = index.before(offset // lines.BLOCK + 1)
    if behind is not None and index.origin <= offset:
        bases.append(((offset // lines.BLOCK + 1) * lines.BLOCK, behind))
    if index.origin <= offset:
        bases.append((index.counted, index.newlines))
    bases = [base for base in bases if abs(base[0] - offset) <= lines.BLOCK]
    bases = [base for base in bases if generation.first <= base[0] <= generation.size]
    return min(bases, key=lambda base: abs(base[0] - offset)) if bases else None
