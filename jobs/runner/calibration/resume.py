"""Going on with a run: only where everything that is measured is still the same (spec/calibration.md, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gates.calibration.environment import same_environment
from gates.calibration.layout import FINGERPRINT, MANIFEST, PLAN
from gates.calibration.records import Plan, RecordError, parse_plan
from gates.calibration.schema import Manifest, SchemaError, parse_manifest, same_measure
from hosts.errors import InputError, RefusedError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import read_bytes_limited
from jobs.runner import git
from jobs.runner.calibration.head import moved
from jobs.runner.calibration.job import Job
from jobs.runner.places import RunPlaces

_FILE_LIMIT = 64 << 20


def resumed_plan(
    job: Job, places: RunPlaces, model: Json, manifest: Manifest, code: git.Provenance, now: dict[str, Json]
) -> dict[str, Json]:
    """The plan of the run that is there, once it is shown that going on with it measures the same thing.

    Args:
        model: The model that is asked for.
        manifest: The schema that is asked for.
        code: The repository as it is now.
        now: The environment as it is now.

    Raises:
        InputError: The plan cannot be read, or is one of another model.
        RefusedError: Another commit, schema, working tree or environment.
    """
    document = strictjson.loads(read_bytes_limited(places.root / PLAN, _FILE_LIMIT), PLAN)
    try:
        plan = parse_plan(document)
    except RecordError as error:
        raise InputError(f"{places.root / PLAN}: {error}") from error
    assert isinstance(document, dict)  # parse_plan has seen to it
    if plan.model != model:
        raise InputError(f"{places.root} is a run of model {plan.model}, not of {model}")
    _check_commit(job, plan, document, manifest, code)
    _check_manifest(places, plan, manifest)
    _check_environment(places, now)
    return dict(document)


def _check_commit(job: Job, plan: Plan, document: Mapping[str, Json], manifest: Manifest, code: git.Provenance) -> None:
    if plan.calibration_git_sha is None:
        raise RefusedError("plan.json names no commit, so it cannot be shown that this is the same code")
    state = moved(Path(job.repo), plan.calibration_git_sha, manifest, job.settings)
    if state.reasons:
        raise RefusedError(
            f"HEAD is {state.head[:12]}, the run is of {plan.calibration_git_sha[:12]}, and more than threshold "
            f"literals changed: {'; '.join(state.reasons[:3])}; start a new run, or check out that commit"
        )
    if plan.calibration_git_sha != code.sha:
        if code.diff:
            raise RefusedError("HEAD has moved and the working tree is changed too; commit or undo the changes first")
        return
    recorded = document.get("workspace_diff_sha256")
    if isinstance(recorded, str) and recorded != code.diff_sha256:
        raise RefusedError(
            "the working tree changed since the run was started; restore it (workspace.diff) or start a new run"
        )


def _check_manifest(places: RunPlaces, plan: Plan, manifest: Manifest) -> None:
    path = places.root / MANIFEST
    if not path.exists():
        return
    try:
        frozen = parse_manifest(strictjson.loads(read_bytes_limited(path, _FILE_LIMIT), MANIFEST))
    except SchemaError as error:
        raise InputError(str(error)) from error
    differences = same_measure(frozen, manifest, plan.stages)
    if differences:
        raise RefusedError(f"stages.yaml now measures something else: {'; '.join(differences[:3])}; start a new run")


def _check_environment(places: RunPlaces, now: dict[str, Json]) -> None:
    path = places.root / FINGERPRINT
    if not path.exists():
        return
    before = strictjson.loads(read_bytes_limited(path, _FILE_LIMIT), FINGERPRINT)
    differences = same_environment(before, now)
    if differences:
        raise RefusedError(f"the environment is another one now: {'; '.join(differences[:4])}; start a new run")
