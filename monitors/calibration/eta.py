"""When a calibration will be done, and what the guess stands on."""

from __future__ import annotations

from monitors.calibration.body import Calibration, Supervision
from monitors.snapshot import Eta


def eta(body: Calibration, at: float, now: Supervision) -> Eta | None:
    """When the run should be done, from the mean duration of its own finished repeats, unit by unit.

    Args:
        at: Far clock, seconds since the epoch.
        now: What runs right now; the time that it has taken already is not waited for again.
    """
    assert body.audit is not None  # only called on a folded body
    lasted: dict[str, list[float]] = {}
    unit_of = _units(body)
    for stage in body.audit.stages:
        for cell in stage.cells:
            if cell.record is not None and cell.record.duration_s is not None:
                lasted.setdefault(unit_of.get(stage.key, stage.key), []).append(cell.record.duration_s)
    if not lasted:
        return Eta(None, "no repeat has finished yet")
    means = {unit: sum(values) / len(values) for unit, values in lasted.items()}
    overall = sum(means.values()) / len(means)
    left = {(unit_of.get(stage, stage), run) for stage, run in body.audit.incomplete}
    seconds = sum(means.get(unit, overall) for unit, _run in left)
    if now.how in ("journal", "process") and now.since is not None:
        seconds -= min(max(0.0, at - now.since), means.get(now.name.rpartition(" run ")[0], overall), seconds)
    unseen = len({unit for unit, _run in left if unit not in means})
    basis = "mean of this run's own repeats" + (f"; {unseen} units not seen yet" if unseen else "")
    return Eta(at + seconds, basis)


def _units(body: Calibration) -> dict[str, str]:
    """The unit of each stage: of the plan, and as its pytest was really started."""
    plan = body.run.plan if body.run is not None else None
    planned = plan.units if plan is not None and isinstance(plan.units, list) else []
    found: dict[str, str] = {}
    for unit in planned:
        if isinstance(unit, dict):
            found.update(_stages(unit.get("key"), unit.get("stages")))
    for event in body.journal.events:
        if event.kind == "attempt.started":
            found.update(_stages(event.data.get("unit"), event.data.get("stages")))
    return found


def _stages(unit: object, stages: object) -> dict[str, str]:
    if not isinstance(stages, list) or not isinstance(unit, str):
        return {}
    return {stage: unit for stage in stages if isinstance(stage, str)}
