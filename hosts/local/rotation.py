"""The files beside a log into which rotation moved or copied it, and what their names tell of their order."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Union

PACKED = (".gz", ".xz", ".zst", ".bz2", ".lz4")
"""Ends of names whose files are compressed: there, and not readable as they are."""

NUMBERED = 64
"""A greater number is a date, a process, anything but an age."""

MOVING = 0.2
"""Seconds that moving files up one by one may take, while one of their numbers is free."""

_OFTEN = 10
"""So often other numbers may be free before it is no moving up any more."""

Key = tuple[int, int]
"""Device and inode; the device is 0 where it is not known."""

Numbers = tuple[int, ...]

_ROTATED = re.compile(r"[.\-_]\d[\d.\-_:T]*Z?")  # an age or a time, as every rotation writes it; no .lock, no .err


@dataclass(frozen=True)
class Sibling:
    """A file that has the name of a rotated log.

    Attributes:
        path: Where it is.
        key: Which file it is.
        size: Bytes.
        mtime: When it was last written, ns.
        number: How many rotations ago it was the log, where its name says so.
        rotated: Whether the name is one that rotation gives, and not only one that a copy may have.
    """

    path: str
    key: Key
    size: int
    mtime: int
    number: Union[int, None]
    rotated: bool

    @property
    def packed(self) -> bool:
        return self.path.endswith(PACKED)


def sibling(log: str, name: str, key: Key, size: int, mtime: int) -> Sibling | None:
    """A file with a name in the folder of a log; None where it is no name that rotation or a copy has."""
    folder, base = os.path.split(log)
    rest = _rest(name, base)
    if rest is None:
        return None
    for end in PACKED:
        rest = rest.removesuffix(end)
    found = re.fullmatch(r"[.\-_](\d{1,4})", rest)
    number, rotated = int(found[1]) if found else None, _ROTATED.fullmatch(rest) is not None
    return Sibling(os.path.join(folder, name), key, size, mtime, number, rotated)


def dated_after(one: Sibling, other: Sibling) -> bool:
    """Whether both have names with a time in one form, and that of `one` is later."""
    alike = len(one.path) == len(other.path) and one.rotated and other.rotated
    return alike and one.number is None and other.number is None and one.path > other.path


def after(
    there: Iterable[Sibling], old: Sibling | None, since: int, new: Key, passed: Collection[Key]
) -> tuple[list[Sibling], bool, Numbers]:
    """The files that were the log after one file and before another, whether these are all, and which numbers are free.

    Such a number is between theirs: for good where that file is gone, and for a moment while files are moved up one by
    one. That of `old` stands before them, as another one is free for another reason.

    Nothing is known here of what lay beside the log before, as `old` may have been followed by somebody else. So names
    have to be of one form with that of `old`: beside `log.old` stands no file that came between, whatever was written
    to a `log.1` since.

    Args:
        there: What is beside the log.
        old: The file before, or its copy; None where it has no name any more.
        since: When that was last known to be written in its place, ns since the epoch.
        new: The file after; it may have been rotated away in turn.
        passed: Files that came before `old`, whenever they were written to.

    Returns:
        The plain ones, the oldest first.
    """
    others = [one for one in there if one.rotated and (old is None or one.key != old.key)]
    if old is None:
        # They may be its own, and who wrote to a file that lies there without a number in common nobody can tell
        return [], not any(one.mtime > since and one.key != new for one in others), ()
    if not old.rotated:
        return [], True, ()
    if old.number is None:
        # The time in a name is that of its rotation, or of the beginning of what is in it: `old` has an earlier one
        dated = [one for one in others if dated_after(one, old) and one.mtime >= since and one.key not in passed]
        return *_before(sorted(dated, key=lambda one: one.path), new), ()
    numbers = [one for one in others if one.number is not None]
    later = [one for one in numbers if one.mtime >= since and one.key not in passed]
    fallen = [one for one in later if (one.number or 0) < old.number]
    risen = [one for one in later if (one.number or 0) > old.number and one.mtime > since]
    if not risen or any(one.mtime > since for one in fallen):
        first = next((one.number or 0 for one in fallen if one.key == new), 0)
        wanted = range(max(1, first + 1), old.number if old.number <= NUMBERED else 0)
        free = sorted({*wanted} - {one.number for one in numbers})
        found = sorted(fallen, key=lambda one: -(one.number or 0))
        return *_before(found, new), (old.number, *free) if free else ()
    return *_before(sorted(risen, key=lambda one: one.number or 0), new), ()


class Patience:
    """How long numbers that are free may be so because files are moved up just now."""

    def __init__(self) -> None:
        self._free: Numbers = ()
        self._since = 0.0
        self._seen = 0

    def left(self, free: Numbers, now: float) -> float:
        """Seconds to wait from now on, 0 or less where a file lacks for good; `now` on the monotonic clock.

        The same numbers have to be free all the while, as the next rotation has its own moment. A log that is rotated
        all the time has others at each look, also where a file is gone.
        """
        if free != self._free:
            self._free, self._since = free, now
            self._seen = self._seen + 1 if free else 0
        return self._since + MOVING - now if free and self._seen <= _OFTEN else 0.0


def _before(found: list[Sibling], new: Key) -> tuple[list[Sibling], bool]:
    """Those before a file, without the packed ones, and whether there were none of these."""
    end = next((index for index, one in enumerate(found) if one.key == new), len(found))
    plain = [one for one in found[:end] if not one.packed]
    return plain, len(plain) == end


def _rest(name: str, base: str) -> str | None:
    """What rotation put into the name `base` to make `name`, or None where that is no such name."""
    if name == base:
        return None
    if name.startswith(base) and name[len(base)] in ".-_~":
        return name[len(base) :]
    stem, extension = os.path.splitext(base)
    plain = name
    for end in PACKED:
        plain = plain.removesuffix(end)
    if extension and plain.startswith(stem) and plain.endswith(extension) and len(plain) > len(base):
        rest = plain[len(stem) : len(plain) - len(extension)]
        if rest[0] in ".-_" and any(sign.isdigit() for sign in rest):
            return rest
    return None
