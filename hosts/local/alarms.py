"""Rows of a log that say something by their text alone: that memory ran out, that a process died.

What they say comes as data (`Alarm`). A sign is looked for where one of its words stands and nowhere else, and words
are looked for in rows that were not seen before: the rows of most logs differ in their numbers alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hosts.local.blocks import Alarm
from hosts.local.levels import plain
from hosts.local.regexes import compile_row

CAP = 8192
"""Bytes of a row, or of what stands in it between carriage returns, that are looked at."""

HINT_REACH = 80
"""Characters before a sign in which a hint is looked for."""

_MOST = 1 << 12  # of rows that are remembered
_SHORT = 512  # bytes of a row that is
_LETTERS = re.compile(r"[^\n\r]+").fullmatch  # no part of a row holds others
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class _Part(NamedTuple):
    """Part of a row: the row's number, and where the part begins and ends in the data."""

    row: int
    start: int
    end: int


class _Stem(NamedTuple):
    """A word that holds no other one, as it is and as plain rows have it, and the words that hold it."""

    word: bytes
    plain: bytes
    words: list[bytes]


class Alarms:
    """Finds these rows.

    Raises:
        re.error: One of the expressions is none.
    """

    def __init__(self, alarm: Alarm) -> None:
        self._hint = compile_row(alarm.hint, fold=True)
        self._speech = compile_row(alarm.speech, fold=True)
        self._searched: dict[bytes, list[re.Pattern[str]]] = {}
        for sign in alarm.signs:
            pattern = compile_row(sign.text, fold=True)
            for word in filter(_LETTERS, sign.words):
                self._searched.setdefault(word.encode(), []).append(pattern)
        words = list(self._searched)
        least = [word for word in words if not any(one != word and one in word for one in words)]
        self._stems = [_Stem(stem, plain(stem), [word for word in words if stem in word]) for stem in least]
        self._clean: set[bytes] = set()

    def rows(self, raw: bytes, lower: bytes, start: int, end: int, rows: Iterable[bytes]) -> list[int]:
        """The numbers of the rows in raw[start:end] that say something, ascending.

        Args:
            raw: Bytes with the rows in them.
            lower: The same with ASCII letters in lower case.
            start: Where the first row begins.
            end: Where the last row ends.
            rows: The rows as hosts.local.levels.plain has them.
        """
        found: set[int] = set()
        for word in self._words(lower, start, end, rows):
            patterns = self._searched[word]
            for part in _parts(lower, word, start, end):
                if part.row not in found and self._says(raw[part.start : part.end], patterns):
                    found.add(part.row)
        return sorted(found)

    def _says(self, part: bytes, patterns: list[re.Pattern[str]]) -> bool:
        text = part.decode("utf-8", "replace")
        if "\x1b" in text:
            text = _COLOUR.sub("", text)
        for pattern in patterns:
            match = pattern.search(text)
            if match is None:
                continue
            before = text[max(0, match.start() - HINT_REACH) : match.start()]
            if self._hint.search(before) is None:
                return self._speech.search(text) is None
        return False

    def _words(self, lower: bytes, start: int, end: int, rows: Iterable[bytes]) -> list[bytes]:
        """Words that may stand in some row."""
        fresh = set(rows) - self._clean
        if 2 * sum(map(len, fresh)) > end - start:
            there = [stem for stem in self._stems if lower.find(stem.word, start, end) >= 0]
        else:
            text = b"\n".join(fresh).lower()
            there = [stem for stem in self._stems if stem.plain in text]
            if len(self._clean) > _MOST:
                self._clean.clear()
            self._clean.update(row for row in fresh if len(row) <= _SHORT and not _holds(row, there))
        return [word for stem in there for word in stem.words]


def _holds(row: bytes, stems: list[_Stem]) -> bool:
    lower = row.lower() if stems else b""
    return any(stem.plain in lower for stem in stems)


def _parts(lower: bytes, word: bytes, start: int, end: int) -> Iterator[_Part]:
    """The parts of rows in lower[start:end] that hold a word, cut to CAP."""
    row, begin, at = 0, start, start
    stop = _find(lower, b"\n", start, end)
    while (hit := lower.find(word, at, end)) >= 0:
        if hit >= stop:
            row += lower.count(b"\n", stop, hit)
            begin = lower.rfind(b"\n", stop, hit) + 1
            stop = _find(lower, b"\n", hit, end)
        low = max(begin, lower.rfind(b"\r", begin, hit) + 1)
        high = _find(lower, b"\r", hit, stop)
        if hit + len(word) <= low + CAP:
            yield _Part(row, low, min(high, low + CAP))
        at = begin = high if high == stop else high + 1


def _find(data: bytes, byte: bytes, start: int, end: int) -> int:
    """Where a byte is, the end where it is not."""
    found = data.find(byte, start, end)
    return found if found >= 0 else end
