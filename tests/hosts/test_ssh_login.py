"""Certificates, agents, and what a person is asked for: against a real sshd, a real ssh-agent, real key files."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import until

needs_sshd = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")
needs_agent = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs ssh-agent")


def run(*argv: str, **environ: str) -> str:
    ended = subprocess.run(argv, check=True, capture_output=True, text=True, env=os.environ | environ)
    return ended.stdout


class Person:
    """Answers what it is asked, in order; then no more."""

    def __init__(self, *answers: str | None, takes: float = 0.0) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.takes = takes

    async def ask(self, host: str, what: str) -> str | None:
        self.asked.append((host, what))
        await asyncio.sleep(self.takes)
        return self.answers.pop(0) if self.answers else None


@pytest.fixture
async def reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Callable[..., SshHost]]:
    """Makes ways to a server, for somebody whose home is empty and who has no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made: list[SshHost] = []

    def make(
        port: int, known: Path, who: Person | Connects | None = None, deadline: float = 20, **more: Any
    ) -> SshHost:
        spec: dict[str, Any] = {"host": "127.0.0.1", "port": port, "known_hosts": str(known), "config_file": None}
        connects = who if isinstance(who, Connects) else Connects(asker=who)
        host = SshHost(SshSpec(**spec | more), connects=connects, deadline=deadline)
        made.append(host)
        return host

    yield make
    for host in made:
        await host.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """A running ssh-agent; adds keys to it."""
    told = run("ssh-agent", "-s", "-a", str(tmp_path / "agent"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    yield lambda *names: run("ssh-add", "-q", *names, SSH_AUTH_SOCK=str(tmp_path / "agent"))
    os.kill(int(told.partition("SSH_AGENT_PID=")[2].partition(";")[0]), signal.SIGTERM)


@contextlib.contextmanager
def allowing(peer: sshd.SshPeer, key: Path) -> Iterator[None]:
    allowed = peer.folder / "allowed"
    before = allowed.read_text()
    allowed.write_text(f"{before}{sshd.public(key)}\n")
    yield
    allowed.write_text(before)


def lock(key: Path, passphrase: str, kind: str = "PKCS8") -> Path:
    """Encrypt a key file; ecdsa in PKCS8, since that opens without bcrypt and ed25519 knows only OpenSSH's format."""
    run("ssh-keygen", "-q", "-p", "-a", "1", "-m", kind, "-N", passphrase, "-f", str(key))
    return key


async def up(host: SshHost) -> None:
    pipe = await host.open(("cat",))
    await pipe.write(b"x")
    assert await pipe.read() == b"x"
    assert host.connection.way is Way.UP


async def refused(host: SshHost) -> str:
    with pytest.raises(UnreachableError) as caught:
        await host.open(("cat",))
    assert host.connection.way is Way.REFUSED
    return str(caught.value)


@needs_agent
async def test_a_key_that_an_agent_holds(reach: Any, agent: Any, ssh_peer: sshd.SshPeer) -> None:
    host = reach(ssh_peer.port, ssh_peer.known_hosts)
    assert "login refused" in await refused(host)
    agent(str(ssh_peer.keys["plain"]))
    await host.retry_now()
    await up(host)


@needs_agent
async def test_an_agent_that_died_is_no_obstacle_to_a_key_file(
    reach: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ssh_peer: sshd.SshPeer
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nothing"))
    await up(reach(ssh_peer.port, ssh_peer.known_hosts, identity_file=str(ssh_peer.keys["plain"])))


@needs_sshd
@needs_agent
@pytest.mark.parametrize("meant", ["private", "public", "encrypted", "elsewhere"])
async def test_of_an_agent_only_the_key_that_is_meant_is_offered(
    reach: Any, agent: Any, tmp_path: Path, meant: str
) -> None:
    decoys = [sshd.make_key(tmp_path / f"decoy{number}") for number in range(3)]
    key = sshd.make_key(tmp_path / "key")
    agent(*map(str, decoys), str(key))
    if meant == "encrypted":
        lock(key, "open sesame")
    elif meant != "private":
        key.unlink()
    config = tmp_path / "config"
    name = decoys[0] if meant == "elsewhere" else key if meant == "encrypted" else f"{key}.pub"
    config.write_text(f"Host *\n  IdentitiesOnly yes\n  IdentityFile {key if meant == 'private' else name}\n")
    (tmp_path / "peer").mkdir()
    with sshd.running(tmp_path / "peer", "MaxAuthTries 3\nLogLevel VERBOSE\n") as peer, allowing(peer, key):
        host = reach(peer.port, peer.known_hosts, config_file=str(config))
        if meant == "elsewhere":
            assert "login refused" in await refused(host)
        else:
            await up(host)
        log = (peer.folder / "sshd.log").read_text()
    offered = {word for line in log.splitlines() for word in line.split() if word.startswith("SHA256:")}
    assert offered - {sshd.fingerprint(peer.folder / "host_key")} == {
        sshd.fingerprint(decoys[0] if meant == "elsewhere" else Path(f"{key}.pub"))
    }


@needs_sshd
@needs_agent
async def test_where_none_of_its_keys_is_meant_an_agent_offers_none(reach: Any, agent: Any, tmp_path: Path) -> None:
    key = sshd.make_key(tmp_path / "key")
    agent(str(key))
    config = tmp_path / "config"
    config.write_text(f"Host *\n  IdentitiesOnly yes\n  IdentityFile {tmp_path}/nothing\n")
    (tmp_path / "peer").mkdir()
    with sshd.running(tmp_path / "peer", "LogLevel VERBOSE\n") as peer, allowing(peer, key):
        assert "login refused" in await refused(reach(peer.port, peer.known_hosts, config_file=str(config)))
        config.write_text("Host *\n  IdentitiesOnly yes\n")
        assert "login refused" in await refused(reach(peer.port, peer.known_hosts, config_file=str(config)))


@needs_agent
async def test_an_agent_is_asked_before_a_person(
    reach: Any, agent: Any, tmp_path: Path, ssh_peer: sshd.SshPeer
) -> None:
    key = sshd.make_key(tmp_path / "key")
    agent(str(key))
    lock(key, "open sesame")
    person = Person()
    with allowing(ssh_peer, key):
        await up(reach(ssh_peer.port, ssh_peer.known_hosts, person, identity_file=str(key)))
    assert person.asked == []


@needs_sshd
@pytest.mark.parametrize("how", ["beside", "configured", "locked", "locked-configured", "agent"])
async def test_a_certificate(reach: Any, tmp_path: Path, how: str, request: pytest.FixtureRequest) -> None:
    authority, key = sshd.make_key(tmp_path / "authority"), sshd.make_key(tmp_path / "key", "ecdsa")
    config = tmp_path / "config"
    config.write_text("")
    me = run("id", "-un").strip()
    with sshd.running(make(tmp_path / "server"), f"TrustedUserCAKeys {authority}.pub\n") as peer:
        person = Person("open sesame")
        host = reach(peer.port, peer.known_hosts, person, identity_file=str(key), config_file=str(config))
        if how.startswith("locked"):
            lock(key, "open sesame")
        elif how != "agent":
            assert "login refused" in await refused(host)
        run("ssh-keygen", "-q", "-s", str(authority), "-I", "id", "-n", me, f"{key}.pub")
        if how == "agent":
            request.getfixturevalue("agent")(str(key))
            for name in (key, f"{key}.pub", f"{key}-cert.pub"):
                os.rename(name, f"{name}.away")
            host = reach(peer.port, peer.known_hosts, person)
        if how.endswith("configured"):
            os.rename(f"{key}-cert.pub", tmp_path / "elsewhere-cert.pub")
            config.write_text(f"CertificateFile {tmp_path}/elsewhere-cert.pub\n")
        await host.retry_now()
        await up(host)
        asked = [opened(key, peer)] if how.startswith("locked") else []
        assert [each for each in person.asked if "passphrase" in each[1]] == asked


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


@needs_sshd
async def test_a_passphrase_is_asked_at_most_three_times(reach: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    key = lock(sshd.make_key(tmp_path / "key", "ecdsa"), "open sesame")
    what = opened(key, ssh_peer)
    with allowing(ssh_peer, key):
        person = Person("wrong", "öpen", "open sesame")
        host = reach(ssh_peer.port, ssh_peer.known_hosts, person, identity_file=str(key))
        await up(host)
        assert person.asked == [what] * 3
        person = Person("wrong", "wrong", "wrong", "open sesame")
        said = await refused(reach(ssh_peer.port, ssh_peer.known_hosts, person, identity_file=str(key)))
        assert "login refused" in said
        assert person.asked == [what] * 3
        for who, words in ((None, "nobody can be asked here for a {}"), (Person(), "the {} was not given")):
            said = await refused(reach(ssh_peer.port, ssh_peer.known_hosts, who, identity_file=str(key)))
            assert words.format(f"passphrase of {key}") in said


@pytest.fixture
def locked(ssh_peer: sshd.SshPeer, tmp_path: Path) -> Iterator[Path]:
    """A key with a passphrase that the server takes."""
    key = lock(sshd.make_key(tmp_path / "key", "ecdsa"), "open sesame")
    with allowing(ssh_peer, key):
        yield key


def opened(key: Path, peer: sshd.SshPeer) -> tuple[str, str]:
    return f"127.0.0.1:{peer.port}", f"passphrase of {key}"


@needs_sshd
async def test_a_passphrase_is_asked_once_per_key_however_many_hosts_want_it(
    reach: Any, ssh_peer: sshd.SshPeer, locked: Path
) -> None:
    person = Person("wrong", "open sesame", takes=0.2)
    connects = Connects(asker=person)
    way = (ssh_peer.port, ssh_peer.known_hosts, connects)
    hosts = [reach(*way, identity_file=str(locked), deadline=5) for _ in range(12)]
    await asyncio.gather(*map(up, hosts))
    assert person.asked == [opened(locked, ssh_peer)] * 2
    hosts[0].abort()
    await hosts[0].retry_now()
    await up(hosts[0])
    await up(reach(*way, identity_file=str(locked), proxy_jump=f"127.0.0.1:{ssh_peer.port}"))
    assert person.asked == [opened(locked, ssh_peer)] * 2
    other = Person("open sesame")
    await up(reach(*way[:2], other, identity_file=str(locked)))
    assert other.asked == [opened(locked, ssh_peer)]


@needs_sshd
async def test_a_hop_and_the_host_behind_it_ask_once(reach: Any, ssh_peer: sshd.SshPeer, locked: Path) -> None:
    person = Person("open sesame")
    hop = f"127.0.0.1:{ssh_peer.port}"
    await up(reach(ssh_peer.port, ssh_peer.known_hosts, person, identity_file=str(locked), proxy_jump=hop))
    assert person.asked == [opened(locked, ssh_peer)]


@needs_sshd
async def test_a_key_file_that_has_changed_is_asked_for_again(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, locked: Path
) -> None:
    person = Person("open sesame", "please")
    connects = Connects(asker=person)
    await up(reach(ssh_peer.port, ssh_peer.known_hosts, connects, identity_file=str(locked)))
    other = lock(sshd.make_key(tmp_path / "other", "ecdsa"), "please")
    with allowing(ssh_peer, other):
        other.rename(locked)
        await up(reach(ssh_peer.port, ssh_peer.known_hosts, connects, identity_file=str(locked)))
    assert person.asked == [opened(locked, ssh_peer)] * 2


@needs_sshd
@pytest.mark.parametrize("answers", [[None], [""], ["wrong"] * 3])
async def test_one_who_leaves_a_passphrase_open_is_asked_again_when_it_is_tried_again(
    reach: Any, ssh_peer: sshd.SshPeer, locked: Path, answers: list[str | None]
) -> None:
    person = Person(*answers, takes=0.2)
    way = (ssh_peer.port, ssh_peer.known_hosts, Connects(asker=person))
    hosts = [reach(*way, identity_file=str(locked)) for _ in range(6)]
    told = await asyncio.gather(*map(refused, hosts))
    assert person.asked == [opened(locked, ssh_peer)] * len(answers)
    assert sum(f"passphrase of {locked} was asked for another host, in vain" in said for said in told) == 5
    person.answers = ["open sesame"]
    for host in hosts:
        await host.retry_now()
        await up(host)
    assert person.answers == []


@needs_sshd
async def test_a_host_that_goes_while_its_question_stands_leaves_it_to_the_next(
    reach: Any, ssh_peer: sshd.SshPeer, locked: Path
) -> None:
    person = Person("nobody hears this", "open sesame", takes=0.5)
    way = (ssh_peer.port, ssh_peer.known_hosts, Connects(asker=person))
    first, second = (reach(*way, identity_file=str(locked)) for _ in range(2))
    asking = asyncio.create_task(first.open(("cat",)))
    assert await until(lambda: person.asked == [opened(locked, ssh_peer)])
    person.answers = ["open sesame"]
    waiting = asyncio.create_task(up(second))
    await first.close()
    with pytest.raises(UnreachableError):
        await asking
    await waiting


async def test_a_password_is_asked_for_each_host(reach: Any, tmp_path: Path) -> None:
    async with passwords(tmp_path, "password") as (port, known, got):
        person = Person("sesame", "sesame")
        connects = Connects(asker=person)
        for _ in range(2):
            await up(reach(port, known, connects, user="op"))
        assert person.asked == [(f"op@127.0.0.1:{port}", "password of op")] * 2
        assert got == ["sesame"] * 2


@needs_sshd
async def test_a_usual_key_with_a_passphrase(reach: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    make(tmp_path / ".ssh")
    key = lock(sshd.make_key(tmp_path / ".ssh" / "id_ecdsa", "ecdsa"), "open sesame")
    with allowing(ssh_peer, key):
        person = Person("open sesame")
        await up(reach(ssh_peer.port, ssh_peer.known_hosts, person))
        assert person.asked == [opened(key, ssh_peer)]


@needs_sshd
async def test_a_key_in_the_format_of_openssh(reach: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    key = lock(sshd.make_key(tmp_path / "key"), "open sesame", "RFC4716")
    person = Person("wrong", "open sesame")
    with allowing(ssh_peer, key):
        host = reach(ssh_peer.port, ssh_peer.known_hosts, person, identity_file=str(key))
        if importlib.util.find_spec("bcrypt") is not None:
            await up(host)
        else:
            assert f"{key} opens only with the Python package bcrypt, or in an agent" in await refused(host)
            assert not [what for _, what in person.asked if "passphrase" in what]


class PasswordServer(asyncssh.SSHServer):
    """Lets in whoever knows the word; asks for it as it is told to."""

    kinds: tuple[str, ...] = ()
    prompts: tuple[tuple[str, bool], ...] = ()
    tried: list[str]

    def password_auth_supported(self) -> bool:
        return "password" in self.kinds

    def validate_password(self, username: str, password: str) -> bool:
        self.tried.append(password)
        return password == "sesame"

    def kbdint_auth_supported(self) -> bool:
        return "keyboard" in self.kinds

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return ("title\x1b[2J", "read this", "", self.prompts) if self.prompts else False

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        self.tried += responses
        return list(responses) == ["sesame", "123456"]


@contextlib.asynccontextmanager
async def passwords(tmp_path: Path, *kinds: str, prompts: Any = ()) -> AsyncIterator[tuple[int, Path, list[str]]]:
    """asyncssh's server, since OpenSSH's knows only the passwords of this machine: port, known_hosts, what it got."""
    key = sshd.make_key(tmp_path / "host_key")
    got: list[str] = []
    server = type("Server", (PasswordServer,), {"kinds": kinds, "prompts": tuple(prompts), "tried": got})

    async def handle(process: Any) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            process.stdout.write(await process.stdin.read(1))
        process.exit(0)

    listening = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[str(key)], server_factory=server, process_factory=handle, encoding=None
    )
    port = listening.sockets[0].getsockname()[1]
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{port} {sshd.public(key)}\n")
    try:
        yield port, known, got
    finally:
        listening.close()
        await listening.wait_closed()


async def test_a_password_is_asked_at_most_three_times(reach: Any, tmp_path: Path) -> None:
    async with passwords(tmp_path, "password") as (port, known, got):
        person = Person("a", "b", "sesame")
        await up(reach(port, known, person, user="op"))
        assert person.asked == [(f"op@127.0.0.1:{port}", "password of op")] * 3
        assert got == ["a", "b", "sesame"]
        person = Person("a", "b", "c", "sesame")
        assert "login refused for op" in await refused(reach(port, known, person, user="op"))
        assert person.answers == ["sesame"]
        del got[:]
        said = await refused(reach(port, known, None, user="op"))
        assert said.startswith("127.0.0.1: login refused for op: ")
        assert "nobody can be asked here for a password" in said
        for person in (Person(), Person("")):
            said = await refused(reach(port, known, person, user="op"))
            assert "the password was not given, and is asked for again when you try again" in said
        assert got == []


PROMPTS = (("Password: ", False), ("\x1b[31mCode\nfrom your phone: ", True))


async def test_what_a_host_asks_is_shown_plain_and_answered_in_order(reach: Any, tmp_path: Path) -> None:
    async with passwords(tmp_path, "keyboard", prompts=PROMPTS) as (port, known, got):
        person = Person("sesame", "999999", "sesame", "123456")
        await up(reach(port, known, person))
        assert (
            person.asked
            == [
                (f"127.0.0.1:{port}", "answer to: Password"),
                (f"127.0.0.1:{port}", "answer to: ?[31mCode from your phone"),
            ]
            * 2
        )
        person = Person(*["wrong", "wrong"] * 3, "sesame", "123456")
        await refused(reach(port, known, person))
        assert person.answers == ["sesame", "123456"]
        del got[:]
        assert "nobody can be asked here for a password" in await refused(reach(port, known))
        assert got == []


async def test_a_host_that_offers_to_ask_and_does_not(reach: Any, tmp_path: Path) -> None:
    async with passwords(tmp_path, "keyboard", "password") as (port, known, got):
        person = Person("a", "b", "sesame")
        await up(reach(port, known, person))
        assert got == ["a", "b", "sesame"]


async def test_a_host_that_asks_for_very_much_is_not_answered(reach: Any, tmp_path: Path) -> None:
    prompts = [(f"{n}?", False) for n in range(500)]
    async with passwords(tmp_path, "keyboard", prompts=prompts) as (port, known, got):
        person = Person(*["x"] * 500)
        await refused(reach(port, known, person))
        assert (person.asked, got) == ([], [])


async def test_the_time_that_a_person_takes_does_not_count(reach: Any, tmp_path: Path) -> None:
    async with passwords(tmp_path, "password") as (port, known, _got):
        await up(reach(port, known, Person("sesame", takes=1.2), deadline=1))


async def test_people_are_asked_one_thing_at_a_time(tmp_path: Path) -> None:
    now = most = 0

    class Slow:
        async def ask(self, host: str, what: str) -> str | None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1
            return f"{host} {what}"

    connects = Connects(asker=Slow())
    answers = await asyncio.gather(*(connects.ask(f"h{n}", "x") for n in range(5)))
    assert answers == [f"h{n} x" for n in range(5)]
    assert most == 1
