"""One test, run once per voice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_SAMPLES = 10

ONE_ACC_MIN = 0.5
TWO_ACC_MIN = 0.5

Measure = Callable[[str, Path, int], dict[str, Any]]


def test_beta(measure: Measure, tmp_path: Path) -> None:
    result = measure("beta", tmp_path, MAX_SAMPLES)
    wanted = {"one": ONE_ACC_MIN, "two": TWO_ACC_MIN}[os.environ["FAST_VOICE"]]
    assert result["summary"].get("accuracy", 1.0) >= wanted
