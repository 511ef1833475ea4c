"""Which rows of ours stand before which line."""

from __future__ import annotations

from bisect import bisect_right

from monitors.logs.types import Mark, MarkKind, Place, Shape

_CUTS = (MarkKind.TRUNCATED, MarkKind.REPLACED)


class Marks:
    """The marks of a log, and those that nobody set, for bytes that are gone without a word."""

    def __init__(self) -> None:
        self._told: tuple[Mark, ...] = ()
        self._own: dict[Place, Mark] = {}
        self._marks: list[Mark] = []
        self._places: list[Place] = []

    def update(self, shape: Shape, when: float) -> None:
        """Take over what a shape says; `when` is our clock."""
        gone = dict(_gone(shape))
        if shape.marks == self._told and gone.keys() == self._own.keys():
            return
        self._told = shape.marks
        self._own = {
            at: self._own.get(at) or Mark(at, MarkKind.LOST, gone_words(missing), missing, when)
            for at, missing in gone.items()
        }
        self._marks = sorted((*shape.marks, *self._own.values()), key=lambda mark: mark.at)
        self._places = [mark.at for mark in self._marks]

    def between(self, after: Place | None, upto: Place | None) -> tuple[Mark, ...]:
        """The marks behind `after` (None: from the beginning) and not behind `upto` (None: to the end)."""
        begin = 0 if after is None else bisect_right(self._places, after)
        end = len(self._places) if upto is None else bisect_right(self._places, upto)
        return tuple(self._marks[begin:end])


def _gone(shape: Shape) -> list[tuple[Place, int | None]]:
    """Where something is missing that no mark tells of, and how many bytes, None where that is unknown."""
    found: list[tuple[Place, int | None]] = []
    for index, generation in enumerate(shape.generations):
        missing = None if index == 0 and generation.number > 0 else generation.first
        begin = Place(generation.number, generation.first)
        low = Place(generation.number, 0) if index else Place(-1, 0)
        told = any(mark.kind is MarkKind.LOST and low <= mark.at <= begin for mark in shape.marks)
        # It may begin behind what was shown of the same file before
        told = told or (index > 0 and any(_turned(mark) and mark.at == begin for mark in shape.marks))
        if generation.first >= generation.size:  # nothing of it is left to stand behind a mark
            told = told or any(
                mark.kind in _CUTS and mark.at == Place(generation.number + 1, 0) for mark in shape.marks
            )
        if missing != 0 and not told:
            found.append((begin, missing))
    return found


def _turned(mark: Mark) -> bool:
    """Whether a content begins there of which nothing is missing."""
    return mark.missing == 0 and mark.kind in (MarkKind.ROTATED, MarkKind.REPOINTED, *_CUTS)


def gone_words(missing: int | None) -> str:
    """What a row of ours says of bytes that are gone, so many of them, None where that is unknown."""
    return "earlier lines are gone" if missing is None else f"{missing:,} earlier bytes are gone"
