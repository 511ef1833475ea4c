"""Making a model's stages.yaml from the sources on its host (spec/calibration.md, section 2).

The sources are asked for where they are, through their own project's Python; the file is written where the checkout
is. Nothing is written before all of it was found.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import glob
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.discover import Discovery, DiscoveryError, discover, keep_times
from gates.calibration.patterns import BUILT_IN, parse_patterns
from gates.calibration.rules import CountPaths, Places, PresetRules, ProjectRules, Rules, VariantRules
from gates.calibration.schema import SchemaError, parse_manifest
from gates.calibration.source import FactsError, SourceFacts, parse_all
from gates.calibration.staleness import Stale, sources_of, stale
from hosts.errors import InputError, VerbError
from hosts.host import HostReader, Json
from hosts.local.files import read_bytes_limited, utc_now, write_atomic
from hosts.yamldoc import load
from jobs.calibration.checkout import choose_model, choose_venv, load_config, missing_venv
from jobs.calibration.config import Counts, MetricSource, ModelConfig, Variant
from jobs.calibration.site import Site
from jobs.calibration.stages_text import stages_text

DEADLINE_S = 60.0
_FILE_LIMIT = 16 << 20


# Lines that move when nothing of what is discovered does: plain hashes, beside which blanked ones stand, and times.
_MOVING = re.compile(
    r"^ +(?:test_file_sha256: .*\n(?= +test_file_sha256_blanked)|threshold_file_sha256: .*\n"
    r"(?= +threshold_file_sha256_blanked)|last_discovered_at: .*\n)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Found:
    """What discovery gives for one model.

    Attributes:
        path: The stages.yaml that it is about.
        tests: The test files, in the order of their stages.
        discovery: What was found in them.
        text: What stages.yaml should hold.
        old: What it holds, None where there is none.
        warnings: What looked wrong and stopped nothing.
    """

    model: str
    path: Path
    tests: tuple[str, ...]
    discovery: Discovery
    text: str
    old: str | None
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """True when the file is not what discovery makes."""
        return self.text != self.old

    @property
    def stale(self) -> bool:
        """True when it would say something else, and not only name the same sources with other thresholds in them.

        The plain hashes are for older readers: applied thresholds move them, and nothing else that is discovered.
        """
        return self.old is None or _MOVING.sub("", self.text) != _MOVING.sub("", self.old)

    def write(self) -> None:
        """Put the file in its place, unless it is as it should be.

        Raises:
            WriteError: The system refused; the old file still stands.
        """
        if self.changed:
            write_atomic(self.path, self.text.encode())


async def discover_stages(
    site: Site,
    reader: HostReader,
    asked_model: str | None,
    venv_python: str | None,
    environ: Mapping[str, str],
    now: str | None = None,
) -> Found:
    """Find a model's stages; nothing is written.

    Args:
        reader: The host that has the repository.
        environ: Ours, for $TUNE_VENV_PYTHON.
        now: UTC, for `last_discovered_at`; by default the present.

    Raises:
        InputError: A glob matches nothing, a file cannot be read, the configuration is wrong.
        UnreachableError: The host did not answer.
    """
    model = await asyncio.to_thread(choose_model, site.checkout, asked_model)
    loaded = await asyncio.to_thread(load_config, site.checkout, model)
    config = loaded.value
    where = str(site.checkout.config_path(model))
    repo = await _root(site, reader)
    tests = await _tests(config, where, repo, reader)
    project = _project(config, where, tests)
    python, doubts = await _python(site, reader, config, model, venv_python, environ)
    wanted = tuple(dict.fromkeys([*tests, *(path for test in tests if (path := project.of(test).threshold_file))]))
    facts, data = await source_facts(reader, python, repo, wanted)
    try:
        found = discover(project, facts, tests, now or utc_now(), data)
    except DiscoveryError as error:
        raise InputError(f"{where}: {error}") from error
    target = site.checkout.manifest_path(model)
    old, known, broken = await asyncio.to_thread(_old, target)
    document = keep_times(found.document, known)
    try:
        parse_manifest(document, f"the stages of {where}")  # never a file that a run would refuse
    except SchemaError as error:
        raise InputError(str(error)) from error
    return Found(
        model=model,
        path=target,
        tests=tests,
        discovery=found,
        text=stages_text(document),
        old=old,
        warnings=(*site.warnings, *loaded.warnings, *doubts, *broken),
    )


async def stale_constants(reader: HostReader, python: str, repo: str, document: Json) -> tuple[Stale, ...]:
    """Which sources of a manifest have moved on since it was made, for a run's warning.

    Args:
        python: The interpreter that reads the sources, on the host.
        repo: Absolute, on the host.
        document: The manifest's data.

    Raises:
        InputError: The host cannot read them. UnreachableError: it did not answer.
    """
    facts, data = await source_facts(reader, python, repo, tuple(sources_of(document)))
    return stale(document, facts, data)


async def source_facts(
    reader: HostReader, python: str, repo: str, paths: Sequence[str]
) -> tuple[dict[str, SourceFacts], dict[str, bytes]]:
    """What these files and what they import from inside the repository say, and the bytes that say it.

    Raises:
        InputError: The host refused, or gave what is no answer. UnreachableError: it gave none.
    """
    payload: Json = {"python": python, "repo": repo, "paths": list(paths), "follow_imports": True, "data": True}
    try:
        answer = await reader.query("calibration.sources", payload, DEADLINE_S)
        return parse_all(answer), _data(answer)
    except (FactsError, binascii.Error) as error:
        raise InputError(f"the host's answer about the sources cannot be used: {error}") from error
    except VerbError as error:
        if error.kind == "input":
            raise InputError(str(error)) from None
        raise


def _data(answer: Json) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path, body in answer.items() if isinstance(answer, dict) else ():
        data = body.get("data") if isinstance(body, dict) else None
        if isinstance(data, str):
            found[path] = base64.b64decode(data, validate=True)
    return found


async def _root(site: Site, reader: HostReader) -> str:
    found = await reader.query("locate", {"path": f"{glob.escape(site.repo.rstrip('/')) or '/'}"}, DEADLINE_S)
    if not isinstance(found, list) or len(found) != 1:
        raise InputError(f"{site.repo} is not there{_on(site, reader)}; name the repository with --repo")
    return str(found[0])


async def _tests(config: ModelConfig, where: str, repo: str, reader: HostReader) -> tuple[str, ...]:
    if not config.test_globs:
        raise InputError(f"{where}: test_globs is empty, so there is nothing to discover")
    tests: dict[str, None] = {}
    for pattern in config.test_globs:
        if pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
            raise InputError(f"{where}: test_globs: {pattern!r} does not stay within the repository")
        found = await reader.query("locate", {"path": f"{glob.escape(repo)}/{pattern}"}, DEADLINE_S)
        names = [str(path)[len(repo.rstrip("/")) + 1 :] for path in found] if isinstance(found, list) else []
        names = sorted(name for name in names if name.endswith(".py"))
        if not names:
            raise InputError(
                f"{where}: test_globs: {pattern} matches no test file in {repo}; is that the right repository? (--repo)"
            )
        tests.update(dict.fromkeys(names))
    return tuple(tests)


async def _python(
    site: Site,
    reader: HostReader,
    config: ModelConfig,
    model: str,
    flag: str | None,
    environ: Mapping[str, str],
) -> tuple[str, tuple[str, ...]]:
    """The interpreter that reads the sources, and what is to be said about it."""
    candidates = tuple(config.default_venv_python)
    if site.profile is not None:
        candidates = (*site.profile.venv_python, *candidates)
    present = [path for path in dict.fromkeys(candidates) if await reader.query("locate", {"path": path}, DEADLINE_S)]
    known = flag or (environ.get("TUNE_VENV_PYTHON") if site.local else None) or candidates
    if not known and site.local:
        return sys.executable, (f"no venv python is named; the sources are read by {sys.executable}",)
    venv = choose_venv(flag, environ if site.local else {}, site.profile, config, model, present)
    found = await reader.query("locate", {"path": venv.path}, DEADLINE_S)
    if isinstance(found, list) and len(found) == 1:
        return str(found[0]), ()
    missing = f"{missing_venv(venv)}{_on(site, reader)}"
    # Nothing runs here but a parser, so that a laptop without the venv can review a manifest.
    if site.local and venv.source in ("host", "config"):
        return sys.executable, (f"{missing}; the sources are read by {sys.executable}",)
    raise InputError(f"{missing}; name another with --venv-python")


def _old(path: Path) -> tuple[str | None, Json, tuple[str, ...]]:
    """The file as it is: its text, its data, and what is wrong with it."""
    if not path.exists():
        return None, None, ()
    try:
        data = read_bytes_limited(path, _FILE_LIMIT)
        return data.decode("utf-8", "replace"), load(data, str(path)).value, ()
    except InputError as error:
        return "", None, (f"{error}; it is made anew",)


def _on(site: Site, reader: HostReader) -> str:
    return "" if site.local else f" on {reader.name}"


def _project(config: ModelConfig, where: str, tests: Sequence[str]) -> ProjectRules:
    try:
        own = parse_patterns(list(config.patterns), where)
    except SchemaError as error:
        raise InputError(str(error)) from error
    return ProjectRules(
        strip_prefix=config.stage_base_strip_prefix,
        strip_suffix=config.stage_base_strip_suffix,
        rows=(*own, *BUILT_IN),
        tests={test: _rules(config.source_for(test), dict(config.extra_env_for(test))) for test in tests},
    )


def _rules(source: MetricSource, extra_env: Mapping[str, str]) -> Rules:
    return Rules(
        places=_places(source),
        ignored=tuple(source.ignored_constants),
        threshold_file=source.threshold_file,
        observation_validity=source.observation_validity,
        allowed_pytest_failure=source.allowed_pytest_failure,
        variants=tuple(
            VariantRules(
                name=name,
                constant_filter=variant.constant_filter,
                places=_places(variant),
                context_vars=None if variant.context_vars is None else tuple(variant.context_vars),
                base_override=variant.stage_base_override,
                omit_suffix=variant.omit_variant_suffix,
                extra_env=dict(variant.extra_env),
            )
            for name, variant in source.variants.items()
        ),
        presets=tuple(
            PresetRules(
                name=name,
                constant_filter=preset.constant_filter,
                extra_env=dict(preset.extra_env),
                gpus=preset.gpus,
                hf_model_ids=None if preset.hf_model_ids is None else tuple(preset.hf_model_ids),
            )
            for name, preset in source.calibration_presets.items()
        ),
        extra_env=extra_env,
    )


def _places(source: MetricSource | Variant) -> Places:
    return Places(
        json_file=source.json_file,
        paths=dict(source.paths),
        counts=_counts(source.sample_counts),
        by_group={group: _counted(counts) for group, counts in source.sample_counts_by_group.items()},
        expected=dict(source.expected_samples),
    )


def _counts(counts: Counts | None) -> CountPaths | None:
    return None if counts is None else _counted(counts)


def _counted(counts: Counts) -> CountPaths:
    return CountPaths(counts.total, counts.ok)
