"""Home's bottom row: the keys, those that change something dim while nothing may be changed."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip

from tui.app import small
from tui.keyline import KeyLine


class HomeKeyLine(KeyLine):
    """As any other; read-only mode is shown in it."""

    DEFAULT_CSS = """
    HomeKeyLine { height: 1; dock: bottom; background: $surface; }
    """

    def render_line(self, y: int) -> Strip:
        """The one row."""
        read_only = bool(getattr(self.app, "read_only", False))
        if small(*self.app.size) or not read_only:
            return super().render_line(y)
        base = self.rich_style
        bright = base + self.get_component_rich_style("keyline--key", partial=True)
        dim = base + self.get_component_rich_style("keyline--label", partial=True)
        segments = []
        for key, action in self._laid():
            segments += [Segment(f" {key}", dim if action.danger else bright), Segment(f" {action.label}", dim)]
        segments.append(Segment("  read-only", dim))
        return Strip(segments).adjust_cell_length(self.size.width, base)
