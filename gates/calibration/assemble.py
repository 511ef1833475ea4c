"""A run directory's documents become one value that everything else judges (spec/calibration.md, section 3).

Reading a run directory exists once: the audit, a resume and the screen all start from what `assemble` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeVar, Union

from gates.calibration.layout import FINGERPRINT, MANIFEST, PLAN, cell_path, parse_cell_path
from gates.calibration.records import Plan, RecordError, parse_plan
from gates.calibration.schema import Manifest, SchemaError, parse_manifest, same_measure
from gates.calibration.words import one_line
from gates.documents import Broken, Document, Json
from gates.journal import Journal

RECORDED = "cell.recorded"
DISCARDED = "cell.discarded"
BY_PERSON = "discard"
"""`why` of a discard that a person asked for; the runner's own moving aside says "set-aside"."""

CellKey = tuple[str, int]
ManifestFrom = Union[Literal["frozen", "checkout"], None]

_MOST_FINDINGS = 50
_Parsed = TypeVar("_Parsed")

_Told = Mapping[CellKey, tuple[str, str, Mapping[str, object]]]


@dataclass(frozen=True)
class _Basis:
    """What a run was put together from, so that the next one knows what it may keep.

    Attributes:
        checkout: The checkout's manifest.
        findings, notes: What there was to say of plan and manifest.
        planned: The plan's stages, None without a plan.
        told: The journal's newest word on each cell: kind, time and data.
    """

    checkout: Manifest | None
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    planned: frozenset[str] | None
    told: _Told


@dataclass(frozen=True)
class Run:
    """A run directory as far as it could be read.

    Attributes:
        plan: None when plan.json is missing or unusable.
        manifest: What judges the cells; None when there is none.
        manifest_from: "frozen" in the run directory, or from the "checkout".
        cells: Every artifact on disk by (stage, run), also those that the plan does not name.
        fingerprint: environment-fingerprint.json, None when it is not there.
        journal: None when it is not there.
        findings: What contradicts itself, one sentence each; a verdict on such a run is at best unknown.
        notes: What is worth a word and contradicts nothing.
        discards: Reasons of the discards that a person asked for and that still hold, by (stage, run).
        reference: What the environment is held against: the plan's, else the one that was handed in.
    """

    plan: Plan | None
    manifest: Manifest | None
    manifest_from: ManifestFrom
    cells: Mapping[CellKey, Document]
    fingerprint: Document | None
    journal: Journal | None
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    discards: Mapping[CellKey, str] = field(default_factory=lambda: MappingProxyType({}))
    reference: Json = None
    _basis: _Basis | None = field(default=None, repr=False, compare=False)


def assemble(
    documents: Mapping[str, Document],
    manifest: Manifest | None = None,
    journal: Journal | None = None,
    *,
    reference: Json = None,
    sha256: Mapping[str, str] | None = None,
) -> Run:
    """Put a run together.

    Args:
        documents: By path relative to the run directory; others than those of `layout.GLOBS` are ignored.
        manifest: The checkout's, for runs without a frozen one.
        journal: The run's own.
        reference: The host profile's, for runs whose plan has none.
        sha256: Of the files' bytes (hex) by path, as far as they are known; held against what the plan and the
            journal say of them.

    Returns:
        Never raises: what cannot be used is None and stands in `findings`.
    """
    sums = sha256 or {}
    told = _newest_words(journal, None)
    findings: list[str] = []
    notes: list[str] = []
    plan = _read(documents, PLAN, parse_plan, findings)
    frozen = _read(documents, MANIFEST, parse_manifest, findings)
    known, source = (frozen, "frozen") if frozen is not None else (manifest, "checkout")
    if frozen is not None and plan is not None:
        if MANIFEST in sums and plan.stages_yaml_sha256 not in (None, sums[MANIFEST]):
            findings.append(f"{MANIFEST} is not the one that {PLAN} names by its sha256")
        if manifest is not None:
            notes.extend(
                f"the checkout's manifest has moved: {line}" for line in same_measure(frozen, manifest, plan.stages)
            )
    if plan is not None and known is not None:
        findings.extend(f"{key} is in {PLAN} and not in the manifest" for key in plan.stages if not known.get(key))
    cells: dict[CellKey, Document] = {}
    for path, document in documents.items():
        key = parse_cell_path(path)
        if key is not None:
            cells[key] = _artifact(document)
    planned = None if plan is None else frozenset(plan.stages)
    run = Run(
        plan=plan,
        manifest=known,
        manifest_from=None if known is None else ("frozen" if source == "frozen" else "checkout"),
        cells=MappingProxyType(cells),
        fingerprint=documents.get(FINGERPRINT),
        journal=journal,
        findings=(),
        _basis=_Basis(manifest, tuple(findings), tuple(notes), planned, told),
    )
    return _with_cells(run, journal, sums, reference)


def reassemble(
    previous: Run,
    documents: Mapping[str, Document],
    changed: Collection[str],
    manifest: Manifest | None = None,
    journal: Journal | None = None,
    *,
    reference: Json = None,
    sha256: Mapping[str, str] | None = None,
) -> Run:
    """Put a run together again after some of its files changed; equal to `assemble` of the same arguments.

    Args:
        previous: The run of before.
        changed: Paths that were added, changed or removed since; may name more, never less.
    """
    basis = previous._basis
    if basis is None or basis.checkout is not manifest or PLAN in changed or MANIFEST in changed:
        return assemble(documents, manifest, journal, reference=reference, sha256=sha256)
    cells = dict(previous.cells)
    for path in changed:
        key = parse_cell_path(path)
        if key is not None and path in documents:
            cells[key] = _artifact(documents[path])
        elif key is not None:
            cells.pop(key, None)
    told = _newest_words(journal, previous)
    run = replace(
        previous,
        cells=MappingProxyType(cells),
        fingerprint=documents.get(FINGERPRINT),
        journal=journal,
        _basis=replace(basis, told=told),
    )
    return _with_cells(run, journal, sha256 or {}, reference)


def _artifact(document: Document) -> Document:
    # None is "no file" from here on; a file that holds null is a broken one.
    return Broken("expected a JSON object, got null") if document is None else document


def _with_cells(run: Run, journal: Journal | None, sums: Mapping[str, str], reference: Json) -> Run:
    """The run with all that follows from its plan, its cells and its journal together."""
    basis, plan = run._basis, run.plan
    assert basis is not None
    findings, notes = list(basis.findings), list(basis.notes)
    if basis.planned is not None:
        strays = sorted({stage for stage, _run in run.cells if stage not in basis.planned})
        notes.extend(f"{stage}/ holds artifacts and is not in {PLAN}" for stage in strays)
    discards: dict[CellKey, str] = {}
    if journal is not None:
        notes.extend(journal.findings)
        discards = _discards(basis.told, run.cells, sums, findings)
    return replace(
        run,
        findings=_bounded(findings),
        notes=_bounded(notes),
        discards=MappingProxyType(discards),
        reference=plan.reference if plan is not None and plan.reference is not None else reference,
    )


def _read(
    documents: Mapping[str, Document], name: str, parse: Callable[[Json], _Parsed], findings: list[str]
) -> _Parsed | None:
    """One document of the run, None with a finding where it is there and cannot be used."""
    if name not in documents:
        return None
    document = documents[name]
    if isinstance(document, Broken):
        said = document.reason if document.reason.startswith(name) else f"{name}: {document.reason}"
        findings.append(one_line(said))
        return None
    try:
        return parse(document)
    except RecordError as error:
        findings.append(one_line(f"{name}: {error}"))
    except SchemaError as error:  # names the file itself
        findings.append(one_line(error))
    return None


def _newest_words(journal: Journal | None, previous: Run | None) -> _Told:
    """The newest event of each cell; where a journal goes on from the previous one, only what was added is read."""
    if journal is None:
        return {}
    last: dict[CellKey, tuple[str, str, Mapping[str, object]]] = {}
    events = journal.events
    if previous is not None and previous.journal is not None and previous._basis is not None:
        known = previous.journal.events
        if events[: len(known)] == known:
            last, events = dict(previous._basis.told), events[len(known) :]
    for event in events:
        if event.kind not in (RECORDED, DISCARDED):
            continue
        stage, run = event.data.get("stage"), event.data.get("run")
        if isinstance(stage, str) and isinstance(run, int) and not isinstance(run, bool):
            last[stage, run] = (event.kind, event.at, event.data)
    return last


def _discards(
    told: _Told, cells: Mapping[CellKey, Document], sums: Mapping[str, str], findings: list[str]
) -> dict[CellKey, str]:
    """Discards that still hold; what the disk denies goes into the findings.

    Only the newest event of a cell counts: a repeat that was run again after a discard is a new observation.
    """
    discards: dict[CellKey, str] = {}
    for key, (kind, at, data) in told.items():
        if kind == DISCARDED:
            if data.get("why") == BY_PERSON:
                reason = data.get("reason")
                discards[key] = reason if isinstance(reason, str) and reason else "no reason was given"
            continue
        path, recorded = cell_path(*key), data.get("sha256")
        if key not in cells:
            findings.append(one_line(f"{path}: recorded at {at} and no longer there"))
        elif isinstance(recorded, str) and sums.get(path, recorded) != recorded:
            findings.append(one_line(f"{path}: changed since it was recorded at {at}"))
    return discards


def _bounded(sentences: list[str]) -> tuple[str, ...]:
    more = len(sentences) - _MOST_FINDINGS
    return (*sentences[:_MOST_FINDINGS], f"and {more} more") if more > 0 else tuple(sentences)
