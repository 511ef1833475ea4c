"""A host over SSH that may have a Python or not: by our helper where there is one, else by what an SSH server has."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from hosts.bare import BareReader
from hosts.bare_inodes import Inodes
from hosts.errors import NoPythonError
from hosts.host import Chunk, Cursor, Data, Gap, Json, Observation, Position, Rotated, Wants
from hosts.local.counting import Counts, CountWish
from hosts.local.observe import NotThereError
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
                return self._told(path, await super().read(path, offset, size), bare=False)
            except NoPythonError as error:
                self._without(error)
        return self._told(path, await self._bare.read(path, offset, size), bare=True)

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
                        at = item.position
                        yield self._moved(path, item, bare=False)
            except NoPythonError as error:
                self._without(error)
        async with contextlib.aclosing(self._bare.follow(path, at)) as items:
            async for item in items:
                yield self._moved(path, item, bare=True)

    async def watch(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item | Sign]:
        if self._bare.alive:
            return
        try:
            at = await self._called(path, at)
            async with contextlib.aclosing(super().watch(path, at, last)) as items:
                async for item in items:
                    yield item if isinstance(item, Sign) else self._moved(path, item, bare=False)
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

    def _told(self, path: str, chunk: Chunk, bare: bool) -> Chunk:
        return replace(chunk, inode=self._inodes.tell(path, chunk.inode, chunk.fingerprint, bare))

    async def _called(self, path: str, at: Position) -> Position:
        """A place as the helper knows it: it may have been found without."""
        if self._inodes.differs(path, at.inode, bare=False):
            with contextlib.suppress(NotThereError):
                await self.read(path, 0, 0)
        return replace(at, inode=self._inodes.called(path, at.inode))

    def _moved(self, path: str, item: Item, bare: bool) -> Item:
        """An item whose position goes on to be told as before."""
        at = item.position
        told = self._inodes.tell(path, at.inode, at.fingerprint, bare)
        return item if told == at.inode else replace(item, position=replace(at, inode=told))


class EitherActor(EitherReader, PipeActor):
    """Such a host with verbs that act, which need the helper; never made in read-only mode."""
