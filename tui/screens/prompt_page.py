"""What one step of the apply prompt shows, and the small pieces that pages are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from tui.cells import breaks, painted
from tui.marks import MOVES
from tui.sanitise import confirmable, redact

_LONGEST = 400
_NARROWEST = 6  # cells of a column that was cut


@dataclass(frozen=True)
class Choice:
    """One answer that can be taken.

    Attributes:
        value: What the screen is told.
        label: One or two words.
        detail: What it would do, in one row.
        danger: It changes something.
    """

    value: str
    label: str
    detail: str = ""
    danger: bool = False


@dataclass(frozen=True)
class Page:
    """One step, for one width.

    Attributes:
        title: Of the frame; may come from outside.
        rows: Rows that scroll where there are many.
        ask: Rows that stay below them: the question.
        choices: The answers, none where there is nothing to be decided.
        at: The one that is marked first.
        flat: The answers stand beside each other.
        below: Rows below a line in which one types; without them there is no such line.
        back: There is a step before this one.
    """

    title: str
    rows: tuple[Content, ...] = ()
    ask: tuple[Content, ...] = ()
    choices: tuple[Choice, ...] = ()
    at: int = 0
    flat: bool = False
    below: tuple[Content, ...] = ()
    back: bool = False


def safe(text: str, limit: int = _LONGEST) -> str:
    """Text from outside as an operator may confirm it: nothing in it passes for something else."""
    return confirmable(redact(text), limit=limit)


def plain(text: str, style: str = "") -> Content:
    """Text of one style, never read as markup."""
    return Content.styled(text, style) if style else Content(text)


def wrapped(text: str, width: int, style: str = "") -> tuple[Content, ...]:
    """Prose in as many rows as it takes."""
    return tuple(plain(text, style).wrap(max(1, width))) if text else ()


def folded(text: str, width: int, style: str = "", indent: int = 0) -> list[Content]:
    """Text in rows of which nothing is lost, broken behind a blank where one is near, and else at any character.

    Further rows begin `indent` cells in.
    """
    rows: list[Content] = []
    rest, room, before = text, max(1, width), ""
    while True:
        starts = breaks(rest, room)
        if len(starts) == 1:
            return [*rows, plain(before + rest, style)]
        blank = rest.rfind(" ", starts[1] // 2, starts[1])
        end = blank + 1 if blank > 0 and rest[:blank].strip() else starts[1]
        rows.append(plain(before + rest[:end], style))
        rest, room, before = rest[end:], max(1, width - indent), " " * indent


def direction(effect: str, ascii_only: bool) -> Content:
    """A glyph and the words: `▼ loosens (+140.0%)`."""
    look = MOVES.get(effect.split(" ", 1)[0].rstrip(":"), MOVES["unknown"])
    return plain(f"{look.sign(ascii_only)} {effect}", f"$text-{look.style}")


def table(rows: Sequence[Sequence[Content | str]], width: int, giving: int = 0) -> list[Content]:
    """Columns two blanks apart, at most `width` cells wide; the column `giving` is the first to be cut."""
    cells = [[one if isinstance(one, Content) else Content(one) for one in row] for row in rows]
    widths = natural(cells)
    for at in (giving, *(at for at in range(len(widths) - 1, -1, -1) if at != giving)):
        over = sum(widths) + 2 * (len(widths) - 1) - width
        if over > 0:
            widths[at] = min(widths[at], max(_NARROWEST, widths[at] - over))
    lines = []
    for row in cells:
        parts: list[Content | str] = []
        for at, cell in enumerate(row):
            shown = middle(cell, widths[at])
            parts.append(shown if at == len(row) - 1 else shown.pad_right(max(0, widths[at] - shown.cell_length) + 2))
        lines.append(Content.assemble(*parts))
    return lines


def natural(rows: Sequence[Sequence[Content]]) -> list[int]:
    """Cells that each column takes where nothing is cut."""
    count = max((len(row) for row in rows), default=0)
    return [max((row[at].cell_length for row in rows if at < len(row)), default=0) for at in range(count)]


def middle(cell: Content, room: int) -> Content:
    """Both ends of a text, as they tell the most of a name."""
    text = cell.plain
    if painted(text) <= room:
        return cell
    head = max(1, (room - 1) // 2)
    tail = max(1, room - 1 - head)
    first = cell.truncate(head, ellipsis=False)
    start = len(text)
    while start and painted(text[start - 1 :]) <= tail:
        start -= 1
    return Content.assemble(first, "…", cell[start:])
