from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitors.logs import record as record_module
from monitors.logs.record import ShapeRecorder
from monitors.logs.types import Generation, MarkKind, Place, Shape, Status


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def made(kept: int = 16) -> tuple[ShapeRecorder, Clock]:
    clock = Clock()
    return ShapeRecorder("log", kept=kept, now=clock), clock


def test_it_begins_with_nothing() -> None:
    record, _ = made()
    assert record.shape == Shape(since=1000.0, name="log")
    assert record.live is None
    record.grow(5)
    record.settle()
    record.mark(MarkKind.LOST, "nowhere", 1)
    assert record.shape == Shape(since=1000.0, name="log")


def test_a_generation_grows_and_another_takes_its_place() -> None:
    record, clock = made()
    assert record.begin("one", 10) == 0
    record.grow(20)
    record.grow(15)
    clock.time = 1001.0
    assert record.turn(MarkKind.ROTATED, "another", 0, "two", 3, first=1) == 1
    shape = record.shape
    assert shape.generations == (Generation(0, 20, 0, False, "one"), Generation(1, 3, 1, True, "two"))
    assert [(mark.at, mark.text, mark.missing, mark.when) for mark in shape.marks] == [
        (Place(1, 1), "another", 0, 1001.0)
    ]
    assert shape.name == "two"
    assert record.live == shape.generations[1]
    assert record.generation(0) == shape.generations[0]
    assert record.generation(2) is None


def test_the_shape_is_another_object_when_anything_changed_and_only_then() -> None:
    record, _ = made()
    seen = [record.shape]

    def changed() -> bool:
        seen.append(record.shape)
        return seen[-1] is not seen[-2]

    steps: list[tuple[Callable[[], object], bool]] = [
        (lambda: record.begin("one", 10), True),
        (lambda: record.grow(10), False),
        (lambda: record.grow(11), True),
        (lambda: record.status(Status.LIVE), True),
        (lambda: record.status(Status.LIVE), False),
        (lambda: record.mark(MarkKind.OFFLINE, "5 s", 0), True),
        (lambda: record.forget(Place(0, 0)), False),
        (lambda: record.forget(Place(0, 2)), True),
        (lambda: record.forget(Place(0, 2)), False),
        (lambda: record.cut(0, 2, "", 0), False),
        (record.settle, True),
        (record.settle, False),
    ]
    for step, news in steps:
        step()
        assert changed() is news


def test_a_status_begins_when_it_is_another_and_not_with_other_words() -> None:
    record, clock = made()
    record.status(Status.STALE, "no answer for 1 s")
    clock.time += 5
    record.status(Status.STALE, "no answer for 6 s")
    assert (record.shape.since, record.shape.detail) == (1000.0, "no answer for 6 s")
    record.status(Status.LIVE)
    assert record.shape.since == 1005.0


def test_only_so_many_generations_are_kept_and_what_went_is_counted_once() -> None:
    record, _ = made(kept=2)
    record.begin("0", 10)
    for number in range(1, 6):
        record.turn(MarkKind.ROTATED, "", 0, str(number), 10)
    shape = record.shape
    assert [one.number for one in shape.generations] == [4, 5]
    assert [(mark.at, mark.kind, mark.missing) for mark in shape.marks] == [
        (Place(4, 0), MarkKind.LOST, 40),
        (Place(4, 0), MarkKind.ROTATED, 0),
        (Place(5, 0), MarkKind.ROTATED, 0),
    ]
    assert shape.marks[0].text == "40 earlier bytes are not kept any more"


def test_what_is_forgotten_bit_by_bit_is_one_mark_that_moves() -> None:
    record, _ = made()
    record.begin("0", 3000)
    record.forget(Place(0, 1000), "were dropped")
    record.mark(MarkKind.OFFLINE, "", 0, Place(0, 1500))
    record.mark(MarkKind.OFFLINE, "", 0, Place(0, 2500))
    record.forget(Place(0, 2000), "were dropped")
    record.forget(Place(0, 500), "were dropped")  # nothing new
    assert [(mark.at, mark.kind, mark.missing) for mark in record.shape.marks] == [
        (Place(0, 2000), MarkKind.LOST, 2000),
        (Place(0, 2500), MarkKind.OFFLINE, 0),
    ]
    assert record.shape.marks[0].text == "2,000 earlier bytes were dropped"
    assert record.shape.generations[0].first == 2000


def test_bytes_cut_from_a_past_generation_leave_its_rows_before_what_is_left() -> None:
    record, _ = made()
    record.begin("0", 100)
    record.turn(MarkKind.ROTATED, "turned", 0, "1", 100)
    record.turn(MarkKind.TRUNCATED, "truncated", None, "1", 5)
    record.cut(1, 60, "60 bytes gone", 60)
    assert [(mark.at, mark.kind, mark.missing) for mark in record.shape.marks] == [
        (Place(1, 60), MarkKind.ROTATED, 0),
        (Place(1, 60), MarkKind.LOST, 60),
        (Place(2, 0), MarkKind.TRUNCATED, None),
    ]
    record.cut(1, 1000, "the rest", 40)
    assert record.shape.generations[1].first == record.shape.generations[1].size == 100


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "MARKS", 10)
    record, _ = made()
    record.begin("0")
    for size in range(30):
        record.grow(size)
        record.mark(MarkKind.OFFLINE, "", 0)
    assert [mark.at.offset for mark in record.shape.marks] == list(range(20, 30))


@example([("settle", 10), ("turn", 0), ("forget", 1), ("mark", 0)])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("grow"), st.integers(0, 100)),
            st.tuples(st.just("turn"), st.integers(0, 100)),
            st.tuples(st.just("mark"), st.integers(0, 100)),
            st.tuples(st.just("forget"), st.integers(0, 100)),
            st.tuples(st.just("cut"), st.integers(0, 100)),
            st.tuples(st.just("settle"), st.integers(0, 100)),
        )
    )
)
def test_whatever_is_done_the_shape_keeps_its_word(steps: list[tuple[str, int]]) -> None:
    record, _ = made(kept=4)
    record.begin("0", 10)
    for name, value in steps:
        generations = record.shape.generations
        one = generations[value % len(generations)]
        if name == "grow":
            record.grow(value)
        elif name == "turn":
            record.turn(MarkKind.ROTATED, "", 0, "x", value, first=value // 2)
        elif name == "mark":
            record.mark(MarkKind.OFFLINE, "", 0, Place(one.number, one.first + value % (one.size - one.first + 1)))
        elif name == "forget":
            record.forget(Place(one.number, value))
        elif name == "cut":
            record.cut(one.number, value, "", value)
        else:
            record.settle(value)
        shape = record.shape
        assert 1 <= len(shape.generations) <= 4
        assert [one.number for one in shape.generations] == list(
            range(shape.generations[0].number, shape.generations[-1].number + 1)
        )
        assert not any(one.live for one in shape.generations[:-1])
        assert all(0 <= one.first <= one.size for one in shape.generations)
        places = [mark.at for mark in shape.marks]
        assert places == sorted(places)
        spans = {one.number: one for one in shape.generations}
        assert all(spans[at.generation].first <= at.offset <= spans[at.generation].size for at in places)


async def test_the_listener_is_called_on_the_loop_and_once_for_many_changes() -> None:
    loop = asyncio.get_running_loop()
    record = ShapeRecorder("log", interval=0.05)
    calls: list[tuple[float, int, int]] = []
    done = asyncio.Event()

    def changed() -> None:
        size = record.shape.generations[-1].size
        calls.append((loop.time(), threading.get_ident(), size))
        if size == 5000:
            done.set()

    record.listen(loop, changed)

    def work() -> None:
        record.begin("0")
        for size in range(5001):
            record.grow(size)

    await asyncio.to_thread(work)
    await asyncio.wait_for(done.wait(), 20)
    assert {thread for _, thread, _ in calls} == {threading.get_ident()}
    assert all(later - earlier >= 0.045 for (earlier, *_), (later, *_) in pairwise(calls))
    record.listen(loop, None)
    before = len(calls)
    record.grow(6000)
    await asyncio.sleep(0)
    assert len(calls) == before


async def test_what_changes_while_the_listener_is_called_is_told_again() -> None:
    record = ShapeRecorder("log", interval=0.0)
    seen: list[int] = []
    done = asyncio.Event()

    def changed() -> None:
        seen.append(record.shape.generations[-1].size)
        if len(seen) == 1:
            record.grow(1)
        else:
            done.set()

    record.listen(asyncio.get_running_loop(), changed)
    record.begin("0")
    await asyncio.wait_for(done.wait(), 20)
    assert seen == [0, 1]


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    loop = asyncio.new_event_loop()
    record = ShapeRecorder("log")
    record.listen(loop, lambda: None)
    loop.close()
    record.begin("0", 5)
    assert record.shape.generations[0].size == 5
