"""Deadlines that stand still while a person is asked for a secret: how long one types tells nothing of a host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from weakref import WeakKeyDictionary


class Patience:
    """What is left of a deadline.

    Args:
        seconds: How long it is.

    Attributes:
        left: Seconds that are left, as of the end of the last `limit`.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self._timeout: asyncio.Timeout | None = None
        self._end: float | None = None

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncGenerator[None]:
        """Have this last no longer than what is left, without the time in which a person is asked for whichever host.

        Raises:
            TimeoutError: It took longer.
        """
        waits = _here()
        async with asyncio.timeout(None) as self._timeout:
            waits.patient.add(self)
            if not waits.questions:
                self.go_on()
            try:
                yield
            finally:
                waits.patient.discard(self)
                self.stand_still()

    def stand_still(self) -> None:
        """Let the deadline wait."""
        if self._end is not None and self._timeout is not None:
            self.left = max(0.0, self._end - asyncio.get_running_loop().time())
            self._end = None
            if not self._timeout.expired():
                self._timeout.reschedule(None)

    def go_on(self) -> None:
        """Let the deadline come nearer again."""
        if self._timeout is not None and not self._timeout.expired():
            self._end = asyncio.get_running_loop().time() + self.left
            self._timeout.reschedule(self._end)


class _Waits:
    """Of one loop: how many questions are open, and what stands still until they are answered."""

    def __init__(self) -> None:
        self.questions = 0
        self.patient: set[Patience] = set()


_waits: WeakKeyDictionary[asyncio.AbstractEventLoop, _Waits] = WeakKeyDictionary()


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """For as long as this lasts, a person is being asked for something."""
    waits = _here()
    waits.questions += 1
    if waits.questions == 1:
        for one in waits.patient:
            one.stand_still()
    try:
        yield
    finally:
        waits.questions -= 1
        if not waits.questions:
            for one in waits.patient:
                one.go_on()


def _here() -> _Waits:
    return _waits.setdefault(asyncio.get_running_loop(), _Waits())
