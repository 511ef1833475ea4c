"""What a line says field by field: the JSON object in it, or its key=value pairs.

Numbers stay as they are written, keys that stand twice are shown twice, and text around the fields is shown too:
a structured view hides nothing that the line holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tui import cells
from tui.logs.rows import DisplayRow, Span, broken, text_row
from tui.sanitise import clean_inline, redact

MOST = 4096
"""Fields, and rows of them, that are shown of one line."""

_DEEP = 32  # levels that are set out; what is deeper stands on one row
_TRIES = 16  # braces at which an object may begin
_VALUE = 16 << 10  # characters of one value
_PAIR = re.compile(
    r"""(?<![\w.\-/@"'])([A-Za-z_@][\w.\-/@]{0,63})=("(?:[^"\\]|\\.){0,4096}"|'[^']{0,4096}'|[^\s,;\])}"']{1,4096})"""
)
_BLANK = re.compile(r"[\s,;|]*")


@dataclass(frozen=True)
class Entry:
    """One field.

    Attributes:
        depth: How far it is indented.
        key: Its name with what stands behind that, "" for none.
        value: What is shown of it; it may hold newlines.
    """

    depth: int
    key: str
    value: str


def entries(text: str) -> tuple[Entry, ...]:
    """The fields of a line, none where it has none; no more than MOST, and then one entry that says so.

    Args:
        text: The line, without colours. It is from outside, and so is all that comes back.
    """
    text = redact(text)  # before it is taken apart, which may take a secret from what tells it
    taken: list[Entry] = []
    try:
        for entry in _json(text) or _pairs(text):
            if len(taken) == MOST:
                return (*taken, Entry(0, "", f"⋯ more than {MOST:,} fields"))
            taken.append(entry)
    except RecursionError:
        return ()
    return tuple(taken)


def rows(found: tuple[Entry, ...], width: int) -> tuple[DisplayRow, ...]:
    """Rows of at most `width` cells, no more than MOST."""
    out: list[DisplayRow] = []
    for entry in found:
        for row in _rows(entry, width):
            if len(out) == MOST:
                return (*out, text_row("⋯ more"))
            out.append(row)
    return tuple(out)


def _rows(entry: Entry, width: int) -> Iterator[DisplayRow]:
    key, value = entry.key, entry.value
    more = ""
    if len(value) > _VALUE:
        more = f" ⋯ {len(value) - _VALUE:,} characters more"
    # Together, since the key may be what tells that the value is a secret
    said = redact(f"{key}{value[: 2 * _VALUE]}")[: len(key) + _VALUE] + more
    key, value = (said[: len(key)], said[len(key) :]) if said.startswith(key) else ("", said)
    indent = "  " * min(entry.depth, _DEEP)
    key = f"{indent}{clean_inline(key, limit=None)}"
    lines = value.split("\n")
    for number, line in enumerate(lines):
        head = key if number == 0 else indent + "  "
        text = head + clean_inline(line.expandtabs(4), limit=None)
        spans = (Span(len(indent), len(head), "secondary"),) if number == 0 and len(head) > len(indent) else ()
        yield from broken(text_row(text, spans), max(width, 8))


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _Pairs(list[tuple[str, object]]):
    """An object's members in their order, those with one name too."""

    __slots__ = ()


def _json(text: str) -> Iterator[Entry] | None:
    decoder = json.JSONDecoder(
        object_pairs_hook=_Pairs, parse_float=_Number, parse_int=_Number, parse_constant=_Number, strict=False
    )
    at = -1
    for _ in range(_TRIES):
        at = text.find("{", at + 1)
        if at < 0:
            return None
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, _Pairs) and value:
            return _object(text[:at].strip(), value, text[end:].strip())
    return None


def _object(before: str, value: _Pairs, behind: str) -> Iterator[Entry]:
    if before:
        yield Entry(0, "", before)
    yield from _members(value, 0)
    if behind:
        yield Entry(0, "", behind)


def _members(value: _Pairs, depth: int) -> Iterator[Entry]:
    for key, member in value:
        yield from _member(f"{json.dumps(key, ensure_ascii=False)}: ", member, depth)


def _member(key: str, value: object, depth: int) -> Iterator[Entry]:
    if isinstance(value, (_Pairs, list)) and value and depth < _DEEP and not _short(value):
        opening, closing = "{}" if isinstance(value, _Pairs) else "[]"
        yield Entry(depth, key, opening)
        if isinstance(value, _Pairs):
            yield from _members(value, depth + 1)
        else:
            for member in value:
                yield from _member("", member, depth + 1)
        yield Entry(depth, "", closing)
    elif isinstance(value, str) and not isinstance(value, _Number) and "\n" in value:
        yield Entry(depth, key, value)  # a traceback, say: as it is meant to be read
    else:
        yield Entry(depth, key, _inline(value))


def _short(value: Sequence[object]) -> bool:
    """A list of few plain values stands on one row."""
    return not isinstance(value, _Pairs) and len(value) <= 16 and not any(isinstance(one, list) for one in value)


def _inline(value: object) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, _Pairs):
        return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {_inline(one)}" for key, one in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _pairs(text: str) -> Iterator[Entry]:
    found = []
    for pair in _PAIR.finditer(text):
        found.append(pair)
        if len(found) > MOST:
            break
    if len(found) < 2:
        return
    room = min(24, max(cells.width(pair[1]) for pair in found))
    at = 0
    for pair in found:
        between = text[at : pair.start()]
        if not _BLANK.fullmatch(between):
            yield Entry(0, "", between.strip())
        at = pair.end()
        # The sign stays, since it tells a secret from other text
        yield Entry(0, f"{' ' * max(0, room - cells.width(pair[1]))}{pair[1]}=", pair[2])
    if not _BLANK.fullmatch(text[at:]):
        yield Entry(0, "", text[at:].strip())
