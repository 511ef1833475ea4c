"""A log as a stream of safe text: what `gatewatch tail --plain` prints, and goes on printing.

Bytes go through in blocks, never line by line where that is not needed, so that it keeps up with what fills a disk.
Rows of ours (rotated, truncated, lost) are lines that begin with "--- ".
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hosts.errors import InputError, UnreachableError
from hosts.local.blocks import Matcher
from hosts.local.lines import BLOCK, SNIFF, UTF8, Encoding, count, rfind_newline, sniff
from monitors.logs.types import Generation, GoneError, Mark, MarkKind, Place, Shape, Source, Status
from tui.logs.plainmarks import Key, is_let_go, key, sentence
from tui.logs.plainready import OUTAGES, said
from tui.logs.plaintext import PlainText
from tui.logs.sieve import Sieve

RULE = "--- "
LONGEST = 2 << 20
"""Bytes of a line that are waited for before it is printed in pieces."""


_STEP = 256 << 10
_STALE_S = 2.0  # a line that is not ended for so long is shown as far as it goes
_RETRY_S = 1.0
_ENDED = MarkKind.ENDED  # that a stream has an end is seen by its end
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")  # a carriage return ends none
_REDRAWS = frozenset(b"\r\x08\x1b")


@dataclass(frozen=True)
class Request:
    """What is to be printed.

    Attributes:
        lines: The last so many (of those that pass), None for all.
        follow: Whether to go on with what is added.
        matcher: Which lines, None for all.
        context: Lines around those that pass.
        since: The first place, None for the beginning.
        until: Where to end, None for the end.
        whole: Whether there is an end to wait for, as standard input has one.
    """

    lines: int | None = None
    follow: bool = False
    matcher: Matcher | None = None
    context: int = 0
    since: Place | None = None
    until: Place | None = None
    whole: bool = False


class Stream:
    """Prints one log.

    Args:
        source: The log; it was started, and sets `news` after every change.
        news: See `source`.
        request: What is wanted.
        text: How lines become text.
        write: Takes the text; may wait for whoever reads it.
        tell: Takes a line for the person, beside the text.
    """

    def __init__(
        self,
        source: Source,
        news: asyncio.Event,
        request: Request,
        text: PlainText,
        write: Callable[[bytes], None],
        tell: Callable[[str], None],
    ) -> None:
        self._source = source
        self._news = news
        self._request = request
        self._text = text
        self._write = write
        self._tell = tell
        self._sieve = Sieve(request.matcher, request.context)
        self._at = Place(-1, 0)
        self._number = -1  # of the generation that is read
        self._written = UTF8
        self._settled = False
        self._decoder: codecs.IncrementalDecoder | None = None
        self._rest = b""  # of a line that has not ended
        self._open = False  # whether the last line that was written has not ended
        self._through = True  # whether nothing more of the generation at `_at` can come
        self._marks: set[Key] = set()  # that were printed, or stand before what was asked for
        self._outage: Status | None = None
        self._last = None if request.lines is None or not self._sieve.active else deque[bytes](maxlen=request.lines)
        self._before = b""  # rows of ours before the next of these

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
            shape = self._source.shape
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
            if (end is not None and self._at >= end) or self._over(shape):
                break
            if self._last is not None:
                self._print_last()
            await self._wait(shape)
        self._finish()
        shape = self._source.shape
        if shape.status is Status.FAILED:
            raise InputError(said(shape))

    # Where to begin.

    async def _begin(self) -> Shape:
        """Find the place to begin at; gives the shape in which it is."""
        while True:
            self._news.clear()
            shape = self._source.shape
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
        first, last = shape.generations[0], shape.generations[-1]
        since = self._request.since
        self._at = since if since is not None else Place(first.number, 0)
        if self._request.lines is not None and not self._sieve.active:
            until = self._request.until
            size = until.offset if until is not None and until.generation == last.number else last.size
            self._at = max(self._at, Place(last.number, await self._back(last, size, self._request.lines)))
        self._marks = {key(mark) for mark in shape.marks if mark.at < self._at}

    async def _back(self, generation: Generation, size: int, lines: int) -> int:
        """Where the last so many lines before `size` begin; one that has not ended counts."""
        encoding = await self._encoding(generation)
        if not lines:
            return size
        left, high = lines, size
        while high > generation.first:
            low = max(generation.first, (high - _STEP) // encoding.unit * encoding.unit)
            data = await self._source.read(generation.number, low, high - low)
            end = len(data)
            if high == size and data.endswith(encoding.newline):
                end -= encoding.unit  # what ends the last line begins no other
            here = count(data[:end], encoding, low)
            if here >= left:
                at = end
                for _ in range(left):
                    at = rfind_newline(data, encoding, low, 0, at)
                return low + at + encoding.unit
            left, high = left - here, low
        return generation.first

    async def _encoding(self, generation: Generation) -> Encoding:
        low = generation.first + generation.first % 2
        return sniff(await self._source.read(generation.number, low, min(SNIFF, generation.size - low)))

    # Reading.

    async def _catch_up(self, shape: Shape, end: Place | None) -> None:
        """Print all that is there now."""
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
            for mark in (*self._marks_from(shape, generation, stop), None):
                await self._read(generation, stop if mark is None else mark.at.offset)
                if mark is not None:
                    self._say_mark(mark)
            self._through = not generation.live and self._at.offset >= generation.size
            if end is not None and generation.number >= end.generation:
                return
        if self._over(shape):
            self._end_line()

    def _go_on_at(self, begin: Place, shape: Shape) -> None:
        """Leave what was read to its end, or what was thrown away before it was read: a row of ours says which."""
        self._end_line()
        new = [mark for mark in self._unsaid(shape) if self._at <= mark.at <= begin]
        for mark in new:
            if mark.at < begin:
                self._say_mark(mark)
        if not any(mark.kind is MarkKind.LOST for mark in new):
            if begin.generation == self._at.generation:
                self._say_lost(begin, begin.offset - self._at.offset)
            else:
                self._say_lost(begin, begin.offset if self._through else None)
        self._at = begin
        self._number = -1  # how it is written is learnt anew: what was half a letter has no other half

    def _say_lost(self, at: Place, missing: int | None) -> None:
        if missing != 0:
            text = "earlier lines are gone" if missing is None else f"{missing:,} earlier bytes are gone"
            self._say_mark(Mark(at, MarkKind.LOST, text, missing, 0.0))

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
        if self._number == generation.number and self._settled:
            return
        encoding = await self._encoding(generation)
        self._settled = encoding is not UTF8 or generation.size - generation.first >= SNIFF or not generation.live
        if self._number != generation.number or encoding is not self._written:
            self._number, self._written = generation.number, encoding
            self._decoder = (
                None if encoding is UTF8 else codecs.getincrementaldecoder(encoding.name)("backslashreplace")
            )

    async def _read(self, generation: Generation, stop: int) -> None:
        while self._at.offset < stop:
            offset = self._at.offset
            data = await self._source.read(generation.number, offset, min(BLOCK, stop - offset))
            if not data:
                return
            self._at = Place(generation.number, offset + len(data))
            self._take(self._utf8(data, offset))

    def _utf8(self, data: bytes, offset: int) -> bytes:
        """The same text as UTF-8, without the byte order mark of a log's beginning."""
        if offset == 0:
            data = data.removeprefix(self._written.bom)
        if self._decoder is None:
            return data
        return self._decoder.decode(data).encode("utf-8", "backslashreplace")

    def _take(self, data: bytes) -> None:
        """Print the lines that are ended now."""
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._rest += data
            if len(self._rest) > LONGEST:
                self._print(self._rest)  # a line without end is let through in pieces
                self._rest = b""
            return
        rows = b"".join((self._rest, memoryview(data)[:cut]))
        self._rest = data[cut:]
        self._print(rows)

    # Writing.

    def _print(self, rows: bytes) -> None:
        for some in self._sieve.sift(rows):
            self._open = not some.endswith(b"\n")
            if self._last is None:
                self._write(self._text.render(some))
            else:
                lines: list[bytes] = _LINE.findall(some)
                if lines:
                    lines[0], self._before = self._before + lines[0], b""
                self._last.extend(lines)

    def _print_last(self) -> None:
        """From here on all that passes is printed as it comes."""
        assert self._last is not None
        rest = self._before if self._last.maxlen else b""
        rows, self._last, self._before = b"".join(self._last) + rest, None, b""
        if rows:
            self._write(self._text.render(rows if rows.endswith(b"\n") else rows + b"\n"))
            self._open = False

    def _end_line(self) -> None:
        """No more of this line will come."""
        rest, self._rest = self._rest, b""
        if rest:
            self._print(rest + b"\n")
        elif self._open:
            if self._last is None:
                self._write(b"\n")
            elif self._last:
                self._last[-1] += b"\n"
            self._open = False

    def _say_mark(self, mark: Mark) -> None:
        self._end_line()
        self._marks.add(key(mark))
        line = f"{RULE}{sentence(mark)}".replace("\n", " ").encode("utf-8", "replace") + b"\n"
        if self._last is None:
            self._write(self._text.render(line))
        else:
            self._before += line

    def _finish(self) -> None:
        self._end_line()
        if self._last is not None:
            self._print_last()

    # Waiting.

    async def _wait(self, shape: Shape) -> None:
        """Wait for news; meanwhile say what has not changed for too long."""
        outage = shape.status if shape.status in OUTAGES else None
        silent = bool(self._rest) and not self._sieve.active and not _REDRAWS.intersection(self._rest)
        if outage is not self._outage or silent:
            try:
                async with asyncio.timeout(_STALE_S):
                    await self._news.wait()
            except TimeoutError:
                if outage is not self._outage:
                    self._outage = outage
                    if outage is not None:
                        self._tell(said(shape))
                if silent:  # what redraws itself is shown once it has ended
                    rest, self._rest = self._rest, b""
                    self._print(rest)
        await self._news.wait()

    async def _changed(self, shape: Shape) -> bool:
        """Whether the source says something else than that by now, or soon."""
        if self._source.shape is shape:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await self._news.wait()
        return self._source.shape is not shape

    async def _until_ended(self) -> None:
        while self._source.shape.status is not Status.ENDED:
            self._news.clear()
            await self._news.wait()

    def _over(self, shape: Shape) -> bool:
        last = shape.generations[-1] if shape.generations else None
        return shape.status in (Status.ENDED, Status.FAILED) and (
            last is None or self._at >= Place(last.number, last.size)
        )
