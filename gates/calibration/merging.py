"""Two runs made into one: same model, repeats, commit and machine, disjoint units (spec, section 5, merge)."""

from __future__ import annotations

from collections.abc import Sequence

from gates.calibration.assemble import Run
from gates.calibration.environment import same_environment
from gates.calibration.schema import Manifest, same_measure
from gates.calibration.units import units_of
from gates.calibration.verdicts import plan_sha
from gates.documents import Broken, Json

_MOST = 10


def merge_problems(runs: Sequence[Run]) -> list[str]:
    """Why these runs cannot become one, one sentence each; empty when they can.

    Args:
        runs: Two or more, in the order in which their stages are to stand.
    """
    problems: list[str] = []
    plans = [run.plan for run in runs]
    if len(runs) < 2:
        return ["a merge needs two runs"]
    if any(plan is None for plan in plans):
        return [f"run {place} has no usable plan.json" for place, plan in enumerate(plans, 1) if plan is None]
    first = plans[0]
    assert first is not None
    for place, run in enumerate(runs, 1):
        plan = run.plan
        assert plan is not None
        problems.extend(f"run {place}: {finding}" for finding in run.findings)
        if run.manifest is None:
            problems.append(f"run {place} has no manifest")
        if plan.model != first.model:
            problems.append(f"run {place} is of model {plan.model}, not of {first.model}")
        if plan.repeats != first.repeats:
            problems.append(f"run {place} has {plan.repeats} repeats, not {first.repeats}")
        if plan_sha(plan) is None or plan_sha(plan) != plan_sha(first):
            problems.append(
                f"run {place} is of commit {plan_sha(plan) or 'unknown'}, not of {plan_sha(first) or 'unknown'}"
            )
        if plan.raw.get("workspace_diff_sha256") != first.raw.get("workspace_diff_sha256"):
            problems.append(f"run {place} was made on another state of the working tree")
        if place > 1:
            problems.extend(f"run {place}: {line}" for line in _environments(runs[0], run))
    if not problems:
        problems.extend(_overlaps(runs))
    return problems[:_MOST]


def merged_plan(runs: Sequence[Run], parents: Sequence[Json]) -> dict[str, Json]:
    """The plan of the merged run: the first one's, with the stages of all, and its parents by name."""
    first = runs[0].plan
    assert first is not None
    plan = dict(first.raw)
    stages: list[Json] = []
    units: list[Json] = []
    for run in runs:
        assert run.plan is not None
        stages.extend(run.plan.stages)
        units.extend(run.plan.units if isinstance(run.plan.units, list) else [])
    plan.pop("run_id", None)
    return {**plan, "stages": stages, **({"units": units} if units else {}), "parents": list(parents)}


def _environments(one: Run, other: Run) -> list[str]:
    documents = [run.fingerprint if not isinstance(run.fingerprint, Broken) else None for run in (one, other)]
    if documents == [None, None]:
        return ["neither run has an environment fingerprint, so it cannot be shown that it was the same machine"]
    return same_environment(documents[0], documents[1])


def _overlaps(runs: Sequence[Run]) -> list[str]:
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    stages: dict[str, int] = {}
    problems: list[str] = []
    for place, run in enumerate(runs, 1):
        assert run.plan is not None
        assert run.manifest is not None
        for unit in units_of(run.manifest, run.plan.stages):
            identity = (unit.test, unit.extra_env)
            if identity in seen:
                problems.append(f"{unit.test} was observed in run {seen[identity]} and in run {place}")
            seen[identity] = place
        for stage in run.plan.stages:
            if stage in stages:
                problems.append(f"{stage} is a stage of run {stages[stage]} and of run {place}")
            stages[stage] = place
        problems.extend(_moved(runs[0].manifest, run.manifest, place))
    return problems


def _moved(first: Manifest | None, other: Manifest, place: int) -> list[str]:
    if first is None or place == 1:
        return []
    both = [key for key in other.keys if first.get(key) is not None]
    return [f"run {place} measures otherwise: {line}" for line in same_measure(first, other, both)]
