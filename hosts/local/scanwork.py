"""The scan worker: a process that counts, searches and filters logs for another one, which it does not outlive.

It is given descriptors of files, or asks for the bytes of what has none. Its jobs take turns, block by block; what
they find is sent about 20 times a second. It is single-threaded, blocks where nobody takes its results, and may be
killed at any time.
"""

from __future__ import annotations

import _socket  # what `socket` adds takes a good part of a start
import contextlib
import fcntl
import json
import os
import re
import select
import signal
import time
from array import array
from collections.abc import Iterator
from types import FrameType
from typing import Any

from hosts.local import scanwire
from hosts.local.blocks import Matcher
from hosts.local.lines import ENCODINGS
from hosts.local.ripgrep import MOST, Grep, Greps, find_ripgrep, look
from hosts.local.scan import Job
from hosts.local.wc import INTERVAL as WC_INTERVAL
from hosts.local.wc import WORTH, LineCount, find_wc

INTERVAL = 0.05
"""Seconds between two messages with results."""

PATIENCE = 5.0
"""Seconds that an expression may take over one block; after that it is taken to go on for ever."""

_ENOUGH = 1 << 18  # bytes of results that are sent without waiting
_TRIAL = 16  # blocks that show how quick a matcher is, and whether ripgrep is worth its start
_FAR = 64  # blocks ahead from which on it may be
_COSTLY = 0.15  # seconds ahead likewise


class _TooSlowError(Exception):
    """An expression took longer than PATIENCE over one block."""


class _UnreadError(Exception):
    """Bytes that were asked for do not come."""


class CancelledStepError(Exception):
    """Some job is to be dropped; the block that is looked at is looked at again, where that is another one's."""


class _Task:
    """A job and how it does.

    Attributes:
        job: What there is to do.
        file: Whose bytes it reads.
        rank: Lower ones come first; equals take turns.
        guarded: Whether it may hang.
        stalled: Whether it waits until somebody says that something changed.
        again: That somebody said so while it waited for bytes.
        told: The size up to which it is said to be done.
    """

    def __init__(self, job: Job, file: int, rank: int, guarded: bool) -> None:
        self.job = job
        self.file = file
        self.rank = rank
        self.guarded = guarded
        self.stalled = False
        self.again = False
        self.told = -1
        self.greps: Greps | None = None
        self.total: LineCount | None = None
        self._tried = False
        self._steps = self._hits = 0
        self._seconds = 0.0

    def took(self, seconds: float, hits: int) -> None:
        """Note what a block cost and gave."""
        self._steps += 1
        self._seconds += seconds
        self._hits += hits

    def try_ripgrep(self, descriptor: int) -> None:
        """Have ripgrep look ahead where that saves time."""
        if self._tried or self._steps < _TRIAL:
            return
        left = self.job.left()
        if left < _FAR or self._seconds / self._steps * left < _COSTLY:
            return
        self._tried = True
        loose = self.job.finder.loose if self.job.finder is not None else None
        few = self._hits / self._steps * self.job.blocks < MOST / 2
        program = find_ripgrep() if loose is not None and few and self.job.encoding.unit == 1 else None
        if program is not None and loose is not None and self.job.finder is not None:
            with contextlib.suppress(OSError):  # without it, then
                coloured = self.job.finder.coloured > 0
                self.greps = self.job.hints = look(program, descriptor, loose, self.job.size, coloured=coloured)

    def close(self) -> None:
        """Let go of what runs for it."""
        for helper in (self.greps, self.total):
            if helper is not None:
                helper.close()


class Worker:
    """Serves one program until that closes its end.

    Args:
        line: A socket; frames go over it in both directions.
        descriptors: A Unix socket; descriptors come over it, each before the order that names its file. None: none do.
        ripgrep: Whether ripgrep may be used where it is installed.
    """

    def __init__(self, line: int, descriptors: int | None, ripgrep: bool) -> None:
        self._line = line
        self._descriptors = _socket.socket(fileno=descriptors) if descriptors is not None else None
        self._frames = scanwire.Frames()
        self._files: dict[int, int | None] = {}
        self._tasks: dict[int, _Task] = {}
        self._results: dict[int, list[bytes]] = {}
        self._held = 0
        self._flushed = 0.0
        self._turn = 0
        self._ticks = 0
        self._sending = False
        self._answers: list[bytes | None] = []
        self._with_ripgrep = ripgrep

    def run(self) -> None:
        """Work until there is nobody to work for."""
        self._die_with_parent()
        signal.signal(signal.SIGALRM, self._tick)
        self._send(scanwire.news("sync", 0))
        while True:
            task = self._next()
            if task is None:
                self._flush()
            self._wait(0.0 if task is not None else None)
            task = self._next()
            if task is not None:
                self._step(*task)

    # Orders.

    def _wait(self, timeout: float | None) -> None:
        """Take orders, and what ripgrep has found, as long as there are any; without a timeout, wait for some."""
        runs = [run for task in self._tasks.values() if task.greps is not None for run in task.greps.runs]
        greps = [run for run in runs if run.running]
        totals = [(number, task.total) for number, task in self._tasks.items() if task.total is not None]
        waiting: list[int | Grep | LineCount] = [self._line, *greps, *(total for _, total in totals)]
        ready, _, _ = select.select(waiting, [], [], WC_INTERVAL if totals and timeout is None else timeout)
        for number, total in totals:
            total.poll(total in ready)
            if not total.running:
                self._tasks[number].total = None
                if total.total is not None:
                    self._send(scanwire.news("total", number, *total.total))
        for grep in greps:
            if grep in ready:
                grep.poll()
        if self._line in ready:
            self._receive()

    def _receive(self) -> None:
        data = os.read(self._line, 1 << 18)
        if not data:
            self._end()
        for kind, body in self._frames.feed(data):
            if kind == scanwire.BYTES:
                self._answers.append(body)
            else:
                name, *rest = json.loads(body)
                getattr(self, f"_do_{name}")(*rest)

    def _do_file(self, file: int, has_descriptor: bool) -> None:
        self._files[file] = None
        if has_descriptor and self._descriptors is not None:
            _, ancillary, _, _ = self._descriptors.recvmsg(1, _socket.CMSG_SPACE(array("i").itemsize))
            self._files[file] = array("i", ancillary[0][2])[0]

    def _do_close(self, file: int) -> None:
        descriptor = self._files.pop(file, None)
        if descriptor is not None:
            os.close(descriptor)

    def _do_scan(self, number: int, order: dict[str, Any]) -> None:
        file = order["file"]
        matcher = Matcher.from_json(order["matcher"]) if order["matcher"] is not None else None
        encoding = ENCODINGS[order["encoding"]]
        try:
            job = Job(lambda at, size: self._read(file, at, size), matcher, encoding, order["first"], order["size"])
        except re.error as error:
            self._send(scanwire.news("problem", number, f"not a regular expression: {error}"))
            return
        for low, high in order["skip"]:
            job.skip(low, high)
        job.toward(order["at"], order["forward"])
        task = self._tasks[number] = _Task(job, file, order["rank"], matcher is not None and matcher.has_regex)
        descriptor = self._files[file]
        if matcher is None and encoding.unit == 1 and not order["skip"] and descriptor is not None:
            task.total = _total(descriptor, order["first"], order["size"])

    def _do_grow(self, number: int, first: int, size: int) -> None:
        if (task := self._tasks.get(number)) is not None:
            if first != task.job.first:
                self._flush()  # what was found until now was found with the other one
            task.job.grow(first, size)
            task.stalled = False
            task.again = True
            task.told = -1

    def _do_toward(self, number: int, at: int, forward: bool, rank: int) -> None:
        if (task := self._tasks.get(number)) is not None:
            task.job.toward(at, forward)
            task.rank = rank

    def _do_cancel(self, number: int) -> None:
        self._results.pop(number, None)
        if (task := self._tasks.pop(number, None)) is not None:
            task.close()

    def _do_sync(self, number: int) -> None:
        self._send(scanwire.news("sync", number))

    def _do_unread(self) -> None:
        self._answers.append(None)

    # Work.

    def _next(self) -> tuple[int, _Task] | None:
        """The job whose turn it is; who has just finished is told about."""
        ready: list[tuple[int, int]] = []
        for number, task in tuple(self._tasks.items()):
            if task.stalled or task.total is not None:
                continue  # to count beside wc would only take its time
            if task.job.pending() is not None:
                ready.append((task.rank, number))
            elif task.told != task.job.size:
                task.told = task.job.size
                self._flush()
                self._send(scanwire.news("idle", number, task.told))
        if not ready:
            return None
        least = min(ready)[0]
        turns = sorted(number for rank, number in ready if rank == least)
        self._turn = next((number for number in turns if number > self._turn), turns[0])
        return self._turn, self._tasks[self._turn]

    def _step(self, number: int, task: _Task) -> None:
        began = time.monotonic()
        task.again = False
        try:
            with self._guard() if task.guarded else contextlib.nullcontext():
                found = task.job.step()
        except _TooSlowError:
            self._give_up(
                number, f"this expression takes more than {PATIENCE:.0f} s for one MiB: it is too complicated"
            )
            return
        except (RecursionError, MemoryError):
            self._give_up(number, "this expression needs too much memory")
            return
        except CancelledStepError:
            return
        except _UnreadError:
            task.stalled = not task.again
            return
        except OSError as error:
            task.stalled = True
            self._send(scanwire.news("problem", number, f"cannot read: {error.strerror or 'an error'}"))
            return
        if number not in self._tasks or found is None:
            return
        packed = found.pack()
        self._results.setdefault(number, []).append(packed)
        self._held += len(packed)
        now = time.monotonic()
        task.took(now - began, int.from_bytes(found.bits, "little").bit_count())
        if now - self._flushed >= INTERVAL or self._held >= _ENOUGH:
            self._flush()
        descriptor = self._files.get(task.file)
        if self._with_ripgrep and descriptor is not None:
            task.try_ripgrep(descriptor)

    def _give_up(self, number: int, problem: str) -> None:
        self._flush()
        self._do_cancel(number)
        self._send(scanwire.news("problem", number, problem))

    def _read(self, file: int, at: int, size: int) -> bytes:
        descriptor = self._files[file]
        if descriptor is not None:
            return os.pread(descriptor, size, at)
        self._ticks = -1  # waiting is not the expression's fault
        self._flush()
        self._send(scanwire.news("read", file, at, size))
        while not self._answers:
            self._wait(None)
        answer = self._answers.pop()
        self._ticks = 0
        if answer is None:
            raise _UnreadError
        return answer

    # Results.

    def _flush(self) -> None:
        results, self._results = self._results, {}
        self._held = 0
        self._flushed = time.monotonic()
        for number, packed in results.items():
            if (task := self._tasks.get(number)) is not None:
                head = scanwire.JOB.pack(number, task.job.first)
                self._send(scanwire.frame(scanwire.HITS, head + b"".join(packed)))

    def _send(self, data: bytes) -> None:
        self._sending = True
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._line, view) :]
        except OSError:
            self._end()
        self._sending = False

    # What may never end.

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Watch over an expression: Python looks at signals while it matches."""
        self._ticks = 0
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _tick(self, _number: int, _frame: FrameType | None) -> None:
        if self._ticks < 0:
            return
        self._ticks += 1
        if not self._sending:
            self._flush()
        if self._ticks * INTERVAL > PATIENCE:
            raise _TooSlowError

    def _die_with_parent(self) -> None:
        """End when the other side closes, in the middle of an expression too."""
        signal.signal(signal.SIGIO, self._hung_up)
        fcntl.fcntl(self._line, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._line, fcntl.F_SETFL, fcntl.fcntl(self._line, fcntl.F_GETFL) | os.O_ASYNC)

    def _hung_up(self, _number: int, _frame: FrameType | None) -> None:
        poll = select.poll()
        poll.register(self._line, 0)  # a hang-up is told of in any case
        if poll.poll(0):
            self._end()

    def _end(self) -> None:
        for task in self._tasks.values():
            task.close()
        os._exit(0)


def _total(descriptor: int, first: int, size: int) -> LineCount | None:
    """Have all lines of a file counted, where that is worth a process."""
    program = find_wc() if first == 0 and size >= WORTH else None
    if program is not None:
        with contextlib.suppress(OSError):  # without it, then
            return LineCount(program, descriptor)
    return None


def main(line: int, descriptors: int, ripgrep: bool) -> None:
    """Serve over two sockets, given as descriptors."""
    Worker(line, descriptors, ripgrep).run()
