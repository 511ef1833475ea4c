"""Reading files over SFTP (version 3), which every SSH server has: no more of it than looking needs.

Sizes and names are another machine's word: they are held within bounds (SAFETY S3, S4).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import struct
import time
from dataclasses import dataclass
from typing import Any

from hosts.bare_hung import Hung, Request
from hosts.errors import InputError, UnreachableError
from hosts.local.observe import NotThereError
from hosts.session import BytePipe, Minded

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _FSTAT, _OPENDIR, _READDIR = 1, 2, 3, 4, 5, 8, 11, 12
_REALPATH, _STAT, _READLINK, _STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 16, 17, 19, 101, 102, 103, 104, 105
_EXTENDED, _EXTENDED_REPLY = 200, 201
_OK, _EOF, _NO_FILE, _DENIED = 0, 1, 2, 3
_READING = 1
_SIZE, _OWNER, _MODE, _TIMES, _MORE = 1, 2, 4, 8, 1 << 31
_PIECE = 255 << 10  # what OpenSSH gives at most at a time; an older one gives 64 KiB, and is asked for the rest
_AT_ONCE = 8
_LONGEST = 1 << 19
_LONGEST_NAME = 1024
_CLOSING = 2.0
PATIENCE = 5.0
MAX_NAMES = 100_000  # of one folder


@dataclass(frozen=True)
class Attributes:
    """What SFTP tells of a file; None where it does not."""

    size: int | None
    mode: int | None
    mtime: int | None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode is not None and stat.S_ISREG(self.mode)


class Sftp:
    """One session.

    A server answers one request after the other, so one that hangs in a request (a dead mount) answers no other: then
    the session is stuck, for as long as that takes.

    Args:
        host: What messages call the host.
        pipe: The subsystem's ends; from now on it is this session's to close.
        hung: The paths that are left alone; told of those that are answered about.
        patience: Seconds without an answer after which it is stuck.

    Attributes:
        lost: Why it is of no use any more; "" while it is.
        stuck: What it does not answer; None while it answers.
        gone: Set once it is lost.
    """

    def __init__(self, host: str, pipe: BytePipe, hung: Hung | None = None, patience: float = PATIENCE) -> None:
        self.lost = ""
        self.stuck: Request | None = None
        self.gone = asyncio.Event()
        self._host = host
        self._pipe = pipe
        self._hung = hung or Hung()
        self._patience = patience
        self._owed: dict[int, Request] = {}  # by its number, what was not answered, in order
        self._moved = 0.0
        self._minding: asyncio.TimerHandle | None = None
        self._buffer = bytearray()
        self._waiting: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._count = 0
        self._version: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._closing: set[asyncio.Task[None]] = set()
        self._pumping = asyncio.create_task(self._pump())

    async def start(self) -> None:
        """Agree on the version.

        Raises:
            UnreachableError: The other side speaks no SFTP.
        """
        await self._send(struct.pack(">BI", _INIT, 3))
        await self._version

    async def close(self) -> None:
        """End the session."""
        self.lose("the session was closed")
        self._pumping.cancel()
        await asyncio.gather(self._pumping, *self._closing, return_exceptions=True)
        await self._pipe.close(_CLOSING)

    async def stat(self, path: str) -> Attributes:
        """What a path is, links followed. Raises NotThereError and InputError as all that take a path."""
        return _Reader(await self._ask(_STAT, _text(path), _ATTRS, path)).attributes()

    async def real_path(self, path: str) -> str:
        """The absolute form of a path."""
        reader = _Reader(await self._ask(_REALPATH, _text(path), _NAME, path))
        reader.number()
        return os.fsdecode(reader.text())

    async def link(self, path: str) -> str:
        """Where a symbolic link leads, as it stands there."""
        reader = _Reader(await self._ask(_READLINK, _text(path), _NAME, path))
        reader.number()
        return os.fsdecode(reader.text())

    async def open(self, path: str) -> bytes:
        """Open a file for reading; the answer is its handle."""
        return _Reader(await self._ask(_OPEN, _text(path) + struct.pack(">II", _READING, 0), _HANDLE, path)).text()

    async def opened(self, handle: bytes, path: str) -> Attributes:
        """What an open file is now."""
        return _Reader(await self._ask(_FSTAT, _bytes(handle), _ATTRS, path)).attributes()

    def done(self, handle: bytes, path: str) -> None:
        """Close a handle, without a wait."""
        if not self.lost and self.stuck is None:
            task = asyncio.create_task(self._done(handle, path))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _done(self, handle: bytes, path: str) -> None:
        with contextlib.suppress(InputError, UnreachableError):
            await self._ask(_CLOSE, _bytes(handle), _STATUS, path)

    async def read(self, handle: bytes, path: str, offset: int, size: int) -> bytes:
        """Bytes of an open file; fewer at its end."""
        pieces = await asyncio.gather(
            *(self._piece(handle, path, offset + at, min(_PIECE, size - at)) for at in range(0, size, _PIECE))
        )
        for number, piece in enumerate(pieces):
            if len(piece) < min(_PIECE, size - number * _PIECE):
                del pieces[number + 1 :]  # its end was there when this was read; what lies behind came later
                break
        return b"".join(pieces)

    async def names(self, path: str) -> list[str]:
        """What lies in a folder, see `entries`; InputError where that is not all."""
        entries, whole = await self.entries(path)
        if not whole:
            raise InputError(f"cannot list {path}: it holds more than {MAX_NAMES} names")
        return [name for name, _ in entries]

    async def entries(self, path: str) -> tuple[list[tuple[str, Attributes]], bool]:
        """What lies in a folder, links not followed; a name that is none is left out.

        Returns:
            At most `MAX_NAMES` of it, and whether that is all.
        """
        handle = _Reader(await self._ask(_OPENDIR, _text(path), _HANDLE, path)).text()
        found: list[tuple[str, Attributes]] = []
        try:
            while len(found) <= MAX_NAMES:
                reader = _Reader(await self._ask(_READDIR, _bytes(handle), _NAME, path))
                for _ in range(reader.number()):
                    name = reader.text()
                    reader.text()
                    seen = reader.attributes()
                    if name not in (b".", b"..", b"") and not {*b"/\0"} & {*name} and len(name) <= _LONGEST_NAME:
                        found.append((os.fsdecode(name), seen))
        except EOFError:
            return found, True
        finally:
            self.done(handle, path)
        return found[:MAX_NAMES], False

    async def space(self, path: str) -> tuple[int, int]:
        """Bytes that we may still write, and all bytes, of the file system of a path (an extension of OpenSSH)."""
        body = _bytes(b"statvfs@openssh.com") + _text(path)
        reader = _Reader(await self._ask(_EXTENDED, body, _EXTENDED_REPLY, path))
        _size, fragment, blocks, _free, available = (reader.long() for _ in range(5))
        return available * fragment, blocks * fragment

    async def _piece(self, handle: bytes, path: str, offset: int, size: int) -> bytes:
        data = b""
        async with self._turns:
            while len(data) < size:
                body = _bytes(handle) + struct.pack(">QI", offset + len(data), size - len(data))
                try:
                    more = _Reader(await self._ask(_READ, body, _DATA, path)).text()
                except EOFError:
                    break
                if not more or len(more) > size - len(data):
                    raise UnreachableError(f"{self._host}: its SFTP gave what was not asked for")
                data = data + more if data else more
        return data

    async def _ask(self, kind: int, body: bytes, wanted: int, path: str) -> bytes:
        if self.lost or self.stuck is not None:
            raise UnreachableError(f"{self._host}: {self.lost or self._silence()}")
        request = Request(kind, path)
        self._hung.check(request)
        self._count += 1
        number = self._count & 0xFFFFFFFF
        future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._owe(number, request)
        try:
            await self._send(struct.pack(">BI", kind, number) + body)
            came, answer = await future
        finally:
            del self._waiting[number]
        if came == wanted and came != _STATUS:
            return answer
        if came != _STATUS:
            raise UnreachableError(f"{self._host}: its SFTP gave another answer than was asked for")
        reader = _Reader(answer)
        code = reader.number()
        if code == _OK and wanted == _STATUS:
            return b""
        if code == _EOF and kind in (_READ, _READDIR):
            raise EOFError
        if code == _NO_FILE:
            raise NotThereError(f"cannot read {path}: not there")
        said = "".join(char if char.isprintable() else "?" for char in " ".join(os.fsdecode(reader.text()).split()))
        words = "permission denied" if code == _DENIED else said[:200]
        raise InputError(f"cannot read {path}: {words or f'SFTP says {code}'}")

    async def _send(self, packet: bytes) -> None:
        try:
            await self._pipe.write(struct.pack(">I", len(packet)) + packet)
        except UnreachableError as error:
            self.lose(str(error))
            raise UnreachableError(f"{self._host}: {error}") from None

    async def _pump(self) -> None:
        why = "its SFTP ended"
        try:
            while data := await self._pipe.read():
                self._buffer += data
                self._take()
                if self._buffer:  # a large answer on a slow way
                    self._moved = time.monotonic()
        except UnreachableError as error:
            why = str(error)
        self.lose(why)

    def _take(self) -> None:
        at = 0
        while len(self._buffer) - at >= 5:
            (size,) = struct.unpack_from(">I", self._buffer, at)
            if not 5 <= size <= _LONGEST:
                raise UnreachableError("it speaks no SFTP")
            if len(self._buffer) - at - 4 < size:
                break
            packet = bytes(self._buffer[at + 4 : at + 4 + size])
            at += 4 + size
            if packet[0] == _VERSION:
                if not self._version.done():
                    self._version.set_result(None)
                continue
            number: int = struct.unpack_from(">I", packet, 1)[0]
            self._paid(number)
            future = self._waiting.get(number)
            if future is not None and not future.done():
                future.set_result((packet[0], packet[5:]))
        del self._buffer[:at]

    def _owe(self, number: int, request: Request) -> None:
        if not self._owed:
            self._moved = time.monotonic()
        self._owed[number] = request
        if self._minding is None:
            self._mind(self._glance)

    def _paid(self, number: int) -> None:
        first = next(iter(self._owed), None) == number
        request = self._owed.pop(number, None)
        if request is not None:
            self._hung.answered(request)
        if first:
            self._moved = time.monotonic()
            if self.stuck is not None:
                self.lose("it had hung")  # others have gone on without it

    @property
    def _glance(self) -> float:
        """Seconds without an answer after which whoever looks after the way is told."""
        return min(self._patience, self._pipe.beat) if isinstance(self._pipe, Minded) else self._patience

    def _mind(self, seconds: float) -> None:
        self._minding = asyncio.get_running_loop().call_later(seconds, self._see)

    def _see(self) -> None:
        """Look whether the request that has waited longest still gets nowhere."""
        self._minding = None
        if self.lost or not self._owed:
            return
        silent = time.monotonic() - self._moved
        if silent < self._patience:
            if silent < self._glance:
                return self._mind(self._glance - silent)
            if isinstance(self._pipe, Minded):
                self._pipe.silent(silent)
            return self._mind(self._patience - silent)
        self.stuck = next(iter(self._owed.values()))
        error = UnreachableError(f"{self._host}: {self._silence()}")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen, also where nobody waits

    def _silence(self) -> str:
        about = self.stuck.path if self.stuck is not None else "it"
        return f"no answer about {about} within {self._patience:g} s"

    def lose(self, why: str) -> None:
        """Give the session up; whatever is under way ends with UnreachableError."""
        if self.lost:
            return
        self.lost = why
        self.gone.set()
        if self._minding is not None:
            self._minding.cancel()
        error = UnreachableError(f"{self._host}: {why}")
        futures: list[asyncio.Future[Any]] = [self._version, *self._waiting.values()]
        for future in futures:
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen, also where nobody waits
        self._pipe.abort()


class _Reader:
    """Takes a packet apart; one that is cut short is a struct.error, told as an answer that is none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        return self._unpack(">I", 4)

    def long(self) -> int:
        return self._unpack(">Q", 8)

    def text(self) -> bytes:
        size = self.number()
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise UnreachableError("an SFTP packet was cut short")
        self._at += size
        return found

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & _SIZE else None
        if flags & _OWNER:
            self.long()
        mode = self.number() if flags & _MODE else None
        mtime = None
        if flags & _TIMES:
            self.number()
            mtime = self.number()
        for _ in range(self.number() if flags & _MORE else 0):
            self.text()
            self.text()
        return Attributes(size, mode, mtime)

    def _unpack(self, form: str, size: int) -> int:
        try:
            (value,) = struct.unpack_from(form, self._data, self._at)
        except struct.error:
            raise UnreachableError("an SFTP packet was cut short") from None
        self._at += size
        return int(value)


def _text(path: str) -> bytes:
    """A path on the wire; "~" is home there, where SFTP begins."""
    if "\0" in path or not path:
        raise InputError(f"cannot read {path!r}: bad name")
    if path == "~" or path.startswith("~/"):
        path = path[2:] or "."
    elif path.startswith("~"):
        raise InputError(f"cannot read {path}: the home of another user is not known without a Python there")
    return _bytes(os.fsencode(path))


def _bytes(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
