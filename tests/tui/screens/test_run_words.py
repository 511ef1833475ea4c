from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui.screens.run_ink import cut, fold, middle, width
from tui.screens.run_words import hour, instant, lasting, next_seen, seen, spread
from tui.words import took

AGES = st.floats(0, 400 * 86400)
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Mn", "Me", "Cf"]), max_size=60)


@given(AGES)
def test_an_age_stays_until_its_step_is_over(age: float) -> None:
    left = next_seen(age)
    assert left > 0
    assert len(seen(age)) <= 4
    assert seen(age + left * 0.99 - 1e-3 if left > 0.1 else age) == seen(age)
    assert seen(age + left + 1e-3) != seen(age)


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (0, "<5s"),
        (4.9, "<5s"),
        (5, "5s"),
        (29, "20s"),
        (59, "45s"),
        (60, "1m"),
        (3599, "59m"),
        (7200, "2h"),
        (2e5, "2d"),
    ],
)
def test_ages(age: float, shown: str) -> None:
    assert seen(age) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(41, "41 s"), (180, "3 min"), (3900, "1 h 05 min"), (183_600, "2 d 3 h")]
)
def test_lengths(seconds: float, shown: str) -> None:
    assert lasting(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.42, "0.4 s"), (9.96, "10 s"), (59.7, "1m 00s"), (159.3, "2m 39s"), (3600, "1h 00m")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert took(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(10, "±<1m"), (720, "±12m"), (3 * 3600, "±3h")])
def test_spreads(seconds: float, shown: str) -> None:
    assert spread(seconds) == shown


def test_times_of_other_days_say_so() -> None:
    now = 1_779_676_982.0  # Monday, 25 May 2026
    assert hour(now + 60, now, UTC) == "02:44"
    assert hour(now + 86400, now, UTC) == "Tue 02:43"
    assert hour(now + 9 * 86400, now, UTC) == "3 Jun 02:43"


@pytest.mark.parametrize(
    "text", [None, 5, "", "yesterday", "2026-05-25", "9" * 400, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_what_is_no_time_is_none(text: object) -> None:
    assert instant(text) is None


@given(TEXTS, st.integers(0, 40))
def test_what_is_shortened_fits(text: str, room: int) -> None:
    for short in (cut, middle):
        shown = short(text, room)
        assert width([(shown, "")]) <= room
        if width([(text, "")]) <= room:
            assert shown == text


@given(TEXTS, st.integers(1, 40), st.integers(1, 4))
@example("⿰0", 2, 1)
def test_a_folded_sentence_fits_and_loses_nothing_while_there_is_room(text: str, room: int, rows: int) -> None:
    shown = fold(text, room, rows)
    assert len(shown) <= rows
    assert all(width([(row, "")]) <= max(room, 2) for row in shown)


def test_sentences_break_between_words() -> None:
    assert fold("one two three four", 9, 3) == ["one two", "three", "four"]
    assert fold("one two three four", 9, 2) == ["one two", "three fo…"]
