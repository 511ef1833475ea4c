"""Paths on a host that it never answers about (a dead mount): left alone for a while, so that all else is seen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from hosts.errors import InputError
from hosts.local.mounts import is_network, point_of, type_of

_FIRST = 60.0
_LONGEST = 900.0
# Requests about a place that may hang at a time: each holds a session, and one answers for all
_MOST_WAITING = 2


class NoAnswerError(InputError):
    """Nothing is known of a path: the host does not answer about it."""


@dataclass
class _Place:
    """Where nothing is answered, with all below it.

    Attributes:
        until: When it may be tried again, by our steady clock.
        wait: Seconds that it is left alone.
        waiting: How many requests about it hang.
    """

    until: float
    wait: float
    waiting: int


class Hung:
    """The places on one host that are left alone.

    Args:
        clock: Our steady clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[str, _Place] = {}

    def check(self, path: str) -> None:
        """Refuse a path that is not to be asked for at this time.

        Raises:
            NoAnswerError: The host did not answer about it, or about what it lies in.
        """
        now = self._clock()
        for place, known in self._places.items():
            if now < known.until and _below(path, place):
                left = known.until - now
                when = f"in {max(1, round(left))} s" if left < math.inf else "once there is one"
                raise NoAnswerError(f"cannot read {path}: no answer about {place}; asked again {when}")

    def add(self, path: str, mounts: str) -> None:
        """A path is not answered about.

        Args:
            path: As it was asked for.
            mounts: The host's /proc/self/mountinfo: a file server that is gone takes all of its mount with it.
        """
        place = path
        point = point_of(path, mounts)
        if point not in ("", "/") and is_network(type_of(path, mounts)):
            place = point
        before = self._places.get(place)
        wait = _FIRST if before is None else min(2 * before.wait, _LONGEST)
        waiting = 1 if before is None else before.waiting + 1
        until = self._clock() + wait if waiting < _MOST_WAITING else math.inf
        self._places[place] = _Place(until, wait, waiting)

    def ended(self, path: str) -> None:
        """A request that hung has ended without an answer: its session was lost."""
        for place, known in self._places.items():
            if _below(path, place):
                known.waiting = max(0, known.waiting - 1)
                known.until = min(known.until, self._clock() + known.wait)

    def answered(self, path: str) -> None:
        """The host has answered about a path."""
        if self._places:
            self._places = {place: known for place, known in self._places.items() if not _below(path, place)}

    def forget(self) -> None:
        """Let all of them be asked for again: a person wants it."""
        for known in self._places.values():
            known.until = 0.0


def _below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
