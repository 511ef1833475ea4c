"""How far off the time is at which a run should be done, and what comes next and when."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from gates.calibration.assemble import CellKey
from tui.screens.matrix_grid import Grid


@dataclass(frozen=True)
class Pace:
    """How long units take, and what is left of each.

    Attributes:
        usual: Mean seconds of a repeat, by unit.
        left: Repeats to go, by unit, in the order of the plan.
        spread: Standard deviation of the time that is left, seconds; None where too little is known.
    """

    usual: Mapping[str, float]
    left: Mapping[str, tuple[int, ...]]
    spread: float | None


def pace(grid: Grid, incomplete: tuple[CellKey, ...]) -> Pace:
    """What this run's own finished repeats say of those to come."""
    lasted: dict[str, list[float]] = {}
    unit_of: dict[str, str] = {}
    for row in grid.rows:
        unit_of[row.key] = unit = row.unit or row.key
        lasted.setdefault(unit, []).extend(row.lasted)
    left: dict[str, set[int]] = {}
    for stage, run in incomplete:
        left.setdefault(unit_of.get(stage, stage), set()).add(run)
    usual = {unit: statistics.fmean(values) for unit, values in lasted.items() if values}
    runs = {unit: tuple(sorted(left[unit])) for unit in unit_of.values() if unit in left}
    return Pace(usual, runs, _spread(lasted, usual, runs))


def _spread(
    lasted: Mapping[str, list[float]], usual: Mapping[str, float], left: Mapping[str, tuple[int, ...]]
) -> float | None:
    """Each repeat varies as its unit's own do; a unit that nobody has seen may be like any other."""
    between = statistics.stdev(usual.values()) if len(usual) > 1 else None
    total = 0.0
    for unit, runs in left.items():
        values = lasted.get(unit, [])
        if len(values) > 1:
            total += len(runs) * statistics.variance(values)
        elif between is not None:
            total += (len(runs) * between) ** 2
        else:
            return None
    return math.sqrt(total) if left else None


@dataclass(frozen=True)
class Next:
    """The unit that follows the one that runs, and when (far clock, s; None where that cannot be told)."""

    unit: str
    at: float | None


def following(grid: Grid, pace: Pace, at: float) -> Next | None:
    """What comes after the unit that runs, None where it is the last or not one of the plan's."""
    now = grid.now
    if now is None:
        return None
    order = list(grid.units)
    behind = order[order.index(now.unit) + 1 :] if now.unit in order else []
    unit = next((unit for unit in behind if unit in pace.left), None)
    if unit is None:
        return None
    usual = pace.usual.get(now.unit)
    if usual is None or now.since is None:
        return Next(unit, None)
    done = min(usual, max(0.0, at - now.since))
    others = sum(1 for run in pace.left.get(now.unit, ()) if run != now.run)
    return Next(unit, at + usual - done + others * usual)
