"""This machine, asked in the same way as any other: one thread hop per call."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from hosts.aside import aside
from hosts.errors import InputError, UnreachableError, VerbError
from hosts.follow import INTERVAL, follow
from hosts.host import Chunk, Cursor, Data, Gap, Json, Observation, Position, Rotated, Wants
from hosts.local.calls import outcome, unwrap
from hosts.local.observe import NotThereError, Observer, read_range
from hosts.local.serve import perform
from hosts.local.verbs import READ_VERBS, Verb

READ_DEADLINE = 20.0
_MOST = 16

T = TypeVar("T")


class LocalReader:
    """Looks at this machine from inside this process.

    Every call runs in a daemon thread of its own and not in the loop's executor: a dead network mount may hold
    a thread for ever, and must hold up neither the others nor the end of the program.

    Args:
        name: What observations call this host.
        verbs: What `query` can be asked; verbs that act are refused.
        interval: Seconds between two looks at a followed file that does not grow.
    """

    _actor = False

    def __init__(self, name: str = "local", verbs: Mapping[str, Verb] = READ_VERBS, interval: float = INTERVAL) -> None:
        self._name = name
        self._verbs = verbs
        self._interval = interval
        self._observer = Observer()
        self._under_way = 0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        """Look once; `deadline` is how many seconds the answer may take."""
        began = time.monotonic()
        seen = await self._run(lambda: self._observer.observe(want, since, self._name, deadline), deadline, "observe")
        return replace(seen, received=time.time(), rtt=time.monotonic() - began)

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        return await self._run(lambda: read_range(path, offset, size), READ_DEADLINE, f"read {path}")

    def follow(self, path: str, at: Position) -> AsyncIterator[Data | Gap | Rotated]:
        return follow(self.read, path, at, self._interval)

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        """Run a verb that only looks; `deadline` is how many seconds the answer may take.

        Raises:
            InputError: The payload is wrong, or what it names is not there.
            VerbError: The verb refused or failed.
            UnreachableError: No answer in time.
        """
        answer = await self._run(
            lambda: outcome(lambda: perform(self._verbs, False, verb, payload, None)), deadline, verb
        )
        return looked(answer)

    async def close(self) -> None:
        """Nothing is held open here."""

    async def _run(self, work: Callable[[], T], deadline: float, what: str, daemon: bool = True) -> T:
        with self._lock:
            if self._under_way >= _MOST:
                raise UnreachableError(f"{self._name}: {_MOST} earlier calls have not come back")
            self._under_way += 1

        def counted() -> T:
            try:
                return work()
            finally:
                with self._lock:
                    self._under_way -= 1

        try:
            async with asyncio.timeout(deadline):
                return await aside(counted, f"{self._name}: {what}", daemon=daemon)
        except TimeoutError:
            raise UnreachableError(f"{self._name}: no answer to {what} within {deadline:g} s") from None


class LocalActor(LocalReader):
    """This machine, with verbs that act; never made in read-only mode."""

    _actor = True

    async def call(self, verb: str, payload: Json, key: str, deadline: float) -> Json:
        """Run a verb that acts, at most once per `key`; `deadline` is how many seconds the answer may take.

        Raises:
            UnreachableError: No answer in time; the verb goes on, and calling again with the key is safe.
            VerbError: The verb refused or failed; "not-yet" where an earlier call has not finished.
        """
        answer = await self._run(
            # No daemon: a verb that acts is let finish when the program ends
            lambda: outcome(lambda: perform(self._verbs, True, verb, payload, key)),
            deadline,
            verb,
            daemon=False,
        )
        return unwrap(answer)


def looked(answer: Json) -> Json:
    """The value of an answer to something that only looks.

    Raises:
        InputError: What was asked for is wrong, or not there.
        VerbError: Anything else that went wrong there.
    """
    try:
        return unwrap(answer)
    except VerbError as error:
        if error.kind == "missing":
            raise NotThereError(str(error)) from None
        if error.kind == "input":
            raise InputError(str(error)) from None
        raise
