"""A host over SSH that may have a Python or not: by our helper where there is one, else by what an SSH server has."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from hosts.bare import BareReader
from hosts.bare_inodes import Beginning, Inodes
from hosts.errors import NoPythonError
from hosts.host import Chunk, Cursor, Data, Gap, Json, Observation, Position, Rotated, Wants
from hosts.local.counting import Counts, CountWish
from hosts.local.observe import FINGERPRINT, NotThereError
from hosts.pipe import PipeActor, PipeReader
from hosts.stream import Item, Sign
from hosts.stream_scan import Frame, Orders


class EitherReader(PipeReader):
    """Looks by the helper; where there is no Python for it, without, until the connection is made anew.

    Args:
        name, options: As a PipeReader has them.
        bare: How it is looked at without.
    """

    def __init__(self, name: str, *, bare: BareReader, **options: Any) -> None:
        super().__init__(name, **options)
        self._bare = bare
        self._inodes = Inodes()

    @property
    def bare(self) -> str:
        """Why the host is looked at without a helper now; "" where it is not."""
        return self._bare.reason if self._bare.alive else ""

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        if not self._bare.alive:
            try:
                return await super().observe(want, since, deadline)
            except NoPythonError as error:
                self._without(error)
        return await self._bare.observe(want, since, deadline)

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        if not self._bare.alive:
            try:
                return await self._told(path, await super().read(path, offset, size), super().read, bare=False)
            except NoPythonError as error:
                self._without(error)
        return await self._told(path, await self._bare.read(path, offset, size), self._bare.read, bare=True)

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        if not self._bare.alive:
            try:
                return await super().query(verb, payload, deadline)
            except NoPythonError as error:
                self._without(error)
        return await self._bare.query(verb, payload, deadline)

    async def follow(self, path: str, at: Position) -> AsyncGenerator[Data | Gap | Rotated]:
        if not self._bare.alive:
            try:
                at = await self._called(path, at)
                async with contextlib.aclosing(super().follow(path, at)) as items:
                    async for item in items:
                        moved = self._moved(path, item, at, bare=False)
                        at = moved.position
                        yield moved
            except NoPythonError as error:
                self._without(error)
        async with contextlib.aclosing(self._bare.follow(path, at)) as items:
            async for item in items:
                moved = self._moved(path, item, at, bare=True)
                at = moved.position
                yield moved

    async def watch(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item | Sign]:
        if self._bare.alive:
            return
        try:
            at = await self._called(path, at)
            async with contextlib.aclosing(super().watch(path, at, last)) as items:
                async for item in items:
                    yield item if isinstance(item, Sign) else self._moved(path, item, at, bare=False)
        except NoPythonError as error:
            self._without(error)

    async def count(self, wish: CountWish) -> AsyncGenerator[Counts]:
        if self._bare.alive:
            return
        try:
            async with contextlib.aclosing(super().count(wish)) as found:
                async for counts in found:
                    yield counts
        except NoPythonError as error:
            self._without(error)

    async def scan(self, orders: Orders) -> AsyncGenerator[Frame]:
        if self._bare.alive:
            return
        try:
            async with contextlib.aclosing(super().scan(orders)) as found:
                async for frame in found:
                    yield frame
        except NoPythonError as error:
            self._without(error)

    async def close(self) -> None:
        await self._bare.close()
        await super().close()

    def _without(self, error: NoPythonError) -> None:
        self._bare.reason = f"no python there: {error}"

    async def _told(
        self, path: str, chunk: Chunk, read: Callable[[str, int, int], Awaitable[Chunk]], bare: bool
    ) -> Chunk:
        now = Beginning(chunk.fingerprint, min(FINGERPRINT, chunk.size))
        before = self._inodes.before(path, bare)
        same = False
        if before is not None and before.size < now.size:  # a short one has grown: as far as it went then counts
            held = chunk.offset == 0 and len(chunk.data) >= before.size
            data = chunk.data if held else (await read(path, 0, before.size)).data
            same = hashlib.sha256(data[: before.size]).hexdigest() == before.fingerprint
        return replace(chunk, inode=self._inodes.tell(path, chunk.inode, now, bare, same))

    async def _called(self, path: str, at: Position) -> Position:
        """A place as the helper knows it: it may have been found without."""
        if self._inodes.differs(path, at.inode, bare=False):
            with contextlib.suppress(NotThereError):
                await self.read(path, 0, FINGERPRINT)
        return replace(at, inode=self._inodes.called(path, at.inode))

    def _moved(self, path: str, item: Item, before: Position, bare: bool) -> Item:
        """An item, which came after `before`, with a position that goes on to be told as that was."""
        at = item.position
        goes_on = isinstance(item, Data) and self._inodes.is_told(path, before.inode)
        told = self._inodes.tell(path, at.inode, Beginning(at.fingerprint, at.fingerprint_size), bare, goes_on)
        return item if told == at.inode else replace(item, position=replace(at, inode=told))


class EitherActor(EitherReader, PipeActor):
    """Such a host with verbs that act, which need the helper; never made in read-only mode."""
