"""A log that is a file on another host, followed over whatever way leads there.

The last bytes are held here, all others are read by range when somebody wants them. A way that is lost is tried again
for as long as it takes: the follower never hears of it, so it goes on at the byte where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hosts.errors import InputError, UnreachableError
from hosts.follow import follow
from hosts.host import Chunk, Data, Gap, HostReader, Position, Rotated
from hosts.local.observe import FINGERPRINT, MAX_READ, NotThereError
from monitors.logs.local_ring import Ring
from monitors.logs.record import ShapeRecorder
from monitors.logs.types import Generation, GoneError, MarkKind, Shape, Status

VISIBLE_S = 0.1
HIDDEN_S = 2.0
HELD = 16 << 20
"""Bytes that are held here: a quarter for the file that grows, the rest for the ends of those before it."""

_TAIL = 256 << 10
_JUMP = 8 << 20
_IDLE_S = 0.5
_SLOWER = 1.25
_PATIENCE_S = 3.0
_FIRST_S = 0.25
_SAMPLE = 1024
_FIRST_DENIED_S = 1.0
_LONGEST_S = 30.0
_ROTATED = (".1", ".0", ".old", *(f".{number}" for number in range(2, 10)))
_T = TypeVar("_T")


@dataclass
class _File:
    """What was one generation: which file it is there, and the bytes of it that are held here."""

    ring: Ring
    position: Position = field(default_factory=Position)
    found: tuple[str, int] = ("", 0)  # the name and inode under which it was found once it had ended
    lost: bool = False  # nobody knows a file that holds the rest


class RemoteSource:
    """A file on a host as a log.

    Args:
        host: Who reads it.
        path: The file; it need not be there yet.
        name: What the log is called, for a title.
        visible_interval: Seconds between two looks at a file that grows, while somebody watches; up to half a second
            at one that does not.
        hidden_interval: Seconds between two looks while nobody watches.
        noticed: Seconds without an answer from which on a mark says so.
        kept: Generations that stay readable at most.
        held: Bytes that are held here, about.
        now: Our clock, seconds since the epoch.
        on_close: Awaited at the end of `close`, for a host that was opened for this log alone.
    """

    def __init__(
        self,
        host: HostReader,
        path: str,
        name: str = "",
        *,
        visible_interval: float = VISIBLE_S,
        hidden_interval: float = HIDDEN_S,
        noticed: float = 2.0,
        kept: int = 16,
        held: int = HELD,
        now: Callable[[], float] = time.time,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self._path = path
        self._name = name or path
        self._intervals = (hidden_interval, visible_interval)
        self._noticed = noticed
        self._now = now
        self._held = held
        self._on_close = on_close
        self._record = ShapeRecorder(self._name, kept=kept, now=now)
        self._files: dict[int, _File] = {}
        self._gap = False
        self._ahead = 0  # bytes that the file has beyond the last look at it
        self._visible = True
        self._idle = 0
        self._heard = now()
        self._away_since = 0.0  # our clock, 0 while the host answers
        self._fails = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def shape(self) -> Shape:
        return self._record.shape

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to follow."""
        self._record.listen(asyncio.get_running_loop(), changed)
        self._heard = self._now()
        self._task = asyncio.create_task(self._follow())

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        """Bytes that are held here, or read there.

        Raises:
            GoneError: Nobody has them any more.
            UnreachableError: The host does not answer.
        """
        known = self._record.generation(generation)
        file = self._files.get(generation)
        if known is None or file is None or offset < known.first:
            raise GoneError(f"{self._name}: the part that is asked for is not kept any more")
        size = max(0, min(size, known.size - offset))
        parts: list[bytes] = []
        while size > 0:
            data = file.ring.read(offset, size) or await self._range(known, file, offset, size)
            parts.append(data)
            offset += len(data)
            size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def descriptor(self, generation: int) -> int | None:
        """None: there is no file here."""
        return None

    def watch(self, visible: bool) -> None:
        self._visible = visible
        if visible:
            self._idle = 0
            self._wake.set()

    async def close(self) -> None:
        self._record.listen(asyncio.get_running_loop(), None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._files = {}
        if self._on_close is not None:
            await self._on_close()
            self._on_close = None

    # Following.

    async def _follow(self) -> None:
        at = await self._begin()
        while True:
            new = follow(self._look, self._path, at, sleep=self._rest)
            async with contextlib.aclosing(new) as items:
                async for item in items:
                    self._take(item)
                    if isinstance(item, Data) and self._ahead > _JUMP:
                        # The end first: what lies between is read when somebody wants it
                        at = self._end(item.position, item.position.offset + self._ahead)
                        break

    async def _begin(self) -> Position:
        """Where to follow from: near the end of what is there."""
        try:
            chunk = await self._look(self._path, 0, 0)
        except NotThereError:
            return Position()
        return self._end(Position(0, chunk.inode, chunk.fingerprint, min(FINGERPRINT, chunk.size)), chunk.size)

    def _end(self, at: Position, size: int) -> Position:
        at = replace(at, offset=max(at.offset, size - _TAIL))
        self._live().position = at
        self._record.grow(size)
        return at

    async def _look(self, path: str, offset: int, size: int) -> Chunk:
        """Read for the follower: it waits as long as the host does not answer, or does not let us.

        Raises:
            NotThereError: There is no such file.
            InputError: One of the names that rotation gives cannot be read.
        """
        denied = 0
        while True:
            try:
                chunk = await self._patiently(self._host.read(path, offset, size))
            except UnreachableError as error:
                await self._lost(error)
            except NotThereError:
                self._answered()
                if path == self._path:
                    known = self._record.live is not None
                    self._record.status(Status.WAITING, "the file is deleted" if known else "no such file yet")
                raise
            except InputError as error:
                self._answered()
                if path != self._path:
                    raise
                self._record.status(*_refused(error))
                denied += 1
                await self._pause(min(_FIRST_DENIED_S * denied, _LONGEST_S))
            else:
                self._answered()
                self._ahead = 0
                if path == self._path:
                    self._ahead = chunk.size - offset - len(chunk.data)
                    self._live()
                    self._record.status(Status.LIVE)
                return chunk

    async def _patiently(self, work: Awaitable[_T]) -> _T:
        """Wait for an answer, and say so when it takes long."""
        asked = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({asked}, timeout=_PATIENCE_S)
            if not done:
                self._away_since = self._away_since or self._now()
                self._record.status(Status.STALE, f"{self._host.name}: no answer for {_PATIENCE_S:g} s")
            return await asked
        finally:
            asked.cancel()

    async def _lost(self, error: UnreachableError) -> None:
        """The way is lost: wait before it is tried again, longer each time, and not at the same moment as others."""
        self._away_since = self._away_since or self._now()
        self._record.status(Status.STALE, " ".join(str(error).split()))
        wait = min(_FIRST_S * 2**self._fails, _LONGEST_S)
        self._fails = min(self._fails + 1, 16)
        await self._pause(random.uniform(wait / 2, wait))  # noqa: S311 - no secret

    def _answered(self) -> None:
        now = self._now()
        silent = now - self._heard
        # A machine that slept finds its way lost the moment it wakes, and may be back in no time
        if self._away_since and (now - self._away_since >= self._noticed or silent >= self._noticed + _PATIENCE_S):
            self._record.mark(MarkKind.OFFLINE, f"no answer from {self._host.name} for {_span(silent)}", 0)
        self._away_since, self._fails, self._heard = 0.0, 0, now

    async def _rest(self, _seconds: float) -> None:
        """Between two looks: longer and longer while nothing comes."""
        hidden, visible = self._intervals
        wait = min(visible * _SLOWER**self._idle, max(_IDLE_S, visible)) if self._visible else hidden
        self._idle = min(self._idle + 1, 64)
        await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    # What is known.

    def _take(self, item: Data | Gap | Rotated) -> None:
        self._idle = 0
        if isinstance(item, Data):
            self._grown(item)
        elif isinstance(item, Gap):
            self._gap = True
        else:
            self._turned(item)

    def _grown(self, item: Data) -> None:
        file = self._live()
        ring, begin = file.ring, item.position.offset - len(item.data)
        if begin != ring.end:
            ring.reset(begin)
        ring.append(item.data)
        file.position = item.position
        self._record.grow(ring.end)

    def _turned(self, item: Rotated) -> None:
        gap, self._gap = self._gap, False
        live, old = self._record.live, self._live()
        if gap and live is not None:
            # What was not read in time is gone with the file; where that was its end, nothing can be said of the rest
            old.lost = True
            self._record.settle(first=old.ring.start if live.size == old.ring.end else live.size)
        if not gap:
            self._turn(MarkKind.ROTATED, "rotated: another file took the place", 0, item.position)
        elif item.why == "truncated":
            self._turn(MarkKind.TRUNCATED, "truncated: its last bytes before that may be missing", None, item.position)
        else:
            self._turn(MarkKind.REPLACED, "replaced: the end of the file before is not known", None, item.position)

    def _turn(self, kind: MarkKind, text: str, missing: int | None, at: Position) -> None:
        number = self._record.turn(kind, text, missing, self._name)
        kept = {known: file for known, file in self._files.items() if self._record.generation(known) is not None}
        self._files = {**kept, number: _File(self._ring(), at)}
        self._let_go()

    def _live(self) -> _File:
        """The file of the live generation; the first begins here."""
        live = self._record.live
        number = live.number if live is not None else self._record.begin(self._name)
        if number not in self._files:
            self._files = {**self._files, number: _File(self._ring())}
        return self._files[number]

    def _ring(self) -> Ring:
        return Ring(self._held // 4)

    def _let_go(self) -> None:
        """Hold no more of what has ended than the budget; the oldest goes first."""
        ended = [(number, file) for number, file in sorted(self._files.items())[:-1] if file.ring.end > file.ring.start]
        held = sum(file.ring.end - file.ring.start for _, file in ended)
        for number, file in ended:
            if held <= self._held - self._held // 4:
                return
            held -= file.ring.end - file.ring.start
            file.ring.reset(file.ring.end)
            if file.lost:
                self._unreadable(number, file)

    # Reading by range.

    async def _range(self, known: Generation, file: _File, offset: int, size: int) -> bytes:
        """Bytes that are not held: from the file, under whichever name it has by now."""
        for name in self._names(file):
            try:
                chunk = await self._host.read(name, offset, min(size, MAX_READ))
                if chunk.data and await self._is(known, file, name, chunk):
                    return chunk.data
            except InputError:
                continue
        now = self._record.generation(known.number)
        if now is None or not now.live:
            self._unreadable(known.number, file)
        raise GoneError(f"{self._name}: the file that held this is not there any more")

    def _names(self, file: _File) -> list[str]:
        if file.lost:
            return []
        names = [self._path, *(self._path + suffix for suffix in _ROTATED)]
        return [file.found[0], *names] if file.found[0] else names

    async def _is(self, known: Generation, file: _File, name: str, chunk: Chunk) -> bool:
        """Whether a chunk is of the file that was this generation."""
        at, ring = file.position, file.ring
        if at.fingerprint_size >= FINGERPRINT and chunk.fingerprint != at.fingerprint:
            return False
        if (name, chunk.inode) == file.found:
            return True
        if known.live and name == self._path:
            return chunk.inode == at.inode and chunk.size >= at.offset
        if chunk.size < known.size:
            return False
        held = ring.last(_SAMPLE)
        if not held:
            return chunk.inode == at.inode
        # A copy has another inode, an inode is used again, and many files begin alike: what is held decides
        sample = await self._host.read(name, ring.end - len(held), len(held))
        if sample.data != held or sample.inode != chunk.inode:
            return False
        file.found = (name, chunk.inode)
        return True

    def _unreadable(self, number: int, file: _File) -> None:
        known = self._record.generation(number)
        if known is not None and file.ring.start > known.first:
            missing = file.ring.start - known.first
            self._record.cut(number, file.ring.start, f"{missing:,} bytes went with the file that held them", missing)


def _refused(error: InputError) -> tuple[Status, str]:
    text = " ".join(str(error).split())
    denied = text.endswith((os.strerror(errno.EPERM), os.strerror(errno.EACCES)))
    return (Status.DENIED if denied else Status.FAILED), text


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
