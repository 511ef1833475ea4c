"""One repeat of one stage, judged, and a stage as the sum of its repeats (spec/calibration.md, section 5)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Union

from gates.calibration.assemble import CellKey
from gates.calibration.layout import cell_path
from gates.calibration.records import RecordError, RunRecord, parse_record
from gates.calibration.schema import Stage
from gates.calibration.words import one_line
from gates.documents import Broken, Document


class Mark(enum.Enum):
    """What one repeat of one stage is worth."""

    ABSENT = "—"
    BROKEN = "✗"
    DISCARDED = "D"
    PARTIAL = "△"
    STRICT = "✓"
    UNKNOWN = "?"
    """Readable and without a fault of its own, but there is no manifest to say whether it is whole."""


@dataclass(frozen=True, slots=True)  # there are thousands
class Cell:
    """One repeat of one stage.

    Attributes:
        stage: The stage's key.
        run: The repeat, counted from 1.
        mark: What it is worth.
        reason: Why it is not ✓; "" for ✓.
        git_sha: The commit that the artifact carries, None when it carries none.
        record: What it says, None when it is absent or unreadable.
        has_metrics: True when every metric was read, whatever the counts say (`complete`, not strict).
        value: The number or word that the mark hangs on, or None.
        limit: What it was held against, or None.
    """

    stage: str
    run: int
    mark: Mark
    reason: str
    git_sha: str | None
    record: RunRecord | None
    has_metrics: bool = False
    value: Union[str, int, float, None] = None
    limit: Union[str, int, float, None] = None

    @property
    def path(self) -> str:
        """Path of its artifact relative to the run directory."""
        return cell_path(self.stage, self.run)


@dataclass(frozen=True)
class StageAudit:
    """One stage's cells, summed up.

    Attributes:
        key: The stage's key.
        expected: How many samples a whole repeat has, None when that is not pinned.
        cells: Repeats 1 to N, then those beyond N that are on disk.
        strict: How many are ✓.
        ready: True with at least N ✓.
        repeats: N, None without a plan.
        incomplete: Repeats 1 to N that have to be run again: not ✓, or with a foreign or missing commit. A ready
            stage has none of the first kind, since spare repeats may stand in for bad ones.
        all_metrics: True when repeats 1 to N all have all metrics.
        foreign: Cells whose artifact carries another commit than the calibration's.
        unsigned: Cells whose artifact carries none.
        unreadable: Cells whose artifact could not be read at all, so that its commit is not known.
        faults: Cells that are on disk and ✗, D or △.
        unjudged: How many cells have no fault of their own and no manifest to be judged by.
        artifacts: How many artifacts are on disk.
    """

    key: str
    expected: int | None
    cells: tuple[Cell, ...]
    strict: int
    ready: bool
    repeats: int | None
    incomplete: tuple[CellKey, ...] = ()
    all_metrics: bool = False
    foreign: tuple[Cell, ...] = ()
    unsigned: tuple[Cell, ...] = ()
    unreadable: tuple[Cell, ...] = ()
    faults: tuple[Cell, ...] = ()
    unjudged: int = 0
    artifacts: int = 0


def judge_cell(stage: Stage | str, run: int, document: Document, discarded: str | None = None) -> Cell:
    """Judge one repeat of one stage.

    The first of these that holds: no file (—); ✗ for an artifact that no value could be taken from or that
    is not of the right size; D for one that the artifact itself or a person disowns; △ for one whose samples did
    not all succeed; ✓. So ✗ goes before D: there was never an observation that could have been disowned, and the
    reason names the discard beside it. Both are run again.

    A docs stage (no metrics, no counts) is ✓ when its status is ok. A repeat in which no sample was run is ✗,
    even where nothing says how many were expected.

    Args:
        stage: The stage, or only its key where no manifest knows it: what has no fault of its own is then unknown.
        run: The repeat, counted from 1.
        document: The artifact as it was read, None when there is none.
        discarded: The reason of a person's journalled discard, None when there is none.
    """
    key = stage if isinstance(stage, str) else stage.key
    if document is None:
        return Cell(key, run, Mark.ABSENT, "not run yet", None, None)
    if isinstance(document, Broken):
        return Cell(key, run, Mark.BROKEN, one_line(f"unreadable: {document.reason}", 400), None, None)
    try:
        record = parse_record(document)
    except RecordError as error:
        sha = document.get("git_sha") if isinstance(document, dict) else None
        return Cell(
            key,
            run,
            Mark.BROKEN,
            one_line(f"unreadable: {error}", 400),
            sha if isinstance(sha, str) and sha else None,
            None,
        )
    schema = None if isinstance(stage, str) else stage
    missing = _missing_metric(schema, record)
    fault = _fault(schema, record, missing)
    has_metrics = record.status == "ok" and missing is None
    mark, reason, value, limit = _mark(stage, record, fault, discarded)
    return Cell(key, run, mark, reason, record.git_sha or None, record, has_metrics, value, limit)


_Judged = tuple[Mark, str, Union[str, int, float, None], Union[str, int, float, None]]


def _mark(stage: Stage | str, record: RunRecord, fault: _Judged | None, discarded: str | None) -> _Judged:
    if fault is not None:
        return (
            (fault[0], one_line(f"{fault[1]}; discarded as well: {discarded}", 600), *fault[2:])
            if discarded is not None
            else fault
        )
    if record.destructive:
        why = "; ".join(record.destructive_evidence[:3])
        said = one_line(f"destructive: {why}" if why else "the artifact says destructive", 400)
        return Mark.DISCARDED, said, "destructive", None
    if discarded is not None:
        return Mark.DISCARDED, one_line(f"discarded: {discarded}", 400), "discarded", None
    if record.ok != record.total and not (isinstance(stage, Stage) and stage.is_docs):
        return Mark.PARTIAL, f"{record.ok} of {record.total} samples ok", record.ok, record.total
    if isinstance(stage, str):
        return Mark.UNKNOWN, "no manifest says what a whole repeat is", None, None
    return Mark.STRICT, "", None, None


def _fault(stage: Stage | None, record: RunRecord, missing: str | None) -> _Judged | None:
    if record.status != "ok":
        said = f"status {record.status}" + (f": {record.reason}" if record.reason else "")
        return Mark.BROKEN, one_line(said, 400), one_line(record.status, 40), "ok"
    if record.observation_valid is False:
        return Mark.BROKEN, "the test says that the observation is not valid", "observation_valid false", None
    if missing is not None:
        said = f"{one_line(missing, 80)} is {'null' if missing in record.metrics else 'missing'}"
        return Mark.BROKEN, said, None, None
    if stage is not None and stage.is_docs:
        return None
    if stage is None and not record.metrics and record.total is None and record.ok is None:
        return None
    if record.total is None or record.ok is None:
        return Mark.BROKEN, f"sample_counts.{'total' if record.total is None else 'ok'} is null", None, None
    if stage is not None and stage.expected_samples is not None and record.total != stage.expected_samples:
        reason = f"{record.total} samples, expected {stage.expected_samples}"
        return Mark.BROKEN, reason, record.total, stage.expected_samples
    if record.total == 0:
        return Mark.BROKEN, "no sample was run", 0, None
    return None


def _missing_metric(stage: Stage | None, record: RunRecord) -> str | None:
    """The first metric without a value: of the stage's, or of the record's own where no manifest names them."""
    found = record.metrics
    for key in found if stage is None else [metric.key for metric in stage.metrics]:
        if found.get(key) is None:
            return key
    return None
