"""One run on a screen: how it stands, its stages, what runs now, and what it has come through."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget

from tui import keys
from tui.app import pane_of
from tui.screens.leaving import leave
from tui.screens.matrix import Matrix
from tui.screens.matrix_grid import body_of, log_of
from tui.screens.prompt_state import apply_state
from tui.screens.run_base import RunBase
from tui.screens.run_header import SIGNS
from tui.screens.store import GlanceStore
from tui.screens.subject import RunLook, RunPlace

READ_ONLY = "read-only: start with --act"


class HostsWanted(Message):
    """Somebody wants to see the hosts."""


_REST_S = 0.12  # the cursor rests so long on a mark before its log is opened


class RunScreen(RunBase):
    """The screen of one run.

    Args:
        place: The run, and the way to it.
        store: Keeps what was seen of it; by default below the state folder of this user.
    """

    PANE = "run"
    HELP_TITLE = "this run"
    HELP_SIGNS = SIGNS
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("run")]

    def __init__(self, place: RunPlace, store: GlanceStore | None = None) -> None:
        super().__init__(place, store)
        self._resting: Timer | None = None

    def go_stage(self, key: str) -> None:
        """Put the cursor on a stage and show its log."""
        self.matrix.select(key)

    # The cursor of the matrix, and what follows it.

    def on_matrix_moved(self, event: Matrix.Moved) -> None:
        """Its log is shown once the cursor rests."""
        event.stop()
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST_S, self._point)

    def _point(self) -> None:
        self._resting = None
        row, run, look = self.matrix.row, self.matrix.run, self._look
        if row is None or look is None or self.matrix.live:
            return
        if self._grid.runs(row, run):  # its log is what is shown live, and goes on to the next one by itself
            self._supervision.pin(None)
        else:
            self._supervision.pin(log_of(self._grid, body_of(look.snapshot), row, run))
        self._job.at(row.key, run)
        self._keys.refresh()  # Escape means something else now

    async def on_matrix_opened(self, event: Matrix.Opened) -> None:
        """All of a stage."""
        event.stop()
        if self._look is None:
            return
        from tui.screens.stage import StageScreen

        await self.app.push_screen(StageScreen(self._place, self._look, event.key))

    def action_next_stage(self) -> None:
        """The next stage, wherever the focus is."""
        self.matrix.action_down()

    def action_previous_stage(self) -> None:
        """The stage before."""
        self.matrix.action_up()

    async def action_back(self) -> None:
        """One layer back: out of zoom, back to live, out of the run."""
        if self.has_class("-zoom"):
            self._zoom(None)
        elif not self.matrix.live:
            self._go_live()
        elif len(self.app.screen_stack) > 1:
            leave(self)

    def _go_live(self) -> None:
        if self._resting is not None:
            self._resting.stop()
            self._resting = None
        self.matrix.go_live()
        self._supervision.pin(None)
        self._job.at(None, None)
        self._keys.refresh()

    # Panes.

    @property
    def _panes(self) -> tuple[Widget, ...]:
        return (self._stages, self._supervision, self._job)

    def _pane(self) -> int:
        """Which pane has the focus."""
        focused = self.focused
        around = focused.ancestors_with_self if focused is not None else []
        return next((number for number, pane in enumerate(self._panes) if pane in around), 0)

    def _focus_pane(self, number: int) -> None:
        pane = self._panes[number % len(self._panes)]
        if self.has_class("-zoom"):
            self._zoom(pane)
        inside = [pane, *pane.query("*")]
        for widget in [self._supervision.log_pane.view, *inside] if pane is self._supervision else inside:
            within = [node for node in widget.ancestors_with_self if node in inside and node is not pane]
            if widget.focusable and widget in inside and all(node.display for node in within):
                self.set_focus(widget)  # at once: the next key may have been typed already
                return

    def action_next_pane(self) -> None:
        """The next pane gets the keys."""
        self._focus_pane(self._pane() + 1)

    def action_previous_pane(self) -> None:
        """The pane before."""
        self._focus_pane(self._pane() - 1)

    def action_pane_matrix(self) -> None:
        """The stages."""
        self._focus_pane(0)

    def action_pane_supervision(self) -> None:
        """The log of what runs."""
        self._focus_pane(1)

    def action_pane_job(self) -> None:
        """The milestones."""
        self._focus_pane(2)

    def action_zoom(self) -> None:
        """The focused pane alone, and all of them again."""
        self._zoom(None if self.has_class("-zoom") else self._panes[self._pane()])

    def _zoom(self, pane: Widget | None) -> None:
        self.set_class(pane is not None, "-zoom")
        for one in self._panes:
            one.set_class(one is pane, "-zoomed")

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a log no key changes anything, nor asks to."""
        if action in ("apply", "new", "resume") and self.focused is not None:
            return getattr(pane_of(self.focused), "PANE", "") not in ("log", "detail", "ask")
        return True

    def action_look(self) -> None:
        """Look now."""
        self._asked = True
        self._place.request()
        self._paint_ages()

    def action_pause(self) -> None:
        """Stop painting, and go on; looks go on all the while."""
        if self._paused:
            self._held = None
            self._paint()
            return
        if self._look is not None:
            self._held = (self._look, self._clock())
            self._lay_held()
            self.matrix.rest()

    def action_seen(self) -> None:
        """What changed was taken note of."""
        self._away.dismiss()
        self._paint_ages()

    def action_hosts(self) -> None:
        """The hosts, one by one."""
        self.post_message(HostsWanted())

    def action_apply(self) -> None:
        """Ask what to write into the test files."""
        look = self._may()
        if look is None:
            return
        closed = apply_state(look, self._place.read_only)
        if closed:
            self.our.say(f"apply: {closed}")
            return
        from tui.screens.prompt import open_prompt

        open_prompt(self.our, self._place, look)

    def action_new(self) -> None:
        """Ask for a new run."""
        look = self._may()
        if look is not None:
            from tui.screens.form import open_form

            open_form(self.our, self._place, look)

    def action_resume(self) -> None:
        """Ask whether to go on with a run that died or was stopped."""
        look = self._may()
        if look is None:
            return
        if not any(offer.action == "resume" for offer in look.snapshot.offers):
            self.our.say(f"there is nothing to resume: the run is {look.snapshot.state.value}")
            return
        from tui.screens.resume import open_resume

        open_resume(self.our, self._place, look)

    def _may(self) -> RunLook | None:
        """The look that somebody acts on; None, and said why, where he may not."""
        if self._place.read_only:
            self.our.say(READ_ONLY, "warning")
            return None
        if self._look is None:
            self.our.say("the run has not been looked at yet", "warning")
        return self._look
