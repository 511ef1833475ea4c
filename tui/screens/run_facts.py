"""What the run screen says of a look, in words: one sentence that answers whether it is fine, and the evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import tzinfo

from gates.calibration.audit import Audit
from gates.calibration.cells import Mark
from gates.calibration.environment import DIFFERS
from gates.calibration.layout import JOURNAL
from gates.journal import Event
from gates.verdict import Decision
from hosts.connection import Connection, without_wait
from monitors.calibration.body import Calibration
from monitors.calibration.state import unjudged
from monitors.poller import LONGEST_INTERVAL_S
from monitors.snapshot import Now, Snapshot, State
from tui.sanitise import clean_inline, redact
from tui.screens.host_look import DARK
from tui.screens.matrix_grid import Grid, body_of
from tui.screens.prompt_state import closed_reason
from tui.screens.run_pace import Pace, following
from tui.screens.run_words import hour, instant, lasting
from tui.screens.subject import RunLook
from tui.words import counted

_LIMIT = 600
_TROUBLED = (Mark.BROKEN, Mark.PARTIAL)


@dataclass(frozen=True)
class Clock:
    """The instant of a paint, and how times are shown.

    Attributes:
        now: Ours, seconds since the epoch.
        far: The host's, likewise, as far as the last look tells.
    """

    now: float
    far: float
    zone: tzinfo | None = None

    def hour(self, far: float) -> str:
        """A time of the host's clock, as one of ours."""
        return hour(far + self.now - self.far, self.now, self.zone)


def clock(snapshot: Snapshot[Calibration], now: float, zone: tzinfo | None) -> Clock:
    """Our clock and the host's, which are only apart by what the last look has shown."""
    seen = snapshot.seen
    apart = seen.at - seen.received if seen.at is not None and seen.received is not None else 0.0
    return Clock(now, now + apart, zone)


@dataclass(frozen=True)
class Said:
    """What is said of a run.

    Attributes:
        sentence: Whether it is fine.
        ink: Its colour.
        evidence: What it stands on, where it is not; "" where all is well.
    """

    sentence: str
    ink: str
    evidence: str = ""


def as_now(look: RunLook, now: float, way: Connection | None) -> RunLook:
    """The look, blind where it is of long ago or its host cannot be reached now, however the run stood then.

    Args:
        now: Our clock, seconds since the epoch.
        way: How the way to the run's host stands; None where none is needed.
    """
    age = look.snapshot.seen.age(Now(now))
    dark = way is not None and way.way in DARK
    if look.snapshot.state is State.BLIND or age is None or not (dark or age >= LONGEST_INTERVAL_S):
        return look
    return replace(look, snapshot=replace(look.snapshot, state=State.BLIND, error=None))


def plain(text: object, limit: int = _LIMIT) -> str:
    """Text from outside in one line, without secrets."""
    return clean_inline(redact(str(text)), limit=limit)


def said(
    look: RunLook, grid: Grid, pace: Pace | None, at: Clock, *, read_only: bool = False, outside: bool = False
) -> Said:
    """The one plain sentence.

    Args:
        read_only: Nothing may be started from here.
        outside: It is not said on the run's own screen, whose keys do nothing here.
    """
    snapshot = look.snapshot
    body = body_of(snapshot)
    audit = body.audit
    if audit is None or body.run is None or body.run.plan is None:
        return _unseen(snapshot, at)
    ready = f"{audit.ready_count} of {counted(len(audit.stages), 'stage')} ready."
    state = snapshot.state
    if state is State.RUNNING:
        return _running(snapshot, audit, grid, pace, at, ready, _offered(snapshot, read_only, outside))
    if state is State.WAITING:
        return _with_journal(_waiting(body, at, ready), body)
    if state is State.SLOW_START:
        return _with_journal(_slow(snapshot, body, at), body)
    if state is State.ENDED:
        return _with_journal(_ended(look, audit, ready), body)
    error = plain(without_wait(snapshot.error or ""))
    if state is State.BLIND:
        return _blind(snapshot, error, at)
    evidence = _evidence(snapshot, at)
    gate = _failing(audit)
    ready = f"{gate} {ready}" if gate else ready
    if state is State.STALLED:
        return Said(f"Stalled: {_stop(error)}{_offered(snapshot, read_only, outside)} {ready}", "warning", evidence)
    if state is State.DEAD:
        return Said(f"Dead: {_stop(error)}{_offered(snapshot, read_only, outside)} {gate}".rstrip(), "error", evidence)
    if state is State.HALTED:
        halted = f"Halted: {_stop(error)}{_offered(snapshot, read_only, outside)} {gate}".rstrip()
        return Said(halted, "warning", evidence)
    if snapshot.error == unjudged(body):  # the evidence has who holds it, and two lines are not many
        gone = "if it is gone for certain, --resume --take-over goes on." if audit.incomplete else ""
        why = f"Whether its runner lives cannot be told from here{'; ' if gone else '.'}{gone}"
        return Said(f"{why} {ready}", "warning", evidence)
    return Said(f"How it stands cannot be told: {_stop(error)} {ready}", "warning", evidence)


def _offered(snapshot: Snapshot[Calibration], read_only: bool, outside: bool) -> str:
    if not any(offer.action == "resume" for offer in snapshot.offers):
        return ""
    if outside:
        return " It can be resumed."
    return " It can be resumed: start with --act." if read_only else " R resumes it."


def _blind(snapshot: Snapshot[Calibration], error: str, at: Clock) -> Said:
    when = f"What is shown was seen at {at.hour(snapshot.seen.at)}." if snapshot.seen.at is not None else ""
    why = f"The last look failed: {_stop(error)}" if error else "It cannot be seen now."
    return Said(f"{why} {when}".rstrip(), "warning")


def _unseen(snapshot: Snapshot[Calibration], at: Clock) -> Said:
    error = plain(without_wait(snapshot.error or ""))
    if snapshot.state is State.BLIND and snapshot.seen.at is not None:  # its plan went before its folder did
        return _blind(snapshot, error, at)
    if snapshot.state is State.BLIND:
        return Said(f"It has not been seen yet: {_stop(error or 'the first look is under way')}", "warning")
    return Said(f"How it stands cannot be told: {_stop(error or 'there is no usable plan.json')}", "warning")


def _running(
    snapshot: Snapshot[Calibration], audit: Audit, grid: Grid, pace: Pace | None, at: Clock, ready: str, offered: str
) -> Said:
    wrong, ink = _wrong(snapshot, audit)
    wrong += offered
    coming = following(grid, pace, at.far) if pace is not None else None
    then = ""
    if coming is not None:
        when = f", about {at.hour(coming.at)}" if coming.at is not None else ""
        then = f"Next: {plain(coming.unit, 80)}{when}."
    elif grid.now is not None and grid.now.unit in grid.units and pace is not None and pace.left:
        then = "This is the last unit."
    elif grid.now is None:
        then = "Between two repeats."
    return Said(" ".join(part for part in (ready, wrong, then) if part), ink)


def _wrong(snapshot: Snapshot[Calibration], audit: Audit) -> tuple[str, str]:
    """What stands in the way of a good end although it goes on, the worst first, and its colour."""
    if audit.findings:
        return f"Contradiction: {_stop(plain(audit.findings[0], 200))}", "error"
    if audit.provenance.decision is Decision.FAIL:
        return f"Provenance fails: {_stop(plain(audit.provenance.detail, 200))}", "error"
    if audit.environment.outcome == DIFFERS:
        return f"The environment differs: {_stop(plain(audit.environment.detail, 200))}", "error"
    if snapshot.error:
        return _begun(_stop(plain(snapshot.error, 200))), "warning"
    if audit.strict.decision is Decision.UNKNOWN:
        return f"It {_stop(plain(audit.strict.detail, 200))}", "warning"
    journal = _journal(body_of(snapshot))
    if journal:
        return f"{_begun(journal)}.", "warning"
    again = [cell for stage in audit.stages if not stage.ready for cell in stage.faults if cell.mark in _TROUBLED]
    if again:
        return f"{counted(len(again), 'repeat')} will run again ({_named(again[0].stage, again[0].run)}).", "warning"
    return "Nothing is wrong.", ""


def _named(stage: str, run: int) -> str:
    return f"{plain(stage, 60)} {run}"


def _waiting(body: Calibration, at: Clock, ready: str) -> Said:
    event = body.journal.last("unit.waiting")
    if event is None:
        return Said(f"Waiting. {ready}", "warning")
    why = plain(event.data.get("why") or "no reason was given")
    what = _what(event, body)
    return Said(f"Waiting{_since(event, at)}{' with ' + what if what else ''}: {_stop(why)} {ready}", "warning")


def _slow(snapshot: Snapshot[Calibration], body: Calibration, at: Clock) -> Said:
    event = body.journal.last("unit.slow_start")
    if event is None:
        return Said("Slow start: its server is not ready yet.", "warning")
    lines, suspects = event.data.get("compile"), event.data.get("suspects")
    told = [plain(line, 200) for line in lines[-1:]] if isinstance(lines, list) else []
    if isinstance(suspects, dict):
        told += [f"{plain(name, 60)}={plain(value or 'unset', 80)}" for name, value in suspects.items()]
    began = next((item.since for item in snapshot.active if item.since is not None), None)
    ago = f", started {at.hour(began)} ({lasting(at.far - began)} ago)," if began is not None else ""
    what = _what(event, body) or "what was started"
    sentence = f"Slow start: {what}{ago} is not ready: a broken environment, not a threshold."
    return Said(sentence, "warning", "; ".join(told))


def _what(event: Event, body: Calibration) -> str:
    unit, run = event.data.get("unit"), event.data.get("run")
    repeats = body.audit.repeats if body.audit is not None else None
    if not isinstance(unit, str):
        return ""
    return f"{plain(unit, 80)} {run}/{repeats}" if isinstance(run, int) and repeats else plain(unit, 80)


def _since(event: Event, at: Clock) -> str:
    began = instant(event.at)
    return "" if began is None else f" since {at.hour(began)} ({lasting(at.far - began)})"


def _ended(look: RunLook, audit: Audit, ready: str) -> Said:
    if look.snapshot.error:
        return Said(f"Ended: {_stop(plain(look.snapshot.error))} {ready}", "warning")
    closed, journal = closed_reason(look), _journal(body_of(look.snapshot))
    if journal and (not closed or audit.verdict.decision is Decision.PASS):
        return Said(f"Ended: {ready} {_begun(journal)}.", "warning")
    if not closed:
        return Said(f"Ended: {ready} No gate fails; the checkout was not looked at.", "success")
    if audit.strict_complete and audit.verdict.decision is Decision.PASS:
        return Said(f"Ended: {ready} Nothing is wrong; {_stop(plain(closed))}", "success")
    gate = _failing(audit)
    if gate:
        return Said(f"Ended: {ready} {gate}", "error")
    faults = [cell for stage in audit.stages if not stage.ready for cell in stage.faults]
    if faults:
        first = faults[0]
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        why = plain(first.reason, 200)
        return Said(f"Ended: {ready} Not complete: {_named(first.stage, first.run)}: {why}{more}.", "error")
    if audit.strict.detail and not audit.strict_complete:
        return Said(f"Ended: {ready} {_stop(plain(audit.strict.detail, 300))}", "warning")
    return Said(f"Ended: {ready} {_stop(plain(closed))}", "warning")


def _journal(body: Calibration) -> str:
    """What is wrong with the journal, which decides consents; "" where it was read whole."""
    if JOURNAL in body.unread:
        return f"the journal cannot be read: {plain(body.unread[JOURNAL], 200)}"
    findings = body.journal.findings
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return f"the journal cannot be read whole: {plain(findings[0], 200)}{more}" if findings else ""


def _with_journal(told: Said, body: Calibration) -> Said:
    journal = _journal(body)
    if not journal or _begun(journal) in told.sentence:
        return told
    return Said(told.sentence, told.ink, "; ".join(part for part in (told.evidence, journal) if part))


def _failing(audit: Audit) -> str:
    """Why the first gate that results cannot mend fails; "" where none does."""
    for name, verdict in (("provenance", audit.provenance), ("environment", audit.environment)):
        if verdict.decision is Decision.FAIL:
            return f"The {name} gate fails: {_stop(plain(verdict.detail))}"
    return ""


def _evidence(snapshot: Snapshot[Calibration], at: Clock) -> str:
    """Who holds the lock, who lives, and when it was last written."""
    body = body_of(snapshot)
    journal = _journal(body)
    told = [journal] if journal else []
    if body.last_write is not None:
        told.append(f"last write {at.hour(body.last_write)} ({lasting(at.far - body.last_write)} ago)")
    if body.holder is not None:
        ref = body.holder.ref
        told.append(f"lock: pid {ref.pid} on {plain(ref.host, 80)}, {body.runner}")
    elif body.runner in ("alive", "dead"):
        told.append(f"runner: {body.runner}")
    living = [seen.ref.pid for seen in body.pytests or ()] or [process.ref.pid for process in body.processes]
    if living:
        told.append(f"lives: pid {', '.join(map(str, living[:3]))}{' …' if len(living) > 3 else ''}")
    elif body.pytests is not None:
        told.append("no pytest lives")
    return "; ".join(told)


def _begun(text: str) -> str:
    """A sentence with its capital; what is no plain word, such as the name of a file, stays."""
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text


def _stop(text: str) -> str:
    """A sentence with its full stop."""
    text = text.rstrip()
    return text if not text or text.endswith((".", "!", "?", "…")) else text + "."
