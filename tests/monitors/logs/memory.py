"""A log's source in memory: everything that a real one does to its reader, at the moment a test says so."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import replace

from hosts.errors import UnreachableError
from monitors.logs.types import Generation, GoneError, Mark, MarkKind, Place, Shape, Status

BEGAN_AT = 1_000_000.0


class MemorySource:
    """A source whose generations are byte strings; its clock stands still unless `now` is set.

    Args:
        data: What the first generation holds from the start, None for a log that is not there yet.
        descriptors: Whether a worker process may read the bytes through a descriptor.

    Attributes:
        now: The clock of the marks.
        bytes_read: Bytes given out through `read` so far.
        reads: Every read that was asked for: generation, offset, size.
        open: While cleared, reads wait; set again, they go on.
        unreachable: While not "", reads fail with this line.
        visible: What `watch` said last.
    """

    def __init__(self, data: bytes | None = None, *, descriptors: bool = False) -> None:
        self.now = BEGAN_AT
        self.bytes_read = 0
        self.reads: list[tuple[int, int, int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.unreachable = ""
        self.visible = True
        self._held: dict[int, bytearray] = {}
        self._descriptors: dict[int, int] | None = {} if descriptors else None
        self._shape = Shape(since=self.now, name="memory")
        self._changed: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending = False
        if data is not None:
            self._begin(data)

    # What a reader sees.

    @property
    def shape(self) -> Shape:
        return self._shape

    async def start(self, changed: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        self._changed, self._loop = changed, asyncio.get_running_loop()

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        self.reads.append((generation, offset, size))
        await asyncio.sleep(0)
        await self.open.wait()
        if self.unreachable:
            raise UnreachableError(self.unreachable)
        known = next((known for known in self._shape.generations if known.number == generation), None)
        if known is None or offset < known.first:
            raise GoneError(f"generation {generation}, byte {offset}: thrown away")
        data = bytes(self._held[generation][offset : offset + size])
        self.bytes_read += len(data)
        return data

    def descriptor(self, generation: int) -> int | None:
        return None if self._descriptors is None else self._descriptors.get(generation)

    def watch(self, visible: bool) -> None:
        self.visible = visible

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._changed = None
        for descriptor in (self._descriptors or {}).values():
            os.close(descriptor)
        self._descriptors = None if self._descriptors is None else {}

    # What happens to it.

    def append(self, data: bytes) -> None:
        """The writer writes."""
        if not self._shape.generations or not self._shape.generations[-1].live:
            self._begin(data)
            return
        live = self._shape.generations[-1]
        self._store(live.number, data)
        self._show(replace(live, size=live.size + len(data)))

    def rotate(
        self,
        data: bytes = b"",
        kind: MarkKind = MarkKind.ROTATED,
        missing: int | None = 0,
        name: str = "memory",
        first: int = 0,
    ) -> None:
        """Another file takes the place, and holds `data` already, of which what is before `first` was shown before."""
        self._begin(data, kind=kind, missing=missing, name=name, first=first)

    def truncate(self, data: bytes = b"", kept: int = 4 << 20) -> None:
        """The writer throws its file's content away and writes `data`; the last `kept` bytes of it are still held."""
        if self._shape.generations:
            live = self._shape.generations[-1]
            self._show(replace(live, first=max(live.first, live.size - kept)))
        self._begin(data, kind=MarkKind.TRUNCATED, missing=None)

    def forget(self, generation: int, first: int | None = None, *, told: bool = True) -> None:
        """Throw away what a generation holds before `first`, or, without it, the generation and all older ones.

        Args:
            told: Whether a LOST mark says so.
        """
        kept = [known for known in self._shape.generations if first is not None or known.number > generation]
        at = Place(generation, first) if first is not None else Place(generation + 1, kept[0].first if kept else 0)
        lost = sum(known.size - known.first for known in self._shape.generations if known not in kept)
        if first is not None:
            old = next(known for known in kept if known.number == generation)
            lost = max(first, old.first) - old.first
            kept = [replace(known, first=max(first, known.first)) if known is old else known for known in kept]
        self._shape = replace(self._shape, generations=tuple(kept))
        if told:
            self.mark(MarkKind.LOST, f"{lost} bytes are gone", lost, at)
        self._tell()

    def mark(self, kind: MarkKind, text: str = "", missing: int | None = 0, at: Place | None = None) -> None:
        """A row of ours, at the end unless `at` says where."""
        last = self._shape.generations[-1]
        mark = Mark(at or Place(last.number, last.size), kind, text or kind.value, missing, self.now)
        marks = sorted((*self._shape.marks, mark), key=lambda known: known.at)
        self._shape = replace(self._shape, marks=tuple(marks))
        self._tell()

    def status(self, status: Status, detail: str = "") -> None:
        """What the source says of itself."""
        self._shape = replace(self._shape, status=status, detail=detail, since=self.now)
        self._tell()

    def end(self) -> None:
        """Standard input is at its end."""
        last = self._shape.generations[-1]
        self._show(replace(last, live=False))
        self.mark(MarkKind.ENDED, "the input has ended")
        self.status(Status.ENDED)

    # What a test may ask.

    def readable(self) -> tuple[tuple[int, int, bytes], ...]:
        """Every generation that can be read: its number, its first byte, and its bytes from there on."""
        return tuple(
            (known.number, known.first, bytes(self._held[known.number][known.first : known.size]))
            for known in self._shape.generations
        )

    def whole(self, generation: int) -> bytes:
        """All that a generation ever held."""
        return bytes(self._held[generation])

    def _begin(
        self,
        data: bytes,
        kind: MarkKind | None = None,
        missing: int | None = 0,
        name: str = "memory",
        first: int = 0,
    ) -> None:
        old = self._shape.generations
        number = old[-1].number + 1 if old else 0
        before: Iterable[Generation] = (replace(known, live=False) for known in old)
        self._held[number] = bytearray()
        if self._descriptors is not None:
            self._descriptors[number] = os.memfd_create(f"generation-{number}")
        self._store(number, data)
        marks = self._shape.marks
        if kind is not None and old:
            marks = (*marks, Mark(Place(number, first), kind, kind.value, missing, self.now))
        generations = (*before, Generation(number, len(data), first=first, name=name))
        self._shape = replace(
            self._shape, generations=generations, marks=marks, status=Status.LIVE, since=self.now, name=name
        )
        self._tell()

    def _store(self, number: int, data: bytes) -> None:
        self._held[number] += data
        if self._descriptors is not None:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptors[number], view) :]

    def _show(self, generation: Generation) -> None:
        generations = tuple(
            generation if known.number == generation.number else known for known in self._shape.generations
        )
        self._shape = replace(self._shape, generations=generations)
        self._tell()

    def _tell(self) -> None:
        if self._changed is None or self._loop is None or self._pending:
            return
        self._pending = True
        self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._pending = False
        if self._changed is not None:
            self._changed()
