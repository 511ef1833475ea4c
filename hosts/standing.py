"""When a host that could not be reached may be tried again, and what is shown of it until then.

Nobody is hammered: after each failure in a row the wait is drawn from a range that doubles (full jitter, so that
hosts that went away together do not come back together). What a person has to mend is tried once a minute, and as soon
as the files have changed that it may be mended in.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

from hosts.connection import Connection, Way
from hosts.connects import Connects
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


Marks = tuple[tuple[str, tuple[int, ...] | None], ...]
"""Files, and what tells each from what it is after a change; None for one that is not there."""


def marks_of(files: Iterable[str]) -> Marks:
    """What tells these files, by their names, from what they are after a change."""
    return tuple((name, _mark(name)) for name in dict.fromkeys(map(os.path.expanduser, files)))


def _mark(name: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


class MendableError(UnreachableError):
    """The host answers, and a person has to mend something.

    Args:
        said: The message.
        marks: The files that it may be mended in, as they were before it was found to be wrong.
    """

    def __init__(self, said: str, marks: Marks = ()) -> None:
        super().__init__(said)
        self.marks = marks

    def behind(self, said: str) -> MendableError:
        """The same of a host that is reached through that one."""
        return type(self)(said, self.marks)


class LoginRefusedError(MendableError):
    """The host does not let us in, or we do not trust it."""


class KeyChangedError(MendableError):
    """The host has another key than the one that we know. Keys are compared before anything of ours is sent.

    Args:
        said: The message.
        marks: As MendableError has them.
        stop: Whose key it is: the host's own, or that of one on the way there.
        stands: Whether the files still speak against the key that it showed; reads them.
    """

    def __init__(
        self, said: str, marks: Marks = (), stop: Hashable = None, stands: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(said, marks)
        self.stop = stop
        self.stands = stands

    def behind(self, said: str) -> KeyChangedError:
        return type(self)(said, self.marks, self.stop, self.stands)


def right_keys(connects: Connects) -> Counter[Hashable]:
    """How often the key of each host was compared and is the right one, told by whoever connects to it."""
    return connects.once(right_keys, None, Counter)


class Standing:
    """Keeps how the way to a host stands.

    Args:
        host: What messages call it.
        chance: What waits are drawn from.
        clock: Our clocks.
        connects: What all connections of the process share, whoever of them finds a key to be right.
    """

    def __init__(self, host: str, chance: random.Random, clock: Clock, connects: Connects | None = None) -> None:
        self._host = host
        self._chance = chance
        self._clock = clock
        self._now = Connection(Way.IDLE, clock.wall())
        self._failures = 0
        self._until = 0.0
        self._marks: Marks = ()
        self._connects = connects or Connects()
        self._wrong = KeyChangedError("")
        self._right = 0
        self._apart = clock.apart
        self._up_since = 0.0
        self._up_at = 0.0
        self._down_since: float | None = None
        self._told: list[Callable[[Connection], None]] = []

    @property
    def now(self) -> Connection:
        """How it stands; neither a round trip nor a silence that is over makes a new `since` while it is up."""
        return self._now

    def on_change(self, callback: Callable[[Connection], None]) -> Callable[[], None]:
        """Have every new standing told, but not each new round trip time; the answer ends that."""
        self._told.append(callback)
        return lambda: self._told.remove(callback) if callback in self._told else None

    async def look(self) -> None:
        """See whether the files have changed that it may be mended in, so that the next call may try."""
        marks, wrong = self._marks, self._wrong
        if not marks:
            return
        changed = self._now.way is Way.KEY_CHANGED

        def read() -> tuple[Marks, bool]:
            found = marks_of(name for name, _ in marks)
            return found, found == marks or (changed and wrong.stands())

        found, stands = await asyncio.to_thread(read)
        if found == marks or marks is not self._marks:
            return
        self._until, self._marks = 0.0, found if stands else ()
        if self._now.way is Way.KEY_CHANGED and not stands:
            self._set(Way.IDLE, "")

    def check(self) -> None:
        """Refuse a call that comes before its time.

        Raises:
            UnreachableError: With how long to wait, and why.
        """
        left = self._until - self._clock.steady()
        if self._now.way not in (Way.WAITING, Way.REFUSED, Way.KEY_CHANGED) or left <= 0 or self.slept:
            return
        if self._now.way is Way.KEY_CHANGED:
            raise KeyChangedError(f"{self._host}: {self._now.reason}")
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
        """A try begins; of a host that is away or has another key nothing else is told until that is over."""
        if self._now.way is Way.WAITING:
            self._until = 0.0
            self._set(Way.WAITING, self._now.reason, trying=True)
        elif self._now.way is not Way.KEY_CHANGED:
            self._set(Way.CONNECTING, "")

    def asks(self) -> None:
        """It answers, and a person is asked for what it wants to know: it is away no more."""
        if self._now.way is Way.WAITING:
            self._down_since = None
            self._set(Way.CONNECTING, "")

    def up(self) -> None:
        """It is connected."""
        self._up_since, self._up_at = self._clock.steady(), self._clock.wall()
        self._down_since = None
        self._marks = ()
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
        self._marks = error.marks if isinstance(error, MendableError) else self._marks
        if isinstance(error, KeyChangedError):
            self._wrong, self._right = error, right_keys(self._connects)[error.stop]
            self._wait(REFUSED_WAIT, why, Way.KEY_CHANGED)
        elif isinstance(error, LoginRefusedError):
            self._until = self._clock.steady() + REFUSED_WAIT
            self._set(Way.REFUSED, why)
        elif isinstance(error, UnreachableError):
            self._failures += 1
            # That it is away now tells nothing of its key
            if self._now.way is Way.KEY_CHANGED and right_keys(self._connects)[self._wrong.stop] == self._right:
                self._wait(self._drawn(self._failures), self._now.reason, Way.KEY_CHANGED)
            else:
                self._wait(self._drawn(self._failures), why)
        else:  # nothing was sent to anybody
            self._until = 0.0
            self._set(Way.REFUSED, why, ours=True)

    def _drawn(self, times: int) -> float:
        return self._chance.uniform(0.0, min(_LONGEST, _FIRST * 2.0 ** min(times - 1, 16)))

    def _wait(self, seconds: float, why: str, way: Way = Way.WAITING) -> None:
        self._until = self._clock.steady() + seconds
        self._set(way, why, seconds)

    def _set(
        self, way: Way, reason: str, wait: float | None = None, *, ours: bool = False, trying: bool = False
    ) -> None:
        self._apart = self._clock.apart
        now = self._clock.wall()
        if way is Way.WAITING and self._down_since is None:
            self._down_since = now
        since = self._down_since if way is Way.WAITING and self._down_since is not None else now
        if way is Way.KEY_CHANGED and self._now.way is way:
            since = self._now.since
        if way is Way.UP and self._now.way is Way.STALE:
            since = self._up_at
        self._now = Connection(way, since, self._now.rtt, None if wait is None else now + wait, reason, ours, trying)
        for callback in tuple(self._told):
            callback(self._now)
