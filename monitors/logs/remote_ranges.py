"""Bytes of a log on another host that are not held here: read from the file that has them, whatever its name is now."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace

from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Chunk, HostReader, Position, TreeWant, Wants
from hosts.local.counting import Counts, CountWish
from hosts.local.following import Neighbour, likely
from hosts.local.lines import Encoding
from hosts.local.observe import FINGERPRINT, MAX_READ
from hosts.stream import Counting
from hosts.stream_scan import Scanning
from monitors.host import skew_of
from monitors.logs.local_ring import Ring
from monitors.logs.record import ShapeRecorder
from monitors.logs.scan_far import Opening
from monitors.logs.types import Generation, GoneError, Status

_SAMPLE = 1024
_NO_CONTENT = -1
_LOOK_S = 10.0
_ROTATED = (".1", ".0", ".old", *(f".{number}" for number in range(2, 10)))


@dataclass
class RemoteFile:
    """What was one generation: which file it is there, and the bytes of it that are held here.

    Attributes:
        ring: The bytes that are held.
        position: Where the next of them comes from.
        found: The name and inode under which it was found once it had ended, and when that was last written, ns.
        lost: Nobody knows a file that holds the rest.
        sample: Its last bytes, by which it is known once no others are held.
    """

    ring: Ring
    position: Position = field(default_factory=Position)
    found: tuple[str, int, int] = ("", 0, 0)
    lost: bool = False
    sample: bytes = b""

    def let_go(self) -> None:
        """Hold no more than it takes to know the file again."""
        self.sample = self.ring.last(_SAMPLE)
        self.ring.reset(self.ring.end)


class Ranges:
    """Reads parts of generations there.

    Args:
        host: Who reads.
        path: The file that is followed.
        name: What the log is called, for messages.
        record: What is known of its generations; told when a part of one is gone.
    """

    def __init__(self, host: HostReader, path: str, name: str, record: ShapeRecorder) -> None:
        self._host = host
        self._path = path
        self._name = name
        self._record = record

    async def ahead(self) -> float:
        """Seconds by which the clock there is ahead of ours; 0 where they may be the same, or nobody says.

        Raises:
            UnreachableError: The host does not answer.
        """
        try:
            skew = skew_of(await self._host.observe(Wants(load=True), None, _LOOK_S))
        except UnreachableError:
            raise
        except GatewatchError:
            return 0.0
        return skew.seconds if skew.told else 0.0

    async def read(self, known: Generation, file: RemoteFile, offset: int, size: int) -> bytes:
        """Bytes of a generation, at least one of them.

        Raises:
            GoneError: The file that held them is not there any more.
            UnreachableError: The host does not answer.
        """
        async for name in self._names(file, known.size):
            try:
                chunk = await self._host.read(name, offset, min(size, MAX_READ))
                if chunk.data and await self._is(known, file, name, chunk):
                    return chunk.data
            except InputError:
                continue
        now = self._record.generation(known.number)
        if now is None or not now.live or self._record.shape.status is Status.WAITING:
            self.unreadable(known.number, file)
        raise GoneError(f"{self._name}: the file that held this is not there any more")

    async def where(self, known: Generation, file: RemoteFile) -> tuple[str, int]:
        """The name of the file that holds a generation, and its inode.

        Raises:
            GoneError: It is not there any more.
            UnreachableError: The host does not answer.
        """
        async for name in self._names(file, known.size):
            with contextlib.suppress(InputError):
                chunk = await self._host.read(name, known.first, 1)
                if await self._is(known, file, name, chunk):
                    return name, chunk.inode
        raise GoneError(f"{self._name}: the file that held this is not there any more")

    def unreadable(self, number: int, file: RemoteFile) -> None:
        """No file holds a generation any more: what is not held here is gone."""
        known = self._record.generation(number)
        if known is None:
            return
        whole = file.ring.end == known.size  # its end may never have come over, nor how far away that is
        first = file.ring.start if whole else known.size
        if first > known.first:
            missing = first - known.first
            least = "" if whole else "at least "
            self._record.cut(number, first, f"{least}{missing:,} bytes went with the file that held them", missing)

    async def _names(self, file: RemoteFile, size: int) -> AsyncGenerator[str]:
        """Where the file may be, the likeliest first."""
        if file.lost:
            return
        tried = [self._path, *(self._path + suffix for suffix in _ROTATED)]
        if file.found[0]:
            tried.insert(0, file.found[0])
        for name in tried:
            yield name
        for name in likely(self._path, replace(file.position, offset=size), await self.beside()):
            if name not in tried:
                yield name

    async def beside(self) -> list[Neighbour]:
        """The files in its folder whose names begin as its own does.

        Raises:
            UnreachableError: The host does not answer.
        """
        folder, base = os.path.split(self._path)
        stem = glob.escape(os.path.splitext(base)[0])
        want = TreeWant(folder or ".", (f"{stem}*",), _NO_CONTENT)
        with contextlib.suppress(InputError):
            seen = await self._host.observe(Wants(trees=(want,)), None, _LOOK_S)
            return [
                Neighbour(name, one.inode, one.size, one.mtime_ns)
                for tree in seen.trees
                for name, one in tree.files.items()
                if one.error is None
            ]
        return []

    async def _is(self, known: Generation, file: RemoteFile, name: str, chunk: Chunk) -> bool:
        """Whether a chunk is of the file that was this generation."""
        at, ring = file.position, file.ring
        if at.fingerprint_size >= FINGERPRINT and chunk.fingerprint != at.fingerprint:
            return False
        stamp = name, chunk.inode, chunk.mtime_ns  # somebody may write another content over it
        if stamp == file.found:
            return True
        if known.live and name == self._path:
            return chunk.inode == at.inode and chunk.size >= at.offset
        if chunk.size < known.size:
            return False
        held = ring.last(_SAMPLE) or file.sample
        if not held:
            return chunk.inode == at.inode
        # A copy has another inode, an inode is used again, and many files begin alike: what is held decides
        sample = await self._host.read(name, ring.end - len(held), len(held))
        if sample.data != held or sample.inode != chunk.inode:
            return False
        file.found = stamp
        return True


class RemoteCounter:
    """Has the newlines of one generation counted there.

    Args:
        host: Who counts.
        ranges: Finds the file.
        known: Tells what is known of the generation by now; None once it is not kept any more.
        file: Which file it is there.
    """

    def __init__(
        self, host: Counting, ranges: Ranges, known: Callable[[], Generation | None], file: RemoteFile
    ) -> None:
        self._host = host
        self._ranges = ranges
        self._known = known
        self._file = file

    def held(self, at: int, size: int) -> bytes | None:
        """Bytes that arrived, some of those that are asked for; None where the first of them is not held any more."""
        return self._file.ring.read(at, size)

    async def count(self, low: int, size: int, encoding: Encoding) -> AsyncGenerator[Counts]:
        """Counts of the blocks from offset `low` up to `size`; nothing where nobody there counts.

        Raises:
            UnreachableError: Nobody answers.
            InputError, GoneError: The file is another one by now.
        """
        known = self._known()
        if known is None:
            raise GoneError("this part of the log is not kept any more")
        name, inode = await self._ranges.where(known, self._file)
        wish = CountWish(name, inode, known.first, low, size, encoding)
        async with contextlib.aclosing(self._host.count(wish)) as found:
            async for counts in found:
                yield counts


class RemoteSearcher:
    """Knows where one generation lies, for whoever searches it there.

    Args:
        host: Who has it.
        ranges: Finds the file.
        known: Tells what is known of the generation by now; None once it is not kept any more.
        file: Which file it is there.
    """

    def __init__(
        self, host: Scanning, ranges: Ranges, known: Callable[[], Generation | None], file: RemoteFile
    ) -> None:
        self.host = host
        self._ranges = ranges
        self._known = known
        self._file = file

    async def where(self) -> Opening:
        """Which file it is now.

        Raises:
            GoneError: It is not there any more, or not to be told from another.
            UnreachableError: Nobody answers.
        """
        known = self._known()
        if known is None:
            raise GoneError("this part of the log is not kept any more")
        name, inode = await self._ranges.where(known, self._file)
        at = self._file.position
        return Opening(name, inode, known.size, at.fingerprint, at.fingerprint_size)
