"""Text from outside, made inert in Markdown: it can neither end a cell nor start a heading, a link or a mention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gates.calibration.words import one_line

NONE = "—"
_MOST = 400
# Letters, digits and blanks of any script, and signs that mean nothing to any Markdown within a line.
_HARMLESS = re.compile(r"[^\W_](?:[\w .,:;%()/+=>×≤≥±°'?–—…-]*[\w.,:;%()/+=×≤≥±°'?–—…])?")
_ACTIVE = re.compile(r"://|www\.|(?<![^\W_])_|_(?![^\W_])", re.IGNORECASE)


def inline(text: object, most: int = _MOST) -> str:
    """Text for the middle of a line: as it is where it is harmless, else as code, in which nothing is active.

    Control and reordering characters become escapes, newlines included; a longer text than `most` is cut.
    """
    shown = one_line(text, most)
    if not shown.strip():
        return NONE
    return shown if _HARMLESS.fullmatch(shown) and not _ACTIVE.search(shown) else code(shown, most)


def code(text: object, most: int = _MOST) -> str:
    """Text as code, for names; with as many backticks around it as it needs."""
    shown = one_line(text, most)
    if not shown.strip():
        return NONE
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def row(cells: Iterable[str]) -> str:
    """One line of a table; the cells come from `inline` or `code`."""
    return f"| {' | '.join(_in_table(cell) for cell in cells)} |"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A whole table; every row has as many cells as there are heads."""
    return [row(heads), f"|{'---|' * len(heads)}", *(row(cells) for cells in rows)]


def _in_table(cell: str) -> str:
    # A pipe ends a cell even within code. Backslashes before it pair up, so their number has to be odd.
    return re.sub(r"(\\*)\|", lambda found: f"{found[1]}{chr(92) * (1 + len(found[1]) % 2)}|", cell)
