"""A host over SSH that may have a Python or not: by our helper where there is one, else by what an SSH server has."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from hosts.bare import BareReader
from hosts.bare_inodes import Beginning, Inodes
from hosts.bootstrap import OLDEST
from hosts.errors import GatewatchError, NoPythonError, UnreachableError
from hosts.host import Chunk, Cursor, Data, Gap, Json, Observation, Position, Rotated, Wants
from hosts.local.counting import Counts, CountWish
from hosts.local.observe import FINGERPRINT, NotThereError
from hosts.not_run import NoCommandError
from hosts.pipe import Opener, PipeActor, PipeReader
from hosts.stream import Item, Sign
from hosts.stream_scan import Frame, Orders

AGAIN = 180.0
_ASKING = 10.0
_MOST_SAID = 1 << 16
_NO_HELPER = (NoPythonError, NoCommandError)
_VERSION = 'import sys;print("gatewatch %d %d"%sys.version_info[:2])'
T = TypeVar("T")


class EitherReader(PipeReader):
    """Looks by the helper; where none can run, without, until there is a Python for it.

    A Python is looked for when the connection is made anew, now and then, and when a person wants it to be tried again.

    Args:
        name, options: As a PipeReader has them.
        bare: How it is looked at without.
        again: Seconds between two looks for a Python.
    """

    def __init__(self, name: str, *, bare: BareReader, again: float = AGAIN, **options: Any) -> None:
        super().__init__(name, **options)
        self._bare = bare
        self._inodes = Inodes()
        self._again = again
        self._runs = True
        self._due = 0.0
        self._moves = 0
        self._finding: asyncio.Task[None] | None = None

    @property
    def bare(self) -> str:
        """Why the host is looked at without a helper now; "" where it is not."""
        return self._bare.reason if self._bare.alive else ""

    def by_hand(self, argv: tuple[str, ...]) -> str:
        """A line for a shell here that runs these words there without our helper; "" where nothing can be run."""
        return self._bare.by_hand(argv) if self._runs and self._bare.by_hand is not None else ""

    async def retry_now(self) -> None:
        await super().retry_now()
        self._bare.forget()
        if self._bare.alive:
            self._look_for_python()
        if self._finding is not None:
            await asyncio.shield(self._finding)

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        if self._bare.alive and time.monotonic() >= self._due:
            self._look_for_python()
        by_helper, without = super().observe, self._bare.observe
        return await self._either(lambda: by_helper(want, since, deadline), lambda: without(want, since, deadline))

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        by_helper, without = super().read, self._bare.read

        async def told(read: Callable[[str, int, int], Awaitable[Chunk]], bare: bool) -> Chunk:
            return await self._told(path, await read(path, offset, size), read, bare)

        return await self._either(lambda: told(by_helper, bare=False), lambda: told(without, bare=True))

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        by_helper, without = super().query, self._bare.query
        return await self._either(lambda: by_helper(verb, payload, deadline), lambda: without(verb, payload, deadline))

    async def follow(self, path: str, at: Position) -> AsyncGenerator[Data | Gap | Rotated]:
        while True:
            if not self._bare.alive:
                try:
                    at = await self._called(path, at)
                    async with contextlib.aclosing(super().follow(path, at)) as items:
                        async for item in items:
                            moved = self._moved(path, item, at, bare=False)
                            at = moved.position
                            yield moved
                except _NO_HELPER as error:
                    self._without(error)
            moves = self._moves
            try:
                async with contextlib.aclosing(self._bare.follow(path, at)) as items:
                    async for item in items:
                        moved = self._moved(path, item, at, bare=True)
                        at = moved.position
                        yield moved
            except UnreachableError:
                if moves == self._moves:
                    raise

    async def watch(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item | Sign]:
        if self._bare.alive:
            return
        try:
            at = await self._called(path, at)
            async with contextlib.aclosing(super().watch(path, at, last)) as items:
                async for item in items:
                    yield item if isinstance(item, Sign) else self._moved(path, item, at, bare=False)
        except _NO_HELPER as error:
            self._without(error)

    async def count(self, wish: CountWish) -> AsyncGenerator[Counts]:
        if self._bare.alive:
            return
        try:
            async with contextlib.aclosing(super().count(wish)) as found:
                async for counts in found:
                    yield counts
        except _NO_HELPER as error:
            self._without(error)

    async def scan(self, orders: Orders) -> AsyncGenerator[Frame]:
        if self._bare.alive:
            return
        try:
            async with contextlib.aclosing(super().scan(orders)) as found:
                async for frame in found:
                    yield frame
        except _NO_HELPER as error:
            self._without(error)

    async def close(self) -> None:
        finding, self._finding = self._finding, None
        if finding is not None:
            finding.cancel()
            await asyncio.gather(finding, return_exceptions=True)
        await self._bare.close()
        await super().close()

    async def _either(self, by_helper: Callable[[], Awaitable[T]], without: Callable[[], Awaitable[T]]) -> T:
        """Ask in the way that there is; what was asked without, when that ended because a Python was found, again."""
        while True:
            if not self._bare.alive:
                try:
                    return await by_helper()
                except _NO_HELPER as error:
                    self._without(error)
            moves = self._moves
            try:
                return await without()
            except UnreachableError:
                if moves == self._moves:
                    raise

    def _without(self, error: GatewatchError) -> None:
        nothing = isinstance(error, NoCommandError)
        self._runs = not nothing
        self._bare.reason = str(error).removeprefix(f"{self._name}: ") if nothing else f"no python there: {error}"
        self._bare.begin()
        self._due = time.monotonic() + self._again

    def _look_for_python(self) -> None:
        """Look for a Python beside whatever goes on, and go over to the helper if there is one."""
        self._due = time.monotonic() + self._again
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._find_python())

    async def _find_python(self) -> None:
        # Starting the helper sends all of it: only where one can be expected to run
        with contextlib.suppress(GatewatchError):
            if await _has_python(self._opener, self._python):
                await self._links.get()
                self._moves += 1
                await self._bare.close()

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


async def _has_python(opener: Opener, python: str) -> bool:
    """Whether a Python that our helper could run in is there.

    Raises:
        UnreachableError, InputError: No command can be run there.
    """
    pipe = await opener((python, "-I", "-c", _VERSION))
    said = b""
    try:
        async with asyncio.timeout(_ASKING):
            while len(said) < _MOST_SAID and (data := await pipe.read()):
                said += data
    except TimeoutError:
        return False
    finally:
        await pipe.close(1.0)
    found = re.search(rb"^gatewatch (\d{1,3}) (\d{1,3})\s*$", said, re.MULTILINE)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


class EitherActor(EitherReader, PipeActor):
    """Such a host with verbs that act, which need the helper; never made in read-only mode."""
