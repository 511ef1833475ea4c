"""The frame that shows one page of the apply prompt: what is said, what scrolls, the question and its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui import keys
from tui.marks import TWINS
from tui.screens.prompt_choices import Choices
from tui.screens.prompt_number import NumberLine
from tui.screens.prompt_page import Page, safe

_FRAME = 6  # cells beside the text: border and padding on both sides, the bar and its distance
_WIDEST = 132
_LINE = 1  # the key line below the frame
_LEAST = (24, 6)  # of a window in which anything of a page can be read


class PromptBox(Vertical):
    """One page at a time."""

    PANE = "prompt"
    _page = Page("")  # before the first
    HELP_TITLE = "apply"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("prompt"))
    DEFAULT_CSS = """
    PromptBox {
        width: 100%; max-width: 132; height: auto;
        background: $surface; border: round $primary; padding: 0 1;
        border-title-color: $text-primary; border-subtitle-color: $text-muted;
    }
    PromptBox.-ascii { border: ascii $primary; }
    PromptBox Static { width: 1fr; height: auto; }
    PromptBox #prompt-rows { height: auto; width: 1fr; }
    PromptBox #prompt-below { padding: 0 0 0 2; }
    """

    @dataclass
    class Moved(Message):
        """Somebody wants another step: "next", "previous" or "back"."""

        to: str

    class Left(Message):
        """Somebody wants to leave."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="prompt-rows", can_focus=False):
            yield Static(id="prompt-text", markup=False)
        yield Static(id="prompt-ask", markup=False)
        yield Choices(id="prompt-choices")
        yield NumberLine(id="prompt-number")
        yield Static(id="prompt-below", markup=False)

    def on_mount(self) -> None:
        self.set_class(bool(getattr(self.app, "ascii_only", False)), "-ascii")

    @property
    def room(self) -> int:
        """Cells for text in one row, beside the bar of rows that scroll."""
        return max(1, min(self.screen.size.width, _WIDEST) - _FRAME)

    @property
    def number(self) -> NumberLine:
        return self.query_one(NumberLine)

    @property
    def choices(self) -> Choices:
        return self.query_one(Choices)

    @property
    def scroll(self) -> VerticalScroll:
        return self.query_one(VerticalScroll)

    def turn(self, page: Page, *, keep: bool = False) -> None:
        """Show a page.

        Args:
            keep: Leave the mark, the scrolling and the line for typing as they are.
        """
        same = page.title == self._page.title and page.choices == self._page.choices
        self._page = page
        self.border_title = Content(safe(page.title))
        for name, rows in (("text", page.rows), ("ask", page.ask), ("below", page.below)):
            text = self.query_one(f"#prompt-{name}", Static)
            text.update(self._in_ascii(Content("\n").join(rows)))
            text.display = bool(rows)
        self._fit(page)
        appeared = self._appear()
        if keep:
            if appeared:
                self._take_focus()
            return
        if not same:
            self.scroll.scroll_home(animate=False)
        self.choices.offer(page.choices, self.choices.at if same else page.at, flat=page.flat)
        self.choices.display = True
        self.number.close()
        self._take_focus()

    def _in_ascii(self, content: Content) -> Content:
        if not self.has_class("-ascii") or content.plain.isascii():
            return content
        return Content(content.plain.translate(TWINS), spans=list(content.spans))

    def _fit(self, page: Page) -> None:
        """Give what scrolls all the rows that are left, and no more than it has."""
        beside = len(page.ask) + (1 if page.flat else max(1, len(page.choices)))
        beside += 1 + len(page.below) if page.below else 0
        left = self.screen.size.height - _LINE - 2 - beside
        self.scroll.display = bool(page.rows)
        self.scroll.styles.height = max(1, min(len(page.rows), left))

    def _appear(self) -> bool:
        """Hide where nothing can be read, so that no answer is given blindly; returns whether it is here again."""
        hidden, size = self.disabled, self.screen.size
        self.disabled = size.width < _LEAST[0] or size.height < _LEAST[1]
        self.display = not self.disabled
        return hidden and not self.disabled

    def _take_focus(self) -> None:
        self.screen.set_focus(self.number.query_one(Input) if self.number.is_open else self.choices)

    def _over(self) -> bool:
        """Whether the keys that move go through rows: beside a flat choice they do."""
        return self._page.flat or len(self._page.choices) <= 1

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where nothing is to be decided, nothing can be chosen or taken back."""
        if action in ("take", "no"):
            return bool(self._page.choices)
        if action in ("left", "right"):
            return self._page.flat or (self._page.back and len(self._page.choices) > 1)
        if action in ("up", "down"):
            return len(self._page.choices) > 1 or self.scroll.max_scroll_y > 0
        if action == "yes":
            return self._page.flat
        return self._page.back if action == "back" else True

    def action_take(self) -> None:
        """Take the answer that is marked."""
        self.choices.take()

    def action_down(self) -> None:
        """The next answer, or one row down."""
        self.scroll.scroll_relative(y=1, animate=False) if self._over() else self.choices.move(1)

    def action_up(self) -> None:
        """The answer before, or one row up."""
        self.scroll.scroll_relative(y=-1, animate=False) if self._over() else self.choices.move(-1)

    def action_right(self) -> None:
        """The answer beside; at a question, the next one."""
        self.choices.move(1) if self._page.flat else self.post_message(self.Moved("next"))

    def action_left(self) -> None:
        """The answer beside; at a question, the one before."""
        self.choices.move(-1) if self._page.flat else self.post_message(self.Moved("previous"))

    def action_back(self) -> None:
        """One step back."""
        self.post_message(self.Moved("back"))

    def action_page_down(self) -> None:
        """Down one page."""
        self.scroll.scroll_page_down(animate=False)

    def action_page_up(self) -> None:
        """Up one page."""
        self.scroll.scroll_page_up(animate=False)

    def action_home(self) -> None:
        """The top."""
        self.scroll.scroll_home(animate=False)

    def action_end(self) -> None:
        """The end."""
        self.scroll.scroll_end(animate=False)

    def action_no(self) -> None:
        """Mark what changes nothing."""
        self.choices.mark(0)

    def action_yes(self) -> None:
        """Mark what writes, where that is asked."""
        if self._page.flat:
            self.choices.mark(1)

    def action_leave(self) -> None:
        """Leave without changing anything."""
        self.post_message(self.Left())
