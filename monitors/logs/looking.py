"""Which files a folder or a pattern means on this machine, looked at again and again without reading it all each time.

A folder is listed anew only when its modification time says that names came or went. Writing to a file does not
change that time, so files are looked at one by one: those written last at every look, the others in turn.
"""

from __future__ import annotations

import fnmatch
import glob
import heapq
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from hosts.errors import InputError
from hosts.local.lines import sniff
from hosts.local.reasons import why
from monitors.logs.choosing import FileStamp, Looked, rank_in_folder, rank_in_glob

FILES = 200_000
"""Matching files that are followed at most; of more, those listed first."""

NEWEST = 256
"""Files that every look looks at, at least."""

IN_TURN = 500
"""Others that one look looks at."""

_FOLDERS = 10_000
_DEPTH = 40
_RACY_NS = 100_000_000  # within this a folder may change again without a new time
_RACY_SECONDS_NS = 2_100_000_000  # likewise, where times are whole seconds
_FUTURE_NS = 2_000_000_000
_HEAD = 1024


@dataclass
class _Folder:
    """What a folder held when it was listed: names of files that match, and folders to go on in."""

    stamp: tuple[int, int, int]
    settled: bool
    names: frozenset[str] = frozenset()
    below: tuple[tuple[str, frozenset[int]], ...] = ()


class Look:
    """Looks at the files that a folder or a pattern means.

    Args:
        root: The folder to begin in.
        parts: What follows, between slashes: names and patterns. "**" is any number of folders. None: the files of
            the folder itself, those that look like logs before all others.
        own: Device and inode of files that are never meant, under any name.

    Raises:
        InputError: The pattern leads out of the folder.
    """

    def __init__(
        self, root: str, parts: tuple[str, ...] | None = None, own: frozenset[tuple[int, int]] = frozenset()
    ) -> None:
        if parts is not None and (not parts or any(part in ("", ".", "..") for part in parts)):
            raise InputError(f"bad pattern {'/'.join(parts)!r}: '..' can stand only before the first '*', '?' or '['")
        self.root = root
        self.rank: Callable[[str], int] = rank_in_folder if parts is None else rank_in_glob
        self._parts = [_Part(part) for part in parts or ("*",)]
        self._folders: dict[str, _Folder] = {}
        self._kept: dict[str, FileStamp] = {}
        self._own = own
        self._ignored: set[tuple[int, ...]] = set()
        self._list_anew = False
        self._turn: Iterator[str] = iter(())
        self._began = False
        self._problem = ""

    def look(self, current: str | None = None) -> Looked:
        """What is new since the look before; `current` is always looked at."""
        self._problem = ""
        if self._list_anew:
            self._list_anew = False  # first, so that what is ignored from here on is not passed over
            for folder in self._folders.values():
                folder.settled = False
        came, went = self._list()
        changed: dict[str, FileStamp] = {}
        born: set[str] = set()
        gone = went & self._kept.keys()
        for path, old in self._kept.items():
            stamp = self._stamp(path) if path not in gone else None
            if stamp is None:
                gone.add(path)
            elif stamp != old:
                changed[path] = stamp
                if stamp.identity != old.identity:
                    born.add(path)
        oldest = min((one.mtime_ns for one in self._kept.values()), default=0) if len(self._kept) >= NEWEST else -1
        for path, stamp in self._newest(came):
            changed[path] = stamp
            if self._began:  # before the first look nothing is known to be older
                born.add(path)
        written = self._newest(self._in_turn() - came)
        changed.update({path: stamp for path, stamp in written if stamp.mtime_ns > oldest})
        for path in gone:
            self._kept.pop(path, None)
        self._kept.update(changed)
        for path in self._surplus(current):
            del self._kept[path]
            if changed.pop(path, None) is None:
                gone.add(path)
        self._began = True
        return Looked(changed, frozenset(born & changed.keys()), tuple(gone - changed.keys()), self._problem)

    def ignore(self, status: os.stat_result) -> None:
        """Do not mean this file, whatever its name, until it is written to; may be called from any thread."""
        self._ignored.add(_as_it_is(status))
        self._list_anew = True  # it may be what hid the others

    def _newest(self, paths: set[str]) -> list[tuple[str, FileStamp]]:
        """Of these files, those that were written last."""
        stamps = ((path, self._stamp(path)) for path in paths if path not in self._kept)
        files = ((path, stamp) for path, stamp in stamps if stamp is not None)
        return heapq.nlargest(NEWEST, files, key=lambda one: (one[1].mtime_ns, one[0]))

    def _stamp(self, path: str) -> FileStamp | None:
        try:
            status = os.stat(path)
        except OSError:
            return None  # it went since it was listed, or is a link to nothing
        if not stat.S_ISREG(status.st_mode) or self._is_ours(status):
            return None
        # A time in the future would stand before all others for as long as it is one
        mtime = status.st_mtime_ns if status.st_mtime_ns <= time.time_ns() + _FUTURE_NS else 0
        return FileStamp(status.st_size, mtime, (status.st_dev, status.st_ino))

    def _is_ours(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) in self._own or _as_it_is(status) in self._ignored

    def _leads_to_one(self, path: str) -> bool:
        try:
            status = os.stat(path)
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and not self._is_ours(status)

    def _in_turn(self) -> set[str]:
        """The next few of all files."""
        if sum(len(folder.names) for folder in self._folders.values()) <= len(self._kept):
            return set()
        found = set(islice(self._turn, IN_TURN))
        if not found:
            self._turn = self._names()
            found = set(islice(self._turn, IN_TURN))
        return found

    def _names(self) -> Iterator[str]:
        for path, folder in list(self._folders.items()):
            for name in folder.names:
                yield os.path.join(path, name)

    def _surplus(self, current: str | None) -> list[str]:
        """What is kept beyond the newest."""
        if len(self._kept) <= 2 * NEWEST:
            return []
        newest = heapq.nlargest(NEWEST, self._kept, key=lambda path: (self._kept[path].mtime_ns, path))
        stay = {*newest, current}
        return [path for path in self._kept if path not in stay]

    def _list(self) -> tuple[set[str], set[str]]:
        """List the folders that changed; gives the files that came, and those that went from a folder that is there."""
        came: set[str] = set()
        went: set[str] = set()
        seen: set[str] = set()
        count = 0
        waiting = [(self.root, self._closed({0}), 0)]
        while waiting:
            path, states, depth = waiting.pop()
            if path in seen or len(seen) >= _FOLDERS or depth > _DEPTH:
                continue
            old = self._folders.get(path)
            folder = self._listed(path, states, old)
            if folder is None:
                continue
            seen.add(path)
            if folder is not old:
                if len(folder.names) > FILES - count:
                    self._problem = f"more than {FILES:,} files match; the rest is left out"
                    # The last by name, so that the choice is the same each time, and new files tend to be among them
                    folder.names = frozenset(heapq.nlargest(max(0, FILES - count), folder.names))
                names = folder.names
                before = old.names if old is not None else frozenset()
                came.update(os.path.join(path, name) for name in names - before)
                went.update(os.path.join(path, name) for name in before - names)
                self._folders[path] = folder
            count += len(folder.names)
            waiting += [(os.path.join(path, name), below, depth + 1) for name, below in folder.below]
        for path in [path for path in self._folders if path not in seen]:
            del self._folders[path]  # its files are found gone one by one
        return came, went

    def _listed(self, path: str, states: frozenset[int], old: _Folder | None) -> _Folder | None:
        """What a folder holds, from before where it has not changed; None where it cannot be listed."""
        try:
            status = os.stat(path)
            stamp = (status.st_dev, status.st_ino, status.st_mtime_ns)
            if old is not None and old.settled and old.stamp == stamp:
                return old
            whole_seconds = status.st_mtime_ns % 1_000_000_000 == 0
            settled = time.time_ns() - status.st_mtime_ns > (_RACY_SECONDS_NS if whole_seconds else _RACY_NS)
            folder = _Folder(stamp, settled)
            self._fill(folder, path, states)
        except OSError as error:
            if path == self.root or not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                self._problem = f"cannot list {path}: {why(error)}"
            return None
        return folder

    def _fill(self, folder: _Folder, path: str, states: frozenset[int]) -> None:
        ranked: dict[int, list[str]] = {1: [], 2: []}
        below: list[tuple[str, frozenset[int]]] = []
        last = len(self._parts) - 1
        ends = [self._parts[state].matches for state in states if state == last]
        deeper = any(state < last or self._parts[state].any_depth for state in states)
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                rank = self.rank(name) if any(matches(name) for matches in ends) else 0
                if (rank or deeper) and not _may_be_file(entry):
                    after = self._after(states, name, entry) if deeper else frozenset[int]()
                    if after:
                        below.append((name, after))
                elif rank:
                    ranked[rank].append(name)
        names = ranked[2]
        # The first that is one decides, so hardly more than that one is looked at. Those that are none stay: what is
        # ours is one once somebody else writes to it, of which the folder does not tell
        if ranked[1] and not any(self._leads_to_one(os.path.join(path, name)) for name in names):
            names = names + ranked[1]
        folder.names = frozenset(names)
        folder.below = tuple(below)

    def _after(self, states: frozenset[int], name: str, entry: os.DirEntry[str]) -> frozenset[int]:
        """Where in the pattern a folder of this name leads to."""
        found: set[int] = set()
        for state in states:
            part = self._parts[state]
            if part.any_depth:
                # Not through links, which may lead back up
                if not name.startswith(".") and not entry.is_symlink():
                    found.add(state)
            elif state < len(self._parts) - 1 and part.matches(name):
                found.add(state + 1)
        return self._closed(found)

    def _closed(self, states: set[int]) -> frozenset[int]:
        """With what follows a "**", which may stand for no folder at all."""
        found = set(states)
        for state in sorted(states):
            after = state
            while after < len(self._parts) - 1 and self._parts[after].any_depth:
                after += 1
                found.add(after)
        return frozenset(found)


def _as_it_is(status: os.stat_result) -> tuple[int, ...]:
    """What tells a file from all others and from what it is later; its inode alone may be another file's one day."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _may_be_file(entry: os.DirEntry[str]) -> bool:
    """Whether a name leads to a file now, or may do so later: what a link leads to changes without the folder."""
    try:
        return not entry.is_dir()
    except OSError:
        return True


class _Part:
    """One part of a pattern, between two slashes."""

    def __init__(self, text: str) -> None:
        self.any_depth = text == "**"
        self._dotted = text.startswith(".")
        self._all = text == "*"
        self._pattern: re.Pattern[str] | None = re.compile(fnmatch.translate(text)) if glob.has_magic(text) else None
        self._text = text

    def matches(self, name: str) -> bool:
        """Whether a name fits; a leading dot has to be spelled out, as in a shell."""
        if self._all:
            return not name.startswith(".")
        if self._pattern is None:
            return name == self._text
        return (self._dotted or not name.startswith(".")) and self._pattern.match(name) is not None


def split_pattern(path: str) -> tuple[str, tuple[str, ...]]:
    """The folder before the first part with a pattern in it, and the parts from there on."""
    parts = path.split("/")
    at = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = "/".join(parts[:at]) or ("/" if path.startswith("/") else ".")
    return root, tuple(part for part in parts[at:] if part not in ("", "."))


def is_text(path: str) -> bool:
    """Whether a file begins like text, or is empty, and can be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return looks_like_text(os.read(fd, _HEAD))
    except OSError:
        return False
    finally:
        os.close(fd)


def looks_like_text(head: bytes) -> bool:
    """Whether a file that begins so is text; UTF-16 is."""
    return b"\0" not in head or sniff(head).unit > 1
