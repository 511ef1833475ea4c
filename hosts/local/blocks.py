"""What a scan is asked for, and what it says of one block of a log."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

THROUGH, FAILS, PASSES = 1, 2, 3
"""What a block hands on to rows behind it that have no level: that of the rows before it, or what its own rows say."""

UNKNOWN = -1
"""A number of rows or newlines that nobody counted."""

_HEADER = struct.Struct("<QQqqIBBII")
_PLACE = struct.calcsize("<II")


class Pattern(NamedTuple):
    """Words, or a regular expression of Python's `re`, that a row holds.

    Attributes:
        text: Which.
        regex: Whether it is an expression.
        fold: Whether case does not matter: of ASCII letters for words in ASCII, as `re.IGNORECASE` has it otherwise.
    """

    text: str
    regex: bool = False
    fold: bool = False


class Sign(NamedTuple):
    """What a row's text may say.

    Attributes:
        words: The row holds one of them, whatever the case of its ASCII letters; these are in lower case.
            An empty one says nothing.
        text: An expression that matches in the row as well, whatever the case.
    """

    words: tuple[str, ...]
    text: str


class Alarm(NamedTuple):
    """Rows that name a level themselves, or say one of some things (hosts/local/alarms.py).

    Attributes:
        level: The least level, by its rank.
        signs: What they may say instead.
        hint: An expression; a sign says nothing where that matches in the few characters before it.
        speech: An expression; a row in which it matches says nothing.
    """

    level: int
    signs: tuple[Sign, ...] = ()
    hint: str = "(?!)"
    speech: str = "(?!)"


class Matcher(NamedTuple):
    """Which rows a scan looks for: all of `include`, none of `exclude`, a level in [level, below), and an alarm.

    Attributes:
        include: Patterns that a row must hold.
        exclude: Patterns that it must not hold.
        level: The least level, by its rank, or None.
        below: The level, by its rank, that a row must not reach, or None.
        inherit: Whether a row without a level has that of the nearest row before it which has one. Otherwise such a
            row passes only where no least level is asked for.
    """

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    level: int | None = None
    below: int | None = None
    inherit: bool = True
    alarm: Alarm | None = None

    @property
    def by_level(self) -> bool:
        """Whether a row's level matters."""
        return self.level is not None or self.below is not None

    @property
    def has_regex(self) -> bool:
        """Whether somebody's expression is in it, which may take for ever."""
        return any(pattern.regex for pattern in (*self.include, *self.exclude))

    def to_json(self) -> list[Any]:
        alarm = [list(self.alarm)] if self.alarm is not None else []  # a matcher without is as it is for who knows none
        return [[list(one) for one in self.include], [list(one) for one in self.exclude], *self[2:5], *alarm]

    @classmethod
    def from_json(cls, value: list[Any]) -> Matcher:
        include, exclude, level, below, inherit, *more = value
        patterns = tuple(Pattern(*one) for one in include), tuple(Pattern(*one) for one in exclude)
        alarm = None
        if more:
            rank, signs, *texts = more[0]
            alarm = Alarm(rank, tuple(Sign(tuple(words), text) for words, text in signs), *texts)
        return cls(*patterns, level, below, inherit, alarm)


class BlockHits(NamedTuple):
    """What a scan found in one block.

    Attributes:
        block: Which, from 0.
        upto: How far it was looked at: the block's end, or the log's end where that is before it.
        newlines: Those that lie in the block, from the log's first byte on; UNKNOWN where not counted.
        rows: Rows that begin in the block; UNKNOWN where not counted.
        bits: A bit for each of these rows, the first is the lowest of the first byte; zero bytes at the end are left
            out. The first `head` rows are given as if the rows before the block let them pass.
        head: So many rows at the beginning have no level of their own: they pass if the nearest row before the
            block that has a level passes.
        leaves: What the block's rows hand on in the same way: THROUGH, FAILS or PASSES.
        open: Whether what is appended to the log may change this: the block is then looked at again.
        starts: Where the rows that `bits` tells of begin, from the block's first byte on; none where nobody says.
        ranks: The newlines of the block that stand before each of these.
    """

    block: int
    upto: int
    newlines: int = UNKNOWN
    rows: int = UNKNOWN
    bits: bytes = b""
    head: int = 0
    leaves: int = THROUGH
    open: bool = False
    starts: tuple[int, ...] = ()
    ranks: tuple[int, ...] = ()

    def pack(self) -> bytes:
        """As bytes, for the wire."""
        numbers = (self.block, self.upto, self.newlines, self.rows, self.head)
        placed = len(self.starts)
        places = struct.pack(f"<{2 * placed}I", *self.starts, *self.ranks)
        return _HEADER.pack(*numbers, self.leaves, self.open, len(self.bits), placed) + self.bits + places


def unpack(data: bytes) -> list[BlockHits]:
    """What `pack` wrote, any number of blocks one behind the other.

    Raises:
        struct.error: It did not.
    """
    found: list[BlockHits] = []
    at = 0
    while at < len(data):
        block, upto, newlines, rows, head, leaves, is_open, size, placed = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        bits = data[at : at + size]
        at += size
        places = struct.unpack_from(f"<{2 * placed}I", data, at) if placed else ()
        at += placed * _PLACE
        starts, ranks = places[:placed], places[placed:]
        found.append(BlockHits(block, upto, newlines, rows, bits, head, leaves, bool(is_open), starts, ranks))
    return found
