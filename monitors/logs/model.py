"""A log of any size, read where somebody looks: lines around a place, counted, filtered and searched meanwhile.

The model is byte offsets and never text. Nothing it holds grows with the log but eight bytes a block of line counts
and a filter's bits; nothing it does on the event loop takes long.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, TypeVar

from hosts.errors import UnreachableError
from hosts.local.lines import SNIFF, UTF8, Encoding, sniff
from monitors.logs import extent
from monitors.logs.arrivals import Arrivals
from monitors.logs.chosen import choose, is_choosy
from monitors.logs.index import Index
from monitors.logs.listeners import Listeners
from monitors.logs.marks import Marks
from monitors.logs.numbers import Numbers
from monitors.logs.pages import PageCache
from monitors.logs.scene import Known, Scene, counts
from monitors.logs.searches import Searches
from monitors.logs.spans import Spans
from monitors.logs.strip import AllLines
from monitors.logs.tally import Tally, Uncounted, load
from monitors.logs.types import Filter, Generation, GoneError, LogState, Place, Query, Shape, Source, Window
from monitors.logs.walk import Purse
from monitors.logs.window import Framer

if TYPE_CHECKING:
    from monitors.logs.hits import Search
    from monitors.logs.scanning import Scanner
    from monitors.logs.tally_far import FarTally

T = TypeVar("T")

MEMORY = 16 << 20
"""Bytes of a log that are held at most."""

LIMIT = 4 << 20
"""Bytes that one window looks at on either side before it is given with what it has: many long lines, or far apart."""

_TRIES = 8


class LogModel:
    """One log.

    Args:
        source: Where its bytes come from; the model starts and closes it.
        scanner: What counts, searches and filters beside the event loop. None: one of its own, where it is needed.
        memory: Bytes of the log that are held at most.
        counts: Whether its lines are counted; without it nobody starts to look at bytes that nobody asks for.
        now: Our clock, seconds since the epoch.
        zone: Of times in the log that do not name theirs; the machine's own where None.
    """

    def __init__(
        self,
        source: Source,
        *,
        scanner: Scanner | None = None,
        memory: int = MEMORY,
        counts: bool = True,
        now: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        self.source = source
        self._now = now
        self._zone = zone
        self._shape = Shape()
        self._known: dict[int, Known] = {}
        self._pages = PageCache(source.read, memory)
        self._numbers = Numbers(self._known, self._pages, self._learn)
        self._marks = Marks()
        self._arrivals = Arrivals()
        self._framer = Framer(self._marks, self._arrivals)
        self._counts = counts
        self._scanner = scanner
        self._own_scanner = scanner is None
        self._tally: Tally | FarTally | Uncounted | None = None
        self._spec: Filter | None = None
        self._chosen: Search | None = None
        self._searches = Searches()
        self._reader: Place | None = None  # where somebody looked last; None: at the end
        self._news = asyncio.Event()
        self._followed: Shape | None = None
        self._listeners = Listeners()
        self._tell = self._listeners.tell
        self._begun = False  # before that, nothing arrives: it was there
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look at the log. What is there already did not arrive."""
        self._listeners.start()
        if self._counts:
            await asyncio.to_thread(load)
        await self.source.start(self._changed)
        self._notice()
        self._begun = True
        self._tally = self._begin_tally() if self._counts else Uncounted()
        self._notice()
        self._follower = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Let go of everything."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        self._listeners.close()
        self._searches.close()
        if self._tally is not None:
            self._tally.close()
        if self._own_scanner and self._scanner is not None:
            await self._scanner.close()
        await self.source.close()

    def listen(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called on the loop soon after anything changed (see `Listeners`); gives what ends it."""
        return self._listeners.add(call)

    def visible(self, visible: bool) -> None:
        """Whether anybody sees it; while nobody does, its lines are counted, and nothing else is looked for."""
        self.source.watch(visible)
        self._searches.visible(visible)

    def needed(self) -> contextlib.AbstractContextManager[None]:
        """Within this block all is looked for even if nobody sees it: something waits for what is found."""
        return self._searches.needed()

    @property
    def shape(self) -> Shape:
        """All that is known of the log's bytes; a new object whenever anything changed."""
        return self._notice()

    @property
    def held(self) -> int:
        """Bytes of the log that are held."""
        return self._pages.held

    @property
    def state(self) -> LogState:
        """What a status line says."""
        shape = self._notice()
        live = self._known.get(shape.generations[-1].number) if shape.generations else None
        passing = self._chosen.progress if self._chosen is not None else None
        count, counted = counts(shape.generations, self._known)
        return LogState(
            shape, extent.size(shape.generations), count, counted, (live.encoding if live else UTF8).name, passing
        )

    # What is shown.

    def filter(self, spec: Filter | None) -> None:
        """Show the lines that pass, or all again; what is near to where somebody looks is looked at first.

        A wrong expression is told in `state`, as the filter's problem.
        """
        if self._chosen is not None:
            self._chosen.close()
        self._spec = spec
        self._chosen = self._search(spec) if spec is not None and is_choosy(spec) else None
        self._tell()

    @property
    def passing(self) -> Search | None:
        """What finds the lines that the filter lets pass, None where it looks at none."""
        return self._chosen

    def search(self, wanted: Query | Filter) -> Search:
        """Begin to look for something, where somebody looks first; whoever asks closes it in the end."""
        return self._search(wanted)

    # Places.

    def start_place(self) -> Place:
        """The first byte that can be read."""
        generations = self._notice().generations
        return Place(generations[0].number, generations[0].first) if generations else Place(0, 0)

    def end_place(self) -> Place:
        """Behind the last byte."""
        generations = self._notice().generations
        return Place(generations[-1].number, generations[-1].size) if generations else Place(0, 0)

    def fraction(self, at: Place) -> float:
        """Which part of the bytes that can be read lies before a place, from 0 to 1."""
        return extent.fraction(self._notice().generations, at)

    def at_fraction(self, share: float) -> Place:
        """The place that has this part of the bytes before it; `window` shows the row that begins there or next."""
        return extent.at_fraction(self._notice().generations, share) or self.end_place()

    async def at_time(self, when: float) -> Place | None:
        """The first line that was written at a time (seconds since the epoch) or after it.

        Of a log that runs backwards, at the time or before it. None where no line was, or none says when. A bounded
        number of places is looked at.

        Raises:
            UnreachableError: Nobody answers.
        """
        from monitors.logs.seek import Seeker

        return await self._in_scenes(lambda scene: Seeker(scene, when, self._zone, self.source, self._now()).find())

    async def last_time(self, near: float) -> float | None:
        """When the last lines were written, as far as one of them says so: seconds since the epoch.

        They are of about `near` where they say no day and nobody knows when they were written.

        Raises:
            UnreachableError: Nobody answers.
        """
        from monitors.logs.seek import Seeker

        return await self._in_scenes(lambda scene: Seeker(scene, near, self._zone, self.source, self._now()).last())

    async def at_number(self, generation: int, number: int) -> Place | None:
        """Where a line begins, or what is left of it, given its number from 1.

        None where there is no such line any more, not yet, or it is not counted yet.

        Raises:
            UnreachableError: Nobody answers.
        """
        return await self._numbers.place_of(self._notice(), generation, number)

    def lines_between(self, first: Place, last: Place) -> int | None:
        """How many newlines stand between two places, None where that is not known yet: listeners are told when it is.

        The end of a log that grows counts as being where the counting is. This looks at no byte.
        """
        between = self._numbers.between(self._notice(), first, last)
        if between is None:
            self._news.set()
        return between

    # Bytes and lines.

    async def encoding(self, number: int) -> Encoding:
        """How a generation is written; of one that has just begun, as far as its first bytes tell.

        Raises:
            GoneError: It was thrown away.
            UnreachableError: Nobody answers.
        """
        return (await self._learn(self._there(number))).encoding

    async def read(self, at: Place, size: int) -> bytes:
        """Bytes as they are, fewer only where the generation ends.

        Raises:
            GoneError: They were thrown away.
            UnreachableError: Nobody answers.
        """
        return await self._pages.read(self._there(at.generation), at.offset, size)

    async def window(self, at: Place, before: int, after: int) -> Window:
        """The lines around a place: at most `before` that begin before it, and `after` that do not.

        Where the bytes at the place were thrown away, the next lines that can be read stand there, with a mark.

        Raises:
            UnreachableError: Nobody answers.
        """
        for _ in range(_TRIES):
            end = self.end_place()
            self._reader = None if at >= end else at
            scene = Scene(self._notice().generations, self._pages, self._learn, Purse(LIMIT))
            strips = choose(scene, AllLines(scene), self._chosen, self._spec)
            try:
                window = await self._framer.window(scene, strips, end, at, before, after)
            except GoneError:
                continue  # the source threw something away meanwhile: its new shape says what is left
            if window.busy and (self._chosen is None or self._chosen.progress.done):
                self._tell()  # there is more to show of a line, and nobody else says when to ask again
            return window
        self._tell()
        return Window((), 0, False, False, busy=True)

    # What happens.

    def _changed(self) -> None:
        self._notice()
        self._tell()

    def _notice(self) -> Shape:
        """Take in the source's newest shape."""
        shape = self.source.shape
        if shape is not self._shape:
            self._shape = shape
            now = self._now()
            self._arrivals.grown(shape.generations, now if self._begun else None)
            self._marks.update(shape, now)
            kept = {generation.number for generation in shape.generations}
            for number in self._known.keys() - kept:
                del self._known[number]
            self._pages.forget(shape.generations)
            self._news.set()
        return shape

    def _counted(self) -> None:
        self._news.set()
        self._tell()

    async def _follow(self) -> None:
        """Tell whoever works beside the loop what changed, once it is known how the bytes are to be read."""
        while True:
            await self._news.wait()
            self._news.clear()
            shape = self._notice()
            for generation in shape.generations:
                with contextlib.suppress(GoneError, UnreachableError):  # the next change tries again
                    await self._check_end(generation, await self._learn(generation))
            if await self._numbers.catch_up(shape):
                self._tell()
            if self._tally is not None and shape is not self._followed:
                self._followed = shape
                self._tally.update()
                self._searches.update()

    async def _check_end(self, generation: Generation, known: Known) -> None:
        """Find out whether the last line that is counted is a whole one."""
        index, unit = known.index, known.encoding.unit
        upto = index.counted
        if index.checked != upto and generation.first + unit <= upto <= generation.size:
            last = await self._pages.read(generation, upto - unit, unit)
            index.checked = upto
            index.open = last != known.encoding.newline or upto % unit > 0
            self._tell()

    def _search(self, wanted: Query | Filter) -> Search:
        from monitors.logs.hits import Search

        at = self._reader
        search = Search(
            *(self.source, self._need_scanner(), wanted),
            encoding=self._encoding,
            at=at,
            forward=at is not None,
            resting=self._searches.resting,
        )
        search.listen(self._tell)
        self._searches.add(search)
        return search

    def _need_scanner(self) -> Scanner:
        if self._scanner is None:
            from monitors.logs.scanning import Scanner

            self._scanner = Scanner()
        return self._scanner

    def _begin_tally(self) -> Tally | FarTally:
        from monitors.logs.tally_far import begin_tally

        return begin_tally(self.source, self._need_scanner(), self._known, self._encoding, self._counted)

    def _encoding(self, number: int) -> Encoding:
        known = self._known.get(number)
        return known.encoding if known is not None else UTF8

    def _there(self, number: int) -> Generation:
        for generation in self._notice().generations:
            if generation.number == number:
                return generation
        raise GoneError("these bytes are not kept any more")

    async def _in_scenes(self, ask: Callable[[Scene], Awaitable[T | None]]) -> T | None:
        """An answer worked out from the log as it is; None where too much is thrown away meanwhile."""
        for _ in range(_TRIES):
            with contextlib.suppress(GoneError):  # look in what is left
                return await ask(Scene(self._notice().generations, self._pages, self._learn, Purse(LIMIT)))
        return None

    async def _learn(self, generation: Generation) -> Known:
        """What is known of a generation, its encoding found out first."""
        known = self._known.get(generation.number)
        if known is None:
            known = Known(Index(generation.first))
            if any(one.number == generation.number for one in self._shape.generations):
                self._known[generation.number] = known
        if not known.settled:
            low = generation.first + generation.first % 2
            head = await self._pages.read(generation, low, min(SNIFF, generation.size - low))
            if not known.settled:  # still, after a wait
                encoding = sniff(head)
                known.settled = len(head) == SNIFF or encoding is not UTF8 or not generation.live
                if encoding is not known.encoding:
                    # What was counted and seen until now was that of another encoding
                    known.encoding, known.index, known.painted = encoding, Index(known.index.origin), Spans()
        return known
