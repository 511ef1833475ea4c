"""How serious a line says it is that is an object of JSON.

A field of the outermost object says so by a word, or by a number where the other fields are those of a logger that
writes numbers. Words go before numbers, and both before what lies deeper. Text that was wrapped as it came, by Docker
or the journal, says it itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

REACH = 8192
"""Bytes of a line that are looked at."""

_MOST = 1000  # of the fields and brackets in a line

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TEXT = rb'"([^"\\]*(?:\\.[^"\\]*)*)'
_NAMES = rb"@?(?i:level(?:_?name)?|log[_.]?level|lvl|severity(?:_?text)?)"

# Pairs that hold no object, and then the level. There is one way to read each, so that no time is lost on others.
_FLAT = (
    rb"\{\s*(?:" + _STRING + rb"\s*:\s*(?:" + _STRING + rb"|[\w.+-]{1,40})\s*,\s*){0,99}?"
    rb'"' + _NAMES + rb'"\s*:\s*"\s*([A-Za-z]{1,12})\s*"'
)
# What begins so is not told by its words alone
_FRONT = rb'\{\s*"(?:log"\s*:\s*"|level"\s*:\s*\d)'
_HINT = rb'"@?(?:level|lvl|severity|log|priority)'
_TOKEN = _TEXT + rb'"(\s*:\s*(?:' + _TEXT + rb'(?:"|$)|(\d{1,3})(?=\s*[,}])|))?|([{}\[\]])|(")'

_BY_TENS = b"TRACE DEBUG INFO WARN ERROR FATAL".split()  # pino, bunyan: from 10
_BY_SYSLOG = b"EMERG ALERT CRIT ERROR WARN NOTICE INFO DEBUG".split()  # the journal, GELF: from 0
_LOGGERS = {b"msg", b"message", b"err", b"pid", b"hostname"}  # a metric has a level, too, but none of these
_BESIDE = {b"log", b"time", b"timestamp", b"@timestamp", b"date", b"attrs"}  # of what Docker and its kin wrap
_WRAPS = {b"log", b"record"}
_DEFAULT = 6  # of the journal, for text that names no priority

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\r", b"r": b"\r", b"t": b"\t"}  # a newline parts text as a carriage return does


class _Patterns(NamedTuple):
    flat: re.Pattern[bytes]
    front: re.Pattern[bytes]
    hint: re.Pattern[bytes]
    token: re.Pattern[bytes]
    name: re.Pattern[bytes]


@lru_cache(maxsize=1)
def _patterns() -> _Patterns:
    """Compiled when the first such line is looked at."""
    return _Patterns(*(re.compile(text) for text in (_FLAT, _FRONT, _HINT, _TOKEN, _NAMES)))


class Glance(NamedTuple):
    """What a look at a line says whose digits are all zeros.

    Attributes:
        rank: Of the level, None where there is none.
        settled: How many bytes of the line settle it, more than there are where it takes them all.
        deeper: Whether the line has to be read with its digits, by `rank_of`.
    """

    rank: int | None
    settled: int
    deeper: bool = False


_ALL = 1 << 30


def glance(line: bytes, words: Mapping[bytes, int]) -> Glance:
    """A quick look at a line that begins with a brace; words have ranks."""
    patterns = _patterns()
    line = line[:REACH]
    if (match := patterns.front.match(line)) is not None:
        return Glance(None, match.end(), deeper=True)
    if patterns.hint.search(line.lower()) is None:
        return Glance(None, _ALL)
    if (match := patterns.flat.match(line)) is not None and (rank := words.get(match[1].upper())) is not None:
        return Glance(rank, match.end())
    return Glance(None, _ALL, deeper=True)


class _Seen:
    """What the fields of a line say.

    Attributes:
        word: The rank of the level's word, in the outermost object.
        inner: The same in an object in that one.
        number: The level's number.
        priority: The one of the journal.
        text: What was wrapped.
        message: What the journal was told.
        names: Of all fields of the outermost object.
    """

    def __init__(self) -> None:
        self.word: int | None = None
        self.inner: int | None = None
        self.number: int | None = None
        self.priority: int | None = None
        self.text: bytes | None = None
        self.message: bytes | None = None
        self.names: set[bytes] = set()

    def outermost(self, name: bytes, text: bytes | None, number: bytes | None) -> None:
        """Note a field of the outermost object that names no level by a word."""
        self.names.add(name)
        if name == b"level" and number is not None:
            self.number = int(number)
        elif name == b"PRIORITY" and text is not None and len(text) == 1 and text in b"01234567":
            self.priority = int(text)
        elif name == b"log" and text is not None:
            self.text = text
        elif name == b"MESSAGE" and text is not None:
            self.message = text


def rank_of(line: bytes, words: Mapping[bytes, int], said: Callable[[bytes], int | None]) -> int | None:
    """The rank of the level that a line names.

    Args:
        line: It begins with a brace.
        words: They have ranks.
        said: What text says that was wrapped; carriage returns divide it.
    """
    seen = _read(line[:REACH], words)
    if seen.word is not None:
        return seen.word
    if seen.priority is not None:
        rank = said(_unescaped(seen.message)) if seen.priority == _DEFAULT and seen.message is not None else None
        return words[_BY_SYSLOG[seen.priority]] if rank is None else rank
    if seen.number is not None:
        tens, ones = divmod(seen.number, 10)
        if not ones and 1 <= tens <= len(_BY_TENS) and not seen.names.isdisjoint(_LOGGERS):
            return words[_BY_TENS[tens - 1]]
        if seen.number < len(_BY_SYSLOG) and b"short_message" in seen.names:
            return words[_BY_SYSLOG[seen.number]]
    if seen.text is not None and (b"stream" in seen.names or seen.names <= _BESIDE):
        return said(_unescaped(seen.text))
    return seen.inner


def _read(line: bytes, words: Mapping[bytes, int]) -> _Seen:
    seen = _Seen()
    patterns = _patterns()
    parents: list[bytes] = []
    lists = 0
    key = b""
    for match in islice(patterns.token.finditer(line), _MOST):
        name, pair, text, number, bracket, stray = match.groups()
        if bracket is not None:
            if bracket in b"{[":
                parents.append(key)
                lists += bracket == b"["
            elif parents:
                parents.pop()
                lists -= bracket == b"]" and lists > 0
            if not parents:
                break
        elif stray is not None:
            break
        elif pair is not None and not lists:
            key = name
            rank, depth = _field(name, text, parents, words)
            if rank is not None and depth == 1:
                seen.word = rank
                break
            if rank is not None and depth == 2 and (seen.inner is None or parents[1] in _WRAPS):
                seen.inner = rank
            if len(parents) == 1:
                seen.outermost(name, text, number)
    return seen


def _field(name: bytes, text: bytes | None, parents: list[bytes], words: Mapping[bytes, int]) -> tuple[int | None, int]:
    """The rank that a field names by a word, and how deep it stands: the name of a level stands where that does."""
    if text is None or len(parents) > 3:
        return None, 0
    is_name = _patterns().name.fullmatch
    if is_name(name) is not None:
        return words.get(text.strip().upper()), len(parents)
    if name == b"name" and is_name(parents[-1]) is not None:
        return words.get(text.strip().upper()), len(parents) - 1
    return None, 0


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(
        lambda match: (
            chr(int(match[1], 16)).encode("utf-8", "replace") if match[1] else _LETTERS.get(match[2], match[2])
        ),
        text,
    )
