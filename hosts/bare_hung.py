"""Paths on a host that it never answers about (a dead mount): left alone for a while, so that all else is seen.

What hangs holds a session each, and there are few. So that one is always left for paths that are well, fewer may be
asked about the more hang: a place that hung is asked about again only while most sessions are free; with one that may
hang left, only what was answered before; with none left, only the kernel's own files, which do not hang unless a
container has others in their place.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from hosts.errors import InputError
from hosts.local.mounts import is_network, point_of, type_of

MOST_HANGING = 6
"""Sessions that may hang; there is one more."""
_FIRST = 60.0
_LONGEST = 900.0
# Requests about a place that may hang at a time: each holds a session, and one answers for all
_MOST_WAITING = 2
_AGAIN_WITH = 4  # sessions left, with which a place that hung is asked about again
_WELL = 10_000  # requests that are remembered; more are of trees, which are seldom listed
_KERNEL = ("/proc/", "/sys/")


class NoAnswerError(InputError):
    """Nothing is known of a path: the host does not answer about it."""


class Request(NamedTuple):
    """What a host is asked: where one kind is answered about a path (what it is), another may hang (to open it).

    Attributes:
        kind: Its number in SFTP.
        path: As it was asked for.
    """

    kind: int
    path: str


@dataclass(frozen=True)
class _Place:
    """Where nothing is answered, with all below it.

    Attributes:
        until: When it may be tried again, by our steady clock.
        wait: Seconds that it is left alone.
        waiting: How many requests about it hang.
        asked: What hung.
    """

    until: float
    wait: float
    waiting: int
    asked: frozenset[Request]


class Hung:
    """The places on one host that are left alone.

    Args:
        clock: Our steady clock.
        hanging: How many sessions hang.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, hanging: Callable[[], int] = lambda: 0) -> None:
        self._clock = clock
        self._hanging = hanging
        self._home = ""
        self._places: dict[str, _Place] = {}
        self._well: dict[Request, None] = {}  # the one that was answered last at the end

    def check(self, request: Request) -> None:
        """Refuse what is not to be asked for at this time.

        Raises:
            NoAnswerError: The host did not answer about the path, or about what it lies in; or too much hangs there.
        """
        now, left = self._clock(), MOST_HANGING - self._hanging()
        path = self._absolute(request.path)
        for place, known in self._places.items():
            if _below(path, place) and (now < known.until or (known.waiting and left < _AGAIN_WITH)):
                soon = now < known.until < math.inf and left >= _AGAIN_WITH
                when = f"in {max(1, round(known.until - now))} s" if soon else "once there is one"
                raise NoAnswerError(f"cannot read {request.path}: no answer about {place}; asked again {when}")
        if request.path.startswith(_KERNEL):
            return
        if left <= 0 or (left == 1 and request not in self._well):
            many = f"{self._hanging()} SFTP sessions hang there"
            raise NoAnswerError(f"cannot read {request.path}: {many}; asked for once one of them goes on")

    def add(self, request: Request, mounts: str, home: str = "") -> None:
        """Something is not answered.

        Args:
            request: As it was asked.
            mounts: The host's /proc/self/mountinfo: a file server that is gone takes all of its mount with it.
            home: Where paths begin that are not absolute; "" where that is not known.
        """
        if home and not self._home:
            self._home = home
            self._places = {self._absolute(place): known for place, known in self._places.items()}
        path = self._absolute(request.path)
        self._well = {one: None for one in self._well if not _below(self._absolute(one.path), path)}
        place = path
        point = point_of(path, mounts)
        if path not in self._places and point not in ("", "/") and is_network(type_of(path, mounts)):
            place = point
        before = self._places.get(place, _Place(0.0, _FIRST / 2, 0, frozenset()))
        wait = min(2 * before.wait, _LONGEST)
        waiting = before.waiting + 1
        until = self._clock() + wait if waiting < _MOST_WAITING else math.inf
        self._places[place] = _Place(until, wait, waiting, before.asked | {request})

    def ended(self, request: Request) -> None:
        """What hung has ended without an answer: its session was lost."""
        for place, known in self._places.items():
            if request in known.asked:
                until = min(known.until, self._clock() + known.wait)
                self._places[place] = replace(known, waiting=max(0, known.waiting - 1), until=until)

    def answered(self, request: Request) -> None:
        """The host has answered."""
        self._well.pop(request, None)
        self._well[request] = None
        if len(self._well) > _WELL:
            del self._well[next(iter(self._well))]
        if not self._places:
            return
        path = self._absolute(request.path)
        for place, known in list(self._places.items()):
            if request in known.asked:
                del self._places[place]
            elif path != place and _below(path, place) and request.kind in {one.kind for one in known.asked}:
                # It is not all of the mount, then: what hung there, and no more
                del self._places[place]
                self._places.update({self._absolute(one.path): known for one in known.asked})

    def forget(self) -> None:
        """Let all of them be asked for again, as far as there is room for more that hangs: a person wants it."""
        self._places = {place: replace(known, until=0.0) for place, known in self._places.items()}

    def _absolute(self, path: str) -> str:
        if path.startswith("/") or not self._home:
            return path
        below = "" if path == "~" else path.removeprefix("~/")
        return f"{self._home.rstrip('/')}/{below}".rstrip("/") or "/"


def _below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
