from __future__ import annotations

import pytest

from gates.calibration.signatures import FAILURES, LINE_CAP, failure_of
from tests.gates.calibration.test_logscan import CRASHES, HARMLESS

pytestmark = pytest.mark.travels


@pytest.mark.parametrize("line", CRASHES)
def test_a_line_tells_of_its_failure(line: str) -> None:
    assert failure_of(line.encode())
    assert failure_of(b" 10%|#  | 1/10\r" + line.encode() + b"\r 20%|## | 2/10")


@pytest.mark.parametrize("line", HARMLESS)
def test_talk_is_no_failure(line: str) -> None:
    assert failure_of(line.encode()) == ""


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1.0", "host OOM"),
        ("Out of memory: Killed process 12 (python)", "host OOM"),
        ("RuntimeError: CUDA error: out of memory", "CUDA OOM"),
        ("OSError: [Errno 28] No space left on device", "disk full"),
        ("\x1b[31mKilled\x1b[0m", "killed"),
        ("server process exited with code -9", "process died of a signal"),
    ],
)
def test_its_sign(line: str, sign: str) -> None:
    assert failure_of(line.encode()) == sign


def test_only_the_beginning_of_a_part_is_looked_at() -> None:
    assert failure_of(b"x" * LINE_CAP + b" core dumped") == ""
    assert failure_of(b"x" * LINE_CAP + b"\r core dumped") == "core dumped"
    assert failure_of(b"\xff core dumped") == "core dumped"


def test_words_are_in_lower_case_and_hold_no_line_end() -> None:
    words = [word for row in FAILURES for word in row.words]
    assert all(word == word.lower() and not set(word) & {"\n", "\r"} for word in words)


def test_no_expression_looks_further_than_so_far() -> None:
    """A line of many words takes time in proportion, whoever wrote it."""
    assert not any(".*" in row.pattern.pattern or ".+" in row.pattern.pattern for row in FAILURES)
    assert failure_of(b"Not enough memory. " + b"x" * 300 + b" --mem-fraction-static") == "CUDA OOM"
