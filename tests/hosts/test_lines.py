"""Rows against a plain reading of their definition, with blocks of a few bytes."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local import lines
from hosts.local.lines import UTF8, UTF16_BE, UTF16_LE, Encoding

pytestmark = pytest.mark.travels

ENCODINGS = st.sampled_from([UTF8, UTF16_LE, UTF16_BE])
# Bytes that are half of a line feed, and carriage returns that must not pass for one
LOGS = st.lists(st.sampled_from([b"\n", b"\0", b"\r", b"a", b"\n\0", b"\0\n", b"abcdefg", b"x" * 16])).map(b"".join)


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 16)
        patch.setattr(lines, "_STEP", 4)
        patch.setattr(lines, "_MOST", 8)
        yield


def plain(data: bytes, first: int, encoding: Encoding) -> list[int]:
    """Beginnings of rows as the module's first paragraph defines them."""
    ends = {
        at + encoding.unit
        for at in range(0, len(data), encoding.unit)
        if at >= first and data[at : at + encoding.unit] == encoding.newline
    } | {first}
    starts = {end for end in ends if end < len(data)}
    for at in range(lines.BLOCK, len(data), lines.BLOCK):
        if at > first and not any(at - lines.BLOCK < end <= at for end in ends):
            starts.add(at)
    return sorted(starts)


@given(LOGS, ENCODINGS, st.data())
def test_rows_begin_where_the_definition_says(data: bytes, encoding: Encoding, draw: st.DataObject) -> None:
    check_rows(data, encoding, draw.draw(st.integers(0, len(data)), "first"))


def test_rows_begin_there_in_many_logs() -> None:
    draw = random.Random(1)
    for _ in range(600):
        pieces = draw.choices([b"\n", b"\0", b"\n\0", b"\0\n", b"\n\n", b"abcdefg", b"x" * 16], k=draw.randrange(9))
        data = b"".join(pieces)
        check_rows(data, draw.choice([UTF8, UTF16_LE, UTF16_BE]), draw.randint(0, len(data)))


def check_rows(data: bytes, encoding: Encoding, first: int) -> None:
    first = first // encoding.unit * encoding.unit
    expected = plain(data, first, encoding)

    def read(offset: int, size: int) -> bytes:
        assert first <= offset
        assert 0 < size <= lines.BLOCK
        return data[offset : offset + size]

    for at in range(first, len(data)):
        row = lines.drive(lines.row_at(at, first, encoding), read)
        assert row == max(start for start in expected if start <= at)
        after = lines.drive(lines.row_after(at, len(data), first, encoding), read)
        assert after == min((start for start in expected if start > at), default=None)
        assert lines.drive(lines.begins_at(at, first, encoding), read) == (at in expected)


@given(LOGS, ENCODINGS, st.data())
def test_the_rows_of_parts_are_the_rows_of_the_whole(data: bytes, encoding: Encoding, draw: st.DataObject) -> None:
    drawn = draw.draw(st.sets(st.integers(0, len(data)).map(lambda at: at // encoding.unit * encoding.unit)))
    cuts = sorted(drawn | set(range(0, len(data), lines.BLOCK)) | {len(data)})
    found: list[int] = []
    newlines = 0
    for base, end in pairwise(cuts):
        part = data[base:end]
        begins = lines.drive(lines.begins_at(base, 0, encoding), lambda at, size: data[at : at + size])
        found += lines.row_starts(part, base, encoding, begins=begins)
        newlines += lines.count(part, encoding, base)
    assert found == plain(data, 0, encoding)
    assert newlines == sum(
        data[at : at + encoding.unit] == encoding.newline for at in range(0, len(data), encoding.unit)
    )


@given(st.binary(max_size=64), ENCODINGS)
def test_any_bytes_are_counted(data: bytes, encoding: Encoding) -> None:
    for base in (0, 1):
        shifted = data[base % encoding.unit :]
        expected = [shifted[at : at + encoding.unit] for at in range(0, len(shifted), encoding.unit)]
        assert lines.count(data, encoding, base) == expected.count(encoding.newline)


@given(st.text(st.characters(codec="utf-8"), min_size=64).filter(lambda text: "\0" not in text))
def test_text_is_not_taken_for_utf16(text: str) -> None:
    assert lines.sniff(text.encode()) == UTF8


@pytest.mark.parametrize("encoding", [UTF16_LE, UTF16_BE])
def test_utf16_is_known_by_its_mark_or_its_nuls(encoding: Encoding) -> None:
    text = "2025-01-01 12:00:00 INFO loading shard 1 of 12\n".encode(encoding.name)
    assert lines.sniff(encoding.bom + b"x") == encoding
    assert lines.sniff(text) == encoding
    assert lines.sniff(text[: lines.SNIFF - 2]) == UTF8  # too little to say
    assert lines.sniff(b"\0" * 4096 + text) == UTF8  # a hole that truncation left


def test_a_row_is_its_text() -> None:
    assert lines.content(b"a\r\n") == b"a"
    assert lines.content(b"a\r") == b"a\r"  # no newline yet
    assert lines.content(b"a\r\r\n") == b"a\r"
    assert lines.content("ä\r\n".encode("utf-16-be"), UTF16_BE) == "ä".encode("utf-16-be")


@given(LOGS, ENCODINGS, st.data())
def test_rows_are_found_by_their_number(data: bytes, encoding: Encoding, draw: st.DataObject) -> None:
    base = draw.draw(st.integers(0, max(0, len(data) - 1))) // lines.BLOCK * lines.BLOCK
    begins = lines.drive(lines.begins_at(base, 0, encoding), lambda at, size: data[at : at + size])
    part = data[base : base + lines.BLOCK]
    starts = lines.row_starts(part, base, encoding, begins=begins)
    wanted = sorted(draw.draw(st.sets(st.integers(0, len(starts) + 1))))
    expected = [starts[number] for number in wanted if number < len(starts)]
    assert lines.nth_rows(part, base, wanted, encoding, begins=begins) == expected
    for at in range(base, base + len(part) + 1):
        assert lines.rows_before(part, base, at, encoding, begins=begins) == sum(start < at for start in starts)
