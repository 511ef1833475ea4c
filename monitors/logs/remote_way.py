"""What a log on another host tells of the way there: that nobody answers, for how long, and when it is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from hosts.connection import Connection, Countdown, Way, without_wait
from hosts.errors import GatewatchError, UnreachableError
from monitors.logs.record import ShapeRecorder
from monitors.logs.types import MarkKind, Status

PATIENCE_S = 3.0
"""Seconds that an answer may take before that is told."""

SILENCE_S = 7.0
"""Seconds that a stream may say nothing before that is told; its signs of life come every three."""

_FIRST_S = 0.25
_FIRST_DENIED_S = 1.0
_LONGEST_S = 30.0
_TICK_S = 1.0
_T = TypeVar("_T")


class WayThere:
    """Whether the host answers.

    Args:
        name: What the host is called.
        record: Where it is told.
        noticed: Seconds without an answer from which on a mark says so.
        now: Our clock, seconds since the epoch.
        connection: How the way to the host stands, where there is one that can stand or fall.
    """

    def __init__(
        self,
        name: str,
        record: ShapeRecorder,
        noticed: float,
        now: Callable[[], float],
        connection: Callable[[], object] = lambda: None,
    ) -> None:
        self._name = name
        self._record = record
        self._noticed = noticed
        self._now = now
        self._connection = connection
        self._countdown = Countdown()
        self._heard = now()
        self._away_since = 0.0  # our clock, 0 while the host answers
        self._fails = 0
        self._denied = 0
        self._last = time.monotonic()
        self._wake = asyncio.Event()

    def answered(self) -> None:
        """Something came from there."""
        now = self._now()
        silent = now - self._heard
        # A machine that slept finds its way lost the moment it wakes, and may be back in no time
        if self._away_since and (now - self._away_since >= self._noticed or silent >= self._noticed + PATIENCE_S):
            self._record.mark(MarkKind.OFFLINE, f"no answer from {self._name} for {_span(silent)}", 0)
        self._away_since, self._fails, self._heard, self._last = 0.0, 0, now, time.monotonic()

    async def patiently(self, work: Awaitable[_T]) -> _T:
        """Wait for an answer, and say so when it takes long."""
        asked = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({asked}, timeout=PATIENCE_S)
            if not done:
                self._away(f"{self._name}: no answer for {PATIENCE_S:g} s")
            return await asked
        finally:
            asked.cancel()

    @contextlib.asynccontextmanager
    async def minded(self) -> AsyncIterator[None]:
        """While this lasts, say so when nothing comes for long."""
        self._last = time.monotonic()
        minding = asyncio.create_task(self._mind())
        try:
            yield
        finally:
            minding.cancel()
            await asyncio.gather(minding, return_exceptions=True)

    async def _mind(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            if time.monotonic() - self._last >= SILENCE_S:
                self._away(f"{self._name}: no answer for {SILENCE_S:g} s")

    async def lost(self, error: UnreachableError) -> None:
        """The way is lost: wait before it is tried again, longer each time, and not at the same moment as others.

        No longer than until the host is tried again anyway, or somebody else has reached it.
        """
        self._away(without_wait(" ".join(str(error).split())))  # it is told until the next try, and counts no seconds
        wait = min(_FIRST_S * 2**self._fails, _LONGEST_S)
        self._fails = min(self._fails + 1, 16)
        minding = asyncio.create_task(self._mind_host())
        try:
            await self.pause(random.uniform(wait / 2, wait))  # noqa: S311 - no secret
        finally:
            minding.cancel()
            await asyncio.gather(minding, return_exceptions=True)

    async def _mind_host(self) -> None:
        """Wait no longer once the host may be tried again, or somebody has reached it."""
        was_up = self._is_up
        await asyncio.sleep(_FIRST_S)  # a time that has come already may help nothing
        while True:
            left = self._until_tried()
            if left <= 0 or (self._is_up and not was_up):
                self.wake()
                return
            await asyncio.sleep(min(left, _TICK_S))

    async def refused(self, error: GatewatchError) -> None:
        """The file is there and cannot be read: wait, longer each time."""
        self._record.status(*_refused(error))
        self._denied += 1
        await self.pause(min(_FIRST_DENIED_S * self._denied, _LONGEST_S))

    def allowed(self) -> None:
        """The file could be read, or is not there."""
        self._denied = 0

    def wake(self) -> None:
        """Wait no longer."""
        self._wake.set()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until somebody wants to know now."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    @property
    def _is_up(self) -> bool:
        way = self._connection()
        return isinstance(way, Connection) and way.way is Way.UP

    def _until_tried(self) -> float:
        """Seconds until the host may be tried again."""
        way = self._connection()
        return self._countdown.left(way if isinstance(way, Connection) else None, self._now())

    def _away(self, why: str) -> None:
        self._away_since = self._away_since or self._now()
        self._record.status(Status.STALE, why)


def _refused(error: GatewatchError) -> tuple[Status, str]:
    text = " ".join(str(error).split())
    denied = text.endswith((os.strerror(errno.EPERM), os.strerror(errno.EACCES)))
    return (Status.DENIED if denied else Status.FAILED), text


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
