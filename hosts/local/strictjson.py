"""JSON as it must be read from files that others write: strict, bounded, and with a place in every complaint.

Python's own reader takes NaN, lets the last of two equal keys win and dies of deep nesting. Here each of these
is a JsonError that says where (SAFETY P1). The good path is one call of the C scanner; the position of an
error is looked for only once there is one.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Union

from hosts.errors import InputError
from hosts.host import Json

_MAX_DIGITS = 640  # the least that Python's own limit can be set to, so that no environment variable moves ours
_LONG_KEY = 64  # characters; longer ones are data rather than the name of a field
_SHOWN = 80  # characters of a key or a path that a message repeats

_BOMS = (
    (b"\xef\xbb\xbf", "a UTF-8 byte order mark"),
    (b"\xff\xfe\0\0", "a UTF-32 byte order mark"),
    (b"\0\0\xfe\xff", "a UTF-32 byte order mark"),
    (b"\xff\xfe", "a UTF-16 byte order mark"),
    (b"\xfe\xff", "a UTF-16 byte order mark"),
)
_FIRST_OF_BOMS = tuple({mark[:1] for mark, _ in _BOMS})
_TOKEN = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|-?(?:NaN|Infinity)|-?[0-9][0-9.eE+-]*',
    re.DOTALL,
)


class JsonError(InputError):
    """Text that is not strict JSON; the message begins with `where:line:column`.

    Attributes:
        where: The file's name as it was handed in, or "".
        line: Line of the fault, from 1.
        column: Column of the fault in characters, from 1.
        reason: The message without its place.
    """

    def __init__(self, where: str, line: int, column: int, reason: str) -> None:
        place = f"{where}:{line}:{column}" if where else f"{line}:{column}"
        super().__init__(f"{place}: {reason}")
        self.where = where
        self.line = line
        self.column = column
        self.reason = reason


class _RefusedError(ValueError):
    """Raised by a hook, which knows what is wrong and not where."""


@lru_cache(1024)
def _one(key: str) -> str:
    """The same string for equal keys: the thousands of records of a run have a dozen, and each would keep its own."""
    return key


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = {_one(key) if len(key) < _LONG_KEY else key: each for key, each in pairs}
    if len(value) != len(pairs):
        raise _RefusedError("duplicate key")
    return value


def _float(text: str) -> float:
    value = float(text)
    if value - value != 0.0:  # 1e999 is spelled as a number and read as infinity
        raise _RefusedError("number out of range")
    return value


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS and _digits(text) > _MAX_DIGITS:
        raise _RefusedError("number too long")
    return int(text)


def _digits(text: str) -> int:
    return len(text.lstrip("-"))


def _constant(text: str) -> Json:
    raise _RefusedError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_float, parse_int=_int, parse_constant=_constant)
# A text that is shorter than the longest number needs no look at the length of each: that is most records.
_SHORT = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_float, parse_constant=_constant)


def loads(data: Union[bytes, str], where: str = "", *, max_bytes: int = 64 << 20, max_depth: int = 200) -> Json:
    """Read one JSON value.

    Args:
        data: The whole file; bytes must be UTF-8 without a byte order mark.
        where: What to call the file in a message.
        max_bytes: Longer input is refused unread (characters, for a str).
        max_depth: Deepest allowed nesting of arrays and objects.

    Raises:
        JsonError: A duplicate key, NaN or Infinity, a number beyond range or of over 640 digits, too deep, too
            long, not UTF-8, a byte order mark, empty, or no JSON at all.
    """
    if len(data) > max_bytes:
        raise JsonError(where, 1, 1, f"too large: {len(data)} bytes, at most {max_bytes} are read")
    text = data if isinstance(data, str) else _decode(data, where)
    if text.startswith("\ufeff"):
        raise JsonError(where, 1, 1, "starts with a byte order mark; plain UTF-8 is needed")
    try:
        value: Json = (_SHORT if len(text) <= _MAX_DIGITS else _DECODER).decode(text)
    except json.JSONDecodeError as error:
        if not text.strip(" \t\r\n"):
            raise JsonError(where, 1, 1, "empty, no JSON value in it") from None
        raise JsonError(where, error.lineno, error.colno, _lower(error.msg)) from None
    except RecursionError:
        raise _explain(text, where, max_depth, "nested too deeply") from None
    except _RefusedError as error:
        raise _explain(text, where, max_depth, str(error)) from None
    if text.count("[") + text.count("{") > max_depth and _depth_exceeds(value, max_depth):
        raise _explain(text, where, max_depth, "nested too deeply")
    return value


def dumps(value: Json, *, indent: int | None = None) -> bytes:
    """Write one JSON value as UTF-8; compact, or indented and ending in a newline.

    Raises:
        JsonError: The value holds NaN or Infinity, or is nested too deeply.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent, separators=separators)
        if indent is not None:
            text += "\n"
        try:
            return text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, from a file name that is not UTF-8: \uXXXX carries it
            text = json.dumps(value, allow_nan=False, indent=indent, separators=separators)
            return (text if indent is None else text + "\n").encode()
    except (ValueError, RecursionError) as error:
        raise JsonError("", 1, 1, f"cannot be written as JSON: {_lower(str(error))}") from None


def _decode(data: bytes, where: str) -> str:
    for mark, name in _BOMS if data[:1] in _FIRST_OF_BOMS else ():
        if data.startswith(mark):
            raise JsonError(where, 1, 1, f"starts with {name}; plain UTF-8 is needed")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        start = error.start
        line = data.count(b"\n", 0, start) + 1
        column = len(data[data.rfind(b"\n", 0, start) + 1 : start].decode("utf-8", "replace")) + 1
        raise JsonError(where, line, column, f"not UTF-8: byte 0x{data[start]:02x} at offset {start}") from None


def _depth_exceeds(value: Json, limit: int) -> bool:
    """Level by level, so that it costs no recursion."""
    level: list[Json] = [value]
    for _ in range(limit):
        below: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(child for child in item.values() if isinstance(child, (dict, list)))
            elif isinstance(item, list):
                below.extend(child for child in item if isinstance(child, (dict, list)))
        if not below:
            return False
        level = below
    return True


class _Frame:
    """One open array or object of the scan: where we are in it."""

    def __init__(self, is_object: bool) -> None:
        self.keys: dict[str, int] | None = {} if is_object else None
        self.at: str | int = "" if is_object else 0
        self.want_key = is_object


def _explain(text: str, where: str, max_depth: int, otherwise: str) -> JsonError:
    """Find the first thing that a hook refuses, in the order of the text, and say where it is."""
    stack: list[_Frame] = []
    for match in _TOKEN.finditer(text):
        token, at = match.group(), match.start()
        first = token[0]
        if first in "{[":
            if len(stack) >= max_depth:
                return _error(text, where, at, f"nested too deeply, at most {max_depth} levels are read")
            stack.append(_Frame(first == "{"))
        elif first in "}]":
            if stack:
                stack.pop()
        elif first == ",":
            if stack:
                frame = stack[-1]
                if isinstance(frame.at, int):
                    frame.at += 1
                frame.want_key = frame.keys is not None
        elif first == '"':
            frame = stack[-1] if stack else _Frame(False)
            if frame.keys is not None and frame.want_key:
                key = _unescape(token)
                if key in frame.keys:
                    line = text.count("\n", 0, frame.keys[key]) + 1
                    return _error(text, where, at, f"duplicate key {_path(stack[:-1], key)} (first on line {line})")
                frame.keys[key] = at
                frame.at, frame.want_key = key, False
        elif first != ":":
            why = _number_fault(token)
            if why:
                return _error(text, where, at, f"{why} (at {_path(stack)})" if stack else why)
    return _error(text, where, 0, otherwise)


def _number_fault(token: str) -> str | None:
    if token.lstrip("-")[0] in "NI":
        return f"{token} is not JSON"
    if not any(c in token for c in ".eE"):
        digits = _digits(token)
        return f"a number of {digits} digits, at most {_MAX_DIGITS} are read" if digits > _MAX_DIGITS else None
    try:
        _float(token)
    except _RefusedError:
        return f"{_cut(token)} is out of range"
    except ValueError:
        return None  # "1-2": the parser would have said so further on
    return None


def _unescape(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token[1:-1]


def _path(stack: list[_Frame], key: str | None = None) -> str:
    parts = [f"[{frame.at}]" if isinstance(frame.at, int) else f".{frame.at}" for frame in stack]
    if key is not None:
        parts.append(f".{key}")
    return json.dumps(_cut("".join(parts).lstrip(".")), ensure_ascii=True)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _error(text: str, where: str, at: int, reason: str) -> JsonError:
    return JsonError(where, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), reason)
