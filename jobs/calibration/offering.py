"""An apply as a person is offered it: what could be written, whether that still holds, and the writing itself.

The command line and the screen stand on the same steps; nothing here asks anybody or shows anything.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from gates.calibration.modes import MODES, Answer, AnswersError, Decisions, decide
from gates.calibration.plan import ApplyPlan, PlanRefused
from gates.verdict import Verdict
from hosts.errors import GatewatchError, InputError, RefusedError
from hosts.host import HostActor, HostReader, Json
from jobs.calibration.apply import FileChange, Prepared, apply, changes, check_head, prepare, status
from jobs.calibration.locate import Watched
from jobs.calibration.report import make, write
from jobs.calibration.site import Site, find_site
from jobs.calibration.watch import Look, look, missing_manifest
from monitors.calibration import Calibration
from monitors.snapshot import Snapshot

CHANGED = "the verdict on the run, or a value in it, changed meanwhile"

Closed = Callable[[Snapshot[Calibration]], str]
"""Says why nothing may be applied from a snapshot, or ""."""
Say = Callable[[str], None]
"""Told what is done next, in a few words."""


@dataclass(frozen=True)
class CutOff:
    """An apply that was begun and neither finished nor rolled back.

    Attributes:
        id: Its own.
        line: How far it came, as `apply interrupted 2/5`.
        who: Who asked for it.
        at: When, UTC.
        repo: The repository that it edits, absolute on its host.
        files: Path and what it holds: "old", "new", "other" or "gone".
        why: What cut it off, "" where that is not known.
    """

    id: str
    line: str
    who: str
    at: str
    repo: str
    files: tuple[tuple[str, str], ...]
    why: str = ""

    @property
    def spoiled(self) -> bool:
        """Whether somebody else changed a file since, so that it cannot be finished."""
        return any(holds not in ("old", "new") for _path, holds in self.files)


@dataclass(frozen=True)
class Ready:
    """What could be written.

    Attributes:
        digest: Of the verdict that allows it, and of the values that it would write, as `basis_of` tells it.
        newest: The id of the newest apply from this run, None where there was none.
        modes: What each mode would do as long as nothing is answered.
    """

    prepared: Prepared
    digest: str
    newest: str | None
    modes: Mapping[str, Decisions]

    @property
    def plan(self) -> ApplyPlan:
        return self.prepared.plan

    @property
    def repo(self) -> str:
        return self.prepared.site.repo


@dataclass(frozen=True)
class Change:
    """Exactly what would be written, and why.

    Attributes:
        decisions: What became of every value of the plan.
        files: What each file would become; empty where nothing is to be written.
        diffs: The unified diff of each, line by line.
    """

    decisions: Decisions
    files: tuple[FileChange, ...]
    diffs: tuple[tuple[str, ...], ...]

    @property
    def literals(self) -> int:
        """How many numbers are replaced."""
        return sum(len(file.planned.edits) for file in self.files)


@dataclass(frozen=True)
class Written:
    """What became of it.

    Attributes:
        already: The very same change had been made before; nothing was written now.
        report: Where report.md was written, None where it was not.
        problem: Why not, or "".
    """

    already: bool
    report: str | None = None
    problem: str = ""


def site_of(watched: Watched) -> Site:
    """The checkout and the repository that a run's thresholds are in; reads files.

    Raises:
        InputError: They cannot be found.
    """
    root = str(watched.checkout.root) if watched.checkout is not None else None
    far = watched.profile if not watched.local else None
    return find_site(root, None, None, Path(watched.run_dir) if watched.local else None, far=far)


async def get_ready(reader: HostReader, watched: Watched, closed: Closed, say: Say) -> Ready | CutOff:
    """Look, plan, and hold the code against the calibration's commit; an apply that was cut off comes first.

    Raises:
        RefusedError: A gate says no, or the code is no longer the calibration's.
        InputError: Something that is needed is not there.
        UnreachableError: The host did not answer.
    """
    say("looking for an earlier apply")
    cut, newest = await standing(reader, watched)
    if cut is not None:
        return cut
    say("reading the run")
    found = await _fresh(reader, watched, closed)
    missing = await asyncio.to_thread(missing_manifest, watched, found)
    if missing is not None:
        raise InputError(missing)
    say("reading the thresholds in the test files")
    site = await asyncio.to_thread(site_of, watched)
    try:
        prepared = await prepare(reader, watched, site, found)
    except PlanRefused as refusal:
        raise RefusedError(f"the run is not ready: {'; '.join(refusal.reasons[:3])}") from refusal
    say("holding the code against the calibration's commit")
    await check_head(reader, prepared)
    modes = await asyncio.to_thread(_modes, prepared.plan)
    return Ready(prepared, basis_of(found.snapshot), newest, modes)


def held(prepared: Prepared, newest: Mapping[str, Json]) -> Ready:
    """What a change is made from, for `check_again` once somebody has answered.

    Args:
        newest: What `status` said of the newest apply before it was prepared.
    """
    return Ready(prepared, basis_of(prepared.found.snapshot), _id(newest), MappingProxyType({}))


async def standing(reader: HostReader, watched: Watched) -> tuple[CutOff | None, str | None]:
    """The newest apply of a run: what was cut off, None where it came to its end; and its id, None without any.

    Raises:
        RefusedError: It is at work right now.
        UnreachableError: The host did not answer.
    """
    newest = await status(reader, watched.run_dir)
    if newest.get("state") == "running":
        raise RefusedError("thresholds of this run are being written right now")
    return (_cut_off(newest) if newest.get("state") == "interrupted" else None), _id(newest)


async def check_again(reader: HostReader, ready: Ready, closed: Closed) -> None:
    """See that nothing has changed since it was made ready.

    Raises:
        RefusedError: Somebody else applied, the verdict is another one, or the code is no longer the calibration's.
        UnreachableError: The host did not answer.
    """
    watched = ready.prepared.watched
    newest = await status(reader, watched.run_dir)
    if _id(newest) != ready.newest:
        who = newest.get("who")
        raise RefusedError(
            f"{who if isinstance(who, str) and who else 'somebody else'} applied from this run meanwhile"
        )
    found = await _fresh(reader, watched, closed)
    if basis_of(found.snapshot) != ready.digest:
        raise RefusedError(CHANGED)
    await check_head(reader, ready.prepared)


async def make_change(ready: Ready, mode: str, answers: Mapping[str, Answer]) -> Change:
    """What the answers come to, file by file.

    Raises:
        InputError: An answer cannot be used.
        RefusedError: A literal was not located after all.
    """

    def work() -> Change:
        try:
            decisions = decide(ready.plan, mode, answers)
        except AnswersError as error:
            raise InputError(str(error)) from error
        files = tuple(changes(ready.prepared, decisions))
        return Change(decisions, files, tuple(tuple(file.diff()) for file in files))

    return await asyncio.to_thread(work)


async def carry_out(
    actor: HostActor, prepared: Prepared, files: Sequence[FileChange], mode: str, who: str, repo: str | None = None
) -> Written:
    """Write the change, all files or none, and then the report with its applied table.

    Raises:
        RefusedError: Something is not as planned; nothing was changed.
        VerbError, UnreachableError: It was cut off; `status` says how far it came.
    """
    answer = await apply(actor, prepared, files, mode, who)
    already = isinstance(answer, dict) and answer.get("already") is True
    try:
        made = await make(actor, prepared.watched, repo)
        path = await write(actor, prepared.watched.run_dir, made.text) if made.report is not None else None
    except GatewatchError as error:
        # The edit stands whatever becomes of the report.
        return Written(already, None, f"the thresholds are written, and report.md is not: {error}")
    return Written(already, path)


def verdict_of(snapshot: Snapshot[Calibration]) -> Verdict:
    """What an offer follows from: the run's three gates together."""
    assert snapshot.body.audit is not None  # there is one from the first look on
    return snapshot.body.audit.verdict


def basis_of(snapshot: Snapshot[Calibration]) -> str:
    """sha256 (hex) over all of a run that thresholds follow from: its verdict, and each value of each repeat.

    Two runs that both pass have the same verdict, whatever was measured in them.
    """
    assert snapshot.body.audit is not None  # as above
    basis = hashlib.sha256(verdict_of(snapshot).digest().encode())
    for stage in snapshot.body.audit.stages:
        for cell in stage.cells:
            metrics = sorted(cell.record.metrics.items()) if cell.record is not None else []
            basis.update(repr((cell.stage, cell.run, metrics)).encode())
    return basis.hexdigest()


async def _fresh(reader: HostReader, watched: Watched, closed: Closed) -> Look:
    found = await look(reader, watched)
    why = closed(found.snapshot)
    if why:
        raise RefusedError(why)
    return found


def _modes(plan: ApplyPlan) -> Mapping[str, Decisions]:
    return MappingProxyType({str(mode): decide(plan, mode) for mode in MODES})


def _id(newest: Mapping[str, Json]) -> str | None:
    value = newest.get("id")
    return value if isinstance(value, str) else None


def _cut_off(newest: Mapping[str, Json]) -> CutOff:
    files = newest.get("files")
    held = tuple(
        (str(one.get("path")), str(one.get("holds")))
        for one in (files if isinstance(files, list) else [])
        if isinstance(one, dict)
    )
    line, who, at, repo = (str(newest.get(key) or "") for key in ("line", "who", "at", "repo"))
    return CutOff(_id(newest) or "", line, who, at, repo, held)
