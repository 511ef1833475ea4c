"""How many terminal cells a text takes, for plain tables; the screens measure with their own framework."""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """Cells that `text` takes: wide characters two, combining marks and format characters none."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
