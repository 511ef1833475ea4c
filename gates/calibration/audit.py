"""The strict audit: which repeats count, and may anything be made of them (spec/calibration.md, section 5).

Three gates: strict (every stage has N whole repeats), provenance (every artifact carries the calibration's
commit) and environment. Cells are judged one by one and stages are summed up from their cells, so that an
audit after one changed file costs one cell and the sums.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gates.calibration.assemble import CellKey, Run
from gates.calibration.cells import Cell, Mark, StageAudit, judge_cell
from gates.calibration.environment import OK as ENVIRONMENT_OK
from gates.calibration.environment import judge_environment
from gates.calibration.layout import PLAN, parse_cell_path
from gates.calibration.records import Plan
from gates.calibration.schema import Manifest
from gates.calibration.verdicts import (
    NOT_READY,
    READY,
    judge_provenance,
    judge_strict,
    judge_together,
    plan_sha,
)
from gates.verdict import Decision, Verdict

__all__ = ["Audit", "Cell", "Mark", "StageAudit", "audit", "audit_lines", "judge_cell", "reaudit"]


@dataclass(frozen=True)
class _Basis:
    """What an audit was made from, so that the next one knows what it may keep."""

    plan: Plan | None
    manifest: Manifest | None
    discards: Mapping[CellKey, str]
    index: Mapping[str, int]


@dataclass(frozen=True)
class Audit:
    """A run, judged.

    Attributes:
        stages: In the order of the plan; without a plan those that are on disk, sorted.
        ready_count: How many stages are strict-ready.
        strict: Has every stage N whole repeats?
        provenance: Does every artifact carry the calibration's commit?
        environment: Was it the machine of the reference?
        verdict: The three together.
        repeats: N, None without a plan.
        git_sha: The calibration's commit, None where the plan has none.
        complete: Every repeat has all its metrics; a progress signal, never shown as done.
        strict_complete: Every stage is strict-ready.
        incomplete: (stage, run) of what has to be run, see `StageAudit.incomplete`.
        findings: Contradictions within the run, as `Run.findings`.
    """

    stages: tuple[StageAudit, ...]
    ready_count: int
    strict: Verdict
    provenance: Verdict
    environment: Verdict
    verdict: Verdict
    repeats: int | None
    git_sha: str | None
    complete: bool
    strict_complete: bool
    incomplete: tuple[CellKey, ...]
    findings: tuple[str, ...]
    _basis: _Basis = field(repr=False, compare=False)

    def get(self, stage: str) -> StageAudit | None:
        """One stage's audit, None when the run does not have it."""
        place = self._basis.index.get(stage)
        return None if place is None else self.stages[place]


def audit(run: Run) -> Audit:
    """Judge a whole run."""
    repeats = run.plan.repeats if run.plan is not None else None
    extra: dict[str, list[int]] = {}
    for stage, number in run.cells:
        if repeats is None or number > repeats:
            extra.setdefault(stage, []).append(number)
    keys = run.plan.stages if run.plan is not None else tuple(sorted(extra))
    stages = [_stage(run, key, [*range(1, (repeats or 0) + 1), *sorted(extra.get(key, ()))], None) for key in keys]
    return _sum_up(run, tuple(stages), MappingProxyType({key: place for place, key in enumerate(keys)}))


def reaudit(previous: Audit, run: Run, changed: Collection[str]) -> Audit:
    """Judge a run again after some of its files changed; equal to `audit(run)`.

    Args:
        previous: The audit of before.
        run: The run as it is now.
        changed: Paths that were added, changed or removed since; may name more, never less.
    """
    basis = previous._basis
    if not _same(basis.plan, run.plan) or not _same(basis.manifest, run.manifest) or run.plan is None:
        return audit(run)
    stale: dict[str, set[int]] = {}
    for path in changed:
        key = parse_cell_path(path)
        if key is not None and key[0] in basis.index:
            stale.setdefault(key[0], set()).add(key[1])
    if basis.discards != run.discards:
        for key in basis.discards.keys() | run.discards.keys():
            if basis.discards.get(key) != run.discards.get(key) and key[0] in basis.index:
                stale.setdefault(key[0], set()).add(key[1])
    if not stale:
        return _sum_up(run, previous.stages, basis.index)
    stages = list(previous.stages)
    for name, numbers in stale.items():
        place = basis.index[name]
        known = {cell.run: cell for cell in stages[place].cells if cell.run not in numbers}
        beyond = {number for number in (*known, *numbers) if number > run.plan.repeats and (name, number) in run.cells}
        stages[place] = _stage(run, name, [*range(1, run.plan.repeats + 1), *sorted(beyond)], known)
    return _sum_up(run, tuple(stages), basis.index)


def audit_lines(result: Audit) -> list[str]:
    """The audit as text, in the form that scripts know; the last line is the verdict on strict and git."""
    sha, provenance, environment = result.git_sha, result.provenance, result.environment
    lines = [f"calibration_git_sha: {sha or 'unknown'}", f"GIT PROVENANCE: {_worded(provenance)}"]
    lines.append(f"ENVIRONMENT: {ENVIRONMENT_OK if environment.outcome == ENVIRONMENT_OK else _worded(environment)}")
    for stage in result.stages:
        marks = "".join(cell.mark.value for cell in stage.cells)
        share = f"{stage.strict}/{stage.repeats}" if stage.repeats is not None else f"{stage.strict}"
        pinned = f", expected={stage.expected}" if stage.expected is not None else ""
        lines.append(f"{stage.key}: {marks} ({share} strict{pinned})")
    if result.repeats is None:
        lines.append(f"STRICT READY: unknown (no {PLAN})")
    else:
        lines.append(f"STRICT READY: {result.ready_count}/{len(result.stages)} stages ({result.repeats} repeats each)")
    both = result.strict.decision is Decision.PASS and provenance.decision is Decision.PASS
    lines.append(f"STRICT + GIT: {READY if both else NOT_READY}")
    return lines


def _stage(run: Run, key: str, numbers: Iterable[int], known: Mapping[int, Cell] | None) -> StageAudit:
    schema = run.manifest.get(key) if run.manifest is not None else None
    known = known or {}
    cells = tuple(
        known[number]
        if number in known
        else judge_cell(schema or key, number, run.cells.get((key, number)), run.discards.get((key, number)))
        for number in numbers
    )
    repeats = run.plan.repeats if run.plan is not None else None
    sha = plan_sha(run.plan)
    strict = unjudged = 0
    foreign: list[Cell] = []
    unsigned: list[Cell] = []
    unreadable: list[Cell] = []
    faults: list[Cell] = []
    for cell in cells:
        strict += cell.mark is Mark.STRICT
        if cell.mark is Mark.ABSENT:
            continue
        if cell.mark is Mark.UNKNOWN:
            unjudged += 1
        elif cell.mark is not Mark.STRICT:
            faults.append(cell)
        if cell.git_sha is None:
            (unsigned if cell.record is not None else unreadable).append(cell)
        elif sha is not None and cell.git_sha != sha:
            foreign.append(cell)
    ready = repeats is not None and strict >= repeats
    unfit = {cell.run for cell in (*foreign, *unsigned, *unreadable)} if sha is not None else set()
    planned = cells[: repeats or 0]
    return StageAudit(
        key=key,
        expected=schema.expected_samples if schema is not None else None,
        cells=cells,
        strict=strict,
        ready=ready,
        repeats=repeats,
        incomplete=tuple(
            (key, cell.run) for cell in planned if (not ready and cell.mark is not Mark.STRICT) or cell.run in unfit
        ),
        all_metrics=bool(planned) and all(cell.has_metrics for cell in planned),
        foreign=tuple(foreign),
        unsigned=tuple(unsigned),
        unreadable=tuple(unreadable),
        faults=tuple(faults),
        unjudged=unjudged,
        artifacts=sum(cell.mark is not Mark.ABSENT for cell in cells),
    )


def _sum_up(run: Run, stages: tuple[StageAudit, ...], index: Mapping[str, int]) -> Audit:
    ready = sum(stage.ready for stage in stages)
    strict = judge_strict(run, stages, ready)
    provenance = judge_provenance(run, stages)
    environment = judge_environment(run.fingerprint, run.reference)
    incomplete: list[CellKey] = []
    for stage in stages:
        incomplete.extend(stage.incomplete)
    everything = run.plan is not None and bool(stages)
    return Audit(
        stages=stages,
        ready_count=ready,
        strict=strict,
        provenance=provenance,
        environment=environment,
        verdict=judge_together(strict, provenance, environment),
        repeats=run.plan.repeats if run.plan is not None else None,
        git_sha=plan_sha(run.plan),
        complete=everything and all(stage.all_metrics for stage in stages),
        strict_complete=everything and ready == len(stages),
        incomplete=tuple(incomplete),
        findings=run.findings,
        _basis=_Basis(run.plan, run.manifest, run.discards, index),
    )


def _same(one: Plan | Manifest | None, other: Plan | Manifest | None) -> bool:
    return one is other or one == other


def _worded(verdict: Verdict) -> str:
    return f"{verdict.outcome} ({verdict.detail})" if verdict.detail else verdict.outcome
