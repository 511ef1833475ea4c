"""A process at the other end of an SSH channel, as the pipe that a session of ours speaks through."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

import asyncssh

from hosts.errors import UnreachableError
from hosts.ssh_text import plain

# ValueError: what asyncssh makes of packets that are no packets
BROKEN = (asyncssh.Error, OSError, ValueError)
_GRACE = 2.0
_KEPT_ERRORS = 8192
_MOST = 1 << 16


class SshPipe(asyncssh.SSHClientSession[bytes]):
    """What arrives goes from the packet to whoever waits for it, without asyncssh's streams in between.

    A line that comes alone finds all of that code cold, and each layer is a part of its delay.

    Args:
        heard: Told of every sign of life.
        freed: Told once, when the channel is given back.

    Attributes:
        take: Once set, takes what arrives in its packet's own turn of the loop; `read` then only tells the end.
    """

    def __init__(self, heard: Callable[[], None], freed: Callable[[], None]) -> None:
        self._heard = heard
        self._freed: Callable[[], None] | None = freed
        self.take: Callable[[bytes], None] | None = None
        self._channel: asyncssh.SSHClientChannel[bytes]
        self._arrived: deque[bytes] = deque()
        self._held = 0
        self._window = 0
        self._paused = False
        self._errors = bytearray()
        self._lost: Exception | None = None
        self._ended = False
        self._reading: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    async def read(self) -> bytes:
        while not self._arrived:
            if self._lost is not None:
                raise UnreachableError(plain(self._lost)) from None
            if self._ended:
                return b""
            self._reading = asyncio.get_running_loop().create_future()
            try:
                await self._reading
            finally:
                self._reading = None
        data = self._arrived.popleft()
        if self._arrived:
            data = self._joined(data)
        self._held -= len(data)
        if self._paused and self._held < self._window:
            self._paused = False
            with contextlib.suppress(*BROKEN):  # the next read tells
                self._channel.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        try:
            self._channel.write(data)
        except BROKEN as error:
            raise UnreachableError(plain(self._lost or error)) from None
        await self._room.wait()
        if self._lost is not None:
            raise UnreachableError(plain(self._lost))

    @property
    def unsent(self) -> int:
        return self._channel.get_write_buffer_size()

    async def close(self, patience: float) -> None:
        try:
            if not self._channel.is_closing():
                self._channel.write_eof()
            async with asyncio.timeout(patience):
                await self._channel.wait_closed()
        except (TimeoutError, OSError):
            self.abort()
        freed, self._freed = self._freed, None
        if freed is not None:
            freed()

    def abort(self) -> None:
        self._channel.abort()

    async def ended(self) -> tuple[int | None, bytes]:
        try:
            async with asyncio.timeout(_GRACE):
                await self._channel.wait_closed()
        except TimeoutError:
            return None, bytes(self._errors)
        return self._channel.get_exit_status(), bytes(self._errors)

    # What asyncssh tells.

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        self._window = chan.get_recv_window()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._heard()
        if datatype is not None:
            self._errors += data
            del self._errors[:-_KEPT_ERRORS]
            return
        if self.take is not None and not self._arrived:  # else what came before is still to be read
            self.take(data)
            return
        self._arrived.append(data)
        self._held += len(data)
        self._wake()
        if self._held >= self._window and not self._paused:
            self._paused = True
            self._channel.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return True  # our end stays open: what the process is told last may still be under way

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._lost = exc
        self._wake()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def _wake(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)

    def _joined(self, first: bytes) -> bytes:
        parts, size = [first], len(first)
        while self._arrived and size + len(self._arrived[0]) <= _MOST:
            size += len(self._arrived[0])
            parts.append(self._arrived.popleft())
        return b"".join(parts)
