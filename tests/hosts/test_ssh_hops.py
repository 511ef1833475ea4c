"""A host that several are reached through: one login for all of them, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import until

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")


@dataclass
class Lab:
    """A gate, and a host behind it that has several names."""

    gate: sshd.SshPeer
    far: sshd.SshPeer
    known: Path

    @property
    def logins(self) -> int:
        """How often somebody was let in at the gate."""
        return (self.gate.folder / "sshd.log").read_text().count("Accepted publickey")

    @property
    def behind(self) -> int:
        return (self.far.folder / "sshd.log").read_text().count("Accepted publickey")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with contextlib.ExitStack() as stack:
        peers = []
        for name in ("gate", "far"):
            (tmp_path / name).mkdir()
            peers.append(stack.enter_context(sshd.running(tmp_path / name)))
        gate, far = peers
        with (far.folder / "allowed").open("a") as file:
            file.write(f"{sshd.public(gate.keys['plain'])}\n")
        known = tmp_path / "known"
        known.write_text(gate.known_hosts.read_text() + far.known_hosts.read_text())
        yield Lab(gate, far, known)


@pytest.fixture
async def reach(lab: Lab) -> AsyncIterator[Callable[..., SshHost]]:
    connects = Connects(chance=sshd.Soonest())
    made: list[SshHost] = []

    def make(keepalive: float = 3.0, **more: Any) -> SshHost:
        spec: dict[str, Any] = {
            "port": lab.far.port,
            "identity_file": str(lab.gate.keys["plain"]),
            "known_hosts": str(lab.known),
            "proxy_jump": f"127.0.0.1:{lab.gate.port}",
            "config_file": None,
        }
        made.append(SshHost(SshSpec("127.0.0.1", **spec | more), keepalive, connects=connects))
        return made[-1]

    yield make
    await asyncio.gather(*(host.close() for host in made))


async def up(host: SshHost) -> None:
    pipe = await host.open(("cat",))
    await pipe.write(b"x")
    assert await pipe.read() == b"x"
    await pipe.close(5)
    assert host.connection.way is Way.UP


async def test_hosts_behind_one_gate_make_one_login_there(reach: Any, lab: Lab) -> None:
    hosts = [reach() for _ in range(5)]
    await asyncio.gather(*map(up, hosts))
    assert (lab.logins, lab.behind) == (1, 5)
    for host in hosts[:4]:
        await host.close()
    await up(hosts[4])
    await up(hosts[0])
    assert (lab.logins, lab.behind) == (1, 6)
    for host in hosts:
        await host.close()
    assert await until(lambda: not lab.gate.sessions())
    await up(hosts[2])
    assert lab.logins == 2


async def test_several_gates_in_a_row(reach: Any, lab: Lab) -> None:
    gates = f"127.0.0.1:{lab.gate.port},127.0.0.1:{lab.far.port}"
    hosts = [reach(proxy_jump=gates) for _ in range(3)]
    await asyncio.gather(*map(up, hosts), up(reach()))
    assert (lab.logins, lab.behind) == (1, 1 + 3 + 1)


async def test_the_first_to_go_does_not_take_it_from_the_others(reach: Any, lab: Lab) -> None:
    first, second = reach(), reach()
    opening = [asyncio.create_task(host.open(("cat",))) for host in (first, second)]
    assert await until(lambda: bool(lab.gate.sessions()))
    await first.close()
    with pytest.raises(UnreachableError, match="the connection was closed"):
        await opening[0]
    await (await opening[1]).close(5)
    assert lab.logins == 1


async def test_a_login_that_nobody_waits_for_any_more_ends(reach: Any, lab: Lab) -> None:
    os.kill(lab.gate.pid or 0, signal.SIGSTOP)
    host = reach()
    opening = asyncio.create_task(host.open(("cat",)))
    assert await until(lambda: host.connection.way is Way.CONNECTING)
    await host.close()
    with pytest.raises(UnreachableError, match="the connection was closed"):
        await opening
    os.kill(lab.gate.pid or 0, signal.SIGCONT)
    await up(host)
    assert lab.logins == 1


async def test_a_gate_that_dies_is_logged_in_to_once_more(reach: Any, lab: Lab) -> None:
    hosts = [reach() for _ in range(3)]
    await asyncio.gather(*map(up, hosts))
    for pid in lab.gate.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert await until(lambda: all(host.connection.way is Way.WAITING for host in hosts))
    await asyncio.gather(*map(up, hosts))
    assert lab.logins == 2


async def test_a_gate_that_says_nothing_any_more_is_left(reach: Any, lab: Lab) -> None:
    first, second = reach(keepalive=0.2), reach(keepalive=0.2)
    await up(first)
    silent = lab.gate.sessions()
    for pid in silent:
        os.kill(pid, signal.SIGSTOP)
    try:
        await up(second)
        assert await until(lambda: first.connection.way is not Way.UP)
        await first.retry_now()
        await up(first)
        assert lab.logins == 2
    finally:
        for pid in silent:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
