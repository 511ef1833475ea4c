"""What is remembered of lines against what each says of itself: what came before a line does not change its level."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hosts.local import levels
from hosts.local.levels import NO_LEVEL, Levels, level_of

pytestmark = pytest.mark.travels

BRACKETED = [
    *("[error]", "[core:error]", "[info     ]", "(ERROR)", "|ERROR|", "<error>", "[E]", "[I]", "[rank0]:", "(pid=3)"),
    *(
        "[a::b]",
        "[gw1] [ 50%]",
        "[2025-11-20 12:00:00,123:",
        "[2025-11-20 12:00:00,123",
        "[W socket.cpp:436]",
        "name[12]:",
    ),
]
WORDS = [
    *("error", "ERROR", "Error:", "error:", "warning", "WARN", "WARNING:", "INFO", "debug:", "fatal", "E", "I 3", "W"),
    *(
        "E0101 12:00:00",
        "E 12",
        "E xla/x.cc:1",
        "2025-11-20 12:00:00",
        "Nov 20 12:00:00",
        "12:00:00,123",
        "UTC",
        "[12]",
    ),
    *(
        "node-1",
        "relay",
        "kernel:",
        "server:",
        "npm",
        "LINK",
        "nvcc",
        "ptxas",
        "Call",
        "a.py:12:",
        "x.cu(12):",
        "a.c(3,5)",
    ),
    *("error[E0308]:", "#177-D:", "C2065:", "ABCD12345-D:", "ABCD12345-Dx", "LNK1104:", "make: ***", "FAILED:"),
    *(
        "null",
        "0.12",
        "3 files",
        "loss: 0.5",
        "level=error",
        "ValueError:",
        "PASSED",
        "FAILED",
        "a1::b",
        "a::b",
        ":",
        "|",
    ),
    *BRACKETED,
]
TAILS = [
    *(
        "",
        " ",
        "x",
        "0",
        "S",
        "!",
        ":",
        ": ",
        ": no",
        ": 0.1",
        ": 0.1 ",
        ": 3 files",
        ":3",
        ":x",
        "\t",
        "] y",
        " of it",
        ",",
    ),
    *(" 12:00:00", "-D:", "-D of it", " C2065:", " C2065 of it", "E0308]:", ", no info", ", see x:1", "::x y PASSED"),
    *(" x PASSED", " no ERROR", " [error] x", "D of it", "1104: x", "  x", "   0.1", "   x"),
]
TEXTS = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", " ", " ", "", ":", "  ", "\t"])), max_size=6
).map(lambda words: "".join(word + gap for word, gap in words))


@settings(max_examples=30)
@given(st.sampled_from(["", "", " ", "\t"]), TEXTS)
@example("", "server: [E] cudaMalloc failed")
@example("[a bracket that goes on] ", "error ABCD12345-D: boom")
@example("", "a.c:3: error:  x")
@example("", "error: 3 WARN: x")
@example("\t", "I ERROR: x")
@example("", "Nov 20 12:00:00 INFO relay")
@example("", "Nov 20 12:00:00 I xla/x.cc:1 x")
@example("", "Nov 20 12:00:00 nvcc warning : x")
@example("", "a1::b [error] x")
def test_no_line_has_its_level_from_one_that_begins_alike(blank: str, text: str) -> None:
    text = blank + text
    for cut in range(max(1, len(text) - 12), len(text) + 1):
        rows = [(text[:cut] + tail).encode() for tail in TAILS]
        alone = [NO_LEVEL if (level := level_of(row)) is None else level.rank for row in rows]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(levels, "_KEY", cut)
            for step in (1, -1):  # in one of them a line is learned before another one that it would mislead
                known = Levels()
                assert [known.ranks(row)[0] for row in rows[::step]] == alone[::step]


def test_an_object_is_not_told_by_the_head_that_it_shares() -> None:
    known = Levels()
    head = '{"message": "' + 400 * "x" + '", '
    for end, rank in (
        ('"level": "ERROR"}', 3),
        ('"level": "INFO"}', 1),
        ('"step": 3}', NO_LEVEL),
        ('"lvl": "WARN"}', 2),
    ):
        assert list(known.ranks((head + end).encode())) == [rank]


def test_what_is_remembered_does_not_grow_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_MOST", 8)
    known = Levels()
    for letters in (f"{one}{two}" for one in "abcdefgh" for two in "abcdefgh"):
        for row, rank in ((letters, NO_LEVEL), (f"{letters * 50} ERROR", NO_LEVEL), (f"[{letters}] ERROR", 3)):
            assert list(known.ranks(row.encode())) == [rank]
        assert len(known._known) <= 8
        assert len(known._whole) <= 8
