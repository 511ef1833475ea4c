"""Which level a line names whose text stands behind a progress bar, or where a terminal was told to go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local import levels
from hosts.local.blocks import Matcher
from hosts.local.levels import LEVELS, NO_LEVEL, Level, Levels, level_of
from hosts.local.match import Finder, Region, bits_of_flags

pytestmark = pytest.mark.travels

D, I, W, E, C = LEVELS  # noqa: E741 - the levels' own letters
BAR = " 30%|███       | 30/100 [00:00<00:00, 344.96it/s]"
WIDE = f"step:  50%|{100 * '█'}{100 * ' '}| 5/10 [00:05<00:05,  1.00s/it, loss=0.5]"
SHARDS = "Loading safetensors checkpoint shards:  25% Completed | 1/4 [00:02<00:07,  2.46s/it]"
LINES: list[tuple[Level | None, str]] = [
    # Bars tell of progress
    (I, BAR),
    (I, WIDE),
    (I, SHARDS),
    (I, "  0%|          | 0/100 [00:00<?, ?it/s]"),
    (I, "Epoch 0:   6%|#3        | 32/500 [6:28:43<94:39:17,  1.37it/s, v_num=95nc]"),
    (I, f"{BAR}\x1b[A"),
    (I, f"{BAR}step 3 ends without ERROR"),
    (I, " 30%|███"),
    (E, f"RuntimeError: lost {BAR}"),
    (W, f"WARNING: slow {BAR}"),
    (None, "memory is 95% full"),
    (None, "| 30%   45C    P0    60W / 300W |   1000MiB / 24000MiB |     12%      Default |"),
    # and what comes behind them for itself
    (E, f"{BAR}2025-11-20 12:00:00,123 ERROR no memory"),
    (I, f"{BAR}2025-11-20 12:00:00,123 INFO no ERROR"),
    (W, f"{BAR}2025-11-20 12:00:00,123 WARNING slow"),
    (E, f"{BAR}ERROR:root:no memory"),
    (E, f"{BAR}Traceback (most recent call last):"),
    (E, f"{BAR}RuntimeError: CUDA error: out of memory"),
    (E, f"{BAR}[E ProcessGroupNCCL.cpp:458] [Rank 0] Watchdog caught collective operation timeout"),
    (E, f"{BAR}[rank1]:[E129 08:52:51.685329145 ProcessGroupNCCL.cpp:1595] lost"),
    (C, f"{BAR}Fatal Python error: Aborted"),
    (E, f"{WIDE}RuntimeError: x"),
    (E, f"{SHARDS}RuntimeError: x"),
    (E, f"{BAR}{BAR}ERROR: lost"),
    (E, f"{BAR}ERROR: lost{BAR}"),
    (E, " 30%|███       | 3/10 [00:00<00:01,  3.0it/s, lr=[0.1, 0.2]]ERROR: lost"),
    (E, f"\x1b[32m 30%\x1b[0m{BAR[4:]}ValueError: x"),
    (E, f"{BAR}\r 31%|███       | 31/100 [00:00<00:00, 344.96it/s]ERROR: lost"),
    (E, f'{{"log":"{BAR}ERROR: lost\\n","stream":"stderr"}}'),
    # The cursor was moved
    (E, "\x1b[AERROR no memory"),
    (E, "step 3\x1b[2AERROR no memory"),
    (E, "\r   \x1b[A2025-11-20 12:00:00 ERROR no memory"),
    (E, "step 3\x1b[1GERROR no memory"),
    (E, "step 3\x1b[12;1HERROR no memory"),
    (E, "step 3\x1b8ERROR no memory"),
    (E, "loss 0.3\b\b\bERROR no memory"),
    (E, "step 3\x0cERROR no memory"),
    (E, "INFO step 3\x1b[AERROR no memory\x1b[BWARNING slow"),
    # or stays where it is
    (E, "\x1b[?25hERROR no memory"),
    (E, "\x1b[?2004l\rERROR no memory"),
    (E, "\x1b[KERROR no memory"),
    (E, "\x1b[0JERROR no memory"),
    (E, "\x1b(BERROR no memory"),
    (E, "\x0f\x1b[31mERROR\x1b(B\x1b[m: no memory"),
    (E, "\x1b[m\x0fERROR no memory"),
    (E, "\0\0\0ERROR no memory"),
    (E, "\x1b=ERROR no memory"),
    (E, "\x1b[?25hTraceback (most recent call last):"),
    (E, "\x1b[01m\x1b[Ka.c:3:5:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kexpected ';'"),
    (None, "lost in \x1b[KERROR"),
    (E, '{"log":"\\u001b[?25hERROR lost\\n","stream":"stderr"}'),
    (E, '{"log":"step 3\\u001b[AERROR lost\\n","stream":"stderr"}'),
    (E, '\x1b[K{"level":50,"time":1763640000000,"pid":1,"msg":"x"}'),
    # Names of windows, and addresses
    (E, "\x1b]0;a name\x07ERROR no memory"),
    (E, "\x1b]0;a name\x1b\\ERROR no memory"),
    (None, "\x1b]0;ERROR is a name\x07no memory"),
    (E, "\x1b]8;;file:///a.c\x1b\\ERROR\x1b]8;;\x1b\\: no memory"),
    (E, "\x1b]ERROR no memory"),  # a name that does not end
]


@pytest.mark.parametrize(("level", "line"), LINES, ids=[ascii(line)[-60:] for _, line in LINES])
def test_a_line_names_its_level_behind_something(level: Level | None, line: str) -> None:
    assert level_of(line.encode()) == level
    assert list(Levels().ranks(line.encode())) == [NO_LEVEL if level is None else level.rank]


PARTS = st.sampled_from(
    [
        *(
            "\r",
            "\b",
            "\0",
            "\x0f",
            "\x07",
            "\x0c",
            "\x1b",
            "\x1b[",
            "\x1b]",
            "\x1b]0;",
            "\x1b\\",
            "\x1b[A",
            "\x1b[3;4H",
        ),
        *(
            "\x1b8",
            "\x1b[K",
            "\x1b[?25h",
            "\x1b(B",
            "\x1b[31m",
            "\x1b[0m",
            BAR,
            WIDE,
            SHARDS,
            " 30%|",
            "30% Completed |",
        ),
        *(
            "| 3/10 [",
            "]",
            "[",
            "|",
            " ",
            "3",
            "ERROR",
            "error:",
            "WARNING ",
            "INFO",
            "[E]",
            "Traceback",
            "x" * 48,
            "a::b",
        ),
        *("Traceback (most recent call last):", "2025-11-20 12:00:00 ", "ValueError: x", "PASSED", "E   x", "x" * 300),
        *(
            '{"level":50,"pid":1}',
            '{"log":"',
            "\\u001b[A",
            "\\r",
            '","stream":"a"}',
            "{'loss': 0.5}",
            "\t",
            "::error::",
        ),
    ]
).map(str.encode) | st.binary(max_size=3)
ROWS = st.lists(
    st.one_of(
        st.sampled_from([line.encode() for _, line in LINES]),
        st.lists(PARTS, max_size=12).map(b"".join),
    ).map(lambda line: line.replace(b"\n", b" ").removesuffix(b"\r")),
    min_size=1,
)


@given(st.lists(ROWS, min_size=1, max_size=3), st.sampled_from([levels._KEY, 8]))
def test_many_lines_have_the_levels_of_each(blocks: list[list[bytes]], key: int) -> None:
    """Also as a search has them, and however little of a head is looked up."""
    finder = Finder(Matcher(level=E.rank, inherit=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "_KEY", key)
        known = Levels()
        for rows in blocks:
            expected = [NO_LEVEL if (level := level_of(row)) is None else level.rank for row in rows]
            data = b"\n".join(rows)
            assert list(known.ranks(data)) == expected
            assert finder.find(Region(data)).bits == bits_of_flags(
                bytes([E.rank <= one < NO_LEVEL for one in expected])
            )


@given(st.data())
def test_what_stands_behind_a_bar_has_the_level_that_it_has_alone(draw: st.DataObject) -> None:
    text = draw.draw(st.sampled_from(["ERROR: x", "WARNING slow", "[E] lost", "KeyError: 3", "CRITICAL lost", "E   x"]))
    front = draw.draw(st.sampled_from([BAR, WIDE, SHARDS, "\x1b[A", "step\x1b[3G", "\x1b[?25h", "\b", "\x1b]0;x\x07"]))
    assert level_of((front + text).encode()) == level_of(text.encode()) is not None


def test_bars_are_learned_once() -> None:
    known = Levels()
    rows = "\n".join(
        f"\r{BAR}\r{number:3}%|███       | {number}/100 [00:00<00:00, 344.96it/s]" for number in range(10, 99)
    )
    assert set(known.ranks(rows.encode())) == {I.rank}
    assert len(known._known) + len(known._whole) < 8
