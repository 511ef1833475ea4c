"""The two panes of a run in an app without a terminal, over a run that a test writes, with a clock that stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from typing import Any

from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen

from monitors.calibration.body import Supervision
from tests.tui.desks import Desk
from tests.tui.screens.runs import RunBench
from tui.app import GatewatchApp
from tui.keyline import KeyLine
from tui.screens.job import JobPane
from tui.screens.subject import RunLook, RunPlace
from tui.screens.supervision import SupervisionPane

PATIENCE_S = 8.0


class PaneScreen(Screen[None]):
    """Both panes, one above the other."""

    def __init__(self, place: RunPlace, job_rows: int) -> None:
        super().__init__()
        self.supervision = SupervisionPane(place, id="supervision")
        self.job = JobPane(place, id="job")
        self._rows = job_rows

    def compose(self) -> ComposeResult:
        yield self.supervision
        yield self.job
        yield KeyLine()

    def on_mount(self) -> None:
        if self._rows:
            self.job.styles.height = self._rows


class PaneApp(GatewatchApp):
    """Shows them."""

    def __init__(self, place: RunPlace, job_rows: int, **options: Any) -> None:
        super().__init__(**options)
        self.panes = PaneScreen(place, job_rows)

    def get_default_screen(self) -> Screen[None]:
        return self.panes


class Panes(Desk[PaneApp]):
    """Both panes, and whoever uses them."""

    def __init__(self, app: PaneApp, pilot: Pilot[Any], bench: RunBench) -> None:
        super().__init__(app, pilot)
        self.bench = bench

    @property
    def supervision(self) -> SupervisionPane:
        return self.app.panes.supervision

    @property
    def job(self) -> JobPane:
        return self.app.panes.job

    @property
    def lines(self) -> list[str]:
        """The lines of the log that are on screen."""
        return [row.shown.text for row in self.supervision.log_pane.view.rows]

    @property
    def milestones(self) -> list[str]:
        """The rows of the job pane, without their title."""
        region = self.job.region
        return [row for row in self.rows[region.y + 1 : region.bottom] if row.strip()]

    def show(self, look: RunLook | None = None) -> RunLook:
        """Both panes are given a look: a new one, or this."""
        look = look if look is not None else self.bench.look()
        self.supervision.show(look)
        self.job.show(look)
        return look

    def supervise(
        self, how: str, log: str | None, name: str = "a run 1", since: float | None = None, look: RunLook | None = None
    ) -> RunLook:
        """A look whose supervision is made up."""
        look = look if look is not None else self.bench.look()
        body = replace(look.snapshot.body, supervision=Supervision(how, log, name, since))
        return self.show(RunLook(replace(look.snapshot, body=body), None))

    async def heard(self, line: str) -> None:
        """A line is on screen, and whoever listens to the log was told of it at the time that it is now.

        The view reads ahead of the news: it may show a line before the news of it went round.
        """
        await self.until(lambda: line in self.lines, line)
        model = self.supervision.log_pane.model
        assert model is not None
        told = asyncio.Event()
        unlisten = model.listen(told.set)  # the pane itself listens already, and is told first
        model.filter(None)  # as before, and told to all
        await asyncio.wait_for(told.wait(), PATIENCE_S)
        unlisten()


@asynccontextmanager
async def panes(
    bench: RunBench, size: tuple[int, int] = (100, 30), *, job_rows: int = 0, place: RunPlace | None = None, **more: Any
) -> AsyncIterator[Panes]:
    """Both panes over a run; the app's clock is the run's."""
    app = PaneApp(place or bench.place(), job_rows, now=lambda: bench.now, zone=UTC, **more)
    async with app.run_test(size=size, notifications=True) as pilot:
        made = Panes(app, pilot, bench)
        await pilot.pause()
        yield made
