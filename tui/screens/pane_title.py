"""The row above a pane of a run: what it is, what it shows, how that is known, and what a person should notice.

A narrow row loses the note first, then what stands at the right; a path gives its middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.cells import shorten, width
from tui.marks import TWINS

_LEAST = 14  # cells that what is shown keeps before the rest gives way

PARTS = frozenset(
    {"ground", "name", "focused", "main", "waiting", "note", "plain", "muted", "accent", "warning", "error", "chip"}
)


def title_css(owner: str) -> str:
    """The styles of the parts, for a widget that paints a title."""
    return f"""
    {owner} .title--ground {{ background: $panel; color: $foreground; }}
    {owner} .title--name {{ color: $text-secondary; text-style: bold; }}
    {owner} .title--focused {{ background: $primary; color: $background; text-style: bold; }}
    {owner} .title--main {{ color: $foreground; text-style: bold; }}
    {owner} .title--waiting {{ color: $text-warning; }}
    {owner} .title--note {{ color: $text-muted; }}
    {owner} .title--plain {{ color: $foreground; }}
    {owner} .title--muted {{ color: $text-muted; }}
    {owner} .title--accent {{ color: $text-accent; text-style: bold; }}
    {owner} .title--warning {{ color: $text-warning; text-style: bold; }}
    {owner} .title--error {{ color: $text-error; text-style: bold; }}
    {owner} .title--chip {{ background: $accent; color: $background; text-style: bold; }}
    """


@dataclass(frozen=True)
class Title:
    """What the row says; every text is safe already.

    Attributes:
        name: What the pane is.
        main: What it shows, such as a path.
        note: How that is known, since when.
        right: What a person should notice, the fullest wording first.
        tone: How that is painted: muted, accent, warning or error.
        chip: What came while one looked elsewhere; a click on it goes there.
        waiting: There is nothing to be shown yet.
        focused: The pane has the focus.
    """

    name: str
    main: str = ""
    note: str = ""
    right: tuple[str, ...] = ()
    tone: str = "muted"
    chip: str = ""
    waiting: bool = False
    focused: bool = False


def title_strip(said: Title, room: int, part: Callable[[str], Style], base: Style) -> Strip:
    """The row, exactly `room` cells wide."""
    name = f" {said.name} "
    chip = f" {said.chip} " if said.chip else ""
    left = room - width(name) - width(chip)
    wish = width(said.main) + 1
    brief, least = said.note.partition(", ")[0], min(wish, _LEAST)  # an age gives way to a name
    noted = wish + width(brief) + 2 if brief else wish
    wordings = [text for kept in (noted, wish, least) for text in said.right if width(text) + 2 + kept <= left]
    right = wordings[0] if wordings else ""
    left -= width(right) + 2 if right else 0
    notes = ((said.note, wish), (brief, wish), (brief, least)) if said.note else ()
    note = next((text for text, kept in notes if width(text) + 2 + kept <= left), "")
    left -= width(note) + 2 if note else 0
    segments = [Segment(name, base + part("focused" if said.focused else "name"))]
    if said.main and left > 3:
        main = shorten(said.main, left - 1)
        segments.append(Segment(f" {main}", base + part("waiting" if said.waiting else "main")))
    if note:
        segments.append(Segment(f"  {note}", base + part("note")))
    tail = []
    if right:
        tail.append(Segment(f" {right} ", base + part(said.tone)))
    if chip:
        tail.append(Segment(chip, base + part("chip")))
    end = Strip(tail)
    body = Strip(segments).adjust_cell_length(max(0, room - end.cell_length), base)
    return Strip.join([body, end]).adjust_cell_length(room, base)


def in_ascii(strip: Strip) -> Strip:
    """The same row with ASCII in place of our own marks of what was left out."""
    return Strip([Segment(one.text.translate(TWINS), one.style, one.control) for one in strip], strip.cell_length)


class PaneTitle(Widget):
    """The row as a widget; it repaints only when what it says changes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"title--{part}" for part in PARTS}
    DEFAULT_CSS = "PaneTitle { height: 1; background: $panel; }" + title_css("PaneTitle")
    ALLOW_SELECT = False

    @dataclass
    class ChipPressed(Message):
        """Somebody wants what stands at the right."""

    def __init__(self, said: Title, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.said = said

    def say(self, said: Title) -> None:
        """Show this from now on."""
        if said != self.said:
            self.said = said
            self.refresh()

    @property
    def text(self) -> str:
        """Everything that the row says."""
        return self.render_line(0).text

    def render_line(self, y: int) -> Strip:
        """The one row."""
        base = self.rich_style
        if y:
            return Strip.blank(self.size.width, base)
        shown = title_strip(
            self.said,
            self.size.width,
            lambda part: self.get_component_rich_style(f"title--{part}", partial=True),
            base,
        )
        return in_ascii(shown) if getattr(self.app, "ascii_only", False) else shown

    def on_click(self, event: Click) -> None:
        """The chip, and an offer at the right, are buttons."""
        offer = self.said.chip or (self.said.right[0] if self.said.right and self.said.tone == "accent" else "")
        if offer and event.x >= self.size.width - width(offer) - 2:
            event.stop()
            self.post_message(self.ChipPressed())
