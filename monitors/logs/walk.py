"""From row to row through one generation of a log, forward and backward, reading little.

The rules of where rows begin are in `hosts.local.lines`; this follows them over many rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from hosts.local import lines
from hosts.local.lines import Encoding, Reading, find_newline, rfind_newline, row_at
from monitors.logs.index import Index
from monitors.logs.pages import PAGE

T = TypeVar("T")

_MOST = 4 * PAGE
_OPEN = 1 << 62


class Row(NamedTuple):
    """One row of one generation.

    Attributes:
        start: Where it begins.
        end: Where the next one begins, or the generation ends.
        ended: Whether its last bytes are a newline.
    """

    start: int
    end: int
    ended: bool


class Purse:
    """Bytes that one question may look at before it is answered with what is known so far.

    Attributes:
        spent: Bytes looked at.
    """

    def __init__(self, limit: int = _OPEN) -> None:
        self.spent = 0
        self._limit = limit

    @property
    def empty(self) -> bool:
        return self.spent >= self._limit

    @contextmanager
    def open(self) -> Iterator[None]:
        """What must not be cut is looked at whatever it costs meanwhile; it is counted all the same."""
        limit, self._limit = self._limit, _OPEN
        try:
            yield
        finally:
            self._limit = limit

    def refill(self) -> None:
        """Another question."""
        self.spent = 0


class Walk:
    """Steps over the rows of one generation as it was at one instant.

    Every method that needs bytes is a generator of `hosts.local.lines`.

    Args:
        first: The generation's first byte that can be read.
        size: Its bytes.
        encoding: How it is written.
        index: What is known of its blocks; it learns which of them hold no newline.
        purse: What it may spend. A walk that cannot pay for another row ends early, with one at least, or
            two backward: whoever asks again from there gets on, and knows what stands before a row.
    """

    def __init__(self, first: int, size: int, encoding: Encoding, index: Index, purse: Purse) -> None:
        self._first = first
        self._size = size
        self._encoding = encoding
        self._index = index
        self._purse = purse
        self._data = b""
        self._base = 0

    def at_or_after(self, at: int) -> Reading[int]:
        """Where the first row begins that does not begin before `at`; the generation's size where none does."""
        if at <= self._first:
            return self._first
        if at >= self._size:
            return self._size
        before = yield from self._bytes(max(self._first, at - self._encoding.unit), at)
        if at % self._encoding.unit == 0 and before == self._encoding.newline:
            return at
        start = yield from self._previous(at + 1)
        if start == at:
            return at
        row = yield from self._row(start)
        return row.end

    def forward(self, start: int, most: int) -> Reading[list[Row]]:
        """At most `most` rows from the row that begins at `start`."""
        rows: list[Row] = []
        while len(rows) < most and start < self._size and not (rows and self._purse.empty):
            row = yield from self._row(start)
            rows.append(row)
            start = row.end
        return rows

    def backward(self, end: int, most: int) -> Reading[list[Row]]:
        """At most `most` rows up to the one that ends at `end` (where a row begins, or the size), in order."""
        rows: list[Row] = []
        while len(rows) < most and end > self._first and not (len(rows) > 1 and self._purse.empty):
            start = yield from self._previous(end)
            ended = yield from self._ended(start, end)
            if end - start == lines.BLOCK and start % lines.BLOCK == 0 and not ended:
                self._index.note(start // lines.BLOCK)
            rows.append(Row(start, end, ended))
            end = start
        rows.reverse()
        return rows

    def piece(self, start: int) -> Reading[int]:
        """Which piece of its line the row is that begins at `start`, 0 for the first; at least 1 for any other.

        A line so long that the walk gets tired on the way to its beginning has the number of pieces seen.
        """
        if start % lines.BLOCK or start <= self._first:
            return 0
        before = yield from self._bytes(max(self._first, start - self._encoding.unit), start)
        if before == self._encoding.newline:
            return 0
        block = start // lines.BLOCK - 1
        self._index.note(block)
        piece = 1
        while block > 0 and block * lines.BLOCK > self._first and not self._purse.empty:
            block -= 1
            blank = yield from self._is_blank(block)
            if not blank:
                break
            piece += 1
        return piece

    def _is_blank(self, block: int) -> Reading[bool]:
        """Whether a block is without newline; the one in which the readable bytes begin counts as having one."""
        low, high = block * lines.BLOCK, (block + 1) * lines.BLOCK
        if low < self._first:
            return False
        known = self._index.is_blank(block)
        if known is not None:
            return known
        end = yield from self._newline(low, high)
        self._index.note(block, end is None)
        return end is None

    def _row(self, start: int) -> Reading[Row]:
        cut = -(-start // lines.BLOCK) * lines.BLOCK + lines.BLOCK
        end = yield from self._newline(start, min(cut, self._size))
        if end is not None:
            return Row(start, end, True)
        if cut <= self._size:
            self._index.note(cut // lines.BLOCK - 1)
        return Row(start, min(cut, self._size), False)

    def _newline(self, at: int, stop: int) -> Reading[int | None]:
        """Where the first newline in [at, stop) ends, or None."""
        step, unit = PAGE, self._encoding.unit
        at = -(-at // unit) * unit
        while at < stop:
            if at % lines.BLOCK == 0 and at + lines.BLOCK <= stop and self._index.is_blank(at // lines.BLOCK):
                at += lines.BLOCK
                continue
            if not self._base <= at <= self._base + len(self._data) - unit:
                page_end = (at // PAGE * PAGE) + step
                self._data = yield from self._bytes(at, min(page_end, self._size))
                self._base, step = at, min(step * 2, _MOST)
                if len(self._data) < unit:
                    return None
            base = self._base
            found = find_newline(self._data, self._encoding, base, at - base, min(stop - base, len(self._data)))
            if found >= 0:
                return base + found + unit
            at = (base + len(self._data)) // unit * unit  # half a character may stand at the end
        return None

    def _previous(self, end: int) -> Reading[int]:
        """Where the row begins that holds the byte before `end`."""
        block = (end - 1) // lines.BLOCK
        if (block - 1) * lines.BLOCK >= self._first and self._index.is_blank(block - 1) and self._index.is_blank(block):
            return block * lines.BLOCK
        base = self._base
        if not base < end <= base + len(self._data):
            base = max(self._first, (end - 1) // PAGE * PAGE)
            self._data = yield from self._bytes(base, end)
            self._base = base
        found = rfind_newline(self._data, self._encoding, base, max(0, end - 1 - PAGE - base), end - 1 - base)
        if found >= 0:
            return base + found + self._encoding.unit
        start = yield from self._counted(row_at(end - 1, self._first, self._encoding))
        if start == block * lines.BLOCK and start > self._first:
            ended = yield from self._ended(self._first, start)
            if not ended:
                self._index.note(block - 1)
        return start

    def _ended(self, start: int, end: int) -> Reading[bool]:
        unit = self._encoding.unit
        if (
            end % unit
            or end - start < unit
            or (end % lines.BLOCK == 0 and self._index.is_blank(end // lines.BLOCK - 1))
        ):
            return False
        low = end - unit - self._base
        if low >= 0 and end - self._base <= len(self._data):
            return self._data[low : low + unit] == self._encoding.newline
        last = yield from self._bytes(end - unit, end)
        return last == self._encoding.newline

    def _bytes(self, start: int, end: int) -> Reading[bytes]:
        data = yield start, end - start
        self._purse.spent += len(data)
        return data

    def _counted(self, reading: Reading[T]) -> Reading[T]:
        """Another's generator, its reads counted."""
        try:
            wanted = next(reading)
            while True:
                data = yield wanted
                self._purse.spent += len(data)
                wanted = reading.send(data)
        except StopIteration as ended:
            value: T = ended.value
            return value
