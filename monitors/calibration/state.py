"""How a calibration stands: alive, waiting, halted, dead, ended, and what may be done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gates.calibration.assemble import Run
from gates.calibration.layout import FINGERPRINT, JOURNAL, PLAN
from gates.documents import Json
from gates.journal import Journal
from gates.verdict import Decision, Evidence, Offer, Verdict
from hosts.host import ProcRef
from hosts.local.files import utc_now
from hosts.local.pasting import pasted
from hosts.local.pytests import is_pytest
from monitors.calibration.body import APPLY_NONCE, LOCK, Calibration
from monitors.snapshot import State

_Living = tuple[ProcRef, tuple[str, ...]]
Silence = Callable[[float], str]
"""Tells of a silence by the moment (far clock, s since the epoch) when it began."""

STALLED_AFTER_S = 600.0  # of silence of what lives
_MOST_EVIDENCE = 20


def state_of(body: Calibration, at: float, lasting: bool = True) -> tuple[State, str]:
    """How the run stands at `at` (far clock, s since the epoch), and one sentence where that needs an explanation.

    Args:
        lasting: Say how long a silence has lasted; else since when, which stays the same from look to look.
    """

    def silence(moment: float) -> str:
        return f"for {_lasting(at - moment)}" if lasting else f"since {utc_now(moment)}"

    assert body.audit is not None  # both come from the same fold
    assert body.run is not None
    if body.run.plan is None:
        return State.UNKNOWN, _without_plan(body.run)
    if body.holder is not None and body.holder.nonce.startswith(APPLY_NONCE) and body.runner != "unknown":
        return State.ENDED, "thresholds are being written" if body.runner == "alive" else "an apply was interrupted"
    if body.runner == "alive":
        state = _running_state(body.journal)
        watched = body.stopped or (state is State.RUNNING and body.pytest_active)
        return _unless_stalled(body, at, silence, "") if watched else (state, "")
    if LOCK in body.unread:
        why = f"whether a runner lives cannot be told, {LOCK}: {body.unread[LOCK]}"
        return (State.RUNNING if body.processes else State.UNKNOWN), why
    if body.pytest_active:
        return _unless_stalled(body, at, silence, _without_runner(body))
    if body.runner == "unknown" and body.holder is not None:
        return State.UNKNOWN, unjudged(body)
    if JOURNAL in body.unread and body.audit.incomplete:
        return State.UNKNOWN, f"how it ended cannot be told, {JOURNAL}: {body.unread[JOURNAL]}"
    last = body.journal.last("run.started", "run.resumed", "run.ended", "run.halted")
    if last is not None and last.kind == "run.halted":
        return State.HALTED, str(last.data.get("detail", "halted"))
    if not body.audit.incomplete or (last is not None and last.kind == "run.ended"):
        return State.ENDED, ""
    if last is None and body.holder is None:
        return _anothers_state(body, at, silence)
    why = f": {body.words}" if body.words else " and without a word: it was killed, or its disk failed"
    return State.DEAD, f"the runner is gone without a last event{why}"


def _without_plan(run: Run) -> str:
    """Why there is no plan: the file that is there and cannot be used, with the key that is wrong."""
    why = next((finding for finding in run.findings if finding.startswith(PLAN)), "")
    return f"{PLAN} cannot be used: {why.removeprefix(f'{PLAN}: ')}" if why else f"there is no {PLAN}"


def unjudged(body: Calibration) -> str:
    """Of a lock whose holder may live or not: who that is, and what a person can do who knows better."""
    known = body.audit is not None and body.audit.incomplete
    more = "; if it is gone for certain, --resume --take-over goes on" if known else ""
    return f"held by {body.holder}, which cannot be judged from here{more}"


def orphaned(body: Calibration) -> bool:
    """Whether the run's runner is gone and what it started lives on, so that a resume takes it over.

    Only what carries the run's mark is found by a resume; a pytest that somebody else started is not.
    """
    runner = None if body.holder is None else body.holder.ref
    if body.runner not in ("dead", "none") or not any(process.ref != runner for process in body.processes):
        return False
    last = body.journal.last("run.started", "run.resumed", "run.ended", "run.halted")
    return runner is not None if last is None else last.kind in ("run.started", "run.resumed")


def _without_runner(body: Calibration) -> str:
    if orphaned(body):
        taken = "; --resume takes it over" if body.audit is not None and body.audit.incomplete else ""
        return f"the runner is gone and its pytest still runs{taken}"
    if body.runner == "unknown" and body.holder is not None:
        return f"held by {body.holder}, which cannot be judged from here"
    return ""


def _unless_stalled(body: Calibration, at: float, silence: Silence, remark: str) -> tuple[State, str]:
    """RUNNING, or STALLED where what lives is stopped or has written nothing for long."""
    if body.stopped:
        wrote = "" if body.last_write is None else f" and nothing was written {silence(body.last_write)}"
        first = body.stopped[0]
        told = f"{_named(body, first)} is stopped (state T){wrote}; kill -CONT {first.pid} lets it go on"
        return State.STALLED, told + (f"; {remark}" if remark else "")
    since = [body.last_write, *(seen.since for seen in body.pytests or ())]
    newest = max((one for one in since if one is not None), default=at)
    if at - newest < STALLED_AFTER_S:
        return State.RUNNING, remark
    living = (*(seen.ref for seen in body.pytests or ()), *(process.ref for process in body.processes))
    lives = f"; pid {living[0].pid} still lives" if living else ""
    return State.STALLED, f"nothing was written {silence(newest)}{lives}" + (f"; {remark}" if remark else "")


def _named(body: Calibration, ref: ProcRef) -> str:
    return f"{'the runner' if body.holder is not None and ref == body.holder.ref else 'its pytest'}, pid {ref.pid},"


def _anothers_state(body: Calibration, at: float, silence: Silence) -> tuple[State, str]:
    """A run that another program writes, or wrote: it has left neither journal nor lock, and is not whole."""
    if body.pytests is None:
        return State.UNKNOWN, "no journal and no lock: whether another program still writes here cannot be told"
    fingerprint = body.documents.get(FINGERPRINT)
    where = fingerprint.get("hostname") if isinstance(fingerprint, dict) else None
    if isinstance(where, str) and where and body.node and where != body.node:
        return (
            State.UNKNOWN,
            f"it was calibrated on {where}; whether it still runs there cannot be told from {body.node}",
        )
    nobody = f"no pytest of this run lives on {body.node or 'this host'}"
    newest = body.last_write
    if newest is None:
        return State.UNKNOWN, f"{nobody}, and when it was last written is not known"
    told = f"{nobody}, and nothing was written {silence(newest)}"
    if at - newest < STALLED_AFTER_S:
        return State.UNKNOWN, f"{told}: between two, or at its end"
    return State.DEAD, told


def _lasting(seconds: float) -> str:
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _running_state(journal: Journal) -> State:
    last = journal.last("unit.waiting", "unit.slow_start", "attempt.started", "attempt.adopted", "attempt.ended")
    if last is None:
        return State.RUNNING
    return {"unit.waiting": State.WAITING, "unit.slow_start": State.SLOW_START}.get(last.kind, State.RUNNING)


def liveness(body: Calibration, state: State, remark: str) -> Verdict:
    """Whether the run works, has ended or is dead, with the processes and writes that say so."""
    decision = {
        State.ENDED: Decision.PASS,
        State.HALTED: Decision.FAIL,
        State.DEAD: Decision.FAIL,
        State.UNKNOWN: Decision.UNKNOWN,
    }.get(state, Decision.NOT_YET)
    evidence = [Evidence("runner", LOCK, value=body.runner)]
    if body.holder is not None:
        evidence.append(Evidence("lock holder", LOCK, value=str(body.holder)))
    living = [(process.ref, process.argv) for process in body.processes]
    living += [(seen.ref, seen.argv) for seen in body.pytests or () if seen.ref not in dict(living)]
    if orphaned(body):
        living = [_oldest(living)]
    evidence.extend(
        Evidence("process", value=f"pid {ref.pid} {' '.join(argv[:3])}"[:200]) for ref, argv in living[:_MOST_EVIDENCE]
    )
    evidence.extend(
        Evidence("stopped", value=f"pid {ref.pid}, state T: a signal stopped it, SIGCONT lets it go on")
        for ref in body.stopped
    )
    if body.last_write is not None and state in (State.DEAD, State.STALLED):
        evidence.append(Evidence("last write", value=utc_now(body.last_write)))
    return Verdict("calibration.liveness", decision, state.value, detail=remark, evidence=tuple(evidence))


def _oldest(living: Sequence[_Living]) -> _Living:
    """The pytest itself: its children come and go, and an offer that named them would be another one each time."""
    pytests = [one for one in living if is_pytest(one[1])]
    return min(pytests or living, key=lambda one: (one[0].start_ticks, one[0].pid))


def offers(run_dir: str, body: Calibration, state: State, host: str, liveness: Verdict) -> tuple[Offer, ...]:
    """A run that lost its runner short of strict-complete offers its resume; a HALT needs a person first."""
    if body.audit is None or not body.audit.incomplete or body.run is None or body.run.plan is None:
        return ()
    last = body.journal.last("run.halted")
    stopped = state is State.HALTED and last is not None and last.data.get("why") in ("stopped", "exhausted")
    left_alone = state in (State.RUNNING, State.STALLED) and orphaned(body)
    if not (state is State.DEAD or stopped or left_alone):
        return ()
    change = resume_command(run_dir, body.run.plan.raw)
    return (Offer(run_dir, "resume", liveness.digest(), change, host, danger=False),)


def resume_command(run_dir: str, known: Mapping[str, Json], *more: str) -> str:
    """What continues a run, to be pasted.

    Args:
        known: The run's plan.json.
        more: Options beside.
    """
    words = [
        word for name in ("root", "host") if isinstance(said := known.get(name), str) for word in (f"--{name}", said)
    ]
    return pasted(["gatewatch", "calibrate", "run", *words, "--resume", *more, "--output-dir", run_dir])
