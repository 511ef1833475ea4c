"""One line of a log, whole, in a pane of its own below the log: as text, field by field, or byte by byte."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hosts.errors import GatewatchError
from monitors.logs.model import LogModel
from monitors.logs.types import LogLine
from tui import keys, words
from tui.cells import shorten
from tui.logs.detail import Extent, LineDetail, Page, View, extent
from tui.logs.paint import segments
from tui.logs.palette import PARTS, span_style

_WHEEL = 3


class DetailPane(Widget, can_focus=True):
    """Shows one line; a page of it is read at a time."""

    PANE = "detail"
    HELP_TITLE = "the whole line"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("detail")]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"detail--{part}" for part in (*PARTS, "title")}
    DEFAULT_CSS = """
    DetailPane { height: 45%; min-height: 4; background: $surface; color: $foreground; display: none; }
    DetailPane.-open { display: block; }
    DetailPane .detail--title { background: $panel; color: $text-accent; text-style: bold; }
    DetailPane .detail--accent { color: $text-accent; text-style: bold; }
    DetailPane .detail--warning { color: $text-warning; }
    DetailPane .detail--error { color: $text-error; }
    DetailPane .detail--critical { color: $text-error; text-style: bold; }
    DetailPane .detail--secondary { color: $text-secondary; }
    DetailPane .detail--muted { color: $text-muted; }
    """
    ALLOW_SELECT = False

    @dataclass
    class Closed(Message):
        """Somebody goes back to the log."""

    def __init__(self, copy: Callable[[], None], id: str | None = None) -> None:
        super().__init__(id=id)
        self._copy = copy
        self._detail: LineDetail | None = None
        self._page: Page | None = None
        self._views: tuple[View, ...] = (View.TEXT,)
        self._view = View.TEXT
        self._top = 0
        self._problem = ""

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    async def show(self, model: LogModel, line: LogLine) -> None:
        """Show this line, the best way first.

        Raises:
            GatewatchError: Its bytes cannot be had.
        """
        generation = next((one for one in model.state.shape.generations if one.number == line.at.generation), None)
        if generation is None:
            return
        found = await extent(model, line, generation)
        self._detail = LineDetail(model, found, line.encoding)
        self._views = await self._detail.views()
        self._view, self._problem = self._views[0], ""
        self.add_class("-open")
        self.focus()
        # Where one is within a long line stays in sight.
        await self._load(self._detail.page_of(self._view, line.at.offset - found.at.offset))

    def close(self) -> None:
        """Show nothing."""
        self.remove_class("-open")
        self._detail = self._page = None

    async def _load(self, number: int, *, at_end: bool = False) -> None:
        if self._detail is None:
            return
        try:
            self._page = await self._detail.page(self._view, number, max(1, self.size.width - 1))
            self._problem = ""
        except GatewatchError as error:
            self._problem = str(error)
        self._top = self._last_top if at_end else 0
        self.refresh()

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1)

    @property
    def _last_top(self) -> int:
        return max(0, len(self._page.rows) - self._room) if self._page is not None else 0

    def render_line(self, y: int) -> Strip:
        """One row; the first one is the title."""
        base, width = self.rich_style, self.size.width
        if y == 0:
            title = base + self.get_component_rich_style("detail--title", partial=True)
            return Strip([Segment(shorten(self._title(), max(1, width)), title)]).adjust_cell_length(width, title)
        page = self._page
        place = self._top + y - 1
        if page is None or place >= len(page.rows):
            return Strip.blank(width, base)
        row = page.rows[place]
        parts = {part: self.get_component_rich_style(f"detail--{part}", partial=True) for part in PARTS}
        layers = [(span.start, span.end, span_style(span.style, parts)) for span in row.spans]
        return Strip([Segment(" ", base), *segments(row.text, layers, base)]).adjust_cell_length(width, base)

    def _title(self) -> str:
        page, detail = self._page, self._detail
        if self._problem:
            return f" {self._problem}"
        if page is None or detail is None:
            return " reading"
        of = f"  page {words.count(page.number + 1)} of {words.count(page.pages)}" if page.pages > 1 else ""
        ways = "/".join(f"[{one.value}]" if one is self._view else one.value for one in self._views)
        return f" {told(detail.line)}{of}  {ways}"

    async def on_resize(self, event: Resize) -> None:
        """Rows are as wide as the pane."""
        if self._page is not None:
            await self._load(self._page.number)

    async def _scroll(self, rows: int) -> None:
        page = self._page
        if page is None:
            return
        top = max(0, min(self._top + rows, self._last_top))
        if top != self._top:
            self._top = top
            self.refresh()
        elif rows > 0 and page.number + 1 < page.pages:
            await self._load(page.number + 1)
        elif rows < 0 and page.number > 0:
            await self._load(page.number - 1, at_end=True)

    async def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        await self._scroll(-_WHEEL)

    async def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        await self._scroll(_WHEEL)

    async def action_up(self) -> None:
        """Up one row."""
        await self._scroll(-1)

    async def action_down(self) -> None:
        """Down one row."""
        await self._scroll(1)

    def action_page_up(self) -> None:
        """Up one screen, or to the page before."""
        self._turn(-self._room)

    def action_page_down(self) -> None:
        """Down one screen, or to the next page."""
        self._turn(self._room)

    def _turn(self, rows: int) -> None:
        work: Callable[[], Awaitable[None]] = partial(self._scroll, rows)
        self.run_worker(work, group="page", exit_on_error=False)

    async def action_home(self) -> None:
        """The line's beginning."""
        await self._load(0)

    async def action_end(self) -> None:
        """The line's end."""
        if self._detail is not None:
            await self._load(self._detail.pages(self._view) - 1, at_end=True)

    async def action_view(self) -> None:
        """The next way to show it, at the same byte."""
        if self._detail is None:
            return
        first = self._page.first if self._page is not None else 0
        self._view = self._views[(self._views.index(self._view) + 1) % len(self._views)]
        await self._load(self._detail.page_of(self._view, first))

    def action_copy(self) -> None:
        """Copy the line."""
        self._copy()

    def action_close(self) -> None:
        """Back to the log."""
        self.post_message(self.Closed())


def told(line: Extent) -> str:
    """How much of a line can be seen, and what of it cannot."""
    whole = "{} of a longer line" if line.before or line.behind else "the whole line: {}"
    begins = "" if line.begins else ", more lies before" if line.before else ", its beginning is gone"
    ends = "" if line.ends else ", more lies behind" if line.behind else ", not finished"
    return f"{whole.format(words.size(line.size))}{begins}{ends}"
