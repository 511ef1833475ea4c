from __future__ import annotations

import ast
import itertools
import math
from decimal import Decimal
from typing import cast

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gates.calibration.values import (
    EQUAL_WITHIN,
    Number,
    Worst,
    direction,
    direction_text,
    finite,
    is_count,
    is_number_text,
    literal_text,
    percent,
    percent_text,
    read_number_text,
    rounded,
    shown,
    tighter,
    worst_of,
    write_value,
)

pytestmark = pytest.mark.travels

GROUPS = ("accuracy", "wer", "reliability", "similarity", "utmos", "diarization", "speed", "of-a-project")
BAD = (math.nan, math.inf, -math.inf, None, "0.5", True, 10**400)

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 200).map(lambda value: round(value, 4)),
    st.integers(-(10**20), 10**20),
)
worsts = st.sampled_from(["min", "max"]).map(lambda text: cast("Worst", text))


@pytest.mark.parametrize(
    ("group", "raw", "worst", "digits", "count", "written"),
    [
        ("wer", 0.02387640, "max", 2, False, 0.0239),
        ("wer", 0.023876404494382022, "max", 2, False, 0.0239),
        ("wer", 0.18152610441767067, "max", 2, False, 0.1816),
        ("wer", 0.0051, "max", 2, False, 0.0051),
        ("wer", 0.005100000000000001, "max", 2, False, 0.0052),
        ("wer", 5e-324, "max", 2, False, 0.0001),
        ("wer", 0.0, "max", 2, False, 0.0),
        ("wer", 1, "max", 2, False, 1),
        ("wer", 1.7976931348623157e308, "max", 2, False, 1.7976931348623157e308),
        ("wer", 0.97654321, "min", 2, False, 0.9765),
        ("wer", 4.0, "max", 0, True, 4),
        ("wer", 4.25, "max", 0, True, 5),
        ("reliability", 2.0, "max", 0, True, 2),
        ("reliability", 0.2, "max", 2, False, 1),
        ("reliability", 9.7, "min", 2, False, 9),
        ("accuracy", 0.6945, "min", 2, False, 0.6945),
        ("similarity", 66.06310302734374, "min", 4, False, 66.06310302734374),
        ("utmos", 4.16283, "min", 4, False, 4.16283),
        ("diarization", 13.890521227173444, "max", 2, False, 13.890521227173444),
        ("diarization", 3.0, "max", 0, True, 3),
        ("speed", 1.318, "min", 3, False, 1.318),
        ("speed", 1.3184, "min", 3, False, 1.318),
        ("speed", 1.3186, "min", 3, False, 1.3186),  # 1.319 would be tighter
        ("speed", 1.3184, "max", 3, False, 1.3184),
        ("speed", 1.3186, "max", 3, False, 1.319),
        ("speed", 2.675, "max", 2, False, 2.68),  # round() says 2.67
        ("speed", 2.675, "min", 2, False, 2.675),
        ("speed", 1.005, "max", 2, False, 1.01),  # round() says 1.0
        ("speed", 0.285, "max", 2, False, 0.29),
        ("speed", 58, "min", 1, False, 58),
        ("speed", 1e22, "min", 3, False, 1e22),
        ("of-a-project", 0.123456789, "max", 2, False, 0.123456789),
    ],
)
def test_what_is_written(group: str, raw: Number, worst: Worst, digits: int, count: bool, written: Number) -> None:
    found = write_value(group, raw, worst, digits, count)
    assert found == written
    assert type(found) is type(written)


def test_every_word_error_rate_of_four_decimals_stays_what_it_is() -> None:
    for k in range(10_001):
        for value in (k / 10_000, float(f"0.{k:04}") if k < 10_000 else 1.0):
            assert write_value("wer", value, "max", 2, False) == value == write_value("wer", value, "min", 2, False)


def test_a_word_error_rate_is_rounded_up_by_less_than_one_step() -> None:
    for errors, words in itertools.product(range(40), (141, 564, 1703)):
        value = errors / words
        written = write_value("wer", value, "max", 2, False)
        assert 0 <= Decimal(repr(written)) - Decimal(repr(value)) < Decimal("0.0001")


@given(st.sampled_from(GROUPS), numbers, worsts, st.integers(0, 17), st.booleans())
@example("speed", 2.675, "min", 2, False)
@example("wer", -0.0, "max", 2, False)
@example("speed", 1.7976931348623157e308, "max", 0, False)
def test_never_tighter_than_the_worst_repeat(group: str, raw: Number, worst: Worst, digits: int, count: bool) -> None:
    written = write_value(group, raw, worst, digits, count)
    assert not tighter(worst, written, raw)
    assert math.isfinite(written)
    assert math.copysign(1, written) == 1 or written != 0
    assert write_value(group, written, worst, digits, count) == written


@given(st.sampled_from(GROUPS), st.sampled_from(BAD), worsts, st.integers(0, 17), st.booleans())
def test_no_value_is_made_of_what_is_none(group: str, raw: Number, worst: Worst, digits: int, count: bool) -> None:
    with pytest.raises(ValueError, match="number"):
        write_value(group, raw, worst, digits, count)


@given(st.lists(numbers, min_size=1, max_size=8), worsts, st.randoms())
def test_the_order_of_repeats_does_not_matter(values: list[Number], worst: Worst, random: object) -> None:
    found = worst_of(values, worst)
    assert found == (min(values) if worst == "min" else max(values))
    for other in (values[::-1], sorted(values), [*values[1:], values[0]]):
        again = worst_of(other, worst)
        assert (again, type(again), math.copysign(1, again)) == (found, type(found), math.copysign(1, found))
    assert all(not tighter(worst, found, value) for value in values)


@given(st.lists(numbers, max_size=6), st.sampled_from(BAD), st.integers(0, 6), worsts)
def test_one_missing_value_spoils_the_worst(values: list[Number], bad: object, place: int, worst: Worst) -> None:
    with pytest.raises(ValueError, match="number"):
        worst_of([*values[:place], bad, *values[place:]], worst)


def test_of_no_values_there_is_no_worst() -> None:
    with pytest.raises(ValueError, match="no values"):
        worst_of([], "min")


@pytest.mark.parametrize(
    ("worst", "old", "new", "word"),
    [
        ("min", 1.0, 1.1, "tightens"),
        ("min", 1.1, 1.0, "loosens"),
        ("max", 1.0, 1.1, "loosens"),
        ("max", 1.1, 1.0, "tightens"),
        ("max", 3, 3.0, "equal"),
        ("max", 0.1 + 0.2, 0.3, "equal"),
        ("max", 0.0, 2e-12, "loosens"),
        ("max", 0.0, 9e-13, "equal"),
        ("min", None, 1.0, "unknown"),
        ("min", math.nan, 1.0, "unknown"),
        ("min", math.inf, 1.0, "unknown"),
        ("min", -1.7e308, 1.7e308, "tightens"),
    ],
)
def test_direction(worst: Worst, old: Number | None, new: Number, word: str) -> None:
    assert direction(worst, old, new) == word


@given(worsts, numbers, numbers)
def test_the_way_back_is_the_other_direction(worst: Worst, old: Number, new: Number) -> None:
    other = {"tightens": "loosens", "loosens": "tightens", "equal": "equal"}
    there = direction(worst, old, new)
    assert direction(worst, new, old) == other[there]
    assert direction("max" if worst == "min" else "min", old, new) == other[there]
    assert (there == "equal") == (abs(new - old) < EQUAL_WITHIN)


@pytest.mark.parametrize("new", [math.nan, math.inf, 10**400])
def test_a_new_value_has_to_be_finite(new: Number) -> None:
    with pytest.raises(ValueError, match="finite"):
        direction("min", 1.0, new)


@pytest.mark.parametrize(
    ("worst", "old", "new", "text"),
    [
        ("min", 1.0, 1.021, "tightens (+2.1%)"),
        ("min", 0.76, 0.7, "loosens (-7.9%)"),
        ("max", 3.7926, 3.3211, "tightens (-12.4%)"),
        ("max", 0, 2, "loosens (n/a)"),
        ("max", 0.0, 0.0, "equal"),
        ("max", None, 1.0, "unknown"),
        ("max", 0.4, 0.401, "loosens (+0.3%)"),  # 0.25 % exactly; a double lies below
        ("min", -50.0, -48.5, "tightens (+3.0%)"),
        ("max", 1e-300, 1e300, "loosens (+1.0e+602%)"),
    ],
)
def test_direction_in_words(worst: Worst, old: Number | None, new: Number, text: str) -> None:
    assert direction_text(worst, old, new) == text


@given(numbers, numbers)
def test_percent_has_the_sign_of_the_change(old: Number, new: Number) -> None:
    assume(abs(old) > 1e-100)
    change = percent(old, new)
    assert change is not None
    assert (change > 0) == (new > old) or abs(change) < 1e-300
    assert percent_text(old, new).endswith("%")


@pytest.mark.parametrize(
    ("value", "digits", "found"),
    [(2.675, 2, 2.68), (-2.675, 2, -2.68), (1.005, 2, 1.01), (0.5, 0, 1.0), (7, 2, 7), (1e300, 3, 1e300)],
)
def test_rounding_is_decimal(value: Number, digits: int, found: Number) -> None:
    assert rounded(value, digits) == found


@pytest.mark.parametrize(
    ("value", "scale", "digits", "text"),
    [(0.6945, 100, 2, "69.45"), (0.285, 1, 2, "0.29"), (-0.001, 1, 2, "0.00"), (54, 1, 1, "54.0"), (3.0, 1, 0, "3")],
)
def test_how_values_are_shown(value: Number, scale: Number, digits: int, text: str) -> None:
    assert shown(value, scale, digits) == text


def test_digits_are_not_negative() -> None:
    with pytest.raises(ValueError, match="digits"):
        rounded(1.0, -1)
    with pytest.raises(ValueError, match="digits"):
        write_value("accuracy", 1.0, "min", -1, False)


def test_a_count_is_shown_as_it_is() -> None:
    assert is_count(0, 1)
    assert not is_count(0, 100)
    assert not is_count(2, 1)


@pytest.mark.parametrize(
    ("value", "like", "text"),
    [
        (4.0, "3", "4"),
        (4, "3.0", "4.0"),
        (0.5, "1", "0.5"),
        (1752.318, "1_800.0", "1_752.318"),
        (12345, "1_800", "12_345"),
        (-1234567.5, "-1_000.0", "-1_234_567.5"),
        (900.25, "1_800.0", "900.25"),
        (0.0561, "5.5e-2", "5.61e-2"),
        (0.05, "5.5e-2", "5.0e-2"),
        (0.05, "5e-2", "5e-2"),
        (2500.0, "1.5E+3", "2.5E+3"),
        (1e-05, "0.5", "0.00001"),
        (1e300, "0.5", "1e+300"),
        (3.25, ".5", "3.25"),
        (18.0, "0x10", "18"),
        (0.25, None, "0.25"),
        (4, None, "4"),
        (2**60 + 1, "0.5", str(2**60 + 1)),
        (0.5, "unreadable", "0.5"),
    ],
)
def test_a_literal_keeps_its_style(value: Number, like: str | None, text: str) -> None:
    assert literal_text(value, like) == text


@given(
    numbers, st.sampled_from([None, "1", "-3", "1.0", "0.5e-2", "5E3", "1_000", "1_000.5", "1e-300", "-1_0.5e+1_0", ""])
)
def test_a_literal_reads_back_as_the_value(value: Number, like: str | None) -> None:
    text = literal_text(value, like)
    read = ast.literal_eval(text)
    assert read == value
    assert is_number_text(text)
    assert read_number_text(text) == value
    if like is not None and like.isdigit() and value == int(value) and abs(value) < 2**53:
        assert isinstance(read, int)


@pytest.mark.parametrize(
    "text",
    ["", "nan", "inf", "1e999", "0x10", "+1", "1 ", " 1", "1__0", "007", "1,5", "٣", "1\n", "1j", "-", ".", "True"],
)
def test_what_is_no_number_to_python_is_none_here(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        read_number_text(text)


@given(numbers)
def test_a_zero_has_no_sign(value: Number) -> None:
    assert finite(value) == value
    assert str(finite(-0.0)) == "0.0"
