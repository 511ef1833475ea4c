from __future__ import annotations

import pytest

from monitors.logs.types import LogLine, Place, Window
from tui.logs import rows
from tui.logs.viewport import Anchor, Viewport


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
