"""Bytes of a log that were read lately, in pages, within a budget."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from monitors.logs.types import Generation, GoneError

PAGE = 64 << 10
"""Bytes of a page."""

_RUN = 8  # pages of one read, so that the others come in between
_AT_ONCE = 16  # reads: each takes a thread of whoever answers

Fetch = Callable[[int, int, int], Awaitable[bytes]]


class PageCache:
    """Remembers what was read, newest use last, and forgets the rest.

    Bytes of a generation never change, so a page stays right for ever; the last one grows as the log does.

    Args:
        fetch: Reads from the source: generation, offset, size.
        budget: Bytes that are held at most.

    Attributes:
        held: Bytes held now.
    """

    def __init__(self, fetch: Fetch, budget: int) -> None:
        self.held = 0
        self._fetch = fetch
        self._budget = budget
        self._pages: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    async def read(self, generation: Generation, offset: int, size: int) -> bytes:
        """Bytes from `offset` on, fewer only where the generation ends.

        More than a quarter of the budget is read past the cache: somebody saves a log, and will not come back for it.

        Raises:
            GoneError: They were thrown away.
            UnreachableError: Whoever has them does not answer.
        """
        size = min(size, generation.size - offset)
        if size <= 0:
            return b""
        if offset < generation.first:
            raise GoneError(f"the first {generation.first:,} bytes of {generation.name} are gone")
        if size > self._budget // 4:
            return await self._take(generation.number, offset, size)
        first, last = offset // PAGE, (offset + size - 1) // PAGE
        parts: dict[int, bytes] = {}
        missing = []
        for index in range(first, last + 1):
            page = self._pages.get((generation.number, index), b"")
            needed = min(offset + size, (index + 1) * PAGE) - index * PAGE
            if len(page) < needed:
                missing.append(index)
            else:
                self._pages.move_to_end((generation.number, index))
            parts[index] = page
        while missing:
            run = [missing.pop(0)]
            while missing and missing[0] == run[-1] + 1:
                run.append(missing.pop(0))
            await self._fill(generation, run, parts)
        start = offset - first * PAGE
        if first == last:
            return parts[first][start : start + size]
        whole = []
        for index in range(first, last + 1):
            whole.append(parts[index])
            if len(parts[index]) < PAGE:  # what stands behind it would come out at a wrong place
                break
        return b"".join(whole)[start : start + size]

    async def warm(self, generation: Generation, spans: Iterable[tuple[int, int]]) -> None:
        """Have what lies between these offsets held, as far as half the budget goes.

        What is missing is asked for at once: one part after another would take a round trip each.

        Raises:
            UnreachableError: Whoever has them does not answer.
        """
        wanted: set[int] = set()
        for start, end in spans:
            low, high = max(start, generation.first), min(end, generation.size)
            if low < high:
                wanted.update(range(low // PAGE, (high - 1) // PAGE + 1))
        missing = [index for index in sorted(wanted) if not self._holds(generation, index)]
        runs: list[list[int]] = []
        for index in missing[: self._budget // 2 // PAGE]:
            if runs and runs[-1][-1] == index - 1 and len(runs[-1]) < _RUN:
                runs[-1].append(index)
            else:
                runs.append([index])
        if len(runs) < 2:
            return  # whoever reads it asks no more often
        free = asyncio.Semaphore(_AT_ONCE)

        async def fill(run: list[int]) -> None:
            async with free:
                await self._fill(generation, run, {run[0]: self._pages.get((generation.number, run[0]), b"")})

        await asyncio.gather(*map(fill, runs))

    def forget(self, kept: tuple[Generation, ...]) -> None:
        """Let go of what can no longer be read."""
        first = {generation.number: generation.first for generation in kept}
        for key in [key for key in self._pages if (key[1] + 1) * PAGE <= first.get(key[0], 1 << 62)]:
            self.held -= len(self._pages.pop(key))

    def _holds(self, generation: Generation, index: int) -> bool:
        page = self._pages.get((generation.number, index), b"")
        return len(page) >= min((index + 1) * PAGE, generation.size) - index * PAGE

    async def _fill(self, generation: Generation, run: list[int], parts: dict[int, bytes]) -> None:
        """Fetch neighbouring pages in one read; of the first of them, only what is not held."""
        known = parts[run[0]]
        begin = run[0] * PAGE + len(known)
        if begin < generation.first:  # NULs stand for what is gone from its beginning; nobody may ask for those
            begin, known = generation.first, bytes(generation.first - run[0] * PAGE)
        end = min((run[-1] + 1) * PAGE, generation.size)
        data = known + await self._take(generation.number, begin, end - begin)
        for index in run:
            at = (index - run[0]) * PAGE
            parts[index] = data[at : at + PAGE] if len(data) > PAGE else data
            self._keep((generation.number, index), parts[index])

    async def _take(self, number: int, offset: int, size: int) -> bytes:
        data = await self._fetch(number, offset, size)
        return data

    def _keep(self, key: tuple[int, int], page: bytes) -> None:
        old = self._pages.pop(key, b"")
        self.held += max(len(page), len(old)) - len(old)
        self._pages[key] = page if len(page) >= len(old) else old  # another reader may have got further meanwhile
        while self.held > self._budget:
            self.held -= len(self._pages.popitem(last=False)[1])
