"""A server that hangs up while a person is asked for a secret: what is said of that, and to whom."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.ssh import SshHost, SshSpec
from hosts.standing import Clock
from tests.hosts.test_ssh_login import PROMPTS, PasswordServer, lock
from tests.peers import sshd
from tests.peers.callers import until

GRACE_S = 1


@dataclass
class Impatient:
    """A server that hangs up soon, and what is asked for it."""

    port: int
    known: Path
    kinds: list[str]


class Slow:
    """Answers never, and then, once told so, at once."""

    def __init__(self) -> None:
        self.asked = 0
        self.ended = 0
        self.knows = False

    async def ask(self, host: str, what: str) -> str | None:
        self.asked += 1
        try:
            await asyncio.sleep(0 if self.knows else 3600)
        finally:
            self.ended += 1
        return "sesame"


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Impatient]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key, kinds = sshd.make_key(tmp_path / "host_key"), ["password"]

    class Server(PasswordServer):
        prompts = PROMPTS
        tried: list[str] = []  # noqa: RUF012 - as its kind has it

        def __init__(self) -> None:
            self.kinds = tuple(kinds)

    async def handle(process: Any) -> None:
        process.exit(0)

    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[str(key)],
        server_factory=Server,
        process_factory=handle,
        encoding=None,
        login_timeout=GRACE_S,
    )
    port = listening.sockets[0].getsockname()[1]
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{port} {sshd.public(key)}\n")
    yield Impatient(port, known, kinds)
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize(("kind", "what"), [("password", "password of op"), ("keyboard", "answer to: Password")])
async def test_it_is_said_that_nobody_answered_in_time(server: Impatient, kind: str, what: str) -> None:
    server.kinds[:] = [kind]
    person, now = Slow(), 0.0
    spec = SshSpec("127.0.0.1", server.port, "op", known_hosts=str(server.known), config_file=None)
    host = SshHost(spec, connects=Connects(asker=person), clock=Clock(steady=lambda: now))
    said = f"127.0.0.1: it hung up while it waited for the {what} (the connection was lost); try again"
    with pytest.raises(UnreachableError) as caught:
        await host.open(("cat",))
    assert str(caught.value) == said
    assert person.asked == person.ended == 1
    assert host.connection.way is Way.WAITING
    now = 3600.0
    if kind == "password":
        person.knows = True
        await (await host.open(("cat",))).close(5)
        person.knows, now = False, 7200.0
    await host.close()


@pytest.mark.parametrize("kind", ["password", "keyboard"])
async def test_a_host_that_was_away_and_asks_is_not_shown_as_away(server: Impatient, kind: str) -> None:
    server.kinds[:] = [kind]
    shown: list[tuple[Way, bool]] = []

    class Asked:
        async def ask(self, host: str, what: str) -> str | None:
            shown.append((reached.connection.way, reached.connection.trying))
            return "sesame"

    now = 0.0
    spec = SshSpec("127.0.0.1", server.port, "op", known_hosts=str(server.known), config_file=None)
    reached = SshHost(spec, connects=Connects(asker=Asked()), clock=Clock(steady=lambda: now))
    reached._standing.failed(UnreachableError("127.0.0.1: no route to host"))
    now = 3600.0
    with contextlib.suppress(UnreachableError):  # not all that is asked for is given
        await reached.open(("cat",))
    assert set(shown) == {(Way.CONNECTING, False)}
    await reached.close()


async def test_a_host_that_is_lost_for_another_reason_is_not_said_to_have_waited(server: Impatient) -> None:
    person = Slow()
    spec = SshSpec("127.0.0.1", server.port, "op", known_hosts=str(server.known), config_file=None)
    connects = Connects(asker=person)
    host = SshHost(spec, connects=connects)
    with pytest.raises(UnreachableError, match="hung up while"):
        await host.open(("cat",))
    assert not connects.cut_short(f"op@127.0.0.1:{server.port}"), "it is said once"
    await host.close()


@pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")
async def test_one_that_waits_for_a_key_that_another_is_asked_for_has_waited_too(
    ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd", f"LoginGraceTime {GRACE_S}\n") as impatient:
        key, person = lock(sshd.make_key(tmp_path / "key", "ecdsa"), "open sesame"), Slow()
        connects = Connects(asker=person)
        first, second = (
            SshHost(
                SshSpec("127.0.0.1", peer.port, None, str(key), known_hosts=str(peer.known_hosts), config_file=None),
                connects=connects,
            )
            for peer in (ssh_peer, impatient)
        )
        asked = asyncio.create_task(first.open(("cat",)))
        assert await until(lambda: person.asked == 1)
        with pytest.raises(UnreachableError) as caught:
            await second.open(("cat",))
        assert str(caught.value).startswith(f"127.0.0.1: it hung up while it waited for the passphrase of {key} (")
        assert not asked.done()
        assert person.asked == 1
        await first.close()
        await second.close()
        await asyncio.gather(asked, return_exceptions=True)
