"""How many lines came since one let go of the end of a log, of those that the filter lets pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hosts.errors import GatewatchError
from hosts.local import lines
from monitors.logs.hitmap import Spot
from monitors.logs.hits import Search
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, Place
from tui import words
from tui.logs.reader import LetGo

_LITTLE = 16 << 10
"""Bytes at the end that may be not looked at yet without anybody being told: else each line would be told of twice."""

Later = Callable[[Callable[[], Awaitable[None]], str], None]


class Arrived:
    """Counts them beside the event loop's other work; what it says is what was counted last.

    Args:
        later: Does what waits, given it and its group.
        changed: Called after something else was counted.
    """

    def __init__(self, later: Later, changed: Callable[[], None]) -> None:
        self._later = later
        self._changed = changed
        self._search: Search | None = None
        self._asked: tuple[object, ...] = ()
        self._within: dict[Place, int] = {}  # hits before a place in its block, where that does not change any more
        self._hits: tuple[Place, int] | None = None  # so many were found from there on

    def text(self, model: LogModel, let_go: LetGo, spec: Filter | None) -> str:
        """What a chip says, "" while nothing came."""
        first, last = let_go.end, model.end_place()
        if spec is not None and spec.since is not None:
            first = max(first, spec.since)
        if spec is not None and spec.until is not None:
            last = min(last, spec.until)
        begun = _begun(model, first)  # also where nothing came: by the time something has, it is known
        if first >= last:
            return ""
        grown = model.state.bytes - let_go.size
        if model.passing is not None:
            return self._passing(model, model.passing, first, last, grown)
        count = model.lines_between(first, last)
        if count is not None and begun is not None:
            count = max(0, count + (_unfinished(model, first) if last >= model.end_place() else 0) - begun)
        else:
            count = None
        if count:
            return f"+{words.counted(count, 'line')}"
        return f"+{words.size(grown)}" if count is None and grown > 0 else ""

    def _passing(self, model: LogModel, search: Search, first: Place, last: Place, grown: int) -> str:
        if search is not self._search:
            self._search, self._hits = search, None
            self._within.clear()
        asked = (search, first, last, search.progress)
        if asked != self._asked:
            self._asked = asked
            self._later(lambda: self._count(model, search, first, last), "arrived")
        count = self._counted(search, first) if last >= model.end_place() else None
        if count is None:
            count = self._hits[1] if self._hits is not None and self._hits[0] == first else 0
        if search.progress.problem:
            return ""
        if _is_seen(model, search, first, last):
            return f"+{words.counted(count, 'line')}" if count else ""
        if count:
            return f"+{words.counted(count, 'line')} or more"
        return f"+{words.size(grown)} to filter" if grown > 0 else ""

    def _counted(self, search: Search, first: Place) -> int | None:
        """Hits that were found from a place on; None where somebody has to look for that."""
        if first not in self._within:
            return None
        return search.progress.hits - search.hits.before(_block(first)) - self._within[first]

    async def _count(self, model: LogModel, search: Search, first: Place, last: Place) -> None:
        try:
            before = await self._before(search, first)
            upto = search.progress.hits if last >= model.end_place() else await self._before(search, last)
        except GatewatchError:
            return  # nobody answers who has the bytes: the next news ask again
        if search is self._search and self._hits != (first, upto - before):
            self._hits = (first, upto - before)
            self._changed()

    async def _before(self, search: Search, place: Place) -> int:
        """Hits before a place; its block is read no more once all of it before the place was looked at."""
        block = _block(place)
        if place in self._within:
            return search.hits.before(block) + self._within[place]
        settled = search.progress.done or search.hits.is_known(place.generation, block.block + 1)
        count = await search.ordinal(Place(place.generation, place.offset - 1))
        if settled and search is self._search:
            self._within[place] = count - search.hits.before(block)
        return count


def _begun(model: LogModel, place: Place) -> bool | None:
    """Whether a line stands unfinished before a place; None where somebody has to look for that."""
    one = next((one for one in model.state.shape.generations if one.number == place.generation), None)
    before = place.offset - lines.ENCODINGS[model.state.encoding].unit
    if one is None or before < one.first:
        return False
    ended = model.lines_between(Place(one.number, before), place)
    return None if ended is None else not ended


def _unfinished(model: LogModel, first: Place) -> int:
    """How many lines that have no newline are counted in what lies behind a place, as far as that is known."""
    state = model.state
    newlines = model.lines_between(model.start_place(), model.end_place())
    if state.lines is None or newlines is None:
        return 0
    older = (one for one in state.shape.generations if one.number < first.generation)
    return state.lines - newlines - sum(bool(_begun(model, Place(one.number, one.size))) for one in older)


def _block(place: Place) -> Spot:
    return Spot(place.generation, place.offset // lines.BLOCK, 0)


def _is_seen(model: LogModel, search: Search, first: Place, last: Place) -> bool:
    """Whether the filter has looked at all of it, but for a little at its end: that is about to be."""
    for generation in model.state.shape.generations:
        if first.generation <= generation.number <= last.generation:
            low = max(first.offset, generation.first) if generation.number == first.generation else generation.first
            high = min(last.offset, generation.size) if generation.number == last.generation else generation.size
            for block in range(low // lines.BLOCK, (high - 1) // lines.BLOCK):
                if not search.hits.is_known(generation.number, block):
                    return False
            if high - low > _LITTLE and not search.covers(generation.number, high - _LITTLE):
                return False
    return True
