"""Which lines of a stream are printed: those that pass a filter, and so many around each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING

from hosts.local.blocks import FAILS, PASSES, Matcher

if TYPE_CHECKING:
    from hosts.local.match import Finder, Found, Region
    from monitors.logs.types import Filter

HELD = 16 << 20
"""Bytes of a line that are kept until it is known whether it passes; of a longer one the last so many."""

_EDGE = 4 << 10  # bytes of a piece that are looked at again with the next one: something may lie across


class _Open(Enum):
    """What is known of a line of which only the first pieces were there."""

    SHOWN = auto()
    WAITS = auto()  # none of them passes, a later one may
    BARRED = auto()  # something in it is not wanted


class Sieve:
    """Lets lines pass, and those around them.

    A line may come in pieces. It passes from the moment that one of them does, with what is kept of it until then.

    Args:
        matcher: Which lines, None for all.
        context: Lines around those that pass.

    Attributes:
        active: Whether there is any that does not pass.
    """

    def __init__(self, matcher: Matcher | None, context: int) -> None:
        self.active = matcher is not None
        self._matcher = matcher or Matcher()
        self._finder: Finder | None = None
        self._bars: Finder | None = None  # finds what holds nothing that is not wanted
        self._words: Finder | None = None  # finds what passes whatever its level
        self._carry = self._at_first = PASSES if self._matcher.level is None else FAILS
        self._around = context
        self._before: deque[bytes] = deque(maxlen=context)
        self._after = 0  # lines that pass because of the last one which passed by itself
        self._open: _Open | None = None
        self._settled = False  # no further piece of the open line changes whether it passes by itself
        self._held: deque[bytes] = deque()  # of the open line, while it is not shown
        self._edge = b""  # the end of what came of it

    @property
    def owes(self) -> bool:
        """Whether what comes next passes whatever it says."""
        return self._after > 0 or self._open is _Open.SHOWN

    def leap(self, *, passing: bool) -> None:
        """Rows are left out that do not pass; `passing`: the next that names no level is around one that passes."""
        self._before.clear()
        self._held.clear()
        self._open = None
        self._carry = PASSES if passing else self._at_first

    def turn(self) -> None:
        """Another file begins: nothing in it has the level of a line before it."""
        self.end_line()
        self._carry = self._at_first

    def end_line(self) -> None:
        """No more of an open line will come."""
        if self._held:
            self._before.append(b"".join(self._held))
            self._held.clear()
        self._open = None

    def sift(self, rows: bytes) -> Iterator[bytes]:
        """What passes of these rows.

        The first goes on with an open line, if there is one; the last is open if it lacks its newline.
        """
        if not self.active:
            yield rows
            return
        if self._open is not None:
            cut = rows.find(b"\n") + 1 or len(rows)
            yield from self._go_on(rows[:cut])
            rows = rows[cut:]
        if rows:
            self._edge = rows[-_EDGE:].rpartition(b"\n")[2]
            yield from self._begin(rows)

    def _begin(self, rows: bytes) -> Iterator[bytes]:
        """What passes of rows the first of which is whole."""
        from hosts.local.match import Region  # a log that is printed whole does not need it

        ended = rows.endswith(b"\n")
        region = Region(rows.removesuffix(b"\n"))
        if ended:
            region.end_row()
        found = self._find(region)
        self._carry = found.leaves
        if found.bits == region.all:
            yield from self._context()
            yield rows
            self._after = self._around
            self._open, self._settled = None if ended else _Open.SHOWN, False
            return
        lines = region.lines
        if region.coloured:  # printed as they are
            lines = rows.removesuffix(b"\n").replace(b"\r\n", b"\n").split(b"\n")
        if passing := self._passing(lines, found.bits, ended):
            text = b"\n".join(passing)
            yield text if self._open is _Open.SHOWN else text + b"\n"

    def _find(self, region: Region) -> Found:
        from hosts.local.match import Finder

        self._finder = self._finder or Finder(self._matcher)
        return self._finder.find(region, self._carry)

    def _context(self) -> Iterator[bytes]:
        if self._before:
            yield b"\n".join(self._before) + b"\n"
            self._before.clear()

    def _passing(self, lines: list[bytes], bits: int, ended: bool) -> list[bytes]:
        """The lines that pass."""
        found, at = list[bytes](), 0
        while bits:
            row = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            self._between(lines[at:row], found)
            found += self._before
            self._before.clear()
            found.append(lines[row])
            at, self._after = row + 1, self._around
        begun = None if ended else _Open.SHOWN
        # A line's level stands at its beginning
        self._settled = not ended and (self._carry == FAILS or self._is_barred(lines[-1]))
        if begun and at + self._after < len(lines):
            piece = lines.pop()
            begun = _Open.BARRED if self._settled else _Open.WAITS
            self._hold(piece)
        self._between(lines[at:], found)
        self._open = begun
        return found

    def _between(self, lines: list[bytes], found: list[bytes]) -> None:
        """Lines that do not pass by themselves, before one that does or before the end of what there is."""
        behind = lines[: self._after]
        self._after -= len(behind)
        found += behind
        self._before.extend(lines[len(behind) :])

    # A line in pieces.

    def _go_on(self, piece: bytes) -> Iterator[bytes]:
        """What passes of an open line, of which this is the next piece."""
        text = piece.removesuffix(b"\n")
        seen = self._edge + text
        self._edge = seen[-_EDGE:]
        if text and not self._settled and self._holds(seen):
            self._after = self._around
            if self._open is _Open.WAITS:
                yield from self._context()
                yield b"".join(self._held)
                self._held.clear()
            self._open = _Open.SHOWN
        if self._open is _Open.SHOWN:
            yield piece
        else:
            self._hold(text)
            if self._open is _Open.WAITS and self._is_barred(seen):
                self._open, self._settled = _Open.BARRED, True
        if len(text) < len(piece):
            self.end_line()

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        held = sum(map(len, self._held))
        while held > HELD and len(self._held) > 1:
            held -= len(self._held.popleft())

    def _holds(self, piece: bytes) -> bool:
        """Whether a further piece of a line passes by what it says."""
        from hosts.local.match import Finder, Region

        self._words = self._words or Finder(self._matcher._replace(level=None, below=None, alarm=None))
        return bool(self._words.find(Region(piece)).bits)

    def _is_barred(self, piece: bytes) -> bool:
        """Whether something stands in it because of which its line does not pass."""
        if not self._matcher.exclude:
            return False
        from hosts.local.match import Finder, Region

        self._bars = self._bars or Finder(Matcher(exclude=self._matcher.exclude))
        return not self._bars.find(Region(piece)).bits


def sieve_of(wanted: Filter | None) -> Sieve:
    """What lets the lines of a filter pass; its two places are not looked at.

    Raises:
        InputError: An expression is none.
    """
    if wanted is None:
        return Sieve(None, 0)
    from monitors.logs.matching import matcher_of

    return Sieve(matcher_of(wanted), wanted.context)
