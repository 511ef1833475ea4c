"""A log as a plain list of lines: what every window of the real model has to agree with."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from hosts.local import lines
from hosts.local.lines import Encoding
from monitors.logs.progress import collapse
from monitors.logs.types import Mark, Place


@dataclass(frozen=True)
class PlainRow:
    """One row, worked out from all bytes at once."""

    at: Place
    end: int
    data: bytes
    ended: bool
    number: int
    piece: int


def newline_ends(data: bytes, encoding: Encoding, base: int = 0) -> list[int]:
    """Where newlines end, by looking at every unit."""
    low = base + base % encoding.unit
    return [
        at + encoding.unit
        for at in range(low, base + len(data) - encoding.unit + 1, encoding.unit)
        if data[at - base : at - base + encoding.unit] == encoding.newline
    ]


def rows_of(data: bytes, encoding: Encoding, first: int = 0, generation: int = 0) -> list[PlainRow]:
    """The rows of a generation whose bytes from `first` on are `data`, as the rules of hosts.local.lines say it.

    Numbers are counted from the first byte that is there.
    """
    size = first + len(data)
    ends = newline_ends(data, encoding, first)
    starts = {first, *ends}
    for cut in range(0, size, lines.BLOCK):
        if cut - lines.BLOCK >= first and not any(cut - lines.BLOCK < end <= cut for end in ends):
            starts.add(cut)
    ordered = sorted(start for start in starts if first <= start < size)
    rows: list[PlainRow] = []
    piece = 0
    for start, end in zip(ordered, [*ordered, size][1:], strict=True):
        piece = 0 if start == first or start in ends else piece + 1
        row = data[start - first : end - first]
        ended = end in ends
        number = bisect_right(ends, start) + 1
        rows.append(
            PlainRow(
                Place(generation, start),
                end,
                collapse(lines.content(row, encoding), encoding.name),
                ended,
                number,
                piece,
            )
        )
    return rows


@dataclass
class PlainLog:
    """All rows of all generations."""

    rows: list[PlainRow]
    marks: tuple[Mark, ...] = ()

    def window(self, at: Place, before: int, after: int) -> tuple[list[PlainRow], int, bool, bool]:
        """The rows, the anchor, and whether it begins at the start and ends at the end."""
        places = [row.at for row in self.rows]
        anchor = bisect_left(places, at)
        low, high = max(0, anchor - before), min(len(places), anchor + after)
        return self.rows[low:high], anchor - low, low == 0, high == len(places)
