"""A log on a host whose disk is full, whose key changes, that takes one session, or whose jump host dies.

The servers are real sshds on loopback. After each trouble the followed log is the written one, byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hosts.bootstrap import RunnerImage
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.host import Wants
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from jobs.bundle import build_image
from monitors.logs.remote import RemoteSource
from monitors.logs.types import Status
from tests.peers import sshd
from tests.peers.callers import until

pytestmark = [
    pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd"),
    pytest.mark.timeout(120),
]

PATIENCE_S = 60.0
LINE = b"a line of a log that is as long as most are\n"


@dataclass
class Watched:
    """A host, and the log that is followed there."""

    ssh: SshHost
    reader: PipeReader
    source: RemoteSource

    def way(self) -> Way:
        return self.ssh.connection.way

    def status(self) -> Status:
        return self.source.shape.status

    async def has(self, log: Path) -> bool:
        """Whether all that is written, and nothing else, arrives."""
        written = content(log)
        size = len(written)
        if not await until(lambda: [one.size for one in self.source.shape.generations] == [size], PATIENCE_S):
            return False
        (one,) = self.source.shape.generations
        found = await self.source.read(one.number, 0, size)
        return hashlib.sha256(found).digest() == hashlib.sha256(written).digest()


def content(log: Path) -> bytes:
    return log.read_bytes()


Watch = Callable[..., Awaitable[Watched]]


@pytest.fixture(scope="module")
def image() -> RunnerImage:
    return build_image()


@pytest.fixture
async def watch(image: RunnerImage) -> AsyncIterator[Watch]:
    """Follows a log on a host, and ends that."""
    made: list[Watched] = []

    async def make(peer: sshd.SshPeer, log: Path, **more: Any) -> Watched:
        spec = {"identity_file": str(peer.keys["plain"]), "known_hosts": str(peer.known_hosts), "config_file": None}
        ssh = SshHost(SshSpec("127.0.0.1", peer.port, **spec | more), 0.5, connects=Connects(chance=sshd.Soonest()))
        reader = PipeReader("far", ssh.open, image, python=sys.executable, on_close=ssh.close)
        made.append(Watched(ssh, reader, RemoteSource(reader, str(log))))
        await made[-1].source.start(lambda: None)
        return made[-1]

    yield make
    for one in made:
        await one.source.close()
        await one.reader.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd", "LogLevel VERBOSE\n") as running:
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_bytes(LINE)
    return path


def write(log: Path, lines: int = 1000) -> None:
    with log.open("ab") as file:
        file.write(LINE * lines)


def met(peer: sshd.SshPeer) -> int:
    """How many connections a server was asked for."""
    return (peer.folder / "sshd.log").read_text().count("Connection from")


async def test_a_server_that_comes_back_with_another_key(watch: Watch, peer: sshd.SshPeer, log: Path) -> None:
    one = await watch(peer, log)
    assert await one.has(log)
    host_key, old = peer.folder / "host_key", peer.folder / "old_key"
    peer.stop()
    for suffix in ("", ".pub"):
        os.rename(f"{host_key}{suffix}", f"{old}{suffix}")
    sshd.make_key(host_key)
    before = met(peer)
    peer.start()
    assert await until(lambda: one.way() is Way.KEY_CHANGED, PATIENCE_S)
    reason = one.ssh.connection.reason
    assert f"{peer.known_hosts}:1 has ssh-ed25519 {sshd.fingerprint(old)}" in reason
    assert f"the host offers ssh-ed25519 {sshd.fingerprint(host_key)}" in reason
    write(log)
    for _ in range(5):
        with pytest.raises(UnreachableError, match="its host key has changed"):
            await one.reader.query("ping", None, 30)
    assert met(peer) == before + 2, "one was the test's own, to see that it listens: nobody is connected to again"
    assert one.status() is not Status.LIVE
    peer.stop()
    for suffix in ("", ".pub"):
        os.replace(f"{old}{suffix}", f"{host_key}{suffix}")
    peer.start()
    await one.ssh.retry_now()
    assert await one.has(log)
    assert await until(lambda: one.status() is Status.LIVE, PATIENCE_S)


async def test_a_jump_host_that_dies_and_comes_back(
    watch: Watch, peer: sshd.SshPeer, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "jump").mkdir()
    with sshd.running(tmp_path / "jump") as jump:
        with peer.known_hosts.open("a") as known:
            known.write(jump.known_hosts.read_text())
        with (jump.folder / "allowed").open("a") as allowed:
            allowed.write(f"{sshd.public(peer.keys['plain'])}\n")
        one = await watch(peer, log, proxy_jump=f"127.0.0.1:{jump.port}")
        assert await one.has(log)
        jump.stop()
        assert await until(lambda: one.way() is Way.WAITING, PATIENCE_S)
        assert one.ssh.connection.reason
        write(log)
        assert await until(lambda: one.status() is Status.STALE, PATIENCE_S)
        write(log)
        jump.start()
        assert await one.has(log)
        assert await until(lambda: (one.way(), one.status()) == (Way.UP, Status.LIVE), PATIENCE_S)


async def test_a_server_that_takes_one_session_on_a_connection(watch: Watch, log: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with sshd.running(tmp_path / "one", "MaxSessions 1\n") as peer:
        one = await watch(peer, log)
        assert await until(lambda: one.status() is Status.LIVE, PATIENCE_S)
        seen = await one.reader.observe(Wants(load=True), None, 30)
        assert seen.load is not None
        write(log)
        assert await one.has(log)
        assert peer.pid is not None
        assert len(sshd.children(peer.pid)) == 2, "one connection for looks, one for the followed log"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"NOT TESTED, no small disk can be made here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(LINE)


async def test_a_log_on_a_disk_that_is_full(watch: Watch, full: Path, tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd", f"SetEnv TMPDIR={full} HOME={full}\n") as peer:
        log, litter = full / "a.log", full / "litter"
        litter.write_bytes(bytes(200_000))
        log.write_bytes(LINE)
        one = await watch(peer, log)
        assert await one.has(log)
        fill(log)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (full / "more").write_bytes(LINE)
        assert await one.has(log)
        peer.stop()
        peer.start()  # the next helper starts where nothing can be written
        assert await until(lambda: one.way() is not Way.UP or one.status() is Status.STALE, PATIENCE_S)
        assert await until(lambda: (one.way(), one.status()) == (Way.UP, Status.LIVE), PATIENCE_S)
        seen = await one.reader.observe(Wants(disks=(str(full),), load=True), None, 30)
        assert [disk.free for disk in seen.disks] == [0]
        (full / "more").unlink(missing_ok=True)
        litter.unlink()
        write(log)
        assert await one.has(log)


@pytest.mark.parametrize("command", ["cat /dev/zero", "cat /dev/zero >&2"])
async def test_a_login_that_never_stops_talking(peer: sshd.SshPeer, image: RunnerImage, command: str) -> None:
    talker = sshd.make_key(peer.folder / "talker")
    with (peer.folder / "allowed").open("a") as file:
        file.write(f'command="{command}" {sshd.public(talker)}\n')
    spec = SshSpec(
        "127.0.0.1", peer.port, identity_file=str(talker), known_hosts=str(peer.known_hosts), config_file=None
    )
    ssh = SshHost(spec)
    reader = PipeReader("far", ssh.open, image, python=sys.executable, opening=2.0, on_close=ssh.close)
    most = before = resident()
    try:
        asking = asyncio.create_task(reader.query("ping", None, 30))
        while not asking.done():
            most = max(most, resident())
            await asyncio.sleep(0.02)
        with pytest.raises(UnreachableError, match="the helper did not start"):
            await asking
        assert most - before < 64_000_000
    finally:
        await asyncio.wait_for(reader.close(), PATIENCE_S)


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
