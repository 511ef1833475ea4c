"""The milestones of a run, newest at the bottom: what began, what ended and how, and what waits.

It reads run.log itself, for as long as somebody sees it, and takes the journal's events where there is no run.log.
No line of a pytest or of a server is ever here; those are the supervision pane's.
"""

from __future__ import annotations

import asyncio
import posixpath
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Hide, Show
from textual.timer import Timer

from gates.calibration.layout import RUN_LOG
from gates.calibration.schema import SchemaError
from gates.calibration.units import units_of
from gates.journal import Journal
from monitors.calibration.milestones import Milestone, key_line
from monitors.calibration.milestones_journal import of_journal
from monitors.snapshot import State
from tui import keys, words
from tui.app import GatewatchApp
from tui.sanitise import clean_inline, redact
from tui.screens.covered import is_covered
from tui.screens.job_rows import ahead
from tui.screens.job_source import RunLogSource
from tui.screens.job_view import NAME, JobView
from tui.screens.pane_title import Title
from tui.screens.subject import RunLook, RunPlace

EVERY_S = 5.0
"""Seconds after which run.log is read although no look asked for it, while the run is at work and the pane is seen."""

_AT_ONCE = 2000
"""Events that are read on the event loop: more would hold it for longer than anybody should wait for a key."""

_OVER = (State.ENDED, State.HALTED, State.DEAD)


class JobPane(JobView):
    """Milestones only.

    Attributes:
        source: What reads run.log.
    """

    PANE = "job"
    HELP_TITLE = "job"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("job")]

    def __init__(self, place: RunPlace, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.source = RunLogSource(place.reader, posixpath.join(place.run_dir, RUN_LOG))
        self._look: RunLook | None = None
        self._events: list[Milestone] = []
        self._events_read = 0
        self._last_event = ""
        self._taken: Journal | None = None
        self._at: tuple[str, int | None] | None = None
        self._units: dict[str, str] = {}
        self._from: tuple[bool, int] = (False, 0)
        self._busy = self._due = False
        self._read_at = float("-inf")
        self._timer: Timer | None = None
        self._hidden = False
        self._shown = True

    def on_mount(self) -> None:
        self._timer = self.set_interval(EVERY_S, self._tick)
        self.watch(self.screen, "stack_updates", self._stack_moved, init=False)
        self._take_events()
        self._read()

    # What is told from outside.

    def show(self, look: RunLook) -> None:
        """Take a new look, and read what was added to run.log since."""
        known = self._look.snapshot.body.run if self._look is not None else None
        self._look = look
        apart = ahead(look.snapshot.seen, self.apart)
        if apart != self.apart:
            self.apart = apart
            self.refresh()
        if look.snapshot.body.run is not known:
            self._units = _units(look)
        self._take_events()
        if self.is_mounted:
            self._stack_moved()
            self._read()

    def at(self, stage: str | None, run: int | None = None) -> None:
        """Mark the key line of a cell, as soon as there is one; None goes back to the newest.

        Args:
            stage: A stage of the run, or a unit.
            run: The repeat; None for the newest line about the stage.
        """
        if stage is None:
            self.follow()
        else:
            self._at = (stage, run)
            self._to_key_line()

    # Reading.

    def _tick(self) -> None:
        over = self._look is not None and self._look.snapshot.state in _OVER
        if not over and time.monotonic() - self._read_at >= EVERY_S / 2:
            self._read()

    def _read(self) -> None:
        """Read what was added, where somebody sees it; one reading at a time."""
        self._due = True
        if self._shown and not self._busy and self.is_mounted:
            self._busy = True
            work: Callable[[], Awaitable[None]] = self._catch_up
            self.run_worker(work, group="run.log", exit_on_error=False)

    async def _catch_up(self) -> None:
        try:
            while self._due and self._shown:
                self._due = False
                self._read_at = time.monotonic()
                if await self.source.catch_up():
                    self._changed()
        finally:
            self._busy = False

    def _take_events(self) -> None:
        """The journal's new events, for a run without run.log."""
        if self._look is None:
            return
        journal, run = self._look.snapshot.body.journal, self._look.snapshot.body.run
        events, read = journal.events, self._events_read
        if read > len(events) or (read and events[read - 1].id != self._last_event):
            self._events, read, self._events_read = [], 0, 0
            if not events:
                self._changed()
        if read == len(events):
            return
        repeats = run.plan.repeats if run is not None and run.plan is not None else None
        self._taken = journal
        if len(events) - read <= _AT_ONCE:
            self._add_events(journal, of_journal(journal, repeats, read))
        elif self.is_mounted:
            work: Callable[[], Awaitable[None]] = partial(self._take_many, journal, repeats, read)
            self.run_worker(work, group="journal", exclusive=True, exit_on_error=False)

    async def _take_many(self, journal: Journal, repeats: int | None, read: int) -> None:
        found = await asyncio.to_thread(of_journal, journal, repeats, read)
        if self._taken is journal:  # else a newer look has brought another one
            self._add_events(journal, found)

    def _add_events(self, journal: Journal, found: Sequence[Milestone]) -> None:
        self._events = [*self._events, *found]
        self._events_read, self._last_event = len(journal.events), journal.events[-1].id
        if not self._has_log:
            self._changed()

    @property
    def _has_log(self) -> bool:
        """Whether run.log tells more than the journal does."""
        return bool(self.source.milestones.items) or not self._events

    def _changed(self) -> None:
        """There are other milestones than before."""
        source = self.source
        before, self._from = self._from, (self._has_log, source.anew)
        if self._has_log:
            self.hold(source.milestones.items, source.milestones.dropped, anew=before != self._from)
        else:
            self.hold(self._events, 0, anew=before != self._from)
        if self._at is not None:
            self._to_key_line()

    # Where one is.

    def _to_key_line(self) -> None:
        assert self._at is not None
        stage, run = self._at
        found = key_line(self.items, {stage, self._units.get(stage, stage)}, run)
        self.mark(None if found is None else self.first + found)

    def follow(self) -> None:
        """The newest, and whatever comes."""
        self._at = None
        super().follow()

    def move(self, rows: int) -> None:
        """Mark another line; the cell that was looked at is not followed any further."""
        self._at = None
        super().move(rows)

    # Keys.

    def action_up(self) -> None:
        """Up one line."""
        self.move(-1)

    def action_down(self) -> None:
        """Down one line."""
        self.move(1)

    def action_page_up(self) -> None:
        """Up one page."""
        self.move(-max(1, self.room - 1))

    def action_page_down(self) -> None:
        """Down one page."""
        self.move(max(1, self.room - 1))

    def action_home(self) -> None:
        """The oldest."""
        self.move(-len(self.items))

    def action_end(self) -> None:
        """The newest, and follow."""
        self.follow()

    def action_follow(self) -> None:
        """Follow the newest, or stay here."""
        if self.following:
            self.release()
            self.refresh()
        else:
            self.follow()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is its own while somebody looks back; a cell that is looked at is the screen's to leave."""
        return not self.following and self._at is None if action == "back" else True

    def action_back(self) -> None:
        """Back to the newest."""
        self.follow()

    def action_copy(self) -> None:
        """Copy the marked line, or the newest."""
        chosen = self.marked or (self.items[-1] if self.items else None)
        if chosen is None:
            return
        text = self.row(chosen).text

        async def take() -> tuple[str, str]:
            return text, "1 line"

        app = self.app
        assert isinstance(app, GatewatchApp)
        app.copying.begin(take)

    # What it says.

    def title(self) -> Title:
        """Where the milestones come from, and what is wrong with that."""
        source = self.source
        note = words.counted(self.end, "milestone") if self.items else ""
        right: tuple[str, ...] = ()
        tone = "muted"
        if source.problem:
            why = source.problem.replace(source.path, "it")
            right, tone = (clean_inline(redact(why)), "cannot be read"), "error"
        elif self._at is not None:
            stage = clean_inline(redact(self._at[0]))
            cell = stage if self._at[1] is None else f"{stage} run {self._at[1]}"
            right = (cell,) if self.current is not None else (f"no line of {cell}", "no line of it")
        elif source.skipped:
            right = (f"its last {words.size(source.milestones.end - source.skipped)}",)
        elif source.there is False and self._events:
            right = ("there is no run.log",)
        main = RUN_LOG if self._has_log else "journal"
        return Title(NAME, main, note, right, tone, self.chip, focused=self.has_focus)

    def nothing(self) -> str:
        """What stands there while there is no milestone."""
        if self.source.there is None and not self.source.problem:
            return "reading run.log"
        over = self._look is not None and self._look.snapshot.state in _OVER
        return "no milestones: there is no run.log and no journal" if over else "no milestone yet"

    # Whether anybody sees it.

    def on_show(self, event: Show) -> None:
        self._hidden = False
        self._stack_moved()

    def on_hide(self, event: Hide) -> None:
        self._hidden = True
        self._stack_moved()

    def _stack_moved(self) -> None:
        """Another screen may cover this one by now, or none any more; what nobody sees is not read."""
        shown = not is_covered(self) and not self._hidden
        if shown == self._shown:
            return
        self._shown = shown
        if self._timer is not None:
            (self._timer.resume if shown else self._timer.pause)()
        if shown:
            self._read()


def _units(look: RunLook) -> dict[str, str]:
    """Which unit feeds each stage: run.log and the journal name units."""
    run = look.snapshot.body.run
    if run is None or run.plan is None:
        return {}
    found: dict[str, str] = {}
    if run.manifest is not None:
        known = [stage for stage in run.plan.stages if run.manifest.get(stage) is not None]
        try:
            found = {stage: unit.key for unit in units_of(run.manifest, known) for stage in unit.stages}
        except SchemaError:
            found = {}
    planned = run.plan.units
    for unit in planned if isinstance(planned, list) else []:
        key, stages = (unit.get("key"), unit.get("stages")) if isinstance(unit, dict) else (None, None)
        if isinstance(key, str) and isinstance(stages, list):
            found.update({stage: key for stage in stages if isinstance(stage, str)})
    return found
