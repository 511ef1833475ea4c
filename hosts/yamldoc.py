"""YAML that people write, as plain data with the line of everything in it.

Scalars are typed by the core schema of YAML 1.2, less its surprises: `on`, `no`, `012`, `1:20` and dates stay
text, and what was typed can always be had back, because an environment variable set to 1.10 is not 1.1
(SAFETY P3). The parser's events are read one by one, so that depth and aliases are bounded before anything
is built.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Union

import yaml

from hosts.errors import InputError
from hosts.host import Json

Path = tuple[Union[str, int], ...]

MAX_BYTES = 8 << 20
_MAX_DEPTH = 100
_MAX_ALIASES = 1000
_MAX_ALIASED_NODES = 100_000
_MAX_DIGITS = 4300
_SHOWN = 80  # characters of a key or a value that a message repeats
_TAG = "tag:yaml.org,2002:"

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_ENDLESS = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


class YamlError(InputError):
    """YAML that cannot be used; the message is one line and begins with `where:line`.

    Attributes:
        where: The file's name as it was handed in.
        line: Line of the fault, from 1.
        reason: The message without its place.
    """

    def __init__(self, where: str, line: int, reason: str) -> None:
        super().__init__(f"{where}:{line}: {reason}")
        self.where = where
        self.line = line
        self.reason = reason


@dataclass
class _Node:
    """One value with its place; `parts` are its children by key or index, each with the place of its key."""

    line: int
    column: int
    value: Json = None
    text: str | None = None
    parts: dict[str | int, tuple[_Node, int, int]] | None = None
    is_list: bool = False
    size: int = 1
    height: int = 0
    open: bool = False


@dataclass(frozen=True)
class YamlDocument:
    """What a file says, and where it says it.

    Paths are tuples of keys and indices: `("metrics", 0, "name")`.

    Attributes:
        value: Plain data. Keys are always text, as typed.
        where: The file's name as it was handed in.
    """

    value: Json
    where: str
    _root: _Node = field(repr=False, compare=False)

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column, from 1, of the key or item at `path`; of the nearest thing around it where it is missing."""
        node = self._root
        place = (node.line, node.column)
        for step in path:
            found = node.parts.get(step) if node.parts is not None else None
            if found is None:
                break
            node, *place_of_key = found
            place = (place_of_key[0], place_of_key[1])
        return place

    def line_of(self, path: Path) -> int:
        """The line, from 1, as `position` finds it."""
        return self.position(path)[0]

    def text(self, path: Path) -> str | None:
        """The scalar at `path` as it was typed (`1.10` is "1.10"); None where there is none."""
        node: _Node | None = self._root
        for step in path:
            found = node.parts.get(step) if node is not None and node.parts is not None else None
            node = found[0] if found is not None else None
        return node.text if node is not None else None

    def locate(self, path: Path) -> str:
        """Place and path in one: "file:12: a.b[2].c"."""
        return f"{self.where}:{self.line_of(path)}: {dotted(path)}"

    def error(self, path: Path, reason: str) -> YamlError:
        """An error about what stands at `path`."""
        return YamlError(self.where, self.line_of(path), f"{dotted(path)}: {reason}" if path else reason)


def dotted(path: Path) -> str:
    """A path as people write it: `a.b[2].c`, and `a["x y"]` for a key that needs quotes."""
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
        elif _PLAIN_KEY.match(step):
            out += f".{step}" if out else step
        else:
            out += f"[{json.dumps(step[:_SHOWN], ensure_ascii=False)}]"
    return out


def load(data: bytes, where: str) -> YamlDocument:
    """Read one YAML document.

    Args:
        data: The whole file, in UTF-8.
        where: What to call the file in a message.

    Raises:
        YamlError: It is no YAML, not UTF-8, over 8 MiB, nested over 100 deep, holds a duplicate key, a second
            document, a tag of its own, a number that is not finite, or more aliases than any honest file.
    """
    if len(data) > MAX_BYTES:
        raise YamlError(where, 1, f"too large: {len(data)} bytes, at most {MAX_BYTES} are read")
    text = _decode(data, where)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = _Builder(where).build(yaml.parse(text, Loader=loader))
    except yaml.YAMLError as error:
        raise _parser_error(error, text, where) from None
    return YamlDocument(_data(root), where, root)


class _Builder:
    """Builds nodes from the parser's events, without recursion."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._anchors: dict[str, _Node] = {}
        self._aliases = 0
        self._aliased_nodes = 0

    def build(self, events: Iterator[yaml.Event]) -> _Node:
        root = _Node(1, 1)
        stack: list[_Node] = []
        keys: list[_Node | None] = []  # for each open collection: the key that waits for its value
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "a second document starts here; one file holds one")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                node = stack.pop()
                keys.pop()
                self._close(node)
            elif isinstance(event, yaml.NodeEvent):
                node = self._open(event)
                if node.open:
                    if len(stack) >= _MAX_DEPTH:
                        raise self._error(event, f"nested too deeply, at most {_MAX_DEPTH} levels are read")
                    stack.append(node)
                    keys.append(None)
                    continue
            else:
                continue
            if not stack:
                root = node
            else:
                keys[-1] = self._add(stack[-1], keys[-1], node, len(stack))
        return root

    def _open(self, event: yaml.NodeEvent) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        node = _Node(*_place(event))
        if isinstance(event, yaml.ScalarEvent):
            node.text = event.value
            node.value = self._scalar(event)
        else:
            node.is_list = isinstance(event, yaml.SequenceStartEvent)
            node.parts, node.open = {}, True
            wanted = _TAG + ("seq" if node.is_list else "map")
            tag = event.tag if isinstance(event, yaml.CollectionStartEvent) else None
            if tag not in (None, "!", wanted):
                raise self._error(event, f"tag {_short(tag)} is not read")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> _Node:
        name = event.anchor or ""
        target = self._anchors.get(name)
        if target is None:
            raise self._error(event, f"alias *{name[:_SHOWN]} has no anchor before it")
        if target.open:
            raise self._error(event, f"alias *{name[:_SHOWN]} stands within what it refers to")
        self._aliases += 1
        self._aliased_nodes += target.size
        if self._aliases > _MAX_ALIASES or self._aliased_nodes > _MAX_ALIASED_NODES:
            raise self._error(event, "too many aliases, or they stand for too much")
        return target

    def _add(self, parent: _Node, key: _Node | None, node: _Node, depth: int) -> _Node | None:
        """Put a finished node into its collection; returns the key that now waits for its value."""
        assert parent.parts is not None
        if parent.is_list:
            place: tuple[str | int, int, int] = (len(parent.parts), node.line, node.column)
        elif key is None:
            if node.parts is not None or node.text is None:
                raise YamlError(self._where, node.line, "a key must be a plain word, not a list or a mapping")
            if node.text == "":
                raise YamlError(self._where, node.line, "an empty key")
            return node
        else:
            assert key.text is not None
            place = (key.text, key.line, key.column)
            earlier = parent.parts.get(key.text)
            if earlier is not None:
                reason = f"duplicate key {key.text[:_SHOWN]!r} (first on line {earlier[1]})"
                raise YamlError(self._where, key.line, reason)
        if depth + node.height > _MAX_DEPTH:
            raise YamlError(self._where, node.line, f"nested too deeply, at most {_MAX_DEPTH} levels are read")
        parent.parts[place[0]] = (node, place[1], place[2])
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        return None

    def _close(self, node: _Node) -> None:
        node.open = False
        if node.is_list or not node.parts or "<<" not in node.parts:
            return
        merged, line, _ = node.parts.pop("<<")
        sources = [part[0] for part in (merged.parts or {}).values()] if merged.is_list else [merged]
        for source in sources:
            if source.parts is None or source.is_list:
                raise YamlError(self._where, line, "<< must be followed by a mapping, or by a list of them")
            for key, part in source.parts.items():
                node.parts.setdefault(key, part)

    def _scalar(self, event: yaml.ScalarEvent) -> Json:
        tag, text = event.tag, event.value
        if tag in ("!", _TAG + "str"):
            return str(text)
        if tag is None:
            return self._plain(event) if event.implicit[0] else str(text)
        value = self._plain(event)
        if tag == _TAG + "float" and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        kinds = {"int": int, "float": float, "bool": bool, "null": type(None)}
        kind = kinds.get(tag[len(_TAG) :]) if tag.startswith(_TAG) else None
        if kind is None:
            raise self._error(event, f"tag {_short(tag)} is not read")
        if type(value) is not kind:
            raise self._error(event, f"{text[:_SHOWN]!r} is not what its tag says")
        return value

    def _plain(self, event: yaml.ScalarEvent) -> Json:
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if len(text) > _MAX_DIGITS and text.lstrip("+-").isdigit():
            raise self._error(event, f"a number of {len(text)} digits, at most {_MAX_DIGITS} are read")
        if _INT.match(text):
            return int(text)
        if _FLOAT.match(text):
            number = float(text)
            if not math.isfinite(number):
                raise self._error(event, f"{text[:_SHOWN]} is out of range")
            return number
        if _HEXADECIMAL.match(text):
            return int(text, 16)
        if _OCTAL.match(text):
            return int(text, 8)
        if _ENDLESS.match(text):
            raise self._error(event, f"{text} is not a finite number")
        return text

    def _error(self, event: yaml.Event, reason: str) -> YamlError:
        return YamlError(self._where, _place(event)[0], reason)


def _short(tag: str) -> str:
    return tag.replace(_TAG, "!!", 1)[:_SHOWN]


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _data(node: _Node) -> Json:
    """Plain data; what an alias stands for is copied, so that nobody changes two places at once."""
    if node.parts is None:
        return node.value
    if node.is_list:
        return [_data(part[0]) for part in node.parts.values()]
    return {str(key): _data(part[0]) for key, part in node.parts.items()}


def _decode(data: bytes, where: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise YamlError(where, 1, "starts with a UTF-16 byte order mark; UTF-8 is needed")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError(where, line, f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}") from None


def _parser_error(error: yaml.YAMLError, text: str, where: str) -> YamlError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return _character_error(error, text, where)
    lines = text.splitlines()
    source = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in source[: len(source) - len(source.lstrip())]:
        return YamlError(where, mark.line + 1, "a tab stands in the indentation; YAML takes only blanks there")
    problem = getattr(error, "problem", None) or "this is no YAML"
    context = getattr(error, "context", None)
    reason = " ".join(f"{problem}, {context}".split() if context else problem.split())
    return YamlError(where, mark.line + 1, f"{reason} (column {mark.column + 1})")


def _character_error(error: yaml.YAMLError, text: str, where: str) -> YamlError:
    """The parser names a forbidden character by its offset only."""
    found = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    if found is None:
        return YamlError(where, 1, " ".join(str(error).split())[:200])
    line = text.count("\n", 0, found.start()) + 1
    return YamlError(where, line, f"character U+{ord(found.group()):04X} is not allowed in YAML")
