"""Rows that say something by their text, found many at a time against rows looked at one by one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.signatures import FAILURES, HINT, HINT_REACH, LINE_CAP, SPEECH, failure_of
from hosts.local import alarms
from hosts.local.blocks import THROUGH, Alarm, Matcher, Pattern, Sign
from hosts.local.levels import Level, level_of
from hosts.local.lines import UTF16_LE
from hosts.local.match import Finder, Found, Region

pytestmark = pytest.mark.travels

ALARM = Alarm(
    Level.ERROR.rank,
    tuple(Sign(row.words, row.pattern.pattern) for row in FAILURES),
    HINT.pattern,
    SPEECH.pattern,
)
SAID = st.sampled_from(
    [
        "Killed",
        " KILLED ",
        "killed 3 locks",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "to avoid CUDA out of memory",
        "Out of memory: Killed process 12",
        "server process exited with code -9",
        "worker 3 exited with code 0",
        "assert server.died is False",
        "No space left on device",
        "\x1b[31mSegmentation\x1b[0m fault",
        "\x1b[31mSegmentation fault\x1b[0m",
        "ERROR x",
        "INFO y",
        "step 12",
        "",
        "é世",
        "x" * 30,
        "x" * 90 + "core dumped",
    ]
)
ROW = st.lists(SAID, min_size=1, max_size=3).map("\r".join)
ROWS = st.lists(ROW, min_size=1, max_size=8)
NEWLINES = st.sampled_from(["\n", "\r\n"])


def bits(flags: list[bool]) -> int:
    return sum(flag << number for number, flag in enumerate(flags))


def alarming(row: bytes, least: Level = Level.ERROR) -> bool:
    level = level_of(row)
    return (level is not None and level.rank >= least.rank) or failure_of(row) != ""


@given(st.lists(ROWS, min_size=1, max_size=5), NEWLINES, st.booleans())
def test_a_failure_is_found_in_its_row(regions: list[list[str]], newline: str, wide: bool) -> None:
    finder = Finder(Matcher(alarm=ALARM))
    for rows in [*regions, *regions]:  # of what was seen before, much is remembered
        expected = bits([alarming(row.encode()) for row in rows])
        data = newline.join(rows)
        region = Region(data.encode("utf-16-le"), UTF16_LE) if wide else Region(b"Killed\n" + data.encode(), start=7)
        assert finder.find(region) == Found(expected, 0, THROUGH)


@given(st.lists(ROWS, min_size=1, max_size=4), st.sampled_from([1, 2, 3]))
def test_within_a_level_the_rows_behind_it_count_and_hand_on(regions: list[list[str]], carry: int) -> None:
    least = Level.WARNING
    finder = Finder(Matcher((Pattern("e", fold=True),), level=least.rank, alarm=ALARM))
    plain = Finder(Matcher((Pattern("e", fold=True),), level=least.rank))
    for rows in regions:
        data = "\n".join(rows).encode()
        found, passing = finder.find(Region(data), carry), plain.find(Region(data), carry)
        assert found.bits == passing.bits & bits([alarming(row.encode()) for row in rows])
        assert found[1:] == passing[1:]


def test_only_the_beginning_of_a_row_and_of_its_parts_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "CAP", 20)
    finder = Finder(Matcher(alarm=ALARM))
    for row, found in (
        (b"x" * 9 + b" core dumped", False),
        (b"x" * 8 + b" core dumped", True),
        (b"x" * 99 + b" core dumped\r core dumped", True),
        (b" core dumpe\rd core dumpe", False),
        (b"x" * 99 + b"\r" + b"x" * 9 + b" core dumped", False),
    ):
        assert finder.find(Region(b"a\n" + row + b"\nb")).bits == found << 1, row


def test_as_much_is_looked_at_as_gates_look_at() -> None:
    assert (alarms.CAP, alarms.HINT_REACH) == (LINE_CAP, HINT_REACH)


def test_words_with_numbers_and_words_in_words_are_found() -> None:
    alarm = Alarm(4, (Sign(("rc 17",), r"rc 17\b"), Sign(("rc 18", "rc"), "rc (18|x)"), Sign(("18",), "^18$")))
    finder = Finder(Matcher(alarm=alarm))
    rows = [b"rc 17", b"rc 18", b"RC X", b"rc 19", b"18", b"17", b"rc 171"]
    for _ in range(3):
        assert finder.find(Region(b"\n".join(rows * 20))).bits == bits(
            [True, True, True, False, True, False, False] * 20
        )


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "_MOST", 10)
    finder = Finder(Matcher(alarm=ALARM))
    for block in range(50):
        letters = "".join(chr(97 + int(digit)) for digit in str(block))
        data = b"\n".join([b"the same in every block"] * 50 + [letters.encode(), b"Killed", b"y" * 600])
        assert finder.find(Region(data)).bits == 1 << 51
    held = finder._alarms
    assert held is not None
    assert len(held._clean) <= 13
    assert all(len(row) <= 512 for row in held._clean)


def test_nothing_is_handed_to_ripgrep() -> None:
    assert Finder(Matcher((Pattern("x"),))).loose is not None
    assert Finder(Matcher((Pattern("x"),), alarm=ALARM)).loose is None


def test_an_alarm_survives_its_journey_and_a_matcher_without_is_as_it_was() -> None:
    matcher = Matcher((Pattern("é"),), (), 2, None, inherit=False, alarm=ALARM)
    assert Matcher.from_json(matcher.to_json()) == matcher
    old = [[["é", False, False]], [], 2, None, False]
    assert matcher._replace(alarm=None).to_json() == old
    assert Matcher.from_json(old) == matcher._replace(alarm=None)


def test_what_is_no_expression_is_refused() -> None:
    for alarm in (Alarm(3, (Sign(("x",), "("),)), Alarm(3, hint="("), Alarm(3, speech="*")):
        with pytest.raises(re.error):
            Finder(Matcher(alarm=alarm))
