"""What stands before a line: its number and a time; and what a row of ours says."""

from __future__ import annotations

import contextlib
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
    """What is shown of a line's times: of when it came, or of when it says that it was written."""

    OFF = "off"
    ARRIVED = "arrived"
    DELTA = "delta"
    WRITTEN = "written"
    STEP = "step"

    @property
    def following(self) -> Times:
        """The next one when cycling."""
        every = list(Times)
        return every[(every.index(self) + 1) % len(every)]


_STEPS = (Times.DELTA, Times.STEP)
_CELLS = {Times.OFF: 0, Times.ARRIVED: 13, Times.DELTA: 10, Times.WRITTEN: 13, Times.STEP: 10}


def width(numbers: bool, times: Times, digits: int) -> int:
    """Cells that these take."""
    return (digits + 1 if numbers else 0) + _CELLS[times]


def number(line: LogLine, digits: int) -> str:
    """Number of a line; a dot for one that is not counted yet."""
    shown = "" if line.piece else "·" if line.number is None else f"{line.number}"
    return shown.rjust(digits) + " "


def stamp(times: Times, seconds: float | None, zone: tzinfo | None) -> str:
    """A time of the day, or the seconds of a step, as wide as its kind is; blanks for None."""
    shown = ""
    if seconds is not None and times in _STEPS:
        shown = words.delta(seconds) if seconds >= 0 else "-" + words.delta(-seconds).removeprefix("+")
    elif seconds is not None:
        with contextlib.suppress(ValueError, OverflowError, OSError):  # a line may tell of any year
            shown = words.stamp(seconds, zone)
    room = max(0, _CELLS[times] - 1)
    return (shown.rjust(room) if times in _STEPS else shown.ljust(room)) + " " * (_CELLS[times] - room)


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
