"""How the stage screen writes numbers: as the metric is shown everywhere, and never longer than a person reads."""

from __future__ import annotations

import re
from statistics import median

from gates.calibration.schema import Metric
from gates.calibration.values import Number, shown
from tui.screens.stage_dots import as_float
from tui.words import took

_LONGEST = 14
_UNIT = re.compile(r"\(([^()]{1,16})\)\s*$")


def number(value: Number | None, metric: Metric, more: int = 0) -> str:
    """A value times its scale, at its digits and `more`; "—" where there is none or it is no finite number."""
    if value is None or as_float(value) is None:
        return "—"
    if not metric.source:  # no manifest says how it is shown
        return f"{float(value):.6g}"
    text = shown(value, metric.display.scale, min(17, metric.display.digits + more))
    return text if len(text) <= _LONGEST else f"{float(value) * metric.display.scale:.5g}"


def unit_of_label(label: str) -> str:
    """What stands in the brackets at the end of a label: `req/s` of `Throughput (req/s)`, else ""."""
    found = _UNIT.search(label)
    return found[1] if found else ""


def middle(values: list[Number]) -> float:
    """The median, exact enough to be shown; halves, so that two huge values do not overflow."""
    return 2 * median(float(value) / 2 for value in values)


def share(part: float, whole: float) -> str:
    """A spread against its median in percent, or "" where that says nothing."""
    if whole == 0 or part == 0:
        return ""
    percent = abs(part / whole) * 100
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %" if percent < 1000 else ""


def lasted(seconds: float | None) -> str:
    """A duration, "—" where it is not known."""
    return "—" if seconds is None or as_float(seconds) is None or seconds < 0 else took(seconds)


def one_in(promise: float) -> str:
    """A share as people say it: `1 in 6 (16.7 %)`."""
    return f"1 in {round(1 / promise)} ({100 * promise:.1f} %)"


def percents(change: float | None) -> str:
    """A relative change: `1.9 %`; "unknown" where it cannot be told."""
    return "unknown" if change is None else f"{100 * change:.1f} %" if change < 10 else "over 1,000 %"
