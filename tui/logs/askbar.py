"""The line in which one types: what to find, what to filter, where to go, a file's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Key, Paste
from textual.message import Message
from textual.widgets import Input, Static

from monitors.logs.types import Query
from tui import keys, shims
from tui.cells import width
from tui.sanitise import clean_inline
from tui.textfield import TextField

_KEPT = 50  # lines that were typed before


@dataclass(frozen=True)
class Ask:
    """What a line is for.

    Attributes:
        prompt: Stands before what is typed.
        hint: Stands where nothing is typed yet.
        words: Whether it is a query, with case and regular expressions.
    """

    prompt: str
    hint: str
    words: bool = False


ASKS: Mapping[str, Ask] = {
    "find": Ask("find", "words", words=True),
    "filter": Ask("only lines with", "words; ! first hides them; nothing takes all words away", words=True),
    "filter-out": Ask("no lines with", "words", words=True),
    "go": Ask("go to", "14:02, a time as lines show it, -1h30m, 1234 or 48%"),
    "since": Ask("since", "14:02, a time as lines show it, -1h30m, 1234 or 48%; nothing: the line"),
    "until": Ask("until", "14:02, a time as lines show it, -1h30m, 1234 or 48%; nothing: the line"),
    "save": Ask("save to", "a new file; nothing is overwritten"),
    "hosts": Ask("only hosts with", "words: a name, a state, a GPU, a user, a run; nothing shows all"),
    "host-file": Ask("follow", "a file there, from its root: /var/log/syslog"),
}


@dataclass(frozen=True)
class Typed:
    """What was typed, and how it is meant.

    Attributes:
        text: As typed.
        regex: A regular expression, or words.
        case: True: case matters; False: it does not; None: only if a capital letter was typed.
    """

    text: str = ""
    regex: bool = False
    case: bool | None = None

    def query(self) -> Query:
        return Query(self.text, regex=self.regex, case=self.case)


_LEAVING = ("enter", "escape", "ctrl+c")
_TABS = ("tab", "shift+tab")  # pressed to have a name completed: the focus would be elsewhere, and the line open still


class AskField(TextField):
    """The line's field; what is typed behind a key that may close it waits until it is known whether it does.

    Attributes:
        ahead: What was typed behind one that may close the field, before it was known whether it does.
        leaving: Whether such a key was pressed.
    """

    LINE = "ask"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False)
        self.ahead: list[Key | Paste] = []
        self.leaving = False

    async def on_key(self, event: Key) -> None:
        """Keep keys that are typed ahead: they belong to whoever has the focus next."""
        if self.leaving:
            event.stop()
            event.prevent_default()  # else the framework goes on with the base's
            self.ahead.append(event)
        elif event.key in _TABS:
            event.stop()
            event.prevent_default()
        self.leaving = self.leaving or event.key in _LEAVING

    def on_paste(self, event: Paste) -> None:
        """The same of what is pasted."""
        if self.leaving:
            event.stop()
            event.prevent_default()
            self.ahead.append(event)


class AskBar(Horizontal):
    """One question at a time; hidden while there is none."""

    PANE = "ask"
    HELP_TITLE = "while typing"
    BINDINGS: ClassVar[list[BindingType]] = [binding for binding in keys.bindings("ask") if binding.action != "take"]
    DEFAULT_CSS = """
    AskBar { height: 1; background: $surface; }
    AskBar #ask-prompt { width: auto; color: $text-accent; text-style: bold; padding: 0 1 0 0; }
    AskBar #ask-text { width: 1fr; height: 1; border: none; padding: 0; background: $surface; color: $foreground; }
    AskBar #ask-text:focus { border: none; background: $surface; }
    AskBar #ask-info { width: auto; color: $text-muted; padding: 0 0 0 1; }
    AskBar.-bad #ask-info { color: $text-error; }
    """

    @dataclass
    class Edited(Message):
        """What is typed changed; the newest counts."""

        kind: str
        typed: Typed

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, AskBar.Edited)

    @dataclass
    class Taken(Message):
        """Somebody pressed enter."""

        kind: str
        typed: Typed

    @dataclass
    class Cancelled(Message):
        """Somebody pressed escape."""

        kind: str

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.display = False
        self.kind = ""
        self._typed = Typed()
        self._info = ""
        self._before: dict[str, list[str]] = {}
        self._back = 0

    def compose(self) -> ComposeResult:
        yield Static(id="ask-prompt", markup=False)
        field = AskField(id="ask-text")
        field.cursor_blink = False
        yield field
        yield Static(id="ask-info", markup=False)

    def open(self, kind: str, typed: Typed | None = None) -> None:
        """Ask."""
        self.kind = kind
        self._typed = typed or Typed()
        self._back = 0
        self.tell("")
        ask = ASKS[kind]
        self.query_one("#ask-prompt", Static).update(Content(ask.prompt))
        field = self.query_one(Input)
        field.placeholder = ask.hint
        with self.prevent(Input.Changed):
            field.value = self._typed.text
        field.cursor_position = len(field.value)
        self.display = True  # a class would have the rules of all that is in here applied anew
        self.screen.set_focus(field)  # at once: the next key may have been typed already

    def go_on(self) -> None:
        """Somebody was beside it, and types on."""
        self.screen.set_focus(self.query_one(Input))

    def close(self) -> None:
        """Ask no more; the caller gives the focus to somebody."""
        self.kind = ""
        self.display = False

    def settle(self) -> None:
        """It is known who has the focus now: let the keys that were typed ahead go there."""
        field = self.query_one(AskField)
        ahead, field.ahead, field.leaving = field.ahead, [], False
        for key in ahead:
            shims.press_again(self.app, key)

    def tell(self, info: str, *, bad: bool = False) -> None:
        """Say something beside what is typed: a count, or what is wrong with it."""
        self.set_class(bad, "-bad")
        self._info = info
        ask = ASKS.get(self.kind)
        modes = self._modes() if ask is not None and ask.words else ""
        shown = "  ".join(part for part in (clean_inline(info), modes) if part)
        room = max(0, self.size.width // 2 if self.size.width else 200)
        # What is typed stays in sight, whatever is wrong with it
        typed = width(self._typed.text) + len(ask.prompt) + 4 if ask is not None else 0
        said = Content(shown if len(shown) <= room else clean_inline(info))
        said = said.truncate(max(room, self.size.width - typed), ellipsis=True)
        self.query_one("#ask-info", Static).update(said)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.kind:
            self._typed = replace(self._typed, text=event.value)
            self.post_message(self.Edited(self.kind, self._typed))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.kind:
            return
        if self._typed.text:
            before = self._before.setdefault(self.kind, [])
            if self._typed.text in before:
                before.remove(self._typed.text)
            before.append(self._typed.text)
            del before[:-_KEPT]
        self.post_message(self.Taken(self.kind, self._typed))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """How words are meant is asked of words alone, and not of a time or a file's name."""
        return action not in ("regex", "case") or (self.kind in ASKS and ASKS[self.kind].words)

    def action_cancel(self) -> None:
        """Close, and go back to where one was."""
        self.post_message(self.Cancelled(self.kind))

    def action_regex(self) -> None:
        """Words, or a regular expression."""
        self._mode(replace(self._typed, regex=not self._typed.regex))

    def action_case(self) -> None:
        """Smart, always, never."""
        following: dict[bool | None, bool | None] = {None: True, True: False, False: None}
        self._mode(replace(self._typed, case=following[self._typed.case]))

    def action_older(self) -> None:
        """What was typed before."""
        self._recall(1)

    def action_newer(self) -> None:
        """What was typed after that."""
        self._recall(-1)

    def _mode(self, typed: Typed) -> None:
        if ASKS[self.kind].words:
            self._typed = typed
            self.tell(self._info)
            self.post_message(self.Edited(self.kind, typed))

    def _recall(self, step: int) -> None:
        before = self._before.get(self.kind, [])
        if before:
            self._back = max(0, min(len(before), self._back + step))
            field = self.query_one(Input)
            field.value = before[-self._back] if self._back else ""
            field.cursor_position = len(field.value)

    def _modes(self) -> str:
        case = {None: "smart case", True: "case", False: "any case"}[self._typed.case]
        how = "regex" if self._typed.regex else "words"
        return f"{how} ^R  {case} ^T"
