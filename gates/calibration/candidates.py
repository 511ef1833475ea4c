"""Which constants of a source file are thresholds to calibrate, and which only look like it (section 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gates.calibration.patterns import (
    Pattern,
    is_constant,
    looks_like_threshold,
    match_key,
    match_name,
    skipped_name,
    skipped_value,
)
from gates.calibration.source import Call, Constant, Name, Number, Other, SourceFacts, Table, Value


@dataclass(frozen=True)
class Candidate:
    """A constant that is a metric: `symbol`, or the inner key `subkey` of the dict of dicts `symbol`."""

    symbol: str
    subkey: str | None
    pattern: Pattern

    @property
    def source(self) -> str:
        """As stages.yaml names it: `NAME`, or `NAME['key']`."""
        return source_of(self.symbol, self.subkey)


@dataclass(frozen=True)
class Noted:
    """A constant that a person should look at once, and why."""

    path: str
    line: int
    source: str
    why: str


@dataclass(frozen=True)
class Scan:
    """What one file's constants are.

    Attributes:
        found: In the order of the file.
        unmatched: They look like thresholds, and nothing calibrates them.
        ignored: Literals that the rules leave out.
    """

    found: tuple[Candidate, ...]
    unmatched: tuple[Noted, ...]
    ignored: tuple[Noted, ...]


def source_of(symbol: str, subkey: str | None) -> str:
    """How stages.yaml names a threshold."""
    return symbol if subkey is None else f"{symbol}[{subkey!r}]"


def scan(facts: SourceFacts, rows: Sequence[Pattern], ignored: Sequence[str] = ()) -> Scan:
    """Sort a file's constants."""
    found: dict[tuple[str, str | None], Candidate] = {}
    unmatched: dict[str, Noted] = {}
    left_out: dict[str, Noted] = {}
    seen: set[str] = set()
    for constant in facts.constants:
        if not is_constant(constant.name) or constant.name in seen:
            continue
        seen.add(constant.name)
        why = skipped_name(constant.name, ignored) or _derived(constant.value)
        if why is not None:
            if constant.name.lstrip("_") in {name.lstrip("_") for name in ignored} or _is_literal_threshold(constant):
                left_out[constant.name] = Noted(facts.path, constant.line, constant.name, why)
            continue
        for symbol, subkey, row, doubt in _readings(constant, rows):
            source = source_of(symbol, subkey)
            if source in ignored:
                left_out[source] = Noted(facts.path, constant.line, source, "listed under ignored_constants")
            elif row is not None and not doubt:
                found[symbol, subkey] = Candidate(symbol, subkey, row)
            elif doubt:
                unmatched[source] = Noted(facts.path, constant.line, source, doubt)
    return Scan(tuple(found.values()), tuple(unmatched.values()), tuple(left_out.values()))


def claim(name: str, filters: Mapping[str, str | None]) -> tuple[str, ...]:
    """Who carries a constant: those whose filter admits it, else those without a filter.

    Args:
        filters: By owner. They match from the start of the name without its leading underscores, and of several
            the one that says most of the name wins: `TTS_V2_` before `TTS_`. Several that say as much all carry it.
    """
    bare = name.lstrip("_")
    reach: dict[str, int] = {}
    for owner, text in filters.items():
        found = re.match(text, bare) if text is not None else None
        if found is not None:
            reach[owner] = found.end()
    if reach:
        return tuple(owner for owner in reach if reach[owner] == max(reach.values()))
    return tuple(owner for owner, text in filters.items() if text is None)


def prefer(candidates: Sequence[Candidate]) -> Candidate:
    """Of several constants for one metric the one that is its reference: `_REF`, `_REFERENCE`, else the first."""
    for ending in ("_REF", "_REFERENCE"):
        for candidate in candidates:
            if candidate.symbol.endswith(ending):
                return candidate
    return candidates[0]


_Reading = tuple[str, "str | None", "Pattern | None", str]


def _readings(constant: Constant, rows: Sequence[Pattern]) -> Iterator[_Reading]:
    """Everything in one constant that may be a threshold: symbol, inner key, its row, and what speaks against it."""
    name, value = constant.name, constant.value
    if isinstance(value, Table):
        yield from _in_table(name, value, rows)
        return
    row = match_name(name, rows)
    if isinstance(value, Number):
        if row is not None or looks_like_threshold(name):
            yield name, None, row, "" if row is not None else "no row of the registry knows it"
    elif row is not None and isinstance(value, (Name, Call, Other)):
        yield name, None, row, f"named like {row.metric_key}, but its value is {_described(value)}"


def _in_table(name: str, table: Table, rows: Sequence[Pattern]) -> Iterator[_Reading]:
    inner: dict[str, list[Value]] = {}
    flat: dict[str, list[Value]] = {}
    for entry in table.entries:
        if isinstance(entry.value, Table):
            for one in entry.value.entries:
                if isinstance(one.key, str):
                    inner.setdefault(one.key, []).append(one.value)
        elif isinstance(entry.key, str):
            flat.setdefault(entry.key, []).append(entry.value)
    known = any(match_key(key, rows) for key in inner)
    for key, values in inner.items():
        row = match_key(key, rows)
        if any(isinstance(value, Number) for value in values):
            if row is not None:
                yield name, key, row, ""
            elif known or looks_like_threshold(name) or looks_like_threshold(key.upper()):
                yield name, key, None, "no row of the registry knows this key"
        elif row is not None:
            yield name, key, row, f"named like {row.metric_key}, but its value is {_described(values[0])}"
    for key, values in flat.items():
        if any(isinstance(value, Number) for value in values) and (
            match_key(key, rows) or looks_like_threshold(name) or looks_like_threshold(key.upper())
        ):
            yield name, key, None, "in a plain dict; only dicts of dicts are read"


def _derived(value: Value) -> str | None:
    if isinstance(value, Call):
        return skipped_value(value.function, value.names)
    if isinstance(value, Name):
        return skipped_value("", (value.name,))
    return skipped_value("", value.names) if isinstance(value, Other) else None


def _is_literal_threshold(constant: Constant) -> bool:
    return isinstance(constant.value, Number) and constant.name.endswith(("_THRESHOLD", "_THRESHOLDS"))


def _described(value: Value) -> str:
    if isinstance(value, Name):
        return f"that of {value.name}"
    if isinstance(value, Call):
        return f"made by {value.function or 'a call'}"
    return value.why or "computed" if isinstance(value, Other) else "not a number"
