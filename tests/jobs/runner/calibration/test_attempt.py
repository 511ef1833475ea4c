"""The log of a launch, as whoever waits for its end finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gates.calibration.outcome import LogScan
from hosts.local.files import ReadError
from jobs.runner.calibration import attempt

pytestmark = pytest.mark.travels


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert attempt._feed(tmp_path / "run1.log", 0, LogScan()) == 0


def test_what_stands_in_the_place_of_a_log_is_said_with_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "run1.log"
    log.mkdir()
    with pytest.raises(ReadError) as caught:
        attempt._feed(log, 0, LogScan())
    assert str(caught.value) == f"cannot read {log}: is a directory; move it away, then resume the run"
