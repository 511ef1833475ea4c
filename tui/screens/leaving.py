"""How a screen of a run is left: it alone, once, and with it whatever lies over it."""

from __future__ import annotations

from typing import TypeVar

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
