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
