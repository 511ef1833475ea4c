"""run.log as it grows: read from where the last reading stopped, in bounded blocks, anew when it is another file.

Nothing is followed and nothing is held open: a reading costs a thread hop here or a round trip there, and there is
one when somebody who sees the pane asks for it.
"""

from __future__ import annotations

import asyncio
import posixpath

from hosts.errors import GatewatchError, InputError
from hosts.host import Chunk, HostReader
from hosts.local.observe import NotThereError
from monitors.calibration.milestones import Milestones

MOST = 4 << 20
"""Bytes at the file's end that are read of one that is longer: some 30,000 lines."""

_BLOCK = 512 << 10
_SLICE = 4 << 10  # bytes that are taken in at a time: the loop is held for a few ms, also where all lines are empty
_CHECK = 64  # bytes before the end that must still be there, or the file was written anew


class RunLogSource:
    """The milestones of one run.log.

    Args:
        reader: Its host.
        path: Absolute on it.

    Attributes:
        path: The file.
        milestones: Of what was read so far.
        there: Whether the file was there at the last reading; None before the first.
        problem: Why the last reading failed, in one line, or "".
        skipped: Bytes at its beginning that are not read.
        anew: How often it was begun anew, because it was another file.
        reads: Calls of the host so far.
    """

    def __init__(self, reader: HostReader, path: str) -> None:
        self._reader = reader
        self.path = path
        self.milestones = Milestones()
        self.there: bool | None = None
        self.problem = ""
        self.skipped = 0
        self.anew = 0
        self.reads = 0
        self._begun = False
        self._end = 0
        self._check = b""

    async def catch_up(self) -> bool:
        """Read what was added; returns whether anything is different now. Never raises what a host may answer."""
        before = self._state()
        try:
            while await self._block():
                pass
            self.there, self.problem = True, ""
        except NotThereError:
            try:
                if self._end and not await self._folder_is_gone():
                    self._begin(0)
                self.there, self.problem = False, ""
            except GatewatchError as error:
                self.problem = str(error)
        except GatewatchError as error:
            self.problem = str(error)
        return self._state() != before

    async def _folder_is_gone(self) -> bool:
        """Whether the run directory itself is not there: what it held is kept then, as a look that failed keeps it."""
        try:
            await self._reader.read(posixpath.dirname(self.path), 0, 1)
        except NotThereError:
            return True
        except InputError:  # it is a directory, which has nothing to read
            return False
        return False

    async def _block(self) -> bool:
        """Read one block; returns whether there is more."""
        self.reads += 1
        chunk = await self._reader.read(self.path, self._end - len(self._check), _BLOCK)
        if not self._continues(chunk):
            first = max(0, chunk.size - MOST)
            self._begin(first)
            return chunk.size > 0
        data = chunk.data[len(self._check) :]
        for start in range(0, len(data), _SLICE):
            self.milestones.feed(data[start : start + _SLICE])
            await asyncio.sleep(0)
        self._end += len(data)
        self._check = (self._check + data)[-_CHECK:]
        return bool(data) and self._end < chunk.size

    def _continues(self, chunk: Chunk) -> bool:
        """Whether this is the file of before, with nothing taken away."""
        if not self._begun:
            self._begun = True
            return chunk.size <= MOST
        return chunk.size >= self._end and chunk.data.startswith(self._check)

    def _begin(self, first: int) -> None:
        self.milestones = Milestones(first)
        self.skipped = first
        self._end, self._check = first, b""
        self.anew += 1

    def _state(self) -> tuple[object, ...]:
        found = self.milestones
        return self.there, self.problem, self.anew, found.dropped + len(found.items)
