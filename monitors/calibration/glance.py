"""What somebody saw of a run when he last looked, and what has happened since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.calibration.cells import Mark
from monitors.calibration.body import Calibration
from monitors.snapshot import Snapshot, State

_NAMED = 3
_BAD = (Mark.BROKEN.value, Mark.DISCARDED.value)
_GOOD = (Mark.STRICT.value,)


@dataclass(frozen=True)
class Glance:
    """A run in a few words, small enough to be kept per run.

    Attributes:
        run: The run's id, or the path it was watched by where it has none: another run is another story.
        at: When it was seen, our clock, seconds since the epoch.
        state: The state's word.
        verdict: The audit's outcome.
        marks: By stage, one mark a repeat.
        ready: How many stages were strict-ready.
    """

    run: str
    at: float
    state: str
    verdict: str
    marks: Mapping[str, str]
    ready: int


def glance(snapshot: Snapshot[Calibration], at: float) -> Glance | None:
    """What this snapshot shows; None where nothing was ever seen of the run."""
    result = snapshot.body.audit
    if result is None or snapshot.state is State.BLIND:
        return None
    return Glance(
        run=snapshot.body.run_id or snapshot.watch,
        at=at,
        state=snapshot.state.value,
        verdict=result.verdict.outcome,
        marks={stage.key: "".join(cell.mark.value for cell in stage.cells) for stage in result.stages},
        ready=result.ready_count,
    )


def since(before: Glance, after: Glance) -> tuple[str, ...]:
    """What a person who saw `before` has missed, worst first, a few words each; nothing where nothing happened."""
    if before.run != after.run:
        return ()
    told: list[str] = []
    failed = [stage for stage in after.marks if _count(after, stage, _BAD) > _count(before, stage, _BAD)]
    lost = [stage for stage in after.marks if _count(after, stage, _GOOD) < _count(before, stage, _GOOD)]
    whole = [stage for stage in after.marks if _whole(after, stage) and not _whole(before, stage)]
    repeats = sum(max(0, _count(after, stage, _GOOD) - _count(before, stage, _GOOD)) for stage in after.marks)
    if failed:
        told.append(f"{_number(len(failed), 'stage')} failed a repeat ({_names(failed)})")
    if lost:
        told.append(f"{_number(len(lost), 'stage')} lost a good repeat ({_names(lost)})")
    if before.state != after.state:
        told.append(f"{before.state} → {after.state}")
    if before.verdict != after.verdict:
        told.append(f"gate {before.verdict} → {after.verdict}")
    if whole:
        told.append(f"{_number(len(whole), 'stage')} done ({_names(whole)})")
    elif repeats:
        told.append(f"{_number(repeats, 'repeat')} done")
    return tuple(told)


def _count(seen: Glance, stage: str, marks: Sequence[str]) -> int:
    return sum(mark in marks for mark in seen.marks.get(stage, ""))


def _whole(seen: Glance, stage: str) -> bool:
    marks = seen.marks.get(stage, "")
    return bool(marks) and set(marks) == set(_GOOD)


def _names(stages: Sequence[str]) -> str:
    shown = ", ".join(stages[:_NAMED])
    return f"{shown}, and {len(stages) - _NAMED} more" if len(stages) > _NAMED else shown


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
