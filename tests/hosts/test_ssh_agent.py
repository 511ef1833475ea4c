"""In which order the keys of an agent are offered: a server hangs up after a few, as ssh knows."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.openssh import OpenSshHost
from hosts.ssh import SshHost
from hosts.ssh_spec import SshSpec
from tests.hosts.test_ssh_login import agent, lock, needs_agent, needs_sshd, refused, run, up  # noqa: F401 - a fixture
from tests.peers import sshd

pytestmark = [needs_sshd, needs_agent]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    (tmp_path / "peer").mkdir()
    with sshd.running(tmp_path / "peer", "MaxAuthTries 6\nLogLevel VERBOSE\n") as peer:
        yield peer


@pytest.fixture
async def reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer: sshd.SshPeer
) -> AsyncIterator[Callable[..., SshHost]]:
    """Makes ways to the server, for somebody whose home holds what the test puts there."""
    (tmp_path / ".ssh").mkdir(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    made = []

    def make(config: str = "", kind: type[Any] = SshHost, **more: Any) -> Any:
        file = tmp_path / ".ssh" / "config"
        file.write_text(config)
        known = str(peer.known_hosts)
        made.append(kind(SshSpec("127.0.0.1", peer.port, known_hosts=known, config_file=str(file), **more)))
        return made[-1]

    yield make
    for host in made:
        await host.close()


@pytest.fixture
def key(tmp_path: Path, peer: sshd.SshPeer, agent: Callable[..., str]) -> Path:  # noqa: F811 - a fixture
    """A key that the server takes, the last of eight that the agent holds."""
    foreign = [sshd.make_key(tmp_path / f"foreign{number}") for number in range(7)]
    key = tmp_path / "key"
    os.rename(peer.keys["plain"], key)
    os.rename(f"{peer.keys['plain']}.pub", f"{key}.pub")
    agent(*map(str, foreign), str(key))
    return key


def offered(peer: sshd.SshPeer) -> list[str]:
    """The keys that were offered to the server, in their order."""
    lines = (peer.folder / "sshd.log").read_text().splitlines()
    return [line.rpartition(" ")[2] for line in lines if "Failed publickey" in line or "Accepted publickey" in line]


@pytest.mark.parametrize("named", ["private", "public", "encrypted", "by the profile", "usual", "not its first"])
async def test_those_that_are_named_come_first(
    reach: Any, peer: sshd.SshPeer, key: Path, tmp_path: Path, named: str
) -> None:
    config, more = f"IdentityFile {key}\n", {}
    if named == "public":
        os.unlink(key)
        config = f"IdentityFile {key}.pub\n"
    elif named == "encrypted":
        lock(key, "open sesame")
    elif named == "by the profile":
        config, more = "", {"identity_file": str(key)}
    elif named == "usual":
        config = ""
        os.rename(f"{key}.pub", tmp_path / ".ssh" / "id_ed25519.pub")
    elif named == "not its first":
        config = "".join(f"IdentityFile {tmp_path}/foreign{number}\n" for number in range(4)) + config
    await up(reach(config, **more))
    ours = offered(peer)
    assert len(ours) == (5 if named == "not its first" else 1)
    if named != "usual":  # for which ssh looks in the home of the account, whatever HOME says
        await up(reach(config, OpenSshHost, **more))
        assert offered(peer)[len(ours) :] == ours


async def test_one_that_an_agent_holds_is_not_offered_again_from_its_file(
    reach: Any,
    peer: sshd.SshPeer,
    tmp_path: Path,
    agent: Any,  # noqa: F811 - a fixture
) -> None:
    foreign = [str(sshd.make_key(tmp_path / f"foreign{number}")) for number in range(5)]
    agent(*foreign)
    config = "".join(f"IdentityFile {name}\n" for name in [*foreign, peer.keys["plain"]])
    await up(reach(config, OpenSshHost))
    await up(reach(config))
    told = offered(peer)
    assert told[:6] == told[6:]


async def test_a_host_that_hangs_up_after_too_many_has_refused_us(reach: Any, peer: sshd.SshPeer, key: Path) -> None:
    said = await refused(reach())  # which is not tried again at once: it may shut us out
    me = run("id", "-un").strip()
    assert said.startswith(f"127.0.0.1: login refused for {me}: Too many authentication failures")
    assert len(offered(peer)) == 6
