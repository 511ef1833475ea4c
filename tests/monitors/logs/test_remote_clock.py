"""A log that is written by a machine whose clock is not ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hosts.child import open_subprocess
from hosts.pipe import PipeReader
from jobs.bundle import build_image
from monitors.logs.clocks import ahead_of
from monitors.logs.local import LocalSource
from monitors.logs.model import LogModel
from monitors.logs.remote import RemoteSource
from tests.peers.callers import until
from tui.logs.goto import parse, settled

APART = 3600.0
Host = Callable[[float], Awaitable[PipeReader]]


@pytest.fixture
def python(tmp_path: Path) -> Callable[[float], str]:
    """A Python whose clock is that far ahead."""

    def make(apart: float) -> str:
        venv = tmp_path / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        (folder,) = venv.glob("lib/python3*/site-packages")
        (folder / "sitecustomize.py").write_text(
            f"import time\nours = time.time\ntime.time = lambda: ours() + {apart}\n"
        )
        return str(venv / "bin" / "python")

    return make


@pytest.fixture
async def host(python: Callable[[float], str]) -> AsyncIterator[Host]:
    made: list[PipeReader] = []

    async def make(apart: float) -> PipeReader:
        image = await asyncio.to_thread(build_image)
        made.append(PipeReader("box", open_subprocess, image, python=await asyncio.to_thread(python, apart)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.mark.parametrize("apart", [APART, -APART])
async def test_ten_minutes_ago_is_ten_minutes_ago_there(host: Host, tmp_path: Path, apart: float) -> None:
    began = time.time() + apart - 30 * 60
    lines = [time.strftime("%F %T line\n", time.localtime(began + 60 * number)) for number in range(31)]
    (tmp_path / "log").write_text("".join(lines))
    model = LogModel(RemoteSource(await host(apart), str(tmp_path / "log")))
    await model.start()
    assert await until(lambda: model.state.bytes == len("".join(lines)))
    now = time.time()
    goal = await settled(model, parse("-10m", now), now)
    assert goal.time is not None
    assert goal.time == pytest.approx(now + apart - 600, abs=5)
    place = await model.at_time(goal.time)
    assert place is not None
    assert place.offset in (20 * len(lines[0]), 21 * len(lines[0]))
    assert await settled(model, goal, now) == goal
    await model.close()


async def test_a_clock_that_may_be_ours_is_taken_for_ours(host: Host, tmp_path: Path) -> None:
    assert await ahead_of(RemoteSource(await host(0), str(tmp_path / "log"))) == 0
    assert await ahead_of(LocalSource(str(tmp_path / "log"))) == 0
