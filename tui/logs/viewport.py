"""Which rows are on screen: lines that are held, laid out in rows, and the place where the screen begins.

Nothing here waits, reads or paints. The place is a line's beginning and a row of that line, counted from its first
row of text, so that a mark that comes to stand above it moves nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from monitors.logs.types import LogLine, Place, Window
from tui.logs.rows import DisplayRow

Lay = Callable[[LogLine], tuple[DisplayRow, ...]]

LAID = 256
"""Lines whose rows are kept laid out; a row's text is short, so these are few megabytes at the most."""


@dataclass(frozen=True)
class Anchor:
    """Where the screen begins.

    Attributes:
        place: The line's beginning.
        index: The row of it: 0 is its first row of text, -1 the last of the marks above that.
    """

    place: Place
    index: int = 0


@dataclass(frozen=True)
class Row:
    """One row of a line.

    Attributes:
        line: The line.
        index: Like `Anchor.index`.
        shown: What stands in it.
        start: Characters of the line's text in the rows before it.
    """

    line: LogLine
    index: int
    shown: DisplayRow
    start: int = 0

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.line.at, self.index)


@dataclass(frozen=True)
class Smaller:
    """Where a screen began before it became a larger one.

    Attributes:
        anchor: Its first row, as lines were laid out then.
        start: The character of the line that this row began with.
        height: Rows that it had.
    """

    anchor: Anchor
    start: int
    height: int


class Viewport:
    """The lines that are held, and the rows that a screen of `height` shows of them.

    Args:
        lay: Lays a line out in rows; marks come first.
    """

    def __init__(self, lay: Lay) -> None:
        self._lay = lay
        self._lines: Sequence[LogLine] = ()
        self._starts: list[Place] = []
        self._laid: OrderedDict[tuple[object, ...], tuple[DisplayRow, ...]] = OrderedDict()
        self.at_start = False
        self.at_end = False
        self.busy = False
        self.cut = False
        self.anchor: Anchor | None = None
        self.height = 0
        self._first: tuple[Anchor, int] | None = None  # since lines were laid out anew: its character that stays
        self._smaller: list[Smaller] = []  # the smallest first; known while the screen begins at `_stood`
        self._stood: Anchor | None = None

    @property
    def lines(self) -> Sequence[LogLine]:
        return self._lines

    def lay_with(self, lay: Lay) -> None:
        """Lay lines out in another way from now on; the first row keeps its first character."""
        top = self._top_row()
        self._lay = lay
        self._laid.clear()
        if top is not None and top.index >= 0 and (start := self._start(top)):
            with self._by_itself():
                self._begin_with(top.line, start)
        if self._smaller and self._smaller[-1].height >= self.height > 0:  # rows would have stayed empty there
            self.resize(self.height)

    def resize(self, height: int) -> None:
        """Show `height` rows from now on.

        Where rows would stay empty, the screen begins further up; once it is smaller again, it begins where it did,
        unless somebody has moved meanwhile.
        """
        top, to = self._top_row(), None
        with self._by_itself():
            if top is not None and not 0 < height <= self.height:
                self._smaller.append(Smaller(top.anchor, self._start(top), self.height))
            elif height > 0 and self._smaller:
                to = self._lead_back(height)
            self.height, begins = height, self.anchor
        self.fill()
        if to is not None and self.anchor is not begins:
            self._smaller.append(replace(to, height=height))

    def stay(self) -> None:
        """Somebody has chosen what is on screen: where it began when it was smaller does not matter any more."""
        self._smaller.clear()

    def hold(self, window: Window, *, keep: bool) -> None:
        """Take over what was read.

        Args:
            window: The lines.
            keep: What is on screen stays, also if the log has lost it since.
        """
        lines: Sequence[LogLine] = window.lines
        if keep and self.anchor is not None and (not lines or lines[0].at > self.anchor.place):
            first = lines[0].at if lines else None
            shown = self._lines[self._index(self.anchor.place) :]
            kept = (line for line in shown if not is_tail(line) and (first is None or line.at < first))
            lines = [*kept, *lines]
        within = self._within_tail() if keep else None
        self._lines = lines
        self._starts = [line.at for line in lines]
        self._pin(within)  # the same marks stand before what came behind them
        self.at_start, self.at_end = window.at_start, window.at_end
        self.busy, self.cut = window.busy, window.cut

    def join(self, window: Window, *, above: bool) -> bool:
        """Take over lines as well that border on those that are held; whether there are any."""
        self.busy = self.busy or window.busy
        if above:
            lines = [line for line in window.lines if not self._starts or line.at < self._starts[0]]
            self._lines, self.at_start = [*lines, *self._lines], window.at_start
        else:
            lines = [line for line in window.lines if not self._starts or line.at > self._starts[-1]]
            self._lines, self.at_end = [*self._lines, *lines], window.at_end
        self._starts = [line.at for line in self._lines]
        self._pin(None)
        return bool(lines)

    def rows(self) -> tuple[Row, ...]:
        """What is on screen now, from its first row on."""
        if self.anchor is None or not self._lines or self.height <= 0:
            return ()
        found: list[Row] = []
        index = self._index(self.anchor.place)
        skip = self._within(index)
        while index < len(self._lines) and len(found) < self.height:
            rows = self._rows(self._lines[index])
            found.extend(rows[skip : skip + self.height - len(found)])
            skip = 0
            index += 1
        return tuple(found)

    def up(self, count: int) -> int:
        """Show `count` rows further up; returns how many of them are not held."""
        if self.anchor is None or not self._lines:
            return count
        index = self._index(self.anchor.place)
        within = self._within(index)
        while count > within:
            if index == 0:
                self._put(0, 0)
                return count - within
            count -= within
            index -= 1
            within = len(self._rows(self._lines[index]))
        self._put(index, within - count)
        return 0

    def down(self, count: int) -> int:
        """Show `count` rows further down, no further than a full screen; returns how many more would have to be held.

        Where the log ends in what is held, nothing more is there, and 0 is returned.
        """
        if self.anchor is None or not self._lines:
            return count
        wanted = self.height + count
        index = self._index(self.anchor.place)
        if index == len(self._lines):
            return 0 if self.at_end else count
        have = -self._within(index)
        end = index
        while end < len(self._lines) and have < wanted:
            have += len(self._rows(self._lines[end]))
            end += 1
        moved = max(0, min(count, have - self.height))
        self._forward(moved)
        return 0 if self.at_end else count - moved

    def below(self, place: Place) -> int:
        """Rows that the screen would have to begin further down for the line that begins here to be on it."""
        if self.anchor is None or self.height <= 0 or not self.holds(place):
            return 0
        first, index = self._index(self.anchor.place), self._index(place)
        above = sum(len(self._rows(line)) for line in self._lines[first:index]) - self._within(first)
        marks = sum(1 for row in self._rows(self._lines[index]) if row.index < 0)
        return max(0, above + marks + 1 - self.height) if index > first else 0

    def to_end(self) -> None:
        """Show the last full screen of what is held."""
        room = self.height
        for index in range(len(self._lines) - 1, -1, -1):
            rows = len(self._rows(self._lines[index]))
            if rows >= room:
                self._put(index, rows - room)
                return
            room -= rows
        if self._lines:
            self._put(0, 0)

    def to_start(self) -> None:
        """Show the first row of what is held."""
        if self._lines:
            self._put(0, 0)

    def show(self, place: Place, above: int) -> int:
        """Show the line at or behind `place`, with `above` rows above it; returns how many of them are not held."""
        if not self._lines:
            return 0
        index = self._index(place)
        if index == len(self._lines):
            self.to_end()
            return 0
        self.anchor = Anchor(self._lines[index].at)
        missing = self.up(above)
        self.fill()
        return missing

    def fill(self) -> None:
        """Where rows stay empty at the end of the log, and lines are held above, show those."""
        missing = self.height - len(self.rows())
        if missing > 0 and (self.at_end or missing == self.height):
            with self._by_itself():
                self.up(missing)

    def holds(self, place: Place) -> bool:
        """Whether a line begins here that is held."""
        index = self._index(place)
        return index < len(self._lines) and self._starts[index] == place

    def spare(self) -> tuple[int, int]:
        """Lines that are held above the screen, and below it."""
        if self.anchor is None:
            return 0, 0
        rows = self.rows()
        last = self._index(rows[-1].line.at) if rows else self._index(self.anchor.place)
        return self._index(self.anchor.place), max(0, len(self._lines) - 1 - last)

    def neighbour(self, place: Place, step: int) -> Place | None:
        """The beginning of the line `step` lines away from `place`, where it is held."""
        index = self._index(place) + step
        return self._starts[index] if 0 <= index < len(self._lines) else None

    def line_at(self, place: Place) -> LogLine | None:
        """The line that begins here, where it is held."""
        index = self._index(place)
        return self._lines[index] if index < len(self._lines) and self._starts[index] == place else None

    def rows_of(self, line: LogLine) -> tuple[Row, ...]:
        """All rows of a line, marks first."""
        return self._rows(line)

    def _index(self, place: Place) -> int:
        return bisect_left(self._starts, place)

    def _within(self, index: int) -> int:
        """Rows of line `index` above the screen."""
        anchor = self.anchor
        if anchor is None or index >= len(self._lines):
            return 0
        rows = self._rows(self._lines[index])
        if self._starts[index] != anchor.place:
            return 0
        return max(0, min(len(rows) - 1, anchor.index - (rows[0].index if rows else 0)))

    def _within_tail(self) -> int | None:
        """Rows above the screen of the marks behind the last line, None where the screen begins elsewhere."""
        line = self.line_at(self.anchor.place) if self.anchor is not None else None
        return self._within(self._index(line.at)) if line is not None and is_tail(line) else None

    def _pin(self, within: int | None) -> None:
        """Where no filter shows the line that the screen began in, it begins in the one that is shown instead.

        Else a mark that came to stand above that one would move it.
        """
        if self.anchor is None or self.holds(self.anchor.place):
            return
        index = self._index(self.anchor.place)
        if index < len(self._lines) and (within is not None or not is_tail(self._lines[index])):
            with self._by_itself():
                self._put(index, within or 0)

    @contextmanager
    def _by_itself(self) -> Iterator[None]:
        """What moves the screen here is nobody's wish: where it began when it was smaller is led back to still."""
        if self._stood is not self.anchor:
            self._smaller.clear()
        yield
        self._stood = self.anchor

    def _lead_back(self, height: int) -> Smaller | None:
        """Begin where a screen of `height` rows did, or further up by the rows that it has more than a smaller one."""
        to = next((one for one in self._smaller if one.height >= height), self._smaller[-1])
        index = self._index(to.anchor.place)
        if index == len(self._lines) and not self.at_end:
            return None  # nobody knows yet what is there
        self._smaller = [one for one in self._smaller if one.height < height]
        before, first = self.anchor, self._first
        self.anchor = self._stood = to.anchor
        if to.start and self.holds(to.anchor.place):
            self._begin_with(self._lines[index], to.start)
        self._pin(None)
        if height > to.height:
            self.up(height - to.height)
        if before is not None and (self.anchor.place, self.anchor.index) < (before.place, before.index):
            self.anchor, self._first = before, first
        return to if to.height >= height else None

    def _start(self, top: Row) -> int:
        """The character of its line that the first row is to begin with."""
        if self._first is not None and self._first[0] is self.anchor:  # nobody has moved: a row may begin before it
            return self._first[1]
        return top.start

    def _begin_with(self, line: LogLine, start: int) -> None:
        """Begin with the row of a line that shows this character."""
        same = [row for row in self._rows(line) if row.index >= 0 and row.start <= start]
        self.anchor = same[-1].anchor if same else Anchor(line.at)
        self._first = self.anchor, start

    def _put(self, index: int, within: int) -> None:
        rows = self._rows(self._lines[index])
        self.anchor = rows[min(within, len(rows) - 1)].anchor if rows else Anchor(self._starts[index])

    def _forward(self, count: int) -> None:
        assert self.anchor is not None
        index = self._index(self.anchor.place)
        within = self._within(index) + count
        while index < len(self._lines) - 1 and within >= len(self._rows(self._lines[index])):
            within -= len(self._rows(self._lines[index]))
            index += 1
        self._put(index, within)

    def _top_row(self) -> Row | None:
        rows = self.rows()
        return rows[0] if rows else None

    def _rows(self, line: LogLine) -> tuple[Row, ...]:
        # The hash, not the bytes: a line may be long, and what is laid out outlives what is held.
        key = (line.at, line.end, line.marks, line.complete, line.encoding, len(line.data), hash(line.data))
        shown = self._laid.get(key)
        if shown is None:
            shown = self._laid[key] = self._lay(line)
            if len(self._laid) > LAID:
                self._laid.popitem(last=False)
        else:
            self._laid.move_to_end(key)
        return tuple(_numbered(line, shown))


def is_tail(line: LogLine) -> bool:
    """Whether this is no line of the log: it carries the marks behind the last one."""
    return line.end == line.at.offset


def _numbered(line: LogLine, shown: tuple[DisplayRow, ...]) -> Iterable[Row]:
    marks = sum(1 for row in shown if row.mark is not None)
    start = 0
    for number, row in enumerate(shown[:marks] if is_tail(line) else shown):
        yield Row(line, number - marks, row, start)
        if row.mark is None:
            start += len(row.text)
