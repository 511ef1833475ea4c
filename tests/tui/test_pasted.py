from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tui.pasted import BEGIN, END, PasteFilter

KEYS = st.text(alphabet="aq\x1b[O\r\x03é0~2", max_size=8)
TEXT = st.text(alphabet="aq\x1b[]0;\x07\x7f\x9b\t\n\r2~é", max_size=12)


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


def expected(text: str) -> str:
    """The same, from the whole of it at once."""
    passed, at = "", 0
    while (begin := text.find(BEGIN, at)) >= 0:
        begin += len(BEGIN)
        end = text.find(END, begin)
        pasted = text[begin : end if end >= 0 else len(text)]
        if end < 0:  # what may be the beginning of the end waits for more
            begun = [size for size in range(1, len(END)) if pasted.endswith(END[:size])]
            pasted = pasted[: len(pasted) - max(begun, default=0)]
        passed += text[at:begin] + re.sub("[^\t\n\r -~\xa0-\U0010ffff]", "", pasted)
        if end < 0:
            return passed
        passed, at = passed + END, end + len(END)
    return passed + text[at:]


@given(st.lists(st.one_of(KEYS, TEXT.map(lambda text: BEGIN + text + END)), max_size=4), st.lists(st.integers(0, 99)))
@example([BEGIN + "\x1b]0;owned\x07q" + END], [3, 9, 20])
@example([BEGIN + "\x1b[201" + END], [11])
@example([BEGIN, "\x1b["], [])
@example(["\x1b" + BEGIN + "\x1bq" + END + "q"], [1, 2, 8])
def test_a_paste_holds_no_key_wherever_the_reads_are_cut(parts: list[str], places: list[int]) -> None:
    text = "".join(parts)
    taken = PasteFilter()
    assert "".join(taken.take(piece) for piece in cut(text, places)) == expected(text)


@given(KEYS.filter(lambda keys: BEGIN not in keys))
def test_keys_pass_at_once(keys: str) -> None:
    taken = PasteFilter()
    assert [taken.take(key) for key in keys] == list(keys)
