"""How the way to a host stands: what a screen shows of a connection, whatever carries it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

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
        retry_at: When a call tries again, by our clock; only while WAITING.
        reason: Why, as one plain line; "" while UP.
        ours: What is wrong lies here, such as a key file, and nobody was asked; only while REFUSED.
    """

    way: Way
    since: float
    rtt: float | None = None
    retry_at: float | None = None
    reason: str = ""
    ours: bool = False


def without_wait(error: str) -> str:
    """Why a host could not be asked, without the seconds until the next try: those go on, and what is told stays."""
    return _WAITS.sub(lambda found: found[1], error)
