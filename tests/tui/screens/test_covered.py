"""A widget behind another screen, or on none, is not painted."""

from __future__ import annotations

from textual.app import App
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.screens.covered import is_covered


async def test_what_lies_over_a_widget_covers_it_unless_it_is_modal() -> None:
    app: App[None] = App()
    async with app.run_test():
        widget = Static()
        await app.screen.mount(widget)
        assert not is_covered(widget)
        await app.push_screen(ModalScreen[None]())
        assert not is_covered(widget)
        await app.push_screen(Screen[None]())
        assert is_covered(widget)


async def test_a_widget_that_was_taken_out_is_covered() -> None:
    app: App[None] = App()
    async with app.run_test():
        widget = Static()
        await app.screen.mount(widget)
        await widget.remove()
        assert is_covered(widget)
        assert is_covered(Static())
