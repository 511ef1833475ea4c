"""A log as a plain list of lines: what every window of the real model has to agree with."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from hosts.local import lines
from hosts.local.lines import Encoding
from monitors.logs.progress import collapse
from monitors.logs.types import Place


@dataclass(frozen=True)
class PlainRow:
    """One row, worked out from all bytes at once."""

    at: Place
    end: int
    raw: bytes
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
        raw = lines.content(row, encoding)
        shown = collapse(raw, encoding.name)
        rows.append(PlainRow(Place(generation, start), end, raw, shown, ended, number, piece))
    return rows


@dataclass(frozen=True)
class PlainFilter:
    """Rows that hold all of some bytes and none of others, given for each encoding by its name.

    What lies across the cut of a very long line is held by the row in which it begins.
    """

    include: dict[str, bytes]
    exclude: dict[str, bytes]
    context: int
    since: Place | None
    until: Place | None

    def passes(self, row: PlainRow, beyond: bytes, encoding: Encoding) -> bool:
        """Whether a row passes by itself, and by what its line goes on with."""
        include, exclude = self.include.get(encoding.name), self.exclude.get(encoding.name)
        if (self.since is not None and row.at < self.since) or (self.until is not None and row.at >= self.until):
            return False

        def holds(text: bytes) -> bool:
            raw = row.raw + beyond[: len(text) - encoding.unit]
            at = raw.find(text)
            while at >= 0 and (row.at.offset + at) % encoding.unit:  # of two letters a half each
                at = raw.find(text, at + 1)
            return at >= 0

        return (include is None or holds(include)) and (exclude is None or not holds(exclude))

    def choose(self, rows: list[PlainRow], encoding: Callable[[int], Encoding]) -> tuple[list[PlainRow], set[Place]]:
        """The rows that are shown, and which of them are only there because of others."""
        hits = [
            index
            for index, (row, after) in enumerate(zip(rows, [*rows, None][1:], strict=True))
            if self.passes(row, after.raw if after is not None and after.piece else b"", encoding(row.at.generation))
        ]
        shown = {near for hit in hits for near in range(hit - self.context, hit + self.context + 1)}
        inside = [index for index in sorted(shown) if 0 <= index < len(rows)]
        inside = [index for index in inside if self.since is None or rows[index].at >= self.since]
        inside = [index for index in inside if self.until is None or rows[index].at < self.until]
        return [rows[index] for index in inside], {rows[index].at for index in inside if index not in hits}


def window_of(rows: list[PlainRow], at: Place, before: int, after: int) -> tuple[list[PlainRow], int, bool, bool]:
    """The rows around a place, the anchor, and whether they begin at the start and end at the end."""
    places = [row.at for row in rows]
    anchor = bisect_left(places, at)
    low, high = max(0, anchor - before), min(len(places), anchor + after)
    return rows[low:high], anchor - low, low == 0, high == len(places)
