"""What a host can be asked, and the shapes of its answers.

Calls are coarse: one thread hop here, one round trip there. A monitor or a screen gets a `HostReader` and
nothing more; a `HostActor` is built by jobs, and never in read-only mode. The dataclasses here are read by
folds, so this module keeps to the standard library and to Python 3.10.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Union

from hosts.machine import Accelerators, DiskSeen, GpuDevice, GpuProcess, Load, MigDevice

__all__ = [
    "Accelerators",
    "Chunk",
    "Cursor",
    "Data",
    "DiskSeen",
    "FileSeen",
    "Gap",
    "GpuDevice",
    "GpuProcess",
    "HostActor",
    "HostReader",
    "Json",
    "Load",
    "MigDevice",
    "Observation",
    "Position",
    "ProcRef",
    "ProcSeen",
    "ProcsSeen",
    "ProcsWant",
    "PytestSeen",
    "Rotated",
    "TailSeen",
    "TailWant",
    "TreeSeen",
    "TreeWant",
    "Wants",
    "merge",
]

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
        patience: Seconds for which accelerators and disks may hold up the rest of the answer. Of what takes longer
            comes what was said before, the accelerators with their time, or nothing and an error. None where an
            answer of this very look is needed: it is waited for until the deadline.
    """

    trees: tuple[TreeWant, ...] = ()
    tails: tuple[TailWant, ...] = ()
    procs: ProcsWant = ProcsWant()
    accelerators: bool = False
    load: bool = False
    disks: tuple[str, ...] = ()
    patience: float | None = None


def merge(wants: Iterable[Wants]) -> Wants:
    """Add up what several monitors want of one host, each thing once."""
    trees: dict[TreeWant, None] = {}
    tails: dict[str, TailWant] = {}
    refs: dict[ProcRef, None] = {}
    marks: dict[str, None] = {}
    disks: dict[str, None] = {}
    patiences: list[float | None] = []
    accelerators = load = pytests = False
    for want in wants:
        if want.accelerators or want.disks:
            patiences.append(want.patience)
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
    given = [patience for patience in patiences if patience is not None]
    patience = min(given) if given and len(given) == len(patiences) else None  # one that needs an answer gets it
    return Wants(tuple(trees), tuple(tails.values()), procs, accelerators, load, tuple(disks), patience)


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
    """The file was replaced or truncated; what follows is the next one from its beginning.

    Attributes:
        why: "replaced" or "truncated".
        position: Where the next one begins.
        whole: Whether no other is known to have come and gone between them.
    """

    why: str
    position: Position
    whole: bool = True


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
