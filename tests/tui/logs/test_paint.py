"""Pieces of a row, each of one style."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.style import Style

from tui.logs.paint import segments

BASE = Style(color="white", bgcolor="black")
STYLES = (Style(color="red"), Style(bgcolor="blue"), Style(bold=True), Style(color="green", italic=True))


@given(
    st.text("ab", max_size=12),
    st.lists(st.tuples(st.integers(-3, 15), st.integers(-3, 15), st.sampled_from(STYLES)), max_size=8),
)
def test_each_character_has_the_styles_that_lie_over_it(text: str, layers: list[tuple[int, int, Style]]) -> None:
    made = segments(text, layers, BASE)
    assert "".join(segment.text for segment in made) == text
    shown = [segment.style for segment in made for _ in segment.text]
    for at, style in enumerate(shown):
        expected = BASE
        for start, end, over in layers:
            if start <= at < end:
                expected += over
        assert style == expected


def test_many_spans_cost_no_more_than_what_lies_over_them() -> None:
    added = 0

    class Counted(Style):
        def __add__(self, other: Style | None) -> Style:
            nonlocal added
            added += 1
            return self

    colour = Style.from_color(Color.from_ansi(1))
    made = segments("x" * 4000, [(at, at + 1, colour) for at in range(0, 4000, 2)], Counted())
    assert (len(made), added) == (4000, 2000)
