"""Asking a host whether a run could start there: what is needed is put together here, and looked at there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gates.calibration.precheck import Asked, PrecheckResult, UnitAsked, asked_json, parse_result
from gates.calibration.precheck_judges import clone_source
from gates.calibration.schema import Manifest, Stage
from gates.calibration.units import Unit, units_of
from hosts.errors import InputError, UnreachableError
from hosts.host import HostActor, HostReader, Json
from hosts.profiles import HostProfile
from jobs.calibration.checkout import Venv, choose_venv, git_top
from jobs.calibration.config import ModelConfig
from jobs.calibration.control import called, told
from jobs.calibration.environment import job_environment
from jobs.calibration.site import Site
from jobs.connect import is_local
from jobs.runner import git

DEADLINE_S = 180.0
_SHORT_S = 60.0


async def precheck(
    reader: HostReader,
    site: Site,
    config: ModelConfig,
    stages: Sequence[str],
    *,
    manifest: Manifest | None,
    model: str,
    venv: Venv | None = None,
    venv_python: str | None = None,
    environ: Mapping[str, str] | None = None,
    run_dir: str | None = None,
) -> PrecheckResult:
    """Look at everything that these stages need on the site's host. Nothing is changed there.

    Args:
        stages: Keys of the selected stages; none means whatever the configuration names.
        manifest: The model's stages, None where there are none yet.
        model: The folder's name.
        venv: The Python of the tests, where it has been chosen already; else it is chosen from `venv_python` (the
            flag), `environ` ($TUNE_VENV_PYTHON), the profile and the configuration.
        run_dir: Where the run would be made, None where that is not decided.

    Raises:
        UnreachableError: The host did not answer.
    """
    problem = ""
    if venv is None:
        try:
            venv = await _venv(reader, site, config, model, venv_python, environ or {})
        except InputError as error:
            problem = str(error)
    asked = make_asked(site, config, stages, manifest, model, venv, run_dir, problem)
    asked = replace(asked, clone_url=await asyncio.to_thread(clone_url, site, [unit.test for unit in asked.units]))
    answer = await told(reader.query("calibration.precheck", asked_json(asked), DEADLINE_S))
    try:
        return parse_result(answer)
    except ValueError as error:
        raise UnreachableError(str(error)) from error


async def keep(actor: HostActor, site: Site, result: PrecheckResult, run_dir: str) -> tuple[str, ...]:
    """Write precheck.json and environment-fingerprint.json into a fresh run directory on the host.

    Returns:
        Their paths.

    Raises:
        InputError: The directory holds a run already, or git would track it.
        UnreachableError: The host stayed away.
    """
    body = {**result.to_json(), "host": site.profile.name if site.profile is not None else None}
    payload: Json = {"folder": run_dir, "repo": site.repo, "precheck": body, "fingerprint": result.fingerprint}
    answer = await called(actor, "calibration.write_precheck", payload, DEADLINE_S)
    paths = answer.get("paths") if isinstance(answer, dict) else None
    return tuple(map(str, paths)) if isinstance(paths, list) else ()


def make_asked(
    site: Site,
    config: ModelConfig,
    stages: Sequence[str],
    manifest: Manifest | None,
    model: str,
    venv: Venv | None,
    run_dir: str | None = None,
    venv_problem: str = "",
) -> Asked:
    """All that a precheck of these stages asks; an item that the project does not have is not in it."""
    profile = site.profile
    keys = tuple(stages) or (manifest.keys if manifest is not None else ())
    units = [_unit(unit, manifest, config, profile) for unit in (units_of(manifest, keys) if manifest else ())]
    if not stages:
        units.extend(_configured(config, profile, units))
    return Asked(
        repo=site.repo,
        venv_python=None if venv is None else venv.path,
        venv_problem=venv_problem,
        units=tuple(units),
        overlay=job_environment(config, profile, "", {}, {}).overlay,
        pins={**config.pins, **(profile.reference.pins if profile is not None else {})},
        gpu=_gpu_rules(profile),
        cold_paths=None if config.cold_paths is None else tuple(config.cold_paths),
        run_dir=run_dir,
        config=str(site.checkout.config_path(model)),
        profile=None if profile is None else (profile.name, str(site.profile_path), profile.hostname),
        bootstrap=_command(profile.speaker_similarity_bootstrap) if profile is not None else None,
        reference=_reference(profile),
        venv_also=() if venv is None else venv.also,
        shell=site.local,
    )


def clone_url(site: Site, tests: Sequence[str]) -> str | None:
    """Where the site's repository can be cloned from: the `origin` of the checkout's own repository, if that is it.

    Args:
        tests: Of the project, relative to it: a repository that has none of them is another one.
    """
    top = git_top(site.checkout.root)
    if top is None or not any((top / test).is_file() for test in tests if test):
        return None
    try:
        url = git.remote_url(top)
    except InputError:
        return None
    return None if url is None else clone_source(url, is_local(site.profile))


def _unit(unit: Unit, manifest: Manifest | None, config: ModelConfig, profile: HostProfile | None) -> UnitAsked:
    stages: list[Stage] = [stage for key in unit.stages if manifest and (stage := manifest.get(key)) is not None]
    own = tuple(dict.fromkeys(name for stage in stages for name in stage.hf_model_ids))
    return UnitAsked(
        test=unit.test,
        env=job_environment(config, profile, unit.test, dict(unit.extra_env), {}).overlay,
        gpus=config.gpus_for(unit.test) if unit.gpus_hint is None else unit.gpus_hint,
        models=own or tuple(config.models_for(unit.test)),
        datasets=tuple(config.datasets_for(unit.test)),
        speaker_sim=config.needs_speaker_sim(unit.test),
        caps=tuple(config.caps_for(unit.test)),
    )


def _configured(config: ModelConfig, profile: HostProfile | None, units: Sequence[UnitAsked]) -> list[UnitAsked]:
    """What the configuration names beyond what the stages need: a standalone precheck looks at every asset."""
    presets = [preset for source in config.metric_sources.values() for preset in source.calibration_presets.values()]
    models = [
        *([config.hf_model_id] if config.hf_model_id else []),
        *(name for names in config.hf_model_ids_by_test.values() for name in names),
        *(name for preset in presets for name in preset.hf_model_ids or ()),
    ]
    datasets = [*config.hf_datasets, *(name for names in config.hf_datasets_by_test.values() for name in names)]
    known_models = {name for unit in units for name in unit.models}
    known_datasets = {name for unit in units for name in unit.datasets}
    rest = UnitAsked(
        test="",
        env=job_environment(config, profile, "", {}, {}).overlay,
        models=tuple(name for name in dict.fromkeys(models) if name not in known_models),
        datasets=tuple(name for name in dict.fromkeys(datasets) if name not in known_datasets),
        speaker_sim=_any_speaker(config) and not any(unit.speaker_sim for unit in units),
    )
    return [rest] if rest.models or rest.datasets or rest.speaker_sim else []


def _any_speaker(config: ModelConfig) -> bool:
    return config.requires_speaker_sim or any(config.requires_speaker_sim_by_test.values())


async def _venv(
    reader: HostReader,
    site: Site,
    config: ModelConfig,
    model: str,
    flag: str | None,
    environ: Mapping[str, str],
) -> Venv:
    candidates = (*(site.profile.venv_python if site.profile is not None else ()), *config.default_venv_python)
    present = [path for path in dict.fromkeys(candidates) if await _located(reader, path)]
    venv = await asyncio.to_thread(
        choose_venv, flag, environ if site.local else {}, site.profile, config, model, present
    )
    found = await _located(reader, venv.path)
    return replace(venv, path=found or venv.path)


async def _located(reader: HostReader, path: str) -> str | None:
    found = await reader.query("locate", {"path": path}, _SHORT_S)
    return str(found[0]) if isinstance(found, list) and len(found) == 1 else None


def _gpu_rules(profile: HostProfile | None) -> Json:
    if profile is None:
        return None
    cpusets: dict[str, Json] = {",".join(map(str, item.gpus)): item.cpus_text for item in profile.cpusets}
    return {
        "include": None if profile.gpu_include is None else list(profile.gpu_include),
        "exclude": list(profile.gpu_exclude),
        "cpusets": cpusets or None,
    }


def _reference(profile: HostProfile | None) -> Json:
    if profile is None or not (profile.reference.gpu_model or profile.reference.image):
        return None
    return {"gpu_model": profile.reference.gpu_model, "image": profile.reference.image}


def _command(value: Any) -> str | None:
    """What a profile says of fetching the speaker similarity model; it is shown and never interpreted."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("command"), str):
        command: str = value["command"]
        return command
    return json.dumps(value, default=str)
