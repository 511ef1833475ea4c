"""One look at this machine: everything that the monitors want of it, each section with an error of its own."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hosts.errors import InputError
from hosts.host import (
    Accelerators,
    Chunk,
    Cursor,
    DiskSeen,
    Load,
    Observation,
    ProcSeen,
    ProcsSeen,
    ProcsWant,
    TailSeen,
    TailWant,
    TreeSeen,
    TreeWant,
    Wants,
)
from hosts.local import procs, trees
from hosts.local.accelerators import AcceleratorReader
from hosts.local.facts import look_at_disk, read_load
from hosts.local.later import Asked, Later
from hosts.local.pytests import running_pytests
from hosts.local.reasons import why
from hosts.local.trees import Budget, Signatures, read_at

MAX_READ = 8 << 20
MAX_CONTENT = 32 << 20
FINGERPRINT = 1024
_CURSORS = 4
_DEADLINE = 20.0
_SHARE = 0.8  # of the caller's deadline; the rest is for the way back
_RETRIES = 5
_DEVICES_KEPT = 150.0  # seconds; how old they are is told, and the longest time between two looks is shorter
_DISK_KEPT = 15.0  # seconds for which what is free is as good as new


class NotThereError(InputError):
    """The file asked for does not exist (yet)."""


class Observer:
    """Looks, and remembers the last few looks so that the next one brings differences only.

    Every section runs in a thread of its own: one that hangs (a dead network mount, a stuck driver) is named in
    the answer, and the others stand. A section that still hangs at the next look is not started twice. Where little
    patience is asked for, accelerators and disks that take longer do not hold the others up: a later look has them.
    """

    def __init__(self) -> None:
        self._session = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._count = 0
        self._cursors: OrderedDict[str, dict[TreeWant, Signatures]] = OrderedDict()
        self._running: dict[object, _LookThread] = {}
        self._later = Later()
        self._devices = AcceleratorReader()
        self._devices_free = threading.Lock()

    def observe(self, want: Wants, since: Cursor | None, host: str, deadline: float = _DEADLINE) -> Observation:
        """Look once.

        Args:
            want: What is asked for; nothing else is looked at.
            since: The cursor of an earlier look of this observer. One that is not known any more is no error:
                the answer is full then, tree by tree.
            host: The name to put on the answer.
            deadline: Seconds until the caller gives up; a section gets four fifths of it.
        """
        until = time.monotonic() + deadline * _SHARE
        before = self._known(since)
        budget = Budget(MAX_CONTENT)
        looks = {tree: self._start(("tree", tree), _scan, tree, before.get(tree), budget) for tree in want.trees}
        tails = self._start("tails", _tails, want.tails) if want.tails else None
        processes = self._start("procs", _procs, want.procs) if want.procs != ProcsWant() else None
        disks = {path: self._begin(want, ("disk", path), _DISK_KEPT, look_at_disk, path) for path in want.disks}
        devices = None
        if want.accelerators:
            timeout = max(0.5, min(10.0, deadline * _SHARE - 1.0))
            devices = self._begin(want, "accelerators", _DEVICES_KEPT, self._accelerators, timeout)
        errors: dict[str, str] = {}
        after: dict[TreeWant, Signatures] = {}
        seen: list[TreeSeen] = []
        for tree, look in looks.items():
            found = look.result(until)
            if found is None:
                seen.append(TreeSeen(tree, {}, (), tree not in before, f"{tree.root}: {look.error}"))
                if tree in before:
                    after[tree] = before[tree]
            else:
                seen.append(found[0])
                after[tree] = found[1]
        results: dict[str, Any] = {}
        for name, section in (("tails", tails), ("procs", processes), ("accelerators", devices)):
            results[name] = None if section is None else section.result(until)
            if section is not None and results[name] is None:
                errors[name] = section.error
        load: Load | None = None
        if want.load:
            load, fault = read_load()
            if fault:
                errors["load"] = fault
        accelerators: Accelerators | None = results["accelerators"]
        if accelerators is not None and devices is not None and devices.at is not None:
            accelerators = replace(accelerators, at=devices.at)
        return Observation(
            host=host,
            at=time.time(),
            received=0.0,
            rtt=0.0,
            cursor=self._remember(after),
            trees=tuple(seen),
            tails=results["tails"] or (),
            procs=results["procs"],
            accelerators=accelerators,
            load=load,
            errors=errors,
            disks=tuple(_disk(path, look, until) for path, look in disks.items()),
        )

    def _known(self, since: Cursor | None) -> Mapping[TreeWant, Signatures]:
        if since is None:
            return {}
        with self._lock:
            if since.token in self._cursors:
                self._cursors.move_to_end(since.token)
            return self._cursors.get(since.token, {})

    def _remember(self, signatures: dict[TreeWant, Signatures]) -> Cursor:
        with self._lock:
            self._count += 1
            token = f"{self._session}-{self._count}"
            self._cursors[token] = signatures
            while len(self._cursors) > _CURSORS:
                self._cursors.popitem(last=False)
        return Cursor(token)

    def _accelerators(self, timeout: float) -> Accelerators:
        with self._devices_free:  # two looks at once would take each other for a driver that hangs
            return self._devices.read(timeout)

    def _begin(
        self, want: Wants, name: object, oldest: float, run: Callable[..., Any], *arguments: object
    ) -> _Look | Asked:
        if want.patience is None:
            return self._start(name, run, *arguments)
        return self._later.ask(name, want.patience, oldest, run, *arguments)

    def _start(self, name: object, run: Callable[..., Any], *arguments: object) -> _Look:
        look = _Look(run, arguments)
        with self._lock:
            earlier = self._running.get(name)
            if earlier is not None and earlier.late and earlier.is_alive():
                look.error = "an earlier look has still not come back"
                return look
            self._running = {key: thread for key, thread in self._running.items() if thread.is_alive()}
            self._running[name] = look.thread
        look.thread.start()
        return look


class _LookThread(threading.Thread):
    late = False


class _Look:
    """One section on its way."""

    at: float | None = None  # it is asked now, for this look alone

    def __init__(self, run: Callable[..., Any], arguments: tuple[object, ...]) -> None:
        self.error = ""
        self._run = run
        self._arguments = arguments
        self._value: Any = None
        self.thread = _LookThread(target=self._work, daemon=True)

    def _work(self) -> None:
        try:
            self._value = self._run(*self._arguments)
        except Exception as error:  # noqa: BLE001 - told in the answer, where the section is missing
            self.error = f"{type(error).__name__}: {why(error)}"

    def result(self, until: float) -> Any:
        """The section's value, or None and `error` says why."""
        if self.error and self.thread.ident is None:
            return None
        self.thread.join(max(0.0, until - time.monotonic()))
        if self.thread.is_alive():
            self.thread.late = True
            self.error = "no answer in time"
            return None
        return self._value


def read_range(path: str, offset: int, size: int) -> Chunk:
    """A range of one file, as it was at one instant: the file is looked at before and after.

    Args:
        path: "~" is expanded.
        offset: From the file's beginning; past its end the data is empty.
        size: At most this many bytes, and never more than 8 MiB.

    Raises:
        NotThereError: There is no such file.
        InputError: It cannot be read, or offset or size is negative.
    """
    if offset < 0 or size < 0 or "\0" in path:
        raise InputError(f"cannot read {path!r}: bad offset, size or name")
    fd = _open(path)
    try:
        for _ in range(_RETRIES):
            status = os.fstat(fd)
            whole = status.st_size
            head = read_at(fd, 0, min(FINGERPRINT, whole))
            data = read_at(fd, offset, max(0, min(size, MAX_READ, whole - offset)))
            # Truncated and written anew while we read: what we hold is of two files, so look again
            if os.fstat(fd).st_size >= whole and read_at(fd, 0, min(FINGERPRINT, whole)) == head:
                break
        return Chunk(data, offset, whole, status.st_ino, status.st_mtime_ns, hashlib.sha256(head).hexdigest())
    except OSError as error:
        raise InputError(f"cannot read {path}: {why(error)}") from None
    finally:
        os.close(fd)


def _open(path: str) -> int:
    try:
        fd = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise NotThereError(f"cannot read {path}: not there") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {why(error)}") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise InputError(f"cannot read {path}: not a regular file")
    return fd


def _disk(path: str, look: _Look | Asked, until: float) -> DiskSeen:
    found: DiskSeen | None = look.result(until)
    return DiskSeen(path, None, None, error=look.error) if found is None else found


def _scan(tree: TreeWant, known: Signatures | None, budget: Budget) -> tuple[TreeSeen, Signatures]:
    return trees.scan(tree, known, budget)


def _tails(wants: tuple[TailWant, ...]) -> tuple[TailSeen, ...]:
    left = MAX_READ
    seen: list[TailSeen] = []
    for want in wants:
        tail = _tail(want, left)
        left -= len(tail.data)
        seen.append(tail)
    return tuple(seen)


def _tail(want: TailWant, left: int) -> TailSeen:
    try:
        fd = _open(want.path)
    except InputError as error:
        return TailSeen(want.path, 0, 0, b"", 0, 0, str(error))
    try:
        status = os.fstat(fd)
        offset = max(0, status.st_size - max(0, min(want.size, left)))
        data = read_at(fd, offset, status.st_size - offset)
        return TailSeen(want.path, status.st_size, offset, data, status.st_mtime_ns, status.st_ino)
    except OSError as error:
        return TailSeen(want.path, 0, 0, b"", 0, 0, f"cannot read {want.path}: {why(error)}")
    finally:
        os.close(fd)


def _procs(want: ProcsWant) -> ProcsSeen:
    live, dead = procs.look_at(want.refs)
    found = {seen.ref: seen for seen in live}
    for seen in procs.marked(want.marks):
        found[seen.ref] = ProcSeen(seen.ref, seen.argv, seen.state, seen.marks)
    pytests = running_pytests() if want.pytests else None
    return ProcsSeen(tuple(found.values()), tuple(dead), pytests, os.uname().nodename)
