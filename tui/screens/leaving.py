"""How a screen of a run is left: it alone, once, and with it whatever lies over it; and when the app may be left."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

from textual.app import App
from textual.screen import Screen

_Result = TypeVar("_Result")


def leave(screen: Screen[_Result], result: _Result | None = None) -> None:
    """Take a screen away with its result; nothing happens where it is gone already.

    The framework's own `dismiss` takes away whatever lies on top, whoever is dismissed: a question that dies under
    the open help would stay, and take an answer to what is void.
    """
    app = screen.app
    if screen not in app.screen_stack:
        return
    while app.screen is not screen:
        _ = app.pop_screen()
    _ = screen.dismiss(result)


@runtime_checkable
class AtWork(Protocol):
    """A screen that may be at work on something that is better waited for."""

    def may_quit(self) -> bool:
        """Whether the app may be left; says so where it may not, which it does once."""
        ...


def may_quit(app: App[Any]) -> bool:
    """Whether every open screen lets the app be left, whatever lies over it and whichever key asks."""
    return all(screen.may_quit() for screen in app.screen_stack if isinstance(screen, AtWork))
