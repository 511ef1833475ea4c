"""What screens are given of a host, and how the way to it is told in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hosts.connection import Connection, Way, retry_left
from monitors.host import HostBody
from monitors.snapshot import Snapshot, State
from tui.marks import Look

Clock = Callable[[float], str]
"""Writes a moment (seconds since the epoch) as people read it, such as "14:02"."""


@dataclass(frozen=True)
class HostRun:
    """A run that is watched on a host.

    Attributes:
        watch: Names it among all.
        title: What a person calls it; not clean.
        stage: What runs of it now, or ""; not clean.
        log: The path there of the log that it writes now, or wrote last, or "".
        written: When that was last written, by the host's clock, seconds since the epoch; None where it is not known.
    """

    watch: str
    title: str
    state: State
    stage: str
    log: str = ""
    written: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class HostLook:
    """One host, as it was last seen.

    Attributes:
        name: What it is called; not clean.
        local: It is this machine.
        snapshot: None before the first look.
        connection: How the way there stands; None where there is none, as on this machine, or before it is opened.
        runs: Those that are watched there.
        without_events: Why changes there are looked for by polling alone, "" where they are reported.
        recovered: The way there has come up since the snapshot was taken.
    """

    name: str
    local: bool
    snapshot: Snapshot[HostBody] | None
    connection: Connection | None
    runs: tuple[HostRun, ...] = ()
    without_events: str = ""
    recovered: bool = False


LOCAL = Look("●", "*", "local", "success")
WAYS: Mapping[Way, Look] = {
    Way.IDLE: Look("○", ".", "idle", "muted"),
    Way.CONNECTING: Look("◔", "c", "connecting", "primary"),
    Way.UP: Look("●", "*", "up", "success"),
    Way.STALE: Look("◌", "o", "stale", "warning"),
    Way.WAITING: Look("✗", "x", "unreachable", "error"),
    Way.REFUSED: Look("■", "#", "refused", "error"),
    Way.KEY_CHANGED: Look("!", "!", "key changed", "error"),
}
"""How each way is marked."""

DARK = frozenset((Way.STALE, Way.WAITING, Way.REFUSED, Way.KEY_CHANGED))
"""Ways over which a host cannot be seen now."""

TRYING = ", trying"
"""Behind the words for a host that is tried again."""

SINCE = " since "
"""Before the time since when a host cannot be reached."""

_LOGIN = "login refused"


def way_look(connection: Connection | None) -> Look:
    """The sign of a way, and its word without any number; of no way at all that of this machine."""
    if connection is None:
        return LOCAL
    look = WAYS[connection.way]
    if connection.way is Way.REFUSED and connection.ours:
        return Look(look.glyph, look.ascii, "not set up", look.style)
    if connection.way is Way.REFUSED and connection.reason.startswith(_LOGIN):
        return Look(look.glyph, look.ascii, "auth failed", look.style)
    return look


def connection_words(connection: Connection | None, now: float, clock: Clock, seen: float | None = None) -> str:
    """A way as people read it: `up 34 ms`, `retry in 8 s`, `auth failed`, `unreachable since 14:02, trying`.

    Args:
        connection: None for this machine, to which no way is needed.
        now: Our clock, seconds since the epoch.
        seen: When the last answer came, ours; a host is told to be unreachable since then.
    """
    word = way_look(connection).word
    if connection is None:
        return word
    way, since = connection.way, max(0.0, now - connection.since)
    if way is Way.UP and connection.rtt is not None:
        return f"{word} {milliseconds(connection.rtt)}"
    if way is Way.STALE and since >= 1:
        return f"{word} {int(since)} s"
    if way is Way.WAITING:
        left = retry_in(connection, now)
        trying = TRYING if connection.trying else ""
        return f"retry in {left} s" if left else f"{unreachable(connection, clock, seen)}{trying}"
    return word


def unreachable(connection: Connection, clock: Clock, seen: float | None = None) -> str:
    """`unreachable since 14:02`: since the last answer, or, where there never was one, since this try failed."""
    return f"unreachable{SINCE}{clock(connection.since if seen is None else seen)}"


def retry_in(connection: Connection, now: float) -> int:
    """Whole seconds until the next try may be, 0 where it may be now or no time is set for it."""
    left = retry_left(connection, now)
    return max(0, math.ceil(left)) if left < math.inf else 0


def changes_soon(connection: Connection | None) -> bool:
    """Whether seconds are counted in what is told of it now."""
    counted = (Way.STALE, Way.WAITING, Way.KEY_CHANGED)
    return connection is not None and connection.way in counted and not connection.trying


def milliseconds(seconds: float) -> str:
    """A round trip: `34 ms`, `0.4 ms`, `1.2 s`."""
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    told = seconds * 1000
    return f"{told:.1f} ms" if told < 0.95 else f"{told:.0f} ms"
