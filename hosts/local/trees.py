"""One look at the files below a root: which match, what is in them, and what changed since an earlier look."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hosts.errors import InputError
from hosts.host import FileSeen, TreeSeen, TreeWant
from hosts.local.reasons import why

MAX_FILES = 100_000
# A file that changed this shortly before it was read can change again without a new time stamp: the kernel's
# clock for files ticks every 1 to 10 ms, and where time stamps are whole seconds the next one is up to 1 s away.
_RACY_NS = 100_000_000
_RACY_SECONDS_NS = 2_100_000_000
_FEW = 8
LEFT = "left for the next look: too much changed at once"


@dataclass(frozen=True)
class Known:
    """What was known of one file: its identity and times, and a digest of its content where those may deceive."""

    stamp: tuple[int, int, int, int]
    digest: bytes | None


Signatures = Mapping[str, Known]

# Of a file that is there and was not read: the next look reads it, or sees that it is gone.
_UNREAD = Known((-1, -1, -1, -1), b"")


@dataclass
class Budget:
    """Bytes of content that one observation may still carry."""

    left: int


@dataclass
class _Node:
    """Where a walk stands in the globs: names that lead on literally, names that match, or the end of a glob."""

    literals: dict[str, _Node] = field(default_factory=dict)
    patterns: list[tuple[re.Pattern[str], bool, _Node]] = field(default_factory=list)
    leaf: bool = False

    def step(self, name: str) -> Iterator[_Node]:
        """The nodes that `name` leads to; a leading dot has to be spelled out, as in a shell."""
        if name in self.literals:
            yield self.literals[name]
        for pattern, dotted, node in self.patterns:
            if (dotted or not name.startswith(".")) and pattern.match(name):
                yield node


def scan(want: TreeWant, known: Signatures | None, budget: Budget) -> tuple[TreeSeen, Signatures]:
    """Look below `want.root`.

    Args:
        known: What the look returned that differences are wanted against, or None for everything.
        budget: Shared by the trees of one observation. A file that does not fit comes without content, with an
            error that says so, and is sent by the next look.

    Returns:
        What changed, and the signatures for the next look.
    """
    return _Scan(want, known or {}, budget, full=known is None).run()


class _Scan:
    def __init__(self, want: TreeWant, known: Signatures, budget: Budget, full: bool) -> None:
        self.want = want
        self.known = known
        self.budget = budget
        self.full = full
        self.found: dict[str, Known] = {}
        self.files: dict[str, FileSeen] = {}
        self.unlisted: list[tuple[str, str]] = []
        self.root = os.path.expanduser(want.root)

    def run(self) -> tuple[TreeSeen, Signatures]:
        try:
            top = _compile(self.want.globs)
            if not stat.S_ISDIR(os.stat(self.root).st_mode):
                raise InputError(f"{self.want.root} is not a folder")
        except (InputError, ValueError) as error:
            return TreeSeen(self.want, {}, (), self.full, str(error)), self.known
        except OSError as error:
            return TreeSeen(self.want, {}, (), self.full, f"{self.want.root}: {why(error)}"), self.known
        self._walk(self.root, "", [top])
        prefixes = tuple(prefix for prefix, _ in self.unlisted)
        # What lies below a folder that could not be listed is not gone, it is unseen
        kept = {path: old for path, old in self.known.items() if path not in self.found and path.startswith(prefixes)}
        gone = tuple(path for path in self.known if path not in self.found and path not in kept)
        problem = "; ".join(text for _, text in self.unlisted[:3]) or None
        return TreeSeen(self.want, self.files, gone, self.full, problem), {**kept, **self.found}

    def _walk(self, folder: str, prefix: str, nodes: list[_Node]) -> None:
        try:
            entries = list(_entries(folder, nodes))
        except FileNotFoundError:
            return
        except OSError as error:
            self.unlisted.append((prefix, f"cannot list {prefix or self.want.root}: {why(error)}"))
            return
        for name, entry in entries:
            leaf, below = False, []
            for node in nodes:
                for after in node.step(name):
                    leaf = leaf or after.leaf
                    if after.literals or after.patterns:
                        below.append(after)
            if not leaf and not below:
                continue
            path = f"{folder}/{name}"
            if leaf:
                if len(self.found) >= MAX_FILES:
                    self.unlisted.append(("", f"more than {MAX_FILES} files match; the rest is left out"))
                    return
                self._file(path, prefix + name, entry)
            if below and self._is_folder(path, entry):
                self._walk(path, f"{prefix}{name}/", below)

    def _is_folder(self, path: str, entry: os.DirEntry[str] | None) -> bool:
        try:
            if entry is not None and not entry.is_symlink():
                return entry.is_dir(follow_symlinks=False)
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode):
                return stat.S_ISDIR(status.st_mode)
            root = os.path.realpath(self.root)
            return os.path.isdir(path) and os.path.commonpath([root, os.path.realpath(path)]) == root
        except (OSError, ValueError):
            return False

    def _file(self, path: str, relative: str, entry: os.DirEntry[str] | None) -> None:
        try:
            status = os.stat(path) if entry is None else entry.stat()
        except OSError as error:
            if entry is None and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                return
            if _is_gone(path):  # since the listing
                return
            self.found[relative] = _UNREAD
            self.files[relative] = FileSeen(relative, 0, 0, 0, None, why(error))
            return
        if stat.S_ISDIR(status.st_mode):
            return
        old = self.known.get(relative)
        if old is not None and old.digest is None and old.stamp == stamp(status):
            self.found[relative] = old
            return
        self._look(path, relative, old, status)

    def _look(self, path: str, relative: str, old: Known | None, status: os.stat_result) -> None:
        data: bytes | None = None
        problem: str | None = None
        settled = True
        if not stat.S_ISREG(status.st_mode):
            problem = "not a regular file"
        elif status.st_size <= self.want.limit:
            if status.st_size > self.budget.left:
                self.found[relative] = _UNREAD
                self.files[relative] = _seen(relative, status, None, LEFT)
                return
            try:
                data, status, settled = read_whole(path, self.want.limit)
            except FileNotFoundError:
                return
            except (OSError, InputError) as error:
                problem, settled = why(error), False
        digest = None if settled and not _racy(status) else _digest(data, problem)
        now = Known(stamp(status), digest)
        self.found[relative] = now
        if old is not None and old.stamp == now.stamp and old.digest == _digest(data, problem):
            return
        self.budget.left -= len(data or b"")
        self.files[relative] = _seen(relative, status, data, problem)


def read_whole(path: str, limit: int) -> tuple[bytes | None, os.stat_result, bool]:
    """Read a file whole; one that changes meanwhile is read a second time.

    Returns:
        The content (None where it is longer than `limit`), its status, and whether it held still.

    Raises:
        OSError: It cannot be read.
        InputError: It is not a regular file.
    """
    # O_NONBLOCK: somebody may have put a pipe in the file's place since it was listed, and opening that would wait
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise InputError("not a regular file")
        for last in (False, True):
            # Almost always this is the whole file; asking for more would cost a buffer of that length.
            data = read_at(fd, 0, min(before.st_size, limit) + 1)
            if len(data) > before.st_size:
                data = read_at(fd, 0, limit + 1)
            after = os.fstat(fd)
            settled = stamp(before) == stamp(after)
            if settled or last:
                break
            before = after
        return (data if len(data) <= limit else None), after, settled
    finally:
        os.close(fd)


def _is_gone(path: str) -> bool:
    """Whether nothing is there. A folder that may not be entered tells nothing of what is in it."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def read_at(fd: int, offset: int, size: int) -> bytes:
    """Up to `size` bytes from `offset`; fewer only at the end of the file."""
    data = os.pread(fd, size, offset)
    if not data or len(data) == size:
        return data
    parts = [data]
    have = len(data)
    while have < size:
        data = os.pread(fd, min(size - have, 1 << 20), offset + have)
        if not data:
            break
        parts.append(data)
        have += len(data)
    return b"".join(parts)


def stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    """What changes when a file's content does: inode, size, modification and change time."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _seen(path: str, status: os.stat_result, data: bytes | None, problem: str | None) -> FileSeen:
    size = status.st_size if data is None else len(data)
    return FileSeen(path, size, status.st_mtime_ns, status.st_ino, data, problem)


def _racy(status: os.stat_result) -> bool:
    window = _RACY_SECONDS_NS if status.st_ctime_ns % 1_000_000_000 == 0 else _RACY_NS
    return time.time_ns() - status.st_ctime_ns < window


def _digest(data: bytes | None, problem: str | None) -> bytes:
    content = b"-" if data is None else b"+" + data
    return hashlib.blake2b(content + os.fsencode(problem or ""), digest_size=16).digest()


def _entries(folder: str, nodes: list[_Node]) -> Iterator[tuple[str, os.DirEntry[str] | None]]:
    """The names worth a look in a folder. Where few names are wanted literally, the folder is not listed at all."""
    names = {name for node in nodes for name in node.literals}
    if len(names) <= _FEW and not any(node.patterns for node in nodes):
        for name in sorted(names):
            yield name, None
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name, entry


def _compile(globs: tuple[str, ...]) -> _Node:
    top = _Node()
    for glob in globs:
        node = top
        for part in glob.split("/"):
            if part in ("", ".", "..", "**") or "\0" in part:
                raise InputError(f"bad glob {glob!r}: parts are names or patterns, without '..' and '**'")
            node = _child(node, part)
        node.leaf = True
    return top


def _child(node: _Node, part: str) -> _Node:
    if not any(char in part for char in "*?["):
        return node.literals.setdefault(part, _Node())
    pattern = re.compile(fnmatch.translate(part))
    for known, _, below in node.patterns:
        if known.pattern == pattern.pattern:
            return below
    below = _Node()
    node.patterns.append((pattern, part.startswith("."), below))
    return below
