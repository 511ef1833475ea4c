"""How the way to a host stands: what a screen shows of a connection, whatever carries it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

_LONGEST_WAIT = 60.0  # seconds, as hosts.standing has it
_ROUNDED = 1.0  # a clock that is steered may be so far off
# As hosts.standing has it; behind it may stand which host was meant
_WAITS = re.compile(r"retry in \d+ s \((.*)\)(?=\Z|; did you mean [^;]*\Z)", re.DOTALL)


class Way(Enum):
    """What can be said of a way; the value is the word that is shown."""

    IDLE = "idle"
    CONNECTING = "connecting"
    UP = "up"
    STALE = "stale"
    WAITING = "waiting"
    REFUSED = "refused"
    KEY_CHANGED = "key changed"


@dataclass(frozen=True)
class Connection:
    """How the way to one host stands, at one instant.

    Attributes:
        way: The word for it.
        since: When it began to be so, by our clock, in seconds since the epoch; while WAITING, when it was first not to
            be reached.
        rtt: Seconds that the last sign of life took there and back; None before one.
        retry_at: When a call tries again, by our clock; only while WAITING or KEY_CHANGED.
        reason: Why, as one plain line; "" while UP.
        ours: What is wrong lies here, such as a key file, and nobody was asked; only while REFUSED.
        trying: It is being tried again; only while WAITING.
    """

    way: Way
    since: float
    rtt: float | None = None
    retry_at: float | None = None
    reason: str = ""
    ours: bool = False
    trying: bool = False


_TRIED = (Way.WAITING, Way.KEY_CHANGED)


def retry_left(connection: Connection, now: float) -> float:
    """Seconds until a call tries again, by our clock; math.inf where no time is set.

    None are left where they would be more than any wait there is: our clock was set back.
    """
    if connection.way not in _TRIED or connection.retry_at is None:
        return math.inf
    left = connection.retry_at - now
    return min(left, _LONGEST_WAIT) if left <= _LONGEST_WAIT + _ROUNDED else 0.0


class Countdown:
    """Counts the seconds until a host may be tried again, also where our clock is set back meanwhile.

    Args:
        steady: A clock that nobody sets, in seconds.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._retry_at: float | None = None
        self._until = 0.0

    def left(self, connection: Connection | None, now: float) -> float:
        """What is left, negative once it is over; math.inf where no time is set.

        Args:
            connection: How the way stands.
            now: Our clock, seconds since the epoch.
        """
        if connection is None or connection.way not in _TRIED or connection.retry_at is None:
            return math.inf
        if connection.retry_at != self._retry_at:
            self._retry_at, self._until = connection.retry_at, self._steady() + retry_left(connection, now)
        return min(connection.retry_at - now, self._until - self._steady())


def without_wait(error: str) -> str:
    """Why a host could not be asked, without the seconds until the next try: those go on, and what is told stays."""
    return _WAITS.sub(lambda found: found[1], error)
