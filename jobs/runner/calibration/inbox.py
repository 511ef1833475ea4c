"""Requests that wait for a live runner: to end, and to disown an observation (DESIGN, rule 1).

A request to end names the holding of the lock that it is for, and is nobody else's. A request to discard holds for
whoever has the lock: it names the artifact's bytes instead, so that it can never disown another observation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from gates.calibration.assemble import BY_PERSON, DISCARDED
from gates.calibration.layout import cell_path, stage_problem
from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import ReadError, read_bytes_limited
from jobs.runner.journal import failed
from jobs.runner.places import RunPlaces

STOP, DISCARD = "stop", "discard"
_REQUEST_LIMIT = 1 << 16
_CELL_LIMIT = 256 << 20

Note = Callable[[str, Mapping[str, object], str], None]
"""Journals an event, with a line for run.log."""


def waiting(places: RunPlaces) -> list[tuple[Path, dict[str, Json]]]:
    """The requests in the inbox, oldest first; a file that is none counts as an empty one.

    Raises:
        ReadError: The inbox cannot be listed.
    """
    try:
        paths = sorted(path for path in places.inbox.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ReadError.of(places.inbox, error) from error
    return [(path, _read(path)) for path in paths]


def take_in(places: RunPlaces, note: Note) -> None:
    """Journal the discards that wait, and drop their requests; the caller holds the run's lock.

    Done twice it does no harm. One whose artifact has been replaced since it was asked for changes nothing.

    Raises:
        WriteError: The journal or the inbox cannot be written.
    """
    for path, request in waiting(places):
        if request.get("kind") != DISCARD:
            continue
        stage, run = request.get("stage"), request.get("run")
        if isinstance(stage, str) and isinstance(run, int) and stage_problem(stage) is None:
            if fingerprint_of(places.root / cell_path(stage, run)) == request.get("sha256"):
                note_discard(request, note)
            else:
                data = {"stage": stage, "run": run, "reason": request.get("reason")}
                note("discard.dropped", data, f"DISCARD {stage} run {run} dropped: it has been observed again since")
        drop(path)


def note_discard(request: Mapping[str, Json], note: Note) -> None:
    """Journal a discard that a person asked for."""
    data = {key: request.get(key) for key in ("stage", "run", "reason", "by", "sha256")}
    line = f"DISCARD {request.get('stage')} run {request.get('run')}: {request.get('reason')}"
    note(DISCARDED, {**data, "why": BY_PERSON, "asked_at": request.get("at")}, line)


def fingerprint_of(path: Path) -> str | None:
    """sha256 (hex) of an artifact's bytes, None when it cannot be read."""
    try:
        return hashlib.sha256(read_bytes_limited(path, _CELL_LIMIT)).hexdigest()
    except InputError:
        return None


def drop(path: Path) -> None:
    """Remove a request; one that is gone already is no error.

    Raises:
        WriteError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise failed(path, error) from error


def _read(path: Path) -> dict[str, Json]:
    try:
        body = strictjson.loads(read_bytes_limited(path, _REQUEST_LIMIT), path.name)
    except InputError:
        return {}
    return body if isinstance(body, dict) else {}
