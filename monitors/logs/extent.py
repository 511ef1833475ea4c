"""Which part of a log lies before a place, all of its generations taken as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitors.logs.types import Generation, Place


def size(generations: Iterable[Generation]) -> int:
    """Bytes that can be read."""
    return sum(one.size - one.first for one in generations)


def fraction(generations: Sequence[Generation], at: Place) -> float:
    """Which part of the bytes that can be read lies before a place, from 0 to 1."""
    before, total = 0, size(generations)
    for generation in generations:
        if generation.number < at.generation:
            before += generation.size - generation.first
        elif generation.number == at.generation:
            before += max(0, min(at.offset, generation.size) - generation.first)
    return before / total if total else 0.0


def at_fraction(generations: Sequence[Generation], share: float) -> Place | None:
    """The place that has this part of the bytes before it; None at the end."""
    left = round(max(0.0, min(1.0, share)) * size(generations))
    for generation in generations:
        if left < generation.size - generation.first:
            return Place(generation.number, generation.first + left)
        left -= generation.size - generation.first
    return None
