"""A log in a pane, whole: moving, finding, filtering, taking along, and one line in detail.

In this pane no key changes anything on disk or on a host but what one asks to be written to a new file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, Place
from tui import keys
from tui.logs.askbar import AskBar, Typed
from tui.logs.detailpane import DetailPane
from tui.logs.goto import parse
from tui.logs.gutter import Times
from tui.logs.handpart import HandPart
from tui.logs.reader import Reader
from tui.logs.scrollbar import ByteBar
from tui.logs.selection import Point
from tui.logs.statusline import StatusLine
from tui.logs.view import LogView
from tui.logs.viewport import Anchor, is_tail

_SIDEWAYS = 8


class LogPane(HandPart):
    """The log pane."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("log")]

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.detail = DetailPane(self.action_copy, id="log-detail")
        self._opened: Place | None = None  # the line that is shown whole
        self._opening: object | None = None  # while it is read
        self._beside: tuple[bool, Anchor | None] = (True, None)  # one was when it was opened

    def compose(self) -> ComposeResult:
        """The detail pane lies between the log and what is said of it."""
        for widget in super().compose():
            if widget is self.status:
                yield self.detail
            yield widget

    # Moving.

    def action_up(self) -> None:
        """Up one row, or one line while lines are selected or one is shown whole."""
        self._move(-1)

    def action_down(self) -> None:
        """Down one row, or one line."""
        self._move(1)

    def _move(self, step: int) -> None:
        if self.marked is not None and (self._selects_lines or self.detail.is_open):
            self.move_line(step)
        elif self.reader is not None:
            self.reader.scroll(step)

    def move_line(self, step: int) -> None:
        reader, current = self.reader, self.marked
        if reader is not None and current is not None and self._is_far(reader, current):
            self._reach(current, step)
        else:
            super().move_line(step)

    def _is_far(self, reader: Reader, place: Place) -> bool:
        """Whether lines that are not held lie between a place and those that are."""
        held = reader.view
        if not held.lines:
            return True
        return (place < held.lines[0].at and not held.at_start) or (place > held.lines[-1].at and not held.at_end)

    @property
    def _selects_lines(self) -> bool:
        return self.view.selection is not None and self.view.selection.lines

    def _reach(self, start: Place | None, step: int) -> None:
        """Be at the line that stands `step` lines from a place, None: from the line that one is at by then."""

        async def reach() -> None:
            model, reader, at = self.model, self.reader, start or self.marked
            if model is None or reader is None or at is None:
                return
            window = await model.window(at, max(0, -step), max(0, step) + 1)
            found = [line.at for line in window.lines if not is_tail(line)]
            if found and self.model is model and self.marked is not None:
                place = found[0] if step < 0 else found[-1]
                self.view.set_current(place)
                if self.view.selection is not None and self.view.selection.lines:
                    self.view.select(self.view.selection.to(Point(place)))
                reader.show(place)

        self._steps.go_on(reach)

    def _scroll(self, rows: int) -> None:
        if self._selects_lines:
            self._reach(None, rows)
        elif self.reader is not None:
            self.reader.scroll(rows)

    def action_page_up(self) -> None:
        """Up one page."""
        self._scroll(1 - self.view.size.height)

    def action_page_down(self) -> None:
        """Down one page."""
        self._scroll(self.view.size.height - 1)

    def action_half_up(self) -> None:
        """Up half a page."""
        self._scroll(-max(1, self.view.size.height // 2))

    def action_half_down(self) -> None:
        """Down half a page."""
        self._scroll(max(1, self.view.size.height // 2))

    def action_home(self) -> None:
        """The top of the log."""
        if self.reader is None:
            return
        if self._selects_lines and self.model is not None:
            self._reach(self.model.start_place(), 0)
        else:
            self.reader.home()

    def action_end(self) -> None:
        """The end of the log, and follow it; what is selected ends there, and nothing is followed."""
        if self._selects_lines and self.model is not None:
            self._reach(self.model.end_place(), -1)
        else:
            self._to_end()

    def _to_end(self) -> None:
        self._open_no_more()
        if self.reader is not None:
            self.view.set_current(None)
            self.reader.end()

    def action_left(self) -> None:
        """Show what is further left."""
        self.view.sideways(-_SIDEWAYS)

    def action_right(self) -> None:
        """Show what is further right."""
        self.view.sideways(_SIDEWAYS)

    def action_follow(self) -> None:
        """Follow the end, or stay here."""
        if self.reader is None:
            return
        if self.reader.following:
            self.reader.release()
        else:
            self._to_end()

    def action_pause(self) -> None:
        """Stop painting, and go on."""
        if self.reader is not None:
            self.reader.freeze()

    async def action_go(self) -> None:
        """Type where to."""
        await self.ask("go")

    def _go_taken(self, typed: Typed) -> None:
        if not typed.text.strip():
            self.asked()
            return
        try:
            goal = parse(typed.text, self.now(), self.zone)
        except ValueError as error:
            if self.asking is not None:
                self.asking.tell(str(error), bad=True)
            return
        self.asked()

        async def go() -> None:
            meant = await self.meant(goal)
            place = await self.place_of(meant)
            if place is None or self.reader is None:
                await self.say_why_not(typed.text.strip(), meant)
            else:
                self.view.set_current(place)
                self.reader.show(place)
                await self.say_if_all(typed.text.strip(), goal, meant, place)

        self.later(go, "go")

    # Bookmarks.

    def action_bookmark(self) -> None:
        """Set one on the line, or take it off."""
        line = self.view.line
        if line is not None:
            self.view.toggle_bookmark(line.at)
            self.say_status()

    def action_next_bookmark(self) -> None:
        """The next one, and then the first."""
        at = self.view.current or self._first()
        later = [place for place in self.view.bookmarks if at is None or place > at]
        self._to_bookmark(later[0] if later else next(iter(self.view.bookmarks), None))

    def action_previous_bookmark(self) -> None:
        """The previous one, and then the last."""
        at = self.view.current or self._first()
        earlier = [place for place in self.view.bookmarks if at is None or place < at]
        self._to_bookmark(earlier[-1] if earlier else next(reversed(self.view.bookmarks), None))

    def _first(self) -> Place | None:
        return self.view.rows[0].line.at if self.view.rows else None

    def _to_bookmark(self, place: Place | None) -> None:
        if place is None:
            self.answer("no bookmark is set; m sets one")
        elif self.reader is not None:
            self.view.set_current(place)
            self.reader.show(place)

    # How it looks.

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.view.show_as(replace(self.view.look, wrap=not self.view.look.wrap))

    def action_numbers(self) -> None:
        """Line numbers, or none."""
        self.view.show_as(replace(self.view.look, numbers=not self.view.look.numbers))

    def action_times(self) -> None:
        """The next kind of times."""
        kinds = list(Times)
        following = kinds[(kinds.index(self.view.look.times) + 1) % len(kinds)]
        self.view.show_as(replace(self.view.look, times=following))

    # One line.

    def action_detail(self) -> None:
        """The whole line below the log, or away again."""
        if self.detail.is_open:
            self._close_detail()
            return
        line = self.view.line
        place = self.unseen or (line.at if line is not None else None)
        if place is not None:
            self._open_detail(place)

    def on_log_view_opened(self, event: LogView.Opened) -> None:
        event.stop()
        self._open_detail(event.place)

    def _open_detail(self, place: Place) -> None:
        model = self.model
        line = next((row.line for row in self.view.rows if row.line.at == place and row.index >= 0), None)
        if model is None or self.reader is None or (line is None and place != self.unseen):
            return
        reader = self.reader
        if not self._is_at_opened:
            self._beside = (reader.following, reader.view.anchor)
        self._opened = place
        self._opening = ours = object()
        reader.release()
        self.view.set_current(place)

        def shown() -> None:
            if self.detail.is_open:
                reader.show(place)

        async def show() -> None:
            try:
                await self.detail.show(model, line or await _begun_at(model, place))
            finally:
                if self._opening is ours:  # and no other line's
                    self._opening = None
            self.call_after_refresh(shown)  # the log has fewer rows by then

        self.later(show, "detail")

    def _open_no_more(self) -> None:
        """Give up the line that is read still: one has left it."""
        if self._opening is not None:
            self._opening = None
            self.workers.cancel_group(self, "detail")

    def on_detail_pane_closed(self, event: DetailPane.Closed) -> None:
        event.stop()
        self._close_detail()

    @property
    def _is_at_opened(self) -> bool:
        """Whether a line is shown whole, and nobody has moved away from it."""
        at = self.view.current
        there = self.detail.is_open or self._opening is not None
        return there and at == self._opened and any(row.line.at == at for row in self.view.rows)

    def _close_detail(self) -> None:
        back = self._is_at_opened
        self._open_no_more()
        self.detail.close()
        self.view.focus()
        following, anchor = self._beside
        if back and following:
            self._to_end()
        elif back:
            self.back_to(False, anchor)

    def closing(self) -> None:
        """The log goes, and the line with it."""
        super().closing()
        self._open_no_more()
        self.detail.close()

    def action_back(self) -> None:
        """One layer back."""
        if self.asking is not None:  # somebody went beside it
            self.cancelled(self.asking.kind)
        elif self.view.selection is not None:
            self.view.select(None)
        elif self.detail.is_open or self._opening is not None:
            self._close_detail()
        elif not self.drop_find() and self.view.current is not None:
            self.view.set_current(None)

    # What is typed, pressed and dragged.

    def on_ask_bar_taken(self, event: AskBar.Taken) -> None:
        """Enter was pressed in the line for typing."""
        event.stop()
        if event.kind == "find":
            self.find_taken(event.typed)
        elif event.kind in ("filter", "filter-out"):
            self.filter_taken(event.kind, event.typed)
        elif event.kind in ("since", "until"):
            self.bound_taken(event.kind, event.typed)
        elif event.kind == "save":
            self.save_taken(event.typed)
        elif event.kind == "go":
            self._go_taken(event.typed)
        if self.asking is not None:  # it was not taken, and is open still
            self.asking.settle()

    def on_ask_bar_cancelled(self, event: AskBar.Cancelled) -> None:
        """Escape was pressed in the line for typing."""
        event.stop()
        self.cancelled(event.kind)

    def cancelled(self, kind: str) -> None:
        """As it was before one typed."""
        if kind == "find":
            self.find_cancelled()
        elif kind in ("filter", "filter-out"):
            self.filter_cancelled()
        else:
            super().cancelled(kind)

    def on_status_line_chip_pressed(self, event: StatusLine.ChipPressed) -> None:
        event.stop()
        self._to_end()

    def on_byte_bar_dragged(self, event: ByteBar.Dragged) -> None:
        """The scroll bar was dragged or clicked."""
        event.stop()
        if self.model is not None and self.reader is not None:
            if event.share >= 1:
                self.reader.end()
            else:
                self.reader.show(self.model.at_fraction(event.share), above=0)


async def _begun_at(model: LogModel, place: Place) -> LogLine:
    """A line that no row shows, as far as it is known without reading it.

    Raises:
        GatewatchError: Nobody knows how it is written.
    """
    encoding = await model.encoding(place.generation)
    return LogLine(place, place.offset, b"", 0, None, complete=False, encoding=encoding.name)
