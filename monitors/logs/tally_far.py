"""Keeps the line counts of a log on another host up to date: it is counted there, and what arrives is counted here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hosts.errors import GatewatchError
from hosts.local import lines
from hosts.local.counting import Counts
from hosts.local.lines import Encoding
from monitors.logs.index import Index
from monitors.logs.scanning import Scanner
from monitors.logs.scene import Known
from monitors.logs.tally import Tally, find_gone
from monitors.logs.types import Generation, Source

AGAIN_S = 1.0
"""Seconds after which counting that did not work is tried again."""


class Counter(Protocol):
    """Counts one generation where it lies."""

    def held(self, at: int, size: int) -> bytes | None:
        """Bytes that are here already, some of those that are asked for; None where the first of them is not."""
        ...

    def count(self, low: int, size: int, encoding: Encoding) -> AsyncGenerator[Counts]:
        """Counts of the blocks from offset `low` up to `size`; nothing where nobody there counts.

        Raises:
            UnreachableError: Nobody answers.
            InputError, GoneError: The file is another one by now.
        """
        ...


@runtime_checkable
class CountingSource(Protocol):
    """A source of which some generations are counted where they lie."""

    def counter(self, generation: int) -> Counter | None:
        """Who counts a generation; None where its bytes have to be read for that."""
        ...


def begin_tally(
    source: Source,
    scanner: Scanner,
    known: Mapping[int, Known],
    encoding: Callable[[int], Encoding],
    counted: Callable[[], None],
) -> Tally | FarTally:
    """Count a log, by whoever can do it best; see `Tally`."""
    if not isinstance(source, CountingSource):
        return Tally(source, scanner, known, encoding, counted)
    return FarTally(source, source, known, lambda: Tally(source, scanner, known, encoding, counted), counted)


@dataclass
class _Tail:
    """How far the last block of an index is counted here, in whole letters."""

    index: Index
    at: int
    newlines: int


class FarTally:
    """Counts what is there, and what is added.

    Args:
        source: The log.
        counting: The same.
        known: What is known of its generations, by number; their indexes are filled.
        otherwise: What counts where nobody counts there.
        counted: Called after every step.
    """

    def __init__(
        self,
        source: Source,
        counting: CountingSource,
        known: Mapping[int, Known],
        otherwise: Callable[[], Tally],
        counted: Callable[[], None],
    ) -> None:
        self._source = source
        self._counting = counting
        self._known = known
        self._otherwise = otherwise
        self._counted = counted
        self._plain: Tally | None = None
        self._tails: dict[int, _Tail] = {}
        self._news = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run())

    def update(self) -> None:
        """Look at the source's shape again; every generation in it is known."""
        self._news.set()
        if self._plain is not None:
            self._plain.update()

    def close(self) -> None:
        """Stop counting."""
        self._task.cancel()
        if self._again is not None:
            self._again.cancel()
        if self._plain is not None:
            self._plain.close()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            generations = self._source.shape.generations
            self._tails = {one.number: self._tails[one.number] for one in generations if one.number in self._tails}
            for one in generations:
                counter, known = self._counting.counter(one.number), self._known.get(one.number)
                if known is None:
                    continue
                if counter is None or not await self._catch_up(one, known, counter):
                    self._plain = self._otherwise()
                    self._plain.update()
                    return

    async def _catch_up(self, one: Generation, known: Known, counter: Counter) -> bool:
        """Count a generation up to where it ends now; False where nobody there counts."""
        if one.first > max(known.index.origin, known.index.next_block * lines.BLOCK):
            # Bytes went before they were counted, and what is counted of their block may or may not hold them
            known.index = Index(one.first)
        index, before = known.index, known.index.counted
        self._count_here(one, index, known.encoding, counter)
        if index.counted < one.size:
            heard = False
            try:
                async with contextlib.aclosing(counter.count(index.counted, one.size, known.encoding)) as found:
                    async for counts in found:
                        heard = True
                        if known.index is not index:  # it is read as something else by now
                            self._later(0.0)
                            return True
                        for block, upto, newlines in counts:
                            index.add(block, upto, newlines)
                        index.caught_up = index.caught_up or index.counted >= one.size
                        self._counted()
            except GatewatchError:
                self._later(AGAIN_S)
                return True
            if not heard:
                return False
            self._count_here(one, index, known.encoding, counter)
        if index.counted >= one.size:
            index.caught_up = True
        elif index.counted == before:
            self._later(AGAIN_S)
        with contextlib.suppress(GatewatchError):  # the next change tries again
            await find_gone(self._source, one, known)
        self._counted()
        return True

    def _count_here(self, one: Generation, index: Index, encoding: Encoding, counter: Counter) -> None:
        """Count the bytes that are here already, where they go on from what is counted."""
        tail = self._tails.get(one.number)
        if tail is None or tail.index is not index or not 0 <= index.counted - tail.at < encoding.unit:
            odd = index.counted % encoding.unit
            tail = _Tail(index, index.counted + (odd if index.counted == index.origin else -odd), index.tail)
            self._tails[one.number] = tail
        while tail.at < one.size:
            block = tail.at // lines.BLOCK
            end = min((block + 1) * lines.BLOCK, one.size)
            data = counter.held(tail.at, end - tail.at)
            if not data:
                return
            whole = len(data) // encoding.unit * encoding.unit
            tail.newlines += lines.count(data[:whole], encoding, tail.at)
            tail.at += whole
            index.add(block, tail.at - whole + len(data), tail.newlines)
            if tail.at == (block + 1) * lines.BLOCK:
                tail.newlines = 0
            elif not whole:
                return

    def _later(self, seconds: float) -> None:
        if self._again is not None:
            self._again.cancel()
        self._again = asyncio.get_running_loop().call_later(seconds, self._news.set)
