"""What Home says of the chosen run: one line of evidence, and on a tall screen how it stands and what it came through.

There it is told what the run's own screen would say first: the sentence, its gates, every mark, what is not well, and
the newest milestones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tui.marks import CELLS, TWINS
from tui.sanitise import clean_inline, redact
from tui.screens.home_rows import HomeRow
from tui.screens.run_ink import Row, Span, cut, fold, middle, width

if TYPE_CHECKING:
    from datetime import tzinfo

    from gates.calibration.audit import Audit
    from gates.calibration.cells import StageAudit
    from monitors.calibration.body import Calibration
    from monitors.snapshot import Snapshot
    from tui.dashboard_runs import Entry
    from tui.screens.matrix_grid import Grid
    from tui.screens.subject import RunLook

_NAME = 34
_MOST_FAULTS = 6
_MOST_MILESTONES = 14
_EVENTS = 80  # of the journal, in which so many milestones are looked for
_INK = {"time": "muted", "cell": "strong", "took": "secondary", "rest": ""}


@dataclass(frozen=True)
class Space:
    """The room, and how things are written in it.

    Attributes:
        room: Cells of a row.
        most: Rows.
        ascii_only: No glyph outside ASCII.
        now: Our clock, seconds since the epoch.
        zone: Of times that are shown; None for the machine's own.
    """

    room: int
    most: int
    ascii_only: bool
    now: float
    zone: tzinfo | None

    @property
    def more(self) -> str:
        """Stands for what was cut off."""
        return "..." if self.ascii_only else "…"


class Detail:
    """Tells of one run after the other; what it told last is kept as long as nothing of it has changed."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._rows: tuple[Row, ...] = ()
        self._grid: Grid | None = None
        self._apart: dict[str, int] = {}  # seconds that the clock of each run's host is ahead of ours

    def rows(self, row: HomeRow, entry: Entry | None, space: Space) -> tuple[Row, ...]:
        """At most `space.most` rows; a single one is the evidence."""
        if space.most < 4:
            told = f"{row.title}: {row.why}" if row.why else row.title
            return (((" ", ""), (cut(told, max(0, space.room - 2), space.more), "muted")),)
        look = entry.look if entry is not None else None
        key = (row, look, space.room, space.most, space.ascii_only, int(space.now // 60))
        if key != self._key:
            self._key = key
            self._rows = tuple(islice(self._told(row, entry, space), space.most))
        return self._rows

    def _told(self, row: HomeRow, entry: Entry | None, space: Space) -> Iterator[Row]:
        where = entry.place.run_dir if entry is not None and entry.place is not None else ""
        name = cut(row.title, max(0, space.room - 2), space.more)
        beside = middle(_plain(where), max(0, space.room - 4 - width([(name, "")])), space.more)
        yield ()
        yield (" ", ""), (name, "strong"), (f"  {beside}", "muted")
        if entry is None or entry.look is None:
            yield from _lines(row.why, "", 3, space)
            return
        from tui.screens.job_rows import ahead
        from tui.screens.matrix_grid import body_of, grid

        snapshot = entry.look.snapshot
        body = body_of(snapshot)
        self._grid = grid(self._grid, snapshot)
        yield from _sentence(entry.look, self._grid, space)
        if body.audit is None:
            return
        yield ()
        yield from _marks(body.audit.stages, space)
        yield from _after_blank(_faults(body.audit, space))
        self._apart[row.watch] = apart = ahead(snapshot.seen, self._apart.get(row.watch, 0))
        yield from _after_blank(_milestones(snapshot, apart, space))


def _sentence(look: RunLook, grid: Grid, space: Space) -> Iterator[Row]:
    """Whether it is fine, on what that stands, and its gates."""
    from tui.screens.matrix_grid import body_of
    from tui.screens.run_facts import as_now, clock, said
    from tui.screens.run_header import Marks, gates
    from tui.screens.run_pace import pace

    audit = body_of(look.snapshot).audit
    going = pace(grid, audit.incomplete) if audit is not None else None
    at = clock(look.snapshot, space.now, space.zone)
    told = said(as_now(look, space.now, None), grid, going, at, outside=True)
    yield from _lines(told.sentence, told.ink, 2, space)
    yield from _lines(told.evidence, "muted", 2, space)
    if audit is not None:
        yield gates(look, at, space.room, Marks(space.ascii_only))


def _lines(text: str, colour: str, most: int, space: Space) -> Iterator[Row]:
    for line in fold(text, max(0, space.room - 2), most, space.more):
        yield (" ", ""), (line, colour)


def _after_blank(rows: Sequence[Row]) -> Iterator[Row]:
    if rows:
        yield ()
        yield from rows


def _marks(stages: Sequence[StageAudit], space: Space) -> tuple[Row, ...]:
    """Every stage with its marks, in as many columns as fit, read downwards; what has no room is counted."""
    names = [middle(_plain(stage.key), _NAME, space.more) for stage in stages]
    longest = max((width([(name, "")]) for name in names), default=0)
    cells = [_stage(stage, name, longest, space) for stage, name in zip(stages, names, strict=True)]
    wide = max((width(cell) for cell in cells), default=1) + 3
    across = max(1, (space.room - 1) // wide)
    rows = min(-(-len(cells) // across), max(1, space.most - 6))
    left = len(cells) - rows * across
    if left > 0:
        cells = cells[: rows * across - 1]
        cells.append(((f"{left + 1} more stages", "muted"),))
    laid: list[Row] = []
    for number in range(rows):
        spans: list[Span] = [(" ", "")]
        for cell in cells[number::rows]:
            spans += [*cell, (" " * (wide - width(cell)), "")]
        laid.append(tuple(spans))
    return tuple(laid)


def _stage(stage: StageAudit, name: str, longest: int, space: Space) -> Row:
    gap = " " * (longest - width([(name, "")]) + 1)
    spans: list[Span] = [(name + gap, "muted" if stage.ready else "")]
    for cell in stage.cells:
        look = CELLS.get(cell.mark.value)
        spans.append((look.sign(space.ascii_only), look.style) if look is not None else ("?", "warning"))
    return tuple(spans)


def _faults(audit: Audit, space: Space) -> list[Row]:
    """The repeats that are not well, with the reason; those that did not run yet are no fault."""
    found = [cell for stage in audit.stages if not stage.ready for cell in stage.faults]
    rows: list[Row] = []
    for cell in found[:_MOST_FAULTS]:
        look = CELLS.get(cell.mark.value)
        sign, style = (look.sign(space.ascii_only), look.style) if look is not None else ("?", "warning")
        name = middle(_plain(cell.stage), _NAME, space.more)
        lead = f" {name} {cell.run}  "
        reason = cut(_plain(cell.reason), max(0, space.room - width([(lead, "")]) - 3), space.more)
        rows.append(((f" {sign}", style), (lead, ""), (reason, "muted")))
    if len(found) > _MOST_FAULTS:
        rows.append(((f"   and {len(found) - _MOST_FAULTS} more", "muted"),))
    return rows


def _milestones(snapshot: Snapshot[Calibration], apart: int, space: Space) -> list[Row]:
    """The newest at the bottom, as in the run's own job pane; a run without a journal has none here."""
    from monitors.calibration.milestones_journal import of_journal
    from tui.screens.job_rows import Widths, columns, row_of
    from tui.screens.matrix_grid import body_of

    body = body_of(snapshot)
    events = body.journal.events
    repeats = body.run.plan.repeats if body.run is not None and body.run.plan is not None else None
    newest = of_journal(body.journal, repeats, max(0, len(events) - _EVENTS))[-_MOST_MILESTONES:]
    shown = [row_of(one, space.now, space.zone, ascii_only=space.ascii_only, apart=apart) for one in newest]
    widths = Widths().grown(shown, space.room)
    rows: list[Row] = []
    for one in shown:
        spans = columns(one, widths, max(1, space.room - 2))
        if space.ascii_only:
            spans = [(text.translate(TWINS), style) for text, style in spans]
        rows.append(((" ", ""), *((text, _INK.get(style, style)) for text, style in spans)))
    return rows


def _plain(text: str) -> str:
    return clean_inline(redact(text), limit=400)
