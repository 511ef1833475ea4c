"""What the line of a run that is waited for on a terminal says beside its bar."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from typing import Any

import pytest

from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.local.verbs import READ_VERBS
from monitors.calibration import CalibrationMonitor
from monitors.snapshot import Active, Eta, Progress, Seen, Snapshot, State
from tui.cli import calibration_follow
from tui.cli.calibration_follow import Left, describe, follow_run

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


async def test_a_host_that_stays_away_is_told_once_for_each_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = "connection refused"
    errors = [refused, f"retry in 4 s ({refused})", f"retry in 2 s ({refused})", refused, "retry in 9 s (no route)"]

    class Away(LocalReader):
        async def observe(self, *_given: Any) -> Any:
            error = errors.pop(0)
            if not errors:
                errors.append(error)
                os.kill(os.getpid(), signal.SIGINT)  # a person has seen enough
            raise UnreachableError(f"far: {error}")

        async def follow(self, *_given: Any) -> Any:
            await asyncio.Event().wait()
            yield

    monkeypatch.setattr(calibration_follow, "REMOTE_INTERVAL_S", 0.001)
    reader = Away("far", READ_VERBS)
    left, last = await follow_run(reader, CalibrationMonitor("/r", None, None), "/r", False, 0)
    assert (left, last and last.state) == (Left.LEAVE, State.BLIND)
    assert capsys.readouterr().err.splitlines() == [
        "gatewatch: blind: far: connection refused",
        "gatewatch: blind: far: no route",
    ]
