"""What Home says of the chosen run: one line of evidence, and on a tall screen its gates and all its marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gates.verdict import Decision, Verdict
from tui.marks import CELLS
from tui.sanitise import clean_inline, redact
from tui.screens.home_rows import HomeRow
from tui.screens.run_ink import Row, Span, cut, middle, width

if TYPE_CHECKING:
    from gates.calibration.audit import Audit
    from gates.calibration.cells import StageAudit
    from tui.dashboard_runs import Entry

_NAME = 34
_DECIDED = {
    Decision.PASS: ("✓", "+", "success"),
    Decision.FAIL: ("✗", "x", "error"),
    Decision.UNKNOWN: ("?", "?", "warning"),
    Decision.NOT_YET: ("—", "-", "muted"),
}


def detail_rows(row: HomeRow, entry: Entry | None, room: int, most: int, ascii_only: bool) -> tuple[Row, ...]:
    """At most `most` rows of at most `room` cells; the first one is the evidence."""
    more = "..." if ascii_only else "…"
    told = f"{row.title}: {row.why}" if row.why else row.title
    first: Row = ((" ", ""), (cut(told, max(0, room - 2), more), "" if most > 1 else "muted"))
    audit = entry.look.snapshot.body.audit if entry is not None and entry.look is not None else None
    if audit is None or most < 4:
        return (first,)
    marks = _marks(audit.stages, room, most - 3, ascii_only)
    return (first, _gates(audit, ascii_only), (), *marks)


def _gates(audit: Audit, ascii_only: bool) -> Row:
    counted = f"{audit.ready_count}/{len(audit.stages)}"
    spans: list[Span] = [(" ", "")]
    for name, verdict, said in (
        ("strict", audit.strict, counted),
        ("provenance", audit.provenance, audit.provenance.outcome),
        ("environment", audit.environment, audit.environment.outcome),
    ):
        spans += [_gate(name, verdict, said, ascii_only), ("  ", "")]
    return tuple(spans)


def _gate(name: str, verdict: Verdict, said: str, ascii_only: bool) -> Span:
    glyph, plain, style = _DECIDED[verdict.decision]
    return f"{plain if ascii_only else glyph} {name} {clean_inline(redact(said), limit=40)}", style


def _marks(stages: Sequence[StageAudit], room: int, most: int, ascii_only: bool) -> tuple[Row, ...]:
    """Every stage with its marks, in as many columns as fit, read downwards; what has no room is counted."""
    more = "..." if ascii_only else "…"
    cells = [_stage(stage, more, ascii_only) for stage in stages]
    wide = max((width(cell) for cell in cells), default=1) + 3
    across = max(1, (room - 1) // wide)
    rows = min(-(-len(cells) // across), most)
    fits = rows * across
    left = len(cells) - fits
    if left > 0:
        cells = cells[: fits - 1]
        cells.append(((f"{left + 1} more stages", "muted"),))
    laid: list[Row] = []
    for number in range(rows):
        spans: list[Span] = [(" ", "")]
        for cell in cells[number::rows]:
            spans += [*cell, (" " * (wide - width(cell)), "")]
        laid.append(tuple(spans))
    return tuple(laid)


def _stage(stage: StageAudit, more: str, ascii_only: bool) -> Row:
    name = middle(clean_inline(redact(stage.key), limit=200), _NAME, more)
    spans: list[Span] = [(f"{name} ", "" if stage.ready else "muted")]
    for cell in stage.cells:
        look = CELLS.get(cell.mark.value)
        spans.append((look.sign(ascii_only), look.style) if look is not None else ("?", "warning"))
    return tuple(spans)
