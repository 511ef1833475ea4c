from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from monitors.logs.types import LogLine, Mark, MarkKind, Place, Window
from tui.logs import rows
from tui.logs.viewport import LAID, Anchor, Viewport


def line(number: int) -> LogLine:
    text = b"line %d" % number
    return LogLine(Place(0, 100 * number), 100 * number + 100, text, len(text), number, True)


def viewport(lines: range, *, at_end: bool) -> Viewport:
    view = Viewport(rows.display_rows)
    view.height = 5
    view.hold(Window(tuple(map(line, lines)), 0, at_start=True, at_end=at_end, busy=not at_end), keep=False)
    return view


@pytest.mark.parametrize("at_end", [False, True])
def test_one_goes_down_where_all_that_is_held_lies_above(at_end: bool) -> None:
    view = viewport(range(3), at_end=at_end)
    view.anchor = Anchor(Place(0, 5_000))  # what stood here was filtered away, and what follows is searched still
    assert view.rows() == ()
    assert view.down(2) == (0 if at_end else 2)


@pytest.mark.parametrize("at_end", [False, True])
def test_rather_than_nothing_what_lies_above_is_shown(at_end: bool) -> None:
    view = viewport(range(8), at_end=at_end)
    view.anchor = Anchor(Place(0, 5_000))
    view.fill()
    assert [row.line.number for row in view.rows()] == [3, 4, 5, 6, 7]


def test_while_more_may_follow_a_screen_that_is_not_full_stays() -> None:
    view = viewport(range(8), at_end=False)
    view.anchor = Anchor(Place(0, 600))
    view.fill()
    assert [row.line.number for row in view.rows()] == [6, 7]


def test_the_marks_behind_the_last_line_are_not_held_once_there_are_lines_behind_them() -> None:
    view = viewport(range(2), at_end=True)
    mark = Mark(Place(0, 200), MarkKind.ROTATED, "rotated", 0, 0.0)
    tail = LogLine(Place(0, 200), 200, b"", 0, None, False, marks=(mark,))
    view.hold(Window((line(0), line(1), tail), 0, at_start=True, at_end=True), keep=True)
    view.to_start()
    view.hold(Window((line(5),), 0, at_start=False, at_end=True), keep=True)
    assert [one.at.offset for one in view.lines] == [0, 100, 500]


def test_of_the_lines_that_one_has_seen_few_stay_laid_out() -> None:
    made: list[LogLine] = []

    def lay(one: LogLine) -> tuple[rows.DisplayRow, ...]:
        made.append(one)
        return rows.display_rows(one)

    view = Viewport(lay)
    view.height = 5
    view.hold(Window(tuple(map(line, range(3 * LAID))), 0, at_start=True, at_end=True), keep=False)
    view.to_start()
    for _ in range(3 * LAID):
        view.down(1)
        view.rows()
    assert len(view._laid) <= LAID
    assert len(made) == 3 * LAID


LONG = LogLine(Place(0, 0), 1001, b"".join(b"%04d " % n for n in range(200)), 1000, 1, True)


def laid(width: int) -> Callable[[LogLine], tuple[rows.DisplayRow, ...]]:
    return lambda line: rows.display_rows(line, width)


def within_a_line() -> Viewport:
    """Five rows of 80 cells, the first of them the seventh of a long line."""
    view = Viewport(laid(80))
    view.height = 5
    view.hold(Window((LONG,), 0, at_start=True, at_end=True), keep=False)
    view.to_start()
    view.down(6)
    return view


def test_the_first_character_stays_however_often_lines_are_laid_out_anew() -> None:
    view = within_a_line()
    first = view.rows()[0].start
    assert first
    for width in (79, 53, 10_000, 7, 81, 60) * 5:
        view.lay_with(laid(width))
        assert view.rows()[0].start <= first
    view.lay_with(laid(80))
    assert view.rows()[0].start == first


def test_whoever_has_moved_has_another_first_character() -> None:
    view = within_a_line()
    view.lay_with(laid(70))
    view.up(3)
    view.down(3)
    first = view.rows()[0].start
    view.lay_with(laid(60))
    assert view.rows()[0].start == first


def test_among_the_marks_behind_the_last_line_one_stays_where_one_is() -> None:
    marks = tuple(Mark(Place(0, 200), MarkKind.ROTATED, f"mark {n}", 0, 0.0) for n in range(9))
    view = viewport(range(2), at_end=True)
    tail = LogLine(Place(0, 200), 200, b"", 0, None, False, marks=marks[:8])
    view.hold(Window((line(0), line(1), tail), 0, at_start=True, at_end=True), keep=True)
    view.to_end()
    before = [row.shown.text for row in view.rows()]
    grown = LogLine(Place(0, 900), 900, b"", 0, None, False, marks=marks)
    view.hold(Window((line(0), line(1), grown), 0, at_start=True, at_end=True), keep=True)
    assert [row.shown.text for row in view.rows()] == before
    passed = replace(line(9), marks=marks)
    view.hold(Window((passed,), 0, at_start=True, at_end=True), keep=True)
    assert [row.shown.text for row in view.rows()] == before


def gap(at: int) -> Mark:
    return Mark(Place(0, at), MarkKind.LOST, f"gap {at}", 5, 0.0)


@pytest.mark.parametrize("first", [(), (gap(550),)])
def test_a_mark_that_comes_moves_nothing_where_the_line_one_is_at_is_not_shown(first: tuple[Mark, ...]) -> None:
    view = viewport(range(12), at_end=True)
    view.anchor = Anchor(Place(0, 500))
    passed = [line(number) for number in (2, 6, 7, 8, 9, 10, 11)]
    passed[1] = replace(passed[1], marks=first)
    view.hold(Window(tuple(passed), 0, at_start=True, at_end=True), keep=False)
    before = [row.shown.text for row in view.rows()]
    assert (before[0] == "line 6") == (not first)
    kept = (replace(line(6), marks=(gap(520), *first)), *passed[2:])
    view.hold(Window(kept, 0, at_start=True, at_end=True), keep=True)
    assert [row.shown.text for row in view.rows()] == before


def test_what_follows_only_later_moves_nothing_either_once_it_is_shown() -> None:
    view = viewport(range(2), at_end=False)
    view.anchor = Anchor(Place(0, 500))
    view.join(Window(tuple(map(line, range(6, 12))), 0, at_start=False, at_end=True), above=False)
    before = [row.shown.text for row in view.rows()]
    assert before[0] == "line 6"
    kept = (replace(line(6), marks=(gap(520),)), *map(line, range(7, 12)))
    view.hold(Window(kept, 0, at_start=True, at_end=True), keep=True)
    assert [row.shown.text for row in view.rows()] == before


def tops(view: Viewport, *heights: int) -> list[int | None]:
    """The lines that a screen of each height begins with."""
    found = []
    for height in heights:
        view.resize(height)
        found.append(view.rows()[0].line.number)
    return found


def near_the_end() -> Viewport:
    view = viewport(range(100), at_end=True)
    view.show(Place(0, 9_300), above=0)
    return view


def test_a_screen_that_is_as_small_again_begins_where_it_did() -> None:
    assert tops(near_the_end(), 5, 12, 20, 12, 5, 3, 5, 9, 5) == [93, 88, 80, 88, 93, 93, 93, 91, 93]


def test_a_screen_that_gets_smaller_row_by_row_is_led_back_row_by_row() -> None:
    view = near_the_end()
    up = tops(view, *range(5, 31))
    assert tops(view, *range(30, 4, -1)) == up[::-1]
    tops(view, 30)
    assert tops(view, *range(30, 4, -1)) == [70, 70, *range(70, 94)]


def test_a_screen_that_had_no_row_for_a_while_is_led_back_as_well() -> None:
    view = near_the_end()
    view.resize(0)
    assert tops(view, 20) == [80]
    view.resize(0)
    assert tops(view, 20, 5) == [80, 93]


def test_what_is_written_meanwhile_leads_nowhere() -> None:
    view = near_the_end()
    tops(view, 20)
    view.hold(Window(tuple(map(line, range(60, 200))), 0, at_start=False, at_end=True), keep=True)
    assert tops(view, 20, 21, 19, 5) == [80, 80, 80, 93]


def test_whoever_has_moved_on_a_larger_screen_stays_there() -> None:
    view = near_the_end()
    tops(view, 20)
    view.up(1)
    assert tops(view, 5) == [79]
    view = near_the_end()
    tops(view, 20)
    view.stay()
    assert tops(view, 5) == [80]


def test_a_screen_that_is_as_small_again_begins_with_what_a_filter_leaves_there() -> None:
    view = near_the_end()
    tops(view, 20)
    view.hold(Window(tuple(map(line, range(1, 100, 2))), 0, at_start=True, at_end=True), keep=False)
    view.fill()
    assert view.rows()[-1].line.number == 99
    assert tops(view, 2) == [93]
    tops(view, 20)
    view.hold(Window(tuple(map(line, range(90))), 0, at_start=True, at_end=True), keep=False)
    view.fill()
    assert tops(view, 5) == [85]


def test_a_row_within_a_line_is_led_back_to_however_lines_are_laid_out_meanwhile() -> None:
    view = within_a_line()
    view.down(3)
    first = view.rows()[0]
    assert first.index > 0
    for width in (120, 60, 400):
        view.lay_with(laid(width))
        view.resize(20)
        view.lay_with(laid(80))
        view.resize(5)
        assert view.rows()[0] == first


def test_a_row_is_led_back_to_where_a_window_gets_smaller_and_then_narrower() -> None:
    view = within_a_line()
    view.down(100)
    first = view.rows()[0]
    view.lay_with(laid(120))
    view.resize(20)
    view.resize(5)
    assert len(view.rows()) == 5
    assert view.rows()[0].start < first.start
    view.lay_with(laid(80))
    assert view.rows()[0] == first


def test_how_far_a_line_lies_below_the_screen() -> None:
    view = viewport(range(20), at_end=True)
    view.show(Place(0, 500), above=0)
    assert [view.below(Place(0, 100 * number)) for number in (3, 5, 9, 10, 19)] == [0, 0, 0, 1, 10]
    assert view.below(Place(0, 1_050)) == 0
    view.hold(Window((*map(line, range(9)), replace(line(9), marks=(gap(850),))), 0, True, True), keep=True)
    assert view.below(Place(0, 900)) == 1
    view.height = 0
    assert view.below(Place(0, 900)) == 0
