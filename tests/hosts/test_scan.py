"""Scans of logs against a plain reading of what they are to find, with blocks of a few bytes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local import lines, scan, seams
from hosts.local.blocks import FAILS, PASSES, THROUGH, UNKNOWN, Alarm, BlockHits, Matcher, Pattern, Sign, unpack
from hosts.local.levels import level_of
from hosts.local.lines import UTF8, UTF16_BE, UTF16_LE, Encoding
from hosts.local.regexes import compile_row
from hosts.local.scan import Job, renumbered

pytestmark = pytest.mark.travels


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 32)
        patch.setattr(lines, "_STEP", 4)
        patch.setattr(lines, "_MOST", 8)
        patch.setattr(scan, "_LOOK", 4)
        patch.setattr(seams, "EDGE", 128)
        patch.setattr(scan, "_CHUNK", 8)
        yield


ENCODINGS = st.sampled_from([UTF8, UTF8, UTF16_LE, UTF16_BE])
PIECES = [
    "\n",
    "\n",
    "\r\n",
    "\r",
    "ERROR x",
    "INFO y",
    "error",
    "É",
    "é",
    "ab",
    "x" * 20,
    " ",
    "\0",
    "E   z",
    "12",
    "﻿",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40)
WORDS = ["", "x", "ERROR", "error", "é", "É", "ab", "b x", "\r", "\n", "\udcff"]
EXPRESSIONS = ["^x", "x$", "ER+OR.*x", r"\d", r"[^x]+y", "a|é", "^$", r"\bx", "(x)\\1", "é+"]
PATTERNS = st.one_of(
    st.builds(Pattern, st.sampled_from(WORDS), st.just(False), st.booleans()),
    st.builds(Pattern, st.sampled_from(EXPRESSIONS), st.just(True), st.booleans()),
)
LEVELS = st.none() | st.integers(0, 4)
ALARMS = [
    Alarm(3),
    Alarm(5, (Sign(("x", "", "\n", "y\r"), "^x|b x"), Sign(("info", "é"), "o|É$")), speech="y"),
    Alarm(4, (Sign(("x",), "x"),), hint="R $"),
]
MATCHERS = st.builds(
    Matcher,
    st.lists(PATTERNS, max_size=2).map(tuple),
    st.lists(PATTERNS, max_size=1).map(tuple),
    LEVELS,
    LEVELS,
    st.booleans(),
    st.none() | st.sampled_from(ALARMS),
)


def encode(texts: list[str], encoding: Encoding, tail: bytes) -> bytes:
    if encoding is UTF8:
        return "".join(texts).encode() + tail
    return encoding.bom + "".join(texts).encode(encoding.name) + tail[:1]


class Row(NamedTuple):
    """Where a row begins, what it says, and what stands in its line up to somewhat behind it, if that is cut there."""

    start: int
    text: str
    line: str
    cut: int


def rows_of(data: bytes, first: int, encoding: Encoding) -> list[Row]:
    starts = [first] if first < len(data) else []
    while starts:
        following = lines.drive(
            lines.row_after(starts[-1], len(data), first, encoding), lambda at, size: data[at : at + size]
        )
        if following is None:
            break
        starts.append(following)
    found: list[Row] = []
    errors = "surrogateescape" if encoding is UTF8 else "replace"
    for start, end in zip(starts, [*starts[1:], len(data)], strict=False):
        row = data[start:end]
        if start == 0:
            row = row.removeprefix(encoding.bom)
        beyond = b"" if row.endswith(encoding.newline) else data[end : end + 128]
        newline = lines.find_newline(beyond, encoding, end)
        if newline >= 0:
            beyond = lines.content(beyond[: newline + encoding.unit], encoding)
        row = lines.content(row, encoding)
        text, line, cut = row.decode(encoding.name, errors), (row + beyond).decode(encoding.name, errors), 0
        while len(line[:cut].encode(encoding.name, errors)) < len(row):
            cut += 1
        found.append(Row(start, text, line, cut if beyond else 0))
    return found


def holds(pattern: Pattern, row: Row) -> bool:
    return says_itself(pattern, row.text) or reaches(pattern, row)


def reaches(pattern: Pattern, row: Row) -> bool:
    """Whether it begins in a row, with what comes behind that."""
    fold = 0 if not pattern.fold else re.IGNORECASE if not pattern.text.isascii() else re.IGNORECASE | re.ASCII
    expression = compile_row(pattern.text, pattern.fold) if pattern.regex else re.compile(re.escape(pattern.text), fold)
    match = expression.search(row.line)
    return match is not None and match.start() < row.cut


def says_itself(pattern: Pattern, text: str) -> bool:
    if pattern.regex or (pattern.fold and not pattern.text.isascii()):
        expression = pattern.text if pattern.regex else "".join(f"[{letter}]" for letter in pattern.text)
        return compile_row(expression, pattern.fold).search(text) is not None
    if pattern.fold:
        return pattern.text.lower() in "".join(letter.lower() if letter.isascii() else letter for letter in text)
    return pattern.text in text


def alarming(alarm: Alarm, own: int | None, text: str) -> bool:
    return (own is not None and own >= alarm.level) or any(
        says(alarm, sign, part) for part in text.split("\r") for sign in alarm.signs
    )


def says(alarm: Alarm, sign: Sign, part: str) -> bool:
    lower = "".join(letter.lower() if letter.isascii() else letter for letter in part)
    match = compile_row(sign.text, fold=True).search(part)
    return (
        match is not None
        and any(word and word in lower for word in sign.words)
        and not compile_row(alarm.hint, fold=True).search(part[max(0, match.start() - 80) : match.start()])
        and not compile_row(alarm.speech, fold=True).search(part)
    )


def passing(rows: list[Row], matcher: Matcher) -> list[bool]:
    found: list[bool] = []
    last: int | None = None
    for row in rows:
        text = row.text
        level = level_of(text.encode("utf-8", "surrogateescape"))
        own = None if level is None else level.rank
        last = own if own is not None or not matcher.inherit else last
        found.append(
            all(holds(pattern, row) for pattern in matcher.include)
            and not any(holds(pattern, row) for pattern in matcher.exclude)
            and (matcher.level is None or (last is not None and last >= matcher.level))
            and (matcher.below is None or last is None or last < matcher.below)
            and (matcher.alarm is None or alarming(matcher.alarm, own, text))
        )
    return found


def resolve(blocks: dict[int, BlockHits], matcher: Matcher) -> dict[int, int]:
    """The bits of each block once all are known."""
    carry = matcher.level is None
    found: dict[int, int] = {}
    for number in sorted(blocks):
        block = blocks[number]
        bits = int.from_bytes(block.bits, "little")
        found[number] = bits if carry else bits >> block.head << block.head
        carry = {THROUGH: carry, FAILS: False, PASSES: True}[block.leaves]
    return found


def expected_bits(data: bytes, first: int, encoding: Encoding, matcher: Matcher) -> dict[int, int]:
    rows = rows_of(data, first, encoding)
    found = dict.fromkeys(range(first // lines.BLOCK, -(-len(data) // lines.BLOCK)), 0)
    numbers = dict.fromkeys(found, 0)
    for (start, *_), passes in zip(rows, passing(rows, matcher), strict=True):
        block = start // lines.BLOCK
        found[block] |= passes << numbers[block]
        numbers[block] += 1
    return found


@given(TEXTS, ENCODINGS, MATCHERS, st.binary(max_size=3), st.data())
def test_a_scan_finds_what_is_there_while_the_log_grows(
    texts: list[str], encoding: Encoding, matcher: Matcher, tail: bytes, draw: st.DataObject
) -> None:
    data = encode(texts, encoding, tail)
    first = draw.draw(st.integers(0, len(data)), "first") // encoding.unit * encoding.unit
    sizes = [*sorted(draw.draw(st.lists(st.integers(first, len(data)), max_size=3), "sizes")), len(data)]
    check_scan(data, encoding, matcher, [(first, size) for size in sizes], lambda most: draw.draw(st.integers(0, most)))


def test_scans_of_many_logs() -> None:
    draw = random.Random(1)
    for _ in range(700):
        encoding = draw.choice([UTF8, UTF8, UTF16_LE, UTF16_BE])
        data = encode(draw.choices(PIECES, k=draw.randrange(40)), encoding, draw.choice([b"", b"\xff\r", b"\n"]))
        texts = [draw.choice(WORDS) for _ in range(draw.randrange(2))]
        matcher = Matcher(
            tuple(Pattern(text, fold=draw.random() < 0.5) for text in texts),
            tuple(Pattern(text, regex=True) for text in draw.sample(EXPRESSIONS, k=draw.randrange(2))),
            draw.choice([None, None, 1, 2, 3]),
            draw.choice([None, None, None, 4]),
            draw.random() < 0.7,
            draw.choice([None, None, *ALARMS]),
        )
        steps = sorted(draw.randint(0, len(data)) for _ in range(3))
        firsts = sorted(draw.choice([0, 0, 0, draw.randint(0, steps[0])]) for _ in range(3))
        if matcher.by_level and matcher.inherit:
            firsts = [firsts[0]] * 3  # a row may still have the level of one that is gone
        firsts = [first // encoding.unit * encoding.unit for first in firsts]
        check_scan(data, encoding, matcher, list(zip(firsts, steps, strict=True)), lambda most: draw.randint(0, most))


def check_scan(
    data: bytes,
    encoding: Encoding,
    matcher: Matcher,
    steps: list[tuple[int, int]],
    draw: Callable[[int], int],
) -> None:
    """A job finds what is there at every step: of first byte and size; it is sent to and fro between blocks."""
    first, size = steps[0]

    def read(at: int, wanted: int) -> bytes:
        assert wanted > 0
        assert at >= first
        return data[at : min(at + wanted, size)]

    job = Job(read, matcher, encoding, first, size)
    blocks: dict[int, BlockHits] = {}
    for first, size in steps:
        if first != job.first:
            for block in [*range(first // lines.BLOCK), *renumbered(first)]:
                blocks.pop(block, None)
        job.grow(first, size)
        while job.left():
            if draw(1):
                job.toward(draw(len(data)), forward=draw(1) > 0)
            found = job.step()
            assert found is not None
            assert unpack(found.pack()) == [found]
            assert found.block not in blocks or blocks[found.block].open
            assert found.upto == min(size, (found.block + 1) * lines.BLOCK)
            blocks[found.block] = found
        assert job.step() is None
        assert resolve(blocks, matcher) == expected_bits(data[:size], first, encoding, matcher)


@given(TEXTS, ENCODINGS, st.binary(max_size=3), st.data())
def test_newlines_are_counted_once(texts: list[str], encoding: Encoding, tail: bytes, draw: st.DataObject) -> None:
    data = encode(texts, encoding, tail)
    sizes = [*sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=3), "sizes")), len(data)]
    reads: list[tuple[int, int]] = []

    def read(at: int, wanted: int) -> bytes:
        found = data[at : min(at + wanted, size)]
        reads.append((at, at + len(found)))
        return found

    size = sizes[0]
    job = Job(read, None, encoding, 0, size)
    counts: dict[int, int] = {}
    for size in sizes:
        job.grow(0, size)
        while (found := job.step()) is not None:
            counts[found.block] = found.newlines
        assert counts == {
            at // lines.BLOCK: lines.count(data[at : min(at + lines.BLOCK, size)], encoding)
            for at in range(0, size, lines.BLOCK)
        }
    ahead = 0
    for low, high in sorted(reads):
        assert low > ahead - encoding.unit
        ahead = high


def test_a_truncated_log_is_what_is_left_of_it() -> None:
    data = b"a x\nb x\n" * 20
    held = data
    job = Job(lambda at, size: held[at : at + size], Matcher((Pattern("x"),)), UTF8, 0, len(data))
    first = job.step()
    assert first == BlockHits(0, 32, bits=b"\xff")
    held = data[:38]
    second = job.step()
    assert second == BlockHits(1, 38, UNKNOWN, UNKNOWN, b"\1", open=True)
    while (found := job.step()) is not None:
        assert found.bits == b""


def test_blocks_come_outward_from_a_place() -> None:
    data = b"x\n" * 16 * 6
    for forward, expected in ((True, [3, 4, 5, 2, 1, 0]), (False, [3, 2, 1, 0, 4, 5])):
        job = Job(lambda at, size: data[at : at + size], None, UTF8, 0, len(data))
        job.toward(3 * lines.BLOCK + 1, forward)
        assert [found.block for found in iter(job.step, None)] == expected


def test_the_block_before_comes_first_where_levels_are_handed_on() -> None:
    data = b"x\n" * 16 * 6
    job = Job(lambda at, size: data[at : at + size], Matcher(level=2), UTF8, 0, len(data))
    job.toward(3 * lines.BLOCK, forward=True)
    assert [found.block for found in iter(job.step, None)] == [2, 3, 4, 5, 1, 0]


def test_what_is_appended_comes_in_order() -> None:
    data = b"x\n" * 16 * 3 + b"x"
    job = Job(lambda at, size: data[at : at + size], None, UTF8, 0, len(data))
    assert [found.block for found in iter(job.step, None)] == [0, 1, 2, 3]
    data += b"x\n" * 40
    job.grow(0, len(data))
    assert [found.block for found in iter(job.step, None)] == [3, 4, 5]


class Hinted:
    """Hints that name all rows which pass, and others."""

    def __init__(self, offsets: list[int], covered: int) -> None:
        self.covered = covered
        self.exact = False
        self._offsets = sorted(offsets)

    def of(self, block: int) -> list[int]:
        return [at for at in self._offsets if at // lines.BLOCK == block]


@given(
    TEXTS,
    MATCHERS.filter(lambda matcher: not matcher.by_level and matcher.alarm is None),
    st.binary(max_size=3),
    st.data(),
)
def test_hints_change_nothing(texts: list[str], matcher: Matcher, tail: bytes, draw: st.DataObject) -> None:
    check_hints(encode(texts, UTF8, tail), matcher, lambda most: draw.draw(st.integers(0, most)))


def test_hints_change_nothing_in_many_logs() -> None:
    draw = random.Random(1)
    for _ in range(300):
        data = encode(draw.choices(PIECES, k=40), UTF8, b"")
        check_hints(data, Matcher((Pattern(draw.choice(["x", "R x", "z", "é"])),)), lambda most: draw.randint(0, most))


def check_hints(data: bytes, matcher: Matcher, draw: Callable[[int], int]) -> None:
    rows = rows_of(data, 0, UTF8)
    ends = [*(row.start for row in rows[1:]), len(data)][: len(rows)]
    offsets = [
        start + draw(end - 1 - start)
        for (start, *_), end, passes in zip(rows, ends, passing(rows, matcher), strict=True)
        if passes or draw(1)
    ]
    job = Job(lambda at, size: data[at : at + size], matcher, UTF8, 0, len(data))
    job.hints = Hinted(offsets, draw(len(data) // lines.BLOCK))
    blocks = {found.block: found for found in iter(job.step, None)}
    assert resolve(blocks, matcher) == expected_bits(data, 0, UTF8, matcher)


def test_what_hints_leave_out_is_not_read() -> None:
    data = b"abc\n" * 8 * 40
    reads: list[int] = []

    def read(at: int, size: int) -> bytes:
        found = data[at : at + size]
        reads.append(len(found))
        return found

    job = Job(read, Matcher((Pattern("x"),)), UTF8, 0, len(data))
    job.hints = Hinted([], 40)
    assert all(found.bits == b"" for found in iter(job.step, None))
    assert sum(reads) < len(data) / 1.9


@pytest.mark.parametrize("matcher", [None, Matcher((Pattern("x"),))])
@pytest.mark.parametrize("first", [0, 32])
def test_what_is_appended_or_lost_while_bytes_are_waited_for_is_looked_at(matcher: Matcher | None, first: int) -> None:
    data = b"x\n" * 40

    def read(at: int, size: int) -> bytes:
        found = data[at : min(at + size, job.size)]
        job.grow(first, len(data))
        return found

    job = Job(read, matcher, UTF8, 0, 40)
    found = {one.block: one for one in iter(job.step, None)}
    assert max(one.upto for one in found.values()) == len(data)
    whole = [one for block, one in found.items() if block >= first // 32]
    assert sum(
        one.newlines if matcher is None else int.from_bytes(one.bits, "little").bit_count() for one in whole
    ) == (40 - first // 2)
