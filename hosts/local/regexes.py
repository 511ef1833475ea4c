"""What can be read off a regular expression of Python's `re`, so that rows need not be matched one by one.

From the parse tree of an expression come

- its needles: words of which every row that matches holds each;
- the wide form: an expression for many rows at once, which matches in exactly the rows that the given one matches;
- the loose form, for ripgrep: an expression over bytes that matches in all of these rows, and perhaps in more.

An expression is meant for one row without its newline: `^` and `$` are the row's ends. What is not understood of a
tree gives no form, never a wrong one.
"""

from __future__ import annotations

import re
import sys
import warnings
from importlib import import_module
from typing import Any, NamedTuple

_NEW = sys.version_info >= (3, 11)
# Python's own parser of expressions. Its trees are nobody's promise: what has changed in them is not understood.
sre: Any = import_module("re._constants" if _NEW else "sre_constants")
parser: Any = import_module("re._parser" if _NEW else "sre_parse")

_SCOPED = {re.IGNORECASE: "i", re.ASCII: "a"}
_UNBOUNDED = sre.MAXREPEAT
# What re.IGNORECASE takes for an ASCII letter beside its two cases
_ALSO = {"i": rb"\xc4[\xb0\xb1]", "k": rb"\xe2\x84\xaa", "s": rb"\xc5\xbf"}
_SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace() and chr(code) != "\n")
_ASCII_SPACES = "\t\v\f\r "
_ANY = rb"[\x00-\x09\x0b-\x7f]"
_HIGH = rb"[\x80-\xff]{1,4}"

GAP = "\0"
"""In a loose form in the making: a place at which colours may stand."""

_GAP = GAP.encode()
_COLOURS = r"(?:\x1b\[[0-9;:]*m)*"


class Loose(NamedTuple):
    """An expression for ripgrep.

    Attributes:
        text: In the syntax of Rust's regex, over bytes.
        exact: Whether it matches in no other rows, as long as all is ASCII without carriage returns and colours.
        coloured: The same for rows that may hold colours anywhere, which takes longer.
    """

    text: str
    exact: bool
    coloured: str = ""


def loose_of(text: str, exact: bool) -> Loose:
    """A loose form, of one with gaps in it."""
    text = "(?-u)" + text
    return Loose(text.replace(GAP, ""), exact, text.replace(GAP, _COLOURS))


class Forms(NamedTuple):
    """What was read off one expression; None where there is no such form."""

    needles: tuple[str, ...]
    wide: re.Pattern[str] | None
    loose: Loose | None


class _UnknownError(Exception):
    """Something in a tree that has no form."""


_NOT_UNDERSTOOD = (_UnknownError, LookupError, AttributeError, TypeError, ValueError, RecursionError)


def compile_row(text: str, fold: bool = False) -> re.Pattern[str]:
    """An expression for one row.

    Raises:
        re.error: It is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python might read otherwise
            return re.compile(text, re.IGNORECASE if fold else 0)
    except (OverflowError, RecursionError, MemoryError) as error:
        raise re.error(str(error) or "too large") from None


def forms(text: str, fold: bool = False) -> Forms:
    """What can be read off an expression.

    Raises:
        re.error: It is none.
    """
    flags = re.IGNORECASE if fold else 0
    compiled = compile_row(text, fold)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(text, flags)
        kept = compiled.flags & (re.IGNORECASE | re.ASCII)
        return Forms(_needles(tree, kept), _wide(tree, kept), _loose(tree, kept))
    except _NOT_UNDERSTOOD:
        return Forms((), None, None)


def has_capital(text: str) -> bool:
    r"""Whether an expression asks for a capital letter, which neither `\S` nor the name of a group does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _holds_capital(parser.parse(text))
    except (re.error, OverflowError, *_NOT_UNDERSTOOD):
        return any(letter.isupper() for letter in text)


def _holds_capital(tree: Any) -> bool:
    if isinstance(tree, tuple) and len(tree) == 2 and any(tree[0] is op for op in _LETTERS):
        codes = tree[1] if tree[0] is sre.RANGE else (tree[1],)
        return any(chr(code).isupper() for code in codes)
    return isinstance(tree, (tuple, list, parser.SubPattern)) and any(_holds_capital(part) for part in tree)


_LETTERS = (sre.LITERAL, sre.NOT_LITERAL, sre.RANGE)


def _flags(flags: int, added: int, removed: int) -> int:
    return (flags | added) & ~removed & (re.IGNORECASE | re.ASCII)


# Needles.


def _needles(tree: Any, flags: int) -> tuple[str, ...]:
    found: list[str] = []
    run = ""

    def end() -> None:
        nonlocal run
        if len(run) > 1:
            found.append(run)
        run = ""

    def walk(nodes: Any, flags: int) -> None:
        nonlocal run
        for op, value in nodes:
            if op is sre.LITERAL and not flags & re.IGNORECASE:
                run += chr(value)
            elif op is sre.SUBPATTERN:
                walk(value[3], _flags(flags, value[1], value[2]))
            elif op in _REPEATS and value[0] > 0:
                walk(value[2], flags)
                end()
            elif op is not sre.AT:
                end()

    walk(tree, flags)
    end()
    return tuple(dict.fromkeys(needle for needle in found if "\n" not in needle))


_REPEATS = {sre.MAX_REPEAT: "", sre.MIN_REPEAT: "?"}
if _NEW:
    _REPEATS[sre.POSSESSIVE_REPEAT] = "+"


def _times(low: int, high: int) -> str:
    return f"{{{low},{'' if high is _UNBOUNDED else high}}}"


# The wide form: nothing in it matches a newline.


def _wide(tree: Any, flags: int) -> re.Pattern[str] | None:
    try:
        return re.compile(f"(?:{_rows(tree, flags)})[^\n]*", flags | re.MULTILINE)
    except (*_NOT_UNDERSTOOD, re.error):
        return None


def _rows(nodes: Any, flags: int) -> str:
    return "".join(_row_node(op, value, flags) for op, value in nodes)


def _row_node(op: Any, value: Any, flags: int) -> str:
    if op is sre.LITERAL:
        if value == 10:
            raise _UnknownError
        return re.escape(chr(value))
    if op is sre.NOT_LITERAL:
        return f"[^\n{_in_class(value)}]"
    if op is sre.ANY:
        return "."
    if op is sre.IN:
        return _row_class(value, flags)
    if op is sre.AT:
        return _AT[value]
    if op is sre.BRANCH:
        return "(?:" + "|".join(_rows(branch, flags) for branch in value[1]) + ")"
    if op in _REPEATS:
        return f"(?:{_rows(value[2], flags)}){_times(value[0], value[1])}{_REPEATS[op]}"
    if op is sre.SUBPATTERN:
        group, added, removed, inner = value
        new = _flags(flags, added, removed)
        body = _rows(inner, new)
        if new != flags:
            on = "".join(letter for flag, letter in _SCOPED.items() if new & flag and not flags & flag)
            off = "".join(letter for flag, letter in _SCOPED.items() if flags & flag and not new & flag)
            if off.strip("i") or (on and off):
                raise _UnknownError
            body = f"(?{on or '-' + off}:{body})"
        return f"(?:{body})" if group is None else f"({body})"
    if op is sre.GROUPREF:
        return f"(?:\\{value})"
    if op in (sre.ASSERT, sre.ASSERT_NOT):
        direction, inner = value
        sign = "=" if op is sre.ASSERT else "!"
        return f"(?{'<' if direction < 0 else ''}{sign}{_rows(inner, flags)})"
    raise _UnknownError


# `\B` is left out: what it says of an empty row differs from what it says between two newlines
_AT = {
    sre.AT_BEGINNING: "^",
    sre.AT_BEGINNING_STRING: "^",
    sre.AT_END: "$",
    sre.AT_END_STRING: "$",
    sre.AT_BOUNDARY: r"\b",
}
_CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


def _in_class(code: int) -> str:
    return re.escape(chr(code)) if chr(code) not in "&~|" else "\\" + chr(code)


def _items(items: Any) -> tuple[bool, str]:
    """Whether a class is negated, and what stands in it."""
    negated = items[0][0] is sre.NEGATE
    parts: list[str] = []
    for op, value in items[negated:]:
        if op is sre.LITERAL:
            parts.append(_in_class(value))
        elif op is sre.RANGE:
            parts.append(f"{_in_class(value[0])}-{_in_class(value[1])}")
        elif op is sre.CATEGORY:
            parts.append(_CATEGORIES[value])
        else:
            raise _UnknownError
    return negated, "".join(parts)


def _row_class(items: Any, flags: int) -> str:
    negated, inside = _items(items)
    if negated:
        return f"[^\n{inside}]"
    if inside in (r"\D", r"\W"):
        return f"[^\n{inside.lower()}]"
    spaces = _ASCII_SPACES if flags & re.ASCII else _SPACES
    inside = inside.replace(r"\s", spaces) if "\\\\" not in inside else inside
    plain = f"[{inside}]"
    return f"(?!\n){plain}" if re.match(plain, "\n", flags) else plain


# The loose form: bytes; a character beyond ASCII is up to four of them.


def _loose(tree: Any, flags: int) -> Loose | None:
    try:
        text, least, exact = _bytes(tree, flags)
    except _NOT_UNDERSTOOD:
        return None
    # ripgrep does not tell of empty matches
    return loose_of(text.decode("ascii"), exact) if least else None


def _bytes(nodes: Any, flags: int) -> tuple[bytes, int, bool]:
    """A sequence in Rust's syntax, the fewest bytes it matches, and whether it is exact."""
    text, least, exact = b"", 0, True
    for op, value in nodes:
        one = _bytes_node(op, value, flags)
        text, least, exact = text + one[0], least + one[1], exact and one[2]
    return text, least, exact


def _bytes_node(op: Any, value: Any, flags: int) -> tuple[bytes, int, bool]:
    if op is sre.LITERAL:
        return _bytes_literal(chr(value), flags)
    if op in (sre.NOT_LITERAL, sre.ANY, sre.IN):
        return b"(?:" + _bytes_class(op, value, flags, star=False) + b")" + _GAP, 1, True
    if op is sre.BRANCH:
        branches = [_bytes(branch, flags) for branch in value[1]]
        text = b"(?:" + b"|".join(branch[0] for branch in branches) + b")"
        return text, min(branch[1] for branch in branches), all(branch[2] for branch in branches)
    if op in _REPEATS:
        low, high, inner = value
        times = _times(low, high).encode()
        kept = _REPEATS[op] != "+"
        kind, item = inner[0] if len(inner) == 1 else (None, None)
        if high is _UNBOUNDED and kind in (sre.NOT_LITERAL, sre.ANY, sre.IN):
            letter = _bytes_class(kind, item, flags, star=True)
            return (letter if kind is sre.ANY else b"(?:" + letter + _GAP + b")") + times, low, kept
        text, least, exact = _bytes(inner, flags)
        return b"(?:" + text + b")" + times, least * low, exact and kept
    if op is sre.SUBPATTERN:
        text, least, exact = _bytes(value[3], _flags(flags, value[1], value[2]))
        return b"(?:" + text + b")", least, exact
    if op in (sre.AT, sre.ASSERT, sre.ASSERT_NOT):
        return b"", 0, False
    if op is sre.GROUPREF:
        return rb"[^\n]*", 0, False
    raise _UnknownError


def _bytes_literal(letter: str, flags: int) -> tuple[bytes, int, bool]:
    if letter == "\n":
        raise _UnknownError
    if not flags & re.IGNORECASE or (letter.isascii() and not letter.isalpha()):
        try:
            raw = letter.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise _UnknownError from None
        return b"".join(b"\\x%02x" % byte + _GAP for byte in raw), len(raw), True
    if not letter.isascii():
        return rb"[^\n]{1,4}" + _GAP, 1, False
    cases = b"[%c%c]" % (ord(letter.lower()), ord(letter.upper()))
    also = _ALSO.get(letter.lower())
    return (b"(?:" + cases + b"|" + also + b")" if also else cases) + _GAP, 1, True


def _bytes_class(op: Any, value: Any, flags: int, *, star: bool) -> bytes:
    """One character of a class; `star`: where any number of them may follow, bytes do as well."""
    if op is sre.ANY:
        return rb"[^\n]" if star else _ANY + b"|" + _HIGH
    if op is sre.NOT_LITERAL:
        value = [(sre.NEGATE, None), (sre.LITERAL, value)]
    negated, inside = _items(value)
    one = re.compile(f"[{'^' if negated else ''}{inside}]", flags)
    here = bytes(code for code in range(128) if code != 10 and one.match(chr(code)))
    beyond = negated or bool(flags & re.IGNORECASE) or any(_beyond(*item) for item in value)
    members = b"".join(b"\\x%02x" % code for code in here)
    if star and beyond:
        return b"[" + members + rb"\x80-\xff]"
    if not members and not beyond:
        raise _UnknownError
    return b"|".join(([b"[" + members + b"]"] if members else []) + ([_HIGH] if beyond else []))


def _beyond(op: Any, value: Any) -> bool:
    """Whether an item of a class may be a character beyond ASCII."""
    if op is sre.LITERAL:
        return bool(value > 127)
    return bool(value[1] > 127) if op is sre.RANGE else True
