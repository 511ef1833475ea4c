"""Where the words that are looked for stand in a row, for painting alone: what is found is decided on bytes elsewhere.

A regular expression of a person's may take for ever on some line, and this runs on the event loop. So an expression
that can is not painted, one that may take long is tried on short texts, and a screen gets only so much time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from monitors.logs.types import Query

_MOST = 256  # places in one row
_LENGTHS = (8192, 2048, 256)  # longest text that is tried, by unbounded repeats in the expression
_BUDGET = 0.008  # seconds for one screen


class Highlighter:
    """Finds the places of a query in texts.

    Args:
        query: What is looked for; a level is not painted.
        clock: Seconds of processor time; that the machine is busy with something else is not counted.
    """

    def __init__(self, query: Query | None, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._left = _BUDGET
        self._pattern, self._longest = _compiled(query)

    def next_screen(self) -> None:
        """A new screen is painted."""
        self._left = _BUDGET

    def places(self, text: str) -> tuple[tuple[int, int], ...]:
        """Where it stands, as first character and one past the last."""
        if self._pattern is None or self._left <= 0 or not text:
            return ()
        began = self._clock()
        found = []
        for match in self._pattern.finditer(text[: self._longest]):
            if match.end() > match.start():
                found.append(match.span())
                if len(found) >= _MOST:
                    break
        self._left -= self._clock() - began
        return tuple(found)

    def holds(self, text: str) -> bool | None:
        """Whether it stands in a text, if only as nothing at all; None where that may take long to tell."""
        if self._pattern is None or len(text) > self._longest:
            return None
        return self._pattern.search(text) is not None


def problem(query: Query) -> str:
    """Why this cannot be looked for, in one line, or ""."""
    if not query.regex:
        return ""
    try:
        re.compile(query.text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"
    return ""


def _compiled(query: Query | None) -> tuple[re.Pattern[str] | None, int]:
    if query is None or not query.text:
        return None, 0
    flags = re.IGNORECASE if query.ignore_case else re.NOFLAG
    if not query.regex:
        return re.compile(re.escape(query.text), flags), _LENGTHS[0]
    try:
        repeats = _repeats(_parser.parse(query.text), inside=False)
        return (None, 0) if repeats is None else (re.compile(query.text, flags), _LENGTHS[min(repeats, 2)])
    except (re.error, OverflowError, RecursionError):
        return None, 0


def _repeats(parsed: Sequence[tuple[Any, Any]], *, inside: bool) -> int | None:
    """How many unbounded repeats there are; None where one stands within another, which may take for ever."""
    total = 0
    for code, argument in parsed:
        repeated = code in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and argument[1] > 16
        if repeated and inside:
            return None
        for part in _parts(argument):
            within = _repeats(part, inside=inside or repeated)
            if within is None:
                return None
            total += within
        total += repeated
    return total


def _parts(argument: Any) -> list[Any]:
    """Expressions within an argument of a parsed expression."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, (tuple, list)):
        return [part for one in argument for part in _parts(one)]
    return []
