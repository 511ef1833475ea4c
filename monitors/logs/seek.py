"""Finding a time in a log by halving: a bounded number of places is looked at, however long the log is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import tzinfo

from hosts.local.lines import BLOCK, UTF8, content
from monitors.logs.days import DAY, FAR, DatedSource, Days, Stamp, clocks, few, lacks_days, lacks_years, years
from monitors.logs.scene import Scene, Spot
from monitors.logs.times import first_sign, line_time, told
from monitors.logs.types import KEEP, Place, Source

_LINES = 64
_BATCHES = 16  # of lines without a time that are passed over: a traceback, a table, a banner
_REACH = 256 << 10  # bytes that are passed over before each of them, where nothing looks like a time
_FEWER = 2  # of them at each place behind, where all of these have none
_ASIDE = 8  # times that the end is looked at from further before
_MOST = 64  # places that are looked at
_CLOSE = 64 << 10  # bytes from which on lines are looked at one by one
_CROWD = 9  # neighbours that say what time it is: one line may be late, or tell of another time
_LITTLE = 4 * _CLOSE  # bytes of which every line is looked at, where only some of them say when or none a day
_PLACES = 32  # at which it is seen which day it is, of a log that is longer than that


def _usual(stamps: Sequence[Stamp]) -> float:
    return sorted(stamp.when for stamp in stamps)[len(stamps) // 2]


class Seeker:
    """Looks for times. Offsets count the bytes of all generations, as one.

    Args:
        scene: The log.
        when: The time, seconds since the epoch.
        zone: Of times that do not name theirs.
        source: What the log is read from.
        now: Our clock, seconds since the epoch.
    """

    def __init__(self, scene: Scene, when: float, zone: tzinfo | None, source: Source, now: float) -> None:
        self._scene = scene
        self._when = when
        self._zone = zone
        self._source = source
        self._now = now
        self._days: Days | None = None  # for lines that lack theirs
        self._known = False
        self._total = sum(one.size - one.first for one in scene.generations)
        self._backwards = False

    async def find(self) -> Place | None:
        """The first line that was written at that time or after it; of a log that runs backwards, or before it.

        Neighbours need not be quite in order, and a line among them may tell of another time. None where no line was
        written then, or no line says when.

        Raises:
            GoneError, UnreachableError: The log's bytes cannot be read.
        """
        first, last = await self._ends()
        if not first:
            return None
        self._backwards = bool(last) and _usual(first) > _usual(last)
        low, high = 0, self._total
        found: Stamp | None = None
        for _ in range(_MOST):
            if high - low <= _CLOSE:
                break
            middle = (low + high) // 2
            there, crowd = await self._near(middle, high)
            early = [stamp.offset for stamp in crowd if not self._reached(stamp.when)]
            if not crowd or 2 * len(early) < len(crowd):
                found = next((stamp for stamp in crowd if self._reached(stamp.when)), found)
                high = max(early) + 1 if early and max(early) + 1 < high else there
            else:
                low = crowd[0].offset
        place = await self._between(low, high)
        if place is None and found is not None:
            # Between there and what was found nothing says when for long; the last of it may be nearer than one looked
            place = await self._between(max(low, found.offset - 2 * _CLOSE), found.offset) or found.at
        return place

    async def last(self) -> float | None:
        """When the last lines were written, None where none says so; `when` is near to it.

        Raises:
            GoneError, UnreachableError: The log's bytes cannot be read.
        """
        _, stamps = await self._ends()
        return stamps[-1].when if stamps else None

    async def _ends(self) -> tuple[list[Stamp], list[Stamp]]:
        """What time it is at the beginning and at the end, once it is known which days lines are of that say none."""
        (_, first), last = await self._near(0, self._total), await self._last()
        ends = [*first, *last]
        self._known = not lacks_years(ends)
        if self._known:
            return first, last
        written = await self._source.written() if isinstance(self._source, DatedSource) else None
        if lacks_days(ends):
            every = await self._stamps(0, self._total, 1 << 30) if self._total <= _LITTLE else []
            if every and last and every[-1].offset >= last[-1].offset:
                crowds = few(every)
            else:
                places = [self._total * index // _PLACES for index in range(_PLACES)]
                crowds = [*[(await self._near(place, self._total))[1] for place in places], last]
            self._days = clocks(crowds, written, self._when, self._now)
        elif written is not None:
            self._days = years(written)
        self._known = True
        return (await self._near(0, self._total))[1], await self._last()

    def _reached(self, when: float) -> bool:
        return when <= self._when if self._backwards else when >= self._when

    async def _near(self, offset: int, before: int) -> tuple[int, list[Stamp]]:
        """What time it is at an offset, or else somewhere between there and `before`; and from where on it is that.

        Where nothing says so, that is the offset itself.
        """
        place, patience = offset, _BATCHES
        while True:
            stamps = await self._stamps(place, self._total, _CROWD, patience)
            if stamps and stamps[0].offset < before:
                return place, stamps[:_CROWD]
            if before - place <= _CLOSE:
                return offset, []
            place, patience = (place + before) // 2, _FEWER

    async def _last(self) -> list[Stamp]:
        """What time it is at the end, or not far from it."""
        back = _CLOSE
        stamps: list[Stamp] = []
        for _ in range(_ASIDE):
            stamps = await self._stamps(max(0, self._total - back), self._total, 1 << 30) or stamps
            if len(stamps) >= _CROWD or back >= self._total:
                break
            back *= 2
        return stamps[-_CROWD:]

    async def _between(self, low: int, high: int) -> Place | None:
        """The first line at which the time is reached, and at most of its neighbours behind it."""
        stamps = await self._stamps(low, min(self._total, high + _CLOSE), 1 << 30)
        reached = [self._reached(stamp.when) for stamp in stamps]
        for index, stamp in enumerate(stamps):
            crowd = reached[index : index + _CROWD]
            if reached[index] and stamp.offset < high and 2 * sum(crowd) > len(crowd):
                return stamp.at
        return None

    async def _stamps(self, offset: int, before: int, most: int, batches: int = _BATCHES) -> list[Stamp]:
        """The first lines between two offsets that say when, at most `most` and a batch.

        Far from `before`, it is given up where many lines say nothing.
        """
        self._scene.purse.refill()
        at = await self._scene.snap(self._place(offset))
        stamps: list[Stamp] = []
        patience = batches if before - offset > _LITTLE else 1 << 30
        empty = 0
        while empty < patience and len(stamps) < most and not self._scene.purse.empty:
            await asyncio.sleep(0)  # what is held is given without a wait, and others have something to do too
            if empty:
                at = await self._telling(at)
            spots = await self._scene.ahead(at, _LINES)
            fresh = [stamp for stamp in await self._read(spots) if stamp.offset < before]
            stamps += fresh
            empty = 0 if fresh else empty + 1
            if len(spots) < _LINES or self._offset(spots[-1].at) >= before:
                break
            at = Place(spots[-1].generation.number, spots[-1].row.end)
        return stamps

    async def _telling(self, at: Place) -> Place:
        """The first row from one on that may say when: most of what says nothing is passed over as bytes."""
        generation = next((one for one in self._scene.generations if one.number == at.generation), None)
        if generation is None or (await self._scene.known(generation)).encoding is not UTF8:
            return at
        data = await self._scene.read(generation, at.offset, min(generation.size, at.offset + _REACH))
        self._scene.purse.spent += len(data)
        sign = first_sign(data)
        return Place(at.generation, at.offset + data.rfind(b"\n", 0, sign if sign >= 0 else len(data)) + 1)

    async def _read(self, spots: Sequence[Spot]) -> list[Stamp]:
        found = []
        for spot, text in zip(spots, await self._scene.texts(spots), strict=True):
            line, offset = await self._told(spot, text), self._offset(spot.at)
            near = self._when if self._days is None else self._days.near(offset)
            when = line_time(line, near, self._zone)
            if when is not None:
                elsewhere = None if self._known else line_time(line, near + FAR * DAY, self._zone)
                moves = 0 if elsewhere is None else round((elsewhere - when) / DAY)
                found.append(Stamp(offset, spot.at, when, moves))
        return found

    async def _told(self, spot: Spot, text: bytes) -> str:
        """What of a row may say when it was written; of a long one that was painted over, its end too."""
        start, end, _ = spot.row
        encoding = (await self._scene.known(spot.generation)).encoding
        repaints = b"\r" in text and b"\r" in content(text, encoding)
        if not repaints and start % BLOCK == 0 and await self._scene.piece(spot):
            return ""  # a piece of a long line says nothing
        if repaints and start + len(text) < end:
            begin = max(start + len(text), (end - KEEP) // 2 * 2)
            rest = await self._scene.read(spot.generation, begin, end)
            self._scene.purse.spent += len(rest)
            if begin > start + len(text):  # it begins in the middle of something
                rest = rest[max(0, rest.find(b"\r")) // 2 * 2 :]
            text += rest
        return told(text, encoding.name)

    def _place(self, offset: int) -> Place:
        for generation in self._scene.generations:
            if offset < generation.size - generation.first:
                return Place(generation.number, generation.first + offset)
            offset -= generation.size - generation.first
        return self._scene.end

    def _offset(self, at: Place) -> int:
        before = 0
        for generation in self._scene.generations:
            if generation.number < at.generation:
                before += generation.size - generation.first
            elif generation.number == at.generation:
                before += at.offset - generation.first
        return before
