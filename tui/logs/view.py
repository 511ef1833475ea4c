"""The log itself: rows of text that follow the end or stay where one reads.

It paints what its reader holds, only the rows that changed, and knows what a pointer means. It decides nothing: keys
are the pane's.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.events import (
    Blur,
    Click,
    Focus,
    Hide,
    MouseDown,
    MouseMove,
    MouseScrollDown,
    MouseScrollUp,
    MouseUp,
    Resize,
    Show,
)
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widget import Widget

from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, Place, Query
from tui import marks, shims
from tui.asciified import Asciified
from tui.logs import gutter
from tui.logs.gutter import Times
from tui.logs.highlight import Highlighter
from tui.logs.paint import Dress, Painter, Scene
from tui.logs.palette import PARTS, span_style
from tui.logs.reader import FPS, Reader
from tui.logs.rows import DisplayRow, display_rows
from tui.logs.selection import Point, Selection
from tui.logs.viewport import Row

if TYPE_CHECKING:
    from textual.filter import LineFilter

_STRIPS = 512
_WHEEL = 3


@dataclass(frozen=True)
class Look:
    """How lines are shown.

    Attributes:
        wrap: Long lines take several rows, or are scrolled sideways.
        numbers: Whether their numbers stand before them.
        times: What of their arrival stands before them.
    """

    wrap: bool = False
    numbers: bool = False
    times: Times = Times.OFF


class LogView(Widget, can_focus=True):
    """The rows of one log.

    Args:
        now: Our clock, seconds since the epoch.
        clock: What frames are timed by, seconds.
        fps: Paints of a growing log in a second.

    Attributes:
        current: The line that one is at, None for none.
        bookmarks: Lines that were marked, in order.
        selection: What is selected.
        painted: Rows painted so far.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{part}" for part in PARTS}
    DEFAULT_CSS = """
    LogView { height: 1fr; width: 1fr; background: $background; color: $foreground; }
    LogView .log--found { background: $accent; color: $background; }
    LogView .log--selected { background: $selection; }
    LogView .log--current { background: $panel; }
    LogView .log--context { color: $text-muted; }
    LogView .log--gutter { color: $text-muted; }
    LogView .log--accent { color: $text-accent; text-style: bold; }
    LogView .log--warning { color: $text-warning; }
    LogView .log--error { color: $text-error; }
    LogView .log--critical { color: $text-error; text-style: bold; }
    LogView .log--secondary { color: $text-secondary; }
    LogView .log--muted { color: $text-muted; }
    LogView .log--gap { color: $text-warning; text-style: bold; }
    """
    ALLOW_SELECT = False
    virtual_size = Reactive(Size(0, 0), repaint=False)  # nothing scrolls here: a new size needs no second layout

    @dataclass
    class Changed(Message):
        """What is on screen is something else, or followed differently."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogView.Changed)

    @dataclass
    class Opened(Message):
        """Somebody wants to see a line whole."""

        place: Place

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        fps: float = FPS,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._now, self._clock, self._fps = now, clock, fps
        self.reader: Reader | None = None
        self.look = Look()
        self.left = 0
        self.current: Place | None = None
        self.bookmarks: list[Place] = []
        self.selection: Selection | None = None
        self.painted = 0
        self._highlighter = Highlighter(None)
        self._painter: Painter | None = None
        self._drawn: list[tuple[object, ...]] = []
        self._dresses: list[Dress] = []
        self._scene = Scene(0)
        self._strips: OrderedDict[tuple[object, ...], tuple[DisplayRow, Strip]] = OrderedDict()
        self._digits = gutter.LEAST
        self._pressed: Point | None = None
        self._had_focus = False
        self._seen = True

    def get_line_filters(self) -> Sequence[LineFilter]:
        """None for ASCII: lines are shown as they are, and what is ours among them is ASCII where it has to be."""
        return [one for one in super().get_line_filters() if not isinstance(one, Asciified)]

    # Which log, and how it is shown.

    def open(self, model: LogModel) -> Reader:
        """Show another log from now on; whoever calls runs the reader that comes back."""
        self.current, self.selection, self.left = None, None, 0
        self.bookmarks.clear()
        self._digits = gutter.LEAST
        self.reader = Reader(model, self._lay, self._reader_changed, now=self._now, clock=self._clock, fps=self._fps)
        self.reader.numbers = self.look.numbers
        self.reader.seen(self._seen)
        self.reader.resize(self.size.height)
        self.draw()
        return self.reader

    def show_as(self, look: Look) -> None:
        """Show lines in another way; the first character on screen stays there."""
        self.look = look
        self.left = 0 if look.wrap else self.left
        if self.reader is not None:
            self.reader.numbers = look.numbers
            self._fit()
            self.reader.lay_with(self._lay)
        self.draw()

    def highlight(self, query: Query | None) -> None:
        """Paint where this stands."""
        self._highlighter = Highlighter(query)
        self._strips.clear()
        self._drawn.clear()
        self.draw()

    def sideways(self, cells: int) -> None:
        """Scroll unwrapped lines."""
        if not self.look.wrap:
            widest = max((row.shown.cells for row in self.rows), default=0)
            self.left = max(0, min(self.left + cells, max(self.left, widest - self.room // 2)))
            self.draw()

    def seen(self, visible: bool) -> None:
        """Whether anybody sees it."""
        self._seen = visible
        if self.reader is not None:
            self.reader.seen(visible)

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is on screen."""
        return self.reader.rows if self.reader is not None else ()

    @property
    def room(self) -> int:
        """Cells for text."""
        return max(1, self.size.width - self._gutter())

    @property
    def line(self) -> LogLine | None:
        """The line that one is at: the current one if it is on screen, else the last when following, else the first."""
        lines = [row.line for row in self.rows if row.index >= 0]
        for line in lines:
            if line.at == self.current:
                return line
        if not lines:
            return None
        return lines[-1] if self.reader is not None and self.reader.following else lines[0]

    def set_current(self, place: Place | None) -> None:
        """Mark a line as the one that one is at."""
        if place != self.current:
            self.current = place
            self.draw()

    def select(self, selection: Selection | None) -> None:
        """Select something else, or nothing."""
        if selection != self.selection:
            self.selection = selection
            self.draw()

    def toggle_bookmark(self, place: Place) -> bool:
        """Set a bookmark, or take it off; returns whether there is one now."""
        if place in self.bookmarks:
            self.bookmarks.remove(place)
        else:
            insort(self.bookmarks, place)
        self.draw()
        return place in self.bookmarks

    def whole(self, line: LogLine) -> tuple[DisplayRow, ...]:
        """A line in one row."""
        return display_rows(line, self._encoding(), None)

    # Painting.

    def draw(self) -> None:
        """Paint the rows that look different by now."""
        if self.reader is None or not self.is_mounted:
            return
        scene = Scene(self.size.width, self.left, min(self._gutter(), max(0, self.size.width - 1)))
        all_over = scene != self._scene
        self._scene = scene
        dresses = [self._dress(row) for row in self.rows]
        drawn: list[tuple[object, ...]] = [
            (row.shown, row.line.context, dress) for row, dress in zip(self.rows, dresses, strict=True)
        ]
        before, self._drawn, self._dresses = self._drawn, drawn, dresses
        height = self.size.height
        if all_over:
            self.refresh()
            return
        changed = [y for y in range(height) if _get(before, y) != _get(drawn, y)]
        if len(changed) > height * 2 // 3:
            self.refresh()
        elif changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """One row."""
        self.painted += 1
        painter = self._painter or self._make_painter()
        rows = self.rows
        if y >= len(rows) or y >= len(self._dresses) or self._scene.width <= 0:
            return painter.blank(Scene(self.size.width))
        row, dress = rows[y], self._dresses[y]
        key = (id(row.shown), row.line.context, dress, self._scene)
        known = self._strips.get(key)
        if known is not None:
            return known[1]
        strip = self._paint(painter, row, dress)
        self._strips[key] = row.shown, strip  # what is held cannot give its id to another
        if len(self._strips) > _STRIPS:
            self._strips.popitem(last=False)
        return strip

    def _paint(self, painter: Painter, row: Row, dress: Dress) -> Strip:
        if row.shown.mark is not None:
            sign = self._sign("gap" if gutter.is_gap(row.shown.mark) else "turn")
            style = gutter.mark_style(row.shown.mark)
            why, rest = gutter.mark_text(row.shown.mark, self._now(), getattr(self.app, "zone", None))
            return painter.mark(why, rest, style, self._scene, sign)
        return painter.row(row, self._scene, dress)

    def _dress(self, row: Row) -> Dress:
        if row.shown.mark is not None:
            return Dress()
        place = row.line.at
        current = place == self.current
        sign = (" ", "")
        if row.index == 0 and place in self.bookmarks:
            sign = (self._sign("bookmark"), "accent")
        elif current:
            sign = (self._sign("current"), "accent")
        label = ""
        if row.index == 0 and (self.look.numbers or self.look.times is not Times.OFF):
            label = gutter.label(
                row.line,
                self._line_before(place),
                self.look.numbers,
                self.look.times,
                self._digits,
                getattr(self.app, "zone", None),
            )
        found = self._highlighter.places(row.shown.text)
        selected = self.selection.part(row) if self.selection is not None and not self.selection.empty else None
        return Dress(sign, label, current, found, selected)

    def _lay(self, line: LogLine) -> tuple[DisplayRow, ...]:
        return display_rows(line, self._encoding(), self.room if self.look.wrap else None)

    def _gutter(self) -> int:
        return 1 + gutter.width(self.look.numbers, self.look.times, self._digits)

    def _fit(self) -> None:
        """Make room for the numbers there are; the gutter never becomes narrower, so that text does not jump."""
        if self.reader is None or not self.look.numbers:
            return
        most = max((row.line.number or 0 for row in self.rows), default=0)
        self._digits = max(self._digits, len(f"{max(most, self.reader.model.state.lines or 0)}"))

    def _make_painter(self) -> Painter:
        parts = {part: self.get_component_rich_style(f"log--{part}", partial=True) for part in PARTS}
        self._painter = Painter(self.rich_style, parts, lambda key: span_style(key, parts))
        return self._painter

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No rule looks at the focus: applied anew, they would have every row painted anew when one begins to type."""

    def _on_focus(self, event: Focus) -> None:
        shims.take_focus(self, event)

    def _on_blur(self, event: Blur) -> None:
        shims.take_focus(self, event)

    def notify_style_update(self) -> None:
        """The theme changed: nothing that was painted holds."""
        super().notify_style_update()
        self._painter = None
        self._strips.clear()

    def _reader_changed(self) -> None:
        digits = self._digits
        self._fit()
        if digits != self._digits and self.look.wrap and self.reader is not None:
            self.call_next(self.reader.lay_with, self._lay)
        self._highlighter.next_screen()
        self.draw()
        self.post_message(self.Changed())

    def _line_before(self, place: Place) -> LogLine | None:
        view = self.reader.view if self.reader is not None else None
        before = view.neighbour(place, -1) if view is not None else None
        return view.line_at(before) if view is not None and before is not None else None

    def _encoding(self) -> str:
        return self.reader.model.state.encoding if self.reader is not None else "utf-8"

    def _sign(self, name: str) -> str:
        return marks.LOG[name].sign(bool(getattr(self.app, "ascii_only", False)))

    # What happens to it.

    def on_resize(self, event: Resize) -> None:
        if self.reader is not None:
            if self.look.wrap and event.size.width != self._scene.width:
                self.reader.lay_with(self._lay)
            self.reader.resize(event.size.height)
        self.draw()

    def on_key(self) -> None:
        if self.reader is not None:
            self.reader.keyed()

    def on_show(self, event: Show) -> None:
        self.seen(True)

    def on_hide(self, event: Hide) -> None:
        self.seen(False)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._wheel(-1, sideways=event.shift or event.ctrl)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._wheel(1, sideways=event.shift or event.ctrl)

    def on_mouse_down(self, event: MouseDown) -> None:
        if event.button == 1:
            event.stop()
            self._had_focus = self.has_focus
            self._pressed = self.point(event.x, event.y)
            self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        if self._pressed is None or self.app.mouse_captured is not self or self.reader is None:
            return
        event.stop()
        self.reader.release()
        if event.y < 0 or event.y >= self.size.height:
            self.reader.scroll(-1 if event.y < 0 else 1)
        head = self.point(event.x, max(0, min(event.y, self.size.height - 1)))
        if head is not None:
            self.select(Selection(self._pressed, head))

    def on_mouse_up(self, event: MouseUp) -> None:
        if self._pressed is None:
            return
        event.stop()
        self.release_mouse()
        pressed, self._pressed = self._pressed, None
        if self.selection is not None and not self.selection.empty and self.selection.start == pressed:
            return
        self.select(None)
        if self._had_focus and self.reader is not None:
            self.reader.release()
            self.set_current(pressed.place)

    def on_click(self, event: Click) -> None:
        if event.chain == 2 and self.line is not None:
            event.stop()
            self.post_message(self.Opened(self.line.at))

    def point(self, x: int, y: int) -> Point | None:
        """The character at a cell of this widget."""
        rows = self.rows
        if not rows:
            return None
        row = rows[max(0, min(y, len(rows) - 1))]
        if y >= len(rows):
            return Point(row.line.at, row.start + len(row.shown.text))
        column = gutter.character(row.shown.text, max(0, x - self._gutter()) + self.left)
        return Point(row.line.at, row.start + column)

    def _wheel(self, step: int, *, sideways: bool) -> None:
        if sideways:
            self.sideways(step * 8)
        elif self.reader is not None:
            self.reader.scroll(step * _WHEEL)


def _get(rows: list[tuple[object, ...]], y: int) -> tuple[object, ...] | None:
    return rows[y] if y < len(rows) else None
