"""The journal's events as milestones, in the words of run.log, for runs that lost that file or never had one."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Mapping

from gates.calibration.assemble import BY_PERSON
from gates.calibration.outcome import Kind as Outcome
from gates.calibration.words import one_line
from gates.journal import Event, Journal
from monitors.calibration.milestones import LINE, Kind, Milestone

_WORDS: Mapping[str, Kind] = {
    Outcome.OK.value: Kind.PASS,
    Outcome.INFRA.value: Kind.ABORT,
    "stopped": Kind.ABORT,
}
_KEPT: Mapping[str, str] = {
    Outcome.THRESHOLD.value: ", a valid observation",
    Outcome.PARTIAL.value: ", recorded and to be run again",
}
_MOST_GPUS = 64


def of_journal(journal: Journal, repeats: int | None = None, first: int = 0) -> tuple[Milestone, ...]:
    """The milestones among a journal's events, from the event of index `first` on.

    Args:
        repeats: How many the run is to have of each unit; None where that is not known.
        first: How many events were read before.
    """
    found = []
    for place in range(first, len(journal.events)):
        event = journal.events[place]
        before = journal.events[place - 1] if place else None
        milestone = _read(event, before, repeats, place)
        if milestone is not None:
            found.append(milestone)
    return tuple(found)


def _read(event: Event, before: Event | None, repeats: int | None, place: int) -> Milestone | None:
    data, kind = event.data, event.kind
    unit, run = _text(data.get("unit") or data.get("stage")), _number(data.get("run"))

    def told(word: Kind, text: object = "", took: float | None = None) -> Milestone:
        return Milestone(word, _seconds(event.at), unit, run, _text(text), place, repeats if unit else None, took)

    if kind in ("run.started", "run.resumed"):
        text = _plan(data)
        return told(Kind.RUN if kind == "run.started" else Kind.RESUME, text)
    if kind == "attempt.started":
        gpus = _gpus(before, data.get("token"))
        log = _text(data.get("log"))
        return Milestone(
            Kind.START, _seconds(event.at), unit, run, "", place, repeats, None, _number(data.get("n")) or 1, gpus, log
        )
    if kind == "attempt.ended":
        return _ended(data, told)
    if kind == "attempt.adopted":
        what = "still runs and is taken over" if data.get("alive") else "ended while no runner was there"
        return told(Kind.ADOPT, f"the pytest of an earlier runner {what}")
    if kind == "unit.waiting":
        return told(Kind.WAIT, data.get("why"))
    if kind == "unit.slow_start":
        lines = data.get("compile")
        return told(Kind.SLOW_START, " | ".join(map(str, lines)) if isinstance(lines, list) else "")
    if kind == "cell.discarded" and data.get("why") == BY_PERSON:
        return told(Kind.DISCARD, data.get("reason"))
    if kind == "discard.dropped":
        return told(Kind.DISCARD, "dropped: it has been observed again since")
    if kind == "run.halted":
        return told(Kind.HALT if data.get("why") == "halt" else Kind.ABORT, data.get("detail"))
    return told(Kind.END, "every repeat of every stage has been observed") if kind == "run.ended" else None


def _ended(data: Mapping[str, object], told: Callable[..., Milestone]) -> Milestone:
    outcome = _text(data.get("outcome"))
    took = data.get("duration_s")
    seconds = float(took) if isinstance(took, (int, float)) and not isinstance(took, bool) else None
    reason = _text(data.get("reason")) + _KEPT.get(outcome, "")
    text = "stopped" if outcome == "stopped" else reason
    return told(_WORDS.get(outcome, Kind.FAIL), text, seconds)


def _plan(data: Mapping[str, object]) -> str:
    """What the run is to do, as far as it says."""
    stages, repeats, sha = data.get("stages"), data.get("repeats"), data.get("git_sha")
    parts = [f"{len(stages)} stages"] if isinstance(stages, list) else []
    parts += [f"{repeats} repeats"] if repeats is not None else []
    parts += [f"commit {sha}"] if sha is not None else []
    model = data.get("model")
    return f"{model}: {', '.join(parts)}" if model is not None else ", ".join(parts)


def _gpus(before: Event | None, token: object) -> str:
    """What the intention, which stands right before, says of the same launch."""
    if before is None or before.kind != "attempt.intended" or before.data.get("token") != token:
        return ""
    gpus = before.data.get("gpus")
    return ",".join(map(str, gpus[:_MOST_GPUS])) if isinstance(gpus, list) else ""


def _text(value: object) -> str:
    return "" if value is None else one_line(value, LINE).strip()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(text: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None
