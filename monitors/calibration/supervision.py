"""Which log is the one to look at now: the journal's, else that of a running pytest, else the newest."""

from __future__ import annotations

import calendar
import posixpath
import re
import time
from collections.abc import Iterable, Mapping

from gates.calibration.layout import PYTEST, log_path
from hosts.host import PytestSeen
from monitors.calibration.body import Calibration, LogSeen, Supervision
from monitors.snapshot import Active

LOGS = f"{PYTEST}/*/run*.log"
_LOG = re.compile(rf"{PYTEST}/([^/]+)/run([1-9][0-9]{{0,8}})\.log")
_BASETEMP = re.compile(rf"{PYTEST}/([^/]+)/basetemp_run([1-9][0-9]{{0,8}})")


def pytests_of(run_dir: str, pytests: Iterable[PytestSeen]) -> tuple[PytestSeen, ...]:
    """Those whose `--basetemp` lies below this run.

    A relative one whose folder may not be read is told by the run directory's own name in it.
    """
    return tuple(seen for seen in pytests if _below(run_dir, seen) is not None)


def supervise(run_dir: str, body: Calibration) -> Supervision:
    """The log to show. A pytest of another program is believed before a journal that says nothing runs."""
    if body.pytest_active:
        told = _of_journal(body)
        if told is not None:
            return told
        for seen in body.pytests or ():
            return _of_process(run_dir, seen, body.logs)
        return Supervision()
    if body.runner == "alive":
        return Supervision()  # between two pytests: what ran before is not what runs now
    return _newest(body.logs)


def active(supervision: Supervision) -> tuple[Active, ...]:
    """What runs right now, for the list that every kind of run has."""
    if supervision.how not in ("journal", "process"):
        return ()
    note = "" if supervision.how == "journal" else "found by its process"
    return (Active(supervision.name, supervision.log, supervision.since, note),)


def _of_journal(body: Calibration) -> Supervision | None:
    last = body.journal.last("attempt.started", "attempt.adopted", "attempt.ended")
    if last is None or last.kind == "attempt.ended" or not body.processes:
        return None
    log = last.data.get("log")
    name = f"{last.data.get('unit')} run {last.data.get('run')}"
    return Supervision("journal", log if isinstance(log, str) else None, name, _seconds(last.at))


def _of_process(run_dir: str, seen: PytestSeen, logs: Mapping[str, LogSeen]) -> Supervision:
    below = _below(run_dir, seen) or ""
    found = _BASETEMP.fullmatch(below)
    name, log = (f"{found[1]} run {found[2]}", log_path(found[1], int(found[2]))) if found else (below, None)
    if log not in logs and seen.output is not None:
        log = _relative(run_dir, seen.output) or seen.output
    return Supervision("process", log, name, seen.since)


def _newest(logs: Mapping[str, LogSeen]) -> Supervision:
    """The last one written; logs of earlier attempts were moved aside and count for nothing."""
    names = {path: found for path in logs if (found := _LOG.fullmatch(path)) is not None}
    best = max(names, key=lambda path: (logs[path].written, path), default=None)
    return Supervision() if best is None else Supervision("last", best, f"{names[best][1]} run {names[best][2]}")


def _below(run_dir: str, seen: PytestSeen) -> str | None:
    """Where below the run its basetemp lies, or None when it lies elsewhere."""
    if seen.basetemp is None:
        return None
    inside = _relative(run_dir, seen.basetemp)
    if inside is not None or seen.basetemp.startswith("/"):
        return inside
    _, found, rest = f"/{seen.basetemp}".partition(f"/{posixpath.basename(run_dir.rstrip('/'))}/{PYTEST}/")
    return f"{PYTEST}/{rest}" if found else None


def _relative(folder: str, path: str) -> str | None:
    prefix = folder.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _seconds(text: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None
