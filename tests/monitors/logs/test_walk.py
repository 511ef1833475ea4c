from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.local import lines
from hosts.local.lines import UTF8, UTF16_BE, UTF16_LE, Encoding, drive
from monitors.logs import pages, walk
from monitors.logs.index import Index
from monitors.logs.walk import Purse, Row, Walk
from tests.monitors.logs.plain import PlainRow, rows_of

BLOCK = 32
PAGE = 8


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Blocks and pages so small that random bytes are full of their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", BLOCK)
        for module in (pages, walk):
            patch.setattr(module, "PAGE", PAGE)
        patch.setattr(walk, "_MOST", 4 * PAGE)
        yield


encodings = st.sampled_from([UTF8, UTF16_LE, UTF16_BE])
runs = st.tuples(st.sampled_from([b"a", b"\n", b"\0", b"\r", b"\n\0", b"\0\n"]), st.integers(1, 3 * BLOCK + 3))
logs = st.lists(runs | st.tuples(st.binary(max_size=9), st.just(1)), max_size=12).map(
    lambda parts: b"".join(part * times for part, times in parts)
)


class Log:
    """Bytes of which the first are gone, and who asked for which."""

    def __init__(self, data: bytes, first: int, encoding: Encoding) -> None:
        self.first = min(first, len(data))
        self.data = data
        self.encoding = encoding
        self.index = Index(self.first)
        self.plain = rows_of(data[self.first :], encoding, self.first)
        self.asked: list[tuple[int, int]] = []

    def walk(self, limit: int = 1 << 60) -> Walk:
        return Walk(self.first, len(self.data), self.encoding, self.index, Purse(limit))

    def read(self, offset: int, size: int) -> bytes:
        assert offset >= self.first
        assert size > 0
        self.asked.append((offset, size))
        return self.data[offset : offset + size]

    @property
    def rows(self) -> list[Row]:
        return [Row(row.at.offset, row.end, row.ended) for row in self.plain]


made = st.builds(Log, logs, st.integers(0, 2 * BLOCK), encodings)


@settings(deadline=None)
@given(made, st.integers(1, 5))
def test_forward_from_the_first_byte_gives_every_row(log: Log, step: int) -> None:
    found: list[Row] = []
    here = log.walk()
    while len(found) < len(log.rows):
        more = drive(here.forward(found[-1].end if found else log.first, step), log.read)
        assert 1 <= len(more) <= step
        found += more
    assert found == log.rows


@settings(deadline=None)
@given(made, st.integers(1, 5))
def test_backward_from_the_end_gives_every_row(log: Log, step: int) -> None:
    found: list[Row] = []
    here = log.walk()
    while len(found) < len(log.rows):
        more = drive(here.backward(found[0].start if found else len(log.data), step), log.read)
        assert 1 <= len(more) <= step
        found[:0] = more
    assert found == log.rows
    assert drive(here.backward(log.first, step), log.read) == []


@settings(deadline=None)
@given(made, st.data())
def test_any_place_snaps_to_the_next_row(log: Log, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(log.data) + 3))
    expected = next((row.start for row in log.rows if row.start >= at), len(log.data))
    assert drive(log.walk().at_or_after(at), log.read) == expected


@settings(deadline=None)
@given(made, st.data())
def test_one_walk_answers_one_question_after_the_other(log: Log, data: st.DataObject) -> None:
    """What a walk keeps from the last answer does not spoil the next one."""
    here = log.walk()
    ask: dict[str, Callable[[int], object]] = {
        "snap": lambda at: drive(here.at_or_after(at), log.read),
        "forward": lambda at: drive(here.forward(at, 3), log.read),
        "backward": lambda at: drive(here.backward(at, 3), log.read),
    }
    starts = [row.start for row in log.rows]
    for _ in range(6):
        name = data.draw(st.sampled_from(sorted(ask)))
        if name == "snap":
            at = data.draw(st.integers(0, len(log.data)))
            assert ask[name](at) == next((start for start in starts if start >= at), len(log.data))
        else:
            edge = data.draw(st.integers(0, len(starts)))
            at = [*starts, len(log.data)][edge]
            expected = log.rows[edge : edge + 3] if name == "forward" else log.rows[max(0, edge - 3) : edge]
            assert ask[name](at) == expected


@settings(deadline=None)
@given(made)
def test_pieces_are_numbered_from_the_beginning_of_their_line(log: Log) -> None:
    assert [drive(log.walk().piece(row.at.offset), log.read) for row in log.plain] == [row.piece for row in log.plain]


@settings(deadline=None)
@given(made)
def test_a_log_that_grows_keeps_its_rows(log: Log) -> None:
    """What was learned of a shorter log holds for the longer one."""
    learned = log.index
    for size in range(log.first, len(log.data) + 1, 5):
        shorter = Walk(log.first, size, log.encoding, learned, Purse())
        kept = rows_of(log.data[log.first : size], log.encoding, log.first)
        rows = drive(shorter.forward(log.first, 1 << 20), log.read)
        assert rows == [Row(row.at.offset, row.end, row.ended) for row in kept]


@settings(deadline=None)
@given(made)
def test_a_counted_log_is_walked_alike(log: Log) -> None:
    for block in range(log.first // BLOCK, len(log.data) // BLOCK + 1):
        low, high = max(log.first, block * BLOCK), min(len(log.data), (block + 1) * BLOCK)
        log.index.add(block, high, lines.count(log.data[low:high], log.encoding, low))
    assert drive(log.walk().forward(log.first, 1 << 20), log.read) == log.rows
    assert drive(log.walk().backward(len(log.data), 1 << 20), log.read) == log.rows


def test_a_long_line_is_read_once() -> None:
    log = Log(b"a" * 20 * BLOCK, 0, UTF8)
    for _ in range(2):
        assert drive(log.walk().backward(len(log.data), 99), log.read) == log.rows
        assert drive(log.walk().forward(0, 99), log.read) == log.rows
        assert drive(log.walk().piece(19 * BLOCK), log.read) == 19
        spent = sum(size for _, size in log.asked)
        log.asked.clear()
    assert spent < len(log.data)


def test_a_walk_that_cannot_pay_stops_with_what_it_has_and_gets_further_next_time() -> None:
    log = Log(b"a" * 20 * BLOCK, 0, UTF8)
    lengths = []
    for _ in range(20):
        rows = drive(log.walk(limit=4 * BLOCK).backward(len(log.data), 99), log.read)
        assert rows == log.rows[-len(rows) :]
        assert rows
        lengths.append(len(rows))
    assert lengths[-1] == 20
    assert all(later > sooner or later == 20 for sooner, later in pairwise(lengths))


def test_the_end_of_a_log_costs_its_last_pages() -> None:
    log = Log(b"\n".join(b"%d" % number for number in range(1000)), 0, UTF8)
    rows = drive(log.walk().backward(len(log.data), 2), log.read)
    assert rows == log.rows[-2:]
    assert min(offset for offset, _ in log.asked) >= len(log.data) - 3 * PAGE


def test_plain_rows_of_a_log_whose_beginning_is_gone() -> None:
    """The model's own rule, by hand: its first byte counts as one after a newline."""
    data = b"a" * (3 * BLOCK)
    assert [row.at.offset for row in rows_of(data, UTF8)] == [0, BLOCK, 2 * BLOCK]
    assert [row.at.offset for row in rows_of(data[5:], UTF8, 5)] == [5, 2 * BLOCK]
    assert [type(row) for row in rows_of(b"a", UTF8)] == [PlainRow]
