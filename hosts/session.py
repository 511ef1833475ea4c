"""One helper of ours at the other end of a byte pipe, from its start to its loss: what every kind of session does."""

from __future__ import annotations

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from typing import Protocol, runtime_checkable

from hosts.bootstrap import OLDEST
from hosts.errors import GatewatchError, NoPythonError, UnreachableError
from hosts.host import Json
from hosts.local.frames import FrameError, FrameReader, encode_frame
from hosts.not_run import NoCommandError, forbids, not_run

_SILENT_BEATS = 2.5
_PROBE = 5.0
_SHOWN = 200
_PATIENCE = 2.0
LOOKING = 0.3
"""Seconds that a helper which only looks is given to end by itself: it has nothing to finish."""
_PIECE = 1 << 16
_AWAY_BEATS = 1.5
# The window of a session in OpenSSH (channels.h, CHAN_SES_WINDOW_DEFAULT), and bytes per second of the slowest way
_HELD = 1 << 21
_SLOWEST = 1 << 16
_ENDED = "the helper ended"
_TRACEBACK = "Traceback (most recent call last):"
_NOT_FOUND = ("command not found", "unknown command")
_FATAL = re.compile(r"^Fatal Python error: .+$", re.MULTILINE)  # the lines after it say less
# What an error of ours, or of the system, is called there tells a person nothing
_CLASS = re.compile(r"\A(?:(?:\w+\.)+\w+: |\w+: \[Errno \d+\] )(?=.)")


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


@runtime_checkable
class Pushing(Protocol):
    """A pipe that can hand out what arrives without a turn of the loop in between; `read` then only tells the end."""

    take: Callable[[bytes], None] | None


@runtime_checkable
class Measured(Protocol):
    """A pipe that tells how much of what it was given is not on its way yet."""

    @property
    def unsent(self) -> int:
        """Bytes."""
        ...


@runtime_checkable
class Minded(Protocol):
    """A pipe with a way that nobody else looks after: it is judged by the helper's signs of life."""

    @property
    def beat(self) -> float:
        """Seconds between two of them."""
        ...

    def silent(self, seconds: float) -> None:
        """Something was asked, and nothing was heard for so long."""
        ...

    def give_up(self, why: str) -> None:
        """Nothing was heard for too long; it is about to be cut."""
        ...


class Session(ABC):
    """A helper that was started, that gives signs of life, and that is lost in the end.

    Args:
        host: What messages call the host.
        python: What they call the Python there.
        pipe: The pipe; from now on it is this session's to close.
        nonce: What marks the frames of this session.
        heartbeat: Seconds between signs of life.

    Attributes:
        lost: Why this session is of no use any more; "" while it is.
        patience: Seconds that the helper is given to end by itself, while it does nothing that has to be finished.
    """

    def __init__(self, host: str, python: str, pipe: BytePipe, nonce: str, heartbeat: float) -> None:
        self.lost = ""
        self.patience = _PATIENCE
        self._host = host
        self._python = python
        self._pipe = pipe
        self._nonce = nonce
        self._heartbeat = min(heartbeat, pipe.beat) if isinstance(pipe, Minded) else heartbeat
        self._frames = FrameReader(nonce)
        self._hello: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._heard = time.monotonic()
        self._sending: dict[asyncio.Timeout, float] = {}  # what is being sent, and since when
        self._given = 0
        self._moved = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, first: Iterable[bytes]) -> None:
        """Send what the helper needs first, part by part, and wait until it says hello.

        Raises:
            InputError: The Python there is too old, or cannot be run.
            UnreachableError: Anything else came, or nothing more.
        """
        self._spawn(self._pump())
        # Not awaited here: a helper that dies before it has read all of this has said why on its way out
        self._spawn(self._send_all(first))
        hello = await self._hello
        if not isinstance(hello, dict) or "hello" not in hello:
            raise self._failed(hello)
        self._spawn(self._beat())

    def lose(self, why: str) -> None:
        """Give this helper up; whatever is under way ends with UnreachableError."""
        if self.lost:
            return
        self.lost = why
        error = UnreachableError(f"{self._host}: {why}")
        if not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()
        self._give_up(error)
        for limit in self._sending:  # nobody takes that any more
            limit.reschedule(asyncio.get_running_loop().time())
        self._pipe.abort()

    async def close(self) -> None:
        """End the helper, and wait until it is gone."""
        self.lost = self.lost or "the session was closed"
        await self._pipe.close(self._patience())
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._give_up(UnreachableError(f"{self._host}: {self.lost}"))

    def _patience(self) -> float:
        """Seconds that the helper is given to end by itself."""
        return self.patience

    @abstractmethod
    def _give_up(self, error: UnreachableError) -> None:
        """Tell whoever waits; more than once is allowed."""

    @abstractmethod
    async def _take(self, data: bytes) -> None:
        """What arrived. Raises FrameError where it is not what was agreed."""

    def _first(self, data: bytes) -> tuple[dict[str, Json], bytes] | None:
        """The hello, and what came behind it, for a helper that then speaks otherwise; None while it is not all there.

        Raises:
            FrameError: It is none.
        """
        found = self._frames.first(data)
        if found is None:
            return None
        frame, rest = found
        value = frame.value()
        if not isinstance(value, dict) or not self._greeted(value):
            raise FrameError("the helper began with something other than a hello")
        return value, rest

    def _greeted(self, value: dict[str, Json]) -> bool:
        """Whether this was about the helper itself: that it is there, or that it gives up."""
        if "hello" not in value and "failed" not in value:
            return False
        if not self._hello.done():
            self._hello.set_result(value)
        elif "failed" in value:
            raise FrameError(f"the helper gave up: {_line(str(value.get('message')))}")
        return True

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
        self._given += len(data)
        try:
            async with asyncio.timeout(None) as limit:
                self._sending[limit] = time.monotonic()
                try:
                    await self._pipe.write(data)
                finally:
                    del self._sending[limit]
        except TimeoutError:
            raise UnreachableError(f"{self._host}: {self.lost}") from None
        except UnreachableError as error:
            # Before the first answer the reading side knows better why
            if self._hello.done():
                self.lose(str(error))
                raise UnreachableError(f"{self._host}: {error}") from None

    async def _send_all(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            # What is sent is copied on its way, and there may be hundreds of these at a time
            for start in range(0, len(part), _PIECE):
                await self._send(part[start : start + _PIECE])

    async def _pump(self) -> None:
        broke = False
        try:
            while data := await self._pipe.read():
                self._heard = time.monotonic()
                await self._take(data)
        except (FrameError, UnreachableError) as error:
            broke, why = isinstance(error, UnreachableError), str(error)
        else:
            why = _ENDED
        if not self._hello.done():
            # Of a way there that broke, the helper is not to blame
            problem = UnreachableError(f"{self._host}: {why}") if broke else await self._early_end(why)
            self._hello.set_exception(problem)
            self._hello.exception()
        self.lose(why)

    async def _beat(self) -> None:
        beat, went, asked, away = time.monotonic(), self._gone_out, False, False
        while not self.lost:
            await asyncio.sleep(self._heartbeat)
            now, before, went = time.monotonic(), went, self._gone_out
            self._note_moved(now, went - before)
            # Late by that much we were stopped ourselves, and what came meanwhile may be unread: ask first
            away = not away and now - beat > self._heartbeat * _AWAY_BEATS
            if not away and now - self._last_sign > self._heartbeat * _SILENT_BEATS:
                return self._silenced("the helper stopped answering")
            owed = asked or any(since <= beat for since in self._sending.values())
            if not away and owed and self._last_sign < beat and isinstance(self._pipe, Minded):
                self._pipe.silent(now - self._last_sign)
            beat, asked = now, self._ping()

    def _note_moved(self, now: float, count: int) -> None:
        """Something large on a slow way: that it moves is a sign of life too.

        Whoever takes our bytes may hold them for long (ssh: as many as the other side allows it), and what we ask then
        waits behind them. Until they are there at the latest, nothing is to be expected.
        """
        if count > _PIECE or (self._sending and count > 0):
            self._moved = min(max(self._moved, now) + count / _SLOWEST, now + _HELD / _SLOWEST)

    @property
    def _gone_out(self) -> int:
        """Bytes that were given to the pipe and are on their way."""
        return self._given - (self._pipe.unsent if isinstance(self._pipe, Measured) else 0)

    @property
    def _last_sign(self) -> float:
        """When there was a last sign of life; one that takes nothing of what we send gives none, whatever it says."""
        sign = max(self._heard, self._moved)
        return min([sign, *(max(self._moved, since) for since in self._sending.values())])

    def _silenced(self, why: str) -> None:
        if isinstance(self._pipe, Minded):
            self._pipe.give_up(why)
        self.lose(why)

    async def _probe(self) -> None:
        heard, asked = self._heard, time.monotonic()
        self._ping()
        await asyncio.sleep(min(_PROBE, self._heartbeat))
        if self._heard == heard and self._moved < asked:
            self.lose("the helper stopped answering")

    def _ping(self) -> bool:
        """Ask for a sign of life, unless something is being sent: it would only wait behind that. Whether it did."""
        if self._sending:
            return False
        self._spawn(self._send(encode_frame(self._nonce, {"id": 0, "verb": "ping"})))
        return True

    def _failed(self, hello: Json) -> GatewatchError:
        kind = hello.get("failed") if isinstance(hello, dict) else None
        message = _line(str(hello.get("message"))) if isinstance(hello, dict) else ""
        if kind == "python":
            return self._too_old(message)
        return UnreachableError(f"{self._host}: the helper did not start: {message or 'it said nothing of ours'}")

    def _too_old(self, version: str) -> NoPythonError:
        needed = ".".join(map(str, OLDEST))
        return NoPythonError(
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
        fatal = _FATAL.search(text)
        ran = _TRACEBACK in text or fatal is not None  # then what a login says of other commands means nothing
        if status in (126, 127) or (not ran and any(words in text.lower() for words in _NOT_FOUND)):
            return not_run(self._python, self._host, last or f"exit status {status}", text)
        noise = self._frames.noise.decode("utf-8", "replace")
        if forbidden := forbids(noise) or forbids(text):
            return NoCommandError(f"{self._host}: it runs no commands: {_line(forbidden)}")
        said = _CLASS.sub("", last) if _TRACEBACK in text else last or _line(noise.strip().rpartition("\n")[2])
        if fatal is not None:
            said = _line(fatal[0])
        ended = why if status is None else f"it ended with status {status}"
        return UnreachableError(f"{self._host}: the helper did not start: {ended}{f': {said}' if said else ''}")


def _line(text: str) -> str:
    """Text of others as one short line of printable characters."""
    clean = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    return clean if len(clean) <= _SHOWN else clean[:_SHOWN] + "…"
