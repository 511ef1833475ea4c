"""How the way to a host stands, against a real sshd and against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import random
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hosts import ssh_lane
from hosts.connection import Connection, Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.ssh import SshHost, SshSpec
from hosts.standing import KeyChangedError
from tests.peers import sshd
from tests.peers.callers import until

needs_sshd = pytest.mark.skipif(sshd.SSHD is None, reason="needs the processes of OpenSSH's sshd")

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Longest(random.Random):
    """Draws the longest wait that may be drawn."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
async def reach(tmp_path: Path) -> AsyncIterator[Callable[..., SshHost]]:
    """Makes ways to a server, each of them remembered for the end; `told` of each are its standings."""
    made: list[SshHost] = []

    def make(peer: sshd.SshPeer | int, keepalive: float = 3, key: str = "plain", **more: Any) -> SshHost:
        options = {name: more.pop(name) for name in ("connects", "deadline", "clock") if name in more}
        (tmp_path / "none").touch()
        spec: dict[str, Any] = {"host": "127.0.0.1", "config_file": None, "known_hosts": str(tmp_path / "none")}
        if isinstance(peer, int):
            spec |= {"port": peer}
        else:
            spec |= {"port": peer.port, "identity_file": str(peer.keys[key]), "known_hosts": str(peer.known_hosts)}
        host = SshHost(SshSpec(**spec | more), keepalive, **options)
        made.append(host)
        return host

    yield make
    for host in made:
        await host.close()


@contextlib.asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[int]:
    """Something that listens and is no SSH server; its port."""
    talking: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.transport.abort()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.create_task(meet(reader, writer)))

    listening = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking)
        await asyncio.sleep(0)  # for what was aborted to be closed


def watch(host: SshHost) -> list[Connection]:
    told: list[Connection] = []
    host.on_change(told.append)
    return told


async def failure(host: SshHost) -> str:
    with pytest.raises(UnreachableError) as caught:
        await host.open(("cat",))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lanes(peer: sshd.SshPeer) -> list[int]:
    """The processes of sshd that hold a connection each, the oldest first."""
    assert peer.pid is not None
    return sorted(sshd.children(peer.pid))


def standing(host: SshHost) -> Way:
    return host.connection.way


def kill(peer: sshd.SshPeer) -> None:
    for pid in peer.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def frozen(peer: sshd.SshPeer) -> Any:
    pids = peer.sessions()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@needs_sshd
async def test_up_lost_and_up_again(reach: Any, ssh_peer: sshd.SshPeer) -> None:
    host = reach(ssh_peer)
    told = watch(host)
    assert (host.connection.way, host.connection.rtt) == (Way.IDLE, None)
    await host.open(("cat",))
    assert await until(lambda: host.connection.rtt is not None)
    assert 0 < host.connection.rtt < 5
    kill(ssh_peer)
    assert await until(lambda: host.connection.way is Way.WAITING)
    assert host.connection.reason
    assert host.connection.retry_at == host.connection.since
    await host.open(("cat",))
    await host.close()
    assert [each.way for each in told] == [
        *(Way.CONNECTING, Way.UP, Way.WAITING),
        *(Way.WAITING, Way.UP, Way.IDLE),
    ]
    assert [each.trying for each in told] == [False, False, False, True, False, False]


async def test_nothing_is_sent_but_what_is_asked(
    reach: Any, ssh_peer: sshd.SshPeer, caplog: pytest.LogCaptureFixture
) -> None:
    host = reach(ssh_peer, keepalive=60)
    pipe = await host.open(("cat",))
    caplog.set_level(logging.DEBUG, "asyncssh")
    asyncssh.set_debug_level(3)
    try:
        await pipe.write(b"x")
        assert await pipe.read() == b"x"
    finally:
        asyncssh.set_debug_level(1)
    sent = [line.message for line in caplog.records if "Sent MSG_" in line.message]
    assert len(sent) == 1
    assert "MSG_CHANNEL_DATA" in sent[0], "an empty packet before each one would double what a poll costs"


@needs_sshd
async def test_a_frozen_server_is_stale_and_then_lost(reach: Any, ssh_peer: sshd.SshPeer) -> None:
    host = reach(ssh_peer, keepalive=0.3)
    told = watch(host)
    pipe = await host.open(("cat",))
    with frozen(ssh_peer):
        with pytest.raises(UnreachableError, match=r"no answer to keepalive, nothing heard for \d+\.\d s"):
            await pipe.read()
        assert [each.way for each in told][1:] == [Way.UP, Way.STALE, Way.WAITING]
        assert "keepalive" in host.connection.reason
    kill(ssh_peer)


@needs_sshd
async def test_a_server_that_froze_for_a_moment_is_up_again(reach: Any, ssh_peer: sshd.SshPeer) -> None:
    host = reach(ssh_peer, keepalive=1.5)
    told = watch(host)
    pipe = await host.open(("cat",))
    with frozen(ssh_peer):
        assert await until(lambda: host.connection.way is Way.STALE)
        assert host.connection.reason.startswith("nothing heard for ")
    assert await until(lambda: host.connection.way is Way.UP)
    await pipe.write(b"still here")
    assert await pipe.read() == b"still here"
    assert [each.way for each in told] == [Way.CONNECTING, Way.UP, Way.STALE, Way.UP]


def test_a_host_that_is_silent_is_given_up_within_ten_seconds() -> None:
    # At rest, the next sign of life is asked for after one interval, and waited for during two
    interval = inspect.signature(SshHost).parameters["keepalive"].default
    assert interval * (1 + ssh_lane._MISSED) < 10


async def test_a_host_that_failed_is_left_alone_and_tried_when_asked(reach: Any) -> None:
    met = []

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer)

    async with server(hang_up) as port:
        host = reach(port, connects=Connects(chance=Longest()))
        for tried in (1, 2):
            assert "retry in" not in await failure(host)
            assert host.connection.way is Way.WAITING
            for _ in range(5):
                assert f"127.0.0.1: retry in {tried} s (" in await failure(host)
            assert len(met) == tried
            if tried == 1:
                await asyncio.sleep(1)
        with pytest.raises(UnreachableError):
            await host.retry_now()
        assert len(met) == 3
        assert "retry in 4 s" in await failure(host)


async def test_a_login_that_is_refused_is_not_tried_over_and_over(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path
) -> None:
    stranger = sshd.make_key(tmp_path / "stranger")
    host = reach(ssh_peer, identity_file=str(stranger))
    assert "login refused" in await failure(host)
    assert (host.connection.way, host.connection.retry_at) == (Way.REFUSED, None)
    assert "127.0.0.1: retry in 60 s (login refused" in await failure(host)
    with pytest.raises(UnreachableError, match="login refused") as again:
        await host.retry_now()
    assert "retry in" not in str(again.value)
    allowed = ssh_peer.folder / "allowed"
    before = allowed.read_text()
    allowed.write_text(f"{before}{sshd.public(stranger)}\n")
    try:
        await host.retry_now()
    finally:
        allowed.write_text(before)
    assert host.connection.way is Way.UP


async def test_a_changed_key_stops_it_until_the_file_has_changed(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path
) -> None:
    other = sshd.make_key(tmp_path / "other")
    known = tmp_path / "known"
    known.write_text(f"# a comment\n[127.0.0.1]:{ssh_peer.port} {sshd.public(other)}\n")
    host = reach(ssh_peer, known_hosts=str(known))
    first = await failure(host)
    assert f"{known}:2 has ssh-ed25519 {sshd.fingerprint(other)}" in first
    assert f"offers ssh-ed25519 {sshd.fingerprint(ssh_peer.folder / 'host_key.pub')}" in first
    assert f"ssh-keygen -R '[127.0.0.1]:{ssh_peer.port}' -f {known}" in first
    assert host.connection.way is Way.KEY_CHANGED
    assert f"127.0.0.1: {host.connection.reason}" == first
    with pytest.raises(KeyChangedError):
        await host.open(("cat",))
    known.write_text(ssh_peer.known_hosts.read_text())
    await host.open(("cat",))
    assert standing(host) is Way.UP


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


def endless(line: bytes, pause: float) -> Talk:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(line)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


def packet(payload: bytes) -> bytes:
    """One packet as it is before there are keys (RFC 4253, section 6)."""
    padding = 16 - (len(payload) + 5) % 8
    return (len(payload) + padding + 1).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (silence, "no login within 0.4 s"),
        (deaf, "no login within 0.4 s"),
        (endless(b"hello\n", 0.01), "no login within 0.4 s"),
        (endless(b"x" * 1000 + b"\n", 0), "Too many banner lines"),
        (endless(b"x" * 100_000, 0), "Banner line too long"),
        (endless(b"\x1b[2J\0" * 1000, 0), "Banner line too long"),
        (endless(b"SSH-2.0-" + b"y" * 1000 + b"\r\n", 0), "Version too long"),
        (endless(b"SSH-2.0-x\r\n" + b"\xff" * 100_000, 0), ""),
        (endless(b"SSH-2.0-x\r\n" + packet(b"\x14" + bytes(12)), 9), "Incomplete packet"),
        (endless(b"SSH-2.0-x\r\n" + packet(b"\x14" + bytes(16) + b"\0\0\0\2\xff\xfe" * 10 + bytes(5)), 9), "ordinal"),
    ],
)
async def test_a_server_that_talks_for_ever_or_never_is_ended(reach: Any, talk: Talk, said: str) -> None:
    async with server(talk) as port:
        host = reach(port, deadline=0.4)
        assert said in await failure(host)
        assert host.connection.way is Way.WAITING


async def test_where_a_host_was_looked_for_is_said_too(reach: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: Any, **_more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with server(silence) as port:
        said = await failure(reach(port, name="box", deadline=0.2))
        assert said == f"box: no login within 0.2 s (127.0.0.1 port {port})"
        assert await failure(reach(port, deadline=0.2)) == "127.0.0.1: no login within 0.2 s"
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    said = await failure(reach(22, host="misspelt.invalid", name="box"))
    assert said == "box: Name or service not known (misspelt.invalid port 22)"
    assert await failure(reach(22, host="box.invalid")) == "box.invalid: Name or service not known"


async def test_hosts_that_hang_do_not_keep_another_waiting(reach: Any, ssh_peer: sshd.SshPeer) -> None:
    connects = Connects(limit=2, hold=0.1)
    async with server(silence) as port:
        hanging = [reach(port, connects=connects, deadline=50) for _ in range(6)]
        tries = [asyncio.create_task(host.open(("cat",))) for host in hanging]
        assert await until(lambda: any(host.connection.way is Way.CONNECTING for host in hanging))
        good = reach(ssh_peer, connects=connects)
        await good.open(("cat",))
        assert good.connection.way is Way.UP
        assert all(host.connection.way is Way.CONNECTING for host in hanging)
        for host in hanging:
            await host.close()
        assert all(isinstance(end, UnreachableError) for end in await asyncio.gather(*tries, return_exceptions=True))


async def test_names_that_nobody_knows_do_not_keep_another_waiting(
    reach: Any, ssh_peer: sshd.SshPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asked, over = socket.getaddrinfo, [], threading.Event()

    def slow(host: Any, *arguments: Any, **more: Any) -> Any:
        if str(host).startswith("hanging"):
            asked.append(host)
            over.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ask(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    connects = Connects()
    hanging = [reach(22, host=f"hanging{number}", connects=connects, deadline=50) for number in range(40)]
    tries = [asyncio.create_task(host.open(("cat",))) for host in hanging]
    try:
        assert await until(lambda: len(asked) == len(hanging))
        good = reach(ssh_peer, connects=connects)
        await good.open(("cat",))
        assert good.connection.way is Way.UP
    finally:
        over.set()
        ends = await asyncio.gather(*tries, return_exceptions=True)
    assert all("name resolution" in str(end) for end in ends)


async def test_every_address_of_a_name_is_tried(
    reach: Any, ssh_peer: sshd.SshPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(_host: Any, port: int, *_arguments: Any, **_more: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.9", "127.0.0.1")]

    known = ssh_peer.folder / "known_by_name"
    known.write_text(ssh_peer.known_hosts.read_text().replace("127.0.0.1", "box"))
    monkeypatch.setattr(socket, "getaddrinfo", two)
    host = reach(ssh_peer, host="box", known_hosts=str(known))
    await host.open(("cat",))
    assert host.connection.way is Way.UP
    nowhere = reach(1, host="box")
    assert await failure(nowhere) == "box: connection refused (box port 1)"


async def test_an_address_that_swallows_what_it_is_sent_holds_up_no_other(
    reach: Any, ssh_peer: sshd.SshPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ssh_peer.folder / "known_by_name"
    known.write_text(ssh_peer.known_hosts.read_text().replace("127.0.0.1", "box"))
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.9", ssh_peer.port))
        full.listen(0)
        for _ in range(8):  # its queue takes one or two, and the kernel drops what comes then
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(("127.0.0.9", ssh_peer.port))

        def two(_host: Any, port: int, *_arguments: Any, **_more: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.9", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        host = reach(ssh_peer, host="box", known_hosts=str(known), deadline=10)
        await host.open(("cat",))
        assert host.connection.way is Way.UP
        await host.close()
        nowhere = reach(ssh_peer, host="box", deadline=0.5)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_m: two("box", ssh_peer.port)[:1])
        assert "no login within 0.5 s" in await failure(nowhere)


async def test_an_address_to_come_from(reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  BindAddress 127.0.0.7\n")
    host = reach(ssh_peer, config_file=str(config))
    pipe = await host.open(("sh", "-c", "echo $SSH_CLIENT"))
    assert (await pipe.read()).startswith(b"127.0.0.7 ") or sshd.SSHD is None
    await pipe.close(5)
    config.write_text("Host *\n  BindAddress ::1\n")
    assert "no address of ours to come from to 127.0.0.1" in await failure(reach(ssh_peer, config_file=str(config)))


async def test_only_so_many_connect_at_a_time() -> None:
    connects = Connects(limit=5, gap=0)
    now = most = done = 0

    async def take(address: str) -> None:
        nonlocal now, most, done
        async with connects.turn(address):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            done += 1

    await asyncio.gather(*(take(f"host{n}") for n in range(40)))
    assert (most, done) == (5, 40)
    connects, most = Connects(limit=100, gap=0), 0
    await asyncio.gather(*(take("jump") for _ in range(40)))
    assert most == 8


def test_what_many_hosts_need_is_read_once_and_again_when_it_changed() -> None:
    connects, read = Connects(), []
    for mark in (1, 1, 2, 2):
        for name in ("a", "b"):
            connects.once(name, mark, lambda name=name, mark=mark: read.append((name, mark)))  # type: ignore[misc]
    assert read == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


async def test_one_that_is_called_off_gives_its_place_back() -> None:
    connects = Connects(limit=1)
    for _ in range(3):
        async with connects.turn("a"):
            waiting = asyncio.create_task(connects.turn("b").__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    async with connects.turn("b"):
        pass


@needs_sshd
async def test_a_second_connection_where_the_server_wants_few_sessions(reach: Any, tmp_path: Path) -> None:
    with sshd.running(tmp_path, "MaxSessions 1\n") as peer:
        host = reach(peer)
        pipes = [await host.open(("cat",)) for _ in range(3)]
        assert len(lanes(peer)) == 3
        for number, pipe in enumerate(pipes):
            await pipe.write(b"%d" % number)
            assert await pipe.read() == b"%d" % number
        full = await failure(host)
        assert full == "127.0.0.1: it takes no more sessions: 3 are open over 3 connections"
        assert host.connection.way is Way.UP
        await pipes[1].close(5)
        pipe = await host.open(("cat",))
        await pipe.write(b"again")
        assert await pipe.read() == b"again"
        assert await until(lambda: len(lanes(peer)) == 3)
        for each in (pipes[0], pipes[2], pipe):
            await each.close(5)


@needs_sshd
async def test_a_server_that_takes_no_session_at_all(reach: Any, tmp_path: Path) -> None:
    with sshd.running(tmp_path, "MaxSessions 0\n") as peer:
        host = reach(peer)
        assert "no session could be opened" in await failure(host)
        assert len(lanes(peer)) == 1


@needs_sshd
async def test_with_several_connections_one_that_is_lost_is_no_loss_of_the_host(reach: Any, tmp_path: Path) -> None:
    with sshd.running(tmp_path, "MaxSessions 1\n") as peer:
        host = reach(peer)
        first, second = [await host.open(("cat",)) for _ in range(2)]
        for pid in (*sshd.children(lanes(peer)[0]), lanes(peer)[0]):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(UnreachableError, match="Connection lost"):
            await first.read()
        await second.write(b"x")
        assert await second.read() == b"x"
        assert host.connection.way is Way.UP
        await host.open(("cat",))
