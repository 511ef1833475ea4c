"""The digit classifier: does it still read digits, and fast enough?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slack import apply_slack, speed_failures
from tinylab.client import run_load, running_server
from tinylab.digits import CLASSES, draw
from tinylab.results import speed_summary, write_results
from tinylab.seeds import fresh_random

CONCURRENCY = 16
MAX_SAMPLES = 6_000

# A guess is right one time in ten. Below this the set-up is broken, whatever the reference says;
# it is listed under ignored_constants because no calibration should move it.
GUESSING_ACC_MIN = 0.1

DIGITS_ACC_MIN: float = 0.85  # not 0.9: DIGITS_ACC_MIN = 0.9 would need a hidden layer

_DIGITS_P95 = {
    16: {
        "throughput_qps": 1_800.0,  # {"throughput_qps": 1_800.0} is requests a second, all connections together
        "latency_mean_s": 0.0105,
        "latency_p95_s": 0.0125,
    }
}
DIGITS_THRESHOLDS = apply_slack(_DIGITS_P95)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that has just learned to read."""
    with running_server("digits") as port:
        yield port


def test_digits_accuracy_and_speed(port: int, tmp_path: Path) -> None:
    """Every digit equally often, drawn afresh for this run."""
    rng = fresh_random("digits examination")
    digits = [index % CLASSES for index in range(MAX_SAMPLES)]
    requests = [{"pixels": [round(value, 3) for value in draw(digit, rng)]} for digit in digits]

    load = run_load(port, requests, max_samples=MAX_SAMPLES, max_concurrency=CONCURRENCY, label="digits")

    answers = [json.loads(reply.body)["digit"] if reply else None for reply in load.replies]
    correct = sum(answer == digit for answer, digit in zip(answers, digits, strict=True))
    accuracy = correct / len(digits)
    speed = speed_summary(load)
    write_results(
        tmp_path / "digits" / "digits_results.json",
        {
            "summary": {"total_samples": len(digits), "correct": correct, "accuracy": accuracy},
            "speed": speed,
        },
    )

    assert accuracy > GUESSING_ACC_MIN, "no better than guessing"
    failures = speed_failures(speed, DIGITS_THRESHOLDS[CONCURRENCY])
    if accuracy < DIGITS_ACC_MIN:
        failures.insert(0, f"accuracy: {accuracy:.4f} is below {DIGITS_ACC_MIN:.4f}")
    assert not failures, "; ".join(failures)
