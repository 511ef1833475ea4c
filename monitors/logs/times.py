"""When a line says that it was written, in the forms that logs use.

A line's own time stands at its beginning, behind marks of who wrote it and how bad it is; one that stands further right
counts only where there is none, since messages tell of other times too.

Of a row whose beginning was painted over, a bar's for one, the time is that of what it ends up showing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import islice

_HEAD = 240  # characters of a line in which its time stands
_JSON_HEAD = 8192
_WIDE = 1024  # characters in which a bar ends
_BARS = 4  # that may stand before a line in one row
_PARTS = 32  # of a row that was painted over, from its end; and its first
_MARKS = 5  # before the time, at most
_FIELDS = 16  # of a JSON line that are looked at
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?"
_HALF = r"(?: ?(?P<half>[AaPp])\.?[Mm]\b)?"
_TWELVE = r"(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d) ?(?P<half>[AaPp])\.?[Mm]\b"
_ZONE = r"(?:\s?(?P<zone>Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d(?!\d)))?"
_NAME = r"(?P<name>[A-Z][a-z]{2})"
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?"
_MONTH = r"(?P<month>0[1-9]|1[0-2])"
_DAY = r"(?P<day>0[1-9]|[12]\d|3[01])"
_EPOCH = r"(?P<epoch>(?:\d{10}|\d{13}|\d{16}|\d{19})(?:\.\d{1,9})?)(?![\w.])"

# ISO 8601 and what comes close: python logging, loguru, docker, slurm
_ISO = rf"(?P<year>\d{{4}})[-/.](?P<month>\d\d)[-/.](?P<day>\d\d)[T _-]{_CLOCK}{_ZONE}"
# nginx, apache; and java
_NAMED = rf"(?P<day>\d\d)(?P<slash>[-/]){_NAME}(?P=slash)(?P<year>\d{{4}})[: ]{_CLOCK}{_ZONE}"


def _compiled(*forms: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(form) for form in forms)


# What a line may begin with, by how many digits come first and what is behind them
_CLOCKS = _compiled(rf"{_CLOCK}{_HALF}(?![\d:])")
_YEARS = _compiled(_ISO)
_DASHED = _compiled(rf"(?P<month>\d\d)-(?P<day>\d\d) {_CLOCK}", _NAMED)  # vLLM and others, behind the level
_DOTTED = _compiled(rf"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{{4}})(?:[ T-]|, ){_CLOCK}")
_SLASHED = _compiled(
    # what people of the United States ask python logging for, rich, TensorRT
    rf"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{{4}}|\d\d)(?:[ T-]|, ){_TWELVE}",
    rf"(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{{4}}|\d\d)(?:[ T-]|, ){_CLOCK}",
    # spark
    rf"(?P<year>\d\d)/(?P<month>\d\d)/(?P<day>\d\d) {_CLOCK}",
    # the rest of the world, where that can be no month
    rf"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{{4}})(?:[ T-]|, ){_CLOCK}",
    _NAMED,
)
_TOGETHER = _compiled(rf"(?P<year>20\d\d){_MONTH}{_DAY}[ T_-]{_CLOCK}{_ZONE}")
_LETTERS = _compiled(
    # glog, of which some write the year, and c10 no zero before the month
    rf"[DIWEFC](?P<year>20\d\d)?(?P<month>0[1-9]|1[0-2]|[1-9]){_DAY} {_CLOCK}",
    # absl, before it is initialised
    r"[DIWEFC]0000 00:00:(?P<epoch>\d{10}\.\d{1,9})",
    # ctime, which apache uses for its errors
    rf"{_WEEKDAY}{_NAME} {{1,2}}(?P<day>\d{{1,2}}) {_CLOCK} (?:UTC )?(?P<year>\d{{4}})(?!\d)",
    # syslog
    rf"{_WEEKDAY}{_NAME} {{1,2}}(?P<day>\d{{1,2}}) {_CLOCK}",
    # java's own
    rf"{_NAME} (?P<day>\d\d?), (?P<year>\d{{4}}),? {_TWELVE}",
)
# By what a line begins with: so many digits and the character behind them, or a letter
_FORMS = {
    (3, ":"): _CLOCKS,
    **{(5, mark): _YEARS for mark in "-/."},
    (3, "-"): _DASHED,
    (3, "."): _DOTTED,
    **{(digits, "/"): _SLASHED for digits in (2, 3)},
    **{(9, mark): _TOGETHER for mark in " T_-"},
    **{(1, letter): _LETTERS for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
}
_ONLY_EPOCH = re.compile(_EPOCH)
_COUNT = re.compile(_EPOCH + r"(?!\W{1,3}\d{4}[-/.]\d\d[-/.]\d\d[T ])")  # but no number before a date
_TYPED = (*_YEARS, *_CLOCKS, *_DASHED, *_DOTTED, *_SLASHED, *_TOGETHER, *_LETTERS, _ONLY_EPOCH)
# Anywhere, where a line does not begin with a time
_SEARCHED = _compiled(rf"(?<!\d){_ISO}", rf"(?<!\d){_NAMED}")

_OPEN = re.compile(r"((?:\x1b\[[0-9;]*m|[\s\[(<])*)(?:\d{1,8}[-/.: T_]|[A-Z](?=[a-z\d]))?")
_MARK = re.compile(
    r"(?:\x1b\[[0-9;]{0,20}m|\s){0,40}(?:"
    # (EngineCore pid=1), [rank0]:, [INFO], [1,0]<stdout>:, but no time and no share of anything
    r"\((?![^()\n]{0,99}:\d\d:)[^()\n]{1,100}\)"
    r"|\[(?![^\[\]\n]{0,99}(?::\d\d:|%|\d/\d))[^\[\]\n]{1,100}\]:?(?:<std(?:out|err)>:?)?"
    # a level; what is no level only before a date
    r"|[\[(<]{0,3}(?:(?:TRACE|DEBUG|INFO|NOTICE|SUCCESS|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL|[TDIWEFC])"
    r"(?::|\s?[-|])?(?=[\s\x1b])|[A-Z]{1,20}(?=\s{1,20}\d\d[-/]\d\d[-/ ]))"
    # docker compose, srun -l
    r"|[\w.-]{1,60}\s{1,40}\|(?=\s)|\d{1,5}:(?=\s)"
    r")"
)
_NESTED = r'(?:\{[^{}]{0,300}?"(?:timestamp|seconds|\$date)"\s?:\s*)?'
_FIELD = re.compile(
    r'"(?:ts|t|@t|time|timestamp|@timestamp|asctime|datetime|date|created|__REALTIME_TIMESTAMP)"\s*:\s*'
    + _NESTED
    + r'(?:"([^"]{1,64})"|(\d{10,19}(?:\.\d{1,9})?(?:[eE]\+?\d+)?))'
)
_SAID = re.compile(r'"(?:[^"\\]|\\.)*"?')  # one without an end too: it is looked through once
_PAIR = re.compile(r'(?<![\w.-])(?:ts|time|timestamp)="?(\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?![\d.])')
_BAR = re.compile(r"\[\d{1,4}(?::\d\d){1,2}(?:<[^\]<]{1,40})?, [^\[\]]{1,300}\]")  # how those of tqdm end
# What shows nothing itself, colours aside: other sequences, window titles, links, shifts
_PAINTS = re.compile(
    r"\x1b(?:\[[0-9;:?]{0,40}[@-ln-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)|[()][0-9A-Z]|[=>78])|[\x08\x0e\x0f]"
)
_ESCAPES = re.compile(r"\x1b(?!\[[0-9;]{0,64}m(?!\x0f))")  # other than colours
# What follows is painted somewhere else
_TURNS = re.compile(r"\r|\x08{8,}|\x1b\[(?:\d{0,4}[ABEFG]|\d{3,4}D|[\d;]{0,9}[Hf])")
_RETURNS = re.compile(rb"\x1b\[(?:[01]?G|\d{3,4}D|\d{0,4}[EF])")
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SIGNS = (b"0:00:00", b"0" * 10)  # one of them is in any time, its digits made zeros
_EARLIEST, _LATEST = 10**8, 10**10  # seconds; what is larger counts thousandths of them, or thousandths of those
_CENTURY = 2000
_HALF_DAY, _HALF_YEAR = 43200, 180 * 86400  # the shorter one
_DAYS = 3 * 86400
_NOON = 12  # and midnight, on a clock of twelve hours


def first_sign(data: bytes) -> int:
    """Where something first stands in UTF-8 that may be a time, -1 where nothing does: much can be told to say none."""
    flat = data.translate(_ZEROS)
    return min((place for place in map(flat.find, _SIGNS) if place >= 0), default=-1)


def told(row: bytes, encoding: str = "utf-8") -> str:
    """What of a row may say when it was written, for `line_time`: however long the row is, that is little.

    Args:
        row: As it is in the file, or what is shown of it.
        encoding: utf-8, utf-16-le or utf-16-be.
    """
    if b"\x1b" in row and encoding == "utf-8":
        row = _RETURNS.sub(b"\r", row)
    back = row.find(b"\r")
    if back < 0 or back >= len(row) - (2 if encoding == "utf-8" else 4):  # or one before its newline
        return row[:_JSON_HEAD].decode(encoding, "replace").removeprefix("\ufeff")
    if encoding != "utf-8":
        row, encoding = row.decode(encoding, "replace").encode(), "utf-8"
    flat = row.translate(_ZEROS)
    places = [flat.rfind(sign) for sign in _SIGNS]
    parts: list[bytes] = []
    begin = len(row)
    while max(places) >= 0 and len(parts) < _PARTS:
        at = max(places)
        begin = row.rfind(b"\r", 0, at) + 1
        end = row.find(b"\r", at)
        parts.append(row[begin : min(begin + _JSON_HEAD, end if end >= 0 else len(row))])
        places = [
            flat.rfind(sign, 0, begin) if place >= begin else place for sign, place in zip(_SIGNS, places, strict=True)
        ]
    if begin > 0:
        parts.append(row[: min(_JSON_HEAD, row.find(b"\r"))])
    return b"\r".join(reversed(parts)).decode(encoding, "replace").removeprefix("\ufeff")


def line_time(text: str, near: float | None, zone: tzinfo | None = None) -> float | None:
    """When a line was written, seconds since the epoch; None where it does not say.

    Args:
        text: The line, or of a long one or one that was painted over what was `told` of it.
        near: A time, seconds since the epoch: a line without a date or a year has the one that is nearest to it.
            None: such a line does not say, nor does one whose time is not its own.
        zone: Of times that do not name theirs; the machine's own where None.
    """
    if "\r" not in text and "\x08" not in text and ("\x1b" not in text or _ESCAPES.search(text) is None):
        when = _beginning(text, near, zone)
        return _further_right(text, near, zone) if when is None else when
    parts = _parts(text)
    first = _own(parts[0], near, zone)
    dated = first is not None and _says_day(parts[0], first, near, zone)
    clock: float | None = None  # that names no day: it may be how long something took, or takes still
    for part in reversed(parts[1:]):
        when = _own(part, near, zone)
        if when is not None and _says_day(part, when, near, zone):
            # What is shown of a row has its newest part first if there is a bar in it, else last
            return max(first, when) if first is not None and dated else when
        clock = when if clock is None else clock
    if clock is not None and not dated:
        return clock if first is None else max(first, clock)
    if first is not None:
        return first
    found = (_in_message(part, near, zone) for part in reversed(parts))
    return next((when for when in found if when is not None), None)


def _parts(text: str) -> list[str]:
    """What was painted one over the other, in order, without what shows nothing; of many the first and the last."""
    begin, *last = text.rsplit("\r", _PARTS)
    parts = [begin.partition("\r")[0], *last]
    if "\x1b" in text or "\x08" in text:
        whole = [piece for part in parts for piece in _TURNS.split(part[:_JSON_HEAD])]
        parts = [_PAINTS.sub("", piece) for piece in (*whole[:1], *whole[1:][-_PARTS:])]
    return parts


def _own(text: str, near: float | None, zone: tzinfo | None) -> float | None:
    when = _beginning(text, near, zone)
    return _behind_bars(text, near, zone) if when is None else when


def _says_day(text: str, when: float, near: float | None, zone: tzinfo | None) -> bool:
    """Whether what a text told is more than a clock: that is another time on another day."""
    return near is None or _own(text, near + _DAYS, zone) == when


def _further_right(text: str, near: float | None, zone: tzinfo | None) -> float | None:
    when = _behind_bars(text, near, zone)
    return _in_message(text, near, zone) if when is None else when


def _behind_bars(text: str, near: float | None, zone: tzinfo | None) -> float | None:
    """The time of a line that is glued to bars."""
    if ", " in text[:_WIDE]:
        for bar in islice(_BAR.finditer(text, 0, _WIDE), _BARS):
            when = _beginning(text[bar.end() :], near, zone)
            if when is not None:
                return when
    return None


def _beginning(text: str, near: float | None, zone: tzinfo | None) -> float | None:
    """The time that a line begins with, or has behind marks, or in a field."""
    head = text[:_HEAD]
    if head.lstrip().startswith("{"):
        when = _of_fields(text[:_JSON_HEAD], near, zone)
        if when is not None:
            return when
    at = 0
    for _ in range(_MARKS):
        opened = _OPEN.match(head, at)
        assert opened is not None  # it matches anything
        start, end = opened.end(1), opened.end()
        for form in _FORMS.get((end - start, head[end - 1 : end]), ()):
            match = form.match(head, start)
            if match is not None:
                when = _of(match.groupdict(), near, zone)
                if when is not None or near is None:
                    return when
        match = _COUNT.match(head, start) if at == 0 else None
        if match is not None and (when := _number(match[1])) is not None:
            return when
        mark = _MARK.match(head, at)
        if mark is None:
            break
        at = mark.end()
    return None


def _in_message(text: str, near: float | None, zone: tzinfo | None) -> float | None:
    """A time further right: of several, the first."""
    if near is None:
        return None
    head = text[:_HEAD]
    if head.count(":") > 1:
        found = [match for form in _SEARCHED if (match := form.search(head))]
        for match in sorted(found, key=re.Match.start):
            when = _of(match.groupdict(), near, zone)
            if when is not None:
                return when
    match = _PAIR.search(head) if "ts=" in head or "time" in head else None
    return _number(match[1]) if match is not None else None


def _of_fields(text: str, near: float | None, zone: tzinfo | None) -> float | None:
    """The time that a JSON line has a field for; of several, one that is not inside of another object."""
    inner = None
    for number, found in enumerate(_FIELD.finditer(text)):
        said, count = found.groups()
        when = _number(count or said) if count or said.isdecimal() else line_time(said, near, zone)
        if when is not None:
            if text.count("{", 0, found.start()) == 1:
                return when
            before = _SAID.sub("", text[: found.start()])
            if before.count("{") - before.count("}") == 1:
                return when
            inner = when if inner is None else inner
        if number == _FIELDS:
            break
    return inner


def typed_time(text: str, near: float | None, zone: tzinfo | None = None) -> float | None:
    """When a text means that is nothing but a time, in one of the forms in which lines show theirs.

    Args:
        text: What was typed or pasted; brackets around it do not matter.
        near: Like that of `line_time`.
        zone: Of a time that does not name its own; the machine's own where None.
    """
    text = text.strip("[](){}<>\"', \t")
    mark = _MARK.match(text)
    for start in (0, mark.end() + 1) if mark is not None else (0,):  # "INFO 11-21 14:02:11"
        for form in _TYPED:
            match = form.fullmatch(text, start)
            if match is not None:
                when = _of(match.groupdict(), near, zone)
                if when is not None:
                    return when
    return None


def _number(text: str) -> float | None:
    value = float(text)
    while value >= _LATEST:
        value /= 1000
    return value if value >= _EARLIEST else None


def _of(parts: dict[str, str | None], near: float | None, zone: tzinfo | None) -> float | None:
    """What a form found, as a time; None where there is no such day or hour."""
    if epoch := parts.get("epoch"):
        return _number(epoch)
    if named := parts.get("zone"):
        zone = _zone(named)
    month = int(parts.get("month") or _MONTHS.get((parts.get("name") or "").lower(), 0))
    day = int(parts.get("day") or 0)
    hour = int(parts["hour"] or 0)
    if (half := parts.get("half")) and hour <= _NOON:
        hour = hour % _NOON + (_NOON if half in "Pp" else 0)
    clock = (
        hour,
        int(parts["minute"] or 0),
        min(59, int(parts["second"] or 0)),  # a leap second is the one before it
        int(f"{part:0<6}"[:6]) if (part := parts.get("part")) else 0,
    )

    def at(year: int, month: int, day: int) -> float:
        # An hour that a clock showed twice is the one that is nearer
        shown = datetime(year, month, day, *clock, tzinfo=zone)
        first = shown.timestamp()
        if near is None or isinstance(zone, timezone):
            return first
        second = shown.replace(fold=1).timestamp()
        return first if abs(first - near) <= abs(second - near) else second

    try:
        if year := parts.get("year"):
            return at(int(year) + (_CENTURY if len(year) == len("24") else 0), month, day)
        if near is None:
            return None
        around = datetime.fromtimestamp(near, zone)
        if day:
            return _nearest(near, lambda step: at(around.year + step, month, day))
        when = at(around.year, around.month, around.day)
        if abs(when - near) < _HALF_DAY - 3600:  # clocks are put back and forward, so that days differ
            return when
        days = (around + timedelta(days=step) for step in (-1, 1))
        return min((when, *(at(day.year, day.month, day.day) for day in days)), key=lambda when: abs(when - near))
    except (ValueError, OverflowError, OSError):
        return None


def _nearest(near: float, of_year: Callable[[int], float]) -> float | None:
    """The nearest of some years; 29 February is in one of four."""
    with contextlib.suppress(ValueError):
        when = of_year(0)
        if abs(when - near) < _HALF_YEAR:
            return when
    for steps in ((-1, 0, 1), (-4, -3, -2, 2, 3, 4)):
        found = []
        for step in steps:
            with contextlib.suppress(ValueError):
                found.append(of_year(step))
        if found:
            return min(found, key=lambda when: abs(when - near))
    return None


def _zone(text: str) -> timezone:
    if text.isalpha():
        return timezone.utc
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return timezone(timedelta(minutes=min(minutes, 1439) * (-1 if text[0] == "-" else 1)))
