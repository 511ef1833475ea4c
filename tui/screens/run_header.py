"""The first rows of the run screen: what it is, how it stands, how far it is, and how old that is."""

from __future__ import annotations

from dataclasses import dataclass

from gates.calibration.audit import Audit
from gates.verdict import Decision
from hosts.connection import Connection, Way
from monitors.snapshot import State
from tui.cells import painted
from tui.marks import STATES, Look
from tui.screens.host_look import SINCE, TRYING
from tui.screens.matrix_grid import Grid, body_of
from tui.screens.run_facts import Clock, plain
from tui.screens.run_ink import Row, Span, cut, middle
from tui.screens.run_ink import width as cells
from tui.screens.run_pace import Pace
from tui.screens.run_words import hour, instant, lasting, machine, seen, spread, way_span
from tui.screens.subject import RunLook, RunPlace

STALE_AFTER_S = 120.0
SIGNS = (
    Look("eta", "eta", "when it should be done; its basis stands behind it where there is room"),
    Look("±", "+-", "one standard deviation of what is left, from how this run's own repeats differ"),
    Look("⟳", "seen", "how long ago the run was last looked at"),
)
"""What the header shows in few characters."""
_OF_PEOPLE = ("apply.", "cell.discarded", "discard.")
"""How kinds of journal events begin that tell what people did with the results, often days after the run's end."""
_LEAST_WHY = 24
_APART_S = 60.0  # times are shown to the minute
_GOES_ON = (State.RUNNING, State.WAITING, State.SLOW_START)
_ENDS = (State.ENDED, State.HALTED, State.DEAD)


@dataclass(frozen=True)
class Marks:
    """How the header is to be painted.

    Attributes:
        paused: Painting was stopped by hand.
        asked: A look was asked for and has not come.
        way: How the way to the run's host stands; None where none is needed.
    """

    ascii_only: bool = False
    paused: bool = False
    asked: bool = False
    way: Connection | None = None


def header(place: RunPlace, look: RunLook, grid: Grid, pace: Pace | None, at: Clock, width: int, marks: Marks) -> Row:
    """One row of at most `width` cells. What does not fit is left out whole, the least telling first."""
    name, repeats, sha = _names(place, look)
    state = look.snapshot.state
    shown = STATES.get(state.value, STATES["unknown"])
    runs = _runs(look, grid)
    progress = look.snapshot.progress
    done = f"{progress.done}/{progress.total}" if progress.done is not None and progress.total else ""
    when, off, basis = _eta(look, pace, at)
    age = age_of(look, at.now, marks)
    host = plain(machine(place), 60)
    parts: list[tuple[str, list[Span]]] = [
        ("name", [(name, "strong")]),
        ("repeats", [(repeats, "")]),
        ("host", [(host if host == "this machine" else f"@{host}", "secondary")]),
        ("way", [way_span(marks.way, at.now, at.zone, look.snapshot.seen.received)]),
        ("sha", [(sha, "muted")]),
        ("state", [(f"{shown.sign(marks.ascii_only)} {shown.word}", shown.style)]),
        ("runs", [(runs, "")]),
        ("done", [(done, "strong")]),
        ("cells", [("cells" if done else "", "muted")]),
        ("eta", [(when, "")]),
        ("off", [(_ascii(off, marks.ascii_only), "muted")]),
        ("basis", [(f"({basis})" if basis else "", "muted")]),
        ("age", [age]),
    ]
    parts = [(kind, spans) for kind, spans in parts if spans[0][0]]
    calm = ("way",) if marks.way is None or marks.way.way is Way.UP else ()
    for dropped in ("basis", "cells", *calm, "off", TRYING, "sha", SINCE, "repeats", "host", "eta"):
        if _width(parts) <= width:
            break
        parts = [_briefer(part, dropped) for part in parts if part[0] != dropped]
    over = _width(parts) - width
    for kind, least in (("runs", 10), ("name", 8), ("runs", 0), ("done", 0), ("name", 1)):
        if over <= 0:
            break
        parts = _shorter(parts, kind, over, least, marks.ascii_only)
        over = _width(parts) - width
    return _laid(parts, width)


def _names(place: RunPlace, look: RunLook) -> tuple[str, str, str]:
    body = body_of(look.snapshot)
    plan = body.run.plan if body.run is not None else None
    if plan is None:
        return plain(place.title, 80), "", ""
    return plain(plan.model, 80), f"r{plan.repeats}", plain(plan.calibration_git_sha or "", 40)[:7]


def _runs(look: RunLook, grid: Grid) -> str:
    """What runs now, with its repeat; between two it is nothing."""
    repeats = body_of(look.snapshot).audit
    of = f"/{repeats.repeats}" if repeats is not None and repeats.repeats else ""
    if grid.now is not None:
        return f"{plain(grid.now.unit, 200)} {grid.now.run}{of}"
    if look.snapshot.state is State.BLIND:
        return ""
    return plain(look.snapshot.active[0].name, 200) if look.snapshot.active else ""


def _eta(look: RunLook, pace: Pace | None, at: Clock) -> tuple[str, str, str]:
    eta = look.snapshot.eta
    if eta is None or look.snapshot.state is State.BLIND:
        return "", "", ""
    if eta.at is None:
        return "eta ?", "", plain(eta.basis, 200)
    off = spread(pace.spread) if pace is not None and pace.spread is not None else ""
    return f"eta {at.hour(eta.at)}", off, plain(eta.basis, 200)


def age_of(look: RunLook, now: float, marks: Marks) -> Span:
    """How old the last good look is, in steps."""
    received = look.snapshot.seen.received
    if marks.paused:
        return ("= paused" if marks.ascii_only else "‖ paused"), "warning"
    if marks.asked:
        return ("seen: looking" if marks.ascii_only else "⟳ looking"), "primary"
    if received is None:
        return ("never seen" if marks.ascii_only else "⟳ never"), "warning"
    age = max(0.0, now - received)
    old = age >= STALE_AFTER_S or look.snapshot.state is State.BLIND
    return f"{'seen' if marks.ascii_only else '⟳'} {seen(age)}", "warning" if old else "muted"


def gates(look: RunLook, at: Clock, width: int, marks: Marks) -> Row:
    """Strict-ready count, provenance, environment, time since the beginning and the host's clock, as many as fit."""
    body = body_of(look.snapshot)
    audit = body.audit
    if audit is None:
        return ()
    parts: list[tuple[str, list[Span]]] = [
        ("strict", [_gate("strict", f"{audit.ready_count}/{len(audit.stages)}", _strict(look, audit), marks)]),
        ("provenance", [_gate("provenance", audit.provenance.outcome, audit.provenance.decision, marks)]),
        ("environment", [_gate("environment", audit.environment.outcome, audit.environment.decision, marks)]),
        ("elapsed", [(elapsed(look, at), "muted")]),
        ("began", [(began(look, at), "muted")]),
        ("clock", [(_clock(look), "warning")]),
        ("why", [(_why(audit), "muted")]),
    ]
    parts = [(kind, spans) for kind, spans in parts if spans[0][0]]
    for dropped in ("clock", "began", "elapsed"):
        shown = [part for part in parts if part[0] != "why"]
        if _width(shown) + len(shown) - 1 <= width:
            break
        parts = [part for part in parts if part[0] != dropped]
    gap = len(parts) - 1  # two blanks between two of these
    over = _width(parts) + gap - width
    if over > 0:
        room = next((painted(spans[0][0]) - over for kind, spans in parts if kind == "why"), 0)
        short = _shorter(parts, "why", over, _LEAST_WHY, marks.ascii_only)
        parts = short if room >= _LEAST_WHY else [part for part in parts if part[0] != "why"]
    return _laid(parts, width, "  ")


def _gate(name: str, outcome: str, decision: Decision, marks: Marks) -> Span:
    sign = {Decision.PASS: "✓+", Decision.FAIL: "✗x", Decision.UNKNOWN: "??", Decision.NOT_YET: "—-"}[decision]
    style = {Decision.PASS: "success", Decision.FAIL: "error", Decision.UNKNOWN: "warning"}.get(decision, "muted")
    return f"{sign[marks.ascii_only]} {name} {plain(outcome, 40)}", style


def _strict(look: RunLook, audit: Audit) -> Decision:
    """A run that goes on runs again what failed: until it is over, that is no failure yet."""
    decision = audit.strict.decision
    return Decision.NOT_YET if decision is Decision.FAIL and look.snapshot.state in _GOES_ON else decision


def _why(audit: Audit) -> str:
    """What the first gate says that fails, else the first that is not known."""
    told = (("provenance", audit.provenance), ("environment", audit.environment))
    for decision in (Decision.FAIL, Decision.UNKNOWN):
        for name, verdict in told:
            if verdict.decision is decision and verdict.detail:
                return f"{name}: {plain(verdict.detail, 300)}"
    return ""


def began(look: RunLook, at: Clock) -> str:
    """When the calibration was started."""
    when = _begun(look)
    try:
        return f"began {at.hour(when)}" if when is not None else ""
    except (ValueError, OverflowError, OSError):  # no calendar has it
        return ""


def _clock(look: RunLook) -> str:
    """That the host's clock is another one, where that is more than a glance at it would miss; its logs go by it."""
    skew = look.host.body.skew if look.host is not None else None
    if skew is None or not skew.told or abs(skew.seconds) < _APART_S:
        return ""
    return f"clock {lasting(round(abs(skew.seconds)))} {'ahead' if skew.seconds > 0 else 'behind'}"


def elapsed(look: RunLook, at: Clock) -> str:
    """How long it has taken: until now, or until the last thing that is told of a run that is over."""
    when = _begun(look)
    if when is None:
        return ""
    over = look.snapshot.state in _ENDS or body_of(look.snapshot).runner == "none"
    end = _ended(look) if over else look.snapshot.seen.at
    if end is None or end < when:
        return ""
    return f"{'took' if over else 'elapsed'} {lasting(end - when)}"


def _ended(look: RunLook) -> float | None:
    """When the last thing happened, as it was told; not when files were written, which may have been copied since."""
    body = body_of(look.snapshot)
    told = [event.at for event in body.journal.events if not event.kind.startswith(_OF_PEOPLE)]
    if told:
        return instant(told[-1])
    records = (cell.record for stage in body.audit.stages for cell in stage.cells) if body.audit is not None else ()
    return instant(max((record.recorded_at for record in records if record and record.recorded_at), default=None))


def _begun(look: RunLook) -> float | None:
    body = body_of(look.snapshot)
    plan = body.run.plan if body.run is not None else None
    told = instant(plan.calibration_started_at or plan.timestamp) if plan is not None else None
    if told is not None:
        return told
    first = next((event for event in body.journal.events if event.kind == "run.started"), None)
    return instant(first.at) if first is not None else None


def since_row(since: tuple[float, tuple[str, ...]], at: Clock, width: int, ascii_only: bool = False) -> Row:
    """What changed while nobody looked, and the key that takes the line away."""
    when, told = since
    lead, end = f" since {hour(when, at.now, at.zone)}  ", "  x: seen "
    words = plain((" | " if ascii_only else " · ").join(told), 2000)
    if ascii_only:
        words = words.replace("→", "->")
    text = cut(words, max(0, width - len(lead) - len(end)), "..." if ascii_only else "…")
    return (lead, "accent"), (text, ""), (end, "muted")


_Part = tuple[str, list[Span]]
_Parts = list[_Part]


def _width(parts: _Parts) -> int:
    return sum(cells(spans) for _, spans in parts) + len(parts) + 2 * sum(kind in _LEADS for kind, _ in parts)


_LEADS = ("state", "done", "eta", "age")  # what begins a new thought has more room before it


def _briefer(part: _Part, rest: str) -> _Part:
    """The same; of the way only what stands before `rest`."""
    kind, spans = part
    return (kind, [(words.partition(rest)[0], style) for words, style in spans]) if kind == "way" else part


def _shorter(parts: _Parts, kind: str, over: int, least: int, ascii_only: bool) -> _Parts:
    more = "..." if ascii_only else "…"
    made: _Parts = []
    for name, spans in parts:
        if name != kind:
            made.append((name, spans))
            continue
        text, style = spans[0]
        room = max(least, painted(text) - over)
        shown = (cut if kind == "why" else middle)(text, room, more) if room > 1 else ""
        if shown:
            made.append((name, [(shown, style)]))
    return made


def _laid(parts: _Parts, width: int, gap: str = " ") -> Row:
    """The parts with room between them; the age stands at the right end."""
    row: list[Span] = []
    for kind, spans in parts:
        if kind == "age":
            free = width - cells(row) - cells(spans) - 1
            row.append((" " * max(1, free), ""))
        elif kind in _LEADS and row:
            row.append(("   ", ""))
        else:
            row.append((gap if row else " ", ""))
        row.extend(spans)
    return tuple(row)


def _ascii(text: str, ascii_only: bool) -> str:
    return text.replace("±", "+-") if ascii_only else text
