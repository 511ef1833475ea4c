"""Keys, clicks and sizes at random over a run that goes on: nothing breaks, and nothing is changed unasked."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.keys import key_to_character
from textual.worker import Worker

from tests.monitors.runs import RunFolder
from tests.peers.quick import tree
from tests.tui.test_dashboard import Watcher, desk
from tui.app import GatewatchApp
from tui.dashboard_begin import Sight
from tui.dashboard_runs import Wanted
from tui.keys import ACTIONS
from tui.screens.run import RunScreen

pytestmark = pytest.mark.timeout(600)

LEAVES = {"q", "ctrl+q", "ctrl+c"}
OUTSIDE = {"v", "o", "y", "S"}  # they start a program of the person's, or write where he says
KEYS = [*sorted({key for action in ACTIONS for key in action.keys} - LEAVES - OUTSIDE), *"0123456789abcz", "delete"]
SIZES = [(80, 24), (1, 1), (120, 40), (3, 40), (200, 50), (79, 23), (200, 2), (80, 24)]
STAGES = ("a", "b", "c")
BURST = 8  # keys that are typed ahead of what they do


class Growing:
    """A run that its runner goes on writing, and what it must look like if nobody else writes into it."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.run, self.twin = RunFolder(folder / ".tune-runs" / "r"), RunFolder(folder / "twin")
        self._dice = dice
        self._log = 0
        for run in self.both:
            run.root.mkdir(parents=True)
            run.run_id = "00ff"
            run.plan(STAGES, 5)
            run.note("run.started")

    @property
    def both(self) -> tuple[RunFolder, RunFolder]:
        return self.run, self.twin

    def grow(self) -> None:
        """One thing more happens."""
        what, stage, number = self._dice.randrange(5), self._dice.choice(STAGES), self._dice.randint(1, 5)
        self._log += what == 0
        for run in self.both:
            name = f"_pytest/test_a/run{self._log % 5 + 1}.log"
            if what == 0:
                run.note("attempt.started", unit="test_a", run=self._log % 5 + 1, log=name, stages=list(STAGES))
            elif what == 1:
                run.cell(stage, number)
            elif what == 2:
                run.cell(stage, number, status="failed", reason="\x1b]0;owned\x07[red]" * number, metrics={})
            elif what == 3:
                with (run.root / "run.log").open("ab") as file:
                    file.write(f"2026-05-25T02:43:02Z START test_a {number}/5 GPU - {name}\n".encode())
            path = run.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(b"tests/test_a.py::test_it PASSED \x1b[31mred\x07\n" * number)


async def mash(at: Watcher, growing: Growing, dice: random.Random, presses: int, refused: set[str]) -> None:
    """Press, resize and let the run go on, in an order that the dice say."""
    keys = [key for key in KEYS if key not in refused]
    for number in range(presses // BURST):
        growing.grow()
        if number % 3 == 0:
            await at.pilot.resize_terminal(*dice.choice(SIZES))
        if number % 7 == 0:
            for entry in at.app.entries.values():
                if entry.place is not None:
                    entry.place.request()
        for key in dice.choices(keys, k=BURST):
            at.app.post_message(Key(key, key if len(key) == 1 else key_to_character(key)))
        await at.pilot.pause()
        if number % 2 == 0 and "enter" not in refused:
            width, height = at.app.size
            await at.pilot.click(offset=(dice.randrange(width), dice.randrange(height)))
        assert at.app.failure is None
    await at.pilot.resize_terminal(80, 24)
    await at.pilot.pause()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the app told that begins as a defect does."""
    said: list[str] = []
    notify = GatewatchApp.notify

    def listen(self: GatewatchApp, message: str, **more: Any) -> None:
        if "unexpected " in message:
            said.append(message)
        notify(self, message, **more)

    monkeypatch.setattr(GatewatchApp, "notify", listen)
    return said


async def mashed(tmp_path: Path, seed: str, presses: int, read_only: bool, refused: set[str]) -> Growing:
    dice = random.Random(seed)
    growing = Growing(tmp_path, dice)
    other = tmp_path / ".tune-runs" / "s"
    shutil.copytree(growing.twin.root, other)
    runs = (Wanted(str(growing.run.root)), Wanted(str(other)))
    async with desk(Sight(runs=runs), read_only=read_only) as at:
        await at.until(lambda: at.looked("r") and at.looked("s"))
        at.app.enter(str(growing.run.root))
        await at.until(lambda: isinstance(at.app.screen, RunScreen))
        await mash(at, growing, dice, presses, refused)
        assert at.app.is_running
        changes = [one.worker for one in at.messages if isinstance(one, Worker.StateChanged)]
        assert [worker.error for worker in changes if worker.error is not None] == []
    return growing


@pytest.mark.parametrize("seed", [1, 2])
async def test_keys_at_random_change_nothing_where_one_only_looks(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], request: pytest.FixtureRequest
) -> None:
    made: list[object] = []
    monkeypatch.setattr("hosts.here.LocalActor.__init__", lambda *given, **_: made.append(given))
    presses = 4_000 if request.config.getoption("--long-proof") else 240
    growing = await mashed(tmp_path, f"{seed} {request.config.getoption('--proof-seed')}", presses, True, set())
    assert made == []
    assert told == []
    assert tree(growing.run.root) == tree(growing.twin.root)


@pytest.mark.parametrize("seed", [1, 2])
async def test_keys_at_random_start_nothing_that_nobody_consented_to(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], request: pytest.FixtureRequest
) -> None:
    """Every key but those that take an answer: the prompts open, and none of them acts."""
    made: list[object] = []
    monkeypatch.setattr("hosts.here.LocalActor.__init__", lambda *given, **_: made.append(given))
    presses = 4_000 if request.config.getoption("--long-proof") else 240
    seed_of = f"{seed} {request.config.getoption('--proof-seed')}"
    growing = await mashed(tmp_path, seed_of, presses, False, {"enter"})
    assert made == []
    assert told == []
    assert tree(growing.run.root) == tree(growing.twin.root)
