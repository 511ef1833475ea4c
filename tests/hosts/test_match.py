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
from hosts.local.lines import UTF16_BE
from hosts.local.match import Expression, Finder, Region, Words
from hosts.local.regexes import compile_row, forms
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


def test_a_matcher_survives_its_journey() -> None:
    matcher = Matcher((Pattern("é\udcff", regex=True, fold=True),), (Pattern("x"),), 2, None, inherit=False)
    assert Matcher.from_json(matcher.to_json()) == matcher
