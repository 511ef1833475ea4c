"""What a test of a screen sits at: it sees rows, presses keys, and waits for what will come."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, TypeVar

from textual.app import App
from textual.pilot import Pilot

from tests.tui.snapshots import SIZES, text

A = TypeVar("A", bound=App[Any])

PATIENCE_S = 40.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.1  # what is looked at is the whole screen, most times
_REST_S = 0.08
_KEYS = {" ": "space", "!": "exclamation_mark", "-": "minus", "%": "percent_sign", ":": "colon", ".": "full_stop"}


class Desk(Generic[A]):
    """An app without a terminal, and whoever uses it."""

    def __init__(self, app: A, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def rows(self) -> list[str]:
        """The rows of the screen."""
        return text(self.app)

    @property
    def shown(self) -> str:
        """All of them."""
        return "\n".join(self.rows)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, words: str) -> None:
        """Key by key."""
        await self.press(*(_KEYS.get(letter, letter) for letter in words))

    async def until(self, true: Callable[[], Any], what: str = "what was waited for") -> None:
        """Wait for something that will come; what broke the app meanwhile is raised."""
        end, pause = time.monotonic() + PATIENCE_S, _FIRST_PAUSE_S
        while not true():
            failure = getattr(self.app, "failure", None)
            if failure is not None:
                raise failure
            assert time.monotonic() < end, f"not within {PATIENCE_S:.0f} s: {what}\n{self.shown}"
            await self.pilot.pause(pause)
            pause = min(pause * 1.1, _LONGEST_PAUSE_S)

    async def settled(self) -> None:
        """Nothing more is coming: the screen stayed the same over several looks."""
        same, last = 0, self.rows
        end = time.monotonic() + PATIENCE_S
        while same < 3:
            await self.pilot.pause(_REST_S)
            now = self.rows
            same, last = (same + 1, now) if now == last and not self.busy else (0, now)
            assert time.monotonic() < end, f"the screen does not come to rest\n{self.shown}"

    async def sizes(self, sizes: Sequence[tuple[int, int]] = SIZES) -> AsyncIterator[tuple[int, int]]:
        """Give the window one size after the other, and be at rest in each: what is shown hangs on no other size."""
        for size in sizes:
            await self.pilot.resize_terminal(*size)
            await self.settled()
            yield size

    @property
    def busy(self) -> bool:
        """Whether more is coming, however the screen looks."""
        return False
