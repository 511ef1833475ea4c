"""Commands on a host behind a real SSH server: their words, their output, and their end when we go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.command import Ended, Output
from hosts.connects import Connects
from hosts.errors import InputError, UnreachableError
from hosts.local.commanding import ROOM
from hosts.local.procs import parent_of
from hosts.pipe import PipeActor
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import is_gone, size, until

WORDS = ["", "-n", "--", "a b", "a\nb", "'", '"', "$(id)", "`id`", "\udcff\udc80", "*", "\\", "!!", "\x1b[2J", "~", "ü"]
TELL = "import os, sys; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
LIVES = """
import os, subprocess, time
print(os.getpid(), subprocess.Popen(["sleep", "1000"]).pid, flush=True)
time.sleep(1000)
"""
RUNS_ON = "the command may run on there for up to 65 s; it is ended once the host notices"
MUCH = """
import os, sys
for number in range(100):
    left = 10**6
    while left:
        left -= os.write(1, b"x" * left)
    open(sys.argv[1], "ab").write(b".")
"""


class Written:
    """What a command wrote."""

    def __init__(self) -> None:
        self.data = {"stdout": b"", "stderr": b""}

    async def take(self, output: Output) -> None:
        self.data[output.stream] += output.data

    @property
    def out(self) -> bytes:
        return self.data["stdout"]

    def pids(self) -> list[int]:
        return [int(word) for word in self.out.split()]


@pytest.fixture
async def connect(ssh_peer: sshd.SshPeer, image: Any) -> AsyncIterator[Callable[..., Any]]:
    made: list[PipeActor] = []

    def make(key: str = "plain", **spec: Any) -> tuple[PipeActor, SshHost]:
        whole: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": ssh_peer.port,
            "identity_file": str(ssh_peer.keys[key]),
            "known_hosts": str(ssh_peer.known_hosts),
            "config_file": None,
            **spec,
        }
        ssh = SshHost(SshSpec(**whole), connects=Connects(chance=sshd.Soonest()))
        host = PipeActor("box", ssh.open, image, python=sys.executable, on_close=ssh.close)
        made.append(host)
        return host, ssh

    yield make
    for host in made:
        await host.close()


@pytest.mark.parametrize("shell", ["plain", "csh", "fish", "noisy", "zsh"])
async def test_words_arrive_as_they_are_whatever_the_login_shell(
    connect: Any, ssh_peer: sshd.SshPeer, shell: str
) -> None:
    if shell not in ssh_peer.keys:
        pytest.skip(f"NOT TESTED: there is no {shell} on this machine")
    host, _ = connect(shell)
    written = Written()
    ended = await host.command([sys.executable, "-c", TELL, *WORDS], 30, written.take)
    assert ended == Ended(0)
    assert written.out == b"\0".join(map(os.fsencode, WORDS))


async def test_how_it_ends_is_told(connect: Any) -> None:
    host, _ = connect()
    written = Written()
    assert await host.command(["sh", "-c", "echo a; echo b >&2; exit 41"], 30, written.take) == Ended(41)
    assert written.data == {"stdout": b"a\n", "stderr": b"b\n"}
    assert await host.command(["sh", "-c", "kill -9 $$"], 30, written.take) == Ended(None, signal.SIGKILL)
    with pytest.raises(InputError, match=r"box: cannot run '\./none': not there"):
        await host.command(["./none"], 30, written.take)


async def test_its_deadline_ends_it(connect: Any) -> None:
    host, _ = connect()
    written = Written()
    ended = await host.command([sys.executable, "-c", LIVES], 3, written.take)
    assert ended == Ended(None, signal.SIGTERM, in_time=False)
    assert [is_gone(pid) for pid in written.pids()] == [True, True]


async def test_what_is_written_waits_for_whoever_reads(connect: Any, tmp_path: Path) -> None:
    """100 MB are written no faster than they are taken, and never lie about in between."""
    host, _ = connect()
    received = ahead = 0

    async def take(output: Output) -> None:
        nonlocal received, ahead
        ahead = max(ahead, await asyncio.to_thread(size, tmp_path / "n") * 10**6 - received)
        received += len(output.data)

    assert await host.command([sys.executable, "-c", MUCH, str(tmp_path / "n")], 50, take) == Ended(0)
    assert received == 100 * 10**6
    assert ahead <= ROOM + (1 << 17)


async def test_its_input_is_ours(connect: Any) -> None:
    async def blocks() -> AsyncGenerator[bytes]:
        for number in range(40):
            yield bytes([number]) * 100_000

    host, _ = connect()
    written = Written()
    assert await host.command(["cat"], 30, written.take, blocks()) == Ended(0)
    assert written.out == b"".join(bytes([number]) * 100_000 for number in range(40))
    assert await host.command(["true"], 30, written.take, blocks()) == Ended(0)  # which wants none


@pytest.mark.parametrize("how", ["cancelled", "cut", "killed"])
async def test_nothing_of_it_is_left_when_we_go(connect: Any, how: str) -> None:
    host, ssh = connect()
    written = Written()
    running = asyncio.create_task(host.command([sys.executable, "-c", LIVES], 60, written.take))
    assert await until(lambda: written.out.endswith(b"\n"))
    if how == "cancelled":
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert [is_gone(pid) for pid in written.pids()] == [True, True]  # at once: that is waited for
    else:
        helper = await asyncio.to_thread(parent_of, written.pids()[0])
        assert helper is not None
        ssh.abort() if how == "cut" else os.kill(helper, signal.SIGKILL)
        with pytest.raises(UnreachableError) as caught:
            await running
        assert str(caught.value).endswith(f"; {RUNS_ON}")
        assert await until(lambda: all(map(is_gone, written.pids())))


def test_a_kill_of_ours_ends_it_and_nothing_else(ssh_peer: sshd.SshPeer, tmp_path: Path, house: Path) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "models").mkdir()
    ssh = {
        "host": "127.0.0.1",
        "port": ssh_peer.port,
        "identity_file": str(ssh_peer.keys["plain"]),
        "known_hosts": str(ssh_peer.known_hosts),
    }
    profile = f"launcher: ssh\npython: {sys.executable}\nssh: {json.dumps(ssh)}\n"
    (tmp_path / "hosts" / "box.yaml").write_text(profile)
    other = subprocess.Popen(["sleep", "1000"])
    words = ["hosts", "exec", "box", "--root", str(tmp_path), "--", sys.executable, "-c", LIVES]
    ours = subprocess.Popen([sys.executable, str(house / "gatewatch.py"), *words], stdout=subprocess.PIPE)
    assert ours.stdout is not None
    pids = [int(word) for word in ours.stdout.readline().split()]
    assert len(pids) == 2
    ours.kill()
    ours.wait()
    ours.stdout.close()
    assert asyncio.run(until(lambda: all(map(is_gone, pids))))
    assert other.poll() is None
    other.kill()
    other.wait()
