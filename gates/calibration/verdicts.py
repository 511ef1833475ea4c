"""The verdicts over a run's stages: strict, provenance, and the two with the environment (spec section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, islice

from gates.calibration.assemble import Run
from gates.calibration.cells import Cell, StageAudit
from gates.calibration.environment import DIFFERS
from gates.calibration.layout import PLAN
from gates.calibration.records import Plan
from gates.calibration.words import one_line, shown_of
from gates.verdict import Decision, Evidence, Verdict, combine

STRICT_GATE = "calibration.strict"
PROVENANCE_GATE = "calibration.provenance"
GATE = "calibration.audit"
READY = "READY"
NOT_READY = "NOT READY"

_MOST = 50
_NAMED = 3
_SHA = re.compile(r"[0-9a-fA-F]{7,64}")


def plan_sha(plan: Plan | None) -> str | None:
    """The calibration's commit, None where the plan does not have one."""
    # A tool that could not ask git may have left a word here; equal words would prove nothing.
    sha = plan.calibration_git_sha if plan is not None else None
    return sha if sha is not None and _SHA.fullmatch(sha) else None


def judge_strict(run: Run, stages: tuple[StageAudit, ...], ready: int) -> Verdict:
    """Has every stage N whole repeats? Contradictions make it unknown at best, a missing plan or manifest always."""
    short = [stage for stage in stages if not stage.ready]
    evidence = [Evidence(finding) for finding in run.findings[:_MOST]]
    count = sum(len(stage.faults) for stage in short)
    evidence.extend(
        Evidence(f"{cell.mark.value} {cell.reason}", cell.path, None, cell.value, cell.limit)
        for cell in _first_cells(stage.faults for stage in short)
    )
    evidence.extend(_rest(count))
    missing = _absent_inputs(run)
    if missing:
        detail = f"cannot be judged: {', '.join(missing)} missing"
        return Verdict(STRICT_GATE, Decision.UNKNOWN, NOT_READY, "input", detail, tuple(evidence), missing)
    assert run.plan is not None
    detail = f"{ready} of {len(stages)} stages have {run.plan.repeats} strict repeats"
    gaps = tuple(
        f"{stage.key}: {run.plan.repeats - stage.strict} of {run.plan.repeats} repeats missing"
        for stage in short[:_MOST]
    )
    gaps += (f"and {len(short) - _MOST} stages more",) if len(short) > _MOST else ()
    unknown = any(stage.unjudged for stage in short)
    decision = combine(
        [
            Decision.FAIL if count else Decision.PASS,
            Decision.UNKNOWN if run.findings or unknown else Decision.PASS,
            Decision.NOT_YET if short else Decision.PASS,
        ]
    )
    if run.findings:
        detail = f"{detail}; {run.findings[0]}"
    failure = {Decision.FAIL: "incomplete", Decision.UNKNOWN: "contradiction" if run.findings else "input"}.get(
        decision
    )
    outcome = READY if decision is Decision.PASS else NOT_READY
    action = "resume the run" if short and decision is not Decision.UNKNOWN else None
    return Verdict(STRICT_GATE, decision, outcome, failure, detail, tuple(evidence), gaps, action)


def _absent_inputs(run: Run) -> tuple[str, ...]:
    named = ((run.plan, PLAN), (run.manifest, "a manifest (stages.yaml)"))
    return tuple(name for value, name in named if value is None)


def judge_provenance(run: Run, stages: tuple[StageAudit, ...]) -> Verdict:
    """Does every artifact carry the calibration's commit? A missing one and another one are both told."""
    sha = plan_sha(run.plan)
    if sha is None:
        what = f"no {PLAN}" if run.plan is None else f"{PLAN} has no calibration_git_sha"
        return Verdict(PROVENANCE_GATE, Decision.UNKNOWN, "unknown", "input", what, missing=("calibration_git_sha",))
    foreign, n_foreign = _collect(stage.foreign for stage in stages)
    unsigned, n_unsigned = _collect(stage.unsigned for stage in stages)
    unreadable, n_unreadable = _collect(stage.unreadable for stage in stages)
    evidence = [Evidence("another commit", cell.path, None, one_line(cell.git_sha, 64), sha) for cell in foreign]
    evidence += [Evidence("no git_sha", cell.path, None, None, sha) for cell in unsigned]
    evidence += [Evidence("unreadable, so its git_sha is not known", cell.path, None, None, sha) for cell in unreadable]
    evidence = [*evidence[:_MOST], *_rest(n_foreign + n_unsigned + n_unreadable)]
    said: list[str] = []
    if foreign:
        named = [f"{cell.path} has {one_line(cell.git_sha, 64)}" for cell in foreign[: shown_of(n_foreign, _NAMED)]]
        verb = "differs" if n_foreign == 1 else "differ"
        said.append(f"{_artifacts(n_foreign)} {verb}: {_listed(named, n_foreign)}")
    if unsigned:
        said.append(f"{_artifacts(n_unsigned, not said)} without git_sha: {_paths(unsigned, n_unsigned)}")
    if unreadable:
        said.append(f"{_artifacts(n_unreadable, not said)} unreadable: {_paths(unreadable, n_unreadable)}")
    detail = "; ".join(said)
    if foreign or unsigned:
        return Verdict(PROVENANCE_GATE, Decision.FAIL, "FAIL", "provenance", detail, tuple(evidence))
    if unreadable:
        return Verdict(
            PROVENANCE_GATE, Decision.UNKNOWN, "unknown", "input", detail, tuple(evidence), _missing_shas(unreadable)
        )
    if not any(stage.artifacts for stage in stages):
        return Verdict(PROVENANCE_GATE, Decision.NOT_YET, "not yet", detail="no artifacts")
    return Verdict(PROVENANCE_GATE, Decision.PASS, "ok", detail="all artifacts match calibration commit")


def _missing_shas(cells: list[Cell]) -> tuple[str, ...]:
    return tuple(f"git_sha of {cell.path}" for cell in cells)


def _artifacts(count: int, with_noun: bool = True) -> str:
    return f"{count} artifact{'' if count == 1 else 's'}" if with_noun else str(count)


def _paths(cells: list[Cell], count: int) -> str:
    return _listed([cell.path for cell in cells[: shown_of(count, _NAMED)]], count)


def _first_cells(groups: Iterable[tuple[Cell, ...]]) -> list[Cell]:
    return list(islice(chain.from_iterable(groups), _MOST))


def _collect(groups: Iterable[tuple[Cell, ...]]) -> tuple[list[Cell], int]:
    """The first of these cells, and how many there are in all."""
    found = [group for group in groups if group]
    return _first_cells(found), sum(map(len, found))


def _rest(count: int) -> list[Evidence]:
    return [Evidence(f"and {count - _MOST} more")] if count > _MOST else []


def _listed(named: list[str], count: int) -> str:
    return ", ".join([*named, "…"] if count > len(named) else named)


def judge_together(strict: Verdict, provenance: Verdict, environment: Verdict) -> Verdict:
    """An environment that is not known is stated and decides nothing (old runs have none); one that differs does."""
    decisions = [strict.decision, provenance.decision]
    if environment.outcome == DIFFERS:
        decisions.append(environment.decision)
    decision = combine(decisions)
    parts = (strict, provenance, environment)
    failure = next((part.failure for part in parts if part.decision is decision and part.failure), None)
    said = [part.detail for part in parts if part.decision is decision and part.detail]
    return Verdict(
        gate=GATE,
        decision=decision,
        outcome=READY if decision is Decision.PASS else NOT_READY,
        failure=failure if decision is not Decision.PASS else None,
        detail="; ".join(said) if decision is not Decision.PASS else strict.detail,
        missing=tuple(dict.fromkeys(item for part in (strict, provenance) for item in part.missing))[:_MOST],
        action=strict.action if decision is not Decision.PASS else None,
        parts=parts,
    )
