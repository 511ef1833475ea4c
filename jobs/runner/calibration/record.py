"""From an ended pytest to recorded cells, and from an incomplete observation to `_discarded/`.

Both can be done twice without harm: extraction reads basetemp and writes the same files again, and moving
aside skips what has been moved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gates.calibration.cells import Mark, judge_cell
from gates.calibration.extract import Extraction, extract, json_files
from gates.calibration.layout import cell_path
from gates.calibration.outcome import LogLine, Outcome, judge_attempt
from gates.calibration.schema import Stage
from gates.documents import Broken, Document
from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import new_ulid, read_bytes_limited, utc_now, write_atomic
from jobs.runner import git
from jobs.runner.calibration.attempt import Attempt, Ended
from jobs.runner.calibration.context import RunContext
from jobs.runner.calibration.head import moved
from jobs.runner.calibration.job import UnitJob
from jobs.runner.calibration.places import RepeatPlaces
from jobs.runner.journal import failed, read_journal

_RESULT_LIMIT = 256 << 20


def read_document(path: Path, where: str) -> Document | None:
    """The JSON document at `path`, Broken with the reason, or None when there is no file."""
    if not os.path.lexists(path):
        return None
    try:
        document = strictjson.loads(read_bytes_limited(path, _RESULT_LIMIT), where)
        return Broken(f"{where}: null is not a document") if document is None else document
    except InputError as error:
        return Broken(str(error))


def stages_of(context: RunContext, unit: UnitJob) -> tuple[Stage, ...]:
    """The stages that this unit feeds."""
    found = tuple(stage for key in unit.stages if (stage := context.manifest.get(key)) is not None)
    if len(found) != len(unit.stages):
        missing = sorted(set(unit.stages) - {stage.key for stage in found})
        raise InputError(f"{unit.key}: not in the frozen stages.yaml: {', '.join(missing)}")
    return found


def cell_documents(context: RunContext, unit: UnitJob, repeat: int) -> dict[str, Document | None]:
    """What is recorded for one repeat, by stage."""
    found: dict[str, Document | None] = {}
    for key in unit.stages:
        path = cell_path(key, repeat)
        found[key] = read_document(context.places.root / path, path)
    return found


def is_complete(context: RunContext, unit: UnitJob, repeat: int, discarded: frozenset[tuple[str, int]]) -> bool:
    """True when every stage of the unit has a strict-complete cell of this commit for this repeat."""
    for stage in stages_of(context, unit):
        document = cell_documents(context, unit, repeat)[stage.key]
        reason = "discarded by hand" if (stage.key, repeat) in discarded else None
        cell = judge_cell(stage, repeat, document, reason)
        if cell.mark is not Mark.STRICT or cell.git_sha != context.git_sha:
            return False
    return True


def is_recorded(context: RunContext, unit: UnitJob, repeat: int, token: str) -> bool:
    """True when every stage's cell was written from the attempt with this token."""
    return bool(token) and all(_token_of(item) == token for item in cell_documents(context, unit, repeat).values())


def is_spoilt(context: RunContext, unit: UnitJob, repeat: int, token: str) -> bool:
    """True when a cell lies there that the attempt with this token did not write: damaged, or somebody else's.

    Cells are written whole, and what an interruption leaves is either not there or of that very attempt.
    """
    found = cell_documents(context, unit, repeat).values()
    return any(document is not None and _token_of(document) != token for document in found)


def note_unnoted(context: RunContext) -> None:
    """Journal the cells that an earlier runner wrote and had no time to journal: it was killed in between.

    Without that the journal's last word on such a cell is an older one, which the disk denies. A cell that it
    knows and that has changed since stays the finding that it is.
    """
    known = {
        (event.data.get("stage"), event.data.get("run"), event.data.get("token"))
        for event in read_journal(context.places.journal).events
        if event.kind == "cell.recorded"
    }
    for unit in context.job.units:
        for repeat in range(1, context.plan.repeats + 1):
            for stage, document in cell_documents(context, unit, repeat).items():
                token = _token_of(document)
                if isinstance(document, dict) and token and (stage, repeat, token) not in known:
                    data = read_bytes_limited(context.places.root / cell_path(stage, repeat), _RESULT_LIMIT)
                    _note_recorded(context, stage, repeat, document, data)


def judge(
    context: RunContext, unit: UnitJob, places: RepeatPlaces, ended: Ended
) -> tuple[Outcome, dict[str, Extraction]]:
    """What this ended attempt was: an observation, an infrastructure failure, or a halt."""
    stages = stages_of(context, unit)
    documents: dict[str, Document] = {}
    for name in json_files(stages):
        document = read_document(places.basetemp / name, name)
        if document is not None:
            documents[name] = document
    found = {stage.key: extract(stage, documents) for stage in stages}
    expected = {stage.key: stage.expected_samples for stage in stages}
    facts = ended.scan.facts
    if ended.late:  # what is missing then is no fault of the configuration
        sign = LogLine(max(1, facts.lines), ended.late, "disk not writable")
        facts = replace(facts, deaths=(*facts.deaths, sign))
    return judge_attempt(ended.rc, ended.how, facts, found, expected), found


def moved_head(context: RunContext) -> str | None:
    """HEAD's commit when it no longer measures what the calibration's does; None while it does.

    Raises:
        InputError: git cannot be asked.
    """
    if not context.job.head:
        return None  # a job of before this was looked at
    repo = Path(context.job.repo)
    head = git.head(repo)
    if head in (context.job.head, context.git_sha):
        return None
    return head if moved(repo, context.git_sha, context.manifest, context.job.settings).reasons else None


def record(
    context: RunContext,
    unit: UnitJob,
    repeat: int,
    attempt: Attempt,
    ended: Ended,
    outcome: Outcome,
    found: Mapping[str, Extraction],
) -> None:
    """Write run{k}.json for every stage of the unit, each whole, and journal it.

    A cell that this very attempt has written already is left as it is: what is recorded is recorded once.
    """
    places = context.repeat(unit, repeat)
    written = cell_documents(context, unit, repeat)
    # Measured, not assumed: of a checkout that somebody moved under us, provenance must be able to tell.
    sha = moved_head(context) or context.git_sha
    for stage in stages_of(context, unit):
        if _token_of(written[stage.key]) == attempt.token:
            continue
        judged = outcome.stages[stage.key]
        extraction = found[stage.key]
        body: dict[str, Json] = {
            "status": judged.status,
            "reason": judged.reason,
            "metrics": dict(extraction.metrics),
            "sample_counts": {"total": extraction.total, "ok": extraction.ok},
            "duration_s": ended.duration_s,
            "attempts": attempt.number,
            "attempt_history": [dict(item) for item in attempt.history],
            "attempt_token": attempt.token,
            "gpu_indices": list(attempt.gpus),
            "git_sha": sha,
            "recorded_at": utc_now(),
            "pytest_log": context.places.relative(places.log),
            "basetemp": context.places.relative(places.basetemp),
            "pytest_rc": outcome.rc,
        }
        if extraction.observation_valid is not None:
            body["observation_valid"] = extraction.observation_valid
        if extraction.allowed_pytest_failure is not None:
            body["allowed_pytest_failure"] = extraction.allowed_pytest_failure
        path = context.places.root / cell_path(stage.key, repeat)
        make_folder(path.parent)
        data = strictjson.dumps(body, indent=2)
        write_atomic(path, data)
        _note_recorded(context, stage.key, repeat, body, data)


def set_aside(context: RunContext, unit: UnitJob, repeat: int, why: str) -> None:
    """Move everything that is recorded of one repeat into `_discarded/`, and forget its attempts.

    Nothing is deleted. The attempt goes first: without it nobody takes the rest for an ended launch, and what an
    interruption leaves is set aside the next time.
    """
    places = context.repeat(unit, repeat)
    target = context.places.discarded / f"{new_ulid()}_{unit.key}_run{repeat}"
    cells = [(key, context.places.root / cell_path(key, repeat)) for key in unit.stages]
    rest = [places.basetemp, *_old_logs(places), places.log, places.started, places.rc]
    if not any(os.path.lexists(path) for path in (places.attempt, *(path for _, path in cells), *rest)):
        return
    _move(context, places.attempt, target)
    for key, path in cells:
        if _move(context, path, target):
            context.note(
                "cell.discarded", {"stage": key, "run": repeat, "why": "set-aside", "reason": why, "to": target.name}
            )
    for path in rest:
        _move(context, path, target)


def clear_last_attempt(context: RunContext, unit: UnitJob, repeat: int, attempt: Attempt) -> None:
    """Make room for the next launch of the same repeat: keep the log under its number, move the results aside."""
    places = context.repeat(unit, repeat)
    try:
        places.log.rename(places.old_log(attempt.number))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise failed(places.old_log(attempt.number), error) from error
    target = context.places.discarded / f"{new_ulid()}_{unit.key}_run{repeat}_attempt{attempt.number}"
    for path in (places.basetemp, places.started, places.rc):
        _move(context, path, target)


def make_folder(path: Path) -> None:
    """Create a folder and what is above it.

    Raises:
        WriteError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise failed(path, error) from error


def _note_recorded(context: RunContext, stage: str, repeat: int, body: Mapping[str, Json], data: bytes) -> None:
    context.note(
        "cell.recorded",
        {
            "stage": stage,
            "run": repeat,
            "status": body.get("status"),
            "reason": body.get("reason"),
            "token": body.get("attempt_token"),
            "sha256": hashlib.sha256(data).hexdigest(),
        },
    )


def _token_of(document: Document | None) -> str | None:
    token = document.get("attempt_token") if isinstance(document, dict) else None
    return token if isinstance(token, str) else None


def _old_logs(places: RepeatPlaces) -> list[Path]:
    return sorted(places.folder.glob(f"run{places.repeat}.attempt[0-9]*.log"))


def _move(context: RunContext, path: Path, target: Path) -> bool:
    if not os.path.lexists(path):
        return False
    destination = target / path.relative_to(context.places.root)
    make_folder(destination.parent)
    try:
        path.rename(destination)
    except OSError as error:
        raise failed(destination, error) from error
    return True
