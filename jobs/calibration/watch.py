"""Looking at one calibration: from a run directory to its snapshot, once or for as long as it runs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from gates.calibration.assemble import Run
from gates.calibration.layout import MANIFEST, PLAN
from gates.calibration.records import RecordError, parse_plan
from hosts.errors import InputError
from hosts.host import HostReader, Json
from hosts.local import strictjson
from hosts.local.pasting import quoted
from hosts.local.trees import LEFT
from jobs.calibration.locate import Watched
from monitors.calibration import Calibration, CalibrationMonitor
from monitors.snapshot import Now, Snapshot

_DEADLINE_S = 60.0
_PLAN_LIMIT = 16 << 20


@dataclass(frozen=True)
class Look:
    """A snapshot and the plan's model, which is certain to be there."""

    snapshot: Snapshot[Calibration]
    run: Run
    model: str


async def look(reader: HostReader, watched: Watched, processes: bool = True) -> Look:
    """One complete look at a run directory.

    Args:
        processes: Look a second time for the processes that the files name; an audit can do without.

    Raises:
        InputError: There is no usable plan.json, or it is a run of another model.
        UnreachableError: The host did not answer.
    """
    monitor = await make_monitor(reader, watched)
    seen = await reader.observe(monitor.wants(None), None, _DEADLINE_S)
    snapshot = await asyncio.to_thread(monitor.fold, None, seen, Now(time.time()))
    while any(file.error == LEFT for tree in seen.trees for file in tree.files.values()):
        seen = await reader.observe(monitor.wants(None), seen.cursor, _DEADLINE_S)
        snapshot = await asyncio.to_thread(monitor.fold, snapshot, seen, Now(time.time()))
    if processes and snapshot.body.run is not None:
        seen = await reader.observe(monitor.wants(snapshot), seen.cursor, _DEADLINE_S)
        snapshot = await asyncio.to_thread(monitor.fold, snapshot, seen, Now(time.time()))
    run = snapshot.body.run
    if run is None or run.plan is None:
        why = (snapshot.error or f"{PLAN} cannot be used").removeprefix(f"{watched.run_dir}: ")
        raise InputError(f"{watched.run_dir}: {why}")
    return Look(snapshot, run, run.plan.model)


async def make_monitor(reader: HostReader, watched: Watched) -> CalibrationMonitor:
    """A monitor that knows the checkout's manifest of the run's model.

    Raises:
        InputError: There is no usable plan.json, it is a run of another model, or the manifest is wrong.
        UnreachableError: The host did not answer.
    """
    path = f"{watched.run_dir}/{PLAN}"
    chunk = await reader.read(path, 0, _PLAN_LIMIT)
    try:
        plan = parse_plan(strictjson.loads(chunk.data, path))
    except RecordError as error:
        raise InputError(f"{path}: {error}") from error
    if watched.model not in (None, plan.model):
        raise InputError(f"{watched.run_dir} is a run of model {plan.model}, not of {watched.model}")
    manifest = await asyncio.to_thread(watched.manifest, plan.model)
    return CalibrationMonitor(watched.run_dir, manifest, watched.reference())


def missing_manifest(watched: Watched, found: Look) -> str | None:
    """Why there is nothing to judge the run by; None when there is, or when its own frozen manifest is at fault."""
    if found.run.manifest is not None or MANIFEST in found.snapshot.body.documents:
        return None
    if watched.checkout is None:
        return f"no stages.yaml is known for model {found.model}: the run froze none, and there is no checkout (--root)"
    path = watched.checkout.manifest_path(found.model)
    if found.model in watched.checkout.models():
        return f"{path} is missing; make it with: gatewatch calibrate discover --model {quoted(found.model)}"
    known = ", ".join(watched.checkout.models()) or "none"
    return f"{PLAN} names model {found.model}; {watched.checkout.models_folder} does not have it (there are: {known})"


def status_document(found: Look, run_dir: str) -> dict[str, Json]:
    """`status --json`, in the shape that scripts know (spec/calibration.md, section 6), and more."""
    snapshot, audit = found.snapshot, found.snapshot.body.audit
    assert audit is not None  # a look has an audit
    cells = [cell for stage in audit.stages for cell in stage.cells[: stage.repeats]]
    missing = [cell for cell in cells if not cell.has_metrics]
    incomplete = set(audit.incomplete)
    lines = [cell for cell in cells if (cell.stage, cell.run) in incomplete]
    document: dict[str, Json] = {
        "run_dir": run_dir,
        "model": found.model,
        "repeats": audit.repeats,
        "complete": audit.complete,
        "ok": len(cells) - len(missing),
        "total": len(cells),
        "missing_count": len(missing),
        "missing": [{"stage_key": cell.stage, "run": cell.run, "reason": cell.reason} for cell in missing],
        "strict_ready": f"{audit.ready_count}/{len(audit.stages)}",
        "strict_complete": audit.strict_complete,
        "pytest_active": snapshot.body.pytest_active,
        "incomplete": [
            {"stage_key": cell.stage, "run": cell.run, "mark": cell.mark.value, "reason": cell.reason} for cell in lines
        ],
        "state": snapshot.state.value,
        "detail": snapshot.error or "",
        "runner": snapshot.body.runner,
        "calibration_git_sha": audit.git_sha,
        "provenance": audit.provenance.outcome,
        "environment": audit.environment.outcome,
        "verdict": audit.verdict.decision.value,
        "findings": list(audit.findings),
        "active": [{"name": item.name, "log": item.log, "since": item.since} for item in snapshot.active],
        "eta": None if snapshot.eta is None else {"at": snapshot.eta.at, "basis": snapshot.eta.basis},
        "offers": [{"id": offer.id, "action": offer.action, "change": offer.change} for offer in snapshot.offers],
        "observed_at": snapshot.seen.at,
    }
    return document
