"""A log that is followed while the way to it has troubles: afterwards every byte is there, once, and it is up again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.host import Data, Position
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import size, until

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs the processes of OpenSSH's sshd")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may mount file systems")


class Followed:
    """A log on a host, as whoever watches follows it."""

    def __init__(self, ssh: SshHost, image: Any, log: Path) -> None:
        self.log = log
        self.ssh = ssh
        self.marks: list[object] = []
        self._seen = hashlib.sha256()
        self._at = Position()
        self._reader = PipeReader("box", ssh.open, image, interval=0.01)
        self._dice = random.Random(3)
        log.touch()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._reader.follow(str(self.log), self._at)) as items:
                    async for item in items:
                        self._at = item.position
                        if isinstance(item, Data):
                            self._seen.update(item.data)
                        else:
                            self.marks.append(item)
            except UnreachableError:
                await asyncio.sleep(0.01)

    async def write(self, blocks: int = 20) -> None:
        for _ in range(blocks):
            with self.log.open("ab") as file:
                file.write(self._dice.randbytes(self._dice.choice((1, 80, 5000, 70_000))))
            await asyncio.sleep(0)

    async def whole(self) -> None:
        """All of it arrives, once."""
        assert await until(lambda: self._at.offset == size(self.log))
        assert self._seen.digest() == hashlib.sha256(self.log.read_bytes()).digest()
        assert self.marks == []
        assert await until(lambda: self.ssh.connection.way is Way.UP)

    async def lost(self) -> None:
        assert await until(lambda: self.ssh.connection.way is not Way.UP)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._reader.close()
        await self.ssh.close()


Begin = Callable[..., Awaitable[Followed]]


@pytest.fixture
async def follow(image: Any, tmp_path: Path) -> AsyncIterator[Begin]:
    made: list[Followed] = []

    async def begin(peer: sshd.SshPeer, log: Path | None = None, **spec: Any) -> Followed:
        whole: dict[str, Any] = {
            "port": peer.port,
            "identity_file": str(peer.keys["plain"]),
            "known_hosts": str(peer.known_hosts),
            "config_file": None,
        }
        ssh = SshHost(SshSpec("127.0.0.1", **whole | spec), connects=Connects(chance=sshd.Soonest()))
        made.append(Followed(ssh, image, log or tmp_path / "log"))
        await made[-1].write()
        await made[-1].whole()
        return made[-1]

    yield begin
    for followed in made:
        await followed.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    (tmp_path / "far").mkdir()
    with sshd.running(tmp_path / "far") as running:
        yield running


def end(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_jump_that_dies(follow: Begin, peer: sshd.SshPeer, tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    with sshd.running(tmp_path / "gate") as gate, (gate.folder / "allowed").open("a") as allowed:
        allowed.write(f"{sshd.public(peer.keys['plain'])}\n")
        allowed.flush()
        with peer.known_hosts.open("a") as known:
            known.write(gate.known_hosts.read_text())
        followed = await follow(peer, proxy_jump=f"127.0.0.1:{gate.port}")
        for _ in range(2):
            end(gate.sessions())
            await followed.write()
            await followed.lost()
            await followed.whole()


async def test_a_server_that_is_killed_and_comes_back(follow: Begin, peer: sshd.SshPeer) -> None:
    followed = await follow(peer)
    for _ in range(2):
        peer.stop()
        await followed.write()
        await followed.lost()
        peer.start()
        await followed.whole()


async def test_a_server_that_comes_back_with_another_key(follow: Begin, peer: sshd.SshPeer) -> None:
    """Nothing more until a person has seen to the file; then nothing is missing."""
    followed = await follow(peer)
    peer.stop()
    for name in ("host_key", "host_key.pub"):
        os.unlink(peer.folder / name)
    key = await asyncio.to_thread(sshd.make_key, peer.folder / "host_key")
    peer.start()
    await followed.write()
    assert await until(lambda: followed.ssh.connection.way is Way.KEY_CHANGED)
    await followed.write()
    assert followed.ssh.connection.way is Way.KEY_CHANGED
    peer.known_hosts.write_text(f"[127.0.0.1]:{peer.port} {sshd.public(key)}\n")
    await followed.whole()


@pytest.mark.parametrize("most", [1, 2])
async def test_a_server_that_allows_few_sessions(follow: Begin, tmp_path: Path, most: int) -> None:
    (tmp_path / "few").mkdir()
    with sshd.running(tmp_path / "few", f"MaxSessions {most}\n") as peer:
        followed = await follow(peer)
        end(peer.sessions())
        await followed.write()
        await followed.lost()
        await followed.whole()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("NOT TESTED: no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as hog:
        while True:
            hog.write(b"x" * 4096)


@ROOT_ONLY
async def test_a_disk_that_is_full_for_a_while(follow: Begin, peer: sshd.SshPeer, disk: Path) -> None:
    """Looking on takes no room there, also when the way is made anew meanwhile."""
    followed = await follow(peer, disk / "log")
    with pytest.raises(OSError, match="No space left"):
        fill(disk / "hog")
    with pytest.raises(OSError, match="No space left"):
        await followed.write(1000)
    end(peer.sessions())
    await followed.lost()
    await followed.whole()
    (disk / "hog").unlink()
    await followed.write(10)
    await followed.whole()
    await followed.close()
