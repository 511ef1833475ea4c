"""A laptop that sleeps while it follows a log, and wakes where its connection is gone: it comes back by itself.

The link to a real sshd is cut, and whoever follows is stopped as a whole for longer than either side waits for signs of
life: all of its timers are late at once when it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bootstrap import RunnerImage
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.host import Data, Position
from hosts.openssh import OpenSshHost
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from tests.peers import badlink, sshd
from tests.peers.callers import size, until
from tests.peers.quick import ROOT
from tests.peers.writing import Writer

NEEDS = badlink.missing() or ("" if sshd.SSHD else "there is no sshd")
pytestmark = [pytest.mark.skipif(bool(NEEDS), reason=NEEDS), pytest.mark.timeout(240)]

ASLEEP_S = 12.0
PATIENCE_S = 60.0


class Follower:
    """A process that follows the log, and tells on its output how far it is and how its connection stands."""

    def __init__(self, transport: str, peer: sshd.SshPeer, image: Path, log: Path) -> None:
        words = (transport, str(peer.port), str(peer.keys["plain"]), str(peer.known_hosts), str(image), str(log))
        self._process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.told: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def signalled(self, what: int) -> None:
        """Stop all of it or have it go on, with what it has started (`ssh`)."""
        for pid in (self._process.pid, *sshd.children(self._process.pid)):
            os.kill(pid, what)

    @property
    def last(self) -> dict[str, Any]:
        return self.told[-1] if self.told else {"offset": 0, "way": "", "marks": 0}

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.append(json.loads(line))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def link(tmp_path: Path) -> Iterator[tuple[badlink.BadLink, sshd.SshPeer]]:
    with contextlib.ExitStack() as stack:
        between = stack.enter_context(badlink.bad_link())
        folder = tmp_path / "sshd"
        folder.mkdir()
        with between.far():
            peer = stack.enter_context(sshd.running(folder, f"ListenAddress {badlink.FAR}\n"))
        with peer.known_hosts.open("a") as known:
            known.write(f"[{badlink.FAR}]:{peer.port} {sshd.public(folder / 'host_key')}\n")
        stack.enter_context(between.near())
        yield between, peer


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_what_is_followed_goes_on_after_a_sleep(
    link: tuple[badlink.BadLink, sshd.SshPeer], image: RunnerImage, tmp_path: Path, transport: str
) -> None:
    between, peer = link
    log, archive = tmp_path / "log", tmp_path / "image"
    log.touch()
    archive.write_bytes(image.data)
    writer, follower = Writer(log), Follower(transport, peer, archive, log)
    writer.start()
    try:
        assert await until(lambda: follower.last["offset"] > 10_000, PATIENCE_S)
        follower.signalled(signal.SIGSTOP)
        between.shape(up=False)
        slept = len(follower.told)
        await asyncio.sleep(ASLEEP_S)
        for pid in peer.sessions():  # the far side has given it up, and cannot say so
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert len(follower.told) <= slept + 1
        follower.signalled(signal.SIGCONT)
        await asyncio.sleep(2.0)
        between.shape()
        woke = size(log)
        assert await until(lambda: follower.last["offset"] > woke, PATIENCE_S)
        await asyncio.to_thread(writer.finish)
        assert await until(lambda: follower.last["offset"] == size(log), PATIENCE_S)
        assert await until(lambda: follower.last["way"] == Way.UP.value)
        assert follower.last["marks"] == 0
        assert follower.last["hash"] == hashlib.sha256(log.read_bytes()).hexdigest()
    finally:
        await asyncio.to_thread(writer.finish)
        between.shape()
        await asyncio.to_thread(follower.end)


async def _follow(transport: str, port: str, key: str, known: str, image: str, log: str) -> None:
    spec = SshSpec(badlink.FAR, int(port), identity_file=key, known_hosts=known, config_file=None)
    kind = OpenSshHost if transport == "openssh" else SshHost
    ssh = kind(spec, connects=Connects(chance=sshd.Soonest()))
    data = await asyncio.to_thread(Path(image).read_bytes)
    reader = PipeReader("far", ssh.open, RunnerImage.of(data))
    seen, at, marks = hashlib.sha256(), Position(), 0

    async def tell() -> None:
        while True:
            said = {"offset": at.offset, "way": ssh.connection.way.value, "marks": marks, "hash": seen.hexdigest()}
            print(json.dumps(said), flush=True)  # noqa: T201 - how it is told
            await asyncio.sleep(0.1)

    telling = asyncio.create_task(tell())
    while not telling.done():
        try:
            async with contextlib.aclosing(reader.follow(log, at)) as items:
                async for item in items:
                    at = item.position
                    if isinstance(item, Data):
                        seen.update(item.data)
                    else:
                        marks += 1
        except UnreachableError:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(_follow(*sys.argv[1:]))
