"""Whether a manifest is still that of its sources: hashes that a changed threshold does not change (section 2).

The number of a threshold is what a calibration is there to change. So the hash that says whether a file has moved on
is taken over its bytes with exactly those numbers blanked; the plain one stays beside it for older readers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from gates.calibration.source import Number, SourceFacts, Table, Value
from gates.documents import Json

Symbol = tuple[str, "str | None"]

_NESTED = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)\[(?P<quote>['\"])(?P<key>.+)(?P=quote)\]\Z")
_BLANK = b"0"


@dataclass(frozen=True)
class Stale:
    """A source file that is no longer the one that a manifest was made from.

    Attributes:
        path: Relative to the repository.
        constants: Thresholds of the manifest that are no longer there as literals; empty when all still are and
            something around them changed.
        why: Why nothing can be read from it, None when it can.
    """

    path: str
    constants: tuple[str, ...]
    why: str | None = None

    def __str__(self) -> str:
        if self.why is not None:
            return f"{self.path}: {self.why}"
        what = f"moved: {', '.join(self.constants)}" if self.constants else "its thresholds are still where they were"
        return f"{self.path} changed since stages.yaml was made from it; {what}"


def symbol_of(source: str) -> Symbol:
    """`NAME` or `NAME['key']` in its parts."""
    found = _NESTED.match(source)
    return (found["name"], found["key"]) if found else (source, None)


def spans(facts: SourceFacts, symbols: Collection[Symbol]) -> tuple[tuple[int, int], ...]:
    """Where the literals of these thresholds stand: byte offsets, sorted; every outer key of a dict of dicts counts."""
    wanted: dict[str, set[str | None]] = {}
    for name, key in symbols:
        wanted.setdefault(name, set()).add(key)
    found = {
        (number.start, number.end)
        for constant in facts.constants
        for key in wanted.get(constant.name, ())
        for number in _numbers(constant.value, key)
    }
    return tuple(sorted(found))


def blanked_sha256(data: bytes, facts: SourceFacts, symbols: Collection[Symbol]) -> str | None:
    """The hash of a source with the literals of these thresholds blanked.

    Returns:
        None when the literals cannot be located, or `data` is not what the facts were read from.
    """
    if facts.error is not None or facts.unlocated is not None or hashlib.sha256(data).hexdigest() != facts.sha256:
        return None
    parts: list[bytes] = []
    at = 0
    for start, end in spans(facts, symbols):
        if not at <= start < end <= len(data):
            return None
        parts += [data[at:start], _BLANK]
        at = end
    return hashlib.sha256(b"".join([*parts, data[at:]])).hexdigest()


def sources_of(document: Json) -> dict[str, tuple[str, ...]]:
    """The thresholds of a manifest's data by the file that holds them; tests without any are there too."""
    found: dict[str, dict[str, None]] = {}
    for stage in _stages(document):
        test, other = stage.get("test"), stage.get("threshold_file")
        paths = [path for path in (test, other) if isinstance(path, str)]
        for path in paths:
            found.setdefault(path, {})
        metrics = stage.get("metrics")
        for metric in metrics.values() if isinstance(metrics, dict) and paths else ():
            source = metric.get("source") if isinstance(metric, dict) else None
            if isinstance(source, str):
                found[paths[-1]][source] = None
    return {path: tuple(sources) for path, sources in found.items()}


def stale(document: Json, facts: Mapping[str, SourceFacts], data: Mapping[str, bytes]) -> tuple[Stale, ...]:
    """Which sources of a manifest have changed since it was made, and which of its thresholds moved by that.

    Args:
        document: The manifest's data, all its stages.
        facts: Of its test and threshold files as they are now.
        data: Their bytes; where they are missing the plain hash alone is compared.
    """
    recorded = _recorded(document)
    found: list[Stale] = []
    for path, sources in sources_of(document).items():
        plain, blanked = recorded.get(path, (None, None))
        now = facts.get(path)
        if now is None or now.error is not None:
            found.append(Stale(path, sources, "is not there any more" if now is None else now.error))
            continue
        if plain is None or plain == now.sha256:
            continue
        symbols = [symbol_of(source) for source in sources]
        if blanked is not None and path in data and blanked_sha256(data[path], now, symbols) == blanked:
            continue
        moved = tuple(source for source, symbol in zip(sources, symbols, strict=True) if not _stands(now, symbol))
        found.append(Stale(path, moved))
    return tuple(found)


def _stands(facts: SourceFacts, symbol: Symbol) -> bool:
    bound = facts.named(symbol[0])
    return len(bound) == 1 and any(True for _ in _numbers(bound[0].value, symbol[1]))


def _numbers(value: Value, key: str | None) -> Iterator[Number]:
    if key is None:
        if isinstance(value, Number):
            yield value
        return
    for entry in value.entries if isinstance(value, Table) else ():
        if isinstance(entry.value, Table):
            yield from (one.value for one in entry.value.entries if one.key == key and isinstance(one.value, Number))
        elif entry.key == key and isinstance(entry.value, Number):
            yield entry.value


def _stages(document: Json) -> Iterator[Mapping[str, Json]]:
    if isinstance(document, dict):
        yield from (stage for stage in document.values() if isinstance(stage, dict))


def _recorded(document: Json) -> dict[str, tuple[str | None, str | None]]:
    """Plain and blanked hash by file, as the manifest has them."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for stage in _stages(document):
        for path, key in (
            (stage.get("test"), "test_file_sha256"),
            (stage.get("threshold_file"), "threshold_file_sha256"),
        ):
            if isinstance(path, str):
                plain, blanked = stage.get(key), stage.get(f"{key}_blanked")
                found[path] = (
                    str(plain) if plain is not None else None,
                    str(blanked) if blanked is not None else None,
                )
    return found
