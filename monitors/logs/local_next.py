"""What waits to be shown after the file that is followed now."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monitors.logs.local_kept import SURE, shown_of
from monitors.logs.local_open import OpenFile
from monitors.logs.types import MarkKind

COPIED_OVER = "the file before was written over with a copy of this one; whatever was added to it unseen is gone"

Lacks = Callable[[], bool]


@dataclass
class Next:
    """A content that waits for its turn, and what is said before it."""

    file: OpenFile
    kind: MarkKind
    text: str
    missing: int | None = 0
    lost: str = ""
    lacks: Lacks | None = None  # whether a file that lacked before it does so still
    first: int | None = None  # where what was not shown before begins, None: at the beginning
    whole: bool = False  # whether it is the content before, in another file
    since: float = float("inf")  # when it was first seen to hold anything


def is_copied_over(old: OpenFile, size: int, coming: OpenFile | None) -> bool:
    """Whether a file that was moved away holds a copy of the one that came after it by now.

    Args:
        old: The file, in which something else was seen before.
        size: Bytes that it has now.
        coming: The one after, as far as it was seen.
    """
    if coming is None or coming.key == old.key:
        return False
    upto = min(size, coming.size)
    if upto > 0 and coming.same_in(old.handle, upto):
        if upto >= SURE or not coming.holds():
            return True
        # Few bytes may be a content of its own that begins with the same words: where nothing was here, or more is now
        return old.size > 0 and size <= coming.size
    shown = shown_of(coming.files, old.handle, size, coming)
    # It may have been cut down before, and written to; what both begin with is no proof
    return shown.upto > 0 and (shown.upto == size or not shown.beginning)


def came(found: list[OpenFile], seen: list[OpenFile], past: Iterable[OpenFile]) -> tuple[list[Next], bool]:
    """What is to be shown of files that came and went, the oldest first; and whether all can be read.

    Args:
        found: The files, ours to close.
        seen: What is followed or waits already.
        past: What was seen before that, whose files may be closed.

    Raises:
        OSError: What is followed cannot be read.
    """
    begun = [file for file in found if _begins(file)]
    queue: list[Next] = []
    copies: list[OpenFile] = []
    try:
        for file in begun:
            shown = _end_shown(file, (*filter(is_cut, seen), *past))
            if shown == file.size or any(one.copied_in(file.handle, file.size) for one in seen):
                copies.append(file)  # one that is being made, before the truncation that it is made for
            else:
                words = f"rotated: {os.path.basename(file.name)} came and went since the last look"
                queue.append(Next(file, MarkKind.ROTATED, words, first=shown or None))
    except OSError:
        copies = begun
        raise
    finally:
        for file in copies:
            file.close()
    return queue, len(begun) == len(found)


def is_cut(file: OpenFile) -> bool:
    """Whether what was seen of a file is nowhere any more but here."""
    try:
        return not (file.files.fstat(file.handle).st_nlink and file.holds())
    except OSError:
        return True


def _begins(file: OpenFile) -> bool:
    """See what a file holds; one that cannot be read is closed."""
    try:
        file.begin()
    except OSError:
        return False
    return True


def _end_shown(file: OpenFile, seen: Iterable[OpenFile]) -> int:
    """Bytes that a content begins with and that one which was seen ended with, which was cut down and then copied.

    What both begin with is no proof: every run may write the same words first.
    """
    found = [shown_of(file.files, file.handle, file.size, one) for one in seen]
    return max((one.upto for one in found if not one.beginning), default=0)


def went(file: OpenFile) -> str:
    """What became of a file that is not at its path any more."""
    try:
        return "moved away" if file.files.fstat(file.handle).st_nlink else "deleted"
    except OSError:
        return "gone"
