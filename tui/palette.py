"""The palette: every action of the focused pane and of the app, and the themes, by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui import keys, themes
from tui.app import pane_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import App
    from textual.widget import Widget

    Command = Callable[[], Awaitable[object] | object]


class Actions(Provider):
    """What the palette finds. Names are constants of ours, and still never markup."""

    async def discover(self) -> Hits:
        """Everything, in the order of the table."""
        for name, help_text, command in self._commands():
            yield DiscoveryHit(Content(name), command, text=name, help=help_text)

    async def search(self, query: str) -> Hits:
        """What fits the words."""
        matcher = self.matcher(query)
        for name, help_text, command in self._commands():
            score = max(matcher.match(name), 0.9 * matcher.match(help_text))
            if score > 0:
                yield Hit(score, matcher.highlight(name), command, text=name, help=help_text)

    def _commands(self) -> Iterator[tuple[str, str, Command]]:
        focused = self.focused
        pane = pane_of(focused) if focused is not None else None
        named = getattr(pane, "PANE", "")
        for action in keys.actions(named, "app"):
            if action.id == "app.palette":
                continue
            owner: Widget | App[object] = self.app if action.pane == "app" or pane is None else pane
            title = f"{action.pane}: {action.label}" if action.pane != "app" else action.label
            key = keys.spelled(action.keys[0], ascii_only=getattr(self.app, "ascii_only", False))
            shown = f"{title}  ({key})" if key not in "[]" else title
            yield shown, action.help, partial(self.app.run_action, action.method, owner)
        for theme in themes.THEMES:
            yield f"theme: {theme.name.removeprefix('gatewatch-')}", "colours of all screens", self._paint(theme.name)

    def _paint(self, name: str) -> Command:
        def paint() -> None:
            self.app.theme = name

        return paint
