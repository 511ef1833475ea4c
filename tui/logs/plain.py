"""A log as a stream of safe text: what `gatewatch tail --plain` prints, and goes on printing.

Bytes go through in blocks, never line by line where that is not needed, so that it keeps up with what fills a disk.
Rows of ours (rotated, truncated, lost) are lines that begin with "--- ".
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosts.errors import InputError, UnreachableError
from hosts.local.blocks import FAILS, PASSES, Matcher
from hosts.local.lines import BLOCK, SNIFF, UTF8, Encoding, count, rfind_newline, sniff
from monitors.logs.types import Generation, GoneError, Mark, MarkKind, Place, Shape, Source, Status
from tui.logs.plaintext import PlainText

if TYPE_CHECKING:
    from hosts.local.match import Finder, Region

RULE = "--- "
LONGEST = 2 << 20
"""Bytes of a line that are waited for before it is printed in pieces."""

READY_S = 20.0
"""Seconds that a host may take to say what is there."""

_STEP = 256 << 10
_STALE_S = 2.0  # a line that is not ended for so long is shown as far as it goes
_RETRY_S = 1.0
_ENDED = MarkKind.ENDED  # that a stream has an end is seen by its end
_REDRAWS = frozenset(b"\r\x08\x1b")
_NO_FILE = "no such file yet"
_OUTAGES = {Status.STALE: "no answer", Status.DENIED: "not readable", Status.WAITING: "waiting"}


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


async def ready(source: Source, news: asyncio.Event, patience: float | None = READY_S) -> None:
    """Wait until a source that was started knows a log, or that there is none; without `patience` for a log alone.

    Raises:
        InputError: There is none.
        UnreachableError: Nobody says.
    """

    def unsure(shape: Shape) -> bool:
        # A source that waits says for what once it has looked
        unsaid = patience is None or not shape.detail
        return shape.status is Status.LIVE or (shape.status is Status.WAITING and unsaid)

    await _look(source, news, patience, unsure)
    shape = source.shape
    if shape.generations:
        return
    if shape.status is Status.WAITING and shape.detail == _NO_FILE:
        raise InputError(f"{shape.name}: no such file; --wait waits for it")
    unsaid = shape.status is Status.WAITING and not shape.detail
    raise (UnreachableError if shape.status is Status.STALE or unsaid else InputError)(_said(shape))


def _said(shape: Shape) -> str:
    detail = shape.detail or _OUTAGES.get(shape.status, "nothing to read")
    if shape.name in detail:
        return detail
    path, _, why = detail.partition(": ")
    return f"{shape.name}: {why if path and shape.name.endswith(f':{path}') else detail}"


async def looked(source: Source, news: asyncio.Event, first: Shape, patience: float) -> None:
    """Wait until a source knows whether there is a log, or for so long; `first` is its shape before it began."""
    await _look(source, news, patience, lambda shape: (shape.status, shape.detail) == (first.status, first.detail))


async def _look(source: Source, news: asyncio.Event, patience: float | None, unsure: Callable[[Shape], bool]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while not source.shape.generations and unsure(source.shape):
                news.clear()
                await news.wait()


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
        self._sieve = _Sieve(request)
        self._at = Place(-1, 0)
        self._number = -1  # of the generation that is read
        self._written = UTF8
        self._settled = False
        self._decoder: codecs.IncrementalDecoder | None = None
        self._rest = b""  # of a line that has not ended
        self._open = False  # whether the last line that was written has not ended
        self._marks: set[Mark] = set()
        self._outage: Status | None = None
        self._last = None if request.lines is None or not self._sieve.active else deque[bytes](maxlen=request.lines)

    async def run(self) -> None:
        """Print until there is nothing more to print; for ever where the log is followed.

        Raises:
            GatewatchError: It cannot be read.
        """
        if self._request.whole and self._request.lines is not None and not self._request.follow:
            await self._until_ended()
        shape = self._source.shape
        end = self._request.until
        if end is None and not self._request.follow and not self._request.whole and shape.generations:
            end = Place(shape.generations[-1].number, shape.generations[-1].size)
        await self._begin(shape)
        while True:
            self._news.clear()
            shape = self._source.shape
            try:
                await self._catch_up(shape, end)
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
            raise InputError(_said(shape))

    # Where to begin.

    async def _begin(self, shape: Shape) -> None:
        if not shape.generations:
            return
        first, last = shape.generations[0], shape.generations[-1]
        since = self._request.since
        self._at = since if since is not None else Place(first.number, first.first)
        if self._request.lines is not None and not self._sieve.active:
            until = self._request.until
            size = until.offset if until is not None and until.generation == last.number else last.size
            self._at = max(self._at, Place(last.number, await self._back(last, size, self._request.lines)))
        self._marks = {mark for mark in shape.marks if mark.at < self._at}

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
            if generation.number > self._at.generation:
                self._end_line()
                self._at = Place(generation.number, generation.first)
            if self._at.offset < generation.first:  # thrown away before it was read; a mark there says so
                self._end_line()
                self._at = Place(generation.number, generation.first)
            stop = generation.size
            if end is not None and end.generation == generation.number:
                stop = min(stop, end.offset)
            if self._at.offset < stop:
                await self._learn(generation)
            for mark in (*self._marks_from(shape, generation, stop), None):
                await self._read(generation, stop if mark is None else mark.at.offset)
                if mark is not None:
                    self._say_mark(mark)
            if end is not None and generation.number >= end.generation:
                return
        if self._over(shape):
            self._end_line()

    def _marks_from(self, shape: Shape, generation: Generation, stop: int) -> list[Mark]:
        """Marks that were not printed, and stand where we are or later."""
        here = [mark for mark in shape.marks if mark.at.generation == generation.number and mark.kind is not _ENDED]
        new = [mark for mark in here if mark not in self._marks and mark.at >= self._at and mark.at.offset <= stop]
        self._marks = {mark for mark in shape.marks if mark in self._marks}
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
            try:
                data = await self._source.read(generation.number, offset, min(BLOCK, stop - offset))
            except GoneError:
                return  # the next shape says from where on there is something
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
                self._last.extend(some.splitlines(keepends=True))

    def _print_last(self) -> None:
        """From here on all that passes is printed as it comes."""
        assert self._last is not None
        rows, self._last = b"".join(self._last), None
        if rows:
            self._write(self._text.render(rows if rows.endswith(b"\n") else rows + b"\n"))
            self._open = False

    def _end_line(self) -> None:
        """No more of this line will come."""
        rest, self._rest = self._rest, b""
        if rest:
            self._print(rest + b"\n")
        elif self._open and self._last is None:
            self._write(b"\n")
            self._open = False

    def _say_mark(self, mark: Mark) -> None:
        self._end_line()
        self._marks.add(mark)
        line = self._text.render(f"{RULE}{mark.text}".replace("\n", " ").encode("utf-8", "replace")) + b"\n"
        if self._last is None:
            self._write(line)

    def _finish(self) -> None:
        self._end_line()
        if self._last is not None:
            self._print_last()

    # Waiting.

    async def _wait(self, shape: Shape) -> None:
        """Wait for news; meanwhile say what has not changed for too long."""
        outage = shape.status if shape.status in _OUTAGES else None
        silent = bool(self._rest) and not self._sieve.active and not _REDRAWS.intersection(self._rest)
        if outage is not self._outage or silent:
            try:
                async with asyncio.timeout(_STALE_S):
                    await self._news.wait()
            except TimeoutError:
                if outage is not self._outage:
                    self._outage = outage
                    if outage is not None:
                        self._tell(_said(shape))
                if silent:  # what redraws itself is shown once it has ended
                    rest, self._rest = self._rest, b""
                    self._print(rest)
        await self._news.wait()

    async def _until_ended(self) -> None:
        while self._source.shape.status is not Status.ENDED:
            self._news.clear()
            await self._news.wait()

    def _over(self, shape: Shape) -> bool:
        last = shape.generations[-1] if shape.generations else None
        return shape.status in (Status.ENDED, Status.FAILED) and (
            last is None or self._at >= Place(last.number, last.size)
        )


class _Sieve:
    """Lets lines pass, and those around them."""

    def __init__(self, request: Request) -> None:
        self.active = request.matcher is not None
        self._matcher = request.matcher or Matcher()
        self._finder: Finder | None = None
        self._carry = PASSES if self._matcher.level is None else FAILS
        self._around = request.context
        self._before: deque[bytes] = deque(maxlen=request.context)
        self._after = 0  # lines that pass because of the last one which passed by itself

    def sift(self, rows: bytes) -> Iterator[bytes]:
        """What passes of these rows; the last one may lack its newline."""
        if not self.active:
            yield rows
            return
        from hosts.local.match import Finder, Region  # a log that is printed whole does not need it

        self._finder = self._finder or Finder(self._matcher)
        region = Region(rows.removesuffix(b"\n"))
        found = self._finder.find(region, self._carry)
        self._carry = found.leaves
        if found.bits == region.all:
            if self._before:
                yield b"\n".join(self._before) + b"\n"
            yield rows
            self._before.clear()
            self._after = self._around
            return
        passing = self._passing(region, found.bits)
        if passing:
            yield b"\n".join(passing) + b"\n"

    def _passing(self, region: Region, bits: int) -> list[bytes]:
        lines, found, at = region.lines, list[bytes](), 0
        while bits:
            row = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            found += self._between(lines[at:row], last=False)
            found.append(lines[row])
            at, self._after = row + 1, self._around
        return found + self._between(lines[at:], last=True)

    def _between(self, lines: list[bytes], *, last: bool) -> list[bytes]:
        """Lines that do not pass by themselves, before one that does or before the end of what there is."""
        behind = lines[: self._after]
        self._after -= len(behind)
        self._before.extend(lines[len(behind) :])
        if last:
            return behind
        found = behind + list(self._before)
        self._before.clear()
        return found
