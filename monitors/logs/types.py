"""The shapes that every part of the log view shares.

A log is a sequence of generations, oldest first: each is one file's content from its first byte to its last, and
a new one begins when the file is rotated, truncated, replaced or pointed elsewhere. A place is a byte offset in a
generation; line numbers are labels that are worked out from it. Nothing here holds text: bytes are decoded for
visible rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hosts.errors import GatewatchError
from hosts.local.levels import Level
from hosts.local.regexes import has_capital

KEEP = 64 << 10
"""The most bytes of one line that a window carries; the rest is read on demand."""


BEFORE = 2 << 10
"""The most bytes before a piece of a line that a window carries with it."""


class GoneError(GatewatchError):
    """Bytes that were asked for were thrown away: by the writer, by rotation, or to stay within a budget."""


@dataclass(frozen=True, order=True)
class Place:
    """A byte offset in one generation of a log; places of one log are ordered."""

    generation: int
    offset: int


@dataclass(frozen=True)
class Generation:
    """One content of the followed file.

    Attributes:
        number: Counts up from 0 within one opened log.
        size: Bytes that it is known to have; it grows while `live`.
        first: The first byte that can still be read. What was before is gone, and a mark says so.
        live: Whether it may still grow.
        name: What it was read from, for a title: a path, as it came.
    """

    number: int
    size: int
    first: int = 0
    live: bool = True
    name: str = ""


class MarkKind(Enum):
    """Why a row of ours stands between the lines of a log."""

    ROTATED = "rotated"  # another file took the place; the old one was read to its end
    TRUNCATED = "truncated"
    REPLACED = "replaced"  # another file took the place, and the end of the old one could not be read
    REPOINTED = "repointed"  # a newer file in a folder or glob
    LOST = "lost"  # bytes that nobody can give any more
    OFFLINE = "offline"  # a time in which nothing could be seen; nothing need be missing
    ENDED = "ended"  # standard input is at its end


CAME_AND_WENT = "some of the log's files came and went before anybody could look at them"
"""What the mark of a `MarkKind.LOST` says where nobody knows how much is missing."""


@dataclass(frozen=True)
class Mark:
    """A row of ours before the line that begins at `at`.

    Attributes:
        at: Where it stands.
        kind: Why.
        text: One line for people, without any text from outside but a file's name.
        missing: Bytes that are missing, None where that is unknown, 0 where nothing is.
        when: Our clock, seconds since the epoch.
    """

    at: Place
    kind: MarkKind
    text: str
    missing: int | None
    when: float


class Status(Enum):
    """What is known of a log's source right now."""

    WAITING = "waiting"  # not there yet, or not there any more
    LIVE = "live"
    STALE = "stale"  # no answer (a dead mount, a lost link); what was read stays
    DENIED = "denied"  # there, and not readable; tried again
    ENDED = "ended"  # nothing more will come
    FAILED = "failed"  # cannot be read at all (a folder without logs, an I/O error); `detail` says why


@dataclass(frozen=True)
class Shape:
    """All that is known of a log's bytes at one instant, without any of them.

    Attributes:
        generations: Oldest first; empty until something is there. Only the last may be live.
        marks: Ordered by place.
        status: What the source is doing.
        detail: One line for people, or "".
        since: Our clock when `status` began, seconds since the epoch.
        name: What is read now (a path, as it came; "-" for standard input).
    """

    generations: tuple[Generation, ...] = ()
    marks: tuple[Mark, ...] = ()
    status: Status = Status.WAITING
    detail: str = ""
    since: float = 0.0
    name: str = ""


class Source(Protocol):
    """Where a log's bytes come from. Methods are called on the event loop and never hold it."""

    @property
    def shape(self) -> Shape:
        """The newest shape; a new object whenever anything changed."""
        ...

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to look. `changed` is called on the loop after the shape changed, at most about 30 times a second."""
        ...

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        """Bytes from `offset` on: fewer than `size` at the generation's end, and only there.

        Raises:
            GoneError: These bytes were thrown away (before `first`, or a generation that is no longer kept).
            UnreachableError: They exist, and whoever has them does not answer.
        """
        ...

    def descriptor(self, generation: int) -> int | None:
        """A file descriptor of ours that a worker process may `pread`, or None where there is none."""
        ...

    def watch(self, visible: bool) -> None:
        """A log that nobody sees is looked at less often."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class LogLine:
    """One line as a window carries it.

    Attributes:
        at: Where it begins.
        end: Where the next one begins, in the same generation; `at.offset` for the last one of a log if it is no
            line but stands for its marks alone, those behind the last line.
        data: Its bytes without the newline, progress bars collapsed (what stays is separated by carriage returns),
            at most KEEP of them.
        size: Bytes of the whole line, without its newline.
        number: 1-based within its generation, None while not counted yet.
        complete: Whether its newline was seen; False for the unfinished last line and for a piece that goes on.
        piece: 0 for the beginning of a line, n for its nth piece (hosts/local/lines.py).
        marks: Rows of ours that stand before it.
        context: Whether it is here only because a line near it passed the filter.
        arrived: Our clock when it was first seen, None for what was there before we looked.
        encoding: utf-8, utf-16-le or utf-16-be; of its generation, as far as that was known when the line was read.
        before: Of a piece, up to BEFORE bytes of the same line that stand before it: a secret may lie across the edge.
    """

    at: Place
    end: int
    data: bytes
    size: int
    number: int | None
    complete: bool
    piece: int = 0
    marks: tuple[Mark, ...] = ()
    context: bool = False
    arrived: float | None = None
    encoding: str = "utf-8"
    before: bytes = b""


@dataclass(frozen=True)
class Window:
    """Lines in order.

    Attributes:
        lines: The lines asked for, fewer where the log ends.
        anchor: Index of the first line that begins at or after the place asked for; `len(lines)` where none does.
        at_start: Nothing that passes the filter lies before the first of `lines`.
        at_end: Nothing that passes the filter lies after the last of `lines`, and no mark.
        busy: The filter has not seen all of the neighbourhood yet: ask again after the next change.
        cut: Fewer lines than asked for, at least one where there is one, since more are too much for one answer:
            whoever needs them asks around the first or the last of these. To ask the same again gives the same.
    """

    lines: tuple[LogLine, ...]
    anchor: int
    at_start: bool
    at_end: bool
    busy: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Query:
    """What to look for in a line.

    Attributes:
        text: The words, or a regular expression of Python's `re`.
        regex: Which of the two.
        case: True: case matters; False: it does not; None (smart): only if `text` asks for a capital letter.
        level: Instead of text: lines of this level or above.
        failures: With a level: lines that name it themselves, and those that tell of a failure by their text
            (gates/calibration/signatures.py), but not those behind them.
    """

    text: str = ""
    regex: bool = False
    case: bool | None = None
    level: Level | None = None
    failures: bool = False

    @property
    def ignore_case(self) -> bool:
        if self.case is not None:
            return not self.case
        return not (has_capital(self.text) if self.regex else any(letter.isupper() for letter in self.text))


@dataclass(frozen=True)
class Filter:
    """Which lines are shown: all of `include` and none of `exclude`, at `level` or above, between two places.

    A line without a level of its own (a traceback's) has that of the nearest line before it which has one.
    """

    include: tuple[Query, ...] = ()
    exclude: tuple[Query, ...] = ()
    level: Level | None = None
    context: int = 0
    since: Place | None = None
    until: Place | None = None


@dataclass(frozen=True)
class Progress:
    """How far a scan is.

    Attributes:
        hits: Lines found so far.
        scanned: Bytes looked at.
        total: Bytes there are.
        done: Everything that is there was looked at.
        problem: Why the scan cannot work (a wrong expression, a lost worker), or "".
    """

    hits: int = 0
    scanned: int = 0
    total: int = 0
    done: bool = False
    problem: str = ""


@dataclass(frozen=True)
class LogState:
    """What a status line says.

    Attributes:
        shape: What is there.
        bytes: Bytes in all generations.
        lines: Lines of all generations that can be read, an unfinished last one counted; None while counting for the
            first time.
        counted: Bytes whose lines are counted.
        encoding: utf-8, utf-16-le or utf-16-be, of the live generation.
        filter: How far the filter is, None without one.
    """

    shape: Shape
    bytes: int = 0
    lines: int | None = None
    counted: int = 0
    encoding: str = "utf-8"
    filter: Progress | None = None
