"""One line of a log, whole, however long it is: as text, field by field, or byte by byte; a page at a time.

No more than a page is ever read and held, but for the fields of a line of up to FIELDS bytes.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hosts.local.lines import ENCODINGS, UTF8, find_newline, rfind_newline
from monitors.logs.types import Generation, LogLine, Place
from tui.logs import ansi, fields
from tui.logs.rows import DisplayRow, broken, decoded, edge, expanded, spans_of, text_row
from tui.sanitise import clean_marked, redact_marked, secrets

PAGE = 16 << 10
"""Bytes of a page of text."""

HEX_PAGE = 4 << 10
"""Bytes of a page of bytes."""

FIELDS = 1 << 20
"""The longest line, in bytes, that is looked through for fields."""

REACH = 256 << 20
"""How far from a piece of a line its beginning and its end are looked for, in bytes."""

_BEYOND = 2 << 10  # bytes on both sides of a page that are looked at: secrets, colours and characters lie across edges
_STEP = 1 << 20
_LEAST = 20  # cells; narrower rows would be too many
_HEX_WIDTH = len("00000000  ") + 2 * len("00 11 22 33 44 55 66 77  ") + 16  # of a row of 16 bytes
_HIDDEN = "··"
_SEGMENT = re.compile("[^␍]*␍|[^␍]+")


class Reads(Protocol):
    """Whatever reads a log's bytes: `monitors.logs.model.LogModel`."""

    async def read(self, at: Place, size: int) -> bytes: ...


class View(Enum):
    """How a line is shown."""

    TEXT = "text"
    FIELDS = "fields"
    HEX = "hex"


@dataclass(frozen=True)
class Extent:
    """Where a whole line lies.

    Attributes:
        at: Its first byte.
        size: Its bytes, without the newline.
        begins: Whether it really begins there; False where its beginning is too far away, or thrown away.
        ends: Whether its newline was found; False where it is too far away, or not written yet.
        before: Whether more of it lies before these bytes, further away than REACH.
        behind: Whether more of it lies behind them, further away than REACH.
    """

    at: Place
    size: int
    begins: bool = True
    ends: bool = True
    before: bool = False
    behind: bool = False


@dataclass(frozen=True)
class Page:
    """A part of a line.

    Attributes:
        view: How it is shown.
        number: Counts from 0.
        pages: How many there are.
        first: Its first byte, counted from the line's.
        last: The byte behind its last one.
        rows: What is shown.
    """

    view: View
    number: int
    pages: int
    first: int
    last: int
    rows: tuple[DisplayRow, ...]


async def extent(source: Reads, line: LogLine, generation: Generation) -> Extent:
    """The whole line that a row of a window belongs to.

    Args:
        source: Reads the log.
        line: The row.
        generation: What it is in.

    Raises:
        GoneError: Its bytes were thrown away.
        UnreachableError: Nobody answers.
    """
    kind = ENCODINGS.get(line.encoding, UTF8)
    start, begins = line.at.offset, line.piece == 0
    low = max(generation.first, start - REACH)
    while not begins and start > low:
        base = max(low, start - _STEP) // kind.unit * kind.unit
        data = await source.read(Place(generation.number, base), start - base)
        at = rfind_newline(data, kind, base)
        begins = at >= 0
        start = base + at + kind.unit if begins else base
    begins = begins or (start == 0 == generation.first)
    end, ends = (line.end - kind.unit, True) if line.complete else (line.end, False)
    high = min(generation.size, end + REACH)
    while not ends and end < high:
        data = await source.read(Place(generation.number, end), min(_STEP, high - end))
        at = find_newline(data, kind, end)
        ends = at >= 0
        end += at if ends else len(data)
        if not data:
            break
    before, behind = not begins and start > generation.first, not ends and end < generation.size
    return Extent(Place(generation.number, start), max(0, end - start), begins, ends, before, behind)


class LineDetail:
    """Pages of one line.

    Args:
        source: Reads the log.
        line: Where the line lies.
        encoding: utf-8, utf-16-le or utf-16-be.
    """

    def __init__(self, source: Reads, line: Extent, encoding: str = "utf-8") -> None:
        self.line = line
        self._source = source
        self._encoding = encoding
        self._entries: tuple[fields.Entry, ...] | None = None

    def pages(self, view: View) -> int:
        """How many pages a view has, at least one."""
        size = {View.TEXT: PAGE, View.HEX: HEX_PAGE, View.FIELDS: max(1, self.line.size)}[view]
        return max(1, -(-self.line.size // size))

    def page_of(self, view: View, byte: int) -> int:
        """The page that a byte of the line is on."""
        size = {View.TEXT: PAGE, View.HEX: HEX_PAGE, View.FIELDS: max(1, self.line.size)}[view]
        return max(0, min(byte // size, self.pages(view) - 1))

    async def views(self) -> tuple[View, ...]:
        """The views that say anything, the best first."""
        if await self._fields():
            return View.FIELDS, View.TEXT, View.HEX
        return View.TEXT, View.HEX

    async def page(self, view: View, number: int, width: int) -> Page:
        """One page.

        Args:
            view: How it is to be shown.
            number: Which; the nearest there is.
            width: Cells of a row.

        Raises:
            GoneError: Its bytes were thrown away.
            UnreachableError: Nobody answers.
        """
        number = max(0, min(number, self.pages(view) - 1))
        if view is View.FIELDS:
            found = await asyncio.to_thread(fields.rows, await self._fields(), max(_LEAST, width))
            return Page(view, 0, 1, 0, self.line.size, found)
        return await (self._text(number, width) if view is View.TEXT else self._hex(number, width))

    async def _text(self, number: int, width: int) -> Page:
        data, base = await self._around(number * PAGE, (number + 1) * PAGE)
        first = edge(data, number * PAGE - base, self._encoding) if number else 0
        last = (number + 1) * PAGE - base
        last = edge(data, last, self._encoding) if last < len(data) else len(data)
        before, own, behind = (decoded(part, self._encoding) for part in (data[:first], data[first:last], data[last:]))
        if base + last == self.line.size:
            own = own.removesuffix("\r")
        if number == 0 and self.line.at.offset == 0:
            own = own.removeprefix("\ufeff")
        lead, earlier = ansi.parse(before)
        plain, looks = ansi.parse(own, earlier[-1][1] if earlier else ansi.PLAIN)
        begin = len(lead)
        places = [begin, *(begin + place for place, _ in looks), begin + len(plain)]
        text, places = redact_marked(lead + plain + ansi.without(behind), places)
        begin, end = places[0], places[-1]
        text, places = clean_marked(text[begin:end], [place - begin for place in places[1:-1]], keep_tabs=True)
        text, places = expanded(text, places)
        rows: list[DisplayRow] = []
        whole = text_row(text, spans_of(text, places, looks))
        for piece in _segments(whole):
            rows += broken(piece, max(_LEAST, width))
        return Page(View.TEXT, number, self.pages(View.TEXT), base + first, base + last, tuple(rows))

    async def _hex(self, number: int, width: int) -> Page:
        data, base = await self._around(number * HEX_PAGE, (number + 1) * HEX_PAGE)
        first = number * HEX_PAGE - base
        last = min(len(data), first + HEX_PAGE)
        hidden = _secret_bytes(data, self._encoding)
        per_row = 16 if width >= _HEX_WIDTH else 8
        origin = self.line.at.offset + base
        rows = tuple(
            text_row(_hex_row(origin + at, data[at : min(at + per_row, last)], at, hidden, per_row))
            for at in range(first, last, per_row)
        )
        return Page(View.HEX, number, self.pages(View.HEX), base + first, base + last, rows)

    async def _around(self, first: int, last: int) -> tuple[bytes, int]:
        """Bytes of a page with some on both sides, and where they begin in the line."""
        base = max(0, first - _BEYOND)
        size = min(self.line.size, last + _BEYOND) - base
        at = Place(self.line.at.generation, self.line.at.offset + base)
        return (await self._source.read(at, size) if size > 0 else b""), base

    async def _fields(self) -> tuple[fields.Entry, ...]:
        if self._entries is None:
            found: tuple[fields.Entry, ...] = ()
            if 0 < self.line.size <= FIELDS:
                data = await self._source.read(self.line.at, self.line.size)
                # A line this long takes longer than the loop may be held
                found = await asyncio.to_thread(lambda: fields.entries(ansi.without(decoded(data, self._encoding))))
            self._entries = found
        return self._entries


def _segments(whole: DisplayRow) -> list[DisplayRow]:
    """A row for each text that a carriage return ends."""
    pieces = [match.span() for match in _SEGMENT.finditer(whole.text)]
    if len(pieces) < 2:
        return [whole]
    rows = []
    spans = list(whole.spans)
    for start, end in pieces:
        while spans and spans[0].end <= start:
            spans.pop(0)
        own = [span for span in spans[: end - start + 1] if span.start < end]
        clipped = [span._replace(start=max(span.start, start) - start, end=min(span.end, end) - start) for span in own]
        rows.append(text_row(whole.text[start:end], clipped))
    return rows


def _secret_bytes(data: bytes, encoding: str) -> set[int]:
    """Which bytes are part of a secret."""
    unit, shift = (2, encoding == "utf-16-be") if encoding.startswith("utf-16") else (1, 0)
    text = data[shift::unit].decode("latin-1")
    return {byte for start, end in secrets(text) for byte in range(start * unit, end * unit)}


def _hex_row(offset: int, data: bytes, at: int, hidden: set[int], per_row: int) -> str:
    shown = [_HIDDEN if at + place in hidden else f"{byte:02x}" for place, byte in enumerate(data)]
    letters = "".join(
        "·" if at + place in hidden else chr(byte) if 0x20 <= byte < 0x7F else "." for place, byte in enumerate(data)
    )
    halves = [" ".join(shown[start : start + 8]) for start in range(0, per_row, 8)]
    return f"{offset:08x}  {'  '.join(half.ljust(23) for half in halves)}  {letters}"
