"""Keeps the line counts of a log up to date, by a scan that goes on beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hosts.errors import GatewatchError
from hosts.local import lines
from hosts.local.blocks import BlockHits
from hosts.local.lines import Encoding
from monitors.logs.index import Index
from monitors.logs.scene import Known
from monitors.logs.types import Generation, Source

if TYPE_CHECKING:
    from monitors.logs.scanning import Scan, Scanner


def load() -> None:
    """Import all that counts a log, which may take a moment: whoever prints one as it is does without."""
    importlib.import_module("monitors.logs.tally_far")


class Uncounted:
    """In the place of a tally where nobody asks how many lines there are."""

    def update(self) -> None:
        """Look at nothing."""

    def close(self) -> None:
        """Let go of nothing."""


def unread(one: Generation, index: Index) -> int | None:
    """Up to where a generation has to be read to know how many of its counted lines are gone; None where it has not."""
    block = one.first // lines.BLOCK + 1
    return None if index.before(block) is None or index.gone(one.first) is not None else block * lines.BLOCK


async def find_gone(source: Source, one: Generation, known: Known) -> bool:
    """Find out how many of a generation's counted lines are gone; whether that is news.

    Raises:
        GoneError: More of them are by now.
        UnreachableError: Nobody answers.
    """
    index, encoding = known.index, known.encoding
    end = unread(one, index)
    if end is None:
        return False
    data = await source.read(one.number, one.first, end - one.first)
    upto = index.before(end // lines.BLOCK)
    if upto is None or len(data) < end - one.first:
        return False
    index.remember(one.first, upto - lines.count(data, encoding, one.first))
    return index.gone(one.first) is not None


class Tally:
    """Counts what is there, and what is added.

    Args:
        source: The log.
        scanner: Who counts.
        known: What is known of its generations, by number; their indexes are filled.
        encoding: Says how a generation is written.
        counted: Called after every step.
    """

    def __init__(
        self,
        source: Source,
        scanner: Scanner,
        known: Mapping[int, Known],
        encoding: Callable[[int], Encoding],
        counted: Callable[[], None],
    ) -> None:
        self._source = source
        self._scanner = scanner
        self._known = known
        self._encoding = encoding
        self._counted = counted
        self._scan = self._begin()
        self._gone: asyncio.Task[None] | None = None
        self._read: dict[int, tuple[Encoding, int | None]] = {}  # as what, and out of what, generations are counted
        self._checking: asyncio.Task[None] | None = None
        self._unchecked = False

    def update(self) -> None:
        """Look at the source's shape again; every generation in it is known."""
        lost = False
        for one in self._source.shape.generations:
            known = self._known.get(one.number)
            if known is None:
                continue
            index = known.index
            if one.first > max(index.origin, index.next_block * lines.BLOCK):
                # Bytes went before they were counted, and what is counted of their block may or may not hold them
                known.index, lost = Index(one.first), True
            elif index.counted >= one.size:
                index.caught_up = True
        if lost:
            self._scan.close()
            self._scan = self._begin()
        # Asked for before the scan does, which may see newer ones; kept after it, since `_lost` wants those before
        read = {number: (one.encoding, self._source.descriptor(number)) for number, one in self._known.items()}
        self._scan.update()
        self._read = read
        if self._wanted() is not None and (self._gone is None or self._gone.done()):
            self._gone = asyncio.create_task(self._find_gone())

    def close(self) -> None:
        """Stop counting."""
        self._scan.close()
        for task in (self._gone, self._checking):
            if task is not None:
                task.cancel()

    def _wanted(self) -> tuple[Generation, Known] | None:
        """A generation of which lines are gone, and nobody knows how many."""
        for one in self._source.shape.generations:
            known = self._known.get(one.number)
            if known is not None and unread(one, known.index) is not None:
                return one, known
        return None

    async def _find_gone(self) -> None:
        shape = None
        while shape is not self._source.shape:
            shape = self._source.shape
            with contextlib.suppress(GatewatchError):  # the next change tries again
                while (wanted := self._wanted()) is not None and await find_gone(self._source, *wanted):
                    self._counted()

    def _begin(self) -> Scan:
        return self._scanner.scan(
            self._source, None, self._found, self._counted, self._lost, self._foreseen, encoding=self._encoding
        )

    def _found(self, generation: int, blocks: list[BlockHits]) -> None:
        known = self._known.get(generation)
        if known is None:
            return
        for block in blocks:
            known.index.add(block.block, block.upto, block.newlines)
        sizes = (one.size for one in self._source.shape.generations if one.number == generation)
        known.index.caught_up = known.index.caught_up or known.index.counted >= next(sizes, 0)
        if known.index.next_block > known.index.sure:
            self._unchecked = True
            if self._checking is None or self._checking.done():
                self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        """Have the source see whether its files are still what they were, now that blocks of them are counted.

        Nobody can count these again once they are thrown away, and a file that is read past the source may have been
        written over before the source saw it.
        """
        while self._unchecked:
            self._unchecked = False
            for one in self._source.shape.generations:
                known = self._known.get(one.number)
                if known is None or known.index.next_block <= known.index.sure or not self._reads(one.number):
                    continue
                index, block = known.index, known.index.next_block
                with contextlib.suppress(GatewatchError):  # the source has told of it, or will
                    if await self._source.read(one.number, one.first, 1) and self._reads(one.number):
                        index.sure = block

    def _reads(self, number: int) -> bool:
        """Whether a generation is read past the source, and still out of what it was when its scan looked last."""
        read = self._read.get(number)
        return read is not None and read[1] is not None and read[1] == self._source.descriptor(number)

    def _foreseen(self, generation: int, upto: int, lines: int) -> None:
        if (known := self._known.get(generation)) is not None:
            known.index.foreseen = upto, lines

    def _lost(self, generation: int) -> None:
        known = self._known.get(generation)
        if known is None:
            return
        index, (encoding, _) = known.index, self._read.get(generation, (None, None))
        firsts = (one.first for one in self._source.shape.generations if one.number == generation)
        first = next(firsts, 0)
        # All that can still be read is counted anew; of what cannot, only what is sure counts on
        kept = index.surely() if first > index.origin and encoding is known.encoding else Index(index.origin)
        known.index = Index(first) if first > max(kept.origin, kept.next_block * lines.BLOCK) else kept
