"""Deadlines that stand still while a person is asked for a secret: how long one types tells nothing of a host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator


class Questions:
    """The questions that a person is asked, and the deadlines that stand still until they are answered."""

    def __init__(self) -> None:
        self._open = 0
        self._patient: set[Patience] = set()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """For as long as this lasts, a person is being asked for something."""
        self._open += 1
        if self._open == 1:
            for one in self._patient:
                one.stand_still()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                for one in self._patient:
                    one.go_on()

    @contextlib.contextmanager
    def waiting(self, patience: Patience) -> Iterator[None]:
        """For as long as this lasts, a deadline comes nearer while nobody is asked."""
        self._patient.add(patience)
        if not self._open:
            patience.go_on()
        try:
            yield
        finally:
            self._patient.discard(patience)
            patience.stand_still()


class Patience:
    """What is left of a deadline.

    Args:
        seconds: How long it is.
        questions: Those that it waits for.

    Attributes:
        left: Seconds that are left, as of the end of the last `limit`.
    """

    def __init__(self, seconds: float, questions: Questions) -> None:
        self.left = seconds
        self._questions = questions
        self._timeout: asyncio.Timeout | None = None
        self._end: float | None = None

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncGenerator[None]:
        """Have this last no longer than what is left, without the time in which a person is asked for whichever host.

        Raises:
            TimeoutError: It took longer.
        """
        async with asyncio.timeout(None) as self._timeout:
            with self._questions.waiting(self):
                yield

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
