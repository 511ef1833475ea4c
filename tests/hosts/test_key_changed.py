"""A host that comes back with another key: nothing more goes there, until it has the right one or the file says so."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hosts.connection import Way, retry_left
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.openssh import OpenSshHost
from hosts.ssh import SshHost, SshSpec
from hosts.standing import REFUSED_WAIT, Clock
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs ssh")

Host = SshHost | OpenSshHost
Make = Callable[..., Host]


class Ahead:
    """Our clock, which can be put ahead."""

    def __init__(self) -> None:
        self._by = 0.0
        self.clock = Clock(lambda: time.time() + self._by, lambda: time.monotonic() + self._by)

    def go(self, seconds: float) -> None:
        self._by += seconds


@pytest.fixture
def ahead() -> Ahead:
    return Ahead()


@pytest.fixture(params=[SshHost, pytest.param(OpenSshHost, marks=needs_ssh)])
async def make(request: pytest.FixtureRequest, ahead: Ahead) -> AsyncIterator[Make]:
    made: list[Host] = []

    def reach(peer: sshd.SshPeer, **more: Any) -> Host:
        spec: dict[str, Any] = {"identity_file": str(peer.keys["plain"])}
        if "config_file" not in more:  # which names the files
            spec["known_hosts"] = str(peer.known_hosts)
        whole = SshSpec("127.0.0.1", **{"port": peer.port, **spec, "config_file": None, **more})
        made.append(request.param(whole, connects=Connects(chance=sshd.Soonest()), clock=ahead.clock))
        return made[-1]

    yield reach
    for host in made:
        await host.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd", "LogLevel DEBUG1\n") as running:
        yield running


async def said(host: Host) -> str:
    """What a command on it wrote."""
    pipe = await host.open(("echo", "here"))
    try:
        return (await pipe.read()).decode()
    finally:
        await pipe.close(5)


async def failed(host: Host) -> str:
    with pytest.raises(UnreachableError) as caught:
        await said(host)
    return str(caught.value)


async def restart(peer: sshd.SshPeer, key: str) -> None:
    """Have the server again with the key of this name: a new one, or "old", the one that it began with."""
    peer.stop()
    if key != "old":
        await asyncio.to_thread(sshd.make_key, peer.folder / key)
    for suffix in ("", ".pub"):
        if key != "old":
            shutil.copy2(peer.folder / f"host_key{suffix}", peer.folder / f"old{suffix}")
        shutil.copy2(peer.folder / f"{key}{suffix}", peer.folder / f"host_key{suffix}")
    await asyncio.to_thread(peer.start)


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def log(peer: sshd.SshPeer) -> str:
    return (peer.folder / "sshd.log").read_text()


async def changed(host: Host, peer: sshd.SshPeer) -> str:
    """Have a host that was up come back with another key; what is then said of it."""
    assert await said(host) == "here\n"
    await restart(peer, "new")
    first = await failed(host)
    while host.connection.way is not Way.KEY_CHANGED:  # the first may have been the end of what was up
        first = await failed(host)
    assert "its host key has changed, so nothing was sent: " in first
    assert host.connection.reason in f"127.0.0.1: {first}"
    return host.connection.reason


async def test_the_old_key_is_back(make: Make, peer: sshd.SshPeer, ahead: Ahead) -> None:
    host = make(peer)
    why = await changed(host, peer)
    told: list[Way] = []
    host.on_change(lambda now: told.append(now.way))
    since = host.connection.since
    for _ in range(2):
        began = len(log(peer))
        assert await failed(host) == f"127.0.0.1: {why}"
        assert "Connection from" not in log(peer)[began:]
        assert 0 < retry_left(host.connection, ahead.clock.wall()) <= REFUSED_WAIT
        ahead.go(REFUSED_WAIT)
        assert "its host key has changed" in await failed(host)
        assert "Connection from" in log(peer)[began:]
        assert "userauth-request" not in log(peer)[began:]
        assert (host.connection.way, host.connection.reason, host.connection.since) == (Way.KEY_CHANGED, why, since)
    assert set(told) == {Way.KEY_CHANGED}, "meanwhile it is shown as before"
    await restart(peer, "old")
    ahead.go(REFUSED_WAIT)
    assert await said(host) == "here\n"
    assert "userauth-request" in log(peer)[began:]


@pytest.mark.parametrize("rule", ["accept-new", "strict"])
async def test_the_old_key_was_removed_from_the_file(make: Make, peer: sshd.SshPeer, ahead: Ahead, rule: str) -> None:
    host = make(peer, host_keys=rule)
    why = await changed(host, peer)
    remove = why.rpartition("remove the old one: ")[2]
    assert remove.startswith("ssh-keygen -R ")
    run("sh", "-c", remove)
    new = sshd.public(peer.folder / "host_key")
    if rule == "strict":
        with peer.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{peer.port} {new}\n")
    assert await said(host) == "here\n"
    assert new in peer.known_hosts.read_text()


async def test_a_key_that_is_added_once_the_old_one_was_removed(make: Make, peer: sshd.SshPeer) -> None:
    host = make(peer)
    await changed(host, peer)
    peer.known_hosts.write_text("")
    assert "its host key is unknown" in await failed(host)
    assert host.connection.way is Way.REFUSED
    assert "retry in 60 s" in await failed(host)
    peer.known_hosts.write_text(f"[127.0.0.1]:{peer.port} {sshd.public(peer.folder / 'host_key')}\n")
    assert await said(host) == "here\n"


async def test_a_host_that_is_away_meanwhile_is_not_known_to_be_right(
    make: Make, peer: sshd.SshPeer, ahead: Ahead
) -> None:
    host = make(peer)
    why = await changed(host, peer)
    peer.stop()
    ahead.go(REFUSED_WAIT)
    assert "refused" in (await failed(host)).lower()
    assert (host.connection.way, host.connection.reason) == (Way.KEY_CHANGED, why)
    await restart(peer, "old")
    ahead.go(REFUSED_WAIT)
    assert await said(host) == "here\n"


async def test_behind_a_jump(make: Make, peer: sshd.SshPeer, tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    with sshd.running(tmp_path / "gate") as gate:
        with (gate.folder / "allowed").open("a") as allowed:
            allowed.write(f"{sshd.public(peer.keys['plain'])}\n")
        with peer.known_hosts.open("a") as known:
            known.write(gate.known_hosts.read_text())
        host = make(peer, proxy_jump=f"127.0.0.1:{gate.port}", host_keys="accept-new")
        assert await said(host) == "here\n"
        await host.close()
        await restart(gate, "new")
        assert "its host key has changed" in await failed(host)
        assert host.connection.way is Way.KEY_CHANGED
        run("ssh-keygen", "-R", f"[127.0.0.1]:{gate.port}", "-f", str(peer.known_hosts))
        assert await said(host) == "here\n"


class Drop(asyncssh.SSHServer):
    """Shows its key, and hangs up where the login begins."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    def begin_auth(self, username: str) -> bool:
        self._conn.abort()
        return True


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs up before it shows a key."""
    writer.write(b"SSH-2.0-mute\r\n")
    await reader.readline()
    writer.close()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def dropping(port: int, key: Path) -> AsyncIterator[None]:
    """A server with this key in the place of one that has stopped."""
    listening = await asyncssh.listen("127.0.0.1", port, server_host_keys=[str(key)], server_factory=Drop)
    async with listening:
        yield


async def test_a_right_key_is_not_told_to_be_wrong_where_the_login_fails(
    make: Make, peer: sshd.SshPeer, ahead: Ahead
) -> None:
    host = make(peer)
    why = await changed(host, peer)
    peer.stop()
    async with await asyncio.start_server(mute, "127.0.0.1", peer.port):
        ahead.go(REFUSED_WAIT)
        assert "has changed" not in await failed(host)
        assert (host.connection.way, host.connection.reason) == (Way.KEY_CHANGED, why), "it was not compared"
    async with dropping(peer.port, peer.folder / "old"):
        ahead.go(REFUSED_WAIT)
        said_now = await failed(host)
        assert "has changed" not in said_now
        assert host.connection.way is Way.WAITING
        assert host.connection.reason in said_now
        assert "has changed" not in await failed(host)


async def test_a_file_that_is_mended_is_believed_where_the_host_is_away(make: Make, peer: sshd.SshPeer) -> None:
    host = make(peer)
    why = await changed(host, peer)
    peer.stop()
    with peer.known_hosts.open("a") as file:
        file.write(f"far {sshd.public(peer.folder / 'old')}\n")
    assert "refused" in (await failed(host)).lower(), "a changed file has it tried at once"
    assert (host.connection.way, host.connection.reason) == (Way.KEY_CHANGED, why), "its line is as it was"
    run("sh", "-c", why.rpartition("remove the old one: ")[2])
    assert "refused" in (await failed(host)).lower()
    assert host.connection.way is Way.WAITING
    assert "refused" in host.connection.reason.lower()


async def test_of_several_hosts_the_one_with_the_other_key_has_to_be_right(
    make: Make, peer: sshd.SshPeer, ahead: Ahead, tmp_path: Path
) -> None:
    (tmp_path / "gate").mkdir()
    with sshd.running(tmp_path / "gate") as gate:
        with (gate.folder / "allowed").open("a") as allowed:
            allowed.write(f"{sshd.public(peer.keys['plain'])}\n")
        with peer.known_hosts.open("a") as known:
            known.write(gate.known_hosts.read_text())
        host = make(peer, proxy_jump=f"127.0.0.1:{gate.port}")
        assert await said(host) == "here\n"
        await host.close()
        await restart(peer, "new")
        assert "its host key has changed" in await failed(host)
        why = host.connection.reason
        assert "on the way there" not in why
        gate.stop()
        async with dropping(gate.port, gate.folder / "host_key"):
            ahead.go(REFUSED_WAIT)
            assert "on the way there" in await failed(host)
            assert (host.connection.way, host.connection.reason) == (Way.KEY_CHANGED, why), "of the gate it is right"
        await restart(gate, "new")
        ahead.go(REFUSED_WAIT)
        assert "on the way there, 127.0.0.1: its host key has changed" in f"127.0.0.1: {await failed(host)}"
        peer.stop()
        await restart(gate, "old")
        ahead.go(REFUSED_WAIT)
        assert "has changed" not in await failed(host)
        assert host.connection.way is Way.WAITING


@pytest.mark.parametrize("named", ["one", "two"])
@pytest.mark.parametrize("had", ["another", "none"])
async def test_a_file_that_is_mended_while_the_key_is_compared(
    make: Make, peer: sshd.SshPeer, ahead: Ahead, tmp_path: Path, named: str, had: str
) -> None:
    """The way there is slow: what the file had when it was read is not what it has once the key is shown."""
    right = f"{sshd.public(peer.folder / 'host_key')}\n"
    known, other = tmp_path / "known", sshd.make_key(tmp_path / "other")
    come, go = asyncio.Event(), asyncio.Event()
    go.set()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        come.set()
        await go.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", peer.port)
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    async with await asyncio.start_server(slow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        known.write_text(f"{f'[127.0.0.1]:{port}' if had == 'another' else 'far'} {sshd.public(other)}\n")
        config = tmp_path / "config"
        config.write_text(f"UserKnownHostsFile {tmp_path}/missing {known}\n")
        files = {"config_file": str(config)} if named == "two" else {"known_hosts": str(known)}
        host = make(peer, port=port, **files)
        assert f"its host key {'has changed' if had == 'another' else 'is unknown'}" in await failed(host)
        ahead.go(REFUSED_WAIT)
        come.clear()
        go.clear()
        trying = asyncio.create_task(said(host))
        await come.wait()
        known.write_text(f"[127.0.0.1]:{port} {right}")
        go.set()
        assert await trying == "here\n"
        await host.close()
