"""One pytest, waited for: the process that outlives the runner and writes down how pytest ended.

The runner starts it as `python RUNNER.pyz exec SPEC.json`, in a session of its own and with the attempt's
locks as inherited descriptors. It starts pytest in yet another session with the attempt's token in its
environment, so that whoever comes later finds pytest by its token, and the locks fall when the last of both is
gone. Signals to end are for pytest; the shim stays to report.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from hosts.errors import GatewatchError, InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import utc_now, write_atomic
from hosts.local.procs import proc_ref_json, ref_of, self_ref
from jobs.runner.voice import tell

_REPORT_TRIES = 60


@dataclass(frozen=True)
class ShimSpec:
    """What the shim is to do.

    Attributes:
        token: Names the attempt.
        mark: Name of the environment variable that carries the token.
        argv: The command, an argument vector.
        cwd: Its working directory.
        log: Where its output goes (appended).
        started, rc: Where to write that it runs, and how it ended.
        cpus: CPUs to run on; empty for all.
        keep_fds: Inherited descriptors to pass on: the attempt's locks.
    """

    token: str
    mark: str
    argv: tuple[str, ...]
    cwd: str
    log: str
    started: str
    rc: str
    cpus: tuple[int, ...]
    keep_fds: tuple[int, ...]


def spec_json(spec: ShimSpec) -> bytes:
    """The specification as the shim reads it from its standard input."""
    return strictjson.dumps(asdict(spec))


def exec_command(stdin: bytes) -> int:
    """Run the command that `stdin` describes, and report how it ended. Returns 0 once the report is written."""
    spec = _parse(strictjson.loads(stdin, "shim"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A handler and not SIG_IGN, because an ignored signal would stay ignored in pytest.
        signal.signal(number, _stay)
    environment = dict(os.environ)
    environment[spec.mark] = spec.token
    started_at, began = utc_now(), time.monotonic()
    log = -1
    try:
        log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if spec.cpus:
            os.sched_setaffinity(0, spec.cpus)
        process = subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=spec.keep_fds,
        )
    except OSError as error:
        said = f"gatewatch: cannot start {spec.argv[0]}: {error.strerror}"
        tell(said)
        with contextlib.suppress(OSError):
            os.write(log, f"{said}\n".encode())
        failed: dict[str, Json] = {"token": spec.token, "rc": 127, "started_at": started_at, "ended_at": utc_now()}
        _report(spec, {**failed, "duration_s": 0.0})
        return 0
    finally:
        if log >= 0:
            os.close(log)
    pytest_ref = ref_of(process.pid)
    about: dict[str, Json] = {
        "token": spec.token,
        "started_at": started_at,
        "shim": proc_ref_json(self_ref()),
        "pytest": proc_ref_json(pytest_ref) if pytest_ref else None,
    }
    _try_write(Path(spec.started), about)
    rc = process.wait()
    ended: dict[str, Json] = {"token": spec.token, "rc": rc, "started_at": started_at, "ended_at": utc_now()}
    _report(spec, {**ended, "duration_s": round(time.monotonic() - began, 3)})
    return 0


def _report(spec: ShimSpec, body: dict[str, Json]) -> None:
    # A full disk may be emptied: this report is worth a minute of patience. Without it the log's last line decides.
    # That it came late is part of it: pytest could not write its results then either.
    for _ in range(_REPORT_TRIES):
        problem = _try_write(Path(spec.rc), body)
        if not problem:
            return
        body.setdefault("late", problem)
        time.sleep(1.0)


def _try_write(path: Path, body: dict[str, Json]) -> str:
    """Write a file, or say why that is not possible."""
    try:
        write_atomic(path, strictjson.dumps(body))
    except GatewatchError as error:
        tell(f"gatewatch shim: {error}")
        return str(error)
    return ""


def _stay(_number: int, _frame: object) -> None:
    """Outlive the signals that are meant for pytest."""


def _parse(body: object) -> ShimSpec:
    if not isinstance(body, dict):
        raise InputError("shim: expected an object")
    try:
        return ShimSpec(
            token=str(body["token"]),
            mark=str(body["mark"]),
            argv=tuple(str(item) for item in body["argv"]),
            cwd=str(body["cwd"]),
            log=str(body["log"]),
            started=str(body["started"]),
            rc=str(body["rc"]),
            cpus=tuple(int(item) for item in body["cpus"]),
            keep_fds=tuple(int(item) for item in body["keep_fds"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"shim: bad specification ({error!r})") from error
