"""The model against a plain list of lines, while the log grows, turns and loses its beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hosts.local import lines
from hosts.local.lines import Encoding, sniff
from monitors.logs import pages, walk
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, LogLine, MarkKind, Place, Query
from tests.monitors.logs.memory import MemorySource
from tests.monitors.logs.plain import PlainFilter, PlainRow, newline_ends, rows_of, window_of

T = TypeVar("T")

BLOCK = 64
PAGE = 16
PATIENCE_S = 20.0


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Blocks and pages so small that random bytes are full of their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", BLOCK)
        for module in (pages, walk):
            patch.setattr(module, "PAGE", PAGE)
        patch.setattr(walk, "_MOST", 4 * PAGE)
        yield


words = st.lists(
    st.sampled_from(["a", "line of words", "\n", "\r\n", "é☃", "\t", "x" * 70, "y" * 200, "\n\n", "\u0a0a", "\x85"]),
    max_size=8,
).map("".join)
boms = st.sampled_from([lines.UTF8, lines.UTF16_LE, lines.UTF16_BE])


def all_rows(source: MemorySource) -> list[PlainRow]:
    """The rows of all that can be read."""
    return [
        row
        for number, first, data in source.readable()
        for row in rows_of(data, encoding_of(source, number), first, number)
    ]


def newlines_between(source: MemorySource, first: Place, last: Place) -> int:
    """How many newlines end behind one place and not behind another."""
    return sum(
        first < Place(number, end) <= last
        for number, begin, data in source.readable()
        for end in newline_ends(data, encoding_of(source, number), begin)
    )


def with_tail(rows: list[PlainRow], source: MemorySource) -> list[PlainRow]:
    """Some rows, and one for the marks behind the last of them."""
    last = rows[-1].at if rows else Place(-1, 0)
    behind = [at for at in [*(mark.at for mark in source.shape.marks), *untold(source)] if at > last]
    if not behind:
        return rows
    end = source.shape.generations[-1]
    at = max(*behind, Place(end.number, end.size))
    return [*rows, PlainRow(at, at.offset, b"", b"", ended=True, number=0, piece=0)]


def coded(text: str) -> dict[str, bytes]:
    """A text in every encoding; nothing for none."""
    return {name: text.encode(name) for name in lines.ENCODINGS} if text else {}


def untold(source: MemorySource) -> list[Place]:
    """Where bytes are gone, and the source has no mark."""
    found = []
    for index_, one in enumerate(source.shape.generations):
        oldest = index_ == 0 and one.number > 0
        low = Place(-1 if index_ == 0 else one.number, 0)
        kinds = {mark.kind for mark in source.shape.marks if low <= mark.at <= Place(one.number, one.first)}
        after = {mark.kind for mark in source.shape.marks if mark.at == Place(one.number + 1, 0)}
        told = MarkKind.LOST in kinds or (one.first == one.size and MarkKind.TRUNCATED in after)
        if (one.first > 0 or oldest) and not told:
            found.append(Place(one.number, one.first))
    return found


def encoding_of(source: MemorySource, number: int) -> Encoding:
    return sniff(source.whole(number))


class Watched(RuleBasedStateMachine):
    """A log that things happen to, somebody who looks at it, and the plain list of what there is to see."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.source = MemorySource(b"")
        self.model = LogModel(self.source, memory=40 * PAGE, now=lambda: self.source.now)
        self.wait(self.model.start())
        self.cut: set[int] = set()  # generations that lost bytes before they may have been counted

    def teardown(self) -> None:
        self.wait(self.model.close())
        self.loop.close()

    def wait(self, what: Awaitable[T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(what, PATIENCE_S))

    @property
    def live(self) -> Encoding:
        return encoding_of(self.source, self.source.shape.generations[-1].number)

    @rule(text=words, cut=st.integers(0, 9))
    def append(self, text: str, cut: int) -> None:
        """The writer writes, and may be seen in the middle of a character."""
        data = text.encode(self.live.name)
        self.source.append(data[: len(data) - min(cut, len(data))] if cut < 4 else data)

    @rule(text=words, encoding=boms)
    def rotate(self, text: str, encoding: Encoding) -> None:
        self.source.rotate(encoding.bom + text.encode(encoding.name))
        # How a file is written cannot be seen once its beginning is gone
        self.wait(self.model.window(self.model.end_place(), 1, 0))

    @rule(text=words, kept=st.integers(0, 200))
    def truncate(self, text: str, kept: int) -> None:
        size = self.source.shape.generations[-1].size  # odd where the writer stopped within a character
        self.source.truncate(text.encode(), kept + (kept + size) % 2)

    @rule(data=st.data(), told=st.booleans())
    def forget(self, data: st.DataObject, told: bool) -> None:
        one = data.draw(st.sampled_from(self.source.shape.generations))
        # As in `truncate`: in UTF-16 nobody throws half a character away
        first = data.draw(st.integers(one.first // 2, one.size // 2)) * 2
        self.source.forget(one.number, max(one.first, first), told=told)

    @precondition(lambda self: len(self.source.shape.generations) > 1)
    @rule(data=st.data(), told=st.booleans())
    def forget_all(self, data: st.DataObject, told: bool) -> None:
        one = data.draw(st.sampled_from(self.source.shape.generations[:-1]))
        self.source.forget(one.number, told=told)

    @rule(kind=st.sampled_from([MarkKind.OFFLINE, MarkKind.LOST]))
    def mark(self, kind: MarkKind) -> None:
        self.source.mark(kind)

    @rule(data=st.data(), before=st.integers(0, 7), after=st.integers(0, 7))
    def look(self, data: st.DataObject, before: int, after: int) -> None:
        """Anywhere: in lines, between them, where nothing is any more, behind the end."""
        at = data.draw(self.places())
        window = self.wait(self.model.window(at, before, after))
        rows, *edges = window_of(with_tail(all_rows(self.source), self.source), at, before, after)
        assert [seen(line) for line in window.lines] == [row_seen(row) for row in rows]
        assert not window.busy
        assert [window.anchor, window.at_start, window.at_end] == edges

    @rule(data=st.data(), include=st.sampled_from(["", "a", "☃", "zzz"]), exclude=st.sampled_from(["", "words", "x"]))
    def sift(self, data: st.DataObject, include: str, exclude: str) -> None:
        """The same through a filter, which is complete once the scan is."""
        since, until = (data.draw(st.none() | self.places()) for _ in range(2))
        spec = Filter(
            (Query(include),) if include else (),
            (Query(exclude),) if exclude else (),
            context=data.draw(st.integers(0, 3)),
            since=since,
            until=until,
        )
        plain = PlainFilter(coded(include), coded(exclude), spec.context, since, until)
        chosen, context = plain.choose(all_rows(self.source), lambda number: encoding_of(self.source, number))
        expected = with_tail(chosen, self.source)
        self.wait(self.sift_by(spec))
        for _ in range(3):
            at, before, after = data.draw(self.places()), data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
            window = self.wait(self.model.window(at, before, after))
            rows, *edges = window_of(expected, at, before, after)
            assert [seen(line) for line in window.lines] == [row_seen(row) for row in rows]
            assert {line.at for line in window.lines if line.context} == {row.at for row in rows} & context
            assert not window.busy
            assert [window.anchor, window.at_start, window.at_end] == edges
        self.model.filter(None)

    async def between(self, first: Place, last: Place) -> int | None:
        """How many lines there are, once the model knows."""
        await reached(self.model, lambda: self.model.lines_between(first, last) is not None)
        return self.model.lines_between(first, last)

    async def sift_by(self, spec: Filter) -> None:
        self.model.filter(spec)
        await reached(self.model, self.sifted)

    def sifted(self) -> bool:
        progress = self.model.state.filter
        total = sum(len(part) for _, _, part in self.source.readable())
        return progress is None or (progress.done and progress.total == total)

    def places(self) -> st.SearchStrategy[Place]:
        last = self.source.shape.generations[-1]
        return st.builds(Place, st.integers(0, last.number + 1), st.integers(0, last.size + 300))

    @rule()
    def walk_down(self) -> None:
        """Window by window from the top: every line once, and every mark once and where it belongs."""
        found: list[LogLine] = []
        at = self.model.start_place()
        while True:
            window = self.wait(self.model.window(at, 0, 3))
            found += window.lines
            if window.at_end:
                break
            at = Place(window.lines[-1].at.generation, window.lines[-1].end)
        check_all(found, self.source)

    @rule()
    def walk_up(self) -> None:
        """Window by window from the end."""
        at = self.model.end_place()
        window = self.wait(self.model.window(at, 3, 1))
        found = list(window.lines)
        while not window.at_start:
            window = self.wait(self.model.window(found[0].at, 3, 0))
            found[:0] = window.lines
        check_all(found, self.source)

    @rule(data=st.data())
    def count(self, data: st.DataObject) -> None:
        """Once counted, numbers are right, and there and back again."""
        total = sum(len(part) for _, _, part in self.source.readable())
        self.wait(reached(self.model, lambda: self.model.state.counted == total and self.model.state.lines is not None))
        rows = all_rows(self.source)
        window = self.wait(self.model.window(self.model.start_place(), 0, 1000))
        numbered = {line.at: line.number for line in window.lines if line.end > line.at.offset}
        assert list(numbered) == [row.at for row in rows]
        for row in rows:
            whole = self.source.whole(row.at.generation)[: row.at.offset]
            number = lines.count(whole, encoding_of(self.source, row.at.generation)) + 1
            if numbered[row.at] is not None:
                assert numbered[row.at] == number
                if row.piece == 0:
                    assert self.wait(self.model.at_number(row.at.generation, number)) == row.at
            else:
                assert row.at.generation in self.cut
        if rows:
            first, last = (data.draw(st.sampled_from(rows)) for _ in range(2))
            newlines = sum(row.ended for row in rows if first.at <= row.at < last.at)
            assert self.wait(self.between(first.at, last.at)) == newlines
            to_end = sum(row.ended for row in rows if first.at <= row.at)
            assert self.wait(self.between(first.at, self.model.end_place())) == to_end
            anywhere = [data.draw(self.places()) for _ in range(2)]
            assert self.wait(self.between(*anywhere)) == newlines_between(self.source, *anywhere)
        whole_lines = sum(row.ended or row.end == size_of(self.source, row) for row in rows)
        self.wait(reached(self.model, lambda: self.model.state.lines == whole_lines))
        assert self.model.state.bytes == total

    @rule(fraction=st.floats(0, 1))
    def scroll(self, fraction: float) -> None:
        at = self.model.at_fraction(fraction)
        total = self.model.state.bytes
        assert abs(self.model.fraction(at) - fraction) * total <= 1
        assert self.model.start_place() <= at <= self.model.end_place()

    @invariant()
    def note_cuts(self) -> None:
        self.cut |= {one.number for one in self.source.shape.generations if one.first > 0}

    @invariant()
    def bounded(self) -> None:
        assert self.model.held <= 40 * PAGE


async def reached(model: LogModel, holds: Callable[[], bool]) -> None:
    """Until something holds that the model tells of."""
    news = asyncio.Event()
    unlisten = model.listen(news.set)
    while not holds():
        await asyncio.wait_for(news.wait(), PATIENCE_S)
        news.clear()
    unlisten()


def size_of(source: MemorySource, row: PlainRow) -> int:
    return next(one.size for one in source.shape.generations if one.number == row.at.generation)


def seen(line: LogLine) -> tuple[object, ...]:
    return line.at, line.end, line.data, line.complete, line.piece


def is_no_line(line: LogLine) -> bool:
    """Whether it carries the marks behind the last line alone."""
    return line.end == line.at.offset


def row_seen(row: PlainRow) -> tuple[object, ...]:
    return row.at, row.end, row.data, row.ended, row.piece


def check_all(found: list[LogLine], source: MemorySource) -> None:
    """Every row once in order, and with every row the marks behind the row before it."""
    assert [seen(line) for line in found] == [row_seen(row) for row in with_tail(all_rows(source), source)]
    for line in found:
        assert is_no_line(line) or line.encoding == encoding_of(source, line.at.generation).name
    shown = [mark for line in found for mark in line.marks]
    assert [mark for mark in shown if mark in source.shape.marks] == list(source.shape.marks)
    own = [mark for mark in shown if mark not in source.shape.marks]
    assert [(mark.kind, mark.at) for mark in own] == [(MarkKind.LOST, at) for at in untold(source)]
    for before, line in zip([None, *found], found, strict=False):
        assert all((before is None or before.at < mark.at) and mark.at <= line.at for mark in line.marks)


TestWatched = Watched.TestCase
TestWatched.settings = settings(deadline=None, max_examples=40, stateful_step_count=25)
