"""The filters that are set, one chip each, in one row above the log; a click takes one away."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui import marks
from tui.cells import shorten, width
from tui.sanitise import clean_inline

_LONGEST = 32


@dataclass(frozen=True)
class Chip:
    """One filter.

    Attributes:
        key: What to take away when it is pressed.
        text: What it says; may hold what a person typed.
        bad: It cannot work, and the text says why.
    """

    key: str
    text: str
    bad: bool = False


class FilterChips(Widget):
    """The chips; the row is there only while there are some."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"chips--chip", "chips--bad", "chips--close", "chips--note"}
    DEFAULT_CSS = """
    FilterChips { height: 1; background: $surface; display: none; }
    FilterChips.-some { display: block; }
    FilterChips .chips--chip { background: $panel; color: $text-primary; }
    FilterChips .chips--bad { background: $panel; color: $text-error; text-style: bold; }
    FilterChips .chips--close { background: $panel; color: $text-muted; }
    FilterChips .chips--note { color: $text-muted; }
    """
    ALLOW_SELECT = False

    @dataclass
    class Removed(Message):
        """A filter is not wanted any more."""

        key: str

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._chips: tuple[Chip, ...] = ()
        self._note = ""

    @property
    def chips(self) -> tuple[Chip, ...]:
        return self._chips

    def show(self, chips: Sequence[Chip], note: str = "") -> None:
        """Show these chips, and behind them a note."""
        if (tuple(chips), note) != (self._chips, self._note):
            self._chips, self._note = tuple(chips), note
            self.set_class(bool(chips), "-some")
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one row."""
        base, room = self.rich_style, self.size.width
        segments = []
        laid = self._laid()
        for text, close, bad in laid:
            shape = base + self._part("bad" if bad else "chip")
            segments += [
                Segment(f" {text} ", shape),
                Segment(f"{close} ", base + self._part("close")),
                Segment(" ", base),
            ]
        left = len(self._chips) - len(laid)
        said = f"{self._more(left)}{self._note}"
        if said:
            free = max(1, room - sum(segment.cell_length for segment in segments))
            segments.append(Segment(shorten(said, free), base + self._part("note")))
        return Strip(segments).adjust_cell_length(room, base)

    def on_click(self, event: Click) -> None:
        """Anywhere on a chip takes it away."""
        left = 0
        for chip, (text, close, _) in zip(self._chips, self._laid(), strict=False):
            right = left + width(text) + len(close) + 3
            if left <= event.x < right:
                event.stop()
                self.post_message(self.Removed(chip.key))
                return
            left = right + 1

    def _laid(self) -> list[tuple[str, str, bool]]:
        """The chips that there is room for, the first ones, beside what is said behind them."""
        close = marks.LOG["close"].sign(bool(getattr(self.app, "ascii_only", False)))
        laid = [(shorten(clean_inline(chip.text), _LONGEST), close, chip.bad) for chip in self._chips]
        ends = list(accumulate(width(text) + len(close) + 4 for text, _, _ in laid))
        room = self.size.width
        note = min(width(self._note), room // 3)
        if ends and ends[-1] + note > room:
            shown = bisect_right(ends, room - note - width(self._more(len(laid))))
            return laid[:shown]
        return laid

    def _more(self, left: int) -> str:
        """How many chips are not shown."""
        return f"+{left}{'  ' if self._note else ''}" if left else ""

    def _part(self, name: str) -> Style:
        return self.get_component_rich_style(f"chips--{name}", partial=True)
