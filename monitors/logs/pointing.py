"""A folder or a pattern as one log: the newest file that it means, and the next one when that comes.

Every file is a source of its own; this one strings them together. What was shown of a file before it was left is not
shown again when it is come back to. Which file it is, and when another takes over, is the rule of `choosing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from hosts.aside import aside
from hosts.errors import GatewatchError, UnreachableError
from monitors.logs.choosing import Chooser, Looked
from monitors.logs.clocks import ahead_of
from monitors.logs.days import DatedSource
from monitors.logs.looking import Look, is_text
from monitors.logs.scan_far import Searcher, searcher_of
from monitors.logs.tally_far import Counter, CountingSource
from monitors.logs.types import Generation, GoneError, Mark, MarkKind, Place, Shape, Source, Status

VISIBLE_S = 0.5
HIDDEN_S = 2.0
KEPT = 8
"""Generations of files that were left which stay readable; each costs what its source holds."""

_SHARE = 50  # of the time, at most one part in so many is spent looking
_LONGEST_S = 15.0
_T = TypeVar("_T")
_PATIENCE_S = 5.0
_CATCH_UP_S = 1.0


class Looker(Protocol):
    """Where candidates come from."""

    def rank(self, path: str) -> int:
        """How much a path is wanted (choosing.Chooser)."""
        ...

    async def look(self, current: str | None) -> Looked:
        """What is new since the look before. Raises a GatewatchError where nothing could be looked at."""
        ...

    async def is_text(self, path: str) -> bool: ...

    async def close(self) -> None: ...


class LocalLooker:
    """The files of this machine, looked at in a thread."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def rank(self, path: str) -> int:
        return self._look.rank(path)

    async def look(self, current: str | None) -> Looked:
        return await aside(lambda: self._look.look(current), f"look {self._look.root}")

    async def is_text(self, path: str) -> bool:
        return await aside(lambda: is_text(path), f"look {path}")

    def ignore(self, status: os.stat_result) -> None:
        """As Look.ignore."""
        self._look.ignore(status)

    async def close(self) -> None:
        """Nothing is held open here."""


@dataclass
class _File:
    """One file that was, or is, read; how far it was shown, and with which marks, when it was left last."""

    path: str
    source: Source
    left: Place | None = None
    shown: frozenset[Mark] = frozenset()


@dataclass(frozen=True)
class _Part:
    """Where a generation of ours comes from."""

    file: _File
    number: int


class PointingSource:
    """The newest log of many.

    Args:
        looker: Knows the candidates.
        make: A source for one of them.
        root: What names are shown relative to, a folder.
        nothing: What to say while there is no log, in one line.
        name: What it is called while there is none, for a title.
        visible_interval: Seconds between two looks while somebody watches; more where a look takes long.
        hidden_interval: Likewise while nobody does.
        now: Our clock, seconds since the epoch.
        monotonic: Our monotonic clock, seconds, for the rule.
    """

    def __init__(
        self,
        looker: Looker,
        make: Callable[[str], Source],
        root: str,
        nothing: str,
        *,
        name: str = "",
        visible_interval: float = VISIBLE_S,
        hidden_interval: float = HIDDEN_S,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._looker = looker
        self._make = make
        self._root = root.rstrip("/") + "/"
        self._nothing = nothing
        self._intervals = (hidden_interval, visible_interval)
        self._now = now
        self._monotonic = monotonic
        self._chooser = Chooser(looker.rank)
        self._visible = True
        self._next = 0
        self._files: list[_File] = []
        self._at: _File | None = None
        self._numbers: dict[int, int] = {}  # of the present file's generations, to ours
        self._parts: dict[int, _Part] = {}
        self._past: tuple[Generation, ...] = ()
        self._past_marks: tuple[Mark, ...] = ()
        self._turned: Mark | None = None  # its place is settled with the present file's first generation
        self._forgotten = 0
        self._own = (Status.WAITING, "", now())  # nobody has looked
        self._basis: Shape | None = None
        self._name = name or root
        self._shape = Shape(since=now(), name=self._name)
        self._changed: Callable[[], None] | None = None
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def shape(self) -> Shape:
        basis = self._at.source.shape if self._at is not None else None
        if basis is not self._basis:
            self._basis = basis
            self._compose()
        return self._shape

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to look."""
        self._changed = changed
        self._task = asyncio.create_task(self._watch())

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        known = next((one for one in self.shape.generations if one.number == generation), None)
        part = self._parts.get(generation)
        if known is None or part is None or offset < known.first:
            raise GoneError("the part of the log that is asked for is not kept any more")
        return await part.file.source.read(part.number, offset, max(0, min(size, known.size - offset)))

    def descriptor(self, generation: int) -> int | None:
        part = self._parts.get(generation)
        return part.file.source.descriptor(part.number) if part is not None else None

    def counter(self, generation: int) -> Counter | None:
        """Who counts the lines of a generation where it lies; None where nobody does."""
        part = self._parts.get(generation)
        if part is None or not isinstance(part.file.source, CountingSource):
            return None
        return part.file.source.counter(part.number)

    def searcher(self, generation: int) -> Searcher | None:
        """Who searches a generation where it lies; None where nobody does."""
        part = self._parts.get(generation)
        return searcher_of(part.file.source, part.number) if part is not None else None

    async def written(self) -> float | None:
        """When the present file was last written; None where nobody knows."""
        if self._at is None or not isinstance(self._at.source, DatedSource):
            return None
        return await self._at.source.written()

    async def ahead(self) -> float:
        """As the present file's source says it; 0 where there is none."""
        return await ahead_of(self._at.source) if self._at is not None else 0.0

    def ignore(self, status: os.stat_result) -> None:
        """A file of this machine that we wrote is no log, until it is written to; may be called from any thread."""
        if isinstance(self._looker, LocalLooker):
            self._looker.ignore(status)

    def watch(self, visible: bool) -> None:
        self._visible = visible
        if self._at is not None:
            self._at.source.watch(visible)
        self._stirred.set()

    async def close(self) -> None:
        self._changed = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for file in self._files:
            await file.source.close()
        await self._looker.close()

    # Looking.

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self._look()
            except (GatewatchError, OSError) as error:
                lost = self._at is not None or isinstance(error, UnreachableError)
                self._say(Status.STALE if lost else Status.WAITING, " ".join(str(error).split()))
            pause = max(self._intervals[self._visible], min(_SHARE * (time.monotonic() - began), _LONGEST_S))
            await self._stir(pause)

    async def _look(self) -> None:
        seen = await self._patiently(self._looker.look(self._chooser.current))
        now = self._monotonic()
        path = self._chooser.look(seen, now)
        while path is not None and (self._at is None or path != self._at.path):
            if self._looker.rank(path) > 1 or await self._patiently(self._looker.is_text(path)):
                await self._turn(path)
                break
            path = self._chooser.refuse(path, now)
        if self._at is not None:
            self._say(Status.LIVE, seen.problem)
        elif seen.problem.endswith(os.strerror(errno.EACCES)):
            self._say(Status.DENIED, seen.problem)
        else:
            self._say(Status.WAITING, seen.problem or self._nothing)

    async def _patiently(self, work: Awaitable[_T]) -> _T:
        """Wait for an answer, however long it takes, and say so when it takes long."""
        asked = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({asked}, timeout=_PATIENCE_S)
            if not done:
                self._say(Status.STALE, f"{self._root}: no answer for {_PATIENCE_S:g} s")
            return await asked
        finally:
            asked.cancel()

    def _say(self, status: Status, detail: str) -> None:
        if (status, detail) != self._own[:2]:
            since = self._own[2] if status is self._own[0] else self._now()
            self._own = (status, detail, since)
            self._tell()

    # Turning from one file to the next.

    async def _turn(self, path: str) -> None:
        if self._at is not None:
            await self._catch_up(self._at)
            self._leave(self._at)
            self._turned = Mark(Place(-1, 0), MarkKind.REPOINTED, self._title(path), 0, self._now())
        file = next((known for known in self._files if known.path == path), None)
        if file is None:
            file = _File(path, self._make(path))
            self._files.append(file)
            await file.source.start(self._heard)
        self._at, self._numbers = file, {}
        file.source.watch(self._visible)
        await self._trim()
        self._tell()

    async def _catch_up(self, file: _File) -> None:
        """Let a file's source see what the look saw: its last lines often come just before the next file."""
        stamp = self._chooser.stamp(file.path)
        until = self._monotonic() + _CATCH_UP_S
        while stamp is not None and (left := until - self._monotonic()) > 0:
            generations = file.source.shape.generations
            if generations and generations[-1].size >= stamp.size:
                return
            await self._stir(left)

    def _leave(self, file: _File) -> None:
        shape = self.shape
        assert self._basis is not None
        if self._basis.generations:
            last = self._basis.generations[-1]
            file.left = Place(last.number, last.size)
            file.shown = frozenset(self._basis.marks)
        self._past = tuple(replace(one, live=False) for one in shape.generations)
        self._past_marks = shape.marks
        file.source.watch(False)

    async def _trim(self) -> None:
        """Forget the oldest of what was left, and close what nobody can read any more."""
        over = len(self._past) - KEPT
        if over > 0:
            gone, self._past = self._past[:over], self._past[over:]
            first = Place(self._past[0].number, self._past[0].first)
            lost = [mark for mark in self._past_marks if mark.at <= first and mark.kind is MarkKind.LOST]
            count = sum(one.size - one.first for one in gone) + sum(mark.missing or 0 for mark in lost)
            mark = Mark(first, MarkKind.LOST, f"{count:,} earlier bytes are not kept any more", count, self._now())
            self._past_marks = (mark, *(one for one in self._past_marks if one.at >= first and one not in lost))
            for one in gone:
                self._parts.pop(one.number, None)
        used = {part.file.path for part in self._parts.values()}
        for file in [file for file in self._files if file is not self._at and file.path not in used]:
            self._files.remove(file)
            await file.source.close()

    async def _stir(self, seconds: float) -> None:
        """Wait so long, or until something happens."""
        self._stirred.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()

    # What is shown.

    def _heard(self) -> None:
        """A file's source has news."""
        self._stirred.set()
        if self._changed is not None:
            self._changed()

    def _tell(self) -> None:
        self._basis = self._at.source.shape if self._at is not None else None
        self._compose()
        if self._changed is not None:
            self._changed()

    def _compose(self) -> None:
        """The shape, from what was left and what the present file's source says."""
        if self._at is None or self._basis is None:
            status, detail, since = self._own
            self._shape = Shape(self._past, self._past_marks, status, detail, since, self._name)
            return
        basis, left = self._basis, self._at.left or Place(-1, 0)
        generations: list[Generation] = []
        for one in basis.generations:
            if one.number < left.generation or (
                one.number == left.generation and not one.live and one.size <= left.offset
            ):
                continue  # shown before
            number = self._number(one.number)
            first = min(max(one.first, left.offset), one.size) if one.number == left.generation else one.first
            generations.append(replace(one, number=number, first=first))
        marks = [
            replace(mark, at=Place(self._numbers[mark.at.generation], mark.at.offset))
            for mark in basis.marks
            if mark.at.generation in self._numbers and mark.at >= left and mark not in self._at.shown
        ]
        if self._turned is not None and generations:
            marks.insert(0, replace(self._turned, at=Place(generations[0].number, generations[0].first)))
        status, detail, since = basis.status, basis.detail, basis.since
        if not detail and basis.generations:
            detail = self._own[1]
        elif not detail and status is Status.WAITING and self._own[0] is Status.STALE:
            # Of a file that nobody has opened yet there is no more to say; what looks that are answered find wrong
            # elsewhere would read as if it were about this one
            status, detail, since = self._own
        self._shape = Shape(
            (*self._past, *generations), (*self._past_marks, *marks), status, detail, since, basis.name or self._at.path
        )

    def _number(self, number: int) -> int:
        """Ours for a generation of the present file's source."""
        assert self._at is not None
        if number not in self._numbers:
            self._numbers[number] = self._next
            self._parts[self._next] = _Part(self._at, number)
            self._next += 1
        return self._numbers[number]

    def _title(self, path: str) -> str:
        return f"now {path.removeprefix(self._root)}: {self._chooser.why}"
