"""Telling whoever listens that something changed, not too often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

INTERVAL = 1 / 30
"""Seconds between two calls of a listener, at least."""


class Listeners:
    """Calls what was given to it soon after it was told of a change."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = float("-inf")
        self._pending: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Use the running loop; nobody is called before."""
        self._loop = asyncio.get_running_loop()

    def add(self, call: Callable[[], None]) -> Callable[[], None]:
        """One more; gives what takes it out again."""
        self._calls.append(call)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                self._calls.remove(call)

        return remove

    def tell(self) -> None:
        """Something changed."""
        if self._loop is not None and self._pending is None:
            self._pending = self._loop.call_later(max(0.0, self._told + INTERVAL - self._loop.time()), self._deliver)

    def close(self) -> None:
        """Call nobody any more."""
        if self._pending is not None:
            self._pending.cancel()
        self._calls.clear()

    def _deliver(self) -> None:
        assert self._loop is not None
        self._pending = None
        self._told = self._loop.time()
        for call in tuple(self._calls):
            call()
