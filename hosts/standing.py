"""When a host that could not be reached may be tried again, and what is shown of it until then.

Nobody is hammered: after each failure in a row the wait is drawn from a range that doubles (full jitter, so that
hosts that went away together do not come back together). What a person has to mend is not tried over and over.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from hosts.connection import Connection, Way
from hosts.errors import UnreachableError

REFUSED_WAIT = 60.0
_STEADY = 60.0
_FIRST = 1.0
_LONGEST = 60.0
_SLEPT = 5.0


@dataclass(frozen=True)
class Clock:
    """Our two clocks: `wall` counts the seconds that a laptop sleeps and may be set, `steady` neither."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic

    @property
    def apart(self) -> float:
        """How far the two are apart; it grows by what the machine slept."""
        return self.wall() - self.steady()


class LoginRefusedError(UnreachableError):
    """The host answers and does not let us in, or we do not trust it: a person has to mend that."""


class KeyChangedError(UnreachableError):
    """The host has another key than the one that we know."""


class Standing:
    """Keeps how the way to a host stands.

    Args:
        host: What messages call it.
        chance: What waits are drawn from.
        clock: Our clocks.
    """

    def __init__(self, host: str, chance: random.Random, clock: Clock) -> None:
        self._host = host
        self._chance = chance
        self._clock = clock
        self._now = Connection(Way.IDLE, clock.wall())
        self._failures = 0
        self._until = 0.0
        self._apart = clock.apart
        self._up_since = 0.0
        self._down_since: float | None = None
        self._told: list[Callable[[Connection], None]] = []

    @property
    def now(self) -> Connection:
        """How it stands; a round trip alone makes no new `since`."""
        return self._now

    def on_change(self, callback: Callable[[Connection], None]) -> Callable[[], None]:
        """Have every new standing told, but not each new round trip time; the answer ends that."""
        self._told.append(callback)
        return lambda: self._told.remove(callback) if callback in self._told else None

    def check(self) -> None:
        """Refuse a call that comes before its time.

        Raises:
            UnreachableError: With how long to wait, and why.
        """
        if self._now.way is Way.KEY_CHANGED:
            raise KeyChangedError(f"{self._host}: {self._now.reason}")
        left = self._until - self._clock.steady()
        if self._now.way not in (Way.WAITING, Way.REFUSED) or left <= 0 or self.slept:
            return
        raise UnreachableError(f"{self._host}: retry in {max(1, round(left))} s ({self._now.reason})")

    @property
    def slept(self) -> bool:
        """Whether the machine slept since this last changed, so that whatever failed may have been that."""
        return self._clock.apart - self._apart > _SLEPT

    def pardon(self) -> None:
        """Let the next call try, whatever was wrong: a person asks for it."""
        self._until = 0.0
        if self._now.way is Way.KEY_CHANGED:
            self._set(Way.IDLE, self._now.reason)

    def connecting(self) -> None:
        """A try begins."""
        self._set(Way.CONNECTING, "")

    def up(self) -> None:
        """It is connected."""
        self._up_since = self._clock.steady()
        self._down_since = None
        self._set(Way.UP, "")

    def alive(self, rtt: float | None = None) -> None:
        """Something was heard; `rtt` is how long that took there and back, where it was an answer."""
        if self._now.way is Way.STALE:
            self._set(Way.UP, "")
        if rtt is not None:
            self._now = replace(self._now, rtt=rtt)

    def stale(self, silent: float) -> None:
        """Nothing was heard for `silent` seconds."""
        if self._now.way is Way.UP:
            self._set(Way.STALE, f"nothing heard for {silent:.0f} s")

    def idle(self) -> None:
        """It was ended by us."""
        if self._now.way is not Way.IDLE:
            self._set(Way.IDLE, "")

    def lost(self, why: str) -> None:
        """What was up is gone. The next call tries at once, unless this happens over and over."""
        if self._clock.steady() - self._up_since >= _STEADY:
            self._failures = 0
        self._failures += 1
        self._wait(self._drawn(self._failures - 1) if self._failures > 1 else 0.0, why)

    def failed(self, error: Exception) -> None:
        """A try failed; what was wrong with it decides when the next may be."""
        why = str(error).removeprefix(f"{self._host}: ")
        if isinstance(error, KeyChangedError):
            self._set(Way.KEY_CHANGED, why)
        elif isinstance(error, LoginRefusedError):
            self._until = self._clock.steady() + REFUSED_WAIT
            self._set(Way.REFUSED, why)
        elif isinstance(error, UnreachableError):
            self._failures += 1
            self._wait(self._drawn(self._failures), why)
        else:  # nothing was sent to anybody
            self._until = 0.0
            self._set(Way.REFUSED, why, ours=True)

    def _drawn(self, times: int) -> float:
        return self._chance.uniform(0.0, min(_LONGEST, _FIRST * 2.0 ** min(times - 1, 16)))

    def _wait(self, seconds: float, why: str) -> None:
        self._until = self._clock.steady() + seconds
        self._set(Way.WAITING, why, seconds)

    def _set(self, way: Way, reason: str, wait: float | None = None, ours: bool = False) -> None:
        self._apart = self._clock.apart
        now = self._clock.wall()
        if way is Way.WAITING and self._down_since is None:
            self._down_since = now
        since = self._down_since if way is Way.WAITING and self._down_since is not None else now
        self._now = Connection(way, since, self._now.rtt, None if wait is None else now + wait, reason, ours)
        for callback in tuple(self._told):
            callback(self._now)
