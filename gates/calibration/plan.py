"""What an apply would write: worst-of-N per metric, held against the literal that stands in the source.

spec/calibration.md, section 6. A plan is made only of a run that passed its gates. A row whose literal cannot be told
with certainty is kept, with its problem: its direction is unknown, and what is unknown is never written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Union, cast

from gates.calibration.assemble import Run
from gates.calibration.audit import Audit, Mark, StageAudit
from gates.calibration.environment import DIFFERS
from gates.calibration.layout import PLAN
from gates.calibration.rows import PlanRow, located_row, measured_row, parse_source
from gates.calibration.schema import Manifest, Stage
from gates.calibration.source import CONCURRENCY, Key, SourceFacts, number_of
from gates.calibration.values import finite
from gates.calibration.words import one_line
from gates.documents import Json
from gates.verdict import Decision, Verdict

__all__ = ["NOT_READY", "ApplyPlan", "PlanRefused", "PlanRow", "PlanStage", "make_plan", "not_ready", "plan_json"]

NOT_READY = "run_not_ready"

_MOST_REASONS = 60

_Place = tuple[str, str, Union[str, None]]


class PlanRefused(ValueError):  # noqa: N818 -- a refusal is an answer, not a fault
    """The run has not earned a plan; `reasons` say why, one sentence each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class PlanStage:
    """One stage's rows.

    Attributes:
        effective_n: How many strict repeats the worst was taken of; N or more.
        concurrency: CONCURRENCY's literal in the test file, else the sole outer key of the stage's constants.
    """

    stage_key: str
    effective_n: int
    test: str
    threshold_file: str | None
    title: str
    group: str
    variant: str | None
    calibration_preset: str | None
    gpus: int | None
    concurrency: Key | None
    rows: tuple[PlanRow, ...]


@dataclass(frozen=True)
class ApplyPlan:
    """All stages but docs stages, in the order of the run's plan.

    Attributes:
        git_sha: The calibration's commit.
        files: sha256 of every source that was looked at, by path; a file that has another one is not edited.
    """

    model: str
    repeats: int
    git_sha: str | None
    stages: tuple[PlanStage, ...]
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def rows(self) -> tuple[PlanRow, ...]:
        """Every row, in order."""
        return tuple(row for stage in self.stages for row in stage.rows)


def make_plan(
    run: Run,
    audit: Audit,
    manifest: Manifest,
    facts: Mapping[str, SourceFacts] | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
) -> ApplyPlan:
    """Plan an apply.

    Args:
        run: The run.
        audit: Its audit.
        manifest: Names the constants.
        facts: What the sources say, by path; None, or without a file, leaves what stands there unknown.
        filters: Per stage the `constant_filter`s of its preset and variant, as far as they are known; a symbol that
            one of them does not admit is not touched.

    Raises:
        PlanRefused: A gate does not pass, or a value is missing.
    """
    reasons = not_ready(audit)
    if run.plan is None or reasons:
        raise PlanRefused(reasons or [f"no {PLAN}"])
    stages: list[PlanStage] = []
    for key in run.plan.stages:
        stage, judged = manifest.get(key), audit.get(key)
        if stage is None or judged is None:
            reasons.append(f"{key} is not in the manifest")
        elif not stage.is_docs:
            try:
                stages.append(
                    plan_stage(stage, judged, audit.git_sha, run.plan.repeats, facts, (filters or {}).get(key))
                )
            except ValueError as error:
                reasons.append(one_line(f"{key}: {error}"))
    if reasons:
        raise PlanRefused(reasons)
    plan = ApplyPlan(
        model=run.plan.model,
        repeats=run.plan.repeats,
        git_sha=audit.git_sha,
        stages=tuple(stages),
        files=MappingProxyType({path: one.sha256 for path, one in (facts or {}).items() if one.error is None}),
    )
    return _isolated(plan, manifest)


def not_ready(audit: Audit) -> list[str]:
    """Why nothing may be planned of a run, one sentence each; empty when it may.

    An environment that is not known is stated by the audit and holds nothing back; one that differs does.
    """
    reasons: list[str] = []
    if audit.strict.decision is not Decision.PASS:
        reasons.append(f"strict: {_said(audit.strict)}")
        reasons.extend(f"strict: {gap}" for gap in audit.strict.missing)
        reasons.extend(f"{item.file}: {item.what}" for item in audit.strict.evidence if item.file)
    if audit.provenance.decision is not Decision.PASS:
        reasons.append(f"provenance: {_said(audit.provenance)}")
    if audit.environment.outcome == DIFFERS:
        reasons.append(f"environment: {_said(audit.environment)}")
    more = len(reasons) - _MOST_REASONS
    return [*reasons[:_MOST_REASONS], f"and {more} more"] if more > 0 else reasons


def plan_json(plan: ApplyPlan | PlanRefused, run_dir: str = "") -> dict[str, Json]:
    """The plan in the shape that scripts know, or the refusal in its own."""
    if isinstance(plan, PlanRefused):
        return {"error": NOT_READY, "reasons": list(plan.reasons)}
    return {
        "model": plan.model,
        "run_dir": run_dir,
        "repeats": plan.repeats,
        "stages": [
            {
                "stage_key": stage.stage_key,
                "effective_n": stage.effective_n,
                "test": stage.test,
                "threshold_file": stage.threshold_file,
                "title": stage.title,
                "stage_group": stage.group,
                "variant": stage.variant,
                "calibration_preset": stage.calibration_preset,
                "gpus": stage.gpus,
                "concurrency": stage.concurrency,
                "metrics": [_row_json(row) for row in stage.rows],
            }
            for stage in plan.stages
        ],
    }


def _said(verdict: Verdict) -> str:
    return one_line(f"{verdict.outcome} ({verdict.detail})" if verdict.detail else verdict.outcome, 400)


def _row_json(row: PlanRow) -> Json:
    return {
        "metric_key": row.metric_key,
        "source": row.source,
        "source_kind": row.source_kind,
        "symbol": row.symbol,
        "subkey": row.subkey,
        "worst_op": row.worst_op,
        "per_run_raw": cast("list[Json]", list(row.per_run_raw)),
        "worst_raw": row.worst_raw,
        "worst_rounded": row.worst_rounded,
        "write_value": row.write_value,
        "digits": row.digits,
        "scale": row.scale,
        "label": row.label,
        "current_raw": row.current_raw,
        "direction": row.direction,
    }


def plan_stage(
    stage: Stage,
    judged: StageAudit,
    sha: str | None,
    repeats: int,
    facts: Mapping[str, SourceFacts] | None,
    filters: Sequence[str] | None,
) -> PlanStage:
    """One stage's rows, of its strict repeats of commit `sha`.

    Raises:
        ValueError: There are fewer of them than `repeats`, or one of them lacks a value.
    """
    strict = {
        cell.run: cell.record
        for cell in judged.cells
        if cell.mark is Mark.STRICT and cell.record is not None and sha is not None and cell.git_sha == sha
    }
    if len(strict) < repeats:
        raise ValueError(f"{len(strict)} of {repeats} strict repeats of the calibration's commit")
    runs = tuple(sorted(strict))
    concurrency = number_of(facts, stage.test, CONCURRENCY) if facts is not None else None
    outer = concurrency.value if concurrency is not None else None
    samples = {record.total for record in strict.values()}
    rows: list[PlanRow] = []
    for metric in stage.metrics:
        try:
            values = tuple(finite(strict[run].metrics.get(metric.key)) for run in runs)
        except ValueError as error:
            raise ValueError(f"{metric.key} of a strict repeat is {error}") from None
        row = measured_row(stage, metric, runs, values, next(iter(samples)) if len(samples) == 1 else None)
        rows.append(located_row(row, stage, facts, outer, filters))
    found = {row.outer for row in rows if row.outer is not None}
    return PlanStage(
        stage_key=stage.key,
        effective_n=len(runs),
        test=stage.test,
        threshold_file=stage.threshold_file,
        title=stage.title,
        group=stage.group,
        variant=stage.variant,
        calibration_preset=stage.calibration_preset,
        gpus=stage.gpus,
        concurrency=outer if outer is not None else found.pop() if len(found) == 1 else None,
        rows=tuple(rows),
    )


def _isolated(plan: ApplyPlan, manifest: Manifest) -> ApplyPlan:
    """Rows that share a literal: never between presets, and with another value not at all."""
    owners: dict[_Place, list[tuple[str, str | None]]] = {}
    for stage in manifest.stages:
        for metric in stage.metrics:
            parsed = parse_source(metric.source)
            if parsed is not None and stage.calibration_preset is not None:
                place = (stage.threshold_file or stage.test, *parsed)
                owners.setdefault(place, []).append((f"{stage.key}/{metric.source}", stage.calibration_preset))
    sharing: dict[tuple[int, int, str], list[PlanRow]] = {}
    spans = {row.answer_key: row.span for row in plan.rows if row.span is not None}
    for row in plan.rows:
        if row.span is not None:
            sharing.setdefault((row.span[0], row.span[1], row.file), []).append(row)

    def checked(row: PlanRow) -> PlanRow:
        if row.span is None:
            return row
        for other in sharing[row.span[0], row.span[1], row.file]:
            if other.write_value != row.write_value:
                return _conflicting(row, f"{other.answer_key} plans {other.write_text} for the same literal")
        for name, preset in owners.get((row.file, row.symbol, row.subkey), ()):
            if row.calibration_preset not in (None, preset) and spans.get(name, row.span) == row.span:
                return _conflicting(row, f"{name} of preset {preset} has the same literal")
        return row

    stages = (replace(stage, rows=tuple(map(checked, stage.rows))) for stage in plan.stages)
    return replace(plan, stages=tuple(stages))


def _conflicting(row: PlanRow, why: str) -> PlanRow:
    return replace(row, direction="unknown", problem=one_line(why, 400))
