"""Who is said to ask for a secret: a host by the name of its profile, and one on the way by its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.profiles import HostProfile, Ssh
from hosts.ssh import SshHost
from hosts.standing import Clock
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


@needs_sshd
async def test_what_is_declined_for_one_on_the_way_is_asked_again_when_a_person_tries_again(
    tmp_path: Path, ssh_peer: sshd.SshPeer
) -> None:
    """Once for all hosts that go through it."""
    async with passwords(tmp_path, "password") as (port, known, got):
        person = Person(None, "", "sesame")
        connects = Connects(asker=person)
        ssh = Ssh(host="127.0.0.1", port=ssh_peer.port, known_hosts=str(known), proxy_jump=f"op@127.0.0.1:{port}")
        now = 0.0
        hosts = [
            SshHost(ssh_spec(HostProfile(name=name, ssh=ssh)), connects=connects, clock=Clock(steady=lambda: now))
            for name in ("a", "b")
        ]
        for host in hosts:
            said = await refused(host)
            assert said.startswith("127.0.0.1: on the way there, 127.0.0.1: login refused for op: ")
            assert "the password was not given, and is asked for again when you try again" in said
        assert person.asked == [("127.0.0.1", "password of op")]
        now = 3600.0
        await refused(hosts[0])
        assert len(person.asked) == 1, "nobody is asked because time went by"
        for count in (2, 3):
            with pytest.raises(UnreachableError):
                await hosts[1].retry_now()
            assert person.asked == [("127.0.0.1", "password of op")] * count
        assert got == ["sesame"]
        for host in hosts:
            await host.close()
