"""What is selected: from one character of a line to another, or whole lines; and the text of it, wherever it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from hosts.errors import InputError
from hosts.local.lines import ENCODINGS, content, find_newline
from monitors.logs.model import LogModel
from monitors.logs.types import KEEP, GoneError, LogLine, Place
from tui import words
from tui.logs import ansi
from tui.logs.batches import batches
from tui.logs.rows import DisplayRow, carried, decoded, expanded, unmarked
from tui.logs.viewport import Row
from tui.logs.wholes import Wholes
from tui.sanitise import clean, redact_marked

MOST = 16 << 20
"""The longest text that is copied, in characters; the rest is for saving to a file."""

_BATCH = 256
_BEYOND = 2 << 10  # bytes on either side of a row that are looked at


@dataclass(frozen=True, order=True)
class Point:
    """A character of a line, counted in what is shown of it."""

    place: Place
    column: int = 0


@dataclass(frozen=True)
class Selection:
    """From where it was begun to where it is now, either way round.

    Attributes:
        start: Where it was begun.
        head: Where it ends now.
        lines: Whole lines, whatever the columns say.
    """

    start: Point
    head: Point
    lines: bool = False

    @property
    def first(self) -> Point:
        return min(self.start, self.head)

    @property
    def last(self) -> Point:
        return max(self.start, self.head)

    @property
    def empty(self) -> bool:
        return not self.lines and self.start == self.head

    def to(self, head: Point) -> Selection:
        """The same, ending somewhere else."""
        return replace(self, head=head)

    def part(self, row: Row) -> tuple[int, int] | None:
        """The characters of this row that are selected, None for none; the end may lie behind the row's text."""
        if row.index < 0 or row.shown.mark is not None:
            return None
        place = row.line.at
        if not self.first.place <= place <= self.last.place:
            return None
        if self.lines:
            return 0, len(row.shown.text) + 1
        begin = self.first.column - row.start if place == self.first.place else 0
        end = self.last.column - row.start if place == self.last.place else len(row.shown.text) + 1
        begin, end = max(0, begin), min(end, len(row.shown.text) + 1)
        return (begin, end) if begin < end else None


@dataclass(frozen=True)
class Taken:
    """A text that was collected.

    Attributes:
        text: Safe, without secrets.
        what: What it is, in words: "12 lines".
    """

    text: str
    what: str


async def collect(model: LogModel, selection: Selection, whole: Callable[[LogLine], tuple[DisplayRow, ...]]) -> Taken:
    """The text of a selection, from the log itself: what is selected need not be on screen, nor ever have been.

    Args:
        model: The log.
        selection: What is wanted.
        whole: Lays a line out in one row.

    Raises:
        InputError: It is longer than `MOST`.
        GatewatchError: The bytes cannot be had.
    """
    parts: list[str] = []
    length = lines = 0
    last, upto = selection.last.place, None
    wholes = Wholes(model, model.start_place())
    async for chosen in batches(model, selection.first.place, Place(last.generation, last.offset + 1), _BATCH):
        for line in chosen:
            if selection.lines and (line.piece or (not line.complete and line.size > KEEP)):
                text, glued = await _all_of(wholes, line), False
                if not text:
                    continue  # it was taken with another row of it
            else:
                text = _cut(await _text(model, line, whole, lines=selection.lines), selection, line)
                glued = line.piece > 0 and line.at == upto
            upto = Place(line.at.generation, line.end)
            parts.append(text if glued or not parts else f"\n{text}")
            lines += 0 if glued else 1
            length += len(text) + 1
            if length > MOST:
                raise _too_much()
    text = "".join(parts)
    if lines == 1 and not selection.lines:
        return Taken(text, words.counted(len(text), "character"))
    return Taken(text + ("\n" if selection.lines else ""), words.counted(lines, "line"))


async def _all_of(wholes: Wholes, line: LogLine) -> str:
    """The whole line of a row that is a part of it; "" where it was given already."""
    wholes.upto = max(wholes.upto, Place(line.at.generation, max(0, line.at.offset - MOST)))  # more is too much
    data, size = [], 0
    begun: LogLine | None = None
    async with contextlib.aclosing(wholes.line(line)) as found:
        async for part, some in found:
            begun = begun or part
            data.append(some)
            size += len(some)
            if size > MOST:
                raise _too_much()
    if begun is None:
        return ""
    encoding = ENCODINGS[line.encoding]
    text = unmarked(begun, content(b"".join(data), encoding))
    return await asyncio.to_thread(_safe, text, encoding.name, lines=True)


def _too_much() -> InputError:
    return InputError(f"more than {words.size(MOST)} are selected: save them to a file instead")


async def _text(
    model: LogModel, line: LogLine, whole: Callable[[LogLine], tuple[DisplayRow, ...]], *, lines: bool
) -> str:
    """All the text of a row of the log: as it is shown, since columns are counted there, or as a part of a file."""
    rows = [row for row in whole(line) if row.mark is None] if not lines else []
    if rows and not line.piece and not any(row.cut for row in rows):
        return "".join(row.text for row in rows)
    before, behind = (b"", b"") if lines else await _around(model, line)
    if len(line.data) < KEEP:
        return _safe(unmarked(line, line.data), line.encoding, before, behind, lines=lines)
    data = await model.read(line.at, line.size)
    return await asyncio.to_thread(_safe, unmarked(line, data), line.encoding, before, behind, lines=lines)


async def _around(model: LogModel, line: LogLine) -> tuple[bytes, bytes]:
    """Bytes of the same line before and behind a row: characters, colours and secrets lie across its edges."""
    before = behind = b""
    number, begin, end = line.at.generation, line.at.offset, line.end
    with contextlib.suppress(GoneError):
        before = await model.read(Place(number, begin - _BEYOND), _BEYOND) if line.piece else b""
        behind = await model.read(Place(number, end), _BEYOND) if not line.complete else b""
    newline = find_newline(behind, ENCODINGS[line.encoding], end)
    return before, behind[:newline] if newline >= 0 else behind


def _safe(data: bytes, encoding: str, before: bytes = b"", behind: bytes = b"", *, lines: bool) -> str:
    first = carried(before, data, encoding) if before else 0
    last = carried(data[-_BEYOND:], behind, encoding)
    parts = before + data[:first], data[first:] + behind[:last], behind[last:]
    lead, plain, rest = (ansi.without(decoded(part, encoding)) for part in parts)
    text, (begin, end) = redact_marked(lead + plain + rest, [len(lead), len(lead) + len(plain)])
    text = clean(text[begin:end], keep_tabs=True, limit=None)
    return text if lines else expanded(text, [])[0]


def _cut(text: str, selection: Selection, line: LogLine) -> str:
    if selection.lines:
        return text
    begin = selection.first.column if line.at == selection.first.place else 0
    end = selection.last.column if line.at == selection.last.place else len(text)
    return text[begin:end]
