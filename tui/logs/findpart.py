"""The part of a log pane that finds: words, expressions, errors and warnings, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from textual.timer import Timer

from hosts.errors import GatewatchError
from hosts.local.levels import Level
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, Place, Query
from tui import words
from tui.logs.askbar import AskBar, Typed
from tui.logs.foundline import OVER, Found, failure_at, found_in, rows_above
from tui.logs.highlight import problem
from tui.logs.panebase import PaneBase
from tui.logs.reader import Reader
from tui.logs.sought import Sought
from tui.logs.steps import Steps
from tui.logs.viewport import Anchor

_TYPING = 0.15  # seconds without a key before what is typed is looked for


class FindPart(PaneBase):
    """Finds lines, of those that the filter lets pass."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # the base's own
        self._typed = Typed()
        self._search: Sought | None = None
        self._levels: dict[Level, Sought] = {}
        self._within: Filter | None = None
        self._deaf: list[Callable[[], None]] = []
        self._shown: Place | None = None
        self._ordinal: int | None = None
        self._hits = 0
        self._remark: tuple[Place, str] | None = None  # what is to be said of a line that one was led to
        self._origin: tuple[bool, Anchor | None] = (True, None)
        self._aside: int | None = None  # cells that are scrolled out at the left for what was found
        self._left_before = 0  # cells that were, before that
        self._in_sight = False  # whether the line for which they are was on the screen
        self._typing: Timer | None = None
        self._steps = Steps(self.later)

    def opened(self, model: LogModel) -> None:
        """Another log: nothing is looked for in it yet."""
        super().opened(model)
        self._aside = None
        self.view.highlight(None)

    def closing(self) -> None:
        """Stop looking."""
        super().closing()
        self._forget()
        self._forget_levels()

    def look_within(self, spec: Filter | None) -> None:
        """Look from now on among the lines alone that a filter lets pass, and not among those around them."""
        spec = replace(spec, context=0) if spec is not None else None
        if spec == self._within:
            return
        self._within = spec
        self._forget_levels()
        if self._search is not None:
            shown = self._shown
            self._forget()
            self._look(self._typed.query())
            self._shown = shown
            self._more()

    def aside(self) -> str:
        """Which of how many, how far the search is, and what is to be said of the line that one was led to."""
        remark = self._remark[1] if self._remark is not None and self._remark[0] == self.view.current else ""
        return ", ".join(part for part in (self._count_said(), remark) if part)

    @property
    def unseen(self) -> Place | None:
        """The line that one was led to, where a later one painted over it and it would stand on the screen."""
        at, reader = self.view.current, self.reader
        if at is None or self._remark != (at, OVER) or reader is None or not reader.rows:
            return None
        begins = reader.at_top or reader.rows[0].line.at < at
        return at if begins and at < reader.rows[-1].line.at else None

    def _count_said(self) -> str:
        if self._search is None:
            return ""
        progress = self._search.search.progress
        if progress.problem:
            return progress.problem
        hits = self._hits if self._search.bounded else progress.hits
        which = f"{words.count(self._ordinal)} of " if self._ordinal else ""
        scanned = "" if progress.done or not progress.total else f", {words.percent(progress.scanned / progress.total)}"
        found = f"{words.count(hits)} found" if not which else words.count(hits)
        return f"{which}{found}{scanned}"

    # Words and expressions.

    async def action_find(self) -> None:
        """Type what to find; the first place is shown while one types."""
        if self.reader is None:
            return
        self._origin = self._place_before(self.reader)
        await self.ask("find", self._typed if self._search is not None else None)

    def _place_before(self, reader: Reader) -> tuple[bool, Anchor | None]:
        """Where one is, or was before one began to type what is not taken yet."""
        if self.asking is not None and self.asking.kind == "find":
            return self._origin
        return reader.following, reader.view.anchor

    def find_edited(self, typed: Typed) -> None:
        """Something else is typed: look for it once the typing rests."""
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_TYPING, lambda: self._find(typed))

    def find_taken(self, typed: Typed) -> None:
        """Stay with what was found."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        wrong = problem(typed.query()) if typed.text else ""
        if wrong and self.asking is not None:
            self.asking.tell(wrong, bad=True)
            return
        self.asked()
        if not typed.text:
            self.drop_find()
        elif typed != self._typed or self._search is None:
            self._find(typed)

    def find_cancelled(self) -> None:
        """Back to where one was, with nothing looked for."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self.asked()
        self.drop_find()
        self.view.set_current(None)
        self.back_to(*self._origin)

    def drop_find(self) -> bool:
        """Look for nothing; returns whether something was looked for."""
        there = self._search is not None
        self._forget()
        self._aside_back()
        self.view.highlight(None)
        self.say_status()
        return there

    async def action_next(self) -> None:
        """The next line found."""
        await self._step(forward=True)

    async def action_previous(self) -> None:
        """The line found before."""
        await self._step(forward=False)

    def _find(self, typed: Typed) -> None:
        self._typing = None
        self._forget()
        self._typed = typed
        bar = self.asking
        query = typed.query()
        wrong = problem(query)
        if wrong or not typed.text or self.model is None:
            self.view.highlight(None)
            if bar is not None:
                bar.tell(wrong, bad=bool(wrong))
            return
        self.view.highlight(query)
        search = self._look(query)
        self._found()
        following, anchor = self._origin
        start = self.model.end_place() if following or anchor is None else anchor.place
        self._steps.begin(lambda: self._go(search, start, forward=not following, here=True))

    def _look(self, query: Query) -> Sought:
        self._search = search = self._seek(query)
        self._deaf.append(search.search.listen(lambda: self.soon(self._more)))
        return search

    def _seek(self, query: Query) -> Sought:
        """Begin to look, among what the filter shows."""
        assert self.model is not None
        spec = self._within
        if spec is None:
            return Sought(self.model.search(query), None)
        wanted = Filter(include=(*spec.include, query), exclude=spec.exclude, level=spec.level)
        return Sought(self.model.search(wanted), spec)

    async def _step(self, *, forward: bool) -> None:
        if self._search is None and not self._typed.text:
            await self.action_find()
            return
        # The line on top of the screen is one to go to where nothing led there
        here = self._search is None and self.view.current is None
        search = self._search or self._again()
        if search is not None:
            self._steps.go_on(lambda: self._go(search, self._here(), forward=forward, here=here))

    def _again(self) -> Sought | None:
        """Look for what was looked for before."""
        query = self._typed.query()
        wrong = problem(query)
        if wrong:
            self.answer(wrong, bad=True)
        if wrong or self.model is None:
            return None
        self.view.highlight(query)
        search = self._look(query)
        self._found()
        return search

    # Levels.

    async def action_next_error(self) -> None:
        """The next error."""
        self._to_level(Level.ERROR, forward=True)

    async def action_previous_error(self) -> None:
        """The error before."""
        self._to_level(Level.ERROR, forward=False)

    async def action_next_warning(self) -> None:
        """The next warning or error."""
        self._to_level(Level.WARNING, forward=True)

    async def action_previous_warning(self) -> None:
        """The warning or error before."""
        self._to_level(Level.WARNING, forward=False)

    def _to_level(self, level: Level, *, forward: bool) -> None:
        if self.model is None:
            return
        search = self._levels.get(level)
        if search is None:
            search = self._levels[level] = self._seek(Query(level=level, failures=True))
        self._steps.go_on(
            lambda: self._go(search, self._here(), forward=forward and not self._at_end(), what=level.value)
        )

    def _at_end(self) -> bool:
        """Whether nothing lies ahead: whoever asks there for the next one means the newest."""
        return self.reader is not None and self.reader.following and self.view.current is None

    # Where they lead.

    def _here(self) -> Place:
        """Where the next one is looked for from: the line that one is at, else what is on screen."""
        assert self.model is not None
        reader = self.reader
        if self.view.current is not None:
            return self.view.current
        if reader is None or reader.following or reader.view.anchor is None:
            return self.model.end_place()
        return reader.view.anchor.place

    async def _go(
        self, search: Sought, start: Place, *, forward: bool, here: bool = False, what: str = "line found"
    ) -> None:
        """Show the nearest one; past the last one it goes on at the other end, and says so."""
        model = self.model
        if model is None:
            return
        self.doing("looking")
        try:
            found = None
            if here and forward:
                found = await search.at(start)
            elif forward:
                found = await search.next(start)
            else:
                found = await search.previous(start)
            if found is None and not search.search.closed:
                found = await self._around(search, forward=forward)
                if found is not None:
                    self.answer("past the end: on from the top" if forward else "past the top: on from the end")
        finally:
            self.doing("")
        if search.search.closed:
            return  # it was given up, which says nothing of what is there
        if search.search.progress.problem:
            self.answer(search.search.progress.problem, bad=True)
        elif found is None:
            self.answer(f"no {what}")
        elif self.reader is not None and self.model is model:
            self.view.set_current(found)
            if search is not self._search:
                self._aside_back()
                self.reader.show(found)
                self.later(lambda: self._say_of(model, found), "remark")
            elif await self._show_found(model, found, search):
                await self._count(search, found)

    async def _show_found(self, model: LogModel, at: Place, search: Sought) -> bool:
        """Show the place that was found in a line, or say why it is not to be seen; whether anybody wants it still."""
        try:
            found = await found_in(model, at, self._typed.query())
        except GatewatchError:
            found = Found()  # whoever shows the line says so
        reader = self.reader
        if reader is None or self.model is not model or search is not self._search:
            return False
        self._shown, self._remark = at, (at, found.remark)
        reader.show(at, above=self._above(reader, found))
        self._soon()
        return True

    def _above(self, reader: Reader, found: Found) -> int | None:
        """Rows between the top of the screen and the line, None for any; text that is not wrapped is moved aside."""
        if found.row is None or found.place is None:
            self._aside_back()
            return None
        if self.view.look.wrap:
            return rows_above(reader, found)
        room, left = self.view.room, self.view.left
        first, last = (found.row.cell_at(place) for place in found.place)
        if not left <= first <= last <= left + room:
            self._left_before = left if self._aside != left else self._left_before
            self._aside = self.view.left = 0 if last <= room else max(0, first - room // 3)
            self.view.draw()
        return None

    def _aside_back(self) -> None:
        """Have the text where it was before it was moved aside, if nobody has moved it since."""
        if self._aside is not None and self._aside == self.view.left and not self.view.look.wrap:
            self.view.left = self._left_before
            self.view.draw()
        self._aside = None

    def on_log_view_changed(self) -> None:
        """Move back what was moved aside for a line that is gone from the screen: of others nothing may be in sight."""
        there = self.reader is not None and any(row.line.at == self._shown for row in self.reader.rows)
        if self._in_sight and not there:
            self._aside_back()
        self._in_sight = there and self._aside is not None

    async def _say_of(self, model: LogModel, found: Place) -> None:
        """Say what its row does not show of the line that its level led to."""
        try:
            remark = await failure_at(model, found)
        except GatewatchError:
            return  # whoever shows the line says so
        if self.model is model:
            self._remark = (found, remark)
            self._soon()

    async def _around(self, search: Sought, *, forward: bool) -> Place | None:
        assert self.model is not None
        if not forward:
            return await search.previous(self.model.end_place())
        return await search.at(self.model.start_place())

    def _more(self) -> None:
        """More was found: the line that is shown may be a later one of them than it seemed."""
        search, shown = self._search, self._shown
        if search is not None and (shown is not None or search.bounded):
            self.later(lambda: self._count(search, shown), "ordinal")
        self._found()

    async def _count(self, search: Sought, shown: Place | None) -> None:
        counts = await search.count(shown)
        if search is self._search and shown == self._shown:  # else somebody else counts by now
            self._ordinal, self._hits = counts
            self._found()

    def _found(self) -> None:
        """More is known of what is looked for."""
        if self.asking is not None and self.asking.kind == "find":
            progress = self._search.search.progress if self._search is not None else None
            self.asking.tell(self.aside(), bad=bool(progress is not None and progress.problem))
        self._soon()

    def _forget(self) -> None:
        for deaf in self._deaf:
            deaf()
        self._deaf.clear()
        if self._search is not None:
            self._search.search.close()
        self._search = self._shown = self._ordinal = self._remark = None
        self._hits = 0
        self._steps.forget()

    def _forget_levels(self) -> None:
        for search in self._levels.values():
            search.search.close()
        self._levels.clear()

    def on_ask_bar_edited(self, event: AskBar.Edited) -> None:
        """Somebody types."""
        if event.kind == "find":
            event.stop()
            self.find_edited(event.typed)
