"""The log itself: rows of text that follow the end or stay where one reads.

It shows what its reader holds, and knows what a pointer means. It decides nothing: keys are the pane's.
"""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass

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
from textual.message import Message

from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, Place, Query
from tui import shims
from tui.logs import gutter
from tui.logs.canvas import LogCanvas, Look
from tui.logs.highlight import Highlighter
from tui.logs.reader import FPS, Reader
from tui.logs.rows import DisplayRow, display_rows
from tui.logs.selection import Point, Selection

_WHEEL = 3


class LogView(LogCanvas, can_focus=True):
    """One log: where one is in it, what is marked and selected, and what happens to it.

    Args:
        now: Our clock, seconds since the epoch.
        clock: What frames are timed by, seconds.
        fps: Paints of a growing log in a second.
    """

    ALLOW_SELECT = False

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
        super().__init__(now=now, id=id)
        self._clock, self._fps = clock, fps
        self._pressed: Point | None = None
        self._had_focus = False
        self._seen = True

    # Which log, and how it is shown.

    def open(self, model: LogModel) -> Reader:
        """Show another log from now on; whoever calls runs the reader that comes back."""
        self.current, self.selection, self.left = None, None, 0
        self.bookmarks.clear()
        self._digits = gutter.LEAST
        self._written = None
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
        return display_rows(line)

    def _lay(self, line: LogLine) -> tuple[DisplayRow, ...]:
        return display_rows(line, self.room if self.look.wrap else None)

    def _reader_changed(self) -> None:
        digits = self._digits
        self._fit()
        if digits != self._digits and self.look.wrap and self.reader is not None:
            self.call_next(self.reader.lay_with, self._lay)
        self._highlighter.next_screen()
        self.draw()
        self.post_message(self.Changed())

    # What happens to it.

    def on_resize(self, event: Resize) -> None:
        if self.reader is not None:
            current = next((row.line.at for row in self.reader.rows if row.line.at == self.current), None)
            if self.look.wrap and event.size.width != self._scene.width:
                self.reader.lay_with(self._lay)
            self.reader.resize(event.size.height, current)
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

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No rule looks at the focus: applied anew, they would have every row painted anew when one begins to type."""

    def _on_focus(self, event: Focus) -> None:
        shims.take_focus(self, event)

    def _on_blur(self, event: Blur) -> None:
        shims.take_focus(self, event)
