"""Which lines of a stream are printed: those that pass a filter, and so many around each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hosts.local.blocks import FAILS, PASSES, Matcher

if TYPE_CHECKING:
    from hosts.local.match import Finder, Region
    from monitors.logs.types import Filter


class Sieve:
    """Lets lines pass, and those around them.

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
        self._carry = self._at_first = PASSES if self._matcher.level is None else FAILS
        self._around = context
        self._before: deque[bytes] = deque(maxlen=context)
        self._after = 0  # lines that pass because of the last one which passed by itself

    @property
    def owes(self) -> bool:
        """Whether the next line passes whatever it says."""
        return self._after > 0

    def leap(self, *, passing: bool) -> None:
        """Rows are left out that do not pass; `passing`: the next that names no level is around one that passes."""
        self._before.clear()
        self._carry = PASSES if passing else self._at_first

    def turn(self) -> None:
        """Another file begins: nothing in it has the level of a line before it."""
        self._carry = self._at_first

    def sift(self, rows: bytes) -> Iterator[bytes]:
        """What passes of these rows; the last one may lack its newline."""
        if not self.active:
            yield rows
            return
        from hosts.local.match import Finder, Region  # a log that is printed whole does not need it

        self._finder = self._finder or Finder(self._matcher)
        region = Region(rows.removesuffix(b"\n"))
        found = self._finder.find(region, self._carry)
        self._carry = found.leaves
        if found.bits == region.all:
            if self._before:
                yield b"\n".join(self._before) + b"\n"
            yield rows
            self._before.clear()
            self._after = self._around
            return
        passing = self._passing(region, found.bits)
        if passing:
            yield b"\n".join(passing) + b"\n"

    def _passing(self, region: Region, bits: int) -> list[bytes]:
        lines, found, at = region.lines, list[bytes](), 0
        while bits:
            row = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            found += self._between(lines[at:row], last=False)
            found.append(lines[row])
            at, self._after = row + 1, self._around
        return found + self._between(lines[at:], last=True)

    def _between(self, lines: list[bytes], *, last: bool) -> list[bytes]:
        """Lines that do not pass by themselves, before one that does or before the end of what there is."""
        behind = lines[: self._after]
        self._after -= len(behind)
        self._before.extend(lines[len(behind) :])
        if last:
            return behind
        found = behind + list(self._before)
        self._before.clear()
        return found


def sieve_of(wanted: Filter | None) -> Sieve:
    """What lets the lines of a filter pass; its two places are not looked at.

    Raises:
        InputError: An expression is none.
    """
    if wanted is None:
        return Sieve(None, 0)
    from monitors.logs.matching import matcher_of

    return Sieve(matcher_of(wanted), wanted.context)
