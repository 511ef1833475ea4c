r"""Lines of a log as rows that may be painted: safe text in cells, and which part of it has which look.

What a row's text holds is safe for any terminal (`tui.sanitise`), and is never markup. The rows of a wrapped line
are pieces of the text that it has unwrapped, so that a character of a line is the same one at every width.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Union

from hosts.local.levels import Level, level_of
from hosts.local.lines import ENCODINGS
from monitors.logs.types import KEEP, LogLine, Mark
from tui import cells
from tui.logs import ansi
from tui.logs.ansi import Sgr
from tui.sanitise import clean, clean_inline, clean_marked, redact, redact_marked

SHOWN = 8 << 10
"""The most bytes of a line that are shown, and the most characters that they may become."""

TAB = 8
"""Cells from one tab stop to the next."""

_BEHIND = 2 << 10  # bytes behind the shown ones that are looked at, since a secret may lie across the edge
_SEQUENCE = re.compile(rb"\x1b\[[0-9;:]{0,64}m")
_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}

Style = Union[str, Sgr]
"""A look of the log's own, or the name of one of ours: muted, warning, error, critical."""


class Span(NamedTuple):
    """A piece of a row's text and its style; later spans lie over earlier ones.

    Attributes:
        start: Index of its first character.
        end: Index behind its last character.
        style: How it looks.
    """

    start: int
    end: int
    style: Style


@dataclass(frozen=True)
class DisplayRow:
    """One row of a screen.

    Attributes:
        text: Safe, one line, without secrets.
        cells: Cells that it takes.
        spans: Its looks.
        mark: The mark that this row is about; its text is the mark's.
        continuation: Whether its text goes on from the row before.
        cut: Bytes of the line that are not shown; on its last row.
    """

    text: str
    cells: int
    spans: tuple[Span, ...] = ()
    mark: Mark | None = None
    continuation: bool = False
    cut: int = 0

    def index_at(self, cell: int) -> int:
        """The character that covers a cell, `len(text)` behind the end."""
        return cells.index_at(self.text, cell)

    def cell_at(self, index: int) -> int:
        """The first cell of a character."""
        return cells.cell_at(self.text, index)


@dataclass(frozen=True)
class Options:
    """What rows are to be like.

    Attributes:
        levels: Give lines that say how serious they are a style of ours, under their own.
        colours: Keep the looks that the log itself asks for.
        tabs: Replace tabs by blanks up to the next tab stop, else keep them.
        limit: The most bytes that are shown of a line, and characters that they may become; None for all there are.
    """

    levels: bool = True
    colours: bool = True
    tabs: bool = True
    limit: int | None = SHOWN


_DEFAULT = Options()
_STYLES = {Level.DEBUG: "muted", Level.WARNING: "warning", Level.ERROR: "error", Level.CRITICAL: "critical"}
_CODES = {"muted": "2", "warning": "33", "error": "31", "critical": "1;31"}


def display_rows(line: LogLine, width: int | None = None, options: Options = _DEFAULT) -> tuple[DisplayRow, ...]:
    """The rows of a line: its marks first, then its text.

    Args:
        line: The line; where it carries no bytes of its own, only the marks behind the last line, it has no row.
        width: Cells of a row, to break long lines; None for a single row.
        options: What they are to be like.
    """
    shown = _prepare(line, options)
    rows = (shown,) if width is None or shown.cells <= width else tuple(broken(shown, width))
    if not line.marks:
        return rows
    marks = tuple(_mark_row(mark) for mark in line.marks)
    return marks if line.end == line.at.offset else marks + rows


def plain_rows(line: LogLine, *, colour: bool = False, limit: int | None = None) -> tuple[str, ...]:
    """The rows of a line for a stream: its marks, each behind a rule, then its text unbroken, tabs kept.

    Args:
        line: The line.
        colour: Set looks by sequences that are made here, reset at the end; for a terminal.
        limit: The most bytes that are shown; None for all that the line carries.
    """
    rows = display_rows(line, None, Options(levels=colour, colours=colour, tabs=False, limit=limit))
    return tuple(f"── {row.text}" if row.mark else painted(row) if row.spans and colour else row.text for row in rows)


def decoded(data: bytes, encoding: str) -> str:
    r"""Text of a log's bytes; those that are none become `\x9b`."""
    if encoding != "utf-8":
        return data.decode(encoding, "backslashreplace")
    try:
        return data.decode()
    except UnicodeDecodeError:  # what "backslashreplace" makes of it, ten times as fast
        return data.decode("utf-8", "surrogateescape").translate(_BYTES)


def unmarked(line: LogLine, data: bytes) -> bytes:
    """Bytes of a line from its first one on, without the byte order mark that a log may begin with."""
    return data.removeprefix(ENCODINGS[line.encoding].bom) if line.at.offset == 0 else data


def text_row(text: str, spans: Iterable[Span] = (), *, continuation: bool = False) -> DisplayRow:
    """A row of a text that is safe."""
    return DisplayRow(text, cells.painted(text), tuple(spans), None, continuation)


def safe_row(plain: str, looks: Sequence[tuple[int, Sgr]] = (), tabs: bool = True, lead: str = "") -> DisplayRow:
    """A row of a text from outside, with looks from some of its characters on (`ansi.parse`), and what is before it."""
    if not looks and not lead:
        text = clean(redact(plain), keep_tabs=True, limit=None)
        places: list[int] = []
    else:
        text, places = _redacted(lead, plain, "", looks)
        text, places = clean_marked(text, places, keep_tabs=True)
    if tabs and "\t" in text:
        text, places = expanded(text, places)
    return text_row(text, spans_of(text, places, looks))


def _prepare(line: LogLine, options: Options) -> DisplayRow:
    """The whole text of a line in one row."""
    data, encoding = unmarked(line, line.data), line.encoding
    lead = ""
    if line.piece:
        rest = carried(line.before, data, encoding)
        lead, data = ansi.without(decoded(line.before + data[:rest], encoding)), data[rest:]
    level = level_of(data if encoding == "utf-8" else decoded(data[:SHOWN], encoding).encode("utf-8", "replace"))
    style = _STYLES.get(level) if level is not None and options.levels and not line.piece else None
    limit = options.limit
    if limit is None or len(data) <= limit:
        if encoding == "utf-8" and data.isascii():
            text = data.decode("ascii")
            if text.isprintable() and not lead:
                return _finished(redact(text), (), style, _unseen(line))
        plain, looks = ansi.parse(decoded(data, encoding))
        row = safe_row(plain, looks if options.colours else (), options.tabs, lead)
        if limit is None or len(row.text) <= limit:
            return _finished(row.text, row.spans, style, _unseen(line))
    return _shortened(lead, data, encoding, options, limit or SHOWN, style, _unseen(line))


def _redacted(lead: str, plain: str, behind: str, looks: Sequence[tuple[int, Sgr]]) -> tuple[str, list[int]]:
    """A text without secrets, nor parts of those that lie across its edges, and where its looks begin then."""
    begin = len(lead)
    places = [begin, *(begin + place for place, _ in looks), begin + len(plain)]
    text, (first, *places, last) = redact_marked(lead + plain + behind, places)
    return text[first:last], [place - first for place in places]


def _shortened(
    lead: str, data: bytes, encoding: str, options: Options, limit: int, style: str | None, unseen: int
) -> DisplayRow:
    """The beginning of a line that is too long, and how many bytes are missing."""
    size = limit
    while True:
        size = edge(data, min(size, len(data)), encoding)
        plain, looks = ansi.parse(decoded(data[:size], encoding))
        behind = ansi.without(decoded(data[size : size + _BEHIND], encoding))
        looks = looks if options.colours else []
        text, places = clean_marked(*_redacted(lead, plain, behind, looks), keep_tabs=True)
        if options.tabs and "\t" in text:
            text, places = expanded(text, places)
        if len(text) <= limit or size < 2:
            return _finished(text, spans_of(text, places, looks), style, len(data) - size + unseen)
        size = min(size * limit // len(text), size * 3 // 4)


def _finished(text: str, spans: tuple[Span, ...], style: str | None, cut: int) -> DisplayRow:
    if cut:
        note = f" ⋯ {cut:,} {'byte' if cut == 1 else 'bytes'} more"
        spans = (*spans, Span(len(text), len(text) + len(note), "muted"))
        text += note
    if style is not None and text:
        spans = (Span(0, len(text), style), *spans)
    return DisplayRow(text, cells.painted(text), spans, None, False, cut)


def _unseen(line: LogLine) -> int:
    """Bytes of the line that `line` does not carry. Older states of bars are none: they are not to be seen."""
    return max(0, line.size - KEEP) if len(line.data) >= KEEP else 0


def edge(data: bytes, size: int, encoding: str) -> int:
    """The nearest place not behind `size` that is within no character and no SGR sequence.

    It depends on no more than 72 bytes before `size` and 72 behind it.
    """
    if encoding.startswith("utf-16"):
        size = size // 2 * 2
        return size - 2 if size and carried(data[size - 2 : size], data[size : size + 2], encoding) else size
    for back in range(4):
        if back < size < len(data) and data[size - back] & 0xC0 != 0x80:
            size -= back
            break
    begin = data.rfind(b"\x1b", max(0, size - 70), size)
    match = _SEQUENCE.match(data, begin) if begin >= 0 else None
    return begin if match is not None and match.end() > size else size


def carried(before: bytes, data: bytes, encoding: str) -> int:
    """How many bytes at the beginning of a piece are the rest of a character or SGR sequence of the piece before it.

    Args:
        before: What stands before it, 70 bytes are enough; b"" where nobody knows: then only characters are seen.
        data: The piece, or its first 70 bytes.
        encoding: utf-8, utf-16-le or utf-16-be.
    """
    if encoding.startswith("utf-16"):
        high = 1 if encoding == "utf-16-le" else 0  # which byte of a unit tells a surrogate
        behind = len(data) > 1 and data[high] & 0xFC == 0xDC
        return 2 if behind and (not before or (len(before) > 1 and before[high - 2] & 0xFC == 0xD8)) else 0
    rest = next((at for at, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), len(data))
    if rest:
        return rest if rest < 4 else 0
    begin = before.rfind(b"\x1b", max(0, len(before) - 70))
    match = _SEQUENCE.match(before[begin:] + data[:70]) if begin >= 0 else None
    return max(0, match.end() - (len(before) - begin)) if match is not None else 0


def spans_of(text: str, places: Sequence[int], looks: Sequence[tuple[int, Sgr]]) -> tuple[Span, ...]:
    """What looks that begin at `places` come to in a text."""
    ends = [*places[1:], len(text)]
    return tuple(
        Span(start, end, look)
        for start, end, (_, look) in zip(places, ends, looks, strict=False)
        if start < end and look != ansi.PLAIN
    )


def expanded(text: str, places: list[int]) -> tuple[str, list[int]]:
    """Blanks for tabs, and where the places are then."""
    pieces: list[str] = []
    moved: list[int] = []
    column = begin = shift = 0
    for piece in text.split("\t"):
        end = begin + len(piece)
        column += cells.painted(piece)
        blanks = TAB - column % TAB
        while len(moved) < len(places) and places[len(moved)] <= end:
            moved.append(places[len(moved)] + shift)
        pieces += (piece, " " * blanks)
        column += blanks
        shift += blanks - 1
        begin = end + 1
    return "".join(pieces[:-1]), moved


def broken(whole: DisplayRow, width: int) -> Iterator[DisplayRow]:
    """The rows of at most `width` cells that one row is broken into."""
    starts = cells.breaks(whole.text, width)
    spans: list[list[Span]] = [[] for _ in starts]
    for span in whole.spans:
        row = bisect_right(starts, span.start) - 1
        while row < len(starts) and starts[row] < span.end:
            start = starts[row]
            spans[row].append(Span(max(span.start - start, 0), span.end - start, span.style))
            row += 1
    last = len(starts) - 1
    for row, start in enumerate(starts):
        text = whole.text[start : starts[row + 1] if row < last else None]
        clipped = tuple([Span(first, min(end, len(text)), style) for first, end, style in spans[row]])
        yield DisplayRow(text, cells.painted(text), clipped, None, row > 0, whole.cut if row == last else 0)


def _mark_row(mark: Mark) -> DisplayRow:
    text = clean_inline(redact(mark.text))
    return DisplayRow(text, cells.painted(text), (), mark)


def painted(row: DisplayRow) -> str:
    """A row as text for a terminal: its looks by sequences that are made here, reset at the end."""
    edges = sorted({0, len(row.text), *(edge for span in row.spans for edge in (span.start, span.end))})
    pieces: list[str] = []
    for start, end in pairwise(edges):
        codes = ""
        for span in row.spans:
            if span.start <= start and end <= span.end:
                codes += f"\x1b[{_CODES[span.style]}m" if isinstance(span.style, str) else span.style.emit()
        pieces.append(f"{codes}{row.text[start:end]}{ansi.RESET if codes else ''}")
    return "".join(pieces)
