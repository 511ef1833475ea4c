"""A host that had no Python and is given one while it is looked at: a real sshd whose PATH is a folder of ours."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bare import BareReader
from hosts.bare_pipe import EitherReader
from hosts.connects import Connects
from hosts.host import Data, Position, TailWant, Wants
from hosts.openssh import OpenSshHost
from hosts.ssh import SshHost, SshSpec
from tests.peers import bare, sshd
from tests.peers.callers import pid_of, until

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """All that can be found by name there."""
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


@pytest.fixture
def peer(tmp_path: Path, programs: Path) -> Iterator[sshd.SshPeer]:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd", bare.settings(programs) + bare.SFTP) as running:
        yield running


@pytest.fixture(params=["asyncssh", "openssh"])
async def make(request: pytest.FixtureRequest, peer: sshd.SshPeer, image: Any) -> AsyncIterator[Any]:
    made: list[EitherReader] = []

    def connect(**options: Any) -> EitherReader:
        spec = SshSpec(
            "127.0.0.1", peer.port, None, str(peer.keys["plain"]), known_hosts=str(peer.known_hosts), config_file=None
        )
        shared = Connects(chance=sshd.Soonest())
        ssh: Any = (OpenSshHost if request.param == "openssh" else SshHost)(spec, connects=shared)
        without = BareReader("box", ssh.open_subsystem, ssh.open, interval=0.01)
        ways: dict[str, Any] = {"opener": ssh.open, "on_close": ssh.close, "retry": ssh.retry_now}
        made.append(EitherReader("box", bare=without, image=image, **ways, **options))
        return made[-1]

    yield connect
    for host in made:
        await host.close()


class Followed:
    """A log as whoever watches follows it, for as long as nothing goes wrong."""

    def __init__(self, host: EitherReader, path: Path) -> None:
        self.data = b""
        self.marks: list[object] = []
        self._task = asyncio.create_task(self._run(host, path))

    async def _run(self, host: EitherReader, path: Path) -> None:
        async with contextlib.aclosing(host.follow(str(path), Position())) as items:
            async for item in items:
                if isinstance(item, Data):
                    self.data += item.data
                else:
                    self.marks.append(item)

    async def has(self, data: bytes) -> None:
        assert await until(lambda: self._task.done() or len(self.data) >= len(data))
        assert not self._task.done(), self._task.result()
        assert (self.data, self.marks) == (data, [])

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.parametrize("asked", [False, True])
async def test_a_python_that_is_installed_is_used_on_the_same_connection(
    make: Any, programs: Path, tmp_path: Path, asked: bool
) -> None:
    """Now and then, or at once when a person asks; whoever follows and looks is told of nothing."""
    host = make() if asked else make(again=0.3)
    log = tmp_path / "log"
    log.write_bytes(b"first ")
    followed = Followed(host, log)
    await followed.has(b"first ")
    want = Wants(tails=(TailWant(str(log)),), load=True)
    before = await host.observe(want, None, 20)
    assert host.bare
    assert "python" in before.errors
    (programs / "python3").symlink_to(sys.executable)
    if asked:
        assert (await host.observe(want, None, 20)).errors, "it is not looked for at every look"
        await host.retry_now()
        assert not host.bare
    async with asyncio.timeout(20):
        while (seen := await host.observe(want, None, 20)).errors:
            assert seen.tails[0].data == b"first "
            await asyncio.sleep(0.05)
    assert seen.tails[0].data == b"first "
    assert await pid_of(host)
    log.write_bytes(b"first second")
    await followed.has(b"first second")
    assert (await host.read(str(log), 0, 100)).data == b"first second"
    await followed.stop()


async def test_one_that_is_of_no_use_changes_nothing(make: Any, programs: Path, tmp_path: Path) -> None:
    host = make()
    (tmp_path / "log").write_bytes(b"here")
    assert (await host.read(str(tmp_path / "log"), 0, 10)).data == b"here"
    for script in ("echo gatewatch 3 9", "echo gatewatch 3 11 >&2", "echo gatewatch 3 11", "exit 3"):
        (programs / "python3").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "python3").chmod(0o755)
        await host.retry_now()
        assert host.bare.startswith("no python there: ")
        assert (await host.read(str(tmp_path / "log"), 0, 10)).data == b"here"


async def test_what_is_under_way_when_it_is_found_is_asked_again(make: Any, programs: Path, tmp_path: Path) -> None:
    """An nvidia-smi that hangs holds a look up: the helper gives its answer."""
    host = make()
    bare.put_smi(programs, tmp_path, f"echo >{tmp_path}/asked; exec sleep 1000 #")
    assert (await host.observe(Wants(load=True), None, 20)).load
    looking = asyncio.create_task(host.observe(Wants(accelerators=True, load=True), None, 25))
    assert await until((tmp_path / "asked").exists)
    (programs / "python3").symlink_to(sys.executable)
    bare.put_smi(programs, tmp_path, "exit 1 #")
    await host.retry_now()
    assert "python" not in (await looking).errors
