"""What happened while nobody looked, as the screen of a run tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.screen import Screen

from hosts.paths import Paths
from tests.monitors.runs import AT
from tests.tui.screens.run_desk import run_desk
from tests.tui.screens.runs import RunBench
from tui.screens.store import GlanceStore


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    """A small run of three units: one is done, the second is at its second repeat."""
    units = {"a": ("a_acc", "a_speed"), "b": ("b_wer",), "c": ("c_acc", "c_wer")}
    made = RunBench.make(tmp_path, units, 3)
    made.begin(2_000)
    made.past("a", 3, 400)
    made.past("b", 1, 90)
    made.start("b", 2, 80, b"batch 1\n")
    return made


@pytest.fixture
def store(tmp_path: Path) -> GlanceStore:
    """A state folder of its own."""
    return GlanceStore(Paths.from_environment({"HOME": str(tmp_path), "GATEWATCH_STATE_DIR": str(tmp_path / "state")}))


async def test_what_changed_since_is_told_until_it_is_dismissed(bench: RunBench, store: GlanceStore) -> None:
    async with run_desk(bench, bench.look(), store=store) as at:
        assert "since" not in at.shown
    kept = store.read(bench.place())
    assert kept is not None
    assert kept.at == AT
    bench.now += 5_000
    bench.observed("b", 3)
    bench.end("b", 2)
    bench.folder.cell("c_wer", 1, status="failed", reason="crash", metrics={})
    async with run_desk(bench, bench.look(), store=store) as at:
        line = next(row for row in at.rows if row.startswith(" since"))
        assert "since 02:43  1 stage failed a repeat (c_wer)" in line
        assert "1 stage done (b_wer)" in line
        await at.press("x")
        assert not any(row.startswith(" since") for row in at.rows)
    async with run_desk(bench, bench.look(), store=store) as at:
        assert not any(row.startswith(" since") for row in at.rows)


async def test_a_key_after_a_long_time_is_a_return(bench: RunBench, store: GlanceStore) -> None:
    async with run_desk(bench, bench.look(), store=store) as at:
        await at.press("down")
        bench.now += 900
        bench.observed("b", 3)
        await at.show(bench.look())
        assert not any(row.startswith(" since") for row in at.rows), "nobody is there to be told"
        await at.press("down")
        assert any("since 02:43  1 stage done (b_wer)" in row for row in at.rows)


async def test_a_return_from_another_screen_is_one(bench: RunBench, store: GlanceStore) -> None:
    async with run_desk(bench, bench.look(), store=store) as at:
        await at.app.push_screen(Screen())
        await at.pilot.pause()
        bench.observed("b", 3)
        await at.show(bench.look())
        await at.app.pop_screen()
        await at.until(lambda: any("1 stage done (b_wer)" in row for row in at.rows))
