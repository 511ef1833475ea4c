"""All bytes between two places that the filter lets pass, in pieces as large as can be had at once: for saving them.

Most of a log needs no look at single lines: what no filter leaves out and nothing paints over is taken as it is, and
of a block whose hits are all known, the rows that they are. The rest goes line by line, as it is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from hosts.local import lines
from hosts.local.lines import Encoding
from monitors.logs.chosen import is_choosy
from monitors.logs.hits import Search
from monitors.logs.model import LogModel
from monitors.logs.spans import LOOKAHEAD
from monitors.logs.types import Filter, Generation, GoneError, LogLine, Place
from tui.logs.batches import batches
from tui.logs.wholes import Lost, Part, Wholes

_BATCH = 128
"""Lines that are asked for at a time: of long ones, each comes with up to `monitors.logs.types.KEEP` bytes."""

_MOST = 1 << 20
"""Bytes of one piece, unless a single line has more."""


@dataclass(frozen=True)
class Piece:
    """Some of it.

    Attributes:
        parts: Bytes, newlines included, each with the line that they are; of many lines together, with one that begins
            and ends where they do.
        lines: How many lines begin in it.
    """

    parts: Sequence[Part]
    lines: int

    @property
    def at(self) -> Place:
        """Where it begins."""
        return self.parts[0][0].at


async def pieces(
    model: LogModel, at: Place, end: Place, spec: Filter | None, lost: Lost | None = None
) -> AsyncIterator[Piece]:
    """All lines that pass and begin from `at` on and before `end`, in order and each of them whole.

    A line passes if any row of it does, or stands next to one that does: a very long line is many rows.

    Args:
        model: The log.
        at: A place where a line begins.
        end: Where it ends.
        spec: The model's filter.
        lost: Takes in what is thrown away meanwhile: it is left out.

    Raises:
        InputError: The filter cannot go on.
        UnreachableError: Nobody answers.
    """
    until = end if spec is None or spec.until is None else min(end, spec.until)
    lost = lost or Lost()
    since = at if spec is None or spec.since is None else max(at, spec.since)
    lost.begin(model.shape.generations, since, until)
    wholes = Wholes(model, at, spec, lost)
    with model.needed():
        while at < end:
            wholes.look(at)
            async with contextlib.aclosing(batches(model, at, end, _BATCH)) as found:
                some = await anext(found, None)
            if some is None:
                break
            async for piece in _by_line(wholes, some):
                yield piece
            at = max(wholes.upto, Place(some[-1].at.generation, some[-1].end))
            while (taken := await _at_once(model, at, until, spec)) is not None:
                if taken[1] is not None:
                    if (seam := wholes.seam(taken[1].at)) is not None:
                        yield Piece([seam], 0)
                    yield taken[1]
                    wholes.given(taken[0])
                at = taken[0]
                wholes.look(at)
        wholes.look(min(at, end))


async def _by_line(wholes: Wholes, some: list[LogLine]) -> AsyncIterator[Piece]:
    parts: list[Part] = []
    size = 0
    for row in some:
        async for part in wholes.line(row):
            parts.append(part)
            size += len(part[1])
            if size >= _MOST:
                yield _piece(parts)
                parts, size = [], 0
    if parts:
        yield _piece(parts)


def _piece(parts: list[Part]) -> Piece:
    return Piece(parts, sum(line.piece == 0 for line, _ in parts))


async def _at_once(model: LogModel, at: Place, until: Place, spec: Filter | None) -> tuple[Place, Piece | None] | None:
    """What follows a whole line, and where it ends: nothing in it may be left out. None where one has to look."""
    one = next((one for one in model.state.shape.generations if one.number == at.generation), None)
    if one is None or at.offset >= one.size or at >= until:
        return None
    limit = min(one.size, until.offset) if until.generation == at.generation else one.size
    try:
        encoding = await model.encoding(one.number)
        if spec is None or not is_choosy(spec):
            found = await _all(model, one, at, limit, encoding)
        elif model.passing is None or spec.context:
            return None
        else:
            found = await _hits(model, model.passing, one, at, limit, encoding)
    except GoneError:
        return None
    if found is None:
        return None
    upto, data, count = found
    if not count:
        return Place(one.number, upto), None
    line = LogLine(at, upto, b"", upto - at.offset, None, complete=True, encoding=encoding.name)
    return Place(one.number, upto), Piece([(line, data)], count)


async def _all(
    model: LogModel, one: Generation, at: Place, limit: int, encoding: Encoding
) -> tuple[int, bytes, int] | None:
    """Whole lines that no later one paints over: where they end, they, and how many."""
    from monitors.logs.progress import moves_up  # nobody saves a log before it is shown

    data = await model.read(at, min(_MOST, limit - at.offset))
    if moves_up(data) or (encoding.unit > 1 and b"\x1b" in data):
        return None
    cut = len(data)
    # Of these last lines nobody knows yet whether what is behind them climbs up to them
    for _ in range(1 if at.offset + len(data) >= one.size else 1 + LOOKAHEAD):
        newline = lines.rfind_newline(data, encoding, at.offset, 0, cut)
        if newline < 0:
            return None
        cut = newline
    cut += encoding.unit
    data = data[:cut]
    return at.offset + cut, data, lines.count(data, encoding, at.offset)


async def _hits(
    model: LogModel, search: Search, one: Generation, at: Place, limit: int, encoding: Encoding
) -> tuple[int, bytes, int] | None:
    """The hits of a block that lie whole in it: where the last of its whole rows ends, they, and how many."""
    block = at.offset // lines.BLOCK
    if not search.is_settled(one.number, block):
        return None
    base = max(block * lines.BLOCK, one.first)
    bits = search.hits.rows(one.number, block)
    data = await model.read(Place(one.number, base), min((block + 1) * lines.BLOCK, one.size) - base)
    begins = base == at.offset or await _begins(model, one, base, encoding)

    def select() -> tuple[int, bytes, int] | None:
        starts = [*lines.row_starts(data, base, encoding, begins=begins), base + len(data)]
        if data[-encoding.unit :] != encoding.newline:
            starts.pop()  # the last row goes on in the next block
        taken = f"{bits:b}"[::-1]
        parts = [
            data[start - base : starts[row + 1] - base]
            for row, start in enumerate(starts[:-1])
            if taken[row : row + 1] == "1" and at.offset <= start < limit
        ]
        upto = min(starts[-1], limit) if starts else 0
        return (upto, b"".join(parts), len(parts)) if upto > at.offset else None

    return await asyncio.to_thread(select)


async def _begins(model: LogModel, one: Generation, base: int, encoding: Encoding) -> bool:
    """Whether a row begins where a block does."""
    reading = lines.begins_at(base, one.first, encoding)
    try:
        wanted = next(reading)
        while True:
            offset, size = wanted
            wanted = reading.send(await model.read(Place(one.number, offset), size))
    except StopIteration as ended:
        return bool(ended.value)
