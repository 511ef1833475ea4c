"""Text from outside, made fit for one line of a verdict."""

from __future__ import annotations


def shown_of(count: int, most: int) -> int:
    """How many of so many are shown: "and 1 more" takes the room of the one that it hides, so none is hidden then."""
    return count if count <= most + 1 else most


def one_line(text: object, most: int = 200) -> str:
    """Text as one printable line of at most `most` characters.

    A verdict's sentences are made of what others wrote; a newline in one of them must not look like a line of ours.
    """
    shown = str(text)
    if len(shown) > most:
        shown = f"{shown[: most - 1]}…"
    if shown.isprintable():
        return shown
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in shown)
