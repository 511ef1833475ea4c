"""Folds what was seen of a calibration's run directory into its snapshot; looks at nothing itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from gates.calibration.assemble import assemble, reassemble
from gates.calibration.audit import audit, reaudit
from gates.calibration.layout import GLOBS, JOURNAL, PLAN, parse_cell_path
from gates.calibration.schema import Manifest
from gates.documents import Document, Json
from gates.journal import Journal, decode_journal
from hosts.host import (
    Observation,
    ProcRef,
    ProcSeen,
    ProcsSeen,
    ProcsWant,
    PytestSeen,
    TreeSeen,
    TreeWant,
    Wants,
)
from hosts.local.locks import Holder, parse_holder
from hosts.local.pytests import is_pytest
from monitors.calibration.body import LAST_WORDS, LOCK, RUN_MARK, Calibration, LogSeen
from monitors.calibration.eta import eta
from monitors.calibration.state import liveness, offers, state_of
from monitors.calibration.supervision import LOGS, active, pytests_of, supervise
from monitors.documents import document
from monitors.snapshot import Now, Progress, Seen, Snapshot, State

_LIMIT = 64 << 20


class CalibrationMonitor:
    """Watches one run directory.

    Args:
        run_dir: Its path on its host.
        manifest: The checkout's manifest, for runs that have not frozen their own.
        reference: The host profile's reference, for runs whose plan has none.
    """

    def __init__(self, run_dir: str, manifest: Manifest | None = None, reference: Json = None) -> None:
        self._run_dir = run_dir
        self._records = TreeWant(run_dir, (*GLOBS, LOCK, LAST_WORDS), _LIMIT)
        self._logs = TreeWant(run_dir, (LOGS,), 0)
        self._manifest = manifest
        self._reference = reference

    def sniff(self, names: frozenset[str]) -> int:
        """How surely a folder with these names is a calibration's run directory, 0 to 100."""
        if PLAN not in names:
            return 0
        return 90 if any(parse_cell_path(name) for name in names) or "_pytest" in names else 50

    def wants(self, previous: Snapshot[Calibration] | None) -> Wants:
        """The run's records, and the processes that the last look has named."""
        body = previous.body if previous is not None else Calibration()
        # Of a pytest that others started, what is seen does not tell whether it is stopped.
        refs = tuple(seen.ref for seen in body.pytests or ())
        if body.holder is not None:
            refs = (body.holder.ref, *refs)
        marks = (f"{RUN_MARK}={body.run_id}",) if body.run_id else ()
        # What our own runner does, its journal and its mark tell; of another program's run only the processes can.
        pytests = body.runner != "alive"
        return Wants(trees=(self._records, self._logs), procs=ProcsWant(refs, marks, pytests))

    def fold(self, previous: Snapshot[Calibration] | None, seen: Observation, now: Now) -> Snapshot[Calibration]:
        """The snapshot after one more look; a look that failed keeps the last values and says so."""
        before = previous.body if previous is not None else Calibration()
        trees = {tree.want: tree for tree in seen.trees}
        tree = trees.get(self._records)
        error = seen.errors.get("trees") or (
            tree.error if tree is not None else "nothing was seen of the run directory"
        )
        if tree is None or error is not None:
            return self._blind(previous, before, error or "", now)
        body = _with_logs(self._with_files(before, tree), trees.get(self._logs), seen.at)
        body = _with_processes(self._run_dir, body, seen.procs)
        last = Seen(seen.at, seen.received)
        return self._snapshot(body, last, seen, now)

    def _with_files(self, before: Calibration, tree: TreeSeen) -> Calibration:
        documents = {} if tree.full else dict(before.documents)
        sums = {} if tree.full else dict(before.sums)
        known = before if not tree.full else Calibration()
        journal, written, holder, words = known.journal, known.written, known.holder, known.words
        unread, times = dict(known.unread), dict(known.times)
        for path in tree.gone:
            documents.pop(path, None)
            sums.pop(path, None)
            times.pop(path, None)
            unread.pop(path, None)
            if path == LOCK:
                holder = None
            elif path == JOURNAL:
                journal, written = Journal(()), b""
            elif path == LAST_WORDS:
                words = ""
        for path, file in tree.files.items():
            times.pop(path, None)
            if file.mtime_ns:  # of what may not be looked at nothing is known
                times[path] = file.mtime_ns / 1e9
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
            times=MappingProxyType(times),
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
        state, remark = state_of(body, seen.at)
        watched = supervise(self._run_dir, body)
        verdicts = (body.audit.verdict, liveness(body, state, state_of(body, seen.at, lasting=False)[1]))
        cells = [cell for stage in body.audit.stages for cell in stage.cells[: stage.repeats]]
        done = len(cells) - len(body.audit.incomplete)
        planned = body.run is not None and body.run.plan is not None  # else only what has been recorded is known
        return Snapshot(
            watch=self._run_dir,
            state=state,
            seen=last,
            progress=Progress(done, (len(cells) or None) if planned else None),
            eta=eta(body, seen.at, watched) if state is State.RUNNING else None,
            active=active(watched),
            verdicts=verdicts,
            offers=offers(self._run_dir, body, state, seen.host, verdicts[1]),
            error=seen.errors.get("procs") or remark or None,
            body=replace(body, supervision=watched),
        )


def _with_logs(body: Calibration, seen: TreeSeen | None, at: float) -> Calibration:
    """Which logs there are; a look that could not list them keeps the last ones."""
    if seen is None or seen.error is not None:
        return body
    logs = {} if seen.full else {path: log for path, log in body.logs.items() if path not in seen.gone}
    for path, file in seen.files.items():
        before = body.logs.get(path)
        grew = before.grew if before is not None and before.size == file.size else at
        logs[path] = LogSeen(file.size, file.mtime_ns / 1e9, grew)
    return replace(body, logs=MappingProxyType(logs))


def _with_processes(run_dir: str, body: Calibration, seen: ProcsSeen | None) -> Calibration:
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
    pytests = None if seen is None or seen.pytests is None else pytests_of(run_dir, seen.pytests)
    node = seen.node if seen is not None else body.node
    stopped = _stopped(holder, marked, pytests or (), seen.live if seen is not None else ())
    return replace(body, runner=runner, processes=marked, stopped=stopped, pytests=pytests, node=node)


def _stopped(
    holder: Holder | None, marked: Iterable[ProcSeen], pytests: Iterable[PytestSeen], live: Iterable[ProcSeen]
) -> tuple[ProcRef, ...]:
    """Of what has to work for the run to go on, that which a signal has stopped; a debugger's look at it is "t"."""
    needed = {process.ref for process in marked if is_pytest(process.argv)} | {seen.ref for seen in pytests}
    if holder is not None:
        needed.add(holder.ref)
    found = {process.ref for process in (*marked, *live) if process.state == "T"}
    return tuple(sorted(needed & found, key=lambda ref: (ref.start_ticks, ref.pid)))
