"""Commands pass the door to the terminal as they are, so that they can be pasted."""

from __future__ import annotations

import sys

import pytest

from hosts.local.pasting import quoted
from tui import console


def test_no_character_is_changed_on_the_way_to_the_terminal() -> None:
    codes = (*range(1, 0x20000), *range(0xE0000, 0xE1000), sys.maxunicode)  # the rest are ideographs, or nothing yet
    shown = [quoted(chr(code)) for code in codes]
    passed = console.safe_line(" ".join(shown)).split(" ")
    # The blank itself stands between quotes, and so is two of them.
    assert [old for old, new in zip(" ".join(shown).split(" "), passed, strict=True) if old != new] == []


@pytest.mark.parametrize("marks", ["\u0301" * 9, "\u0301\u20dd" * 4, "\u064b" * 5])
def test_nor_is_a_heap_of_marks(marks: str) -> None:
    shown = quoted(f"/runs/e{marks}")
    assert console.safe_line(shown) == shown
