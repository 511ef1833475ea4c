"""A helper, or a host, that says nothing any more: real processes that are stopped, and real servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.child import open_subprocess
from hosts.connection import Connection, Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.link import Link
from hosts.local.frames import encode_frame
from hosts.openssh import BEAT, OpenSshHost
from hosts.pipe import PipeActor, PipeReader
from hosts.ssh import SshSpec
from tests.peers import sshd
from tests.peers.callers import pid_of, until

NONCE = "0123456789abcdef"
HEARTBEAT = 0.4
SHORT = 1.0
LARGE = "x" * (4 << 20)
# Hands on what it reads, slowly
SLOW = """
import os, subprocess, sys, time
helper = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
while data := os.read(0, 1 << 16):
    helper.stdin.write(data)
    helper.stdin.flush()
    time.sleep(0.05)
helper.stdin.close()
helper.wait()
"""
# The same for what ssh says and hears, once it has begun
SLOW_WAY = """
import os, socket, sys, threading, time
far = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while data := far.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
count = 0
while data := os.read(0, 16384):
    far.sendall(data)
    count += len(data)
    if count > 1 << 20:
        time.sleep(len(data) / 500000)
"""
TALKS = """
import sys, time
for said in sys.argv[1:2] + sys.argv[2:] * 1000:
    sys.stdout.buffer.write(bytes.fromhex(said))
    sys.stdout.flush()
    time.sleep(0.05)
"""
needs_both = pytest.mark.skipif(sshd.SSHD is None or shutil.which("ssh") is None, reason="needs OpenSSH")


async def test_a_helper_that_stopped_is_given_up_though_a_write_is_stuck(image: Any) -> None:
    host = PipeReader("box", open_subprocess, image, python=sys.executable, heartbeat=HEARTBEAT)
    answer = await pid_of(host)
    os.kill(answer, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="box: the helper stopped answering"):
        await host.query("ping", {"more": LARGE}, 30)
    assert time.monotonic() - began < 10 * HEARTBEAT
    assert await pid_of(host) != answer
    await host.close()


async def test_one_that_only_talks_is_given_up_too() -> None:
    """It says that it is alive again and again, and takes nothing."""
    hello, pong = encode_frame(NONCE, {"hello": {}}).hex(), encode_frame(NONCE, {"id": 0, "ok": None}).hex()
    link = Link("box", "python3", await open_subprocess((sys.executable, "-c", TALKS, hello, pong)), NONCE, HEARTBEAT)
    await link.start([])
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="box: the helper stopped answering"):
        await link.request("ping", {"more": LARGE}, None, 30, lambda answer: answer)
    assert time.monotonic() - began < 10 * HEARTBEAT
    await link.close()


async def test_a_slow_way_is_not_taken_for_a_dead_one(image: Any) -> None:
    """Longer than the helper may be silent goes by while something large is on its way."""
    host = PipeActor(
        "box",
        lambda argv: open_subprocess((sys.executable, "-c", SLOW, *argv)),
        image,
        python=sys.executable,
        heartbeat=HEARTBEAT,
    )
    first = await pid_of(host, deadline=40)
    began = time.monotonic()
    assert await pid_of(host, LARGE, 40) == first
    assert time.monotonic() - began > 4 * HEARTBEAT
    await host.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path) as running:
        yield running
        signalled(running, signal.SIGCONT)


@pytest.fixture
async def ssh(peer: sshd.SshPeer) -> AsyncIterator[OpenSshHost]:
    spec = SshSpec(
        "127.0.0.1", peer.port, None, str(peer.keys["plain"]), known_hosts=str(peer.known_hosts), config_file=None
    )
    made = OpenSshHost(spec, connects=Connects(chance=sshd.Soonest()))
    yield made
    await made.close()


def signalled(peer: sshd.SshPeer, what: int) -> None:
    for pid in peer.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


@needs_both
async def test_over_ssh_itself_a_host_is_stale_before_it_is_dead(
    ssh: OpenSshHost, peer: sshd.SshPeer, image: Any
) -> None:
    host = PipeReader("box", ssh.open, image, python=sys.executable, connection=lambda: ssh.connection)
    told: list[tuple[Connection, float]] = []
    first = await pid_of(host)
    ssh.on_change(lambda now: told.append((now, time.monotonic())))
    signalled(peer, signal.SIGSTOP)
    stopped = time.monotonic()
    assert await until(lambda: bool(told))
    assert told[0][0].way is Way.STALE
    assert told[0][0].reason.startswith("nothing heard for ")
    signalled(peer, signal.SIGCONT)  # a hiccup
    assert await until(lambda: len(told) > 1)
    assert told[1][0].way is Way.UP
    assert await pid_of(host) == first
    assert told[0][1] - stopped < 2 * BEAT + 1
    told.clear()
    signalled(peer, signal.SIGSTOP)
    stopped = time.monotonic()
    assert await until(lambda: ssh.connection.way not in (Way.UP, Way.STALE))
    assert [now.way for now, _ in told] == [Way.STALE, Way.WAITING]
    assert told[1][1] - stopped < 10
    assert told[1][0].reason
    signalled(peer, signal.SIGCONT)
    assert await pid_of(host)
    await asyncio.sleep(0)
    assert ssh.connection.way is Way.UP
    await host.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper gives signs of life so often that a test need not take a minute."""
    monkeypatch.setattr("hosts.openssh.BEAT", SHORT)


def ways(ssh: OpenSshHost) -> list[Way]:
    """What the host's standing is from here on."""
    told: list[Way] = []
    ssh.on_change(lambda now: told.append(now.way))
    return told


@needs_both
@pytest.mark.usefixtures("short")
async def test_what_ssh_still_holds_is_no_silence(peer: sshd.SshPeer, image: Any, tmp_path: Path) -> None:
    """It takes two megabytes at once, and then brings them there, slowly; what we ask waits behind them."""
    way, config = tmp_path / "way.py", tmp_path / "config"
    way.write_text(SLOW_WAY)
    config.write_text(
        f"Host *\n  ProxyCommand {sys.executable} {way} {peer.port}\n  UserKnownHostsFile {peer.known_hosts}\n"
    )
    key, known = str(peer.keys["plain"]), str(peer.known_hosts)
    spec = SshSpec("127.0.0.1", peer.port, None, key, known_hosts=known, config_file=str(config))
    ssh = OpenSshHost(spec, connects=Connects(chance=sshd.Soonest()))
    host = PipeReader("box", ssh.open, image, python=sys.executable, connection=lambda: ssh.connection)
    first = await pid_of(host)
    told, began = ways(ssh), time.monotonic()
    second = await pid_of(host, "x" * (7 << 19), 40)
    assert time.monotonic() - began > 4 * SHORT
    assert (second, told) == (first, [])
    await host.close()
    await ssh.close()


@needs_both
@pytest.mark.usefixtures("short")
async def test_a_first_look_that_takes_long_is_no_silence(ssh: OpenSshHost, image: Any) -> None:
    host = PipeReader("box", ssh.open, image, python=sys.executable, connection=lambda: ssh.connection)
    told = ways(ssh)
    await host.query("nap", {"takes": 3 * SHORT}, 20)
    assert told == [Way.CONNECTING, Way.UP]
    await host.close()


@needs_both
@pytest.mark.usefixtures("short")
async def test_who_was_stopped_asks_before_a_helper_is_given_up(ssh: OpenSshHost, image: Any) -> None:
    """As ctrl-z and fg do: nothing was asked all that time, so that nothing was heard says nothing."""
    host = PipeReader("box", ssh.open, image, python=sys.executable, connection=lambda: ssh.connection)
    first = await pid_of(host)
    await asyncio.sleep(1.5 * SHORT)
    told, until_then = ways(ssh), time.monotonic() + 4 * SHORT
    while time.monotonic() < until_then:
        pass  # none of our tasks goes on
    await asyncio.sleep(3 * SHORT)
    second = await pid_of(host)
    assert (second, told) == (first, [])
    await host.close()
