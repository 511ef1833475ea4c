"""How many newlines stand before which block of a generation, as far as they are counted."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from hosts.local import lines

_NOTES = 1 << 16
_EARLY = 1 << 14
_RANKS = 1 << 12


class Index:
    """The newlines of one generation: eight bytes a block, and what was worked out lately.

    Counts are in order from `origin` on; what is counted ahead of that waits for its turn.

    Attributes:
        origin: The byte that counting began at. Lines have numbers only where it is 0.
        counted: Bytes before this offset are counted, from `origin` on.
        newlines: How many newlines they hold.
        caught_up: Whether the generation's end was reached once.
        open: Whether a line stands unfinished before `checked`.
        checked: Where that was looked for, -1 for nowhere yet.
        foreseen: An offset and the lines before it, the last of them finished or not, where somebody has counted ahead.
        sure: The first block of which nobody knows yet whether what was counted is the log's own.
    """

    def __init__(self, origin: int = 0) -> None:
        self.origin = origin
        self.counted = origin
        self.newlines = 0
        self.caught_up = False
        self.open = False
        self.checked = -1
        self.foreseen: tuple[int, int] | None = None
        self._gone = origin, 0
        self._low = self.sure = origin // lines.BLOCK
        self._before = array("q", [0])
        self._early: dict[int, int] = {}
        self._blank: dict[int, bool] = {}
        self._ranks: dict[int, int] = {}

    def surely(self) -> Index:
        """What is sure of it, to be counted on from there."""
        index = Index(self.origin)
        index.sure = self.sure
        index.counted = max(self.origin, self.sure * lines.BLOCK)
        index._before = self._before[: self.sure - self._low + 1]
        index.newlines = index._before[-1]
        return index

    @property
    def tail(self) -> int:
        """Newlines counted in `next_block`."""
        return self.newlines - self._before[-1]

    @property
    def next_block(self) -> int:
        """The first block that is not counted to its end."""
        return self._low + len(self._before) - 1

    def lines(self, size: int, first: int = 0) -> int | None:
        """The lines of a generation of this size, an unfinished last one counted; None while that is not known.

        Once its end was reached, what was counted since then will do; in an empty one there is nothing to count.

        Args:
            size: Bytes that it has.
            first: The first of them that can be read. Lines before it count on until it is known how many they are.
        """
        if first == size:
            return 0
        if self.caught_up:
            gone = self.gone(first)
            return self.newlines - (self._gone[1] if gone is None else gone) + self.open
        if self.foreseen is not None and self.foreseen[0] == size and first == 0:
            return self.foreseen[1]
        return None

    def gone(self, first: int) -> int | None:
        """Newlines between `origin` and the first byte that can be read; None where bytes have to be read for that."""
        if first > self._gone[0]:
            rank = self.rank(first)
            if rank is None:
                return None
            self._gone = first, rank
        return self._gone[1]

    def add(self, block: int, upto: int, newlines: int) -> None:
        """Note that a block's bytes before offset `upto` (from `origin` on) hold so many newlines."""
        whole = upto == (block + 1) * lines.BLOCK
        if block > self.next_block:
            if whole and len(self._early) < _EARLY:
                self._early[block] = newlines
            return
        if block < self.next_block or upto < self.counted:
            return
        self.counted, self.newlines = upto, self._before[-1] + newlines
        if not whole:
            return
        self._before.append(self.newlines)
        while (early := self._early.pop(self.next_block, None)) is not None:
            self.counted, self.newlines = (self.next_block + 1) * lines.BLOCK, self.newlines + early
            self._before.append(self.newlines)

    def before(self, block: int) -> int | None:
        """Newlines between `origin` and the beginning of a block."""
        at = block - self._low
        return self._before[at] if 0 <= at < len(self._before) else None

    def block_of(self, newline: int) -> int | None:
        """The block that holds a newline, given its number from 0; None where it is not counted."""
        if newline < 0 or newline >= self.newlines:
            return None
        return self._low + bisect_left(self._before, newline + 1) - 1

    def rank(self, offset: int) -> int | None:
        """Newlines between `origin` and an offset, where that is known without looking at any byte."""
        if offset == self.counted:
            return self.newlines
        known = self._ranks.get(offset)
        if known is not None:
            self.remember(offset, known)
            return known
        return None if offset % lines.BLOCK else self.before(offset // lines.BLOCK)

    def remember(self, offset: int, rank: int) -> None:
        """Keep what `rank` is to say of an offset, for a while."""
        self._ranks.pop(offset, None)
        self._ranks[offset] = rank
        if len(self._ranks) > _RANKS:
            del self._ranks[next(iter(self._ranks))]

    def is_blank(self, block: int) -> bool | None:
        """Whether a whole block holds no newline; None where nobody looked."""
        begin, end = self.before(block), self.before(block + 1)
        if begin is None or end is None or block * lines.BLOCK < self.origin:
            return self._blank.get(block)
        return begin == end

    def note(self, block: int, blank: bool = True) -> None:
        """Keep what `is_blank` is to say of a block that was read whole."""
        if len(self._blank) >= _NOTES:
            del self._blank[next(iter(self._blank))]
        self._blank[block] = blank
