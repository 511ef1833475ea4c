"""The work behind `calibrate audit` and `calibrate status`: one look, said in text or as JSON."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from gates.calibration.audit import Audit, audit_lines
from gates.calibration.cells import Mark
from gates.calibration.words import shown_of
from gates.verdict import Decision
from jobs.calibration.locate import Watched
from jobs.calibration.watch import Look, look, missing_manifest, status_document
from jobs.connect import open_reader
from monitors.snapshot import State
from tui import console
from tui.cli.asking import connects
from tui.cli.calibration_advice import advice
from tui.cli.calibration_find import find
from tui.exits import ExitCode, of_decision

_MOST = 10
_ALIVE = (State.RUNNING, State.WAITING, State.SLOW_START, State.STALLED)


async def show_audit(args: argparse.Namespace) -> int:
    """Print the audit; the exit code is its answer."""
    watched, found = await _look(args, processes=True)
    result = _audit_of(found)
    for finding in (*result.findings, *_some(_journal_findings(found))):
        console.warn(finding)
    if args.json:
        console.print_json(audit_document(result, watched.run_dir, found.model, _journal_findings(found)))
    else:
        console.print_text(*audit_lines(result))
        for line in fault_lines(result):
            console.milestone(line)
    if _lacks_model(watched, found):
        return ExitCode.USAGE
    return audit_code(result, found.snapshot.state)


async def show_status(args: argparse.Namespace) -> int:
    """Print how the run stands; 0 when it is strict-complete, 3 while it is not or cannot be told."""
    watched, found = await _look(args, processes=True)
    result = _audit_of(found)
    if args.json:
        console.print_json(status_document(found, watched.run_dir))
    else:
        console.print_text(*status_lines(found, watched))
    if _lacks_model(watched, found):
        return ExitCode.USAGE
    if result.strict_complete and result.provenance.decision is not Decision.FAIL:
        return ExitCode.OK
    return ExitCode.UNKNOWN


def audit_code(result: Audit, state: State) -> ExitCode:
    """The exit code of an audit: 3 when it is unknown, or when only absent cells are missing and the run lives."""
    if result.verdict.decision is Decision.NOT_YET:
        return ExitCode.UNKNOWN if state in _ALIVE else ExitCode.SAYS_NO
    return of_decision(result.verdict.decision)


def fault_lines(result: Audit) -> list[str]:
    """Why cells that are on disk are not whole; the audit's own text has only their marks."""
    return _some([f"{cell.mark.value} {cell.path}: {cell.reason}" for stage in result.stages for cell in stage.faults])


def audit_document(result: Audit, run_dir: str, model: str, journal: Sequence[str] = ()) -> dict[str, object]:
    """`audit --json`: cells, gates and the verdict; `journal` is what was found in the run's journal."""
    return {
        "run_dir": run_dir,
        "model": model,
        "calibration_git_sha": result.git_sha,
        "repeats": result.repeats,
        "stages": [
            {
                "stage_key": stage.key,
                "expected": stage.expected,
                "strict": stage.strict,
                "ready": stage.ready,
                "cells": [{"run": cell.run, "mark": cell.mark.value, "reason": cell.reason} for cell in stage.cells],
            }
            for stage in result.stages
        ],
        "strict_ready": f"{result.ready_count}/{len(result.stages)}",
        "strict_complete": result.strict_complete,
        "findings": [*result.findings, *journal],
        "verdict": result.verdict.to_json(),
        "digest": result.verdict.digest(),
    }


def status_lines(found: Look, watched: Watched) -> list[str]:
    """A run's state for a person: one sentence, what is open, what can be done."""
    snapshot, result = found.snapshot, _audit_of(found)
    progress = snapshot.progress
    share = f"{progress.done}/{progress.total} cells strict" if progress.total else "no cells"
    lines = [
        f"{found.model}: {_state_word(found)}, {result.ready_count} of {len(result.stages)} stages ready, {share}",
        f"run-dir {watched.run_dir}",
    ]
    if snapshot.error:
        lines.append(f"  {snapshot.error}")
    for item in snapshot.active:
        since = f" for {_duration(time.time() - snapshot.seen.ours(item.since))}" if item.since is not None else ""
        lines.append(f"  now {item.name}{since}" + (f", log {item.log}" if item.log else ""))
    if snapshot.eta is not None:
        at = snapshot.eta.at
        when = "unknown" if at is None else time.strftime("%H:%M:%S", time.localtime(snapshot.seen.ours(at)))
        lines.append(f"  eta {when} ({snapshot.eta.basis})")
    for stage in result.stages:
        marks = "".join(cell.mark.value for cell in stage.cells)
        lines.append(f"  {marks}  {stage.key}")
    lines.extend(f"  {line}" for line in fault_lines(result))
    for word, gate in (("provenance", result.provenance), ("environment", result.environment)):
        if gate.decision is Decision.FAIL:
            lines.append(f"  {word} {gate.outcome}: {gate.detail}")
    lines.extend(f"  {line}" for line in _some([f"finding: {finding}" for finding in result.findings]))
    lines.extend(f"  {line}" for line in _some(_journal_findings(found)))
    lines.extend(f"  {line}" for line in advice(watched, snapshot))
    return lines


def _state_word(found: Look) -> str:
    """How the run stands; of one that nobody can be seen to write, what it lacks says more than "unknown"."""
    snapshot, result = found.snapshot, _audit_of(found)
    if snapshot.state is not State.UNKNOWN or snapshot.body.runner != "none" or found.run.manifest is None:
        return snapshot.state.value
    absent = sum(cell.mark is Mark.ABSENT for stage in result.stages for cell in stage.cells)
    left = len(result.incomplete) - absent
    parts = [f"{absent} {'cell' if absent == 1 else 'cells'} missing"] if absent else []
    parts += [f"{left} {'cell' if left == 1 else 'cells'} not strict"] if left > 0 else []
    return "; ".join(("no runner", " and ".join(parts))) if parts else snapshot.state.value


def _lacks_model(watched: Watched, found: Look) -> bool:
    """Whether the checkout does not know the run's model, which is said then; without a checkout values are shown."""
    missing = missing_manifest(watched, found)
    if missing is None:
        return False
    if watched.checkout is None:
        console.warn(missing)
        return False
    console.error(missing)
    return True


def _journal_findings(found: Look) -> list[str]:
    """The lines of the journal that are no events: they decide no result, but a consent may have been lost."""
    return list(found.snapshot.body.journal.findings)


def _some(lines: list[str]) -> list[str]:
    most = shown_of(len(lines), _MOST)
    return [*lines[:most], f"and {len(lines) - most} more"] if len(lines) > most else lines


async def _look(args: argparse.Namespace, processes: bool) -> tuple[Watched, Look]:
    watched = await find(args, args.run_dir)
    reader = await asyncio.to_thread(open_reader, watched.profile if not watched.local else None, connects())
    try:
        return watched, await look(reader, watched, processes)
    finally:
        await reader.close()


def _audit_of(found: Look) -> Audit:
    result = found.snapshot.body.audit
    assert result is not None  # a look has an audit
    return result


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"
