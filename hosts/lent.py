"""A host that is lent: whoever has it may look and close it, and the connection stays its owner's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from hosts.connection import Connection
from hosts.host import Chunk, Cursor, Data, Gap, HostReader, Json, Observation, Position, Rotated, Wants
from hosts.local.counting import Counts, CountWish
from hosts.stream import Counting, Item, Sign, Streaming
from hosts.stream_scan import Frame, Orders, Scanning


def lend(reader: HostReader) -> HostReader:
    """The same host for somebody who closes what he was given, so that one connection serves all."""
    return LentStreaming(reader, reader) if isinstance(reader, Streaming) else Lent(reader)


class Lent:
    """Hands every question on; `close` does nothing.

    Args:
        reader: The host.
    """

    def __init__(self, reader: HostReader) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        return self._reader.name

    @property
    def connection(self) -> Connection | None:
        """How the way there stands, at this instant; None where there is none."""
        found = getattr(self._reader, "connection", None)
        return found if isinstance(found, Connection) else None

    def by_hand(self, argv: tuple[str, ...]) -> str:
        """A line for a shell here that runs these words there without our helper; "" where there is none."""
        by_hand = getattr(self._reader, "by_hand", None)
        return by_hand(argv) if by_hand is not None else ""

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        return await self._reader.observe(want, since, deadline)

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        return await self._reader.read(path, offset, size)

    def follow(self, path: str, at: Position) -> AsyncIterator[Data | Gap | Rotated]:
        return self._reader.follow(path, at)

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        return await self._reader.query(verb, payload, deadline)

    async def close(self) -> None:
        """Give it back."""


class LentStreaming(Lent):
    """The same of a host that sends what is written as soon as it is."""

    def __init__(self, reader: HostReader, streaming: Streaming) -> None:
        super().__init__(reader)
        self._streaming = streaming

    async def watch(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item | Sign]:
        async with contextlib.aclosing(self._streaming.watch(path, at, last)) as items:
            async for item in items:
                yield item

    async def count(self, wish: CountWish) -> AsyncGenerator[Counts]:
        if isinstance(self._reader, Counting):
            async with contextlib.aclosing(self._reader.count(wish)) as found:
                async for counts in found:
                    yield counts

    async def scan(self, orders: Orders) -> AsyncGenerator[Frame]:
        if isinstance(self._reader, Scanning):
            async with contextlib.aclosing(self._reader.scan(orders)) as found:
                async for frame in found:
                    yield frame
