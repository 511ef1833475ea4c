"""The answers of one question: a mark that is moved by keys or the mouse, and taken with Enter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.cells import painted, shorten
from tui.screens.prompt_page import Choice


class Choices(Widget, can_focus=True):
    """Shows the answers below each other, or beside each other; with none of them it only holds the focus."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "choices--marked", "choices--marked-danger", "choices--danger", "choices--detail",
    }  # fmt: skip
    DEFAULT_CSS = """
    Choices { width: 1fr; height: 1; }
    Choices .choices--marked { background: $primary; color: $background; text-style: bold; }
    Choices .choices--marked-danger { background: $warning; color: $background; text-style: bold; }
    Choices .choices--danger { color: $text-warning; text-style: bold; }
    Choices .choices--detail { color: $text-muted; }
    """

    @dataclass
    class Taken(Message):
        """Somebody took an answer."""

        value: str

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.choices: tuple[Choice, ...] = ()
        self.at = 0
        self.flat = False

    @property
    def marked(self) -> str:
        """The value of the answer that is marked, "" where there is none."""
        return self.choices[self.at].value if self.at < len(self.choices) else ""

    def offer(self, choices: Sequence[Choice], at: int = 0, *, flat: bool = False) -> None:
        """Show these answers with one of them marked."""
        self.choices, self.at, self.flat = tuple(choices), at, flat
        self.styles.height = max(1, 1 if flat else len(self.choices))
        self.refresh()

    def move(self, step: int) -> None:
        """Mark the next answer, or the one before; there is nothing behind the last."""
        self.mark(max(0, min(len(self.choices) - 1, self.at + step)))

    def mark(self, at: int) -> None:
        """Mark one of them."""
        if 0 <= at < len(self.choices) and at != self.at:
            self.at = at
            self.refresh()

    def take(self) -> None:
        """Take the marked one."""
        if self.marked:
            self.post_message(self.Taken(self.marked))

    def on_click(self, event: Click) -> None:
        """A click marks; a click on what is marked takes it."""
        event.stop()
        found = self._under(event.x, event.y)
        if found is not None and found == self.at:
            self.take()
        elif found is not None:
            self.mark(found)

    def _under(self, x: int, y: int) -> int | None:
        if not self.flat:
            return y if y < len(self.choices) else None
        left = 0
        for at, choice in enumerate(self.choices):
            right = left + painted(choice.label) + 4
            if left <= x < right:
                return at
            left = right + 2
        return None

    def render_line(self, y: int) -> Strip:
        """One answer, or all of them beside each other."""
        base = self.rich_style
        if self.flat:
            segments = []
            for at, choice in enumerate(self.choices):
                segments += [self._label(at, choice, painted(choice.label)), Segment("  ", base)]
            return Strip(segments).adjust_cell_length(self.size.width, base)
        if y >= len(self.choices):
            return Strip([]).adjust_cell_length(self.size.width, base)
        choice = self.choices[y]
        gutter = max(painted(one.label) for one in self.choices)
        detail = shorten(choice.detail, max(8, self.size.width - gutter - 6))
        style = base + self.get_component_rich_style("choices--detail", partial=True)
        return Strip([self._label(y, choice, gutter), Segment(f"  {detail}", style)]).adjust_cell_length(
            self.size.width, base
        )

    def _label(self, at: int, choice: Choice, room: int) -> Segment:
        """The marked one stands in brackets too, so that it is told without any colour."""
        name = choice.label + " " * (room - painted(choice.label))
        base = self.rich_style
        if at == self.at:
            style = "choices--marked-danger" if choice.danger else "choices--marked"
            return Segment(f"[ {name} ]", base + self.get_component_rich_style(style, partial=True))
        danger = self.get_component_rich_style("choices--danger", partial=True)
        return Segment(f"  {name}  ", base + danger if choice.danger else base)
