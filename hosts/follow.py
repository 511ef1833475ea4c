"""Following a growing file by its path alone, over any host, across truncation and rotation (SAFETY L1).

Which file it is, is known by inode, by the first KiB (as far as it went when it was last seen) and by the last
bytes that were handed out. When another file has taken its place, the old one is looked for under the names
that log rotation gives, and read to its end first.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from hosts.errors import InputError
from hosts.host import Chunk, Data, Gap, Position, Rotated
from hosts.local.observe import FINGERPRINT, NotThereError

BLOCK = 1 << 20
INTERVAL = 0.5
_OVERLAP = 64
_ROTATED = (".1", ".0", ".old")

Read = Callable[[str, int, int], Awaitable[Chunk]]


async def follow(
    read: Read,
    path: str,
    at: Position,
    interval: float = INTERVAL,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[Data | Gap | Rotated]:
    """Hand out what is appended to a file, for as long as it is asked.

    A file that is not there, or not there any more, is waited for.

    Args:
        read: How a range of the file is read: path, offset, size.
        path: The file.
        at: Where to begin; the position of an earlier item continues there, even in another session.
        interval: Seconds between two looks at a file that does not grow.
        sleep: Waits that long.

    Raises:
        UnreachableError: The host does not answer; the position of the last item is where to go on.
        InputError: The file is there and cannot be read.
    """
    follower = _Follower(read, path, at)
    while True:
        waiting = True
        for item in await follower.look():
            waiting = False
            yield item
        if waiting:
            await sleep(interval)


class _Follower:
    def __init__(self, read: Read, path: str, at: Position) -> None:
        self._read = read
        self._path = path
        self._at = at
        self._last = b""  # the last bytes handed out of this file, which end at the position
        self._drained: str | None = None  # where the old file went, once it was found there
        self._missed = False

    async def look(self) -> list[Data | Gap | Rotated]:
        """What is new; nothing when nothing is."""
        start = self._start()
        try:
            chunk = await self._read(self._path, start, BLOCK)
        except NotThereError:
            first, self._missed = not self._missed, True
            return await self._drain() if self._at.inode and (first or self._drained) else []
        self._missed = False
        at = self._at
        if at.inode == 0:
            if chunk.size < at.offset:
                return [self._restart("truncated", chunk)]
            self._adopt(chunk)
        else:
            change = self._change(chunk, start)
            if change is not None:
                return await self._turn(change, chunk)
        return self._grown(chunk, start)

    def _start(self) -> int:
        """Where to read from: a little before the position, so that what was handed out can be compared."""
        if self._at.inode and self._short():
            return 0  # the first bytes have to be hashed again, up to where they went then
        return max(0, self._at.offset - len(self._last))

    def _short(self) -> bool:
        """Whether the fingerprint covers less than it does in a longer file; then the position is near it."""
        at = self._at
        return bool(at.fingerprint) and at.fingerprint_size < FINGERPRINT and at.offset <= FINGERPRINT

    def _adopt(self, chunk: Chunk) -> None:
        self._at = Position(self._at.offset, chunk.inode, chunk.fingerprint, min(FINGERPRINT, chunk.size))

    def _change(self, chunk: Chunk, start: int) -> str | None:
        """Why this is not the file of before, or None when it is."""
        at = self._at
        if chunk.inode != at.inode:
            return "replaced"
        if chunk.size < at.offset:
            return "truncated"
        return None if self._same(chunk, start) else "truncated"

    def _same(self, chunk: Chunk, start: int) -> bool:
        """Whether a chunk, read from `start`, is of a file with the beginning and the last bytes that we know."""
        at = self._at
        if chunk.size < at.offset:
            return False
        if self._short():
            beginning = hashlib.sha256(chunk.data[: at.fingerprint_size]).hexdigest()
        else:
            beginning = chunk.fingerprint if at.fingerprint_size == FINGERPRINT else at.fingerprint
        before = at.offset - start
        return beginning == at.fingerprint and chunk.data[before - len(self._last) : before] == self._last

    def _grown(self, chunk: Chunk, start: int) -> list[Data | Gap | Rotated]:
        new = chunk.data[self._at.offset - start :]
        self._adopt(chunk)
        if not new:
            return []
        self._advance(new)
        return [Data(new, self._at)]

    def _advance(self, new: bytes) -> None:
        self._last = (self._last + new)[-_OVERLAP:]
        self._at = replace(self._at, offset=self._at.offset + len(new))

    async def _turn(self, change: str, chunk: Chunk) -> list[Data | Gap | Rotated]:
        """From the old file to the new one: first what is left of the old, as long as it gives anything."""
        left = await self._drain()
        if left:
            return left
        if self._drained is not None and chunk.size == 0:
            return []  # whoever writes may not have turned to the new file yet
        found, self._drained = self._drained, None
        gap = Gap(None, f"the file was {change}; what was still written to the old one cannot be read", self._at)
        turned = self._restart(change, chunk)
        return [turned] if found is not None else [replace(gap, position=turned.position), turned]

    def _restart(self, why: str, chunk: Chunk) -> Rotated:
        self._last = b""
        self._at = Position(0, chunk.inode, "", 0)
        self._at = replace(self._at, fingerprint=hashlib.sha256(b"").hexdigest())
        return Rotated(why, self._at)

    async def _drain(self) -> list[Data | Gap | Rotated]:
        """More of the old file, found under a name that rotation gives."""
        for name in [self._drained] if self._drained else [self._path + suffix for suffix in _ROTATED]:
            start = self._start()
            try:
                chunk = await self._read(name, start, BLOCK)
            except InputError:
                continue
            # A copy has another inode; then the bytes that were handed out last have to be in their place
            if self._same(chunk, start) and (chunk.inode == self._at.inode or len(self._last) == _OVERLAP):
                self._drained = name
                new = chunk.data[self._at.offset - start :]
                covers = min(FINGERPRINT, chunk.size)
                self._at = replace(self._at, fingerprint=chunk.fingerprint, fingerprint_size=covers)
                if new:
                    self._advance(new)
                    return [Data(new, self._at)]
                return []
        self._drained = None
        return []
