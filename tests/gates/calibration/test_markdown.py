"""Text from outside in Markdown: inert, whatever it is, and otherwise as it was written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.markdown import code, inline, row, table

pytestmark = pytest.mark.travels

PLAIN = [
    "MMMU Accuracy",
    "Acc (%)",
    "Corpus WER ≤50% (%)",
    "Samples >50% WER",
    "Output tok/req-s",
    "Throughput (req/s)",
    "NVIDIA H100 80GB HBM3",
    "2026-05-25T02:43:02Z",
    "snake_case_name",
]
HOSTILE = [
    "a | b",
    "a \\| b",
    "a \\\\| b",
    "`code`",
    "``",
    "# heading",
    "[x](javascript:alert)",
    "![x](http://evil.example/x)",
    "https://evil.example",
    "www.evil.example",
    "@everyone",
    "#123",
    "<script>alert(1)</script>",
    "&lt;",
    "*bold* _it_ ~~no~~",
    "- item",
    "\n## Provenance\n",
    "\x1b[2J\x9b\x07",
    "\u202eabc",
    "trailing \\",
]


@pytest.mark.parametrize("text", PLAIN)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert inline(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_code_on_one_line(text: str) -> None:
    shown = inline(text)
    assert shown.startswith("`")
    assert shown.endswith("`")
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_is_a_dash(text: str) -> None:
    assert (inline(text), code(text)) == ("—", "—")


@given(st.text(max_size=60))
def test_code_cannot_be_left(text: str) -> None:
    shown = code(text)
    if shown == "—":
        return
    fence = re.match("`+", shown)
    assert fence is not None
    inside = shown[len(fence[0]) : -len(fence[0])]
    assert len(fence[0]) not in {len(run) for run in re.findall("`+", inside)}
    assert "\n" not in shown
    assert "\r" not in shown


@given(st.lists(st.text(alphabet="ab|\\` \n", max_size=12), min_size=1, max_size=4))
def test_a_row_has_as_many_cells_as_it_was_given(cells: list[str]) -> None:
    """As GitHub's own scanner splits it: a backslash takes the next character with it, then pipes part cells."""
    line = row([inline(cell) for cell in cells])
    assert line.startswith("| ")
    assert line.endswith(" |")
    scanned = re.sub(r"\\[!-/:-@\[-`{-~]", "", line)
    assert scanned.count("|") == len(cells) + 1


def test_a_table() -> None:
    assert table(("A", "B"), [("1", code("x|y"))]) == ["| A | B |", "|---|---|", "| 1 | `x\\|y` |"]
