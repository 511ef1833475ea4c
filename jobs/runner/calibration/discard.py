"""Disowning an observation by hand: one line in the journal, and the repeat is run again (spec, section 5).

Only the holder of the run's lock appends to the journal. Where no runner lives, the lock is taken for a moment;
otherwise the request waits in the inbox for the runner, which takes it in at its next wait.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from gates.calibration.assemble import BY_PERSON, DISCARDED, RECORDED
from gates.calibration.layout import PLAN, cell_path
from gates.calibration.records import Plan, RecordError, parse_plan
from hosts.errors import InputError, RefusedError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import new_ulid, read_bytes_limited, utc_now, write_new
from hosts.local.locks import Holder, acquire, read_holder
from hosts.local.procs import is_alive, self_ref
from hosts.local.verbs import number_of, text_of
from jobs.runner.calibration.context import append_milestone
from jobs.runner.calibration.inbox import DISCARD, fingerprint_of, note_discard, take_in
from jobs.runner.journal import JournalWriter, failed, read_journal
from jobs.runner.places import RunPlaces

MOST_REASON = 2000
_LIMIT = 64 << 20
_PATIENCE_S = 5.0
_STEP_S = 0.05
_NEAR = 4
_LISTED = 12


def discard(payload: Json) -> Json:
    """Disown one stage's repeat.

    Args:
        payload: {run_dir, stage, run, reason, by}.

    Returns:
        {cell, journalled, runner}: journalled is False while the request still waits for the live runner.

    Raises:
        InputError: There is no such stage, run or artifact, or no reason; the message names what is near.
        RefusedError: The lock's holder cannot be judged from here; or it is discarded, or observed again, already.
    """
    places = RunPlaces(Path(os.path.expanduser(text_of(payload, "run_dir"))))
    request = _request(places, payload)
    cell = request["cell"]
    if _is_disowned(places, request):
        raise RefusedError(f"{cell} is discarded already")
    if _live_holder(places) is None and _by_ourselves(places, request):
        return {"cell": cell, "journalled": True}
    waits = _leave(places, request)
    end = time.monotonic() + _PATIENCE_S
    while waits.exists() and time.monotonic() < end:
        if _live_holder(places) is None:  # it ended without having seen the request
            _by_ourselves(places, None)
        time.sleep(_STEP_S)
    if not waits.exists() and not _is_disowned(places, request):
        raise RefusedError(f"{cell} was observed again meanwhile; nothing was discarded")
    return {"cell": cell, "journalled": not waits.exists()}


def _by_ourselves(places: RunPlaces, request: Mapping[str, Json] | None) -> bool:
    """Hold the lock for a moment and journal what waits, and `request`; False when somebody was faster."""
    try:
        lock = acquire(places.lock, new_ulid())
    except RefusedError:
        if _live_holder(places) is None:
            raise
        return False
    try:
        journal = JournalWriter(places.journal, self_ref())
        try:

            def note(kind: str, data: Mapping[str, object], line: str) -> None:
                journal.append(kind, data)
                append_milestone(places, line)

            take_in(places, note)
            if request is not None:
                note_discard(request, note)
        finally:
            journal.close()
    finally:
        lock.release()
    return True


def _request(places: RunPlaces, payload: Json) -> dict[str, Json]:
    plan = _plan(places)
    stage, run, reason = text_of(payload, "stage"), number_of(payload, "run"), text_of(payload, "reason").strip()
    if not reason:
        raise InputError("a discard needs a reason: --reason TEXT")
    if len(reason) > MOST_REASON or not _is_text(reason):
        raise InputError(f"the reason must be text of at most {MOST_REASON} characters")
    if stage not in plan.stages:
        raise InputError(_unknown_stage(stage, plan))
    if not isinstance(run, int) or run < 1:
        raise InputError(f"run {run}: runs are counted from 1 to {plan.repeats}")
    cell = cell_path(stage, run)
    sha256 = fingerprint_of(places.root / cell)
    if sha256 is None:
        numbers = range(1, plan.repeats + 1)
        there = [str(number) for number in numbers if (places.root / cell_path(stage, number)).is_file()]
        raise InputError(f"{cell} is not there; of {stage} there are runs {', '.join(there) or 'none'}")
    by = payload.get("by") if isinstance(payload, dict) else None
    return {
        "kind": DISCARD,
        "stage": stage,
        "run": run,
        "cell": cell,
        "sha256": sha256,
        "reason": reason,
        "by": by if isinstance(by, str) and _is_text(by) else None,
        "at": utc_now(),
    }


def _plan(places: RunPlaces) -> Plan:
    path = places.root / PLAN
    try:
        return parse_plan(strictjson.loads(read_bytes_limited(path, _LIMIT), str(path)))
    except RecordError as error:
        raise InputError(f"{path}: {error}") from error


def _unknown_stage(stage: str, plan: Plan) -> str:
    shown = repr(stage if len(stage) <= 80 else f"{stage[:77]}...")
    near = difflib.get_close_matches(stage[:80], plan.stages, n=_NEAR)
    if near:
        return f"the run has no stage {shown}; near: {', '.join(near)}"
    more = len(plan.stages) - _LISTED
    listed = ", ".join(plan.stages[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    return f"the run has no stage {shown}; it has {listed}"


def _live_holder(places: RunPlaces) -> Holder | None:
    holder = read_holder(places.lock)
    alive = None if holder is None else is_alive(holder.ref)
    if holder is not None and alive is None:
        raise RefusedError(f"{holder} cannot be judged from here; discard it on its own host")
    return holder if alive else None


def _is_disowned(places: RunPlaces, request: Mapping[str, Json]) -> bool:
    """The journal's last word on the cell is already a discard by hand."""
    last = None
    for event in read_journal(places.journal).events:
        about = (event.data.get("stage"), event.data.get("run"))
        if event.kind in (RECORDED, DISCARDED) and about == (request["stage"], request["run"]):
            last = event
    return last is not None and last.kind == DISCARDED and last.data.get("why") == BY_PERSON


def _leave(places: RunPlaces, request: Mapping[str, Json]) -> Path:
    path = places.inbox / f"{new_ulid()}.json"
    try:
        places.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise failed(places.inbox, error) from error
    write_new(path, strictjson.dumps(dict(request)))
    return path


def _is_text(text: str) -> bool:
    return not any(0xD800 <= ord(char) < 0xE000 for char in text)
