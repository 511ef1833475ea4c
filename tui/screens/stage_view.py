"""What the stage screen says of a stage, as plain facts: made from one look and from what the sources say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.calibration.cells import Cell, Mark
from gates.calibration.detail import MetricDetail, StageDetail, stage_detail
from gates.calibration.layout import log_path
from gates.calibration.schema import Display, Metric, SchemaError
from gates.calibration.source import SourceFacts
from gates.calibration.units import units_of
from gates.journal import Event
from monitors.calibration.body import Calibration
from monitors.snapshot import Snapshot, State

_RAW_DIGITS = 6


@dataclass(frozen=True)
class Sources:
    """What the test files on the host say, or why that is not known.

    Attributes:
        facts: By path; None where they are not known.
        why: Why not, in words; "" where they are.
        filters: Which constants the stage may touch.
        slack: The project's slack as its configuration has it.
    """

    facts: Mapping[str, SourceFacts] | None = None
    why: str = "they are being read"
    filters: tuple[str, ...] = ()
    slack: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Attempt:
    """One launch of a repeat's pytest, as the journal or the artifact tells it."""

    number: int
    outcome: str
    reason: str
    duration_s: float | None


@dataclass(frozen=True)
class Repeat:
    """One repeat of the stage.

    Attributes:
        log: Where its log is, relative to the run directory or absolute; None where that is not known.
        size: Bytes of that log, None where it was not seen.
        attempts: Those that have ended, first to last.
        since: When it began, far clock in seconds since the epoch, where it runs right now.
        unseen: It ran when it was last seen, and nobody can see it now.
    """

    cell: Cell
    log: str | None
    size: int | None
    attempts: tuple[Attempt, ...]
    running: bool = False
    since: float | None = None
    unseen: bool = False

    @property
    def duration_s(self) -> float | None:
        """Seconds that the recorded attempt took."""
        return self.cell.record.duration_s if self.cell.record is not None else None

    @property
    def mark(self) -> str:
        """Of `tui.marks.CELLS`, or "?"."""
        return "running" if self.running and self.cell.mark is Mark.ABSENT else self.cell.mark.value


@dataclass(frozen=True)
class StageView:
    """A stage as the screen shows it.

    Attributes:
        detail: None where the run has no such stage.
        repeats: In the order of the detail's cells.
        metrics: Of the manifest; without one those that the artifacts hold, with nothing planned of them.
        shared: Notes that hold for every metric.
    """

    key: str
    detail: StageDetail | None
    repeats: tuple[Repeat, ...]
    metrics: tuple[MetricDetail, ...]
    sources: Sources
    shared: tuple[str, ...] = ()

    @property
    def strict(self) -> int:
        """How many repeats count."""
        return sum(repeat.cell.mark is Mark.STRICT for repeat in self.repeats)

    def own_notes(self, metric: MetricDetail) -> tuple[str, ...]:
        """What is to be known of this metric alone."""
        notes = metric.estimate.notes if metric.estimate is not None else ()
        return tuple(note.text for note in notes if note.text not in self.shared)


def view_of(snapshot: Snapshot[Calibration], key: str, sources: Sources) -> StageView:
    """Everything that the screen shows of one stage."""
    body = snapshot.body
    if body.run is None or body.audit is None:
        return StageView(key, None, (), (), sources)
    detail = stage_detail(body.run, body.audit, key, sources.facts, sources.filters, body.journal, sources.slack)
    if detail is None:
        return StageView(key, None, (), (), sources)
    unit = unit_of(body, key)
    ended = [event for event in body.journal.events if event.kind == "attempt.ended"]
    repeats = tuple(_repeat(snapshot, cell, unit, ended) for cell in detail.cells)
    metrics = detail.metrics if detail.stage is not None else _unjudged(detail.cells)
    return StageView(key, detail, repeats, metrics, sources, _shared(metrics))


def unit_of(body: Calibration, key: str) -> str | None:
    """Whose log this stage's is: what was really started, else what was planned, else what the manifest gives."""
    for event in reversed(body.journal.events):
        if event.kind == "attempt.started" and _has(event.data.get("stages"), key):
            unit = event.data.get("unit")
            return unit if isinstance(unit, str) else None
    planned = body.run.plan.units if body.run is not None and body.run.plan is not None else None
    for item in planned if isinstance(planned, list) else ():
        if isinstance(item, dict) and _has(item.get("stages"), key) and isinstance(item.get("key"), str):
            return str(item["key"])
    manifest = body.run.manifest if body.run is not None else None
    if manifest is None or manifest.get(key) is None:
        return None
    try:
        return units_of(manifest, [key])[0].key
    except SchemaError:
        return None


def _repeat(snapshot: Snapshot[Calibration], cell: Cell, unit: str | None, ended: Sequence[Event]) -> Repeat:
    body, blind = snapshot.body, snapshot.state is State.BLIND
    usual = log_path(unit, cell.run) if unit is not None else None
    told = cell.record.pytest_log if cell.record is not None else None
    log = usual if usual in body.logs else told or usual
    seen = body.logs.get(log or "")
    now = body.supervision
    running = now.how in ("journal", "process") and unit is not None and now.name == f"{unit} run {cell.run}"
    return Repeat(
        cell,
        log if cell.mark is not Mark.ABSENT or running or seen is not None else None,
        seen.size if seen is not None else None,
        _attempts(cell, unit, ended),
        running,
        now.since if running and not blind else None,
        running and blind,
    )


def _attempts(cell: Cell, unit: str | None, ended: Sequence[Event]) -> tuple[Attempt, ...]:
    told = [
        event.data for event in ended if unit and event.data.get("unit") == unit and event.data.get("run") == cell.run
    ]
    history: Sequence[object] = told or (cell.record.attempt_history if cell.record is not None else ())
    found = []
    for place, item in enumerate(history, 1):
        if isinstance(item, Mapping):
            number = next((item[name] for name in ("n", "number", "attempt") if isinstance(item.get(name), int)), place)
            lasted = item.get("duration_s")
            seconds = float(lasted) if isinstance(lasted, (int, float)) and not isinstance(lasted, bool) else None
            outcome, reason = (str(item.get(name) or "") for name in ("outcome", "reason"))
            found.append(Attempt(number, outcome, reason, seconds))
    return tuple(found)


def _unjudged(cells: Sequence[Cell]) -> tuple[MetricDetail, ...]:
    """What the artifacts themselves hold, where no manifest says what it means."""
    names = dict.fromkeys(name for cell in cells if cell.record is not None for name in cell.record.metrics)
    return tuple(
        MetricDetail(
            Metric(name, "", None, "min", Display(name, 1, _RAW_DIGITS), "OK"),
            tuple(cell.record.metrics.get(name) if cell.record is not None else None for cell in cells),
            None,
            None,
        )
        for name in names
    )


def _shared(metrics: Sequence[MetricDetail]) -> tuple[str, ...]:
    """Notes of every metric that has been estimated; of a single one they are its own."""
    estimated = [metric.estimate for metric in metrics if metric.estimate is not None]
    if len(estimated) < 2:
        return ()
    common = [note.text for note in estimated[0].notes]
    return tuple(text for text in common if all(text in [note.text for note in one.notes] for one in estimated))


def _has(stages: object, key: str) -> bool:
    return isinstance(stages, (list, tuple)) and key in stages
