"""Processes by a name that is never used twice, found again by a mark in their environment (SAFETY C2)."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hosts.errors import GatewatchError, InputError, RefusedError
from hosts.host import Json, ProcRef, ProcSeen

_DEAD = frozenset("ZXx")
# Names that every second machine bears: an equal name does not make it the same machine
_ANYONE = frozenset({"", "(none)", "localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6"})
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.25
_KILL_WAIT = 5.0
_ENVIRON_LIMIT = 4 << 20
_BLOCK = 1 << 14
_EXEC_TRIES = 24
_EXEC_QUICK = 4
_EXEC_PAUSE = 0.001
_EXEC_BARE = 4  # looks that found arguments and no environment before the latter is believed
_PF_KTHREAD = 0x00200000  # of field 9 in /proc/PID/stat


@dataclass(frozen=True)
class Place:
    """Where pids mean something: one pid namespace of one boot of one machine."""

    host: str
    boot_id: str
    pid_ns: int


@dataclass(frozen=True)
class _Stat:
    state: str
    ppid: int
    sid: int
    start_ticks: int


def here() -> Place:
    """The place that this process counts pids in; boot_id "" and pid_ns 0 where the kernel does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot_id = file.read(64).strip()
    except (OSError, UnicodeDecodeError):
        boot_id = ""
    try:
        pid_ns = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        pid_ns = 0
    return Place(os.uname().nodename, boot_id, pid_ns)


def self_ref() -> ProcRef:
    """This very process.

    Raises:
        GatewatchError: There is no /proc here.
    """
    ref = ref_of(os.getpid())
    if ref is None:
        raise GatewatchError("this process cannot be named: /proc is not readable here")
    return ref


def ref_of(pid: int) -> ProcRef | None:
    """The process that has this pid now, or None when there is none that we can see."""
    found = _stat(pid)
    return None if found is None else _ref(here(), pid, found)


def parent_of(pid: int) -> int | None:
    """The parent of a process, or None when there is no such process that we can see."""
    found = _stat(pid)
    return None if found is None else found.ppid


def started_at(ref: ProcRef) -> float | None:
    """When a process of this machine started, seconds since the epoch; None where the kernel does not tell."""
    for line in (_read("/proc/stat", 1 << 20) or b"").splitlines():
        word, _, value = line.partition(b" ")
        if word == b"btime" and value.strip().isdigit():
            return int(value) + ref.start_ticks / os.sysconf("SC_CLK_TCK")
    return None


def is_alive(ref: ProcRef) -> bool | None:
    """Whether exactly this process still runs; a zombie does not.

    Returns:
        None where it cannot be judged from here: another host, another pid namespace, or a /proc that hides it.
    """
    place = here()
    if not ref.boot_id or not place.boot_id:
        return None
    if ref.boot_id != place.boot_id:
        same_machine = ref.host == place.host and place.host.lower() not in _ANYONE
        return False if same_machine else None
    if ref.pid_ns != place.pid_ns:
        return None
    found = _stat(ref.pid)
    if found is None:
        return None if _hidden(ref.pid) else False
    return found.start_ticks == ref.start_ticks and found.state not in _DEAD


def marked(marks: Collection[str]) -> list[ProcSeen]:
    """Every live process whose environment, as it was when its program started, holds one of `marks`.

    Some programs write their title over their environment (setproctitle does, unless SPT_NOENV is set, and
    inference servers use it). Such a process counts as marked when its parent or the leader of its session is.

    Processes that vanish during the look, and those of others that we may not read, are left out.

    Args:
        marks: Exact `NAME=value` entries.
    """
    wanted = {os.fsencode(mark): mark for mark in marks if mark}
    if not wanted:
        return []
    place = here()
    seen: dict[int, ProcSeen] = {}
    erased: dict[int, _Stat] = {}
    for pid in pids():
        environment = _environment(pid)
        if _is_erased(environment):
            found = _stat(pid)
            if found is not None and found.state not in _DEAD:
                erased[pid] = found
        elif _carried(environment, wanted):
            found = _stat(pid)
            carried = _carried(_environment(pid), wanted)  # again: in between the pid may have passed to another
            if found is not None and found.state not in _DEAD and carried:
                seen[pid] = ProcSeen(_ref(place, pid, found), read_argv(pid), found.state, carried)
    _inherit(place, seen, erased)
    return [seen[pid] for pid in sorted(seen)]


def _inherit(place: Place, seen: dict[int, ProcSeen], erased: dict[int, _Stat]) -> None:
    """Add those of `erased` whose parent or session leader is marked, and so on down the generations."""
    found = True
    while found:
        found = False
        for pid, stat in list(erased.items()):
            kin = seen.get(stat.ppid) or seen.get(stat.sid)
            now = _stat(pid) if kin is not None else None
            if kin is not None and now is not None and now.start_ticks == stat.start_ticks:
                seen[pid] = ProcSeen(_ref(place, pid, stat), read_argv(pid), stat.state, kin.marks)
                found = True
            if kin is not None:
                del erased[pid]


def look_at(refs: Collection[ProcRef]) -> tuple[list[ProcSeen], list[ProcRef]]:
    """Split `refs` into those that live and those that are dead; what cannot be judged is in neither."""
    live: list[ProcSeen] = []
    dead: list[ProcRef] = []
    for ref in refs:
        alive = is_alive(ref)
        found = _stat(ref.pid) if alive else None
        if found is not None and found.start_ticks == ref.start_ticks and found.state not in _DEAD:
            live.append(ProcSeen(ref, read_argv(ref.pid), found.state))
        elif alive is not None:
            dead.append(ref)
    return live, dead


def send_signal(ref: ProcRef, sig: int) -> bool:
    """Signal exactly this process; a pid that has passed to another process is left alone.

    Returns:
        False when the process no longer lives.

    Raises:
        RefusedError: It cannot be judged from here, is pid 1, or belongs to someone else.
    """
    if ref.pid <= 1:
        raise RefusedError(f"process {ref.pid} is never signalled")
    alive = is_alive(ref)
    if alive is None:
        raise RefusedError(f"process {ref.pid} on {ref.host or 'an unknown host'} cannot be judged from here")
    if not alive:
        return False
    try:
        return _signal_held(ref, sig)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise RefusedError(f"process {ref.pid} belongs to someone else and cannot be signalled") from None


def end_marked(
    marks: Collection[str],
    grace_s: float,
    *,
    spare: Collection[ProcRef] = (),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[ProcSeen]:
    """End every process that carries one of `marks`: SIGTERM, up to `grace_s` seconds, then SIGKILL.

    Processes that appear meanwhile are ended too. This process itself and those of `spare` are not.

    Returns:
        Those that were seen alive and are gone now. Someone else's, and one stuck in the kernel, are not
        among them: `marked` still shows them.
    """
    left_alone = {self_ref(), *spare}
    seen: dict[ProcRef, ProcSeen] = {}
    asked: set[tuple[ProcRef, int]] = set()

    def rest(sig: int) -> bool:
        found = [proc for proc in marked(marks) if proc.ref not in left_alone]
        for proc in found:
            seen.setdefault(proc.ref, proc)
            if (proc.ref, sig) not in asked:
                asked.add((proc.ref, sig))
                _try_signal(proc.ref, sig)
        return bool(found)

    for sig, wait in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILL_WAIT)):
        until = clock() + wait
        pause = _FIRST_PAUSE
        while rest(sig):
            left = until - clock()
            if left <= 0:
                break
            sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            break
    return [proc for ref, proc in seen.items() if is_alive(ref) is False]


def proc_ref_json(ref: ProcRef) -> dict[str, Json]:
    """A reference as JSON data."""
    return {
        "host": ref.host,
        "boot_id": ref.boot_id,
        "pid": ref.pid,
        "start_ticks": ref.start_ticks,
        "sid": ref.sid,
        "pid_ns": ref.pid_ns,
    }


def proc_ref_from_json(data: Json) -> ProcRef:
    """Read what `proc_ref_json` wrote.

    Raises:
        InputError: It is something else.
    """
    if not isinstance(data, dict):
        raise InputError("a process reference must be an object")
    return ProcRef(
        _text(data, "host"),
        _text(data, "boot_id"),
        _number(data, "pid", least=1),
        _number(data, "start_ticks"),
        _number(data, "sid"),
        _number(data, "pid_ns", otherwise=0),
    )


def _text(data: dict[str, Json], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise InputError(f"a process reference needs a text {key!r}")
    return value


def _number(data: dict[str, Json], key: str, *, least: int = 0, otherwise: int | None = None) -> int:
    value = data.get(key, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 63:
        raise InputError(f"a process reference needs a whole number {key!r}")
    return value


def session_groups(sid: int) -> list[int]:
    """The process groups in which something of a session lives, in order; what only waits to be reaped does not."""
    found: set[int] = set()
    for pid in pids():
        data = _read(f"/proc/{pid}/stat", 4096)
        fields = data[data.rfind(b")") + 1 :].split() if data is not None else []
        if len(fields) > 3 and fields[0] not in (b"Z", b"X") and fields[3] == b"%d" % sid:
            found.add(int(fields[2]))
    return sorted(found)


def _ref(place: Place, pid: int, found: _Stat) -> ProcRef:
    return ProcRef(place.host, place.boot_id, pid, found.start_ticks, found.sid, place.pid_ns)


def pids() -> Iterator[int]:
    """Every process id that we can see, in order."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    yield from sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _stat(pid: int) -> _Stat | None:
    data = _read(f"/proc/{pid}/stat", 4096)
    if data is None:
        return None
    # The second field is the program's name in brackets, and may hold blanks and brackets of its own
    fields = data[data.rfind(b")") + 1 :].split()
    try:
        return _Stat(fields[0].decode("ascii", "replace"), int(fields[1]), int(fields[3]), int(fields[19]))
    except (IndexError, ValueError):
        return None


def _environment(pid: int) -> bytes:
    """What stands where the environment is; b"" where there is none, and of what is not ours to read.

    A process that execs meanwhile shows nothing: what we opened was the old program's, or the new one's is not laid
    out yet. So nothing is believed only when it stays, or when it is a kernel thread's or a zombie's.
    """
    bare = 0
    for number in range(_EXEC_TRIES):
        data = _read(f"/proc/{pid}/environ", _ENVIRON_LIMIT)
        if data != b"" or not _has_program(pid):
            break
        if number >= _EXEC_QUICK:
            # Arguments are laid out together with the environment, but an exec may end between the two looks.
            bare += bool(_read(f"/proc/{pid}/cmdline", 1))
            if bare >= _EXEC_BARE:
                break
            time.sleep(_EXEC_PAUSE)
    return data or b""


def _has_program(pid: int) -> bool:
    fields = (_read(f"/proc/{pid}/stat", 4096) or b"").rpartition(b")")[2].split()
    if len(fields) < 7 or fields[0].decode("ascii", "replace") in _DEAD:
        return False
    return not int(fields[6]) & _PF_KTHREAD


def _is_erased(environment: bytes) -> bool:
    """Whether something else stands where an environment was; an empty one is that of a kernel thread."""
    return bool(environment) and b"=" not in environment.split(b"\0", 1)[0]


def _carried(environment: bytes, wanted: dict[bytes, str]) -> tuple[str, ...]:
    if not any(mark in environment for mark in wanted):
        return ()
    entries = set(environment.split(b"\0"))
    return tuple(mark for raw, mark in wanted.items() if raw in entries)


def read_argv(pid: int) -> tuple[str, ...]:
    """A process's arguments; empty for a zombie, a kernel thread, and one that vanished."""
    data = _read(f"/proc/{pid}/cmdline", 1 << 16)
    return tuple(os.fsdecode(part) for part in data.rstrip(b"\0").split(b"\0")) if data else ()


def _read(path: str, limit: int) -> bytes | None:
    # By descriptor: a file object takes twice the time, and there is one of these for each process
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # it vanished, or is not ours to read
        return None
    try:
        parts = [os.read(fd, min(limit, _BLOCK))]
        left = limit - len(parts[0])
        while parts[-1] and left > 0:
            parts.append(os.read(fd, min(left, _BLOCK)))
            left -= len(parts[-1])
        return b"".join(parts)
    except OSError:
        return None
    finally:
        os.close(fd)


def _hidden(pid: int) -> bool:
    """Whether a process that /proc does not show is there all the same (mounted with hidepid); sends nothing."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return _stat(pid) is None


def _signal_held(ref: ProcRef, sig: int) -> bool:
    """Signal through a pidfd: what it holds cannot become another process between the check and the signal."""
    fd = _pidfd(ref.pid)
    try:
        if is_alive(ref) is not True:
            return False
        if fd is None:
            os.kill(ref.pid, sig)
        else:
            signal.pidfd_send_signal(fd, sig)
    finally:
        if fd is not None:
            os.close(fd)
    return True


def _pidfd(pid: int) -> int | None:
    """A handle on the process, or None on a kernel before 5.3, where a check right before the signal must do."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return None
        raise


def _try_signal(ref: ProcRef, sig: int) -> None:
    with contextlib.suppress(RefusedError):  # someone else's: `marked` goes on showing it, and so it is not over
        send_signal(ref, sig)
