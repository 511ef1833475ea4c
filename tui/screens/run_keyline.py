"""The bottom row of the run screen: keys of the focused pane and of the run, and how far away apply is."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip

from tui.app import small
from tui.cells import painted
from tui.keyline import KeyLine
from tui.marks import rule


class RunKeyLine(KeyLine):
    """Says at its right end whether `A` can be pressed, and else why not."""

    DEFAULT_CSS = """
    RunKeyLine { height: 1; dock: bottom; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.closed = ""
        self._ready = False

    def show_apply(self, closed: str, seen: bool) -> None:
        """Why apply is closed, "" where it is open.

        Args:
            seen: The run has been looked at at all.
        """
        if (closed, seen) != (self.closed, self._ready):
            self.closed, self._ready = closed, seen
            self.refresh()

    @property
    def apply_text(self) -> str:
        """What stands at the right end."""
        if not self._ready:
            return ""
        return f"A apply: {self.closed}" if self.closed else "A apply: asks"

    def render_line(self, y: int) -> Strip:
        """Keys, and apply at the right end where both have room."""
        if small(*self.app.size):
            return super().render_line(y)
        base, width = self.rich_style, self.size.width
        left = super().render_line(y).simplify()
        text = self.apply_text
        if not text:
            return left
        key = base + self.get_component_rich_style("keyline--key", partial=True)
        label = base + self.get_component_rich_style("keyline--label", partial=True)
        first = key if not self.closed else label
        bar = rule(bool(getattr(self.app, "ascii_only", False)))[2]
        right = Strip([Segment(f" {bar} ", label), Segment("A", first), Segment(text[1:] + " ", first)])
        return Strip.join([left.crop(0, max(0, width - right.cell_length)), right]).adjust_cell_length(width, base)

    @property
    def kept(self) -> int:
        """Room for what stands at the right end."""
        return painted(self.apply_text) + 4 if self.apply_text else 0
