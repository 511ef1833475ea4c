"""How much of a new content was already shown as part of the old one: no line is shown twice."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.logs.local_files import Files
from monitors.logs.local_open import OpenFile

SURE = 512
"""Equal bytes from which on two files are taken for the same one, not for two that begin with the same words."""

REWRITES = 3
"""Ends that were written over, after which a file is shown anew and not end by end."""

_TRIES = 64  # places at which an end may begin that are looked at

_LONG = 4096  # the same, for a beginning that was kept while the rest was thrown away


@dataclass(frozen=True)
class Shown:
    """What of a new content was shown before.

    Attributes:
        upto: The first byte that was not, a beginning of a line.
        beginning: Whether these bytes began the old content too, and did not end it.
        whole: Whether they are all of the old content: the new one is that, and perhaps more.
    """

    upto: int = 0
    beginning: bool = False
    whole: bool = False


def shown_of(files: Files, handle: int, size: int, old: OpenFile, sure: int = SURE) -> Shown:
    """What of a new content was shown already.

    A writer may throw away only the end of its file (truncation to what is not zero), only the beginning (a log that
    is cut down to its last lines), or nothing (a copy takes the place of the file).

    Args:
        files: The system.
        handle: The new content, which may be in the old file.
        size: Bytes that it has.
        old: The content before, as far as it was seen.
        sure: Bytes that it needs to have to be told from another that begins with the same words.
    """
    if size == 0 or old.size == 0:
        return Shown()
    if size >= old.size >= sure and old.same_in(handle, old.size):
        return Shown(old.size, True, True)
    beginning = _beginning(files, handle, size, old)
    return Shown(beginning, True) if beginning else Shown(_end(files, handle, size, old))


def _beginning(files: Files, handle: int, size: int, old: OpenFile) -> int:
    """Bytes that both begin with, up to a beginning of a line; 0 where that is no proof of anything."""
    lowest = old.ring.start
    if size <= lowest or not old.same_in(handle, min(size, lowest + 1)):
        return 0
    ours = old.ring.read(lowest, old.size - lowest) or b""
    theirs = files.pread(handle, min(size, old.size) - lowest, lowest)
    equal = _equal(ours, theirs)
    end = lowest + equal
    if end < _LONG and (end < size or 2 * end < old.size):
        return 0
    newline = ours.rfind(b"\n", 0, equal)
    return lowest + newline + 1 if newline >= 0 or lowest == 0 else 0


def _equal(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _end(files: Files, handle: int, size: int, old: OpenFile) -> int:
    """Bytes that the new content begins with and the old one ended with."""
    head = files.pread(handle, SURE, 0)
    if len(head) < SURE:
        return 0
    ours = old.ring.everything()
    at = ours.find(head)
    for _ in range(_TRIES):  # what repeats itself would be compared without end
        if at < 0:
            break
        length = len(ours) - at
        if length <= size and files.pread(handle, length, 0) == ours[at:]:
            return length
        at = ours.find(head, at + 1)
    return 0
