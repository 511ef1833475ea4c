"""A log as a stream of safe text: what `gatewatch tail --plain` prints, and goes on printing.

Bytes go through in blocks, never line by line where that is not needed, so that it keeps up with what fills a disk.
Rows of ours (rotated, truncated, lost) are lines that begin with "--- ".
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hosts.errors import InputError, UnreachableError
from hosts.local.lines import BLOCK, ENCODINGS, SNIFF, UTF8, find_newline, rfind_newline
from monitors.logs import extent
from monitors.logs.marks import gone_words
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, Generation, GoneError, Mark, MarkKind, Place, Shape, Status
from tui.logs.plainback import seen_back
from tui.logs.plainmarks import Key, is_let_go, key, sentence
from tui.logs.plainprint import Printer
from tui.logs.plainready import OUTAGES, said
from tui.logs.plaintext import PlainText

if TYPE_CHECKING:
    from tui.logs.plainlast import Leaps

RULE = "--- "
MEMORY = 3 * BLOCK
"""Bytes of a log that a model for this need hold: whole blocks are read past what it holds."""

_LITTLE = 4 << 20  # bytes that are read sooner than they are searched by somebody else
_STALE_S = 2.0  # a line that is not ended for so long is shown as far as it goes
_RETRY_S = 1.0
_ENDED = MarkKind.ENDED  # that a stream has an end is seen by its end


@dataclass(frozen=True)
class Request:
    """What is to be printed.

    Attributes:
        lines: The last so many (of those that pass), None for all.
        follow: Whether to go on with what is added.
        wanted: Which lines, None for all; not between which places.
        since: The first place, None for the beginning.
        until: Where to end, None for the end.
        whole: Whether there is an end to wait for, as standard input has one.
    """

    lines: int | None = None
    follow: bool = False
    wanted: Filter | None = None
    since: Place | None = None
    until: Place | None = None
    whole: bool = False


class Stream:
    """Prints one log.

    Args:
        model: The log; it was started.
        news: Set by the model after every change.
        request: What is wanted.
        text: How lines become text.
        write: Takes the text; may wait for whoever reads it.
        tell: Takes a line for the person, beside the text.

    Raises:
        InputError: An expression is none.
    """

    def __init__(
        self,
        model: LogModel,
        news: asyncio.Event,
        request: Request,
        text: PlainText,
        write: Callable[[bytes], None],
        tell: Callable[[str], None],
    ) -> None:
        self._model = model
        self._news = news
        self._request = request
        self._tell = tell
        self._new_printer = partial(Printer, request.wanted, request.lines, text, write)
        self._printer = self._new_printer()
        self._reach = request.lines or 0  # lines that are looked for from the end
        self._at = Place(-1, 0)
        self._line = 0  # where the line begins that has not ended, in the same generation
        self._leaps: Leaps | None = None
        self._number = -1  # of the generation that is read
        self._written = UTF8
        self._decoder: codecs.IncrementalDecoder | None = None
        self._through = True  # whether nothing more of the generation at `_at` can come
        self._marks: set[Key] = set()  # that were printed, or stand before what was asked for
        self._late: list[Mark] = []  # that stand within a line, and are said behind it
        self._outage: Status | None = None
        self._unclear = False  # whether bytes wait for those that say how they are written
        self._as_it_is = -1  # the generation in which none came for long

    async def run(self) -> None:
        """Print until there is nothing more to print; for ever where the log is followed.

        Raises:
            GatewatchError: It cannot be read.
        """
        if self._request.whole and self._request.lines is not None and not self._request.follow:
            await self._until_ended()
        shape = await self._begin()
        end = self._request.until
        if end is None and not self._request.follow and not self._request.whole and shape.generations:
            end = Place(shape.generations[-1].number, shape.generations[-1].size)
        while True:
            self._news.clear()
            shape = self._model.shape
            try:
                await self._catch_up(shape, end)
            except GoneError:
                if not await self._changed(shape) and not self._pass_over(shape) and not self._request.follow:
                    raise
                continue
            except UnreachableError as error:
                if not self._request.follow:
                    raise
                self._tell(str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            if self._leaps is not None and self._leaps.more and self._printer.lacks:
                await self._reach_back()
                continue
            if (end is not None and self._at >= end) or self._over(shape):
                break
            self._printer.go_on()
            await self._wait(shape)
        self._say_late()
        self._printer.finish()
        shape = self._model.shape
        if shape.status is Status.FAILED:
            raise InputError(said(shape))

    # Where to begin.

    async def _begin(self) -> Shape:
        """Find the place to begin at; gives the shape in which it is."""
        while True:
            self._news.clear()
            shape = self._model.shape
            try:
                await self._begin_in(shape)
            except GoneError:
                if not await self._changed(shape):
                    raise
            else:
                return shape

    async def _begin_in(self, shape: Shape) -> None:
        if not shape.generations:
            return
        request, lines = self._request, self._request.lines
        first, last = shape.generations[0], shape.generations[-1]
        end = request.until or Place(last.number, last.size)
        self._at = request.since or Place(first.number, first.first)
        if lines is not None and request.wanted is None:
            self._at = max(self._at, await seen_back(self._model, end, lines))
        elif lines is not None and request.wanted is not None and self._is_worth_searching(shape):
            from tui.logs.plainlast import leaps  # what searches is not loaded for a log that is printed whole

            self._leaps = await leaps(self._model, request.wanted, end, self._reach, goes_on=request.follow)
        self._line = self._at.offset
        self._marks = {key(mark) for mark in shape.marks if mark.at < self._at}

    async def _reach_back(self) -> None:
        """Begin further before: some of the lines that were found hold what is not wanted in another block."""
        self._reach = max(1, self._reach) * 4
        self._printer, self._leaps = self._new_printer(), None
        self._number, self._through, self._late = -1, True, []
        await self._begin()

    def _is_worth_searching(self, shape: Shape) -> bool:
        return self._request.since is None and extent.size(shape.generations) > _LITTLE

    # Reading.

    async def _catch_up(self, shape: Shape, end: Place | None) -> None:
        """Print all that is there now."""
        self._unclear = False
        for generation in shape.generations:
            if generation.number < self._at.generation:
                continue
            begin = Place(generation.number, generation.first)
            if self._at < begin:
                self._go_on_at(begin, shape)
            self._through = False
            stop = generation.size
            if end is not None and end.generation == generation.number:
                stop = min(stop, end.offset)
            if self._at.offset < stop:
                await self._learn(generation)
                if end is None and await self._is_unclear(generation, shape):
                    stop = self._at.offset
            for mark in (*self._marks_from(shape, generation, stop), None):
                await self._read(generation, stop if mark is None else mark.at.offset)
                if mark is not None:
                    self._meet(mark)
            self._through = not generation.live and self._at.offset >= generation.size
            if end is not None and generation.number >= end.generation:
                return
        if self._over(shape):
            self._printer.end_line()

    def _go_on_at(self, begin: Place, shape: Shape) -> None:
        """Leave what was read to its end, or what was thrown away before it was read: a row of ours says which."""
        self._printer.end_line()
        self._say_late()
        new = [mark for mark in self._unsaid(shape) if self._at <= mark.at <= begin]
        for mark in new:
            if mark.at < begin:
                self._say_mark(mark)
        told = any(mark.missing == 0 and mark.at == begin for mark in shape.marks)
        if not any(mark.kind is MarkKind.LOST for mark in new):
            if begin.generation == self._at.generation:
                self._say_lost(begin, begin.offset - self._at.offset)
            else:
                self._say_lost(begin, (0 if told else begin.offset) if self._through else None)
        if begin.generation != self._at.generation:
            self._printer.turn()
        self._at, self._line = begin, begin.offset
        self._number = -1  # how it is written is learnt anew: what was half a letter has no other half

    def _say_lost(self, at: Place, missing: int | None) -> None:
        if missing != 0:
            self._say_mark(Mark(at, MarkKind.LOST, gone_words(missing), missing, 0.0))

    def _pass_over(self, shape: Shape) -> bool:
        """Leave a file that nobody can read any more though nobody says so; whether there is a later one."""
        later = [one for one in shape.generations if one.number > self._at.generation]
        if later:
            self._through = False
            self._go_on_at(Place(later[0].number, later[0].first), shape)
        return bool(later)

    def _unsaid(self, shape: Shape) -> list[Mark]:
        """Marks that were not printed."""
        return [mark for mark in shape.marks if mark.kind is not _ENDED and key(mark) not in self._marks]

    def _marks_from(self, shape: Shape, generation: Generation, stop: int) -> list[Mark]:
        """Marks that are still to be printed, here or later; some are set when their place has been passed already."""
        here = [mark for mark in self._unsaid(shape) if mark.at.generation == generation.number]
        new = [mark for mark in here if mark.at.offset <= stop and (mark.at >= self._at or not is_let_go(mark))]
        self._marks &= {key(mark) for mark in shape.marks}
        return new

    async def _learn(self, generation: Generation) -> None:
        """How this generation is written; that of one which has just begun may turn out later."""
        encoding = await self._model.encoding(generation.number)
        if self._number == generation.number and encoding is not self._written:
            # What was taken of its last line was misread; a character begins where the newline's ends
            line = max(generation.first, min(self._at.offset, self._line))
            self._line = line + line % encoding.unit
            self._at = Place(generation.number, self._line)
            self._printer.begin_again()
        if self._number != generation.number or encoding is not self._written:
            self._number, self._written = generation.number, encoding
            self._decoder = (
                None if encoding is UTF8 else codecs.getincrementaldecoder(encoding.name)("backslashreplace")
            )

    async def _is_unclear(self, generation: Generation, shape: Shape) -> bool:
        """Whether the next bytes of a log that has just begun will tell how it is written."""
        if shape.status is not Status.LIVE or not generation.live or generation.number == self._as_it_is:
            return False
        if generation.first or self._written is not UTF8 or generation.size >= SNIFF:
            return False
        head = await self._model.read(Place(generation.number, 0), generation.size)
        self._unclear = b"\0" in head or any(head != one.bom and one.bom.startswith(head) for one in ENCODINGS.values())
        return self._unclear

    async def _read(self, generation: Generation, stop: int) -> None:
        while self._at.offset < stop:
            if self._leaps is not None and not self._printer.owes:
                await self._leap(self._leaps, stop)
            offset = self._at.offset
            data = await self._model.read(self._at, min(BLOCK, stop - offset))
            if not data:
                return
            if self._late and (end := find_newline(data, self._written, offset)) >= 0:
                data = data[: end + self._written.unit]
            self._at = Place(generation.number, offset + len(data))
            newline = rfind_newline(data, self._written, offset)
            self._line = offset + newline + self._written.unit if newline >= 0 else self._line
            self._printer.take(self._utf8(data, offset))
            if self._late and self._line == self._at.offset:
                self._say_late()

    async def _leap(self, leaps: Leaps, stop: int) -> None:
        """Leave out what holds none of the last lines that pass."""
        number = self._at.generation
        at = min(await leaps.over(Place(number, self._line)), Place(number, stop))
        if at > self._at:
            self._at, self._line = at, at.offset
            self._printer.leap(passing=leaps.passing)
            if self._decoder is not None:
                self._decoder.reset()

    def _utf8(self, data: bytes, offset: int) -> bytes:
        """The same text as UTF-8, without the byte order mark of a log's beginning."""
        if offset == 0:
            data = data.removeprefix(self._written.bom)
        if self._decoder is None:
            return data
        return self._decoder.decode(data).encode("utf-8", "backslashreplace")

    def _meet(self, mark: Mark) -> None:
        """Say it; behind the line where it stands within one that goes on as if nothing had been."""
        if mark.kind is MarkKind.OFFLINE and mark.missing == 0 and self._line < self._at.offset:
            self._marks.add(key(mark))
            self._late.append(mark)
        else:
            self._say_late()
            self._say_mark(mark)

    def _say_late(self, *, within: bool = False) -> None:
        """Say what stands within a line that is over; `within`: though it is not."""
        late, self._late = self._late, []
        for mark in late:
            self._say_mark(mark, within=within)

    def _say_mark(self, mark: Mark, *, within: bool = False) -> None:
        self._marks.add(key(mark))
        line = f"{RULE}{sentence(mark)}".replace("\n", " ").encode("utf-8", "replace") + b"\n"
        self._printer.say(line, within=within)

    # Waiting.

    async def _wait(self, shape: Shape) -> None:
        """Wait for news; meanwhile say what has not changed for too long."""
        outage = shape.status if shape.status in OUTAGES else None
        silent = self._printer.is_asking
        if outage is not self._outage or silent or self._unclear or self._late:
            try:
                async with asyncio.timeout(_STALE_S):
                    await self._news.wait()
            except TimeoutError:
                if outage is not self._outage:
                    self._outage = outage
                    if outage is not None:
                        self._tell(said(shape))
                self._say_late(within=True)
                if silent:
                    self._printer.show_rest()
                if self._unclear:
                    self._as_it_is = self._at.generation
                    return
        await self._news.wait()

    async def _changed(self, shape: Shape) -> bool:
        """Whether the source says something else than that by now, or soon."""
        if self._model.shape is shape:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await self._news.wait()
        return self._model.shape is not shape

    async def _until_ended(self) -> None:
        while self._model.shape.status is not Status.ENDED:
            self._news.clear()
            await self._news.wait()

    def _over(self, shape: Shape) -> bool:
        last = shape.generations[-1] if shape.generations else None
        return shape.status in (Status.ENDED, Status.FAILED) and (
            last is None or self._at >= Place(last.number, last.size)
        )
