"""What the test files on a run's host say of one stage: read for the stage screen, which never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gates.calibration.schema import Stage
from hosts.errors import GatewatchError
from jobs.calibration.apply import read_sources, target_python
from jobs.calibration.checkout import load_config
from jobs.calibration.config import ModelConfig
from jobs.calibration.offering import site_of
from jobs.calibration.site import Site
from jobs.calibration.watch import Look
from tui.screens.run_words import machine
from tui.screens.stage_view import Sources
from tui.screens.subject import RunLook, RunPlace


async def read_stage_sources(place: RunPlace, look: RunLook, key: str) -> Sources:
    """The sources of one stage, or why they are not known; nothing is changed anywhere."""
    run = look.snapshot.body.run
    if run is None or run.plan is None:
        return Sources(None, "the run's plan is not known")
    stage = run.manifest.get(key) if run.manifest is not None else None
    if stage is None:
        return Sources(None, "no manifest names the files")
    found = Look(look.snapshot, run, run.plan.model)
    filters: tuple[str, ...] = ()
    slack: Mapping[str, float] | None = None
    try:
        site = await asyncio.to_thread(site_of, place.watched)
        config = await asyncio.to_thread(_config, site, found.model)
        if config is not None:
            filters, slack = _filters(config, stage), dict(config.slack)
        python = await target_python(place.reader, found, site)
        paths = list(dict.fromkeys(path for path in (stage.test, stage.threshold_file) if path))
        facts = await read_sources(place.reader, site.repo, python, paths)
    except GatewatchError as error:
        return Sources(None, str(error), filters, slack)
    why = "" if facts is not None else f"{' and '.join(paths)}: not in {site.repo} on {machine(place)}"
    return Sources(facts, why, filters, slack)


def _config(site: Site, model: str) -> ModelConfig | None:
    try:
        return load_config(site.checkout, model).value
    except GatewatchError:
        return None  # a run is read by its own files, whatever became of the checkout's configuration


def _filters(config: ModelConfig, stage: Stage) -> tuple[str, ...]:
    """The `constant_filter`s of its preset and variant, as an apply would take them."""
    source = config.source_for(stage.test)
    named = []
    if stage.calibration_preset in source.calibration_presets:
        named.append(source.calibration_presets[stage.calibration_preset].constant_filter)
    if stage.variant in source.variants:
        named.append(source.variants[stage.variant].constant_filter)
    return tuple(pattern for pattern in named if pattern)
