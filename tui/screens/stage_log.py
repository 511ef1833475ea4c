"""The log of one repeat on a screen of its own; Escape comes back to the stage."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from hosts.errors import GatewatchError
from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from tui import keys
from tui.app import GatewatchApp
from tui.cells import shorten
from tui.keyline import KeyLine
from tui.logs.pane import LogPane
from tui.screens.leaving import leave
from tui.screens.stage_text import safe
from tui.screens.subject import RunPlace

_EARLY_S = 2.0  # that keys wait at most for a log that takes its time: one may want to leave


class LookWanted(Message):
    """Somebody wants a host looked at now, however long it was to be left alone.

    Attributes:
        host: Its name.
    """

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host


class RepeatLog(LogPane):
    """A log pane that is left with Escape, once nothing in it is open."""

    TITLED = True
    BINDINGS: ClassVar[list[BindingType]] = []

    def action_back(self) -> None:
        """One layer back, and out of the innermost one."""
        if self.view.selection is not None or self.detail.is_open:
            super().action_back()
        elif not self.drop_find():
            if self.view.current is not None:
                self.view.set_current(None)
            else:
                leave(self.screen)


class RepeatLogScreen(Screen[None]):
    """One log.

    Args:
        place: Whose.
        log: Its path, relative to the run directory or absolute.
        title: Whose it is, in a few words.
    """

    PANE = "tail"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("tail")]
    DEFAULT_CSS = """
    RepeatLogScreen { layout: vertical; }
    RepeatLogScreen #repeat-log-title { height: 1; background: $panel; padding: 0 1; }
    """

    def __init__(self, place: RunPlace, log: str, title: str) -> None:
        super().__init__()
        self._place = place
        self._path = posixpath.join(place.run_dir, log)
        self._title = title
        self._log = log
        self.log_pane: RepeatLog | None = None
        self._waiting = ExitStack()

    def compose(self) -> ComposeResult:
        app = self.app
        assert isinstance(app, GatewatchApp)
        yield Static(id="repeat-log-title", markup=False)
        self.log_pane = RepeatLog(now=app.now, zone=app.zone, id="log")
        yield self.log_pane
        yield KeyLine()

    def on_mount(self) -> None:
        assert self.log_pane is not None
        self.log_pane.view.focus()
        app = self.app
        assert isinstance(app, GatewatchApp)
        self._waiting.enter_context(app.keys_waiting())  # the letters of what to find are commands elsewhere
        self.set_timer(_EARLY_S, self._waiting.close)
        opening: Callable[[], Awaitable[None]] = self._open
        self.run_worker(opening, group="open", exit_on_error=False)

    def on_unmount(self) -> None:
        self._waiting.close()

    def on_resize(self) -> None:
        title = safe(self._title)
        room = max(1, self.size.width - len(title) - 4)
        path = shorten(safe(self._log), room)
        self.query_one("#repeat-log-title", Static).update(
            Content.assemble((title, "bold $text-primary"), ("  " + path, "$text-muted"))
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a host to try only where the log is on one."""
        return self._place.connect is not None if action == "look" else super().check_action(action, parameters)

    def action_look(self) -> None:
        """Try the log's host now; the log sees it when that answers."""
        self.post_message(LookWanted(self._place.host))
        if self.log_pane is not None and self.log_pane.model is not None:
            self.log_pane.model.source.watch(True)  # whoever asks sees it

    async def _open(self) -> None:
        far = self._place.host if self._place.connect is not None else None
        app, pane = self.app, self.log_pane
        assert isinstance(app, GatewatchApp)
        assert pane is not None
        with self._waiting:
            try:
                source = await open_source(Target(far, self._path), self._place.connect)
            except GatewatchError as error:
                app.notify(str(error), severity="error", markup=False)
                leave(self)
            else:
                await pane.show_log(LogModel(source, now=app.now, zone=app.zone))
