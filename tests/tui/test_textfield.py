"""Keys that are typed faster than the app can follow: they take effect in their order."""

from __future__ import annotations

import pytest
from textual.events import Key

from tests.tui.logs.panes import PaneDesk, desk, numbered


def rush(at: PaneDesk, *pressed: str) -> None:
    """Press keys without waiting, as a terminal hands over what was typed."""
    for key in pressed:
        at.app.post_message(Key(key, key if len(key) == 1 else None).set_sender(at.app))


@pytest.mark.parametrize(
    ("pressed", "text"),
    [
        (("a", "b", "backspace", "c"), "ac"),
        (("a", "b", "left", "c"), "acb"),
        (("a", "b", "home", "c", "end", "d"), "cabd"),
        (("a", "ctrl+u", "b"), "b"),
    ],
    ids=" ".join,
)
async def test_letters_do_not_overtake_the_keys_that_edit(pressed: tuple[str, ...], text: str) -> None:
    async with desk(numbered(100)) as at:
        await at.press("slash")
        rush(at, *pressed)
        assert at.pane.asking is not None
        field = at.pane.asking.query_one("#ask-text")
        await at.until(lambda: getattr(field, "value", "") == text, text)


async def test_what_is_typed_behind_enter_belongs_to_the_log() -> None:
    async with desk(numbered(100)) as at:
        await at.press("slash")
        rush(at, "9", "enter", "N", "N")
        await at.until(lambda: at.pane.view.line is not None and at.pane.view.line.data == b"line 97")


async def test_what_was_typed_before_comes_back_before_the_next_letter() -> None:
    async with desk(numbered(100)) as at:
        await at.press("slash")
        await at.type("9")
        await at.press("enter")
        await at.press("slash")
        rush(at, "ctrl+u", "up", "8", "enter")
        await at.until(lambda: at.pane.view.line is not None and at.pane.view.line.data == b"line 98")
