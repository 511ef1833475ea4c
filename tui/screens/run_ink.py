"""Painting rows of plain text in the named colours of the theme: what the run screen's small widgets share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tui.cells import breaks, painted

Span = tuple[str, str]
"""Text that is safe to show, and the name of its colour; "" is the plain one."""
Row = tuple[Span, ...]

INKS = ("error", "warning", "success", "primary", "accent", "secondary", "muted")
CLASSES = frozenset({"ink--strong", *(f"ink--{name}" for name in INKS)})


def css(widget: str) -> str:
    """The component styles of a widget type that paints with ink."""
    rules = [f"{widget} .ink--{name} {{ color: $text-{name}; }}" for name in INKS]
    return "\n".join([*rules, f"{widget} .ink--strong {{ text-style: bold; }}"])


def ink(widget: Widget, name: str, base: Style) -> Style:
    """The colour of this name on the widget's own ground."""
    return base + widget.get_component_rich_style(f"ink--{name}", partial=True) if name else base


def width(row: Iterable[Span]) -> int:
    """Cells that a row takes."""
    return sum(painted(text) for text, _ in row)


def cut(text: str, room: int, more: str = "…") -> str:
    """At most `room` cells of a text, its end given up where it is longer."""
    if painted(text) <= room:
        return text
    if room <= len(more):
        return more[: max(0, room)]
    head = text[: [*breaks(text, room - len(more)), len(text)][1]]
    return head + more if painted(head) <= room - len(more) else more  # a wide character may fit no row at all


def middle(text: str, room: int, more: str = "…") -> str:
    """At most `room` cells, the middle given up: of names both ends tell."""
    if painted(text) <= room:
        return text
    if room < 6:
        return cut(text, room, more)
    tail = (room - len(more)) // 2
    end = text[::-1]
    kept = end[: [*breaks(end, tail), len(end)][1]][::-1]
    return cut(text, room - painted(kept), more) + kept


def fold(text: str, room: int, rows: int, more: str = "…") -> list[str]:
    """A sentence in at most so many rows, broken between words where that is possible."""
    shown: list[str] = []
    rest = text
    while rest and room > 0:
        if painted(rest) <= room or len(shown) == rows - 1:
            return [*shown, cut(rest, room, more)]
        end = breaks(rest, room)[1]
        blank = rest.rfind(" ", end // 2, end + 1)
        end = blank if blank > 0 else end
        shown.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return shown


def strip(widget: Widget, row: Sequence[Span], room: int, base: Style) -> Strip:
    """One row of a widget, cut or filled to `room` cells."""
    return Strip([Segment(text, ink(widget, name, base)) for text, name in row if text]).adjust_cell_length(room, base)


class Rows(Widget):
    """A few rows of text that change seldom; what is the same is not painted again."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(CLASSES)
    DEFAULT_CSS = "Rows { height: auto; width: 1fr; }\n" + css("Rows")
    ALLOW_SELECT = False

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: tuple[Row, ...] = ()
        self.paints = 0

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these from now on."""
        rows = tuple(rows)
        if rows == self.rows:
            return
        resized = len(rows) != len(self.rows)
        self.rows = rows
        self.paints += 1
        if resized:
            # A change of style is what the framework lays out anew for certain: of a layout that was asked for while
            # another one is under way, it may take the height that it has kept.
            self.styles.min_height = len(rows)
        self.refresh(layout=resized)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """One line a row."""
        return len(self.rows)

    def render_line(self, y: int) -> Strip:
        """One row."""
        base = self.rich_style
        row = self.rows[y] if y < len(self.rows) else ()
        return strip(self, row, self.size.width, base)
