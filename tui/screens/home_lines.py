"""Home's table as rows of coloured text: columns that fit the width, and nothing cut within a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.cells import painted
from tui.screens.home_rows import NOTHING, HomeRow, calm_words
from tui.screens.run_ink import Row, Span, cut, middle

_BAR = 10
_NOW_FROM, _WHY_FROM = 110, 150  # columns of the screen
_HEADS = ("STATE", "WATCH", "WHERE", "PROGRESS", "ETA", "WANTS", "NOW", "WHY")


@dataclass(frozen=True)
class Columns:
    """How many cells each column has; 0 where there is no room for it.

    Attributes:
        state: Glyph, word, and the age of what is blind.
        title: What it is called.
        where: The host.
        progress: Bar and numbers.
        eta: When it will be done.
        wants: What it wants of a person.
        now: What runs.
        why: The evidence.
    """

    state: int
    title: int
    where: int
    progress: int
    eta: int
    wants: int
    now: int
    why: int


def columns(rows: Sequence[HomeRow], width: int) -> Columns:
    """What fits into `width` cells; the title takes what the others leave, and the evidence what it leaves."""
    state = max([5, *(painted(_state(row, False)) for row in rows)])
    where = min(16, max([5, *(painted(row.where) for row in rows)]))
    progress = _BAR + 1 + max([1, *(len(_numbers(row)) for row in rows)])
    eta = max([4, *(len(row.eta) for row in rows)])
    wants = max([5, *(len(_wants(row, False)) for row in rows)])
    now = max([0, *(painted(row.now) for row in rows)]) if width >= _NOW_FROM else 0
    now = min(40, max(3, now)) if now else 0
    fixed = 1 + state + where + progress + eta + wants + now + 2 * (6 if now else 5)
    room = max(8, width - fixed)
    title = min(room, max([5, *(painted(row.title) for row in rows)]))
    why = room - title - 2 if width >= _WHY_FROM and room - title > 22 else 0
    return Columns(state, title, where, progress, eta, wants, now, why)


def head(at: Columns) -> Row:
    """The titles of the columns."""
    rooms = (at.state, at.title, at.where, at.progress, at.eta, at.wants, at.now, at.why)
    return ((" " + "  ".join(text.ljust(room) for text, room in zip(_HEADS, rooms, strict=True) if room), "muted"),)


def line(row: HomeRow, at: Columns, chosen: bool, ascii_only: bool) -> Row:
    """One run."""
    mark = (">" if ascii_only else "▌") if chosen else " "
    more = "..." if ascii_only else "…"
    quiet = "muted" if row.past else ""
    spans: list[Span] = [(mark, "accent"), (_left(_state(row, ascii_only), at.state), quiet or row.look.style)]
    spans += [("  ", ""), (_left(middle(row.title, at.title, more), at.title), "strong" if chosen else quiet)]
    spans += [("  ", ""), (_left(cut(row.where, at.where, more), at.where), "secondary")]
    spans += [("  ", ""), *_progress(row, at.progress, ascii_only)]
    spans += [("  ", ""), (_left(_plain(row.eta, ascii_only), at.eta), "muted" if row.eta in ("done", NOTHING) else "")]
    spans += [("  ", ""), (_left(_wants(row, ascii_only), at.wants), "accent" if row.wanting else "muted")]
    if at.now:
        spans += [("  ", ""), (_left(cut(row.now, at.now, more), at.now), "")]
    if at.why:
        spans += [("  ", ""), (_left(cut(row.why, at.why, more), at.why), "muted")]
    return tuple(spans)


def calm_line(rows: Sequence[HomeRow], width: int, chosen: bool, ascii_only: bool) -> Row:
    """The folded ones, as one."""
    mark = (">" if ascii_only else "▌") if chosen else " "
    hint = "Enter unfolds" if ascii_only else "↵ unfold"
    first = f"  {len(rows)} calm"
    room = width - 1 - len(first) - 2 - painted(hint) - 1
    words = cut(calm_words(rows, ascii_only), max(0, room))
    return (
        (mark, "accent"),
        (f"{first}  ", "strong" if chosen else ""),
        (_left(words, max(0, room)), "muted"),
        (f" {hint}", "accent" if chosen else "muted"),
    )


def _state(row: HomeRow, ascii_only: bool) -> str:
    return f"{row.look.sign(ascii_only)} {row.look.word}" + (f" {row.remark}" if row.remark else "")


def _wants(row: HomeRow, ascii_only: bool) -> str:
    return "older" if row.past else _plain(row.wants, ascii_only)


def _numbers(row: HomeRow) -> str:
    if row.done is None or not row.total:
        return NOTHING
    return f"{row.done}/{row.total}" + ("" if row.sure else "?")


def _progress(row: HomeRow, room: int, ascii_only: bool) -> tuple[Span, ...]:
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    numbers = _plain(_numbers(row), ascii_only)
    if row.done is None or not row.total:
        return ((_left(" " * (_BAR + 1) + numbers, room), "muted"),)
    filled = min(_BAR, row.done * _BAR // row.total)
    shade = "muted" if row.past or not row.sure else "success" if row.done >= row.total else "primary"
    return (
        (full * filled, shade),
        (empty * (_BAR - filled), "muted"),
        (_left(f" {numbers}", room - _BAR), "muted" if row.past or not row.sure else ""),
    )


def _left(text: str, room: int) -> str:
    return text + " " * max(0, room - painted(text))


def _plain(text: str, ascii_only: bool) -> str:
    return text.replace("–", "-").replace("…", "...") if ascii_only else text
