"""A log in a pane: the view, its bar, its chips, its status line and its line for typing, wired together.

A pane is made once and shown many logs, one after the other: a dashboard points it at the next log and keeps the
pane, since mounting anew costs and leaves watchers behind.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.geometry import Size
from textual.reactive import Reactive
from textual.timer import Timer

from hosts.errors import GatewatchError
from monitors.logs.model import LogModel
from monitors.logs.types import LogState, Place, Status
from tui import words
from tui.app import GatewatchApp
from tui.logs.chips import FilterChips
from tui.logs.reader import Reader
from tui.logs.scrollbar import ByteBar, Span
from tui.logs.status import Facts, sentence
from tui.logs.statusline import StatusLine
from tui.logs.view import LogView
from tui.logs.viewport import Anchor

if TYPE_CHECKING:
    from textual.worker import Worker

    from tui.logs.askbar import AskBar, Typed

_AGING = (Status.WAITING, Status.STALE, Status.DENIED, Status.FAILED)
_FORESEEN_S = 1.0  # after a log is there
_SIDE_EVERY = 0.1  # seconds between two paints of what stands around the log


class _Body(Horizontal):
    virtual_size = Reactive(Size(0, 0), repaint=False)  # nothing scrolls here: a new size needs no second layout


class PaneBase(Vertical):
    """What every part of a log pane stands on.

    Args:
        now: Our clock, seconds since the epoch.
        clock: What frames are timed by, seconds.
        zone: Of times that are shown; None for the machine's own.

    Attributes:
        model: The log, None before there is one.
    """

    PANE = "log"
    TITLED = False
    HELP_TITLE = "log"
    DEFAULT_CSS = """
    PaneBase { width: 1fr; height: 1fr; }
    PaneBase > #log-body { width: 1fr; height: 1fr; }
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        zone: tzinfo | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.now, self.clock, self.zone = now, clock, zone
        self.model: LogModel | None = None
        self.view = LogView(now=now, clock=clock, id="log-view")
        self.bar = ByteBar(id="log-bar")
        self.chips = FilterChips(id="log-chips")
        self.status = StatusLine(id="log-status")
        self._asking: AskBar | None = None
        self._making = asyncio.Lock()
        self._foreseen = False
        self._reading: Worker[None] | None = None
        self._unlisten: Callable[[], None] | None = None
        self._doing = ""
        self._problem = ""
        self._answered = ""  # what was told last, which goes with the next key
        self._empty = False  # that there is nothing was said
        self._counted = False  # it was said how many lines there are, or had to be
        self._side: Timer | None = None
        self._aging: Timer | None = None

    def compose(self) -> ComposeResult:
        yield self.chips
        with _Body(id="log-body"):
            yield self.view
            yield self.bar
        yield self.status

    # Which log.

    @property
    def reader(self) -> Reader | None:
        return self.view.reader

    async def show_log(self, model: LogModel) -> None:
        """Show this log from now on; the pane closes it. The one that was shown before is closed."""
        await self.close_log()
        self.model = model
        self._problem = ""
        reader = self.view.open(model)
        self.opened(model)
        # A model calls from wherever its news came from; what follows needs the app's own context.
        self._unlisten = model.listen(lambda: self.soon(self._news))
        self._reading = self.run_worker(partial(self._run, model, reader), group="log", exit_on_error=False)

    async def close_log(self) -> None:
        """Let go of the log; what is on screen stays until there is another."""
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        model, self.model = self.model, None
        if model is not None:
            self.closing()
            await model.close()

    def opened(self, model: LogModel) -> None:
        """Another log is shown: parts of the pane forget what they knew."""

    def closing(self) -> None:
        """The log is about to be closed."""

    async def on_unmount(self) -> None:
        await self.close_log()

    async def _run(self, model: LogModel, reader: Reader) -> None:
        """Read the log until the pane shows another; what goes wrong is told in the status line."""
        try:
            await model.start()
            self.say_status()
            if reader.following:  # else somebody was quicker, and has asked for another place
                reader.end()
            if not self._foreseen:
                self._foreseen = True
                self.set_timer(_FORESEEN_S, self._foresee)
            await reader.run()
        except GatewatchError as error:
            self._problem = str(error)
            self.say_status()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A part of the pane broke: say so, and go on with the others."""
        from textual.worker import WorkerState

        if event.state is WorkerState.ERROR:
            event.stop()
            error = event.worker.error
            self._problem = f"unexpected {type(error).__name__}: {error}"
            self.say_status()

    # What it says.

    def say(self, text: str, *, bad: bool = False) -> None:
        """Tell a person something in passing."""
        self.app.notify(text, severity="error" if bad else "information", markup=False)

    def answer(self, text: str, *, bad: bool = False) -> None:
        """Tell a person what came of something that they asked for, until they ask for something else."""
        self._take_back()
        self.say(text, bad=bad)
        self._answered = text

    def on_key(self) -> None:
        """Something else is asked for."""
        self._take_back()

    def _take_back(self) -> None:
        if self._answered and isinstance(self.app, GatewatchApp):
            self.app.untell(self._answered)
        self._answered = ""

    def doing(self, text: str) -> None:
        """What takes a while just now, or ""."""
        self._doing = text
        self.say_status()

    def back_to(self, following: bool, anchor: Anchor | None) -> None:
        """Where one was: at the end, or with this row at the top."""
        reader = self.reader
        if reader is None:
            return
        if following:
            reader.end()
        elif anchor is not None:
            reader.show(anchor.place, above=-anchor.index)  # as many of the line's own rows lie above the screen

    def _news(self) -> None:
        reader = self.reader
        if reader is not None:
            reader.news()
            if not reader.shown:
                return
        state = self.model.state if self.model is not None else None
        counted = state is not None and state.lines is not None
        filled = self._empty and state is not None and state.bytes > 0
        if filled or (counted and not self._counted):
            self.say_status()  # beside rows that are there "Empty." would be untrue, however briefly
        self._counted = counted
        self._soon()

    def on_log_view_changed(self) -> None:
        self._soon()

    def on_status_line_room_changed(self, event: StatusLine.RoomChanged) -> None:
        event.stop()
        self.say_status()

    def _soon(self) -> None:
        """Say it all anew, a little later: news come in bursts."""
        if self._side is None:
            self._side = self.set_timer(_SIDE_EVERY, self._say_now)

    def _say_now(self) -> None:
        self._side = None
        self.say_status()

    def say_status(self) -> None:
        """Say it all anew."""
        if not self.is_mounted or self.model is None:
            return
        state = self.model.state
        self._empty = not state.bytes
        facts = self.facts(state)
        chip, aside = self.chip(), self.aside()
        self.status.say(sentence(state, facts, self.status.expect(chip, aside)), chip, aside)
        self.bar.show(self._span(), [self.model.fraction(place) for place in self.view.bookmarks])
        self._age(state, facts)

    def facts(self, state: LogState) -> Facts:
        """What the status line says of the view."""
        reader = self.reader
        rows = self.view.rows
        return Facts(
            following=reader is None or reader.following,
            let_go=reader.let_go.when if reader is not None and reader.let_go is not None else None,
            frozen=reader.frozen if reader is not None else None,
            fraction=self._span().top,
            number=next((row.line.number for row in rows if row.index >= 0), None),
            problem=self._problem or (reader.problem if reader is not None else ""),
            filtered=state.filter is not None,
            task=self._doing,
            now=self.now(),
            zone=self.zone,
            titled=self.TITLED,
        )

    def chip(self) -> str:
        """How much came since one let go of the end."""
        return ""

    def aside(self) -> str:
        """What stands at the right of the status line."""
        return ""

    def _span(self) -> Span:
        rows, model = self.view.rows, self.model
        if model is None or not rows:
            return Span()
        last = rows[-1].line
        bottom = model.fraction(Place(last.at.generation, last.end))
        top = 0.0 if self.reader is not None and self.reader.at_top else model.fraction(rows[0].line.at)
        return Span(top, bottom)

    def _age(self, state: LogState, facts: Facts) -> None:
        """Say it again when an age that is shown has grown; nothing ticks while all is well."""
        if self._aging is not None:
            self._aging.stop()
            self._aging = None
        if state.shape.status in _AGING and self.reader is not None and self.reader.shown:
            self._aging = self.set_timer(words.next_age(facts.now - state.shape.since), self.say_status)

    # The line for typing.

    async def ask(self, kind: str, typed: Typed | None = None) -> AskBar:
        """Open the line for typing; it takes the place of the status line, so that no row of the log moves."""
        asking = await self._ask_bar()
        if asking.kind == kind:
            asking.go_on()
            return asking
        if asking.kind:  # somebody went beside it: what it shows meanwhile is nothing that was chosen
            self.cancelled(asking.kind)
        self.status.display = False
        asking.open(kind, typed)
        return asking

    async def _ask_bar(self) -> AskBar:
        async with self._making:
            from tui.logs.askbar import AskBar  # the framework's field for input is not loaded before the first paint

            if self._asking is None:
                asking = AskBar(id="log-ask")
                await self.mount(asking, before=self.status)
                self._asking = asking
            return self._asking

    async def _foresee(self) -> None:
        """Make the line for typing before somebody does: that takes longer than a key may."""
        await asyncio.to_thread(importlib.import_module, "tui.logs.askbar")
        if self.is_mounted and self.app.is_running:
            await self._ask_bar()

    @property
    def asking(self) -> AskBar | None:
        """The line for typing while it is open."""
        return self._asking if self._asking is not None and self._asking.kind else None

    def cancelled(self, kind: str) -> None:
        """Nothing is taken of what was typed."""
        self.asked()

    def asked(self) -> None:
        """Close the line for typing."""
        if self._asking is not None:
            self._asking.close()
            self.status.display = True
            self.say_status()
            self.screen.set_focus(self.view)  # at once: the next key may have been typed already
            self._asking.settle()

    def seen(self, visible: bool) -> None:
        """Whether anybody sees the pane."""
        self.view.seen(visible)
        if visible:
            self.say_status()

    def soon(self, call: Callable[[], None]) -> None:
        """Have something called in the app's own context."""
        self.call_later(call)

    def later(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        """Do something that waits; a newer one of the same group takes its place, and its errors are told."""

        async def told() -> None:
            try:
                await work()
            except GatewatchError as error:
                self.say(str(error), bad=True)

        begin: Callable[[], Awaitable[None]] = told
        # The function and not its coroutine: a newer one may take its place before it was ever begun.
        self.run_worker(begin, group=group, exclusive=True, exit_on_error=False)


def cancel(task: asyncio.Task[None] | None) -> None:
    """End a task that may be there."""
    if task is not None:
        task.cancel()
