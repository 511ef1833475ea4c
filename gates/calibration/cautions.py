"""What a person should know before thresholds are written, in one sentence each; none of it stops anything."""

from __future__ import annotations

from gates.calibration.modes import Decisions
from gates.calibration.rows import PlanRow
from gates.calibration.values import Number, tighter

_FAR = 5  # times what was measured: a slip of the decimal point, or another unit


def cautions(decisions: Decisions) -> tuple[str, ...]:
    """What stays without an answer, and what is written and would fail at once or looks like a slip."""
    found: list[str] = []
    count = len(decisions.asked)
    if count:
        found.append(
            f"{count} question{' is' if count == 1 else 's are'} not answered: the current value stays",
        )
    for edit in decisions.written:
        said = caution(edit.row, edit.value, edit.text, typed=edit.reason.startswith("answered"))
        if said:
            found.append(f"{edit.row.answer_key}: {said}")
    return tuple(found)


def caution(row: PlanRow, value: Number, text: str, typed: bool) -> str:
    """What is to be said of one value, or "".

    Args:
        row: What it is for.
        value: What would be written.
        text: The same as a literal.
        typed: A person gave it, so that it may be a slip.
    """
    if tighter(row.worst_op, value, row.worst_raw):
        return f"{text} is tighter than the worst measured, {row.worst_raw!r}: that repeat would have failed it"
    if typed and _is_far(value, row.worst_raw):
        return f"{text} is far from anything measured ({row.worst_raw!r})"
    return ""


def _is_far(value: float, measured: float) -> bool:
    """Whether a number that somebody typed looks like another unit, or a slip of the decimal point."""
    return value * measured < 0 or abs(value) > _FAR * abs(measured) or abs(measured) > _FAR * abs(value)
