"""One launch of pytest: intended, started, waited for, adopted, ended.

What was intended stands on the disk before anything is started, and shim and pytest together hold a lock for as
long as either lives. So whoever comes after a crash can tell without a race: still running (wait for it), ended
(read how), or never begun (start it). No second pytest is started beside a live one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gates.calibration.outcome import LogScan
from hosts.errors import GatewatchError, InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import ReadError, new_ulid, read_bytes_limited, write_atomic
from hosts.local.leases import is_held, try_lease
from hosts.local.procs import end_marked
from jobs.runner.calibration.context import RunContext, StoppedError, monotonic
from jobs.runner.calibration.gpus import GpuGrant
from jobs.runner.calibration.job import UnitJob
from jobs.runner.calibration.places import RepeatPlaces
from jobs.runner.places import ATTEMPT_MARK
from jobs.runner.shim import ShimSpec, spec_json

How = Literal["exited", "timeout", "stalled", "lost", "crashed"]
POLL_S = 0.1
END_GRACE_S = 10.0
SHIM_GRACE_S = 30.0
CRASH_GRACE_S = 60.0
_LOG_BLOCK = 1 << 20
_SHIM_POLL_S = 0.02


@dataclass(frozen=True)
class Attempt:
    """What stands in `run{k}.attempt.json`.

    Attributes:
        token: Names this launch in the environment of everything it started; empty between two launches.
        number: Counts the launches for this repeat, from 1.
        history: One entry per earlier launch: number, outcome, reason, log.
        gpus: GPU indices it runs on.
        intended_at: UTC.
    """

    token: str
    number: int
    history: tuple[Mapping[str, Json], ...]
    gpus: tuple[int, ...]
    intended_at: str


@dataclass(frozen=True)
class Ended:
    """How a launch ended.

    Attributes:
        rc: Exit status as Python gives it (negative for a signal), or None when nobody wrote it down.
        how: As the judge wants it, and "crashed" where a server died before it was ready and nothing ended since.
        duration_s: Measured by the shim, or None.
        scan: What its log says.
        late: Why nothing could be written at its end, or for a moment while it ran, or "".
    """

    rc: int | None
    how: How
    duration_s: float | None
    scan: LogScan
    late: str = ""


def read_attempt(places: RepeatPlaces) -> Attempt | None:
    """The last intended launch of this repeat, or None."""
    body = _read_object(places.attempt)
    if body is None or not isinstance(body.get("token"), str):
        return None
    number, history, gpus = body.get("number"), body.get("history"), body.get("gpus")
    return Attempt(
        token=str(body["token"]),
        number=number if isinstance(number, int) else 1,
        history=tuple(item for item in history if isinstance(item, dict)) if isinstance(history, list) else (),
        gpus=tuple(item for item in gpus if isinstance(item, int)) if isinstance(gpus, list) else (),
        intended_at=str(body.get("intended_at", "")),
    )


def write_attempt(places: RepeatPlaces, attempt: Attempt) -> None:
    """Put an intended launch on the disk."""
    body: dict[str, Json] = {
        "token": attempt.token,
        "number": attempt.number,
        "history": [dict(item) for item in attempt.history],
        "gpus": list(attempt.gpus),
        "intended_at": attempt.intended_at,
    }
    write_atomic(places.attempt, strictjson.dumps(body))


def launch(
    context: RunContext,
    unit: UnitJob,
    places: RepeatPlaces,
    attempt: Attempt,
    grant: GpuGrant,
    environment: Mapping[str, str],
) -> None:
    """Start pytest under a shim; both outlive this process.

    Raises:
        GatewatchError: The mark of life is held by somebody, or the shim could not be started.
    """
    alive = try_lease(places.alive, {"run": str(context.places.root), "pid": os.getpid(), "token": attempt.token})
    if alive is None:
        raise GatewatchError(f"{places.alive} is still held: an earlier attempt lives")
    argv = (
        context.job.venv_python,
        "-m",
        "pytest",
        unit.test,
        "-v",
        "-s",
        f"--basetemp={places.basetemp}",
        *unit.args,
        # A later option wins over `-x` in the project's own addopts: a repeat that stops early observes nothing.
        "--maxfail=0",
    )
    keep = (alive.fd, *(lease.fd for lease in grant.leases))
    spec = ShimSpec(
        attempt.token,
        ATTEMPT_MARK,
        argv,
        context.job.repo,
        str(places.log),
        str(places.started),
        str(places.rc),
        grant.cpus,
        keep,
    )
    try:
        shim = subprocess.Popen(
            [sys.executable, "-I", sys.argv[0], "exec"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=None,
            cwd="/",
            env=dict(environment),
            start_new_session=True,
            pass_fds=keep,
        )
        assert shim.stdin is not None  # PIPE was asked for
        with shim.stdin:
            shim.stdin.write(spec_json(spec))
    except OSError as error:
        raise GatewatchError(f"cannot start the shim: {error.strerror or error}") from error
    finally:
        alive.close()
        grant.close()
    # The shim is found again by its lock and its report, never by this handle; it is kept only to bury the dead.
    context.control.children[:] = [*(child for child in context.control.children if child.poll() is None), shim]


def is_running(places: RepeatPlaces) -> bool:
    """True while shim, pytest or a child of it that kept the lock lives."""
    return is_held(places.alive)


def wait_for(
    context: RunContext,
    unit: UnitJob,
    places: RepeatPlaces,
    attempt: Attempt,
    on_slow: Callable[[LogScan], None],
) -> Ended:
    """Wait until the launch has ended, however it was started; reads its log as it grows.

    A limit that is exceeded, a server that crashed before it was ready, and a request to stop end what the
    attempt itself started, and nothing else.

    Raises:
        StoppedError: The run is to end; the attempt has been ended first, unless the lock was lost.
    """
    scan = LogScan()
    offset, began, quiet_since = 0, monotonic(), monotonic()
    crashed_at: float | None = None
    slow_said = False
    how: How = "exited"
    full = ""
    report = _report(places, attempt.token)
    while report is None and is_running(places):
        try:
            context.pause(POLL_S)
        except StoppedError:
            if not context.control.lost:
                end_attempt(places, attempt)
            raise
        full = full or _full(places.folder)
        fed = _feed(places.log, offset, scan)
        now = monotonic()
        if fed:
            offset, quiet_since = offset + fed, now
        if not slow_said and now - began > context.job.startup_warn_s and _is_starting(unit, scan):
            slow_said = True
            on_slow(scan)
        facts = scan.facts
        if facts.crashes and facts.ready is None:
            crashed_at = crashed_at or now
        limit = _exceeded(unit, now - began, now - quiet_since, None if crashed_at is None else now - crashed_at)
        if limit is not None:
            how = limit
            end_attempt(places, attempt)
            break
        report = _report(places, attempt.token)
    # The last words of pytest may lie between our last look and its end; so may the report, when only the lock fell.
    report = report or _report(places, attempt.token)
    end_attempt(places, attempt)
    while _feed_more(places.log, offset, scan):
        offset += _LOG_BLOCK
    rc = report.get("rc") if report else None
    duration = report.get("duration_s") if report else None
    if report is None and how == "exited":
        how = "lost"
    return Ended(
        rc if isinstance(rc, int) else None,
        how,
        float(duration) if isinstance(duration, (int, float)) else None,
        scan,
        str(report.get("late", full)) if report else full,
    )


def end_attempt(places: RepeatPlaces, attempt: Attempt) -> None:
    """End whatever still carries the attempt's token, and wait until its lock has fallen or cannot fall."""
    until = monotonic() + SHIM_GRACE_S
    while True:
        end_marked([f"{ATTEMPT_MARK}={attempt.token}"], END_GRACE_S)
        # The shim bears no mark: it may be about to start pytest, which is ended in the next round, or it is
        # writing down how pytest ended, and then goes by itself.
        if not is_running(places) or monotonic() > until:
            return
        time.sleep(_SHIM_POLL_S)


def next_attempt(previous: Attempt, gpus: tuple[int, ...], now: str) -> Attempt:
    """The launch after `previous`, with a token of its own."""
    return replace(previous, token=new_ulid(), number=previous.number + 1, gpus=gpus, intended_at=now)


def _report(places: RepeatPlaces, token: str) -> Mapping[str, Json] | None:
    body = _read_object(places.rc)
    return body if body is not None and body.get("token") == token else None


def _full(folder: Path) -> str:
    """That a disk has no room, or "". What a pytest then fails to write says nothing about the configuration."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return ""
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail  # to root what is kept for it is no failed write
    return "no space left on device while it ran" if disk.f_blocks and not free else ""


def _exceeded(unit: UnitJob, running: float, quiet: float, since_crash: float | None) -> How | None:
    if running > unit.timeout_s:
        return "timeout"
    if since_crash is not None and min(since_crash, quiet) > CRASH_GRACE_S:
        return "crashed"
    if quiet > unit.stall_s:
        return "stalled"
    return None


def _is_starting(unit: UnitJob, scan: LogScan) -> bool:
    facts = scan.facts
    return facts.ready is None and facts.summary is None and (unit.gpus > 0 or bool(facts.startup or facts.compiling))


def _feed(log: Path, offset: int, scan: LogScan) -> int:
    try:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unread(log, error) from None
    try:
        block = os.pread(fd, _LOG_BLOCK, offset)
    except OSError as error:
        raise _unread(log, error) from None
    finally:
        os.close(fd)
    scan.feed(block)
    return len(block)


def _unread(log: Path, error: OSError) -> ReadError:
    found = ReadError.of(log, error)
    return ReadError(log, f"{found.reason}; move it away, then resume the run", found.errno)


def _feed_more(log: Path, offset: int, scan: LogScan) -> bool:
    return _feed(log, offset, scan) == _LOG_BLOCK


def _read_object(path: Path) -> dict[str, Json] | None:
    """A small JSON object of our own, or None: these files are written whole, so anything else is not ours."""
    try:
        body = strictjson.loads(read_bytes_limited(path, 1 << 20), str(path))
    except InputError:
        return None
    return body if isinstance(body, dict) else None
