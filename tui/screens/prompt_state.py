"""Whether the apply prompt may be opened, from what was last seen of a run alone (spec/calibration.md, section 5)."""

from __future__ import annotations

from gates.calibration.environment import DIFFERS
from gates.calibration.layout import PLAN
from gates.verdict import Decision
from monitors.calibration.body import APPLY_NONCE, LOCK, Calibration
from monitors.snapshot import State
from tui.screens.subject import RunLook

READ_ONLY = "read-only"
APPLIED = "already applied"
_APPLY_EVENTS = ("apply.begun", "apply.file", "apply.done", "apply.rolled_back")
_RUN_EVENTS = ("run.started", "run.resumed", "cell.recorded", "cell.discarded")  # what is applied anew after these


def apply_state(look: RunLook, read_only: bool) -> str:
    """Why the apply prompt stays closed, in a few words of which the most telling comes first; "" when it may open.

    An apply that was interrupted opens it too: it is then asked whether to finish it or to roll it back. The words
    may hold text from the run directory, so they are cleaned before they are shown.
    """
    return closed_reason(look) or (READ_ONLY if read_only else "")


def closed_reason(look: RunLook) -> str:
    """The same, whoever asks and whatever they may do."""
    known: Calibration | None = look.snapshot.body  # a host that never answered has left none
    if known is None or look.snapshot.state is State.BLIND or known.audit is None or known.run is None:
        return "the run cannot be seen"
    body, audit, run = known, known.audit, known.run
    if run.plan is None:
        return f"no usable {PLAN}"
    if run.manifest is None:
        return "no stages.yaml to judge by"
    left = len(audit.stages) - audit.ready_count
    if left:
        return f"{left} {'stage' if left == 1 else 'stages'} to go"
    living = _living(body)
    if living or interrupted(look):
        return living
    for name, verdict, stops in (
        ("strict", audit.strict, audit.strict.decision is not Decision.PASS),
        ("provenance", audit.provenance, audit.provenance.decision is not Decision.PASS),
        ("environment", audit.environment, audit.environment.outcome == DIFFERS),
    ):
        if stops:
            return f"{name} gate fails" if verdict.decision is Decision.FAIL else f"{name} gate: {verdict.outcome}"
    last = body.journal.last(*_APPLY_EVENTS, *_RUN_EVENTS)
    return APPLIED if last is not None and last.kind == "apply.done" else ""


def interrupted(look: RunLook) -> bool:
    """Whether the journal has an apply that neither ended nor was rolled back, with nobody at work on it."""
    body = look.snapshot.body
    last = body.journal.last(*_APPLY_EVENTS)
    return last is not None and last.kind in ("apply.begun", "apply.file") and not _living(body)


def ended_since(look: RunLook, apply_id: str) -> bool:
    """Whether the journal has the end of this very apply, finished or rolled back."""
    last = look.snapshot.body.journal.last("apply.done", "apply.rolled_back")
    return last is not None and last.data.get("id") == apply_id


def _living(body: Calibration) -> str:
    """What still works on the run, or may; "" when nothing does."""
    if body.holder is not None and body.holder.nonce.startswith(APPLY_NONCE) and body.runner == "alive":
        return "thresholds are being written"
    if body.runner == "alive":
        return "a runner lives"
    if LOCK in body.unread:
        return "the lock cannot be read"
    if body.holder is not None and body.runner == "unknown":
        return f"the lock is held by {body.holder}"
    if body.pytest_active:
        return "a pytest still runs"
    return "" if body.pytests is not None else "what still runs cannot be told"
