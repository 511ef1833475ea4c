"""A host behind a byte pipe: a helper of ours at its other end, started again when the way to it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from hosts.bootstrap import Mode, RunnerImage, boot_argv, preamble
from hosts.command import CommandLink, Ended, Take
from hosts.connection import Connection
from hosts.errors import InputError, UnreachableError
from hosts.follow import INTERVAL, follow
from hosts.held import Held
from hosts.here import READ_DEADLINE, looked
from hosts.host import Chunk, Cursor, Data, Gap, Json, Observation, Position, Rotated, Wants
from hosts.link import Link
from hosts.local.calls import unwrap
from hosts.local.counting import Counts, CountWish
from hosts.local.observe import MAX_READ
from hosts.local.wire import from_wire, to_wire
from hosts.patience import Patience, Questions
from hosts.session import LOOKING, BytePipe, Session
from hosts.stream import Item, Sign, StreamLink, tail_of
from hosts.stream_scan import Frame, Orders

HEARTBEAT = 10.0
OPENING = 45.0
_HEX_SHA256 = 64
_LINGER = 10.0
_NO_STREAM = 30.0
_STREAM_OPENING = 10.0
_LARGE = 1 << 16
_HUGE = 1 << 18

T = TypeVar("T")
S = TypeVar("S", bound=Session)

Opener = Callable[[tuple[str, ...]], Awaitable[BytePipe]]


class PipeReader:
    """Looks at a host through a helper that an opener starts there.

    The helper is started by the first call, and again by the next call after the way to it was lost. A call that
    was under way then raises UnreachableError. Followed files and long ranges have a second one, on a pipe of its
    own, whose bytes come as they are; it ends soon after the last of them.

    Args:
        name: What observations and messages call the host.
        opener: Starts a command there and gives its ends.
        image: What the helper is made of.
        python: The Python to run it, by name or path there.
        enter: A command to put in front, such as `docker exec -i NAME`.
        heartbeat: Seconds between signs of life that we give.
        opening: Seconds that starting the helper may take.
        interval: Seconds between two looks at a followed file that does not grow, where no second pipe can be had.
        on_close: Awaited at the end of `close`, for a connection that was made for this host alone.
        connection: Tells how the way there stands; None where the opener has nothing that can stand or fall.
        retry: Connects at once, however long the host was to be left alone; None likewise.
        questions: What a person is asked on the way there, for which deadlines wait; None where nobody is.
    """

    _actor = False

    def __init__(
        self,
        name: str,
        opener: Opener,
        image: RunnerImage,
        *,
        python: str = "python3",
        enter: tuple[str, ...] = (),
        heartbeat: float = HEARTBEAT,
        opening: float = OPENING,
        interval: float = INTERVAL,
        on_close: Callable[[], Awaitable[None]] | None = None,
        connection: Callable[[], Connection] | None = None,
        retry: Callable[[], Awaitable[None]] | None = None,
        questions: Questions | None = None,
    ) -> None:
        self._name = name
        self._opener = opener
        self._image = image
        self._python = python
        self._argv = (*enter, *boot_argv(python))
        self._heartbeat = heartbeat
        self._opening_limit = opening
        self._interval = interval
        self._on_close = on_close
        self._connection = connection
        self._retry = retry
        self._questions = questions or Questions()
        self._links = Held(name, lambda: self._open(Link, "actor" if self._actor else "reader"))
        self._streams = Held(name, lambda: self._open(StreamLink, "stream"))
        self._no_stream_until = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._tails: dict[str, tuple[Position, bytes]] = {}  # the last bytes before the place where a follower ended

    @property
    def name(self) -> str:
        return self._name

    @property
    def connection(self) -> Connection | None:
        """How the way there stands, at this instant; None where there is no connection of ours."""
        return self._connection() if self._connection is not None else None

    async def retry_now(self) -> None:
        """Connect now, however long the host was to be left alone: a person asks for it.

        Raises:
            UnreachableError, InputError: It cannot be reached.
        """
        if self._retry is not None:
            await self._retry()

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        """Look once; `deadline` is how many seconds the answer may take, the opening of a lost way included.

        The time in which a person is asked for a secret does not count, as it does not for any other call.
        """
        began = time.monotonic()
        payload: Json = {
            "want": to_wire(want),
            "since": since.token if since is not None else None,
            "host": self._name,
            "deadline": deadline,
        }
        took = received = 0.0

        def understand(answer: Json) -> Observation:
            nonlocal took, received  # at the same instant, or one clock is held against another moment of the other
            took, received = time.monotonic() - began, time.time()
            return self._decode(Observation, looked(answer))

        seen = await self._ask("observe", payload, None, deadline, understand)
        return replace(seen, host=self._name, received=received, rtt=took)

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        # What is shown first comes sooner over the pipe that is there
        if size > _HUGE or (size >= _LARGE and self._streams.now is not None):
            patience = Patience(READ_DEADLINE, self._questions)
            try:
                async with patience.limit():
                    stream = await self._stream()
                if stream is not None:
                    async with asyncio.timeout(patience.left):
                        return await stream.read(path, offset, size)
            except TimeoutError:
                raise UnreachableError(f"{self._name}: no answer to read within {READ_DEADLINE:g} s") from None
            finally:
                self._let_go_when_idle()
        asked: Json = {"path": path, "offset": offset, "size": size}
        chunk = await self._ask("read", asked, None, READ_DEADLINE, lambda one: self._decode(Chunk, looked(one)))
        if len(chunk.data) > min(size, MAX_READ) or chunk.offset != offset or len(chunk.fingerprint) != _HEX_SHA256:
            raise UnreachableError(f"{self._name}: an answer to read that does not fit what was asked")
        return chunk

    async def follow(self, path: str, at: Position) -> AsyncGenerator[Data | Gap | Rotated]:
        """Hand out what is appended to a file, as soon as it is written.

        Raises:
            UnreachableError: The way was lost; the position of the last item is where to go on.
            InputError: The file is there and cannot be read.
        """
        while True:
            stream = await self._stream()
            items = self._streamed(stream, path, at) if stream is not None else self._polled(path, at)
            async with contextlib.aclosing(items):
                async for item in items:
                    at = item.position
                    yield item

    async def watch(self, path: str, at: Position, last: bytes = b"") -> AsyncGenerator[Item | Sign]:
        """As `follow`, with signs of life in between; ends at once where no second pipe can be had.

        Args:
            path: The file; one that is not there is waited for.
            at: Where to begin.
            last: The last bytes before that, where they are known.

        Raises:
            UnreachableError: The way was lost; the position of the last item is where to go on.
            InputError: The file is there and cannot be read.
        """
        stream = await self._stream()
        if stream is None:
            return
        try:
            async with contextlib.aclosing(stream.watch(path, at, last)) as items:
                async for item in items:
                    yield item
        finally:
            self._let_go_when_idle()

    async def count(self, wish: CountWish) -> AsyncGenerator[Counts]:
        """Have the newlines of a file counted there; nothing at all where no second pipe can be had.

        Raises:
            UnreachableError: The way was lost.
            InputError: The file cannot be read, or is another one by now.
        """
        stream = await self._stream()
        if stream is None:
            return
        try:
            async with contextlib.aclosing(stream.count(wish)) as found:
                async for counts in found:
                    yield counts
        finally:
            self._let_go_when_idle()

    async def scan(self, orders: Orders) -> AsyncGenerator[Frame]:
        """Have a scan worker there; nothing at all where no second pipe can be had.

        Raises:
            UnreachableError: The way was lost.
            InputError: The host has as many as it gives.
        """
        stream = await self._stream()
        if stream is None:
            return
        try:
            async with contextlib.aclosing(stream.scan(orders)) as found:
                async for frame in found:
                    yield frame
        finally:
            self._let_go_when_idle()

    async def _streamed(self, stream: StreamLink, path: str, at: Position) -> AsyncGenerator[Data | Gap | Rotated]:
        known, last = self._tails.get(path, (None, b""))
        last = last if known == at else b""
        try:
            async with contextlib.aclosing(stream.follow(path, at, last)) as items:
                async for item in items:
                    at, last = item.position, tail_of(last, item)
                    yield item
        finally:
            self._tails[path] = (at, last)
            self._let_go_when_idle()

    async def _polled(self, path: str, at: Position) -> AsyncGenerator[Data | Gap | Rotated]:
        """Follow by ranges, until something comes after it is time to try for a second helper again."""
        items = follow(self.read, path, at, self._interval)
        async with contextlib.aclosing(items):
            async for item in items:
                yield item
                if time.monotonic() >= self._no_stream_until:
                    return

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        """Run a verb that only looks; `deadline` is how many seconds the answer may take.

        Raises:
            InputError: The payload is wrong, or what it names is not there.
            VerbError: The verb refused or failed.
            UnreachableError: No answer in time.
        """
        return await self._ask(verb, payload, None, deadline, looked)

    async def close(self) -> None:
        """End the helpers; no further call is answered."""
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.gather(self._links.close(), self._streams.close())
        if self._on_close is not None:
            await self._on_close()

    def abort(self) -> None:
        """Drop the ways to the helpers at once, as a lost connection would; the next call opens others."""
        self._links.lose("the connection was dropped")
        self._streams.lose("the connection was dropped")

    async def _ask(
        self, verb: str, payload: Json, key: str | None, deadline: float, understand: Callable[[Json], T]
    ) -> T:
        patience = Patience(deadline, self._questions)
        try:
            async with patience.limit():
                link = await self._links.get()
            async with asyncio.timeout(patience.left):
                return await link.request(verb, payload, key, deadline, understand)
        except TimeoutError:
            raise UnreachableError(f"{self._name}: no answer to {verb} within {deadline:g} s") from None

    async def _open(self, kind: Callable[[str, str, BytePipe, str, float], S], mode: Mode) -> S:
        nonce = secrets.token_hex(16)
        patience = Patience(self._opening_limit, self._questions)
        try:
            async with patience.limit():
                pipe = await self._opener(self._argv)
            async with asyncio.timeout(patience.left):
                session = kind(self._name, self._python, pipe, nonce, self._heartbeat)
                if mode in ("reader", "stream"):
                    session.patience = LOOKING
                try:
                    await session.start(preamble(self._image, nonce, mode))
                except BaseException:
                    session.lose("the helper did not start")
                    await session.close()
                    raise
                return session
        except TimeoutError:
            raise UnreachableError(f"{self._name}: the helper did not start within {self._opening_limit:g} s") from None

    async def _stream(self) -> StreamLink | None:
        """The second helper, or None where there is no way to have one.

        Raises:
            UnreachableError, InputError: There is not even a first.
        """
        await self._links.get()  # first: where there is one pipe only, it is for calls
        if time.monotonic() < self._no_stream_until:
            return None
        try:
            async with Patience(_STREAM_OPENING, self._questions).limit():
                return await self._streams.get()
        except (InputError, UnreachableError, TimeoutError) as error:
            if self._links.now is None and isinstance(error, UnreachableError):
                raise  # it is the host that went
            self._no_stream_until = time.monotonic() + _NO_STREAM
            return None

    def _let_go_when_idle(self) -> None:
        """End the second helper once nobody has used it for a while."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(_LINGER, self._end_idle)

    def _end_idle(self) -> None:
        stream = self._streams.now
        if stream is not None and not stream.used:
            self._streams.let_go()

    def _decode(self, cls: type[T], value: Json) -> T:
        try:
            return from_wire(cls, value)
        except InputError as error:
            raise UnreachableError(f"{self._name}: an answer that cannot be understood: {error}") from None


class PipeActor(PipeReader):
    """A host behind a byte pipe, with verbs that act; never made in read-only mode."""

    _actor = True

    async def call(self, verb: str, payload: Json, key: str, deadline: float) -> Json:
        """Run a verb that acts, at most once per `key`; `deadline` is how many seconds the answer may take.

        Raises:
            UnreachableError: The answer did not come; calling again with the same key is safe.
            VerbError: The verb refused or failed; "not-yet" where an earlier call has not finished.
        """
        return await self._ask(verb, payload, key, deadline, unwrap)

    async def command(
        self, argv: Sequence[str], deadline: float, take: Take, stdin: AsyncGenerator[bytes] | None = None
    ) -> Ended:
        """Run one command there, in a helper of its own; once, whatever happens.

        When this is cancelled, or the way is lost, the command is ended there, with all that is in its session.

        Args:
            argv: What to run; it meets no shell.
            deadline: Seconds until it is ended, the opening of a lost way included, the time that a person takes not.
            take: Given what it writes, in order.
            stdin: What it reads; None for nothing.

        Raises:
            InputError: It cannot be run.
            UnreachableError: The host cannot be reached, or the way was lost.
        """
        patience = Patience(deadline, self._questions)
        try:
            async with patience.limit():
                link = await self._open(CommandLink, "command")
        except TimeoutError:
            raise UnreachableError(f"{self._name}: the helper did not start within {deadline:g} s") from None
        try:
            return await link.run(argv, patience.left, take, stdin)
        finally:
            await link.close()
