"""Scans a log block by block: counts its newlines, and finds the rows that a matcher lets pass.

A job belongs to one generation of a log. It goes outward from a place, to one side first, and takes up what is
appended where it left off: of the last block only the row that had not ended is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from hosts.local import lines, seams
from hosts.local.blocks import THROUGH, UNKNOWN, BlockHits, Matcher
from hosts.local.levels import without_colours
from hosts.local.lines import Encoding
from hosts.local.match import Finder, Region, bits_of_rows, rows_of_bits
from hosts.local.seams import Seams

Read = Callable[[int, int], bytes]
"""Bytes from an offset on: fewer than asked for only where the log ends now."""

_LOOK = 4 << 10  # bytes behind a block that are read with it, for the end of its last row
_CHUNK = 256 << 10
_LONG = 24  # from rows of this length on, leaving the newlines out is a quicker way to count them


class Part(NamedTuple):
    """What is settled of a block that the log ends in: its rows that have ended.

    Attributes:
        at: Where the rest begins.
        begins: Whether a row begins there.
        newlines: Newlines of the block before it.
        rows: Rows of the block before it.
        bits: Those of them that passed.
        head: See BlockHits.
        leaves: Likewise.
    """

    at: int
    begins: bool
    newlines: int = 0
    rows: int = 0
    bits: int = 0
    head: int = 0
    leaves: int = THROUGH


class Hints(Protocol):
    """Where rows may be that pass, found by somebody quicker."""

    @property
    def covered(self) -> int:
        """Blocks below this one were looked at."""
        ...

    @property
    def exact(self) -> bool:
        """Whether all of them pass where everything is ASCII without carriage returns and colours."""
        ...

    def of(self, block: int) -> list[int]:
        """Offsets in a block; a row that passes has one of them in it."""
        ...


def count_newlines(data: bytes, encoding: Encoding, base: int) -> int:
    """Like lines.count, and quicker where rows are long."""
    if encoding.unit == 1 and data.count(b"\n", 0, _LOOK) * _LONG < len(data[:_LOOK]):
        return len(data) - len(data.replace(b"\n", b""))
    return lines.count(data, encoding, base)


def renumbered(first: int) -> range:
    """The blocks in which other rows begin than before, once a log's first byte is this one."""
    return range(first // lines.BLOCK, first // lines.BLOCK + 2)


class Job:
    """One scan of one generation.

    Args:
        read: Reads the generation.
        matcher: What to look for; None counts newlines.
        encoding: How it is written.
        first: Its first byte that can be read.
        size: Its size as far as it is known.

    Attributes:
        hints: Spare the looking at most blocks, where there are some.
        placing: Of blocks with so many hits at most, it is told where these begin.

    Raises:
        re.error: An expression of the matcher is none.
    """

    def __init__(self, read: Read, matcher: Matcher | None, encoding: Encoding, first: int, size: int) -> None:
        self.finder = Finder(matcher) if matcher is not None else None
        self._seams = Seams(matcher) if matcher is not None and (matcher.include or matcher.exclude) else None
        self.encoding = encoding
        self.read = read
        self.hints: Hints | None = None
        self.placing = 0
        self.first = first
        self.size = size
        self._lead = matcher is not None and matcher.by_level and matcher.inherit
        self._done = bytearray()
        self._parts: dict[int, Part] = {}
        self._low = self._high = 0
        self._forward = True
        self.grow(first, size)

    @property
    def blocks(self) -> int:
        """How many blocks the generation has, those before its first byte included."""
        return -(-self.size // lines.BLOCK)

    def grow(self, first: int, size: int) -> None:
        """Bytes were appended, or thrown away at the beginning."""
        if first != self.first and self.finder is not None:
            for block in renumbered(first):
                self._parts.pop(block, None)
                self._done[block : block + 1] = bytes(len(self._done[block : block + 1]))
        if size > self.size:
            for block in self._parts:
                self._done[block] = 0
                self._high = min(self._high, block)  # before what is new
        self.first, self.size = first, size
        self._done.extend(bytes(max(0, self.blocks - len(self._done))))
        self.skip(0, first // lines.BLOCK)

    def skip(self, low: int, high: int) -> None:
        """Leave out the blocks in [low, high)."""
        self._done[low:high] = b"\1" * (min(high, len(self._done)) - low)

    def toward(self, at: int, forward: bool) -> None:
        """Go on from an offset, to this side first."""
        block = at // lines.BLOCK
        # Rows at the block's beginning may hang on the level of a row before it
        self._high = max(0, block - 1) if self._lead else block
        self._low = block if not forward else self._high - 1
        self._forward = forward

    def pending(self) -> int | None:
        """The block that is next, or None when everything was looked at."""
        for forward in (self._forward, not self._forward):
            if forward:
                found = self._done.find(0, self._high)
                self._high = found if found >= 0 else len(self._done)
            else:
                found = self._done.rfind(0, 0, self._low + 1)
                self._low = found
            if found >= 0:
                return found
        found = self._done.find(0)  # a block that was passed, and is to be looked at again
        return found if found >= 0 else None

    def left(self) -> int:
        """How many blocks are still to be looked at."""
        return self._done.count(0)

    def lowest(self) -> int:
        """The first block that is still to be looked at; the one behind the last where there is none."""
        found = self._done.find(0)
        return found if found >= 0 else len(self._done)

    def step(self) -> BlockHits | None:
        """Look at the next block; None when there is none."""
        block = self.pending()
        if block is None:
            return None
        first, size = self.first, self.size
        found = self._count(block) if self.finder is None else self._find(block, self.finder)
        self._done[block] = 1
        if (self.first, self.size) != (first, size):  # `grow` was called while bytes of it were waited for
            grown, self.first, self.size = (self.first, self.size), first, size
            self.grow(*grown)
        found = found._replace(open=block in self._parts)
        return self._placed(found) if self.placing and found.bits else found

    def _placed(self, found: BlockHits) -> BlockHits:
        """With where its hits begin, and the newlines before them; without where they are many."""
        rows = rows_of_bits(int.from_bytes(found.bits, "little"), self.placing + 1)
        if len(rows) > self.placing:
            return found
        low = max(found.block * lines.BLOCK, self.first)
        begins = lines.drive(lines.begins_at(low, self.first, self.encoding), self.read)
        data = self.read(low, found.upto - low)
        starts = lines.nth_rows(data, low, rows, self.encoding, begins=begins)
        if len(starts) != len(rows):
            return found
        ranks, rank, at = [], 0, low
        for start in starts:
            rank += lines.count(data[at - low : start - low], self.encoding, at)
            ranks.append(rank)
            at = start
        begin = found.block * lines.BLOCK
        return found._replace(starts=tuple(start - begin for start in starts), ranks=tuple(ranks))

    def _bounds(self, block: int) -> tuple[int, int]:
        return max(block * lines.BLOCK, self.first), min((block + 1) * lines.BLOCK, self.size)

    def _count(self, block: int) -> BlockHits:
        low, high = self._bounds(block)
        unit = self.encoding.unit
        part = self._parts.pop(block, None) or Part(low + low % unit, begins=False)
        at, newlines = part.at, part.newlines
        while at < high:
            wanted = min(_CHUNK, high - at)
            data = self.read(at, wanted)
            whole = len(data) // unit * unit  # half a newline waits for the other half
            newlines += count_newlines(data[:whole], self.encoding, at)
            at += whole
            if len(data) < wanted or not whole:
                high = min(high, at - whole + len(data))
                break
        if at < (block + 1) * lines.BLOCK:
            self._parts[block] = Part(at, begins=False, newlines=newlines)
        return BlockHits(block, high, newlines)

    def _find(self, block: int, finder: Finder) -> BlockHits:
        low, high = self._bounds(block)
        part = self._parts.pop(block, None)
        hints = self._hints(block) if part is None else None
        if hints == []:
            return BlockHits(block, high)
        if part is None:
            part = Part(low, lines.drive(lines.begins_at(low, self.first, self.encoding), self.read))
        wanted = min(high + _LOOK, self.size) - part.at
        data = self.read(part.at, wanted) if wanted > 0 else b""
        high = max(low, min(high, part.at + len(data)))
        inside = high - part.at
        start = 0 if part.begins else self._after(data, part.at, inside)
        if start is None or start >= inside:
            if high < (block + 1) * lines.BLOCK:
                at = high // self.encoding.unit * self.encoding.unit
                self._parts[block] = part._replace(at=max(at, part.at), begins=start is not None)
            return self._result(block, high, part)
        data, last, end = self._rows(block, part.at, data, start, inside, short=len(data) < wanted)
        stop, beyond = len(data) if end is None else end, b""
        if self._seams and end is not None and data[end - self.encoding.unit : end] != self.encoding.newline:
            beyond, settled = self._beyond(data, part.at, end)
            end = end if settled else None
        if end is None:
            if last > start:
                part = self._add(part, data, start, last, finder)
            self._parts[block] = part = part._replace(at=part.at + last, begins=True)
            return self._result(block, high, self._add(part, data, last, stop, finder, at=last, beyond=beyond))
        if hints is not None:
            region = data[start:end]
            bits = self._hinted(region, [offset - part.at - start for offset in hints], finder)
            return self._result(block, high, part._replace(bits=bits))
        part = self._add(part, data, start, end, finder, count=high < (block + 1) * lines.BLOCK, beyond=beyond)
        if high < (block + 1) * lines.BLOCK:
            self._parts[block] = part._replace(at=high, begins=True)
        return self._result(block, high, part)

    def _after(self, data: bytes, at: int, inside: int) -> int | None:
        """Where the first newline of a block's bytes ends."""
        newline = lines.find_newline(data, self.encoding, at, 0, inside)
        return newline + self.encoding.unit if newline >= 0 else None

    def _rows(
        self, block: int, at: int, data: bytes, start: int, inside: int, *, short: bool
    ) -> tuple[bytes, int, int | None]:
        """The rows that begin in a block.

        Args:
            block: Which.
            at: Where `data` stands.
            data: Bytes of the block and some behind it.
            start: Where in them the first row begins.
            inside: How many of them are the block's.
            short: Whether the log ends with them.

        Returns:
            The data, with more behind it if need be; where the last row begins in it; where that one ends, a newline
            behind it included, or None where it has not ended.
        """
        unit = self.encoding.unit
        newline = lines.rfind_newline(data, self.encoding, at, start, inside)
        last = newline + unit if newline >= 0 else start
        if last == inside:
            return data, last, last
        limit = (block + 1) * lines.BLOCK - at
        if newline < 0 and start == 0 and at == block * lines.BLOCK:  # the block holds no newline: a piece of a line
            return data, last, limit if inside == limit else None
        limit += lines.BLOCK
        step, seen = _LOOK, inside
        while True:
            found = lines.find_newline(data, self.encoding, at, seen, limit)
            if found >= 0:
                return data, last, found + unit
            if len(data) >= limit:
                return data, last, limit
            wanted = min(step, limit - len(data), self.size - at - len(data))
            if short or wanted <= 0:
                return data, last, None
            step, seen = step * 8, max(inside, len(data) - unit + 1)
            more = self.read(at + len(data), wanted)
            short = len(more) < wanted
            data += more

    def _beyond(self, data: bytes, at: int, end: int) -> tuple[bytes, bool]:
        """What a line goes on with where it is cut, and whether it is known as far as that matters."""
        more = data[end : end + seams.EDGE]
        wanted = min(at + end + seams.EDGE, self.size) - at - len(data)
        if wanted > 0:
            more += self.read(at + len(data), wanted)
        newline = lines.find_newline(more, self.encoding, at + end)
        if newline >= 0:
            return lines.content(more[: newline + self.encoding.unit], self.encoding), True
        return more, len(more) == seams.EDGE

    def _add(
        self,
        part: Part,
        data: bytes,
        start: int,
        end: int,
        finder: Finder,
        *,
        at: int = 0,
        count: bool = True,
        beyond: bytes = b"",
    ) -> Part:
        """With the rows in data[start:end], a newline at the end left out; `part.at` is `at` bytes into `data`.

        `beyond`: what the last row's line goes on with, where that is cut.
        """
        unit = self.encoding.unit
        if part.at - at + start == 0 and data.startswith(self.encoding.bom):
            start += len(self.encoding.bom)
        ended = data[end - unit : end] == self.encoding.newline and end - unit >= start
        end -= unit * ended
        region = Region(data, self.encoding, start, end)
        if ended:
            region.end_row()
        found = finder.find(region, part.leaves)
        bits = found.bits
        if beyond and self._seams:
            low = max(start, end - seams.EDGE - 4)
            newline = lines.rfind_newline(data, self.encoding, part.at - at, low, end)
            row = data[newline + unit if newline >= 0 else low : end]
            bits = self._seams.amend(bits, region, part.leaves, row, beyond, self.encoding)
        return part._replace(
            rows=part.rows + region.size if count else part.rows,
            bits=part.bits | bits << part.rows,
            head=part.head + found.head,
            leaves=found.leaves,
        )

    def _result(self, block: int, upto: int, part: Part) -> BlockHits:
        bits = part.bits.to_bytes((part.bits.bit_length() + 7) // 8, "little")
        return BlockHits(block, upto, UNKNOWN, UNKNOWN, bits, part.head, part.leaves)

    # With hints.

    def _hints(self, block: int) -> list[int] | None:
        """Offsets that rows which pass have in them, if that is known of a whole block and nothing else is needed."""
        if self.hints is None or block == 0 or block + 2 > self.hints.covered:
            return None
        if any(map(self._blank, range(block - 1, block + 2))):
            return None
        return self.hints.of(block) + self.hints.of(block + 1)

    def _blank(self, block: int) -> bool:
        """Whether a whole block holds no newline: lines so long are divided, which others know nothing of."""
        low, high = self._bounds(block)
        return low < high and lines.drive(lines.first_end(low, high, self.encoding), self.read) is None

    def _hinted(self, rows: bytes, offsets: list[int], finder: Finder) -> int:
        """The rows that pass, each of them with one of the offsets in it."""
        assert self.hints is not None
        sure = self.hints.exact and rows.isascii() and b"\r" not in rows and b"\x1b" not in rows
        found: list[int] = []
        row = at = 0
        seen = -1
        for offset in offsets:
            if not 0 <= offset < len(rows):
                continue  # in a row of the block before, or of the next
            row += rows.count(b"\n", at, offset)
            at = offset
            if row != seen and (sure or finder.holds(self._row(rows, offset))):
                found.append(row)
            seen = row
        return bits_of_rows(found)

    def _row(self, rows: bytes, at: int) -> bytes:
        begin = rows.rfind(b"\n", 0, at) + 1
        end = rows.find(b"\n", at)
        return lines.content(without_colours(rows[begin : end + 1] if end >= 0 else rows[begin:]))
