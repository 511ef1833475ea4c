from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.host import Cursor, Observation, Wants
from jobs.watching import SHORTEST_S, SHOWER_S, HostWatch, Pauses, pauses
from monitors.calibration import CalibrationMonitor
from monitors.snapshot import Snapshot
from tests.monitors.runs import RunFolder

PATIENCE_S = 30.0


async def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


class Shown:
    """What a screen would have got."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot[Any]] = []

    def __call__(self, _name: str, snapshot: Snapshot[Any]) -> None:
        self.snapshots.append(snapshot)

    @property
    def done(self) -> int | None:
        return self.snapshots[-1].progress.done if self.snapshots else None


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.make(tmp_path)
    run.plan()
    return run


def watch_of(run: RunFolder, shown: Shown, local: bool) -> HostWatch:
    def folders() -> list[str]:
        return [str(run.root), *(str(path) for path in run.root.iterdir() if path.is_dir())]

    monitors = {"r": CalibrationMonitor(str(run.root))}
    return HostWatch(LocalReader(), monitors, shown, 120.0, folders if local else None)


async def test_a_change_calls_for_a_look_long_before_the_interval_is_over(run: RunFolder) -> None:
    shown = Shown()
    watch = watch_of(run, shown, local=True)
    task = asyncio.create_task(watch.run())
    await until(lambda: shown.done == 0)
    run.cell("a", 1)
    number = 1
    async with asyncio.timeout(PATIENCE_S):
        while shown.done != 1:  # the watch of the folders may not have begun at the first change
            await asyncio.sleep(0.2)
            number += 1
            run.write("precheck.json", {"number": number})
    assert watch.without_events == ""
    task.cancel()


async def test_nothing_is_looked_at_while_nothing_happens(run: RunFolder) -> None:
    shown = Shown()
    watch = watch_of(run, shown, local=True)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.looks)
    before = watch.looks
    await asyncio.sleep(1.5)
    assert watch.looks == before
    task.cancel()


async def test_a_shower_of_requests_is_one_look(run: RunFolder) -> None:
    shown = Shown()
    watch = watch_of(run, shown, local=False)
    assert watch.without_events == "it is another machine"
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.looks == 1)
    for _ in range(50):
        watch.request()
    await until(lambda: watch.looks == 2)
    await asyncio.sleep(1.0)
    assert watch.looks == 2
    task.cancel()


async def test_a_shower_of_changes_is_few_looks(run: RunFolder) -> None:
    watch = watch_of(run, Shown(), local=True)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.looks == 1)
    began, number = time.monotonic(), 0
    while watch.looks < 4:
        number += 1
        run.write("precheck.json", {"number": number})
        await asyncio.sleep(0.05)
    assert watch.looks - 1 <= (time.monotonic() - began) / SHOWER_S + 1
    task.cancel()


@pytest.mark.parametrize(
    ("took", "spent", "expected"),
    [
        (0.01, 0.01, Pauses(SHORTEST_S, SHOWER_S, 5.0)),
        (0.2, 0.15, Pauses(SHORTEST_S, 1.5, 15.0)),
        (0.2, 0.01, Pauses(SHORTEST_S, SHOWER_S, 5.0)),
        (3.0, 0.01, Pauses(3.0, 3.0, 12.0)),
        (15.0, 15.0, Pauses(15.0, 120.0, 120.0)),
        (500.0, 1.0, Pauses(120.0, 120.0, 120.0)),
    ],
)
def test_a_dear_look_makes_longer_pauses(took: float, spent: float, expected: Pauses) -> None:
    found = pauses(5.0, took, spent)
    assert found == expected
    assert spent == 0 or found.changed >= min(120.0, 10 * spent), "a tenth of a core at most"


def test_a_look_at_another_machine_is_as_dear_as_it_is_long() -> None:
    assert pauses(5.0, 0.5, 0.01, far=True, cost=20.0).longest == 10.0


@pytest.mark.parametrize(("took", "longest"), [(0.2, 5.0), (0.9, 18.0), (3.0, 20.0), (10.0, 20.0), (24.0, 48.0)])
def test_a_host_far_away_that_made_a_look_wait_is_not_left_alone_for_minutes(took: float, longest: float) -> None:
    assert pauses(5.0, took, 0.01, far=True, cost=20.0).longest == pytest.approx(longest)
    assert pauses(60.0, took, 0.01, far=True, cost=20.0).longest >= 60.0


async def test_no_pause_is_longer_than_the_profile_of_the_host_says(run: RunFolder) -> None:
    assert pauses(60.0, 6.0, 0.01, far=True, cost=20.0, most=15.0) == Pauses(6.0, 6.0, 15.0)
    assert pauses(5.0, 0.5, 0.01, far=True, cost=20.0, most=500.0).longest == 10.0
    watch = HostWatch(Flaky(), {"r": CalibrationMonitor(str(run.root))}, Shown(), 120.0, most=0.2)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.looks == 3)
    task.cancel()


async def test_who_asks_does_not_wait_as_long_as_a_host_that_failed_did(run: RunFolder) -> None:
    assert pauses(5.0, 20.0, 0.1, far=True, cost=1.0, failed=True).asked == SHORTEST_S
    assert pauses(5.0, 3.0, 0.1, far=True, cost=20.0).asked == 3.0
    host = Flaky(True, True, True, takes=3.0)
    watch = HostWatch(host, {"r": CalibrationMonitor(str(run.root))}, Shown(), 60.0)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.looks == 1)
    failed = time.monotonic()
    watch.request()
    await until(lambda: host.asked == 2)
    assert time.monotonic() - failed < 2.0
    task.cancel()


class Flaky(LocalReader):
    """A host whose looks take their time, and fail while it is `down`."""

    def __init__(self, *down: bool, takes: float = 0.3) -> None:
        super().__init__()
        self._down = list(down)
        self._takes = takes
        self.asked = 0

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        self.asked += 1
        await asyncio.sleep(self._takes)
        if self._down and self._down.pop(0):
            raise UnreachableError("it is down")
        return await super().observe(want, since, deadline)


@pytest.mark.parametrize("down", [(True, True, False), (False,)])
async def test_a_look_that_opened_the_way_or_failed_makes_no_long_pause(run: RunFolder, down: tuple[bool, ...]) -> None:
    host = Flaky(*down)
    watch = HostWatch(host, {"r": CalibrationMonitor(str(run.root))}, Shown(), 0.1)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.looks == len(down) + 1)
    # The last one was no opening: the pause is 20 times as long, which is more than the test waits
    await asyncio.sleep(1.0)
    assert watch.looks == len(down) + 1
    task.cancel()


async def test_a_run_that_is_added_is_looked_at_and_its_folders_are_listened_to(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    more = RunFolder.make(tmp_path / "more")
    more.plan()
    shown = Shown()
    folders = [str(run.root)]
    watch = HostWatch(LocalReader(), {"r": CalibrationMonitor(str(run.root))}, shown, 120.0, lambda: folders)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.looks == 1)
    folders.append(str(more.root))
    watch.add("more", CalibrationMonitor(str(more.root)))
    await until(lambda: any(one.watch == str(more.root) for one in shown.snapshots))
    number = len(shown.snapshots)
    async with asyncio.timeout(PATIENCE_S):
        while len(shown.snapshots) == number:  # the watch of the new folder may not have begun at the first change
            more.write("precheck.json", {"number": time.monotonic()})
            await asyncio.sleep(0.2)
    task.cancel()


async def test_one_that_is_added_is_listened_to_also_where_there_was_nothing_before(
    run: RunFolder, tmp_path: Path
) -> None:
    shown = Shown()
    folders: list[str] = []
    watch = HostWatch(LocalReader(), {}, shown, 120.0, lambda: folders)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.without_events)
    folders.append(str(run.root))
    watch.add("r", CalibrationMonitor(str(run.root)))
    await until(lambda: shown.done == 0)
    assert watch.without_events == ""
    async with asyncio.timeout(PATIENCE_S):
        while shown.done != 1:
            run.cell("a", 1)
            await asyncio.sleep(0.2)
    task.cancel()
