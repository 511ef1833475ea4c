"""What is told of a way to a host."""

from __future__ import annotations

import pytest

from hosts.connection import without_wait


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
