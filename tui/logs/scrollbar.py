"""Where in the log the screen is, by bytes: line numbers of a long log are not known, and would not be even."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.events import MouseDown, MouseMove, MouseUp
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widget import Widget

from tui import marks


@dataclass(frozen=True)
class Span:
    """What is on screen, as shares of all bytes: 0 to 1."""

    top: float = 0.0
    bottom: float = 1.0


def thumb(span: Span, height: int) -> tuple[int, int]:
    """First row and one past the last row of the thumb in a bar of `height` rows; at least one row."""
    if height <= 0:
        return 0, 0
    first, last = math.floor(span.top * height), math.ceil(span.bottom * height)
    if height > 2:  # an end that is not reached looks like it
        first = max(first, 1) if span.top > 0 else first
        last = min(last, height - 1) if span.bottom < 1 else last
    first = max(0, min(first, last - 1, height - 1))
    return first, max(first + 1, min(last, height))


class ByteBar(Widget):
    """A bar of one column beside the log."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"bar--thumb", "bar--track", "bar--tick"}
    DEFAULT_CSS = """
    ByteBar { width: 1; }
    ByteBar .bar--thumb { color: $primary; }
    ByteBar .bar--track { color: $panel; }
    ByteBar .bar--tick { color: $text-accent; }
    """
    ALLOW_SELECT = False
    virtual_size = Reactive(Size(0, 0), repaint=False)  # a new size needs no second layout

    @dataclass
    class Dragged(Message):
        """Somebody wants to see this share of the log."""

        share: float

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, ByteBar.Dragged)

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._span = Span()
        self._ticks: tuple[float, ...] = ()
        self._drawn: tuple[object, ...] = ()
        self._cells: dict[str, Strip] = {}

    def show(self, span: Span, ticks: Sequence[float] = ()) -> None:
        """Show this; nothing is painted where no cell changes."""
        self._span, self._ticks = span, tuple(ticks)
        drawn = (thumb(span, self.size.height), self._ticked())
        if drawn != self._drawn:
            self._drawn = drawn
            self.refresh()

    def on_resize(self) -> None:
        self.show(self._span, self._ticks)

    def render_line(self, y: int) -> Strip:
        """One cell."""
        first, last = thumb(self._span, self.size.height)
        name = "tick" if y in self._ticked() else "thumb" if first <= y < last else "track"
        if name not in self._cells:
            self._cells[name] = self._cell(name)
        return self._cells[name]

    def notify_style_update(self) -> None:
        """The theme changed: cells look different."""
        super().notify_style_update()
        self._cells.clear()

    def _cell(self, name: str) -> Strip:
        plain = bool(getattr(self.app, "ascii_only", False))
        _, heavy, light, _ = marks.rule(plain)
        sign = {"thumb": heavy, "track": light, "tick": marks.LOG["bookmark"].sign(plain)}[name]
        return Strip([Segment(sign, self.rich_style + self.get_component_rich_style(f"bar--{name}", partial=True))], 1)

    def on_mouse_down(self, event: MouseDown) -> None:
        event.stop()
        self.capture_mouse()
        self._drag(event.y)

    def on_mouse_move(self, event: MouseMove) -> None:
        if self.app.mouse_captured is self:
            event.stop()
            self._drag(event.y)

    def on_mouse_up(self, event: MouseUp) -> None:
        event.stop()
        self.release_mouse()

    def _drag(self, y: int) -> None:
        height = max(1, self.size.height - 1)
        self.post_message(self.Dragged(max(0.0, min(1.0, y / height))))

    def _ticked(self) -> frozenset[int]:
        height = self.size.height
        return frozenset(min(height - 1, int(tick * height)) for tick in self._ticks) if height else frozenset()
