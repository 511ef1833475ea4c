"""The verb that writes thresholds: all files of a plan or none, and never over anything else than was planned.

Everything is checked, and the result proved under the project's own Python, before the first byte is written.
Then the old bytes are kept in the run directory (`applied`), and the files are replaced one by one (`replace`).
An apply that is cut off can be finished or rolled back at any later time. Nothing is committed or pushed, and
no other file is touched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gates.calibration.edits import EditError, apply_edits
from hosts.errors import GatewatchError, InputError, RefusedError
from hosts.host import Json
from hosts.local.files import WriteError, is_temp, new_ulid, utc_now
from hosts.local.locks import LockLostError, RunLock, acquire, read_holder
from hosts.local.procs import is_alive, self_ref
from hosts.local.verbs import text_of
from jobs.runner.calibration.applied import (
    DONE,
    GONE,
    NEW,
    OLD,
    PREPARED,
    ROLLED_BACK,
    Applied,
    Target,
    all_applied,
    applies_of,
)
from jobs.runner.calibration.apply_checks import ApplyPlan, inspect, parse_plan, prove
from jobs.runner.calibration.replace import replace_exactly
from jobs.runner.calibration.sources import SeenFile, SourceError, read_source
from jobs.runner.journal import JournalWriter, read_journal
from jobs.runner.places import RunPlaces

_NONCE = "apply-"  # so that whoever sees the run's lock can tell an apply from a runner


def apply(payload: Json) -> Json:
    """Write the edits of a plan, or bring an interrupted apply to an end.

    Args:
        payload: `run_dir`; `action`: "apply" (default), "finish" or "rollback", the latter two of the newest apply
            of that run; `take_over` as for a run. For "apply" also `repo`, `python`, `files`
            (`gates.calibration.edits.files_json`), `who`, and `shown_sha256`: the digest of what a person was
            shown, which must be that of `files`.

    Returns:
        `{state: "done", already, id, plan, who, repo, files}`, `files` with every edit as it was made; or
        `{state: "rolled_back", already, id, …, restored, left}`, `left` what others changed, with the reason.

    Raises:
        InputError: The payload is wrong, or there is nothing to finish. Nothing was changed.
        RefusedError: A file is not as planned, or would not become what is planned, or a runner is at work. Nothing
            is changed then, or what was written is put back; where that failed too the message says
            `apply interrupted`.
        WriteError: The run directory cannot be written.
    """
    places = RunPlaces(Path(text_of(payload, "run_dir")).expanduser())
    body = payload if isinstance(payload, dict) else {}
    action = body.get("action", "apply")
    if action not in ("apply", "finish", "rollback"):
        raise InputError("'action' is apply, finish or rollback")
    plan = parse_plan(payload) if action == "apply" else None
    with _held(places, take_over=body.get("take_over") is True) as lock:
        desk = _Desk(places, lock)
        try:
            if plan is not None:
                return desk.apply(plan)
            return desk.finish() if action == "finish" else desk.roll_back()
        finally:
            desk.close()


def apply_status(payload: Json) -> Json:
    """How the newest apply of a run stands.

    Returns:
        `{state: "none"}`, or `{state, done, total, line, id, plan, at, who, repo, files: [{path, holds}]}`: `state`
        "running", "interrupted", "done" or "rolled_back"; `done` of `total` files hold their new bytes; `line` for a
        person, such as "apply interrupted 2/5"; `holds` "old", "new", "other" or "gone".
    """
    places = RunPlaces(Path(text_of(payload, "run_dir")).expanduser())
    found = all_applied(places)
    if not found:
        return {"state": "none"}
    last = found[-1]
    held = {target.planned.path: last.holds(target) for target in last.targets}
    done, total = sum(one == NEW for one in held.values()), len(held)
    state = last.state if last.state != PREPARED else "running" if _is_held(places) else "interrupted"
    line = {DONE: f"applied to {_files(total)}", ROLLED_BACK: "apply rolled back"}.get(
        state, f"apply {state} {done}/{total}"
    )
    files: list[Json] = [{"path": path, "holds": one} for path, one in held.items()]
    counted: dict[str, Json] = {"state": state, "done": done, "total": total, "line": line}
    return {**counted, **last.summary(), "at": last.at, "files": files}


class _Desk:
    """One apply at work, holding the run's lock."""

    def __init__(self, places: RunPlaces, lock: RunLock) -> None:
        self._places = places
        self._lock = lock
        self._journal: JournalWriter | None = None

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def apply(self, plan: ApplyPlan) -> Json:
        with _alone_in(plan.repo):
            earlier = all_applied(self._places)
            if earlier and earlier[-1].state == PREPARED:
                raise RefusedError(f"{_interrupted(earlier[-1])}; finish it or roll it back first")
            same = next((one for one in reversed(earlier) if one.plan == plan.digest and one.state == DONE), None)
            if same is not None and same.repo == plan.repo and same.done() == len(same.targets):
                return _ended(same, already=True)
            seen = inspect(plan.repo, plan.files)
            applied = self._prepare(plan, seen)
            try:
                self._write(applied)
                return self._end(applied)
            except LockLostError as error:
                raise RefusedError(f"{_interrupted(applied)}: {error}") from None
            except GatewatchError as error:
                raise self._undone(applied, error) from None

    def finish(self) -> Json:
        applied = self._last()
        if applied.state == DONE:
            return _ended(applied, already=True)
        if applied.state == ROLLED_BACK:
            raise InputError("there is no interrupted apply to finish; the last one was rolled back")
        with _alone_in(applied.repo):
            held = {target.planned.path: applied.holds(target) for target in applied.targets}
            strange = [path for path, one in held.items() if one not in (OLD, NEW)]
            if strange:
                raise RefusedError(
                    f"{_interrupted(applied)}; it cannot be finished, because {', '.join(strange)} changed since; "
                    "roll it back instead"
                )
            rest = [target.planned for target in applied.targets if held[target.planned.path] == OLD]
            inspect(applied.repo, rest, same_inode=False)
            try:
                self._write(applied)
                return self._end(applied)
            except GatewatchError as error:
                raise RefusedError(f"{_interrupted(applied)}: {error}") from None

    def roll_back(self) -> Json:
        applied = self._last()
        if applied.state == ROLLED_BACK:
            return {"state": ROLLED_BACK, "already": True, **applied.summary(), "restored": [], "left": []}
        with _alone_in(applied.repo):
            return self._put_back(applied, "a person asked for it")

    def _last(self) -> Applied:
        found = all_applied(self._places)
        if not found:
            raise InputError(f"nothing was ever applied from {self._places.root}")
        return found[-1]

    def _prepare(self, plan: ApplyPlan, seen: dict[str, SeenFile]) -> Applied:
        """Prove what would be written, and keep what it replaces."""
        new: dict[str, bytes] = {}
        for one in plan.files:
            try:
                new[one.path] = apply_edits(seen[one.path].data, one.edits)
            except EditError as error:
                raise RefusedError(f"nothing was changed: {one.path}: {error}") from None
        prove(plan, seen, new)
        targets = tuple(Target(one, hashlib.sha256(new[one.path]).hexdigest()) for one in plan.files)
        folder = applies_of(self._places) / new_ulid()
        applied = Applied(folder, plan.digest, PREPARED, utc_now(), plan.who, plan.repo, targets)
        self._note("apply.begun", {**applied.summary(), "files": [_file_json(target) for target in targets]})
        applied.keep(lambda target: seen[target.planned.path].data)
        return applied

    def _write(self, applied: Applied) -> None:
        total = len(applied.targets)
        for number, target in enumerate(applied.targets, 1):
            if applied.holds(target) == NEW:
                continue
            self._lock.beat()
            data = applied.new_bytes(target)
            replace_exactly(applied.repo / target.planned.path, data, target.planned.sha256)
            self._note("apply.file", {"id": applied.id, **_file_json(target), "number": number, "total": total})

    def _end(self, applied: Applied) -> Json:
        """Look at all files once more, and say that it is done."""
        for target in applied.targets:
            found = read_source(applied.repo, target.planned.path, links=False)
            if found.sha256 != target.new_sha256 or found.mode != target.planned.mode:
                raise RefusedError(f"{target.planned.path} was changed by somebody else after it was written")
        left = _sweep(applied)
        self._note_once(applied, "apply.done", {**applied.summary(), "files": applied.rows()})
        return _ended(applied.become(DONE), already=False, left=left)

    def _undone(self, applied: Applied, error: GatewatchError) -> GatewatchError:
        """Put back what was written, and give what is to be raised."""
        try:
            answer = self._put_back(applied, str(error))
        except GatewatchError as second:
            return RefusedError(f"{_interrupted(applied)}: {error}; and rolling back failed: {second}")
        restored, left = answer["restored"], answer["left"]
        count = len(restored) if isinstance(restored, list) else 0
        what = f"{_files(count)} put back" if count else "nothing was changed"
        paths = [str(one["path"]) for one in left if isinstance(one, dict)] if isinstance(left, list) else []
        alone = f", left alone: {', '.join(paths)}" if paths else ""
        return RefusedError(f"{error}; not applied, {what}{alone}")

    def _put_back(self, applied: Applied, why: str) -> dict[str, Json]:
        restored: list[Json] = []
        left: list[dict[str, Json]] = []
        for target in reversed(applied.targets):
            path, held = target.planned.path, applied.holds(target)
            if held == NEW:
                self._lock.beat()
                try:
                    replace_exactly(applied.repo / path, applied.old_bytes(target), target.new_sha256)
                    restored.append(path)
                    continue
                except RefusedError:
                    held = applied.holds(target)
            if held != OLD:
                reason = "it is gone" if held == GONE else "somebody else changed it since"
                left.append({"path": path, "why": reason})
        left += _sweep(applied)
        outcome: dict[str, Json] = {"restored": restored, "left": list(left)}
        self._note_once(applied, "apply.rolled_back", {**applied.summary(), **outcome, "why": why})
        applied.become(ROLLED_BACK)
        return {"state": ROLLED_BACK, "already": False, **applied.summary(), **outcome}

    def _note(self, kind: str, data: dict[str, Json]) -> None:
        if self._journal is None:
            self._journal = JournalWriter(self._places.journal, self_ref())
        self._journal.append(kind, data)

    def _note_once(self, applied: Applied, kind: str, data: dict[str, Json]) -> None:
        """Note how an apply ended, unless whoever was cut off right after has done so."""
        last = read_journal(self._places.journal).last("apply.begun", "apply.file", "apply.done", "apply.rolled_back")
        if last is None or last.kind != kind or last.data.get("id") != applied.id:
            self._note(kind, data)


def _sweep(applied: Applied) -> list[dict[str, Json]]:
    """Remove the temporary files that a killed apply left, and give those that hold something else than ours."""
    left: list[dict[str, Json]] = []
    known = {target.planned.path: (applied.old_bytes(target), applied.new_bytes(target)) for target in applied.targets}
    for folder in sorted({os.path.dirname(path) for path in known}):
        ours = [both for path, both in known.items() if os.path.dirname(path) == folder]
        with contextlib.suppress(OSError):  # it is gone, and what was in it
            for name in sorted(filter(is_temp, os.listdir(applied.repo / folder))):
                path = f"{folder}/{name}" if folder else name
                with contextlib.suppress(SourceError):
                    data = read_source(applied.repo, path, links=False).data
                    if any(old.startswith(data) or new.startswith(data) for old, new in ours):
                        os.unlink(applied.repo / path)
                    else:
                        left.append({"path": path, "why": "it holds what somebody saved as the apply was cut off"})
    return left


def _ended(applied: Applied, *, already: bool, left: Sequence[dict[str, Json]] = ()) -> Json:
    answer: dict[str, Json] = {"state": DONE, "already": already, **applied.summary(), "files": applied.rows()}
    return {**answer, "left": list(left)}


def _interrupted(applied: Applied) -> str:
    return f"apply interrupted {applied.done()}/{len(applied.targets)}"


def _file_json(target: Target) -> dict[str, Json]:
    planned = target.planned
    hashes: dict[str, Json] = {"old_sha256": planned.sha256, "new_sha256": target.new_sha256}
    return {"path": planned.path, **hashes, "edits": len(planned.edits)}


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _is_held(places: RunPlaces) -> bool:
    try:
        holder = read_holder(places.lock)
    except RefusedError:
        return False
    return holder is not None and holder.nonce.startswith(_NONCE) and is_alive(holder.ref) is True


@contextlib.contextmanager
def _held(places: RunPlaces, *, take_over: bool) -> Iterator[RunLock]:
    """The run's lock: no runner works on this run, and nobody else applies from it."""
    if not places.root.is_dir():
        raise InputError(f"there is no run directory {places.root}")
    lock = acquire(places.lock, _NONCE + new_ulid(), take_over=take_over)
    try:
        yield lock
    finally:
        with contextlib.suppress(WriteError):  # a dead holder's lock is no obstacle
            lock.release()


@contextlib.contextmanager
def _alone_in(repo: Path) -> Iterator[None]:
    """Nobody applies from another run to the same repository. It leaves nothing there, and dies with its holder."""
    try:
        fd = os.open(repo, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"cannot open {repo}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                raise RefusedError(f"somebody else is applying to {repo} right now") from None
            # A file system that cannot lock a folder, such as NFS: the check before each rename is what remains
        yield
    finally:
        os.close(fd)
