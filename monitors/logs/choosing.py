"""Which of many files is the log to read now. Looks at nothing itself; the same for this machine and for others.

The rule:

1. At first, the file that was written to last (by modification time, then by name); an empty one only if all are.
2. A file that appears takes over as soon as it holds a byte, if it was written to after the present one was when that
   was last seen, and if the present one was on screen for STAY_S. An empty file counts as one that will appear.
3. Of the files that were there before, one takes over only when the present one has been silent for QUIET_S while the
   other grew. Each time that a file is come back to doubles the silence that is needed to come back to it again.
4. When the present one is gone for GONE_S, the last written of the others takes over.

A file that is only another name of the present one (a link, a rotated log), a rotated copy beside the file that it is
a copy of, a hidden file and a compressed one never take over. In a folder, files whose names end like a log's go
before all others.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hosts.local.rotation import sibling

STAY_S = 2.0
QUIET_S = 5.0
LONGEST_QUIET_S = 300.0
GONE_S = 3.0

NAMED = -1

LOG_ENDINGS = (".log", ".out", ".err", ".txt", ".jsonl")
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".zip", ".lz4", ".br", ".z", ".7z", ".tgz")
_ROTATED = re.compile(
    r"(?P<base>.+?)(?:\.\d{1,6}|\.old|\.bak|~|[-.]\d{4}-?\d{2}-?\d{2}(?:[-_T.]?\d{2,6})*)\Z", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A regular file at one instant.

    Attributes:
        size: Bytes.
        mtime_ns: Modification time by its host's clock, ns since the epoch.
        identity: What another name of the same file has too; (device, inode), device 0 where it is not known. Where
            nobody tells inodes it is of the name alone, with NAMED for a device.
    """

    size: int
    mtime_ns: int
    identity: tuple[int, int]


@dataclass(frozen=True)
class Looked:
    """What one look at the candidates brought, as a difference to the look before.

    Attributes:
        changed: New and changed files, by path.
        born: Those of them that were not there at the look before, or are another file of the same name.
        gone: Paths that are candidates no longer.
        problem: Why this is not all that is there, in one line, or "".
    """

    changed: Mapping[str, FileStamp] = field(default_factory=dict)
    born: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()
    problem: str = ""


def rank_in_folder(path: str) -> int:
    """How much a file's name looks like a log's: 2 it does, 1 it does not, 0 it is never chosen."""
    name = path.rsplit("/", 1)[-1]
    if name.startswith("."):
        return 0
    lower = name.lower()
    return 0 if lower.endswith(_PACKED) else 2 if lower.endswith(LOG_ENDINGS) else 1


def rank_in_glob(path: str) -> int:
    """2 for whatever a person's pattern matches, 0 for what is compressed."""
    return 0 if path.lower().endswith(_PACKED) else 2


@dataclass
class Chooser:
    """Follows the rule above over many looks.

    Args:
        rank: How much a path is wanted; of several ranks the highest alone counts, and 0 never.

    Attributes:
        current: The path to read, None while there is none.
        why: Why it is that one, in a few words for people.
    """

    rank: Callable[[str], int]
    current: str | None = None
    why: str = ""
    _files: dict[str, FileStamp] = field(default_factory=dict)
    _young: dict[str, int] = field(default_factory=dict)  # appeared since, to the mtime that they have to reach
    _grown: dict[str, float] = field(default_factory=dict)
    _unfit: set[tuple[int, int]] = field(default_factory=set)
    _returns: dict[str, int] = field(default_factory=dict)
    _last: FileStamp | None = None  # of the current file, when it was last there
    _own: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=64))  # all that its path has led to
    _written: float = 0.0  # when the current file last grew, by our monotonic clock
    _since: float = 0.0
    _missed: float | None = None

    def look(self, seen: Looked, now: float) -> str | None:
        """Take in what is new and give the path to read.

        Args:
            seen: What was looked at; the first is all there is.
            now: Our monotonic clock, seconds.
        """
        before = self._last.mtime_ns if self._last is not None else 0  # when the current file was last written
        for path in seen.gone:
            self._files.pop(path, None)
            self._young.pop(path, None)
            self._grown.pop(path, None)
        for path, stamp in seen.changed.items():
            old, self._files[path] = self._files.get(path), stamp
            if old == stamp:
                continue
            if path in seen.born or not stamp.size:
                self._young[path] = before
            elif path not in self._young and (old is not None or stamp.mtime_ns > before):
                self._grown[path] = now
        self._know_again(seen.born)
        self._follow(now)
        self._choose(now)
        return self.current

    def stamp(self, path: str) -> FileStamp | None:
        """A candidate as it was seen last, or None."""
        return self._files.get(path)

    def refuse(self, path: str, now: float) -> str | None:
        """The path cannot be a log; gives the next best."""
        stamp = self._files.get(path)
        if stamp is not None:
            self._unfit.add(stamp.identity)
        if path == self.current:
            self.current, self._last = None, None
            self._own.clear()
        self._choose(now)
        return self.current

    def _know_again(self, born: Iterable[str]) -> None:
        """Claim the present file under the name that rotation gave it, where no identity tells of that."""
        last, here = self._last, self._files.get(self.current or "")
        if last is None or last.identity[0] != NAMED or (here is not None and here.size >= last.size):
            return
        for path in born:
            stamp = self._files.get(path)
            if stamp is not None and stamp.size >= last.size and self._is_rotated(path):
                self._claim(stamp)

    def _is_rotated(self, path: str) -> bool:
        """Whether a path is one to which rotation may have moved the present one."""
        folder, name = os.path.split(path)
        current = self.current or ""
        found = sibling(current, name, (0, 0), 0, 0) if os.path.dirname(current) == folder else None
        return found is not None and found.rotated

    def _follow(self, now: float) -> None:
        """What became of the current file."""
        if self.current is None:
            return
        stamp = self._files.get(self.current)
        if stamp is None:
            self._missed = now if self._missed is None else self._missed
            return
        self._missed = None
        if stamp != self._last:
            self._last, self._written = stamp, now
            self._claim(stamp)
            self._grown.clear()

    def _choose(self, now: float) -> None:
        if self.current is None:
            self._turn(self._newest(self._files), now, "written last")
            return
        rank = self.rank(self.current) if self.current in self._files else 0
        if now - self._since >= STAY_S:
            ready = [path for path, least in self._young.items() if self._grown_up(path, least, rank)]
            newer = self._newest(ready)
            if newer is not None:
                self._turn(newer, now, "newer")
                return
        if self._missed is not None:
            if now - self._missed >= GONE_S:
                self._turn(self._newest(self._files), now, "the one before is gone")
            return
        silent = now - self._written
        others = [
            path
            for path in self._grown
            if self.rank(path) >= rank and silent >= min(QUIET_S * 2 ** self._returns.get(path, 0), LONGEST_QUIET_S)
        ]
        self._turn(self._newest(others), now, f"the one before was silent for {silent:.0f} s")

    def _grown_up(self, path: str, least: int, rank: int) -> bool:
        """Whether a file that appeared may take over from one of this rank."""
        stamp = self._files[path]
        own = self.rank(path)
        return stamp.size > 0 and (own > rank or (own == rank and stamp.mtime_ns >= least))

    def _newest(self, paths: Iterable[str]) -> str | None:
        """The last written of those that may be chosen, of the highest rank among them."""
        best: tuple[int, bool, int, str] | None = None
        for path in paths:
            stamp = self._files[path]
            key = (self.rank(path), stamp.size > 0, stamp.mtime_ns, path)
            if key[0] and (best is None or key > best) and stamp.identity not in self._unfit:
                if stamp.identity in self._own or self._is_copy(path):
                    continue
                best = key
        return best[3] if best is not None else None

    def _is_copy(self, path: str) -> bool:
        """Whether a path is what rotation calls an older part of another that is there."""
        match = _ROTATED.match(path)
        return match is not None and match["base"] in self._files

    def _claim(self, stamp: FileStamp) -> None:
        if stamp.identity not in self._own:
            self._own.append(stamp.identity)

    def _turn(self, path: str | None, now: float, why: str) -> None:
        if path is None or path == self.current:
            return
        self._returns[path] = self._returns.get(path, -1) + 1
        self.current, self.why, self._last = path, why, self._files[path]
        self._own.clear()
        self._claim(self._last)
        self._since = self._written = now
        self._missed = None
        self._young = {name: least for name, least in self._young.items() if not self._files[name].size}
        self._grown.clear()
