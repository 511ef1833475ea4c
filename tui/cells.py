"""How many terminal cells a text takes: by the standard library for plain tables, and as rich counts for screens.

The two differ in a few emoji. Rows of a screen have to be measured by what paints them, or they overrun their width.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence

_LEAST = 8


def width(text: str) -> int:
    """Cells that `text` takes: wide characters two, combining marks and format characters none."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def fit(widths: Sequence[int], room: int, whole: Collection[int] = ()) -> list[int]:
    """Column widths that take no more than `room` cells together; the widest give first, none below eight.

    Args:
        whole: Columns that give nothing, such as those of numbers: half a number is a wrong one.
    """
    fitted = list(widths)
    giving = [place for place in range(len(fitted)) if place not in whole]
    while sum(fitted) > room and giving:
        widest = max(giving, key=lambda place: fitted[place])
        if fitted[widest] <= _LEAST:
            break
        fitted[widest] -= 1
    return fitted


def shorten(text: str, room: int, more: str = "…") -> str:
    """`text` in at most `room` cells; a path or subscript gives its middle, as both ends tell, other text its end.

    Args:
        more: One cell, which stands for what was left out.
    """
    if width(text) <= room:
        return text
    two_ends = "/" in text or text.endswith("]")
    head, tail = ((room - 1) // 3, room - 1 - (room - 1) // 3) if two_ends else (room - 1, 0)
    return f"{_first(text, head)}{more}{_first(text[::-1], tail)[::-1]}"


def _first(text: str, room: int) -> str:
    """As many characters from the beginning as fit."""
    used = 0
    for place, character in enumerate(text):
        used += _cells(character)
        if used > room:
            return text[:place]
    return text


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


@functools.cache
def _rich() -> tuple[Callable[[str], int], Callable[[str], int]]:
    from rich.cells import cell_len, get_character_cell_size

    return cell_len, get_character_cell_size


# Latin, Greek, Cyrillic, boxes and bars, braille, and the pictures that stand for control characters: one cell each
_MAYBE_OTHER = re.compile(
    "[^ -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u2400-\u2426\u2500-\u25fc\u2800-\u28ff\u2026\u2039\u203a\u22ef]"
)


def single(text: str) -> bool:
    """Whether every character of `text` is known to take one cell; where it is False, they may nevertheless."""
    return text.isascii() or _MAYBE_OTHER.search(text) is None


def painted(text: str) -> int:
    """Cells that `text`, in which no control character is, takes on a screen."""
    if text.isascii():
        return len(text)
    measure, measure_one = _rich()
    if "\ufe0f" in text:
        return measure(text)
    others = _MAYBE_OTHER.findall(text)
    return len(text) - len(others) + sum(map(measure_one, others))


def clusters(text: str) -> list[tuple[int, int]]:
    """The characters of a text with what combines with them: index of the first, and cells on a screen."""
    measure, measure_one = _rich()
    found: list[tuple[int, int]] = []
    for index, character in enumerate(text):
        cells = measure_one(character)
        if cells or not found:
            found.append((index, cells))
        elif character == "\ufe0f":  # asks for the wide form of what stands before it
            start = found[-1][0]
            found[-1] = (start, measure(text[start : index + 1]))
    return found


def breaks(text: str, room: int) -> list[int]:
    """Where the rows begin when a text is broken into rows of `room` cells, at any character.

    A wide character that does not fit begins the next row; one that fits no row has a row of its own.
    """
    if single(text):
        return list(range(0, len(text), max(1, room))) or [0]
    starts = [0]
    used = 0
    for index, cells in clusters(text):
        if used and used + cells > room:
            starts.append(index)
            used = 0
        used += cells
    return starts


def index_at(text: str, cell: int) -> int:
    """The character that covers a cell of a screen, `len(text)` behind the end; never one that only combines."""
    if single(text):
        return max(0, min(cell, len(text)))
    used = 0
    for index, cells in clusters(text):
        used += cells
        if used > cell:
            return index
    return len(text)


def cell_at(text: str, index: int) -> int:
    """The first cell on a screen of the character at an index, or of the one that it combines with."""
    if single(text):
        return max(0, min(index, len(text)))
    first = used = 0
    for start, cells in clusters(text):
        if index < start:
            return first
        first, used = used, used + cells
    return used if index >= len(text) else first
