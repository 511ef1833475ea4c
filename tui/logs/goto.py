"""What a person means who types where to go: a time, a line number, or a share of the log."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from itertools import islice
from typing import TYPE_CHECKING

from monitors.logs.clocks import ahead_of
from monitors.logs.days import DAY, FAR
from monitors.logs.types import GoneError

if TYPE_CHECKING:
    from monitors.logs.model import LogModel
    from monitors.logs.types import Place

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
_CROWD = 9  # last lines that say what time it is: one may tell of another

HINT = "14:02, 2025-11-21 14:02, -10m, 1234 or 48%"


@dataclass(frozen=True)
class Goal:
    """Where to go; exactly one is given.

    Attributes:
        time: Seconds since the epoch.
        number: A line number, from 1.
        share: Between 0 and 1.
        clock: What was typed, where it names no day: the time is the last such one by our clock, and `settled` says
            which one a log means.
        ago: Whether the time is so long ago by our clock; `settled` says when that was by the log's.
    """

    time: float | None = None
    number: int | None = None
    share: float | None = None
    clock: str = ""
    ago: bool = False


def parse(text: str, now: float, zone: tzinfo | None = None) -> Goal:
    """Read what was typed.

    Args:
        text: `14:02`, `14:02:11.5` (the last time our clock showed that), `2025-11-21 14:02`, with or without a zone,
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
        return Goal(time=now - sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text)), ago=True)
    if (match := _NUMBER.fullmatch(text)) and not _EPOCH.fullmatch(text):
        number = int(re.sub(r"[,_ ]", "", match[1]))
        if number < 1:
            raise ValueError("lines are counted from 1")
        return Goal(number=number)
    try:
        goal = _time(text.strip("[]() "), now, zone)
    except (ValueError, OverflowError, OSError):  # no such day, or one that no clock of ours can show
        goal = None
    if goal is None:
        raise ValueError(f"not a time, a line number or a share; for example {HINT}")
    return goal


async def settled(model: LogModel, goal: Goal, now: float, zone: tzinfo | None = None, *, upto: bool = False) -> Goal:
    """On which day a time is that was typed without one: the last such time by our clock or by the log's own.

    What is so long ago is that by the clock of the machine that writes the log.

    Args:
        model: The log.
        goal: What was typed; anything else is what it was.
        now: Our clock, seconds since the epoch.
        zone: Of times that do not name theirs.
        upto: Lines are wanted up to then. Where none is from before it, it is the next such time, unless it was
            earlier today.

    Raises:
        UnreachableError: Nobody answers.
    """
    when = goal.time
    if goal.ago and when is not None:
        return Goal(time=when + await ahead_of(model.source))
    if not goal.clock or when is None:
        return goal
    last = await model.last_time(when)
    if last is not None and last > now and await _is_ahead(model, last, now, zone):
        now, when = last, _last(goal.clock, last, zone, when)
    if upto and _day(when, zone) != _day(now, zone):
        place = await model.at_time(when)
        if place is not None and await begins_at(model, place, when, zone):
            when = _last(goal.clock, when + DAY + 3600, zone, when)  # a day on which clocks are put back is longer
    return Goal(time=when)


async def begins_at(model: LogModel, place: Place, near: float, zone: tzinfo | None = None) -> bool:
    """Whether no line is from before a time, as far as those say when that stand before its place.

    Of a log that runs backwards, those behind the place are from before it.

    Args:
        model: The log.
        place: Where the time begins.
        near: The time, seconds since the epoch.
        zone: Of times that do not name theirs.

    Raises:
        UnreachableError: Nobody answers.
    """
    start = model.start_place()
    size = place.offset - start.offset
    if place > start and (place.generation != start.generation or size > _LOOK):
        return False
    try:
        if place > start and next(_times(_lines(await model.read(start, size)), near, zone), None) is not None:
            return False
        first = next(_times(_lines(await model.read(place, _LOOK)), near, zone), None)
    except GoneError:  # what is there now begins later
        return True
    if first is None or first > near:
        return True
    # One alone of the two may be taken for another day's, or tell of another time
    last = await model.last_time(near)
    return last is None or last >= near


async def _is_ahead(model: LogModel, last: float, now: float, zone: tzinfo | None) -> bool:
    """Whether the last lines of a log are of a time to come, and not one of them alone tells of such a time."""
    end = model.end_place()
    at = model.at_fraction(max(0.0, 1 - _LOOK / max(1, model.state.bytes)))
    try:
        size = end.offset - at.offset if at.generation == end.generation else _LOOK
        lines = _lines(await model.read(at, size))
    except GoneError:
        return False
    times = list(islice(_times(reversed(lines), last, zone), _CROWD))
    return 2 * sum(when > now for when in times) > len(times)


def _lines(data: bytes) -> list[str]:
    return data.replace(b"\0", b"").decode("utf-8", "replace").split("\n")  # UTF-16 can be read this way too


def _times(lines: Iterable[str], near: float, zone: tzinfo | None) -> Iterator[float]:
    """What lines say of when they were written."""
    from monitors.logs.times import line_time

    return (when for line in lines if (when := line_time(line, near, zone)) is not None)


def _last(clock: str, by: float, zone: tzinfo | None, otherwise: float) -> float:
    """The last such time up to another; `otherwise` where that is behind what a clock can show."""
    with contextlib.suppress(ValueError):
        return parse(clock, by, zone).time or otherwise
    return otherwise


def _day(when: float, zone: tzinfo | None) -> date | None:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(when, zone).date()
    return None


async def says_when(model: LogModel, near: float, zone: tzinfo | None = None) -> bool:
    """Whether lines of a log say when they were written, as far as some of them show that are looked at.

    Args:
        model: The log.
        near: A time, seconds since the epoch, for lines that do not name their day or year.
        zone: Of times that do not name theirs.

    Raises:
        UnreachableError: Nobody answers.
    """
    last = max(0.0, 1 - _LOOK / max(1, model.state.bytes))
    for share in (*_SHARES, last):
        try:
            data = await model.read(model.at_fraction(share), _LOOK)
        except GoneError:
            continue
        if next(_times(_lines(data)[share > 0 :], near, zone), None) is not None:
            return True
    return False


def _time(text: str, now: float, zone: tzinfo | None) -> Goal | None:
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
    if dated:
        return Goal(time=when.timestamp())
    return Goal(time=(when if when <= today else when - timedelta(days=1)).timestamp(), clock=text)


def _as_lines_show_it(text: str, now: float, zone: tzinfo | None) -> Goal | None:
    from monitors.logs.times import typed_time

    when = typed_time(text, now, zone)
    if when is None:
        return None
    elsewhere = typed_time(text, now + FAR * DAY, zone)
    if elsewhere is not None and round((elsewhere - when) / DAY) == FAR:
        return Goal(time=typed_time(text, when - DAY, zone) if when > now else when, clock=text)
    if when <= now + _AHEAD:
        return Goal(time=when)
    # Without a year, it is the last such day, not the next; 29 February may be that of eight years ago
    last = None
    for years in range(1, _LEAP):
        last = typed_time(text, now - years * _YEAR / 2, zone)
        if last is not None and last <= now + _AHEAD:
            return Goal(time=last)
    return Goal(time=when if last is None else last)


def _zone(text: str | None) -> tzinfo | None:
    """The zone that was typed, None where none was."""
    if text is None or text.isalpha():
        return None if text is None else UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-ahead if text[0] == "-" else ahead)
