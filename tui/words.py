"""How numbers, sizes, ages and times are written for people, everywhere the same."""

from __future__ import annotations

from datetime import datetime, tzinfo

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def count(number: int) -> str:
    """`1,234`."""
    return f"{number:,}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 line`, `1,234 lines`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: int) -> str:
    """Bytes in decimal units with three digits: `999 B`, `1.04 GB`."""
    value = float(number)
    unit = 0
    while unit < len(_UNITS) - 1 and value >= 999.5:
        value /= 1000
        unit += 1
    if unit == 0:
        return f"{number} B"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {_UNITS[unit]}"


def percent(share: float) -> str:
    """`48 %`; only the whole is 100 %, only nothing is 0 %."""
    whole = round(share * 100)
    if whole >= 100 and share < 1:
        whole = 99
    if whole <= 0 and share > 0:
        whole = 1
    return f"{max(0, min(100, whole))} %"


def age(seconds: float) -> str:
    """An age in steps, so that what shows it changes seldom: `under 10 s`, `20 s`, `3 min`, `2 h`, `4 days`."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return "under 10 s"
    if seconds < 60:
        return f"{int(seconds // 10) * 10} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 2 * 86400:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86400)} days"


def took(seconds: float) -> str:
    """A measured duration: `0.4 s`, `41 s`, `2m 39s`, `1h 05m`."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600:,}h {whole % 3600 // 60:02d}m"


def next_age(seconds: float) -> float:
    """Seconds from now until `age` would say something else."""
    step = 10.0 if seconds < 60 else 60.0 if seconds < 3600 else 3600.0
    return step - max(0.0, seconds) % step


def clock(when: float, now: float, zone: tzinfo | None = None) -> str:
    """A time of the day, with its date where that is not today's: `14:02:11`, `21 Nov 14:02`."""
    moment, today = datetime.fromtimestamp(when, zone), datetime.fromtimestamp(now, zone)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment.day} {moment:%b %H:%M}" if abs(now - when) < 300 * 86400 else f"{moment:%Y-%m-%d}"


def stamp(when: float, zone: tzinfo | None = None) -> str:
    """A time to the millisecond: `14:02:11.042`."""
    moment = datetime.fromtimestamp(when, zone)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def delta(seconds: float) -> str:
    """Time between two lines in at most nine characters: `+0.042`, `+12.300`, `+2:05`, `+3:02:05`."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"+{seconds:.3f}"
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"+{minutes}:{rest:02d}"
    return f"+{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes < 6000 else f"+{whole // 86400} d"
