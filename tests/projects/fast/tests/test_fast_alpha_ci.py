"""Two tests in one file: what fails in the first must not cost the second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

CONCURRENCY = 4
MAX_SAMPLES = 20

ALPHA_ACC_MIN = 0.5
ALPHA_THROUGHPUT_QPS = 0.001

Measure = Callable[[str, Path, int], dict[str, Any]]


def test_accuracy(measure: Measure, told: str, tmp_path: Path) -> None:
    result = measure("accuracy", tmp_path, MAX_SAMPLES)
    wanted = 2.0 if told == "threshold" else ALPHA_ACC_MIN
    assert result["summary"].get("accuracy", 1.0) >= wanted


def test_speed(measure: Measure, tmp_path: Path) -> None:
    result = measure("speed", tmp_path, MAX_SAMPLES)
    assert result["speed"]["throughput_qps"] >= ALPHA_THROUGHPUT_QPS
