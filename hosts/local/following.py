"""The rules by which a growing file is followed by its path, across truncation and rotation (SAFETY L1).

Which file it is, is known by inode, by the first KiB (as far as it went when it was last seen) and by the last
bytes that were handed out. When another file has taken its place, the old one is looked for where whoever reads
keeps it open, then under the names that log rotation gives, last among all files beside it, and read to its end first.
Then those come that took its place and were moved on before anybody looked.

Where nobody tells inodes every file has the same one. Then a file is told from another by what it holds, and one that
came between is read under the name that it was found by.

No I/O here: a look says which ranges it wants to see, and whoever drives it reads them, here or on another host.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Union

from hosts.errors import InputError
from hosts.host import Chunk, Data, Gap, Position, Rotated
from hosts.local.rotation import PACKED, Patience, Sibling, after, sibling

FINGERPRINT = 1024
BLOCK = 1 << 20
OVERLAP = 64
HELD = ""
"""In place of a path: the file of the look before, where whoever reads has it open still."""

BESIDE = "\0"
"""In place of a path: no file is read, but `Follower.beside` is to be set to the files in the folder."""

_ROTATED = (".1", ".0", ".old")
_LIKELY = 32  # files that are looked into, each a read of few bytes
_PASSED = 512  # files that are known to have come before; older ones were written before what is read now
_SAMPLE = 1 << 16  # equal last bytes in equal places, by which a file is a copy of another

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
        ahead: How many bytes come after the position in the file that it is in; 0 while a copy is read to its end.
        at_end: Whether the last look went to the end of the file at `path`, so that the next has nothing to see yet.
        wait: Seconds after which the last look is to be made again, also where no change is told of; 0 for whenever.
        beside: The files in its folder; set by whoever is asked for BESIDE.
    """

    def __init__(self, path: str, at: Position, last: bytes = b"") -> None:
        self.position = at
        self.size: int | None = None
        self.ahead = 0
        self.at_end = False
        self.wait = 0.0
        self.beside: list[Neighbour] = []
        self._path = path
        self._last = last  # the last bytes handed out of this file, which end at the position
        self._drained: _Drained | None = None  # where the old file went, once it was found there
        self._missed = False
        self._since = 0  # when the file was last seen to be written in its place, ns since the epoch; 0 for never
        # Files that were read to their end: by inode and their first bytes' hash, the end and the bytes before it
        self._passed: dict[tuple[int, str], tuple[int, bytes]] = {}
        self._aside = False  # the file is not the one at the path, however much alike they are
        self._direct = (0, 0)  # two files between which there was none
        self._patience = Patience()

    def look(self, block: int = BLOCK) -> Look:
        """What is new, at most `block` bytes of it; nothing when nothing is.

        Raises:
            InputError: The file is there and cannot be read.
        """
        start = self._start()
        chunk = yield self._range(self._path, start, block)
        self.size = chunk.size if chunk is not None else None
        self.ahead, self.at_end, self.wait = 0, False, 0.0
        if chunk is None:
            first, self._missed = not self._missed, True
            return (
                (yield from self._drain(block)) if self.position.inode and (first or self._drained is not None) else []
            )
        self._missed = False
        if self.position.inode == 0:
            if chunk.size < self.position.offset:
                return [self._restart("truncated", chunk.inode)]
            self._adopt(chunk)
        else:
            change = "truncated" if self._aside else self._change(chunk, start)
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
        self._since = chunk.mtime_ns
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
        """From the old file to the next: first what is left of the old, as long as it gives anything."""
        left = yield from self._drain(block)
        if left:
            return left
        old = self._drained
        if old is None:
            turned = self._restart(change, chunk.inode)
            why = f"the file was {change}; what was still written to the old one cannot be read"
            return [Gap(None, why, turned.position), turned]
        found = yield from self._between(old, chunk)
        if found is None or (found[0] is None and chunk.size == 0):
            return []  # perhaps files are moved up just now, or whoever writes has not turned to the new one yet
        between, complete = found
        self._passed.pop((old.inode, old.fingerprint), None)
        self._passed[old.inode, old.fingerprint] = self.position.offset, self._last
        while len(self._passed) > _PASSED:
            del self._passed[next(iter(self._passed))]
        turned = self._restart(change, chunk.inode) if between is None else self._restart("replaced", between.inode)
        if old.blind(chunk):  # no inode tells whether the next look finds this one at the path
            self._drained, self._aside = between, between is not None
            self.position = (between or _Drained.of(self._path, chunk)).of_it(self.position)
        return [replace(turned, position=self.position, whole=complete)]

    def _between(self, old: _Drained, chunk: Chunk) -> Generator[Range, Chunk | None, _Next | None]:
        """The first file that was at the path between two, None for none, and whether none is missing.

        None while that is not sure yet.
        """
        blind = old.blind(chunk)
        if self._direct == (old.inode, chunk.inode) and not (blind and chunk.size):
            return None, True
        yield Range(BESIDE, 0, 0)
        there = [
            sibling(self._path, one.name, (number if blind else 0, one.inode), one.size, one.mtime_ns)
            for number, one in enumerate(self.beside, 1)
        ]
        siblings = [one for one in there if one is not None]
        itself = next((one for one in siblings if old.is_at(one, blind)), None)
        # It may have been written to after it was moved; who follows from another session's place cannot know
        since = min(self._since, old.mtime_ns) if self._since else old.mtime_ns
        inodes = {inode for inode, _ in self._passed}
        passed = set()
        for one in siblings:
            # An inode is used again; and one that was passed may have been written to once more
            if one.mtime >= since and one.key[1] in inodes and one is not itself and (yield from self._is_passed(one)):
                passed.add(one.key)
        found, complete, free = after(siblings, itself, since, (0, chunk.inode), passed)
        self.wait = max(0.0, self._patience.left(free, time.monotonic()))
        if self.wait:
            return None
        complete = complete and not free
        for one in found:
            seen = yield from self._glimpse(one, one.size, _SAMPLE)
            if seen is None:
                complete = False
            elif (yield from self._is_another(seen, chunk)):
                return _Drained.of(one.path, seen), complete
        if complete:  # else it is to be told once the new file is turned to
            self._direct = (old.inode, chunk.inode)
        return None, complete

    def _is_passed(self, one: Sibling) -> Generator[Range, Chunk | None, bool]:
        seen = yield from self._glimpse(one, 0, 0)
        if seen is None or (seen.inode, seen.fingerprint) not in self._passed:
            return False
        end, last = self._passed[seen.inode, seen.fingerprint]
        again = yield from self._glimpse(one, end, len(last))
        return again is not None and again.data == last

    def _glimpse(self, one: Sibling, end: int, size: int) -> Generator[Range, Chunk | None, Chunk | None]:
        """The bytes of a file before a place; None where it was moved on since."""
        try:
            seen = yield Range(one.path, max(0, end - size), size)
        except InputError:
            return None
        return seen if seen is not None and seen.inode == one.key[1] else None

    def _is_another(self, one: Chunk, live: Chunk) -> Generator[Range, Chunk | None, bool]:
        """Whether a file holds anything, and something else than the one at the path: that may just be copied."""
        if one.size == 0 or one.size > live.size:
            return one.size > 0
        same = yield Range(self._path, one.offset, len(one.data))
        return same is None or same.inode != live.inode or same.data != one.data

    def _restart(self, why: str, inode: int) -> Rotated:
        self._last, self._since, self._direct = b"", 0, (0, 0)
        self._drained, self._aside, self._patience = None, False, Patience()
        self.position = Position(0, inode, hashlib.sha256(b"").hexdigest(), 0)
        return Rotated(why, self.position)

    def _drain(self, block: int) -> Look:
        """More of the old file, found where it is held or under a name that rotation gives."""
        if self._drained is not None:
            items = yield from self._drain_from(self._drained.name, block)
            if items is not None:
                return items
            self._drained = None  # it was moved on
        for name in (HELD, *(self._path + suffix for suffix in _ROTATED)):
            items = yield from self._drain_from(name, block)
            if items is not None:
                return items
        yield Range(BESIDE, 0, 0)
        for name in likely(self._path, self.position, self.beside):
            if (yield from self._drain_from(name, 0)) is None:
                continue  # as most are: no more was read than it takes to know
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
        self._drained = _Drained.of(name, chunk)
        self.position = self._drained.of_it(self.position)
        new = self._advance(chunk, start, block)
        # A copy is known by the bytes before the place alone: nobody could go on further ahead in it
        self.ahead = chunk.size - self.position.offset if chunk.inode == self.position.inode else 0
        return new


class _Drained(NamedTuple):
    """A file that was at the path, as it was last seen elsewhere."""

    name: str
    inode: int
    mtime_ns: int
    fingerprint: str
    fingerprint_size: int

    @classmethod
    def of(cls, name: str, chunk: Chunk) -> _Drained:
        return cls(name, chunk.inode, chunk.mtime_ns, chunk.fingerprint, min(FINGERPRINT, chunk.size))

    def blind(self, other: Chunk) -> bool:
        """Whether nobody tells inodes: another file has the same."""
        return self.inode == other.inode

    def is_at(self, one: Sibling, blind: bool) -> bool:
        return os.path.basename(one.path) == os.path.basename(self.name) if blind else one.key == (0, self.inode)

    def of_it(self, at: Position) -> Position:
        """A position in it, by which it is known."""
        return replace(at, fingerprint=self.fingerprint, fingerprint_size=self.fingerprint_size)


_Next = tuple[Union[_Drained, None], bool]


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
