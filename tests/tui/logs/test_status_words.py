"""What the line below a log says of trouble."""

from __future__ import annotations

from monitors.logs.types import LogState, Shape, Status
from tui.logs.status import Facts, sentence


def test_a_read_that_failed_counts_no_seconds_that_would_stand_still() -> None:
    wrong = "box: retry in 12 s (connection refused)"
    said = sentence(LogState(Shape(name="box:run.log", status=Status.LIVE)), Facts(problem=wrong), 200)
    assert said.trouble == "CANNOT READ: box: connection refused."
