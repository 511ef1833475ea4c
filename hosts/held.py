"""A session with a helper that is opened when it is first needed, and again after it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from hosts.aside import is_cancelled
from hosts.errors import UnreachableError
from hosts.session import Session

S = TypeVar("S", bound=Session)


class Held(Generic[S]):
    """One session at a time.

    Args:
        name: What messages call the host.
        start: Opens one.
    """

    def __init__(self, name: str, start: Callable[[], Awaitable[S]]) -> None:
        self._name = name
        self._start = start
        self._opening: asyncio.Task[S] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def now(self) -> S | None:
        """The session that is open, if one is."""
        session = _result(self._opening)
        return session if session is not None and not session.lost else None

    async def get(self) -> S:
        """The session that is open, or a new one.

        Raises:
            UnreachableError, InputError: None could be opened, and why.
        """
        if self._closed:
            raise UnreachableError(f"{self._name}: the session was closed")
        opening = self._opening
        if opening is not None and opening.done():
            session = _result(opening)
            if session is not None and not session.lost:
                return session
            self._retire(opening)
            opening = None
        if opening is None:
            opening = self._opening = asyncio.create_task(self._open())
        try:
            # Shielded: several calls wait for one opening, and the first to give up must not take it from the others
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled() and not is_cancelled():  # by `close` then, which is no reason to end for who asked
                raise UnreachableError(f"{self._name}: the session was closed") from None
            # If it fails now, nobody else may be there to take notice
            opening.add_done_callback(_result)
            raise

    def lose(self, why: str) -> None:
        """Give the open session up at once, as a lost connection would."""
        session = _result(self._opening)
        if session is not None:
            session.lose(why)

    def let_go(self) -> None:
        """End the open session, beside whatever comes next; the next `get` opens another."""
        opening = self._opening
        if opening is not None and opening.done():
            self._opening = None
            self._retire(opening)

    async def close(self) -> None:
        """End the session; there is no further one."""
        self._closed = True
        opening, self._opening = self._opening, None
        if opening is not None:
            if not opening.done():
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
            self._retire(opening)
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _open(self) -> S:
        return await self._start()

    def _retire(self, opening: asyncio.Task[S]) -> None:
        """Close what an opening gave, beside whatever comes next."""
        session = _result(opening)
        if session is not None:
            task = asyncio.create_task(session.close())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)


def _result(opening: asyncio.Task[S] | None) -> S | None:
    """What an opening gave, or None where it gave nothing (yet); its failure counts as noticed."""
    if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
        return None
    return opening.result()
