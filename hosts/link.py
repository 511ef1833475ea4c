"""One helper at the other end of a byte pipe, from its start to its loss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Protocol

from hosts.bootstrap import OLDEST
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Json
from hosts.local.frames import Frame, FrameError, FrameReader, encode_frame

_SILENT_BEATS = 2.5
_PROBE = 5.0
_LARGE = 1 << 15
_SHOWN = 200
_PATIENCE = 2.0
_PATIENCE_ACTING = 30.0


class BytePipe(Protocol):
    """The two ends of a process somewhere else."""

    async def read(self) -> bytes:
        """What arrived, or b"" at the end. Raises UnreachableError when the way there broke."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of it. Raises UnreachableError when nobody takes it."""
        ...

    async def close(self, patience: float) -> None:
        """End the process by ending its input, after `patience` seconds by force, and give back what this held."""
        ...

    def abort(self) -> None:
        """Cut the way at once, without a wait; `close` is still to be awaited."""
        ...

    async def ended(self) -> tuple[int | None, bytes]:
        """Wait for the process: its exit status (None where unknown) and the end of what it wrote to stderr."""
        ...


class Link:
    """Requests and answers over one pipe, many at a time.

    Args:
        host: What messages call the host.
        python: What they call the Python there.
        pipe: The pipe; from now on it is this link's to close.
        nonce: What marks the frames of this session.
        heartbeat: Seconds between signs of life.

    Attributes:
        lost: Why this link is of no use any more; "" while it is.
    """

    def __init__(self, host: str, python: str, pipe: BytePipe, nonce: str, heartbeat: float) -> None:
        self.lost = ""
        self._host = host
        self._python = python
        self._pipe = pipe
        self._nonce = nonce
        self._heartbeat = heartbeat
        self._frames = FrameReader(nonce)
        self._hello: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._acting: set[int] = set()
        self._count = 0
        self._heard = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, first: bytes) -> None:
        """Send what the helper needs first, and wait until it says hello.

        Raises:
            InputError: The Python there is too old, or cannot be run.
            UnreachableError: Anything else came, or nothing more.
        """
        self._spawn(self._pump())
        # Not awaited here: a helper that dies before it has read all of this has said why on its way out
        self._spawn(self._send(first))
        hello = await self._hello
        if not isinstance(hello, dict) or "hello" not in hello:
            raise self._failed(hello)
        self._spawn(self._beat())

    async def request(self, verb: str, payload: Json, key: str | None, deadline: float) -> Json:
        """Ask, and wait for the answer as it came: {"ok": …} or {"error": …}."""
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
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
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

    def lose(self, why: str) -> None:
        """Give this helper up; every call under way ends with UnreachableError."""
        if self.lost:
            return
        self.lost = why
        error = UnreachableError(f"{self._host}: {why}")
        if not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._pipe.abort()

    async def close(self) -> None:
        """End the helper, and wait until it is gone; one that still acts is given more time."""
        self.lost = self.lost or "the session was closed"
        await self._pipe.close(_PATIENCE_ACTING if self._acting else _PATIENCE)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        error = UnreachableError(f"{self._host}: {self.lost}")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, UnreachableError):
            self.lose(f"{type(error).__name__}: {error}")

    async def _send(self, data: bytes) -> None:
        try:
            await self._pipe.write(data)
        except UnreachableError as error:
            # Before the first answer the reading side knows better why
            if self._hello.done():
                self.lose(str(error))
                raise UnreachableError(f"{self._host}: {error}") from None

    async def _pump(self) -> None:
        try:
            while data := await self._pipe.read():
                self._heard = time.monotonic()
                for frame in self._frames.frames(data):
                    await self._take(frame)
        except (FrameError, UnreachableError) as error:
            why = str(error)
        else:
            why = "the helper ended"
        if not self._hello.done():
            problem = await self._early_end(why)
            self._hello.set_exception(problem)
            self._hello.exception()
        self.lose(why)

    async def _take(self, frame: Frame) -> None:
        # Hashing and parsing megabytes would hold up the loop, and with it the screen
        value = frame.value() if len(frame.body) < _LARGE else await asyncio.to_thread(frame.value)
        if not isinstance(value, dict):
            raise FrameError("an answer that is no object")
        if "hello" in value or "failed" in value:
            if not self._hello.done():
                self._hello.set_result(value)
            elif "failed" in value:
                raise FrameError(f"the helper gave up: {_line(str(value.get('message')))}")
            return
        if "verb" in value:
            raise FrameError("our own requests came back: the other end echoes, so it runs on a terminal")
        number = value.get("id")
        if not isinstance(number, int):
            raise FrameError("an answer without a number")
        self._acting.discard(number)
        future = self._waiting.get(number)
        if future is not None and not future.done():  # else whoever asked has given up
            future.set_result(value)

    async def _beat(self) -> None:
        while not self.lost:
            await asyncio.sleep(self._heartbeat)
            if time.monotonic() - self._heard > self._heartbeat * _SILENT_BEATS:
                return self.lose("the helper stopped answering")
            await self._ping()

    async def _probe(self) -> None:
        heard = self._heard
        await self._ping()
        await asyncio.sleep(min(_PROBE, self._heartbeat))
        if self._heard == heard:
            self.lose("the helper stopped answering")

    async def _ping(self) -> None:
        await self._send(encode_frame(self._nonce, {"id": 0, "verb": "ping"}))

    def _failed(self, hello: Json) -> GatewatchError:
        kind = hello.get("failed") if isinstance(hello, dict) else None
        message = _line(str(hello.get("message"))) if isinstance(hello, dict) else ""
        if kind == "python":
            return self._too_old(message)
        return UnreachableError(f"{self._host}: the helper did not start: {message or 'it said nothing of ours'}")

    def _too_old(self, version: str) -> InputError:
        needed = ".".join(map(str, OLDEST))
        return InputError(
            f"{self._python} on {self._host} is {version}; gatewatch needs {needed} or newer there; "
            "set `python:` in the profile"
        )

    async def _early_end(self, why: str) -> GatewatchError:
        """Why the process ended before it said hello, from what it left behind."""
        status, errors = await self._pipe.ended()
        text = errors.decode("utf-8", "replace")
        last = _line(text.strip().rpartition("\n")[2])
        if status == 2 and "unknown option" in text.lower() and "-I" in text:
            return self._too_old("older than 3.4")
        if status in (126, 127) or "command not found" in text.lower() or "unknown command" in text.lower():
            return InputError(
                f"{self._python} cannot be run on {self._host} ({last or f'exit status {status}'}); "
                "set `python:` in the profile"
            )
        noise = _line(self._frames.noise.decode("utf-8", "replace").strip().rpartition("\n")[2])
        said = last or noise
        ended = why if status is None else f"it ended with status {status}"
        return UnreachableError(f"{self._host}: the helper did not start: {ended}{f': {said}' if said else ''}")


def _line(text: str) -> str:
    """Text of others as one short line of printable characters."""
    clean = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    return clean if len(clean) <= _SHOWN else clean[:_SHOWN] + "…"
