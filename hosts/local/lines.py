"""Where the rows of a log begin, in bytes.

A row begins at the log's first byte, after every newline, and at every multiple of BLOCK that has no newline in the
BLOCK bytes before it. So a row is shorter than two blocks, and where it begins is found by reading a bounded number
of bytes on either side, however long the line is. Only what lies before a place decides whether a row begins there:
appended bytes never move a row.

Where the first bytes of a log are gone, its first byte that is left counts as one after a newline.

What needs bytes is written as a generator that yields (offset, size) and is sent the bytes there, fewer only where
the log ends; `drive` answers it from a function, and code on an event loop answers it as it likes.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Generator, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeVar, Union

BLOCK = 1 << 20
"""Bytes of a block, the unit of counting, searching and filtering."""

SNIFF = 64
"""Bytes of a log's beginning that settle its encoding: what `sniff` says of so many holds for good."""

_STEP = 4 << 10
_MOST = 256 << 10

T = TypeVar("T")
Data = Union[bytes, bytearray]
Reading = Generator[tuple[int, int], bytes, T]


class Encoding(NamedTuple):
    """How a log's text is written.

    Attributes:
        name: utf-8, utf-16-le or utf-16-be; a codec of Python's.
        newline: The bytes of a line feed.
        unit: A line feed stands at multiples of this many bytes.
        bom: The mark that may stand before the first row's text.
    """

    name: str
    newline: bytes
    unit: int
    bom: bytes

    @property
    def carriage_return(self) -> bytes:
        """The bytes of one."""
        return self.newline.replace(b"\n", b"\r")


UTF8 = Encoding("utf-8", b"\n", 1, b"\xef\xbb\xbf")
UTF16_LE = Encoding("utf-16-le", b"\n\0", 2, b"\xff\xfe")
UTF16_BE = Encoding("utf-16-be", b"\0\n", 2, b"\xfe\xff")
ENCODINGS = {encoding.name: encoding for encoding in (UTF8, UTF16_LE, UTF16_BE)}


def sniff(head: Data) -> Encoding:
    """The encoding of a log that begins with `head`: UTF-16 where a byte order mark or every second NUL says so.

    Without a mark it needs SNIFF bytes to call a log UTF-16, and looks at no more than those.
    """
    head = head[:SNIFF]
    for encoding in (UTF16_LE, UTF16_BE):
        if head.startswith(encoding.bom):
            return encoding
    if len(head) == SNIFF:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if even == 0 and odd >= SNIFF * 3 // 8:
            return UTF16_LE
        if odd == 0 and even >= SNIFF * 3 // 8:
            return UTF16_BE
    return UTF8


def count(data: Data, encoding: Encoding = UTF8, base: int = 0) -> int:
    """Newlines in `data`, which stands at offset `base`."""
    if encoding.unit == 1:
        return data.count(encoding.newline)
    whole = data[base % 2 :]
    # Decoding is quicker than telling the line feeds from pairs of bytes that only look like one
    return whole[: len(whole) & ~1].decode(encoding.name, "surrogatepass").count("\n")


def find_newline(data: Data, encoding: Encoding = UTF8, base: int = 0, start: int = 0, end: int | None = None) -> int:
    """Index in `data` of the first newline that lies in [start, end), or -1; `data` stands at offset `base`."""
    stop = len(data) if end is None else end
    at = data.find(encoding.newline, start, stop)
    while at >= 0 and (base + at) % encoding.unit:
        at = data.find(encoding.newline, at + 1, stop)
    return at


def rfind_newline(data: Data, encoding: Encoding = UTF8, base: int = 0, start: int = 0, end: int | None = None) -> int:
    """Index in `data` of the last newline that lies in [start, end), or -1; `data` stands at offset `base`."""
    stop = len(data) if end is None else end
    at = data.rfind(encoding.newline, start, stop)
    while at >= 0 and (base + at) % encoding.unit:
        at = data.rfind(encoding.newline, start, at)
    return at


def row_starts(data: Data, base: int, encoding: Encoding = UTF8, *, begins: bool) -> array[int]:
    """Offsets at which rows begin in [base, base + len(data)), ascending.

    Args:
        data: Bytes of one block, or of a part of it that is cut at multiples of the encoding's unit.
        base: The offset they stand at.
        encoding: How the log is written.
        begins: Whether a row begins at `base` (see `begins_at`).
    """
    found = array("q")
    if not data:
        return found
    if begins:
        found.append(base)
    if encoding.unit > 1:
        at = find_newline(data, encoding, base)
        while at >= 0:
            found.append(base + at + encoding.unit)
            at = find_newline(data, encoding, base, at + encoding.unit)
    else:
        # The quickest way to many offsets; splitlines would also split at carriage returns
        lines = (data.replace(b"\r", b" ") if b"\r" in data else data).splitlines(True)
        found.extend(accumulate(map(len, lines[1:]), initial=base + len(lines[0])))
    if found and found[-1] >= base + len(data):
        found.pop()
    return found


def rows_before(data: Data, base: int, at: int, encoding: Encoding = UTF8, *, begins: bool) -> int:
    """How many rows begin in [base, at), which lies in `data` (see `row_starts`)."""
    if at <= base:
        return 0
    return begins + count(data[: at - 1 - base], encoding, base)


def nth_rows(data: Data, base: int, numbers: Sequence[int], encoding: Encoding = UTF8, *, begins: bool) -> list[int]:
    """Where the rows begin that have so many rows before them in `data`; what is not there is left out.

    Args:
        data: See `row_starts`.
        base: Likewise.
        numbers: Ascending.
        encoding: How the log is written.
        begins: See `row_starts`.
    """
    found = [base] if begins and data and numbers and numbers[0] == 0 else []
    wanted = deque(number - begins for number in numbers if number >= begins)
    before = at = 0
    while wanted and at < len(data):
        part = data[at : at + _STEP]
        newlines = count(part, encoding, base + at)
        if wanted[0] < before + newlines:
            starts = row_starts(part + b" ", base + at, encoding, begins=False)
            while wanted and wanted[0] < before + newlines:
                found.append(starts[wanted.popleft() - before])
        before += newlines
        at += len(part)
    if found and found[-1] >= base + len(data):
        found.pop()
    return found


def content(row: bytes, encoding: Encoding = UTF8) -> bytes:
    """A row without its newline, and without a carriage return before that one."""
    if not row.endswith(encoding.newline):
        return row
    row = row[: -encoding.unit]
    return row[: -encoding.unit] if row.endswith(encoding.carriage_return) else row


def drive(reading: Reading[T], read: Callable[[int, int], bytes]) -> T:
    """Run one of the generators below; `read` takes an offset and a size."""
    try:
        wanted = next(reading)
        while True:
            wanted = reading.send(read(*wanted))
    except StopIteration as ended:
        value: T = ended.value
        return value


def _last_end(low: int, high: int, encoding: Encoding) -> Reading[int | None]:
    """Where the last newline within [low, high) ends, or None."""
    step = _STEP
    while high > low:
        start = max(low, (high - step) // encoding.unit * encoding.unit)
        data = yield start, high - start
        at = rfind_newline(data, encoding, start)
        if at >= 0:
            return start + at + encoding.unit
        high, step = start, min(step * 4, _MOST)
    return None


def first_end(low: int, high: int, encoding: Encoding = UTF8) -> Reading[int | None]:
    """Where the first newline within [low, high) ends, or None; `low` is a multiple of the unit."""
    step = _STEP
    while low < high:
        stop = min(high, low + step)
        data = yield low, stop - low
        at = find_newline(data, encoding, low)
        if at >= 0:
            return low + at + encoding.unit
        if len(data) < stop - low:
            return None  # the log is shorter than it was
        low, step = stop, min(step * 4, _MOST)
    return None


def begins_at(at: int, first: int = 0, encoding: Encoding = UTF8) -> Reading[bool]:
    """Whether a row begins at `at`, given the log's first byte that can be read."""
    if at <= first:
        return at == first
    if at % encoding.unit:
        return False
    before = yield max(first, at - encoding.unit), min(encoding.unit, at - first)
    if before == encoding.newline:
        return True
    if at % BLOCK or first > at - BLOCK:
        return False
    end = yield from _last_end(at - BLOCK, at, encoding)
    return end is None


def row_at(at: int, first: int = 0, encoding: Encoding = UTF8) -> Reading[int]:
    """Where the row begins that holds the byte at `at`: the last beginning that is not after it."""
    if at <= first:
        return first
    block = at // BLOCK * BLOCK
    for low, high in ((block, at), (block - BLOCK, block)):
        end = yield from _last_end(max(low, first), high, encoding)
        if end is not None:
            return end
        if low < first:
            return first
    return block


def row_after(at: int, size: int, first: int = 0, encoding: Encoding = UTF8) -> Reading[int | None]:
    """Where the first row begins that begins after `at`, or None where the log's `size` bytes hold none.

    `at` is not before `first`.
    """
    block = at // BLOCK * BLOCK
    middle, last = block + BLOCK, block + 2 * BLOCK
    end = yield from first_end(at // encoding.unit * encoding.unit, min(middle, size), encoding)
    if end is None and middle < size:
        cut = first <= block
        if cut:
            cut = (yield from _last_end(block, at, encoding)) is None
        if cut:
            return middle
        end = yield from first_end(middle, min(last, size), encoding)
        if end is None:
            end = last
    return end if end is not None and end < size else None
