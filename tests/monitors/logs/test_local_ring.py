from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitors.logs.local_kept import _equal
from monitors.logs.local_ring import Ring


@given(
    st.lists(st.one_of(st.binary(max_size=200), st.just(b"x" * 70_000))),
    st.integers(1, 100_000),
    st.integers(0, 200_000),
    st.integers(0, 200_000),
)
def test_it_holds_the_last_bytes(pieces: list[bytes], limit: int, offset: int, size: int) -> None:
    ring = Ring(limit)
    ring.reset(10)
    for piece in pieces:
        ring.append(piece)
    data = b"?" * 10 + b"".join(pieces)
    assert ring.end == len(data)
    assert ring.start == 10 or ring.end - ring.start >= limit
    assert ring.end - ring.start < limit + 70_000 + (64 << 10)
    assert ring.everything() == data[ring.start :]
    assert ring.last(size) == data[max(ring.start, len(data) - size) :]
    held = ring.read(offset, size)
    assert held == (data[offset : offset + size] if ring.start <= offset <= ring.end else None)


def test_what_is_before_can_be_added() -> None:
    ring = Ring()
    ring.reset(5)
    ring.append(b"world")
    ring.prepend(b"llo ")
    assert (ring.start, ring.end, ring.everything()) == (1, 10, b"llo world")
    assert ring.read(0, 1) is None
    assert ring.read(3, 4) == b"o wo"


def test_many_short_lines_are_few_pieces() -> None:
    ring = Ring()
    for _ in range(100_000):
        ring.append(b"0123456789")
    assert len(ring._pieces) < 50


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
def test_how_far_two_are_equal(same: bytes, one: bytes, other: bytes) -> None:
    expected = len(same)
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        expected += 1
    assert _equal(same + one, same + other) == expected
