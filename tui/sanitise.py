r"""The one door between text from outside and a terminal (SAFETY T1, T2, T5, T6, C5).

Log lines, host names, branches, file names, error messages, clipboard and window titles all pass through
here, and nothing that a terminal would obey, or that would lie about the order or the width of what is shown,
comes out. What was there stays visible: an escape becomes ␛, a C1 byte \x9b, an override \u202e.

What comes out is still somebody else's text: it goes to rich and textual as Text or Content objects, never
into a markup string, which these functions do not escape.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Union

LIMIT = 16384  # characters of one shown text
INLINE_LIMIT = 1024
_MARKS = 4  # combining marks in a row that honest writing may need
_ROOM = 32  # characters that the note on what was cut may take

# Invisible or reordering characters, by code point: soft hyphen, Arabic letter mark, Hangul fillers, Mongolian
# vowel separator, zero widths, bidi overrides and isolates, line and paragraph separator, invisible operators,
# byte order mark, interlinear marks, noncharacters, tags, and lone surrogates.
_HIDDEN = (
    r"\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef"
    r"\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e007f\ud800-\udfff"
)
_UNSAFE = {
    kept: re.compile(f"[{controls}\\x7f-\\x9f{_HIDDEN}]")
    for kept, controls in (
        ("", r"\x00-\x1f"),
        ("\t", r"\x00-\x08\x0a-\x1f"),
        ("\n", r"\x00-\x09\x0b-\x1f"),
        ("\t\n", r"\x00-\x08\x0b-\x1f"),
    )
}
# No mark is among arrows, symbols, kana, ideographs and syllables of Hangul
_MAYBE_MARKS = re.compile(
    "[\u0300-\u218f\u2c00-\u3040\u3099\u309a\ua000-\uabff\ud7b0-\U0001f000\U000e0100-\U000e01ef]{5}"
)

# For what an operator confirms: blanks that are none, and signs that pass for ASCII ones
_LOOKALIKE = re.compile(
    r"[\u00a0\u1680\u2000-\u200a\u2010-\u2015\u2024\u202f\u2043\u2044\u205f\u2212\u2215\u2216\u2236\u2800\u29f8\u3000"
    r"\ua789\ufe00-\ufe0f\uff01-\uff5e\U000e0100-\U000e01ef]"
)
_FOREIGN_LETTER = re.compile(
    r"[\u0250-\u02af\u0370-\u058f\u13a0-\u13ff\u1d00-\u1dbf\u2100-\u214f\u2c80-\u2cff\ua4d0-\ua4ff\uab30-\uabbf"
    r"\U0001d400-\U0001d7ff]"
)
_ASCII_WORD = re.compile(r"[A-Za-z0-9]")
_SPACED = re.compile(r"(\s+)")

_REDACTED = "‹redacted›"
# One of which must stand in the text for a pattern to be worth a search, the pattern, and what stays of a match
_SECRETS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("hf_",), re.compile(r"(?<![A-Za-z0-9])(hf_)[A-Za-z0-9]{16,}")),
    (("sk-",), re.compile(r"(?<![A-Za-z0-9])(sk-)(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{16,}")),
    (("gh",), re.compile(r"(?<![A-Za-z0-9])(gh[opsur]_)[A-Za-z0-9_]{16,}")),
    (("github_pat_",), re.compile(r"(?<![A-Za-z0-9])(github_pat_)[A-Za-z0-9_]{16,}")),
    (("IA",), re.compile(r"(?<![A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{16,}")),
    (("glpat-",), re.compile(r"(?<![A-Za-z0-9])(glpat-)[A-Za-z0-9_-]{16,}")),
    (("xox",), re.compile(r"(?<![A-Za-z0-9])(xox[abprs]-)[A-Za-z0-9-]{10,}")),
    (
        ("authorization",),
        re.compile(
            r"(?i)(authorization\\*[\"']?\s*[:=]\s*(?:\\*[\"'])?)(?![\s‹\"'\\])(?:digest\s[^\r\n]+|[^\r\n\"'\\]+)"
        ),
    ),
    (("://",), re.compile(r"(://[^/\s:@]{0,256}:)(?!‹)[^/\s]{1,512}(?=@)")),
    (
        ("_TOKEN=", "_SECRET=", "_PASSWORD=", "_API_KEY=", "_ACCESS_KEY="),
        re.compile(
            r"\b([A-Z][A-Z0-9_]{0,64}_(?:TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)=[\"']?)(?![‹\"'])[^\s\"']{8,}"
        ),
    ),
)


def clean(
    text: Union[str, bytes], *, keep_tabs: bool = False, multiline: bool = False, limit: int | None = LIMIT
) -> str:
    r"""Make text from outside safe to show.

    Control characters become their pictures (␀ … ␟, ␡); C1 codes, bytes that are not UTF-8, and invisible or
    reordering characters become `\x9b` or `\u202e`; of a heap of combining marks four stay, the rest is
    counted. Ordinary text comes back as it is, and so does text that was cleaned before.

    Args:
        text: Bytes are read as UTF-8.
        keep_tabs: Leave tabs to the caller, who knows the column.
        multiline: Leave newlines in.
        limit: Longest result in characters, at least 32; the end that does not fit becomes "… n bytes cut".
    """
    kept = ("\t" if keep_tabs else "") + ("\n" if multiline else "")
    if isinstance(text, bytes):
        text, behind = _decode(text, limit)
    else:
        behind = 0
    if not behind and (limit is None or len(text) <= limit):
        shown = _visible(text, kept)
        if limit is None or len(shown) <= limit:
            return shown
    assert limit is not None
    return _cut(text, behind, kept, max(limit, _ROOM))


def clean_inline(text: Union[str, bytes], *, limit: int | None = INLINE_LIMIT) -> str:
    """Like `clean`, for a field of one line: a newline becomes ␤."""
    shown = clean(text, multiline=True, limit=limit)
    return shown.replace("\n", "␤") if "\n" in shown else shown


def confirmable(text: Union[str, bytes], *, limit: int | None = LIMIT) -> str:
    """Like `clean_inline`, for what an operator is asked to confirm: nothing may pass for something else.

    Also made visible are combining marks, blanks that are no ASCII blank, dashes and slashes that look like
    ASCII ones, and Greek, Cyrillic and similar letters in a word that holds ASCII letters or digits too.
    """
    shown = clean_inline(text, limit=None)
    if not shown.isascii():
        shown = _LOOKALIKE.sub(_escape, _mark_pattern().sub(_escape_all, shown))
        shown = "".join(
            _FOREIGN_LETTER.sub(_escape, word) if _ASCII_WORD.search(word) else word for word in _SPACED.split(shown)
        )
    return shown if limit is None or len(shown) <= limit else _cut(shown, 0, "", max(limit, _ROOM))


def redact(text: str) -> str:
    """Take secrets out of text: tokens by their known beginnings, Authorization headers, passwords in URLs.

    To be called before `clean`, which may cut a token in two.
    """
    for pattern in _secrets_in(text):
        text = pattern.sub(_instead, text)
    return text


def clean_marked(text: str, places: Sequence[int], *, keep_tabs: bool = False) -> tuple[str, list[int]]:
    """Like `clean`, without a limit, and say where some places of the text are afterwards.

    Args:
        text: A text from outside.
        places: Indexes of characters, ascending. One within what is replaced moves to its beginning.
        keep_tabs: Leave tabs to the caller, who knows the column.
    """
    moved = list(places)
    if text.isascii() and text.isprintable():
        return text, moved
    if not moved:
        return clean(text, keep_tabs=keep_tabs, limit=None), moved
    text, moved = _replace(_UNSAFE["\t" if keep_tabs else ""], _escape, text, moved)
    return _replace(_heap_pattern(text), _count_marks, text, moved) if _MAYBE_MARKS.search(text) else (text, moved)


def redact_marked(text: str, places: Sequence[int]) -> tuple[str, list[int]]:
    """Like `redact`, and say where some places of the text are afterwards; as with `clean_marked`."""
    moved = list(places)
    for pattern in _secrets_in(text):
        text, moved = _replace(pattern, _instead, text, moved)
    return text, moved


def secrets(text: str) -> list[tuple[int, int]]:
    """Where secrets stand in a text, for what cannot be shown as text: first character, and one past the last."""
    return [(match.end(1), match.end()) for pattern in _secrets_in(text) for match in pattern.finditer(text)]


def _secrets_in(text: str) -> Iterator[re.Pattern[str]]:
    """Patterns that are worth a search."""
    lowered = text.lower() if "uthorization" in text or "UTHORIZATION" in text else ""
    for signs, pattern in _SECRETS:
        for sign in signs:
            if sign in text or sign in lowered:
                yield pattern
                break


def _replace(
    pattern: re.Pattern[str], by: Callable[[re.Match[str]], str], text: str, places: list[int]
) -> tuple[str, list[int]]:
    pieces: list[str] = []
    moved: list[int] = []
    last = shift = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        new = by(match)
        while len(moved) < len(places) and places[len(moved)] < end:
            moved.append(min(places[len(moved)], start) + shift)
        pieces += (text[last:start], new)
        last = end
        shift += len(new) - (end - start)
    moved += [place + shift for place in places[len(moved) :]]
    return "".join((*pieces, text[last:])), moved


def _instead(match: re.Match[str]) -> str:
    return f"{match.group(1)}{_REDACTED}"


def _decode(data: bytes, limit: int | None) -> tuple[str, int]:
    """Text of the first bytes, and how many bytes lie behind them; a UTF-8 character has at most four."""
    most = len(data) if limit is None else 4 * limit + 4
    head = data[:most]
    while len(head) < len(data) and len(head) > most - 4 and data[len(head)] & 0xC0 == 0x80:
        head = head[:-1]  # not in the middle of a character
    return head.decode("utf-8", "backslashreplace"), len(data) - len(head)


def _visible(text: str, kept: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    pattern = _UNSAFE[kept]
    if pattern.search(text):
        text = pattern.sub(_escape, text)
    if _MAYBE_MARKS.search(text):
        text = _heap_pattern(text).sub(_count_marks, text)
    return text


def _escape(match: re.Match[str]) -> str:
    return _name(match.group())


def _escape_all(match: re.Match[str]) -> str:
    return "".join(map(_name, match.group()))


@functools.lru_cache(maxsize=1024)
def _name(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _count_marks(match: re.Match[str]) -> str:
    run = match.group()
    return f"{run[:_MARKS]}[+{len(run) - _MARKS} marks]"


@functools.cache
def _mark_class(astral: bool = True) -> str:
    """All combining marks without a width as a regex class; worked out only once text needs it."""
    ranges: list[list[int]] = []
    for code in (*range(0x300, 0x10000), *((*range(0x10000, 0x1EA00), *range(0xE0100, 0xE01F0)) if astral else ())):
        if unicodedata.category(chr(code)) in ("Mn", "Me"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges) + "]"


@functools.cache
def _mark_pattern() -> re.Pattern[str]:
    return re.compile(f"{_mark_class()}+")


def _heap_pattern(text: str) -> re.Pattern[str]:
    """For what `text` may hold: the marks beyond U+FFFF make the search twenty times as slow."""
    return _heaps(max(text) > "\uffff")


@functools.cache
def _heaps(astral: bool) -> re.Pattern[str]:
    return re.compile(f"{_mark_class(astral)}{{{_MARKS + 1},}}")


def _cut(text: str, behind: int, kept: str, limit: int) -> str:
    """The longest beginning that fits, cleaned, and a note on how many bytes are missing."""
    room = limit - _ROOM
    low, high = 0, min(len(text), room)
    if len(_visible(text[:high], kept)) <= room:
        low = high
    while low < high:  # cleaning lengthened it; look for the most that still fits
        middle = (low + high + 1) // 2
        if len(_visible(text[:middle], kept)) <= room:
            low = middle
        else:
            high = middle - 1
    missing = behind + len(text[low:].encode("utf-8", "surrogatepass"))
    return f"{_visible(text[:low], kept)}… {missing} bytes cut"
