from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from hosts.errors import InputError, UnreachableError
from hosts.here import LocalReader
from hosts.host import Chunk, Cursor, Data, Gap, HostReader, Json, Observation, Position, Rotated, Wants
from monitors.calibration import LOCK, Calibration, CalibrationMonitor
from monitors.poller import LONGEST_INTERVAL_S, HostPoller
from monitors.snapshot import Now, Progress, Snapshot, State
from tests.monitors.conftest import Start
from tests.monitors.runs import RunFolder

AT = 1_000_000.0


@dataclass
class Link:
    """A real reader behind a link that can be cut and held up."""

    real: HostReader
    failure: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[Wants, Cursor | None, float]] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    change: Callable[[Observation], Observation] = lambda seen: seen

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def name(self) -> str:
        return "box"

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        self.asked.append((want, since, deadline))
        self.begun.set()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            return self.change(await self.real.observe(want, since, deadline))
        finally:
            self.under_way -= 1

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        return await self.real.read(path, offset, size)

    def follow(self, path: str, at: Position) -> AsyncIterator[Data | Gap | Rotated]:
        return self.real.follow(path, at)

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        return await self.real.query(verb, payload, deadline)

    async def close(self) -> None:
        await self.real.close()


class Desk:
    """Somebody who is shown what a poller publishes."""

    def __init__(
        self, *runs: RunFolder, others: Mapping[str, CalibrationMonitor] = MappingProxyType({}), **options: Any
    ) -> None:
        self.link = Link(LocalReader("box"))
        self.shown: list[tuple[str, Snapshot[Calibration]]] = []
        monitors = {**{str(run.root): CalibrationMonitor(str(run.root)) for run in runs}, **others}
        self.poller = HostPoller(self.link, monitors, self.take, clock=lambda: AT, **options)

    def take(self, name: str, snapshot: Snapshot[Calibration]) -> None:
        self.shown.append((name, snapshot))

    @property
    def last(self) -> Snapshot[Calibration]:
        return self.shown[-1][1]

    def is_last(self, state: State) -> bool:
        return self.last.state is state


@pytest.fixture
def complete(run: RunFolder) -> RunFolder:
    run.plan()
    for stage in ("a", "b"):
        for repeat in (1, 2):
            run.cell(stage, repeat)
    run.note("run.started")
    run.note("run.ended")
    return run


@pytest.mark.parametrize("interval", [0.0, -1.0, 120.1, float("inf"), float("nan")])
def test_an_interval_that_would_leave_us_blind_is_refused(interval: float) -> None:
    with pytest.raises(InputError, match="a poll interval is more than 0 and at most 120 s"):
        HostPoller(LocalReader(), {}, lambda *_: None, interval=interval)


class Folder(CalibrationMonitor):
    """Notes in which thread it folds, and takes its time."""

    def __init__(self, run_dir: str, takes: float) -> None:
        super().__init__(run_dir)
        self.on_loop: list[bool] = []
        self._takes = takes

    def fold(self, previous: Snapshot[Calibration] | None, seen: Observation, now: Now) -> Snapshot[Calibration]:
        self.on_loop.append(threading.current_thread() is threading.main_thread())
        time.sleep(self._takes)
        return super().fold(previous, seen, now)


@pytest.mark.parametrize("takes", [0.0, 0.05])
async def test_only_folds_that_are_known_to_be_short_are_done_on_the_loop(run: RunFolder, takes: float) -> None:
    run.plan()
    folder = Folder(str(run.root), takes)
    desk = Desk(others={"r": folder})
    await desk.poller.poll()
    assert folder.on_loop[:1] == [False], "of the first one nobody knows"
    for _ in range(20):  # one may have been held up by something else
        await desk.poller.poll()
    assert any(folder.on_loop) == (takes == 0.0)
    folder.on_loop.clear()
    for repeat in range(1, 30):
        run.cell("a", repeat)
    await desk.poller.poll()
    assert folder.on_loop[:1] == [False], "much is new"


def test_two_minutes_is_the_longest() -> None:
    assert LONGEST_INTERVAL_S == 120.0
    HostPoller(LocalReader(), {}, lambda *_: None, interval=120.0)


async def test_every_look_is_published(complete: RunFolder) -> None:
    desk = Desk(complete, deadline=17.0)
    await desk.poller.poll()
    await desk.poller.poll()
    assert [name for name, _ in desk.shown] == [str(complete.root)] * 2
    assert desk.last.state is State.ENDED
    assert {deadline for _, _, deadline in desk.link.asked} == {17.0}


async def test_it_looks_for_ever_at_its_interval(complete: RunFolder) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise asyncio.CancelledError

    desk = Desk(complete, interval=7.0, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await desk.poller.run()
    assert slept == [7.0] * 4
    assert len(desk.shown) == 4


async def test_one_observation_is_in_flight(complete: RunFolder) -> None:
    desk = Desk(complete)
    desk.link.gate.clear()
    polls = [asyncio.create_task(desk.poller.poll()) for _ in range(5)]
    await desk.link.begun.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (desk.link.under_way, len(desk.link.asked)) == (1, 1)
    desk.link.gate.set()
    await asyncio.gather(*polls)
    assert desk.link.most == 1
    assert len(desk.shown) == 5


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (UnreachableError("box: no answer to observe within 30 s"), "box: no answer to observe within 30 s"),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
        (RuntimeError("boom"), "RuntimeError: boom"),
    ],
)
async def test_a_failure_is_blind_with_the_last_values_and_then_over(
    complete: RunFolder, failure: Exception, said: str
) -> None:
    desk = Desk(complete)
    await desk.poller.poll()
    good = desk.last
    desk.link.failure = failure
    await desk.poller.poll()
    await desk.poller.poll()
    assert desk.last == replace(good, state=State.BLIND, error=said)
    assert desk.last.seen.age(Now(good.seen.received or 0.0)) == 0
    (complete.root / "a" / "run1.json").unlink()
    desk.link.failure = None
    await desk.poller.poll()
    assert desk.last.state is State.ENDED
    assert desk.last.error is None
    assert desk.last.progress == Progress(3, 4), "what happened meanwhile is seen at once"
    assert len(desk.shown) == 4, "never nothing"


async def test_blind_from_the_first_look(complete: RunFolder) -> None:
    desk = Desk(complete)
    desk.link.failure = UnreachableError("box: no way there")
    await desk.poller.poll()
    assert (desk.last.state, desk.last.error, desk.last.verdicts) == (State.BLIND, "box: no way there", ())
    assert desk.last.seen.age(Now(AT)) is None
    desk.link.failure = None
    await desk.poller.poll()
    assert desk.last.state is State.ENDED


async def test_a_cancelled_look_is_not_a_failure(complete: RunFolder) -> None:
    desk = Desk(complete)
    desk.link.gate.clear()
    poll = asyncio.create_task(desk.poller.poll())
    await desk.link.begun.wait()
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll
    assert desk.shown == []
    desk.link.gate.set()
    await desk.poller.poll()
    assert desk.last.state is State.ENDED


async def test_differences_only_and_everything_after_a_failure(complete: RunFolder) -> None:
    desk = Desk(complete)
    await desk.poller.poll()
    await desk.poller.poll()
    desk.link.failure = UnreachableError("gone")
    await desk.poller.poll()
    desk.link.failure = None
    await desk.poller.poll()
    since = [cursor is not None for _, cursor, _ in desk.link.asked]
    # The first look names the run's processes, and they are looked at before anything is shown.
    assert since == [False, True, True, True, False]


async def test_a_look_with_a_fault_in_it_starts_anew(complete: RunFolder) -> None:
    """What the fold passed over would be missing from the next difference."""
    desk = Desk(complete)
    await desk.poller.poll()
    good = desk.last
    complete.cell("a", 1, status="failed")
    desk.link.change = lambda seen: replace(
        seen, trees=tuple(replace(tree, error="cannot list a/: permission denied") for tree in seen.trees)
    )
    await desk.poller.poll()
    assert desk.last == replace(good, state=State.BLIND, error="cannot list a/: permission denied")
    desk.link.change = lambda seen: seen
    await desk.poller.poll()
    assert desk.link.asked[-1][1] is None
    assert desk.last.progress == Progress(3, 4)


async def test_other_wishes_start_anew(complete: RunFolder, tmp_path: Path) -> None:
    @dataclass
    class Moving(CalibrationMonitor):
        """One that comes to watch another folder."""

        place: str

        def wants(self, previous: Snapshot[Calibration] | None) -> Wants:
            CalibrationMonitor.__init__(self, self.place)
            return super().wants(previous)

    moving = Moving(str(complete.root))
    desk = Desk(others={"it": moving})
    await desk.poller.poll()
    await desk.poller.poll()
    assert desk.link.asked[-1][1] is not None
    moving.place = str(tmp_path)
    await desk.poller.poll()
    assert desk.link.asked[-1][1] is None


async def test_a_run_that_has_just_begun_is_not_shown_as_unknown(run: RunFolder, start: Start) -> None:
    run.plan()
    desk = Desk(run)
    await desk.poller.poll()
    assert desk.is_last(State.UNKNOWN)
    run.lock((await asyncio.to_thread(start, run.run_id))[1])
    run.note("run.started")
    await desk.poller.poll()
    assert desk.is_last(State.RUNNING)
    assert len(desk.shown) == 2


@pytest.mark.parametrize("how", ["ended", "killed"])
async def test_the_look_that_sees_the_end_tells_whether_anything_still_runs(
    how: str, complete: RunFolder, start: Start
) -> None:
    runner, ref = await asyncio.to_thread(start, complete.run_id)
    complete.note("run.resumed")
    complete.lock(ref)
    desk = Desk(complete)
    await desk.poller.poll()
    await desk.poller.poll()
    assert (desk.last.body.runner, desk.last.body.pytests) == ("alive", None), "nobody asks while its journal tells"
    looks = len(desk.link.asked)
    runner.kill()
    await asyncio.to_thread(runner.wait)
    if how == "ended":
        complete.note("run.ended")
        (complete.root / LOCK).unlink()
    await desk.poller.poll()
    assert (desk.last.state, desk.last.body.pytests) == (State.ENDED, ())
    assert (len(desk.shown), len(desk.link.asked) - looks) == (3, 2)
    await desk.poller.poll()
    assert len(desk.link.asked) - looks == 3, "it is asked for from then on, and no second look is needed"


class Broken(CalibrationMonitor):
    """A monitor with a fault of its own."""

    def fold(self, previous: Snapshot[Calibration] | None, seen: Observation, now: Now) -> Snapshot[Calibration]:
        raise KeyError("a bug")


async def test_one_broken_monitor_does_not_take_the_others_along(complete: RunFolder) -> None:
    desk = Desk(complete, others={"broken": Broken(str(complete.root))})
    for _ in range(2):
        await desk.poller.poll()
    shown = dict(desk.shown)
    assert shown[str(complete.root)].state is State.ENDED
    assert shown["broken"].state is State.BLIND
    assert shown["broken"].error == "internal error: KeyError: 'a bug'"
    assert len(desk.shown) == 4


async def test_two_runs_share_one_look(complete: RunFolder, tmp_path: Path, start: Start) -> None:
    (tmp_path / "other").mkdir()
    other = RunFolder.make(tmp_path / "other")
    other.plan()
    other.note("run.started")
    other.lock((await asyncio.to_thread(start, other.run_id))[1])
    desk = Desk(complete, other)
    await desk.poller.poll()
    shown = dict(desk.shown)
    assert shown[str(complete.root)].state is State.ENDED
    assert shown[str(complete.root)].body.processes == ()
    assert shown[str(other.root)].state is State.RUNNING
    assert {len(want.trees) for want, _, _ in desk.link.asked} == {4}
