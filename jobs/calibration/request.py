"""From what a person asked for to the payload of the start verb.

Everything that can be checked here is checked here; what only the host knows (git, the interpreter, GPUs) is
checked there, by the `check` verb, before anything is changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gates.calibration.records import Plan, RecordError, parse_plan
from gates.calibration.schema import Manifest, needs_config, unstrictable
from gates.calibration.select import SelectionError, select_stages
from gates.calibration.units import Unit, units_of
from hosts.errors import InputError
from hosts.host import HostReader, Json
from hosts.local import strictjson
from hosts.profiles import HostProfile
from hosts.version import VERSION
from jobs.calibration.checkout import (
    Venv,
    checkout_above,
    choose_model,
    choose_venv,
    load_config,
    load_manifest_document,
    missing_venv,
)
from jobs.calibration.config import ModelConfig
from jobs.calibration.environment import job_environment
from jobs.calibration.site import Site
from jobs.runner.calibration.job import DEFAULT_MAX_PASSES, GpuRules, Job, UnitJob, parse_job
from jobs.runner.places import RUNS

DEADLINE_S = 60.0
REPEATS = (1, 2, 3, 5)
DEFAULT_REPEATS = 5


@dataclass(frozen=True)
class RunOptions:
    """What a person asked for; None where nothing was said."""

    model: str | None = None
    stages: tuple[str, ...] = ()
    repeats: int | None = None
    output_dir: str | None = None
    resume: bool = False
    max_passes: int = DEFAULT_MAX_PASSES
    repo: str | None = None
    venv_python: str | None = None
    take_over: bool = False


@dataclass(frozen=True)
class Request:
    """A calibration that is ready to be started.

    Attributes:
        payload: What the start verb gets.
        run_dir: Absolute, on the host.
        asked: The stages in the words they were asked for, for the one line that is shown.
        manifest, schema: The schema of the stages, as data and as it was read.
        venv, site, config: The interpreter, the place and the configuration that the run is made with.
        warnings: What looked wrong and stops nothing.
    """

    payload: Json
    run_dir: str
    model: str
    stages: tuple[str, ...]
    repeats: int
    asked: str
    manifest: Json
    venv: Venv
    site: Site
    config: ModelConfig
    schema: Manifest
    warnings: tuple[str, ...]


async def make_request(site: Site, options: RunOptions, reader: HostReader, environ: Mapping[str, str]) -> Request:
    """Put a request together.

    Args:
        reader: The host that the run is for.
        environ: Our environment, for $TUNE_VENV_PYTHON.

    Raises:
        InputError: Something that was asked for is not right.
        UnreachableError: The host did not answer.
    """
    plan = await _plan_of(options, reader) if options.resume else None
    if plan is not None:
        await asyncio.to_thread(_check_same, plan, site, options)
    asked_model = options.model or (plan.model if plan is not None else None)
    model = await asyncio.to_thread(choose_model, site.checkout, asked_model)
    if plan is not None:
        # What was said at the start need not be said again: the run remembers it.
        options = replace(options, venv_python=options.venv_python or plan.venv_python)
        site = await _same_repo(site, options, reader)
    loaded = await asyncio.to_thread(load_config, site.checkout, model)
    config = loaded.value
    manifest, document = await asyncio.to_thread(load_manifest_document, site.checkout, model)
    stages = _stages(manifest, options.stages or ("ALL",)) if plan is None else _same_stages(plan, manifest, options)
    _check_manifest(manifest, stages, model)
    repeats = plan.repeats if plan is not None else options.repeats or DEFAULT_REPEATS
    venv = await _venv(site, options, config, model, reader, environ)
    if plan is not None and plan.venv_source and venv.path == plan.venv_python:
        venv = replace(venv, where=f"plan.json, {plan.venv_source}")
    units = units_of(manifest, stages)
    job = await asyncio.to_thread(make_job, site, options, config, venv, units, model)
    run_dir = options.output_dir or f"{site.runs}/{_stamp()}_{model}_r{repeats}"
    payload: Json = {
        "system": "calibration",
        "run_dir": run_dir,
        "resume": options.resume,
        "job": job.to_json(),
        "manifest": document,
        "pins": sorted({*config.pins, *(site.profile.reference.pins if site.profile else ())}),
        "plan": {
            "model": model,
            "stages": list(stages),
            "repeats": repeats,
            "venv_source": venv.source,
            "tune_version": f"gatewatch {VERSION}",
            "stages_yaml": f"models/{model}/stages.yaml",
            "reference": _reference(site.profile, config),
            "units": [{"key": unit.key, "test": unit.test, "stages": list(unit.stages)} for unit in units],
            "host": site.profile.name if site.profile is not None else None,
            "root": await asyncio.to_thread(_far_root, site, run_dir),
        },
    }
    words = "ALL" if set(stages) == set(manifest.keys) else ",".join(options.stages or stages)
    selected: Json = {key: document[key] for key in stages} if isinstance(document, dict) else document
    return Request(
        payload,
        run_dir,
        model,
        stages,
        repeats,
        words,
        selected,
        venv,
        site,
        config,
        manifest,
        (*site.warnings, *loaded.warnings),
    )


def make_job(
    site: Site, options: RunOptions, config: ModelConfig, venv: Venv, units: Sequence[Unit], model: str
) -> Job:
    """What the runner needs to know beside the plan."""
    profile = site.profile
    gpu = GpuRules()
    if profile is not None:
        gpu = GpuRules(
            include=tuple(profile.gpu_include) if profile.gpu_include is not None else None,
            exclude=tuple(profile.gpu_exclude),
            cpusets={",".join(map(str, item.gpus)): item.cpus_text for item in profile.cpusets} or None,
        )
    return Job(
        repo=site.repo,
        venv_python=venv.path,
        overlay=job_environment(config, profile, "", {}, {}).overlay,
        units=tuple(_unit_job(unit, config, profile) for unit in units),
        max_passes=options.max_passes,
        gpu=gpu,
        cold_paths=config.cold_paths,
        startup_warn_s=config.startup_warn_s,
        settings=site.settings(model),
        take_over=options.take_over,
    )


def _unit_job(unit: Unit, config: ModelConfig, profile: HostProfile | None) -> UnitJob:
    limits = config.limits_for(unit.test)
    return UnitJob(
        key=unit.key,
        test=unit.test,
        stages=unit.stages,
        args=tuple(config.args_for(unit.test)),
        env=job_environment(config, profile, unit.test, dict(unit.extra_env), {}).overlay,
        gpus=config.gpus_for(unit.test) if unit.gpus_hint is None else unit.gpus_hint,
        timeout_s=limits.timeout_s,
        stall_s=limits.stall_s,
    )


async def _plan_of(options: RunOptions, reader: HostReader) -> Plan:
    if options.output_dir is None:
        raise InputError("--resume continues one run: name it with --output-dir")
    path = f"{options.output_dir}/plan.json"
    try:
        chunk = await reader.read(path, 0, 16 << 20)
    except InputError as error:
        raise InputError(f"{options.output_dir} holds no run to resume: {error}") from error
    try:
        return parse_plan(strictjson.loads(chunk.data, path))
    except RecordError as error:
        raise InputError(f"{path}: {error}") from error


async def _same_repo(site: Site, options: RunOptions, reader: HostReader) -> Site:
    if options.repo is not None:
        return site
    folder, _, name = str(options.output_dir).rstrip("/").rpartition("/")
    around = folder.removesuffix(f"/{RUNS}")
    if name and around != folder and await reader.query("locate", {"path": f"{around}/.git"}, DEADLINE_S):
        # A copied or moved checkout is another repository than the one that the run remembers.
        return replace(site, repo=around)
    path = f"{options.output_dir}/.gatewatch/job.json"
    try:
        chunk = await reader.read(path, 0, 16 << 20)
        return replace(site, repo=parse_job(strictjson.loads(chunk.data, path)).repo)
    except InputError:
        return site  # another program's run: the checkout's own repository it is


def _check_same(plan: Plan, site: Site, options: RunOptions) -> None:
    if options.model not in (None, plan.model):
        raise InputError(f"{options.output_dir} is a run of model {plan.model}, not of {options.model}")
    if plan.model not in site.checkout.models():
        raise InputError(
            f"{options.output_dir} is a run of model {plan.model}, which is not in {site.checkout.models_folder}"
        )
    if options.repeats not in (None, plan.repeats):
        raise InputError(f"{options.output_dir} has {plan.repeats} repeats; --repeats cannot change that on --resume")


def _same_stages(plan: Plan, manifest: Manifest, options: RunOptions) -> tuple[str, ...]:
    gone = [key for key in plan.stages if manifest.get(key) is None]
    if gone:
        raise InputError(f"stage {gone[0]} of {options.output_dir} is no longer in stages.yaml; start a new run")
    if options.stages and set(_stages(manifest, options.stages)) != set(plan.stages):
        raise InputError("--stages names other stages than the run that is resumed; leave it out, or start a new run")
    return plan.stages


def _stages(manifest: Manifest, asked: Sequence[str]) -> tuple[str, ...]:
    try:
        return select_stages(manifest, asked)
    except SelectionError as error:
        raise InputError(f"--stages: {error}") from error


def _check_manifest(manifest: Manifest, stages: Sequence[str], model: str) -> None:
    open_ends = needs_config(manifest, stages)
    if open_ends:
        named = ", ".join(f"{stage}.{metric}" for stage, metric in open_ends[:5])
        raise InputError(
            f"{named}: NEEDS_CONFIG; say under metric_sources in models/{model}/config.yaml where the value is, "
            "then discover"
        )
    for key in stages:
        stage = manifest.get(key)
        reason = unstrictable(stage) if stage is not None else None
        if reason:
            raise InputError(f"models/{model}/stages.yaml: {reason}")


async def _venv(
    site: Site, options: RunOptions, config: ModelConfig, model: str, reader: HostReader, environ: Mapping[str, str]
) -> Venv:
    candidates = tuple(config.default_venv_python)
    if site.profile is not None:
        candidates = (*site.profile.venv_python, *candidates)
    present = [path for path in dict.fromkeys(candidates) if await reader.query("locate", {"path": path}, DEADLINE_S)]
    venv = choose_venv(options.venv_python, environ if site.local else {}, site.profile, config, model, present)
    expanded = await reader.query("locate", {"path": venv.path}, DEADLINE_S)
    if not isinstance(expanded, list) or len(expanded) != 1:
        there = "" if site.local else f" on {reader.name}"
        raise InputError(f"{missing_venv(venv)}{there}; name another with --venv-python")
    return Venv(str(expanded[0]), venv.source, venv.where)


def _reference(profile: HostProfile | None, config: ModelConfig) -> Json:
    if profile is None:
        return None
    reference = profile.reference
    pins: dict[str, Json] = {**config.pins, **reference.pins}
    if not (pins or reference.gpu_model or reference.image):
        return None
    return {"gpu_model": reference.gpu_model, "image": reference.image, "pins": pins}


def _far_root(site: Site, run_dir: str) -> str | None:
    """What a later `--root` has to say, None where the run directory itself tells."""
    above = checkout_above(Path(run_dir)) if site.local else None
    return None if above == site.checkout else str(site.checkout.root)


def _stamp() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
