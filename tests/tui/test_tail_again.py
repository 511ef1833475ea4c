"""`gatewatch tail HOST:PATH` on a screen, and a host that asks for a password each time that it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest

import tui.cli.tail_hosts  # noqa: F401 - its import reads files, which the app would be told
from hosts.target import parse_target
from monitors.logs.scanning import Scanner
from tests.hosts.test_ssh_login import PasswordServer
from tests.peers import sshd
from tests.tui.desks import Desk
from tests.tui.logs.panes import desk, numbered
from tui.cli.tail_open import open_early
from tui.cli.tail_screen import LateAsker, look_again
from tui.help import HelpScreen
from tui.logs.screen import TailApp
from tui.screens.secret import SecretScreen

pytestmark = pytest.mark.timeout(120)


@dataclass
class Box:
    """A host that lets in whoever knows the word, and the connections to it."""

    name: str
    links: list[Any] = field(default_factory=list)
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def cut(self) -> None:
        for link in self.links:
            link.abort()
        self.links.clear()

    async def run(self, process: Any) -> None:
        """Run a command for who is logged in."""
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        child = await asyncio.create_subprocess_exec(
            *["/bin/sh", "-c", process.command or "false"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            with contextlib.suppress(asyncssh.Error, OSError):
                await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
                await process.wait_closed()
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            self.running.discard(task)


@pytest.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made, key = Box("box"), sshd.make_key(tmp_path / "host_key")

    class Server(PasswordServer):
        kinds = ("password",)
        tried: list[str] = []  # noqa: RUF012 - as its kind has it

        def connection_made(self, conn: Any) -> None:
            made.links.append(conn)

    listening = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[str(key)], server_factory=Server, process_factory=made.run, encoding=None
    )
    port = listening.sockets[0].getsockname()[1]
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"Host box\n HostName 127.0.0.1\n Port {port}\n User op\n")
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {sshd.public(key)}\n")
    yield made
    made.cut()
    listening.close()
    await listening.wait_closed()
    await asyncio.gather(*made.running, return_exceptions=True)  # a loop that is closed first leaves their pipes open


@asynccontextmanager
async def tail(target: str) -> AsyncIterator[Desk[TailApp]]:
    """The log on a screen, as the command shows it."""
    asker = LateAsker()
    opening = asyncio.ensure_future(open_early(parse_target(target), Scanner(), asker))
    app = TailApp(lambda: opening, again=partial(look_again, opening, asker))
    asker.ask_on(app)
    try:
        async with app.run_test(size=(120, 24), notifications=True) as pilot:
            yield Desk(app, pilot)
    finally:
        opening.cancel()
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            await opening.result().close()


async def asked(at: Desk[TailApp], *keys: str) -> None:
    """The password is asked for; answer with these keys."""
    await at.until(lambda: isinstance(at.app.screen, SecretScreen), "the question")
    await at.until(lambda: "asks for: password of op" in at.shown, "the question, to be seen")
    question = at.app.screen
    assert isinstance(question, SecretScreen)
    question._field._heard_from = 0.0  # it is seen now
    await at.press(*keys)
    await at.until(lambda: not isinstance(at.app.screen, SecretScreen), "the log")


async def test_a_question_that_was_left_unanswered_comes_back_with_a_key(box: Box, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(numbered(30))
    async with tail(f"box:{log}") as at:
        await asked(at, *"sesame", "enter")
        await at.until(lambda: "line 30" in at.shown)
        assert "r look now" in at.rows[-1]
        box.cut()
        await asked(at, "escape")
        await at.until(lambda: "STALE" in at.shown and "login refused" in at.shown)
        with log.open("a") as file:
            file.write("written meanwhile\n")
        await at.press("r")
        await asked(at, *"sesame", "enter")
        await at.until(lambda: "written meanwhile" in at.shown and "STALE" not in at.shown)


async def test_a_log_that_is_on_no_other_host_has_no_such_key() -> None:
    async with desk(numbered(3), size=(120, 60)) as at:
        assert "look now" not in at.shown
        await at.press("r", "question_mark")
        await at.until(lambda: isinstance(at.app.screen, HelpScreen))
        assert "Its host" not in at.shown


async def test_the_help_tells_of_the_key(box: Box, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(numbered(3))
    async with tail(f"box:{tmp_path}/a.log") as at:
        await asked(at, *"sesame", "enter")
        await at.until(lambda: "line 3" in at.shown)
        await at.pilot.resize_terminal(120, 90)
        await at.press("question_mark")
        await at.until(lambda: "Its host" in at.shown and "what was left unanswered is asked again" in at.shown)
