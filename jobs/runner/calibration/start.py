"""The start verb: check everything that can be checked, freeze the request, and launch a runner of its own.

plan.json is written last, because its presence is what makes a directory a run; it is created exclusively, so
of two starts in one fresh directory exactly one wins.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gates.calibration.layout import FINGERPRINT, MANIFEST, PLAN, PRECHECK
from gates.calibration.schema import Manifest, SchemaError, parse_manifest
from hosts.errors import InputError, RefusedError
from hosts.host import Accelerators, Json
from hosts.local import strictjson
from hosts.local.accelerators import read_accelerators
from hosts.local.files import new_ulid, utc_now, write_atomic, write_new
from hosts.local.leases import try_lease
from hosts.local.locks import read_holder
from hosts.local.procs import is_alive, proc_ref_json
from jobs.runner import git
from jobs.runner.calibration.cold import cold_paths
from jobs.runner.calibration.environ import complete
from jobs.runner.calibration.gpus import usable
from jobs.runner.calibration.job import Job, parse_job
from jobs.runner.calibration.resume import resumed_plan
from jobs.runner.fingerprint import fingerprint
from jobs.runner.journal import failed
from jobs.runner.places import RUN_MARK, RunPlaces

_READY_S = 60.0
_FILE_LIMIT = 64 << 20
_WORKSPACE_DIFF = "workspace.diff"


@dataclass(frozen=True)
class StartRequest:
    """What the start verb is asked for.

    Attributes:
        run_dir: Absolute, on this host.
        resume: Continue the run that is there.
        plan: Keys of plan.json that only the asker knows (model, stages, repeats, …).
        manifest: The schema to freeze.
        pins: Distributions whose versions the environment gate looks at.
        precheck: What the precheck said, to be kept beside the plan.
    """

    run_dir: Path
    resume: bool
    job: Job
    plan: Mapping[str, Json]
    manifest: Json
    pins: tuple[str, ...]
    precheck: Json = None


@dataclass(frozen=True)
class Checked:
    """A request that may be carried out, with what was found out on the way."""

    request: StartRequest
    places: RunPlaces
    code: git.Provenance
    environment: dict[str, Json]
    plan: dict[str, Json]


def check(payload: Json) -> Json:
    """Everything that `start` would refuse, without changing anything.

    Returns:
        `{git_sha, head, git_branch, dirty, environment}`.

    Raises:
        InputError, RefusedError: As `start`.
    """
    checked = _checked(payload)
    code = checked.code
    return {
        "git_sha": checked.plan.get("calibration_git_sha"),
        "head": code.sha,
        "git_branch": code.branch,
        "dirty": code.dirty,
        "environment": checked.environment,
    }


def start(payload: Json, image: bytes) -> Json:
    """Start or resume a calibration here, detached.

    Args:
        payload: As `StartRequest`.
        image: The runner's zip, copied into the run directory.

    Returns:
        `{run_dir, run_id, git_sha, holder, runner}` once the runner holds the run's lock.

    Raises:
        InputError: Something that was asked for is not right; nothing was changed.
        RefusedError: A gate says no: another commit, another environment, a live runner.
    """
    checked = _checked(payload)
    places = checked.places
    _make_folders(places)
    # Of two starts at once one would freeze its request under the other's runner. This lock dies with its holder.
    turn = try_lease(places.starting, {"run": str(places.root), "pid": os.getpid()})
    if turn is None:
        raise RefusedError(f"{places.root} is just being started by somebody else")
    try:
        _check_place(checked.request, places)  # again: another start may have come before us
        _freeze(checked)
        return _launch(checked, image)
    finally:
        turn.close()


def _checked(payload: Json) -> Checked:
    request = _parse(payload)
    places = RunPlaces(request.run_dir)
    manifest = _manifest(request.manifest)
    _check_place(request, places)
    _check_tests(request.job, manifest)
    repo = Path(request.job.repo)
    code = git.provenance(repo, request.job.settings)
    if not git.is_ignored(repo, places.root):
        raise InputError(_tracked(repo, places.root))
    accelerators = read_accelerators()
    _check_gpus(request.job, accelerators)
    for unit in request.job.units:
        cold_paths(request.job.cold_paths, complete(os.environ, {**request.job.overlay, **unit.env}, None))
    environment = complete(os.environ, request.job.overlay, None)
    now = fingerprint(request.job.venv_python, environment, accelerators, request.pins)
    plan = (
        resumed_plan(request.job, places, request.plan.get("model"), manifest, code, now)
        if request.resume
        else _fresh(request, code)
    )
    plan["stages_yaml_sha256"] = hashlib.sha256(_manifest_bytes(request.manifest)).hexdigest()
    return Checked(request, places, code, now, plan)


def _tracked(repo: Path, run_dir: Path) -> str:
    top, real = git.top(repo), Path(os.path.realpath(run_dir))
    if real == top:
        return f"{run_dir} is the repository itself; a run directory lies in a folder that git ignores"
    folder = (real if real.parent == top else real.parent).relative_to(top).as_posix()
    return f"git would track {run_dir}; add the line `/{folder}/` to {top / '.gitignore'}"


def _check_gpus(job: Job, accelerators: Accelerators) -> None:
    offered = len(usable(accelerators, job.gpu))
    for unit in job.units:
        if unit.gpus > offered and accelerators.source != "unknown":
            have = (
                f"this host offers {offered} of {len(accelerators.devices)}"
                if accelerators.devices
                else "this host has none"
            )
            told = f"; {accelerators.detail}" if accelerators.detail else ""
            raise RefusedError(f"{unit.test} needs {unit.gpus} GPUs, {have}; see gpus_per_test and gpu_exclude{told}")


def _check_place(request: StartRequest, places: RunPlaces) -> None:
    if places.root.exists() and not places.root.is_dir():
        raise InputError(f"{places.root} is a file; a run directory is a folder")
    above = next(folder for folder in (places.root, *places.root.parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        why = "cannot be written" if above.is_dir() else "is a file"
        raise InputError(f"{places.root} cannot be a run directory: {above} {why}")
    has_plan = (places.root / PLAN).exists()
    if request.resume and not has_plan:
        raise InputError(f"{places.root} holds no {PLAN}, so there is nothing to resume there")
    if not request.resume and has_plan:
        raise InputError(
            f"{places.root} already holds a run; --resume continues it, another --output-dir starts a new one"
        )
    holder = read_holder(places.lock) if places.lock.exists() else None
    if holder is not None and is_alive(holder.ref):
        raise RefusedError(f"{places.root} is already running: {holder}")


def _check_tests(job: Job, manifest: Manifest) -> None:
    for unit in job.units:
        if not (Path(job.repo) / unit.test).is_file():
            raise InputError(f"test file {unit.test} is not in {job.repo}")
        for key in unit.stages:
            if manifest.get(key) is None:
                raise InputError(f"stage {key} is not in the manifest")


def _fresh(request: StartRequest, code: git.Provenance) -> dict[str, Json]:
    now = utc_now()
    return {
        **request.plan,
        "timestamp": now,
        "calibration_started_at": now,
        "calibration_git_sha": code.sha,
        "git_sha": code.sha,
        "git_branch": code.branch,
        "dirty": code.dirty,
        "workspace_diff_sha256": code.diff_sha256,
        "venv_python": request.job.venv_python,
        "run_id": new_ulid(),
    }


def _make_folders(places: RunPlaces) -> None:
    for folder in (places.root, places.ours, places.inbox):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise failed(folder, error) from error


def _freeze(checked: Checked) -> None:
    request, places = checked.request, checked.places
    job = replace(request.job, head=checked.code.sha)
    write_atomic(places.job, strictjson.dumps(job.to_json(), indent=1), 0o600)
    if not request.resume:
        write_atomic(places.root / FINGERPRINT, strictjson.dumps(checked.environment, indent=2))
        if isinstance(request.precheck, dict):
            write_atomic(places.root / PRECHECK, strictjson.dumps(request.precheck, indent=2))
        if checked.code.diff:
            write_atomic(places.root / _WORKSPACE_DIFF, checked.code.diff)
    write_atomic(places.root / MANIFEST, _manifest_bytes(request.manifest))
    data = strictjson.dumps(checked.plan, indent=2)
    if request.resume:
        write_atomic(places.root / PLAN, data)
    elif not write_new(places.root / PLAN, data):
        raise InputError(f"{places.root} was just taken by another run")


def _launch(checked: Checked, image: bytes) -> Json:
    request, places, plan = checked.request, checked.places, checked.plan
    pyz = places.image(hashlib.sha256(image).hexdigest())
    if not pyz.exists():
        write_atomic(pyz, image)
    nonce = new_ulid()
    run_id = str(plan.get("run_id", nonce))
    try:
        log = os.open(places.runner_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise failed(places.runner_log, error) from error
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", str(pyz), "run", "calibration", str(places.root), nonce],
            cwd="/",
            env={**os.environ, RUN_MARK: run_id},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except OSError as error:
        raise InputError(f"cannot start the runner with {sys.executable}: {error.strerror}") from error
    finally:
        os.close(log)
    # Whoever called may live long: the runner is buried when it ends.
    threading.Thread(target=process.wait, name="runner", daemon=True).start()
    holder = _wait_for_lock(places, nonce, process.poll, 130.0 if request.job.take_over else _READY_S)
    return {
        "run_dir": str(places.root),
        "run_id": run_id,
        "git_sha": plan.get("calibration_git_sha"),
        "holder": holder,
        "runner": pyz.name,
    }


def _wait_for_lock(places: RunPlaces, nonce: str, ended: Callable[[], int | None], patience_s: float) -> Json:
    """Until the runner says in the lock that it has begun; a short run may even have ended by then."""
    end = time.monotonic() + patience_s
    while True:
        code = ended()
        holder = read_holder(places.lock) if places.lock.exists() else None
        if holder is not None and holder.nonce == nonce:
            return proc_ref_json(holder.ref)
        if code == 0:
            return None
        if code is not None:
            raise RefusedError(f"the runner ended at once: {last_line(places.runner_log)}")
        if time.monotonic() > end:
            raise RefusedError(
                f"the runner did not take the run's lock within {patience_s:.0f} s; see {places.runner_log}"
            )
        time.sleep(0.02)


def last_line(path: Path) -> str:
    """The last line of a small log that says something, or a remark that there is none."""
    try:
        lines = path.read_text("utf-8", "replace")[-4000:].strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it said nothing"


def _manifest(document: Json) -> Manifest:
    try:
        return parse_manifest(document)
    except SchemaError as error:
        raise InputError(str(error)) from error


def _manifest_bytes(document: Json) -> bytes:
    # JSON is YAML too: people and other tools read it as stages.yaml, and no host needs a YAML parser.
    return strictjson.dumps(document, indent=2)


def _parse(payload: Json) -> StartRequest:
    if not isinstance(payload, dict):
        raise InputError("start: expected an object")
    run_dir, plan = payload.get("run_dir"), payload.get("plan")
    if not isinstance(run_dir, str) or not isinstance(plan, dict):
        raise InputError("start: run_dir and plan are needed")
    path = Path(os.path.expanduser(run_dir))
    if not path.is_absolute():
        raise InputError(f"start: run_dir must be absolute on the host, got {run_dir}")
    pins = payload.get("pins", [])
    return StartRequest(
        run_dir=path,
        resume=payload.get("resume") is True,
        job=parse_job(payload.get("job")),
        plan=plan,
        manifest=payload.get("manifest"),
        pins=tuple(str(pin) for pin in pins) if isinstance(pins, list) else (),
        precheck=payload.get("precheck"),
    )
