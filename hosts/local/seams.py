"""What lies across the place at which a very long line is cut into rows: it is found in the row in which it begins."""

from __future__ import annotations

import re

from hosts.local.blocks import Matcher, Pattern
from hosts.local.levels import COLOUR
from hosts.local.lines import Encoding
from hosts.local.match import Finder, Region
from hosts.local.regexes import compile_row

EDGE = 4 << 10
"""Bytes on either side of a cut that are looked at; what begins before them or ends behind them is not found."""

_COLOUR = re.compile(COLOUR)


class Seams:
    """Adds what a matcher finds there to what it finds in single rows."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._compiled = {one: _compile(one) for one in (*matcher.include, *matcher.exclude)}

    def amend(self, bits: int, region: Region, carry: int, row: bytes, beyond: bytes, encoding: Encoding) -> int:
        """Which rows of a region pass, if it is these by what stands in each.

        Args:
            bits: They.
            region: The rows.
            carry: What the rows before them hand on.
            row: The last one as it is written, or as much of its end as EDGE and a letter.
            beyond: What its line goes on with.
            encoding: How both are written.
        """
        near, errors = row[-EDGE:], "surrogateescape" if encoding.unit == 1 else "replace"
        text = (near + beyond).decode(encoding.name, errors)
        cut = len(near.decode(encoding.name, errors))
        while cut > 1 and len(text[: cut - 1].encode(encoding.name, errors)) >= len(near):
            cut -= 1  # a letter is cut as well: it begins before
        text, cut = _shown(text, cut)

        def crosses(pattern: Pattern) -> bool:
            # Where the row begins before, its first letter here only shows that it does
            match = self._compiled[pattern].search(text, int(len(near) < len(row)))
            return match is not None and match.start() < cut

        barred = any(map(crosses, self._matcher.exclude))
        rest = tuple(one for one in self._matcher.include if not crosses(one))
        if not barred and len(rest) == len(self._matcher.include):
            return bits
        last = 1 << region.size - 1
        if barred or bits & last:
            return bits & ~last if barred else bits
        return bits | Finder(self._matcher._replace(include=rest)).find(region, carry).bits & last


def _shown(text: str, cut: int) -> tuple[str, int]:
    """A text without colours, and where a place in it is then."""
    if "\x1b" not in text:
        return text, cut
    before = sum(min(match.end(), cut) - match.start() for match in _COLOUR.finditer(text) if match.start() < cut)
    return _COLOUR.sub("", text), cut - before


def _compile(pattern: Pattern) -> re.Pattern[str]:
    words = "(?a)" * pattern.text.isascii() + re.escape(pattern.text)
    return compile_row(pattern.text if pattern.regex else words, pattern.fold)
