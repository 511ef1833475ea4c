"""A question for a password or a passphrase: typed unseen, used once, and kept nowhere.

It lies above the lowest rows, so that what is worst stays in sight, and goes when the login that asked has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from tui import keys, shims
from tui.cells import breaks
from tui.keyline import KeyLine
from tui.sanitise import confirmable
from tui.screens.covered import is_covered
from tui.screens.leaving import leave
from tui.screens.modal import EVERYWHERE
from tui.screens.run_ink import CLASSES, Row, css, strip

if TYPE_CHECKING:
    from textual.events import Key, Paste

    from tui.app import GatewatchApp

URGENT: ContextVar[bool] = ContextVar("urgent", default=False)
"""Set in the task of a screen that waits for a host: what this host asks is asked over that screen."""

LONGEST = 4096
QUIET_S = 0.5
"""What was typed before the question was seen is no answer to it."""
_BUSY_S = 0.3  # between two looks whether somebody still types something else
_MOST_ROWS = 4
_NOTE = "used once for this login, and kept nowhere"
_NOTE_KEY = "used once, and kept nowhere; the key stays open while this runs"
_LOCAL = "passphrase of "  # hosts.ssh_client: of a file here, whichever host it is for


@dataclass(eq=False)
class Question:
    """What one host asks.

    Attributes:
        host: Its name; not clean.
        what: What it wants; not clean.
        urgent: Somebody waits for it on a screen that is open.
        answer: Filled once: with what was typed, or None.
    """

    host: str
    what: str
    answer: asyncio.Future[str | None] = field(repr=False)
    urgent: bool = False

    def take(self, answer: str | None) -> None:
        """Answer it, unless that came too late."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def forget(self) -> None:
        """Nobody waits for it any more; what was answered is not kept."""
        self.answer.cancel()
        self.answer = asyncio.get_running_loop().create_future()
        self.answer.cancel()


class ScreenAsker:
    """Asks on a screen, one question at a time (`hosts.connects.Asker`).

    What somebody has left unanswered is not asked again, until `ask_again`.

    Args:
        show: Has a question put on the screen; it ends when its answer is there, or nobody waits for it any more.
    """

    def __init__(self, show: Callable[[Question], object]) -> None:
        self._show = show
        self._turn = asyncio.Lock()
        self._left: set[tuple[str, str]] = set()

    async def ask(self, host: str, what: str) -> str | None:
        """The answer, or None where nobody gives one."""
        about = ("" if what.startswith(_LOCAL) else host, what)
        async with self._turn:
            if about in self._left:
                return None
            question = Question(host, what, asyncio.get_running_loop().create_future(), URGENT.get())
            self._show(question)
            try:
                answer = await question.answer
            finally:
                question.forget()
            if answer is None:
                self._left.add(about)
            return answer

    def ask_again(self) -> None:
        """Ask also what was left unanswered: a person wants it tried."""
        self._left.clear()


class _Unseen(Widget, can_focus=True):
    """Takes what is typed and shows only that something is."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(CLASSES)
    DEFAULT_CSS = "_Unseen { height: 1; background: $panel; }\n" + css("_Unseen")
    ALLOW_SELECT = False

    def __init__(self, quiet: float) -> None:
        super().__init__()
        self._typed: list[str] = []
        self._heard_from = time.monotonic() + quiet

    def give(self) -> str:
        """What was typed, which is forgotten here."""
        typed, self._typed = "".join(self._typed), []
        self.refresh()
        return typed

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        """Letters are text here."""
        return character is not None and character.isprintable()

    def on_key(self, event: Key) -> None:
        """Letters, and what takes them away again."""
        if event.character is not None and event.is_printable:
            self._put(event.character)
        elif event.key == "backspace":
            del self._typed[-1:]
        elif event.key == "ctrl+u":
            self._typed.clear()
        else:
            return
        event.stop()
        event.prevent_default()
        self.refresh()

    def on_paste(self, event: Paste) -> None:
        """The first line of what is pasted."""
        event.stop()
        self._put(event.text.partition("\n")[0].rstrip("\r"))
        self.refresh()

    def _put(self, text: str) -> None:
        if time.monotonic() >= self._heard_from and len(self._typed) < LONGEST:
            self._typed.extend(text)

    def render_line(self, y: int) -> Strip:
        """A sign for each letter; others who look on are not told how many there are."""
        base, width = self.rich_style, self.size.width
        ascii_only = bool(getattr(self.app, "ascii_only", False))
        if getattr(self.app, "shared", False):
            row: Row = (("typed, not shown" if self._typed else "", "muted"),)
        else:
            signs = ("*" if ascii_only else "•") * min(len(self._typed), max(0, width - 1))
            row = ((signs, ""), ("_" if ascii_only else "▏", "accent"))
        return strip(self, row, width, base)


class SecretScreen(ModalScreen[None]):
    """The question.

    Args:
        question: What is asked; the screen goes when it is answered or nobody waits for it any more.
        quiet: Seconds in which keys are not heard yet.
    """

    PANE = "secret"
    ASKS = True
    HELP_TITLE = "a secret"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("secret"), *EVERYWHERE]
    DEFAULT_CSS = """
    SecretScreen { align: center bottom; background: transparent; }
    SecretScreen #secret-box {
        width: 90%; max-width: 100; height: auto; margin-bottom: 3; background: $surface; border: round $warning;
        padding: 0 1; border-title-color: $text-warning; border-title-style: bold;
    }
    SecretScreen.-ascii #secret-box { border: ascii $warning; }
    SecretScreen #secret-what { height: auto; }
    SecretScreen #secret-note { height: auto; color: $text-muted; }
    """

    def __init__(self, question: Question, quiet: float) -> None:
        super().__init__()
        self._question = question
        self._field = _Unseen(quiet)

    def compose(self) -> ComposeResult:
        with Vertical(id="secret-box"):
            yield Static(id="secret-what", markup=False)
            yield self._field
            yield Static(id="secret-note", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_class(bool(getattr(self.app, "ascii_only", False)), "-ascii")
        self._field.focus()
        self._question.answer.add_done_callback(self._over)
        self.app.screen_change_signal.subscribe(self, self._rise, immediate=True)
        self._rise()
        self._lay()

    def on_resize(self) -> None:
        self.call_after_refresh(self._lay)

    def on_screen_resume(self) -> None:
        if self._question.answer.done():
            leave(self)

    def on_unmount(self) -> None:
        """Nothing of it stays, and nobody waits for what cannot come."""
        self._field.give()
        self._question.take(None)

    def action_answer(self) -> None:
        """Hand over what was typed; nothing is no answer."""
        typed = self._field.give()
        if typed:
            self._question.take(typed)

    def action_no(self) -> None:
        """Not now."""
        self._question.take(None)

    def _rise(self, _: object = None) -> None:
        """Lie above a screen that was on its way when this one was opened: nobody answers what he cannot see."""
        if self in self.app.screen_stack and is_covered(self):
            shims.raise_screen(self.app, self)

    def _over(self, _: asyncio.Future[str | None]) -> None:
        if self.is_mounted and self.app.is_running:
            self._field.give()
            leave(self)

    def _lay(self) -> None:
        """Say who asks; while others look on, nobody's name."""
        shared = bool(getattr(self.app, "shared", False))
        shown = self.query_one("#secret-what", Static)
        host = "a host" if shared else confirmable(self._question.host)
        what = "a password or a passphrase" if shared else confirmable(self._question.what)
        room = max(8, shown.size.width or 60)
        said = f"{host} asks for: {what}"
        starts = breaks(said, room)
        rows = [said[start:end] for start, end in zip(starts, [*starts[1:], len(said)], strict=True)]
        shown.update(Content("\n".join(rows[:_MOST_ROWS])))
        of_key = self._question.what.startswith(_LOCAL) and not shared
        self.query_one("#secret-note", Static).update(Content(_NOTE_KEY if of_key else _NOTE))
        self.query_one("#secret-box").border_title = Content("log in")


def show_question(app: GatewatchApp, question: Question, quiet: float = QUIET_S) -> None:
    """Put a question on the screen, as soon as nobody is asked something else or types; it may be void by then.

    Args:
        quiet: Seconds from then on in which keys are not heard yet.
    """
    if question.answer.done():
        return
    if not app.is_running:
        question.take(None)
    elif _is_busy(app, question):
        app.set_timer(_BUSY_S, lambda: show_question(app, question, quiet))
    else:
        _ = app.push_screen(SecretScreen(question, quiet))


def _is_busy(app: GatewatchApp, question: Question) -> bool:
    """Whether somebody is asked something else, or types: his letters are no secret's."""
    if question.urgent:
        return any(isinstance(screen, SecretScreen) for screen in app.screen_stack)
    focused = app.screen.focused
    typing = focused is not None and focused.check_consume_key("a", "a")
    return typing or any(getattr(screen, "ASKS", False) for screen in app.screen_stack)
