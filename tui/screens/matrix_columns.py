"""Where things stand in a row of the stage matrix, for the room that it has."""

from __future__ import annotations

from dataclasses import dataclass

from tui.cells import painted
from tui.screens.matrix_grid import Grid

MARKER = 1
_LEAST_NAME = 8
_GAP = 2
USUAL = 8
_LEAST_WHY = 14
_MOST_WHY = 36


@dataclass(frozen=True)
class Columns:
    """Cells of each part; 0 is not shown.

    Attributes:
        name: Of the stage's name.
        step: From one repeat's mark to the next.
        first: The first repeat that is shown, counted from 0.
        count: How many are.
        ready: Of `5/5`.
        usual: Of the mean duration.
        why: Of the reason of the worst repeat.
    """

    name: int
    step: int = 1
    first: int = 0
    count: int = 0
    ready: int = 0
    usual: int = 0
    why: int = 0

    @property
    def marks(self) -> int:
        """Where the first mark stands."""
        return MARKER + self.name + _GAP

    def column_at(self, x: int) -> int | None:
        """The repeat, counted from 0, whose mark is at a cell of the row."""
        inside = x - self.marks
        if inside < 0 or self.count == 0 or inside >= self.count * self.step:
            return None
        return self.first + inside // self.step


def columns(grid: Grid, room: int, cursor: int = 0) -> Columns:
    """Names are whole where they can be; marks get air, then come counts, durations and reasons.

    Args:
        room: Cells of a row.
        cursor: The repeat, counted from 0, that must be shown.
    """
    longest = max((painted(row.name) for row in grid.rows), default=_LEAST_NAME)
    count = max(1, grid.columns)
    free = max(1, room - MARKER - _GAP)
    if longest + count > free:  # one of both has to give: first the name, down to a third of the room
        name = min(longest, max(min(_LEAST_NAME, free - 1), free - count, free // 3))
        shown = max(1, min(count, free - name))
        first = max(0, min(cursor - shown // 2, count - shown))
        return Columns(max(0, name), 1, first, shown)
    ready = 2 * len(str(grid.columns)) + 1
    step = 2 if longest + 2 * count + 2 + ready <= free else 1
    free -= longest + step * count
    wide = {"ready": 0, "usual": 0, "why": 0}
    if free >= ready + 1:
        wide["ready"], free = ready, free - ready - 1
    if wide["ready"] and free >= USUAL + 2:
        wide["usual"], free = USUAL, free - USUAL - 2
    if wide["usual"] and free >= _LEAST_WHY + 2 and any(row.fault is not None for row in grid.rows):
        wide["why"] = free - 2
    return Columns(longest, step, 0, count, **wide)


def widths(grid: Grid) -> tuple[int, int]:
    """Cells of a row with its counts, and with its mean duration and the reason of its worst repeat too."""
    longest = max((painted(row.name) for row in grid.rows), default=_LEAST_NAME)
    counts = MARKER + longest + _GAP + 2 * max(1, grid.columns) + 1 + 2 * len(str(grid.columns)) + 1 + 1
    faults = [len(row.fault.reason) + 6 for row in grid.rows if row.fault is not None]
    why = max(_LEAST_WHY, min(_MOST_WHY, max(faults))) if faults else 0
    return counts, counts + 2 + USUAL + (2 + why if why else 0)
