"""Waiting for what others open: who is told to end does, and who is not told goes on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.held import Held
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import until


@contextlib.asynccontextmanager
async def session(tmp_path: Path) -> AsyncIterator[tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[None]]]]:
    """A session that never opens: how to ask for it, and how to end it."""

    async def start() -> Any:
        await asyncio.Event().wait()

    held: Held[Any] = Held("box", start)
    yield held.get, held.close
    await held.close()


@contextlib.asynccontextmanager
async def host(tmp_path: Path) -> AsyncIterator[tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[None]]]]:
    """A host that takes connections and never says anything."""
    (tmp_path / "known").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as server:
        spec = SshSpec("127.0.0.1", server.getsockname()[1], known_hosts=str(tmp_path / "known"), config_file=None)
        ssh = SshHost(spec, connects=Connects(chance=sshd.Soonest()))
        yield lambda: ssh.open(("true",)), ssh.close
        await ssh.close()


class Patient:
    """Asks again whenever the way was lost, as whoever watches does."""

    def __init__(self, ask: Callable[[], Awaitable[Any]]) -> None:
        self.lost = 0
        self.task = asyncio.create_task(self._run(ask))

    async def _run(self, ask: Callable[[], Awaitable[Any]]) -> None:
        while self.lost < 3:
            try:
                await ask()
            except UnreachableError:
                self.lost += 1
                await asyncio.sleep(0)


def others() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@pytest.mark.parametrize("what", [session, host])
async def test_all_tasks_end_when_their_loop_does(what: Any, tmp_path: Path) -> None:
    async with what(tmp_path) as (ask, _):
        patient = Patient(ask)
        assert await until(lambda: len(others()) == 2)
        # As asyncio.run does, in this order at times
        for task in sorted(others(), key=lambda task: task is patient.task):
            task.cancel()
        await asyncio.wait({patient.task})
        assert (patient.task.cancelled(), patient.lost) == (True, 0)


@pytest.mark.parametrize("what", [session, host])
async def test_who_waits_is_told_that_it_was_closed(what: Any, tmp_path: Path) -> None:
    async with what(tmp_path) as (ask, close):
        asked = asyncio.ensure_future(ask())
        assert await until(lambda: len(others()) == 2)
        await close()
        with pytest.raises(UnreachableError, match="was closed"):
            await asked
