"""Which of many rows a matcher lets pass: rows as bits of a number, the first row is the lowest bit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from hosts.local.alarms import Alarms
from hosts.local.blocks import FAILS, PASSES, THROUGH, Matcher, Pattern
from hosts.local.levels import NO_LEVEL, Levels, alike, without_colours
from hosts.local.lines import UTF8, Encoding
from hosts.local.regexes import GAP, Forms, Loose, compile_row, forms, loose_of

_MANY = 1000  # hits of one region from which on it is worth asking how many rows there are
_REST = 32  # regions until a way that was given up is tried again
_BITS = bytes.maketrans(b"\0\1", b"01")


class Region:
    """Rows that follow each other, with newlines between them and none behind the last, as they are shown.

    Args:
        data: Bytes with the rows in them; they are not copied where that is not needed.
        encoding: What they are written in.
        start: Where the first row begins.
        end: Where the last row ends, the end of the data by default.

    Attributes:
        raw: The rows in UTF-8 from `start` to `end` without colours, perhaps with carriage returns before newlines,
            and other bytes around them.
        start: See there.
        end: See there.
        coloured: Whether there were colours.
    """

    def __init__(self, data: bytes, encoding: Encoding = UTF8, start: int = 0, end: int | None = None) -> None:
        self.raw, self.start, self.end = data, start, len(data) if end is None else end
        if encoding.unit > 1:
            self.raw = data[start : self.end].decode(encoding.name, "replace").encode("utf-8", "replace")
            self.start, self.end = 0, len(self.raw)
        self.coloured = False
        if self.raw.find(b"\x1b", self.start, self.end) >= 0:
            size = self.end - self.start
            self.raw = without_colours(self.raw[self.start : self.end])
            self.start, self.end = 0, len(self.raw)
            self.coloured = self.end < size

    def end_row(self) -> None:
        """Note that the last row has a newline behind it: a carriage return before that is no part of the row."""
        if self.raw.endswith(b"\r", self.start, self.end):
            self.end -= 1

    @cached_property
    def size(self) -> int:
        """How many rows."""
        return self.raw.count(b"\n", self.start, self.end) + 1

    @cached_property
    def data(self) -> bytes:
        """The rows alone. A carriage return before a newline is no part of a row."""
        data = self.raw[self.start : self.end]
        return data.replace(b"\r\n", b"\n") if b"\r" in data and b"\r\n" in data else data

    @cached_property
    def lines(self) -> list[bytes]:
        """The rows one by one."""
        return self.data.split(b"\n")

    @cached_property
    def text(self) -> str:
        """The rows as text; bytes that are none are lone surrogates."""
        return self.data.decode("utf-8", "surrogateescape")

    @cached_property
    def lower(self) -> bytes:
        """`raw` with ASCII letters in lower case."""
        return self.raw.lower()

    @cached_property
    def plain(self) -> bytes:
        """The rows alone, as levels are read off them."""
        return alike(self.data)

    @cached_property
    def plain_lines(self) -> list[bytes]:
        """These one by one."""
        return self.plain.split(b"\n")

    @property
    def all(self) -> int:
        """Every row."""
        return (1 << self.size) - 1


def bits_of_rows(rows: list[int]) -> int:
    """The bits of some rows, given by their numbers, ascending."""
    if not rows:
        return 0
    found = bytearray((rows[-1] >> 3) + 1)
    for row in rows:
        found[row >> 3] |= 1 << (row & 7)
    return int.from_bytes(found, "little")


def rows_of_bits(bits: int, most: int) -> list[int]:
    """The numbers of the first rows among these bits, ascending, so many at most."""
    found: list[int] = []
    while bits and len(found) < most:
        found.append((bits & -bits).bit_length() - 1)
        bits &= bits - 1
    return found


def bits_of_flags(flags: bytes) -> int:
    """The same from a byte for each row, 0 or 1."""
    return int(flags[::-1].translate(_BITS), 2) if flags else 0


class Words:
    """Rows that hold some words."""

    def __init__(self, text: str, fold: bool) -> None:
        try:
            needle = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            needle = b"\n"  # no bytes read as this text, and a newline is in no row
        self._fold = fold
        self._needle = needle.lower() if fold else needle
        self._dense = False
        self.loose = self._loose()

    def _loose(self) -> Loose | None:
        if b"\n" in self._needle or b"\r" in self._needle or not self._needle:
            return None
        letters = GAP.join(
            f"[{chr(byte)}{chr(byte).upper()}]"
            if self._fold and chr(byte).isalpha() and byte < 128
            else f"\\x{byte:02x}"
            for byte in self._needle
        )
        return loose_of(letters, exact=True)

    def holds(self, row: bytes) -> bool:
        """Whether one row does."""
        return self._needle in (row.lower() if self._fold else row)

    def rows(self, region: Region) -> int:
        """Which rows do."""
        if not self._needle:
            return region.all
        if b"\r" in self._needle:
            return bits_of_flags(bytes([self.holds(line) for line in region.lines]))
        data = region.lower if self._fold else region.raw
        if self._dense:
            return self._each(data[region.start : region.end].split(b"\n"))
        found = find_rows(data, self._needle, region.start, region.end)
        if len(found) > _MANY and 5 * len(found) > region.size:
            self._dense = True
        return bits_of_rows(found)

    def _each(self, rows: list[bytes]) -> int:
        needle = self._needle
        flags = bytes([needle in row for row in rows])
        self._dense = 8 * flags.count(1) > len(flags)
        return bits_of_flags(flags)


def find_rows(data: bytes, needle: bytes, start: int = 0, end: int | None = None) -> list[int]:
    """The numbers of the rows in data[start:end] that hold a needle, which is not empty."""
    return [row for row, _, _ in find_lines(data, needle, start, len(data) if end is None else end)]


def find_lines(data: bytes, needle: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The same, with where the needle is and where the row ends."""
    row, at = 0, start
    while (hit := data.find(needle, at, end)) >= 0:
        row += data.count(b"\n", at, hit)
        newline = data.find(b"\n", hit, end)
        if newline < 0 or newline >= hit + len(needle):  # a needle with a newline in it is in no row
            yield row, hit, newline if newline >= 0 else end
        if newline < 0:
            break
        at = newline + 1
        row += 1


class Expression:
    """Rows in which a regular expression matches."""

    def __init__(self, text: str, fold: bool) -> None:
        self._search = compile_row(text, fold).search
        found: Forms = forms(text, fold)
        self._wide = found.wide
        self._needles = tuple(needle.encode("utf-8", "surrogateescape") for needle in found.needles)
        self._needle = b""
        self._rest = 0
        self.loose = found.loose

    def holds(self, row: bytes) -> bool:
        """Whether it matches in one row."""
        return self._search(row.decode("utf-8", "surrogateescape")) is not None

    def rows(self, region: Region) -> int:
        """Which rows it matches in."""
        if self._needles and not self._rest:
            return self._by_needle(region)
        self._rest = max(0, self._rest - 1)
        if self._wide is not None:
            return self._by_wide(region.text, self._wide)
        search = self._search
        return bits_of_flags(bytes([search(line) is not None for line in region.text.split("\n")]))

    def _by_needle(self, region: Region) -> int:
        data, start, end = region.raw, region.start, region.end
        if not self._needle:
            self._needle = min(self._needles, key=lambda needle: (data.count(needle, start, end), -len(needle)))
        found: list[int] = []
        seen = 0
        for row, hit, stop in find_lines(data, self._needle, start, end):
            seen += 1
            # Without the carriage return before a newline; at the very end there is no newline
            cut = stop < end and data[stop - 1 : stop] == b"\r"
            if self.holds(data[max(data.rfind(b"\n", start, hit) + 1, start) : stop - cut]):
                found.append(row)
        if seen > _MANY and 6 * seen > region.size:
            self._needle, self._rest = b"", _REST
        return bits_of_rows(found)

    def _by_wide(self, text: str, wide: re.Pattern[str]) -> int:
        found: list[int] = []
        row = at = 0
        count = text.count
        for match in wide.finditer(text):
            start = match.start()
            row += count("\n", at, start)
            at = start
            if not found or found[-1] != row:
                found.append(row)
        return bits_of_rows(found)


def _compile(pattern: Pattern) -> Words | Expression:
    if pattern.regex:
        return Expression(pattern.text, pattern.fold)
    if pattern.fold and not pattern.text.isascii():
        return Expression(re.escape(pattern.text), fold=True)
    return Words(pattern.text, pattern.fold)


class Found(NamedTuple):
    """What a matcher says of a region: its rows, and how levels flow through it (see BlockHits)."""

    bits: int
    head: int
    leaves: int


class Finder:
    """A matcher at work; it learns from what it sees how to go on quickly.

    Attributes:
        coloured: In how many regions there were colours.

    Raises:
        re.error: One of the expressions is none.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._include = [_compile(pattern) for pattern in matcher.include]
        self._exclude = [_compile(pattern) for pattern in matcher.exclude]
        self.coloured = 0
        self._matcher = matcher
        self._levels = Levels() if matcher.by_level or matcher.alarm is not None else None
        passes = [
            (matcher.level is None or rank >= matcher.level) and (matcher.below is None or rank < matcher.below)
            for rank in range(NO_LEVEL)
        ]
        none = 2 if matcher.inherit else int(matcher.level is None)
        self._codes = bytes.maketrans(_RANKS, bytes([*passes, none]))
        self._alarms = Alarms(matcher.alarm) if matcher.alarm is not None else None
        least = matcher.alarm.level if matcher.alarm is not None else NO_LEVEL
        self._named = bytes.maketrans(_RANKS, bytes(least <= rank < NO_LEVEL for rank in _RANKS))

    @property
    def loose(self) -> Loose | None:
        """An expression for ripgrep: no row passes in which it does not match."""
        exact = len(self._include) == 1 and not self._exclude
        found = [one.loose for one in self._include if one.loose is not None]
        if not found or self._levels is not None:
            return None
        best = max(found, key=lambda loose: len(loose.text))
        return best._replace(exact=best.exact and exact)

    def holds(self, row: bytes) -> bool:
        """Whether a row without colours passes by its text."""
        return all(one.holds(row) for one in self._include) and not any(one.holds(row) for one in self._exclude)

    def find(self, region: Region, carry: int = THROUGH) -> Found:
        """Which rows of a region pass.

        Args:
            region: The rows.
            carry: What the rows before them hand on.
        """
        self.coloured += region.coloured
        bits: int | None = None
        for one in self._include:
            bits = one.rows(region) if bits is None else bits & one.rows(region)
            if not bits:
                break
        for one in self._exclude:
            if bits == 0:
                break
            bits = (region.all if bits is None else bits) & ~one.rows(region)
        if self._levels is None:
            return Found(region.all if bits is None else bits, 0, THROUGH)
        ranks = self._levels.ranks_of(region.plain, region.plain_lines, region.data)
        if self._alarms is not None and bits != 0:
            alarming = self._alarming(region, ranks, self._alarms)
            bits = alarming if bits is None else bits & alarming
        if not self._matcher.by_level:
            return Found(region.all if bits is None else bits, 0, THROUGH)
        return self._by_level(ranks, bits, carry)

    def _alarming(self, region: Region, ranks: bytes, alarms: Alarms) -> int:
        """The rows that name a level which is alarming, or say something that is."""
        say = alarms.rows(region.raw, region.lower, region.start, region.end, region.plain_lines)
        return bits_of_flags(ranks.translate(self._named)) | bits_of_rows(say)

    def _by_level(self, ranks: bytes, bits: int | None, carry: int) -> Found:
        codes = ranks.translate(self._codes)
        rest = codes.lstrip(b"\2")
        head = len(codes) - len(rest)
        rest = _FILL.sub(lambda run: run[1] * len(run[0]), rest)
        leaves = carry if not rest else PASSES if rest[-1] else FAILS
        if carry != THROUGH:
            rest = bytes([carry == PASSES]) * head + rest
            head = 0
        else:
            rest = b"\1" * head + rest
        passing = bits_of_flags(rest)
        return Found(passing if bits is None else passing & bits, head, leaves)


_FILL = re.compile(rb"([\x00\x01])\x02+")
_RANKS = bytes(range(NO_LEVEL + 1))
