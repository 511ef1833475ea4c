"""A log that is a file on this machine, followed by its path through everything that happens to files.

Whatever the file system does, only the thread here waits for it: what was read last is handed out without asking it,
and a look that does not come back is told of.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.local.reasons import why
from monitors.logs.local_files import Files, Key
from monitors.logs.local_look import Looker
from monitors.logs.local_notice import Notice
from monitors.logs.record import ShapeRecorder
from monitors.logs.types import Shape, Status

SILENCE = 3.0
"""Seconds without an answer of the file system after which that is said."""

_FIRST = 0.25  # seconds that `start` waits for the first look at most
_CLOSING = 1.0
_TOLD = 1.0  # seconds between two looks at a silent file of which the kernel tells
_ABSENT = 0.1  # seconds between two looks for a file that is not there


@dataclass
class _Request:
    generation: int
    offset: int
    size: int
    answer: Future[bytes] = field(default_factory=Future)


class LocalSource:
    """A local file as a log.

    Args:
        path: The file; it need not be there yet.
        visible_interval: Seconds between two looks while somebody sees the log.
        hidden_interval: The same while nobody does.
        kept: Generations that stay readable at most.
        clock: Seconds that only go forward.
        now: Our clock, seconds since the epoch.
        silence: Seconds without an answer after which the log is STALE.
        files: The system.
        notice: Tells of writes, None: one of ours. While it does, a silent file is looked at once a second.

    Raises:
        InputError: No file can have this name.
    """

    def __init__(
        self,
        path: str,
        *,
        visible_interval: float = 0.04,
        hidden_interval: float = 0.25,
        kept: int = 16,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        silence: float = SILENCE,
        files: Files | None = None,
        notice: Notice | None = None,
    ) -> None:
        if not path or "\0" in path:
            raise InputError("the name of a log is empty or holds a NUL")
        self._record = ShapeRecorder(path, kept=kept, now=now)
        self._looker = Looker(path, self._record, files or Files(), clock)
        self._intervals = (hidden_interval, visible_interval)
        self._interval = visible_interval
        self._clock = clock
        self._silence = silence
        self._notice = notice
        self._size = 0  # of the live file at the last look
        self._told_of: tuple[int, Key] | None = None  # the descriptor and the file of which the kernel tells
        self._ready = self._due = 0.0  # when it may, and when it must be looked again
        self._requests: deque[_Request] = deque()
        self._bell = self._rope = -1  # a pipe that wakes the thread
        self._stopping = False
        self._busy: float | None = None  # since when the thread has waited for the file system
        self._thread = threading.Thread(target=self._run, name=f"log {path}", daemon=True)
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()  # nobody who gives up waiting for it cancels it
        self._looked: Future[None] = Future()
        self._looked.set_running_or_notify_cancel()
        self._watch: asyncio.TimerHandle | None = None

    @property
    def shape(self) -> Shape:
        """The newest shape."""
        return self._record.shape

    @property
    def looks(self) -> tuple[int, int]:
        """How often it was looked, and how often there was more to do than to see that nothing has changed."""
        return self._looker.looks, self._looker.checks

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to look; `changed` is called on the loop after the shape changed.

        It waits a little for the first look, so that what is there already is known from what comes.
        """
        loop = asyncio.get_running_loop()
        self._record.listen(loop, changed)
        self._bell, self._rope = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread.start()
        self._watch_over(loop)
        await asyncio.wait({asyncio.wrap_future(self._looked)}, timeout=_FIRST)

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        """Bytes from `offset` on: fewer than `size` at the generation's end, and only there.

        Raises:
            GoneError: These bytes were thrown away.
            UnreachableError: The file system does not answer, or the file cannot be read.
        """
        held = self._looker.shelf.held(generation, offset, size)
        if held is not None:
            return held
        if self._stopping or not self._thread.is_alive():
            raise UnreachableError("the log is closed")
        request = _Request(generation, offset, size)
        self._requests.append(request)
        self._ring()
        try:
            async with asyncio.timeout(self._silence):
                return await asyncio.wrap_future(request.answer)
        except TimeoutError:
            raise UnreachableError("no answer from the file system") from None
        except OSError as error:
            raise UnreachableError("the file cannot be read: " + why(error).lower()) from None

    def descriptor(self, generation: int) -> int | None:
        """A descriptor that holds a whole generation, None where several do or none. It stays open for seconds."""
        return self._looker.shelf.handle(generation)

    async def written(self) -> float | None:
        """When the live file was last written, seconds since the epoch; None where there is none."""
        return self._looker.written / 1e9 or None

    def watch(self, visible: bool) -> None:
        """Look as often as for somebody who sees it, or less often."""
        interval = self._intervals[visible]
        if interval < self._interval:
            self._due = 0.0
            self._ring()
        self._interval = interval

    async def close(self) -> None:
        """Stop looking. A thread that the file system holds is left behind; it ends when that lets go of it."""
        self._stopping = True
        self._record.listen(asyncio.get_running_loop(), None)
        if self._watch is not None:
            self._watch.cancel()
        self._ring()
        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await asyncio.wrap_future(self._ended)
        if self._rope >= 0 and self._ended.done():
            os.close(self._rope)
            self._rope = -1

    def _watch_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say so when a look does not come back; the thread itself cannot."""
        busy = self._busy
        if self._ended.done():
            self._record.status(Status.FAILED, "looking at it has ended with an error of ours")
            return
        if busy is not None and self._clock() - busy >= self._silence:
            self._record.status(Status.STALE, "no answer from the file system")
        self._watch = loop.call_later(max(self._silence / 3, 0.05), self._watch_over, loop)

    def _ring(self) -> None:
        if self._rope >= 0:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):  # rung often enough, or nobody is in
                os.write(self._rope, b"!")

    def _run(self) -> None:
        """The thread: a look every interval, and between two looks what is asked for."""
        try:
            told, more = False, True
            while not self._stopping:
                while self._requests:
                    self._busy = self._clock()
                    self._answer(self._requests.popleft())
                self._busy = self._clock()
                if more or told or self._clock() >= self._due:
                    more = self._look(told)
                if not self._looked.done():
                    self._looked.set_result(None)
                self._busy = None
                told = not more and self._wait()
        finally:
            self._looker.close()
            if self._notice is not None:
                self._notice.close()
            os.close(self._bell)
            self._stopping = True
            for request in self._requests:
                if request.answer.set_running_or_notify_cancel():
                    request.answer.set_exception(UnreachableError("the log is closed"))
            if not self._looked.done():
                self._looked.set_result(None)
            self._ended.set_result(None)

    def _look(self, told: bool) -> bool:
        """Look, and find out when to look again; whether there is more to do at once."""
        before, size = self._looker.shelf.live, self._size
        more = self._looker.look()
        live, now = self._looker.shelf.live, self._clock()
        pause = self._interval if live is not None else max(self._interval, _ABSENT)
        self._ready = self._due = now + pause
        if live is None or more:
            return more
        if self._notice is None:
            self._notice = Notice()
        if (live.handle, live.key) != self._told_of:
            self._notice.watch(live.handle)
            self._told_of = live.handle, live.key
        elif live is before and live.size > size:
            self._notice.grown(told or self._notice.told())
        self._size = live.size
        if self._notice.trusted and not self._looker.turning:
            self._due = now + max(self._interval, _TOLD)
        return False

    def _wait(self) -> bool:
        """Wait until it is time to look, or somebody asks for something; whether the file was written to."""
        now = self._clock()
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        until = self._due
        notice = self._notice
        if notice is not None and self._ready < self._due:
            if now < self._ready:
                until = self._ready  # what is told meanwhile is told then
            else:
                poll.register(notice.handle, select.POLLIN)
        rung = [handle for handle, _ in poll.poll(max(0.0, until - now) * 1000)]
        if self._bell in rung:
            os.read(self._bell, 4096)
        return notice is not None and notice.handle in rung and notice.told()

    def _answer(self, request: _Request) -> None:
        if not request.answer.set_running_or_notify_cancel():
            return  # whoever asked has given up
        try:
            data = self._looker.read(request.generation, request.offset, request.size)
        except (GatewatchError, OSError) as error:
            request.answer.set_exception(error)
        else:
            request.answer.set_result(data)
