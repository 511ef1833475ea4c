"""What is to be said of a line that one was led to, and is not to be seen in its row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hosts.local.lines import ENCODINGS, find_newline
from monitors.logs.types import KEEP, LogLine, Place, Query, Window
from tui.logs.highlight import Highlighter
from tui.logs.rows import decoded

if TYPE_CHECKING:
    from monitors.logs.model import LogModel

HIDDEN = "in a hidden state of this bar; Enter shows the whole line"
OVER = "in a line that is not shown, a later one painted over it"


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


async def where_hidden(model: LogModel, at: Place, query: Query) -> str:
    """Why what was found in a line is not to be seen in it; "" where it is, or nobody knows.

    Raises:
        GatewatchError: Its bytes cannot be had.
    """
    window = await model.window(at, 0, 1)
    line = _at(window, at)
    if line is None:
        return OVER if window.lines and not (window.busy or window.cut) else ""
    whole = len(line.data) < KEEP
    if not whole or len(line.data) == line.size:
        return ""
    return HIDDEN if Highlighter(query).holds(decoded(line.data, line.encoding)) is False else ""


def _at(window: Window, at: Place) -> LogLine | None:
    """The line that begins at a place, None where it is not among those that are shown."""
    return next((line for line in window.lines if line.at == at), None)
