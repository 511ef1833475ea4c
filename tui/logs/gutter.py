"""What stands before a line: its number and when it came; and what a row of ours says."""

from __future__ import annotations

from datetime import tzinfo
from enum import Enum

from rich.cells import get_character_cell_size

from monitors.logs.types import LogLine, Mark, MarkKind
from tui import words
from tui.sanitise import clean_inline, redact

LEAST = 5
"""Digits that have their room from the start."""

_GAPS = (MarkKind.LOST, MarkKind.TRUNCATED, MarkKind.OFFLINE)


class Times(Enum):
    """What of a line's arrival is shown."""

    OFF = "off"
    ARRIVED = "arrived"
    DELTA = "delta"

    @property
    def following(self) -> Times:
        """The next one when cycling."""
        every = list(Times)
        return every[(every.index(self) + 1) % len(every)]


_CELLS = {Times.OFF: 0, Times.ARRIVED: 13, Times.DELTA: 10}


def width(numbers: bool, times: Times, digits: int) -> int:
    """Cells that these take."""
    return (digits + 1 if numbers else 0) + _CELLS[times]


def label(line: LogLine, before: LogLine | None, numbers: bool, times: Times, digits: int, zone: tzinfo | None) -> str:
    """Number and time of a line; a dot for a number that is not counted yet, blanks for a line that was there first."""
    parts = []
    if numbers:
        number = "" if line.piece else "·" if line.number is None else f"{line.number}"
        parts.append(number.rjust(digits) + " ")
    if times is Times.ARRIVED:
        parts.append((words.stamp(line.arrived, zone) if line.arrived is not None else "").ljust(_CELLS[times]))
    elif times is Times.DELTA:
        known = line.arrived is not None and before is not None and before.arrived is not None
        shown = words.delta(line.arrived - before.arrived) if known else ""  # type: ignore[operator, union-attr]
        parts.append(shown.rjust(_CELLS[times] - 1) + " ")
    return "".join(parts)


def is_gap(mark: Mark) -> bool:
    """Whether something is missing here, or may be."""
    return mark.kind in _GAPS or mark.missing != 0


def mark_style(mark: Mark) -> str:
    """Name of the style that its row has."""
    if mark.kind is MarkKind.ENDED:
        return "muted"
    return "gap" if is_gap(mark) else "secondary"


def mark_text(mark: Mark, now: float, zone: tzinfo | None = None) -> tuple[str, str]:
    """What its row says: why, and how much is missing and when it was seen, for which there is always room."""
    missing = ""
    if mark.missing is None:
        missing = ", how much is missing is unknown"
    elif mark.missing:
        missing = f", {words.size(mark.missing)} missing"
    why = clean_inline(redact(mark.text or mark.kind.value))
    return why, f"{missing}, {words.clock(mark.when, now, zone)}"


def character(text: str, cell: int) -> int:
    """The character of `text` that covers a cell; its length where none does."""
    if text.isascii():
        return min(cell, len(text))
    used = 0
    for index, one in enumerate(text):
        used += get_character_cell_size(one)
        if used > cell:
            return index
    return len(text)
