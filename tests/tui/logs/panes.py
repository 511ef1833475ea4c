"""A log pane in an app without a terminal, over a log in memory, with clocks that stand still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from textual.pilot import Pilot

from monitors.logs.model import LogModel
from monitors.logs.types import Place
from tests.monitors.logs.memory import BEGAN_AT, MemorySource
from tests.tui.snapshots import text
from tui.logs.pane import LogPane
from tui.logs.screen import TailApp, Wish

PATIENCE_S = 30.0


class FrozenApp(TailApp):
    """One whose clocks stand still."""

    def __init__(self, make: Callable[[], Any], wish: Wish | None = None, **options: Any) -> None:
        super().__init__(make, wish, **options)
        self.now = lambda: BEGAN_AT
        self.zone = UTC
        self.log_pane = LogPane(now=self.now, zone=UTC, id="log")


class Desk:
    """What a test sees and does."""

    def __init__(self, app: TailApp, pilot: Pilot[Any], source: MemorySource) -> None:
        self.app = app
        self.pilot = pilot
        self.source = source

    @property
    def pane(self) -> LogPane:
        return self.app.log_pane

    @property
    def rows(self) -> list[str]:
        """The rows of the screen."""
        return text(self.app)

    @property
    def lines(self) -> list[str]:
        """The text of the log that is on screen, without what stands around it."""
        return [row.shown.text for row in self.pane.view.rows]

    @property
    def top(self) -> Place | None:
        """Where the screen begins."""
        return self.pane.view.rows[0].line.at if self.pane.view.rows else None

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, words: str) -> None:
        """Key by key."""
        names = {" ": "space", "!": "exclamation_mark", "-": "minus", "%": "percent_sign", ":": "colon"}
        await self.press(*(names.get(letter, letter) for letter in words))

    async def until(self, true: Callable[[], Any], what: str = "what was waited for") -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"not within {PATIENCE_S:.0f} s: {what}\n" + "\n".join(self.rows)
            await self.pilot.pause(0.02)

    async def settled(self) -> None:
        """Nothing more is coming: the screen stayed the same over several looks."""
        same, last = 0, self.rows
        end = time.monotonic() + PATIENCE_S
        while same < 3:
            await self.pilot.pause(0.08)
            now = self.rows
            same, last = (same + 1, now) if now == last else (0, now)
            assert time.monotonic() < end, "the screen does not come to rest"


@asynccontextmanager
async def desk(
    data: bytes | None, size: tuple[int, int] = (80, 24), wish: Wish | None = None, **options: Any
) -> AsyncIterator[Desk]:
    """A pane that shows a log."""
    source = MemorySource(data)

    async def make() -> LogModel:
        await asyncio.sleep(0)
        return LogModel(source, now=lambda: BEGAN_AT, zone=UTC)

    app = FrozenApp(make, wish, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        made = Desk(app, pilot, source)
        await made.until(lambda: made.pane.model is not None)
        await made.settled()
        yield made


def numbered(count: int, first: int = 1) -> bytes:
    """So many lines that say their number."""
    return b"".join(b"line %d\n" % number for number in range(first, first + count))
