"""The rules by which a growing file is followed by its path, across truncation and rotation (SAFETY L1).

Which file it is, is known by inode, by the first KiB (as far as it went when it was last seen) and by the last
bytes that were handed out. When another file has taken its place, the old one is looked for where whoever reads
keeps it open, then under the names that log rotation gives, last among all files beside it, and read to its end first.

No I/O here: a look says which ranges it wants to see, and whoever drives it reads them, here or on another host.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Union

from hosts.errors import InputError
from hosts.host import Chunk, Data, Gap, Position, Rotated

FINGERPRINT = 1024
BLOCK = 1 << 20
OVERLAP = 64
HELD = ""
"""In place of a path: the file of the look before, where whoever reads has it open still."""

BESIDE = "\0"
"""In place of a path: no file is read, but `Follower.beside` is to be set to what `likely` finds beside the file."""

PACKED = (".gz", ".xz", ".zst", ".bz2", ".lz4")
"""Ends of names whose files are compressed: there, and not readable as they are."""

_ROTATED = (".1", ".0", ".old")
_LIKELY = 4  # files that are looked into, each a read

Item = Union[Data, Gap, Rotated]


@dataclass(frozen=True)
class Range:
    """What a look wants to see: `size` bytes from `offset` of the file that is at `path` now, or that is HELD."""

    path: str
    offset: int
    size: int


# Sent back: the range, or None where there is no such file. Thrown in: InputError where it cannot be read.
Look = Generator[Range, Union[Chunk, None], list[Item]]


class Neighbour(NamedTuple):
    """A file beside the one that is followed.

    Attributes:
        name: Its name in the folder.
        inode: Which file it is.
        size: Bytes.
        mtime_ns: When it was last written, ns since the epoch.
    """

    name: str
    inode: int
    size: int
    mtime_ns: int


def likely(path: str, at: Position, there: Iterable[Neighbour]) -> list[str]:
    """The files into which rotation may have moved or copied the one at `path`, whatever it calls them.

    What they hold decides in the end; this only keeps those away that are not worth a read.

    Args:
        path: The file that is followed.
        at: Which one it was, and how far it was read.
        there: What is in its folder.
    """
    folder, base = os.path.split(path)
    stem = os.path.splitext(base)[0]
    found = [
        one
        for one in there
        if one.name != base
        and one.size >= at.offset
        and (one.inode == at.inode or (_is_dated(one.name, stem) and not one.name.endswith(PACKED)))
    ]
    found.sort(key=lambda one: (one.inode != at.inode, -one.mtime_ns))
    return [os.path.join(folder, one.name) for one in found[:_LIKELY]]


def _is_dated(name: str, stem: str) -> bool:
    return name.startswith(stem) and any(sign.isdigit() for sign in name[len(stem) :])


class Follower:
    """One file that is followed.

    Args:
        path: The file.
        at: Where to begin; the position of an earlier item continues there, even in another session.
        last: The last bytes before that position, up to `OVERLAP`, where they are still known: by them a copy of the
            file is found, and a file that was written anew with the same beginning.

    Attributes:
        position: Where the next byte comes from.
        size: Bytes in the file at `path` when it was last looked at; None where there was none.
        ahead: How many of them come after the position; 0 while an earlier file is read to its end.
        at_end: Whether the last look went to the end of the file at `path`, so that the next has nothing to see yet.
        beside: What lies beside the file and may be it by now; set by whoever is asked for BESIDE.
    """

    def __init__(self, path: str, at: Position, last: bytes = b"") -> None:
        self.position = at
        self.size: int | None = None
        self.ahead = 0
        self.at_end = False
        self.beside: list[str] = []
        self._path = path
        self._last = last  # the last bytes handed out of this file, which end at the position
        self._drained: str | None = None  # where the old file went, once it was found there
        self._missed = False

    def look(self, block: int = BLOCK) -> Look:
        """What is new, at most `block` bytes of it; nothing when nothing is.

        Raises:
            InputError: The file is there and cannot be read.
        """
        start = self._start()
        chunk = yield self._range(self._path, start, block)
        self.size = chunk.size if chunk is not None else None
        self.ahead, self.at_end = 0, False
        if chunk is None:
            first, self._missed = not self._missed, True
            return (
                (yield from self._drain(block)) if self.position.inode and (first or self._drained is not None) else []
            )
        self._missed = False
        if self.position.inode == 0:
            if chunk.size < self.position.offset:
                return [self._restart("truncated", chunk)]
            self._adopt(chunk)
        else:
            change = self._change(chunk, start)
            if change is not None:
                return (yield from self._turn(change, chunk, block))
        return self._grown(chunk, start, block)

    def tail(self) -> tuple[Position, bytes] | None:
        """The position, and the bytes before it, if the end is reached and a glance is enough to see what was added."""
        if not self.at_end or not self._last or self.position.fingerprint_size < FINGERPRINT:
            return None
        return self.position, self._last

    def added(self, new: bytes, at_end: bool) -> Data:
        """Take what was found behind the `tail` of the same file; `at_end` says whether it is all there is."""
        at = self.position
        self._last = (self._last + new[-OVERLAP:])[-OVERLAP:]
        self.position = Position(at.offset + len(new), at.inode, at.fingerprint, at.fingerprint_size)
        self.size = self.position.offset
        self.at_end = at_end
        return Data(new, self.position)

    def _start(self) -> int:
        """Where to read from: a little before the position, so that what was handed out can be compared."""
        if self.position.inode and self._short():
            return 0  # the first bytes have to be hashed again, up to where they went then
        return max(0, self.position.offset - len(self._last))

    def _range(self, path: str, start: int, block: int) -> Range:
        # Never less than what has to be hashed
        return Range(path, start, max(self.position.offset - start + block, FINGERPRINT))

    def _short(self) -> bool:
        """Whether the fingerprint covers less than it does in a longer file; then the position is near it."""
        at = self.position
        return bool(at.fingerprint) and at.fingerprint_size < FINGERPRINT and at.offset <= FINGERPRINT

    def _adopt(self, chunk: Chunk) -> None:
        self.position = Position(self.position.offset, chunk.inode, chunk.fingerprint, min(FINGERPRINT, chunk.size))

    def _change(self, chunk: Chunk, start: int) -> str | None:
        """Why this is not the file of before, or None when it is."""
        at = self.position
        if chunk.inode != at.inode:
            return "replaced"
        if chunk.size < at.offset:
            return "truncated"
        return None if self._same(chunk, start) else "truncated"

    def _same(self, chunk: Chunk, start: int) -> bool:
        """Whether a chunk, read from `start`, is of a file with the beginning and the last bytes that we know."""
        at = self.position
        if chunk.size < at.offset:
            return False
        if self._short():
            beginning = hashlib.sha256(chunk.data[: at.fingerprint_size]).hexdigest()
        else:
            beginning = chunk.fingerprint if at.fingerprint_size == FINGERPRINT else at.fingerprint
        before = at.offset - start
        return beginning == at.fingerprint and chunk.data[before - len(self._last) : before] == self._last

    def _grown(self, chunk: Chunk, start: int, block: int) -> list[Item]:
        self._adopt(chunk)
        grown = self._advance(chunk, start, block)
        self.ahead = chunk.size - self.position.offset
        self.at_end = self.ahead == 0
        return grown

    def _advance(self, chunk: Chunk, start: int, block: int) -> list[Item]:
        before = self.position.offset - start
        new = chunk.data[before : before + block]
        if not new:
            return []
        self._last = (self._last + new[-OVERLAP:])[-OVERLAP:]
        self.position = replace(self.position, offset=self.position.offset + len(new))
        return [Data(new, self.position)]

    def _turn(self, change: str, chunk: Chunk, block: int) -> Look:
        """From the old file to the new one: first what is left of the old, as long as it gives anything."""
        left = yield from self._drain(block)
        if left:
            return left
        if self._drained is not None and chunk.size == 0:
            return []  # whoever writes may not have turned to the new file yet
        found, self._drained = self._drained, None
        gap = Gap(None, f"the file was {change}; what was still written to the old one cannot be read", self.position)
        turned = self._restart(change, chunk)
        return [turned] if found is not None else [replace(gap, position=turned.position), turned]

    def _restart(self, why: str, chunk: Chunk) -> Rotated:
        self._last = b""
        self.position = Position(0, chunk.inode, hashlib.sha256(b"").hexdigest(), 0)
        return Rotated(why, self.position)

    def _drain(self, block: int) -> Look:
        """More of the old file, found where it is held or under a name that rotation gives."""
        known = [HELD, *(self._path + suffix for suffix in _ROTATED)]
        for name in known if self._drained is None else [self._drained]:
            items = yield from self._drain_from(name, block)
            if items is not None:
                return items
        if self._drained is None:
            self.beside = []
            yield Range(BESIDE, 0, 0)
            for name in self.beside:
                items = yield from self._drain_from(name, block)
                if items is not None:
                    return items
        self._drained = None
        return []

    def _drain_from(self, name: str, block: int) -> Generator[Range, Union[Chunk, None], Union[list[Item], None]]:
        """What is new in the file with a name, None where that is not the old one."""
        start = self._start()
        try:
            chunk = yield self._range(name, start, block)
        except InputError:
            return None
        # A copy has another inode; then the bytes that were handed out last have to be in their place
        if (
            chunk is None
            or not self._same(chunk, start)
            or (chunk.inode != self.position.inode and len(self._last) < OVERLAP)
        ):
            return None
        self._drained = name
        covers = min(FINGERPRINT, chunk.size)
        self.position = replace(self.position, fingerprint=chunk.fingerprint, fingerprint_size=covers)
        return self._advance(chunk, start, block)


def seen_by(look: Look, read: Callable[[Range], Chunk | None]) -> list[Item]:
    """Drive a look to its end.

    Args:
        look: What `Follower.look` gave.
        read: Reads a range; None where there is no such file (and of BESIDE), InputError where it cannot be read.

    Raises:
        InputError: The file is there and cannot be read.
    """
    try:
        wanted = next(look)
        while True:
            try:
                chunk = read(wanted)
            except InputError as error:
                wanted = look.throw(error)
            else:
                wanted = look.send(chunk)
    except StopIteration as done:
        items: list[Item] = done.value
        return items
