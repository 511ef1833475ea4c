"""A log that is a file on another host, followed over whatever way leads there.

While somebody watches, what is written there is sent as it is; where that cannot be had, and while nobody watches, the
file is looked at from time to time. The last bytes are held here, all others are read by range when somebody wants
them. A way that is lost is tried again for as long as it takes: following goes on at the byte where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.follow import follow
from hosts.host import Chunk, Data, Gap, HostReader, Position, Rotated
from hosts.local.following import BLOCK, OVERLAP, Neighbour
from hosts.local.observe import FINGERPRINT, NotThereError
from hosts.local.streamwire import FAR
from hosts.stream import Counting, Sign, Streaming
from hosts.stream_scan import Scanning
from monitors.logs.local_ring import Ring
from monitors.logs.record import ShapeRecorder
from monitors.logs.remote_ranges import Ranges, RemoteCounter, RemoteFile, RemoteSearcher
from monitors.logs.remote_way import WayThere
from monitors.logs.scan_far import Searcher
from monitors.logs.tally_far import Counter
from monitors.logs.types import CAME_AND_WENT, GoneError, MarkKind, Shape, Status

VISIBLE_S = 0.1
HIDDEN_S = 2.0
HELD = 16 << 20
"""Bytes that are held here: a quarter for the file that grows, the rest for the ends of those before it."""

KEPT = 512
"""Generations that stay readable: a little memory each, while a way that is lost for a night may miss many."""

_TAIL = 256 << 10
_LITTLE = 128 << 10
_SOME = 4096
_IDLE_S = 0.5
_SLOWER = 1.25
_NO_STREAM_S = 30.0


class RemoteSource:
    """A file on a host as a log.

    Args:
        host: Who reads it.
        path: The file; it need not be there yet.
        name: What the log is called, for a title.
        visible_interval: Seconds between two looks at a file that grows, while somebody watches and nothing is sent by
            itself; up to half a second at one that does not.
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
        kept: int = KEPT,
        held: int = HELD,
        now: Callable[[], float] = time.time,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self._path = path
        self._name = name or path
        self._intervals = (hidden_interval, visible_interval)
        self._held = held
        self._on_close = on_close
        self._record = ShapeRecorder(self._name, kept=kept, now=now)
        self._way = WayThere(host.name, self._record, noticed, now, lambda: getattr(host, "connection", None))
        self._ranges = Ranges(host, path, self._name, self._record)
        self.ahead = self._ranges.ahead
        self._files: dict[int, RemoteFile] = {}
        self._gap = False
        self._ahead = 0  # bytes that the file has beyond the last look at it
        self._visible = True
        self._switched = asyncio.Event()
        self._idle = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def shape(self) -> Shape:
        return self._record.shape

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to follow."""
        self._record.listen(asyncio.get_running_loop(), changed)
        self._way.answered()
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
            data = file.ring.read(offset, size) or await self._ranges.read(known, file, offset, size)
            parts.append(data)
            offset += len(data)
            size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def descriptor(self, generation: int) -> int | None:
        """None: there is no file here."""
        return None

    def counter(self, generation: int) -> Counter | None:
        """Who counts its lines there; None where the host does not."""
        file = self._files.get(generation)
        if file is None or not isinstance(self._host, Counting):
            return None
        return RemoteCounter(self._host, self._ranges, lambda: self._record.generation(generation), file)

    def searcher(self, generation: int) -> Searcher | None:
        """Who searches it there; None where the host does not."""
        file = self._files.get(generation)
        if file is None or not isinstance(self._host, Scanning):
            return None
        return RemoteSearcher(self._host, self._ranges, lambda: self._record.generation(generation), file)

    async def written(self) -> float | None:
        """When the file was last written, by the clock there; None where nobody says so."""
        try:
            return (await self._host.read(self._path, 0, 0)).mtime_ns / 1e9 or None
        except GatewatchError:
            return None

    def watch(self, visible: bool) -> None:
        if visible != self._visible:
            self._visible = visible
            self._switched.set()
        if visible:
            self._idle = 0
            self._way.wake()

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
        await self._begin()
        while True:
            self._switched.clear()
            streams = self._visible and isinstance(self._host, Streaming)
            following = asyncio.ensure_future(self._sent() if streams else self._polled())
            switched = asyncio.ensure_future(self._switched.wait())
            try:
                await asyncio.wait({following, switched}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                following.cancel()
                switched.cancel()
                await asyncio.wait({following, switched})
            if not following.cancelled():
                following.result()

    async def _begin(self) -> None:
        """Where to follow from: near the end of what is there."""
        with contextlib.suppress(NotThereError):
            chunk = await self._look(self._path, 0, _SOME)
            at = Position(0, chunk.inode, chunk.fingerprint, min(FINGERPRINT, chunk.size))
            await self._skip(at, chunk.size, chunk)

    async def _skip(self, at: Position, size: int, seen: Chunk | None = None) -> None:
        """Go on near the end of what is there: what lies before that is read when somebody wants it.

        Some bytes there are read at once: should the way be lost now, a copy of the file is known by them.
        """
        at = self._live().position = replace(at, offset=max(at.offset, size - _TAIL))
        self._record.grow(size)
        if seen is None or seen.offset != at.offset:
            try:
                seen = await self._look(self._path, at.offset, _SOME)
            except NotThereError:
                return
        if seen.data and (seen.inode, seen.fingerprint) == (at.inode, at.fingerprint):
            self._grown(Data(seen.data, replace(at, offset=at.offset + len(seen.data))))

    def _place(self) -> tuple[Position, bytes]:
        """Where to go on, and the last bytes before that, where they are held."""
        live = self._record.live
        if live is None:
            return Position(), b""
        file = self._files[live.number]
        return file.position, file.ring.last(OVERLAP) if file.ring.end == file.position.offset else b""

    async def _sent(self) -> None:
        """Have what is written sent, from the place on that was reached."""
        assert isinstance(self._host, Streaming)
        while True:
            try:
                async with self._way.minded():
                    goes_on = await self._stream(self._host)
                if not goes_on:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_NO_STREAM_S):
                            await self._polled()
            except UnreachableError as error:
                await self._way.lost(error)
            except GatewatchError as error:
                self._way.answered()
                await self._way.refused(error)

    async def _stream(self, host: Streaming) -> bool:
        """Take what is sent; False where nothing can be, True to ask for it again from another place."""
        sign = Sign()
        async with contextlib.aclosing(host.watch(self._path, *self._place())) as items:
            async for item in items:
                self._way.answered()
                sign = item if isinstance(item, Sign) else sign
                self._saw(sign.there)
                if not isinstance(item, Sign):
                    self._take(item)
                elif item.ahead > FAR and item.there:
                    at, _ = self._place()
                    await self._skip(at, at.offset + item.ahead)
                    return True
        return False

    def _saw(self, there: bool | None) -> None:
        """Whether there is a file; None where nobody has looked."""
        if there is None:
            return
        self._way.allowed()
        if there:
            self._live()
            self._record.status(Status.LIVE)
        else:
            known = self._record.live is not None
            self._record.status(Status.WAITING, "the file is deleted" if known else "no such file yet")

    async def _polled(self) -> None:
        """Look at the file again and again, from the place on that was reached."""
        while True:
            at, last = self._place()
            # So little comes over the pipe that is there in any case
            block = BLOCK if self._visible else _LITTLE
            beside = self._beside
            new = follow(self._look, self._path, at, sleep=self._rest, last=last, block=block, beside=beside)
            async with contextlib.aclosing(new) as items:
                async for item in items:
                    self._take(item)
                    if isinstance(item, Data) and self._ahead > (FAR if self._visible else _TAIL):
                        await self._skip(item.position, item.position.offset + self._ahead)
                        break

    async def _look(self, path: str, offset: int, size: int) -> Chunk:
        """Read for the follower: it waits as long as the host does not answer, or does not let us.

        Raises:
            NotThereError: There is no such file.
            InputError: One of the names that rotation gives cannot be read.
        """
        while True:
            try:
                chunk = await self._way.patiently(self._host.read(path, offset, size))
            except UnreachableError as error:
                await self._way.lost(error)
            except NotThereError:
                self._way.answered()
                if path == self._path:
                    self._saw(False)
                raise
            except GatewatchError as error:
                self._way.answered()
                if path != self._path:
                    raise InputError(str(error)) from None
                await self._way.refused(error)
            else:
                self._way.answered()
                mine = path == self._path or chunk.inode == self._place()[0].inode
                self._ahead = chunk.size - offset - len(chunk.data) if mine else 0
                if path == self._path:
                    self._saw(True)
                return chunk

    async def _beside(self) -> list[Neighbour]:
        """What is in the file's folder, for the follower: it waits as long as the host does not answer."""
        while True:
            try:
                return await self._way.patiently(self._ranges.beside())
            except UnreachableError as error:
                await self._way.lost(error)

    async def _rest(self, _seconds: float) -> None:
        """Between two looks: longer and longer while nothing comes; while nobody watches, until something has."""
        hidden, visible = self._intervals
        if self._visible:
            wait = min(visible * _SLOWER**self._idle, max(_IDLE_S, visible))
            self._idle = min(self._idle + 1, 64)
            return await self._way.pause(wait)
        try:
            before = _stamp(await self._look(self._path, 0, 0))
            while True:
                await self._way.pause(hidden)
                if before[0] != self._place()[0].offset or _stamp(await self._look(self._path, 0, 0)) != before:
                    return None
        except NotThereError:
            return await self._way.pause(hidden)

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
            self._ranges.unreadable(live.number, old)
            old.lost = True
        if not gap:
            self._turn(MarkKind.ROTATED, "rotated: another file took the place", 0, item.position)
        elif item.why == "truncated":
            self._turn(MarkKind.TRUNCATED, "truncated: its last bytes before that may be missing", None, item.position)
        else:
            self._turn(MarkKind.REPLACED, "replaced: the end of the file before is not known", None, item.position)
        if not item.whole:
            self._record.mark(MarkKind.LOST, CAME_AND_WENT, None)

    def _turn(self, kind: MarkKind, text: str, missing: int | None, at: Position) -> None:
        number = self._record.turn(kind, text, missing, self._name)
        kept = {known: file for known, file in self._files.items() if self._record.generation(known) is not None}
        self._files = {**kept, number: RemoteFile(self._ring(), at)}
        self._let_go()

    def _live(self) -> RemoteFile:
        """The file of the live generation; the first begins here."""
        live = self._record.live
        number = live.number if live is not None else self._record.begin(self._name)
        if number not in self._files:
            self._files = {**self._files, number: RemoteFile(self._ring())}
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
            file.let_go()
            if file.lost:
                self._ranges.unreadable(number, file)


def _stamp(chunk: Chunk) -> tuple[int, int, int, str]:
    """What tells a file that nobody touched."""
    return chunk.size, chunk.inode, chunk.mtime_ns, chunk.fingerprint
