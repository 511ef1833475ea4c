"""What every source of a log keeps about it: generations, marks, status, and who is told of a change.

A source calls the recorder from whichever thread it looks in; `shape` may be read from any thread. The listener is
called on the event loop it was given with, at most once an interval, and never while the recorder is locked.
"""

from __future__ import annotations

import asyncio
import bisect
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from monitors.logs.types import Generation, Mark, MarkKind, Place, Shape, Status

INTERVAL = 1 / 30
"""Seconds between two calls of a listener."""

MARKS = 4096
"""The most marks that are kept; the oldest go first."""


class ShapeRecorder:
    """The shape of one log while it changes.

    Args:
        name: What is about to be read, for a title.
        kept: Generations that are kept at most; with one more, the oldest is forgotten, and a mark says so.
        now: Our clock, seconds since the epoch.
        interval: Seconds between two calls of the listener.
    """

    def __init__(
        self, name: str = "", *, kept: int = 16, now: Callable[[], float] = time.time, interval: float = INTERVAL
    ) -> None:
        self._kept = max(1, kept)
        self._now = now
        self._interval = interval
        self._lock = threading.RLock()
        self._generations: list[Generation] = []
        self._marks: list[Mark] = []
        self._forgotten: Mark | None = None  # ours, of `forget`: there is one, and it moves
        self._next = 0
        self._shape = Shape(since=now(), name=name)
        self._fresh = True  # whether `_shape` holds what the lists hold
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: Callable[[], None] | None = None
        self._told = float("-inf")  # the loop's clock at the last call
        self._pending = False

    @property
    def shape(self) -> Shape:
        """The newest shape; the same object until something changes."""
        with self._lock:
            if not self._fresh:
                self._shape = replace(self._shape, generations=tuple(self._generations), marks=tuple(self._marks))
                self._fresh = True
            return self._shape

    @property
    def live(self) -> Generation | None:
        """The generation that may still grow."""
        with self._lock:
            last = self._generations[-1] if self._generations else None
            return last if last is not None and last.live else None

    def generation(self, number: int) -> Generation | None:
        """A generation that is kept, or None."""
        with self._lock:
            return next((one for one in self._generations if one.number == number), None)

    def listen(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None] | None) -> None:
        """Tell somebody of every change from now on, on their loop; None tells nobody any more."""
        with self._lock:
            self._loop, self._changed = loop, changed

    def begin(self, name: str, size: int = 0, *, first: int = 0) -> int:
        """The first generation, or one that needs no mark of its own; the one before ends.

        Returns:
            Its number.
        """
        with self._lock:
            self.settle()
            number, self._next = self._next, self._next + 1
            self._generations.append(Generation(number, size, first, True, name))
            self._shape = replace(self._shape, name=name)
            if len(self._generations) > self._kept:
                self.forget(Place(self._generations[-self._kept].number, self._generations[-self._kept].first))
            self._touch()
            return number

    def turn(self, kind: MarkKind, text: str, missing: int | None, name: str, size: int = 0, *, first: int = 0) -> int:
        """Another file, or another content of the same one, took the place: a generation with a mark before it.

        Args:
            kind: Why.
            text: One line for people.
            missing: Bytes between the end of the one before and the beginning of this, None where unknown.
            name: What is read from now on.
            size: Bytes that it has.
            first: The first of them that can be read.

        Returns:
            Its number.
        """
        with self._lock:
            number = self.begin(name, size, first=first)
            self.mark(kind, text, missing, Place(number, first))
            return number

    def grow(self, size: int) -> None:
        """The live generation has so many bytes now; fewer than it had are no news."""
        with self._lock:
            live = self.live
            if live is not None and size > live.size:
                self._generations[-1] = replace(live, size=size)
                self._touch()

    def settle(self, first: int | None = None, name: str | None = None) -> None:
        """The live generation will not grow any more.

        Args:
            first: The first byte of it that can still be read, where that is not what it was.
            name: Under which name it is from now on, where that changed.
        """
        with self._lock:
            live = self.live
            if live is not None:
                name = live.name if name is None else name
                self._generations[-1] = replace(live, live=False, name=name)
                self._begins(len(self._generations) - 1, live.first if first is None else first)
                self._touch()

    def cut(self, number: int, first: int, text: str, missing: int | None) -> None:
        """Bytes at the beginning of any generation can not be read any more, or never could; a mark says so.

        Args:
            number: Which generation.
            first: The first byte of it that stays.
            text: One line for people.
            missing: Bytes that are missed, 0 where they were nothing to miss.
        """
        with self._lock:
            for index, one in enumerate(self._generations):
                if one.number == number and self._begins(index, first):
                    self.mark(MarkKind.LOST, text, missing, Place(number, self._generations[index].first))

    def mark(self, kind: MarkKind, text: str, missing: int | None, at: Place | None = None) -> None:
        """A row of ours, at the end of what there is where no place is given.

        Without any generation there is nowhere to put it, and nothing is done.
        """
        with self._lock:
            if at is None:
                if not self._generations:
                    return
                at = Place(self._generations[-1].number, self._generations[-1].size)
            self._insert(Mark(at, kind, text, missing, self._now()))
            del self._marks[: max(0, len(self._marks) - MARKS)]
            self._touch()

    def forget(self, at: Place, why: str = "are not kept any more") -> None:
        """Nothing before `at` can be read any more: one mark there counts all the bytes that went that way.

        Args:
            at: The first byte that stays, in a generation that is kept.
            why: The rest of a sentence that begins with "1,234 earlier bytes".
        """
        with self._lock:
            gone = sum(one.size - one.first for one in self._generations if one.number < at.generation)
            kept = [one for one in self._generations if one.number >= at.generation]
            fewer, self._generations = len(kept) < len(self._generations), kept
            if self._generations and self._generations[0].number == at.generation:
                oldest = self._generations[0]
                first = min(max(at.offset, oldest.first), oldest.size)
                gone += first - oldest.first
                self._generations[0] = replace(oldest, first=first)
                at = Place(at.generation, first)
            before = [mark for mark in self._marks if mark.at < at or mark is self._forgotten]
            if gone == 0 and all(mark is self._forgotten and mark.at == at for mark in before):
                if fewer:  # what went had nothing to read
                    self._touch()
                return
            gone += sum(mark.missing or 0 for mark in before)
            self._marks = [mark for mark in self._marks if mark.at >= at and mark is not self._forgotten]
            self._forgotten = Mark(at, MarkKind.LOST, f"{gone:,} earlier bytes {why}", gone, self._now())
            self._marks.insert(0, self._forgotten)
            self._touch()

    def status(self, status: Status, detail: str = "") -> None:
        """What the source is doing; `since` begins anew only with another status."""
        with self._lock:
            if (status, detail) != (self._shape.status, self._shape.detail):
                since = self._shape.since if status is self._shape.status else self._now()
                self._shape = replace(self._shape, status=status, detail=detail, since=since)
                self._touch()

    def _begins(self, index: int, first: int) -> bool:
        """Let a generation begin later; whether that is news. Rows of ours before it stand where it begins."""
        one = self._generations[index]
        stays = min(first, one.size)
        if stays <= one.first:
            return False
        self._generations[index] = replace(one, first=stays)
        at, end = Place(one.number, one.first), Place(one.number, stays)
        self._marks = [replace(mark, at=end) if at <= mark.at < end else mark for mark in self._marks]
        return True

    def _insert(self, mark: Mark) -> None:
        bisect.insort(self._marks, mark, key=lambda one: one.at)

    def _touch(self) -> None:
        """Something changed: the next `shape` is another object, and the listener is told soon."""
        self._fresh = False
        if self._changed is None or self._loop is None or self._pending:
            return
        try:
            self._loop.call_soon_threadsafe(self._arrange)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            self._changed = None
        else:
            self._pending = True

    def _arrange(self) -> None:
        """On the loop: call the listener now, or when an interval has passed since the last call."""
        loop = self._loop
        assert loop is not None
        wait = self._told + self._interval - loop.time()
        if wait > 0:
            loop.call_later(wait, self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            self._pending = False  # before the call: what changes during it is told again
            changed = self._changed
            if self._loop is not None:
                self._told = self._loop.time()
        if changed is not None:
            changed()
