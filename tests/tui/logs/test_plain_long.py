"""Lines of many blocks in a stream: whole, one line each, and counted once, against the file itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.local.levels import Level
from hosts.local.lines import UTF16_BE, UTF16_LE, Encoding
from monitors.logs.types import Filter, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.test_plain import Printed, _at_once, passing, printed  # noqa: F401 - a fixture of this module too
from tui.logs import plain, plainkept, plainprint, sieve
from tui.logs.plain import Request

MIB = 1 << 20
LONG = b"hay " + b"z" * (12 * MIB)


@pytest.mark.parametrize("encoding", [None, UTF16_LE, UTF16_BE], ids=["utf-8", "le", "be"])
@pytest.mark.parametrize("follow", [False, True])
async def test_a_long_line_is_one_of_the_last_that_pass(encoding: Encoding | None, follow: bool) -> None:
    rows = [*(b"hay %d" % number for number in range(50)), LONG, b"hay last"]
    text = b"".join(row + b"\n" for row in rows)
    data = text if encoding is None else encoding.bom + text.decode().encode(encoding.name)
    source = MemorySource(data, descriptors=True)
    made = Printed(source, Request(10, follow=follow, wanted=Filter(exclude=(Query("x"),))))
    await made.run([MemorySource.end] if follow else [])
    assert [(len(row), row[:9]) for row in bytes(made.out).splitlines()] == [(len(row), row[:9]) for row in rows[-10:]]


@pytest.mark.parametrize("lines", [2, 3, 4])
def test_a_long_line_is_one_of_the_last(lines: int) -> None:
    rows = [b"one\n", b"two\n", b"z" * (3 * MIB) + b"\n", b"three\n"]
    made = printed(b"".join(rows), Request(lines)).splitlines(keepends=True)
    assert [(len(row), row[:4]) for row in made] == [(len(row), row[:4]) for row in rows[-lines:]]


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("lines", [None, 2, 9])
async def test_a_hit_far_within_a_long_line_shows_all_of_it(lines: int | None, context: int) -> None:
    hit = b"a" * (5 * MIB) + b" needle " + b"b" * 1000
    rows = [b"needle 0", *[b"hay"] * 9, b"before", hit, b"behind", b"hay"]
    source = MemorySource(b"".join(row + b"\n" for row in rows), descriptors=True)
    made = Printed(source, Request(lines, wanted=Filter((Query("needle"),), context=context)))
    await made.run()
    around = [b"before", hit, b"behind"] if context else [hit]
    wanted = [b"needle 0", *([b"hay"] if context else []), *around][-(lines or 9) :]
    assert [(len(row), row[:9]) for row in bytes(made.out).splitlines()] == [(len(row), row[:9]) for row in wanted]


async def test_rows_of_ours_stand_where_they_stood_when_it_is_searched_further_before() -> None:
    barred = (b"two " + b"z" * (3 * MIB // 2) + b" bad\n") * 5  # the one is found in a block without the other
    source = MemorySource(b"two 1\nhay\ntwo 2\n", descriptors=True)
    source.rotate(barred + b"two 3\n")
    made = Printed(source, Request(3, wanted=Filter((Query("two"),), (Query("bad"),))))
    await made.run()
    assert made.out == b"two 1\ntwo 2\n--- rotated\ntwo 3\n"


def test_a_long_line_is_not_glued_to_the_next_that_passes() -> None:
    data = b"hay 1\nhay " + b"z" * (3 * MIB) + b"\nhay 2\n"
    assert printed(data, Request(wanted=Filter((Query("hay"),)))) == data


# None begins with a blank: what stands behind one may be a level, of which what tells here knows nothing
words = st.sampled_from([b"one", b"two", b"ERROR: two", b"INFO: three", b"behind", b"z" * 23, b"z" * 23 + b"two"])
logs = st.lists(st.lists(words, max_size=5).map(b" ".join), max_size=12).map(
    lambda rows: b"".join(row + b"\n" for row in rows)
)
filters = st.builds(
    Filter,
    st.lists(st.sampled_from(["two", "INFO", "z"]).map(Query), max_size=2).map(tuple),
    st.lists(st.sampled_from(["one", "thr"]).map(Query), max_size=1).map(tuple),
    st.sampled_from([None, Level.INFO, Level.ERROR]),
    st.integers(0, 2),
)


@settings(deadline=None, max_examples=200)
@given(logs, filters, st.integers(1, 30), st.one_of(st.none(), st.integers(1, 5)))
def test_what_comes_of_lines_in_pieces_is_lines_of_the_log(
    data: bytes, spec: Filter, block: int, lines: int | None
) -> None:
    """A word that is not wanted is not seen behind a piece that was shown; else it is as with whole lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_LITTLE", 1 << 20)
        patch.setattr(plainprint, "LONGEST", 20)
        made = printed(data, Request(lines, wanted=spec), block).splitlines()
    every = data.splitlines()
    at = 0
    for row in made:
        at = every.index(row, at) + 1
    if not spec.include and not spec.exclude:
        wanted = passing(data, spec)
        assert made == (wanted if lines is None else wanted[-lines:])


@pytest.mark.parametrize("wanted", [Query("needle"), Query("n[e]+d.*le", regex=True)], ids=["words", "expression"])
@pytest.mark.parametrize("at", range(300, 340))
def test_a_word_is_seen_wherever_a_long_line_was_divided(
    wanted: Query, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_LITTLE", 1 << 20)
    monkeypatch.setattr(plainprint, "LONGEST", 20)
    line = b"a" * at + b"needle" + b"b" * 100 + b"\n"
    rows = [b"hay\n", line, b"needl\n", b"e\n"]
    assert printed(b"".join(rows), Request(wanted=Filter((wanted,))), 15) == line
    assert printed(b"".join(rows), Request(wanted=Filter((Query("bb"),), (wanted,))), 15) == b""


def test_of_a_line_without_end_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plainprint, "LONGEST", 100)
    monkeypatch.setattr(sieve, "HELD", 1000)
    data = b"a" * 5000 + b" needle " + b"b" * 5000 + b"\nhay\n"
    spec = Filter((Query("needle"),))
    made = printed(data, Request(wanted=spec), 50)
    assert made == data[len(data) - 4 - len(made) : -4]
    assert 5000 < len(made) < 6200
    monkeypatch.setattr(plainkept, "LARGEST", 1000)
    first, ours, rest = printed(data, Request(1, wanted=spec), 50).splitlines()
    left_out = len(made) - 1 - len(first) - len(rest)
    assert ours == f"--- {left_out:,} bytes of this line are left out".encode()
    assert len(first) + len(rest) < 2500


@pytest.mark.parametrize("wanted", [None, Filter((Query("€"),))], ids=["all", "filter"])
@pytest.mark.parametrize("block", [50, 51, 52])
def test_a_letter_that_lies_across_two_pieces_is_whole(
    block: int, wanted: Filter | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_LITTLE", 1 << 20)
    monkeypatch.setattr(plainprint, "LONGEST", 100)
    data = "€".encode() * 1000 + "😀".encode() * 1000 + b"\n"
    assert printed(data, Request(wanted=wanted), block) == data
    assert printed(UTF16_LE.bom + data.decode().encode(UTF16_LE.name), Request(wanted=wanted), block) == data


SECRETS = (
    "hf_{}",
    "sk-{}",
    "ghp_{}",
    "AKIA{}",
    "Authorization: Bearer {}",
    '"authorization": "Basic {}"',
    "https://user:{}@host/x",
    "MY_TOKEN={}",
)


@pytest.mark.parametrize("wanted", [None, Filter((Query("xxx"),))], ids=["all", "filter"])
@pytest.mark.parametrize("form", SECRETS)
def test_a_secret_that_lies_across_two_pieces_is_none_of_them(
    form: str, wanted: Filter | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_LITTLE", 1 << 20)
    monkeypatch.setattr(plainprint, "LONGEST", 100)
    body = "ABCDEFGH01234567" * 2
    secret = form.format(body)
    for before in range(200, 200 + len(secret) + 2):
        data = f"{'x' * before} {secret}\n".encode()
        wholly = printed(data, Request(wanted=wanted))
        assert body.encode() not in wholly
        assert printed(data, Request(wanted=wanted), 50 + before % 3) == wholly
