"""Files over a pipe of their own: their bytes arrive as they are, and what is followed as soon as it is written."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Protocol, cast, runtime_checkable

from hosts.errors import InputError, UnreachableError
from hosts.host import Chunk, Data, Gap, Json, Position, Rotated
from hosts.local.counting import Counts, CountWish
from hosts.local.following import OVERLAP
from hosts.local.frames import FrameError, encode_frame
from hosts.local.observe import NotThereError
from hosts.local.streamwire import MAX_RANGE, WINDOW, PartReader, Piece, Told, position_json, position_of
from hosts.session import BytePipe, Pushing, Session
from hosts.stream_count import CountInbox
from hosts.stream_scan import Frame, Orders, ScanInbox

_STEP = WINDOW // 4
_JOINED = 1 << 14
_HEX_SHA256 = 64
_BEAT = 3.0
# Between two signs of life while somebody follows: a stream that says nothing else is to be known for dead in time

Item = Data | Gap | Rotated


@dataclass(frozen=True)
class Sign:
    """That the far end is alive, and what it last saw of a file.

    Attributes:
        there: Whether there is a file at the path; None where it has not looked yet.
        ahead: Bytes that the file holds beyond what is sent, where they are many; else 0.
    """

    there: bool | None = None
    ahead: int = 0


@runtime_checkable
class Streaming(Protocol):
    """A host that sends what is written as soon as it is."""

    def watch(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item | Sign]:
        """As `HostReader.follow`, with signs of life in between; at its end there is no way to have it so."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A host that counts the newlines of its files itself."""

    def count(self, wish: CountWish) -> AsyncGenerator[Counts]:
        """Have newlines counted there, block by block; nothing at all where there is no way to have that.

        Raises:
            UnreachableError: The way was lost.
            InputError: The file cannot be read, or is another one by now.
        """
        ...


class _Inbox:
    """What arrived of one file and was not taken yet."""

    def __init__(self, at: Position, signs: bool) -> None:
        self.at = at
        self.items: deque[Item | Sign] = deque()
        self.held = 0
        self.seen = Sign()
        self._signs = signs
        self.ended: Exception | None = None
        self._ready = asyncio.Event()

    def sign(self, sign: Sign) -> None:
        """Something was told of the file; of the helper alone, where it is what was told before."""
        self.seen = replace(sign, ahead=0)
        if self._signs:
            self.put(sign)

    def put(self, item: Item | Sign) -> None:
        before = self.items[-1] if self.items else None
        if isinstance(item, Data) and isinstance(before, Data) and len(before.data) + len(item.data) <= _JOINED:
            # Whoever reads is slower: many small pieces would take more memory than their bytes
            item = Data(before.data + item.data, item.position)
            self.items.pop()
        self.items.append(item)
        self._ready.set()

    def end(self, error: Exception) -> None:
        self.ended = self.ended or error
        self._ready.set()

    async def next(self) -> Item | Sign:
        """The next item; what arrived before the end comes first."""
        while not self.items:
            if self.ended is not None:
                raise self.ended
            self._ready.clear()
            await self._ready.wait()
        return self.items.popleft()


class _Range:
    """A range that is being read."""

    def __init__(self, offset: int, size: int) -> None:
        self.done: asyncio.Future[Chunk] = asyncio.get_running_loop().create_future()
        self._offset = offset
        self._size = size
        self._about: Chunk | None = None
        self._length = 0
        self._parts: list[bytes] = []
        self._have = 0

    def told(self, body: dict[str, Json]) -> None:
        if self.done.done():
            return
        about = body.get("chunk")
        if isinstance(about, dict):
            length, size, inode, time = (about.get(key) for key in ("length", "size", "inode", "mtime_ns"))
            fingerprint = about.get("fingerprint")
            if not (isinstance(length, int) and isinstance(size, int) and isinstance(inode, int)):
                raise FrameError("a range without a size arrived")
            if not isinstance(time, int) or not isinstance(fingerprint, str) or len(fingerprint) != _HEX_SHA256:
                raise FrameError("a range of an unknown file arrived")
            if not 0 <= length <= self._size:
                raise FrameError("a range arrived that does not fit what was asked")
            self._length = length
            self._about = Chunk(b"", self._offset, size, inode, time, fingerprint)
            self._settle()
        elif "missing" in body:
            self.done.set_exception(NotThereError(_text(body["missing"])))
        else:
            self.done.set_exception(InputError(_text(body.get("error"))))

    def take(self, piece: Piece) -> None:
        if self._about is None or piece.offset != self._offset + self._have:
            raise FrameError("bytes of a range arrived out of turn")
        self._parts.append(piece.data)
        self._have += len(piece.data)
        if self._have > self._length:
            raise FrameError("a range arrived that does not fit what was asked")
        self._settle()

    def end(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def _settle(self) -> None:
        if self._about is not None and self._have == self._length and not self.done.done():
            self.done.set_result(replace(self._about, data=b"".join(self._parts)))


class StreamLink(Session):
    """Followed files and ranges of files over one pipe, several at a time; its arguments are those of every session.

    Attributes:
        most_held: The most bytes of one file that were ever held here at a time.
        pid: The helper's process there; 0 before it said hello.
    """

    def __init__(self, host: str, python: str, pipe: BytePipe, nonce: str, heartbeat: float) -> None:
        super().__init__(host, python, pipe, nonce, min(heartbeat, _BEAT))
        self.most_held = 0
        self.pid = 0
        self._parts: PartReader | None = None
        self._inboxes: dict[int, _Inbox] = {}
        self._ranges: dict[int, _Range] = {}
        self._counts: dict[int, CountInbox] = {}
        self._scans: dict[int, ScanInbox] = {}
        self._count = 0

    @property
    def held(self) -> int:
        """Bytes that arrived and were not taken yet, of all files."""
        return sum(inbox.held for inbox in self._inboxes.values())

    @property
    def used(self) -> bool:
        """Whether a file is followed or read now."""
        return bool(self._inboxes or self._ranges or self._counts or self._scans)

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        """A range of a file, at most 8 MiB of it.

        Raises:
            UnreachableError: The way was lost.
            NotThereError: There is no such file.
            InputError: It cannot be read.
        """
        if self.lost:
            raise UnreachableError(f"{self._host}: {self.lost}")
        self._count += 1
        number = self._count
        wanted = self._ranges[number] = _Range(offset, min(size, MAX_RANGE))
        asked = time.monotonic()
        try:
            await self._ask({"stream": number, "read": path, "offset": offset, "size": size})
            return await wanted.done
        except asyncio.CancelledError:
            if self._heard < asked and not self.lost:
                self._spawn(self._probe())  # silence since we asked: slow, or gone?
            raise
        finally:
            del self._ranges[number]
            if wanted.done.done() and not wanted.done.cancelled():
                wanted.done.exception()  # seen, also where the sending failed first

    def follow(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item]:
        """Hand out what is appended to a file, for as long as it is asked.

        Args:
            path: The file; one that is not there is waited for.
            at: Where to begin.
            last: The last bytes before that, where they are known.

        Raises:
            UnreachableError: The way was lost; the position of the last item is where to go on.
            InputError: The file is there and cannot be read.
        """
        return cast("AsyncGenerator[Item]", self._followed(path, at, last, signs=False))

    def watch(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item | Sign]:
        """As `follow`, with a sign between the items whenever there is something to know, and every few seconds."""
        return self._followed(path, at, last, signs=True)

    async def _followed(self, path: str, at: Position, last: bytes, *, signs: bool) -> AsyncGenerator[Item | Sign]:
        if self.lost:
            raise UnreachableError(f"{self._host}: {self.lost}")
        self._count += 1
        number = self._count
        inbox = self._inboxes[number] = _Inbox(at, signs)
        try:
            await self._ask({"stream": number, "follow": path, "at": position_json(at), "last": last.hex()})
            taken = 0
            while True:
                item = await inbox.next()
                if isinstance(item, Data):
                    inbox.held -= len(item.data)
                    taken += len(item.data)
                    if taken >= _STEP:
                        await self._ask({"stream": number, "taken": taken})
                        taken = 0
                yield item
        finally:
            del self._inboxes[number]
            if not self.lost:
                self._spawn(self._ask({"stream": number, "stop": True}))

    async def count(self, wish: CountWish) -> AsyncGenerator[Counts]:
        """Have newlines counted there.

        Raises:
            UnreachableError: The way was lost.
            InputError: The file cannot be read, or is another one by now.
        """
        if self.lost:
            raise UnreachableError(f"{self._host}: {self.lost}")
        self._count += 1
        number = self._count
        counting = self._counts[number] = CountInbox(wish)
        try:
            await self._ask({"stream": number, **wish.to_json()})
            while (found := await counting.found.get()) is not None:
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            del self._counts[number]
            if not counting.done and not self.lost:
                self._spawn(self._ask({"stream": number, "stop": True}))

    async def scan(self, orders: Orders) -> AsyncGenerator[Frame]:
        """Have a scan worker there.

        Raises:
            UnreachableError: The way was lost.
            InputError: The host has as many as it gives.
        """
        if self.lost:
            raise UnreachableError(f"{self._host}: {self.lost}")
        self._count += 1
        number = self._count
        inbox = self._scans[number] = ScanInbox()
        passing = asyncio.create_task(self._pass_on(number, orders))
        try:
            while (frame := await inbox.next()) is not None:
                yield frame
        finally:
            del self._scans[number]
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)
            if not inbox.done and not self.lost:
                self._spawn(self._ask({"stream": number, "stop": True}))

    async def _pass_on(self, number: int, orders: Orders) -> None:
        """Send a worker what it is asked."""
        await self._ask({"stream": number, "scan": True})
        while True:
            order = await orders.get()
            await self._ask({"stream": number, "order": order})

    async def _ask(self, body: dict[str, Json]) -> None:
        await self._send(encode_frame(self._nonce, body))

    def _give_up(self, error: UnreachableError) -> None:
        for inbox in self._inboxes.values():
            inbox.end(error)
        for wanted in self._ranges.values():
            wanted.end(error)
        for counting in self._counts.values():
            counting.found.put_nowait(error)
        for scan in self._scans.values():
            scan.end(error)

    async def _take(self, data: bytes) -> None:
        if self._parts is None:
            first = self._first(data)
            if first is None:
                return
            value, data = first
            hello = value.get("hello")
            pid = hello.get("pid") if isinstance(hello, dict) else None
            self.pid = pid if isinstance(pid, int) else 0
            self._parts = PartReader()
            if isinstance(self._pipe, Pushing):
                self._pipe.take = self._pushed
        self._sort(self._parts, data)

    def _pushed(self, data: bytes) -> None:
        """What arrived, in the turn of the loop in which it did."""
        self._heard = time.monotonic()
        if self._parts is None or self.lost:
            return
        try:
            self._sort(self._parts, data)
        except FrameError as error:
            self.lose(str(error))
        except Exception as error:  # noqa: BLE001 - this helper alone is lost with it, not the whole connection
            self.lose(f"{type(error).__name__}: {error}")

    def _sort(self, reader: PartReader, data: bytes) -> None:
        """Give every part to whoever waits for it."""
        for part in reader.parts(data):
            inbox = self._inboxes.get(part.stream)
            if inbox is not None:
                if isinstance(part, Piece):
                    self._grown(inbox, part)
                else:
                    self._told(inbox, part)
                continue
            if not part.stream:  # nothing but a sign of life
                for inbox in self._inboxes.values():
                    if not inbox.items:
                        inbox.sign(inbox.seen)
                continue
            counting = self._counts.get(part.stream)
            if counting is not None and isinstance(part, Told):
                counting.told(part.body)
                continue
            if (scan := self._scans.get(part.stream)) is not None:
                scan.take(part)
                continue
            wanted = self._ranges.get(part.stream)
            if wanted is not None:  # else of something that nobody waits for any more
                if isinstance(part, Piece):
                    wanted.take(part)
                else:
                    wanted.told(part.body)

    def _grown(self, inbox: _Inbox, piece: Piece) -> None:
        at = inbox.at
        if piece.offset != at.offset:
            raise FrameError("bytes of a file arrived out of turn")
        end = piece.offset + len(piece.data)
        inbox.at = Position(end, at.inode, at.fingerprint, at.fingerprint_size)
        inbox.held += len(piece.data)
        self.most_held = max(self.most_held, inbox.held)
        if inbox.held > WINDOW:
            raise FrameError("more arrived than there is room for")
        inbox.put(Data(piece.data, inbox.at))

    def _told(self, inbox: _Inbox, told: Told) -> None:
        body = told.body
        if "error" in body:
            return inbox.end(InputError(_text(body["error"])))
        if "there" in body:
            ahead = body.get("ahead")
            inbox.sign(Sign(body["there"] is True, ahead if isinstance(ahead, int) else 0))
        if "at" in body:
            at = position_of(body["at"])
            if "rotated" in body:
                inbox.put(Rotated(_text(body["rotated"]), at, "skipped" not in body))
            elif "gap" in body:
                inbox.put(Gap(None, _text(body["gap"]), at))
            elif at.offset != inbox.at.offset:
                raise FrameError("a position arrived out of turn")
            inbox.at = at


def _text(value: Json) -> str:
    """Words of the other side as one line."""
    return " ".join(str(value).split())


def tail_of(before: bytes, item: Item) -> bytes:
    """The last bytes before an item's end, from those before it: what finds the place again in a copy."""
    return (before + item.data[-OVERLAP:])[-OVERLAP:] if isinstance(item, Data) else b""
