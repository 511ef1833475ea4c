"""The last step to the terminal where only ASCII is shown: what is left of signs gets a twin of one cell.

Most signs have a twin that says more (`tui.marks`), which is taken where they are made. Here is what others make: the
framework's borders, scroll bars and icons, and the mark of what was shortened. Letters of people's languages stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.filter import LineFilter

from tui.marks import TWINS

if TYPE_CHECKING:
    from textual.color import Color

_SAME = (
    ("─━╌┄┈═⎯", "-"),
    ("│┃╎┆┊║▌▐▎▏▕▍▋▊▉", "|"),
    ("┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝┏┓┗┛", "+"),
    ("▁▂▃▄▅▆▇▔▀", " "),
    ("█▓▒░■▪", "#"),
    ("·•∙", "."),
    ("–−", "-"),
    ("⋯", "~"),
    ("●◆", "*"),
    ("▸▶›→↵", ">"),
    ("◂◀‹←", "<"),
    ("▲↑", "^"),
    ("▼↓", "v"),
    ("×✗", "x"),
    ("✓", "+"),
)
SIGNS: dict[int, str] = {**TWINS, **{ord(sign): twin for signs, twin in _SAME for sign in signs}}
"""By code point; sign and twin take one cell each."""


class Asciified(LineFilter):
    """Translates what is painted, cell by cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments without the signs."""
        if all(segment.text.isascii() for segment in segments):
            return segments
        return [Segment(text.translate(SIGNS), style, control) for text, style, control in segments]
