"""How serious a line of a log says it is.

A line says so in its head, behind times, brackets, names and numbers: by a word in capitals, by a word in brackets or
before a colon, by the letter of glog and its kin, by a field of JSON or logfmt; or in the ways in which Python,
pytest, compilers and launchers put errors. Words in prose are none: "0 errors", "error_rate=0.1". A line that begins
with a time and names no level is one for information, so that it does not pass for a part of the error before it.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

HEAD = 300
"""Bytes of a line that are looked at, colours left out."""


class Level(Enum):
    """How serious a line says it is; ordered by `rank`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANKS[self.value]


LEVELS = tuple(Level)
"""By rank."""

_RANKS = {level.value: rank for rank, level in enumerate(LEVELS)}
_DEBUG, _INFO, _WARNING, _ERROR, _CRITICAL = range(5)

_WORDS = {
    word: rank
    for rank, words in (
        (_DEBUG, "TRACE DEBUG VERBOSE D"),
        (_INFO, "INFO INFORMATION NOTICE SUCCESS I PASSED SKIPPED XFAIL XPASS RERUN"),
        (_WARNING, "WARN WARNING W"),
        (_ERROR, "ERR ERROR SEVERE E FAILED"),
        (_CRITICAL, "CRIT CRITICAL FATAL PANIC EMERG EMERGENCY ALERT F C"),
    )
    for word in words.encode().split()
}

_CAPITALS = (
    rb"TRACE|DEBUG|VERBOSE|INFO|NOTICE|SUCCESS|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|FATAL|PANIC|EMERG(?:ENCY)?"
    rb"|ALERT"
)
_ANY_CASE = rb"(?i:" + _CAPITALS + rb"|INFORMATION)"

# What may stand before the word. Each kind of token ends at a space, bracket or bar and none is the beginning of
# another, so that there is one way to read a head, and no time is lost on others.
_TOKENS = (
    rb"\[[^\[\]\n]{0,100}\]:?",  # [2025-01-01 12:00:00], [rank0]:
    rb"\([^()\n]{0,100}\):?",  # (EngineCore pid=1)
    rb"[-|:*>]+(?=[\s\[(])",
    rb"(?=[^\s\d\[(|]{0,60}\d)[^\s\[(|]{1,100}(?=[\s\[(|]|$)",  # a time, a number, host:123:456, file.c:3:5:
    rb"[A-Za-z_][A-Za-z_./+-]{0,60}:(?=\s)|npm(?=\s)",  # srun:
    rb"[A-Z][a-z]{2}[ ]+\d\d?[ ]\d\d:\d\d:\d\d[ ][\w.-]{1,60}(?=\s)",  # syslog: the host's name is a word
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?=\s)",
)
_TOKEN = rb"(?:" + rb"|".join(_TOKENS) + rb")[ \t]*"
# Only behind one of them: "relay" in "2025-01-01 12:00:00 relay ERROR"
_NAME = rb"(?:[A-Za-z_][A-Za-z_./+-]{0,60}(?=[\s|\[(])[ \t]*(?:[-|:]+(?=[\s\[(])[ \t]*)?)"
_SAYS = (
    rb"[\[(]?[ ]?(" + _CAPITALS + rb")(?=[\])|:!,\s]|$)",
    rb"[\[<](?:[\w.]{1,40}:)?(" + _ANY_CASE + rb")[\]>|]",  # [error], [core:error]
    rb"(" + _ANY_CASE + rb")(?=:|\[[A-Z]\d+\]:)",  # error: of compilers, error[E0308]:
    rb"\[?([EWIFDC])(?:\d{4} \d\d:\d\d:\d\d| [\w./]{1,80}:\d)",  # E0101 12:00:00, [W socket.cpp:1], E xla/x.cc:1
    rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+ ([EWIFDC]) \d",  # [2025-01-01 12:00:00,123 E 1 2], Ray
)
_HEAD = rb"[ \t]*(?:" + _TOKEN + rb"){0,9}?(?:(?<=[\d\])|,:\s-])" + _NAME + rb"{1,2}?)??(?:" + rb"|".join(_SAYS) + rb")"

# Without one of these, or a colon and a digit, there is nothing in a head that _HEAD could find
_STEMS = tuple(b"err warn info debug trace fatal crit verbose notice success severe panic emerg alert".split())
_FIELD_STEMS = (b"level", b"lvl", b"severity")

_FIELD = rb"""(?i)(?:^|[\s{,])"?(?:level|levelname|log_?level|lvl|severity|severity_?text)"?\s?[=:]\s?"?([A-Za-z]+)"""
_TEST = rb"(?:[^\s:]+::\S.*?[ ])?(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|RERUN)(?=[ ]+\[[ ]*\d+%\]|[ ]\S+::|[ ]*$)"
# Forms that are no words of a logger; what stands before them is the mark of a rank, or the frame of an ExceptionGroup
_FORMS = (
    (_CRITICAL, rb"Fatal Python error"),
    (_WARNING, rb"(?:\S+:\d+:[ ])?[\w.]*Warning:(?:\s|$)|={3,}[ ]warnings summary"),
    (
        _ERROR,
        rb"Traceback \(most recent call last\)|Exception Group Traceback"
        rb"|(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|ExceptionGroup|Exit|Interrupt)(?=:(?:\s|$)|\s*$|[ ]\()"
        rb"|Exception: |Segmentation fault|Bus error|Aborted(?:$|[ ]\()|Killed$|CUDA error:|Out of memory:"
        rb"|terminate called|\*\*\*[ ](?:SIG|Aborted|Check failure)|make(?:\[\d+\])?:[ ]\*\*\*"
        rb"|={3,}[ ](?:FAILURES|ERRORS)[ ]=|={3,}[ ].*\b\d+[ ](?:failed|errors?)\b|_{3,}[ ].*[ ]_{3,}$",
    ),
    (_INFO, rb"={5,}|-{5,}[ ]?(?:Captured|Live|generated)"),
)
_FORM = (
    rb"(?:\[[^\[\]\n]{1,60}\]:?[ ]?|\([^()\n]{1,80}\)[ ]?|\d{1,5}:[ ])?[ \t|+-]*?(?:"
    + rb"|".join(rb"(" + form + rb")" for _, form in _FORMS)
    + rb")|(E   [ ]*\S)"
)
_FORM_RANKS = (*(rank for rank, _ in _FORMS), _ERROR)
_TIME = rb"\[?(?:\d{4}[-/]\d\d[-/]\d\d[T ]|\d\d:\d\d:\d\d\b|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d)"


class _Patterns(NamedTuple):
    head: re.Pattern[bytes]
    field: re.Pattern[bytes]
    test: re.Pattern[bytes]
    form: re.Pattern[bytes]
    time: re.Pattern[bytes]


@lru_cache(maxsize=1)
def _patterns() -> _Patterns:
    """Compiled when the first line is looked at: that takes as long as a good part of a start."""
    return _Patterns(*(re.compile(text) for text in (_HEAD, _FIELD, _TEST, _FORM, _TIME)))


COLOUR = r"\x1b\[[0-9;:]{0,64}m"
"""A sequence that sets a look and is not shown. What is longer is shown, as every other sequence is."""

_COLOUR = re.compile(COLOUR.encode())
_DIGITS = bytes.maketrans(b"123456789", b"000000000")

NO_LEVEL = len(LEVELS)
"""Instead of a rank."""

_ORDER = (NO_LEVEL, *range(NO_LEVEL))
_KEY = 48  # bytes of a head that are looked up first
_MOST = 1 << 12  # of heads that are remembered


def level_of(line: bytes) -> Level | None:
    """The level that a line itself names, or None; the highest of its parts where carriage returns divide it."""
    ranks = [_settled(plain(part if b"\x1b" in part else part[:HEAD])[:HEAD])[0] for part in line.split(b"\r")]
    rank = max((rank for rank in ranks if rank is not None), default=None)
    return None if rank is None else LEVELS[rank]


def without_colours(data: bytes) -> bytes:
    """Text as it is shown."""
    return b"".join(_COLOUR.split(data)) if b"\x1b" in data else data  # quicker than to replace them


def alike(text: bytes) -> bytes:
    """Text with every digit a zero: that changes no level, and many lines become one."""
    return text.translate(_DIGITS)


def plain(data: bytes) -> bytes:
    """Text without colours, and every digit a zero."""
    return alike(without_colours(data))


def plain_rows(rows: bytes) -> bytes:
    """Plain rows, no carriage return before their newlines."""
    text = plain(rows)
    return text.replace(b"\r\n", b"\n") if b"\r\n" in text else text


def _settled(head: bytes) -> tuple[int | None, int]:
    """The rank of a plain head, and how many of its bytes settle it."""
    patterns = _patterns()
    if b"::" in head and (match := patterns.test.match(head)) is not None:
        return _WORDS[match[1]], HEAD
    lower = head.lower()
    if b":0" in lower or any(map(lower.__contains__, _STEMS)):
        if (match := patterns.head.match(head)) is not None:
            return _WORDS[match[match.lastindex or 0].upper()], match.end() + 2
        if any(map(lower.__contains__, _FIELD_STEMS)):
            field = patterns.field.search(head)
            if field is not None and (rank := _WORDS.get(field[1].upper())) is not None:
                return rank, HEAD
    if (match := patterns.form.match(head)) is not None:
        return _FORM_RANKS[(match.lastindex or 0) - 1], HEAD
    if (match := patterns.test.match(head)) is not None:
        return _WORDS[match[1]], HEAD
    return (_INFO if patterns.time.match(head) else None), HEAD


class Levels:
    """The levels of many lines; it learns the heads that a log's lines have."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._whole: dict[bytes, int] = {}

    def ranks(self, rows: bytes) -> bytes:
        """For each row the rank of its level, or NO_LEVEL; rows stand between newlines."""
        text = plain_rows(rows)
        return self.ranks_of(text, text.split(b"\n"))

    def ranks_of(self, text: bytes, lines: list[bytes]) -> bytes:
        """The same for rows that are plain, given whole and one by one."""
        found = bytearray(self._ranks(lines))
        number = at = 0
        while (cr := text.find(b"\r", at)) >= 0:
            number += text.count(b"\n", at, cr)
            found[number] = max(self._ranks(lines[number].split(b"\r")), key=_ORDER.index)
            if (at := text.find(b"\n", cr)) < 0:
                break
        return bytes(found)

    def _ranks(self, lines: list[bytes]) -> list[int]:
        found: list[int | None] = list(map(self._known.get, [line[:_KEY] for line in lines]))
        at = -1
        for _ in range(found.count(None)):
            at = found.index(None, at + 1)
            found[at] = self._learn(lines[at][:HEAD])
        return found  # type: ignore[return-value]  # no None is left

    def _learn(self, head: bytes) -> int:
        if (value := self._whole.get(head)) is not None:
            return value
        rank, settled = _settled(head)
        value = NO_LEVEL if rank is None else rank
        by_key = settled <= _KEY or len(head) < _KEY
        known = self._known if by_key else self._whole
        if len(known) >= _MOST:
            known.clear()
        known[head[:_KEY] if by_key else head] = value
        return value
