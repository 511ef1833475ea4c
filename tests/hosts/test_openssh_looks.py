"""What `ssh` is asked once more: whose key is the right one now, and what was wrong where it kept that to itself."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosts import openssh_argv
from hosts.connection import Way
from hosts.connects import Connects, Turn
from hosts.openssh import OpenSshHost
from hosts.ssh import SshSpec
from hosts.standing import REFUSED_WAIT
from tests.hosts.test_key_changed import Ahead, changed, dropping, failed, mute, restart, said
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None or shutil.which("ssh") is None, reason="needs OpenSSH")


class Counted(Connects):
    """Counts those that were given a place."""

    def __init__(self) -> None:
        super().__init__(chance=sshd.Soonest())
        self.began = 0

    async def begin(self, address: str) -> Turn:
        turn = await super().begin(address)
        self.began += 1
        return turn


@pytest.fixture
def ahead() -> Ahead:
    return Ahead()


@pytest.fixture
def connects() -> Counted:
    return Counted()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path, peer: sshd.SshPeer) -> Iterator[sshd.SshPeer]:
    """One to go through, known as localhost too."""
    (tmp_path / "gate").mkdir()
    with sshd.running(tmp_path / "gate") as running:
        with (running.folder / "allowed").open("a") as allowed:
            allowed.write(f"{sshd.public(peer.keys['plain'])}\n")
        with peer.known_hosts.open("a") as known:
            keys = running.known_hosts.read_text()
            known.write(keys + keys.replace("127.0.0.1", "localhost"))
        yield running


@pytest.fixture
async def make(ahead: Ahead, connects: Counted, peer: sshd.SshPeer) -> AsyncIterator[Callable[..., OpenSshHost]]:
    made: list[OpenSshHost] = []

    def reach(**more: Any) -> OpenSshHost:
        spec: dict[str, Any] = {"identity_file": str(peer.keys["plain"]), "known_hosts": str(peer.known_hosts)}
        whole = SshSpec("127.0.0.1", **{"port": peer.port, **spec, "config_file": None, **more})
        made.append(OpenSshHost(whole, connects=connects, clock=ahead.clock))
        return made[-1]

    yield reach
    for host in made:
        await host.close()


@pytest.fixture
def persistent(tmp_path: Path) -> Iterator[Path]:
    """A configuration by which the connection to every host is shared, and stays."""
    config = tmp_path / "shared"
    config.write_text(f"Host *\n  ControlMaster auto\n  ControlPath {tmp_path}/c_%n%p\n  ControlPersist 60\n")
    yield config
    for path in tmp_path.glob("c_*"):
        subprocess.run(["ssh", "-F", "none", "-S", str(path), "-O", "exit", "any"], capture_output=True, check=False)


async def right_again(host: OpenSshHost, peer: sshd.SshPeer, ahead: Ahead) -> None:
    """See that a key which is right again is seen to be, where the login fails."""
    await changed(host, peer)
    peer.stop()
    async with dropping(peer.port, peer.folder / "old"):
        ahead.go(REFUSED_WAIT)
        assert "has changed" not in await failed(host)
        assert host.connection.way is Way.WAITING


async def test_however_much_it_says(make: Any, peer: sshd.SshPeer, ahead: Ahead, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("".join(f"IdentityFile {tmp_path}/{'long' * 40}{number}\n" for number in range(60)))
    await right_again(make(config_file=str(config)), peer, ahead)


async def test_behind_several_jumps(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, ahead: Ahead, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("".join(f"IdentityFile {sshd.make_key(tmp_path / f'id_{number}')}\n" for number in range(6)))
    jumps = f"127.0.0.1:{gate.port},localhost:{gate.port}"
    await right_again(make(config_file=str(config), proxy_jump=jumps), peer, ahead)


async def test_behind_a_jump_whose_connection_is_shared(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, ahead: Ahead, tmp_path: Path
) -> None:
    config, control = tmp_path / "config", tmp_path / "control"
    config.write_text(f"Host localhost\n  ControlMaster auto\n  ControlPath {control}\n  ControlPersist 60\n")
    host = make(config_file=str(config), proxy_jump=f"localhost:{gate.port}")
    try:
        assert await said(host) == "here\n"
        assert control.exists()
        # Nobody is let in any more but through the connection that there is, as with a second factor
        (gate.folder / "allowed").write_text("")
        await right_again(host, peer, ahead)
    finally:
        process = await asyncio.create_subprocess_exec(
            *("ssh", "-F", str(config), "-O", "exit", "localhost"), stderr=asyncio.subprocess.DEVNULL
        )
        await process.wait()


async def test_each_look_takes_its_turn(make: Any, peer: sshd.SshPeer, ahead: Ahead, connects: Counted) -> None:
    host = make()
    why = await changed(host, peer)
    peer.stop()
    come: list[asyncio.StreamWriter] = []

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        come.append(writer)
        await mute(reader, writer)

    async with await asyncio.start_server(counted, "127.0.0.1", peer.port):
        ahead.go(REFUSED_WAIT)
        began = connects.began
        pipes = [await host.open(("true",)) for _ in range(8)]
        async with asyncio.timeout(20):
            await asyncio.gather(*(pipe.read() for pipe in pipes), return_exceptions=True)
    assert (host.connection.way, host.connection.reason) == (Way.KEY_CHANGED, why)
    assert len(come) == connects.began - began


@contextlib.asynccontextmanager
async def silent(port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """A server that says nothing, for which `ssh` waits a second; gives those that have come."""
    always = (*openssh_argv._ALWAYS[:1], "ConnectTimeout=1", *openssh_argv._ALWAYS[2:])
    monkeypatch.setattr(openssh_argv, "_ALWAYS", always)
    come: list[asyncio.StreamWriter] = []

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        come.append(writer)

    async with await asyncio.start_server(listen, "127.0.0.1", port):
        yield come
        for writer in come:
            writer.transport.abort()
            await writer.wait_closed()


@pytest.mark.parametrize("behind", [False, True])
async def test_none_at_a_host_that_is_silent_before_its_key(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, ahead: Ahead, monkeypatch: pytest.MonkeyPatch, behind: bool
) -> None:
    host = make(proxy_jump=f"127.0.0.1:{gate.port}" if behind else None)
    why = await changed(host, peer)
    peer.stop()
    async with silent(peer.port, monkeypatch) as come:
        ahead.go(REFUSED_WAIT)
        await failed(host)
        assert len(come) == 1
    assert (host.connection.way, host.connection.reason) == (Way.KEY_CHANGED, why)


async def test_a_jump_is_looked_at_where_the_host_behind_it_is_silent(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make(proxy_jump=f"127.0.0.1:{gate.port}")
    await changed(host, gate)
    await restart(gate, "old")
    peer.stop()
    async with silent(peer.port, monkeypatch):
        ahead.go(REFUSED_WAIT)
        assert "has changed" not in await failed(host)
    assert host.connection.way is Way.WAITING


async def test_a_jump_is_logged_in_at_once_where_the_host_behind_it_is_away(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, ahead: Ahead, connects: Counted
) -> None:
    host = make(proxy_jump=f"127.0.0.1:{gate.port}")
    why = await changed(host, peer)
    peer.stop()
    ahead.go(REFUSED_WAIT)
    began = connects.began
    await failed(host)
    assert connects.began == began + 1
    assert (host.connection.way, host.connection.reason) == (Way.KEY_CHANGED, why)


async def test_the_changed_key_of_a_jump_before_a_connection_that_stays(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, ahead: Ahead, connects: Counted, persistent: Path
) -> None:
    host = make(config_file=str(persistent), proxy_jump=f"localhost:{gate.port},127.0.0.1:{gate.port}")
    await restart(gate, "new")
    began = connects.began
    assert "on the way there, localhost: its host key has changed" in f"127.0.0.1: {await failed(host)}"
    assert (host.connection.way, connects.began) == (Way.KEY_CHANGED, began + 2)
    gate.stop()
    async with dropping(gate.port, gate.folder / "old"):
        ahead.go(REFUSED_WAIT)
        assert "has changed" not in await failed(host)
    assert host.connection.way is Way.WAITING


@pytest.mark.parametrize("number", [0, 1])
async def test_the_unknown_key_of_a_jump_before_a_connection_that_stays(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, persistent: Path, number: int
) -> None:
    names = ("localhost", "127.0.0.1")
    lines = peer.known_hosts.read_text().splitlines(keepends=True)
    peer.known_hosts.write_text("".join(line for line in lines if f"[{names[number]}]:{gate.port}" not in line))
    jumps = ",".join(f"{name}:{gate.port}" for name in names)
    host = make(config_file=str(persistent), proxy_jump=jumps)
    said = f"127.0.0.1: {await failed(host)}"
    offered = sshd.fingerprint(gate.folder / "host_key.pub")
    assert f"on the way there, {names[number]}: its host key is unknown: {peer.known_hosts} has no key" in said
    assert f"the host offers ssh-ed25519 {offered}" in said
    assert host.connection.way is Way.REFUSED


async def test_a_login_that_a_jump_refuses_before_a_connection_that_stays(
    make: Any, gate: sshd.SshPeer, persistent: Path
) -> None:
    host = make(config_file=str(persistent), proxy_jump=f"localhost:{gate.port}")
    (gate.folder / "allowed").write_text("")
    assert "on the way there, localhost: login refused: " in f"127.0.0.1: {await failed(host)}"
    assert host.connection.way is Way.REFUSED


async def test_a_jump_is_asked_through_the_connection_that_there_is(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, persistent: Path
) -> None:
    jump = SshSpec("localhost", gate.port, None, str(peer.keys["plain"]), str(peer.known_hosts))
    way = openssh_argv.ssh_argv((replace(jump, config_file=str(persistent)),), "true")
    await asyncio.to_thread(subprocess.run, way, check=True, capture_output=True)
    (gate.folder / "allowed").write_text("")
    peer.stop()
    host = make(config_file=str(persistent), proxy_jump=f"localhost:{gate.port}")
    assert "on the way there, localhost: Stdio forwarding request failed" in f"127.0.0.1: {await failed(host)}"
    assert host.connection.way is Way.WAITING


async def test_a_way_on_which_nothing_is_kept_back_is_not_asked_again(
    make: Any, peer: sshd.SshPeer, gate: sshd.SshPeer, connects: Counted
) -> None:
    async def full(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    host = make(proxy_jump=f"localhost:{gate.port}")
    peer.stop()
    async with await asyncio.start_server(full, "127.0.0.1", peer.port):
        assert "kex_exchange_identification: " in await failed(host)
    assert connects.began == 1
