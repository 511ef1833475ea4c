from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.host import Json
from hosts.local.frames import MAX_BODY, FrameError, FrameReader, encode_frame

pytestmark = pytest.mark.travels

NONCE = "0123456789abcdef"
OTHER = "fedcba9876543210"


def raw(body: bytes, nonce: str = NONCE, length: object = None, digest: str = "") -> bytes:
    size = len(body) if length is None else length
    return f"GW1 {nonce} {size} {digest or hashlib.sha256(body).hexdigest()}\n".encode() + body


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(values, min_size=1, max_size=4), st.binary(max_size=80), st.integers(1, 50))
def test_values_arrive_however_the_bytes_are_cut_and_whatever_came_first(
    sent: list[Json], noise: bytes, step: int
) -> None:
    stream = noise + b"".join(encode_frame(NONCE, value) for value in sent)
    reader = FrameReader(NONCE)
    got: list[Json] = []
    for at in range(0, len(stream), step):
        got += reader.feed(stream[at : at + step])
    assert got == json.loads(json.dumps(sent))


def test_names_that_are_not_utf8_arrive() -> None:
    assert FrameReader(NONCE).feed(encode_frame(NONCE, {"path": "\udcff"})) == [{"path": "\udcff"}]


def test_a_frame_of_another_session_is_noise() -> None:
    stream = raw(b'"forged"', OTHER) + b"motd GW1 \n" + encode_frame(NONCE, 1)
    assert FrameReader(NONCE).feed(stream) == [1]


def test_noise_is_kept_for_a_message_and_bounded() -> None:
    reader = FrameReader(NONCE, max_noise=100)
    assert reader.feed(b"sh: python3: not found\n") == []
    assert reader.noise == b"sh: python3: not found\n"
    with pytest.raises(FrameError, match="100 bytes came before"):
        reader.feed(b"x" * 200)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (raw(b"1", length=MAX_BODY + 1), "announces"),
        (raw(b"1", length="-1"), "bad header"),
        (raw(b"1", length="1e3"), "bad header"),
        (raw(b"1", length="999999999"), "bad header"),
        (raw(b"1", digest="0" * 63), "bad header"),
        (raw(b"1", digest="0" * 64), "sha256"),
        (raw(b"NaN"), "no JSON"),
        (raw(b'{"a":1,"a":2}'), "no JSON"),
        (b"GW1 " + NONCE.encode() + b" " + b"1" * 300, "no frame"),
        (encode_frame(NONCE, 1) + b"late noise\n", "no frame|bad header"),
        (encode_frame(NONCE, 1) + b"late noise", "no frame"),
        (encode_frame(NONCE, 1) + raw(b"1", OTHER), "bad header"),
    ],
)
def test_after_our_first_header_everything_has_to_fit(stream: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        FrameReader(NONCE).feed(stream)


@given(st.binary(max_size=200))
def test_any_bytes_after_a_frame_are_an_answer_or_an_error(data: bytes) -> None:
    reader = FrameReader(NONCE)
    reader.feed(encode_frame(NONCE, 0))
    told = ""
    try:
        reader.feed(data)
    except FrameError as error:
        told = str(error)
    assert "\n" not in told


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_json_is_not_sent(value: float) -> None:
    with pytest.raises(FrameError):
        encode_frame(NONCE, value)


def test_a_nonce_cannot_hold_a_space() -> None:
    with pytest.raises(ValueError, match="nonce"):
        FrameReader("a b c d e f")
