from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.logscan import LogScan, scan_log

pytestmark = pytest.mark.travels

READY = "INFO:     Application startup complete."

CRASHES = [
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 95.08 GiB "
    "of which 1.2 GiB is free. If reserved but unallocated memory is large try setting "
    "PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation.",
    "E       torch.cuda.OutOfMemoryError: CUDA out of memory.",
    "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",
    "Fatal Python error: Segmentation fault",
    "bash: line 1: 12345 Segmentation fault      (core dumped) python -m sglang",
    "[2026-05-25 02:43:02] Rank 0 scheduler is dead. Please check if there are relevant logs.",
    "[2026-05-25 02:43:02] Received sigquit from a child process. It usually means the child failed.",
    "RuntimeError: Server process exited with code 1",
    "router worker-1 died",
    "Worker process 2 exited with exit code -9",
    "scheduler terminated unexpectedly",
    "OSError: [Errno 98] Address already in use",
    "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
    "Killed",
    "  | torch.OutOfMemoryError: CUDA out of memory.",
]

HARMLESS = [
    "E       AssertionError: server throughput 1.2 died below 3.0",
    "AssertionError: the server process exited with code 1 is what we hoped not to see",
    "WARN relay retry 1/3 Connection refused",
    "ConnectionRefusedError: [Errno 111] Connection refused (server not up yet, retrying)",
    "    raise RuntimeError('server process died')",
    "        if proc.poll() is not None: raise RuntimeError('Server exited with code 1')",
    "INFO expandable_segments helps to avoid CUDA out of memory",
    "WARNING: a large batch may cause CUDA out of memory",
    "worker 3 exited with code 0",
    "INFO: killed 3 stale locks",
    "tests/test_server.py::test_oom_kill_switch PASSED",
    "assert server.died is False",
]


@pytest.mark.parametrize("line", CRASHES)
def test_a_crash_before_the_server_is_ready(line: str) -> None:
    facts = scan_log(f"collected 3 items\n{line}\n{READY}\n")
    assert [crash.number for crash in facts.crashes] == [2]
    assert facts.ready is not None
    assert facts.ready.number == 3


@pytest.mark.parametrize("line", CRASHES)
def test_after_it_was_ready_only_a_death_and_memory_count(line: str) -> None:
    facts = scan_log(f"{READY}\n{line}\n")
    assert facts.crashes == ()
    hard = "memory" in line.lower() or any(
        word in line for word in ("Fatal", "Segmentation", "sigquit", "-9", "CUDA error")
    )
    assert bool(facts.oom or facts.deaths) is hard


@pytest.mark.parametrize("line", HARMLESS)
def test_talk_is_no_crash(line: str) -> None:
    facts = scan_log(f"{line}\n{READY}\n{line}\n")
    assert (facts.crashes, facts.deaths, facts.oom) == ((), (), ())
    assert facts.ready is not None
    assert facts.ready.number == 2


@pytest.mark.parametrize(
    "line",
    [
        READY,
        "INFO:     Uvicorn running on http://127.0.0.1:30000 (Press CTRL+C to quit)",
        "[2026-05-25 02:43:02] The server is fired up and ready to roll!",
        "Router is ready",
        "All 2 workers are healthy",
        "server at http://127.0.0.1:8000 ready",
        "\x1b[32mINFO\x1b[0m: Server ready",
    ],
)
def test_ready(line: str) -> None:
    ready = scan_log(f"\n{line}\n").ready
    assert ready is not None
    assert ready.number == 2


@pytest.mark.parametrize(
    "line",
    [
        "waiting until the server is ready",
        "Server is not ready",
        "timed out before router is ready",
        "worker unhealthy",
        "server is ready, and worker 2 died",
    ],
)
def test_not_ready(line: str) -> None:
    assert scan_log(line).ready is None


@pytest.mark.parametrize(
    ("said", "rc"),
    [
        ("=================== 3 passed in 12.34s ===================", 0),
        ("=================== 3 passed, 1 failed in 12.34s ===================", 1),
        ("===== 1 failed, 3 passed, 2 warnings in 3723.04s (1:02:03) =====", 1),
        ("===== 1 failed, 3 passed in 93723.04s (1 day, 2:02:03) =====", 1),
        ("=================== 1 error in 0.34s ===================", 1),
        ("=================== 2 errors in 0.34s ===================", 1),
        ("=================== 1 skipped in 0.34s ===================", 0),
        ("=================== 1 xfailed, 1 xpassed in 0.34s ===================", 0),
        ("=================== no tests ran in 0.01s ===================", 5),
        ("=================== 7 deselected in 0.01s ===================", 5),
        ("\x1b[32m====== \x1b[32m\x1b[1m1 passed\x1b[0m\x1b[32m in 0.01s\x1b[0m\x1b[32m =======\x1b[0m", 0),
        ("loading 100%======= 3 passed in 1.00s =======", 0),
    ],
)
def test_the_exit_status_from_the_closing_line(said: str, rc: int) -> None:
    facts = scan_log(f"test session starts\n{said}\nserver goes down\n")
    assert facts.summary_rc == rc
    assert facts.summary is not None
    assert facts.summary.number == 2


@pytest.mark.parametrize(
    ("line", "rc"),
    [
        ("!!!!!!!!!!!! Interrupted: 1 error during collection !!!!!!!!!!!!", 2),
        ("!!!!!!!!!!!!!!!!!!! KeyboardInterrupt !!!!!!!!!!!!!!!!!!!!!", 2),
        ("INTERNALERROR> Traceback (most recent call last):", 3),
        ("!!!!!!!!!!!! stopping after 1 failures !!!!!!!!!!!!", 1),
    ],
)
def test_a_session_that_broke_off(line: str, rc: int) -> None:
    closing = "====== 1 failed in 0.34s ======"
    assert scan_log(f"{line}\n{closing}\n").summary_rc == rc
    again = f"{line}\n{closing}\n===== test session starts =====\n====== 1 passed in 0.1s ======\n"
    assert scan_log(again).summary_rc == 0


@pytest.mark.parametrize(
    "line", ["3 passed", "=== 3 passed ===", "=== someone passed in 3s ===", "", "=" * 8000 + " =="]
)
def test_other_lines_close_nothing(line: str) -> None:
    assert scan_log(line + "\n").summary is None


def test_what_is_compiled_and_how_far_the_start_is() -> None:
    log = (
        "Load weight begin.\n[1/9] nvcc -O3 gen_cutlass_fused_moe_sm90_module\nninja: build stopped\n"
        + READY
        + "\nninja again\n"
    )
    facts = scan_log(log)
    assert [line.number for line in facts.compiling] == [2, 3]
    assert [line.sign for line in facts.startup] == ["weights"]


def test_a_progress_bar_s_line_is_one_line() -> None:
    facts = scan_log("  1%|\r 50%|\r99%| CUDA out of memory\rdone\nServer is ready\n")
    assert facts.lines == 2
    assert [line.number for line in facts.oom] == [1]
    assert facts.ready is not None
    assert facts.ready.number == 2


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("E       OSError: [Errno 28] No space left on device", "disk full"),
        ("cp: error writing 'x': No space left on device", "disk full"),
        ("OSError: [Errno 122] Disk quota exceeded: '/runs/r/x'", "disk full"),
        ("E       OSError: [Errno 30] Read-only file system: '/runs/r/x'", "disk not writable"),
    ],
)
def test_a_disk_that_is_full_explains_and_is_no_crash(line: str, sign: str) -> None:
    """What is missing is then no fault of the configuration; and a server that cannot write a cache may serve."""
    for text in (f"{line}\n{READY}\n", f"{READY}\n{line}\n"):
        facts = scan_log(text)
        assert [death.sign for death in facts.deaths] == [sign]
        assert facts.crashes == ()
        assert facts.ready is not None


def test_memory_is_bounded() -> None:
    scan = LogScan()
    for _ in range(300):
        scan.feed(b"x" * 100_000)
    assert len(scan._rest) < 10_000
    scan.feed(b"\n" + b"CUDA out of memory\nnvcc\n" * 5000)
    facts = scan.facts
    assert facts.lines == 10_001
    assert (len(facts.oom), len(facts.crashes), len(facts.compiling)) == (10, 10, 20)
    assert facts.size == 300 * 100_000 + 1 + 24 * 5000


def test_hostile_text_is_printable_and_cut() -> None:
    facts = scan_log(b"\x1b[2J\x07CUDA out of memory \xff\xfe " + b"y" * 5000 + b"\n")
    assert facts.oom[0].text.isprintable()
    assert len(facts.oom[0].text) <= 400


LINES = st.sampled_from(
    [*CRASHES, *HARMLESS, READY, "nvcc", "\r", "", "x" * 9000, "=== 1 passed in 0.1s ===", "é\u2028"]
)


@given(
    st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.lists(st.integers(0, 12_000))
)
def test_the_same_facts_wherever_it_is_cut(lines: list[str], end: str, closed: bool, cuts: list[int]) -> None:
    data = (end.join(lines) + (end if closed else "")).encode()
    scan, at = LogScan(), 0
    for cut in sorted({min(cut, len(data)) for cut in cuts}):
        scan.feed(data[at:cut])
        assert scan.facts.size == cut
        at = cut
    scan.feed(data[at:])
    assert scan.facts == scan_log(data)
    assert scan.facts == scan.facts


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    assert scan_log(data).lines == data.count(b"\n") + (
        not data.endswith(b"\n") and data.rpartition(b"\n")[2].rpartition(b"\r")[2] != b""
    )


@pytest.mark.parametrize(
    "line",
    [
        ">       except torch.cuda.OutOfMemoryError:",
        "        raise torch.OutOfMemoryError('CUDA out of memory')",
        "    with pytest.raises(torch.cuda.OutOfMemoryError):",
        "        # RuntimeError: CUDA out of memory happens here",
    ],
)
def test_source_in_a_traceback_is_no_sign(line: str) -> None:
    assert scan_log(f"tests/test_a.py F\n{line}\nE   assert 1 == 2\n").oom == ()
    assert scan_log("E   torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n").oom
