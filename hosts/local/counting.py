"""Newlines of a file, counted block by block where it lies: line numbers need none of its bytes to travel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from hosts.errors import InputError
from hosts.host import Json
from hosts.local.following import FINGERPRINT, Range
from hosts.local.lines import BLOCK, ENCODINGS, Encoding
from hosts.local.openfile import OpenFile

MOST = 1000
"""Blocks that are told of at a time."""

INTERVAL = 0.05
"""Seconds between two such messages, about."""

Counts = list[tuple[int, int, int]]
"""Blocks: which, up to which offset it was looked at, and the newlines in it from the log's first byte on."""


@dataclass(frozen=True)
class CountWish:
    """Which bytes to count.

    Attributes:
        path: The file.
        inode: Which file that has to be.
        first: The first byte that is the log's.
        low: Blocks before the one that this offset lies in are left out.
        size: Where the log ends.
        encoding: How it is written.
    """

    path: str
    inode: int
    first: int
    low: int
    size: int
    encoding: Encoding

    def to_json(self) -> dict[str, Json]:
        """As it travels."""
        return {
            "count": self.path,
            "inode": self.inode,
            "first": self.first,
            "low": self.low,
            "size": self.size,
            "encoding": self.encoding.name,
        }

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> CountWish:
        """What `to_json` made.

        Raises:
            InputError: It is none.
        """
        path, name = value.get("count"), value.get("encoding")
        numbers = [value.get(key) for key in ("inode", "first", "low", "size")]
        inode, first, low, size = (one if isinstance(one, int) and one >= 0 else -1 for one in numbers)
        known = ENCODINGS.get(name) if isinstance(name, str) else None
        if not isinstance(path, str) or not path or "\0" in path or known is None or min(inode, first, low, size) < 0:
            raise InputError("lines to count need a path, an inode, three offsets and an encoding")
        return cls(path, inode, first, low, size, known)

    def checked(self, value: Json) -> Counts:
        """Counts that arrived.

        Raises:
            InputError: They are none of what was asked for.
        """
        found: Counts = []
        for one in value if isinstance(value, list) else [None]:
            if not isinstance(one, list) or len(one) != 3 or not all(isinstance(number, int) for number in one):
                raise InputError("counts arrived that are none")
            block, upto, newlines = (number for number in one if isinstance(number, int))
            begin = block * BLOCK
            if not (self.low - BLOCK < begin < upto <= min(begin + BLOCK, self.size) and 0 <= newlines <= upto - begin):
                raise InputError("counts arrived that do not fit what was asked")
            found.append((block, upto, newlines))
        return found


def counted(wish: CountWish) -> Iterator[Counts]:
    """Count, and tell from time to time what is known; fewer bytes than were asked for where the file is shorter.

    Raises:
        InputError: It cannot be read, or is another file by now.
    """
    from hosts.local.scan import Job  # its imports take longer than to follow a file

    file, known = OpenFile(wish.path), ""

    def read(at: int, size: int) -> bytes:
        nonlocal known
        chunk = file.read(Range(wish.path, at, size))
        if chunk is None or chunk.inode != wish.inode or chunk.size < at or (known and chunk.fingerprint != known):
            raise InputError(f"{wish.path}: another file by now")
        known = chunk.fingerprint if chunk.size >= FINGERPRINT else ""
        return chunk.data

    try:
        job = Job(read, None, wish.encoding, wish.first, wish.size)
        job.skip(0, wish.low // BLOCK)
        found: Counts = []
        told = time.monotonic()
        while (hits := job.step()) is not None:
            if hits.upto > hits.block * BLOCK:
                found.append((hits.block, hits.upto, hits.newlines))
            if len(found) >= MOST or time.monotonic() - told >= INTERVAL:
                yield found
                found, told = [], time.monotonic()
        yield found
    finally:
        file.close()
