"""The line in which a person types a threshold of their own; what it would do is said with every keystroke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui import keys
from tui.textfield import TextField

_LONGEST = 80  # of a number that is typed; longer ones are slips


class NumberField(TextField):
    """The line's field."""

    LINE = "prompt-number"

    def validate_value(self, value: str) -> str:
        """The beginning of it, without what a terminal would obey."""
        return super().validate_value(value[:_LONGEST])


class NumberLine(Horizontal):
    """Hidden while nobody types."""

    PANE = "prompt-number"
    HELP_TITLE = "a threshold of your own"
    BINDINGS: ClassVar[list[BindingType]] = [
        binding for binding in keys.bindings("prompt-number") if binding.action != "take"
    ]
    DEFAULT_CSS = """
    NumberLine { height: 1; display: none; }
    NumberLine.-open { display: block; }
    NumberLine #number-label { width: auto; padding: 0 1 0 2; color: $text-accent; text-style: bold; }
    NumberLine #number-text { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    NumberLine #number-text:focus { border: none; background: $panel; }
    """

    @dataclass
    class Edited(Message):
        """What is typed changed; the newest counts."""

        text: str

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, NumberLine.Edited)

    @dataclass
    class Taken(Message):
        """Somebody pressed enter."""

        text: str

    class Cancelled(Message):
        """Somebody wants to go back to the answers."""

    def compose(self) -> ComposeResult:
        yield Static("number", id="number-label", markup=False)
        field = NumberField(id="number-text", compact=True, select_on_focus=False)
        field.cursor_blink = False
        yield field

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def open(self, text: str) -> None:
        """Begin with what was typed before."""
        field = self.query_one(Input)
        field.placeholder = "as the file shall hold it, such as 0.025"
        with self.prevent(Input.Changed):
            field.value = text
        field.cursor_position = len(text)
        self.query_one("#number-label", Static).update(Content("number"))
        self.add_class("-open")
        self.screen.set_focus(field)  # at once: the next key may have been typed already
        self.post_message(self.Edited(text))

    def close(self) -> None:
        """Nobody types any more; the caller gives the focus to somebody."""
        self.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Edited(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Taken(event.value))

    def action_cancel(self) -> None:
        """Back to the answers."""
        self.post_message(self.Cancelled())
