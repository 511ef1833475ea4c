"""What hostile text may cost: where that grows with the square of its size, a megabyte takes hours."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIZE = 1 << 17
"""Bytes of a hostile text: a look at each takes a hundredth of `MOST_S`, and a look at each from each many times it."""

MOST_S = 10.0
"""Seconds of the processor."""

UNBOUNDED = 1 << 30
"""In the place of a bound, so that it is not what makes a text cheap."""


def hostile(unit: bytes, end: bytes = b"") -> bytes:
    """A long text of one thing over and over."""
    return unit * (SIZE // len(unit)) + end


@contextlib.contextmanager
def little_work() -> Iterator[None]:
    """Break off what takes too much of the processor; that others take theirs meanwhile does not count."""

    def too_much(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it took more than {MOST_S:g} s of the processor")

    before = signal.signal(signal.SIGPROF, too_much)
    signal.setitimer(signal.ITIMER_PROF, MOST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
