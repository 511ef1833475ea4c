"""What the stage matrix shows, worked out from a look: rows are kept from look to look where nothing changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import is_
from types import MappingProxyType

from gates.calibration.assemble import Run
from gates.calibration.cells import Cell, Mark, StageAudit
from gates.calibration.layout import PYTEST, log_path
from gates.calibration.schema import SchemaError
from gates.calibration.units import units_of
from monitors.calibration.body import Calibration
from monitors.snapshot import Snapshot, State
from tui.marks import CELLS, STATES, Look
from tui.sanitise import clean_inline

FILLS = "▁▂▃▄▅▆▇█"
NOT_JUDGED = Look("?", "?", "cannot be judged", "warning")
RUNNING = Look(STATES["running"].glyph, CELLS["running"].ascii, "running", "primary")
STALLED = STATES["stalled"]
LAST_SEEN = replace(STATES["blind"], word="ran when last seen")
_ACTIVE = re.compile(r"(.+) run ([1-9][0-9]{0,8})")
_WORST = (Mark.BROKEN, Mark.DISCARDED, Mark.PARTIAL, Mark.UNKNOWN)
_PLACED = ("unit.waiting", "unit.slow_start", "attempt.intended", "attempt.started", "attempt.adopted", "attempt.ended")
"""Kinds of journal events that tell at which repeat of which unit a run is."""


@dataclass(frozen=True)
class Row:
    """One stage.

    Attributes:
        stage: As it was judged.
        name: Its key, safe to show.
        unit: What feeds it, None where that is not known.
        lasted: Durations of its finished repeats, seconds.
        usual: Their mean, None before the first.
        fault: The worst repeat that is not well, None where all that ran are.
    """

    stage: StageAudit
    name: str
    unit: str | None
    lasted: tuple[float, ...]
    usual: float | None
    fault: Cell | None

    @property
    def key(self) -> str:
        """The stage's key, as it is on disk."""
        return self.stage.key


@dataclass(frozen=True)
class Now:
    """What runs: a unit's repeat, its stages, and since when (far clock, s).

    Attributes:
        stalled: It lives and writes nothing any more.
        unseen: It ran when it was last seen; whether it still does is not known, nor for how long.
    """

    unit: str
    run: int
    stages: frozenset[str]
    since: float | None
    stalled: bool = False
    unseen: bool = False

    @property
    def look(self) -> Look:
        """How its repeat is marked, but for how full it is."""
        if self.unseen:
            return LAST_SEEN
        return STALLED if self.stalled else RUNNING

    @property
    def word(self) -> str:
        """What it does."""
        return self.look.word


@dataclass(frozen=True)
class Grid:
    """All stages.

    Attributes:
        columns: As many repeats as the widest row has.
        units: Stages by unit, in the order of the plan.
        now: What runs, None where nothing does.
        stands: The stage and the repeat at which the run stands while nothing runs; None where it is at none.
    """

    rows: tuple[Row, ...] = ()
    columns: int = 0
    units: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    now: Now | None = None
    stands: tuple[str, int] | None = None
    _places: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    _basis: tuple[object, object] = field(default=(None, None), repr=False, compare=False)

    def place(self, key: str) -> int | None:
        """The row of a stage."""
        return self._places.get(key)

    def runs(self, row: Row, run: int) -> bool:
        """Whether this repeat of this stage runs, as far as was seen."""
        return self.now is not None and self.now.run == run and row.key in self.now.stages


def grid(before: Grid | None, snapshot: Snapshot[Calibration]) -> Grid:
    """The grid of this look; rows of `before` are kept where their stage was not judged anew."""
    body = body_of(snapshot)
    audit = body.audit
    if audit is None or body.run is None:
        return Grid()
    units = _units(before, body.run)
    now = _now(snapshot, units)
    stands = _stands(snapshot, units, audit.stages) if now is None else None
    if before is not None and before.units is units and _same(before.rows, audit.stages):
        same = (before.now, before.stands) == (now, stands)
        return before if same else replace(before, now=now, stands=stands)
    unit_of = {stage: unit for unit, stages in units.items() for stage in stages}
    known = {row.key: row for row in before.rows} if before is not None and before.units == units else {}
    rows = tuple(_kept(known.get(stage.key), stage) or _row(stage, unit_of.get(stage.key)) for stage in audit.stages)
    if before is not None and len(rows) == len(before.rows) and all(map(is_, rows, before.rows)):
        return replace(before, units=units, now=now, stands=stands, _basis=(body.run.plan, body.run.manifest))
    columns = max((len(row.stage.cells) for row in rows), default=0)
    places = MappingProxyType({row.key: place for place, row in enumerate(rows)})
    return Grid(rows, columns, units, now, stands, places, (body.run.plan, body.run.manifest))


def body_of(snapshot: Snapshot[Calibration]) -> Calibration:
    """What was seen of the run; a host that never answered has left nothing at all."""
    body: Calibration | None = snapshot.body
    return body if body is not None else Calibration()


def look_of(grid: Grid, row: Row, cell: Cell) -> Look:
    """How one cell is marked, but for how full it is."""
    if grid.now is not None and grid.runs(row, cell.run):
        return grid.now.look
    return CELLS.get(cell.mark.value, NOT_JUDGED)


def fill(grid: Grid, row: Row, at: float) -> float | None:
    """How far the repeat that runs is, by what this stage usually takes: 0 to 1 and beyond; None where unknown.

    Args:
        at: The far clock now.
    """
    if grid.now is None or grid.now.since is None or not row.usual:
        return None
    return max(0.0, at - grid.now.since) / row.usual


def fill_step(share: float | None) -> int:
    """Which of the eight heights a share is shown as, -1 for none."""
    return -1 if share is None else min(len(FILLS) - 1, int(share * len(FILLS)))


def fill_sign(step: int, ascii_only: bool) -> str:
    """A height, or in ASCII the tenths."""
    if step < 0:
        return RUNNING.sign(ascii_only)
    return str(1 + step) if ascii_only else FILLS[step]


def log_of(grid: Grid, body: Calibration, row: Row, run: int) -> str | None:
    """The log of one repeat, relative to the run directory; None where there is none."""
    cell = cell_of(row, run)
    told = cell.record.pytest_log if cell is not None and cell.record is not None else None
    # It is told by the path that it had where the run was made; the run may have been moved since.
    moved = f"{PYTEST}/{told.rpartition(f'{PYTEST}/')[2]}" if told and f"{PYTEST}/" in told else None
    ours = log_path(row.unit, run) if row.unit is not None else None
    return next((path for path in (ours, moved) if path is not None and path in body.logs), None)


def cell_of(row: Row, run: int) -> Cell | None:
    """One repeat of a stage."""
    return next((cell for cell in row.stage.cells if cell.run == run), None)


def _row(stage: StageAudit, unit: str | None) -> Row:
    lasted = tuple(
        cell.record.duration_s for cell in stage.cells if cell.record is not None and cell.record.duration_s is not None
    )
    fault = next((cell for mark in _WORST for cell in stage.cells if cell.mark is mark), None)
    usual = sum(lasted) / len(lasted) if lasted else None
    return Row(stage, clean_inline(stage.key, limit=300), unit, lasted, usual, fault)


def _kept(row: Row | None, stage: StageAudit) -> Row | None:
    """The row of before, where it says the same."""
    return row if row is not None and (row.stage is stage or row.stage == stage) else None


def _same(rows: tuple[Row, ...], stages: tuple[StageAudit, ...]) -> bool:
    return len(rows) == len(stages) and all(row.stage is stage for row, stage in zip(rows, stages, strict=True))


def _units(before: Grid | None, run: Run) -> Mapping[str, tuple[str, ...]]:
    """Stages by unit: of the plan, else of the manifest."""
    if before is not None and before._basis[0] is run.plan and before._basis[1] is run.manifest:
        return before.units
    found: dict[str, tuple[str, ...]] = {}
    planned = run.plan.units if run.plan is not None else None
    for unit in planned if isinstance(planned, list) else ():
        if isinstance(unit, dict) and isinstance(key := unit.get("key"), str):
            stages = unit.get("stages")
            found[key] = tuple(one for one in stages if isinstance(one, str)) if isinstance(stages, list) else ()
    if not found and run.manifest is not None and run.plan is not None:
        manifest = run.manifest
        try:
            known = [key for key in run.plan.stages if manifest.get(key) is not None]
            found = {unit.key: unit.stages for unit in units_of(manifest, known)}
        except SchemaError:
            found = {}
    return before.units if before is not None and before.units == found else MappingProxyType(found)


def _now(snapshot: Snapshot[Calibration], units: Mapping[str, tuple[str, ...]]) -> Now | None:
    body, unseen = body_of(snapshot), snapshot.state is State.BLIND
    for item in snapshot.active:
        found = _ACTIVE.fullmatch(item.name)
        if found is None:
            continue
        unit, run = found[1], int(found[2])
        last = body.journal.last("attempt.started", "attempt.adopted")
        told = last.data.get("stages") if last is not None and last.data.get("unit") == unit else None
        stages = told if isinstance(told, list) else units.get(unit, ())
        known = frozenset(one for one in stages if isinstance(one, str))
        return Now(unit, run, known, None if unseen else item.since, snapshot.state is State.STALLED, unseen)
    return None


def _stands(
    snapshot: Snapshot[Calibration], units: Mapping[str, tuple[str, ...]], stages: tuple[StageAudit, ...]
) -> tuple[str, int] | None:
    """Where a run is of which nothing runs: as its journal tells, else at the first repeat that is not well."""
    event = body_of(snapshot).journal.last(*_PLACED) if snapshot.state is not State.ENDED else None
    if event is not None:
        unit, run = event.data.get("unit"), event.data.get("run")
        fed = units.get(unit, ()) if isinstance(unit, str) else ()
        key = next((stage.key for stage in stages if stage.key in fed), None)
        if key is not None and isinstance(run, int):
            return key, run
    cells = ((stage, cell) for stage in stages if not stage.ready for cell in stage.cells)
    return next(((stage.key, cell.run) for stage, cell in cells if cell.mark is not Mark.STRICT), None)
