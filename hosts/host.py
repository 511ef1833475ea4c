"""What a host can be asked, and the shapes of its answers.

Calls are coarse: one thread hop here, one round trip there. A monitor or a screen gets a `HostReader` and
nothing more; a `HostActor` is built by jobs, and never in read-only mode. The dataclasses here are read by
folds, so this module keeps to the standard library and to Python 3.10.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Union

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]


@dataclass(frozen=True)
class ProcRef:
    """One process for ever: pid alone is reused (SAFETY C2).

    Attributes:
        host: The host's own name.
        boot_id: The kernel's boot id, so that a reboot ends every process of before.
        pid: The process id in `pid_ns`.
        start_ticks: Field 22 of /proc/PID/stat, clock ticks since boot.
        sid: The session id.
        pid_ns: Inode of the pid namespace; two containers on one kernel count pids apart.
    """

    host: str
    boot_id: str
    pid: int
    start_ticks: int
    sid: int
    pid_ns: int = 0


@dataclass(frozen=True)
class TreeWant:
    """Files below `root` whose relative path matches one of `globs` ("*" stays within one folder).

    Attributes:
        limit: A file larger than this many bytes is listed without its content.
    """

    root: str
    globs: tuple[str, ...]
    limit: int = 1 << 20


@dataclass(frozen=True)
class TailWant:
    """The last `size` bytes of one file."""

    path: str
    size: int = 16384


@dataclass(frozen=True)
class ProcsWant:
    """Which processes matter: exact references, and every process that carries one of `marks`.

    A mark is a `NAME=value` string that stands in the environment of what we started, and of its children.

    Attributes:
        pytests: Every pytest that runs, whoever started it.
    """

    refs: tuple[ProcRef, ...] = ()
    marks: tuple[str, ...] = ()
    pytests: bool = False


@dataclass(frozen=True)
class Wants:
    """What several monitors need from one host, in one look; `merge` adds them up.

    Attributes:
        disks: Paths whose file systems matter; "~" is expanded there.
    """

    trees: tuple[TreeWant, ...] = ()
    tails: tuple[TailWant, ...] = ()
    procs: ProcsWant = ProcsWant()
    accelerators: bool = False
    load: bool = False
    disks: tuple[str, ...] = ()


def merge(wants: Iterable[Wants]) -> Wants:
    """Add up what several monitors want of one host, each thing once."""
    trees: dict[TreeWant, None] = {}
    tails: dict[str, TailWant] = {}
    refs: dict[ProcRef, None] = {}
    marks: dict[str, None] = {}
    disks: dict[str, None] = {}
    accelerators = load = pytests = False
    for want in wants:
        trees.update(dict.fromkeys(want.trees))
        for tail in want.tails:
            known = tails.get(tail.path)
            tails[tail.path] = tail if known is None or known.size < tail.size else known
        refs.update(dict.fromkeys(want.procs.refs))
        marks.update(dict.fromkeys(want.procs.marks))
        pytests = pytests or want.procs.pytests
        accelerators = accelerators or want.accelerators
        load = load or want.load
        disks.update(dict.fromkeys(want.disks))
    procs = ProcsWant(tuple(refs), tuple(marks), pytests)
    return Wants(tuple(trees), tuple(tails.values()), procs, accelerators, load, tuple(disks))


@dataclass(frozen=True)
class Cursor:
    """Where the last observation stood; opaque, valid only for the session that gave it."""

    token: str


@dataclass(frozen=True)
class FileSeen:
    """One file at one instant.

    Attributes:
        path: Relative to the tree's root, "/" between parts.
        size: Bytes.
        mtime_ns: Modification time by the far clock, ns since the epoch.
        inode: Inode number.
        data: The whole content, or None where it is unchanged since the cursor, too large or unreadable.
        error: Why it could not be read, or None.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int
    data: bytes | None = None
    error: str | None = None


@dataclass(frozen=True)
class TreeSeen:
    """What changed below one root.

    Attributes:
        files: New and changed files; all of them when `full`.
        gone: Paths that were there at the cursor and no longer are.
        full: True when `files` is the whole tree and not a difference.
        error: Why the root could not be read, or None.
    """

    want: TreeWant
    files: Mapping[str, FileSeen]
    gone: tuple[str, ...] = ()
    full: bool = True
    error: str | None = None


@dataclass(frozen=True)
class TailSeen:
    """The end of one file: `data` begins at byte `offset` of `size` bytes."""

    path: str
    size: int
    offset: int
    data: bytes
    mtime_ns: int
    inode: int
    error: str | None = None


@dataclass(frozen=True)
class ProcSeen:
    """A live process; `marks` are those of the wanted marks that its environment carries."""

    ref: ProcRef
    argv: tuple[str, ...]
    state: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class PytestSeen:
    """A pytest that runs, whoever started it.

    Attributes:
        cwd: Where it was started, None where that may not be read.
        basetemp: Its `--basetemp`, absolute where `cwd` is known, None where it has none.
        output: The regular file that its standard output goes to, or None.
        since: When it started, far clock, seconds since the epoch; None where the kernel does not tell.
    """

    ref: ProcRef
    argv: tuple[str, ...]
    cwd: str | None
    basetemp: str | None
    output: str | None
    since: float | None


@dataclass(frozen=True)
class ProcsSeen:
    """Which of the wanted processes live. A reference that is in neither list could not be judged from here.

    `pytests` is None where they were not asked for; `node` is the host's own name for itself.
    """

    live: tuple[ProcSeen, ...] = ()
    dead: tuple[ProcRef, ...] = ()
    pytests: tuple[PytestSeen, ...] | None = None
    node: str = ""


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds GPU memory (MiB, None where unknown); owner and the rest None where it is not visible.

    Attributes:
        since: When it started, far clock, seconds since the epoch.
        sid: Its session id.
        marks: The `NAME=value` marks of a run and an attempt that it or what it descends from carries; empty
            where there are none, None where that could not be seen.
        basetemp: The `--basetemp` of the pytest that it is or descends from, or None.
    """

    pid: int
    memory: int | None
    owner: str | None = None
    command: str | None = None
    since: float | None = None
    sid: int | None = None
    marks: tuple[str, ...] | None = None
    basetemp: str | None = None


@dataclass(frozen=True)
class MigDevice:
    """One MIG instance of a GPU; memory in MiB, None where unknown.

    Compute instances of one GPU instance share its memory, and each shows all of it: these do not add up.

    Attributes:
        index: As NVML counts the instances of its GPU.
        profile: Such as 1g.10gb, or 1c.3g.71gb for a part of one.
    """

    index: int
    uuid: str | None
    profile: str | None
    memory_used: int | None = None
    memory_total: int | None = None


@dataclass(frozen=True)
class GpuDevice:
    """One accelerator at one instant; memory in MiB, utilisation in percent, °C, W; None where unknown.

    Attributes:
        processes: None where the tool could not tell, and empty where it said that there are none.
        power_limit: W.
        mig: Its MIG instances, by index.
        ghost: MiB in use that no living process owns; None where not all processes, or not all they use, could be
            seen. Some of it is the driver's own.
    """

    index: int
    name: str | None
    uuid: str | None
    memory_used: int | None
    memory_total: int | None
    utilisation: int | None
    temperature: int | None = None
    power: float | None = None
    processes: tuple[GpuProcess, ...] | None = None
    power_limit: float | None = None
    mig: tuple[MigDevice, ...] = ()
    ghost: int | None = None


@dataclass(frozen=True)
class Accelerators:
    """All accelerators of a host. No GPU at all is a value: `devices` is empty and `source` is "none".

    Attributes:
        source: nvml | nvidia-smi | none | unknown.
        driver: Driver version, or None.
        cuda: The driver's CUDA version such as "13.0", or None.
        detail: Why a source could not be used, in one line, or "".
    """

    devices: tuple[GpuDevice, ...]
    source: str
    driver: str | None = None
    cuda: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Load:
    """What a host is and how busy: load averages over 1, 5 and 15 minutes, cores, memory in MiB; None where unknown.

    Attributes:
        boot_id: The kernel's own; another one means that it was started anew.
        uptime: Seconds since it was started, sleep counted.
        hostname: The host's name for itself.
        kernel: Its release, such as 5.15.0-171-generic.
    """

    averages: tuple[float, float, float] | None
    cores: int | None
    memory_total: int | None
    memory_available: int | None
    boot_id: str | None = None
    uptime: float | None = None
    hostname: str | None = None
    kernel: str | None = None


@dataclass(frozen=True)
class DiskSeen:
    """The file system that a path lies on; `free` is what whoever looks may still write, bytes, None where unknown.

    Attributes:
        path: As it was asked for.
        file_system: Its type, such as ext4 or nfs4.
        network: Whether it is served by another machine: it may hang, and tells of no changes made there.
        error: Why it could not be looked at, or None.
    """

    path: str
    free: int | None
    total: int | None
    file_system: str | None = None
    network: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Observation:
    """One look at one host. A section that failed is missing and named in `errors`; the others stand.

    Attributes:
        host: The name we know the host by.
        at: Far clock when the look ended, seconds since the epoch, UTC.
        received: Our clock when the answer came, seconds since the epoch; it counts a laptop's sleep.
        rtt: Seconds that the call took, by our monotonic clock.
        cursor: Hand it back in `since` and only differences come.
        errors: Section name ("trees", "procs", …) to one line.
    """

    host: str
    at: float
    received: float
    rtt: float
    cursor: Cursor | None = None
    trees: tuple[TreeSeen, ...] = ()
    tails: tuple[TailSeen, ...] = ()
    procs: ProcsSeen | None = None
    accelerators: Accelerators | None = None
    load: Load | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    disks: tuple[DiskSeen, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """A range of one file: `data` begins at `offset`; `size`, `inode` and `mtime_ns` are those of the whole file.

    `fingerprint` is the sha256 (hex) of the file's first KiB, or of what there is of it: with the inode it
    says whether this is still the file of before (SAFETY L1).
    """

    data: bytes
    offset: int
    size: int
    inode: int
    mtime_ns: int
    fingerprint: str


@dataclass(frozen=True)
class Position:
    """A place in a followed file: a byte offset in one generation of it. inode 0 means: whatever is there."""

    offset: int = 0
    inode: int = 0
    fingerprint: str = ""
    fingerprint_size: int = 0


@dataclass(frozen=True)
class Data:
    """Bytes that were appended; `position` is where the next will come from."""

    data: bytes
    position: Position


@dataclass(frozen=True)
class Gap:
    """Bytes that nobody can give any more, and why; `missing` is None where the number is unknown."""

    missing: int | None
    why: str
    position: Position


@dataclass(frozen=True)
class Rotated:
    """The file was replaced or truncated; what follows is the new one from its beginning."""

    why: str
    position: Position


class HostReader(Protocol):
    """All that a monitor or a screen ever gets of a host. Nothing here writes, starts or signals.

    Every method raises UnreachableError when the host does not answer in time, and InputError when the path
    asked for is not there or not readable.
    """

    @property
    def name(self) -> str: ...

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation: ...

    async def read(self, path: str, offset: int, size: int) -> Chunk: ...

    def follow(self, path: str, at: Position) -> AsyncIterator[Data | Gap | Rotated]: ...

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        """Run a verb that only looks (`locate`, `probe`, `gpu`, …)."""
        ...

    async def close(self) -> None: ...


class HostActor(HostReader, Protocol):
    """A host that can be made to do things; jobs build it, and never in read-only mode."""

    async def call(self, verb: str, payload: Json, key: str, deadline: float) -> Json:
        """Run a verb that acts, at most once per `key`; asked again, the first answer comes back.

        Raises:
            UnreachableError: The answer did not come; calling again with the same key is safe.
            VerbError: The verb refused, or failed; "not-yet" means the first call never finished.
        """
        ...
