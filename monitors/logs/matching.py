"""What a scan is asked for, of what a person wants to see."""

from __future__ import annotations

import re
from functools import cache

from hosts.errors import InputError
from hosts.local.blocks import Alarm, Matcher, Pattern, Sign
from hosts.local.regexes import compile_row
from monitors.logs.types import Filter, Query


def matcher_of(wanted: Query | Filter) -> Matcher:
    """What a scan looks for; of a filter everything but its two places and the context.

    A query for a level finds rows that name one; a filter takes in the rows behind those as well. What asks for
    failures finds rows that name the level or tell of a failure themselves, in a filter too.

    Raises:
        InputError: An expression is none.
    """
    spec = Filter(include=(wanted,)) if isinstance(wanted, Query) else wanted
    alarming = [one.level.rank for one in spec.include if one.level is not None and one.failures]
    least = [one.level.rank for one in spec.include if one.level is not None and not one.failures]
    least += [spec.level.rank] if spec.level is not None else []
    below = [one.level.rank for one in spec.exclude if one.level is not None]
    return Matcher(
        include=tuple(_pattern(one) for one in spec.include if one.level is None),
        exclude=tuple(_pattern(one) for one in spec.exclude if one.level is None),
        level=max(least, default=None),
        below=min(below, default=None),
        inherit=isinstance(wanted, Filter),
        alarm=_failures(max(alarming)) if alarming else None,
    )


@cache
def _failures(level: int) -> Alarm:
    from gates.calibration.signatures import FAILURES, HINT, SPEECH  # their expressions take a part of a start

    signs = tuple(Sign(row.words, row.pattern.pattern) for row in FAILURES)
    return Alarm(level, signs, HINT.pattern, SPEECH.pattern)


def _pattern(query: Query) -> Pattern:
    if query.regex:
        try:
            compile_row(query.text)
        except re.error as error:
            raise InputError(f"not a regular expression: {error}") from None
    return Pattern(query.text, query.regex, query.ignore_case)
