"""Rows found many at a time against rows looked at one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local import match, regexes
from hosts.local.blocks import Matcher, Pattern
from hosts.local.levels import without_colours
from hosts.local.lines import UTF8, UTF16_BE, UTF16_LE, Encoding
from hosts.local.match import Expression, Finder, Region, Words
from hosts.local.regexes import compile_row, forms
from tests.hosts.colours import PLACES, SEQUENCES, SHOWN, coloured
from tests.hosts.expressions import LINES, MADE, TABLE

pytestmark = pytest.mark.travels

ROWS = st.lists(LINES, min_size=1, max_size=8)


@pytest.fixture(autouse=True, scope="module")
def _soon_dense() -> Iterator[None]:
    """Ways for many hits are taken with few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match, "_MANY", 1)
        patch.setattr(match, "_REST", 2)
        yield


def region_of(rows: list[bytes], before: bytes, behind: bytes, newline: bytes) -> Region:
    data = before + newline.join(rows) + behind
    return Region(data, start=len(before), end=len(data) - len(behind))


def bits(flags: list[bool]) -> int:
    return sum(flag << number for number, flag in enumerate(flags))


def ends(rows: list[bytes], newline: bytes) -> list[bytes]:
    """What is a row of these: the last one has no newline behind it, so a carriage return there is its own."""
    return [row.removesuffix(b"\r") if newline == b"\n" else row for row in rows[:-1]] + rows[-1:]


EDGES = st.sampled_from([b"", b"\n", b"x\n", b"ERROR", b"\nERROR"])
NEWLINES = st.sampled_from([b"\n", b"\r\n"])


@given(st.sampled_from([*TABLE, *TABLE]) | MADE, st.booleans(), st.lists(ROWS, max_size=4), EDGES, EDGES, NEWLINES)
def test_an_expression_finds_its_rows(
    text: str, fold: bool, regions: list[list[bytes]], before: bytes, behind: bytes, newline: bytes
) -> None:
    compiled = compile_row(text, fold)
    expression = Expression(text, fold)
    for rows in regions:
        expected = [compiled.search(row.decode("utf-8", "surrogateescape")) is not None for row in ends(rows, newline)]
        assert expression.rows(region_of(rows, before, behind, newline)) == bits(expected)
        assert [expression.holds(row) for row in ends(rows, newline)] == expected


@pytest.mark.parametrize("text", TABLE)
def test_every_form_of_an_expression_agrees_with_it(text: str) -> None:
    compiled, found = compile_row(text), forms(text)
    lines = ["ERROR on node-12, x", "x", "", "xé", "\té\0", "abc", "xx yy", "aa", "ac", "abbc", "a1,\udcffx", "x y"]
    matching = [number for number, line in enumerate(lines) if compiled.search(line)]
    for number in matching:
        assert all(needle in lines[number] for needle in found.needles)
    if found.wide is not None:
        joined = "\n".join(lines)
        assert sorted({joined.count("\n", 0, hit.start()) for hit in found.wide.finditer(joined)}) == matching


def test_most_expressions_have_their_forms() -> None:
    missing = {text for text in TABLE if forms(text).wide is None}
    assert missing - {"(?!)"} == {r"\Bode", "(x)?(?(1)y|z)", r"\n", r"a\nb"}
    assert forms("ERROR.*node-1[0-9]+").needles == ("ERROR", "node-1")
    assert forms(r"(?:abc)+d|e").needles == ()
    assert forms("x(abc)+d").needles == ("xabc",)
    assert forms("abc", fold=True).needles == ()


@pytest.mark.parametrize("text", ["(", "a**", "(?<=a*)b", "[z-a]", "(?P<a>x)(?P<a>y)", "x{99999999999999999999}"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(re.error):
        forms(text)
    with pytest.raises(re.error):
        Finder(Matcher((Pattern(text, regex=True),)))


def test_a_parser_that_changed_costs_time_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regexes, "parser", SimpleNamespace(parse=lambda *_: [("UNHEARD-OF", 1)]))
    assert forms("a+b") == regexes.Forms((), None, None)
    assert Expression("a+b", fold=False).rows(Region(b"aab\nb")) == 1


def test_what_is_beside_a_match_is_seen() -> None:
    for text, data, rows in (
        ("ERROR$", b"ERROR\r\nERROR x\r\nERROR\r\nx", 0b101),
        ("ERROR$", b"ERROR\r\nERROR\r", 0b01),  # the last row has no newline, and the carriage return is its own
        (r"\w\s\w", b"a\nb\na b", 0b100),
        (r"a[^,]*b", "a\nb\naéb\na,b".encode(), 0b0100),
    ):
        region = Region(b"x\n" + data + b"\ny", start=2, end=2 + len(data))
        assert Expression(text, fold=False).rows(region) == rows
    assert Words("a\nb", fold=False).rows(Region(b"a\nb\na")) == 0
    assert Words("x", fold=False).rows(Region(b"x\na\nbx", start=2, end=5)) == 0


WORDS = st.sampled_from(
    ["", "x", "ab", "ERROR", "error", "é", "É", "ſ", "b,1", "\r", "x\r", "a\nb", "\udcff", "\ud800"]
)


@given(WORDS, st.booleans(), st.lists(ROWS, max_size=4), EDGES, EDGES, NEWLINES)
def test_words_are_found_in_their_rows(
    text: str, fold: bool, regions: list[list[bytes]], before: bytes, behind: bytes, newline: bytes
) -> None:
    finder = Finder(Matcher((Pattern(text, fold=fold),)))
    for rows in regions:
        expected = [holds_words(text, fold, row) for row in ends(rows, newline)]
        assert finder.find(region_of(rows, before, behind, newline)).bits == bits(expected)
        assert [finder.holds(row) for row in ends(rows, newline)] == expected


def holds_words(text: str, fold: bool, row: bytes) -> bool:
    line = row.decode("utf-8", "surrogateescape")
    if fold and not text.isascii():
        return re.search(re.escape(text), line, re.IGNORECASE) is not None
    if fold:
        return text.lower() in "".join(letter.lower() if letter.isascii() else letter for letter in line)
    return text in line


def test_words_in_utf16_are_not_found_between_letters() -> None:
    region = Region("a\nĀĀ\nxaéb".encode("utf-16-be"), UTF16_BE)
    assert Words("aé", fold=False).rows(region) == 0b100
    assert Words("\1", fold=False).rows(region) == 0
    assert region.size == 3


COLOURABLE = st.lists(
    LINES | st.builds(lambda one, two: one.encode() + two, st.sampled_from(SHOWN), LINES), min_size=1, max_size=8
)
PATTERNS = st.builds(Pattern, WORDS, st.just(False), st.booleans()) | st.builds(
    Pattern, st.sampled_from(TABLE) | MADE, st.just(True), st.booleans()
)


@given(PATTERNS, st.booleans(), st.lists(COLOURABLE, max_size=4), EDGES, NEWLINES, st.data())
def test_what_is_found_is_what_is_found_without_colours(
    pattern: Pattern, exclude: bool, regions: list[list[bytes]], before: bytes, newline: bytes, draw: st.DataObject
) -> None:
    matcher = Matcher((), (pattern,)) if exclude else Matcher((pattern,))
    plain, finder = Finder(matcher), Finder(matcher)
    for rows in regions:
        painted = [coloured(row, draw.draw(PLACES)) for row in rows]
        expected = plain.find(region_of(rows, before, b"", newline)).bits
        found = finder.find(region_of(painted, coloured(before, [(0, SEQUENCES[1])]), b"\x1b[1m", newline)).bits
        assert found == expected


@given(PATTERNS, COLOURABLE, st.sampled_from([UTF16_LE, UTF16_BE]), st.data())
def test_what_is_found_in_utf16_likewise(
    pattern: Pattern, rows: list[bytes], encoding: Encoding, draw: st.DataObject
) -> None:
    finder = Finder(Matcher((pattern,)))
    painted = [coloured(row, draw.draw(PLACES)) for row in rows]
    expected, found = (
        finder.find(Region(b"\n".join(data).decode("utf-8", "replace").encode(encoding.name), encoding)).bits
        for data in (rows, painted)
    )
    assert found == expected


@pytest.mark.parametrize("encoding", [UTF8, UTF16_LE, UTF16_BE], ids=["utf-8", "le", "be"])
def test_colours_are_not_searched(encoding: Encoding) -> None:
    rows = "test_y \x1b[32mPASSED\x1b[0m\n\x1b[1m\x1b[31mERROR\x1b[0m: boom\r\n\x1b[2Km é\x1b[1mé"
    for pattern, expected in (
        (Pattern("test_y PASSED"), 0b001),
        (Pattern("error: BOOM", fold=True), 0b010),
        (Pattern("ÉÉ", fold=True), 0b100),
        (Pattern("^ERROR", regex=True), 0b010),
        (Pattern("PASSED$", regex=True), 0b001),
        (Pattern("boom$", regex=True), 0b010),
        (Pattern("R: b[o]+m|éé", regex=True), 0b110),
        (Pattern("31m"), 0),
        (Pattern("[2Km"), 0b100),  # this one is shown
    ):
        region = Region(rows.encode(encoding.name), encoding)
        assert Finder(Matcher((pattern,))).find(region).bits == expected, pattern
        assert Finder(Matcher((), (pattern,))).find(region).bits == 0b111 & ~expected, pattern
        assert region.size == 3


@given(LINES, PLACES)
def test_colours_are_taken_out_and_nothing_else(row: bytes, places: list[tuple[float, str]]) -> None:
    assert without_colours(coloured(row, places)) == row
    for shown in SHOWN:
        assert without_colours(coloured(shown.encode() + row, [])) == shown.encode() + row


def test_a_matcher_survives_its_journey() -> None:
    matcher = Matcher((Pattern("é\udcff", regex=True, fold=True),), (Pattern("x"),), 2, None, inherit=False)
    assert Matcher.from_json(matcher.to_json()) == matcher
