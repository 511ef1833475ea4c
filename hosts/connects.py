"""What all connections of one process share: how many are being made at a time, and whom a person's secret is asked of.

A host that hangs costs us nothing but the wait, so its turn ends early: it never keeps another from being tried.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from hosts.opened import Opened
from hosts.patience import Questions

# OpenSSH drops connections at random from the tenth that has not logged in (sshd_config, MaxStartups 10:30:100).
_PER_ADDRESS = 8

T = TypeVar("T")


class Asker(Protocol):
    """Asks a person."""

    async def ask(self, host: str, what: str) -> str | None:
        """The answer to `what`, one plain line, typed unseen; None where nobody can be asked or nobody answers."""
        ...


class Turn:
    """One of the places among those that connect now; given back once."""

    def __init__(self, *places: asyncio.Semaphore) -> None:
        self._places = places

    def give_back(self) -> None:
        """Let another one begin."""
        places, self._places = self._places, ()
        for place in places:
            place.release()


@dataclass
class Shared(Generic[T]):
    """What several have a part in.

    Attributes:
        held: What they share.
        parts: How many have one.
    """

    held: T
    parts: int = 0


class Connects:
    """What the connections of a process share; made once, and handed to each of its hosts.

    Args:
        limit: How many may be logging in at a time.
        gap: Seconds between the starts of two.
        asker: Whom to ask for a password or a passphrase; None where there is nobody.
        chance: What the waits of hosts that failed are drawn from.
        hold: Seconds that a login counts among those; what takes longer is waiting, which costs nothing here.

    Attributes:
        opened: The keys that a person has opened.
        questions: What a person is asked now; deadlines wait for that.
    """

    def __init__(
        self,
        limit: int = 24,
        gap: float = 0.004,
        asker: Asker | None = None,
        chance: random.Random | None = None,
        hold: float = 2.0,
    ) -> None:
        self.chance = chance or random.Random()  # noqa: S311 - waits are no secret
        self._places = asyncio.Semaphore(limit)
        self._addresses: dict[str, asyncio.Semaphore] = {}
        self._gap = gap
        self._next = 0.0
        self._kept: dict[object, tuple[object, object]] = {}
        self._shared: dict[Hashable, Shared[object]] = {}
        self._sharing = threading.Lock()
        self._hold = hold
        self._asker = asker
        self._asking = asyncio.Lock()
        self._declined: set[tuple[str, str]] = set()
        self._cut: dict[str, str] = {}  # what a host waited for when it did not any more
        self.opened: Opened[Any] = Opened()
        self.questions = Questions()

    def once(self, name: object, mark: object, make: Callable[[], T]) -> T:
        """What `make` gave for `name` the last time, for as long as `mark` is the same; from any thread."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != mark:
            kept = self._kept[name] = (mark, make())
        return cast(T, kept[1])

    def share(self, name: Hashable, make: Callable[[], T]) -> tuple[T, Callable[[], bool]]:
        """What others have under this name already, or else what `make` gives; from any thread.

        Returns:
            It, and what gives this part of it back, which is True when that was the last: then it is to be closed.
        """
        with self._sharing:
            shared = self._shared.get(name)
            if shared is None:
                shared = self._shared[name] = Shared(make())
            shared.parts += 1
        given = [name]

        def give_back() -> bool:
            with self._sharing:
                if not given:
                    return False
                given.clear()
                shared.parts -= 1
                if shared.parts == 0 and self._shared.get(name) is shared:
                    del self._shared[name]
                return shared.parts == 0

        return cast(T, shared.held), give_back

    async def begin(self, address: str) -> Turn:
        """Wait for a place; `address` is where one connects to, which must not be overrun either."""
        near = self._addresses.setdefault(address, asyncio.Semaphore(_PER_ADDRESS))
        await near.acquire()
        try:
            await self._places.acquire()
        except BaseException:
            near.release()
            raise
        turn = Turn(self._places, near)
        loop = asyncio.get_running_loop()
        begin = max(loop.time(), self._next)
        self._next = begin + self._gap
        try:
            await asyncio.sleep(begin - loop.time())
        except BaseException:
            turn.give_back()
            raise
        loop.call_later(self._hold, turn.give_back)
        return turn

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[Turn]:
        """Have a place for as long as this lasts, and no longer than it counts."""
        turn = await self.begin(address)
        try:
            yield turn
        finally:
            turn.give_back()

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody to ask."""
        return self._asker is not None

    async def ask(self, host: str, what: str) -> str | None:
        """Ask a person, one question at a time; None where nobody can be asked, or where this was declined before."""
        if self._asker is None:
            return None
        with self.waits_for(host, what):
            async with self._asking:
                if (host, what) in self._declined:  # by several hosts that one goes through it, perhaps
                    return None
                with self.questions.asking():
                    answer = await self._asker.ask(host, what)
                if not answer:
                    self._declined.add((host, what))
                return answer

    @contextmanager
    def waits_for(self, host: str, what: str) -> Iterator[None]:
        """Note what a login waited for, where it ends meanwhile: a person is asked, perhaps for another host first."""
        try:
            yield
        except asyncio.CancelledError:
            self._cut[host] = what
            raise

    def cut_short(self, host: str) -> str:
        """What a person was to give for this host when the login ended, "" where that was nothing; given once."""
        return self._cut.pop(host, "")

    def ask_again(self, host: str) -> None:
        """Let a person be asked also what was declined for this host: they want it tried again."""
        self._declined = {(about, what) for about, what in self._declined if about != host}
