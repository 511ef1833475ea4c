"""What cannot be read is not gone: nobody is called dead, and nothing is called whole, because of it."""

from __future__ import annotations

import pytest

from monitors.calibration import LOCK
from monitors.snapshot import Progress, State
from tests.monitors.conftest import Start
from tests.monitors.runs import RunFolder, Watch


@pytest.mark.parametrize("known", [True, False], ids=["seen before", "never seen"])
def test_a_lock_in_a_folder_that_may_not_be_entered(
    run: RunFolder, watch: Watch, start: Start, anybody: None, known: bool
) -> None:
    run.plan()
    run.note("run.started")
    _process, ref = start()
    run.lock(ref)
    if known:
        assert watch.look().state is State.RUNNING
    folder = (run.root / LOCK).parent
    folder.chmod(0)
    try:
        snapshot = watch.look()
    finally:
        folder.chmod(0o755)
    assert snapshot.body.runner == "unknown"
    assert snapshot.state is State.UNKNOWN
    assert snapshot.error == "whether a runner lives cannot be told, .gatewatch/lock: Permission denied"
    assert snapshot.offers == ()
    assert watch.look().state is State.RUNNING


def test_without_a_plan_nobody_knows_how_much_there_is_to_do(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.cell("a", 1)
    assert watch.look().progress == Progress(1, 4)
    run.write("plan.json", b"{garbage")
    assert watch.look().progress == Progress(1, None)
