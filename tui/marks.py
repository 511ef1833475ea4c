"""What a state, a cell or a mark of ours looks like: a glyph, its twin in ASCII, a word, and a style.

Every glyph is one cell wide in every terminal. Meaning never hangs on colour: the word or the glyph alone tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How one meaning is shown.

    Attributes:
        glyph: One cell.
        ascii: One or more ASCII characters of the same meaning.
        word: For people and screen readers.
        style: Name of a text colour of the theme: error, warning, success, primary, accent, secondary, muted or "".
    """

    glyph: str
    ascii: str
    word: str
    style: str = ""

    def sign(self, ascii_only: bool) -> str:
        """The glyph, or its ASCII twin."""
        return self.ascii if ascii_only else self.glyph


STATES: Mapping[str, Look] = {
    "waiting": Look("◔", "w", "waiting", "muted"),
    "running": Look("●", "*", "running", "primary"),
    "slow start": Look("◑", "s", "slow start", "warning"),
    "stalled": Look("▲", "^", "stalled", "warning"),
    "halted": Look("■", "#", "halted", "warning"),
    "dead": Look("✗", "x", "dead", "error"),
    "ended": Look("✓", "+", "ended", "success"),
    "blind": Look("◌", "o", "blind", "warning"),
    "unknown": Look("?", "?", "unknown", "warning"),
}
"""By `monitors.snapshot.State`'s values."""

CELLS: Mapping[str, Look] = {
    "✓": Look("✓", "+", "strictly complete", "success"),
    "△": Look("△", "^", "run again", "warning"),
    "✗": Look("✗", "x", "failed", "error"),
    "D": Look("D", "D", "discarded", "muted"),
    "—": Look("—", "-", "not run", "muted"),
    "running": Look("▅", "*", "running", "primary"),
}
"""By the cells of a stage matrix (`gates.calibration.cells`)."""

MOVES: Mapping[str, Look] = {
    "tightens": Look("▲", "^", "tightens", "success"),
    "loosens": Look("▼", "v", "loosens", "warning"),
    "equal": Look("=", "=", "stays", "muted"),
    "unknown": Look("?", "?", "unknown", "warning"),
}
"""Which way a gate moves when its threshold is written, by `gates.calibration.values.Direction`."""

LOG: Mapping[str, Look] = {
    "follow": Look("▼", "v", "following", "success"),
    "paused": Look("‖", "=", "paused", "warning"),
    "frozen": Look("■", "#", "painting stopped", "warning"),
    "waiting": Look("◔", "w", "waiting", "warning"),
    "stale": Look("◌", "o", "stale", "warning"),
    "denied": Look("✗", "x", "denied", "error"),
    "failed": Look("✗", "x", "failed", "error"),
    "ended": Look("■", ".", "ended", "muted"),
    "current": Look("▌", ">", "the line", "accent"),
    "bookmark": Look("◆", "+", "bookmark", "accent"),
    "gap": Look("╌", "-", "gap", "warning"),
    "turn": Look("─", "-", "another file", "secondary"),
    "more": Look("↓", "v", "more below", "accent"),
    "close": Look("×", "x", "take away", "muted"),
}
"""Marks of the log view."""


TWINS: Mapping[int, str] = {ord("…"): "~", ord("—"): "-"}
"""One cell each: of what was shortened and of what is not there, for `str.translate` where only ASCII is shown."""


def rule(ascii_only: bool) -> tuple[str, str, str, str]:
    """A line, a thumb of a scroll bar, its track, and the sign for text that was left out."""
    return ("-", "#", "|", "...") if ascii_only else ("─", "┃", "│", "…")
