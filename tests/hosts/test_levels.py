"""Which level a line names, over the forms that real programs write."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local.levels import LEVELS, NO_LEVEL, Level, Levels, level_of

pytestmark = pytest.mark.travels

D, I, W, E, C = LEVELS  # noqa: E741 - the levels' own letters
LINES: list[tuple[Level | None, str]] = [
    # Loggers
    (E, "2025-11-20 12:00:00,123 - sglang.srt - ERROR - no memory"),
    (E, "ERROR:root:no memory"),
    (W, "[2025-11-20 12:00:00,123] [WARNING] [logging.py:96:log_dist] [Rank 0] slow"),
    (W, "2025-11-20 12:00:00.123 | WARNING  | mod:func:12 - slow"),
    (W, "[WARNING|trainer.py:123] 2025-11-20 12:00:00,123 >> slow"),
    (I, "12:00:00.123 [main] INFO c.x.Y - ERROR was the last word"),
    (D, "2026-01-01 12:00:00,123 DEBUG relay: batch 3"),
    (C, "CRITICAL: cannot go on"),
    (I, "[2025-11-20T12:00:00Z INFO  tower] hello"),
    (W, "2025-11-20T12:00:00.1Z\tWARN\tcaller.go:12\tslow"),
    (E, "2025-11-20 12:00:00 12345 ERROR nova.compute [-] lost"),
    (E, "\x1b[31mERROR\x1b[0m 11-20 12:00:00 [core.py:1] lost"),
    (E, "npm ERR! code 1"),
    # Servers and launchers
    (I, '(APIServer pid=4711) INFO:     127.0.0.1:80 - "POST /v1/completions HTTP/1.1" 200 OK'),
    (E, "(EngineCore_0 pid=4733) ERROR 11-20 12:00:00 [core.py:700] EngineCore failed to start."),
    (W, "WARNING 11-20 12:00:00 [topk.py:12] slow path"),
    (W, "node-1:123:456 [0] NCCL WARN cannot connect"),
    (I, "node-1:123:456 [0] NCCL INFO ready"),
    (E, "[rank0]:[E1121 12:00:00.123456 ProcessGroupNCCL.cpp:607] [Rank 0] Watchdog caught collective timeout"),
    (E, "E1121 12:00:00.123000 1234 torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: 1)"),
    (W, "[W socket.cpp:436] [c10d] The server socket cannot be initialized"),
    (C, "F1121 12:00:00.123 1 x.cc:1] Check failed"),
    (E, "2025-11-20 12:00:00.123: E external/xla/cuda.cc:12] no device"),
    (E, "[2025-11-20 12:00:00,123 E 12 34] gcs.cc:1: lost"),
    (E, "2025/11/20 12:00:00 [error] 12#0: *1 upstream timed out"),
    (E, "[Thu Nov 20 12:00:00.1 2025] [core:error] [pid 1] lost"),
    (W, "Nov 20 12:00:00 node-1 kernel: [123.4] WARNING: CPU: 0"),
    (E, "srun: error: node-1: task 0: Killed"),
    (E, "slurmstepd: error: *** STEP 1.0 ON node-1 CANCELLED ***"),
    (I, "[2025-11-20 12:00:00 TP0] Decode batch. #running-req: 3"),  # a time, and nothing worse
    # Fields
    (E, '{"ts": 1, "level": "error", "msg": "x"}'),
    (I, '{"msg": "ERROR", "severity":"INFO"}'),
    (W, 'time="2025-11-20T12:00:00Z" level=warning msg="error_rate"'),
    # Python
    (E, "Traceback (most recent call last):"),
    (E, "[rank3]: Traceback (most recent call last):"),
    (E, "  + Exception Group Traceback (most recent call last):"),
    (E, "torch.OutOfMemoryError: CUDA out of memory."),
    (E, "AssertionError"),
    (E, "KeyboardInterrupt\r"),
    (C, "Fatal Python error: Segmentation fault"),
    (W, "/x/y.py:12: UserWarning: lower precision"),
    (None, '  File "x.py", line 3, in f'),
    (None, "    raise ValueError(1)"),
    # pytest
    (E, "FAILED tests/a.py::test_x[error] - assert 1 == 2"),
    (E, "ERROR tests/a.py::test_x - OSError"),
    (E, "tests/a.py::test_x[0] FAILED                                   [ 10%]"),
    (I, "tests/a.py::test_error PASSED                                  [ 10%]"),
    (E, "E       assert 1 == 2"),
    (E, "=================================== FAILURES ==================================="),
    (E, "________________________________ test_x ________________________________"),
    (E, "============ 1 failed, 2 passed in 1.20s ============"),
    (I, "============ 2 passed in 1.20s ============"),
    (W, "=============================== warnings summary ==============================="),
    (I, "----------------------------- Captured stdout call -----------------------------"),
    # Compilers
    (E, "file.c:3:5: error: expected ';'"),
    (W, "ld: warning: no version information"),
    (E, "error[E0308]: mismatched types"),
    (E, "make[1]: *** [Makefile:3: all] Error 1"),
    # Progress
    (E, " 10%|█         | 1/10\r 20%|██        | 2/10\rERROR: lost\r 30%|███       | 3/10"),
    (None, "batch 1/2:  10%|█         | 1/10 [00:01<00:09,  1.0it/s, error=0.1]"),
    # Prose
    (None, "0 errors"),
    (None, "Found 0 ERROR lines"),
    (None, "error_rate=0.1"),
    (None, "step 3: loss 0.3 error 0.1"),
    (None, "the error: it is gone"),
    (None, "Errors were few"),
    (None, "x = KeyError"),
    (None, ""),
]


@pytest.mark.parametrize(("level", "line"), LINES, ids=[line[:40] for _, line in LINES])
def test_a_line_names_its_level(level: Level | None, line: str) -> None:
    assert level_of(line.encode()) == level


PARTS = st.sampled_from(
    [*re.findall(r"\s+|[^\s\w]+|\w+", " ".join(line for _, line in LINES)), "\r", "\x1b[31m", "E   ", "::"]
).map(str.encode) | st.binary(max_size=3)
ROWS = st.lists(
    st.one_of(
        st.sampled_from([line.encode() for _, line in LINES]),
        st.lists(PARTS, max_size=30).map(b"".join),
        st.binary(max_size=8).map(lambda data: data * 100),
    ).map(lambda line: line.replace(b"\n", b" "))
)


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_many_lines_have_the_levels_of_each(blocks: list[list[bytes]]) -> None:
    levels = Levels()
    for rows in blocks:
        expected = [level.rank if (level := level_of(row)) else NO_LEVEL for row in rows] or [NO_LEVEL]
        assert list(levels.ranks(b"\n".join(rows))) == expected


def test_lines_that_begin_alike_are_told_apart() -> None:
    head = "2025-11-20 12:00:00,123 some-rank-1 [a long bracket that goes on and on] "
    rows = [f"{head}{word} x".encode() for word in ("ERROR", "INFO", "WARNING", "ERROR", "x")]
    levels = Levels()
    for _ in range(2):
        assert list(levels.ranks(b"\n".join(rows))) == [3, 1, 2, 3, 1]


@given(st.data())
def test_numbers_and_colours_are_not_what_makes_a_level(draw: st.DataObject) -> None:
    level, line = draw.draw(st.sampled_from(LINES))
    other = re.sub(r"\d", lambda _: str(draw.draw(st.integers(0, 9))), line)
    at = draw.draw(st.integers(0, len(other)))
    if "\x1b" not in other:
        other = f"{other[:at]}\x1b[1;31m{other[at:]}\x1b[0m"
    assert level_of(other.encode()) == level


def test_a_long_hostile_head_is_read_in_no_time_worth_naming() -> None:
    levels = Levels()
    for line in (b"[" * 1000, b"1 " * 1000, b"a: " * 1000, b"1:" * 1000, b"a b " * 1000, b"= " * 1000, b"__ _ " * 1000):
        levels.ranks(b"\n".join(line[number:] for number in range(500)))
