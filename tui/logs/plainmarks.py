"""Rows of ours in a log that is printed: what tells one from another, and what it says."""

from __future__ import annotations

from monitors.logs.types import Mark, MarkKind
from tui import words

Key = tuple[int, MarkKind, str, int | None, float]


def key(mark: Mark) -> Key:
    """What tells a mark from all others; its offset grows where the bytes behind it are let go."""
    return mark.at.generation, mark.kind, mark.text, mark.missing, mark.when


def is_let_go(mark: Mark) -> bool:
    """Whether it counts bytes that were there: to whoever has read on from there they are not missing."""
    return mark.kind is MarkKind.LOST and mark.missing is not None


def sentence(mark: Mark) -> str:
    """What its row says: why, and how much is missing."""
    # No `gutter.mark_text`: it is for a screen, and needs one's cells
    if mark.missing is None:
        return f"{mark.text}, how much is missing is unknown"
    if mark.missing and f"{mark.missing:,}" not in mark.text:
        return f"{mark.text}, {words.size(mark.missing)} missing"
    return mark.text
