"""What the stage matrix paints: only the rows that are on screen, each from its stage's judgement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from gates.calibration.cells import Mark
from tui.logs.scrollbar import Span as BarSpan
from tui.logs.scrollbar import thumb
from tui.marks import rule
from tui.screens import run_ink
from tui.screens.covered import is_covered
from tui.screens.matrix_columns import Columns, columns, widths
from tui.screens.matrix_grid import FILLS, RUNNING, Grid, Row, cell_of, fill, fill_sign, fill_step, look_of
from tui.screens.run_facts import plain
from tui.screens.run_ink import Span
from tui.screens.run_words import faulty
from tui.words import took

_NAMED = 60  # cells from which on the stage is named beside what the mark means


class MatrixView(Widget):
    """All stages of a run; rows that are not on screen cost nothing.

    Args:
        far: The host's clock now, seconds since the epoch.

    Attributes:
        stage: The row that the cursor is on.
        run: The repeat that it is on, counted from 1.
        live: The cursor goes with what runs.
        paints: How often something was painted anew.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *run_ink.CLASSES,
        "matrix--row",
        "matrix--cursor",
        "matrix--thumb",
        "matrix--track",
    }
    DEFAULT_CSS = """
    MatrixView { height: 1fr; width: 1fr; padding: 0; }
    MatrixView .matrix--cursor { background: $selection; text-style: bold; }
    MatrixView .matrix--row { background: $panel; }
    MatrixView .matrix--thumb { color: $primary; }
    MatrixView .matrix--track { color: $panel; }
    """ + run_ink.css("MatrixView")
    ALLOW_SELECT = False

    @dataclass
    class Pointed(Message):
        """What `pointed` says may be something else."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, MatrixView.Pointed)

    def __init__(self, far: Callable[[], float], id: str | None = None) -> None:
        super().__init__(id=id)
        self._far = far
        self.grid = Grid()
        self.stage = 0
        self.run = 1
        self.live = True
        self.paints = 0
        self._top = 0
        self._filled = -1
        self._pulse: Timer | None = None

    # What is shown.

    def show_grid(self, grid: Grid) -> None:
        """Show this from now on; the same grid paints nothing."""
        if grid == self.grid:
            self.grid = grid
            self._beat()
            return
        at = self.grid.rows[self.stage].key if self.stage < len(self.grid.rows) else None
        self.grid = grid
        place = grid.place(at) if at is not None else None
        self.stage = place if place is not None else 0
        self.run = max(1, min(self.run, grid.columns or 1))
        if self.live:
            self._follow()
        self._reveal()
        self._changed()
        self._beat()

    def go_live(self) -> None:
        """Go with what runs again."""
        self.live = True
        self._follow()
        self._reveal()
        self._changed()

    @property
    def row(self) -> Row | None:
        """The stage that the cursor is on."""
        return self.grid.rows[self.stage] if self.stage < len(self.grid.rows) else None

    def _follow(self) -> None:
        now = self.grid.now
        if now is None:
            self._stand()
            return
        current = self.row
        if current is None or current.key not in now.stages:
            self.stage = next((n for n, row in enumerate(self.grid.rows) if row.key in now.stages), self.stage)
        self.run = max(1, min(now.run, self.grid.columns or 1))

    def _stand(self) -> None:
        stands = self.grid.stands
        place = self.grid.place(stands[0]) if stands is not None else None
        if stands is not None and place is not None:
            self.stage, self.run = place, max(1, min(stands[1], self.grid.columns or 1))

    def _changed(self) -> None:
        self.paints += 1
        self.refresh()
        self.post_message(self.Pointed())

    def pointed(self, room: int) -> tuple[Span, ...]:
        """What the mark under the cursor means, in at most `room` cells."""
        row = self.row
        cell = cell_of(row, self.run) if row is not None else None
        if row is None or cell is None:
            return ()
        look = look_of(self.grid, row, cell)
        where = f"{self.run}/{row.stage.repeats}" if row.stage.repeats else f"{self.run}"
        lasted = cell.record.duration_s if cell.record is not None else None
        sign = look.sign(self._ascii)
        now = self.grid.now
        if now is not None and self.grid.runs(row, cell.run):
            if look is RUNNING:
                sign = fill_sign(fill_step(fill(self.grid, row, self._far())), self._ascii)
            why = f"{now.word}, usually {took(row.usual)}" if row.usual is not None else f"{now.word}, the first"
        elif cell.mark is Mark.STRICT:
            why = f"strict, {took(lasted)}" if lasted is not None else look.word
        else:
            why = plain(faulty("", cell.reason, cell.path)[1], 300) or look.word
        told = f" {where} "
        name = run_ink.middle(row.name, max(0, room - len(told) - 3 - run_ink.width([(why, "")])), self._more)
        lead = f" {name}" if room >= _NAMED and name else ""
        rest = run_ink.cut(why, max(0, room - run_ink.width([(lead + told + sign + " ", "")])), self._more)
        return ((lead, "secondary"), (told, ""), (f"{sign} ", look.style), (rest, "muted"))

    @property
    def _ascii(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False))

    @property
    def _more(self) -> str:
        return rule(self._ascii)[3]

    # The repeat that runs fills up.

    def _beat(self) -> None:
        """Paint again when the repeat that runs has filled up one step more, and not before."""
        if self._pulse is not None:
            self._pulse.stop()
            self._pulse = None
        now, usual = self.grid.now, self._usual()
        if now is None or now.since is None or usual is None:
            self._filled = -1
            return
        elapsed = max(0.0, self._far() - now.since)
        step = fill_step(elapsed / usual)
        if step != self._filled:
            self._filled = step
            self._changed()
        if step < len(FILLS) - 1 and self.is_attached and not is_covered(self):
            wait = (step + 1) * usual / len(FILLS) - elapsed
            self.call_later(self._wait, max(0.2, wait))

    def _wait(self, seconds: float) -> None:
        if self._pulse is None and self.is_attached:
            self._pulse = self.set_timer(seconds, self._beat)

    def _usual(self) -> float | None:
        """The shortest usual time of the stages that run, so that none fills up unseen."""
        now = self.grid.now
        if now is None:
            return None
        rows = (self.grid.rows[place] for key in now.stages if (place := self.grid.place(key)) is not None)
        return min((row.usual for row in rows if row.usual), default=None)

    def rest(self) -> None:
        """Nothing is to be painted for a while: the screen is covered."""
        if self._pulse is not None:
            self._pulse.stop()
            self._pulse = None

    def wake(self) -> None:
        """The screen is seen again."""
        self._beat()

    # Painting.

    @property
    def wanted(self) -> int:
        """Rows that all stages take."""
        return self._head + len(self.grid.rows)

    def natural(self) -> tuple[int, int]:
        """Cells of a row with its counts, and with its mean duration and the reason of its worst repeat too."""
        return widths(self.grid)

    @property
    def _head(self) -> int:
        return 1 if self._columns().usual else 0

    @property
    def _height(self) -> int:
        return max(1, self.size.height - self._head)

    def _reveal(self) -> None:
        height = self._height
        last = max(0, len(self.grid.rows) - height)
        if self.stage < self._top:
            self._top = self.stage
        elif self.stage >= self._top + height:
            self._top = self.stage - height + 1
        self._top = max(0, min(self._top, last))

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in sight, and no blank row below the last stage."""
        top = self._top
        self._reveal()
        if self._top != top:  # it may have been painted before this was told
            self.refresh()

    def on_focus(self) -> None:
        """The cursor is seen."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor is not."""
        self.refresh()

    def _columns(self) -> Columns:
        bar = 1 if len(self.grid.rows) > self.size.height else 0
        return columns(self.grid, max(1, self.size.width - bar), self.run - 1)

    def render_line(self, y: int) -> Strip:
        """One stage."""
        base, width = self.rich_style, self.size.width
        laid, head = self._columns(), self._head
        if not self.grid.rows:
            return run_ink.strip(self, ((" no stage is known", "muted"),) if y == 0 else (), width, base)
        bar = self._bar(y, base)
        room = width - len(bar)
        if y < head:
            return Strip([*run_ink.strip(self, self._heading(laid), room, base), *bar]).adjust_cell_length(width, base)
        place = self._top + y - head
        if place >= len(self.grid.rows):
            return Strip([*Strip.blank(room, base), *bar]).adjust_cell_length(width, base)
        row = self.grid.rows[place]
        here = place == self.stage
        ground = base + self.get_component_rich_style("matrix--row", partial=True) if here else base
        segments = self._row(row, here, laid, ground)
        return Strip([*Strip(segments).adjust_cell_length(room, ground), *bar]).adjust_cell_length(width, base)

    def _row(self, row: Row, here: bool, laid: Columns, base: Style) -> list[Segment]:
        name = run_ink.middle(row.name, laid.name, self._more)
        marker = (">" if self._ascii else "▌") if here else " "
        spans: list[Span] = [
            (marker, "accent"),
            (
                name + " " * (laid.name - run_ink.width([(name, "")]) + 2),
                "" if here or not row.stage.ready else "muted",
            ),
        ]
        segments = [Segment(text, run_ink.ink(self, style, base)) for text, style in spans]
        at = self._far()
        for column in range(laid.first, laid.first + laid.count):
            segments.append(self._mark(row, column, here, at, base))
            if laid.step > 1:
                segments.append(Segment(" " * (laid.step - 1), base))
        for text, style in self._beside(row, laid):
            segments.append(Segment(text, run_ink.ink(self, style, base)))
        return segments

    def _mark(self, row: Row, column: int, here: bool, at: float, base: Style) -> Segment:
        if column >= len(row.stage.cells):
            return Segment(" ", base)
        cell = row.stage.cells[column]
        look = look_of(self.grid, row, cell)
        sign = look.sign(self._ascii)
        if look is RUNNING:
            sign = fill_sign(fill_step(fill(self.grid, row, at)), self._ascii)
        style = run_ink.ink(self, look.style, base)
        if here and column == self.run - 1 and (not self.live or self.has_focus):
            style += self.get_component_rich_style("matrix--cursor", partial=True)
        return Segment(sign, style)

    def _beside(self, row: Row, laid: Columns) -> list[Span]:
        beside: list[Span] = []
        stage = row.stage
        if laid.ready:
            text = f"{stage.strict}/{stage.repeats}" if stage.repeats is not None else f"{stage.strict}"
            beside.append((" " + text.rjust(laid.ready), "success" if stage.ready else "muted"))
        if laid.usual:
            text = took(row.usual) if row.usual is not None else ""
            beside.append(("  " + text.rjust(laid.usual), "muted"))
        if laid.why:
            beside.append(("  ", ""))
            beside.append(self._why(row, laid.why))
        return beside

    def _why(self, row: Row, room: int) -> Span:
        cell = row.fault
        if cell is None:
            return "", ""
        look = look_of(self.grid, row, cell)
        why = plain(faulty("", cell.reason, cell.path)[1], 300)
        return run_ink.cut(f"{cell.run} {why}", room, self._more), look.style

    def _heading(self, laid: Columns) -> tuple[Span, ...]:
        marks = "".join(
            str((column + 1) % 10).ljust(laid.step) for column in range(laid.first, laid.first + laid.count)
        )
        text = " " + "stage".ljust(laid.name)[: laid.name] + "  " + marks
        text += " " + "ok".rjust(laid.ready)
        text += "  " + "usual".rjust(laid.usual)
        return ((text + ("  why not" if laid.why else ""), "muted"),)

    def _bar(self, y: int, base: Style) -> list[Segment]:
        """Where the rows on screen are among all, where not all are."""
        total, height = len(self.grid.rows), self._height
        if total <= self.size.height:
            return []
        head = self._head
        if y < head:
            return [Segment(" ", base)]
        first, last = thumb(BarSpan(self._top / total, min(1.0, (self._top + height) / total)), height)
        inside = first <= y - head < last
        _, on, track, _ = rule(self._ascii)
        style = self.get_component_rich_style("matrix--thumb" if inside else "matrix--track", partial=True)
        return [Segment(on if inside else track, base + style)]
