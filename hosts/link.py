"""Requests to one helper and its answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hosts.errors import InputError, UnreachableError
from hosts.host import Json
from hosts.local.frames import Frame, FrameError, encode_frame
from hosts.session import BytePipe, Session

__all__ = ["BytePipe", "Link"]

_LARGE = 1 << 15
_PATIENCE_ACTING = 30.0

T = TypeVar("T")


class Link(Session):
    """Requests and answers over one pipe, many at a time; its arguments are those of every session."""

    def __init__(self, host: str, python: str, pipe: BytePipe, nonce: str, heartbeat: float) -> None:
        super().__init__(host, python, pipe, nonce, heartbeat)
        self._waiting: dict[int, tuple[asyncio.Future[Any], Callable[[Json], object]]] = {}
        self._acting: set[int] = set()
        self._count = 0

    async def request(
        self, verb: str, payload: Json, key: str | None, deadline: float, understand: Callable[[Json], T]
    ) -> T:
        """Ask, and wait for the answer.

        Args:
            verb, payload, key, deadline: The request.
            understand: Makes what is returned of the answer as it came, {"ok": …} or {"error": …}. One that is large
                is given to it in another thread.
        """
        if self.lost:
            raise UnreachableError(f"{self._host}: {self.lost}")
        self._count += 1
        number = self._count
        body: dict[str, Json] = {"id": number, "verb": verb, "payload": payload, "deadline": deadline}
        if key is not None:
            body["key"] = key
        try:
            frame = encode_frame(self._nonce, body)
        except FrameError as error:
            raise InputError(f"{self._host}: {error}") from None
        if key is not None:
            self._acting.add(number)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (future, understand)
        asked = time.monotonic()
        try:
            await self._send(frame)
            return await future
        except asyncio.CancelledError:
            if self._heard < asked and not self.lost:
                self._spawn(self._probe())  # silence since we asked: slow, or gone?
            raise
        finally:
            del self._waiting[number]
            if future.done() and not future.cancelled():
                future.exception()  # seen, also where the sending failed first

    def _patience(self) -> float:
        # One that still acts is let finish
        return _PATIENCE_ACTING if self._acting else super()._patience()

    def _give_up(self, error: UnreachableError) -> None:
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(error)

    async def _take(self, data: bytes) -> None:
        for frame in self._frames.frames(data):
            await self._take_frame(frame)

    async def _take_frame(self, frame: Frame) -> None:
        # Hashing and parsing megabytes would hold up the loop, and with it the screen. For the small answers of
        # hundreds of hosts, a thread each time costs more than the parsing.
        large = len(frame.body) >= _LARGE
        value = await asyncio.to_thread(frame.value) if large else frame.value()
        if not isinstance(value, dict):
            raise FrameError("an answer that is no object")
        if self._greeted(value):
            return
        if "verb" in value:
            raise FrameError("our own requests came back: the other end echoes, so it runs on a terminal")
        number = value.get("id")
        if not isinstance(number, int):
            raise FrameError("an answer without a number")
        self._acting.discard(number)
        future, understand = self._waiting.get(number, (None, None))
        if future is None or understand is None or future.done():  # whoever asked has given up
            return
        try:
            made = await asyncio.to_thread(understand, value) if large else understand(value)
        except Exception as error:  # noqa: BLE001 - raised where it was asked for
            if not future.done():
                future.set_exception(error)
            return
        if not future.done():
            future.set_result(made)
