"""The rows of a log as they are painted: only those that look different by now, each painted once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.geometry import Region, Size
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widget import Widget

from monitors.logs.types import LogLine, Place
from tui import marks
from tui.asciified import Asciified
from tui.logs import gutter
from tui.logs.gutter import Times
from tui.logs.highlight import Highlighter
from tui.logs.paint import Dress, Painter, Scene
from tui.logs.palette import PARTS, span_style
from tui.logs.rows import DisplayRow
from tui.logs.viewport import Row

if TYPE_CHECKING:
    from datetime import tzinfo

    from textual.filter import LineFilter

    from tui.logs.reader import Reader
    from tui.logs.selection import Selection
    from tui.logs.written import Written

_STRIPS = 512


@dataclass(frozen=True)
class Look:
    """How lines are shown.

    Attributes:
        wrap: Long lines take several rows, or are scrolled sideways.
        numbers: Whether their numbers stand before them.
        times: What stands before them of when they came, or of when they were written.
    """

    wrap: bool = False
    numbers: bool = False
    times: Times = Times.OFF


class LogCanvas(Widget):
    """Paints the rows that a reader holds; what they are, and what anybody does with them, is not its business.

    Args:
        now: Our clock, seconds since the epoch.

    Attributes:
        reader: What holds the rows, None before there is a log.
        look: How they are shown.
        left: Cells of unwrapped text that are scrolled out at the left.
        current: The line that one is at, None for none.
        bookmarks: Lines that were marked, in order.
        selection: What is selected.
        painted: Rows painted so far.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{part}" for part in PARTS}
    DEFAULT_CSS = """
    LogCanvas { height: 1fr; width: 1fr; background: $background; color: $foreground; }
    LogCanvas .log--found { background: $accent; color: $background; }
    LogCanvas .log--selected { background: $selection; }
    LogCanvas .log--current { background: $panel; }
    LogCanvas .log--context { color: $text-muted; }
    LogCanvas .log--gutter { color: $text-muted; }
    LogCanvas .log--accent { color: $text-accent; text-style: bold; }
    LogCanvas .log--warning { color: $text-warning; }
    LogCanvas .log--error { color: $text-error; }
    LogCanvas .log--critical { color: $text-error; text-style: bold; }
    LogCanvas .log--secondary { color: $text-secondary; }
    LogCanvas .log--muted { color: $text-muted; }
    LogCanvas .log--gap { color: $text-warning; text-style: bold; }
    """
    virtual_size = Reactive(Size(0, 0), repaint=False)  # nothing scrolls here: a new size needs no second layout

    def __init__(self, *, now: Callable[[], float] = time.time, id: str | None = None) -> None:
        super().__init__(id=id)
        self._now = now
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
        self._written: Written | None = None

    def get_line_filters(self) -> Sequence[LineFilter]:
        """None for ASCII: lines are shown as they are, and what is ours among them is ASCII where it has to be."""
        return [one for one in super().get_line_filters() if not isinstance(one, Asciified)]

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is on screen."""
        return self.reader.rows if self.reader is not None else ()

    @property
    def room(self) -> int:
        """Cells for text."""
        return max(1, self.size.width - self._gutter())

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
        label = self._label(row.line) if row.index == 0 else ""
        found = self._highlighter.places(row.shown.text)
        selected = self.selection.part(row) if self.selection is not None and not self.selection.empty else None
        return Dress(sign, label, current, found, selected)

    def _label(self, line: LogLine) -> str:
        zone, times = getattr(self.app, "zone", None), self.look.times
        number = gutter.number(line, self._digits) if self.look.numbers else ""
        return number + gutter.stamp(times, self._seconds(line, times, zone), zone)

    def _seconds(self, line: LogLine, times: Times, zone: tzinfo | None) -> float | None:
        """What is shown of a line's times: one, or the step from the line before; None for nothing."""
        if times is Times.OFF:
            return None
        if times is Times.ARRIVED:
            return line.arrived
        if times is Times.DELTA:
            before = self._line_before(line.at)
            if before is None or before.arrived is None or line.arrived is None:
                return None
            return max(0.0, line.arrived - before.arrived)
        if self._written is None:
            from tui.logs.written import Written  # most who look at a log never ask

            self._written = Written(self._now)
        if times is Times.WRITTEN:
            return self._written.when(line, zone)
        return self._written.step(line, self._line_before, zone)

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

    def notify_style_update(self) -> None:
        """The theme changed: nothing that was painted holds."""
        super().notify_style_update()
        self._painter = None
        self._strips.clear()

    def _line_before(self, place: Place) -> LogLine | None:
        view = self.reader.view if self.reader is not None else None
        before = view.neighbour(place, -1) if view is not None else None
        return view.line_at(before) if view is not None and before is not None else None

    def _sign(self, name: str) -> str:
        return marks.LOG[name].sign(bool(getattr(self.app, "ascii_only", False)))


def _get(rows: list[tuple[object, ...]], y: int) -> tuple[object, ...] | None:
    return rows[y] if y < len(rows) else None
