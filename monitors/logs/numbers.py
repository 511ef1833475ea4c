"""Which line has which number, and how many lie between two places."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from hosts.errors import UnreachableError
from hosts.local import lines
from monitors.logs.pages import PageCache
from monitors.logs.scene import Known, Learn, Scene
from monitors.logs.types import GoneError, Place, Shape
from monitors.logs.walk import Purse


class Numbers:
    """Answers from what is counted, reading no more than a block.

    Args:
        known: What is known of the generations, by number.
        pages: Where bytes are read.
        learn: Gives what is known of a generation.
    """

    def __init__(self, known: Mapping[int, Known], pages: PageCache, learn: Learn) -> None:
        self._known = known
        self._pages = pages
        self._learn = learn
        self._wanted: dict[tuple[int, int], None] = {}

    async def place_of(self, shape: Shape, generation: int, number: int) -> Place | None:
        """Where a line begins, or what is left of it; see `LogModel.at_number`."""
        known = self._known.get(generation)
        there = next((one for one in shape.generations if one.number == generation), None)
        if known is None or there is None or known.index.origin > 0 or number < 1:
            return None
        index = known.index
        newline = number - 2  # the one before the line, from 0
        block = 0 if newline < 0 else index.block_of(newline)
        if block is None:
            return None
        block = max(block, there.first // lines.BLOCK)
        low, high = max(block * lines.BLOCK, there.first), min((block + 1) * lines.BLOCK, index.counted)
        upto = index.before(block + 1)
        try:
            data = await self._pages.read(there, low, high - low)
        except GoneError:
            return None
        # A byte more, so that a row behind the last newline counts as one
        starts = await asyncio.to_thread(lines.row_starts, data + b" ", low, known.encoding, begins=False)
        before = (index.newlines if upto is None else upto) - len(starts)
        if len(data) < high - low or newline < before - (low == there.first):
            return None
        offset = starts[newline - before] if newline >= before else low
        return Place(generation, offset) if offset < there.size else None

    def between(self, shape: Shape, first: Place, last: Place) -> int | None:
        """How many newlines stand between two places; None where `catch_up` has to look first."""
        total = 0
        for generation in shape.generations:
            number = generation.number
            if not first.generation <= number <= last.generation:
                continue
            known = self._known.get(number)
            if known is None:
                return None
            index = known.index
            begin = max(first.offset, generation.first) if number == first.generation else generation.first
            end = min(last.offset, generation.size) if number == last.generation else generation.size
            end = min(end, index.counted) if index.caught_up else end
            if begin >= end:
                continue
            before, upto = index.rank(begin), index.rank(end)
            if before is None or upto is None:
                self._wanted |= {(number, offset): None for offset in (begin, end) if offset <= index.counted}
                return None
            total += upto - before
        return total

    async def catch_up(self, shape: Shape) -> bool:
        """Find out what `between` did not know; whether there was anything."""
        found = False
        while self._wanted:
            number, offset = next(iter(self._wanted))
            del self._wanted[number, offset]
            scene = Scene(shape.generations, self._pages, self._learn, Purse())
            for generation in scene.generations:
                if generation.number == number and generation.first <= offset <= generation.size:
                    with contextlib.suppress(GoneError, UnreachableError):  # asked again, it is tried again
                        found = await scene.rank(generation, offset) is not None or found
        return found
