"""Hints of a real ripgrep: it must find every row that Python's expressions match in."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local import lines, ripgrep
from hosts.local.blocks import BlockHits, Matcher, Pattern
from hosts.local.levels import without_colours
from hosts.local.lines import UTF8
from hosts.local.match import Finder
from hosts.local.regexes import Loose, compile_row
from hosts.local.ripgrep import Grep, Greps, find_ripgrep, look
from hosts.local.scan import Job
from tests.hosts.colours import PLACES, coloured
from tests.hosts.expressions import LINES, MADE, TABLE

MISSING = pytest.mark.skipif(find_ripgrep() is None, reason="there is no ripgrep on this machine")
pytestmark = [pytest.mark.travels, MISSING]

WORDS = [Pattern(text, fold=fold) for text in ("ERROR", "error", "é", "a.c", "\0", "s") for fold in (False, True)]
PAINTED = st.builds(coloured, LINES | st.just(b"ERROR 1\r"), PLACES)
EXPRESSIONS = [Pattern(text, regex=True, fold=fold) for text in TABLE for fold in (False, True)]


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 64)
        yield


def grep(descriptor: int, loose: Loose) -> Grep:
    program = find_ripgrep()
    assert program is not None
    found = Grep(program, descriptor, loose, os.fstat(descriptor).st_size)
    while found.running:
        select.select([found], [], [])
        found.poll()
    return found


def file_of(data: bytes) -> int:
    descriptor = os.memfd_create("log")
    os.write(descriptor, data)
    return descriptor


def greps(descriptor: int, loose: Loose, *, coloured: bool) -> Greps:
    program = find_ripgrep()
    assert program is not None
    found = look(program, descriptor, loose, os.fstat(descriptor).st_size, coloured=coloured)
    while running := [run for run in found.runs if run.running]:
        for run in select.select(running, [], [])[0]:
            run.poll()
    return found


def offsets(found: Grep | Greps) -> list[int]:
    return [at for block in range(found.covered + 1) for at in found.of(block)]


@given(
    st.sampled_from(EXPRESSIONS) | st.sampled_from(WORDS) | st.builds(Pattern, MADE, st.just(True), st.booleans()),
    st.lists(LINES, min_size=1, max_size=30),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_every_row_that_passes_is_hinted_at(pattern: Pattern, rows: list[bytes], newline: bytes) -> None:
    finder = Finder(Matcher((pattern,)))
    if finder.loose is None:
        return
    data = newline.join(rows) + newline
    descriptor = file_of(data)
    try:
        found = grep(descriptor, finder.loose)
    finally:
        os.close(descriptor)
    assert not found.failed
    hinted = {data.count(b"\n", 0, at) for at in offsets(found)}
    passing = {number for number, row in enumerate(data.split(newline)[:-1]) if finder.holds(row)}
    assert passing <= hinted
    if found.exact and data.isascii() and b"\r" not in data:
        assert passing == hinted


@given(
    st.sampled_from(EXPRESSIONS) | st.sampled_from(WORDS) | st.builds(Pattern, MADE, st.just(True), st.booleans()),
    st.lists(st.tuples(LINES, PLACES), min_size=1, max_size=10),
    st.booleans(),
)
def test_colours_hide_no_row(pattern: Pattern, rows: list[tuple[bytes, list[tuple[float, str]]]], many: bool) -> None:
    finder = Finder(Matcher((pattern,)))
    if finder.loose is None:
        return
    painted = [coloured(row, places) for row, places in rows]
    data = b"\n".join(painted) + b"\n"
    descriptor = file_of(data)
    try:
        found = greps(descriptor, finder.loose, coloured=many)
    finally:
        os.close(descriptor)
    assert not any(run.failed for run in found.runs)
    hinted = {data.count(b"\n", 0, at) for at in offsets(found)}
    assert {number for number, row in enumerate(painted) if finder.holds(without_colours(row))} <= hinted


@pytest.mark.parametrize(
    ("text", "fold", "line"),
    [
        ("ski", True, "ſKİ"),
        ("ski", True, "SKı"),
        ("(?i)[a-z]x", False, "ſx"),
        ("a[^,]+b", False, "aéb"),
        ("a.b", False, "a\U0001f600b"),
        (r"a\db", False, "a٣b"),
        (r"a\Wb", False, "a\u2028b"),
        ("straße", True, "STRAẞE"),
    ],
)
def test_letters_beyond_ascii_are_not_missed(text: str, fold: bool, line: str) -> None:
    finder = Finder(Matcher((Pattern(text, regex=True, fold=fold),)))
    assert finder.holds(line.encode())
    assert finder.loose is not None
    descriptor = file_of(f"x\n{line}\n".encode())
    try:
        assert {at > 1 for at in offsets(grep(descriptor, finder.loose))} == {True}
    finally:
        os.close(descriptor)


def test_most_expressions_can_be_given_to_it() -> None:
    none = {pattern.text for pattern in EXPRESSIONS if Finder(Matcher((pattern,))).loose is None}
    empty = {text for text in TABLE if compile_row(text).search("") is not None}
    assert none - empty == {r"\Bode", r"(a|b)\1", "(x)?(?(1)y|z)", r"\n", r"a\nb", "(?!)"} & none
    loose = Finder(Matcher((Pattern("a.*b", regex=True),))).loose
    assert loose is not None
    assert (loose.text, loose.exact) == (r"(?-u)\x61[^\n]{0,}\x62", True)


@given(
    st.sampled_from([Pattern("ERROR"), Pattern("error", fold=True), Pattern(r"R\b.*1", regex=True), Pattern("")]),
    st.lists(LINES | st.just(b"x" * 70) | st.just(b"ERROR 1" * 20) | PAINTED, min_size=20, max_size=40),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)
def test_a_scan_with_hints_finds_the_same(pattern: Pattern, rows: list[bytes], newline: bytes, many: bool) -> None:
    data = newline.join(rows)
    descriptor = file_of(data)
    try:
        matcher = Matcher((pattern,))
        plain, hinted = (
            Job(lambda at, size: os.pread(descriptor, size, at), matcher, UTF8, 0, len(data)) for _ in range(2)
        )
        loose = Finder(matcher).loose
        hinted.hints = greps(descriptor, loose, coloured=many) if loose is not None else None
        assert blocks(hinted) == blocks(plain)
    finally:
        os.close(descriptor)


def blocks(job: Job) -> list[BlockHits]:
    return list(iter(job.step, None))


def test_an_expression_that_it_does_not_take_hints_at_nothing() -> None:
    descriptor = file_of(b"x\n" * 1000)
    try:
        found = grep(descriptor, Loose("(?-u)[", exact=True))
        assert found.failed
        assert found.covered == 0
    finally:
        os.close(descriptor)


def test_too_much_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ripgrep, "MOST", 100)
    descriptor = file_of(b"x\n" * 100_000)
    try:
        found = grep(descriptor, Loose("x", exact=True))
        assert found.failed
        # What came before it was stopped is true
        assert found.covered > 0
        assert all(found.of(block) == list(range(block * 64, block * 64 + 64, 2)) for block in range(found.covered))
    finally:
        os.close(descriptor)


def test_one_that_is_killed_hints_at_nothing_more(tmp_path: Path) -> None:
    program = tmp_path / "rg"
    program.write_text("#!/bin/sh\necho 130:\nexec sleep 60\n")
    program.chmod(0o700)
    descriptor = file_of(b"x\n" * 1000)
    try:
        found = Grep(str(program), descriptor, Loose("x", exact=True), 2000)
        while not found.covered:
            select.select([found], [], [])
            found.poll()
        assert (found.covered, found.of(2), found.failed) == (2, [130], False)
        os.kill(found.pid, signal.SIGKILL)
        while found.running:
            select.select([found], [], [])
            found.poll()
        assert (found.covered, found.failed) == (2, True)
    finally:
        os.close(descriptor)


def test_closing_ends_it(tmp_path: Path) -> None:
    program = tmp_path / "rg"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    descriptor = file_of(b"")
    try:
        found = Grep(str(program), descriptor, Loose("x", exact=True), 0)
        found.close()
        assert not found.running
        with pytest.raises(ProcessLookupError):
            os.kill(found.pid, 0)
    finally:
        os.close(descriptor)
