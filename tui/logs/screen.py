"""One log on a screen of its own: `gatewatch tail`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Event, InputEvent, Paste
from textual.screen import Screen

from hosts.errors import GatewatchError
from monitors.logs.model import LogModel
from tui import keys, shims
from tui.app import GatewatchApp
from tui.keyline import KeyLine
from tui.logs.canvas import Look
from tui.logs.filterpart import Chosen
from tui.logs.goto import Goal
from tui.logs.pane import LogPane
from tui.logs.toolate import NO_TIMES, why_not

Again = Callable[[], Awaitable[None]]

_QUICK_S = 0.25  # that a log may take to open before the empty pane is shown
_LONG_S = 3600.0
_EARLY_S = 2.0  # that keys wait at most


@dataclass(frozen=True)
class Wish:
    """How a log is to be shown at first.

    Attributes:
        look: Wrapped, with numbers, with times.
        chosen: What is shown and what is hidden.
        since, until: As typed, with what it means.
    """

    look: Look = field(default_factory=Look)
    chosen: Chosen = field(default_factory=Chosen)
    since: tuple[str, Goal] | None = None
    until: tuple[str, Goal] | None = None


class LogScreen(Screen[None]):
    """A pane, and the keys that matter in it.

    Args:
        pane: Shows the log.
        again: Tries the log's host, however long it was to be left alone; None where the log is on no other host.
    """

    PANE = "tail"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("tail")]
    DEFAULT_CSS = "LogScreen { layout: vertical; }"

    def __init__(self, pane: LogPane, again: Again | None = None) -> None:
        super().__init__()
        self.log_pane = pane
        self._again = again

    def compose(self) -> ComposeResult:
        yield self.log_pane
        yield KeyLine()

    def on_mount(self) -> None:
        self.log_pane.view.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a host to try only where the log is on one."""
        return self._again is not None if action == "look" else super().check_action(action, parameters)

    def action_look(self) -> None:
        """Try the log's host now."""
        if self._again is not None:
            self.log_pane.later(self._again, "again")


class TailApp(GatewatchApp):
    """Shows one log until somebody leaves.

    Args:
        make: Opens the log, on the app's own event loop.
        wish: How it is to be shown at first.
        early: Rows of the log are on the terminal already, so that keys may mean what is seen there: they wait until
            the same rows are ours.
        again: As of `LogScreen`.
    """

    # What is told must not hide the end of the log, nor which hit of how many the row below it names
    CSS = f"{GatewatchApp.CSS} LogScreen ToastRack {{ dock: top; align: right top; margin: 0 2 0 0; }}"

    def __init__(
        self,
        make: Callable[[], Awaitable[LogModel]],
        wish: Wish | None = None,
        *,
        ascii_only: bool = False,
        early: bool = False,
        again: Again | None = None,
    ) -> None:
        super().__init__(ascii_only=ascii_only)
        self._again = again
        self._make = make
        self._wish = wish or Wish()
        self._waiting: list[InputEvent | Paste] | None = [] if early else None
        self.log_pane = LogPane(now=self.now, zone=self.zone, id="log")

    def get_default_screen(self) -> Screen[None]:
        """The only one."""
        return LogScreen(self.log_pane, self._again)

    async def on_mount(self) -> None:
        """Open the log; a log that cannot be opened ends the app with its one line."""
        if self._waiting is not None:
            self.set_timer(_EARLY_S, self._let_in)
        opening = asyncio.ensure_future(self._make())
        await asyncio.wait({opening}, timeout=_QUICK_S)
        if opening.done():
            await self._show(opening.result())
        else:
            later: Callable[[], Awaitable[None]] = partial(self._show_later, opening)
            self.run_worker(later, exit_on_error=False)

    async def _show_later(self, opening: asyncio.Future[LogModel]) -> None:
        """Show a log that takes its time: keys are heard meanwhile, and a host may ask for a passphrase."""
        self.notify("no answer yet", title="opening the log", timeout=_LONG_S)
        try:
            model = await opening
        except GatewatchError as error:
            self.failure = error
            shims.stop(self)
            return
        self.clear_notifications()
        await self._show(model)

    async def _show(self, model: LogModel) -> None:
        pane, wish = self.log_pane, self._wish
        pane.view.show_as(wish.look)
        pane.chosen = wish.chosen
        await pane.show_log(model)
        if wish.since is not None or wish.until is not None:
            pane.later(self._bounds, "bounds")

    async def on_event(self, event: Event) -> None:
        """Keep what is pressed before there are rows."""
        if self._waiting is not None and isinstance(event, (InputEvent, Paste)) and not event.is_forwarded:
            self._waiting.append(event)
        else:
            await super().on_event(event)

    async def on_log_view_changed(self) -> None:
        """There are rows, or there is a reason why not."""
        if self._waiting is not None:
            await self._let_in()

    async def _let_in(self) -> None:
        waiting, self._waiting = self._waiting, None
        for event in waiting or ():
            await super().on_event(event)

    async def _bounds(self) -> None:
        """Find the times that were asked for, once there is a log."""
        pane = self.log_pane
        model = pane.model
        if model is None:
            return
        await _is_there(model)
        for kind, asked in (("since", self._wish.since), ("until", self._wish.until)):
            if asked is None:
                continue
            text, goal = asked
            meant = await pane.meant(goal, upto=kind == "until")
            if meant.time is None or await model.at_time(meant.time) is not None:
                await pane.bound_to(kind, text, goal)
                continue
            why = await why_not(model, meant.time, self.zone) if model.state.bytes else ""
            if kind == "since" and why != NO_TIMES:  # what comes from now on is later
                await pane.bound_to(kind, text, Goal(share=1.0))
            if why and (kind == "since" or why == NO_TIMES or goal.clock):
                pane.say(f"{kind} {text}: {why}")


async def _is_there(model: LogModel) -> None:
    """Wait until there is something of a log."""
    changed = asyncio.Event()
    unlisten = model.listen(changed.set)
    try:
        while not model.state.shape.generations:
            changed.clear()
            await changed.wait()
    finally:
        unlisten()
