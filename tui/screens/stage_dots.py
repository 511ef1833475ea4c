"""The repeats of one metric as dots on a line, with the threshold that stands in the file and the one that would.

Pure: numbers in, rows of text out. Whatever the numbers are, every dot lies on the line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gates.calibration.values import Number, Worst

_FAR = 4.0  # times the spread: a threshold further off would press all dots into one place
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.-=+*#@"


@dataclass(frozen=True)
class Dot:
    """One repeat's value; `counts` where it is strict, so that a threshold is made of it."""

    repeat: int
    value: Number
    counts: bool


@dataclass(frozen=True)
class Dots:
    """A line with dots on it.

    Attributes:
        low, high: What its two ends are, None where there is nothing on it or all of it is one value.
        line: One character a cell.
        below: What stands under it: where the thresholds are. As wide as the line and `margin` cells on both sides.
        chosen: The cell that holds the chosen repeat, or None.
        margin: Cells that `below` begins before the line.
    """

    low: float | None
    high: float | None
    line: str
    below: str
    chosen: int | None
    margin: int


def as_float(value: object) -> float | None:
    """A finite float, None for anything else: no number, NaN, infinite, or too large for a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def draw_dots(
    dots: Sequence[Dot],
    width: int,
    worst: Worst,
    now: Number | None = None,
    new: Number | None = None,
    *,
    chosen: int | None = None,
    margin: int = 8,
    ascii_only: bool = False,
) -> Dots:
    """Draw it.

    Args:
        width: Cells of the line, at least 3; the outermost two are for what lies beyond it.
        worst: "min" for a lower bound: what lies below `new` would fail.
        now: The threshold in the file, None where it is not known.
        new: The one that would be written, None where there is none.
        chosen: The repeat that is pointed out.
        margin: Room on both sides for the words below the line.
    """
    width = max(3, width)
    placed = [(dot, value) for dot in dots if (value := as_float(dot.value)) is not None]
    old, wanted = as_float(now), as_float(new)
    scale = _scale([value for _dot, value in placed] + ([] if wanted is None else [wanted]), old, width)
    good, bad, one, other, caret, left, right, here = "-.oc^<>@" if ascii_only else "─╌●○▲◂▸◆"
    cells = [good] * width
    if wanted is not None and placed:
        edge = scale.place(wanted)
        for cell in range(width):
            if (cell < edge) if worst == "min" else (cell > edge):
                cells[cell] = bad
    stacks: dict[int, list[Dot]] = {}
    for dot, value in placed:
        stacks.setdefault(scale.place(value), []).append(dot)
    for cell, stack in stacks.items():
        counted = sum(dot.counts for dot in stack)
        cells[cell] = (one if counted == 1 else str(min(counted, 9))) if counted else other
        if len(stack) == 1 and stack[0].repeat == chosen:
            cells[cell] = here
    if old is not None and not scale.holds(old):
        cells[0 if old < scale.low else width - 1] = left if old < scale.low else right
    pointed = next((scale.place(value) for dot, value in placed if dot.repeat == chosen), None)
    named = [(scale.place(value), word) for word, value in (("now", old), ("new", wanted)) if value is not None]
    below = _below(named, width, margin, caret)
    shown = bool(placed) and scale.low < scale.high
    return Dots(scale.low if shown else None, scale.high if shown else None, "".join(cells), below, pointed, margin)


def sparkline(values: Sequence[Number | None], *, ascii_only: bool = False) -> str:
    """One bar a value, in their order; what is not there is a blank, and equal values stand at half height."""
    bars = _PLAIN_BARS if ascii_only else _BARS
    numbers = [as_float(value) for value in values]
    scale = _scale([number for number in numbers if number is not None], None, len(bars) + 2)
    return "".join(" " if number is None else bars[scale.place(number) - 1] for number in numbers)


@dataclass(frozen=True)
class _Scale:
    """Values to cells; the first and the last cell are kept for what lies beyond."""

    low: float
    high: float
    width: int

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def place(self, value: float) -> int:
        if value < self.low:
            return 0
        if value > self.high:
            return self.width - 1
        # Halves, since the whole of a very large span has no float.
        span = self.high / 2 - self.low / 2
        share = (value / 2 - self.low / 2) / span if span > 0 else 0.5
        return 1 + min(self.width - 3, max(0, round(share * (self.width - 3))))


def _scale(values: Sequence[float], old: float | None, width: int) -> _Scale:
    """Holds all values, and the old threshold too unless that lies far away."""
    if not values:
        return _Scale(old or 0.0, old or 0.0, width)
    low, high = min(values), max(values)
    if old is not None:
        reach = (high / 2 - low / 2) * _FAR
        if reach == 0 or max(low / 2 - old / 2, old / 2 - high / 2) <= reach:
            low, high = min(low, old), max(high, old)
    return _Scale(low, high, width)


def _below(named: Sequence[tuple[int, str]], width: int, margin: int, caret: str) -> str:
    """A caret under each place, and its word on the side where no other caret is."""
    row = [" "] * (width + 2 * margin)

    def put(start: int, text: str) -> None:
        for place, letter in enumerate(text, start):
            if 0 <= place < len(row):
                row[place] = letter

    places = sorted(named)
    if len(places) == 2 and places[0][0] == places[1][0]:
        places = [(places[0][0], "now = new")]
    for number, (cell, word) in enumerate(places):
        at = cell + margin
        fits_right = at + len(word) + 2 <= len(row)
        if (number == 0 and len(places) == 2) or not fits_right:
            put(at - len(word) - 1, f"{word} {caret}")
        else:
            put(at, f"{caret} {word}")
    return "".join(row)
