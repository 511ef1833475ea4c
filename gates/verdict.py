"""A verdict is a value: same input, same verdict, on every machine (DESIGN, rule 4)."""

from __future__ import annotations

import enum
import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass


class Decision(enum.Enum):
    """What a gate says; it drives exit code and colour."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_YET = "not-yet"


@dataclass(frozen=True)
class Evidence:
    """One thing that a verdict stands on.

    Attributes:
        what: What was looked at, in words.
        file: Its path relative to the run, or None.
        line: Line in that file, counted from 1, or None.
        value: What was found; None where nothing could be read (never 0 for it).
        limit: What it was held against, or None.
    """

    what: str
    file: str | None = None
    line: int | None = None
    value: str | int | float | None = None
    limit: str | int | float | None = None


@dataclass(frozen=True)
class Verdict:
    """What one gate says of one thing, with all that it stands on.

    Attributes:
        gate: The gate's name, such as "calibration.strict".
        decision: Pass, fail, unknown or not yet.
        outcome: The system's own word, such as READY.
        failure: A short class of failure, or None.
        detail: One sentence for a person.
        missing: What would have to be known or done, each in a few words.
        action: What could be done about it, or None.
        parts: The verdicts that this one is made of.
    """

    gate: str
    decision: Decision
    outcome: str
    failure: str | None = None
    detail: str = ""
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    action: str | None = None
    parts: tuple[Verdict, ...] = ()

    def digest(self) -> str:
        """sha256 (hex) over everything that this verdict says, parts included; equal verdicts, equal digests."""
        body = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(body.encode()).hexdigest()

    def to_json(self) -> dict[str, object]:
        """This verdict as JSON-ready data. Non-finite numbers become strings: they are shown, never computed with."""
        return {
            "gate": self.gate,
            "decision": self.decision.value,
            "outcome": self.outcome,
            "failure": self.failure,
            "detail": self.detail,
            "evidence": [_finite(asdict(item)) for item in self.evidence],
            "missing": list(self.missing),
            "action": self.action,
            "parts": [part.to_json() for part in self.parts],
        }


@dataclass(frozen=True)
class Offer:
    """An action that a person may consent to. Derived from a verdict, never stored: another verdict, another id.

    Attributes:
        run: The run it is about.
        action: The verb that would be called.
        verdict: Digest of the verdict it follows from.
        change: Exactly what would change, as it is shown.
        host: Where.
        danger: True when it writes to what people keep, or ends a process.
        expires: Unix time (s) after which it is void, or None.
        default: The answer that the prompt is focused on; "no" unless a reason is given.
    """

    run: str
    action: str
    verdict: str
    change: str
    host: str
    danger: bool
    expires: float | None = None
    default: str = "no"

    @property
    def id(self) -> str:
        """sha256 (hex) over run, action, verdict digest and the exact change."""
        body = json.dumps([self.run, self.action, self.verdict, self.change])
        return hashlib.sha256(body.encode()).hexdigest()


def combine(decisions: Iterable[Decision]) -> Decision:
    """The decision over several: a failure outweighs the unknown, that outweighs waiting; of nothing: unknown."""
    found = set(decisions)
    for decision in (Decision.FAIL, Decision.UNKNOWN, Decision.NOT_YET, Decision.PASS):
        if decision in found:
            return decision
    return Decision.UNKNOWN


def _finite(item: dict[str, object]) -> dict[str, object]:
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in item.items()
    }
