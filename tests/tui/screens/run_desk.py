"""The screen of a run in an app without a terminal, and what a test does at it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Static

from tests.tui.screens.runs import RunBench
from tests.tui.snapshots import text
from tui.app import GatewatchApp
from tui.screens.run import RunScreen
from tui.screens.store import GlanceStore
from tui.screens.subject import RunLook

PATIENCE_S = 30.0
_SHORT = ("open", "run.log", "keep")  # groups of workers that come to an end


class RunApp(GatewatchApp):
    """An app that shows one run, with the clock of its bench."""

    def __init__(self, bench: RunBench, screen: RunScreen, **options: Any) -> None:
        super().__init__(now=lambda: bench.now, zone=UTC, **options)
        self.run_screen = screen

    def compose(self) -> Any:
        """Home, below."""
        yield Static("home")

    async def on_mount(self) -> None:
        """Go in at once."""
        await self.push_screen(self.run_screen)


class RunDesk:
    """What a test sees and does."""

    def __init__(self, app: RunApp, pilot: Pilot[Any], bench: RunBench) -> None:
        self.app = app
        self.pilot = pilot
        self.bench = bench
        self.messages: list[Message] = []

    @property
    def screen(self) -> RunScreen:
        return self.app.run_screen

    @property
    def rows(self) -> list[str]:
        """The rows of the terminal."""
        return text(self.app)

    @property
    def shown(self) -> str:
        """All of them."""
        return "\n".join(self.rows)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def show(self, look: RunLook) -> None:
        """Hand the screen a look, as the dashboard does."""
        self.screen.show(look)
        await self.pilot.pause()

    async def until(self, true: Callable[[], Any], what: str = "what was waited for") -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"not within {PATIENCE_S:.0f} s: {what}\n{self.shown}"
            await self.pilot.pause(0.02)

    async def settled(self) -> None:
        """Nothing more is coming: the screen stayed the same over several looks."""
        same, last = 0, self.rows
        end = time.monotonic() + PATIENCE_S
        while same < 3:
            await self.pilot.pause(0.05)
            now, busy = self.rows, any(worker.group in _SHORT for worker in self.app.workers)
            same, last = (same + 1, now) if now == last and not busy else (0, now)
            assert time.monotonic() < end, "the screen does not come to rest"


@asynccontextmanager
async def run_desk(
    bench: RunBench,
    look: RunLook | None = None,
    size: tuple[int, int] = (80, 24),
    *,
    read_only: bool = True,
    store: GlanceStore | None = None,
    title: str = "qwen3-omni r5",
    host: str = "h20-a",
    **options: Any,
) -> AsyncIterator[RunDesk]:
    """A run on a screen; `look` is what is seen first."""
    screen = RunScreen(bench.place(read_only=read_only, title=title, host=host), store)
    app = RunApp(bench, screen, **options)
    heard: list[Message] = []
    async with app.run_test(size=size, notifications=True, message_hook=heard.append) as pilot:
        desk = RunDesk(app, pilot, bench)
        desk.messages = heard
        await desk.until(lambda: screen.is_current and screen.is_mounted)
        if look is not None:
            await desk.show(look)
        await desk.settled()
        yield desk
