"""What a person means who types where to go: a time, a line number, or a share of the log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from monitors.logs.types import GoneError

if TYPE_CHECKING:
    from monitors.logs.model import LogModel

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%")
_NUMBER = re.compile(r"(?:line\s+|[:#])?(\d[\d,_ ]{0,24})")
_EPOCH = re.compile(r"[12]\d{9}(?:\d{3}){0,3}")  # as lines show it; a log of so many lines is none that anybody has
_LENGTH = r"(\d{1,6}(?:\.\d{1,3})?)\s*(min|s|m|h|d)"
_PART = re.compile(_LENGTH)
_AGO = re.compile(rf"-\s*{_LENGTH}(?:\s*{_LENGTH})*")
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?"
_ZONE = r"(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
_TIME = re.compile(rf"{_CLOCK}{_ZONE}", re.IGNORECASE)
_DAY = re.compile(
    rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})(?:(?:T|\s+){_CLOCK}{_ZONE})?", re.IGNORECASE
)
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_YEAR = 365.25 * 86400.0
_LEAP = 17  # halves of the longest time without a 29 February, and one
_AHEAD = 86400.0  # a clock elsewhere, or in another zone, may be ahead of ours

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
        text: `14:02`, `14:02:11.5` (the last time the clock showed that), `2025-11-21 14:02`, with or without a zone,
            any other time as lines show theirs, `-10m`, `-1h30m`, `1234`, `48%`.
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
    if _AGO.fullmatch(text):
        return Goal(time=now - sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text)))
    if (match := _NUMBER.fullmatch(text)) and not _EPOCH.fullmatch(text):
        number = int(re.sub(r"[,_ ]", "", match[1]))
        if number < 1:
            raise ValueError("lines are counted from 1")
        return Goal(number=number)
    try:
        when = _time(text.strip("[]() "), now, zone)
    except (ValueError, OverflowError, OSError):  # no such day, or one that no clock of ours can show
        when = None
    if when is None:
        raise ValueError(f"not a time, a line number or a share; for example {HINT}")
    return Goal(time=when)


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


def _time(text: str, now: float, zone: tzinfo | None) -> float | None:
    dated = _DAY.fullmatch(text)
    match = dated or _TIME.fullmatch(text)
    if match is None:
        return _as_lines_show_it(text, now, zone)
    today = datetime.fromtimestamp(now, _zone(match["zone"]) or zone)
    day = date(int(dated["year"]), int(dated["month"]), int(dated["day"])) if dated else today.date()
    clock = time(
        int(match["hour"] or 0),
        int(match["minute"] or 0),
        int(match["second"] or 0),
        int((match["part"] or "0")[:6].ljust(6, "0")),
    )
    when = datetime.combine(day, clock, today.tzinfo)
    return (when if dated or when <= today else when - timedelta(days=1)).timestamp()


def _as_lines_show_it(text: str, now: float, zone: tzinfo | None) -> float | None:
    from monitors.logs.times import typed_time

    when = typed_time(text, now, zone)
    if when is None or when <= now + _AHEAD:
        return when
    # Without a year, it is the last such day, not the next; 29 February may be that of eight years ago
    last = None
    for years in range(1, _LEAP):
        last = typed_time(text, now - years * _YEAR / 2, zone)
        if last is not None and last <= now + _AHEAD:
            return last
    return when if last is None else last


def _zone(text: str | None) -> tzinfo | None:
    """The zone that was typed, None where none was."""
    if text is None or text.isalpha():
        return None if text is None else UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-ahead if text[0] == "-" else ahead)
