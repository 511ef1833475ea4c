"""From a finished run to edited thresholds: read the sources on their host, plan, decide, and hand over the edits.

Every literal is located by the target's own Python on the host where the file lies; what is written is decided
here by pure gates, and done there by the `calibration.apply` verb, all files or none.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.calibration.edits import Edit, EditError, FileEdits, apply_edits, digest, files_json
from gates.calibration.facts import FactsError, SourceFacts, parse_all
from gates.calibration.layout import MANIFEST
from gates.calibration.modes import Decisions
from gates.calibration.plan import ApplyPlan, make_plan
from gates.calibration.schema import Manifest
from hosts.errors import InputError, RefusedError
from hosts.host import HostActor, HostReader, Json
from jobs.calibration.checkout import load_config, load_manifest_document
from jobs.calibration.control import called
from jobs.calibration.locate import Watched
from jobs.calibration.site import Site
from jobs.calibration.watch import Look

DEADLINE_S = 120.0


@dataclass(frozen=True)
class Prepared:
    """A plan and what it was made from.

    Attributes:
        facts: What the sources say, by path relative to the repository; None when they are not there.
        python: The target's own Python, or "" where it is not there.
    """

    watched: Watched
    site: Site
    found: Look
    plan: ApplyPlan
    facts: Mapping[str, SourceFacts] | None
    python: str


@dataclass(frozen=True)
class FileChange:
    """One file before and after, as it is shown and as it is done."""

    planned: FileEdits
    before: bytes
    after: bytes

    def diff(self) -> list[str]:
        """A unified diff of the two, without line ends."""
        old, new = (data.decode("utf-8", "replace").splitlines() for data in (self.before, self.after))
        path = self.planned.path
        return list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="", n=1))


async def prepare(
    reader: HostReader, watched: Watched, site: Site, found: Look, environ: Mapping[str, str] = os.environ
) -> Prepared:
    """Make the plan of a run.

    Raises:
        PlanRefused: A gate does not pass, or a value is missing.
        UnreachableError: The host did not answer.
    """
    manifest = manifest_of(found)
    audit = found.snapshot.body.audit
    assert audit is not None  # a look has an audit
    python = await target_python(reader, found, site, environ)
    facts = await read_sources(reader, site.repo, python, source_paths(manifest, found))
    filters = await asyncio.to_thread(_filters, site, found)
    plan = await asyncio.to_thread(make_plan, found.run, audit, manifest, facts, filters)
    return Prepared(watched, site, found, plan, facts, python)


async def target_python(
    reader: HostReader, found: Look, site: Site | None = None, environ: Mapping[str, str] = os.environ
) -> str:
    """The Python that the run was made with, else the one that a run would take now, else any that is there.

    Only its own Python can be trusted to read a project's files; any other one is better than none, since a file
    that it cannot parse is then unknown and not touched.

    Raises:
        InputError: None was found.
    """
    plan = found.run.plan
    candidates = [plan.venv_python] if plan is not None and plan.venv_python else []
    if site is not None:
        candidates.extend(await asyncio.to_thread(_configured_pythons, site, found.model, environ))
    candidates.append(sys.executable if site is None or site.local else "/usr/bin/python3")
    for path in candidates:
        if await reader.query("locate", {"path": path}, DEADLINE_S):
            return path
    raise InputError(f"no Python was found on {reader.name} to read the test files with; tried {', '.join(candidates)}")


async def read_sources(
    reader: HostReader, repo: str, python: str, paths: Sequence[str]
) -> dict[str, SourceFacts] | None:
    """What test and threshold files say; None when none of them is there.

    Raises:
        InputError: The host's Python cannot read them.
    """
    present = [path for path in paths if await reader.query("locate", {"path": f"{repo}/{path}"}, DEADLINE_S)]
    if not present:
        return None
    asked: list[Json] = [*present]
    payload: Json = {"python": python, "repo": repo, "paths": asked, "follow_imports": True, "data": True}
    answer = await reader.query("calibration.sources", payload, DEADLINE_S)
    try:
        return await asyncio.to_thread(parse_all, answer)
    except FactsError as error:
        raise InputError(f"the host's facts about the sources cannot be read: {error}") from error


async def check_head(reader: HostReader, prepared: Prepared) -> None:
    """See that the code is still the calibration's but for threshold literals.

    Raises:
        RefusedError: It is not.
    """
    plan = prepared.found.run.plan
    if plan is None or plan.calibration_git_sha is None:
        raise RefusedError("the run names no commit, so nothing can be applied from it")
    payload: Json = {
        "repo": prepared.site.repo,
        "sha": plan.calibration_git_sha,
        "manifest": await asyncio.to_thread(_manifest_document, prepared.site, prepared.found),
        "settings": [*await asyncio.to_thread(prepared.site.settings, plan.model)],
        "paths": [*sorted(prepared.plan.files)],
        "diff": plan.raw.get("workspace_diff_sha256"),
    }
    answer = await reader.query("calibration.head", payload, DEADLINE_S)
    reasons = answer.get("reasons") if isinstance(answer, dict) else None
    if isinstance(reasons, list) and reasons:
        raise RefusedError(f"the code is no longer the calibration's: {'; '.join(str(item) for item in reasons[:3])}")


def changes(prepared: Prepared, decisions: Decisions) -> list[FileChange]:
    """What each file would become, made from the very edits that are handed over.

    Raises:
        RefusedError: A literal was not located after all.
    """
    by_file: dict[str, list[Edit]] = {}
    for made in decisions.written:
        row = made.row
        if row.span is None or row.current_text is None:
            raise RefusedError(f"{row.answer_key}: the literal was not located")
        about: dict[str, Json] = {
            "stage": row.stage_key,
            "source": row.resolved_source,
            "metric": row.metric_key,
            "old_value": row.current_raw,
            "new_value": made.value,
            "direction": made.direction_text,
            "reason": made.reason,
        }
        edit = Edit(row.span[0], row.span[1], row.current_text.encode("ascii"), made.text.encode("ascii"), about)
        by_file.setdefault(row.file, []).append(edit)
    found: list[FileChange] = []
    for path, edits in by_file.items():
        facts = (prepared.facts or {}).get(path)
        if facts is None or facts.data is None or facts.mode is None:
            raise RefusedError(f"{path} was not read")
        planned = FileEdits(path, facts.sha256, facts.mode, facts.inode, tuple(edits))
        try:
            found.append(FileChange(planned, facts.data, apply_edits(facts.data, edits)))
        except EditError as error:
            raise RefusedError(f"{path}: {error}") from error
    return found


async def apply(actor: HostActor, prepared: Prepared, files: Sequence[FileChange], mode: str, who: str) -> Json:
    """Write the changes on the host: all files or none.

    Raises:
        RefusedError: Something is not as planned; nothing was changed.
        VerbError: It was interrupted; `status` says how far it came.
    """
    planned = [file.planned for file in files]
    payload: Json = {
        "run_dir": prepared.watched.run_dir,
        "repo": prepared.site.repo,
        "python": prepared.python,
        "mode": mode,
        "who": who,
        "shown_sha256": digest(planned),
        "files": files_json(planned),
    }
    return await called(actor, "calibration.apply", payload, DEADLINE_S)


async def finish(actor: HostActor, run_dir: str, roll_back: bool) -> Json:
    """Bring an interrupted apply to an end: complete it, or undo it.

    Raises:
        InputError: There is none.
    """
    payload: Json = {"run_dir": run_dir, "action": "rollback" if roll_back else "finish"}
    return await called(actor, "calibration.apply", payload, DEADLINE_S)


async def status(reader: HostReader, run_dir: str) -> dict[str, Json]:
    """How the newest apply of a run stands; `state` is "none" when there was none."""
    answer = await reader.query("calibration.apply_status", {"run_dir": run_dir}, DEADLINE_S)
    return answer if isinstance(answer, dict) else {"state": "none"}


def manifest_of(found: Look) -> Manifest:
    """The manifest that judges the run.

    Raises:
        RefusedError: There is none.
    """
    if found.run.manifest is None:
        raise RefusedError(f"no manifest is known for model {found.model}: the run froze none, and no checkout has it")
    return found.run.manifest


def source_paths(manifest: Manifest, found: Look) -> list[str]:
    """Test and threshold files of the run's stages, each once."""
    stages = found.run.plan.stages if found.run.plan is not None else manifest.keys
    paths: dict[str, None] = {}
    for key in stages:
        stage = manifest.get(key)
        if stage is not None:
            paths.update(dict.fromkeys(path for path in (stage.test, stage.threshold_file) if path))
    return list(paths)


def _manifest_document(site: Site, found: Look) -> Json:
    document = found.snapshot.body.documents.get(MANIFEST)
    if isinstance(document, dict):
        return document
    return load_manifest_document(site.checkout, found.model)[1]


def _configured_pythons(site: Site, model: str, environ: Mapping[str, str]) -> list[str]:
    named = [environ["TUNE_VENV_PYTHON"]] if site.local and environ.get("TUNE_VENV_PYTHON") else []
    if site.profile is not None:
        named.extend(site.profile.venv_python)
    try:
        named.extend(load_config(site.checkout, model).value.default_venv_python)
    except InputError:
        # A run is planned from its own files, whatever became of the checkout's configuration.
        return named
    return named


def _filters(site: Site, found: Look) -> dict[str, list[str]]:
    """Per stage the constant_filters of its preset and variant, from the checkout's configuration."""
    manifest = manifest_of(found)
    try:
        config = load_config(site.checkout, found.model).value
    except InputError:
        return {}
    filters: dict[str, list[str]] = {}
    for stage in manifest.stages:
        source = config.source_for(stage.test)
        named = []
        if stage.calibration_preset in source.calibration_presets:
            named.append(source.calibration_presets[stage.calibration_preset].constant_filter)
        if stage.variant in source.variants:
            named.append(source.variants[stage.variant].constant_filter)
        filters[stage.key] = [pattern for pattern in named if pattern]
    return filters
