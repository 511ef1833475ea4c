"""The part of a log pane that filters: lines with and without words, a least level, lines around, from and until."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hosts.local.levels import Level
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, LogState, Place, Query
from tui import words
from tui.logs.arrived import Arrived
from tui.logs.askbar import AskBar, Typed
from tui.logs.chips import Chip, FilterChips
from tui.logs.findpart import FindPart
from tui.logs.goto import Goal, parse, settled
from tui.logs.highlight import problem
from tui.logs.home import Home, home_of, lead_back, stands_for
from tui.logs.passed import Passed
from tui.logs.reader import Reader
from tui.logs.status import Facts
from tui.logs.toolate import why_all, why_not
from tui.logs.viewport import Anchor

_LEVELS: tuple[Level | None, ...] = (None, Level.INFO, Level.WARNING, Level.ERROR)
_CONTEXTS = (0, 1, 3, 10)
_ASKS = ("filter", "filter-out")

Part = tuple[str, object]
"""One filter: its kind and what it is."""


@dataclass(frozen=True)
class Words:
    """One filter by words.

    Attributes:
        query: The words.
        out: Lines with them are hidden, not shown.
    """

    query: Query
    out: bool = False


@dataclass(frozen=True)
class Chosen:
    """Everything that was chosen to be shown or hidden.

    Attributes:
        since, until: What was typed for it, and the place that it means.
    """

    words: tuple[Words, ...] = ()
    level: Level | None = None
    context: int = 0
    since: tuple[str, Place] | None = None
    until: tuple[str, Place] | None = None

    def parts(self) -> tuple[Part, ...]:
        """Each filter by itself."""
        single = (("since", self.since), ("until", self.until), ("level", self.level))
        return (*((kind, one) for kind, one in single if one is not None), *(("words", one) for one in self.words))

    def without(self, part: Part) -> Chosen:
        """The same without one of its filters."""
        kind, _ = part
        return replace(
            self,
            words=tuple(one for one in self.words if part != ("words", one)),
            level=None if kind == "level" else self.level,
            since=None if kind == "since" else self.since,
            until=None if kind == "until" else self.until,
        )

    def filter(self) -> Filter | None:
        """The same for the model, None where everything is shown."""
        chosen = Filter(
            include=tuple(one.query for one in self.words if not one.out),
            exclude=tuple(one.query for one in self.words if one.out),
            level=self.level,
            context=self.context,
            since=self.since[1] if self.since else None,
            until=self.until[1] if self.until else None,
        )
        return None if replace(chosen, context=0) == Filter() else chosen


def read_words(typed: Typed, out: bool) -> Words | None:
    """What was typed as a filter; "!" before it inverts, None where nothing is typed."""
    text = typed.text
    if text.startswith("!"):
        text, out = text[1:], not out
    return Words(replace(typed, text=text).query(), out) if text else None


class FilterPart(FindPart):
    """Shows some lines and hides others; what is near is there at once, the rest follows."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.chosen = Chosen()
        self._parts: tuple[Part, ...] = ()  # what is chosen, the newest last
        self._tried: Words | None = None  # what is typed and not taken yet
        self._applied: Filter | None = None
        self._arrived = Arrived(self.later, self._soon)
        self._passed = Passed(self.later, self._soon)
        self._home: Home | None = None  # None: the end
        self._before: Home | None = None  # one typed a filter

    def opened(self, model: LogModel) -> None:
        """Words and levels stay chosen from one log to the next; places mean nothing in another."""
        super().opened(model)
        self.chosen = replace(self.chosen, since=None, until=None)
        self._home = None
        self._apply()

    def say_status(self) -> None:
        super().say_status()
        self._show_chips()

    def chip(self) -> str:
        reader, model = self.reader, self.model
        if reader is None or model is None or reader.let_go is None:
            return ""
        return self._arrived.text(model, reader.let_go, self._applied)

    def facts(self, state: LogState) -> Facts:
        shown = self._passed.lines(self.model, self._applied) if self.model is not None else None
        around = self._applied.context if self._applied is not None else 0
        return replace(super().facts(state), shown=shown, around=around)

    def choose(self, chosen: Chosen) -> None:
        """Show what is chosen."""
        self.chosen = chosen
        self._apply()

    # Words.

    async def action_filter(self) -> None:
        """Type what lines have to hold."""
        self._begin_typing()
        await self.ask("filter")

    async def action_filter_out(self) -> None:
        """Type what lines must not hold."""
        self._begin_typing()
        await self.ask("filter-out")

    def filter_edited(self, kind: str, typed: Typed) -> None:
        """Show what would be left, while one types."""
        one = read_words(typed, kind == "filter-out")
        wrong = problem(one.query) if one is not None else ""
        if self.asking is not None:
            self.asking.tell(wrong, bad=bool(wrong))
        if not wrong:
            self._tried = one
            self._apply()

    def filter_taken(self, kind: str, typed: Typed) -> None:
        """Keep it; nothing typed takes all filters by words away, where lines with words are asked for."""
        one = read_words(typed, kind == "filter-out")
        if one is not None and problem(one.query):
            return
        self.asked()
        self._tried = None
        if one is not None:
            self.choose(self._with(one))
        elif kind == "filter" and not typed.text:
            self.choose(replace(self.chosen, words=()))

    def filter_cancelled(self) -> None:
        """As it was, and where one was."""
        self.asked()
        self._tried = None
        self._apply()
        self._home = self._before
        if self.reader is not None and self._home is not None:
            lead_back(self.reader, self._home)
        elif self.reader is not None and not self.reader.following:
            self.reader.end()

    def _begin_typing(self) -> None:
        if self.reader is None or self._is_typing:
            return
        if self.asking is not None and self.asking.kind == "find":
            following, anchor = self._place_before(self.reader)
            self._before = None if following or anchor is None else Home(anchor)
        else:
            self._before = self._find_home(self.reader)

    @property
    def _is_typing(self) -> bool:
        return self.asking is not None and self.asking.kind in _ASKS

    def _place_before(self, reader: Reader) -> tuple[bool, Anchor | None]:
        if self._is_typing:
            return self._before is None, self._before.anchor if self._before is not None else None
        return super()._place_before(reader)

    def _with(self, one: Words) -> Chosen:
        if one in self.chosen.words:
            return self.chosen
        return replace(self.chosen, words=(*self.chosen.words, one))

    def action_unfilter(self) -> None:
        """Take the newest filter away."""
        if self._parts:
            self.choose(self.chosen.without(self._parts[-1]))

    def on_filter_chips_removed(self, event: FilterChips.Removed) -> None:
        """A chip was pressed."""
        event.stop()
        kind, _, number = event.key.partition(" ")
        if kind == "words":
            kept = [one for place, one in enumerate(self.chosen.words) if str(place) != number]
            self.choose(replace(self.chosen, words=tuple(kept)))
        elif kind == "context":
            self.choose(replace(self.chosen, context=0))
        else:
            self.choose(self.chosen.without((kind, None)))

    # Levels, lines around, places.

    def action_level(self) -> None:
        """The next least level."""
        now = _LEVELS.index(self.chosen.level) if self.chosen.level in _LEVELS else 0
        self.choose(replace(self.chosen, level=_LEVELS[(now + 1) % len(_LEVELS)]))

    def action_context(self) -> None:
        """More lines around each, and none again."""
        now = _CONTEXTS.index(self.chosen.context) if self.chosen.context in _CONTEXTS else 0
        self.choose(replace(self.chosen, context=_CONTEXTS[(now + 1) % len(_CONTEXTS)]))
        if self.chosen.filter() is None and self.chosen.context:
            self.answer("lines around show once there is a filter")

    async def action_since(self) -> None:
        """Type from where on lines are shown."""
        await self.ask("since")

    async def action_until(self) -> None:
        """Type up to where lines are shown."""
        await self.ask("until")

    def bound_taken(self, kind: str, typed: Typed) -> None:
        """A bound was typed; nothing means the line that one is at."""
        text = typed.text.strip()
        line = self.view.line
        if not text:
            self.asked()
            if line is not None:
                end = Place(line.at.generation, line.end)
                self._bound(kind, "line" if line.number is None else f"line {words.count(line.number)}", line.at, end)
            return
        try:
            goal = parse(text, self.now(), self.zone)
        except ValueError as error:
            if self.asking is not None:
                self.asking.tell(str(error), bad=True)
            return
        self.asked()

        self.later(lambda: self.bound_to(kind, text, goal), "go")

    async def bound_to(self, kind: str, text: str, goal: Goal) -> None:
        """Show lines since or until a place that was asked for.

        Raises:
            UnreachableError: Nobody answers.
        """
        meant = await self.meant(goal, upto=kind == "until")
        place = await self.place_of(meant)
        if place is None:
            await self.say_why_not(f"{kind} {text}", meant)
        else:
            self._bound(kind, text, place, place)
            await self.say_if_all(f"{kind} {text}", goal, meant, place)

    def _bound(self, kind: str, text: str, first: Place, last: Place) -> None:
        if kind == "since":
            self.choose(replace(self.chosen, since=(text, first)))
        else:
            self.choose(replace(self.chosen, until=(text, last)))

    async def meant(self, goal: Goal, *, upto: bool = False) -> Goal:
        """The same, on the day that this log means.

        Raises:
            UnreachableError: Nobody answers.
        """
        return goal if self.model is None else await settled(self.model, goal, self.now(), self.zone, upto=upto)

    async def say_why_not(self, asked: str, meant: Goal) -> None:
        """Say why a place that was asked for is none.

        Raises:
            UnreachableError: Nobody answers.
        """
        model = self.model
        if model is None:
            return
        state, why = model.state, "not in this log"
        if meant.time is not None and state.bytes:
            why = await why_not(model, meant.time, self.zone)
        elif meant.number is not None and state.counted < state.bytes:
            why = "not in this log, or not counted yet"
        self.answer(f"{asked}: {why}")

    async def say_if_all(self, asked: str, typed: Goal, meant: Goal, place: Place) -> None:
        """Say which day was meant, where the whole log is later.

        Raises:
            UnreachableError: Nobody answers.
        """
        if self.model is not None and meant.time is not None:
            why = await why_all(self.model, typed, meant.time, place, self.zone)
            if why:
                self.answer(f"{asked}: {why}")

    async def place_of(self, goal: Goal) -> Place | None:
        """Where a time, a number or a share is; None where the log has it not, or not yet.

        Raises:
            UnreachableError: Nobody answers.
        """
        model = self.model
        if model is None:
            return None
        if goal.time is not None:
            return await model.at_time(goal.time)
        if goal.share is not None:
            return model.at_fraction(goal.share)
        generations = model.state.shape.generations
        if goal.number is None or not generations:
            return None
        # What is on screen is what people mean; its file may have been turned over since
        shown = [row.line.at.generation for row in self.view.rows[:1]]
        for number in dict.fromkeys((*shown, *(one.number for one in reversed(generations)))):
            place = await model.at_number(number, goal.number)
            if place is not None:
                return place
        return None

    # What is shown of it.

    def _find_home(self, reader: Reader) -> Home | None:
        """The place that one chose: where one is now, unless a filter alone led there from another place."""
        home, line = self._home, self.view.current
        if reader.following or home is None or not stands_for(reader, line, home):
            self._home = home_of(reader, line)
        return self._home

    def _apply(self) -> None:
        there = self.chosen.parts()
        kept = tuple(part for part in self._parts if part in there)
        self._parts = (*kept, *(part for part in there if part not in kept))
        chosen = self.chosen if self._tried is None else self._with(self._tried)
        if self.model is not None:
            home = self._find_home(self.reader) if self.reader is not None else None
            spec = self._applied = chosen.filter()
            self.model.filter(spec)
            self.look_within(spec)
            if self.reader is not None:
                self.reader.renew()
                if home is not None:
                    lead_back(self.reader, home)
        self._show_chips()

    def _show_chips(self) -> None:
        chosen = self.chosen
        chips = [
            Chip(f"words {place}", f"{'no ' if one.out else ''}{'/' if one.query.regex else ''}{one.query.text}")
            for place, one in enumerate(chosen.words)
        ]
        if chosen.level is not None:
            chips.append(Chip("level", f"{chosen.level.value} or above"))
        if chosen.since is not None:
            chips.append(Chip("since", f"since {chosen.since[0]}"))
        if chosen.until is not None:
            chips.append(Chip("until", f"until {chosen.until[0]}"))
        if chosen.context and chips:
            chips.append(Chip("context", f"{chosen.context} around"))
        progress = self.model.state.filter if self.model is not None else None
        note = ""
        if progress is not None:
            scanned = "" if progress.done or not progress.total else words.percent(progress.scanned / progress.total)
            shown = self._passed.lines(self.model, self._applied) if self.model is not None else None
            lines = words.counted(shown, "hit" if chosen.context else "line") if shown is not None else ""
            note = ", ".join(part for part in (progress.problem or lines, scanned and f"{scanned} seen") if part)
        self.chips.show(chips, note)

    def on_ask_bar_edited(self, event: AskBar.Edited) -> None:
        """Somebody types."""
        if event.kind in _ASKS:
            event.stop()
            if self.asking is not None and self.asking.kind == event.kind:  # else it was given up since
                self.filter_edited(event.kind, event.typed)
        else:
            super().on_ask_bar_edited(event)
