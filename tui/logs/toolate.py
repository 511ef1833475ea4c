"""Why a time that somebody asked for is not in a log, or bounds nothing in it, in words."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from tui.logs.goto import Goal, begins_at, says_when

if TYPE_CHECKING:
    from monitors.logs.model import LogModel
    from monitors.logs.types import Place

NO_TIMES = "no line says when it was written"


async def why_not(model: LogModel, when: float, zone: tzinfo | None = None) -> str:
    """Why `LogModel.at_time` found no line of a log that has some.

    Args:
        model: The log.
        when: The time, seconds since the epoch.
        zone: Of times that do not name theirs, and of the one that is said; the machine's own where None.

    Raises:
        UnreachableError: Nobody answers.
    """
    if not await says_when(model, when, zone):
        return NO_TIMES
    last = await model.last_time(when)
    if last is None or last >= when:  # its end says no time, or such a log runs backwards
        return f"no line is from then or {'later' if last is None else 'earlier'}"
    return f"nothing in this log is that late, its last line is of {datetime.fromtimestamp(last, zone):%F %T}"


async def why_all(model: LogModel, typed: Goal, when: float, place: Place, zone: tzinfo | None = None) -> str:
    """Which day a clock was taken to be of, where no line is from before it; else "".

    Args:
        model: The log.
        typed: What was typed; a day that was typed is known.
        when: What it means, seconds since the epoch.
        place: Where that is.
        zone: As in `why_not`.

    Raises:
        UnreachableError: Nobody answers.
    """
    if not typed.clock or not await begins_at(model, place, when, zone):
        return ""
    return f"no line of this log is from before {datetime.fromtimestamp(when, zone):%F %T}"
