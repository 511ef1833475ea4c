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
    (E, "[rank2]:[E626 05:06:30.929096625 ProcessGroupNCCL.cpp:632] [Rank 2] Watchdog caught collective timeout"),
    (E, "E20251121 12:00:00.123456 1 a.cc:3] lost"),
    (I, "I20251121 12:00:00.123456 1 a.cc:3] no ERROR"),
    (E, "[11/20/2025-12:00:00] [TRT-LLM] [E] no memory"),
    (W, "[11/20/2025-12:00:00] [TRT] [W] slow"),
    (I, "[TRT-LLM] [I] fine"),
    (D, "[V] all tactics"),
    (E, "[TRT-LLM] [RANK 3] [E] no memory"),
    (E, "[rank0]: [E] no memory"),
    (E, "[default0]:[E] no memory"),
    (W, "(Worker pid=12) [W] slow"),
    (E, "trt_1  | [E] no memory"),
    (I, "server: [I] fine"),
    (None, "server: [I]gnore"),
    (None, "    x[E] = 3"),
    (None, ">       assert a[I] == 3"),
    (None, "- a[F]"),
    (None, "12/100 x[D]  foo"),
    (W, "[W 2025-11-20 12:00:00,123] Trial 3 failed"),
    (E, "[E 251120 12:00:00 web:1064] 500 GET /"),
    (None, "[E]xit or [I]gnore"),
    (None, "V 2:3"),
    (E, "2025-11-20 12:00:00.123: E external/xla/cuda.cc:12] no device"),
    (E, "[2025-11-20 12:00:00,123 E 12 34] gcs.cc:1: lost"),
    (E, "2025/11/20 12:00:00 [error] 12#0: *1 upstream timed out"),
    (E, "[Thu Nov 20 12:00:00.1 2025] [core:error] [pid 1] lost"),
    (W, "Nov 20 12:00:00 node-1 kernel: [123.4] WARNING: CPU: 0"),
    (E, "srun: error: node-1: task 0: Killed"),
    (E, "slurmstepd: error: *** STEP 1.0 ON node-1 CANCELLED ***"),
    (I, "[2025-11-20 12:00:00 TP0] Decode batch. #running-req: 3"),  # a time, and nothing worse
    (I, "11/20/2025 12:00:00 PM step 3"),
    (E, "2025-11-20 12:00:00 [error    ] no memory [relay] job=3"),
    (I, "2025-11-20 12:00:00 [info     ] 3 errors were mended"),
    (E, "2025-11-20 12:00:00 [   ERROR] step 3 (a.py:3)"),
    (I, "2025-11-20 12:00:00 [    INFO] no ERROR here (a.py:3)"),
    (E, "[2025-11-20 12:00:00,123: ERROR/MainProcess] Task lost"),
    (I, "[2025-11-20 12:00:00,123: INFO/ForkPoolWorker-1] ERROR was its name"),
    (E, "[2025-11-20T12:00:00Z ERROR relay::link] lost"),
    (W, "[2025-11-20T12:00:00.123+00:00 WARN  relay] slow"),
    (E, "[12:00:00 ERROR]: lost"),
    (E, "2025-11-20 12:00:00.123 UTC [12] ERROR:  relation is not there"),
    (C, "2025-11-20 12:00:00.123 CET [12] me@jobs FATAL:  no role"),
    (I, "2025-11-20 12:00:00.123 UTC [12] LOG:  ERROR is a word"),
    # syslog and the journal
    (E, "Nov 20 12:00:00 node-1 python[123]: ERROR no memory"),
    (I, "Nov 20 12:00:00 node-1 python3[123]: INFO no ERROR"),
    (E, "Nov  2 12:00:00 gpunode slurmd[99]: error: no such job"),
    (I, "Nov 20 12:00:00 INFO no ERROR"),  # no host has that name
    (E, "2025-11-20T12:00:00+0100 gpunode python[123]: ERROR no memory"),
    (E, "2025-11-20T12:00:00.123456+01:00 gpunode slurmd[9]: error: no such job"),
    (E, "2025-11-20T12:00:00+01:00 gpunode slurmd: error: no such job"),
    (W, "Nov 20 12:00:00 node-1 NetworkManager[800]: <warn>  [1763640000.1234] device"),
    (E, "Nov 20 12:00:00 node-1 kernel: Out of memory: Killed process 12 (python)"),
    (E, "Nov 20 12:00:00 node-1 kernel: [  123.456789] Memory cgroup out of memory: Killed process 12 (python)"),
    (E, "2025-11-20T12:00:00+0100 gpunode python[1]: Traceback (most recent call last):"),
    (E, "Nov 20 12:00:00 node-1 python[1]: ValueError: x"),
    (E, "2025-11-20T12:00:00.123456789Z stderr F Traceback (most recent call last):"),
    (E, "2025-11-20T12:00:00.123456789Z stdout F ERROR lost"),
    (I, "Nov 20 12:00:00 node-1 python[1]: the error was mended"),
    (I, "Nov 20 12:00:00 node-1 sshd[12]: Accepted publickey for error from 10.0.0.1 port 22"),
    # Fields
    (E, '{"ts": 1, "level": "error", "msg": "x"}'),
    (I, '{"msg": "ERROR", "severity":"INFO"}'),
    (W, 'time="2025-11-20T12:00:00Z" level=warning msg="error_rate"'),
    # JSON: the outermost field
    (I, '{"msg":"done","meta":{"level":"error"},"level":"info"}'),
    (E, '{"meta":{"a":[{"level":"info"}]},"msg":"{[\\"","level":"error"}'),
    (E, '{"message": "' + 400 * "x" + '", "level": "ERROR"}'),
    (E, '{"message": "' + 400 * 'x\\"' + '", "x": {"y": [1]}, "severity": "ERROR"}'),
    (None, '{"message": "level=error", "step": 3}'),
    (None, '{"message": "\\"level\\": \\"error\\"", "step": 3}'),
    (None, '{"message": "' + 400 * "x" + " ERROR"),
    (E, '{"@timestamp":"2025-11-20T12:00:00Z","log.level":"error","message":"x"}'),
    (E, '{"@timestamp":"2025-11-20T12:00:00Z","log":{"level":"error","logger":"a"},"message":"x"}'),
    (E, '{"@level":"error","@message":"x"}'),
    (E, '{"message":"x","level":400,"level_name":"ERROR"}'),
    (W, '{"a":{"level":"error"},"record":{"level":"warn"}}'),
    (None, '{"alerts":[{"severity":"critical"}]}'),
    (E, '{"text": "x\\n", "record": {"extra": {}, "level": {"icon": "x", "name": "ERROR", "no": 40}}}'),
    (I, '{"level": {"icon": "x", "name": "INFO", "no": 20}, "message": "ERROR"}'),
    (E, '{"levelno": 40, "levelname": "ERROR", "msg": "x"}'),
    (E, '{"level": 40, "levelname": "ERROR", "msg": "x"}'),
    # and numbers
    (E, '{"level":50,"time":1763640000000,"pid":1,"msg":"x"}'),
    (I, '{"level":30,"time":1763640000000,"msg":"ERROR"}'),
    (W, '{"time":1763640000000,"req":{"level":50},"level":40,"msg":"x"}'),
    (C, '{"name":"a","hostname":"h","pid":1,"level":60,"msg":"x"}'),
    (None, '{"step": 3, "level": 50, "score": 1.5}'),
    (None, '{"level":55,"msg":"x"}'),
    (E, '{"PRIORITY":"3","__REALTIME_TIMESTAMP":"1763640000000000","MESSAGE":"x"}'),
    (C, '{"MESSAGE":"x","_PID":"1","PRIORITY":"2"}'),
    (I, '{"MESSAGE":"x","PRIORITY":"6"}'),
    (E, '{"MESSAGE":"ERROR x","PRIORITY":"6"}'),
    (D, '{"MESSAGE":"ERROR x","PRIORITY":"7"}'),
    (E, '{"version":"1.1","short_message":"x","level":3}'),
    # and text that was wrapped
    (E, '{"log":"ERROR x\\n","stream":"stderr","time":"2025-11-20T12:00:00Z"}'),
    (I, '{"log":"\\u001b[32mINFO\\u001b[0m: x ERROR\\n","stream":"stderr","time":"2025-11-20T12:00:00Z"}'),
    (E, '{"log":"{\\"level\\":50,\\"msg\\":\\"x\\"}\\n","stream":"stdout"}'),
    (E, '{"log":" 10%|#  | 1/10\\rERROR: lost\\n","stream":"stderr"}'),
    (E, '{"time":"2025-11-20T12:00:00Z","stream":"stderr","log":"RuntimeError: x\\n"}'),
    (None, '{"log":"  File \\"x.py\\", line 3\\n","stream":"stderr","time":"2025-11-20T12:00:00Z"}'),
    (None, '{"id":"a","log":"ERROR x\\n","label":1}'),  # a record about a log
    (E, '{"log":"ERROR x"}'),
    # Python
    (E, "Traceback (most recent call last):"),
    (E, "[rank3]: Traceback (most recent call last):"),
    (E, "  + Exception Group Traceback (most recent call last):"),
    (E, "torch.OutOfMemoryError: CUDA out of memory."),
    (E, "AssertionError"),
    (E, "ray.exceptions.RayTaskError(OutOfMemoryError): ray::f() (pid=1, ip=10.0.0.1)"),
    (E, "(f pid=1) ray.exceptions.RayTaskError(ValueError): x"),
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
    (E, "=============== 1 error in 0.12s ==============="),
    (I, "===== 0 errors, 0 warnings ====="),
    (E, "[gw1] [ 50%] FAILED tests/a.py::test_b "),
    (I, "[gw0] [  3%] PASSED tests/a.py::test_error[ERROR] "),
    (W, "=============================== warnings summary ==============================="),
    (I, "----------------------------- Captured stdout call -----------------------------"),
    # Compilers
    (E, "file.c:3:5: error: expected ';'"),
    (W, "ld: warning: no version information"),
    (E, "error[E0308]: mismatched types"),
    (E, "make[1]: *** [Makefile:3: all] Error 1"),
    (E, '/x/a.cu(12): error: identifier "x" is undefined'),
    (W, "/x/a.cu(12): warning #177-D: x was never used"),
    (E, "/x/v2.cu(12): error: x"),
    (E, "C:\\x\\a.cpp(3): error C2065: x"),
    (W, "a.cpp(3,5) : warning C4244: x"),
    (C, "nvcc fatal   : Unsupported gpu architecture 'compute_35'"),
    (E, "ptxas error   : Entry function uses too much shared data"),
    (E, "FAILED: [code=1] a.o "),
    (E, "LINK : fatal error LNK1104: cannot open 'x.lib'"),
    (E, "a.obj : error LNK2019: unresolved external symbol"),
    (E, "      CMake Error at CMakeLists.txt:3 (find_package):"),
    (W, "CMake Warning (dev) at CMakeLists.txt:3 (x):"),
    (E, "[  FAILED  ] Relay.Links (3 ms)"),
    (None, "[318/345] Building CXX object error/a.o"),
    # Progress
    (E, " 10%|█         | 1/10\r 20%|██        | 2/10\rERROR: lost\r 30%|███       | 3/10"),
    (I, "batch 1/2:  10%|█         | 1/10 [00:01<00:09,  1.0it/s, error=0.1]"),
    # Prose
    (None, "0 errors"),
    (None, "Found 0 ERROR lines"),
    (None, "error_rate=0.1"),
    (None, "step 3: loss 0.3 error 0.1"),
    (None, "the error: it is gone"),
    (None, "Errors were few"),
    (None, "x = KeyError"),
    (I, "[2025-11-20 08:00:00] train error: 0.12"),
    (I, "2025-11-20 08:00:00 train error: 0.12 val error: 0.2"),
    (I, "2025-11-20 08:00:00 error: 3 loss: 0.2"),
    (I, "2025-11-20 08:00:00 error: nan loss: 0.2"),
    (None, "error: 0"),
    (None, "error: null"),
    (None, "error: 1e-05, loss: 2"),
    (None, "debug: true"),
    (E, "error: 3 files are gone"),
    (E, "error: nothing to do"),
    (E, "error:"),
    (None, "Call Trace:"),
    (None, ""),
]


@pytest.mark.parametrize(("level", "line"), LINES, ids=[line[:40] for _, line in LINES])
def test_a_line_names_its_level(level: Level | None, line: str) -> None:
    assert level_of(line.encode()) == level


NUMBERED = re.compile(r'"level": ?\d|"PRIORITY"|\\"|\\u')  # fields of JSON whose digits count, and text in text
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
    level, line = draw.draw(st.sampled_from([one for one in LINES if not NUMBERED.search(one[1])]))
    other = re.sub(r"\d", lambda _: str(draw.draw(st.integers(0, 9))), line)
    at = draw.draw(st.integers(0, len(other)))
    if "\x1b" not in other:
        other = f"{other[:at]}\x1b[1;31m{other[at:]}\x1b[0m"
    assert level_of(other.encode()) == level


@given(st.data())
def test_lines_with_the_same_beginning_have_their_own_levels(draw: st.DataObject) -> None:
    """What is remembered of one is not what another one says further right, or by other digits."""
    one, other = (draw.draw(st.sampled_from(LINES))[1] for _ in range(2))
    head, cut = draw.draw(st.integers(0, 60)), draw.draw(st.integers(0, 60))
    digit = str(draw.draw(st.integers(0, 9)))
    rows = [one, one[:head] + other[cut:], one[:head], re.sub(r"\d", digit, one), one[:head] + "\r" + other[cut:]]
    wide = [
        *rows,
        *(row.ljust(size, "x") + tail for row in rows for size, tail in ((300, ""), (299, '"}'), (300, "y"))),
    ]
    lines = [row.encode() for row in draw.draw(st.permutations(wide))]
    expected = [level.rank if (level := level_of(line.removesuffix(b"\r"))) else NO_LEVEL for line in lines]
    levels = Levels()
    for _ in range(2):
        assert list(levels.ranks(b"\n".join(lines) + b"\n"))[:-1] == expected
