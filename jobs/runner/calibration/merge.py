"""The merge verb: a new run directory made of others, which stay as they are (spec, section 5).

It is built beside its place and renamed to it when it is whole: a merge that was cut off leaves no run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.assemble import Run, assemble
from gates.calibration.layout import FINGERPRINT, JOURNAL, MANIFEST, PLAN, PRECHECK, PYTEST, cell_path
from gates.calibration.merging import merge_problems, merged_plan
from gates.calibration.records import RecordError, parse_plan
from gates.calibration.schema import SchemaError, parse_manifest
from gates.calibration.units import units_of
from gates.documents import Document
from hosts.errors import InputError, RefusedError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import new_ulid, read_bytes_limited, write_atomic
from hosts.local.locks import read_holder
from hosts.local.procs import is_alive, self_ref
from hosts.local.verbs import text_of
from jobs.runner import git
from jobs.runner.calibration.record import read_document
from jobs.runner.journal import JournalWriter, failed, read_journal
from jobs.runner.places import RunPlaces

_LIMIT = 64 << 20
_CELL_LIMIT = 256 << 20


@dataclass(frozen=True)
class _Parent:
    places: RunPlaces
    run: Run
    manifest: Mapping[str, Json]
    plan_sha256: str


def merge(payload: Json) -> Json:
    """Make one run of several.

    Args:
        payload: {out: absolute path that is not there yet; runs: absolute paths; manifest: the checkout's stages,
            for runs that have not frozen their own}. The directories are not called "run_dir": the key of this call
            is kept with the user's state.

    Returns:
        {run_dir, stages, runs}.

    Raises:
        InputError: A directory is no run, or `out` is there already or would be tracked by git.
        RefusedError: The runs cannot become one, or a runner is at work in one of them.
    """
    out = Path(os.path.expanduser(text_of(payload, "out")))
    assert isinstance(payload, dict)  # text_of has seen to it
    listed = payload.get("runs")
    folders = [Path(os.path.expanduser(str(item))) for item in listed] if isinstance(listed, list) else []
    _check_out(out, folders)
    parents = [_parent(folder, payload.get("manifest")) for folder in folders]
    problems = merge_problems([parent.run for parent in parents])
    if problems:
        raise RefusedError(f"these runs cannot be merged: {'; '.join(problems)}")
    building = out.with_name(f".{out.name}.{new_ulid()}.merging")
    try:
        building.mkdir(parents=True)
        _build(building, parents)
        os.rename(building, out)
    except OSError as error:
        raise failed(out, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    stages = [stage for parent in parents if parent.run.plan is not None for stage in parent.run.plan.stages]
    return {"run_dir": str(out), "stages": list(stages), "runs": [str(folder) for folder in folders]}


def _check_out(out: Path, folders: list[Path]) -> None:
    if not out.is_absolute() or not all(folder.is_absolute() for folder in folders):
        raise InputError("merge: every directory must be absolute on the host")
    real = [os.path.realpath(folder) for folder in folders]
    if len(set(real)) != len(real):
        raise InputError("merge: one run is named twice")
    if os.path.lexists(out):
        raise InputError(f"{out} is there already; a merge makes a new directory")
    above = next(folder for folder in out.parents if folder.exists())
    if any(os.path.realpath(above).startswith(folder + os.sep) or os.path.realpath(above) == folder for folder in real):
        raise InputError(f"{out} would lie within one of the runs")
    try:
        tracked = not git.is_ignored(above, out)
    except InputError:
        tracked = False  # no git there: nothing tracks it
    if tracked:
        raise InputError(f"git would track {out}; put it below a folder that git ignores")


def _parent(folder: Path, fallback: Json) -> _Parent:
    places = RunPlaces(folder)
    holder = read_holder(places.lock)
    if holder is not None and is_alive(holder.ref) is not False:
        raise RefusedError(f"{folder}: {holder} may be at work there; merge when it has ended")
    documents: dict[str, Document] = {}
    sums: dict[str, str] = {}
    for name in (PLAN, MANIFEST, FINGERPRINT):
        found = read_document(folder / name, f"{folder}/{name}")
        if found is not None:
            documents[name] = found
            sums[name] = hashlib.sha256(read_bytes_limited(folder / name, _LIMIT)).hexdigest()
    if PLAN not in documents:
        raise InputError(f"{folder} holds no {PLAN}, so it is not a run directory")
    try:
        plan = parse_plan(strictjson.loads(read_bytes_limited(folder / PLAN, _LIMIT), str(folder / PLAN)))
        manifest_document = documents.get(MANIFEST, fallback)
        if not isinstance(manifest_document, dict):
            raise InputError(f"{folder} has no frozen {MANIFEST}, and the checkout has none of its model")
        manifest = parse_manifest(manifest_document, f"{folder}/{MANIFEST}")
    except (RecordError, SchemaError) as error:
        raise InputError(f"{folder}: {error}") from error
    for stage in plan.stages:
        for run in range(1, plan.repeats + 1):
            path = cell_path(stage, run)
            cell = read_document(folder / path, path)
            if cell is not None:
                documents[path] = cell
                sums[path] = hashlib.sha256(read_bytes_limited(folder / path, _CELL_LIMIT)).hexdigest()
    journal = read_journal(places.journal) if places.journal.exists() else None
    return _Parent(places, assemble(documents, manifest, journal, sha256=sums), manifest_document, sums[PLAN])


def _build(folder: Path, parents: list[_Parent]) -> None:
    """Everything but its name; plan.json last."""
    frozen: dict[str, Json] = {}
    for parent in reversed(parents):
        frozen.update(parent.manifest)
    journal = b""
    for parent in parents:
        assert parent.run.plan is not None
        assert parent.run.manifest is not None
        frozen.update({key: parent.manifest[key] for key in parent.run.plan.stages})
        for path in parent.run.cells:
            _copy(parent.places.root, folder, cell_path(*path))
        for unit in units_of(parent.run.manifest, parent.run.plan.stages):
            for log in sorted((parent.places.root / PYTEST / unit.key).glob("run*.log")):
                _copy(parent.places.root, folder, log.relative_to(parent.places.root).as_posix())
        if parent.places.journal.exists():
            text = read_bytes_limited(parent.places.journal, 1 << 30)
            journal += text if text.endswith(b"\n") or not text else text + b"\n"
    for name in (FINGERPRINT, PRECHECK):
        if (parents[0].places.root / name).is_file():
            _copy(parents[0].places.root, folder, name)
    named: list[Json] = [
        {
            "run_dir": str(parent.places.root),
            "run_id": parent.run.plan.raw.get("run_id") if parent.run.plan is not None else None,
            "plan_sha256": parent.plan_sha256,
        }
        for parent in parents
    ]
    # Who recorded what, and in which session, stays as it was: the parents' own lines.
    (folder / JOURNAL).write_bytes(journal)
    writer = JournalWriter(folder / JOURNAL, self_ref())
    try:
        writer.append("run.merged", {"parents": named})
    finally:
        writer.close()
    manifest = strictjson.dumps(frozen, indent=2)
    write_atomic(folder / MANIFEST, manifest)
    plan = merged_plan([parent.run for parent in parents], named)
    plan = {**plan, "run_id": new_ulid(), "stages_yaml_sha256": hashlib.sha256(manifest).hexdigest()}
    write_atomic(folder / PLAN, strictjson.dumps(plan, indent=2))


def _copy(root: Path, folder: Path, path: str) -> None:
    source, target = root / path, folder / path
    if source.is_symlink() or not source.is_file():
        raise InputError(f"{source} is not a regular file")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
