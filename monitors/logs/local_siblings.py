"""The files beside a log into which rotation moves or copies it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping

from hosts.local.rotation import NUMBERED, Sibling, dated_after, sibling
from monitors.logs.local_files import Files, Key, key_of, unfit
from monitors.logs.local_kept import SURE
from monitors.logs.local_open import OpenFile

_FRESH_NS = 2_000_000_000
_READINGS = 4


def siblings(files: Files, path: str) -> list[Sibling]:
    """All of them, the oldest first; none where the folder cannot be read.

    They are read once more until two readings agree: what is moved meanwhile is found under two names, or none.
    """
    found = _siblings(files, path)
    for _ in range(_READINGS):
        before, found = found, _siblings(files, path)
        if {one.path: one.key for one in found} == {one.path: one.key for one in before}:
            break
    return found


def _siblings(files: Files, path: str) -> list[Sibling]:
    folder = os.path.dirname(path)
    found = []
    try:
        names = files.names(folder or ".")
    except OSError:
        return []
    for name in names:
        if sibling(path, name, (0, 0), 0, 0) is None:
            continue
        try:
            status = files.stat(os.path.join(folder, name))
        except OSError:
            continue  # moved on since
        one = sibling(path, name, key_of(status), status.st_size, status.st_mtime_ns)
        if one is not None and stat.S_ISREG(status.st_mode):
            found.append(one)
    return sorted(found, key=lambda one: (one.mtime, -(one.number or 0), one.path))


def between(
    order: Iterable[Sibling],
    old: Key | None,
    written: int,
    placed: int,
    new: Key | None,
    ours: Collection[Key],
    known: Mapping[Key, Sibling],
) -> tuple[list[Sibling], bool, bool]:
    """The files that were the log after one file and before another, whether these are all, and whether one lacks.

    The last is so where a number between them is missing. It is for good where that file is gone, and for a moment
    while files are moved up one by one.

    Args:
        order: What is beside the log, the oldest first.
        old: The file before, or its copy; None where there is none.
        written: When that was last written, ns since the epoch.
        placed: When it was last written as far as it was seen in its place, before it was moved.
        new: The file after; it may have been rotated away in turn. None where none is there yet.
        ours: Files that are followed already.
        known: What was beside the log at an earlier look.
    """
    order = [one for one in order if one.rotated or one.key == old]
    at = next((one for one in order if one.key == old), None)
    number = None if at is None else at.number
    if number is not None and any(_rises(one, number, placed, ours, known) for one in order):
        order.sort(key=lambda one: (one.mtime, one.number or 0))
    end = next((index for index, one in enumerate(order) if one.key == new), len(order))
    found, complete = [], True
    for one in order[:end]:
        later = one.mtime > written
        if one.mtime <= written and number is not None and one.number is not None:
            # Written within one tick of the file system's clock, or the file before was written to after it was moved
            later = one.number < number and (one.mtime == written or number <= NUMBERED)
            later = later or _rises(one, number, placed, ours, known)
        before = known.get(one.key)
        if not later and before is None and at is not None:
            later = dated_after(one, at)  # likewise, where names tell the order and no number does
        if not later or one.key in ours or (before is not None and before.mtime == one.mtime):
            continue
        if one.packed or (before is not None and before.path == one.path):
            # A name that stays while its file is written is no rotated log; only an inode used again looks the same
            complete = complete and not (one.packed or (number is not None and (one.number or 0) < number))
            continue
        found.append(one)
    if at is None:
        return [], complete and not found, False  # nothing says that these are its own
    return found, complete, _lacks(order, at, new)


def _lacks(order: Iterable[Sibling], old: Sibling, new: Key | None) -> bool:
    if old.number is None or old.number > NUMBERED:
        return False
    there = {one.number: one.key for one in order if one.number is not None}
    first = next((number for number, key in there.items() if key == new), 0)
    return not set(range(max(1, first + 1), old.number)) <= set(there)


def open_plain(files: Files, path: str) -> OpenFile | None:
    """A plain file, opened; None where it is something else by now.

    Raises:
        OSError: It cannot be opened.
    """
    handle = files.open(path)
    try:
        if unfit(files.fstat(handle)) is None:
            return OpenFile(files, handle, path)
    except OSError:
        os.close(handle)
        raise
    os.close(handle)
    return None


class Beside:
    """The folder of one log, looked into whenever the log is turned over.

    Args:
        files: The system.
        path: The log; where it is a link, rotation goes on beside what it points to.
    """

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path
        self._real = path
        self._known: dict[Key, Sibling] = {}
        self._changed = 0  # when names in the folder did, ns since the epoch

    def note(self) -> None:
        """Take what is there now as known: at the next turn it is not new. To be asked for before the log is opened."""
        self._real = os.path.realpath(self._path)
        self._known = {one.key: one for one in siblings(self._files, self._real)}

    def _note(self, order: list[Sibling]) -> None:
        # What was read before the log was seen in its place; what is there now may have come after it
        if os.path.realpath(self._path) == self._real:
            self._known = {one.key: one for one in order}
        else:
            self.note()

    def moved(self) -> bool:
        """Whether names in the folder have changed since this was asked last."""
        try:
            changed = self._files.stat(os.path.dirname(self._real) or ".").st_mtime_ns
        except OSError:
            return False
        before, self._changed = self._changed, changed
        return changed != before

    def between(
        self, old: Key | None, written: int, placed: int, new: Key | None, ours: Collection[Key]
    ) -> tuple[list[OpenFile], bool, bool]:
        """The contents after one file and before another, opened; whether these are all, and whether one lacks."""
        order = siblings(self._files, self._real)
        found, complete, lacks = between(order, old, written, placed, new, ours, self._known)
        opened = [self._open(one) for one in found]
        try:
            if new is not None and key_of(self._files.stat(self._path)) == new:
                self._note(order)
        except OSError:
            pass  # nothing is there now: what is beside it may have come after this file
        files = [one for one in opened if one is not None]
        return files, complete and len(files) == len(found), lacks

    def lacks(self, old: Key | None, new: Key | None) -> bool:
        """Whether a file between two lacks still."""
        order = [one for one in siblings(self._files, self._real) if one.rotated or one.key == old]
        at = next((one for one in order if one.key == old), None)
        return at is None or _lacks(order, at, new)

    def copy(self, old: OpenFile, looked: int) -> OpenFile | None:
        """The copy that was made of a file before it was truncated, or None.

        Args:
            old: The file, as far as it was seen.
            looked: When it was last seen whole, ns since the epoch.
        """
        order = siblings(self._files, self._real)
        for one in sorted(order, key=lambda one: (min(one.size, old.size), one.mtime), reverse=True):
            upto = min(one.size, old.size)
            # A few equal bytes may be a greeting that every content begins with
            weak = upto < SURE and (one.size < old.size or one.mtime < looked - _FRESH_NS)
            if one.packed or one.key == old.key or upto == 0 or weak:
                continue
            file = self._open(one)
            if file is not None:
                if self._holds(file, old, upto):
                    return file
                file.close()
        return None

    def _holds(self, file: OpenFile, old: OpenFile, upto: int) -> bool:
        try:
            return old.same_in(file.handle, upto)
        except OSError:
            return False

    def _open(self, one: Sibling) -> OpenFile | None:
        """A sibling, as long as its name is still its own."""
        try:
            file = open_plain(self._files, one.path)
        except OSError:
            return None
        if file is None or file.key == one.key:
            return file
        file.close()
        return None


def _rises(one: Sibling, number: int, placed: int, ours: Collection[Key], known: Mapping[Key, Sibling]) -> bool:
    """Whether a file that was not there before has a greater number than the file before it: the newest is highest."""
    new = one.key not in ours and one.key not in known
    return new and one.number is not None and one.number > number and one.mtime >= placed
