"""What is painted while others look on: who and where is covered, whatever widget it stands in.

Secrets are never shown at all (`tui.sanitise.redact`). What a group should not read either is covered here, cell for
cell: logins, hosts, addresses and absolute paths. A name that was cut short, or a path that goes on in the next row,
is covered only as far as it can still be told for one.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import socket
from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual.filter import LineFilter

if TYPE_CHECKING:
    from textual.color import Color

COVER = "▒"
SAYS_NOTHING = frozenset({"root", "localhost", "local", "here", "this machine", "localdomain"})
"""Names that many people and machines have."""

_LEAST = 2
_PATTERNS = (
    r"\b\w[\w+.-]*://[^\s'\"<>]+",  # an address of the web
    r"(?<![\w.…/@])(?:~[\w.-]*)?/[^\s/'\"<>|:;,()\[\]{}│┃]+(?:/[^\s'\"<>|:;,()\[\]{}│┃]*)*",  # a path from the top
    r"(?<![\w.])~[\w.-]*(?=/)",
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*",  # a login on a host, or mail
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.])",
    r"(?<![\w:.])(?=(?:[0-9A-Fa-f]+:){7}|[0-9A-Fa-f:]*::[0-9A-Fa-f])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])",
)


def own_names() -> frozenset[str]:
    """Who and where we are ourselves."""
    names = {socket.gethostname(), socket.gethostname().partition(".")[0]}
    with contextlib.suppress(KeyError, OSError):  # a number without a name
        names.add(getpass.getuser())
    return frozenset(names)


class Shared(LineFilter):
    """Covers what others should not read.

    Args:
        names: Logins and hosts.
    """

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        told = sorted({name for name in names if len(name) >= _LEAST and name not in SAYS_NOTHING}, key=len)
        words = [rf"(?<![\w]){re.escape(name)}(?![\w])" for name in reversed(told)]
        self._covered = re.compile("|".join((*_PATTERNS, *words)))

    def cover(self, text: str) -> str:
        """The same text, in as many cells."""
        return self._covered.sub(lambda found: COVER * cell_len(found[0]), text)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same row; what is found across several segments is covered in each."""
        spans = [found.span() for found in self._covered.finditer("".join(one.text for one in segments))]
        if not spans:
            return segments
        shown: list[Segment] = []
        start = 0
        for text, style, control in segments:
            shown.append(Segment(_covered(text, start, spans), style, control))
            start += len(text)
        return shown


def _covered(text: str, start: int, spans: list[tuple[int, int]]) -> str:
    parts, at = [], 0
    for first, last in spans:
        left, right = max(first - start, at), min(last - start, len(text))
        if left < right:
            parts += [text[at:left], COVER * cell_len(text[left:right])]
            at = right
    return "".join((*parts, text[at:]))
