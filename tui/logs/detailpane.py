"""One line of a log, whole, in a pane of its own below the log: as text, field by field, or byte by byte."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hosts.errors import GatewatchError
from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, Place
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
        self._place = 0  # what a person has at the top, as `_places` counts
        self._problem = ""
        self._unlisten: Callable[[], None] | None = None
        self._of: tuple[LogModel, LogLine] | None = None  # what is shown, while it may go on
        self._renewing = False

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
        detail = LineDetail(model, found, line.encoding)
        views = await detail.views()
        # Nothing is taken over before: what is shown may be closed, or go on, while one waits
        self._hear_no_more()
        self._detail, self._views = detail, views
        if _goes_on(found):
            self._of = model, line
            self._unlisten = model.listen(self._heard)
        self._view, self._problem = views[0], ""
        self.add_class("-open")
        self.focus()
        # Where one is within a long line stays in sight.
        await self._load(detail.page_of(self._view, line.at.offset - found.at.offset))
        self._news()  # of what came before it was listened for

    def close(self) -> None:
        """Show nothing."""
        self._hear_no_more()
        self.remove_class("-open")
        self._detail = self._page = None

    def _hear_no_more(self) -> None:
        if self._unlisten is not None:
            self._unlisten()
        self._unlisten = self._of = None

    def _heard(self) -> None:
        self.call_later(self._news)

    def _news(self) -> None:
        """The log changed: the line may have gone on."""
        if not self._renewing and self._of is not None:
            self._renewing = True
            work: Callable[[], Awaitable[None]] = self._renew
            self.run_worker(work, group="renew", exit_on_error=False)

    async def _renew(self) -> None:
        """Show what the line has by now, until there is no more of it."""
        try:
            while self._of is not None and self._detail is not None and await self._go_on(*self._of, self._detail):
                pass
        except GatewatchError:
            pass  # the next news ask again
        finally:
            self._renewing = False

    async def _go_on(self, model: LogModel, line: LogLine, detail: LineDetail) -> bool:
        """Show what was written of the line since; whether there was anything.

        Raises:
            GatewatchError: Its bytes cannot be had.
        """
        had = detail.line
        number, end = had.at.generation, had.at.offset + had.size
        generation = next((one for one in model.state.shape.generations if one.number == number), None)
        if generation is None or end >= generation.size or not _goes_on(had):
            return False
        rest = replace(line, at=Place(number, end), end=end, piece=0, complete=False)
        more = await extent(model, rest, generation)
        found = replace(had, size=had.size + more.size, ends=more.ends, behind=more.behind)
        renewed = LineDetail(model, found, line.encoding)
        views = await renewed.views() if found.ends else self._views  # of one that grows they are not looked for
        if self._detail is detail:
            self._detail, self._views = renewed, views
            self._view = self._view if self._view in views else views[0]
            await self._load(self._page.number if self._page is not None else 0, keep=True)
        return more.size > 0 or self._detail is not detail

    async def _load(self, number: int, *, at_end: bool = False, keep: bool = False) -> None:
        laid = -1
        try:
            while self._detail is not None and laid != self.size.width:  # it may become another one meanwhile
                laid = self.size.width
                self._page = await self._detail.page(self._view, number, max(1, laid - 1))
            self._problem = ""
        except GatewatchError as error:
            self._problem = str(error)
        if keep and self._page is not None:
            self._top = max(0, min(bisect_right(_places(self._page), self._place) - 1, self._last_top))
            self.refresh()
        else:
            self._put(self._last_top if at_end else 0)

    def _put(self, top: int) -> None:
        """Have a row at the top."""
        places = _places(self._page) if self._page is not None else []
        self._top, self._place = top, places[top] if top < len(places) else 0
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
            await self._load(self._page.number, keep=True)

    async def _scroll(self, rows: int) -> None:
        page = self._page
        if page is None:
            return
        top = max(0, min(self._top + rows, self._last_top))
        if top != self._top:
            self._put(top)
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


def _goes_on(line: Extent) -> bool:
    """Whether more of the line may be written."""
    return not line.ends and not line.behind


def _places(page: Page) -> list[int]:
    """What each row begins with, counted in a way that is the same at every width."""
    if page.view is View.HEX:
        return [int(row.text.split(" ", 1)[0], 16) for row in page.rows]
    return list(accumulate((len(row.text) for row in page.rows[:-1]), initial=0)) if page.rows else []


def told(line: Extent) -> str:
    """How much of a line can be seen, and what of it cannot."""
    whole = "{} of a longer line" if line.before or line.behind else "the whole line: {}"
    begins = "" if line.begins else ", more lies before" if line.before else ", its beginning is gone"
    ends = "" if line.ends else ", more lies behind" if line.behind else ", not finished"
    return f"{whole.format(words.size(line.size))}{begins}{ends}"
