"""Which calibrations lie below a folder: a search that is bounded in entries, depth and time, and says where it ended.

A run directory is a folder in a `.tune-runs` folder, and the folder searched itself, that holds a plan.json. Nothing is
read but names and file times.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from gates.calibration.layout import PLAN
from jobs.runner.places import RUNS

WORKSPACE = "gatewatch.yaml"

SKIPPED = frozenset({"node_modules", "site-packages", "venv", "env", "build", "dist", "proc", "sys"})
"""Folders in which nobody keeps a project; hidden ones and caches are left out too."""

_AGAIN_S = 60.0
_COST = 200.0  # a whole search may take a two-hundredth of the time


@dataclass(frozen=True)
class Bounds:
    """How much a search may do.

    Attributes:
        entries: Names that are looked at.
        depth: Folders below the first one.
        seconds: Of our clock.
        runs: That are told, the newest ones.
    """

    entries: int = 50_000
    depth: int = 6
    seconds: float = 2.0
    runs: int = 40


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        runs: Run directories, the one with the newest plan first; absolute, links in them kept.
        folders: The `.tune-runs` folders that were met.
        stopped: Why it ended early, in a few words; "" where all was searched.
        unreadable: Folders that could not be listed.
        left_out: Older runs that are not among `runs`.
    """

    runs: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    stopped: str = ""
    unreadable: int = 0
    left_out: int = 0

    @property
    def note(self) -> str:
        """What a person should know of how it was searched; "" where nothing is missing."""
        told = [f"the search stopped after {self.stopped}"] if self.stopped else []
        if self.left_out:
            told.append(f"{self.left_out} older runs are not shown")
        if self.unreadable:
            told.append(f"{self.unreadable} {'folder' if self.unreadable == 1 else 'folders'} could not be read")
        return "; ".join(told)


@dataclass
class _Search:
    bounds: Bounds
    clock: Callable[[], float]
    until: float = 0.0
    entries: int = 0
    unreadable: int = 0
    stopped: str = ""
    runs: dict[tuple[int, int], tuple[float, str]] = field(default_factory=dict)
    folders: dict[tuple[int, int], str] = field(default_factory=dict)

    def names(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """The entries of a folder, as many as may still be looked at."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self.entries += 1
                    if self.entries > self.bounds.entries:
                        self.stopped = f"{self.bounds.entries:,} names"
                        return
                    if self.clock() > self.until:
                        self.stopped = f"{self.bounds.seconds:g} s"
                        return
                    yield entry
        except OSError:
            self.unreadable += 1

    def take(self, folder: str) -> None:
        """Keep a run directory, under one of its names."""
        try:
            status, plan = os.stat(folder), os.lstat(os.path.join(folder, PLAN))
        except (OSError, ValueError):
            return
        self.runs.setdefault((status.st_dev, status.st_ino), (plan.st_mtime, folder))

    def take_all(self, folder: str) -> None:
        """Keep the run directories in a `.tune-runs` folder; it may be a link to a larger disk."""
        try:
            status = os.stat(folder)
        except OSError:
            return
        if (status.st_dev, status.st_ino) in self.folders:
            return
        self.folders[status.st_dev, status.st_ino] = folder
        for entry in self.names(folder):
            self.take(entry.path)

    def found(self) -> Found:
        newest = [path for _, path in sorted(self.runs.values(), key=lambda run: (-run[0], run[1]))]
        most = self.bounds.runs
        return Found(
            tuple(newest[:most]),
            tuple(self.folders.values()),
            self.stopped,
            self.unreadable,
            max(0, len(newest) - most),
        )


def find_runs(folder: str, bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic) -> Found:
    """Search a folder and what lies below it, level by level; links are not followed, so that no search is endless.

    Where it holds no run, the `.tune-runs` of the folders above it count, up to the repository's top.
    """
    search = _begun(bounds, clock)
    search.take(folder)
    if os.path.basename(folder) == RUNS:
        search.take_all(folder)
    _walk(search, folder)
    if not search.runs:
        for above in _upwards(folder):
            search.take_all(os.path.join(above, RUNS))
    return search.found()


def look_again(known: Found, bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic) -> Found:
    """The runs of the `.tune-runs` folders that are known, and those that were found outside of one."""
    search = _begun(bounds, clock)
    for run in known.runs:
        if os.path.basename(os.path.dirname(run)) != RUNS:
            search.take(run)
    for folder in known.folders:
        search.take_all(folder)
    return search.found()


class Finder:
    """Finds the runs below a folder for as long as somebody looks: often in the folders that are known, seldom all.

    Its calls block: they belong into a thread.
    """

    def __init__(self, folder: str, bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.searches = 0
        self._bounds = bounds
        self._clock = clock
        self._known = Found()
        self._next = 0.0

    def look(self) -> Found:
        """What there is now."""
        began = self._clock()
        if self.searches and began < self._next:
            first = os.path.join(self.folder, RUNS)  # where a first run here would be
            known = replace(self._known, folders=(*self._known.folders, first))
            again = look_again(known, self._bounds, self._clock)
            self._known = replace(again, stopped=self._known.stopped, unreadable=self._known.unreadable)
            return self._known
        self.searches += 1
        self._known = find_runs(self.folder, self._bounds, self._clock)
        took = self._clock() - began
        self._next = began + max(_AGAIN_S, took * _COST)
        return self._known


def find_workspace(start: Path) -> Path | None:
    """The nearest gatewatch.yaml in `start` or above it; None where there is none."""
    return next((folder / WORKSPACE for folder in (start, *start.parents) if (folder / WORKSPACE).is_file()), None)


def _begun(bounds: Bounds | None, clock: Callable[[], float]) -> _Search:
    search = _Search(bounds or Bounds(), clock)
    search.until = clock() + search.bounds.seconds
    return search


def _walk(search: _Search, folder: str) -> None:
    waiting = deque([(folder, 0)])
    while waiting and not search.stopped:
        at, depth = waiting.popleft()
        for entry in search.names(at):
            if entry.name == RUNS:
                search.take_all(entry.path)
            elif depth < search.bounds.depth and _may_hold_projects(entry):
                waiting.append((entry.path, depth + 1))


def _may_hold_projects(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if name.startswith((".", "__")) or name in SKIPPED:
        return False
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _upwards(folder: str) -> Iterator[str]:
    at = os.path.abspath(folder)
    while not os.path.lexists(os.path.join(at, ".git")):
        at, before = os.path.dirname(at), at
        if at == before:
            return
        yield at
