"""Resuming a run that died: the evidence that it did, the exact command, and a question focused on No."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from textual.content import Content
from textual.message import Message
from textual.worker import Worker, WorkerState

from gates.verdict import Evidence, Offer, Verdict
from hosts.errors import GatewatchError
from jobs.calibration.control import Started
from jobs.calibration.starting import Ready, Wanted, make_ready, resumed
from jobs.connect import open_reader
from monitors.calibration.body import Calibration
from monitors.snapshot import Snapshot, State
from tui import words
from tui.app import GatewatchApp
from tui.sanitise import clean_inline, redact
from tui.screens.form import READ_ONLY, start_it
from tui.screens.form_words import facts, fault_lines, warning_lines, where_of
from tui.screens.leaving import leave
from tui.screens.resume_ask import AskScreen, Line
from tui.screens.secret import URGENT
from tui.screens.subject import RunLook, RunPlace

ACTION = "resume"
LIVENESS = "calibration.liveness"


def open_resume(app: GatewatchApp, place: RunPlace, look: RunLook) -> None:
    """Ask whether to resume a run that offers it; anything else is answered in one line."""
    offer = offer_of(look.snapshot)
    if place.read_only:
        app.say(READ_ONLY, "warning")
    elif offer is None or look.snapshot.state is State.BLIND:
        app.say(f"there is nothing to resume: the run is {look.snapshot.state.value}")
    else:
        _ = app.push_screen(ResumeScreen(place, look, offer))


def offer_of(snapshot: Snapshot[Calibration]) -> Offer | None:
    """The resume that the newest look offers, or None."""
    return next((offer for offer in snapshot.offers if offer.action == ACTION), None)


def liveness_of(snapshot: Snapshot[Calibration]) -> Verdict | None:
    """Why it is taken for dead."""
    return next((verdict for verdict in snapshot.verdicts if verdict.gate == LIVENESS), None)


def same_offer(offer: Offer, verdict: Verdict | None, newer: Offer | None, newest: Verdict | None) -> bool:
    """Whether an offer still stands: the same one, or the same change on the same evidence.

    How long ago the last write was is part of a verdict's sentence and so of an offer's id; that alone makes no other
    offer of it.
    """
    if newer is None:
        return False
    if newer.id == offer.id:
        return True
    if verdict is None or newest is None:
        return False
    about = (newer.run, newer.action, newer.change, newer.host) == (offer.run, offer.action, offer.change, offer.host)
    return about and (newest.outcome, newest.evidence) == (verdict.outcome, verdict.evidence)


class ResumeChecked(Message):
    """What the host says of the resume, or why it says nothing."""

    def __init__(self, answer: Ready | str) -> None:
        super().__init__()
        self.answer = answer


class ResumeBegun(Message):
    """It goes on, or why it does not."""

    def __init__(self, answer: Started | str) -> None:
        super().__init__()
        self.answer = answer


class ResumeScreen(AskScreen):
    """The question; it dies with the offer.

    Args:
        place: The run.
        look: What was last seen of it.
        offer: Its resume.
    """

    HELP_TITLE = "resume"

    def __init__(self, place: RunPlace, look: RunLook, offer: Offer) -> None:
        run = look.snapshot.body.run
        known = run.plan.raw if run is not None and run.plan is not None else {}
        self._wanted: Wanted = resumed(place.watched, known)
        super().__init__("resume this run?", (), self._wanted.line(), "Yes, resume it")
        self.answers.closed = True  # until the host has been asked
        self._place, self._look, self._offer = place, look, offer
        self._ready: Ready | None = None
        self._faults: list[Content] = []
        self._why = "checking on the host; nothing is changed there"
        self._starting = False

    @property
    def watched(self) -> str:
        """Whose looks it wants."""
        return self._place.watch

    def on_mount(self) -> None:
        super().on_mount()
        self._say()
        self._start(self._check, "check")

    def _start(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        self.run_worker(work, group=group, exit_on_error=False)

    def show(self, look: RunLook) -> None:
        """A new look: the offer stands, or the question goes."""
        verdict = liveness_of(self._look.snapshot)
        newer = offer_of(look.snapshot)
        if self._starting:
            return
        if not same_offer(self._offer, verdict, newer, liveness_of(look.snapshot)):
            self._die(look)
            return
        assert newer is not None  # else it were another offer
        self._look, self._offer = look, newer
        if self.is_mounted:
            self._say()

    def _die(self, look: RunLook) -> None:
        app = self.app
        if isinstance(app, GatewatchApp):
            app.say(f"the question is void: the run is {look.snapshot.state.value} now", "warning")
        if self.is_mounted:
            leave(self, False)

    def _say(self) -> None:
        lines = evidence_lines(self._place, self._look, self.app_now())
        if self._ready is not None:
            request = self._ready.request
            lines += facts(
                ("host", where_of(self._ready)),
                ("repo", f"{request.site.repo} at commit {self._ready.checked.git_sha[:12]}"),
                ("python", request.venv.path),
            )
            lines += warning_lines(self._ready)
        self.tell([*lines, *self._faults])
        blind = self._look.snapshot.state is State.BLIND
        self.close_yes("the host does not answer, so what is seen is old" if blind else self._why)

    def app_now(self) -> float:
        """Our clock."""
        app = self.app
        return app.now() if isinstance(app, GatewatchApp) else 0.0

    async def _check(self) -> None:
        try:
            site = await asyncio.to_thread(self._wanted.site)
            URGENT.set(True)
            reader = await asyncio.to_thread(open_reader, site.profile, self._place.connects)
            try:
                self.post_message(ResumeChecked(await make_ready(site, self._wanted.options, reader)))
            finally:
                await reader.close()
        except GatewatchError as error:
            self.post_message(ResumeChecked(str(error)))

    def on_resume_checked(self, message: ResumeChecked) -> None:
        answer = message.answer
        if isinstance(answer, str):
            self._why = clean_inline(redact(answer))
        elif answer.faults:
            self._faults, self._why = fault_lines(answer), "it cannot be resumed like this"
        else:
            self._ready, self._why = answer, ""
        self._say()

    def action_answer(self) -> None:
        """Take the answer that is pointed at; yes starts it, and the screen waits for what the host says."""
        if self._starting:
            return
        ready = self._ready
        if self.answers.chosen and not self.answers.closed and ready is not None:
            self._starting = True
            self._why = "starting it"
            self.close_yes(self._why)
            self._start(partial(self._begin, ready), "begin")
        else:
            leave(self, False)

    def action_no(self) -> None:
        """Leave it."""
        if not self._starting:
            leave(self, False)

    async def _begin(self, ready: Ready) -> None:
        self.post_message(ResumeBegun(await start_it(ready, self._place.connects)))

    def on_resume_begun(self, message: ResumeBegun) -> None:
        self._starting = False
        if isinstance(message.answer, str):
            self._why = clean_inline(redact(message.answer))
            self._say()
            return
        self._place.request()
        app = self.app
        if isinstance(app, GatewatchApp):
            app.say(f"resumed: {message.answer.run_dir}")
        leave(self, True)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Something broke that should not: say so; nothing can be started then."""
        if event.state is WorkerState.ERROR:
            event.stop()
            self._starting = False
            self._why = clean_inline(redact(f"unexpected {type(event.worker.error).__name__}: {event.worker.error}"))
            self._say()


def evidence_lines(place: RunPlace, look: RunLook, now: float) -> list[Line]:
    """Why the run is taken for dead, and what would be run again."""
    snapshot = look.snapshot
    body, verdict = snapshot.body, liveness_of(snapshot)
    lines = facts(("run-dir", place.run_dir))
    if verdict is not None and verdict.detail:
        lines.append(Content.styled(clean_inline(redact(verdict.detail), limit=600), "$text-warning"))
    seen = snapshot.seen.received
    age = "never seen" if seen is None else f"seen {words.age(now - seen)} ago"
    lines += facts(("state", f"{snapshot.state.value}, {age}"))
    for item in verdict.evidence if verdict is not None else ():
        lines += facts((_named(item), "" if item.value is None else str(item.value)))
    if not body.processes and not body.pytests:
        lines += facts(("processes", "none of this run lives" if body.pytests is not None else "none were seen"))
    if body.last_write is not None and not any(item.what == "last write" for item in _items(verdict)):
        lines += facts(("last write", f"{words.age((snapshot.seen.at or now) - body.last_write)} ago"))
    if body.audit is not None:
        left = len(body.audit.incomplete)
        lines += facts(
            ("to run", f"{words.counted(left, 'repeat')} of {words.counted(len(body.audit.stages), 'stage')}")
        )
    return lines


def _items(verdict: Verdict | None) -> tuple[Evidence, ...]:
    return verdict.evidence if verdict is not None else ()


def _named(item: Evidence) -> str:
    return {"lock holder": "lock", "process": "lives"}.get(item.what, item.what)
