"""The apply prompt: a run that has earned it, its questions, the exact change, and the consent (spec, section 6).

It opens on an operator's key alone and stands on one verdict: as soon as a look says something else, or the code has
moved, it is void. Until somebody has taken "Yes, write" nothing on any host is changed, and nothing that could change
anything is made.
"""

from __future__ import annotations

import getpass
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.worker import Worker, WorkerState

from gates.calibration.cautions import cautions
from gates.calibration.modes import REPORT, Answer, Custom
from hosts.errors import GatewatchError
from jobs.calibration.offering import CHANGED, Change, CutOff, Ready, basis_of, check_again, get_ready, make_change
from monitors.calibration import Calibration
from monitors.snapshot import Snapshot, State
from tui.app import GatewatchApp
from tui.keyline import KeyLine
from tui.screens import prompt_pages as pages
from tui.screens.leaving import leave
from tui.screens.prompt_box import PromptBox
from tui.screens.prompt_choices import Choices
from tui.screens.prompt_flow import Flow, Judged, Step, judge
from tui.screens.prompt_number import NumberLine
from tui.screens.prompt_page import Page, safe
from tui.screens.prompt_state import apply_state, closed_reason, ended_since
from tui.screens.prompt_writing import UNCHANGED, Ended, mend, refused, write_down
from tui.screens.run_words import machine
from tui.screens.subject import RunLook, RunPlace

_VOIDABLE = (Step.MODES, Step.REPORT, Step.QUESTION, Step.CHECKING, Step.CHANGE, Step.CUT_OFF)
_AT_WORK = (Step.WRITING, Step.MENDING)


def open_prompt(app: GatewatchApp, place: RunPlace, look: RunLook) -> None:
    """Open the prompt, or say in one line why it stays closed."""
    if place.read_only:
        app.say("read-only: start with --act", "warning")
        return
    why = apply_state(look, place.read_only)
    if why:
        app.say(f"apply: {why}", "warning")
    elif not any(isinstance(screen, PromptScreen) for screen in app.screen_stack):
        _ = app.push_screen(PromptScreen(place, look))


class PromptScreen(ModalScreen[None]):
    """One apply, from the plan to the result.

    Args:
        place: The run; not a read-only one.
        look: What was last seen of it.
    """

    ASKS = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "app.help", show=False),
        Binding("ctrl+c", "app.interrupt", show=False),
        Binding("q", "app.leave", show=False),
    ]
    DEFAULT_CSS = """
    PromptScreen { align: center middle; background: $background 60%; }
    """

    @dataclass
    class Told(Message):
        """What is done next while it is being made ready."""

        line: str

    @dataclass
    class Done(Message):
        """A step's work came to an end; `asked` tells it from work that was given up."""

        asked: int
        result: Ready | CutOff | Change | Ended

    def __init__(self, place: RunPlace, look: RunLook) -> None:
        super().__init__()
        self._place = place
        self._look = look
        self.step = Step.PREPARING
        self._asked = 0
        self._said: list[str] = []
        self._ready: Ready | None = None
        self._cut_off: CutOff | None = None
        self._flow = Flow()
        self._change: Change | None = None
        self._judged = Judged(None)
        self._ending = Ended(())
        self._warned = False

    @property
    def watched(self) -> str:
        """Of which run it wants the looks."""
        return self._place.watch

    def compose(self) -> ComposeResult:
        yield PromptBox(id="prompt-box")
        yield KeyLine()

    def on_mount(self) -> None:
        self.box.border_subtitle = Content(f"{safe(self._place.title, 60)} on {safe(machine(self._place), 60)}")
        self._begin(Step.PREPARING, self._prepare())

    def on_resize(self) -> None:
        self.call_after_refresh(self._paint, keep=True)

    @property
    def box(self) -> PromptBox:
        """What shows the pages."""
        return self.query_one(PromptBox)

    def show(self, look: RunLook) -> None:
        """A new look: the same verdict, or the end of this prompt."""
        self._look = look
        why = self._void(look.snapshot) if self.step in _VOIDABLE else ""
        if why:
            self._end(Ended((f"{why}; {UNCHANGED}.", "Press A on the run to begin anew."), title="closed"))

    def _void(self, snapshot: Snapshot[Calibration]) -> str:
        """Why what is shown does not hold any longer; "" as long as it does."""
        if snapshot.state is State.BLIND or snapshot.body.audit is None:
            return ""  # it says nothing new; before anything is written the host is asked again
        if self._cut_off is not None:
            ended = ended_since(RunLook(snapshot), self._cut_off.id)
            return "somebody else dealt with the interrupted apply meanwhile" if ended else ""
        ready = self._ready
        if ready is None or (snapshot.seen.received or 0) < (ready.prepared.found.snapshot.seen.received or 0):
            return ""
        why = closed_reason(RunLook(snapshot))
        if basis_of(snapshot) != ready.digest:
            return f"the verdict on the run changed meanwhile ({why})" if why else CHANGED
        return why

    # What the box tells.

    def on_choices_taken(self, message: Choices.Taken) -> None:
        """An answer was taken."""
        message.stop()
        if message.value in (pages.CLOSE, pages.NO):
            self.leave()
        elif self.step is Step.MODES:
            self._choose(message.value)
        elif self.step is Step.QUESTION and message.value == pages.NUMBER:
            given = self._flow.given
            self.box.number.open(given.text if isinstance(given, Custom) else "")
        elif self.step is Step.QUESTION:
            self._answer("apply" if message.value == "apply" else "keep")
        elif self.step is Step.CHANGE and message.value == pages.YES:
            self._begin(Step.WRITING, self._write())
        elif self.step is Step.CUT_OFF:
            self._begin(Step.MENDING, mend(self._place, message.value == pages.ROLL_BACK))

    def on_number_line_edited(self, message: NumberLine.Edited) -> None:
        """Say what the number would do, or what is wrong with it."""
        message.stop()
        if self.step is Step.QUESTION and self._flow.question is not None and self.box.number.is_open:
            self._judged = judge(self._flow.question, message.text)
            self._paint(keep=True)

    def on_number_line_taken(self, message: NumberLine.Taken) -> None:
        """Take the number, when it is one."""
        message.stop()
        if self.step is not Step.QUESTION or self._flow.question is None:
            return
        self._judged = judge(self._flow.question, message.text)
        if self._judged.answer is None:
            self._judged = Judged(None, self._judged.error or "type a number, or Esc for the other answers")
            self._paint(keep=True)
        else:
            self._answer(self._judged.answer)

    def on_number_line_cancelled(self, message: NumberLine.Cancelled) -> None:
        message.stop()
        self._judged = Judged(None)
        self._paint()

    def on_prompt_box_moved(self, message: PromptBox.Moved) -> None:
        """To another question, or one step back."""
        message.stop()
        if self.step is Step.QUESTION and message.to == "next":
            self._go(self._flow.forward())
        elif self.step is Step.QUESTION and self._flow.at > 0:
            self._go(self._flow.back())
        elif message.to == "back" and self.step in (Step.QUESTION, Step.REPORT):
            self._show(Step.MODES)
        elif message.to == "back" and self.step is Step.CHANGE:
            self._go(self._flow.back()) if self._flow.questions else self._show(Step.MODES)

    def on_prompt_box_left(self, message: PromptBox.Left) -> None:
        message.stop()
        self.leave()

    def may_quit(self) -> bool:
        """Whether the program may be left; while something is written only when it is asked for twice."""
        if self.step not in _AT_WORK or self._warned:
            return True
        self._warned = True
        self.app.notify(
            "It is being written and ends in a moment; the same key again leaves anyway.", severity="warning"
        )
        return False

    def leave(self) -> None:
        """Close; what is being written is not left half way."""
        if self.step in _AT_WORK:
            self.app.notify("It is being written and cannot be stopped half way; it ends in a moment.")
            return
        self.workers.cancel_node(self)
        if self.step is not Step.OVER:
            self.app.notify(f"apply: {UNCHANGED}")
        leave(self)

    # From step to step.

    def _choose(self, mode: str) -> None:
        assert self._ready is not None  # the modes were shown
        if mode == REPORT:
            self._show(Step.REPORT)
            return
        questions = self._ready.modes[mode].asked
        answers = self._flow.answers if self._flow.mode == mode else {}
        self._go(Flow(mode, questions, answers))

    def _answer(self, answer: Answer) -> None:
        self._go(self._flow.answered(answer))

    def _go(self, flow: Flow) -> None:
        self._flow = flow
        self._judged = Judged(None)
        if flow.question is not None:
            self._show(Step.QUESTION)
        else:
            self._begin(Step.CHECKING, self._check())

    def _begin(self, step: Step, work: Coroutine[Any, Any, Any]) -> None:
        """Show a step at which something is done, and do it."""
        self._asked += 1
        self._show(step)
        self.run_worker(self._worked(self._asked, work), group="work", exclusive=True, exit_on_error=False)

    async def _worked(self, asked: int, work: Coroutine[Any, Any, Any]) -> None:
        try:
            result = await work
        except GatewatchError as error:
            result = refused(error)
        self.post_message(self.Done(asked, result))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect of ours is told like any other end; what was written by then, the run directory knows."""
        if event.state is WorkerState.ERROR:
            said = f"{type(event.worker.error).__name__}: {event.worker.error}"
            at_work = "look with A on the run whether something was written" if self.step in _AT_WORK else UNCHANGED
            self._end(Ended((f"{said}; {at_work}.",), title="failed"))

    def on_prompt_screen_told(self, message: Told) -> None:
        self._said.append(message.line)
        if self.step is Step.PREPARING:
            self._paint()

    def on_prompt_screen_done(self, message: Done) -> None:
        """Go on with what came of it, unless it was given up."""
        result = message.result
        if message.asked != self._asked or self.step is Step.OVER:
            return
        if isinstance(result, Ready):
            self._ready = result
            self._show(Step.MODES)
        elif isinstance(result, CutOff):
            self._cut_off = result
            self._show(Step.CUT_OFF)
        elif isinstance(result, Change) and result.files:
            self._change = result
            self._show(Step.CHANGE)
        elif isinstance(result, Change):
            self._end(Ended((f"There is nothing to write; {UNCHANGED}.",), well=True, title="nothing to write"))
        else:
            self._end(result)
            self._place.request()

    async def _prepare(self) -> Ready | CutOff:
        def say(line: str) -> None:
            self.post_message(self.Told(line))

        return await get_ready(self._place.reader, self._place.watched, _closed, say)

    async def _check(self) -> Change:
        assert self._ready is not None  # its questions were answered
        await check_again(self._place.reader, self._ready, _closed)
        return await make_change(self._ready, self._flow.mode, self._flow.answers)

    async def _write(self) -> Ended | CutOff:
        assert self._ready is not None  # its change was shown
        assert self._change is not None
        await check_again(self._place.reader, self._ready, _closed)
        return await write_down(self._place, self._ready, self._change, self._flow.mode, getpass.getuser())

    # What is shown.

    def _show(self, step: Step) -> None:
        self.step = step
        self._paint()

    def _end(self, ending: Ended) -> None:
        self._asked += 1
        self.workers.cancel_node(self)
        self._ending = ending
        self._show(Step.OVER)

    def _paint(self, *, keep: bool = False) -> None:
        """Show the step; with `keep` only what is said of it changes."""
        if self.is_mounted:
            self.box.turn(self._page(), keep=keep)
            self.query_one(KeyLine).refresh()

    @property
    def _ascii(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False))

    def _page(self) -> Page:
        width, host = self.box.room, machine(self._place)
        if self.step is Step.MODES and self._ready is not None:
            return pages.modes(self._ready, width)
        if self.step is Step.REPORT and self._ready is not None:
            return pages.report(self._ready, width, self._ascii)
        if self.step is Step.QUESTION:
            judged = self._judged if self.box.number.is_open else None
            return pages.question(self._flow, width, self.size.height, self._ascii, judged)
        if self.step is Step.CHANGE and self._change is not None and self._ready is not None:
            said = cautions(self._change.decisions)
            return pages.change(self._change, said, self._ready.repo, host, width, self._ascii)
        if self.step is Step.CUT_OFF and self._cut_off is not None:
            return pages.cut_off(self._cut_off, host, width)
        if self.step is Step.OVER:
            style = "$text-success" if self._ending.well else "$text-warning"
            return pages.over(self._ending.title, self._ending.lines, style, width)
        if self.step is Step.PREPARING:
            return pages.preparing(self._said, width, self._ascii)
        text = {
            Step.CHECKING: "Seeing that nothing has changed since…",
            Step.WRITING: f"Writing on {safe(host)}… It cannot be stopped half way.",
            Step.MENDING: f"At work on {safe(host)}… It cannot be stopped half way.",
        }.get(self.step, "")
        return pages.waiting(self.step.value, text, width)


def _closed(snapshot: Snapshot[Calibration]) -> str:
    return closed_reason(RunLook(snapshot))
