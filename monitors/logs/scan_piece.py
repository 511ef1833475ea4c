"""How far the scan of one generation is."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol

from hosts.errors import GatewatchError
from hosts.local import lines
from hosts.local.blocks import BlockHits
from hosts.local.lines import Encoding
from hosts.local.scan import renumbered
from monitors.logs.types import Source


class Worker(Protocol):
    """Whoever takes orders about pieces."""

    def send(self, *order: Any) -> None:
        """Give an order."""
        ...

    def cancel(self, job: int) -> None:
        """Have a job dropped."""
        ...


class Piece:
    """The part of a scan that one generation is.

    Attributes:
        generation: Its number.
        first: Its first byte that can be read.
        size: Bytes that are known of.
        encoding: How it is written.
        descriptor: Of its file, None where the source has to be asked for bytes.
        idle: It was looked at up to this size.
        high: Nothing behind this offset was looked at.
        worker: Who looks at it, None without one.
        job: Its number there, None without one.
        far: What has it looked at where it lies; None where that is done here.
        near: Whether it has to be done here.
        thread: What looks at it otherwise.
        wake: Set when something changed, for the thread.
    """

    def __init__(self, generation: int, first: int, size: int, encoding: Encoding, descriptor: int | None) -> None:
        self.generation = generation
        self.first = first
        self.size = size
        self.encoding = encoding
        self.descriptor = descriptor
        self.idle = self.high = 0
        self.worker: Worker | None = None
        self.job: int | None = None
        self.far: asyncio.Task[None] | None = None
        self.near = False
        self.thread: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()
        self._done = bytearray()
        self._ends: dict[int, int] = {}  # of blocks that may have to be looked at again
        self._seen = 0
        self._verifying: asyncio.Task[None] | None = None
        self._unverified = False

    @property
    def scanned(self) -> int:
        """Bytes looked at."""
        return min(self._seen, self.size - self.first)

    def grow(self, first: int, size: int, *, by_rows: bool) -> None:
        """Bytes were appended, or thrown away at the beginning.

        Args:
            first: The first byte that is left.
            size: How many bytes there are.
            by_rows: Whether it matters which row is the first.
        """
        if first != self.first and by_rows:
            for block in renumbered(first):
                self._ends.pop(block, None)
                self._done[block : block + 1] = bytes(len(self._done[block : block + 1]))
            self.idle = 0
        self.first, self.size = first, size

    def saw(self, found: BlockHits) -> None:
        """A block was looked at."""
        block, upto = found.block, found.upto
        self._done.extend(bytes(max(0, block + 1 - len(self._done))))
        if self._done[block]:
            return
        self.high = max(self.high, upto)
        self._seen += upto - self._ends.pop(block, max(block * lines.BLOCK, self.first))
        if found.open:
            self._ends[block] = upto
        else:
            self._done[block] = 1

    def verify(self, source: Source) -> None:
        """Have the source see whether the file is still what it was, now that something was read past it."""
        self._unverified = True
        if self._verifying is None:
            self._verifying = asyncio.create_task(self._verify(source))

    async def _verify(self, source: Source) -> None:
        while self._unverified:
            self._unverified = False
            with contextlib.suppress(GatewatchError):  # the source has told of it already
                await source.read(self.generation, self.first, 1)
        self._verifying = None

    def end_tasks(self) -> None:
        """Have no thread look at it any more."""
        for task in (self.thread, self._verifying):
            if task is not None:
                task.cancel()
        self.thread = self._verifying = None

    def covers(self, size: int) -> bool:
        """Whether the block that a size ends in was looked at up to there."""
        block = (size - 1) // lines.BLOCK
        return self.idle >= size or self.is_settled(block) or self._ends.get(block, 0) >= size

    def is_settled(self, block: int) -> bool:
        """Whether nothing that may be appended changes what is known of a block."""
        return self._done[block : block + 1] == b"\1"

    def spans(self) -> list[tuple[int, int]]:
        """Which blocks need no more looking at, as [low, high) each."""
        found: list[tuple[int, int]] = []
        low = self._done.find(1)
        while low >= 0:
            high = self._done.find(0, low)
            high = high if high >= 0 else len(self._done)
            found.append((low, high))
            low = self._done.find(1, high)
        return found
