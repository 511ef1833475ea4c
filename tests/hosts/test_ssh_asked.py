"""Who is said to ask for a secret: a host by the name of its profile, and one on the way by its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts.connects import Connects
from hosts.profiles import HostProfile, Ssh
from hosts.ssh import SshHost
from jobs.connect import ssh_spec
from tests.hosts.test_ssh_login import Person, needs_sshd, passwords, refused, up
from tests.peers import sshd


@pytest.fixture(autouse=True)
def nothing_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


async def test_a_host_by_the_name_of_its_profile(tmp_path: Path) -> None:
    async with passwords(tmp_path, "password") as (port, known, _got):
        person = Person("sesame")
        ssh = Ssh(host="127.0.0.1", port=port, user="op", known_hosts=str(known))
        host = SshHost(ssh_spec(HostProfile(name="h20-a", ssh=ssh)), connects=Connects(asker=person))
        await up(host)
        await host.close()
        assert person.asked == [("h20-a", "password of op")]


@needs_sshd
async def test_one_on_the_way_by_its_own(tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    async with passwords(tmp_path, "password") as (port, known, _got):
        person = Person()
        gate = f"op@127.0.0.1:{port}"
        ssh = Ssh(host="127.0.0.1", port=ssh_peer.port, user="op", known_hosts=str(known), proxy_jump=gate)
        host = SshHost(ssh_spec(HostProfile(name="h20-a", ssh=ssh)), connects=Connects(asker=person))
        await refused(host)
        await host.close()
        assert person.asked == [("127.0.0.1", "password of op")]
