"""Line counts, marks, arrivals and stretches: what is kept about a log's bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local import lines
from monitors.logs import arrivals
from monitors.logs.arrivals import Arrivals
from monitors.logs.index import Index
from monitors.logs.marks import Marks
from monitors.logs.spans import Spans
from monitors.logs.types import Generation, Mark, MarkKind, Place, Shape

BLOCK = lines.BLOCK


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 3), st.randoms())
def test_counts_may_come_in_any_order_and_again(counts: list[int], low: int, random: Random) -> None:
    index = Index(low * BLOCK)
    steps = list(range(low, low + len(counts)))
    random.shuffle(steps)
    for block in steps * 2:
        if random.random() < 0.5:
            index.add(block, block * BLOCK + 7, 0)
        index.add(block, (block + 1) * BLOCK, counts[block - low])
    assert index.counted == (low + len(counts)) * BLOCK
    assert index.newlines == sum(counts)
    for at in range(len(counts) + 1):
        assert index.before(low + at) == index.rank((low + at) * BLOCK) == sum(counts[:at])
    for newline in range(sum(counts)):
        before = [sum(counts[:at]) for at in range(len(counts))]
        assert index.block_of(newline) == low + bisect_right(before, newline) - 1
    assert index.block_of(sum(counts)) is index.block_of(-1) is None
    assert index.before(low + len(counts) + 1) is None
    assert low == 0 or index.before(low - 1) is None


def test_what_is_counted_of_an_unfinished_block_grows() -> None:
    index = Index()
    index.add(0, 10, 1)
    assert (index.counted, index.newlines, index.tail, index.next_block) == (10, 1, 1, 0)
    index.add(0, 8, 0)  # late
    assert (index.counted, index.newlines) == (10, 1)
    index.add(0, BLOCK, 3)
    index.add(1, BLOCK + 5, 2)
    assert (index.counted, index.newlines, index.tail, index.next_block) == (BLOCK + 5, 5, 2, 1)
    assert index.rank(BLOCK + 5) == 5
    assert index.rank(BLOCK + 6) is None
    index.remember(3, 1)
    assert index.rank(3) == 1


@pytest.mark.parametrize("origin", [0, 2 * BLOCK + 7])
def test_what_is_sure_of_an_index_can_be_counted_on(origin: int) -> None:
    index, low = Index(origin), origin // BLOCK
    assert (index.surely().counted, index.surely().next_block) == (origin, low)
    for block in range(low, low + 4):
        index.add(block, (block + 1) * BLOCK, 10)
    index.sure = low + 2
    sure = index.surely()
    assert (sure.origin, sure.sure, sure.next_block) == (origin, low + 2, low + 2)
    assert (sure.counted, sure.newlines, sure.tail, sure.caught_up) == ((low + 2) * BLOCK, 20, 0, False)
    sure.add(low + 2, (low + 2) * BLOCK + 5, 3)
    assert (sure.newlines, sure.before(low + 2), index.newlines) == (23, 20, 40)


def test_counted_blocks_are_known_to_be_blank_or_not() -> None:
    index = Index()
    index.note(5)
    for block, newlines in enumerate([0, 4, 0]):
        index.add(block, (block + 1) * BLOCK, newlines)
    assert [index.is_blank(block) for block in range(6)] == [True, False, True, None, None, True]


def test_an_index_costs_eight_bytes_a_block() -> None:
    index = Index()
    for block in range(100_000):  # 100 GB
        index.add(block, (block + 1) * BLOCK, 10_000)
    assert index._before.itemsize * len(index._before) <= 8 * 100_001
    assert type(index._before) is array
    for offset in range(100_000):
        index.remember(offset, 0)
        index.note(1_000_000 + offset)
        index.add(200_000 + offset, (200_001 + offset) * BLOCK, 1)
    assert len(index._ranks) <= 1 << 12
    assert len(index._blank) <= 1 << 16
    assert len(index._early) <= 1 << 14


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30), st.integers(0, 90))
def test_stretches_are_those_that_were_noted(added: list[tuple[int, int]], at: int) -> None:
    spans, covered = Spans(), set()
    for start, size in added:
        if size:
            spans.add(start, start + size)
            covered |= set(range(start, start + size))
    end = start = at
    while end in covered:
        end += 1
    while start - 1 in covered:
        start -= 1
    assert (spans.end_of(at), spans.start_of(at)) == (end, start)
    assert len(spans._starts) == len(spans._ends) == len([one for one in covered if one - 1 not in covered])


def test_stretches_are_bounded() -> None:
    spans = Spans()
    for at in range(0, 100_000, 2):
        spans.add(at, at + 1)
    assert len(spans._starts) <= 4096


def generations(*sizes: int) -> tuple[Generation, ...]:
    return tuple(Generation(number, size) for number, size in enumerate(sizes))


def test_bytes_came_when_they_were_first_seen() -> None:
    seen = Arrivals()
    seen.grown(generations(100), None)
    seen.grown(generations(150), 1.0)
    seen.grown(generations(150), 2.0)
    seen.grown(generations(170, 30), 3.0)
    expected = {Place(0, 0): None, Place(0, 99): None, Place(0, 100): 1.0, Place(0, 149): 1.0, Place(0, 150): 3.0}
    assert {at: seen.at(at) for at in expected} == expected
    assert seen.at(Place(1, 0)) == 3.0


def test_a_log_that_was_not_there_yet() -> None:
    seen = Arrivals()
    seen.grown((), None)
    seen.grown(generations(10), 5.0)
    assert seen.at(Place(0, 0)) == 5.0


@pytest.mark.parametrize("step", [0.001, 60.0])
def test_arrivals_are_bounded_and_a_time_is_early_by_a_small_share_of_its_age(step: float) -> None:
    draw, seen, came, now = Random(0), Arrivals(), [0.0], 0.0
    seen.grown(generations(1), None)
    for size in range(2, 60_000):
        now += draw.expovariate(1 / step)
        seen.grown(generations(size), now)
        came.append(now)
    assert len(seen._places) == len(seen._times) <= arrivals.MOST
    assert seen.at(Place(0, 0)) is None
    for at in range(1, len(came)):
        when = seen.at(Place(0, at))
        assert when is not None
        assert 0 <= came[at] - when <= (now - came[at]) / arrivals.SHARES[-1], at
    assert [seen.at(Place(0, at)) for at in range(len(came) - 64, len(came))] == came[-64:]


def test_arrivals_are_bounded_though_the_clock_stands_still_or_goes_back() -> None:
    seen = Arrivals()
    for size in range(1, 100_000):
        seen.grown(generations(size), float(-size if size % 3 else size % 7))
        assert len(seen._places) == len(seen._times) <= arrivals.MOST


def test_marks_that_nobody_set_stand_where_bytes_are_gone() -> None:
    marks = Marks()
    rotated = Mark(Place(2, 0), MarkKind.ROTATED, "rotated", 0, 1.0)
    shape = Shape((Generation(1, 100, 20, live=False), Generation(2, 50, 5)), (rotated,))
    marks.update(shape, 7.0)
    oldest, turn, gone = marks.between(None, None)
    assert (oldest.kind, oldest.at, oldest.missing, oldest.when) == (MarkKind.LOST, Place(1, 20), None, 7.0)
    assert turn is rotated
    assert (gone.kind, gone.at, gone.missing, gone.text) == (
        MarkKind.LOST,
        Place(2, 5),
        5,
        "5 earlier bytes are gone",
    )
    marks.update(Shape(shape.generations, (rotated,)), 9.0)
    assert marks.between(None, Place(1, 50)) == (oldest,)  # with the time that it had
    assert marks.between(Place(1, 20), Place(2, 4)) == (rotated,)
    assert marks.between(Place(2, 0), None) == (gone,)


def test_a_mark_of_the_source_is_enough() -> None:
    marks = Marks()
    lost = Mark(Place(1, 20), MarkKind.LOST, "x", 120, 1.0)
    cut = Mark(Place(3, 0), MarkKind.TRUNCATED, "x", None, 1.0)
    shape = Shape(
        (Generation(1, 100, 20, live=False), Generation(2, 40, 40, live=False), Generation(3, 0)), (lost, cut)
    )
    marks.update(shape, 7.0)
    assert marks.between(None, None) == (lost, cut)


def test_lines_that_were_counted_ahead_hold_for_that_very_size() -> None:
    index = Index()
    index.foreseen = 100, 7
    assert index.lines(100) == 7
    assert index.lines(101) is None
    index.add(0, 101, 8)
    index.caught_up = True
    assert index.lines(101) == 8
    assert Index(5).lines(5, 5) == 0


def test_lines_before_the_first_byte_that_can_be_read_count_until_somebody_knows_them() -> None:
    index = Index()
    index.foreseen = BLOCK + 100, 8
    assert index.lines(BLOCK + 100, 10) is None
    index.add(0, BLOCK, 5)
    index.add(1, BLOCK + 100, 2)
    index.caught_up = index.open = True
    assert (index.gone(10), index.lines(BLOCK + 100, 10)) == (None, 8)
    index.remember(10, 3)
    assert (index.gone(10), index.lines(BLOCK + 100, 10)) == (3, 5)
    for offset in range(100, 1 << 14):
        index.remember(offset, 4)
    assert (index.gone(10), index.lines(BLOCK + 100, 10)) == (3, 5), "though it is looked up no more"
    assert index.lines(BLOCK + 100, 20) == 5
    assert index.lines(BLOCK + 100, BLOCK) == 3
    assert index.lines(BLOCK + 100, BLOCK + 100) == 0
