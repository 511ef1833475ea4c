"""Commands that are shown for a person to paste into a shell, and never run from here.

The one place where such a command becomes text. What is shown passes a door that makes control characters and others
that nobody can see visible, and so changes them: a name that holds some stands in quotes that spell them out, which
bash, zsh, ksh and busybox read.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterable

# Letters and marks to Python that show nothing: Hangul fillers, Khmer inherent vowels, Mongolian selectors.
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_MARKS = 4  # combining marks in a row that are shown as they are
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Between these quotes a shell takes the first two for special; with ! some go on to look for a past command.
_SPECIAL = frozenset("\\'!")


def pasted(words: Iterable[str]) -> str:
    """A command as one line for a shell."""
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """One word of such a line."""
    if word.isascii() and word.isprintable():
        return shlex.quote(word)
    marks, told = 0, []
    for char in word:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        hidden = marks > _MARKS or not char.isprintable() or char in _BLANK
        told.append(_spelt(char) if hidden else char)
    if "".join(told) == word:
        return shlex.quote(word)
    return "$'" + "".join(_spelt(one) if one in _SPECIAL else one for one in told) + "'"


def _spelt(char: str) -> str:
    """Its bytes in octal: of all the ways to say them the one that no digit behind them can change."""
    # A byte that is no UTF-8 came from a file's name as one of these.
    errors = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    return _SHORT.get(char) or "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", errors))
