"""The row below a log: the sentence at the left, and at the right the chip that counts what came while one read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui import marks
from tui.cells import shorten, width
from tui.logs.status import Sentence


class StatusLine(Widget):
    """One row; it repaints only when what it says changes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "status--good",
        "status--paused",
        "status--bad",
        "status--muted",
        "status--name",
        "status--chip",
    }
    DEFAULT_CSS = """
    StatusLine { height: 1; background: $panel; color: $foreground; }
    StatusLine .status--good { color: $text-success; text-style: bold; }
    StatusLine .status--paused { color: $text-warning; text-style: bold; }
    StatusLine .status--bad { color: $text-error; text-style: bold; }
    StatusLine .status--muted { color: $text-muted; }
    StatusLine .status--name { text-style: bold; }
    StatusLine .status--chip { background: $accent; color: $background; text-style: bold; }
    """
    ALLOW_SELECT = False

    @dataclass
    class ChipPressed(Message):
        """Somebody wants to go where the new lines are."""

    @dataclass
    class RoomChanged(Message):
        """A sentence may be longer now, or must be shorter."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sentence: Sentence | None = None
        self._chip = ""
        self._aside = ""
        self._width = 0

    @property
    def text(self) -> str:
        """Everything that the row says."""
        return self.render_line(0).text if self._sentence is not None else ""

    @property
    def chip(self) -> str:
        """What the chip says, or ""."""
        return self._chip

    @property
    def room(self) -> int:
        """Cells for the sentence."""
        return max(1, self.size.width - self._taken())

    def say(self, sentence: Sentence, chip: str, aside: str = "") -> None:
        """Show these; `aside` stands at the right, before the chip."""
        if (sentence, chip, aside) != (self._sentence, self._chip, self._aside):
            self._sentence, self._chip, self._aside = sentence, chip, aside
            self.refresh()

    def expect(self, chip: str, aside: str) -> int:
        """Cells that a sentence has beside these; while the row is hidden, those that it had before."""
        return max(1, self._width - _cells(chip) - _cells(aside))

    def render_line(self, y: int) -> Strip:
        """The one row."""
        base = self.rich_style
        if self._sentence is None or y:
            return Strip.blank(self.size.width, base)
        said = self._sentence
        segments = [
            Segment(f"{self._glyph(said.mark)} ", base + self._tone(said)),
            Segment(f"{said.name}: ", base + self._part("name")),
        ]
        if said.trouble:
            segments.append(Segment(f"{said.trouble} ", base + self._part("bad")))
        if said.text:
            segments.append(Segment(said.text, base))
        left = Strip(segments)
        room = self.room
        row = left.crop(0, room).extend_cell_length(room, base) if room > 1 else Strip([])
        tail = []
        if self._aside:
            aside = shorten(self._aside, max(1, self.size.width - 2))
            tail.append(Segment(f" {aside} ", base + self._part("muted")))
        if self._chip:
            tail.append(Segment(f" {self._chip} ", base + self._part("chip")))
        return Strip.join([row, Strip(tail)]).adjust_cell_length(self.size.width, base)

    def on_resize(self, event: Resize) -> None:
        """No room at all is that of a row which is hidden: it is shown again with what it had."""
        if event.size.width not in (0, self._width):
            self._width = event.size.width
            self.post_message(self.RoomChanged())

    def on_click(self, event: Click) -> None:
        """The chip is a button."""
        if self._chip and event.x >= self.size.width - width(self._chip) - 2:
            event.stop()
            self.post_message(self.ChipPressed())

    def _taken(self) -> int:
        return _cells(self._chip) + _cells(self._aside)

    def _glyph(self, mark: str) -> str:
        return marks.LOG[mark].sign(bool(getattr(self.app, "ascii_only", False)))

    def _tone(self, said: Sentence) -> Style:
        if said.mark == "follow":
            return self._part("good")
        if said.mark in ("paused", "frozen"):
            return self._part("paused")
        return self._part("muted" if said.mark == "ended" else "bad")

    def _part(self, name: str) -> Style:
        return self.get_component_rich_style(f"status--{name}", partial=True)


def _cells(text: str) -> int:
    return width(text) + 2 if text else 0
