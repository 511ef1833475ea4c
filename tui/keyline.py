"""The bottom row of a screen: the keys that matter in the focused pane, as many as fit; each can be clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tui import keys
from tui.app import pressable, small

if TYPE_CHECKING:
    from textual.events import Click
    from textual.screen import Screen


class KeyLine(Widget):
    """Follows the focus; says the polite line instead where the window is small."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyline--key", "keyline--label", "keyline--small"}
    DEFAULT_CSS = """
    KeyLine { height: 1; dock: bottom; background: $surface; }
    KeyLine .keyline--key { color: $text-accent; text-style: bold; }
    KeyLine .keyline--label { color: $text-muted; }
    KeyLine .keyline--small { color: $text-warning; }
    """
    ALLOW_SELECT = False

    def on_mount(self) -> None:
        self._said = small(*self.app.size)
        self.watch(self.screen, "focused", self._focus_moved, init=False)
        self.screen.screen_layout_refresh_signal.subscribe(self, self._laid_out)

    def _focus_moved(self) -> None:
        self.refresh()

    def _laid_out(self, _screen: Screen[Any]) -> None:
        """What is said may hang on the window's height, of which a row that keeps its size is not told."""
        said, self._said = self._said, small(*self.app.size)
        if said != self._said:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one row."""
        base = self.rich_style
        said = small(*self.app.size)
        if said:
            style = base + self.get_component_rich_style("keyline--small", partial=True)
            return Strip([Segment(said, style)]).adjust_cell_length(self.size.width, base)
        key_style = base + self.get_component_rich_style("keyline--key", partial=True)
        label_style = base + self.get_component_rich_style("keyline--label", partial=True)
        segments = []
        for key, action in self._laid():
            segments += [Segment(f" {key}", key_style), Segment(f" {action.label}", label_style)]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    async def on_click(self, event: Click) -> None:
        """A click on a key presses it."""
        left = 0
        for key, action in self._laid():
            right = left + len(key) + len(action.label) + 2
            if left <= event.x < right:
                event.stop()
                await self._press(action)
                return
            left = right

    async def _press(self, action: keys.Action) -> None:
        owner = next((owner for one, owner in pressable(self.screen) if one.id == action.id), None)
        await self.app.run_action(action.method, owner or self.app)

    @property
    def kept(self) -> int:
        """Cells at the right end that are not for keys."""
        return 0

    def _laid(self) -> tuple[tuple[str, keys.Action], ...]:
        chosen = [action for action, _ in pressable(self.screen)]
        room = self.size.width - self.kept
        return keys.key_line(chosen, room, ascii_only=bool(getattr(self.app, "ascii_only", False)))
