"""The place that one chose in a log, which a filter may not show: where one is again once the filter goes."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.logs.types import Place
from tui.logs.reader import Reader
from tui.logs.viewport import Anchor


@dataclass(frozen=True)
class Home:
    """A screen of a log.

    Attributes:
        anchor: Where it begins.
        line: The line that one is at, None for none.
        above: Rows above that line, None where it does not begin on the screen.
    """

    anchor: Anchor
    line: Place | None = None
    above: int | None = None


def home_of(reader: Reader, line: Place | None) -> Home | None:
    """The screen that is shown, None where it follows the end or shows nothing."""
    anchor = reader.view.anchor
    if reader.following or anchor is None:
        return None
    above = next((y for y, row in enumerate(reader.rows) if row.line.at == line and row.index == 0), None)
    return Home(anchor, line, above)


def lead_back(reader: Reader, home: Home) -> None:
    """Show a screen again, or the nearest that the filter has to it: the line that one was at stays where it was."""
    if home.line is not None and home.above is not None:
        reader.show(home.line, above=home.above)
    elif home.anchor != reader.view.anchor:
        reader.show(home.anchor.place, above=-home.anchor.index)  # as many of the line's own rows lie above the screen


def stands_for(reader: Reader, line: Place | None, home: Home) -> bool:
    """Whether what is shown, with `line` as the one that one is at, is the nearest that a filter has to a screen."""
    anchor = reader.view.anchor
    if line != home.line or anchor is None:
        return False
    if home.line is not None and home.above is not None:
        return _is_at(reader, home.line, home.above)
    return _begins_at(reader, anchor, home.anchor)


def _is_at(reader: Reader, line: Place, above: int) -> bool:
    """Whether a line, or the one behind it, has so many rows above it, as far as the log has them."""
    at_end = reader.view.at_end and reader.view.spare()[1] == 0
    found = next((y for y, row in enumerate(reader.rows) if row.line.at >= line and row.index == 0), None)
    if found is None:
        return at_end  # nothing behind it passes
    if reader.view.height - 1 == found < above:
        return True  # the screen has got smaller, and took it along
    return found == above or (reader.at_top if found < above else at_end)


def _begins_at(reader: Reader, anchor: Anchor, home: Anchor) -> bool:
    if anchor.place == home.place:
        return anchor.index == home.index
    if anchor.place < home.place:
        # So little passes behind it that no screen could begin there; the first chip may have hidden one row since.
        return reader.view.spare()[1] <= 1
    before = reader.view.neighbour(anchor.place, -1)
    return before is None or before < home.place
