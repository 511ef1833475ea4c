"""Times and lengths of the run screen in few characters; all of them change in steps."""

from __future__ import annotations

import calendar
import time
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from hosts.connection import Connection, Way
from tui.screens.host_look import connection_words, way_look

if TYPE_CHECKING:
    from tui.screens.subject import RunPlace

_STEPS = (0, 5, 10, 20, 30, 45)


def machine(place: RunPlace) -> str:
    """The host of a run, as it is called in a sentence; not clean."""
    return "this machine" if place.connect is None and place.host == "here" else place.host


def faulty(word: str, reason: str, path: str) -> tuple[str, str]:
    """The word for a repeat that does not count, and why, where its stage and its number stand beside; not clean.

    Args:
        word: For its mark.
        path: Of its artifact, which is left out of the reason.
    """
    if not reason.startswith("unreadable: "):
        return word, reason
    why = reason.removeprefix("unreadable: ")
    found = why.removeprefix(f"{path}:")
    if found == why:
        return "unreadable", why
    return "unreadable", f"line {found}" if found[:1].isdigit() else found.lstrip()


def way_span(way: Connection | None, now: float, zone: tzinfo | None, received: float | None = None) -> tuple[str, str]:
    """How the way to a host stands, in words, and their colour; nothing where none is needed.

    Args:
        received: When the last answer came, by our clock.
    """
    if way is None:
        return "", ""
    words = connection_words(way, now, lambda when: hour(when, now, zone), received)
    return words, "muted" if way.way in (Way.UP, Way.IDLE) else way_look(way).style


def seen(age: float) -> str:
    """How old a look is, in at most four characters: `<5s`, `10s`, `3m`, `2h`, `4d`."""
    if age < 5:
        return "<5s"
    if age < 60:
        return f"{max(step for step in _STEPS if step <= age)}s"
    return _largest(age)


def next_seen(age: float) -> float:
    """Seconds until `seen` says something else."""
    if age < 60:
        return min(step for step in (*_STEPS, 60) if step > age) - age
    step = 60.0 if age < 3600 else 3600.0 if age < 2 * 86400 else 86400.0
    return step - age % step


def _largest(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= (2 * size if unit == "d" else size):
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def lasting(seconds: float) -> str:
    """A length in two units: `41 s`, `3 min`, `1 h 05 min`, `2 d 3 h`."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{int(seconds)} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def hour(when: float, now: float, zone: tzinfo | None) -> str:
    """A time of the day, with its weekday or date where that is another day's: `15:42`, `Tue 15:42`, `2 Jun 15:42`."""
    moment, today = datetime.fromtimestamp(when, zone), datetime.fromtimestamp(now, zone)
    if moment.date() == today.date():
        return f"{moment:%H:%M}"
    if abs(moment.date() - today.date()) < timedelta(days=6):
        return f"{moment:%a %H:%M}"
    return f"{moment.day} {moment:%b %H:%M}"


def spread(seconds: float) -> str:
    """How far off a time may be: `±<1m`, `±12m`, `±3h`."""
    if seconds < 60:
        return "±<1m"
    return f"±{round(seconds / 60)}m" if seconds < 90 * 60 else f"±{round(seconds / 3600)}h"


def instant(text: object) -> float | None:
    """The seconds since the epoch that "2026-05-25T02:43:02Z" means, None for anything else, such as a time of zero."""
    if not isinstance(text, str):
        return None
    try:
        parts = time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    # Next to the ends of the calendar not every zone has a date for it
    return float(calendar.timegm(parts)) if 1900 < parts.tm_year < 9999 else None
