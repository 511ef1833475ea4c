from __future__ import annotations

import pytest

from hosts.local.regexes import has_capital

pytestmark = pytest.mark.travels


@pytest.mark.parametrize(
    "text", [r"error\S+", r"\Werror", r"\D\B", r"(?P<Name>x)\1", r"[^\Wa-z]", r"\xff", "", "x{2}(?=y)|z", r"(?s:\A.\Z)"]
)
def test_what_asks_for_no_capital_letter(text: str) -> None:
    assert not has_capital(text)


@pytest.mark.parametrize(
    "text", ["Error", r"\SX", "[A-F]", "[^Q]", r"\x4a", "a|(?:b(c+D)?)", "(?<!É)x", "(a)?(?(1)b|C)", "(X"]
)
def test_what_asks_for_one(text: str) -> None:
    """An expression that is none is told by its letters."""
    assert has_capital(text)
