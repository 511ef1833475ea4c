"""Making a run's report: its records, and what its host knows beside them (spec/calibration.md, section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gates.calibration.applied import GLOB, AppliedRow, applied_rows, open_applies
from gates.calibration.assemble import Run
from gates.calibration.audit import Audit, Mark
from gates.calibration.layout import PRECHECK, REPORT, log_path
from gates.calibration.markdown import inline
from gates.calibration.plan import ApplyPlan, PlanRefused, make_plan
from gates.calibration.report import Report, Surroundings, make_report, refusal
from gates.calibration.report_estimates import estimate_gates
from gates.calibration.report_text import pull_request_markdown, report_markdown
from gates.calibration.schema import Manifest
from gates.calibration.select import SelectionError, select_stages
from gates.calibration.since import Change, LogSeen, Sighting, make_since
from gates.calibration.source import FactsError, SourceFacts
from gates.calibration.units import units_of
from gates.calibration.values import direction_text
from gates.documents import Document
from hosts.errors import InputError, UnreachableError, VerbError
from hosts.host import HostActor, HostReader, Json, TreeWant, Wants
from hosts.local.files import write_atomic
from jobs.calibration.apply import read_sources, source_paths, target_python
from jobs.calibration.checkout import load_config
from jobs.calibration.config import ModelConfig
from jobs.calibration.control import called, told
from jobs.calibration.locate import Watched
from jobs.calibration.watch import Look, look, missing_manifest
from monitors.documents import document

PULL_REQUEST = "pull-request.md"
_DEADLINE_S = 60.0
_HISTORY_DEADLINE_S = 150.0
_JOURNAL_LIMIT = 16 << 20


@dataclass(frozen=True)
class Made:
    """A report, or why there is none.

    Attributes:
        look: The run as it was judged.
        report: None when a gate does not pass.
        reasons: Why not, one sentence each.
        warnings: What a person should know and what stops nothing.
    """

    look: Look
    report: Report | None
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The report as Markdown; "" without one."""
        return "" if self.report is None else report_markdown(self.report)


async def make(reader: HostReader, watched: Watched, repo: str | None = None, since: str | None = None) -> Made:
    """Judge a run, and report it when both gates pass. Nothing is written.

    Args:
        repo: What `--repo` said.
        since: Commit of the last calibration, to say what changed since.

    Raises:
        InputError: There is no usable plan.json, or nothing to judge the run by, or `since` is no commit of the
            repository.
        UnreachableError: The host did not answer.
    """
    found = await look(reader, watched, processes=False)
    run, audit = found.run, found.snapshot.body.audit
    assert audit is not None  # a look has an audit
    missing = missing_manifest(watched, found)
    if missing is not None:
        raise InputError(missing)
    reasons = refusal(audit)
    if reasons or run.plan is None or run.manifest is None:
        return Made(found, None, reasons or ("there is no manifest to judge by",))
    config, warnings = await asyncio.to_thread(_config, watched, found.model)
    sightings = _asked(run, audit, run.manifest, config, warnings)
    here = await _history(reader, watched, repo, audit, since, sightings)
    facts = await _facts(reader, here, found, run.manifest, warnings)
    journals = await _journals(reader, watched)
    warnings.extend(
        f"{path}: an apply was begun and not finished; the applied table does not show it"
        for path in open_applies(journals)
    )
    applied = applied_rows(journals)
    plan, refused = _plan(run, audit, run.manifest, facts)
    slack = config.slack if config is not None else None
    estimates, lines = (
        estimate_gates(plan, run.manifest, facts, slack, run.journal) if plan is not None else (None, refused)
    )
    told_since = here.get("since")
    around = Surroundings(
        run=watched.run_dir.rstrip("/").rsplit("/", 1)[-1],
        facts=facts,
        head=_text(here, "head"),
        head_problem=_text(here, "head_problem") or "",
        applied=applied,
        since=None
        if not isinstance(told_since, dict)
        else make_since(told_since, _seen(sightings, here.get("evidence")), _changes(plan, applied)),
        estimates=estimates,
        estimate_lines=lines,
        precheck=found.snapshot.body.documents.get(PRECHECK),
    )
    report = make_report(run, audit, around)
    if report.provenance.head is not None and report.provenance.head_note:
        warnings.append(f"HEAD is {report.provenance.head}, no longer the calibration's commit {report.git_sha}")
    return Made(found, report, (), tuple(warnings))


async def write(actor: HostActor, run_dir: str, text: str) -> str:
    """Write report.md into the run directory on its host.

    Returns:
        Its path there.

    Raises:
        InputError, RefusedError: The host refused; the old report still stands.
        UnreachableError: The host stayed away.
    """
    answer = await called(actor, "calibration.write_report", {"folder": run_dir, "text": text}, _DEADLINE_S)
    path = answer.get("path") if isinstance(answer, dict) else None
    return path if isinstance(path, str) else f"{run_dir}/{REPORT}"


def export(where: str, made: Made) -> tuple[Path, ...]:
    """Write report.md and a text for a pull request into the folder `where`, which is made when it is not there.

    Raises:
        InputError: The folder cannot be made.
        WriteError: A file cannot be written.
    """
    assert made.report is not None
    folder = Path(where).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--export {folder}: {error.strerror or error}") from error
    texts = {REPORT: made.text, PULL_REQUEST: pull_request_markdown(made.report)}
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return tuple(folder / name for name in texts)


def _config(watched: Watched, model: str) -> tuple[ModelConfig | None, list[str]]:
    """The model's configuration, where the checkout has one that can be read; a report does not hang on it."""
    if watched.checkout is None or not watched.checkout.config_path(model).is_file():
        return None, []
    try:
        return load_config(watched.checkout, model).value, []
    except InputError as error:
        return None, [f"{error}; evidence and slack are left out"]


@dataclass(frozen=True)
class _Asked:
    name: str
    regex: str
    stages: tuple[str, ...]
    logs: tuple[str, ...]


def _asked(
    run: Run, audit: Audit, manifest: Manifest, config: ModelConfig | None, warnings: list[str]
) -> tuple[_Asked, ...]:
    """Where each evidence is to be looked for: the logs of the strict runs of its stages."""
    planned = [stage.key for stage in audit.stages]
    folders = {key: unit.key for unit in units_of(manifest, planned) for key in unit.stages}
    found: list[_Asked] = []
    for name, evidence in (config.evidence if config is not None else {}).items():
        try:
            stages = select_stages(manifest, evidence.stages) if evidence.stages else manifest.keys
        except SelectionError as error:
            warnings.append(f"evidence {name}: {error}")
            continue
        ours = [stage for stage in audit.stages if stage.key in stages]
        logs = dict.fromkeys(
            (cell.record.pytest_log if cell.record is not None else None) or log_path(folders[stage.key], cell.run)
            for stage in ours
            for cell in stage.cells
            if cell.mark is Mark.STRICT
        )
        found.append(_Asked(name, evidence.regex, tuple(stage.key for stage in ours), tuple(logs)))
    return tuple(found)


async def _history(
    reader: HostReader, watched: Watched, repo: str | None, audit: Audit, since: str | None, asked: tuple[_Asked, ...]
) -> Mapping[str, Json]:
    wanted: list[Json] = [{"name": one.name, "regex": one.regex, "logs": list(one.logs)} for one in asked]
    payload: Json = {
        "run_dir": watched.run_dir,
        "repo": repo,
        "until": audit.git_sha,
        "since": since,
        # Logs are large: they are read only when somebody wants to know.
        "evidence": wanted if since is not None else [],
    }
    answer = await told(reader.query("calibration.history", payload, _HISTORY_DEADLINE_S))
    return answer if isinstance(answer, dict) else {}


async def _facts(
    reader: HostReader, here: Mapping[str, Json], found: Look, manifest: Manifest, warnings: list[str]
) -> Mapping[str, SourceFacts]:
    """What the test and threshold files say; nothing where they cannot be read, which shows as `?`."""
    repo = _text(here, "repo")
    if repo is None:
        return {}
    try:
        python = await target_python(reader, found)
        return await read_sources(reader, repo, python, source_paths(manifest, found)) or {}
    except (InputError, VerbError, FactsError) as error:
        warnings.append(f"the sources could not be read, so their variables are `?`: {error}")
        return {}


async def _journals(reader: HostReader, watched: Watched) -> dict[str, Document]:
    want = TreeWant(watched.run_dir, (GLOB,), _JOURNAL_LIMIT)
    seen = await reader.observe(Wants(trees=(want,)), None, _DEADLINE_S)
    if seen.errors.get("trees"):
        raise UnreachableError(f"{watched.run_dir}: {seen.errors['trees']}")
    return {path: document(file) for tree in seen.trees for path, file in tree.files.items()}


def _plan(
    run: Run, audit: Audit, manifest: Manifest, facts: Mapping[str, SourceFacts]
) -> tuple[ApplyPlan | None, tuple[str, ...]]:
    """The run's plan, or the lines that say why there is none (a report is made where an apply is refused)."""
    try:
        return make_plan(run, audit, manifest, facts), ()
    except PlanRefused as error:
        why = "; ".join(error.reasons[:3])
        return None, ("## Estimates per gate", "", f"None: no plan can be made of this run: {inline(why)}")


def _changes(plan: ApplyPlan | None, applied: tuple[AppliedRow, ...]) -> tuple[Change, ...]:
    """What each gate's worst-of-N does to the threshold that stood in the source."""
    if plan is None:
        return ()
    done = {(row.stage, row.metric): row for row in applied}
    changes: list[Change] = []
    for row in plan.rows:
        edited = done.get((row.stage_key, row.resolved_source))
        text = direction_text(row.worst_op, row.current_raw, row.write_value) if edited is None else edited.direction
        changes.append(Change(row.stage_key, row.group, row.resolved_source, text.split(" ", 1)[0], text))
    return tuple(changes)


def _seen(asked: tuple[_Asked, ...], answer: Json) -> tuple[Sighting, ...]:
    told_logs = {
        item.get("name"): item.get("logs")
        for item in (answer if isinstance(answer, list) else [])
        if isinstance(item, dict)
    }
    return tuple(
        Sighting(one.name, one.regex, one.stages, tuple(map(_log, _dicts(told_logs.get(one.name))))) for one in asked
    )


def _log(item: Mapping[str, Json]) -> LogSeen:
    found, line = item.get("found"), item.get("line")
    return LogSeen(
        path=_text(item, "path") or "",
        found=found if isinstance(found, bool) else None,
        line=line if isinstance(line, int) else None,
        detail=_text(item, "detail") or "",
    )


def _dicts(value: Json) -> list[dict[str, Json]]:
    return [item for item in (value if isinstance(value, list) else []) if isinstance(item, dict)]


def _text(body: Mapping[str, Json], key: str) -> str | None:
    value = body.get(key)
    return value if isinstance(value, str) and value else None
