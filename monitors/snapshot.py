"""What a monitor says of one watched thing, at one instant."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gates.verdict import Offer, Verdict
from hosts.host import Observation, Wants

B = TypeVar("B")


class State(enum.Enum):
    """How a watched thing stands; every state has a glyph and a word of its own."""

    WAITING = "waiting"
    RUNNING = "running"
    SLOW_START = "slow start"
    STALLED = "stalled"
    HALTED = "halted"
    DEAD = "dead"
    ENDED = "ended"
    BLIND = "blind"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Now:
    """The instant of a fold, handed in: wall clock in seconds since the epoch, UTC."""

    wall: float


@dataclass(frozen=True)
class Seen:
    """When a thing was last observed: `at` by the far clock, `received` by ours (s since the epoch)."""

    at: float | None
    received: float | None

    def age(self, now: Now) -> float | None:
        """Seconds since the last good look, or None when there was none."""
        return None if self.received is None else max(0.0, now.wall - self.received)

    def ours(self, far: float) -> float:
        """A moment of the far clock (s since the epoch) by ours; off by the time that the look took at most."""
        return far if self.at is None or self.received is None else far + self.received - self.at


@dataclass(frozen=True)
class Progress:
    """Units of work done of all; None where it is not known."""

    done: int | None
    total: int | None


@dataclass(frozen=True)
class Eta:
    """When it will be done (s since the epoch) and what the guess stands on, in words."""

    at: float | None
    basis: str


@dataclass(frozen=True)
class Active:
    """Something that runs right now: a name, its log's path, when it began (far clock, s), and a remark."""

    name: str
    log: str | None
    since: float | None
    note: str = ""


@dataclass(frozen=True)
class Snapshot(Generic[B]):
    """One watched thing, frozen. A new look makes a new snapshot; nothing in here is ever changed.

    Attributes:
        watch: What is watched, as a target.
        error: Why the last look failed, or None.
        body: The system's own part.
    """

    watch: str
    state: State
    seen: Seen
    progress: Progress
    eta: Eta | None
    active: tuple[Active, ...]
    verdicts: tuple[Verdict, ...]
    offers: tuple[Offer, ...]
    error: str | None
    body: B


class Monitor(Protocol[B]):
    """Folds what was observed into a snapshot; looks at nothing itself."""

    def sniff(self, names: frozenset[str]) -> int:
        """How surely a folder that holds `names` is one of ours: 0 not at all, 100 certainly."""
        ...

    def wants(self, previous: Snapshot[B] | None) -> Wants: ...

    def fold(self, previous: Snapshot[B] | None, seen: Observation, now: Now) -> Snapshot[B]: ...
