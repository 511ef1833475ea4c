"""How the machine behaved while a run was observed: launches, failures of infrastructure, thresholds that failed.

A threshold that fails is a valid observation and no failed attempt (spec/calibration.md, sections 4 and 7).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from gates.calibration.assemble import BY_PERSON, DISCARDED, Run
from gates.calibration.audit import Audit
from gates.calibration.records import RunRecord
from gates.calibration.units import Unit, units_of
from gates.calibration.words import one_line
from gates.documents import Json
from gates.journal import Journal

_MOST_REASONS = 5


@dataclass(frozen=True)
class UnitReliability:
    """One unit: what one pytest per repeat feeds.

    Attributes:
        repeats: Observations that are on disk.
        attempts: Launches that they took.
        infra: Launches that gave no observation: out of memory, a crash, a timeout, GPUs that were not clear.
        below: Observations in which a threshold failed; they count.
        duration_s: Median of the observations' durations, in seconds.
        reasons: Why launches failed, each once, as far as that was recorded.
    """

    key: str
    test: str
    repeats: int
    attempts: int
    infra: int
    below: int
    duration_s: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Reliability:
    """A run's units, and what was moved aside on the way.

    Attributes:
        from_journal: The counts are of every launch that the journal knows; without one, of those that the
            artifacts tell of.
        set_aside: Repeats that were incomplete and were run again.
        by_hand: Cells that a person discarded.
    """

    units: tuple[UnitReliability, ...]
    from_journal: bool
    set_aside: int
    by_hand: int

    def total(self, name: str) -> int:
        """The sum of one count over all units."""
        return sum(getattr(unit, name) for unit in self.units)

    def to_json(self) -> dict[str, Json]:
        """This as JSON data."""
        return {
            "units": [{**asdict(unit), "reasons": list(unit.reasons)} for unit in self.units],
            **{name: self.total(name) for name in ("repeats", "attempts", "infra", "below")},
            "from_journal": self.from_journal,
            "set_aside": self.set_aside,
            "discarded_by_hand": self.by_hand,
        }


def reliability_of(run: Run, audit: Audit) -> Reliability:
    """Count launches by unit, from the journal where there is one."""
    if run.manifest is None:
        return Reliability((), False, 0, 0)
    known = [stage.key for stage in audit.stages if run.manifest.get(stage.key) is not None]
    launches = _launches(run.journal) if run.journal is not None else {}
    units = tuple(_unit(unit, audit, launches) for unit in units_of(run.manifest, known))
    aside, by_hand = _discards(run.journal)
    return Reliability(units, bool(launches), aside, by_hand)


@dataclass
class _Launch:
    unit: str
    outcome: str = ""
    reason: str = ""


def _launches(journal: Journal) -> dict[str, _Launch]:
    """Every launch by its token; an adopted one is still the same launch."""
    found: dict[str, _Launch] = {}
    for event in journal.events:
        if event.kind not in ("attempt.started", "attempt.ended"):
            continue
        token, unit = event.data.get("token"), event.data.get("unit")
        if not isinstance(token, str) or not isinstance(unit, str) or not token:
            continue
        launch = found.setdefault(token, _Launch(unit))
        if event.kind == "attempt.ended":
            launch.outcome, launch.reason = str(event.data.get("outcome", "")), str(event.data.get("reason", ""))
    return found


def _unit(unit: Unit, audit: Audit, launches: Mapping[str, _Launch]) -> UnitReliability:
    observed: dict[int, RunRecord] = {}
    below: set[int] = set()
    for key in unit.stages:
        stage = audit.get(key)
        for cell in stage.cells if stage is not None else ():
            if cell.record is None:
                continue
            observed.setdefault(cell.run, cell.record)
            if cell.record.status == "ok" and cell.record.pytest_rc not in (None, 0):
                below.add(cell.run)
    records = [record for _run, record in sorted(observed.items())]
    ours = [launch for launch in launches.values() if launch.unit == unit.key]
    failed = [launch.reason for launch in ours if launch.outcome == "infra"]
    histories = [reason for record in records for reason in _failures(record)]
    attempts = len(ours) if ours else sum(max(1, record.attempts or 1) for record in records)
    lasted = [record.duration_s for record in records if record.duration_s is not None]
    median = statistics.median(lasted) if lasted else None
    return UnitReliability(
        key=unit.key,
        test=unit.test,
        repeats=len(records),
        attempts=attempts,
        infra=len(failed if ours else histories),
        below=len(below),
        duration_s=median if median is not None and math.isfinite(median) else None,
        reasons=_first(failed if ours else histories),
    )


def _failures(record: RunRecord) -> list[str]:
    """The launches before this observation that failed, each with its reason, "" where none was recorded."""
    told = [item for item in record.attempt_history if isinstance(item, dict)]
    # A launch that was lost together with its runner is not held against the machine.
    failed = [item for item in told if not item.get("orphan") and item.get("outcome", "infra") == "infra"]
    if not told:
        return [""] * max(0, (record.attempts or 1) - 1)
    return [str(item.get("reason") or item.get("how") or "") for item in failed]


def _discards(journal: Journal | None) -> tuple[int, int]:
    aside: set[object] = set()
    by_hand = 0
    for event in journal.events if journal is not None else ():
        if event.kind != DISCARDED:
            continue
        if event.data.get("why") == BY_PERSON:
            by_hand += 1
        else:
            aside.add(event.data.get("to") if isinstance(event.data.get("to"), str) else event.id)
    return len(aside), by_hand


def _first(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one_line(reason) for reason in reasons if reason))[:_MOST_REASONS]
