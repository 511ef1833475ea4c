from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.host import Json, Position
from hosts.local.frames import FrameError, FrameReader, encode_frame
from hosts.local.streamwire import (
    MAX_DATA,
    MAX_EVENT,
    PartReader,
    Piece,
    Told,
    data_header,
    event,
    position_json,
    position_of,
)

pytestmark = pytest.mark.travels

NONCE = "0123456789abcdef"

runs = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 100), st.binary(min_size=1, max_size=90))
events = st.tuples(st.integers(0, 2**32 - 1), st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3))


@given(st.lists(runs | events, max_size=12), st.integers(1, 60))
def test_parts_arrive_however_the_bytes_are_cut(
    sent: list[tuple[int, int, bytes] | tuple[int, Json]], step: int
) -> None:
    stream = b"".join(
        event(part[0], part[1]) if len(part) == 2 else data_header(part[0], part[1], len(part[2])) + part[2]  # type: ignore[arg-type]
        for part in sent
    )
    reader = PartReader()
    got: list[tuple[int, int, bytes] | tuple[int, Json]] = []
    for at in range(0, len(stream), step):
        for part in reader.parts(stream[at : at + step]):
            before = got[-1] if got else ()
            if isinstance(part, Told):
                got.append((part.stream, part.body))
            elif len(before) == 3 and before[:2] == (part.stream, part.offset - len(before[2])) and before not in sent:
                got[-1] = (part.stream, before[1], before[2] + part.data)
            else:
                got.append((part.stream, part.offset, part.data))
    assert got == sent


def test_bytes_of_a_file_are_handed_on_before_all_of_them_are_there() -> None:
    reader = PartReader()
    assert list(reader.parts(data_header(3, 100, 10) + b"abc")) == [Piece(3, 100, b"abc")]
    assert list(reader.parts(b"defghij" + event(3, {"x": 1}))) == [Piece(3, 103, b"defghij"), Told(3, {"x": 1})]


@pytest.mark.parametrize(
    "stream",
    [
        b"Broadcast message from root: the system goes down",
        data_header(1, 0, MAX_DATA + 1),
        data_header(1, 0, 0),
        event(1, {})[:5] + (MAX_EVENT + 1).to_bytes(4, "big") + bytes(8),
        event(1, {})[:5] + (2).to_bytes(4, "big") + bytes(8) + b"[]",
        event(1, {})[:5] + (2).to_bytes(4, "big") + bytes(8) + b"{{",
    ],
)
def test_what_is_no_part_is_refused(stream: bytes) -> None:
    with pytest.raises(FrameError):
        list(PartReader().parts(stream))


def test_an_event_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(FrameError, match="too large"):
        event(1, {"error": "x" * MAX_EVENT})


def test_positions_come_back() -> None:
    at = Position(2**40, 2**63, "ab" * 32, 1024)
    assert position_of(position_json(at)) == at
    bad: Json
    for bad in (None, [], {}, {**position_json(at), "offset": -1}, {**position_json(at), "inode": True}):
        with pytest.raises(FrameError):
            position_of(bad)


@given(st.binary(max_size=60), st.integers(1, 40))
def test_what_comes_behind_the_first_frame_is_left_as_it_is(rest: bytes, step: int) -> None:
    stream = b"Welcome\n" + encode_frame(NONCE, {"hello": 1}) + rest
    reader = FrameReader(NONCE)
    for at in range(0, len(stream), step):
        found = reader.first(stream[at : at + step])
        if found is not None:
            assert found[0].value() == {"hello": 1}
            assert found[1] + stream[at + step :] == rest
            return
    raise AssertionError("the frame was not found")
