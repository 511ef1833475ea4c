"""Windows of which one answer may look at less than was asked for: nothing is left out between lines, none sticks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.local import lines
from monitors.logs import model as model_module
from monitors.logs import pages, walk
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, MarkKind, Place, Query, Window
from tests.monitors.logs.memory import MemorySource
from tests.monitors.logs.plain import PlainFilter, PlainRow, rows_of
from tests.monitors.logs.test_model import reached

BLOCK = 64
PAGE = 16


texts = st.lists(st.sampled_from(["a\n", "line\n", "\n", "x" * 40 + "\n", "y" * 150, "a b\n"]), max_size=40).map(
    "".join
)
filters = st.none() | st.builds(Filter, st.just((Query("a"),)), context=st.integers(0, 2))


@asynccontextmanager
async def looked_at(source: MemorySource, spec: Filter | None, limit: int) -> AsyncIterator[LogModel]:
    """A model that may look at little, of blocks and pages so small that random bytes are full of their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_module, "LIMIT", limit)
        patch.setattr(lines, "BLOCK", BLOCK)
        for module in (pages, walk):
            patch.setattr(module, "PAGE", PAGE)
        patch.setattr(walk, "_MOST", 4 * PAGE)
        model = LogModel(source)
        await model.start()
        model.filter(spec)
        await reached(model, lambda: (passing := model.state.filter) is None or passing.done)
        yield model
        await model.close()


def shown(data: bytes, spec: Filter | None) -> list[PlainRow]:
    rows = rows_of(data, lines.UTF8)
    if spec is None:
        return rows
    plain = PlainFilter({"utf-8": b"a"}, {}, spec.context, None, None)
    return plain.choose(rows, lambda _: lines.UTF8)[0]


def check(window: Window, rows: list[PlainRow], at: Place, before: int, after: int) -> None:
    """What is given stands around the place without a gap, and says what is missing of it."""
    above = [row.at for row in rows if row.at < at][-before or len(rows) :]
    below = [row.at for row in rows if row.at >= at][:after]
    places = [line.at for line in window.lines]
    got_above, got_below = places[: window.anchor], places[window.anchor :]
    assert got_above == above[len(above) - len(got_above) :]
    assert got_below == below[: len(got_below)]
    assert bool(got_above) == bool(above)
    assert bool(got_below) == bool(below)
    assert window.cut or (got_above == above and got_below == below)
    at_start = not [row for row in rows if row.at < (places[0] if places else at)]
    at_end = not [row for row in rows if row.at > places[-1]] if places else not below
    assert [window.at_start, window.at_end] == [at_start, at_end] or window.cut
    assert window.at_start <= at_start
    assert window.at_end <= at_end
    assert not window.busy


@settings(deadline=None)
@given(text=texts, spec=filters, limit=st.integers(1, 400), data=st.data())
def test_a_cut_window_has_no_gap_and_says_so(text: str, spec: Filter | None, limit: int, data: st.DataObject) -> None:
    async def look() -> None:
        async with looked_at(MemorySource(text.encode()), spec, limit) as model:
            rows = shown(text.encode(), spec)
            for _ in range(4):
                at = Place(0, data.draw(st.integers(0, len(text) + 3)))
                before, after = data.draw(st.integers(0, 30)), data.draw(st.integers(1, 30))
                check(await model.window(at, before, after), rows, at, before, after)

    asyncio.run(look())


@settings(deadline=None)
@given(text=texts, spec=filters, limit=st.integers(1, 400), marks=st.integers(0, 3), up=st.booleans())
def test_from_window_to_window_one_meets_every_line_and_mark(
    text: str, spec: Filter | None, limit: int, marks: int, up: bool
) -> None:
    source = MemorySource(b"")
    for number in range(marks + 1):
        source.append(text.encode()[number * len(text) // (marks + 1) : (number + 1) * len(text) // (marks + 1)])
        if number < marks:
            source.mark(MarkKind.OFFLINE, f"{number}")

    async def walk_through() -> None:
        async with looked_at(source, spec, limit) as model:
            at = model.end_place() if up else model.start_place()
            window = await model.window(at, 9, 1) if up else await model.window(at, 0, 9)
            found = list(window.lines)
            while not (window.at_start if up else window.at_end):
                window = await (model.window(found[0].at, 9, 0) if up else model.window(Place(0, found[-1].end), 0, 9))
                assert window.lines or window.at_start or window.at_end
                found[:0] = window.lines if up else ()
                found += () if up else window.lines
            told = [mark for line in found for mark in line.marks]
            assert [line.at for line in found if line.end > line.at.offset] == [
                row.at for row in shown(text.encode(), spec)
            ]
            assert told == list(source.shape.marks)

    asyncio.run(walk_through())


async def test_hits_further_apart_than_a_page_are_all_there_and_numbered() -> None:
    apart = b"nothing\n" * 9000
    source = MemorySource(b"".join(b"HIT %d\n" % number + apart for number in range(200)))
    model = LogModel(source)
    await model.start()
    model.filter(Filter((Query("HIT"),)))
    await reached(model, lambda: (passing := model.state.filter) is not None and passing.done)
    await reached(model, lambda: model.state.lines is not None)
    at = model.at_fraction(0.9)
    window = await model.window(at, 150, 200)
    numbers = [int(line.data.split()[1]) for line in window.lines]
    assert numbers == [*range(numbers[0], numbers[-1] + 1)]
    assert numbers[0] <= 80
    assert numbers[-1] == 199
    assert [line.number for line in window.lines] == [number * 9001 + 1 for number in numbers]
    assert window.cut != window.at_start
    assert not window.busy
    await model.close()


async def test_long_lines_below_do_not_use_up_what_the_way_up_costs() -> None:
    source = MemorySource(b"".join(b"%d " % number + b"y" * 100_000 + b"\n" for number in range(200)))
    model = LogModel(source)
    await model.start()
    window = await model.window(model.at_fraction(0.5), 60, 80)
    numbers = [int(line.data.split()[0]) for line in window.lines]
    assert numbers == [*range(numbers[0], numbers[-1] + 1)]
    assert window.anchor >= 5
    assert len(numbers) - window.anchor >= 30
    assert window.cut
    assert not window.busy
    await model.close()
