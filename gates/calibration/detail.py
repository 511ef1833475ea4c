"""One stage as it stands, finished or not: every repeat's values, and what they would come to if it ended now.

What is shown here is a preview; only a plan of a run that passed its gates is ever written (spec/calibration.md,
sections 5 and 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from gates.calibration.assemble import Run
from gates.calibration.audit import Audit, Cell
from gates.calibration.estimates import Estimate, estimate_row, slack_of_row
from gates.calibration.plan import plan_stage
from gates.calibration.rows import PlanRow
from gates.calibration.schema import Metric, Stage
from gates.calibration.source import SourceFacts
from gates.calibration.words import one_line
from gates.journal import Journal

Number = Union[int, float]


@dataclass(frozen=True)
class MetricDetail:
    """One metric of a stage.

    Attributes:
        values: One per cell of the stage, in its order; None where there is none. A value of a repeat that is not
            strict is there too: it is shown, and counts for nothing.
        row: What the strict repeats would come to, None before the first one.
        estimate: How often that would fail a healthy run, None where there is no row.
    """

    metric: Metric
    values: tuple[Number | None, ...]
    row: PlanRow | None
    estimate: Estimate | None


@dataclass(frozen=True)
class StageDetail:
    """One stage.

    Attributes:
        stage: Its manifest entry, None where no manifest knows it.
        cells: Its repeats.
        repeats: How many the plan asks for, None without a plan.
        metrics: In the order of the manifest.
        problem: Why there are no rows although there are strict repeats, or "".
    """

    key: str
    stage: Stage | None
    cells: tuple[Cell, ...]
    repeats: int | None
    metrics: tuple[MetricDetail, ...]
    problem: str = ""


def stage_detail(
    run: Run,
    audit: Audit,
    key: str,
    facts: Mapping[str, SourceFacts] | None = None,
    filters: Sequence[str] | None = None,
    journal: Journal | None = None,
    slack: Mapping[str, float] | None = None,
) -> StageDetail | None:
    """Everything that is known of one stage; None where the run does not have it.

    Args:
        facts: What the sources say, by path; None leaves what stands there unknown.
        filters: The `constant_filter`s of its preset and variant, as far as they are known.
        journal: Tells sessions apart.
        slack: The project's slack from its configuration, for sources that do not say it.
    """
    judged = audit.get(key)
    if judged is None:
        return None
    stage = run.manifest.get(key) if run.manifest is not None else None
    if stage is None:
        return StageDetail(key, None, judged.cells, audit.repeats, (), "no manifest knows this stage")
    rows: dict[str, PlanRow] = {}
    problem = ""
    if stage.metrics and judged.strict:
        try:
            rows = {row.metric_key: row for row in plan_stage(stage, judged, audit.git_sha, 1, facts, filters).rows}
        except ValueError as error:
            problem = one_line(str(error))
    metrics = []
    for metric in stage.metrics:
        values = tuple(
            cell.record.metrics.get(metric.key) if cell.record is not None else None for cell in judged.cells
        )
        row = rows.get(metric.key)
        found = None if row is None else estimate_row(row, slack_of_row(row, facts, slack), journal)
        metrics.append(MetricDetail(metric, values, row, found))
    return StageDetail(key, stage, judged.cells, audit.repeats, tuple(metrics), problem)
