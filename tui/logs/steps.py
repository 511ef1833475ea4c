"""From line to line, one step after the other, however fast the keys come that ask for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from tui.logs.arrived import Later

Step = Callable[[], Awaitable[None]]


class Steps:
    """Takes each step from where the ones before it led.

    Args:
        later: Does what waits, given it and its group.
    """

    def __init__(self, later: Later) -> None:
        self._later = later
        self._going: object | None = None
        self._waiting: deque[Step] = deque()

    def go_on(self, step: Step) -> None:
        """Go on from where the steps before this one lead: keys may come faster than lines are found."""
        if self._going is not None:
            self._waiting.append(step)
        else:
            self.begin(step)

    def begin(self, step: Step) -> None:
        """Take this step now; those before it are given up."""
        self._going = ours = object()
        self._waiting.clear()

        async def go() -> None:
            try:
                await step()
                while self._waiting and self._going is ours:
                    await self._waiting.popleft()()
            finally:
                if self._going is ours:  # and no newer one has taken its place
                    self._going = None

        self._later(go, "find")

    def forget(self) -> None:
        """Those that wait are not taken any more."""
        self._going = None
        self._waiting.clear()
