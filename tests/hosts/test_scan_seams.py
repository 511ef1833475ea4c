"""What lies across the places at which a very long line is cut into rows."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from hosts.local import lines, scan, seams
from hosts.local.blocks import Matcher, Pattern
from hosts.local.lines import UTF8, UTF16_BE, UTF16_LE, Encoding
from hosts.local.scan import Job

pytestmark = pytest.mark.travels


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 64)
        patch.setattr(scan, "_LOOK", 8)
        patch.setattr(seams, "EDGE", 16)
        yield


def rows_that_pass(data: bytes, matcher: Matcher, encoding: Encoding = UTF8) -> list[tuple[int, int]]:
    """Block and row of each."""
    job = Job(lambda at, size: data[at : at + size], matcher, encoding, 0, len(data))
    return rows_in(job)


def rows_in(job: Job) -> list[tuple[int, int]]:
    found = []
    for block in iter(job.step, None):
        bits = int.from_bytes(block.bits, "little")
        found += [(block.block, row) for row in range(bits.bit_length()) if bits >> row & 1]
    return sorted(found)


def cut(word: str, at: int, behind: str = "\n") -> bytes:
    """A line of dots with a word that begins so far before its first cut."""
    return f"{'.' * (64 - at)}{word}{'.' * 100}{behind}".encode()


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize(
    "pattern",
    [
        Pattern("needle"),
        Pattern("NEEDLE", fold=True),
        Pattern("e{2}d", regex=True),
        Pattern(r"\bneedle\b", regex=True),
        Pattern("n.+l", regex=True),
        Pattern("needle.*$", regex=True),
    ],
    ids=str,
)
def test_it_is_found_in_the_row_in_which_it_begins(pattern: Pattern, at: int) -> None:
    expected = 1 if pattern.text == "e{2}d" and at == 1 else 0
    assert rows_that_pass(cut("needle", at), Matcher((pattern,))) == [(expected, 0)]


@pytest.mark.parametrize("at", [0, 6, 7])
def test_what_ends_or_begins_there_is_found_once(at: int) -> None:
    for pattern in (Pattern("needle"), Pattern("ne+dle", regex=True)):
        assert rows_that_pass(cut("needle", at), Matcher((pattern,))) == [(0 if at else 1, 0)]


def test_it_is_found_behind_other_rows_of_a_block() -> None:
    # The row begins in the first block and is cut where the third one begins
    data = b"a\nb\n" + b"." * 121 + b"needle\nc\n"
    assert rows_that_pass(data, Matcher((Pattern("needle"),))) == [(0, 2)]


@pytest.mark.parametrize("encoding", [UTF16_LE, UTF16_BE])
@pytest.mark.parametrize("word", ["needle", "n😀edle", "néèdle"])
def test_in_other_encodings(encoding: Encoding, word: str) -> None:
    for before in range(25, 32):
        data = ("." * before + word + "." * 60 + "\n").encode(encoding.name)
        for pattern in (Pattern(word), Pattern(word[:3] + ".", regex=True)):
            if 2 * before + len(word[:4].encode(encoding.name)) > 64:
                assert rows_that_pass(data, Matcher((pattern,)), encoding) == [(0, 0)]


@pytest.mark.parametrize("at", range(1, 9))
def test_a_letter_of_several_bytes_may_be_cut_itself(at: int) -> None:
    line = b"." * (64 - at) + "né€😀d".encode() + b"." * 100
    for pattern in (Pattern("né€😀d"), Pattern("é.+d", regex=True)):
        expected = 0 if not pattern.regex or at > 1 else 1
        assert rows_that_pass(line, Matcher((pattern,))) == [(expected, 0)]


def test_all_that_is_wanted_of_a_row_counts() -> None:
    line = cut("needle", 3)
    assert rows_that_pass(line, Matcher((Pattern("needle"), Pattern("..")))) == [(0, 0)]
    assert rows_that_pass(line, Matcher((Pattern("needle"), Pattern("other")))) == []
    assert rows_that_pass(line, Matcher((Pattern("needle"),), (Pattern("eed"),))) == []
    assert rows_that_pass(line, Matcher((), (Pattern("needle"),))) == [(1, 0), (2, 0)]
    for least, expected in ((3, [(0, 0)]), (4, [])):
        assert rows_that_pass(b"ERROR " + line[6:], Matcher((Pattern("needle"),), level=least)) == expected


def test_a_line_that_ends_soon_ends_a_word() -> None:
    assert rows_that_pass(b"." * 61 + b"nee\ndle\n", Matcher((Pattern("needle"),))) == []
    assert rows_that_pass(b"." * 61 + b"needle\r\n", Matcher((Pattern("needle$", regex=True),))) == [(0, 0)]


def test_the_begin_of_what_is_looked_at_is_not_that_of_the_line() -> None:
    assert rows_that_pass(cut("needle", 3), Matcher((Pattern(r"^[.]{5,20}needle", regex=True),))) == []
    line = b"x" * 64 + b"x" * 8 + b"." * 90
    assert rows_that_pass(line, Matcher((Pattern("^x{16,20}[.]", regex=True),))) == []


@pytest.mark.parametrize("at", range(1, 14))
@pytest.mark.parametrize(
    "pattern",
    [Pattern("needle"), Pattern("NEEDLE", fold=True), Pattern(r"\bne+dle\b", regex=True), Pattern("e[d]", regex=True)],
    ids=str,
)
def test_a_colour_may_lie_there(pattern: Pattern, at: int) -> None:
    found = rows_that_pass(cut("nee\x1b[1;31mdle", at), Matcher((pattern,)))
    # What begins behind a sequence that is cut itself begins in front of it or behind it
    assert found == [(int(pattern.text == "e[d]" and at < 3), 0)]


@pytest.mark.parametrize("at", range(1, 8))
def test_what_stands_behind_a_colour_is_found_once(at: int) -> None:
    assert rows_that_pass(cut("\x1b[1;31mneedle", at), Matcher((Pattern("needle"),))) == [(1, 0)]


def test_what_comes_later_completes_it() -> None:
    data = cut("needle", 3)
    size = 60
    job = Job(lambda at, wanted: data[at : min(size, at + wanted)], Matcher((Pattern("needle"),)), UTF8, 0, size)
    seen = {}
    for size in range(60, len(data)):
        job.grow(0, size)
        seen[size] = rows_in(job)
    assert {size for size, rows in seen.items() if rows == [(0, 0)]} >= {67, 68, 70, 79}
    assert not any(seen[size] for size in range(60, 67))
    assert not any(seen[size] for size in range(81, len(data))), "it is settled"


def test_words_in_many_lines_are_found_once() -> None:
    draw = random.Random(3)
    for _ in range(300):
        text = bytearray(draw.choices(b"....\n" if draw.random() < 0.1 else b".", k=400))
        at = draw.randrange(390)
        text[at : at + 6] = b"needle"
        data = bytes(text)
        row = row_at(data, at)
        for pattern in (Pattern("needle"), Pattern("n[e]+dle", regex=True)):
            found = rows_that_pass(data, Matcher((pattern,)))
            assert [block for block, _ in found] == [row // 64]


def row_at(data: bytes, at: int) -> int:
    return lines.drive(lines.row_at(at, 0, UTF8), lambda low, size: data[low : low + size])
