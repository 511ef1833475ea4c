"""Which level a line names that has no word of a logger: what trainers, shells, drivers, pytest and others write."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hosts.local import levels
from hosts.local.levels import LEVELS, NO_LEVEL, Level, Levels, level_of

pytestmark = pytest.mark.travels

D, I, W, E, C = LEVELS  # noqa: E741 - the levels' own letters
LINES: list[tuple[Level | None, str]] = [
    # What a trainer measured
    (I, "{'loss': 1.2, 'grad_norm': 0.5, 'learning_rate': 1e-05, 'epoch': 0.1}"),
    (I, "{'loss': '1.2', 'epoch': '0.1'}"),
    (I, "{'eval_loss': nan, 'epoch': 1.0}"),
    (I, "{'train_error': 1e-05}"),
    (None, "{'error': 500, 'message': 'no memory'}"),
    (None, "{'message': 'no memory'}"),
    (None, "    {'lr': 0.1, 'betas': (0.9, 0.95)},"),  # a line of a program
    # Forms behind a time
    (E, "2025-11-20 12:00:00 RuntimeError: bad"),
    (E, "2025-11-20 12:00:00,123 - RuntimeError: bad"),
    (E, "2025-11-20T12:00:00.123456789Z Traceback (most recent call last):"),
    (E, "2025-11-20T12:00:00.123456789Z (EngineCore_0 pid=3) Traceback (most recent call last):"),
    (E, "2025-11-20T12:00:00.123456789Z [rank0]: torch.OutOfMemoryError: CUDA out of memory"),
    (E, "Nov 20 12:00:00 node-1 Traceback (most recent call last):"),
    (E, "Nov 20 12:00:00 RuntimeError: x"),
    (W, "2025-11-20 12:00:00 UserWarning: slow"),
    # but no number that a logger tells by such a name, nor what ends as it should
    (I, "2025-11-20 12:00:00 MeanSquaredError: 0.05"),
    (I, "2025-11-20 12:00:00 FAILED: 0, passed: 12"),
    (I, "2025-11-20 12:00:00 EarlyExit: patience reached"),
    (E, "2025-11-20T12:00:00.123456789Z stderr F KeyError: 0"),
    (I, "2025-11-20 12:00:00 Watchdog caught up with 3 workers"),
    (I, "2025-11-20 12:00:00 Caught signal 15 (SIGTERM), saving checkpoint"),
    (None, "Caught signal 2 (SIGINT), stopping gracefully"),
    (None, "E: Epoch 5 done"),
    (None, "W: Adam"),
    (I, '2025-11-20T12:00:00.123456789Z   File "x.py", line 3, in f'),
    (I, "2025-11-20 12:00:00 the RuntimeError: was mended"),
    # and behind a message
    (E, "[2025-11-20 12:00:00 TP0] Scheduler hit an exception: Traceback (most recent call last):"),
    (E, "Initialization failed. router init state: Traceback (most recent call last):"),
    (E, ">       Traceback (most recent call last):"),
    (None, '    assert "Traceback (most recent call last):" in text'),
    (E, "[2025-11-20 12:00:00 TP3] Exception in ModelTPServer:"),
    (E, "Exception in thread Thread-3 (run):"),
    (None, "Exception in prose is a word"),
    # mpirun
    (E, "[1,0]<stderr>:RuntimeError: x"),
    (E, "[1,0]<stderr>:Traceback (most recent call last):"),
    (E, "[1,0]<stderr>:ERROR no memory"),
    (W, "[1,0]<stderr>: 2025-11-20 12:00:00 WARNING slow"),
    (I, "[1,0]<stdout>:2025-11-20 12:00:00 INFO no ERROR"),
    (None, "[1,0]<stdout>:step 3"),
    # GitHub
    (E, "##[error]Process completed with exit code 1."),
    (W, "2025-11-20T12:00:00.1234567Z ##[warning]slow"),
    (None, "##[group]Run error handling"),
    (E, "::error file=a.py,line=3::lost"),
    (W, "::warning::slow"),
    (E, "2025-11-20T12:00:00.1234567Z ::error::lost"),
    (None, "::group::error"),
    (None, "std::error is a type"),
    # apt
    (E, "E: Unable to locate package x"),
    (W, "W: Failed to fetch http://example.org/x"),
    (W, "W: https://example.org/x: Key is stored in legacy trusted.gpg keyring"),
    (E, "2025-11-20T12:00:00.123Z E: Unable to locate package x"),
    (None, "E: 0.3"),
    (None, "W: 12 x 3"),
    # Shells
    (E, "bash: line 1:   123 Killed                  python x.py"),
    (E, "./run.sh: line 7: 4242 Segmentation fault      (core dumped) python x.py"),
    (E, "/var/spool/slurmd/job1/slurm_script: line 28:  8156 Aborted                 (core dumped) python x.py"),
    (None, "./run.sh: line 7: 4242 Terminated              python x.py"),  # that was somebody's wish
    (None, "./run.sh: line 7: 3 tasks were killed"),
    # Drivers, libraries, servers
    (E, "[Sun Feb 23 16:24:18 2025] NVRM: Xid (PCI:0000:9b:00): 119, pid=1, name=x, Timeout after 6s"),
    (E, "Nov 20 12:00:00 node-1 kernel: [  123.456789] NVRM: Xid (PCI:0000:9b:00): 79, GPU has fallen off the bus."),
    (None, "[Sun Feb 23 16:24:18 2025] NVRM: GPU Board Serial Number: 1"),
    (E, "[node-1:212877:0:212877] Caught signal 11 (Segmentation fault: address not mapped to object at address 0x3)"),
    (E, "[node-1:12345] *** Process received signal ***"),
    (E, "[2025-11-20 12:00:00 TP4] Watchdog timeout (self.watchdog_timeout=300)"),
    (I, "[2025-11-20 12:00:00 TP4] Watchdog timeout is 300 s"),
    # A browser's table
    (E, "\xa0 | 2025-11-20T12:00:00.123Z | \x1b[36m(_MapWorker pid=1)\x1b[0m ERROR 11-20 12:00:00 worker.py:1] lost"),
    (I, "\xa0 | 2025-11-20T12:00:00.123Z | (_MapWorker pid=1) INFO 11-20 12:00:00 worker.py:1] no ERROR"),
    # pytest
    (I, "tests/a.py::test_x SKIPPED (unconditional skip)                 [ 97%]"),
    (I, "tests/a.py::test_x SKIPPED (unconditio...)  [ 97%]"),
    (I, "tests/a.py::test_x XFAIL (known bug)"),
    (I, "tests/a.py::test_x XPASS (it was known [3])                     [100%]"),
    (I, "tests/a.py::test_x PASSED                                       [ 3/12]"),
    (E, "tests/a.py::test_x FAILED                                       [12/12]"),
    (E, "tests/a.py::test_x SUBFAILED[no memory] (i=1)                   [ 50%]"),
    (I, "tests/a.py::test_x SUBPASSED(i=1)                               [ 50%]"),
    (I, "SKIPPED [1] tests/a.py:3: unconditional skip"),
    (None, "SKIPPED the rest"),
    (None, "tests/a.py::test_x says FAILED words"),
]


@pytest.mark.parametrize(("level", "line"), LINES, ids=[ascii(line)[-60:] for _, line in LINES])
def test_a_line_names_its_level_by_its_form(level: Level | None, line: str) -> None:
    assert level_of(line.encode()) == level
    assert list(Levels().ranks(line.encode())) == [NO_LEVEL if level is None else level.rank]


def test_what_a_trainer_measures_is_no_part_of_the_error_before_it() -> None:
    rows = [
        "ERROR: cannot reach it, going on",
        "  details",
        *(f"{{'loss': {1 / n}, 'epoch': {n / 9}}}" for n in range(1, 99)),
    ]
    assert list(Levels().ranks("\n".join(rows).encode())) == [E.rank, NO_LEVEL, *98 * [I.rank]]


WORDS = [
    *(
        "##",
        "##[error]",
        "[error]",
        "::",
        "::error",
        "::error::",
        "::error file=",
        "a::b",
        "a1::b",
        "[1,0]<stderr>:",
        "<stderr>:",
    ),
    *(
        "E:",
        "W:",
        "E: Unable",
        "bash:",
        "line 1:",
        "123",
        "Killed",
        "Watchdog",
        "timeout",
        "(",
        ")",
        "NVRM:",
        "Xid",
        "30%|",
    ),
    *(
        "PASSED",
        "FAILED",
        "SKIPPED",
        "SUBFAILED",
        "[x]",
        "[ 50%]",
        "[ 3/12]",
        "{'loss':",
        "0.5",
        "\xa0",
        "|",
        "Exception in",
    ),
    *(
        "2025-11-20 12:00:00",
        "Nov 20 12:00:00",
        "node-1",
        "relay:",
        "ValueError:",
        "ERROR",
        "error:",
        "level=error",
        "INFO",
    ),
]
TAILS = [
    "",
    " ",
    ":",
    "]",
    ")",
    "|",
    "x",
    "3",
    " x",
    ": x",
    "[error]",
    " file=a",
    " PASSED",
    " [ 5%]",
    "30%|x",
    " Killed",
    "ERROR",
]
TEXTS = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", " ", "", ":"])).map("".join), min_size=1, max_size=6
).map("".join)


@given(TEXTS)
@example("2025-11-20 12:00:00 ::error f")
@example("relay: 30%|x| 3/10 [x] ")
def test_no_line_has_its_level_from_one_that_begins_alike(text: str) -> None:
    for cut in range(max(1, len(text.encode()) - 12), len(text.encode()) + 1):
        rows = [text.encode()[:cut] + tail.encode() for tail in TAILS]
        alone = [NO_LEVEL if (level := level_of(row)) is None else level.rank for row in rows]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(levels, "_KEY", cut)
            for step in (1, -1):  # in one of them a line is learned before another one that it would mislead
                known = Levels()
                assert [known.ranks(row)[0] for row in rows[::step]] == alone[::step]
