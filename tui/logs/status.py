"""The sentence below a log: what it is, how much of it there is, where we are, and whether all is well.

Nothing here reads or paints. The first of several wordings that fits is taken, so a narrow pane loses words and no
meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from hosts.connection import without_wait
from monitors.logs.types import LogState, Status
from tui import words
from tui.cells import shorten, width
from tui.sanitise import clean_inline, redact

_USUAL = ("utf-8", "ascii", "")
_BAD: dict[Status, tuple[str, str]] = {
    Status.WAITING: ("waiting", "WAITING"),
    Status.STALE: ("stale", "STALE"),
    Status.DENIED: ("denied", "DENIED"),
    Status.FAILED: ("failed", "FAILED"),
}
_TELLING = 16  # cells of a reason that are worth to be shown
_ENCODINGS = {"utf-16-le": "UTF-16 LE", "utf-16-be": "UTF-16 BE"}


@dataclass(frozen=True)
class Facts:
    """What the view adds to what the model knows.

    Attributes:
        following: Whether the end stays on screen.
        let_go: Since when not, our clock.
        frozen: Since when nothing new is painted, our clock, None while it is.
        fraction: Where the screen begins, as a share of all bytes.
        number: The line number there, None where it is not known.
        problem: Why nothing could be read last time, or "".
        filtered: Whether a filter is set.
        shown: Lines that it lets pass, None where that is not known.
        around: Lines that are shown around each of them.
        task: What takes a while just now ("saving 48 %"), or "".
        now: Our clock.
        zone: Of times that are shown; None for the machine's own.
        titled: The log's whole path stands above it.
    """

    following: bool = True
    let_go: float | None = None
    frozen: float | None = None
    fraction: float = 1.0
    number: int | None = None
    problem: str = ""
    filtered: bool = False
    shown: int | None = None
    around: int = 0
    task: str = ""
    now: float = 0.0
    zone: tzinfo | None = None
    titled: bool = False


@dataclass(frozen=True)
class Sentence:
    """What the status line shows.

    Attributes:
        mark: Name of a mark in `tui.marks.LOG`.
        name: The log's name, safe.
        trouble: What is wrong, in capitals first, or "".
        text: The rest.
    """

    mark: str
    name: str
    trouble: str
    text: str

    def cells(self) -> int:
        return 2 + sum(width(part) + 1 for part in (self.name + ":", self.trouble, self.text) if part)


def sentence(state: LogState, facts: Facts, room: int) -> Sentence:
    """The fullest wording that fits into `room` cells; the last one is cut."""
    made = None
    for made in _wordings(state, facts, room):
        if made.cells() <= room:
            return made
    assert made is not None
    name = shorten(made.name, max(1, room - 4 - (width(made.trouble) + 1 if made.trouble else 0)))
    left = room - 2 - width(name) - 2
    trouble = shorten(made.trouble, max(0, left)) if made.trouble else ""
    left -= width(trouble) + 1 if trouble else 0
    return Sentence(made.mark, name, trouble, shorten(made.text, left) if left > 1 and made.text else "")


def _wordings(state: LogState, facts: Facts, room: int) -> Iterator[Sentence]:
    full = clean_inline(redact(state.shape.name or "no log yet"))
    name = full if full != "-" else "standard input"
    base = name.rstrip("/").rpartition("/")[2] or name
    name = base if facts.titled else name
    mark = _mark(state, facts)
    trouble, brief = _trouble(state, facts)
    amount, small = _amount(state, facts), _lines(state) or words.size(state.bytes)
    where, near = _where(facts, state), _where(facts, state, brief=True)
    encoding = f"{_encoding(state)}." if _encoding(state) else ""
    task = facts.task
    reason = shorten(trouble, max(0, room - width(base) - 5))  # why it is so matters more than how much there is
    for title, said, much, place in (
        (name, trouble, f"{amount}.", where),
        (base, trouble, f"{amount}.", where),
        (base, trouble, f"{amount}.", near),
        (base, trouble, f"{small}.", near),
        (base, trouble, "", near),
        *([(base, reason, "", "")] if width(reason) > width(brief) + _TELLING else []),
        (base, brief, f"{small}.", near),
        (base, brief, "", near),
    ):
        held = much if state.bytes else "" if trouble else "Empty."
        text = " ".join(part for part in (task and f"{task}.", held, encoding, place) if part)
        yield Sentence(mark, title, said, text)


def _mark(state: LogState, facts: Facts) -> str:
    bad = _BAD.get(state.shape.status)
    if bad is not None:
        return bad[0]
    if facts.frozen is not None:
        return "frozen"
    if not facts.following:
        return "paused"
    return "ended" if state.shape.status is Status.ENDED else "follow"


def _trouble(state: LogState, facts: Facts) -> tuple[str, str]:
    """What is wrong, in full and in few words."""
    bad = _BAD.get(state.shape.status)
    if bad is not None:
        since = words.age(facts.now - state.shape.since)
        detail = clean_inline(redact(state.shape.detail))
        return f"{bad[1]} for {since}{f': {detail}' if detail else ''}.", f"{bad[1]} {since}."
    if facts.problem:
        told = clean_inline(redact(without_wait(facts.problem)))
        return f"CANNOT READ: {told}.", "CANNOT READ."
    return "", ""


def _lines(state: LogState) -> str:
    return words.counted(state.lines, "line") if state.lines is not None else ""


def _amount(state: LogState, facts: Facts) -> str:
    size = words.size(state.bytes)
    lines = _lines(state)
    if not lines:
        share = state.counted / state.bytes if state.bytes else 0.0
        lines = f"counting lines, {words.percent(share)}"
    if facts.filtered and state.filter is not None:
        passed = lines if facts.shown is None else f"{words.count(facts.shown)} shown of {lines}"
        if facts.shown is not None and facts.around:  # how many those are, only the whole log would tell
            passed = f"{words.counted(facts.shown, 'hit')} of {lines}, {facts.around} around"
        if not state.filter.done and state.filter.total:
            passed += f", filtered {words.percent(state.filter.scanned / state.filter.total)}"
        return f"{passed}, {size}"
    return f"{lines}, {size}"


def _where(facts: Facts, state: LogState, *, brief: bool = False) -> str:
    if facts.frozen is not None:
        since = words.clock(facts.frozen, facts.now, facts.zone)
        return f"Painting stopped at {since}, space goes on." if not brief else f"Stopped {since}."
    if not state.bytes:
        return ""
    if facts.following and state.shape.status is Status.LIVE and state.shape.detail:
        told = clean_inline(redact(state.shape.detail))  # "the file is deleted; it is read on until there is a new one"
        return f"{told[:1].upper()}{(told.partition(';')[0] if brief else told)[1:]}."
    if facts.following:
        return "At its end." if state.shape.status is Status.ENDED else "Following."
    at = words.percent(facts.fraction)
    if facts.number is not None:
        at = f"line {words.count(facts.number)}, {at}"
    since = "" if facts.let_go is None else f", paused since {words.clock(facts.let_go, facts.now, facts.zone)}"
    if brief:
        return f"{words.percent(facts.fraction)}, paused."
    return f"{at[:1].upper()}{at[1:]}{since}." if facts.number is not None else f"At {at}{since}."


def _encoding(state: LogState) -> str:
    return "" if state.encoding in _USUAL else _ENCODINGS.get(state.encoding, state.encoding.upper())
