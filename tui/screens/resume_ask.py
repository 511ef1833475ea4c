"""A question that is focused on No: what exactly would start, where, and the command that is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from tui import keys
from tui.cells import breaks
from tui.keyline import KeyLine
from tui.sanitise import confirmable, redact
from tui.screens.leaving import leave
from tui.screens.modal import EVERYWHERE

_YES, _NO = 1, 0
_LABEL = 13
_AROUND = 11  # rows: borders, answers, three for why not, the key line, what the box leaves free, and the blank ones


@dataclass(frozen=True)
class Fact:
    """A name and its value, which is shown whole: it is broken at any character, below where it began."""

    name: str
    value: str

    def laid(self, width: int) -> list[Content]:
        """As rows of so many cells; the value is shown so that nothing in it passes for something else."""
        value = confirmable(redact(self.value))
        starts = breaks(value, max(8, width - _LABEL))
        rows = [value[start:end] for start, end in zip(starts, [*starts[1:], len(value)], strict=True)]
        return [
            Content.assemble(((self.name if not place else "").ljust(_LABEL), "$text-muted"), text)
            for place, text in enumerate(rows)
        ]


Line = Content | Fact


class _Answers(Widget, can_focus=True):
    """No and Yes side by side, of which one is pointed at; No at first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"answers--chosen", "answers--other", "answers--closed"}
    DEFAULT_CSS = """
    _Answers { height: 1; margin-top: 1; }
    _Answers .answers--chosen { background: $primary; color: $background; text-style: bold; }
    _Answers .answers--other { background: $panel; color: $foreground; }
    _Answers .answers--closed { color: $text-muted; }
    """
    ALLOW_SELECT = False

    def __init__(self, yes: str) -> None:
        super().__init__()
        self._names = ("No", yes)
        self.chosen = _NO
        self.closed = False

    def point(self, chosen: int) -> None:
        """Point at another one."""
        self.chosen = chosen
        self.refresh()

    def _laid(self) -> list[tuple[int, str]]:
        pointer = ">" if getattr(self.app, "ascii_only", False) else "▸"
        return [
            (place, f" {pointer if place == self.chosen else ' '} {name}   ") for place, name in enumerate(self._names)
        ]

    def render_line(self, y: int) -> Strip:
        """The one row."""
        base = self.rich_style
        segments = []
        for place, text in self._laid():
            name = "closed" if place == _YES and self.closed else "chosen" if place == self.chosen else "other"
            segments += [
                Segment(text, base + self.get_component_rich_style(f"answers--{name}", partial=True)),
                Segment("  ", base),
            ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def on_click(self, event: Click) -> None:
        """A click points; Enter answers."""
        left = 0
        for place, text in self._laid():
            if left <= event.x < left + len(text):
                self.point(place)
            left += len(text) + 2


class AskScreen(ModalScreen[bool]):
    """Asks; True is yes.

    Args:
        title: What would be done, in a few words of ours.
        lines: What exactly, and what it stands on.
        command: The command line that is the same.
        yes: The word for it.
    """

    PANE = "resume"
    ASKS = True
    HELP_TITLE = "the question"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("resume"), *EVERYWHERE]
    DEFAULT_CSS = """
    AskScreen { align: center middle; background: $background 60%; }
    AskScreen #ask-box {
        width: 90%; max-width: 130; height: auto; max-height: 94%; background: $surface; border: round $warning;
        padding: 0 1; border-title-color: $text-warning; border-title-style: bold;
    }
    AskScreen.-ascii #ask-box { border: ascii $warning; }
    AskScreen #ask-scroll { height: auto; overflow-x: hidden; scrollbar-gutter: stable; scrollbar-size-horizontal: 0; }
    AskScreen #ask-lines { height: auto; }
    AskScreen #ask-same { height: auto; margin-top: 1; }
    AskScreen #ask-closed { height: auto; max-height: 3; color: $text-error; display: none; }
    AskScreen.-closed #ask-closed { display: block; }
    """

    def __init__(self, title: str, lines: Sequence[Line], command: str, yes: str) -> None:
        super().__init__()
        self._title, self._lines, self._command = title, tuple(lines), command
        self.answers = _Answers(yes)

    def compose(self) -> ComposeResult:
        with Vertical(id="ask-box") as box:
            box.border_title = Content(self._title)
            with ScrollableContainer(id="ask-scroll", can_focus=False):
                yield Static(id="ask-lines", markup=False)
                yield Static(id="ask-same", markup=False)
            yield Static(id="ask-closed", markup=False)
            yield self.answers
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_class(bool(getattr(self.app, "ascii_only", False)), "-ascii")
        self.tell(self._lines)
        command = confirmable(redact(self._command))
        self.query_one("#ask-same", Static).update(
            Content.assemble(("the same without a screen:\n", "$text-muted"), (command, "bold"))
        )
        self.answers.focus()

    def tell(self, lines: Sequence[Line]) -> None:
        """Say this from now on."""
        self._lines = tuple(lines)
        self._lay()

    def on_resize(self) -> None:
        # Whatever there is to say, the answers stay in sight.
        self.query_one("#ask-scroll").styles.max_height = max(1, self.size.height - _AROUND)
        self.call_after_refresh(self._lay)

    def _lay(self) -> None:
        shown = self.query_one("#ask-lines", Static)
        width = shown.size.width or 60
        rows = [row for line in self._lines for row in (line.laid(width) if isinstance(line, Fact) else [line])]
        shown.update(Content("\n").join(rows))

    def close_yes(self, why: str) -> None:
        """Yes cannot be said as long as there is a reason why not; "" opens it again."""
        self.answers.closed = bool(why)
        if why:
            self.answers.point(_NO)
        self.set_class(bool(why), "-closed")
        self.query_one("#ask-closed", Static).update(Content(why))

    def action_answer(self) -> None:
        """Take the answer that is pointed at."""
        leave(self, self.answers.chosen == _YES and not self.answers.closed)

    def action_no(self) -> None:
        """Leave it."""
        leave(self, False)

    def action_next(self) -> None:
        """To the other answer."""
        if not self.answers.closed:
            self.answers.point(_NO if self.answers.chosen == _YES else _YES)

    def action_previous(self) -> None:
        """To the other answer."""
        self.action_next()

    def _scroll(self, rows: int) -> None:
        self.query_one("#ask-scroll").scroll_relative(y=rows, animate=False)

    def action_up(self) -> None:
        """Up one row."""
        self._scroll(-1)

    def action_down(self) -> None:
        """Down one row."""
        self._scroll(1)

    def action_page_up(self) -> None:
        """Up one page."""
        self._scroll(-max(1, self.query_one("#ask-scroll").size.height - 1))

    def action_page_down(self) -> None:
        """Down one page."""
        self._scroll(max(1, self.query_one("#ask-scroll").size.height - 1))
