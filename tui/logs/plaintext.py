"""Many lines of a log at once as safe text for a stream, at the speed of a pipe where they are harmless.

Nearly all lines of nearly all logs are printable ASCII without anything that could be a secret: such bytes are passed
on as they are, a megabyte at a time. Lines that are not go one by one through `tui.logs.rows`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hosts.local.levels import LEVELS, NO_LEVEL, Level, Levels
from monitors.logs.types import LogLine, Place
from tui.sanitise import clean, secrets

_HARMLESS = bytes(range(0x20, 0x7F)) + b"\t\n"
_ODD = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\xff][^\n]*")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_SGR = re.compile(rb"\x1b\[[0-9;:]{0,64}m")  # what tui.logs.ansi reads
_MOVES_UP = re.compile(rb"\x1b\[\d{0,2}[AF]")

_UNCOLOURED = (LEVELS.index(Level.INFO), NO_LEVEL)

# A search for each sign of a secret (tui.sanitise) would cost more than reading the log. So most letters are left out
# first; what the signs come to then is looked for in the little that stays. Each has its own expression, since one
# that begins with a word is searched for that word.
_TELLING = b"_=-:/fkgxzAIKSZ"
_LEFT_OUT = bytes(sorted(set(_HARMLESS) - set(_TELLING)))
_SIGNS: tuple[tuple[tuple[bytes, ...], re.Pattern[bytes]], ...] = (
    ((b"f_",), re.compile(rb"hf_[A-Za-z0-9]{16}[^\n]*")),
    ((b"k-",), re.compile(rb"sk-[A-Za-z0-9_-]{16}[^\n]*")),
    ((b"g_",), re.compile(rb"g(?:h[opsur]_|ithub_pat_)[A-Za-z0-9_]{16}[^\n]*")),
    ((b"g-",), re.compile(rb"glpat-[A-Za-z0-9_-]{16}[^\n]*")),
    ((b"AKIA", b"ASIA"), re.compile(rb"A[KS]IA[A-Z0-9]{16}[^\n]*")),
    ((b"xx",), re.compile(rb"xox[abprs]-[A-Za-z0-9-]{10}[^\n]*")),
    ((b"z",), re.compile(rb"uthorization[^\n]*")),
    ((b"Z",), re.compile(rb"UTHORIZATION[^\n]*")),
    ((b"://",), re.compile(rb"://[^/\s]*@[^\n]*")),
    ((b"_K=", b"_S=", b"_ASS="), re.compile(rb"_(?:TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)=[^\n]*")),
)

_REDACTED = "‹redacted›"  # as tui.sanitise has it

BEHIND = 512
"""Bytes of what was printed of a line that tell whether what comes of it begins with a secret."""

_LATEST = 4 << 10  # bytes of an unfinished line in which something may have begun
# What stands at the end of an unfinished line and says something else once more has come
_BEGUN = (
    re.compile(rb"([\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2}|\x1b(?:\[[0-9;:]{0,64})?)\Z"),
    re.compile(
        rb"(?<![A-Za-z0-9])(?:hf_|sk-|gh[opsur]_|github_pat_|A[KS]IA|glpat-|xox[abprs]-)([A-Za-z0-9_-]+)\Z",
    ),
    re.compile(
        rb"(?i)authorization\\*[\"']?\s*[:=]\s*(?:\\*[\"'])?(?![\s\"'\\])(digest\s[^\r\n]*|[^\r\n\"'\\]+)\Z",
    ),
    re.compile(rb"://[^/\s:@]{0,256}:([^/\s]{1,512})\Z"),
    re.compile(rb"\b[A-Z][A-Z0-9_]{0,64}_(?:TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)=[\"']?([^\s\"']+)\Z"),
)


def settled(row: bytes, behind: bytes) -> int:
    """How many bytes of an unfinished line may be printed: not half a letter, nor what may be half a secret.

    Args:
        row: What came of it.
        behind: The end of what was printed of it before.
    """
    tail = (behind + row[-_LATEST:])[-_LATEST:]
    begun = [match.start(1) for pattern in _BEGUN if (match := pattern.search(tail))]
    return max(0, len(row) - len(tail) + min(begun, default=len(tail)))


def continued(rows: bytes, behind: bytes) -> bytes:
    """Lines the first of which goes on from what was printed, without what is a secret only together with that."""
    head = behind + rows[:_LATEST].partition(b"\n")[0]
    if not any(pattern.search(head) for pattern in suspects(head)[1]):
        return rows
    line, newline, rest = rows.partition(b"\n")
    at = len(_text(behind))
    text = _text(behind + line)
    kept: list[str] = []
    for low, high in sorted(secrets(text)):
        if high > at:
            kept += (text[at : max(at, low)], _REDACTED)
            at = high
    kept.append(text[at:])
    return b"".join(("".join(kept).encode("utf-8", "surrogateescape"), newline, rest))


def suspects(rows: bytes) -> tuple[bool, list[re.Pattern[bytes]]]:
    """What care some lines need.

    Returns:
        Whether there is anything but printable ASCII in them, and what finds every line that may hold a secret.
    """
    left = rows.translate(None, _LEFT_OUT)
    odd = bool(left.translate(None, _TELLING))
    return odd, [lines for signs, lines in _SIGNS if any(map(left.__contains__, signs))]


class PlainText:
    """Lines as a stream gets them: one line each, without control characters, without secrets, tabs kept.

    Args:
        colour: Keep the colours of the log, and give lines a colour by their level, in sequences made here.
        encoding: Of the stream; what it cannot say is escaped.
    """

    def __init__(self, *, colour: bool = False, encoding: str = "utf-8") -> None:
        self._colour = colour
        self._encoding = None if encoding.lower().replace("-", "") == "utf8" else encoding
        self._levels = Levels()

    def render(self, rows: bytes, *, apart: bool = False) -> bytes:
        """The text of some lines in UTF-8, each with its newline; of the last one it may be missing.

        Args:
            rows: The lines.
            apart: Each shows what it says by itself, and none is painted over by a later one.
        """
        if b"\r" in rows:
            rows = rows.replace(b"\r\n", b"\n")
        if not self._colour and b"\x1b" in rows:
            rows = _SGR.sub(b"", rows)
        odd, secret = suspects(rows)
        if odd and not secret and not self._colour and not _CONTROL.search(rows):
            rows, odd = self._letters(rows)
        if odd and not apart and b"\x1b[" in rows and _MOVES_UP.search(rows):
            rows = b"".join(self._settled(rows))
        elif odd or secret or self._colour:
            starts = self._needy(rows, [_ODD, *secret] if odd else secret)
            rows = b"".join(self._with_care(rows, starts)) if starts else rows
        return rows if self._encoding is None else _narrow(rows, self._encoding)

    def _letters(self, rows: bytes) -> tuple[bytes, bool]:
        """Text beyond ASCII without control characters, all at once; False if that could be done."""
        try:
            text = rows.decode()
        except UnicodeDecodeError:
            return rows, True
        return clean(text, keep_tabs=True, multiline=True, limit=None).encode(), False

    def _needy(self, rows: bytes, wanted: list[re.Pattern[bytes]]) -> list[int]:
        """Where lines begin that need care."""
        starts = {rows.rfind(b"\n", 0, match.start()) + 1 for pattern in wanted for match in pattern.finditer(rows)}
        if self._colour:
            starts.update(self._levelled(rows))
        return sorted(starts)

    def _with_care(self, rows: bytes, starts: list[int]) -> Iterator[bytes]:
        """These lines each by itself, and all that is between them as it is."""
        from monitors.logs.progress import collapse  # most logs never need it

        at = 0
        for start in starts:
            end = rows.find(b"\n", start)
            end = len(rows) if end < 0 else end
            yield rows[at:start]
            yield self._line(collapse(rows[start:end]))
            at = end
        yield rows[at:]

    def _settled(self, rows: bytes) -> Iterator[bytes]:
        """Lines some of which paint over others."""
        from monitors.logs.progress import settle

        lines = rows.split(b"\n")
        last = len(lines) - 1
        for number, line in enumerate(settle(lines)):
            if line is not None:
                yield self._line(line) + (b"\n" if number < last else b"")

    def _line(self, data: bytes) -> bytes:
        from tui.logs.rows import plain_rows

        # Not the log's first byte: a byte order mark is taken off where the bytes are read.
        line = LogLine(Place(0, 1), len(data) + 1, data, len(data), None, True)
        return plain_rows(line, colour=self._colour)[-1].encode("utf-8", "replace")

    def _levelled(self, rows: bytes) -> Iterator[int]:
        """Where lines begin that a terminal shows in a colour of ours."""
        at = 0
        for rank in self._levels.ranks(rows.removesuffix(b"\n")):
            if rank not in _UNCOLOURED:
                yield at
            at = rows.find(b"\n", at) + 1


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _narrow(rows: bytes, encoding: str) -> bytes:
    return rows.decode("utf-8", "replace").encode(encoding, "backslashreplace")
