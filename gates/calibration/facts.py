"""What a test or threshold file says, as its own project's Python reads it (spec/calibration.md, sections 2 and 6).

The facts are found on the host where the file lies and travel as JSON; this module gives them types. What follows
from them is in `gates.calibration.source`, which exports these too.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Union

from gates.documents import Json

KEYWORDS = ("max_samples", "max_tokens", "max_new_tokens", "max_concurrency", "concurrency")
_MAX_DEPTH = 100

Key = Union[int, float, str]


class FactsError(ValueError):
    """A document does not have the shape of source facts; the message names the key."""


@dataclass(frozen=True)
class Number:
    """A numeric literal.

    Attributes:
        text: As it stands in the file, sign included.
        start, end: Byte offsets in the file, sign included and parentheses around it not; -1 in a file whose
            literals cannot be located (`SourceFacts.unlocated`).
    """

    text: str
    start: int
    end: int
    value: int | float
    is_int: bool


@dataclass(frozen=True)
class Name:
    """`X = Y`."""

    name: str


@dataclass(frozen=True)
class Call:
    """`X = function(Y, …)`, with every name used in it; `function` may be dotted, and is "" when it is no name."""

    function: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One entry of a dict display.

    Attributes:
        key: The literal key; None when it is something else.
        key_name: The key when it is a bare name.
    """

    key: Key | None
    key_name: str | None
    value: Value


@dataclass(frozen=True)
class Table:
    """A dict display, `{…}`."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Text:
    """A string literal."""

    text: str


@dataclass(frozen=True)
class Other:
    """Anything else, with every name used in it; `why` says what it is, such as "None" or "assigned under if"."""

    names: tuple[str, ...] = ()
    why: str = ""


Value = Union[Number, Name, Call, Table, Text, Other]
Ref = Union[Number, Name]


@dataclass(frozen=True)
class Constant:
    """A name that the module binds; bound or changed again, it appears again."""

    name: str
    line: int
    annotated: bool
    value: Value


@dataclass(frozen=True)
class Import:
    """`from module import name as alias`, or `import module as alias` with an empty `name`.

    Attributes:
        level: Leading dots.
        top: The module itself runs it; False inside a function or class.
    """

    module: str
    name: str
    alias: str
    level: int
    top: bool = True


@dataclass(frozen=True)
class Function:
    """A test function, wherever it is; `tmp_subs` are the literals of `tmp_path / "<sub>"` in it."""

    name: str
    params: tuple[str, ...]
    tmp_subs: tuple[str, ...]


@dataclass(frozen=True)
class SourceFacts:
    """What one file says.

    Attributes:
        path: Relative to the repository, with "/".
        sha256: Of its bytes; "" when they could not be read.
        error: Why there are no facts: unreadable, not a file, a syntax error with its line.
        unlocated: Why its literals have no offsets (an encoding in which they are not certain).
        constants: In the order of the file.
        keywords: What was passed anywhere in the file as one of `KEYWORDS`.
        mode: Permission bits as on the host, None when unknown.
        inode: As on the host, None when unknown.
        data: The bytes themselves, where they were asked for.
    """

    path: str
    sha256: str
    error: str | None = None
    constants: tuple[Constant, ...] = ()
    imports: tuple[Import, ...] = ()
    functions: tuple[Function, ...] = ()
    keywords: Mapping[str, tuple[Ref, ...]] = field(default_factory=lambda: MappingProxyType({}))
    unlocated: str | None = None
    mode: int | None = None
    inode: int | None = None
    data: bytes | None = field(default=None, repr=False)

    def named(self, name: str) -> tuple[Constant, ...]:
        """Every binding of `name`."""
        return tuple(constant for constant in self.constants if constant.name == name)


def parse_facts(document: Json) -> SourceFacts:
    """Read one file's facts.

    Raises:
        FactsError: The document has another shape.
    """
    body = _object(document, "facts")
    keywords = _object(body.get("keywords", {}), "keywords")
    return SourceFacts(
        path=_text(body, "path"),
        sha256=_text(body, "sha256"),
        error=_optional(body, "error"),
        constants=tuple(_constant(one) for one in _list(body, "constants")),
        imports=tuple(_import(one) for one in _list(body, "imports")),
        functions=tuple(_function(one) for one in _list(body, "functions")),
        keywords=MappingProxyType({name: tuple(map(_ref, _sequence(refs, name))) for name, refs in keywords.items()}),
        unlocated=_optional(body, "unlocated"),
        mode=_optional_int(body, "mode"),
        inode=_optional_int(body, "inode"),
        data=_bytes(body, "data"),
    )


def parse_all(document: Json) -> dict[str, SourceFacts]:
    """Read the facts of many files, by path, as the host's `sources` verb gives them.

    Raises:
        FactsError: The document has another shape.
    """
    return {path: parse_facts(one) for path, one in _object(document, "facts").items()}


def _constant(document: Json) -> Constant:
    body = _object(document, "constants")
    return Constant(
        _text(body, "name"), _int(body, "line"), body.get("annotated") is True, _value(body.get("value"), 0)
    )


def _value(document: Json, depth: int) -> Value:
    if depth > _MAX_DEPTH:
        raise FactsError("value: nested too deeply")
    body = _object(document, "value")
    kind = _text(body, "kind")
    if kind == "number":
        return _number(body)
    if kind == "name":
        return Name(_text(body, "name"))
    if kind == "call":
        return Call(_text(body, "function"), _texts(body, "names"))
    if kind == "table":
        return Table(tuple(_entry(one, depth) for one in _list(body, "entries")))
    if kind == "text":
        return Text(_text(body, "text"))
    if kind == "other":
        return Other(_texts(body, "names"), _optional(body, "why") or "")
    raise FactsError(f"kind: {kind!r} is unknown")


def _entry(document: Json, depth: int) -> Entry:
    body = _object(document, "entries")
    key = body.get("key")
    if isinstance(key, (bool, list, dict)):
        raise FactsError("key: neither a number nor a string")
    return Entry(key, _optional(body, "key_name"), _value(body.get("value"), depth + 1))


def _number(body: Mapping[str, Json]) -> Number:
    value, is_int = body.get("value"), body.get("is_int")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or is_int is not isinstance(value, int):
        raise FactsError("value: not a number of its kind")
    return Number(_text(body, "text"), _int(body, "start"), _int(body, "end"), value, is_int)


def _ref(document: Json) -> Ref:
    value = _value(document, 0)
    if not isinstance(value, (Number, Name)):
        raise FactsError("keywords: neither a number nor a name")
    return value


def _import(document: Json) -> Import:
    body = _object(document, "imports")
    names = (_text(body, "module"), _text(body, "name"), _text(body, "alias"))
    return Import(*names, _int(body, "level"), body.get("top") is not False)


def _function(document: Json) -> Function:
    body = _object(document, "functions")
    return Function(_text(body, "name"), _texts(body, "params"), _texts(body, "tmp_subs"))


def _object(document: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(document, dict):
        raise FactsError(f"{where}: not an object")
    return document


def _sequence(document: Json, where: str) -> Sequence[Json]:
    if not isinstance(document, list):
        raise FactsError(f"{where}: not a list")
    return document


def _list(body: Mapping[str, Json], key: str) -> Sequence[Json]:
    return _sequence(body.get(key, []), key)


def _text(body: Mapping[str, Json], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise FactsError(f"{key}: not a string")
    return value


def _texts(body: Mapping[str, Json], key: str) -> tuple[str, ...]:
    values = [value for value in _list(body, key) if isinstance(value, str)]
    if len(values) != len(_list(body, key)):
        raise FactsError(f"{key}: not a list of strings")
    return tuple(values)


def _int(body: Mapping[str, Json], key: str) -> int:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FactsError(f"{key}: not a whole number")
    return value


def _optional(body: Mapping[str, Json], key: str) -> str | None:
    return None if body.get(key) is None else _text(body, key)


def _bytes(body: Mapping[str, Json], key: str) -> bytes | None:
    text = _optional(body, key)
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except ValueError:
        raise FactsError(f"{key}: not base64") from None


def _optional_int(body: Mapping[str, Json], key: str) -> int | None:
    return None if body.get(key) is None else _int(body, key)
