"""How many terminal cells a text takes, for plain tables; the screens measure with their own framework."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_LEAST = 8


def width(text: str) -> int:
    """Cells that `text` takes: wide characters two, combining marks and format characters none."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def fit(widths: Sequence[int], room: int) -> list[int]:
    """Column widths that take no more than `room` cells together; the widest give first, none below eight."""
    fitted = list(widths)
    while sum(fitted) > room and max(fitted) > _LEAST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def shorten(text: str, room: int) -> str:
    """`text` in at most `room` cells; a path gives its middle, since both its ends tell, other text its end."""
    if width(text) <= room:
        return text
    head, tail = ((room - 1) // 3, room - 1 - (room - 1) // 3) if "/" in text else (room - 1, 0)
    return f"{_first(text, head)}…{_first(text[::-1], tail)[::-1]}"


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
