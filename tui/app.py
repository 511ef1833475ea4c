"""What every screen app of ours stands on: keys from the one table, safe messages, a line where the window is small.

Text from outside never becomes markup here: `say` cleans it, and the framework's own `notify` is made to take plain
text alone (SAFETY T3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget

from tui import keys, shims, themes
from tui.exits import ExitCode
from tui.marks import Look
from tui.sanitise import clean, clean_inline, redact

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.notifications import SeverityLevel

LEAST = (80, 24)
"""Columns and rows that everything is reachable at."""


def _provider() -> type[Provider]:
    from tui.palette import Actions  # only an opened palette needs it

    return Actions


class GatewatchApp(App[int]):
    """The base of the app.

    Args:
        ascii_only: No glyph outside ASCII in what is ours.
        theme: One of `tui.themes`; by default the first, and without colours where NO_COLOR is set.
        now: Our clock, seconds since the epoch.
        zone: Of times that are shown; None for the machine's own.

    Attributes:
        failure: The error that ended the app, None while all is well.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *keys.bindings("app"),
        Binding("ctrl+q", "leave", show=False, priority=True, id="app.leave-always"),
    ]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_provider}
    CSS = """
    * { scrollbar-size-vertical: 1; }
    Toast { padding: 0 1; width: 72; max-width: 90%; }
    ToastRack { margin-bottom: 2; }
    """

    def __init__(
        self,
        *,
        ascii_only: bool = False,
        theme: str | None = None,
        now: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        super().__init__()
        self.ascii_only = ascii_only
        self.now = now
        self.zone = zone
        self.failure: Exception | None = None
        self.animation_level = "none"
        for known in themes.THEMES:
            self.register_theme(known)
        self.theme = theme or ("gatewatch-mono" if self.no_color else themes.DEFAULT)

    def sign(self, look: Look) -> str:
        """A glyph, or its ASCII twin."""
        return look.sign(self.ascii_only)

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """Tell a person something in passing; `text` may come from outside."""
        self.notify(text, severity=severity)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # the framework's signature; markup is never read
    ) -> None:
        """The framework's messages, as plain text whatever they hold."""
        super().notify(
            clean(redact(message), multiline=True, limit=2000),
            title=clean_inline(redact(title)),
            severity=severity,
            timeout=timeout,
            markup=False,
        )

    def run_to_end(self, *, mouse: bool = True) -> int:
        """Run until somebody leaves; returns the exit code.

        Raises:
            Exception: What ended the app, for the command line to tell in one line.
        """
        code = self.run(mouse=mouse)
        if self.failure is not None:
            raise self.failure
        return ExitCode.OK if code is None else code

    def _fatal_error(self) -> None:
        self.failure = self._exception
        shims.stop(self)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None of the framework's: the palette shows our own table."""
        return ()

    def pane(self) -> Widget | None:
        """What owns the pane that has the focus."""
        focused = self.screen.focused
        return None if focused is None else pane_of(focused)

    async def action_help(self) -> None:
        """Show the keys of the focused pane."""
        from tui.help import HelpScreen

        pane = self.pane()
        if not isinstance(self.screen, HelpScreen):
            await self.push_screen(HelpScreen((getattr(pane, "PANE", ""), "app"), getattr(pane, "HELP_TITLE", "")))

    def action_palette(self) -> None:
        """Everything that can be done, by name."""
        self.action_command_palette()

    async def action_leave(self) -> None:
        """Leave; nothing that runs elsewhere is touched."""
        self.exit(ExitCode.OK)

    async def action_interrupt(self) -> None:
        """Leave at once, as ctrl-c asks."""
        self.exit(ExitCode.INTERRUPTED, return_code=int(ExitCode.INTERRUPTED))

    def action_help_quit(self) -> None:
        """The framework's own answer to ctrl-c, which is a markup string; ours is `interrupt`."""


def pane_of(widget: Widget) -> Widget | None:
    """The nearest widget around this one that owns a pane of `tui.keys`."""
    for node in widget.ancestors_with_self:
        if isinstance(node, Widget) and getattr(node, "PANE", None):
            return node
    return None


def small(width: int, height: int) -> str:
    """What to say in a window that is smaller than `LEAST`, or "" in any other."""
    if width >= LEAST[0] and height >= LEAST[1]:
        return ""
    full = f"gatewatch is made for {LEAST[0]}x{LEAST[1]} and larger; this window is {width}x{height}"
    for text in (full, f"needs {LEAST[0]}x{LEAST[1]}, is {width}x{height}", f"{LEAST[0]}x{LEAST[1]}!"):
        if len(text) <= width:
            return text
    return "…"


Severity = Literal["information", "warning", "error"]
