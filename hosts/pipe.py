"""A host behind a byte pipe: a helper of ours at its other end, started again when the way to it is lost."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from hosts.bootstrap import RunnerImage, boot_argv, preamble
from hosts.errors import InputError, UnreachableError
from hosts.follow import INTERVAL, follow
from hosts.here import READ_DEADLINE, looked
from hosts.host import Chunk, Cursor, Data, Gap, Json, Observation, Position, Rotated, Wants
from hosts.link import BytePipe, Link
from hosts.local.calls import unwrap
from hosts.local.observe import MAX_READ
from hosts.local.wire import from_wire, to_wire

HEARTBEAT = 10.0
OPENING = 45.0
_HEX_SHA256 = 64

T = TypeVar("T")

Opener = Callable[[tuple[str, ...]], Awaitable[BytePipe]]


class PipeReader:
    """Looks at a host through a helper that an opener starts there.

    The helper is started by the first call, and again by the next call after the way to it was lost. A call that
    was under way then raises UnreachableError.

    Args:
        name: What observations and messages call the host.
        opener: Starts a command there and gives its ends.
        image: What the helper is made of.
        python: The Python to run it, by name or path there.
        enter: A command to put in front, such as `docker exec -i NAME`.
        heartbeat: Seconds between signs of life that we give.
        opening: Seconds that starting the helper may take.
        interval: Seconds between two looks at a followed file that does not grow.
        on_close: Awaited at the end of `close`, for a connection that was made for this host alone.
    """

    _actor = False

    def __init__(
        self,
        name: str,
        opener: Opener,
        image: RunnerImage,
        *,
        python: str = "python3",
        enter: tuple[str, ...] = (),
        heartbeat: float = HEARTBEAT,
        opening: float = OPENING,
        interval: float = INTERVAL,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._name = name
        self._opener = opener
        self._image = image
        self._python = python
        self._argv = (*enter, *boot_argv(python))
        self._heartbeat = heartbeat
        self._opening_limit = opening
        self._interval = interval
        self._on_close = on_close
        self._opening: asyncio.Task[Link] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        """Look once; `deadline` is how many seconds the answer may take, the opening of a lost way included."""
        began = time.monotonic()
        payload: Json = {
            "want": to_wire(want),
            "since": since.token if since is not None else None,
            "host": self._name,
            "deadline": deadline,
        }
        value = looked(await self._ask("observe", payload, None, deadline))
        took = time.monotonic() - began
        seen = await asyncio.to_thread(self._decode, Observation, value)
        return replace(seen, host=self._name, received=time.time(), rtt=took)

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        asked: Json = {"path": path, "offset": offset, "size": size}
        answer = looked(await self._ask("read", asked, None, READ_DEADLINE))
        chunk = await asyncio.to_thread(self._decode, Chunk, answer)
        if len(chunk.data) > min(size, MAX_READ) or chunk.offset != offset or len(chunk.fingerprint) != _HEX_SHA256:
            raise UnreachableError(f"{self._name}: an answer to read that does not fit what was asked")
        return chunk

    def follow(self, path: str, at: Position) -> AsyncIterator[Data | Gap | Rotated]:
        return follow(self.read, path, at, self._interval)

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        """Run a verb that only looks; `deadline` is how many seconds the answer may take.

        Raises:
            InputError: The payload is wrong, or what it names is not there.
            VerbError: The verb refused or failed.
            UnreachableError: No answer in time.
        """
        return looked(await self._ask(verb, payload, None, deadline))

    async def close(self) -> None:
        """End the helper; no further call is answered."""
        self._closed = True
        opening, self._opening = self._opening, None
        if opening is not None:
            if not opening.done():
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
            self._retire(opening)
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._on_close is not None:
            await self._on_close()

    def abort(self) -> None:
        """Drop the way to the helper at once, as a lost connection would; the next call opens another."""
        link = _result(self._opening)
        if link is not None:
            link.lose("the connection was dropped")

    async def _ask(self, verb: str, payload: Json, key: str | None, deadline: float) -> Json:
        try:
            async with asyncio.timeout(deadline):
                link = await self._link()
                return await link.request(verb, payload, key, deadline)
        except TimeoutError:
            raise UnreachableError(f"{self._name}: no answer to {verb} within {deadline:g} s") from None

    async def _link(self) -> Link:
        if self._closed:
            raise UnreachableError(f"{self._name}: the session was closed")
        opening = self._opening
        if opening is not None and opening.done():
            link = _result(opening)
            if link is not None and not link.lost:
                return link
            self._retire(opening)
            opening = None
        if opening is None:
            opening = self._opening = asyncio.create_task(self._open())
        try:
            # Shielded: several calls wait for one opening, and the first to give up must not take it from the others
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled():  # by `close`; whoever asked was not cancelled
                raise UnreachableError(f"{self._name}: the session was closed") from None
            # If it fails now, nobody else may be there to take notice
            opening.add_done_callback(_result)
            raise

    def _retire(self, opening: asyncio.Task[Link]) -> None:
        """Close what an opening gave, beside whatever comes next."""
        link = _result(opening)
        if link is not None:
            task = asyncio.create_task(link.close())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _open(self) -> Link:
        nonce = secrets.token_hex(16)
        try:
            async with asyncio.timeout(self._opening_limit):
                pipe = await self._opener(self._argv)
                link = Link(self._name, self._python, pipe, nonce, self._heartbeat)
                try:
                    await link.start(preamble(self._image, nonce, self._actor))
                except BaseException:
                    link.lose("the helper did not start")
                    await link.close()
                    raise
                return link
        except TimeoutError:
            raise UnreachableError(f"{self._name}: the helper did not start within {self._opening_limit:g} s") from None

    def _decode(self, cls: type[T], value: Json) -> T:
        try:
            return from_wire(cls, value)
        except InputError as error:
            raise UnreachableError(f"{self._name}: an answer that cannot be understood: {error}") from None


class PipeActor(PipeReader):
    """A host behind a byte pipe, with verbs that act; never made in read-only mode."""

    _actor = True

    async def call(self, verb: str, payload: Json, key: str, deadline: float) -> Json:
        """Run a verb that acts, at most once per `key`; `deadline` is how many seconds the answer may take.

        Raises:
            UnreachableError: The answer did not come; calling again with the same key is safe.
            VerbError: The verb refused or failed; "not-yet" where an earlier call has not finished.
        """
        return unwrap(await self._ask(verb, payload, key, deadline))


def _result(opening: asyncio.Task[Link] | None) -> Link | None:
    """What an opening gave, or None where it gave nothing (yet); its failure counts as noticed."""
    if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
        return None
    return opening.result()
