"""Who holds GPU memory: owner, command, start and session of a process, and the marks that say which run it is of."""

from __future__ import annotations

import math
import os
import pwd
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hosts.host import GpuDevice, GpuProcess
from hosts.local.pytests import basetemp, is_pytest

MARK_NAMES = ("GATEWATCH_RUN", "GATEWATCH_ATTEMPT")
"""Variables that a runner puts into the environment of what it starts."""

_COMMAND = 200  # characters of a command line that travel
_MARK = re.compile(rb"[\x21-\x7e]{1,200}")
_UID = re.compile(rb"^Uid:\s*(\d+)", re.MULTILINE)
_BLOCK = 1 << 14  # what /proc gives in one read, where it has as much
_TEXT_LIMIT = 1 << 16
_ENVIRON_LIMIT = 1 << 18
_MOST_ANCESTORS = 64
_INITIAL_PID_NS = 0xEFFFFFFC  # PROC_PID_INIT_INO: pids here are those that the driver reports
_HOLDER = re.compile(r"/dev/nvidia(?:\d+|ctl|-uvm|-caps/.*|-modeset)\Z")


def with_owners(devices: tuple[GpuDevice, ...]) -> tuple[GpuDevice, ...]:
    """Add what /proc tells of the devices' processes, and take back what cannot be known from where we stand.

    In a pid namespace of its own (a container) the driver shows none of the others' processes, or pids that mean
    nothing here: an empty list is no answer then, and memory that nobody seems to own is nothing special.
    """
    if not any(device.processes is not None for device in devices):
        return devices
    counts = counts_like_the_driver()
    look = _Look()
    return tuple(_with_owners(device, counts, look) for device in devices)


def _with_owners(device: GpuDevice, counts: bool, look: _Look) -> GpuDevice:
    processes = device.processes
    if processes is not None:
        processes = tuple(look.owned(item) if counts or _holds(str(item.pid)) else item for item in processes)
        if not processes and not counts:
            processes = None
    # Of MIG instances only root is shown all processes.
    whole = counts and (not device.mig or os.geteuid() == 0)
    ghost = device.ghost
    if whole and ghost is not None and processes:  # what a process held that is gone belongs to nobody either
        ghost += sum(item.memory or 0 for item in processes if item.gone)
    return replace(device, processes=processes, ghost=ghost if whole else None)


@dataclass(frozen=True)
class _Facts:
    """One process: `environ` is None where it may not be read."""

    ppid: int
    sid: int
    start_ticks: int
    argv: tuple[str, ...]
    environ: bytes | None


class _Look:
    """One look at /proc: an ancestor that several processes share is read once."""

    def __init__(self) -> None:
        self._known: dict[int, _Facts | None] = {}
        self._names: dict[int, str] = {}
        self._booted = _booted()

    def owned(self, process: GpuProcess) -> GpuProcess:
        """`process` with what /proc tells of it: that it is gone, where there is no such process."""
        own = self._facts(process.pid)
        if own is None:
            return replace(process, gone=_is_gone(process.pid))
        marks: dict[str, str] = {}
        folder = None
        for pid, facts in self._line(process.pid, own):
            for name, mark in _marks(facts.environ).items():
                marks.setdefault(name, mark)
            if folder is None and is_pytest(facts.argv):
                folder = basetemp(facts.argv, _link(f"/proc/{pid}/cwd"))
            if folder is not None and len(marks) == len(MARK_NAMES):
                break
        return replace(
            process,
            owner=self._owner(process.pid),
            command=_command(process.pid, own.argv),
            since=None if self._booted is None else self._booted + own.start_ticks / os.sysconf("SC_CLK_TCK"),
            sid=own.sid,
            marks=tuple(marks[name] for name in MARK_NAMES if name in marks)
            if marks or _is_told(own.environ)
            else None,
            basetemp=folder,
        )

    def _line(self, pid: int, own: _Facts) -> Iterator[tuple[int, _Facts]]:
        """A process, its ancestors, and the leader of its session: what an orphan still has of them."""
        yield pid, own
        facts: _Facts | None = own
        passed = {pid}
        for _ in range(_MOST_ANCESTORS):
            pid = facts.ppid if facts is not None else 0
            facts = self._facts(pid) if pid > 1 and pid not in passed else None
            if facts is None:
                break
            passed.add(pid)
            yield pid, facts
        leader = self._facts(own.sid) if own.sid > 1 and own.sid not in passed else None
        if leader is not None:
            yield own.sid, leader

    def _owner(self, pid: int) -> str | None:
        # Not the owner of /proc/PID: that is root for a process that may not be dumped
        found = _UID.search(_read(f"/proc/{pid}/status", _TEXT_LIMIT) or b"")
        if found is None:
            return None
        uid = int(found[1])
        if uid not in self._names:
            try:
                self._names[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._names[uid] = str(uid)
        return self._names[uid]

    def _facts(self, pid: int) -> _Facts | None:
        if pid not in self._known:
            self._known[pid] = _read_facts(pid)
        return self._known[pid]


def _read_facts(pid: int) -> _Facts | None:
    stat = _read(f"/proc/{pid}/stat", 4096)
    if stat is None:
        return None
    # The second field is the program's name in brackets, and may hold blanks and brackets of its own
    fields = stat[stat.rfind(b")") + 1 :].split()
    try:
        ppid, sid, start_ticks = int(fields[1]), int(fields[3]), int(fields[19])
    except (IndexError, ValueError):
        return None
    words = (_read(f"/proc/{pid}/cmdline", _TEXT_LIMIT) or b"").rstrip(b"\0")
    argv = tuple(os.fsdecode(word) for word in words.split(b"\0")) if words else ()
    return _Facts(ppid, sid, start_ticks, argv, _read(f"/proc/{pid}/environ", _ENVIRON_LIMIT))


def _marks(environ: bytes | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in environ.split(b"\0") if environ is not None and b"GATEWATCH_" in environ else ():
        name, _, value = entry.partition(b"=")
        word = name.decode("ascii", "replace")
        if word in MARK_NAMES and _MARK.fullmatch(value):
            found.setdefault(word, f"{word}={value.decode('ascii')}")
    return found


def _is_told(environ: bytes | None) -> bool:
    """Whether this is an environment: setproctitle leaves something else in its place."""
    return bool(environ) and b"=" in (environ or b"").split(b"\0", 1)[0]


def _booted() -> float | None:
    """When this machine was started, whole seconds since the epoch as /proc/stat has it, but without reading that."""
    try:
        return float(math.floor(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)))
    except (AttributeError, OSError):
        return None


def counts_like_the_driver() -> bool:
    """Whether a pid means the same process here as it does to the driver."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NS
    except OSError:
        return False


def _command(pid: int, argv: tuple[str, ...]) -> str | None:
    words = " ".join(argv) or os.fsdecode(_read(f"/proc/{pid}/comm", 64) or b"").strip()
    return words[:_COMMAND] or None


def _read(path: str, limit: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # it vanished, or is not ours to read
        return None
    data = b""
    try:
        while len(data) < limit:
            block = os.read(fd, _BLOCK)
            data += block
            if len(block) < _BLOCK:
                break
    except OSError:
        return None
    finally:
        os.close(fd)
    return data[:limit]


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _holds(pid: str) -> bool:
    folder = f"/proc/{pid}/fd"
    for name in _listed(folder):
        path = _link(f"{folder}/{name}")
        if path is not None and _HOLDER.match(path):
            return True
    return False


def _is_gone(pid: int) -> bool:
    """Whether there is no such process, seen or hidden; sends nothing."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # gone, or not ours to look into
        return []
