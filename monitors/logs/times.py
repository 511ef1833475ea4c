"""When a line says that it was written, in the forms that logs use."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo

_HEAD = 240  # characters of a line in which its time stands
_JSON_HEAD = 4096
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?"
_ZONE = r"(?:\s?(?P<zone>Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d(?!\d)))?"
_NAME = r"(?P<name>[A-Z][a-z]{2})"
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?"
_START = r"^(?:\x1b\[[0-9;]*m|[\s\[(<])*"

_FORMS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(form)
    for form in (
        # ISO 8601 and what comes close: python logging, loguru, docker, slurm
        rf"(?<!\d)(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]{_CLOCK}{_ZONE}",
        # nginx, apache; and java
        rf"(?<!\d)(?P<day>\d\d)(?P<slash>[-/]){_NAME}(?P=slash)(?P<year>\d{{4}})[: ]{_CLOCK}{_ZONE}",
        # ctime, which apache uses for its errors
        rf"{_START}{_WEEKDAY}{_NAME} {{1,2}}(?P<day>\d{{1,2}}) {_CLOCK} (?:UTC )?(?P<year>\d{{4}})(?!\d)",
        # syslog
        rf"{_START}{_WEEKDAY}{_NAME} {{1,2}}(?P<day>\d{{1,2}}) {_CLOCK}",
        # what people of the United States ask python logging for, and rich
        rf"{_START}(?:[A-Z]+ +)?(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{{4}}|\d\d)[ T]{_CLOCK}",
        # spark
        rf"{_START}(?P<year>\d\d)/(?P<month>\d\d)/(?P<day>\d\d) {_CLOCK}",
        # glog
        rf"{_START}[DIWEFC](?P<month>\d\d)(?P<day>\d\d) {_CLOCK}",
        # vLLM and others: level, month and day
        rf"{_START}(?:[A-Z]+ +)?(?P<month>\d\d)-(?P<day>\d\d) {_CLOCK}",
        # a clock alone
        rf"{_START}{_CLOCK}(?![\d:])",
    )
)
_EPOCH = re.compile(r"^[\s\[]*((?:\d{10}|\d{13}|\d{16}|\d{19})(?:\.\d{1,9})?)(?![\d.])")
_FIELD = re.compile(
    r'"(?:ts|time|timestamp|@timestamp|asctime)"\s*:\s*(?:"([^"]{1,64})"|(\d{10,19}(?:\.\d{1,9})?(?:[eE]\+?\d+)?))'
)
_EARLIEST, _LATEST = 10**8, 10**10  # seconds; what is larger counts thousandths of them, or thousandths of those
_CENTURY = 2000


def line_time(text: str, near: float | None, zone: tzinfo | None = None) -> float | None:
    """When a line was written, seconds since the epoch; None where it does not say.

    Args:
        text: The line.
        near: A time, seconds since the epoch: a line without a date or a year has the one that is nearest to it.
            None: such a line does not say.
        zone: Of times that do not name theirs; the machine's own where None.
    """
    if text.lstrip().startswith("{"):
        for found in _FIELD.finditer(text[:_JSON_HEAD]):
            when = _number(found[2]) if found[2] else line_time(found[1], near, zone)
            if when is not None:
                return when
    head = text[:_HEAD]
    for form in _FORMS:
        match = form.search(head)
        if match is not None:
            when = _of(match.groupdict(), near, zone)
            if when is not None:
                return when
    match = _EPOCH.match(head)
    return _number(match[1]) if match is not None else None


def typed_time(text: str, near: float | None, zone: tzinfo | None = None) -> float | None:
    """When a text means that is nothing but a time, in one of the forms in which lines show theirs.

    Args:
        text: What was typed or pasted; brackets around it do not matter.
        near: Like that of `line_time`.
        zone: Of a time that does not name its own; the machine's own where None.
    """
    text = text.strip("[](){}<>\"', \t")
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            when = _of(match.groupdict(), near, zone)
            if when is not None:
                return when
    match = _EPOCH.fullmatch(text)
    return _number(match[1]) if match is not None else None


def _number(text: str) -> float | None:
    value = float(text)
    while value >= _LATEST:
        value /= 1000
    return value if value >= _EARLIEST else None


def _of(parts: dict[str, str | None], near: float | None, zone: tzinfo | None) -> float | None:
    """What a form found, as a time; None where there is no such day or hour."""
    zone = _zone(parts.get("zone")) or zone
    month = int(parts.get("month") or _MONTHS.get((parts.get("name") or "").lower(), 0))
    day = int(parts.get("day") or 0)
    clock = (
        int(parts["hour"] or 0),
        int(parts["minute"] or 0),
        min(59, int(parts["second"] or 0)),  # a leap second is the one before it
        int((parts.get("part") or "0")[:6].ljust(6, "0")),
    )

    def at(year: int, month: int, day: int) -> float:
        # An hour that a clock showed twice is the one that is nearer
        twice = [datetime(year, month, day, *clock, tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)]
        return twice[0] if near is None else min(twice, key=lambda when: abs(when - near))

    try:
        if year := parts.get("year"):
            return at(int(year) + (_CENTURY if len(year) == len("24") else 0), month, day)
        if near is None:
            return None
        around = datetime.fromtimestamp(near, zone)
        if day:
            return _nearest(near, lambda step: at(around.year + step, month, day))
        days = (around + timedelta(days=step) for step in (-1, 0, 1))
        return min((at(day.year, day.month, day.day) for day in days), key=lambda when: abs(when - near))
    except (ValueError, OverflowError, OSError):
        return None


def _nearest(near: float, of_year: Callable[[int], float]) -> float | None:
    """The nearest of some years; 29 February is in one of four."""
    for steps in ((-1, 0, 1), (-4, -3, -2, 2, 3, 4)):
        found = []
        for step in steps:
            with contextlib.suppress(ValueError):
                found.append(of_year(step))
        if found:
            return min(found, key=lambda when: abs(when - near))
    return None


def _zone(text: str | None) -> timezone | None:
    if not text:
        return None
    if text.isalpha():
        return timezone.utc
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return timezone(timedelta(minutes=min(minutes, 1439) * (-1 if text[0] == "-" else 1)))
