"""Where the bytes of a local log's generations are, the one that grows and those that are past."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from monitors.logs.local_files import Files, Key, key_of
from monitors.logs.local_open import HEAD, OpenFile
from monitors.logs.record import ShapeRecorder
from monitors.logs.types import GoneError, MarkKind, Place

IN_MEMORY = 4
"""Contents that were thrown away by their writer and are held in memory, at most."""

HELD = 256 << 20
"""Bytes of deleted files, the last one's aside, that being open here keeps from being freed, at most."""

_GRAVE_S = 10.0  # a descriptor that was handed out may still be on its way to a worker
_SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system: a change before that shows in a file's times
_GONE = "these bytes are not in the file any more"


@dataclass(frozen=True)
class Seal:
    """What tells that a file still holds a generation that is past.

    Attributes:
        ends: The first and the last bytes of it that are in the file.
        status: The file's size and times when these were compared last, () while it may change without a trace there.
    """

    ends: tuple[bytes, bytes]
    status: tuple[int, ...]


@dataclass(frozen=True)
class Backing:
    """Where the bytes of one generation are: in a file up to some place, and in memory from there on.

    Attributes:
        handle: Descriptor of the file, ours to close, or None.
        upto: Bytes that are in the file, None for all.
        memory: The bytes from `upto` on.
        leans: The file, where it is one that was live after this generation ended: it may be written over.
        seal: Of a file that is not live, None before it was looked at.
    """

    handle: int | None
    upto: int | None = None
    memory: bytes = b""
    leans: Key | None = None
    seal: Seal | None = None

    def read(self, files: Files, offset: int, size: int) -> bytes:
        """As many of the bytes as are still there.

        Raises:
            OSError: The file cannot be read.
        """
        found: list[bytes] = []
        while size > 0 and self.handle is not None and (self.upto is None or offset < self.upto):
            data = files.pread(self.handle, size if self.upto is None else min(size, self.upto - offset), offset)
            if not data:
                return b"".join(found)
            found.append(data)
            offset += len(data)
            size -= len(data)
        if size > 0 and self.upto is not None and offset >= self.upto:
            found.append(self.memory[offset - self.upto : offset - self.upto + size])
        return b"".join(found)

    def close(self) -> None:
        if self.handle is not None:
            os.close(self.handle)


class Shelf:
    """The generations of one log and what they are read from.

    Args:
        record: What is known of the log.
        files: The system.
        clock: Seconds that only go forward.
    """

    def __init__(self, record: ShapeRecorder, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        self.record = record
        self.live: OpenFile | None = None
        self._files = files
        self._clock = clock
        self._backings: dict[int, Backing] = {}
        self._graves: list[tuple[float, Backing]] = []

    @property
    def keys(self) -> set[Key]:
        """The files that are open here."""
        found = set()
        for one in self._backings.values():
            if one.handle is not None:
                with contextlib.suppress(OSError):  # a server has forgotten it: it is nothing that can come up again
                    found.add(key_of(self._files.fstat(one.handle)))
        return found

    @property
    def leaning(self) -> int:
        """Past generations of which the live file holds the beginning."""
        return sum(self.live is not None and one.leans == self.live.key for one in self._backings.values())

    def begin(self, file: OpenFile) -> None:
        """The first generation; its descriptor is the shelf's from now on."""
        self._take(file, self.record.begin(file.name, file.size, first=file.first))

    def turn(self, file: OpenFile, kind: MarkKind, text: str, missing: int | None) -> None:
        """The generation after the one that was live, of another file or of another content."""
        self._take(file, self.record.turn(kind, text, missing, file.name, file.size, first=file.first))

    def lost(self, text: str) -> None:
        """Say before the live generation that nobody knows how much is missing there."""
        if self.live is not None:
            self.record.mark(MarkKind.LOST, text, None, Place(self.live.number, self.live.first))

    def swap(self, file: OpenFile) -> None:
        """The live generation goes on in another descriptor, which holds the same bytes."""
        live = self.live
        assert live is not None
        self._bury(self._backings[live.number])
        self._backings[live.number] = Backing(file.handle)
        live.handle, live.key, live.name = file.handle, file.key, file.name

    def insert(self, past: OpenFile, text: str, back: str) -> None:
        """Put what came late to a past file behind what was seen of the live one, and go on with that after it.

        Args:
            past: The past file once more; what is shown of it begins where its generation ends.
            text: One line for people before it.
            back: The same after it.
        """
        live = self.live
        assert live is not None
        self._backings[live.number] = replace(self._backings[live.number], upto=live.size, leans=live.key)
        self.turn(past, MarkKind.ROTATED, text, 0)
        self.turn(live.again(), MarkKind.ROTATED, back, 0)

    def numbers(self, key: Key) -> set[int]:
        """The past generations that are read from a file."""
        found = set()
        for number, one in self._backings.items():
            if one.handle is not None and (self.live is None or number != self.live.number):
                with contextlib.suppress(OSError):
                    if key_of(self._files.fstat(one.handle)) == key:
                        found.add(number)
        return found

    def back(self, file: OpenFile) -> int | None:
        """How much of a file past generations show, which lean on it from now on; None where it is another content."""
        self._verify()
        sizes = {number: one.size for number in self.numbers(file.key) if (one := self.record.generation(number))}
        shown = max(sizes.values(), default=None)
        if shown is None or self._files.fstat(file.handle).st_size < shown:
            return None
        for number, size in sizes.items():
            backing = self._backings[number]
            upto = size if backing.upto is None else backing.upto
            self._backings[number] = replace(backing, upto=upto, leans=file.key)
        return shown

    def overwritten(self, kept: int, copy: int | None, copied: int) -> None:
        """The live file's content was thrown away from some byte on: keep of it what can be kept.

        Args:
            kept: Bytes at its beginning that are still in it.
            copy: A descriptor of a copy of the old content, ours from now on, or None.
            copied: Bytes that are in the copy.
        """
        live = self.live
        assert live is not None
        self._verify()
        self.record.grow(copied)
        size = max(live.size, copied)
        self._rescue(live.number, Backing(self._backings[live.number].handle, size, leans=live.key), kept, copy, copied)
        for number, backing in list(self._backings.items()):
            if number != live.number and backing.leans == live.key:
                self._rescue(number, backing, kept, copy, copied)
        if copy is not None:
            os.close(copy)
        self._bound()

    def _rescue(self, number: int, backing: Backing, kept: int, copy: int | None, copied: int) -> None:
        """Read a generation that leans on the live file from where its bytes are now."""
        live, upto = self.live, backing.upto
        assert live is not None
        assert upto is not None
        if upto <= kept:
            return
        self._bury(backing)
        if copy is not None and copied > live.ring.start:
            rest = live.ring.read(copied, upto - copied) if copied < upto else b""
            whole = copied >= upto and not backing.memory
            now = Backing(os.dup(copy), None if whole else min(copied, upto), (rest or b"") + backing.memory)
        else:
            start = min(max(live.ring.start, kept), upto)
            rest = live.ring.read(start, upto - start) or b""
            if 0 < start == kept:
                assert backing.handle is not None
                now = Backing(os.dup(backing.handle), start, rest + backing.memory, live.key)
            else:
                now = Backing(None, start, rest + backing.memory)
                self._cut(number, start)
        self._backings[number] = now

    def _cut(self, number: int, start: int) -> None:
        generation = self.record.generation(number)
        gone = 0 if generation is None else start - generation.first
        self.record.cut(number, start, f"{gone:,} bytes were thrown away by the writer of the log", gone)

    def read(self, number: int, offset: int, size: int, again: Callable[[], object]) -> bytes:
        """Bytes of a generation; fewer than `size` only at its end.

        Args:
            number: Which generation.
            offset: Where they begin.
            size: How many.
            again: Looks at the file, where what was read shows that it is not what it was.

        Raises:
            GoneError: They were thrown away.
            OSError: The file cannot be read.
        """
        for last in (False, True):
            generation = self.record.generation(number)
            if generation is None or offset < generation.first:
                raise GoneError(_GONE)
            wanted = min(size, generation.size - offset)
            held = self.held(number, offset, size)
            if wanted <= 0 or held is not None:
                return held or b""
            backing, live = self._backings[number], self.live
            data = backing.read(self._files, offset, wanted)
            exposed = live is not None and (live.number == number or backing.leans == live.key)
            whole = live.holds() if live is not None and exposed else self.is_whole(number)
            # What was written over since the last look is not what is asked for
            if len(data) == wanted and whole:
                return data
            if not last:
                again()
        raise GoneError(_GONE)

    def held(self, number: int, offset: int, size: int) -> bytes | None:
        """Bytes that need no file, from any thread; None where they are not held."""
        live, generation = self.live, self.record.generation(number)
        if live is None or live.number != number or generation is None or offset < generation.first:
            return None
        wanted = max(0, min(size, generation.size - offset))
        data = live.ring.read(offset, wanted)
        return data if data is not None and len(data) == wanted else None

    def handle(self, number: int) -> int | None:
        """The descriptor of a generation that is in one file as a whole."""
        backing = self._backings.get(number)
        return backing.handle if backing is not None and backing.upto is None else None

    def is_whole(self, number: int) -> bool:
        """Whether a generation's file holds what it held when that was past; where not, it is let go of, and said."""
        backing, live, generation = self._backings.get(number), self.live, self.record.generation(number)
        if backing is None or backing.handle is None or generation is None or live is None:
            return True
        if live.number == number or backing.leans == live.key:
            return True  # whoever follows the live file sees to it
        upto, seal = generation.size if backing.upto is None else backing.upto, backing.seal
        size = min(upto, HEAD)
        try:
            found = self._files.fstat(backing.handle)
            status = found.st_size, found.st_mtime_ns, found.st_ctime_ns
            if seal is not None and seal.status == status:
                return True
            head, tail = (self._files.pread(backing.handle, size, start) for start in (0, upto - size))
        except OSError:
            return True  # it cannot be known
        if len(tail) == size and (seal is None or seal.ends == (head, tail)):
            settled = max(found.st_mtime_ns, found.st_ctime_ns) < time.time_ns() - _SETTLED_NS
            self._backings[number] = replace(backing, seal=Seal((head, tail), status if settled else ()))
            return True
        self._bury(backing)
        self._backings[number] = Backing(None, upto, backing.memory)
        gone = upto - generation.first
        self.record.cut(number, upto, f"{gone:,} bytes were written over", gone)
        return False

    def _verify(self) -> None:
        for number in list(self._backings):
            self.is_whole(number)

    def tidy(self) -> None:
        """Close what nobody asks for any more, and let go of what is gone and of deleted files that take much room."""
        self._verify()
        now = self._clock()
        while self._graves and self._graves[0][0] <= now:
            self._graves.pop(0)[1].close()
        past = [number for number, one in self._backings.items() if one.handle is not None][:-1]
        room = 0
        for number in reversed(past[:-1]):
            handle = self._backings[number].handle
            assert handle is not None
            with contextlib.suppress(OSError):
                status = self._files.fstat(handle)
                room += status.st_size if status.st_nlink == 0 else 0
            if room > HELD:
                self._forget(number)
                break

    def close(self) -> None:
        """Let go of every file."""
        for one in [*self._backings.values(), *(grave for _, grave in self._graves)]:
            one.close()
        self._backings, self._graves, self.live = {}, [], None

    def _take(self, file: OpenFile, number: int) -> None:
        self.live, file.number = file, number
        self._backings[number] = Backing(file.handle)
        kept = {one.number for one in self.record.shape.generations}
        for old in [one for one in self._backings if one not in kept]:
            self._bury(self._backings.pop(old))
        self._verify()

    def _bound(self) -> None:
        """Hold few contents in memory: what is before the oldest that is let go of goes with it."""
        held = [number for number, one in self._backings.items() if one.memory]
        if len(held) > IN_MEMORY:
            self._forget(held[-IN_MEMORY - 1])

    def forget_past(self, why: str) -> None:
        """Let go of all past generations; `why` goes on after "1,234 earlier bytes"."""
        if self.live is not None:
            self._forget(self.live.number - 1, why)

    def _forget(self, upto: int, why: str = "are not kept any more") -> None:
        """Let go of a past generation and of all before it."""
        after = next((one for one in self.record.shape.generations if one.number > upto), None)
        if after is not None:
            self.record.forget(Place(after.number, after.first), why)
        for number in [one for one in self._backings if one <= upto]:
            self._bury(self._backings.pop(number))

    def _bury(self, backing: Backing) -> None:
        self._graves.append((self._clock() + _GRAVE_S, replace(backing, memory=b"")))
