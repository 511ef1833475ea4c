"""The whole lines of rows that pass: a very long line is many rows on a screen, one line in a file and in a copy."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from hosts.local import lines
from hosts.local.lines import ENCODINGS
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, Generation, GoneError, LogLine, Place

STEP = 1 << 20
"""Bytes of a line that are read at once; a multiple of every encoding's unit."""

Part = tuple[LogLine, bytes]
"""Bytes, newlines included, and the line that they are, or the beginning of one, or what goes on from that."""


class Lost:
    """What is thrown away of a log while it is taken out of it, before its bytes were had.

    Attributes:
        size: Bytes, as far as anybody looked.
    """

    def __init__(self) -> None:
        self.size = 0
        self._left: dict[int, tuple[int, int]] = {}
        self._seen: Sequence[Generation] = ()

    def begin(self, generations: Sequence[Generation], at: Place, end: Place) -> None:
        """All between two places is wanted."""
        for one in generations:
            low = max(one.first, at.offset) if one.number == at.generation else one.first
            high = min(one.size, end.offset) if one.number == end.generation else one.size
            if at.generation <= one.number <= end.generation and low < high:
                self._left[one.number] = (low, high)
        self._seen = generations

    def look(self, generations: Sequence[Generation], upto: Place) -> None:
        """What is not there any more is lost, but for what lies before a place: that was had."""
        if generations is self._seen:
            return
        self._seen = generations
        firsts = {one.number: one.first for one in generations}
        for number, (low, high) in self._left.items():
            gone = min(high, firsts.get(number, high))
            had = low if number > upto.generation else high if number < upto.generation else max(low, upto.offset)
            self.size += max(0, gone - had)
            self._left[number] = (max(low, gone), high)


class Wholes:
    """Makes whole lines of rows, in order and each of them once.

    Args:
        model: The log.
        at: Where the first row may begin: a place where a line does.
        spec: The model's filter: of a line in which its range begins or ends, only the rows in the range are taken.
        lost: Takes in what is thrown away meanwhile.

    Attributes:
        upto: Behind all that was taken.
    """

    def __init__(self, model: LogModel, at: Place, spec: Filter | None = None, lost: Lost | None = None) -> None:
        self.upto = at
        self._model = model
        self._since = spec.since if spec is not None else None
        self._until = spec.until if spec is not None else None
        self._lost = lost or Lost()
        self._open: LogLine | None = None  # what was given last, if its newline was not

    async def line(self, row: LogLine) -> AsyncGenerator[Part, None]:
        """The line that a row is of, in parts of at most `STEP` bytes unless it is one row; nothing, if it was given.

        Bytes that were thrown away meanwhile are left out.

        Raises:
            UnreachableError: Nobody answers.
        """
        if row.end <= row.at.offset or Place(row.at.generation, row.end) <= self.upto:
            return
        number, encoding = row.at.generation, ENCODINGS[row.encoding]
        whole = row.complete and not row.piece
        at = await self._begin(row) if row.piece else row.at.offset
        stop = row.end if row.complete else self._stop(row)
        first = True
        while at < stop:
            self.look(Place(number, at))
            size = stop - at if whole else min(STEP - at % encoding.unit, stop - at)
            try:
                data = await self._model.read(Place(number, at), size)
            except GoneError:
                at, first = self._left(number, at, stop), True
                continue
            newline = -1 if whole else lines.find_newline(data, encoding, at)
            if newline >= 0:
                data = data[: newline + encoding.unit]
                stop = at + len(data)
            if not data:
                break
            end = at + len(data)
            ended = end == stop and (newline >= 0 or row.complete)
            part = LogLine(
                Place(number, at), end, b"", len(data), None, ended, piece=0 if first else 1, encoding=row.encoding
            )
            if (seam := self._seam(part)) is not None:
                yield seam
            self._open = None if ended else part
            self.upto = Place(number, end)
            yield part, data
            at, first = end, False
        self.upto = max(self.upto, Place(number, min(row.end, stop)))

    def given(self, upto: Place) -> None:
        """Somebody else has given all whole lines up to a place."""
        self.upto, self._open = upto, None

    def seam(self, at: Place) -> Part | None:
        """What stands between an unfinished line and another one that does not go on from it."""
        return self._seam(LogLine(at, at.offset, b"", 0, None, True))

    def look(self, upto: Place) -> None:
        """Take in what was thrown away, now that everything before a place was had."""
        self._lost.look(self._model.shape.generations, upto)

    def _seam(self, behind: LogLine) -> Part | None:
        last = self._open
        if last is None or behind.at == self.upto:
            return None
        if behind.at.generation > last.at.generation and not behind.at.offset:
            return None  # its writer may have gone on with the line there
        ended = LogLine(self.upto, self.upto.offset, b"", 0, None, True, piece=1, encoding=last.encoding)
        return ended, ENCODINGS[last.encoding].newline

    async def _begin(self, row: LogLine) -> int:
        """Where the line begins of which a row goes on, or what is to be had of it."""
        number, encoding = row.at.generation, ENCODINGS[row.encoding]
        low = max(self._first(number, 0), self.upto.offset if self.upto.generation == number else 0)
        begin, high = low, row.at.offset
        while high > low:
            start = max(low, high - STEP)
            try:
                data = await self._model.read(Place(number, start), high - start)
            except GoneError:
                begin = max(self._first(number, high), high)
                break
            newline = lines.rfind_newline(data, encoding, start)
            if newline >= 0:
                begin = start + newline + encoding.unit
                break
            high = start
        since = self._since
        if since is not None and since.generation == number and since.offset > begin:
            within = row.at.offset - (row.at.offset - since.offset) // lines.BLOCK * lines.BLOCK
            # No row begins at the first border of blocks behind the line's beginning
            begin = within if within - lines.BLOCK >= begin else within + lines.BLOCK
        return min(begin, row.at.offset)

    def _stop(self, row: LogLine) -> int:
        """Where a line ends at the latest of which a row is not the end."""
        number, until = row.at.generation, self._until
        one = next((one for one in self._model.shape.generations if one.number == number), None)
        stop = max(row.end, one.size) if one is not None else row.end
        if until is not None and until.generation == number:
            more = max(0, -(-(until.offset - row.end) // lines.BLOCK))
            stop = min(stop, row.end + more * lines.BLOCK)
        return stop

    def _first(self, number: int, other: int) -> int:
        return next((one.first for one in self._model.shape.generations if one.number == number), other)

    def _left(self, number: int, at: int, stop: int) -> int:
        """Where to go on, at `stop` at the latest, after bytes were found to be thrown away."""
        self.look(Place(number, at))
        left = min(stop, self._first(number, stop))
        if left > at:
            return left
        self._lost.size += stop - at  # whoever threw them away has not said so yet
        return stop
