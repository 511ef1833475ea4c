"""The log of the pytest that runs right now: found, opened, and re-pointed by itself when the next one starts.

Whoever reads further up is not torn away: the pane says that there is a next log, and goes there once he returns to
the end. A cell's own log can be pinned. It never shows run.log, which is the job pane's.
"""

from __future__ import annotations

import glob
import posixpath
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.events import DescendantBlur, DescendantFocus, Hide, Show
from textual.timer import Timer

from gates.calibration.layout import PYTEST, RUN_LOG
from hosts.errors import GatewatchError
from hosts.target import Target
from monitors.calibration.body import Supervision
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.snapshot import State
from tui import keys, words
from tui.logs.pane import LogPane
from tui.sanitise import clean_inline, redact
from tui.screens.covered import is_covered
from tui.screens.pane_title import PaneTitle, Title
from tui.screens.pauses import Pauses
from tui.screens.subject import RunLook, RunPlace
from tui.screens.supervision_log import Nothing, RunLog

NAME = "supervision"
_QUIET_S = 10.0  # silence below this is not worth a word
_LONG = 3.0  # so many times the usual silence is worth a colour
_RETRY_S = 5.0
_LIVE = ("journal", "process")


class SupervisionPane(Vertical):
    """The verbose log of what runs now.

    Attributes:
        log_pane: What shows it.
        opened: How many logs were opened so far.
    """

    PANE = "supervision"
    HELP_TITLE = "supervision"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("supervision")]
    DEFAULT_CSS = """
    SupervisionPane { width: 1fr; height: 1fr; }
    SupervisionPane > #supervision-nothing { height: 1fr; padding: 1 2; color: $text-muted; display: none; }
    SupervisionPane.-nothing > #supervision-nothing { display: block; }
    SupervisionPane.-problem > #supervision-nothing { color: $text-error; }
    SupervisionPane.-nothing > RunLog { display: none; }
    """

    def __init__(self, place: RunPlace, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._place = place
        self._title = PaneTitle(Title(NAME, "waiting for the first look", waiting=True))
        self._nothing = Nothing("", id="supervision-nothing", markup=False)
        self.log_pane: LogPane = RunLog(now=self._now)
        self.opened = 0
        self._look: RunLook | None = None
        self._pin: str | None = None
        self._wanted: str | None = None
        self._open: str | None = None
        self._next: str | None = None
        self._problem = ""
        self._said = ""
        self._failed_at = 0.0
        self._busy = False
        self._pauses = Pauses()
        self._again: Timer | None = None
        self._shown = True
        self._hidden = False

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._nothing
        yield self.log_pane

    def on_mount(self) -> None:
        self.log_pane.zone = getattr(self.app, "zone", None)
        self.watch(self.screen, "stack_updates", self._stack_moved, init=False)
        self._settle()

    # What is told from outside.

    def show(self, look: RunLook) -> None:
        """Take a new look; the log of what runs now is opened at once where it is another one."""
        self._look = look
        if self.is_mounted:
            self._stack_moved()
            self._settle()

    def pin(self, log: str | None) -> None:
        """Show this log, whatever runs, until None brings back what runs now.

        Args:
            log: Relative to the run directory, or absolute.
        """
        if log != self._pin:
            self._pin = log
            self._next = None
            self._settle(asked=True)

    @property
    def pinned(self) -> str | None:
        """The log that stays whatever runs, None while the pane follows the run."""
        return self._pin

    @property
    def wanted(self) -> str | None:
        """The log that is shown, or about to be; as it was told."""
        return self._wanted

    @property
    def title(self) -> str:
        """What the title row says."""
        return self._title.text

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is something to come back from only while a log is pinned."""
        return self._pin is not None if action == "live" else True

    def action_live(self) -> None:
        """Back to the log of what runs now."""
        self.pin(None)
        raise SkipAction  # the screen has something to take back as well

    # Which log.

    @property
    def _live(self) -> Supervision:
        return self._look.snapshot.body.supervision if self._look is not None else Supervision()

    def _settle(self, *, asked: bool = False) -> None:
        """Point at what is to be shown now, unless somebody reads what is there."""
        if not self.is_mounted:
            return
        target = self._pin or self._live.log
        if target is not None and posixpath.normpath(target) == RUN_LOG:
            target = None
        if target is None:
            self._next = None
            if asked:
                self._point(None)
        elif target == self._wanted:
            self._next = None
            if self._problem and self._now() - self._failed_at >= _RETRY_S:
                self._open = None
                self._begin()
        elif not asked and self._open is not None and self._is_read():
            self._next = target
        else:
            self._point(target)
        self._say()

    def _is_read(self) -> bool:
        return isinstance(self.log_pane, RunLog) and self.log_pane.is_read

    def _point(self, target: str | None) -> None:
        self._wanted, self._next, self._problem = target, None, ""
        self._begin()

    def _begin(self) -> None:
        if not self._busy and self._open != self._wanted:
            self._busy = True
            work: Callable[[], Awaitable[None]] = self._catch_up
            self.run_worker(work, group="open", exit_on_error=False)

    async def _catch_up(self) -> None:
        """Open what is wanted, one after the other: none is left half-open when a newer one is wanted."""
        try:
            while self._open != self._wanted:
                await self._change(self._wanted)
        finally:
            self._busy = False
        self._say()

    async def _change(self, wanted: str | None) -> None:
        if wanted is None:
            await self.log_pane.close_log()
            self._open = None
            return
        try:
            source = await open_source(self._target(wanted), self._place.connect)
        except GatewatchError as error:
            if wanted == self._wanted:
                self._problem, self._failed_at = self._without_name(str(error), wanted), self._now()
                await self.log_pane.close_log()
            self._open = wanted
            return
        model = LogModel(source, now=self._now, zone=getattr(self.app, "zone", None))
        try:
            await self.log_pane.show_log(model)
        finally:
            if self.log_pane.model is not model:  # we were ended meanwhile: nobody else knows of it
                await model.close()
        self._open, self._problem = wanted, ""
        self.opened += 1
        self._pauses = pauses = Pauses(self._written(wanted) or self._now())
        model.listen(lambda: self._grown(model, pauses))
        self._stack_moved()
        self._say()

    def _target(self, log: str) -> Target:
        path = posixpath.join(self._place.run_dir, log)
        if glob.has_magic(path):  # a name is a name here: it must not match another run's log
            path = glob.escape(path)
        return Target(self._place.host if self._place.connect is not None else None, path)

    def _without_name(self, problem: str, log: str) -> str:
        """A reason without the path that stands in the title, so that it fits into one line."""
        target = self._target(log)
        for name in (str(target), target.path):
            problem = problem.removeprefix(name)
        return problem.lstrip(": ")

    def on_log_view_changed(self) -> None:
        """Somebody may have returned to the end, and another log waits for that."""
        if self._next is not None and not self._is_read():
            self._point(self._next)
            self._say()

    def on_pane_title_chip_pressed(self, event: PaneTitle.ChipPressed) -> None:
        """The next log was clicked on."""
        event.stop()
        self.log_pane.action_end()

    # How long it has been silent.

    def _grown(self, model: LogModel, pauses: Pauses) -> None:
        """Called for every news of a log, from anywhere."""
        was = pauses.quiet(self._now())
        if pauses.seen(model.state.bytes, self._now()) and was is not None and was >= _QUIET_S:
            self.call_later(self._say)

    def _written(self, log: str) -> float | None:
        """When it was last written as the look tells it, by our clock."""
        if self._look is None:
            return None
        seen = self._look.snapshot.body.logs.get(log)
        return None if seen is None else self._by_our_clock(seen.written)

    def _by_our_clock(self, far: float | None) -> float | None:
        if far is None or self._look is None:
            return None
        seen = self._look.snapshot.seen
        if seen.at is None or seen.received is None:
            return far
        return min(far + seen.received - seen.at, self._now())

    # What it says.

    def _say(self) -> None:
        """Say it all anew, and again when an age that is shown has grown."""
        if not self.is_mounted:
            return
        self._say_nothing(self._empty())
        self._title.say(self._told())
        if self._again is not None:
            self._again.stop()
            self._again = None
        ages = [age for age in (self._age(), self._quiet()) if age is not None]
        if ages and self._shown and not self._hidden:
            self._again = self.set_timer(min(map(words.next_age, ages)), self._say)

    def _say_nothing(self, nothing: str) -> None:
        """Show this instead of a log, or the log again; the keys stay in this pane."""
        if bool(nothing) != self.has_class("-nothing"):
            focused = self.has_focus_within
            self.set_class(bool(nothing), "-nothing")
            if focused:
                (self._nothing if nothing else self.log_pane.view).focus(scroll_visible=False)
        self.set_class(bool(self._problem), "-problem")
        if nothing != self._said:
            self._said = nothing
            self._nothing.update(nothing)

    def _empty(self) -> str:
        """What stands where a log would, "" while there is one."""
        if self._problem:
            return f"cannot open it: {_safe(self._problem)}"
        if self._wanted is not None:
            return ""
        if self._look is None:
            return "no look at the run yet"
        if self._look.snapshot.state in (State.ENDED, State.HALTED, State.DEAD):
            return "No pytest runs, and none has left a log here."
        if self._look.snapshot.body.logs:
            return "No pytest runs now. The log of the next one is opened here the moment it starts."
        if self._has_results:
            return "No pytest is seen to run, and none has left a log here. The next one's is opened when it starts."
        return "No pytest has started yet. Its log is opened here the moment it does."

    @property
    def _has_results(self) -> bool:
        """Whether any repeat has left an artifact, so that a pytest must have run."""
        audit = self._look.snapshot.body.audit if self._look is not None else None
        return audit is not None and any(stage.artifacts for stage in audit.stages)

    def _told(self) -> Title:
        focused = self.has_focus_within
        if self._look is None and self._pin is None:
            return Title(NAME, "waiting for the first look", waiting=True, focused=focused)
        live = self._live
        over = self._look is not None and self._look.snapshot.state in (State.ENDED, State.HALTED, State.DEAD)
        lost = self._look is not None and self._look.snapshot.state is State.UNKNOWN and self._has_results
        none = "no log" if over or lost else "waiting for pytest"
        if self._wanted is None:
            return Title(NAME, none, waiting=True, focused=focused)
        shown = self._shorter(self._wanted)
        right, tone = self._right()
        if self._pin is not None:
            return Title(NAME, shown, "pinned", right, tone, focused=focused)
        if live.log is None and live.how == "none":
            return Title(NAME, none, f"after {shown}", waiting=True, focused=focused)
        if self._next is not None:
            return Title(NAME, shown, "", right, tone, focused=focused)
        age = self._age()
        ago = "" if age is None else f", {words.age(age)}{'' if live.how in _LIVE else ' ago'}"
        return Title(NAME, shown, f"{live.how}{ago}", right, tone, focused=focused)

    def _right(self) -> tuple[tuple[str, ...], str]:
        """What a person should notice."""
        if self._next is not None:
            name, brief = self._shorter(self._next), _safe(self._next.removeprefix(f"{PYTEST}/"))
            wordings = (
                f"next log: {name} - press f or G",
                f"next: {brief} - f or G",
                f"next: {brief} - f",
                "next log: f",
            )
            return wordings, "accent"
        if self._pin is not None:
            live = self._live
            if live.how in _LIVE and live.log != self._pin:
                return (f"live: {_safe(live.name)} - Esc", "Esc: live"), "muted"
            return (), "muted"
        quiet = self._quiet()
        if quiet is None or quiet < _QUIET_S:
            return (), "muted"
        usual = self._pauses.usual
        tone = "warning" if usual is not None and quiet > _LONG * max(usual, _QUIET_S) else "muted"
        said = f"quiet {words.age(quiet)}"
        if usual is None:
            return (said,), tone
        often = f"{usual:.0f} s" if usual < 60 else words.age(usual)
        return (f"{said}, usual {often}", said), tone

    def _age(self) -> float | None:
        """Since when what runs runs; for what ran last, since when it is over."""
        live = self._live
        if self._pin is not None or live.log is None:
            return None
        since = self._by_our_clock(live.since) if live.how in _LIVE else self._written(live.log)
        return None if since is None else max(0.0, self._now() - since)

    def _quiet(self) -> float | None:
        live = self._live
        if live.how not in _LIVE or live.log is None or live.log != self._open or self._problem:
            return None
        told = self._written(live.log)
        quiet = [self._pauses.quiet(self._now()), None if told is None else max(0.0, self._now() - told)]
        return min((seconds for seconds in quiet if seconds is not None), default=None)

    def _shorter(self, log: str) -> str:
        return _safe(log.removeprefix(f"{PYTEST}/") if self.size.width < _WIDE else log)

    def _now(self) -> float:
        now = getattr(self.app, "now", time.time)
        return float(now())

    # Whether anybody sees it.

    def on_resize(self) -> None:
        self._say()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        self._say()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        self.call_after_refresh(self._say)

    def on_show(self, event: Show) -> None:
        self._hidden = False
        self._stack_moved()

    def on_hide(self, event: Hide) -> None:
        self._hidden = True
        self._stack_moved()

    def _stack_moved(self) -> None:
        """Another screen may cover this one by now, or none any more."""
        shown = not is_covered(self) and not self._hidden
        if shown != self._shown:
            self._shown = shown
            self.log_pane.seen(shown)
            self._say()


_WIDE = 64
"""Cells from which on a log's whole path is shown; a narrower row leaves out the folder that all have in common."""


def _safe(text: str) -> str:
    return clean_inline(redact(text))
