"""What is told of the repeat under the cursor, in the rows that a tall screen has left below the stages."""

from __future__ import annotations

from gates.calibration.cells import Cell, Mark
from tui.screens import run_ink
from tui.screens.matrix_grid import RUNNING, Grid, Row, cell_of, fill, fill_sign, fill_step, look_of
from tui.screens.run_facts import Clock, plain
from tui.screens.run_ink import Span
from tui.screens.run_words import faulty, instant, lasting
from tui.words import took

LEAST_ROWS = 5
MOST_ROWS = 14


def told(grid: Grid, row: Row, run: int, at: Clock, room: int, rows: int, ascii_only: bool) -> list[run_ink.Row]:
    """At most `rows` rows of `room` cells.

    Args:
        at: The instant of the paint.
    """
    cell = cell_of(row, run)
    if cell is None:
        return []
    more = "..." if ascii_only else "…"
    look = look_of(grid, row, cell)
    runs = grid.runs(row, run)
    word, why = faulty(look.word, cell.reason, cell.path)
    word = look.word if runs else word
    where = f" {run}/{row.stage.repeats}  " if row.stage.repeats else f" {run}  "
    sign = fill_sign(fill_step(fill(grid, row, at.far)), ascii_only) if look is RUNNING else look.sign(ascii_only)
    name = run_ink.middle(row.name, max(1, room - len(where) - len(sign) - len(word) - 3), more)
    lines: list[run_ink.Row] = [
        (),
        ((" ", ""), (name, "strong"), (where, ""), (f"{sign} {word}", look.style)),
    ]
    if cell.mark not in (Mark.STRICT, Mark.ABSENT):
        before = "before: " if runs else ""
        lines += [((f" {text}", look.style),) for text in run_ink.fold(before + plain(why), room - 2, 3, more)]
    facts = _facts(grid, row, cell, at.far, runs)
    recorded = instant(cell.record.recorded_at) if cell.record is not None else None
    if recorded is not None:
        facts.append(f"recorded {at.hour(recorded)}")
    lines += [((f" {text}", "muted"),) for text in run_ink.fold("; ".join(facts), room - 2, 2, more)]
    lines += _metrics(cell, room, more)
    return lines[: min(rows, MOST_ROWS)]


def _facts(grid: Grid, row: Row, cell: Cell, far: float, runs: bool) -> list[str]:
    usual = f", usually {took(row.usual)}" if row.usual is not None else ""
    if runs and grid.now is not None:
        if grid.now.unseen:
            return [f"not seen to end{usual}"]
        if grid.now.since is None:
            return [f"{grid.now.word}{usual}"]
        lasts = lasting(far - grid.now.since)
        return [(f"began {lasts} ago" if grid.now.stalled else f"running for {lasts}") + usual]
    record = cell.record
    if record is None:
        return [f"not run yet{usual}"] if cell.mark is Mark.ABSENT else []
    facts = [f"took {took(record.duration_s)}{usual}"] if record.duration_s is not None else []
    if record.total is not None or record.ok is not None:
        facts.append(f"{_known(record.ok)} of {_known(record.total)} samples")
    if record.attempts is not None and record.attempts > 1:
        facts.append(f"{record.attempts} attempts")
    if record.gpu_indices:
        facts.append(f"GPU {','.join(map(str, record.gpu_indices))}")
    facts.append(f"commit {plain(record.git_sha, 40)[:7]}" if record.git_sha else "no commit")
    return facts


def _metrics(cell: Cell, room: int, more: str) -> list[run_ink.Row]:
    if cell.record is None:
        return []
    longest = max((run_ink.width([(plain(name, 80), "")]) for name in cell.record.metrics), default=0)
    longest = min(longest, max(4, room - 16))
    rows: list[run_ink.Row] = []
    for name, value in cell.record.metrics.items():
        shown = run_ink.middle(plain(name, 80), longest, more)
        gap = " " * (longest - run_ink.width([(shown, "")]) + 2)
        number: Span = ("unknown", "warning") if value is None else (f"{value:.6g}", "")
        rows.append(((f" {shown}{gap}", "secondary"), number))
    return rows


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)
