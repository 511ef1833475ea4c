"""What a person means who types where to go: a time, a line number, or a share of the log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from monitors.logs.types import GoneError

if TYPE_CHECKING:
    from monitors.logs.model import LogModel

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%")
_NUMBER = re.compile(r"(?:line\s+|[:#])?(\d[\d,_ ]{0,24})")
_AGO = re.compile(r"-\s*(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h|d)")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?")
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+(.+))?")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_LOOK = 64 << 10  # bytes that are looked at in a place
_SHARES = (0, 1 / 2, 3 / 4, 7 / 8)

HINT = "14:02, 2025-11-21 14:02, -10m, 1234 or 48%"


@dataclass(frozen=True)
class Goal:
    """Where to go; exactly one is given.

    Attributes:
        time: Seconds since the epoch.
        number: A line number, from 1.
        share: Between 0 and 1.
    """

    time: float | None = None
    number: int | None = None
    share: float | None = None


def parse(text: str, now: float, zone: tzinfo | None = None) -> Goal:
    """Read what was typed.

    Args:
        text: `14:02`, `14:02:11.5` (the last time the clock showed that), `2025-11-21 14:02`, `-10m`, `1234`, `48%`.
        now: Our clock, seconds since the epoch.
        zone: Of the times that are typed; the machine's own where None.

    Raises:
        ValueError: It is none of these; the message says so in one line.
    """
    text = text.strip()
    if match := _SHARE.fullmatch(text):
        share = float(match[1])
        if share > 100:
            raise ValueError("a share is 0% to 100%")
        return Goal(share=share / 100)
    if match := _AGO.fullmatch(text):
        return Goal(time=now - float(match[1]) * _SECONDS[match[2]])
    if match := _NUMBER.fullmatch(text):
        number = int(re.sub(r"[,_ ]", "", match[1]))
        if number < 1:
            raise ValueError("lines are counted from 1")
        return Goal(number=number)
    return Goal(time=_time(text, datetime.fromtimestamp(now, zone)))


async def says_when(model: LogModel, near: float, zone: tzinfo | None = None) -> bool:
    """Whether lines of a log say when they were written, as far as some of them show that are looked at.

    Args:
        model: The log.
        near: A time, seconds since the epoch, for lines that do not name their day or year.
        zone: Of times that do not name theirs.

    Raises:
        UnreachableError: Nobody answers.
    """
    from monitors.logs.times import line_time

    last = max(0.0, 1 - _LOOK / max(1, model.state.bytes))
    for share in (*_SHARES, last):
        try:
            data = await model.read(model.at_fraction(share), _LOOK)
        except GoneError:
            continue
        lines = data.replace(b"\0", b"").decode("utf-8", "replace").split("\n")  # UTF-16 can be read this way too
        if any(line_time(line, near, zone) is not None for line in lines[share > 0 :]):
            return True
    return False


def _time(text: str, now: datetime) -> float:
    day, clock = now, text
    dated = _DAY.fullmatch(text)
    try:
        if dated:
            day = now.replace(year=int(dated[1]), month=int(dated[2]), day=int(dated[3]))
            clock = (dated[4] or "0:00").strip()
        match = _CLOCK.fullmatch(clock)
        if match is None:
            raise ValueError
        micro = int((match[4] or "0").ljust(6, "0"))
        when = day.replace(hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0), microsecond=micro)
    except ValueError:
        raise ValueError(f"not a time, a line number or a share; for example {HINT}") from None
    if not dated and when > now:
        when -= timedelta(days=1)
    return when.timestamp()
