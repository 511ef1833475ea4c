"""Folds what was seen of a calibration's run directory into its snapshot; looks at nothing itself."""

from __future__ import annotations

import calendar
import hashlib
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gates.calibration.assemble import Run, assemble, reassemble
from gates.calibration.audit import Audit, audit, reaudit
from gates.calibration.layout import GLOBS, JOURNAL, PLAN, parse_cell_path
from gates.calibration.schema import Manifest
from gates.documents import Document, Json
from gates.journal import Journal, decode_journal
from gates.verdict import Decision, Evidence, Offer, Verdict
from hosts.host import Observation, ProcSeen, ProcsSeen, ProcsWant, TreeSeen, TreeWant, Wants
from hosts.local.locks import Holder, parse_holder
from monitors.documents import document
from monitors.snapshot import Active, Eta, Now, Progress, Seen, Snapshot, State

LOCK = ".gatewatch/lock"
LAST_WORDS = ".gatewatch/last-words"
RUN_MARK = "GATEWATCH_RUN"
APPLY_NONCE = "apply-"  # how an apply marks the run's lock while it holds it
_LIMIT = 64 << 20
_EMPTY: Mapping[str, Document] = MappingProxyType({})


@dataclass(frozen=True)
class Calibration:
    """A calibration as it stands on the disk.

    Attributes:
        documents: Every record by path relative to the run directory.
        sums: sha256 (hex) of their bytes.
        journal: The run's journal, as far as it could be read.
        written: The bytes that it was read from, so that only what is added to them has to be read.
        holder: Who holds the run's lock, or held it last.
        runner: alive | dead | none | unknown.
        processes: Live processes that carry the run's mark: runner, shim, pytest and their children.
        words: What the runner left as the reason of its end, or "".
        unread: Why the lock, the journal or the last words could not be read, by path; then the last good one stands.
        manifest, reference: What the monitor was given to judge by.
        run, audit: What follows from all that; None only before the first look.
    """

    documents: Mapping[str, Document] = field(default_factory=lambda: _EMPTY)
    sums: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    journal: Journal = field(default_factory=lambda: Journal(()))
    written: bytes = field(default=b"", repr=False)
    holder: Holder | None = None
    runner: str = "unknown"
    processes: tuple[ProcSeen, ...] = ()
    words: str = ""
    unread: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    manifest: Manifest | None = None
    reference: Json = None
    run: Run | None = None
    audit: Audit | None = None

    @property
    def run_id(self) -> str | None:
        """The id that the run's processes carry in their environment, None for another program's run."""
        plan = self.run.plan if self.run is not None else None
        value = plan.raw.get("run_id") if plan is not None else None
        return value if isinstance(value, str) else None

    @property
    def pytest_active(self) -> bool:
        """True while something other than the runner itself carries the run's mark."""
        runner = None if self.holder is None else self.holder.ref
        return any(process.ref != runner for process in self.processes)


class CalibrationMonitor:
    """Watches one run directory.

    Args:
        run_dir: Its path on its host.
        manifest: The checkout's manifest, for runs that have not frozen their own.
        reference: The host profile's reference, for runs whose plan has none.
    """

    def __init__(self, run_dir: str, manifest: Manifest | None = None, reference: Json = None) -> None:
        self._run_dir = run_dir
        self._manifest = manifest
        self._reference = reference

    def sniff(self, names: frozenset[str]) -> int:
        """How surely a folder with these names is a calibration's run directory, 0 to 100."""
        if PLAN not in names:
            return 0
        return 90 if any(parse_cell_path(name) for name in names) or "_pytest" in names else 50

    def wants(self, previous: Snapshot[Calibration] | None) -> Wants:
        """The run's records, and the processes that the last look has named."""
        tree = TreeWant(self._run_dir, (*GLOBS, LOCK, LAST_WORDS), _LIMIT)
        body = previous.body if previous is not None else Calibration()
        refs = (body.holder.ref,) if body.holder is not None else ()
        marks = (f"{RUN_MARK}={body.run_id}",) if body.run_id else ()
        return Wants(trees=(tree,), procs=ProcsWant(refs, marks))

    def fold(self, previous: Snapshot[Calibration] | None, seen: Observation, now: Now) -> Snapshot[Calibration]:
        """The snapshot after one more look; a look that failed keeps the last values and says so."""
        before = previous.body if previous is not None else Calibration()
        tree = next((tree for tree in seen.trees if tree.want.root == self._run_dir), None)
        error = seen.errors.get("trees") or (
            tree.error if tree is not None else "nothing was seen of the run directory"
        )
        if tree is None or error is not None:
            return self._blind(previous, before, error or "", now)
        body = self._with_files(before, tree)
        body = _with_processes(body, seen.procs)
        last = Seen(seen.at, seen.received)
        return self._snapshot(body, last, seen, now)

    def _with_files(self, before: Calibration, tree: TreeSeen) -> Calibration:
        documents = {} if tree.full else dict(before.documents)
        sums = {} if tree.full else dict(before.sums)
        known = before if not tree.full else Calibration()
        journal, written, holder, words = known.journal, known.written, known.holder, known.words
        unread = dict(known.unread)
        for path in tree.gone:
            documents.pop(path, None)
            sums.pop(path, None)
            unread.pop(path, None)
            if path == LOCK:
                holder = None
            elif path == JOURNAL:
                journal, written = Journal(()), b""
            elif path == LAST_WORDS:
                words = ""
        for path, file in tree.files.items():
            if path not in (JOURNAL, LOCK, LAST_WORDS):
                documents[path] = document(file)
                sums.pop(path, None)
                if file.data is not None:  # the sum of nothing would say that the file was changed
                    sums[path] = hashlib.sha256(file.data).hexdigest()
                continue
            unread.pop(path, None)
            if file.data is None:
                unread[path] = file.error or f"{file.size} bytes are too many"
            elif path == JOURNAL:
                journal, written = decode_journal(file.data, written, journal), file.data
            elif path == LAST_WORDS:
                words = file.data.decode("utf-8", "replace").strip()
            else:
                holder = parse_holder(file.data)
                if holder is None:
                    unread[path] = "it is not a lock"
        changed = set(tree.files) | set(tree.gone)
        if tree.full:
            changed |= set(before.documents)
        frozen: Mapping[str, Document] = MappingProxyType(documents)
        if before.run is None or tree.full:
            run = assemble(frozen, self._manifest, journal, reference=self._reference, sha256=sums)
        else:
            run = reassemble(
                before.run, frozen, changed, self._manifest, journal, reference=self._reference, sha256=sums
            )
        judged = audit(run) if before.audit is None else reaudit(before.audit, run, changed)
        return replace(
            before,
            documents=frozen,
            sums=MappingProxyType(sums),
            journal=journal,
            written=written,
            holder=holder,
            words=words,
            unread=MappingProxyType(unread),
            manifest=self._manifest,
            reference=self._reference,
            run=run,
            audit=judged,
        )

    def _blind(
        self, previous: Snapshot[Calibration] | None, body: Calibration, error: str, now: Now
    ) -> Snapshot[Calibration]:
        if previous is not None:
            return replace(previous, state=State.BLIND, error=error)
        nothing = Seen(None, None)
        return Snapshot(self._run_dir, State.BLIND, nothing, Progress(None, None), None, (), (), (), error, body)

    def _snapshot(self, body: Calibration, last: Seen, seen: Observation, now: Now) -> Snapshot[Calibration]:
        assert body.audit is not None  # _with_files has just made it
        state, remark = _state(body)
        verdicts = (body.audit.verdict, _liveness(body, state, remark))
        cells = [cell for stage in body.audit.stages for cell in stage.cells[: stage.repeats]]
        done = len(cells) - len(body.audit.incomplete)
        return Snapshot(
            watch=self._run_dir,
            state=state,
            seen=last,
            progress=Progress(done, len(cells) or None),
            eta=_eta(body, seen.at) if state is State.RUNNING else None,
            active=_active(body) if body.pytest_active else (),
            verdicts=verdicts,
            offers=_offers(self._run_dir, body, state, seen.host, verdicts[1]),
            error=seen.errors.get("procs") or remark or None,
            body=body,
        )


def _with_processes(body: Calibration, seen: ProcsSeen | None) -> Calibration:
    holder, mark = body.holder, f"{RUN_MARK}={body.run_id}"
    # One look serves every run of a host: the other runs' processes are in it too.
    marked = tuple(process for process in seen.live if mark in process.marks) if seen is not None else ()
    if LOCK in body.unread or (holder is not None and seen is None):
        runner = "unknown"
    elif holder is None or seen is None:
        runner = "none"
    elif any(process.ref == holder.ref for process in seen.live):
        runner = "alive"
    elif holder.ref in seen.dead:
        runner = "dead"
    else:
        runner = "unknown"
    return replace(body, runner=runner, processes=marked)


def _state(body: Calibration) -> tuple[State, str]:
    """How the run stands, and one sentence where that needs an explanation."""
    assert body.audit is not None  # both come from the same fold
    assert body.run is not None
    if body.run.plan is None:
        return State.UNKNOWN, f"there is no usable {PLAN}"
    if body.holder is not None and body.holder.nonce.startswith(APPLY_NONCE) and body.runner != "unknown":
        return State.ENDED, "thresholds are being written" if body.runner == "alive" else "an apply was interrupted"
    if body.runner == "alive":
        return _running_state(body.journal), ""
    if LOCK in body.unread:
        why = f"whether a runner lives cannot be told, {LOCK}: {body.unread[LOCK]}"
        return (State.RUNNING if body.processes else State.UNKNOWN), why
    if body.pytest_active:
        return State.RUNNING, "the runner is gone and its pytest still runs; --resume takes it over"
    if body.runner == "unknown" and body.holder is not None:
        return State.UNKNOWN, f"held by {body.holder}, which cannot be judged from here"
    if JOURNAL in body.unread and body.audit.incomplete:
        return State.UNKNOWN, f"how it ended cannot be told, {JOURNAL}: {body.unread[JOURNAL]}"
    last = body.journal.last("run.started", "run.resumed", "run.ended", "run.halted")
    if last is not None and last.kind == "run.halted":
        return State.HALTED, str(last.data.get("detail", "halted"))
    if not body.audit.incomplete or (last is not None and last.kind == "run.ended"):
        return State.ENDED, ""
    if last is None and body.holder is None:
        return State.UNKNOWN, "no journal and no lock: whether another program still writes here cannot be told"
    why = f": {body.words}" if body.words else " and without a word: it was killed, or its disk failed"
    return State.DEAD, f"the runner is gone without a last event{why}"


def _running_state(journal: Journal) -> State:
    last = journal.last("unit.waiting", "unit.slow_start", "attempt.started", "attempt.adopted", "attempt.ended")
    if last is None:
        return State.RUNNING
    return {"unit.waiting": State.WAITING, "unit.slow_start": State.SLOW_START}.get(last.kind, State.RUNNING)


def _liveness(body: Calibration, state: State, remark: str) -> Verdict:
    decision = {
        State.ENDED: Decision.PASS,
        State.HALTED: Decision.FAIL,
        State.DEAD: Decision.FAIL,
        State.UNKNOWN: Decision.UNKNOWN,
    }.get(state, Decision.NOT_YET)
    evidence = [Evidence("runner", LOCK, value=body.runner)]
    if body.holder is not None:
        evidence.append(Evidence("lock holder", LOCK, value=str(body.holder)))
    evidence.extend(
        Evidence("process", value=f"pid {process.ref.pid} {' '.join(process.argv[:3])}"[:200])
        for process in body.processes[:20]
    )
    return Verdict("calibration.liveness", decision, state.value, detail=remark, evidence=tuple(evidence))


def _offers(run_dir: str, body: Calibration, state: State, host: str, liveness: Verdict) -> tuple[Offer, ...]:
    """A run that died short of strict-complete offers its resume; a HALT needs a person first."""
    if body.audit is None or not body.audit.incomplete or body.run is None or body.run.plan is None:
        return ()
    last = body.journal.last("run.halted")
    stopped = state is State.HALTED and last is not None and last.data.get("why") in ("stopped", "exhausted")
    if not (state is State.DEAD or stopped):
        return ()
    known = body.run.plan.raw
    words = [
        word for name in ("root", "host") if isinstance(said := known.get(name), str) for word in (f"--{name}", said)
    ]
    change = shlex.join(["gatewatch", "calibrate", "run", *words, "--resume", "--output-dir", run_dir])
    return (Offer(run_dir, "resume", liveness.digest(), change, host, danger=False),)


def _active(body: Calibration) -> tuple[Active, ...]:
    last = body.journal.last("attempt.started", "attempt.adopted")
    if last is None:
        return ()
    name = f"{last.data.get('unit')} run {last.data.get('run')}"
    log = last.data.get("log")
    return (Active(name, log if isinstance(log, str) else None, _seconds(last.at)),)


def _eta(body: Calibration, at: float) -> Eta | None:
    """When the run should be done, from the mean duration of its own finished repeats, unit by unit."""
    assert body.audit is not None  # only called on a folded body
    lasted: dict[str, list[float]] = {}
    unit_of = _units(body)
    for stage in body.audit.stages:
        for cell in stage.cells:
            if cell.record is not None and cell.record.duration_s is not None:
                lasted.setdefault(unit_of.get(stage.key, stage.key), []).append(cell.record.duration_s)
    if not lasted:
        return Eta(None, "no repeat has finished yet")
    means = {unit: sum(values) / len(values) for unit, values in lasted.items()}
    overall = sum(means.values()) / len(means)
    left = {(unit_of.get(stage, stage), run) for stage, run in body.audit.incomplete}
    seconds = sum(means.get(unit, overall) for unit, _run in left)
    unseen = len({unit for unit, _run in left if unit not in means})
    basis = "mean of this run's own repeats" + (f"; {unseen} units not seen yet" if unseen else "")
    return Eta(at + seconds, basis)


def _units(body: Calibration) -> dict[str, str]:
    """The unit of each stage: of the plan, and as its pytest was really started."""
    plan = body.run.plan if body.run is not None else None
    planned = plan.units if plan is not None and isinstance(plan.units, list) else []
    found: dict[str, str] = {}
    for unit in planned:
        if isinstance(unit, dict):
            found.update(_stages(unit.get("key"), unit.get("stages")))
    for event in body.journal.events:
        if event.kind == "attempt.started":
            found.update(_stages(event.data.get("unit"), event.data.get("stages")))
    return found


def _stages(unit: object, stages: object) -> dict[str, str]:
    if not isinstance(stages, list) or not isinstance(unit, str):
        return {}
    return {stage: unit for stage in stages if isinstance(stage, str)}


def _seconds(text: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None


MONITOR = CalibrationMonitor
