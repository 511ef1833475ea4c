"""The room that a project leaves between a reference and the limit of its test (spec/calibration.md, section 6).

Slack is a decision of people: it is read to say what a gate will really do, and never enters what is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Union

from gates.calibration.source import Call, Name, Other, SourceFacts, Table, Value, import_paths, number_of
from gates.calibration.values import Worst

HIGHER, LOWER = "THRESHOLD_SLACK_HIGHER", "THRESHOLD_SLACK_LOWER"

_NAME = re.compile(r"(?:\w+_)?THRESHOLD_SLACK_(?:HIGHER|LOWER)\Z")
_HELPER = re.compile(r"apply_(?:\w+_)?slack\Z")

_Use = Union[Call, Other]


@dataclass(frozen=True)
class Slack:
    """What a reference is multiplied by to get the limit.

    Attributes:
        multiplier: Below 1 for a lower bound, above 1 for an upper one.
        why: Where it was read.
    """

    multiplier: float
    why: str


def slack_of(
    facts: Mapping[str, SourceFacts],
    path: str,
    symbol: str,
    worst: Worst,
    config: Mapping[str, float] | None = None,
) -> Slack | None:
    """The slack of one reference, None where it cannot be read: unknown, never "none".

    Read from every module-level expression that uses the symbol: the THRESHOLD_SLACK_HIGHER (for a lower bound) or
    THRESHOLD_SLACK_LOWER (for an upper one) named in it, prefixed ones too; else that of the module which an
    `apply_*_slack` helper in it comes from. Expressions that disagree make it unknown. Else config decides.

    Args:
        facts: What the sources say, by path.
        path: The file that holds the reference.
        symbol: Its name.
        worst: "min" for a lower bound.
        config: The model's `slack`: {"higher": 0.9, "lower": 1.1}, or with the constants' names.
    """
    source = facts.get(path)
    found = {
        slack
        for constant in (source.constants if source is not None and source.error is None else ())
        for use in _uses(constant.value)
        if symbol in use.names
        for slack in [_read(facts, path, use, worst)]
    }
    if len(found) == 1:
        only = found.pop()
        if only is not None:
            return only
    return _configured(config or {}, worst)


def _read(facts: Mapping[str, SourceFacts], path: str, use: _Use, worst: Worst) -> Slack | None:
    wanted = HIGHER if worst == "min" else LOWER
    named = sorted({name for name in use.names if _NAME.match(name)})
    if named:
        fitting = [name for name in named if name.endswith(wanted)]
        return _number(facts, path, fitting[0], f"{fitting[0]} in {path}") if len(fitting) == 1 else None
    helper = use.function.rpartition(".")[2] if isinstance(use, Call) else ""
    if not _HELPER.match(helper):
        return None
    homes = [
        next((place for place in group if place in facts), None)
        for one in facts[path].imports
        if one.top and one.alias == helper
        for group in import_paths(path, one.module, one.level)
    ]
    places = sorted({home for home in homes if home is not None and home != path}) or [path]
    if len(places) != 1:
        return None
    return _number(facts, places[0], wanted, f"{wanted} in {places[0]}, through {helper}")


def _number(facts: Mapping[str, SourceFacts], path: str, name: str, why: str) -> Slack | None:
    number = number_of(facts, path, name)
    return None if number is None else _checked(number.value, why)


def _configured(config: Mapping[str, float], worst: Worst) -> Slack | None:
    keys = ("higher", HIGHER) if worst == "min" else ("lower", LOWER)
    value = next((config[key] for key in keys if key in config), None)
    return None if value is None else _checked(value, "slack in the model's config.yaml")


def _checked(value: float, why: str) -> Slack | None:
    try:
        multiplier = float(value)
    except OverflowError:
        return None
    return Slack(multiplier, why) if math.isfinite(multiplier) and multiplier > 0 else None


def _uses(value: Value) -> Iterator[_Use]:
    if isinstance(value, (Call, Other)):
        yield value
    elif isinstance(value, Name):
        yield Other((value.name,))
    elif isinstance(value, Table):
        for entry in value.entries:
            yield from _uses(entry.value)
