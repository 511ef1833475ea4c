"""The calibration itself: unit by unit, all repeats of one before the next, until every cell is strict.

The loop keeps no state of its own. Each step asks the disk what is there, does one thing, and writes it down;
so killing it anywhere and starting it again continues (DESIGN, rule 1; spec/calibration.md, section 4).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gates.calibration.assemble import assemble
from gates.calibration.outcome import Kind, LogScan, Outcome
from hosts.errors import InputError
from hosts.host import Json
from hosts.local.accelerators import read_accelerators
from hosts.local.files import utc_now
from jobs.runner.calibration import cold, record
from jobs.runner.calibration.attempt import (
    Attempt,
    Ended,
    is_running,
    launch,
    next_attempt,
    read_attempt,
    wait_for,
    write_attempt,
)
from jobs.runner.calibration.context import ExhaustedError, HaltError, RunContext, StoppedError, monotonic
from jobs.runner.calibration.environ import complete
from jobs.runner.calibration.gpus import GpuGrant, GpuWaitError, acquire_gpus, unclear, user_name
from jobs.runner.calibration.job import UnitJob
from jobs.runner.calibration.places import RepeatPlaces
from jobs.runner.journal import read_journal
from jobs.runner.places import RUN_MARK

FIRST = Attempt("", 0, (), (), "")
SUSPECTS = ("HOME", "OMNI_CI_HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "CUDA_HOME", "LD_PRELOAD")
_LOOK_S = 0.5  # between two looks at memory that is to be given back
_WORDS = {Kind.OK: "PASS", Kind.INFRA: "ABORT"}
_KEPT = {Kind.THRESHOLD: ", a valid observation", Kind.PARTIAL: ", recorded and to be run again"}


def run_all(context: RunContext) -> None:
    """Run what is incomplete, in the order of the job.

    Raises:
        HaltError: The configuration is wrong.
        ExhaustedError: A unit stayed incomplete through all passes.
        StoppedError: The run was asked to end.
    """
    _say_cold_paths(context)
    _take_up_live(context)
    units = context.job.units
    while units:
        for unit in units:
            _run_unit(context, unit)
        context.take_in()  # a discard of what was done long ago opens its unit again
        discarded = _discarded_by_hand(context)
        units = tuple(unit for unit in context.job.units if _left(context, unit, discarded))


def _take_up_live(context: RunContext) -> None:
    """Finish what an earlier runner left at work, wherever its turn would be: nothing is started beside it."""
    for unit in context.job.units:
        for repeat in range(1, context.plan.repeats + 1):
            places = context.repeat(unit, repeat)
            if not is_running(places):
                continue
            attempt = read_attempt(places)
            if attempt is None or record.is_recorded(context, unit, repeat, attempt.token):
                _wait_until_alone(context, unit, repeat)
            else:
                _observe(context, unit, repeat)


def _run_unit(context: RunContext, unit: UnitJob) -> None:
    for number in range(1, context.job.max_passes + 1):
        todo = _left(context, unit, _discarded_by_hand(context))
        if not todo:
            return
        context.say(f"== {unit.key}: pass {number}, repeats {', '.join(map(str, todo))} of {context.plan.repeats}")
        for repeat in todo:
            _observe(context, unit, repeat)
    left = _left(context, unit, _discarded_by_hand(context))
    if left:
        cells = ", ".join(f"run{repeat}" for repeat in left)
        raise ExhaustedError(f"{unit.key}: still incomplete after {context.job.max_passes} passes: {cells}")


def _left(context: RunContext, unit: UnitJob, discarded: frozenset[tuple[str, int]]) -> list[int]:
    """The repeats of a unit that are not whole."""
    repeats = range(1, context.plan.repeats + 1)
    return [repeat for repeat in repeats if not record.is_complete(context, unit, repeat, discarded)]


def _observe(context: RunContext, unit: UnitJob, repeat: int) -> None:
    """Get one observation of one repeat, taking up whatever an earlier runner left."""
    places = context.repeat(unit, repeat)
    attempt = read_attempt(places)
    orphan = False
    if (
        attempt is None
        or record.is_recorded(context, unit, repeat, attempt.token)
        or record.is_spoilt(context, unit, repeat, attempt.token)
    ):
        _wait_until_alone(context, unit, repeat)
        record.set_aside(context, unit, repeat, "incomplete")
        attempt = FIRST
    elif attempt.token:
        orphan = not _say_adopted(context, unit, repeat, attempt)
    while True:
        if not attempt.token:
            attempt, orphan = _begin(context, unit, repeat, attempt), False
        ended = _wait(context, unit, repeat, attempt)
        final, outcome = _conclude(context, unit, repeat, attempt, ended, orphan)
        if outcome.kind is Kind.HALT:
            raise HaltError(f"{unit.key} {repeat}/{context.plan.repeats}: {outcome.reason}")
        _settle(context, unit, attempt)
        if final:
            return
        attempt = _retire(places, attempt, ended, outcome, orphan)


def _begin(context: RunContext, unit: UnitJob, repeat: int, previous: Attempt) -> Attempt:
    """Wait for GPUs, empty what has to be cold, and launch."""
    places = context.repeat(unit, repeat)
    record.make_folder(places.folder)
    _wait_until_alone(context, unit, repeat)
    record.clear_last_attempt(context, unit, repeat, previous)
    grant = _gate(context, unit, repeat)
    try:
        attempt = next_attempt(previous, grant.indices, utc_now())
        environment = complete(os.environ, {**context.job.overlay, **unit.env}, grant.indices if unit.gpus else None)
        environment[RUN_MARK] = context.run_id
        # setproctitle, which model servers use, would write over the marks that their processes are found by.
        environment["SPT_NOENV"] = "1"
        _empty_cold_paths(context, unit, environment)
        _check_head(context, unit, repeat)
        context.check()
        write_attempt(places, attempt)
        about = {"unit": unit.key, "run": repeat, "n": attempt.number, "token": attempt.token}
        context.note("attempt.intended", {**about, "gpus": list(grant.indices)})
        launch(context, unit, places, attempt, grant, environment)
    finally:
        grant.close()
    log = context.places.relative(places.log)
    gpus = f" GPU {','.join(map(str, grant.indices))}" if grant.indices else ""
    again = f" (attempt {attempt.number})" if attempt.number > 1 else ""
    context.note(
        "attempt.started",
        {**about, "log": log, "stages": list(unit.stages)},
        f"START {_name(context, unit, repeat)}{again}{gpus} {log}",
    )
    return attempt


def _check_head(context: RunContext, unit: UnitJob, repeat: int) -> None:
    """What runs now is recorded as the calibration's commit, so it must be checked out."""
    head = record.moved_head(context)
    if head is not None:
        raise HaltError(
            f"{_name(context, unit, repeat)}: HEAD of {context.job.repo} is {head} now and was {context.job.head} "
            "when this was started; check that commit out and resume"
        )


def _wait(context: RunContext, unit: UnitJob, repeat: int, attempt: Attempt) -> Ended:
    places = context.repeat(unit, repeat)

    def slow(scan: LogScan) -> None:
        _say_slow_start(context, unit, repeat, scan)

    try:
        return wait_for(context, unit, places, attempt, slow)
    except StoppedError:
        if not context.control.lost:
            data = {"unit": unit.key, "run": repeat, "token": attempt.token, "outcome": "stopped"}
            context.note("attempt.ended", data, f"ABORT {_name(context, unit, repeat)} stopped")
            record.set_aside(context, unit, repeat, "stopped")
            _settle(context, unit, attempt)
        raise


def _conclude(
    context: RunContext, unit: UnitJob, repeat: int, attempt: Attempt, ended: Ended, orphan: bool
) -> tuple[bool, Outcome]:
    """Judge an ended launch and record it, unless another attempt is to follow. Says whether it was recorded.

    What was lost together with its runner is not held against the launch. What is lost before our eyes is:
    else a shim that cannot start would be started for ever.
    """
    places = context.repeat(unit, repeat)
    outcome, found = record.judge(context, unit, places, ended)
    lost = ended.how == "lost" and orphan
    spent = sum(1 for item in attempt.history if not item.get("orphan")) + (not lost)
    final = outcome.kind is not Kind.INFRA or (not lost and spent >= context.job.max_attempts)
    if final:
        record.record(context, unit, repeat, attempt, ended, outcome, found)
    word = _WORDS.get(outcome.kind, "FAIL")
    lasted = "" if ended.duration_s is None else f" {ended.duration_s:.1f} s"
    context.note(
        "attempt.ended",
        {
            "unit": unit.key,
            "run": repeat,
            "n": attempt.number,
            "token": attempt.token,
            "rc": ended.rc,
            "how": ended.how,
            "outcome": outcome.kind.value,
            "reason": outcome.reason,
            "duration_s": ended.duration_s,
        },
        f"{word} {_name(context, unit, repeat)}{lasted} {outcome.reason}".rstrip() + _KEPT.get(outcome.kind, ""),
    )
    return final, outcome


def _retire(places: RepeatPlaces, attempt: Attempt, ended: Ended, outcome: Outcome, orphan: bool) -> Attempt:
    """Put this attempt into the history; what it left is cleared before the next launch."""
    entry: dict[str, Json] = {
        "number": attempt.number,
        "how": ended.how,
        "rc": ended.rc,
        "outcome": outcome.kind.value,
        "reason": outcome.reason,
        "duration_s": ended.duration_s,
        "log": places.old_log(attempt.number).name,
    }
    if orphan and ended.how == "lost":
        entry["orphan"] = True
    retired = replace(attempt, token="", history=(*attempt.history, entry))
    write_attempt(places, retired)
    return retired


def _wait_until_alone(context: RunContext, unit: UnitJob, repeat: int) -> None:
    """Never start beside something that lives: wait until the mark of life of this repeat has fallen."""
    places = context.repeat(unit, repeat)
    end = monotonic() + context.job.gpu.wait_s
    said = False
    while is_running(places):
        if not said:
            said = True
            why = f"a process of an earlier attempt still lives (it holds {places.alive.name})"
            data = {"unit": unit.key, "run": repeat, "why": why}
            context.note("unit.waiting", data, f"WAIT {_name(context, unit, repeat)}: {why}")
        if monotonic() > end:
            raise HaltError(
                f"{_name(context, unit, repeat)}: {places.alive} is still held after {context.job.gpu.wait_s:.0f} s"
            )
        context.pause(0.5)


def _gate(context: RunContext, unit: UnitJob, repeat: int) -> GpuGrant:
    """The GPU gate before a launch; a host that stays busy is tried as often as a launch would be."""
    said: list[str] = []

    def wait(seconds: float, reason: str) -> None:
        if reason and said[-1:] != [reason]:
            said.append(reason)
            data = {"unit": unit.key, "run": repeat, "why": reason}
            context.note("unit.waiting", data, f"WAIT {_name(context, unit, repeat)}: {reason}")
        context.pause(seconds)

    holder: dict[str, Json] = {
        "run": str(context.places.root),
        "pid": os.getpid(),
        "user": user_name(),
        "since": utc_now(),
    }
    last = GpuWaitError("")
    for _ in range(context.job.max_attempts):
        try:
            return acquire_gpus(unit.gpus, context.job.gpu, read_accelerators, holder, wait, monotonic)
        except GpuWaitError as error:
            last = error
            wait(0.0, str(error))
            if error.final:
                break
    raise HaltError(f"{_name(context, unit, repeat)}: {last}")


def _settle(context: RunContext, unit: UnitJob, attempt: Attempt) -> None:
    """After a launch, however it ended: see that the memory was given back; said when it was not.

    The next gate waits for that memory. A run that is to end is held up for no longer than any other.
    """
    if not unit.gpus:
        return
    end = monotonic() + context.job.gpu.settle_s
    while True:
        reasons = unclear(read_accelerators(), attempt.gpus, context.job.gpu.limit_mib)
        if not reasons or context.control.lost:
            return
        if monotonic() > end:
            why = "; ".join(reasons)
            context.note("unit.waiting", {"unit": unit.key, "run": None, "why": why}, f"WAIT not released: {why}")
            return
        time.sleep(_LOOK_S)


def _empty_cold_paths(context: RunContext, unit: UnitJob, environment: Mapping[str, str]) -> None:
    for folder in _cold_paths(context, unit, environment):
        try:
            removed = cold.empty(folder)
        except (OSError, InputError) as error:
            raise HaltError(f"{unit.key}: cannot empty {folder}: {error}") from error
        if removed:
            context.note("cold.emptied", {"unit": unit.key, "path": str(folder), "entries": removed})


def _say_cold_paths(context: RunContext) -> None:
    shown: dict[str, None] = {}
    for unit in context.job.units:
        environment = complete(os.environ, {**context.job.overlay, **unit.env}, None)
        shown.update(dict.fromkeys(str(folder) for folder in _cold_paths(context, unit, environment)))
    if shown:
        context.say("emptied before every launch: " + ", ".join(shown))


def _cold_paths(context: RunContext, unit: UnitJob, environment: Mapping[str, str]) -> tuple[Path, ...]:
    try:
        return cold.cold_paths(context.job.cold_paths, environment)
    except InputError as error:
        raise HaltError(f"{unit.key}: {error}") from error


def _say_adopted(context: RunContext, unit: UnitJob, repeat: int, attempt: Attempt) -> bool:
    """Say what became of an earlier runner's launch; True when it lives."""
    lives = is_running(context.repeat(unit, repeat))
    what = "still runs and is taken over" if lives else "ended while no runner was there"
    data = {"unit": unit.key, "run": repeat, "token": attempt.token, "alive": lives}
    context.note(
        "attempt.adopted", data, f"ADOPT {_name(context, unit, repeat)}: the pytest of an earlier runner {what}"
    )
    return lives


def _say_slow_start(context: RunContext, unit: UnitJob, repeat: int, scan: LogScan) -> None:
    environment = {**os.environ, **context.job.overlay, **unit.env}
    suspects = {name: environment.get(name) for name in SUSPECTS}
    lines = [line.text for line in scan.facts.compiling[-5:]]
    after = f"{context.job.startup_warn_s:.0f} s"
    context.note(
        "unit.slow_start",
        {"unit": unit.key, "run": repeat, "compile": lines, "suspects": suspects},
        f"SLOW START {_name(context, unit, repeat)}: not ready after {after}; a broken environment, not a threshold. "
        + " | ".join([*lines, *(f"{name}={value or 'unset'}" for name, value in suspects.items())]),
    )


def _discarded_by_hand(context: RunContext) -> frozenset[tuple[str, int]]:
    return frozenset(assemble({}, journal=read_journal(context.places.journal)).discards)


def _name(context: RunContext, unit: UnitJob, repeat: int) -> str:
    return f"{unit.key} {repeat}/{context.plan.repeats}"
