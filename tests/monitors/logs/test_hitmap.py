"""The map of hits against lists of booleans."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local.blocks import FAILS, PASSES, THROUGH, BlockHits
from monitors.logs import hitmap
from monitors.logs.hitmap import HitMap, Hole, Span, Spot


@pytest.fixture(autouse=True, scope="module")
def _small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hitmap, "_GROUP", 3)
        yield


@st.composite
def blocks(draw: st.DrawFn) -> list[BlockHits]:
    found: list[BlockHits] = []
    for number in range(draw(st.integers(0, 8))):
        bits = draw(st.one_of(st.just(0), st.integers(0, 1 << 20)))
        leaves = draw(st.sampled_from([THROUGH, THROUGH, FAILS, PASSES]))
        head = draw(st.integers(0, 21))
        data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        found.append(BlockHits(number, (number + 1) << 20, bits=data, head=head, leaves=leaves))
    return found


def decided(log: list[BlockHits], put: set[int], starts_in: bool) -> dict[int, list[bool | None]]:
    """Every row of the blocks that were put: whether it is a hit, None while nobody knows."""
    rows: dict[int, list[bool | None]] = {}
    for block in put:
        carry: bool | None = starts_in
        for before in range(block):
            leaves = log[before].leaves if before in put else None
            carry = {THROUGH: carry, FAILS: False, PASSES: True, None: None}[leaves]
        bits = int.from_bytes(log[block].bits, "little")
        own: list[bool | None] = [bool(bits >> row & 1) for row in range(24)]
        for row in range(log[block].head):
            own[row] = own[row] and carry if carry is not None else None
        rows[block] = own
    return rows


GENERATIONS = st.lists(blocks(), min_size=1, max_size=3)


@given(GENERATIONS, st.booleans(), st.data())
def test_hits_are_found_from_everywhere(logs: list[list[BlockHits]], starts_in: bool, draw: st.DataObject) -> None:
    hits = HitMap(starts_in)
    everything = [(number, block) for number, log in enumerate(logs) for block in range(len(log))]
    order = draw.draw(st.permutations(everything), "order")[: draw.draw(st.integers(0, len(everything)), "how many")]
    for number, block in order:
        if draw.draw(st.booleans()):  # what is put again replaces what was there
            hits.put(number, logs[number][block]._replace(bits=b"\xff", head=0, leaves=PASSES))
        hits.put(number, logs[number][block])
    spans = [Span(number, 0, len(log)) for number, log in enumerate(logs)]
    known = [decided(log, {block for other, block in order if other == number}, starts_in)
             for number, log in enumerate(logs)]  # fmt: skip
    expected = [
        Spot(number, block, row)
        for number, rows in enumerate(known)
        for block in sorted(rows)
        for row, hit in enumerate(rows[block])
        if hit
    ]
    assert hits.total == len(expected)
    assert [hits.nth(number) for number in range(len(expected) + 1)] == [*expected, None]
    for spot in expected:
        assert hits.before(spot) == expected.index(spot)
        assert hits.rows(spot.generation, spot.block) >> spot.row & 1
    at = Spot(
        draw.draw(st.integers(0, len(logs) - 1)), draw.draw(st.integers(0, 8)), draw.draw(st.integers(-1, 22), "row")
    )
    check_next(hits, at, spans, known, expected)
    check_previous(hits, at, spans, known, expected)


def check_next(
    hits: HitMap, at: Spot, spans: list[Span], known: list[dict[int, list[bool | None]]], expected: list[Spot]
) -> None:
    found = hits.next(at, spans)
    following = next((spot for spot in expected if spot > at), None)
    ahead = [
        Spot(span.generation, block, row)
        for span in spans
        for block in range(span.high)
        for row, hit in enumerate(known[span.generation].get(block, [None] * 24))
        if hit is None and (span.generation, block, row) > at
    ]
    if isinstance(found, Hole):
        # It is a block that was not put, and rows are unknown before the next hit that is known
        assert found.block not in known[found.generation]
        assert ahead
        assert following is None or ahead[0] < following
    else:
        assert found == following
        assert not ahead or (found is not None and found < ahead[0])


def check_previous(
    hits: HitMap, at: Spot, spans: list[Span], known: list[dict[int, list[bool | None]]], expected: list[Spot]
) -> None:
    found = hits.previous(at, spans)
    before = next((spot for spot in reversed(expected) if spot < at), None)
    behind = [
        Spot(span.generation, block, row)
        for span in spans
        for block in range(span.high)
        for row, hit in enumerate(known[span.generation].get(block, [None] * 24))
        if hit is None and (span.generation, block, row) < at
    ]
    if isinstance(found, Hole):
        assert found.block not in known[found.generation]
        assert behind
        assert before is None or behind[-1] > before
    else:
        assert found == before
        assert not behind or (found is not None and found > behind[-1])


@given(blocks(), st.booleans(), st.integers(0, 8))
def test_what_is_gone_is_no_hit(log: list[BlockHits], starts_in: bool, low: int) -> None:
    hits = HitMap(starts_in)
    for block in log:
        hits.put(0, block)
    hits.trim(0, low)
    rest = HitMap(starts_in)
    rest.trim(0, low)
    for block in log[low:]:
        rest.put(0, block)
    assert {block: hits.rows(0, block) for block in range(low)} == dict.fromkeys(range(low), 0)
    assert hits.total == sum(hits.rows(0, block).bit_count() for block in range(len(log)))
    assert rest.total == sum(rest.rows(0, block).bit_count() for block in range(len(log)))
    if log[low:]:
        hits.reopen(0, low)
        assert hits.next(Spot(0, low, -1), [Span(0, low, len(log))]) == Hole(0, low)
        hits.put(0, log[low])
        assert hits.rows(0, low) == rest.rows(0, low)
    hits.drop(0)
    assert hits.total == 0
    assert hits.nth(0) is None


def test_what_is_taken_back_is_not_known_any_more() -> None:
    hits = HitMap()
    hits.put(0, BlockHits(1, 2 << 20, leaves=PASSES))
    hits.put(0, BlockHits(2, 3 << 20, bits=b"\3", head=1))
    assert hits.total == 2
    hits.put(0, BlockHits(1, 2 << 20, leaves=FAILS))
    assert hits.total == 1
    hits.put(0, BlockHits(1, 2 << 20, leaves=THROUGH))
    assert hits.next(Spot(0, 2, -1), [Span(0, 0, 3)]) == Hole(0, 0)
    hits.put(0, BlockHits(0, 1 << 20, leaves=PASSES))
    assert hits.total == 2


def test_ten_gigabytes_fit() -> None:
    """The bits of 100 million rows are 12.5 MB; nothing else may count."""
    import tracemalloc

    hits = HitMap()
    tracemalloc.start()
    try:
        for block in range(10_000):
            hits.put(0, BlockHits(block, (block + 1) << 20, bits=b"\xaa" * 1250))
        assert tracemalloc.get_traced_memory()[0] < 15_000_000
    finally:
        tracemalloc.stop()
    assert hits.total == 50_000_000
    assert hits.nth(49_999_999) == Spot(0, 9_999, 9_999)
    assert hits.before(Spot(0, 9_999, 9_999)) == 49_999_999
