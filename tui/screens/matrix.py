"""The stage matrix: stages down, repeats across, and the way from a mark to its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from gates.calibration.cells import Mark
from tui import keys
from tui.marks import CELLS
from tui.screens.matrix_grid import LAST_SEEN, STALLED
from tui.screens.matrix_view import MatrixView

_BAD = (Mark.BROKEN, Mark.DISCARDED, Mark.PARTIAL, Mark.UNKNOWN)


class Matrix(MatrixView, can_focus=True):
    """The matrix with its cursor: keys and mouse."""

    PANE = "matrix"
    HELP_TITLE = "stage matrix"
    HELP_SIGNS = (*CELLS.values(), STALLED, LAST_SEEN)
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("matrix")]

    @dataclass
    class Moved(Message):
        """The cursor was moved to a repeat of a stage."""

        key: str
        run: int

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Matrix.Moved)

    @dataclass
    class Opened(Message):
        """Somebody wants to see all of a stage."""

        key: str

    def select(self, key: str, run: int | None = None) -> None:
        """Put the cursor on a stage."""
        place = self.grid.place(key)
        if place is not None:
            self._go(place, self.run if run is None else run)

    # Moving.

    def action_up(self) -> None:
        """The stage above."""
        self._go(self.stage - 1, self.run)

    def action_down(self) -> None:
        """The stage below."""
        self._go(self.stage + 1, self.run)

    def action_left(self) -> None:
        """The repeat before."""
        self._go(self.stage, self.run - 1)

    def action_right(self) -> None:
        """The repeat after."""
        self._go(self.stage, self.run + 1)

    def action_page_up(self) -> None:
        """A page of stages up."""
        self._go(self.stage - max(1, self._height - 1), self.run)

    def action_page_down(self) -> None:
        """A page of stages down."""
        self._go(self.stage + max(1, self._height - 1), self.run)

    def action_home(self) -> None:
        """The first stage."""
        self._go(0, self.run)

    def action_end(self) -> None:
        """The last stage."""
        self._go(len(self.grid.rows) - 1, self.run)

    def action_next_fault(self) -> None:
        """The next repeat that is not well."""
        self._seek(1)

    def action_previous_fault(self) -> None:
        """The one before."""
        self._seek(-1)

    def action_open(self) -> None:
        """All of this stage."""
        row = self.row
        if row is not None:
            self.post_message(self.Opened(row.key))

    def _seek(self, step: int) -> None:
        bad = [
            (place, cell.run)
            for place, row in enumerate(self.grid.rows)
            for cell in row.stage.cells
            if cell.mark in _BAD
        ]
        here = (self.stage, self.run)
        beyond = [one for one in bad if (one > here if step > 0 else one < here)]
        found = (beyond or bad)[0 if step > 0 else -1] if bad else None
        if found is None:
            self.app.bell()
            return
        self._go(*found)

    def _go(self, stage: int, run: int) -> None:
        if not self.grid.rows:
            return
        self.stage = max(0, min(stage, len(self.grid.rows) - 1))
        self.run = max(1, min(run, max(1, len(self.grid.rows[self.stage].stage.cells))))
        self.live = False
        self._reveal()
        self._changed()
        self.post_message(self.Moved(self.grid.rows[self.stage].key, self.run))

    # The mouse.

    def on_click(self, event: Click) -> None:
        """A click goes there; a second one on the same spot opens the stage."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = self._top + offset.y - self._head
        if not 0 <= place < len(self.grid.rows) or offset.y < self._head:
            return
        event.stop()
        column = self._columns().column_at(offset.x)
        self._go(place, self.run if column is None else column + 1)
        if event.chain > 1:
            self.action_open()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Rows move, the cursor only as far as it must."""
        event.stop()
        self._scroll(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Likewise."""
        event.stop()
        self._scroll(-3)

    def _scroll(self, rows: int) -> None:
        top = max(0, min(self._top + rows, len(self.grid.rows) - self._height))
        if top != self._top:
            self._top = top
            self.refresh()
