"""Which rows of a log passed a scan: one bit a row, kept block by block."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from hosts.local.blocks import FAILS, PASSES, THROUGH, BlockHits

_GROUP = 128
# What is known of a block: nothing, that it has no hits, that it has some, that its first rows wait for a level
_HOLE, _NONE, _SOME, _WAITS = 0, 1, 2, 3
_NOT_NONE = re.compile(rb"[^\x01]")
_FLOWS = {FAILS: False, PASSES: True}


class Spot(NamedTuple):
    """A row by its number among the rows that begin in a block, from 0."""

    generation: int
    block: int
    row: int


class Hole(NamedTuple):
    """A block that has to be scanned before a question can be answered."""

    generation: int
    block: int


class Span(NamedTuple):
    """The blocks of a generation that can be read: from `low` up to, and without, `high`."""

    generation: int
    low: int
    high: int


class HitMap:
    """The rows that passed, in the order of the log.

    A block costs the bits of its rows up to its last hit, and about 100 bytes. Results may come in any order,
    and again.

    Args:
        starts_in: Whether rows pass that have no level, and no row before them which has one.

    Attributes:
        total: Hits among all rows that are decided.
    """

    def __init__(self, starts_in: bool = False) -> None:
        self.total = 0
        self._starts_in = starts_in
        self._parts: dict[int, _Part] = {}

    def put(self, generation: int, found: BlockHits) -> None:
        """Take in what a scan says of one block, instead of what was known of it."""
        part = self._part(generation)
        self.total += part.put(found)

    def trim(self, generation: int, low: int) -> None:
        """Forget what a generation has before block `low`: these bytes are gone."""
        part = self._part(generation)
        self.total += part.trim(low)

    def reopen(self, generation: int, block: int) -> None:
        """Forget one block: it is to be scanned again, because its rows are numbered anew."""
        self.total += self._part(generation).reopen(block)

    def drop(self, generation: int) -> None:
        """Forget a generation."""
        if (part := self._parts.pop(generation, None)) is not None:
            self.total -= part.total

    def next(self, after: Spot, spans: Sequence[Span]) -> Spot | Hole | None:
        """The first hit behind a spot, or a block to be scanned first; None where the spans hold no more.

        Args:
            after: Row -1 takes the whole block in.
            spans: What the log consists of, oldest first.
        """
        for span in spans:
            if span.generation < after.generation:
                continue
            block, row = span.low, -1
            if span.generation == after.generation:
                block, row = max((block, row), after[1:])
            found = self._part(span.generation).next(block, row, span.high)
            if isinstance(found, int):
                return Hole(span.generation, found)
            if found is not None:
                return Spot(span.generation, *found)
        return None

    def previous(self, before: Spot, spans: Sequence[Span]) -> Spot | Hole | None:
        """The last hit before a spot, or a block to be scanned first; None where the spans hold no more."""
        for span in reversed(spans):
            if span.generation > before.generation or span.high == span.low:
                continue
            block, row = span.high - 1, None
            if span.generation == before.generation and before.block < span.high:
                block, row = before.block, before.row
            found = self._part(span.generation).previous(block, row, span.low)
            if isinstance(found, int):
                return Hole(span.generation, found)
            if found is not None:
                return Spot(span.generation, *found)
        return None

    def before(self, spot: Spot) -> int:
        """How many decided hits stand before a spot."""
        older = sum(part.total for number, part in self._parts.items() if number < spot.generation)
        part = self._parts.get(spot.generation)
        return older + (part.before(spot.block, spot.row) if part is not None else 0)

    def nth(self, number: int) -> Spot | None:
        """The hit with that many decided hits before it."""
        for generation in sorted(self._parts):
            part = self._parts[generation]
            if number < part.total:
                return Spot(generation, *part.nth(number)) if number >= 0 else None
            number -= part.total
        return None

    def rows(self, generation: int, block: int) -> int:
        """The decided hits of a block, bit by bit."""
        part = self._parts.get(generation)
        return part.bits(block) if part is not None else 0

    def is_known(self, generation: int, block: int) -> bool:
        """Whether every row of a block is decided."""
        part = self._parts.get(generation)
        return part is not None and part.state(block) in {_NONE, _SOME}

    def _part(self, generation: int) -> _Part:
        part = self._parts.get(generation)
        if part is None:
            part = self._parts[generation] = _Part(self._starts_in)
        return part


class _Part:
    """The hits of one generation."""

    def __init__(self, starts_in: bool) -> None:
        self.total = 0
        self._starts_in = starts_in
        self._states = bytearray()
        self._flows = bytearray()  # 0 where a block was not scanned
        self._counts = array("I")
        self._groups = array("Q")  # the counts of _GROUP blocks together
        self._bits: list[bytes] = []
        self._heads: dict[int, int] = {}  # how many rows hang on those before the block, where there are any
        self._verdicts: dict[int, bool] = {}  # whether these pass, once it is known; it may change at a log's end

    def put(self, found: BlockHits) -> int:
        old, block = self.total, found.block
        self._extend(block + 1)
        carry = self._carry(block)
        handed = self._handed(block, carry)
        self._flows[block] = found.leaves
        self._bits[block] = found.bits
        self._heads.pop(block, None)
        self._verdicts.pop(block, None)
        if found.head:
            self._heads[block] = found.head
            if carry is not None:
                self._verdicts[block] = carry
        self._judge(block)
        if handed != (now := self._handed(block, carry)):
            self._hand_on(block + 1, now)
        return self.total - old

    def trim(self, low: int) -> int:
        old = self.total
        self._extend(low)
        for block in range(low):
            if self._flows[block] != THROUGH or self._states[block] != _NONE:
                self._clear(block)
                self._flows[block] = THROUGH
                self._judge(block)
        if low:
            self._hand_on(low, self._starts_in)
        return self.total - old

    def reopen(self, block: int) -> int:
        if block >= len(self._states):
            return 0
        old = self.total
        self._clear(block)
        self._flows[block] = 0
        self._judge(block)
        return self.total - old

    def state(self, block: int) -> int:
        return self._states[block] if block < len(self._states) else _HOLE

    def next(self, block: int, row: int, high: int) -> tuple[int, int] | int | None:
        while block < high:
            state = self.state(block)
            if state == _HOLE:
                return block
            if state == _WAITS and row + 1 < self._heads[block]:
                return self._open(block)
            if bits := self.bits(block) >> (row + 1):
                return block, row + (bits & -bits).bit_length()
            later = _NOT_NONE.search(self._states, block + 1)
            block, row = (later.start() if later is not None else max(block + 1, len(self._states))), -1
        return None

    def previous(self, block: int, row: int | None, low: int) -> tuple[int, int] | int | None:
        while block >= low:
            state = self.state(block)
            if row is not None and row <= 0:
                block, row = block - 1, None
                continue
            if state == _HOLE:
                return block
            bits = self.bits(block)
            if bits := bits if row is None else bits & ((1 << row) - 1):
                return block, bits.bit_length() - 1
            if state == _WAITS:
                return self._open(block)
            block, row = max(self._states.rfind(state, 0, block) for state in (_HOLE, _SOME, _WAITS)), None
        return None

    def before(self, block: int, row: int) -> int:
        if block >= len(self._counts):
            return self.total
        group = block // _GROUP
        number = sum(self._groups[:group]) + sum(self._counts[group * _GROUP : block])
        return number + (self.bits(block) & ((1 << max(row, 0)) - 1)).bit_count()

    def nth(self, number: int) -> tuple[int, int]:
        group = block = 0
        while number >= self._groups[group]:
            number -= self._groups[group]
            group += 1
        block = group * _GROUP
        while number >= self._counts[block]:
            number -= self._counts[block]
            block += 1
        row = 0
        for byte in self.bits(block).to_bytes(len(self._bits[block]), "little"):
            here = byte.bit_count()
            if number < here:
                return block, row + [bit for bit in range(8) if byte >> bit & 1][number]
            number -= here
            row += 8
        raise AssertionError("the counts of a block are not those of its bits")

    def bits(self, block: int) -> int:
        """The decided hits."""
        if block >= len(self._bits):
            return 0
        bits = int.from_bytes(self._bits[block], "little")
        if (head := self._heads.get(block, 0)) and not self._verdicts.get(block):
            bits = bits >> head << head
        return bits

    def _extend(self, size: int) -> None:
        more = size - len(self._states)
        if more > 0:
            self._states.extend(bytes(more))
            self._flows.extend(bytes(more))
            self._counts.extend([0] * more)
            self._bits.extend([b""] * more)
            groups = (size + _GROUP - 1) // _GROUP
            self._groups.extend([0] * (groups - len(self._groups)))

    def _carry(self, block: int) -> bool | None:
        """Whether rows without a level at the beginning of a block pass; None while nobody knows."""
        at = max(self._flows.rfind(flow, 0, block) for flow in (0, FAILS, PASSES))
        return self._starts_in if at < 0 else _FLOWS.get(self._flows[at])

    def _open(self, block: int) -> int:
        """The block whose scan is to decide the rows that wait in `block`."""
        return self._flows.rfind(0, 0, block)

    def _handed(self, block: int, carry: bool | None) -> bool | None:
        """What a block says of the rows behind it that have no level, given what is said of its own."""
        flow = self._flows[block]
        return _FLOWS.get(flow, carry) if flow else None

    def _hand_on(self, block: int, passes: bool | None) -> None:
        while block < len(self._flows) and self._flows[block]:
            if block in self._heads:
                self._verdicts.pop(block, None)
                if passes is not None:
                    self._verdicts[block] = passes
                self._judge(block)
            if self._flows[block] != THROUGH:
                return
            block += 1

    def _clear(self, block: int) -> None:
        self._heads.pop(block, None)
        self._verdicts.pop(block, None)
        self._bits[block] = b""

    def _judge(self, block: int) -> None:
        """Take in what changed about a block."""
        number = self.bits(block).bit_count()
        change = number - self._counts[block]
        if not self._flows[block]:
            state = _HOLE
        elif block in self._heads and block not in self._verdicts:
            state = _WAITS
        else:
            state = _SOME if number else _NONE
        self._states[block] = state
        self._counts[block] = number
        self._groups[block // _GROUP] += change
        self.total += change
