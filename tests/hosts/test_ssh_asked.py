"""Who is said to ask for a secret: a host by its profile's name and where that is, one on the way by its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.profiles import HostProfile, Ssh
from hosts.ssh import SshHost
from hosts.ssh_spec import SshSpec
from hosts.standing import Clock
from jobs.connect import ssh_spec
from tests.hosts.test_ssh_login import PROMPTS, Person, needs_sshd, passwords, refused, up
from tests.peers import sshd


@pytest.fixture(autouse=True)
def nothing_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def gpu(port: int, known: Path, connects: Connects) -> SshHost:
    """The host of a profile of that name."""
    ssh = Ssh(host="127.0.0.1", port=port, user="op", known_hosts=str(known))
    return SshHost(ssh_spec(HostProfile(name="gpu", ssh=ssh)), connects=connects)


async def test_a_host_by_the_name_of_its_profile(tmp_path: Path) -> None:
    async with passwords(tmp_path, "password") as (port, known, _got):
        person = Person("sesame")
        ssh = Ssh(host="127.0.0.1", port=port, user="op", known_hosts=str(known))
        host = SshHost(ssh_spec(HostProfile(name="h20-a", ssh=ssh)), connects=Connects(asker=person))
        await up(host)
        await host.close()
        assert person.asked == [(f"h20-a (op@127.0.0.1:{port})", "password of op")]


@needs_sshd
async def test_one_on_the_way_by_its_own(tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    async with passwords(tmp_path, "password") as (port, known, _got):
        person = Person()
        gate = f"op@127.0.0.1:{port}"
        ssh = Ssh(host="127.0.0.1", port=ssh_peer.port, user="op", known_hosts=str(known), proxy_jump=gate)
        host = SshHost(ssh_spec(HostProfile(name="h20-a", ssh=ssh)), connects=Connects(asker=person))
        await refused(host)
        await host.close()
        assert person.asked == [(f"op@127.0.0.1:{port}", "password of op")]


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
        for name, host in zip("ab", hosts, strict=True):
            said = await refused(host)
            assert said.startswith(f"{name}: on the way there, 127.0.0.1: login refused for op: ")
            assert "the password was not given, and is asked for again when you try again" in said
        assert person.asked == [(f"op@127.0.0.1:{port}", "password of op")]
        now = 3600.0
        await refused(hosts[0])
        assert len(person.asked) == 1, "nobody is asked because time went by"
        for count in (2, 3):
            with pytest.raises(UnreachableError):
                await hosts[1].retry_now()
            assert person.asked == [(f"op@127.0.0.1:{port}", "password of op")] * count
        assert got == ["sesame"]
        for host in hosts:
            await host.close()


@pytest.mark.parametrize(("kind", "answers"), [("password", ["sesame"]), ("keyboard", ["sesame", "123456"])])
async def test_what_is_declined_for_one_of_two_twins_is_asked_for_the_other(
    tmp_path: Path, kind: str, answers: list[str]
) -> None:
    """Two machines, of two checkouts perhaps, whose profiles have one name."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    asked = {"prompts": PROMPTS} if kind == "keyboard" else {}
    async with (
        passwords(tmp_path / "one", kind, **asked) as (one, known, got),
        passwords(tmp_path / "two", kind, **asked) as (two, known_too, got_too),
    ):
        person = Person(None, *answers)
        connects = Connects(asker=person)
        twins = [gpu(one, known, connects), gpu(two, known_too, connects)]
        await refused(twins[0])
        await up(twins[1])
        places = [one] + [two] * len(answers)
        assert [host for host, _ in person.asked] == [f"gpu (op@127.0.0.1:{port})" for port in places]
        assert (got, got_too) == ([], answers)
        for host in twins:
            await host.close()


@pytest.mark.parametrize(
    ("spec", "called"),
    [
        (SshSpec("box"), "box"),
        (SshSpec("box", name="box"), "box"),
        (SshSpec("box", user="op", name="box"), "op@box"),
        (SshSpec("10.0.0.7", name="box"), "box (10.0.0.7)"),
        (SshSpec("::1", 2222, "op", name="box"), "box (op@[::1]:2222)"),
        (SshSpec("::1", name="box"), "box (::1)"),
    ],
)
def test_where_a_secret_goes(spec: SshSpec, called: str) -> None:
    assert spec.called == called


async def test_who_tries_a_host_again_that_is_up_is_not_asked_when_it_is_lost_later(tmp_path: Path) -> None:
    """That was about what stood on the screen then, and nobody wants anything an hour later."""
    async with passwords(tmp_path, "password") as (port, known, _got):
        person = Person("sesame", None)
        connects = Connects(asker=person)
        host, other = gpu(port, known, connects), gpu(port, known, connects)
        await up(host)
        await refused(other)
        assert len(person.asked) == 2
        await host.retry_now()
        host.abort()
        await asyncio.sleep(0.1)
        await refused(host)
        assert len(person.asked) == 2
        with pytest.raises(UnreachableError):
            await host.retry_now()
        assert len(person.asked) == 3
        await host.close()
        await other.close()
