"""The one form for a new run: what, how often and where; checked on the host, asked about, and started detached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, ScrollableContainer, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static
from textual.worker import Worker, WorkerState

from gates.calibration.schema import Manifest
from hosts.connects import Connects
from hosts.errors import GatewatchError, InputError, UnreachableError, VerbError
from jobs.calibration.checkout import Checkout, find_checkout, load_manifest
from jobs.calibration.control import Started
from jobs.calibration.starting import Places, Ready, Wanted, begin, make_ready, places_of
from jobs.connect import open_actor, open_reader
from tui import keys
from tui.app import GatewatchApp
from tui.keyline import KeyLine
from tui.sanitise import clean_inline, confirmable, redact
from tui.screens.form_fields import Choice, Field
from tui.screens.form_state import Draft, Past, judge
from tui.screens.form_words import fault_lines, question_lines
from tui.screens.leaving import leave
from tui.screens.modal import EVERYWHERE
from tui.screens.resume_ask import AskScreen
from tui.screens.secret import URGENT
from tui.screens.subject import RunLook, RunPlace

READ_ONLY = "read-only: start with --act"
_AROUND = 17  # rows of the fields, with a line each for what is said of them, borders and the key line


@runtime_checkable
class OpensRuns(Protocol):
    """An app that can go into a run that has just been started."""

    def open_run(self, run_dir: str, host: str | None = None, root: str | None = None) -> None:
        """Watch it and show it; `host` is a profile's name in the checkout `root`, None for this machine."""
        ...


def open_form(app: GatewatchApp, place: RunPlace | None, look: RunLook | None) -> None:
    """Open the form; what is known of the run that one looks at is filled in. In read-only mode it stays closed.

    Args:
        place: The run that one looks at, None for none: then the app's own `read_only` counts, and without one it is.
        look: What was last seen of it.
    """
    read_only = place.read_only if place is not None else bool(getattr(app, "read_only", True))
    if read_only:
        app.say(READ_ONLY, "warning")
        return
    _ = app.push_screen(FormScreen(place, look))


class Known(Message):
    """The checkout was read, or why it could not be."""

    def __init__(self, checkout: Checkout | None, places: Places | None, why: str = "") -> None:
        super().__init__()
        self.checkout, self.places, self.why = checkout, places, why


class ManifestRead(Message):
    """A model's stages, or why there are none."""

    def __init__(self, model: str, manifest: Manifest | str) -> None:
        super().__init__()
        self.model, self.manifest = model, manifest


class Checked(Message):
    """What the host says, or why it says nothing."""

    def __init__(self, wanted: Wanted, answer: Ready | str) -> None:
        super().__init__()
        self.wanted, self.answer = wanted, answer


class Begun(Message):
    """It was started, or why it was not."""

    def __init__(self, ready: Ready, answer: Started | str) -> None:
        super().__init__()
        self.ready, self.answer = ready, answer


class FormScreen(ModalScreen[None]):
    """Model, stages, repeats and host.

    Args:
        place: The run that one came from, None for none.
        look: What was last seen of it.
    """

    PANE = "form"
    ASKS = True
    HELP_TITLE = "new run"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("form"), *EVERYWHERE]
    DEFAULT_CSS = """
    FormScreen { align: center middle; background: $background 60%; }
    FormScreen #form-box {
        width: 92%; max-width: 120; height: auto; max-height: 94%; background: $surface; border: round $primary;
        padding: 0 1; border-title-color: $text-primary; border-title-style: bold;
    }
    FormScreen.-ascii #form-box { border: ascii $primary; }
    FormScreen .form-row { height: 1; }
    FormScreen .form-label { width: 9; color: $text-muted; }
    FormScreen .form-said { height: auto; max-height: 2; margin-left: 9; margin-bottom: 1; color: $text-muted; }
    FormScreen .form-said.-bad { color: $text-error; }
    FormScreen Input { width: 1fr; height: 1; border: none; padding: 0; background: $background; }
    FormScreen Input:focus { border: none; background: $panel; }
    FormScreen #form-same { height: auto; max-height: 5; }
    FormScreen #form-state { height: auto; margin-top: 1; overflow-x: hidden; }
    FormScreen.-faults #form-same { display: none; }
    FormScreen #form-state Static { height: auto; }
    """

    def __init__(self, place: RunPlace | None, look: RunLook | None) -> None:
        super().__init__()
        self._place = place
        plan = look.snapshot.body.run.plan if look is not None and look.snapshot.body.run is not None else None
        audit = look.snapshot.body.audit if look is not None else None
        title = place.title if place is not None else ""
        self._past: Past | None = None
        if plan is not None and audit is not None:
            profile = place.watched.profile if place is not None else None
            named = plan.venv_python if plan.venv_source == "flag" else None
            self._past = Past(plan.model, title, audit, profile.name if profile is not None else None, named)
        self._checkout: Checkout | None = None
        self._places: Places | None = None
        self._manifests: dict[str, Manifest | str] = {}
        self._busy = ""
        first = Draft(str(place.watched.checkout.root) if place is not None and place.watched.checkout else "", "")
        if plan is not None:
            first = replace(first, model=plan.model, repeats=str(plan.repeats))
        self._draft = first
        self.judged = judge(first, None, self._past)

    def compose(self) -> ComposeResult:
        with Vertical(id="form-box") as box:
            box.border_title = Content("new run")
            yield from self._row("model", Choice("form-model"))
            yield from self._row("stages", Field(self._draft.stages, "form-stages"))
            yield Static(id="form-stages-said", classes="form-said", markup=False)
            yield from self._row("repeats", Field(self._draft.repeats, "form-repeats"))
            yield Static(id="form-repeats-said", classes="form-said", markup=False)
            yield from self._row("host", Choice("form-host"))
            yield Static(id="form-host-said", classes="form-said", markup=False)
            yield Static(id="form-same", markup=False)
            with ScrollableContainer(id="form-state", can_focus=False):
                yield Static(id="form-told", markup=False)
        yield KeyLine()

    @staticmethod
    def _row(label: str, field: Choice | Input) -> ComposeResult:
        with Horizontal(classes="form-row"):
            yield Static(label, classes="form-label", markup=False)
            yield field

    def on_mount(self) -> None:
        self.set_class(bool(getattr(self.app, "ascii_only", False)), "-ascii")
        self.query_one("#form-stages", Input).focus()
        self._tell([Content.styled("reading the checkout", "$text-muted")])
        self._start(self._know, "know")

    def on_resize(self) -> None:
        # What the host says scrolls; the fields stay in sight.
        self.query_one("#form-state").styles.max_height = max(3, self.size.height - _AROUND)

    # What there is to choose from.

    async def _know(self) -> None:
        place = self._place
        try:
            known = place.watched.checkout if place is not None else None
            checkout = known if known is not None else await asyncio.to_thread(find_checkout, None)
            self.post_message(Known(checkout, await asyncio.to_thread(places_of, checkout)))
        except GatewatchError as error:
            self.post_message(Known(None, None, str(error)))

    def on_known(self, message: Known) -> None:
        if message.places is None or message.checkout is None:
            self._tell([Content.styled(clean_inline(redact(message.why)), "$text-error")])
            return
        places = message.places
        self._checkout, self._places = message.checkout, places
        model = places.models.index(self._draft.model) if self._draft.model in places.models else 0
        self.query_one("#form-model", Choice).offer(places.models, model)
        here = "this machine" + (f" (profile {places.here})" if places.here is not None else "")
        watched = self._place.watched if self._place is not None else None
        profile = watched.profile.name if watched is not None and watched.profile is not None else None
        host = places.hosts.index(profile) + 1 if profile in places.hosts and profile != places.here else 0
        self.query_one("#form-host", Choice).offer((here, *places.hosts), host)
        self._draft = replace(self._draft, root=str(message.checkout.root))
        self._tell([] if places.models else [Content.styled("this checkout holds no model", "$text-error")])
        self._revise()

    async def _read(self, checkout: Checkout, model: str) -> None:
        try:
            self.post_message(ManifestRead(model, await asyncio.to_thread(load_manifest, checkout, model)))
        except GatewatchError as error:
            self.post_message(ManifestRead(model, str(error)))

    def on_manifest_read(self, message: ManifestRead) -> None:
        self._manifests[message.model] = message.manifest
        self._revise()

    # What is typed.

    def on_choice_changed(self) -> None:
        self._revise(edited=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._revise(edited=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_check()

    def _revise(self, *, edited: bool = False) -> None:
        """Judge what the fields hold now, and say it at each of them."""
        places, checkout = self._places, self._checkout
        if places is None or checkout is None or not places.models:
            return
        host = self.query_one("#form-host", Choice).index
        self._draft = replace(
            self._draft,
            model=places.models[self.query_one("#form-model", Choice).index],
            stages=self.query_one("#form-stages", Input).value,
            repeats=self.query_one("#form-repeats", Input).value,
            host=places.hosts[host - 1] if host else None,
        )
        model = self._draft.model
        if model not in self._manifests:
            self._start(partial(self._read, checkout, model), "read")
        self.judged = judge(self._draft, self._manifests.get(model), self._past)
        self._say("stages", self.judged.stages_said, self.judged.stages is None and model in self._manifests)
        self._say("repeats", self.judged.repeats_said, self.judged.repeats is None)
        self._say("host", f"checkout {self._draft.root}", False)
        wanted = self.judged.wanted
        line = confirmable(redact(wanted.line())) if wanted is not None else "—"
        self.query_one("#form-same", Static).update(
            Content.assemble(("the same without a screen:\n", "$text-muted"), line)
        )
        if edited:
            self._tell([])

    def _say(self, field: str, text: str, bad: bool) -> None:
        said = self.query_one(f"#form-{field}-said", Static)
        said.set_class(bad, "-bad")
        said.update(Content(clean_inline(redact(text))))

    def _tell(self, lines: list[Content], *, faults: bool = False) -> None:
        self.set_class(faults, "-faults")
        self.query_one("#form-told", Static).update(Content("\n").join(lines))

    # Checking, asking, starting.

    def action_check(self) -> None:
        """Check on the host."""
        wanted = self.judged.wanted
        if self._busy:
            self.app.notify(f"still {self._busy}", markup=False)
        elif wanted is None:
            field = "repeats" if self.judged.stages is not None else "stages"
            self.query_one(f"#form-{field}", Input).focus()
            self._tell([Content.styled(f"not yet: see {field}", "$text-error")])
        else:
            self._busy = "checking on the host"
            self._tell([Content.styled("checking on the host; nothing is changed there", "$text-muted")])
            self._start(partial(self._check, wanted), "check")

    @property
    def _connects(self) -> Connects | None:
        app = self.app
        return app.connects if isinstance(app, GatewatchApp) else None

    async def _check(self, wanted: Wanted) -> None:
        try:
            site = await asyncio.to_thread(wanted.site)
            URGENT.set(True)
            reader = await asyncio.to_thread(open_reader, site.profile, self._connects)
            try:
                self.post_message(Checked(wanted, await make_ready(site, wanted.options, reader)))
            finally:
                await reader.close()
        except GatewatchError as error:
            self.post_message(Checked(wanted, str(error)))

    def on_checked(self, message: Checked) -> None:
        self._busy = ""
        answer = message.answer
        if message.wanted != self.judged.wanted:
            self._tell([Content.styled("changed meanwhile; check it again", "$text-warning")])
        elif isinstance(answer, str):
            self._tell([Content.styled(clean_inline(redact(answer)), "$text-error")])
        elif answer.faults:
            self._tell(fault_lines(answer), faults=True)
        else:
            self._tell([])
            self._ask(answer, message.wanted)

    def _ask(self, ready: Ready, wanted: Wanted) -> None:
        lines = question_lines(ready, self.judged)

        def answered(yes: bool | None) -> None:
            if yes:
                self._busy = "starting"
                self._tell([Content.styled("starting it", "$text-muted")])
                self._start(partial(self._begin, ready), "begin")
            else:
                self._tell([Content.styled("nothing was started", "$text-muted")])

        _ = self.app.push_screen(AskScreen("start this run?", lines, wanted.line(), "Yes, start it"), answered)

    async def _begin(self, ready: Ready) -> None:
        self.post_message(Begun(ready, await start_it(ready, self._connects)))

    def on_begun(self, message: Begun) -> None:
        self._busy = ""
        if isinstance(message.answer, str):
            self._tell([Content.styled(clean_inline(redact(message.answer)), "$text-error")])
            return
        leave(self)
        tell_started(self.app, message.ready, message.answer)

    def action_back(self) -> None:
        """Leave."""
        if self._busy == "starting":
            self.app.notify("it is being started; wait for the answer", markup=False)
        else:
            leave(self)

    def action_next(self) -> None:
        """The next field."""
        self.focus_next()

    def action_previous(self) -> None:
        """The field before."""
        self.focus_previous()

    def action_page_up(self) -> None:
        """Up one page of what the host says."""
        self.query_one("#form-state").scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        """Down one page of it."""
        self.query_one("#form-state").scroll_page_down(animate=False)

    def _start(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        self.run_worker(work, group=group, exclusive=group != "begin", exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Something broke that should not: say so, and stay usable."""
        if event.state is WorkerState.ERROR:
            event.stop()
            self._busy = ""
            said = f"unexpected {type(event.worker.error).__name__}: {event.worker.error}"
            self._tell([Content.styled(clean_inline(redact(said)), "$text-error")])


async def start_it(ready: Ready, connects: Connects | None = None) -> Started | str:
    """Start what was asked about and answered with yes, or say in one line what became of that."""
    site = ready.request.site
    try:
        URGENT.set(True)
        actor = await asyncio.to_thread(open_actor, site.profile, False, connects)
        try:
            return await begin(actor, ready)
        except (UnreachableError, VerbError) as error:
            return f"the run may have been started: {error}"
        finally:
            await actor.close()
    except InputError as error:
        return f"nothing was started: {error}"
    except GatewatchError as error:
        return str(error)


def tell_started(app: object, ready: Ready, started: Started) -> None:
    """Say where it runs, and go there where the app can."""
    site = ready.request.site
    host = site.profile.name if site.profile is not None and not site.local else None
    if isinstance(app, GatewatchApp):
        app.say(f"started: {started.run_dir}" + (f" on {host}" if host is not None else ""))
    if isinstance(app, OpensRuns):
        app.open_run(started.run_dir, host, str(site.checkout.root) if host is not None else None)
