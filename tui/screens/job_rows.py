"""Milestones as rows: columns that stand under each other, or all of them in one line where there is no room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from monitors.calibration.milestones import Kind, Milestone
from monitors.snapshot import Seen
from tui import words
from tui.cells import shorten, width
from tui.marks import Look
from tui.sanitise import clean_inline, redact

LOOKS: Mapping[Kind, Look] = {
    Kind.RUN: Look("●", "*", "RUN", "primary"),
    Kind.RESUME: Look("●", "*", "RESUME", "primary"),
    Kind.ENVIRONMENT: Look("·", ".", "ENV", "muted"),
    Kind.SECTION: Look("─", "-", "", "secondary"),
    Kind.START: Look("●", "*", "START", "primary"),
    Kind.ADOPT: Look("●", "*", "ADOPT", "primary"),
    Kind.WAIT: Look("◔", "w", "WAIT", "warning"),
    Kind.SLOW_START: Look("◑", "s", "SLOW START", "warning"),
    Kind.PASS: Look("✓", "+", "PASS", "success"),
    Kind.FAIL: Look("✗", "x", "FAIL", "error"),
    Kind.ABORT: Look("△", "^", "ABORT", "warning"),
    Kind.WARNING: Look("!", "!", "WARN", "warning"),
    Kind.DISCARD: Look("D", "D", "DISCARD", "muted"),
    Kind.HALT: Look("■", "#", "HALT", "error"),
    Kind.END: Look("✓", "+", "END", "success"),
}
"""How each kind is shown; the words are those of run.log."""

_VALID = "a valid observation"
_ASIDE = frozenset({Kind.SECTION, Kind.ENVIRONMENT})  # left out where there is room for one line
_PATH = 12  # cells that a path keeps
_LIMIT = 2000  # characters of one field that are looked at
_LOOK_S = 2.0  # two clocks of which a look says that they are so far apart may be alike: its answer was on its way

Span = tuple[str, str]
"""A text, and the name of its style."""


@dataclass(frozen=True)
class Row:
    """One milestone, safe to be shown; `gist` is its rest without the log's path."""

    time: str
    brief: str
    sign: str
    word: str
    style: str
    cell: str
    took: str
    rest: str
    gist: str

    @property
    def text(self) -> str:
        """The whole line, to be copied."""
        return " ".join(part for part in (self.time, self.word, self.cell, self.took, self.rest) if part)


@dataclass(frozen=True)
class Widths:
    """Cells of the columns; they only grow, so that text does not jump."""

    time: int = 0
    word: int = 5
    cell: int = 0

    def grown(self, rows: Sequence[Row], room: int) -> Widths:
        """Wide enough for these rows too, the cells' names in no more than a third of the room."""
        cells = max((width(row.cell) for row in rows if row.word), default=0)
        return Widths(
            max([self.time, *(width(row.time) for row in rows)]),
            max([self.word, *(width(row.word) for row in rows)]),
            min(max(self.cell, cells), max(8, room // 3)),
        )


def ahead(seen: Seen, before: int = 0) -> int:
    """Whole seconds that a host's clock is ahead of ours.

    Args:
        before: As an earlier look had it. It stays as long as this one hardly differs, so that no time on screen jumps
            a second with each look.
    """
    if seen.at is None or seen.received is None:
        return before
    found = seen.at - seen.received
    if abs(found - before) <= 1:
        return before
    return 0 if abs(found) <= _LOOK_S else round(found)


def row_of(
    milestone: Milestone, now: float, zone: tzinfo | None, *, ascii_only: bool = False, apart: float = 0.0
) -> Row:
    """A milestone in plain words; times are ours to say, durations its own.

    Args:
        apart: Seconds that the host's clock is ahead of ours.
    """
    look = LOOKS[milestone.kind]
    style = "warning" if milestone.kind is Kind.FAIL and milestone.text.endswith(_VALID) else look.style
    time, brief = _times(None if milestone.at is None else milestone.at - apart, now, zone)
    return Row(
        time,
        brief,
        look.sign(ascii_only),
        look.word,
        style,
        _safe(milestone.cell),
        "" if milestone.took is None else words.took(milestone.took),
        _safe(milestone.rest),
        _safe(milestone.rest.removesuffix(milestone.log)).rstrip(),
    )


def columns(row: Row, widths: Widths, room: int) -> list[Span]:
    """One row of at most `room` cells."""
    spans: list[Span] = []
    if widths.time:
        spans.append((f"{row.time:>{widths.time}} ", "time"))
    if not row.word:
        spans.append((f"{row.sign * 2} {row.rest} {row.sign * 2}", row.style))
        return cut(spans, room)
    spans.append((f"{row.sign} {row.word:<{widths.word}} ", row.style))
    if row.cell:
        spans += [(_padded(row.cell, widths.cell), "cell"), ("  ", "")]
    if row.took:
        spans.append((f"{row.took}  ", "took"))
    left = room - sum(width(text) for text, _ in spans)
    if row.rest and left > 1:
        log = row.rest.removeprefix(row.gist).lstrip()
        before = f"{row.gist} " if row.gist and log else row.gist
        if log and left - width(before) > _PATH:  # a path gives its middle, and nothing else does
            shown = before + shorten(log, left - width(before))
        else:
            shown = shorten(row.rest, left)
        spans.append((shown, "muted" if row.style == "muted" else "rest"))
    return cut(spans, room)


def compact(rows: Iterator[Row], room: int, height: int, ascii_only: bool) -> list[list[Span]]:
    """The newest first, one behind the other, as many as fit into `height` lines of `room` cells."""
    between = " | " if ascii_only else " · "
    lines: list[list[Span]] = [[]]
    used = 0
    for row in rows:
        entry = _entry(row)
        cells = sum(width(text) for text, _ in entry)
        if not lines[-1]:
            lines[-1] = cut(entry, room)
            used = min(cells, room)
        elif used + len(between) + cells <= room:
            lines[-1] += [(between, "muted"), *entry]
            used += len(between) + cells
        elif len(lines) < height:
            lines.append(cut(entry, room))
            used = min(cells, room)
        else:
            break
    return lines


def is_aside(milestone: Milestone) -> bool:
    """Whether a single line has no room for it."""
    return milestone.kind in _ASIDE


def cut(spans: Sequence[Span], room: int) -> list[Span]:
    """What fits; the last text that does not is shortened."""
    kept: list[Span] = []
    for text, style in spans:
        cells = width(text)
        if cells > room:
            if room > 1:
                kept.append((shorten(text, room), style))
            break
        kept.append((text, style))
        room -= cells
    return kept


def _entry(row: Row) -> list[Span]:
    spans: list[Span] = [(f"{row.brief} ", "time")] if row.brief else []
    spans.append((f"{row.sign} {row.word}".rstrip(), row.style))
    said = " ".join(part for part in (row.cell, row.took, row.gist) if part)
    return [*spans, (f" {said}", "rest")] if said else spans


def _padded(text: str, cells: int) -> str:
    shown = shorten(text, cells)
    return shown + " " * (cells - width(shown))


def _times(at: float | None, now: float, zone: tzinfo | None) -> tuple[str, str]:
    """As a column has it, and shorter."""
    if at is None:
        return "", ""
    try:
        return words.clock(at, now, zone), f"{datetime.fromtimestamp(at, zone):%H:%M}"
    except (ValueError, OverflowError, OSError):
        return "", ""


def _safe(text: str) -> str:
    return clean_inline(redact(text[:_LIMIT]))
