from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from monitors.logs.types import Query
from tui.logs.highlight import Highlighter, problem


class _Held:
    """A pattern of which the machine has no time for a while."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern

    def finditer(self, text: str) -> Iterator[Any]:
        time.sleep(0.02)
        return iter(self._pattern.finditer(text))


def test_where_words_stand() -> None:
    assert Highlighter(Query("an")).places("banana") == ((1, 3), (3, 5))
    assert Highlighter(Query("an")).places("bANana") == ((1, 3), (3, 5))
    assert Highlighter(Query("n.", regex=True)).places("banana") == ((2, 4), (4, 6))
    assert Highlighter(Query("n*", regex=True)).places("banana") == ((2, 3), (4, 5)), "nothing is no place"
    assert Highlighter(None).places("banana") == ()


def test_a_screen_gets_so_much_time_and_the_next_one_too() -> None:
    clock = iter([0.0, 0.005, 1.0, 1.005, 2.0, 2.001])
    lighter = Highlighter(Query("a"), clock=lambda: next(clock))
    assert lighter.places("a") == ((0, 1),)
    assert lighter.places("a") == ((0, 1),)
    assert lighter.places("a") == (), "10 ms are used up"
    lighter.next_screen()
    assert lighter.places("a") == ((0, 1),)


def test_what_the_machine_does_meanwhile_is_not_counted() -> None:
    lighter = Highlighter(Query("a"))
    lighter._pattern = _Held(lighter._pattern)  # type: ignore[assignment]  # re.Pattern has no subclasses
    assert [lighter.places("a") for _ in range(3)] == [((0, 1),)] * 3


@pytest.mark.parametrize("text", ["(a+)+$", "(a*)*b", "((ab)*c)*"])
def test_what_may_take_for_ever_is_not_painted(text: str) -> None:
    assert Highlighter(Query(text, regex=True)).places("a" * 60) == ()


def test_what_is_no_expression_is_told_and_not_painted() -> None:
    query = Query("(", regex=True)
    assert "not a regular expression" in problem(query)
    assert Highlighter(query).places("(") == ()
    assert problem(Query("(")) == ""


@pytest.mark.parametrize("text", [r"error\S+", r"\Werror", r"error\D*"])
def test_an_escape_is_no_capital_letter(text: str) -> None:
    query = Query(text, regex=True)
    assert query.ignore_case
    assert Highlighter(query).places(" ERROR: 5")
    assert not Highlighter(Query(text.replace("e", "E"), regex=True)).places(" eRROR: 5")
    assert not Query(text).ignore_case, "what is no expression is taken by its letters"
