"""A scan worker on a host: orders go there, and what it found comes back (hosts/local/scanbeside.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol, runtime_checkable

from hosts.errors import InputError
from hosts.host import Json
from hosts.local.frames import FrameError
from hosts.local.scanwire import Frames
from hosts.local.streamwire import Piece, Told

Orders = asyncio.Queue[list[Json]]
"""What the worker is to do: each a list whose first item says what (hosts/local/scanwork.py)."""

Frame = tuple[int, bytes]
"""What it says: a kind of hosts/local/scanwire.py, and a body that nobody has looked at."""

_MOST = 16 << 20


@runtime_checkable
class Scanning(Protocol):
    """A host that searches its files itself."""

    def scan(self, orders: Orders) -> AsyncGenerator[Frame]:
        """Have a scan worker there for as long as it is asked; nothing at all where there is no way to have one.

        It ends when the worker has ended. A worker that nobody asks any more is ended.

        Raises:
            UnreachableError: The way was lost.
            InputError: The host has as many as it gives.
        """
        ...


class ScanInbox:
    """What arrived from one worker and was not taken yet."""

    def __init__(self) -> None:
        self.done = False
        self._arrived: asyncio.Queue[Frame | Exception | None] = asyncio.Queue()
        self._frames = Frames()
        self._held = 0

    def take(self, part: Piece | Told) -> None:
        """Something came.

        Raises:
            FrameError: It makes no sense, or is more than there is room for.
        """
        if isinstance(part, Told):
            self.done = True
            error = part.body.get("error")
            self._arrived.put_nowait(InputError(" ".join(str(error).split())) if error is not None else None)
            return
        try:
            found = self._frames.feed(part.data)
        except ValueError:
            raise FrameError("something that is no frame of a scan arrived") from None
        for frame in found:
            self._held += len(frame[1])
            self._arrived.put_nowait(frame)
        if self._held + self._frames.waiting > _MOST:
            raise FrameError("more was found than there is room for")

    def end(self, error: Exception) -> None:
        """Nothing more comes."""
        self._arrived.put_nowait(error)

    async def next(self) -> Frame | None:
        """The next frame, None at the end."""
        found = await self._arrived.get()
        if isinstance(found, Exception):
            raise found
        if found is not None:
            self._held -= len(found[1])
        return found
