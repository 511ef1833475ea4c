"""A real run that has earned its apply, in a real repository, and an app whose only key opens the prompt.

lab = Lab.make(tmp_path)
async with desk(lab) as at:
    await at.open()
    await at.press("down", "enter")
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from gates.journal import decode_journal
from jobs.calibration.example import set_up_example
from jobs.calibration.locate import Watched, find_run
from jobs.calibration.watch import look
from jobs.connect import open_reader
from tests.peers.quick import git, tree
from tests.tui.desks import Desk
from tui.app import GatewatchApp
from tui.screens.prompt import PromptScreen, open_prompt
from tui.screens.prompt_flow import Step
from tui.screens.subject import RunLook, RunPlace

TEST = "tests/test_tiny_digits_ci.py"
Values = Mapping[str, Mapping[str, Sequence[float]]]
VALUES: Values = {
    "digits_accuracy": {"accuracy": [0.912, 0.921, 0.917]},
    "digits_speed": {
        "throughput_qps": [2000.5, 2100.25, 2043.0],
        "latency_mean_s": [0.0112, 0.0121, 0.0108],
        "latency_p95_s": [0.021, 0.03, 0.0243],
    },
}
"""One value that smart writes by itself, one that tightens, and two questions."""
MEAN = "digits_speed/_DIGITS_P95['latency_mean_s']"
P95 = "digits_speed/_DIGITS_P95['latency_p95_s']"


@dataclass
class Lab:
    """The example project, committed, with a strict-complete run of three repeats."""

    folder: Path
    name: str = "r"
    values: Values = field(default_factory=lambda: VALUES)

    @classmethod
    def make(cls, folder: Path, values: Values = VALUES, name: str = "r") -> Lab:
        made = cls(folder / "lab", name, values)
        set_up_example(made.folder)
        made.write_run()
        return made

    @property
    def run_dir(self) -> Path:
        return self.folder / ".tune-runs" / self.name

    @property
    def test(self) -> str:
        return (self.folder / TEST).read_text()

    def write_run(self, **plan: Any) -> None:
        sha = git(self.folder, "rev-parse", "HEAD").strip()
        repeats = len(next(iter(next(iter(self.values.values())).values())))
        self.run_dir.mkdir(parents=True, exist_ok=True)
        body = {"model": "tiny-lab", "stages": list(self.values), "repeats": repeats, "calibration_git_sha": sha}
        (self.run_dir / "plan.json").write_text(json.dumps({**body, "venv_python": sys.executable, **plan}))
        for stage in self.values:
            for run in range(1, repeats + 1):
                self.write_cell(stage, run, git_sha=sha)

    def write_cell(self, stage: str, run: int, **more: Any) -> None:
        sha = more.get("git_sha") or git(self.folder, "rev-parse", "HEAD").strip()
        metrics = {key: values[run - 1] for key, values in self.values[stage].items()}
        counts = {"total": 6000, "ok": 6000}
        body = {"status": "ok", "reason": "", "sample_counts": counts, "metrics": metrics, "git_sha": sha, **more}
        (self.run_dir / stage).mkdir(exist_ok=True)
        (self.run_dir / stage / f"run{run}.json").write_text(json.dumps(body))

    def tree(self) -> Any:
        """Every file of the repository and of the run, with its bytes."""
        return tree(self.folder, (".git", "__pycache__"))

    def sources(self) -> Any:
        return tree(self.folder, (".git", "__pycache__", ".tune-runs"))

    def journal(self) -> list[tuple[str, dict[str, Any]]]:
        """Kinds and data of what the run's journal says."""
        path = self.run_dir / "events.jsonl"
        events = decode_journal(path.read_bytes()).events if path.exists() else ()
        return [(event.kind, dict(event.data)) for event in events]

    def watched(self) -> Watched:
        return find_run(str(self.run_dir), None, None, None, None)

    async def place(self, *, read_only: bool = False, title: str = "tiny-lab r", host: str = "h20-a") -> RunPlace:
        watched = await asyncio.to_thread(self.watched)
        reader = open_reader(None)
        return RunPlace(watched.run_dir, title, watched, reader, host, read_only, None, lambda: None)

    async def look(self) -> RunLook:
        """A real look at the run directory as it is now."""
        return RunLook((await look(open_reader(None), await asyncio.to_thread(self.watched))).snapshot)


class Base(Screen[None]):
    """What the prompt stands over."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("A", "ask", show=False)]

    def compose(self) -> ComposeResult:
        yield Static("\n".join(f"{row:>4} the run below" for row in range(60)), markup=False)

    def action_ask(self) -> None:
        app = self.app
        assert isinstance(app, PromptApp)
        open_prompt(app, app.place, app.look)


class PromptApp(GatewatchApp):
    """One run."""

    def __init__(self, place: RunPlace, seen: RunLook, **options: Any) -> None:
        super().__init__(**options)
        self.place = place
        self.look = seen

    async def on_mount(self) -> None:
        await self.push_screen(Base())


class Table(Desk[PromptApp]):
    """The prompt, and whoever answers it."""

    def __init__(self, app: PromptApp, pilot: Pilot[Any], lab: Lab) -> None:
        super().__init__(app, pilot)
        self.lab = lab

    @property
    def prompt(self) -> PromptScreen:
        assert isinstance(self.app.screen, PromptScreen), self.shown
        return self.app.screen

    @property
    def step(self) -> Step:
        """Where in the prompt one is."""
        return self.prompt.step

    @property
    def is_open(self) -> bool:
        return isinstance(self.app.screen, PromptScreen)

    @property
    def said(self) -> str:
        """What is shown as running text, wherever a row ends."""
        return re.sub(r"[\s│]+", " ", self.shown)

    async def at(self, step: Step) -> None:
        await self.until(lambda: self.is_open and self.prompt.step is step, step.value)
        await self.pilot.pause()

    async def open(self) -> None:
        """Press the key, and wait for the modes."""
        await self.press("A")
        await self.at(Step.MODES)

    async def smart(self) -> None:
        await self.open()
        await self.press("down", "enter")
        await self.at(Step.QUESTION)

    async def change(self) -> None:
        """To the exact change, every question answered with keep."""
        await self.smart()
        await self.press("enter", "enter")
        await self.at(Step.CHANGE)

    async def write(self) -> None:
        """Say yes, and wait for the end."""
        await self.press("right", "enter")
        await self.at(Step.OVER)

    async def look(self) -> RunLook:
        """A new look at the disk, handed to the prompt as the dashboard does."""
        self.app.look = await self.lab.look()
        if self.is_open:
            self.prompt.show(self.app.look)
        await self.pilot.pause()
        return self.app.look


@asynccontextmanager
async def desk(
    lab: Lab, size: tuple[int, int] = (100, 30), place: RunPlace | None = None, **options: Any
) -> AsyncIterator[Table]:
    """An app over the lab's run."""
    seen = await lab.look()
    app = PromptApp(place or await lab.place(), seen, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        yield Table(app, pilot, lab)
