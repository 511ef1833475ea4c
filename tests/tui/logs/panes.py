"""A log pane in an app without a terminal, over a log in memory, with clocks that stand still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from textual.pilot import Pilot

from monitors.logs.model import LogModel
from monitors.logs.types import Place
from tests.monitors.logs.memory import BEGAN_AT, MemorySource
from tests.tui.desks import Desk
from tui.logs.pane import LogPane
from tui.logs.screen import TailApp, Wish


class FrozenApp(TailApp):
    """One whose clocks stand still."""

    def __init__(self, make: Callable[[], Any], wish: Wish | None = None, **options: Any) -> None:
        super().__init__(make, wish, **options)
        self.now = lambda: BEGAN_AT
        self.zone = UTC
        self.log_pane = LogPane(now=self.now, zone=UTC, id="log")


class PaneDesk(Desk[FrozenApp]):
    """A pane of a log, and whoever uses it."""

    def __init__(self, app: FrozenApp, pilot: Pilot[Any], source: MemorySource) -> None:
        super().__init__(app, pilot)
        self.source = source

    @property
    def pane(self) -> LogPane:
        return self.app.log_pane

    @property
    def lines(self) -> list[str]:
        """The text of the log that is on screen, without what stands around it."""
        return [row.shown.text for row in self.pane.view.rows]

    @property
    def top(self) -> Place | None:
        """Where the screen begins."""
        return self.pane.view.rows[0].line.at if self.pane.view.rows else None

    def forget(self) -> None:
        """Of the log's bytes none is held any more: each has to be read."""
        assert self.pane.model is not None
        pages = self.pane.model._pages
        pages._pages.clear()
        pages.held = 0


@asynccontextmanager
async def desk(
    data: bytes | None, size: tuple[int, int] = (80, 24), wish: Wish | None = None, **options: Any
) -> AsyncIterator[PaneDesk]:
    """A pane that shows a log."""
    source = MemorySource(data)

    async def make() -> LogModel:
        await asyncio.sleep(0)
        return LogModel(source, now=lambda: BEGAN_AT, zone=UTC)

    app = FrozenApp(make, wish, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        made = PaneDesk(app, pilot, source)
        await made.until(lambda: made.pane.model is not None)
        await made.settled()
        yield made


def numbered(count: int, first: int = 1) -> bytes:
    """So many lines that say their number."""
    return b"".join(b"line %d\n" % number for number in range(first, first + count))
