"""Deadlines while a person is asked for a secret."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from hosts.child import open_subprocess
from hosts.command import Output
from hosts.connects import Connects
from hosts.host import Wants
from hosts.patience import Patience, Questions
from hosts.pipe import PipeActor
from hosts.session import BytePipe


class Slow:
    """A person who takes their time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def ask(self, host: str, what: str) -> str | None:
        await asyncio.sleep(self._seconds)
        return "secret"


async def test_what_a_person_takes_does_not_count() -> None:
    questions = Questions()
    with questions.asking(), questions.asking():
        async with Patience(0.001, questions).limit():
            await asyncio.sleep(0.05)


async def test_what_somebody_else_s_person_takes_counts() -> None:
    with Connects().questions.asking(), pytest.raises(TimeoutError):
        async with Patience(0.001, Connects().questions).limit():
            await asyncio.Event().wait()


@pytest.mark.parametrize("asked_before", [False, True])
async def test_what_anything_else_takes_does(asked_before: bool) -> None:
    questions = Questions()
    patience = Patience(0.05, questions)

    async def wait() -> None:
        async with patience.limit():
            if asked_before:
                with questions.asking():
                    await asyncio.sleep(0.1)
            await asyncio.Event().wait()

    for _ in range(2):
        with pytest.raises(TimeoutError):
            await wait()
        assert patience.left == 0.0


async def test_the_end_of_who_waits_is_not_taken_for_the_deadline() -> None:
    async def wait() -> None:
        async with Patience(30.0, Questions()).limit():
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def nowhere(_: Output) -> None:
    """What becomes of a command's output."""


@pytest.mark.parametrize("call", ["observe", "read", "command"])
async def test_a_call_waits_for_a_slow_person(call: str, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a call may take, and than the start of a helper may."""
    deadline = 4.0
    connects = Connects(asker=Slow(deadline + 1.0))

    async def opener(argv: tuple[str, ...]) -> BytePipe:
        await connects.ask("box", "password")
        return await open_subprocess(argv)

    host = PipeActor("box", opener, image, python=sys.executable, opening=deadline, questions=connects.questions)
    if call == "observe":
        assert (await host.observe(Wants(load=True), None, deadline)).load is not None
    elif call == "command":
        assert (await host.command(["true"], deadline, nowhere)).exit == 0
    else:
        monkeypatch.setattr("hosts.pipe.READ_DEADLINE", deadline)
        assert (await host.read("/etc/passwd", 0, 4)).data
        host.abort()
        assert (await host.read("/etc/passwd", 0, 1 << 20)).data
    await host.close()
