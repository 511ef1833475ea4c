"""Where the last lines of a log are that pass a filter: searched for from its end, however long it is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from hosts.errors import InputError
from hosts.local.levels import LEVELS
from hosts.local.lines import BLOCK
from monitors.logs.hits import Search
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, Place, Query
from tui.logs.plainback import line_begin, lines_back

_STUCK_S = 3.0  # without anything found out, after which whoever has the bytes is asked for some
_ANY_LEVEL = Query(level=LEVELS[0])


async def last_hits(model: LogModel, wanted: Query | Filter, before: Place, most: int) -> list[Place]:
    """Where the last lines before a place begin that pass, at most so many, in order.

    Raises:
        GoneError: What was there was thrown away meanwhile.
        InputError: They cannot be looked for.
        UnreachableError: Nobody answers.
    """
    for generation in model.shape.generations:
        await model.encoding(generation.number)  # else the search takes it for UTF-8 at first
    search, found = model.search(wanted), deque[Place]()
    try:
        while (left := most - len(found)) > 0:
            hits, whole = await _waiting(model, search, found[0] if found else before, left)
            if not whole and len(hits) < left:
                raise InputError(search.progress.problem or "the search was given up")
            for hit in reversed(hits):
                if not found or hit < found[0]:
                    found.appendleft(await line_begin(model, hit))
            if len(hits) < left:
                break
        return [*found]
    finally:
        search.close()


async def _waiting(model: LogModel, search: Search, before: Place, most: int) -> tuple[list[Place], bool]:
    """What a search finds from its end, however long that takes; not for ever where nobody answers."""
    asked = asyncio.ensure_future(search.behind(before, most, wait=True))
    scanned = -1
    try:
        while not (await asyncio.wait({asked}, timeout=_STUCK_S))[0]:
            if search.progress.problem:
                return [], False
            if scanned == (scanned := search.progress.scanned):
                await model.read(replace(before, offset=max(0, before.offset - BLOCK)), BLOCK)
        return asked.result()
    finally:
        asked.cancel()


class Leaps:
    """What need not be read of a log that was searched: all that lies between the lines that pass.

    Args:
        model: The log.
        hits: Where those lines begin.
        context: Lines that are wanted before each of them.
        end: Where reading goes on behind the last of them.
        more: Whether there may be others before them.

    Attributes:
        more: See there.
    """

    def __init__(self, model: LogModel, hits: Iterable[Place], context: int, end: Place, *, more: bool) -> None:
        self.more = more
        self._model = model
        self._hits = deque(hits)
        self._context = context
        self._end = end
        self._begin: tuple[Place, Place] | None = None

    @property
    def passing(self) -> bool:
        """Whether there is another of those lines."""
        return bool(self._hits)

    async def over(self, at: Place) -> Place:
        """Where the next line is that is wanted, all before `at` being read, which is where a line begins.

        Raises:
            GoneError, UnreachableError: It cannot be found out.
        """
        while self._hits and self._hits[0] < at:
            self._hits.popleft()
        if not self._hits:
            return self._end
        hit = self._hits[0]
        if self._begin is None or self._begin[0] != hit:
            self._begin = hit, await lines_back(self._model, hit, self._context)
        return self._begin[1]


async def leaps(model: LogModel, wanted: Filter, before: Place, most: int, *, goes_on: bool) -> Leaps:
    """Have the last lines before a place looked for that pass.

    Args:
        model: The log.
        wanted: Which lines; its two places are not looked at.
        before: Where the log ends.
        most: How many lines are wanted, those around the ones that pass among them.
        goes_on: Whether what comes behind `before` is read too, so that it matters what stands before that.

    Raises:
        GoneError: What was there was thrown away meanwhile.
        InputError: They cannot be looked for.
        UnreachableError: Nobody answers.
    """
    # One more than wanted: rows of ours between it and the next are no part of what is wanted. And where the last line
    # may go on, it is none of those that are wanted yet.
    asked = most + 1 + goes_on if most else 0
    hits = await last_hits(model, wanted, before, asked)
    end = before
    if goes_on:
        end = await lines_back(model, before, wanted.context + 1)
        if wanted.level is not None:
            # A line that names no level has that of the one before it
            named = await last_hits(model, _ANY_LEVEL, end, 1)
            end = named[0] if named else model.start_place()
    return Leaps(model, hits, wanted.context, end, more=bool(asked) and len(hits) == asked)
