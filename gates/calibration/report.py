"""The observation report as a value: made from a run that both gates let through (spec/calibration.md, section 7).

The same run gives the same report on every machine. `report_text` writes it as Markdown and `report_json` as JSON.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from gates.calibration.applied import AppliedRow
from gates.calibration.assemble import Run
from gates.calibration.audit import Audit
from gates.calibration.cells import Cell, Mark, StageAudit
from gates.calibration.context import Context, Gpus, gpus_of, same, variables_of
from gates.calibration.reliability import Reliability, reliability_of
from gates.calibration.schema import Metric, Stage
from gates.calibration.since import Since
from gates.calibration.source import SourceFacts
from gates.calibration.values import Number, Worst, shown, worst_of
from gates.calibration.words import one_line
from gates.documents import Document, Json
from gates.verdict import Decision, Verdict

_MOST_REASONS = 20
_SHOWN_FINGERPRINT = ("hostname", "image", "gpu_model", "gpu_count", "driver", "cuda", "python")


@dataclass(frozen=True)
class Spread:
    """What the runs' raw values do; None where a number does not exist (a deviation of one run) or overflows."""

    low: Number
    median: Number | None
    mean: Number | None
    high: Number
    deviation: Number | None

    @property
    def variation(self) -> float | None:
        """The deviation in percent of the mean."""
        if self.deviation is None or not self.mean:
            return None
        found = 100 * self.deviation / abs(self.mean)
        return found if math.isfinite(found) else None


@dataclass(frozen=True)
class Column:
    """One metric of a stage.

    Attributes:
        key: Such as "rtf_mean".
        source: The constant it comes from.
        values: Raw, one per row.
        worst_raw: The worst of them.
    """

    key: str
    source: str
    label: str
    worst: Worst
    scale: Number
    digits: int
    values: tuple[Number, ...]
    worst_raw: Number
    spread: Spread

    def text(self, value: Number | None) -> str | None:
        """A raw value as the tables show it."""
        return None if value is None else shown(value, self.scale, self.digits)


@dataclass(frozen=True)
class Row:
    """One strict run of a stage."""

    run: int
    total: int | None
    ok: int | None


@dataclass(frozen=True)
class Section:
    """One stage.

    Attributes:
        rows: Its strict runs, which alone make the worst-of-N.
        left_out: What lies there and does not count, each with its reason.
    """

    key: str
    title: str
    group: str
    test: str
    context: Context
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from; None where it was not recorded.

    Attributes:
        head: HEAD of the repository when the report was made.
        head_note: What follows from that, or why it is not known; "" when HEAD is the calibration's commit.
        fingerprint: What the run was made on, as far as it is shown.
        notes: What is worth a word and contradicts nothing.
    """

    run: str
    branch: str | None
    dirty: bool | None
    started_at: str | None
    recorded: tuple[str, str] | None
    host: str | None
    venv_python: str | None
    venv_source: str | None
    tool: str | None
    manifest: str
    strict: Verdict
    provenance: Verdict
    environment: Verdict
    digest: str
    head: str | None
    head_note: str
    fingerprint: tuple[tuple[str, str], ...]
    discards: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """A calibration, ready to be read.

    Attributes:
        git_sha: The calibration's commit.
        repeats: N.
        estimates: How often each gate would fail a healthy run; JSON data by stage and metric.
        estimate_lines: The same as Markdown lines.
        applied: Only what was really edited.
        since: What changed since an earlier calibration, when that was asked for.
    """

    model: str
    git_sha: str
    repeats: int
    sections: tuple[Section, ...]
    reliability: Reliability
    estimates: Json
    estimate_lines: tuple[str, ...]
    applied: tuple[AppliedRow, ...]
    since: Since | None
    provenance: Provenance


@dataclass(frozen=True)
class Surroundings:
    """What a report says beside the run directory's own records.

    Attributes:
        run: The run directory's name.
        facts: Of the test and threshold files, by path; empty where they could not be read.
        head: HEAD of the repository, None where it is not known, for the reason in `head_problem`.
    """

    run: str
    facts: Mapping[str, SourceFacts]
    head: str | None = None
    head_problem: str = ""
    applied: tuple[AppliedRow, ...] = ()
    since: Since | None = None
    estimates: Json = None
    estimate_lines: tuple[str, ...] = ()
    precheck: Document | None = None


def refusal(audit: Audit) -> tuple[str, ...]:
    """Why there is no report yet, one sentence each; empty when both gates pass."""
    reasons: list[str] = []
    for word, verdict in (("strict", audit.strict), ("provenance", audit.provenance)):
        if verdict.decision is Decision.PASS:
            continue
        reasons.append(one_line(f"{word}: {verdict.detail or verdict.outcome}", 400))
        reasons.extend(one_line(f"{word}: {item}", 400) for item in verdict.missing[: _MOST_REASONS // 2])
    if not reasons and not audit.stages:
        reasons.append("there are no stages")
    return tuple(dict.fromkeys(reasons))[:_MOST_REASONS]


def make_report(run: Run, audit: Audit, around: Surroundings) -> Report:
    """The report of a run that both gates let through (`refusal` is empty)."""
    assert run.plan is not None
    assert run.manifest is not None
    gpus = gpus_of(around.precheck, run.fingerprint)
    sections: list[Section] = []
    for found in audit.stages:
        stage = run.manifest.get(found.key)
        assert stage is not None  # a stage without a manifest has no strict cell
        sections.append(_section(stage, found, gpus, around.facts))
    return Report(
        model=run.plan.model,
        git_sha=audit.git_sha or "",
        repeats=run.plan.repeats,
        sections=tuple(sections),
        reliability=reliability_of(run, audit),
        estimates=around.estimates,
        estimate_lines=around.estimate_lines,
        applied=around.applied,
        since=around.since,
        provenance=_provenance(run, audit, around),
    )


def report_json(report: Report) -> dict[str, Json]:
    """The report as JSON data; raw values as they were recorded, and as they are shown."""
    provenance = report.provenance
    return {
        "model": report.model,
        "calibration_git_sha": report.git_sha,
        "repeats": report.repeats,
        "stages": [_section_json(section) for section in report.sections],
        "reliability": report.reliability.to_json(),
        "estimates": report.estimates,
        "applied": [row.to_json() for row in report.applied],
        "since": None if report.since is None else report.since.to_json(),
        "provenance": {
            "run": provenance.run,
            "git_branch": provenance.branch,
            "dirty": provenance.dirty,
            "calibration_started_at": provenance.started_at,
            "recorded": None if provenance.recorded is None else list(provenance.recorded),
            "host": provenance.host,
            "venv_python": provenance.venv_python,
            "venv_source": provenance.venv_source,
            "tune_version": provenance.tool,
            "stages_yaml": provenance.manifest,
            "strict": provenance.strict.outcome,
            "git_provenance": provenance.provenance.outcome,
            "environment": provenance.environment.outcome,
            "environment_detail": provenance.environment.detail,
            "audit_digest": provenance.digest,
            "head": provenance.head,
            "head_note": provenance.head_note,
            "fingerprint": dict(provenance.fingerprint),
            "discards": [{"cell": cell, "reason": reason} for cell, reason in provenance.discards],
            "notes": list(provenance.notes),
        },
    }


def _section(stage: Stage, found: StageAudit, gpus: Gpus, facts: Mapping[str, SourceFacts]) -> Section:
    strict = [cell for cell in found.cells if cell.mark is Mark.STRICT]
    return Section(
        key=stage.key,
        title=stage.title,
        group=stage.group,
        test=stage.test,
        context=_context(stage, strict, gpus, facts),
        rows=tuple(Row(cell.run, cell.record.total, cell.record.ok) for cell in strict if cell.record is not None),
        columns=tuple(_column(metric, strict) for metric in stage.metrics),
        left_out=tuple(
            one_line(f"run {cell.run} {cell.mark.value} {cell.reason}", 400)
            for cell in found.cells
            if cell.mark not in (Mark.STRICT, Mark.ABSENT)
        ),
    )


def _column(metric: Metric, strict: Sequence[Cell]) -> Column:
    values = tuple(
        value
        for cell in strict
        if cell.record is not None and (value := cell.record.metrics.get(metric.key)) is not None
    )
    display = metric.display
    return Column(
        key=metric.key,
        source=metric.source,
        label=display.label,
        worst=metric.worst,
        scale=display.scale,
        digits=display.digits,
        values=values,
        worst_raw=worst_of(values, metric.worst),
        spread=_spread(values),
    )


def _spread(values: Sequence[Number]) -> Spread:
    return Spread(
        low=min(values),
        median=_finite(lambda: statistics.median(values)),
        mean=_finite(lambda: statistics.mean(values)),
        high=max(values),
        deviation=_finite(lambda: statistics.stdev(values)) if len(values) > 1 else None,
    )


def _finite(compute: Callable[[], Number]) -> Number | None:
    try:
        found = compute()
    except (OverflowError, ZeroDivisionError):
        return None
    return found if math.isfinite(found) else None


def _context(stage: Stage, cells: Sequence[Cell], gpus: Gpus, facts: Mapping[str, SourceFacts]) -> Context:
    records = [cell.record for cell in cells if cell.record is not None]
    return Context(
        gpus=gpus,
        used=same([len(record.gpu_indices) or None for record in records]),
        samples=same([record.total for record in records]),
        pinned=stage.expected_samples is not None,
        variables=variables_of(stage, facts),
        runs=len(cells),
        docs=stage.is_docs,
    )


def _provenance(run: Run, audit: Audit, around: Surroundings) -> Provenance:
    plan = run.plan
    assert plan is not None
    times = sorted(
        cell.record.recorded_at
        for stage in audit.stages
        for cell in stage.cells
        if cell.record is not None and cell.record.recorded_at
    )
    host = plan.raw.get("host")
    frozen = "as frozen in the run directory" if run.manifest_from == "frozen" else "the checkout's"
    return Provenance(
        run=around.run,
        branch=plan.git_branch,
        dirty=plan.dirty,
        started_at=plan.calibration_started_at or plan.timestamp,
        recorded=(times[0], times[-1]) if times else None,
        host=host if isinstance(host, str) else None,
        venv_python=plan.venv_python,
        venv_source=plan.venv_source,
        tool=plan.tune_version,
        manifest=f"{plan.stages_yaml or 'stages.yaml'}, {frozen}",
        strict=audit.strict,
        provenance=audit.provenance,
        environment=audit.environment,
        digest=audit.verdict.digest(),
        head=around.head,
        head_note=_head_note(audit.git_sha, around),
        fingerprint=_fingerprint(run.fingerprint),
        discards=tuple((f"{stage} run {number}", reason) for (stage, number), reason in sorted(run.discards.items())),
        notes=run.notes,
    )


def _head_note(git_sha: str | None, around: Surroundings) -> str:
    if around.head is None:
        return around.head_problem or "HEAD is not known"
    if around.head == git_sha:
        return ""
    return "no longer the calibration's commit"


def _fingerprint(document: Document | None) -> tuple[tuple[str, str], ...]:
    if not isinstance(document, dict):
        return ()
    found = [(name, str(value)) for name in _SHOWN_FINGERPRINT if (value := document.get(name)) not in (None, "")]
    pins = document.get("pins")
    if isinstance(pins, dict):
        found.extend((name, version) for name, version in pins.items() if isinstance(version, str))
    return tuple(found)


def _section_json(section: Section) -> Json:
    return {
        "stage_key": section.key,
        "title": section.title,
        "stage_group": section.group,
        "test": section.test,
        "context": section.context.to_json(),
        "effective_n": len(section.rows),
        "rows": [
            {
                **asdict(row),
                "values": {column.key: column.values[place] for column in section.columns},
                "shown": {column.key: column.text(column.values[place]) for column in section.columns},
            }
            for place, row in enumerate(section.rows)
        ],
        "metrics": [
            {
                "metric_key": column.key,
                "source": column.source,
                "label": column.label,
                "worst_op": column.worst,
                "scale": column.scale,
                "digits": column.digits,
                "per_run_raw": list(column.values),
                "worst_raw": column.worst_raw,
                "worst_shown": column.text(column.worst_raw),
                "statistics": {**asdict(column.spread), "variation_percent": column.spread.variation},
            }
            for column in section.columns
        ],
        "left_out": list(section.left_out),
    }
