"""One runner on one run directory, from its lock to its last word."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from gates.calibration.layout import MANIFEST, PLAN
from gates.calibration.records import RecordError, parse_plan
from gates.calibration.schema import SchemaError, parse_manifest
from hosts.errors import GatewatchError, InputError
from hosts.local import strictjson
from hosts.local.files import read_bytes_limited, utc_now
from hosts.local.locks import RunLock, acquire
from hosts.local.procs import self_ref
from jobs.runner.calibration.context import (
    Control,
    ExhaustedError,
    HaltError,
    Heartbeat,
    LastWords,
    RunContext,
    StoppedError,
    append_milestone,
)
from jobs.runner.calibration.job import read_job
from jobs.runner.calibration.leftovers import remove_leftovers
from jobs.runner.calibration.loop import run_all
from jobs.runner.calibration.record import note_unnoted
from jobs.runner.journal import JournalWriter, read_journal
from jobs.runner.places import RunPlaces
from jobs.runner.voice import tell

_LIMIT = 64 << 20


def run_command(run_dir: Path, nonce: str) -> int:
    """Run what is incomplete in `run_dir`, holding its lock under `nonce`.

    Returns:
        0 all observations were made; 1 halted; 2 a file could not be read or written; 3 stopped.
    """
    places = RunPlaces(run_dir)
    job = read_job(places.job)
    lock = acquire(places.lock, nonce, take_over=job.take_over)
    control = Control()
    control.install()
    heartbeat = Heartbeat(lock, control)
    heartbeat.start()
    try:
        words = LastWords(places.last_words)
        return _run(places, nonce, control, words)
    finally:
        heartbeat.stop()
        if not control.lost:
            _give_up(lock)


def _give_up(lock: RunLock) -> None:
    try:
        lock.release()
    except GatewatchError as error:  # a dead holder's lock is no obstacle, and the reason of the end is another one
        _tell(str(error))


def _run(places: RunPlaces, nonce: str, control: Control, words: LastWords) -> int:
    journal = None
    try:
        context = _context(places, nonce, control)
        journal = context.journal
        _say_begin(context)
        _tidy(context)
        context.clear_inbox()
        note_unnoted(context)
        run_all(context)
        context.note("run.ended", {}, "END every repeat of every stage has been observed")
    except StoppedError as error:
        if not control.lost:
            words.say(str(error))
        return _halt(control, journal, places, "stopped", error)
    except HaltError as error:
        words.say(str(error))
        return _halt(control, journal, places, "halt", error)
    except ExhaustedError as error:
        words.say(str(error))
        return _halt(control, journal, places, "exhausted", error)
    except GatewatchError as error:
        words.say(str(error))
        _tell(str(error))
        return error.code
    except Exception as error:  # noqa: BLE001 - a process without a terminal must leave a word
        words.say(f"internal error: {type(error).__name__}: {error}")
        tell(traceback.format_exc())
        return 2
    finally:
        if journal is not None:
            journal.close()
    words.say("")
    return 0


def _tidy(context: RunContext) -> None:
    removed = remove_leftovers(context.places, context.plan.stages)
    if removed:
        names = ", ".join(path.relative_to(context.places.root).as_posix() for path in removed)
        context.say(f"removed what a killed writer left half-written: {names}")


def _halt(control: Control, journal: JournalWriter | None, places: RunPlaces, why: str, error: GatewatchError) -> int:
    _tell(f"{why}: {error}")
    if journal is not None and not control.lost:
        try:
            journal.append("run.halted", {"why": why, "detail": str(error)})
            append_milestone(places, f"{'HALT' if why == 'halt' else 'ABORT'} {error}")
        except GatewatchError as second:
            _tell(str(second))
    return error.code


def _tell(line: str) -> None:
    tell(f"{utc_now()} gatewatch runner: {line}")


def _context(places: RunPlaces, nonce: str, control: Control) -> RunContext:
    plan_document = strictjson.loads(read_bytes_limited(places.root / PLAN, _LIMIT), PLAN)
    manifest_document = strictjson.loads(read_bytes_limited(places.root / MANIFEST, _LIMIT), MANIFEST)
    try:
        plan = parse_plan(plan_document)
        manifest = parse_manifest(manifest_document)
    except (RecordError, SchemaError) as error:
        raise InputError(f"{places.root}: {error}") from error
    if plan.calibration_git_sha is None:
        raise InputError(f"{places.root / PLAN}: calibration_git_sha is missing")
    run_id = plan.raw.get("run_id")
    return RunContext(
        places=places,
        plan=plan,
        manifest=manifest,
        job=read_job(places.job),
        journal=JournalWriter(places.journal, self_ref()),
        control=control,
        run_id=run_id if isinstance(run_id, str) else "",
        git_sha=plan.calibration_git_sha,
        nonce=nonce,
    )


def _say_begin(context: RunContext) -> None:
    plan = context.plan
    before = read_journal(context.places.journal).last("run.started", "run.resumed")
    kind = "run.started" if before is None else "run.resumed"
    data = {
        "model": plan.model,
        "stages": list(plan.stages),
        "repeats": plan.repeats,
        "git_sha": context.git_sha,
        "units": [unit.key for unit in context.job.units],
        "runner": Path(sys.argv[0]).name,
    }
    word = "RUN" if before is None else "RESUME"
    python = context.job.venv_python
    context.note(
        kind, data, f"{word} {plan.model}: {len(plan.stages)} stages, {plan.repeats} repeats, commit {context.git_sha}"
    )
    context.say(
        f"environment: {python}, " + ", ".join(f"{name}={value}" for name, value in context.job.overlay.items())
    )
