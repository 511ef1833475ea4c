"""Servers and login shells that talk for ever or not at all, at each step after the keys are exchanged."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import tomllib

from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.openssh import OpenSshHost
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd

needs_sshd = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")
MB = 1 << 20

Host = SshHost | OpenSshHost


@pytest.fixture
async def reach() -> AsyncIterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(port: int, known: Path, key: Path, kind: str = "asyncssh", deadline: float = 20) -> Host:
        spec = SshSpec("127.0.0.1", port, identity_file=str(key), known_hosts=str(known), config_file=None)
        connects = Connects(chance=sshd.Soonest())
        way = (
            OpenSshHost(spec, connects=connects)
            if kind == "openssh"
            else SshHost(spec, connects=connects, deadline=deadline)
        )
        made.append(way)
        return way

    yield make
    for host in made:
        await host.close()


class Talks(asyncssh.SSHServer):
    """Sends banners for as long as it may, and lets nobody in meanwhile."""

    sent = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    async def begin_auth(self, username: str) -> bool:
        with contextlib.suppress(asyncssh.Error, OSError):
            while not self._conn.is_closed():
                for _ in range(16):
                    self._conn.send_auth_banner("WARNING: \x1b[2J" + "x" * 60_000 + "\n")
                    type(self).sent += 1
                await asyncio.sleep(0)
        return True


class Silent(asyncssh.SSHServer):
    """Lets everybody in, and never answers what is asked for then."""

    def begin_auth(self, username: str) -> bool:
        return False

    async def session_requested(self) -> Any:
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def serving(kind: type[asyncssh.SSHServer], folder: Path) -> AsyncIterator[tuple[int, Path, Path]]:
    """asyncssh's server, since OpenSSH's behaves: port, known_hosts, a key."""
    host_key, key = sshd.make_key(folder / "host_key"), sshd.make_key(folder / "key")
    listening = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[str(host_key)], server_factory=kind)
    port = listening.sockets[0].getsockname()[1]
    known = folder / "known"
    known.write_text(f"[127.0.0.1]:{port} {sshd.public(host_key)}\n")
    try:
        yield port, known, key
    finally:
        listening.close()
        await listening.wait_closed()


async def test_banners_without_an_end_end_at_the_deadline_of_a_login(reach: Any, tmp_path: Path) -> None:
    async with serving(Talks, tmp_path) as peer:
        host = reach(*peer, deadline=1.0)
        with pytest.raises(UnreachableError, match="no login within 1 s"):
            await host.open(("cat",))
        assert host.connection.way is Way.WAITING
        assert Talks.sent > 16


async def test_a_server_that_never_opens_a_session_is_given_up(reach: Any, image: Any, tmp_path: Path) -> None:
    async with serving(Silent, tmp_path) as peer:
        host = reach(*peer)
        reader = PipeReader("box", host.open, image, opening=0.5)
        with pytest.raises(UnreachableError, match=r"box: the helper did not start within 0\.5 s"):
            await reader.query("locate", {"path": "/"}, 20)
        await reader.close()


def test_no_asyncssh_with_known_holes_will_do(house: Path) -> None:
    """CVE-2023-48795, -46445, -46446, and what was put right in the copying of files before 2.24."""
    needed = tomllib.loads((house / "pyproject.toml").read_text())["project"]["dependencies"]
    [found] = [re.fullmatch(r"asyncssh(\[\w+\])?>=(\d+)\.(\d+)", one) for one in needed if one.startswith("asyncssh")]
    assert found is not None
    assert (int(found[2]), int(found[3])) >= (2, 24)
    assert tuple(map(int, asyncssh.__version__.split(".")[:2])) >= (2, 24)


@needs_sshd
@pytest.mark.parametrize("kind", ["asyncssh", "openssh"])
async def test_a_megabyte_of_banner_is_no_obstacle(reach: Any, image: Any, tmp_path: Path, kind: str) -> None:
    """It is the most that OpenSSH's server sends."""
    banner = tmp_path / "banner"
    banner.write_bytes(b"\x1b[2J\x07Permission denied\n\xff" * (MB // 23))
    with sshd.running(tmp_path, f"Banner {banner}\n") as peer:
        host = reach(peer.port, peer.known_hosts, peer.keys["plain"], kind)
        pipe = await host.open(("cat",))
        await pipe.write(b"x")
        assert await pipe.read() == b"x"
        await pipe.close(5)


@needs_sshd
@pytest.mark.parametrize("kind", ["asyncssh", "openssh"])
@pytest.mark.parametrize("where", ["", " >&2"])
async def test_a_login_shell_that_talks_for_ever_is_ended(
    reach: Any, image: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, kind: str, where: str
) -> None:
    key = sshd.make_key(tmp_path / "key")
    allowed = ssh_peer.folder / "allowed"
    before = allowed.read_text()
    said = "bytes came before the first frame" if not where else "the helper did not start within 1 s"
    with contextlib.ExitStack() as stack:
        stack.callback(allowed.write_text, before)
        allowed.write_text(f'{before}command="exec cat /dev/zero{where}" {sshd.public(key)}\n')
        host = reach(ssh_peer.port, ssh_peer.known_hosts, key, kind)
        reader = PipeReader("box", host.open, image, opening=1.0 if where else 20.0)
        with pytest.raises(UnreachableError, match=said):
            await reader.query("locate", {"path": "/"}, 30)
        await reader.close()


@needs_sshd
@pytest.mark.parametrize("kind", ["asyncssh", "openssh"])
async def test_ten_megabytes_of_what_a_shell_prints_are_no_obstacle(
    reach: Any, image: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, kind: str
) -> None:
    key = sshd.make_key(tmp_path / "key")
    allowed = ssh_peer.folder / "allowed"
    before = allowed.read_text()
    talk = f"yes motd | head -c {10 * MB}"
    with contextlib.ExitStack() as stack:
        stack.callback(allowed.write_text, before)
        allowed.write_text(
            f'{before}command="{talk}; {talk} >&2; exec /bin/sh -c \\"$SSH_ORIGINAL_COMMAND\\"" {sshd.public(key)}\n'
        )
        host = reach(ssh_peer.port, ssh_peer.known_hosts, key, kind)
        reader = PipeReader("box", host.open, image, python=sys.executable)
        assert (await reader.read("/etc/passwd", 0, 1)).data
        await reader.close()
