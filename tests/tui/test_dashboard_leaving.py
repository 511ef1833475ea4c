"""What a dashboard does when it is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.monitors.runs import RunFolder
from tests.tui.test_dashboard import desk
from tui.dashboard_begin import Sight
from tui.dashboard_hosts import Station
from tui.dashboard_runs import Wanted
from tui.dashboard_since import Since


async def test_what_was_seen_is_kept_before_any_host_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.make(tmp_path)
    run.plan()
    did: list[str] = []
    close = Station.close

    async def closed(station: Station) -> None:
        did.append("let go")
        await close(station)

    class Noted(Since):
        def write(self) -> None:
            did.append("kept")
            super().write()

    monkeypatch.setattr(Station, "close", closed)
    async with desk(Sight(runs=(Wanted(str(run.root)),)), since=Noted()) as at:
        await at.until(lambda: at.looked("run"))
        assert not did
    assert did == ["kept", "let go"]
