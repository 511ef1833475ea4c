"""A line to type in at the foot of a screen of hosts: what to filter by, or which file to follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.host_facts import plain
from tui.screens.run_ink import middle

if TYPE_CHECKING:
    from tui.logs.askbar import AskBar
    from tui.screens.host_look import HostLook

_LEAST_NAME = 8


class Asking:
    """One line for a screen, made when somebody types for the first time.

    Args:
        screen: Whose foot it stands at.
        behind: Stands below it.

    Attributes:
        about: The host whose file is asked for, as it was when somebody began to.
    """

    def __init__(self, screen: Screen[Any], behind: str) -> None:
        self._screen = screen
        self._behind = behind
        self._bar: AskBar | None = None
        self.about: HostLook | None = None

    async def open(self, kind: str, text: str = "", about: HostLook | None = None) -> None:
        """Ask, of a host where one is given; what was typed is told by the line's own messages."""
        from tui.logs.askbar import ASKS, AskBar, Typed  # the framework's field for input is loaded when one types

        self.about = about
        if self._bar is None:
            self._bar = AskBar()
            await self._screen.mount(self._bar, before=self._behind)
        if self._bar.is_attached and self._bar.children:  # somebody may have left while it was made
            self._bar.open(kind, Typed(text))
            if about is not None:
                name = middle(plain(about.name), max(_LEAST_NAME, self._screen.size.width * 3 // 10), self._more)
                self._bar.query_one("#ask-prompt", Static).update(Content(f"{ASKS[kind].prompt} on {name}"))

    @property
    def _more(self) -> str:
        return "~" if getattr(self._screen.app, "ascii_only", False) else "…"

    def close(self, then: Widget) -> None:
        """Ask no more; `then` has the focus, and gets what was typed ahead."""
        if self._bar is not None and self._bar.kind:
            self._bar.close()
            self._screen.set_focus(then)
            self._bar.settle()

    def refuse(self, why: str) -> None:
        """Say what is wrong with what was typed, and go on asking."""
        if self._bar is not None:
            self._bar.tell(why, bad=True)
            self._bar.settle()


def is_path(text: str) -> bool:
    """Whether a file can be followed by this."""
    return text.startswith(("/", "~"))


NO_PATH = "a path begins with / or ~"


def follow(look: HostLook, path: str, asked: Callable[[str, str], None]) -> None:
    """Ask for a file of a host to be followed."""
    asked("tail", path if look.local else f"{look.name}:{path}")
