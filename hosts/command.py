"""One command on another host: what it writes as it comes, its end, and its certain end when nobody waits for it.

Its far end is hosts/local/commanding.py.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Json
from hosts.local.commanding import BLOCK, ERR, GRACE, OUT, ROOM, SILENCE
from hosts.local.frames import FrameError, encode_frame
from hosts.local.guarding import LAST
from hosts.local.streamwire import PartReader, Piece
from hosts.session import BytePipe, Session

_LATE = 5.0
_STEP = ROOM // 4
_STATUSES = 255
_SIGNALS = 64
_GROUPS = 1 << 22  # as many as there can be processes
_RUNS_ON = f"the command may run on there for up to {SILENCE + GRACE:.0f} s; it is ended once the host notices"
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {OUT: "stdout", ERR: "stderr"}


@dataclass(frozen=True)
class Output:
    """Bytes that the command wrote."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        exit: Its exit status; None where a signal ended it, or where it could not be ended at all.
        signal: The number of the signal that ended it.
        in_time: False where its deadline ended it.
        left: Process groups of it that could not be ended, stuck in the kernel or somebody else's.
    """

    exit: int | None
    signal: int | None = None
    in_time: bool = True
    left: int = 0


Take = Callable[[Output], Awaitable[None]]


class CommandLink(Session):
    """A helper that runs one command; its arguments are those of every session.

    Attributes:
        most_held: The most bytes that were ever held here at a time.
    """

    def __init__(self, host: str, python: str, pipe: BytePipe, nonce: str, heartbeat: float) -> None:
        super().__init__(host, python, pipe, nonce, heartbeat)
        self.most_held = 0
        self._parts: PartReader | None = None
        self._arrived: deque[Output] = deque()
        self._held = 0
        self._end: Ended | None = None
        self._failure: Exception | None = None
        self._changed = asyncio.Event()
        self._input_room = ROOM
        self._input_closed = False
        self._running = False
        self._name = ""

    async def run(
        self, argv: Sequence[str], deadline: float, take: Take, stdin: AsyncGenerator[bytes] | None = None
    ) -> Ended:
        """Run a command to its end.

        Args:
            argv: What to run. It meets no shell; bytes that are no UTF-8 are surrogates, as in `sys.argv`.
            deadline: Seconds after which it is ended there.
            take: Given what it writes, in order; while it waits, the command does in the end.
            stdin: What it reads; None for nothing.

        Raises:
            InputError: It cannot be run.
            UnreachableError: The way was lost. The host ends the command as soon as it notices, and that is said too.
        """
        begun = not self.lost
        try:
            return await self._to_its_end(argv, deadline, take, stdin)
        except UnreachableError as error:
            if not begun or not self.lost:
                raise
            raise UnreachableError(f"{error}; {_RUNS_ON}") from None

    async def _to_its_end(
        self, argv: Sequence[str], deadline: float, take: Take, stdin: AsyncGenerator[bytes] | None
    ) -> Ended:
        feeding: asyncio.Task[None] | None = None
        self._running = True
        self._name = argv[0]
        try:
            asked: dict[str, Json] = {"command": list(argv), "deadline": deadline, "stdin": stdin is not None}
            await self._ask(asked)
            if stdin is not None:
                feeding = asyncio.create_task(self._feed(stdin))
            until = time.monotonic() + deadline + GRACE + LAST + _LATE
            taken = 0
            while True:
                output = await self._next(until)
                if output is None:
                    break
                await take(output)
                until = max(until, time.monotonic() + _LATE)  # it was us who were slow
                self._held -= len(output.data)
                taken += len(output.data)
                if taken >= _STEP:
                    await self._ask({"taken": taken})
                    taken = 0
            assert self._end is not None
            self._running = False
            return self._end
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

    async def _next(self, until: float) -> Output | None:
        while not self._arrived:
            if self._end is not None:
                return None
            if self._failure is not None:
                raise self._failure
            self._changed.clear()
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                raise UnreachableError(f"{self._host}: the command was not ended by its deadline") from None
        return self._arrived.popleft()

    async def _feed(self, stdin: AsyncGenerator[bytes]) -> None:
        try:
            async with contextlib.aclosing(stdin):
                await self._feed_all(stdin)
        except (OSError, GatewatchError) as error:
            self._failure = self._failure or error
            self._changed.set()

    async def _feed_all(self, stdin: AsyncGenerator[bytes]) -> None:
        async for block in stdin:
            for at in range(0, len(block), BLOCK):
                piece = block[at : at + BLOCK]
                while self._input_room < len(piece) and not self._input_closed:
                    self._changed.clear()
                    await self._changed.wait()
                if self._input_closed or self.lost:
                    return
                self._input_room -= len(piece)
                await self._ask({"data": base64.b64encode(piece).decode("ascii")})
        await self._ask({"eof": True})

    async def _ask(self, body: dict[str, Json]) -> None:
        try:
            frame = encode_frame(self._nonce, body)
        except FrameError as error:
            raise InputError(f"{self._host}: {error}") from None
        if self._end is None and not self.lost:
            await self._send(frame)

    def _patience(self) -> float:
        # Ending its input ends the command there first
        return GRACE + 2 * LAST if self._running else super()._patience()

    def _give_up(self, error: UnreachableError) -> None:
        self._failure = self._failure or error
        self._changed.set()

    async def _take(self, data: bytes) -> None:
        if self._parts is None:
            first = self._first(data)
            if first is None:
                return
            _, data = first
            self._parts = PartReader()
        for part in self._parts.parts(data):
            if isinstance(part, Piece):
                if part.stream not in _STREAMS:
                    raise FrameError("bytes of an unknown stream arrived")
                self._held += len(part.data)
                self.most_held = max(self.most_held, self._held)
                if self._held > ROOM:
                    raise FrameError("more arrived than there is room for")
                self._arrived.append(Output(_STREAMS[part.stream], part.data))
            else:
                self._told(part.body)
            self._changed.set()

    def _told(self, body: dict[str, Json]) -> None:
        if "cannot" in body:
            self._failure = InputError(f"{self._host}: cannot run {self._name!r}: {_words(body['cannot'])}")
        elif "exit" in body:
            known = None if body["exit"] is None else _number(body["exit"], -_SIGNALS, _STATUSES)
            self._end = Ended(
                known if known is None or known >= 0 else None,
                -known if known is not None and known < 0 else None,
                body.get("why") != "deadline",
                _number(body.get("left", 0), 0, _GROUPS),
            )
        elif "took" in body:
            self._input_room = min(ROOM, self._input_room + _number(body["took"], 0, ROOM))
        elif body.get("closed") is True:
            self._input_closed = True


def _number(value: Json, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FrameError("a number arrived that cannot be")
    return value


def _words(value: Json) -> str:
    return " ".join(str(value).split())
