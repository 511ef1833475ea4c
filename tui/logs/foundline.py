"""Where it is in a line that one was led to, and what is to be said of it where it is not to be seen in its row."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosts.local.lines import ENCODINGS, find_newline
from monitors.logs.types import KEEP, LogLine, Place, Query, Window
from tui.logs import ansi
from tui.logs.highlight import Highlighter
from tui.logs.rows import DisplayRow, decoded, display_rows, unmarked

if TYPE_CHECKING:
    from monitors.logs.model import LogModel
    from tui.logs.reader import Reader

HIDDEN = "in a hidden state of this bar; Enter shows the whole line"
OVER = "in a line that is not shown, a later one painted over it"
BEHIND = "further behind in this line; Enter shows the whole line"


@dataclass(frozen=True)
class Found:
    """What was found in a line, as far as it is known.

    Attributes:
        remark: Why it is not to be seen in the line's row, "" where it is or nobody knows.
        line: The line, None where it is not shown.
        row: All its text in one row.
        place: Its characters there, None where it is not to be seen or nobody knows.
    """

    remark: str = ""
    line: LogLine | None = None
    row: DisplayRow | None = None
    place: tuple[int, int] | None = None


async def failure_at(model: LogModel, at: Place) -> str:
    """The failure that the text of a line tells of (gates/calibration/signatures.py), "" where it tells of none.

    Raises:
        GatewatchError: Its bytes cannot be had.
    """
    from gates.calibration.signatures import failure_of

    line = _at(await model.window(at, 0, 1), at)
    encoding = line.encoding if line is not None else model.state.encoding
    kind = ENCODINGS[encoding]
    data = await model.read(at, KEEP)
    end = find_newline(data, kind, at.offset)
    data = data[:end] if end >= 0 else data
    if kind.unit > 1:
        data = data.decode(encoding, "replace").encode("utf-8", "replace")
    return await asyncio.to_thread(failure_of, data)  # somebody's line may take long


async def found_in(model: LogModel, at: Place, query: Query) -> Found:
    """Where it is to be seen in a line that a query found, or why it is not.

    Raises:
        GatewatchError: Its bytes cannot be had.
    """
    window = await model.window(at, 0, 1)
    line = _at(window, at)
    if line is None:
        return Found(OVER if window.lines and not (window.busy or window.cut) else "")
    row = next((row for row in display_rows(line) if row.mark is None), None)
    if row is None:
        return Found()
    text = row.text[: row.spans[-1].start] if row.cut else row.text  # the note of what is cut is ours
    sought = Highlighter(query)
    place = next(iter(sought.places(text)), None)
    remark = _unseen(line, row, sought) if place is None and sought.holds(text) is False else ""
    return Found(remark, line, row, place)


def rows_above(reader: Reader, found: Found) -> int | None:
    """Rows between the top of the screen and a wrapped line, so that the row of the place is to be seen; None: any."""
    if found.line is None or found.place is None:
        return None
    wanted = [row for row in reader.view.rows_of(found.line) if row.index >= 0 and row.start <= found.place[0]]
    on_screen = [row.anchor for row in reader.rows]
    if not wanted or not wanted[-1].index:
        return None
    if wanted[-1].anchor in on_screen:  # stays where it is
        return None if wanted[0].anchor in on_screen else -on_screen[0].index
    third = reader.view.height // 3
    return third if third + wanted[-1].index < reader.view.height else third - wanted[-1].index


def _unseen(line: LogLine, row: DisplayRow, sought: Highlighter) -> str:
    """Why it is not in the text that is shown; "" where it is, in another form, or nobody knows."""
    data, whole = unmarked(line, line.data), len(line.data) < KEEP
    if whole and len(line.data) != line.size:
        return HIDDEN if sought.holds(ansi.without(decoded(data, line.encoding))) is False else ""
    unread = 0 if whole else line.size - KEEP
    shown = data[: len(data) + unread - row.cut]
    return BEHIND if row.cut and sought.holds(ansi.without(decoded(shown, line.encoding))) is False else ""


def _at(window: Window, at: Place) -> LogLine | None:
    """The line that begins at a place, None where it is not among those that are shown."""
    return next((line for line in window.lines if line.at == at), None)
