"""The rows of the job pane: which of the milestones are on screen, which one is marked, and how they are painted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Blur, Click, Focus, MouseScrollDown, MouseScrollUp, Resize
from textual.strip import Strip
from textual.widget import Widget

from monitors.calibration.milestones import Milestone
from tui import marks, words
from tui.cells import width
from tui.screens.job_rows import Row, Span, Widths, columns, compact, is_aside, row_of
from tui.screens.pane_title import PARTS, Title, in_ascii, title_css, title_strip

NAME = "job"
_COMPACT = 3  # rows, up to which there are no columns
_NEAR = 64  # milestones that so few rows may hold at most
_WHEEL = 3
_STYLES = ("time", "cell", "took", "rest", "muted", "primary", "secondary", "success", "warning", "error", "mark")


class JobView(Widget, can_focus=True):
    """Shows milestones; whoever owns it says which there are.

    A milestone goes by its number since the beginning, which stays when the oldest are dropped.

    Attributes:
        items: Those that are held, oldest first.
        first: The number of the first of them.
        following: Whether the newest stays on screen.
        current: The number of the marked one, or None.
        apart: Seconds that the host's clock is ahead of ours; theirs are the times of milestones.
        painted: Rows painted so far.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"job--{style}" for style in (*_STYLES, "current")} | {
        f"title--{part}" for part in PARTS
    }
    DEFAULT_CSS = """
    JobView { width: 1fr; height: 1fr; background: $background; color: $foreground; }
    JobView .job--time { color: $text-muted; }
    JobView .job--cell { color: $foreground; text-style: bold; }
    JobView .job--took { color: $text-secondary; }
    JobView .job--rest { color: $foreground; }
    JobView .job--muted { color: $text-muted; }
    JobView .job--primary { color: $text-primary; }
    JobView .job--secondary { color: $text-secondary; }
    JobView .job--success { color: $text-success; }
    JobView .job--warning { color: $text-warning; }
    JobView .job--error { color: $text-error; text-style: bold; }
    JobView .job--mark { color: $text-accent; text-style: bold; }
    JobView .job--current { background: $panel; }
    """ + title_css("JobView")
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.items: Sequence[Milestone] = ()
        self.first = 0
        self.following = True
        self.current: int | None = None
        self.apart = 0
        self.painted = 0
        self._top = 0
        self._let_go = 0
        self._widths = Widths()

    def title(self) -> Title:
        """What the row above the milestones says."""
        return Title(NAME)

    def nothing(self) -> str:
        """What stands there while there is no milestone."""
        return "no milestone yet"

    # Which there are, and where one is.

    def hold(self, items: Sequence[Milestone], first: int, *, anew: bool) -> None:
        """Show these from now on; `anew` where they are others, and not more of the same."""
        self.items, self.first = items, first
        if anew:
            self.current, self._widths, self.following = None, Widths(), True
        self.refresh()

    @property
    def end(self) -> int:
        """The number that the next milestone will have."""
        return self.first + len(self.items)

    @property
    def room(self) -> int:
        """Rows for milestones."""
        return max(1, self.size.height - 1)

    @property
    def marked(self) -> Milestone | None:
        """The one that one is at."""
        index = -1 if self.current is None else self.current - self.first
        return self.items[index] if 0 <= index < len(self.items) else None

    @property
    def chip(self) -> str:
        """How much came since one let go of the newest."""
        came = 0 if self.following else self.end - self._let_go
        return f"+{words.counted(came, 'line')}" if came > 0 else ""

    def release(self) -> None:
        """Stay here, whatever comes."""
        if self.following:
            self.following = False
            self._let_go = self.end
            self._top = max(self.first, self.end - self.room)

    def follow(self) -> None:
        """The newest, and whatever comes."""
        self.following, self.current = True, None
        self.refresh()

    def mark(self, number: int | None) -> None:
        """Mark a milestone, and have it on screen with its neighbours."""
        self.release()
        self.current = number
        self.reveal()

    def reveal(self) -> None:
        """Scroll no further than it takes to have the marked one on screen, away from the edge."""
        if self.current is not None and not self._top <= self.current < self._top + self.room:
            self._top = self.current - self.room // 2
        self.scroll_rows(0)

    def scroll_rows(self, rows: int) -> None:
        """Down by so many rows, up for a negative number, as far as there are any."""
        self._top = max(self.first, min(self._top + rows, self.end - self.room))
        self.refresh()

    def move(self, rows: int) -> None:
        """Mark the milestone so many rows further down, from the marked one or else the newest on screen."""
        if not self.items:
            return
        last = self.end - 1
        here = self.current if self.current is not None else min(last, self.top + self.room - 1)
        self.release()
        self.current = max(self.first, min(here + rows, last))
        self._top = min(self._top, self.current)
        self._top = max(self._top, self.current - self.room + 1)
        self.scroll_rows(0)

    @property
    def top(self) -> int:
        """The number of the first one on screen."""
        return max(self.first, self.end - self.room if self.following else self._top)

    # Painting.

    def render_line(self, y: int) -> Strip:
        """One row."""
        self.painted += 1
        width_, base = self.size.width, self.rich_style
        if self.size.height <= _COMPACT:
            return self._compact(y, width_, base)
        if y == 0:
            return title_strip(self.title(), width_, self._title_style, self._title_style("ground"))
        return self._full(y - 1, width_, base)

    def _full(self, y: int, room: int, base: Style) -> Strip:
        if not self.items:
            return self._strip([(f"  {self.nothing()}", "muted")] if y == 0 else [], room, base)
        number = self.top + y
        if number >= self.end:
            return Strip.blank(room, base)
        if y == 0:
            index = number - self.first
            shown = [self.row(one) for one in self.items[index : index + self.room]]
            self._widths = self._widths.grown(shown, room)
        current = number == self.current
        sign = marks.LOG["current"].sign(self.ascii_only) if current else " "
        spans = [(f"{sign} ", "mark"), *columns(self.row(self.items[number - self.first]), self._widths, room - 2)]
        return self._strip(spans, room, base + self._part("current") if current else base)

    def _compact(self, y: int, room: int, base: Style) -> Strip:
        name = f" {NAME} "
        chip = f" {self.chip} " if self.chip else ""
        left = max(1, room - width(name) - 1 - width(chip))  # of every line, or they would break elsewhere
        newest = (self.end if self.current is None else self.current + 1) - self.first
        near = self.items[max(0, newest - _NEAR) : newest][::-1]
        chosen = [one for one in near if not is_aside(one)] or near
        lines = compact(map(self.row, chosen), left, max(1, self.size.height), self.ascii_only)
        spans = lines[y] if y < len(lines) else []
        if y == 0 and not self.items:
            spans = [(self.nothing(), "muted")]
        head = [Segment(name, base + self._title_style("focused" if self.has_focus else "name"))]
        body = self._strip([(" ", ""), *spans], room - width(name) - width(chip), base)
        tail = [Segment(chip, base + self._title_style("chip"))] if chip and y == 0 else []
        begin = Strip(head) if y == 0 else Strip.blank(width(name), base)
        return Strip.join([begin, body, Strip(tail)]).adjust_cell_length(room, base)

    def row(self, milestone: Milestone) -> Row:
        """A milestone as it is shown."""
        now = getattr(self.app, "now", time.time)
        zone = getattr(self.app, "zone", None)
        return row_of(milestone, now(), zone, ascii_only=self.ascii_only, apart=self.apart)

    @property
    def ascii_only(self) -> bool:
        """No glyph outside ASCII in what is ours."""
        return bool(getattr(self.app, "ascii_only", False))

    def _strip(self, spans: Sequence[Span], room: int, base: Style) -> Strip:
        segments = [Segment(text, base + self._part(style) if style else base) for text, style in spans if text]
        row = Strip(segments).adjust_cell_length(max(0, room), base)
        return in_ascii(row) if self.ascii_only else row

    def _part(self, name: str) -> Style:
        return self.get_component_rich_style(f"job--{name}", partial=True)

    def _title_style(self, name: str) -> Style:
        return self.get_component_rich_style(f"title--{name}", partial=name != "ground")

    # What happens to it.

    def on_resize(self, event: Resize) -> None:
        self._widths = Widths()
        if not self.following:
            self.reveal()
        self.refresh()

    def on_focus(self, event: Focus) -> None:
        self.refresh()

    def on_blur(self, event: Blur) -> None:
        self.refresh()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.release()
        self.scroll_rows(-_WHEEL)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        if not self.following:
            self.scroll_rows(_WHEEL)

    def on_click(self, event: Click) -> None:
        """A line is marked; the chip goes to the newest."""
        if self.chip and event.y == 0 and event.x >= self.size.width - width(self.chip) - 2:
            self.follow()
        elif self.size.height > _COMPACT and event.y > 0 and self.top + event.y - 1 < self.end:
            number = self.top + event.y - 1
            self.release()
            self.current = number
            self.refresh()
