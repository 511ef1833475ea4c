"""The screen of a run in an app without a terminal, and what a test does at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Static

from tests.tui.desks import Desk
from tests.tui.screens.runs import RunBench
from tui.app import GatewatchApp
from tui.screens.run import RunScreen
from tui.screens.store import GlanceStore
from tui.screens.subject import RunLook

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


class RunDesk(Desk[RunApp]):
    """The screen of a run, and whoever uses it."""

    def __init__(self, app: RunApp, pilot: Pilot[Any], bench: RunBench) -> None:
        super().__init__(app, pilot)
        self.bench = bench
        self.messages: list[Message] = []

    @property
    def screen(self) -> RunScreen:
        return self.app.run_screen

    @property
    def busy(self) -> bool:
        return any(worker.group in _SHORT for worker in self.app.workers)

    async def show(self, look: RunLook) -> None:
        """Hand the screen a look, as the dashboard does."""
        self.screen.show(look)
        await self.pilot.pause()


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
