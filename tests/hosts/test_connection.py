"""What is told of a way to a host."""

from __future__ import annotations

import math

import pytest

from hosts.connection import Connection, Countdown, Way, without_wait


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("gpu-a: retry in 12 s (connection refused)", "gpu-a: connection refused"),
        ("gpu-a: retry in 1 s (no login: (x))", "gpu-a: no login: (x)"),
        ("gpa: retry in 1 s (no such (name)); did you mean gpu?", "gpa: no such (name); did you mean gpu?"),
        ("gpu-a: connection refused", "gpu-a: connection refused"),
        ("the helper says: retry in 3 s (why) and more", "the helper says: retry in 3 s (why) and more"),
        ("", ""),
    ],
)
def test_an_error_is_told_without_the_seconds(error: str, told: str) -> None:
    assert without_wait(error) == told


def test_a_clock_that_is_set_makes_no_wait_longer() -> None:
    steady = 50.0
    countdown = Countdown(lambda: steady)
    down = Connection(Way.WAITING, 990.0, None, 1030.0)
    assert countdown.left(down, 1000.0) == 30.0
    steady += 10.0
    assert countdown.left(down, 1010.0) == 20.0
    assert countdown.left(down, 1010.0 - 3600.0) == 20.0, "set back"
    assert countdown.left(down, 1010.0 + 15.0) == 5.0, "set ahead, or slept"
    assert countdown.left(Connection(Way.WAITING, 990.0, None, 1060.0), 1010.0) == 50.0, "another wait"
    assert countdown.left(Connection(Way.WAITING, 990.0, None, 5000.0), 1010.0) <= 0.0, "nobody waits as long"
    assert countdown.left(Connection(Way.KEY_CHANGED, 990.0, None, 1050.0), 1010.0) == 40.0
    for none in (None, Connection(Way.WAITING, 990.0), Connection(Way.UP, 990.0, None, 1000.0)):
        assert countdown.left(none, 2000.0) == math.inf
