from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.values import Number, Worst
from tui.screens.stage_dots import Dot, as_float, draw_dots, sparkline

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 10**400]),
)
thresholds = st.one_of(st.none(), numbers)
MARKS = set("●○◆23456789")


@given(
    values=st.lists(numbers, max_size=25),
    counts=st.lists(st.booleans(), min_size=25, max_size=25),
    width=st.integers(-3, 130),
    worst=st.sampled_from(["min", "max"]),
    now=thresholds,
    new=thresholds,
    chosen=st.integers(0, 26),
)
def test_dots_never_leave_the_line(
    values: list[Number],
    counts: list[bool],
    width: int,
    worst: Worst,
    now: Number | None,
    new: Number | None,
    chosen: int,
) -> None:
    dots = [Dot(run, value, count) for run, (value, count) in enumerate(zip(values, counts, strict=False), 1)]
    drawn = draw_dots(dots, width, worst, now, new, chosen=chosen)
    finite = [dot for dot in dots if as_float(dot.value) is not None]
    assert len(drawn.line) == max(3, width)
    assert len(drawn.below) == len(drawn.line) + 2 * drawn.margin
    marked = [place for place, sign in enumerate(drawn.line) if sign in MARKS]
    assert bool(marked) == bool(finite)
    assert all(0 < place < len(drawn.line) - 1 for place in marked), "the outermost cells are for what lies beyond"
    if drawn.chosen is not None:
        assert drawn.chosen in marked
    assert (drawn.low is None) == (drawn.high is None)
    plain = draw_dots(dots, width, worst, now, new, chosen=chosen, ascii_only=True)
    assert (plain.line + plain.below).isascii()


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9), width=st.integers(5, 90))
def test_a_larger_value_is_never_left_of_a_smaller_one(values: list[float], width: int) -> None:
    places = []
    for run in range(1, len(values) + 1):
        dots = [Dot(number, value, True) for number, value in enumerate(values, 1)]
        drawn = draw_dots(dots, width, "min", chosen=run)
        assert drawn.chosen is not None
        places.append(drawn.chosen)
    ordered = sorted(zip(values, places, strict=True))
    assert [place for _value, place in ordered] == sorted(places)


def test_all_of_one_value_is_one_place_in_the_middle() -> None:
    drawn = draw_dots([Dot(run, 0.9, True) for run in (1, 2, 3)], 21, "min")
    assert drawn.line == "─" * 10 + "3" + "─" * 10
    assert (drawn.low, drawn.high) == (None, None)


def test_one_value_and_the_threshold_in_the_file_span_the_line() -> None:
    drawn = draw_dots([Dot(1, 2.0, True)], 22, "min", now=1.0, new=2.0)
    assert drawn.line == "╌" * 20 + "●─"
    assert (drawn.low, drawn.high) == (1.0, 2.0)
    assert drawn.below.split() == ["now", "▲", "▲", "new"]


def test_the_chosen_repeat_is_told_from_the_others_unless_it_shares_its_place() -> None:
    dots = [Dot(1, 1.0, True), Dot(2, 1.5, True), Dot(3, 2.0, True), Dot(4, 2.0, True)]
    drawn = draw_dots(dots, 12, "min", chosen=2, now=0.0001)
    assert drawn.chosen is not None
    assert [place for place, sign in enumerate(drawn.line) if sign == "◆"] == [drawn.chosen]
    assert "◆" not in draw_dots(dots, 12, "min", chosen=4).line


def test_what_fails_is_on_the_side_of_the_bound() -> None:
    dots = [Dot(1, 1.0, True), Dot(2, 2.0, True)]
    lower = draw_dots(dots, 12, "min", new=1.5).line
    upper = draw_dots(dots, 12, "max", new=1.5).line
    assert lower.startswith("╌●╌")
    assert lower.endswith("─●─")
    assert upper.startswith("─●─")
    assert upper.endswith("╌●╌")


def test_a_threshold_far_away_is_an_arrow_at_the_edge_and_leaves_the_dots_apart() -> None:
    dots = [Dot(1, 12.0, True), Dot(2, 12.5, True)]
    near, far = draw_dots(dots, 40, "min", now=11.0, new=12.0), draw_dots(dots, 40, "min", now=0.5, new=12.0)
    assert "◂" not in near.line
    assert far.line[0] == "◂"
    assert far.line.count("●") == 2
    above = draw_dots(dots, 40, "min", now=90.0, new=12.0)
    assert above.line[-1] == "▸"
    assert above.below[above.margin + 39] == "▲", "the word is below the arrow"


def test_the_words_below_never_cover_each_other() -> None:
    dots = [Dot(1, 1.0, True), Dot(2, 2.0, True)]
    for old in (1.0, 1.02, 1.5, 1.98, 2.0):
        below = draw_dots(dots, 60, "max", now=old, new=2.0).below
        assert ("now = new" in below) or ("now ▲" in below and "▲ new" in below), below


def test_a_sparkline_has_a_bar_for_each_value_and_a_blank_for_none() -> None:
    assert sparkline([1, 2, None, 3]) == "▁▅ █"
    assert sparkline([1, math.nan, 3], ascii_only=True) == "_ @"
    assert len(set(sparkline([5.0, 5.0, 5.0]))) == 1
    assert sparkline([]) == ""


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=30))
def test_a_sparkline_takes_anything(values: list[float | None]) -> None:
    assert len(sparkline(values)) == len(values)
