"""Fields of a form: one of several names, chosen with left and right, and a line to type in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.cells import shorten
from tui.sanitise import clean_inline, redact
from tui.textfield import TextField


class Field(TextField):
    """A line to type in."""

    def __init__(self, value: str, id: str) -> None:
        super().__init__(value, id=id, compact=True, select_on_focus=False)
        self.cursor_blink = False


class Choice(Widget, can_focus=True):
    """One of several names in one row: left and right change it, and so does a click.

    Args:
        id: The field's.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "before", show=False),
        Binding("right,space", "step(1)", "after", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"choice--arrow", "choice--count"}
    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; background: $surface; color: $foreground; }
    Choice:focus { background: $panel; text-style: bold; }
    Choice .choice--arrow { color: $text-accent; text-style: bold; }
    Choice .choice--count { color: $text-muted; text-style: not bold; }
    """
    ALLOW_SELECT = False

    @dataclass
    class Changed(Message):
        """Another one was chosen."""

        choice: Choice

        @property
        def control(self) -> Choice:
            """Whose it is."""
            return self.choice

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._names: tuple[str, ...] = ()
        self.index = 0

    def offer(self, names: Sequence[str], index: int = 0) -> None:
        """What there is to choose from; names come from outside."""
        self._names = tuple(names)
        self.index = max(0, min(index, len(self._names) - 1))
        self.refresh()

    def action_step(self, by: int) -> None:
        """The one before or behind it; after the last comes the first."""
        if len(self._names) > 1:
            self.index = (self.index + by) % len(self._names)
            self.refresh()
            self.post_message(self.Changed(self))

    def on_click(self, event: Click) -> None:
        self.focus()
        self.action_step(-1 if event.x < 2 else 1)

    def render_line(self, y: int) -> Strip:
        """The one row."""
        base = self.rich_style
        if y or not self._names:
            return Strip.blank(self.size.width, base)
        plain = bool(getattr(self.app, "ascii_only", False))
        left, right = ("< ", " >") if plain else ("‹ ", " ›")
        several = len(self._names) > 1
        arrow = base + self.get_component_rich_style("choice--arrow", partial=True)
        count = f"  {self.index + 1} of {len(self._names)}" if several else ""
        name = clean_inline(redact(self._names[self.index]))
        room = max(1, self.size.width - len(count) - 4)
        segments = [Segment(shorten(name, room), base)]
        if several:
            muted = base + self.get_component_rich_style("choice--count", partial=True)
            segments = [Segment(left, arrow), *segments, Segment(right, arrow), Segment(count, muted)]
        return Strip(segments).adjust_cell_length(self.size.width, base)
