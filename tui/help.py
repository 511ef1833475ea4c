"""The help: the keys that can be pressed where the focus is, made from the one table, and what the signs mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui import keys
from tui.app import panes_of, pressable
from tui.marks import Look

_TWO_COLUMNS = 150
_WIDEST = 170
_BORDER = 2
_FRAME = 4  # its two sides, and the space beside them
_KEYS = 18


class HelpScreen(ModalScreen[None]):
    """Keys, and signs; one screen for all times that it is asked for, since to make it takes as long as to show it.

    Args:
        actions: What can be pressed, in this order.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter,space", "dismiss", show=False),
        Binding("ctrl+c", "app.interrupt", show=False),
    ]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 90%; max-width: 170; height: auto; max-height: 90%;
        background: $surface; border: round $primary; padding: 0 1;
        border-title-color: $text-primary; border-subtitle-color: $text-muted;
    }
    HelpScreen.-ascii > VerticalScroll { border: ascii $primary; }
    HelpScreen Static { width: 1fr; height: auto; text-wrap: nowrap; }
    """

    def __init__(self, actions: Sequence[keys.Action] = ()) -> None:
        super().__init__()
        self._width = 0
        self._read_only = False
        self._actions = tuple(actions)
        self._signs: tuple[Look, ...] = ()
        self._title = ""
        self._shown = Content()

    def tell_of(self, screen: Screen[Any]) -> None:
        """Show the help of what has the focus on this screen."""
        panes = panes_of(screen)
        self._title = next((str(getattr(pane, "HELP_TITLE", "")) for pane in panes), "")
        self._signs = tuple(sign for pane in panes for sign in getattr(pane, "HELP_SIGNS", ()))
        self._actions = tuple(action for action, _ in pressable(screen))
        self._read_only = bool(getattr(screen.app, "read_only", False))
        for box in self.query(VerticalScroll):  # none the first time
            self._entitle(box)
            box.scroll_home(animate=False, immediate=True)
            self._show()

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            self._entitle(box)
            box.border_subtitle = Content("Esc closes")
            self._shown = self._foreseen()
            yield Static(self._shown, markup=False)

    def _entitle(self, box: VerticalScroll) -> None:
        box.border_title = Content(f"keys: {self._title}" if self._title else "keys")

    def _show(self) -> None:
        shown = self._foreseen()
        if shown != self._shown or shown.spans != self._shown.spans:
            self._shown = shown
            self.query_one(Static).update(shown)

    def on_mount(self) -> None:
        self.set_class(self._ascii, "-ascii")

    def on_resize(self) -> None:
        self._show()

    @property
    def _ascii(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False))

    def _foreseen(self) -> Content:
        """For the room that it will have, by the rules above: to measure that would be a layout more."""
        width, height = self.app.size
        self._width = min(_WIDEST, width * 9 // 10) - _FRAME
        text = self._text()
        if text.plain.count("\n") + 1 <= height * 9 // 10 - _BORDER:
            return text
        self._width -= 1  # the scroll bar
        return self._text()

    def _text(self) -> Content:
        return help_content(self._actions, self._width, self._signs, ascii_only=self._ascii, read_only=self._read_only)


def help_content(
    actions: Sequence[keys.Action],
    width: int,
    signs: Sequence[Look] = (),
    *,
    ascii_only: bool = False,
    read_only: bool = False,
) -> Content:
    """Headings, keys and what they do, in one column, or in two where there is room."""
    blocks = _blocks(actions, ascii_only, read_only)
    if signs:
        blocks.insert(
            -1, ("Signs", [(one.sign(ascii_only), one.word, f"$text-{one.style or 'accent'}") for one in signs])
        )
    if width < _TWO_COLUMNS:
        return Content("\n").join(_lines(blocks, width))
    half = (width - 3) // 2
    middle = _middle([len(_lines([block], half)) for block in blocks])
    left, right = _lines(blocks[:middle], half), _lines(blocks[middle:], half)
    rows = []
    for number in range(max(len(left), len(right))):
        first = left[number] if number < len(left) else Content("")
        second = right[number] if number < len(right) else Content("")
        rows.append(Content.assemble(first.pad_right(max(0, half - first.cell_length)), "   ", second))
    return Content("\n").join(rows)


_Block = tuple[str, list[tuple[str, str, str]]]
"""A heading; the keys, what they do, and the style of the keys."""


def _blocks(actions: Sequence[keys.Action], ascii_only: bool, read_only: bool) -> list[_Block]:
    return [
        (
            group,
            [
                (
                    "  ".join(keys.spelled(key, ascii_only=ascii_only) for key in one.keys[:3]),
                    one.help,
                    _style(one, read_only),
                )
                for one in some
            ],
        )
        for group, some in groupby(actions, key=lambda one: one.group)
    ]


def _style(action: keys.Action, read_only: bool) -> str:
    if not action.danger:
        return "bold $text-accent"
    return "$text-muted" if read_only else "bold $text-warning"


def _lines(blocks: Sequence[_Block], width: int) -> list[Content]:
    lines: list[Content] = []
    room = max(10, width - _KEYS)
    for heading, rows in blocks:
        if lines:
            lines.append(Content(""))
        lines.append(Content.styled(heading, "bold $text-primary"))
        for pressed, text, style in rows:
            first, *rest = _wrapped(text, room)
            lines.append(Content.assemble((pressed.ljust(_KEYS - 1)[: _KEYS - 1] + " ", style), first))
            lines.extend(Content(" " * _KEYS + more) for more in rest)
    return lines


def _wrapped(text: str, room: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, room) or [""]


def _middle(heights: Sequence[int]) -> int:
    """Where to break, so that both columns are about as long."""
    total, have = sum(heights), 0
    for number, height in enumerate(heights):
        if have + height / 2 >= total / 2:
            return max(1, number)
        have += height
    return len(heights)
