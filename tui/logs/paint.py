"""Rows to strips: the gutter, the text in its colours, what is found and what is selected, cut to the width."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.cells import shorten, width
from tui.logs.rows import DisplayRow
from tui.logs.viewport import Row


@dataclass(frozen=True)
class Scene:
    """What holds for every row of a screen.

    Attributes:
        width: Cells of a row, gutter included.
        left: Cells of text that are scrolled out at the left.
        gutter: Cells of the gutter.
    """

    width: int
    left: int = 0
    gutter: int = 1


@dataclass(frozen=True)
class Dress:
    """What a row wears that is not its own.

    Attributes:
        sign: What stands in the first cell of the gutter, with its style's name.
        label: Number and time, as wide as the rest of the gutter.
        current: It belongs to the line that one is at.
        found: Characters that were looked for.
        selected: Characters that are selected.
    """

    sign: tuple[str, str] = (" ", "")
    label: str = ""
    current: bool = False
    found: tuple[tuple[int, int], ...] = ()
    selected: tuple[int, int] | None = None


class Painter:
    """Paints rows with the styles of a theme.

    Args:
        base: Of plain text; it has a colour and a ground.
        parts: Styles by name: found, selected, current, gutter, context, and those of marks.
        of_span: The style of a row's own span.
    """

    def __init__(self, base: Style, parts: Mapping[str, Style], of_span: Callable[[Hashable], Style]) -> None:
        self.base = base
        self._parts = parts
        self._of_span = of_span

    def part(self, name: str) -> Style:
        return self._parts.get(name, Style.null())

    def blank(self, scene: Scene) -> Strip:
        """A row with nothing in it."""
        return Strip.blank(scene.width, self.base)

    def row(self, row: Row, scene: Scene, dress: Dress) -> Strip:
        """A row of a line."""
        ground = self.base + self.part("current") if dress.current else self.base
        text_style = ground + self.part("context") if row.line.context else ground
        room = max(0, scene.width - scene.gutter)
        gutter = self._gutter(scene, dress, ground)
        layers = [(span.start, span.end, self._of_span(span.style)) for span in row.shown.spans]
        layers += [(start, end, self.part("found")) for start, end in dress.found]
        text = row.shown.text
        if dress.selected is not None:
            start, end = dress.selected
            if end > len(text):
                text += " "  # the newline, so that a selected empty line is seen
            layers.append((start, end, self.part("selected")))
        body = _cropped(text, row.shown, layers, text_style, scene.left, room)
        return Strip([*gutter, *body.extend_cell_length(room, ground)], scene.width)

    def mark(self, why: str, rest: str, style: str, scene: Scene, line: str) -> Strip:
        """A row of ours, ruled across the width; the reason is what gives way where it is narrow."""
        shape = self.base + self.part(style)
        more = "~" if line.isascii() else "…"
        room = max(1, scene.width - 6)
        text = shorten(why, max(1, room - width(rest)), more) + rest
        said = f"{line * 2} {shorten(text, room, more)} "
        return Strip([Segment(said + line * max(0, scene.width - width(said)), shape)]).adjust_cell_length(
            scene.width, shape
        )

    def _gutter(self, scene: Scene, dress: Dress, ground: Style) -> list[Segment]:
        if scene.gutter <= 0:
            return []
        sign, style = dress.sign
        segments = [Segment(sign[:1] or " ", ground + self.part(style))]
        if scene.gutter > 1:
            label = dress.label[: scene.gutter - 1].ljust(scene.gutter - 1)
            segments.append(Segment(label, ground + self.part("gutter")))
        return segments


def _cropped(
    text: str, shown: DisplayRow, layers: list[tuple[int, int, Style]], base: Style, left: int, room: int
) -> Strip:
    if text.isascii():  # a character is a cell, so that what is not seen need not be built
        part = text[left : left + room]
        moved = ((start - left, end - left, style) for start, end, style in layers if end > left)
        return Strip(segments(part, moved, base), len(part))
    strip = Strip(segments(text, layers, base))
    return strip.crop(left, left + room) if left or strip.cell_length > room else strip


def segments(text: str, layers: Iterable[tuple[int, int, Style]], base: Style) -> list[Segment]:
    """`text` in pieces of one style each; later layers lie over earlier ones."""
    size = len(text)
    clipped = [(max(0, start), min(size, end), style) for start, end, style in layers if max(0, start) < min(size, end)]
    if not clipped:
        return [Segment(text, base)] if text else []
    edges: dict[int, list[int]] = {0: [], size: []}  # which layers begin or end at a place
    for number, (start, end, _) in enumerate(clipped):
        edges.setdefault(start, []).append(number)
        edges.setdefault(end, []).append(number)
    made: list[Segment] = []
    lying: list[int] = []
    for start, end in pairwise(sorted(edges)):
        for number in edges[start]:
            if clipped[number][0] == start:
                insort(lying, number)
            else:
                lying.remove(number)
        style = base
        for number in lying:
            style += clipped[number][2]
        made.append(Segment(text[start:end], style))
    return made
