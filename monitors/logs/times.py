"""When a line says that it was written, in the forms that logs use."""

from __future__ import annotations

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
_ZONE = r"(?:\s?(?P<zone>Z|[+-]\d\d:?\d\d)(?!\d))?"
_START = r"^(?:\x1b\[[0-9;]*m|[\s\[(<])*"

_FORMS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(form)
    for form in (
        # ISO 8601 and what comes close: python logging, loguru, docker, slurm
        rf"(?<!\d)(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]{_CLOCK}{_ZONE}",
        # nginx, apache
        rf"(?<!\d)(?P<day>\d\d)/(?P<name>[A-Z][a-z]{{2}})/(?P<year>\d{{4}}):{_CLOCK}{_ZONE}",
        # syslog
        rf"{_START}(?P<name>[A-Z][a-z]{{2}}) {{1,2}}(?P<day>\d{{1,2}}) {_CLOCK}",
        # glog
        rf"{_START}[DIWEFC](?P<month>\d\d)(?P<day>\d\d) {_CLOCK}",
        # vLLM and others: level, month and day
        rf"{_START}(?:[A-Z]+ +)?(?P<month>\d\d)-(?P<day>\d\d) {_CLOCK}",
        # a clock alone
        rf"{_START}{_CLOCK}(?![\d:])",
    )
)
_EPOCH = re.compile(r"^[\s\[]*(\d{10})(?:\.(\d{1,9})|(\d{3}))?(?!\d)")
_FIELD = re.compile(r'"(?:ts|time|timestamp|@timestamp|asctime)"\s*:\s*(?:"([^"]{1,64})"|(\d{10,13}(?:\.\d{1,9})?))')
_NEAREST = 10**12  # from here on a number counts milliseconds


def line_time(text: str, near: float, zone: tzinfo | None = None) -> float | None:
    """When a line was written, seconds since the epoch; None where it does not say.

    Args:
        text: The line.
        near: A time, seconds since the epoch: a line without a date or a year has the one that is nearest to it.
        zone: Of times that do not name theirs; the machine's own where None.
    """
    if text.lstrip().startswith("{"):
        found = _FIELD.search(text[:_JSON_HEAD])
        if found is not None:
            return _number(found[2]) if found[2] else line_time(found[1], near, zone)
    head = text[:_HEAD]
    for form in _FORMS:
        match = form.search(head)
        if match is not None:
            when = _of(match.groupdict(), near, zone)
            if when is not None:
                return when
    match = _EPOCH.match(head)
    if match is None:
        return None
    return float(f"{match[1]}.{match[2] or match[3] or 0}")


def _number(text: str) -> float:
    value = float(text)
    return value / 1000 if value >= _NEAREST else value


def _of(parts: dict[str, str | None], near: float, zone: tzinfo | None) -> float | None:
    """What a form found, as a time; None where there is no such day or hour."""
    named = parts.get("zone")
    if named:
        zone = timezone.utc if named == "Z" else _offset(named)
    month = parts.get("month") or _MONTHS.get((parts.get("name") or "").lower())
    if parts.get("name") and month is None:
        return None
    clock = (
        int(parts["hour"] or 0),
        int(parts["minute"] or 0),
        min(59, int(parts["second"] or 0)),
        int((parts.get("part") or "0")[:6].ljust(6, "0")),
    )
    around = datetime.fromtimestamp(near, zone)

    def at(year: int, month: int, day: int) -> float:
        return datetime(year, month, day, *clock, tzinfo=zone).timestamp()

    try:
        if parts.get("year"):
            return at(int(parts["year"] or 0), int(month or 0), int(parts["day"] or 0))
        if month is not None:
            return _nearest(near, lambda step: at(around.year + step, int(month), int(parts["day"] or 0)))
        days = (around + timedelta(days=step) for step in (-1, 0, 1))
        return min((at(day.year, day.month, day.day) for day in days), key=lambda when: abs(when - near))
    except (ValueError, OverflowError):
        return None


def _nearest(near: float, of_year: Callable[[int], float]) -> float | None:
    """The one of three years that is nearest; 29 February is not in all of them."""
    found = []
    for step in (-1, 0, 1):
        try:
            found.append(of_year(step))
        except ValueError:
            continue
    return min(found, key=lambda when: abs(when - near), default=None)


def _offset(text: str) -> timezone:
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return timezone(timedelta(minutes=min(minutes, 1439) * (-1 if text[0] == "-" else 1)))
