"""What the line of a run that is waited for on a terminal says beside its bar."""

from __future__ import annotations

import time
from dataclasses import replace

from monitors.snapshot import Active, Eta, Progress, Seen, Snapshot, State
from tui.cli.calibration_follow import describe

AT = 1_779_676_982.0


def test_what_ran_when_it_was_seen_last_is_not_told_of_a_run_that_is_out_of_sight() -> None:
    running = (Active("tts 2/5", None, AT),)
    seen: Snapshot[None] = Snapshot(
        "r", State.RUNNING, Seen(AT, AT), Progress(3, 5), Eta(AT + 60, "mean"), running, (), (), None, None
    )
    assert describe(seen).endswith(", tts 2/5")  # type: ignore[arg-type]  # its body says nothing here
    blind = replace(seen, state=State.BLIND, error="no answer")
    told = time.strftime("%H:%M:%S", time.localtime(AT))
    assert describe(blind) == f"blind, seen {told}"  # type: ignore[arg-type]  # likewise
    never = replace(blind, seen=Seen(None, None))
    assert describe(never) == "blind"  # type: ignore[arg-type]  # likewise
