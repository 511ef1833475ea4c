"""Who may write a run directory: a lock that names its holder and shows that the holder lives.

The lock file holds a ProcRef, a nonce and a counter that moves every few seconds. On one host a dead holder
is no obstacle. A holder that cannot be judged from here (another host, another pid namespace) yields only
when its counter stood still for a while of our own clock and a person said so (DESIGN, rule 2).

Taking, renewing and giving up happen under an advisory `flock` on a file beside the lock, so that two takers
never both conclude that the old holder is dead. The lock file itself is replaced whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import GatewatchError, InputError, RefusedError
from hosts.host import Json, ProcRef
from hosts.local import strictjson
from hosts.local.files import ReadError, WriteError, read_bytes_limited, utc_now, write_atomic
from hosts.local.procs import is_alive, proc_ref_from_json, proc_ref_json, self_ref

STANDSTILL_S = 60.0
_LIMIT = 1 << 16


class LockLostError(GatewatchError):
    """Somebody else took the lock; whoever held it must stop writing at once."""

    code = 1


@dataclass(frozen=True)
class Holder:
    """What a lock file says: who holds it, under which nonce, and how often it was renewed."""

    ref: ProcRef
    nonce: str
    counter: int
    at: str

    def __str__(self) -> str:
        return f"pid {self.ref.pid} on {self.ref.host} since {self.at}"


def read_holder(path: Path) -> Holder | None:
    """The holder that a lock file names, or None when there is no lock.

    Raises:
        RefusedError: There is a lock and it cannot be read, so nobody can say whose it is.
    """
    try:
        holder = parse_holder(read_bytes_limited(path, _LIMIT))
    except ReadError as error:
        if error.errno == errno.ENOENT:
            return None
        raise RefusedError(f"the lock {path} cannot be read: {error.reason}") from None
    if holder is None:
        raise RefusedError(f"the lock {path} cannot be read; remove it if no runner lives on this directory")
    return holder


def parse_holder(data: bytes) -> Holder | None:
    """A lock file's content, or None when it is not one."""
    try:
        body = strictjson.loads(data, "lock")
        if not isinstance(body, dict):
            return None
        ref = proc_ref_from_json(body.get("holder"))
    except InputError:
        return None
    nonce, counter, at = body.get("nonce"), body.get("counter"), body.get("at")
    if not isinstance(nonce, str) or not isinstance(counter, int) or not isinstance(at, str):
        return None
    return Holder(ref, nonce, counter, at)


class RunLock:
    """A held lock. `beat` renews it; `release` gives it up."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path = path
        self.holder = holder

    def beat(self) -> None:
        """Move the counter on.

        Raises:
            LockLostError: The lock is gone or names another holder.
            WriteError: The counter cannot be written; the lock is still ours.
        """
        with _guard(self.path):
            self._still_ours()
            ours = self.holder
            self.holder = Holder(ours.ref, ours.nonce, ours.counter + 1, ours.at)
            _write(self.path, self.holder)

    def release(self) -> None:
        """Give the lock up; a lock that is no longer ours is left alone.

        Raises:
            WriteError: It cannot be removed; once this process is gone it is no obstacle.
        """
        with _guard(self.path):
            try:
                self._still_ours()
            except LockLostError:
                return
            try:
                self.path.unlink()
            except OSError as error:
                raise WriteError.of(self.path, error) from None

    def _still_ours(self) -> None:
        try:
            holder = read_holder(self.path)
        except RefusedError:
            holder = None
        if holder is None or holder.nonce != self.holder.nonce:
            raise LockLostError(f"the lock {self.path} was taken by {holder or 'an unknown holder'}")


def acquire(
    path: Path,
    nonce: str,
    *,
    take_over: bool = False,
    alive: Callable[[ProcRef], bool | None] = is_alive,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    standstill_s: float = STANDSTILL_S,
) -> RunLock:
    """Take the lock at `path` under `nonce`.

    Args:
        take_over: Consent to take a lock whose holder cannot be judged, once its counter stood still.
        alive: Whether a process lives: True, False, or None when it cannot be judged from here.
        sleep, clock: Seconds; handed in so that a test need not wait.
        standstill_s: How long a foreign counter must stand still.

    Raises:
        RefusedError: A live holder, or a foreign one without `take_over`, or one whose counter moved.
        WriteError: The lock cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError.of(path.parent, error) from None
    suspect: Holder | None = None
    with _guard(path):
        holder = read_holder(path)
        if holder is None or alive(holder.ref) is False:
            return _take(path, nonce)
        if alive(holder.ref):
            raise RefusedError(f"already running: {holder}")
        suspect = holder
    if not take_over:
        raise RefusedError(
            f"held by {suspect}, which cannot be judged from here; if it is gone for certain, add --take-over "
            f"(waits {standstill_s:.0f} s to see that its counter stands still)"
        )
    _watch_standstill(path, suspect, sleep, clock, standstill_s)
    with _guard(path):
        holder = read_holder(path)
        if holder is not None and holder != suspect:
            raise RefusedError(f"not taken over: {holder} is at work (its counter moved)")
        return _take(path, nonce)


def _watch_standstill(
    path: Path, suspect: Holder, sleep: Callable[[float], None], clock: Callable[[], float], standstill_s: float
) -> None:
    end = clock() + standstill_s
    while (left := end - clock()) > 0:
        sleep(min(1.0, left))
        if read_holder(path) not in (None, suspect):
            raise RefusedError(f"not taken over: {suspect} is at work (its counter moved)")


def _take(path: Path, nonce: str) -> RunLock:
    holder = Holder(self_ref(), nonce, 0, utc_now())
    _write(path, holder)
    return RunLock(path, holder)


def _write(path: Path, holder: Holder) -> None:
    body: dict[str, Json] = {
        "holder": proc_ref_json(holder.ref),
        "nonce": holder.nonce,
        "counter": holder.counter,
        "at": holder.at,
    }
    write_atomic(path, strictjson.dumps(body))


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    beside = path.with_name(path.name + ".guard")
    try:
        guard = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise WriteError.of(beside, error) from None
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)
