"""The scan of a generation that is too small for a worker process, in a thread."""

from __future__ import annotations

import os

from hosts.aside import aside
from hosts.local import lines
from hosts.local.blocks import BlockHits, Matcher
from hosts.local.scan import Job
from monitors.logs.scan_piece import Piece
from monitors.logs.types import Source


class SmallScan:
    """Looks at a piece, and on growth at what was added.

    Args:
        source: The log.
        piece: Which part of it.
        matcher: What to look for, without anybody's expressions: these may never end.
    """

    def __init__(self, source: Source, piece: Piece, matcher: Matcher | None) -> None:
        self._source = source
        self._piece = piece
        self._low = 0
        self._data = b""
        self._descriptor: int | None = None
        self._job = Job(self._read, matcher, piece.encoding, piece.first, piece.size)
        for low, high in piece.spans():
            self._job.skip(low, high)

    async def scan(self) -> list[BlockHits]:
        """What is found in everything that was not looked at before.

        Raises:
            UnreachableError: Nobody answers who has the bytes.
            GoneError: They were thrown away; the source's shape is about to say so.
            OSError: They cannot be read.
        """
        piece, job = self._piece, self._job
        job.grow(piece.first, piece.size)
        if piece.descriptor is not None:
            # The source may close its own while the thread reads
            self._descriptor = os.dup(piece.descriptor)
        else:
            await self._fetch()
        try:
            return await aside(lambda: list(iter(job.step, None)), "log-scan")
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    async def _fetch(self) -> None:
        """Have all bytes here that the next steps need: from the block before the first of them on."""
        piece = self._piece
        low = max(piece.first, (self._job.lowest() - 1) * lines.BLOCK)
        if low < self._low or low > self._low + len(self._data):
            self._data = b""
        else:
            self._data = self._data[low - self._low :]
        self._low = low
        at = low + len(self._data)
        if at < piece.size:
            self._data += await self._source.read(piece.generation, at, piece.size - at)

    def _read(self, at: int, size: int) -> bytes:
        if self._descriptor is not None:
            return os.pread(self._descriptor, size, at)
        return self._data[max(0, at - self._low) : max(0, at - self._low + size)]
