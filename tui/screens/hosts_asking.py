"""A line to type in at the foot of a screen of hosts: what to filter by, or which file to follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.widget import Widget

if TYPE_CHECKING:
    from tui.logs.askbar import AskBar
    from tui.screens.host_look import HostLook


class Asking:
    """One line for a screen, made when somebody types for the first time.

    Args:
        screen: Whose foot it stands at.
        behind: Stands below it.
    """

    def __init__(self, screen: Screen[Any], behind: str) -> None:
        self._screen = screen
        self._behind = behind
        self._bar: AskBar | None = None

    async def open(self, kind: str, text: str = "") -> None:
        """Ask; what was typed is told by the line's own messages."""
        from tui.logs.askbar import AskBar, Typed  # the framework's field for input is loaded when one types

        if self._bar is None:
            self._bar = AskBar()
            await self._screen.mount(self._bar, before=self._behind)
        if self._bar.is_attached and self._bar.children:  # somebody may have left while it was made
            self._bar.open(kind, Typed(text))

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
