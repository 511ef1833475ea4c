"""What changed since an earlier calibration, and whether it was at work (spec/calibration.md, section 7, --since).

That an optimisation is configured does not show that it ran: only its line in the log does. Accuracy, WER and speed
are concluded apart, from what each gate's worst-of-N does to the threshold that stands in the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from gates.calibration.words import one_line
from gates.documents import Json

SEEN, NOT_SEEN, PARTLY, UNKNOWN = "seen", "not seen", "partly", "unknown"
KINDS = ("accuracy", "wer", "speed")
_MOST_COMMITS = 200


@dataclass(frozen=True)
class Commit:
    """One commit between two calibrations."""

    sha: str
    at: str
    subject: str


@dataclass(frozen=True)
class LogSeen:
    """One pytest log: where the evidence stands in it.

    Attributes:
        found: None where the log could not be read, or not far enough to deny it.
        line: Its line, counted from 1, None where it is not known.
        detail: The line itself, or why nothing is known.
    """

    path: str
    found: bool | None
    line: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Sighting:
    """One kind of evidence and where it was looked for."""

    name: str
    regex: str
    stages: tuple[str, ...]
    logs: tuple[LogSeen, ...]

    @property
    def outcome(self) -> str:
        """Seen in every log, partly, not seen in any, or unknown."""
        found = {log.found for log in self.logs}
        if not found or found == {None}:
            return UNKNOWN
        if found == {True}:
            return SEEN
        if True in found:
            return PARTLY
        return UNKNOWN if None in found else NOT_SEEN


@dataclass(frozen=True)
class Change:
    """What the worst-of-N of one gate does to the threshold in the source: tightens, loosens, equal or unknown."""

    stage: str
    group: str
    metric: str
    direction: str
    text: str


@dataclass(frozen=True)
class Conclusion:
    """One kind of gate, taken together."""

    kind: str
    gates: int
    better: tuple[str, ...]
    worse: tuple[str, ...]
    equal: int
    unknown: int
    seen: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Since:
    """What changed since an earlier calibration.

    Attributes:
        base: The earlier calibration's commit.
        count: How many commits there are; more than `commits` holds, when there are very many.
        files: How many files they changed, None where that is not known.
        problem: Why the history is not known, or what is odd about it; "" otherwise.
    """

    base: str
    commits: tuple[Commit, ...]
    count: int | None
    files: int | None
    problem: str
    evidence: tuple[Sighting, ...]
    conclusions: tuple[Conclusion, ...]

    def to_json(self) -> dict[str, Json]:
        """This as JSON data."""
        return {
            "base": self.base,
            "commits": [{"sha": commit.sha, "at": commit.at, "subject": commit.subject} for commit in self.commits],
            "commit_count": self.count,
            "files_changed": self.files,
            "problem": self.problem,
            "evidence": {
                sighting.name: {
                    "regex": sighting.regex,
                    "stages": list(sighting.stages),
                    "outcome": sighting.outcome,
                    "logs": [asdict(log) for log in sighting.logs],
                }
                for sighting in self.evidence
            },
            "conclusions": [
                {key: list(value) if isinstance(value, tuple) else value for key, value in vars(conclusion).items()}
                for conclusion in self.conclusions
            ],
        }


def make_since(history: Mapping[str, Json], evidence: Iterable[Sighting], changes: Sequence[Change]) -> Since:
    """Put together what the host said of its history and its logs.

    Args:
        history: {base, commits: [{sha, at, subject}], count, files, problem}; what is missing is not known.
        changes: One per gate.
    """
    sightings = tuple(evidence)
    listed = history.get("commits")
    commits = [
        Commit(_text(item, "sha"), _text(item, "at"), one_line(_text(item, "subject")))
        for item in (listed if isinstance(listed, list) else [])[:_MOST_COMMITS]
        if isinstance(item, dict)
    ]
    return Since(
        base=_text(history, "base"),
        commits=tuple(commits),
        count=_whole(history, "count"),
        files=_whole(history, "files"),
        problem=one_line(_text(history, "problem"), 400),
        evidence=sightings,
        conclusions=tuple(_conclusion(kind, sightings, changes) for kind in _kinds(changes)),
    )


def _kinds(changes: Sequence[Change]) -> tuple[str, ...]:
    """Accuracy, WER and speed first, then whatever else there is."""
    there = dict.fromkeys(change.group for change in changes)
    return (*(kind for kind in KINDS if kind in there), *(kind for kind in there if kind not in KINDS))


def _conclusion(kind: str, sightings: Sequence[Sighting], changes: Sequence[Change]) -> Conclusion:
    ours = [change for change in changes if change.group == kind]
    stages = {change.stage for change in ours}
    about = [sighting for sighting in sightings if stages.intersection(sighting.stages)]
    return Conclusion(
        kind=kind,
        gates=len(ours),
        better=tuple(_named(change) for change in ours if change.direction == "tightens"),
        worse=tuple(_named(change) for change in ours if change.direction == "loosens"),
        equal=sum(change.direction == "equal" for change in ours),
        unknown=sum(change.direction not in ("tightens", "loosens", "equal") for change in ours),
        seen=tuple(sighting.name for sighting in about if sighting.outcome == SEEN),
        missing=tuple(sighting.name for sighting in about if sighting.outcome != SEEN),
    )


def _named(change: Change) -> str:
    return one_line(f"{change.stage} {change.metric} {change.text}")


def _text(body: Mapping[str, Json], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _whole(body: Mapping[str, Json], key: str) -> int | None:
    value = body.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
