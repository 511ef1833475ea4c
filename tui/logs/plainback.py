"""Where the last so many lines of a log begin."""

from __future__ import annotations

import asyncio

from hosts.local.lines import BLOCK, count, rfind_newline
from monitors.logs.model import LogModel
from monitors.logs.types import Generation, Place

_SEEN = 1000
_TRIES = 8
_STEP = 256 << 10


async def seen_back(model: LogModel, before: Place, lines: int) -> Place:
    """Where the last so many lines before a place begin that one sees; one that has not ended counts.

    Lines that others were painted over are not seen. Of more lines than a person looks at, all are counted.

    Raises:
        GoneError: What was there was thrown away meanwhile.
        UnreachableError: Nobody answers.
    """
    if lines > _SEEN:
        return await lines_back(model, before, lines)
    at, left, patience = before, lines, _TRIES
    while left:
        window = await model.window(at, left, 0)
        rows = window.lines[: window.anchor]
        at = rows[0].at if rows else at
        left -= sum(row.piece == 0 for row in rows)
        if window.at_start:
            break
        if not rows:  # so many are painted over that it takes another look, or nobody has them any more
            patience -= 1
            if not patience:
                return await lines_back(model, at, left)
            await asyncio.sleep(0)
    return at


async def lines_back(model: LogModel, before: Place, lines: int) -> Place:
    """Where the last so many lines before a place begin, all counted; one that has not ended counts.

    Raises:
        GoneError: What was there was thrown away meanwhile.
        UnreachableError: Nobody answers.
    """
    begin, left = before, lines
    for generation in reversed(model.shape.generations):
        high = before.offset if generation.number == before.generation else generation.size
        if generation.number <= before.generation and high > generation.first and left:
            begin, left = await _back_in(model, generation, high, left)
    return begin


async def line_begin(model: LogModel, row: Place) -> Place:
    """Where the line begins of which a row is a part: a long one is looked at in several (`hosts.local.lines`).

    Raises:
        GoneError: What was there was thrown away meanwhile.
        UnreachableError: Nobody answers.
    """
    encoding = await model.encoding(row.generation)
    if row.offset < BLOCK or row.offset % BLOCK:
        return row
    first = next((one.first for one in model.shape.generations if one.number == row.generation), row.offset)
    before = Place(row.generation, row.offset - encoding.unit)
    if row.offset <= first or await model.read(before, encoding.unit) == encoding.newline:
        return row
    return await lines_back(model, row, 1)


async def _back_in(model: LogModel, generation: Generation, size: int, lines: int) -> tuple[Place, int]:
    """The same within one generation, and how many lines it has too few."""
    encoding = await model.encoding(generation.number)
    high, left = size, lines
    while high > generation.first:
        low = max(generation.first, (high - _STEP) // encoding.unit * encoding.unit)
        data = await model.read(Place(generation.number, low), high - low)
        end = len(data)
        if high == size and data.endswith(encoding.newline):
            end -= encoding.unit  # what ends the last line begins no other
        here = count(data[:end], encoding, low)
        if here >= left:
            at = end
            for _ in range(left):
                at = rfind_newline(data, encoding, low, 0, at)
            return Place(generation.number, low + at + encoding.unit), 0
        left, high = left - here, low
    return Place(generation.number, generation.first), left - 1
