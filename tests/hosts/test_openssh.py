"""`ssh` itself as the way to a host, against a real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hosts.child import open_subprocess
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import InputError, UnreachableError
from hosts.openssh import OpenSshHost
from hosts.openssh_argv import ssh_argv, where_known
from hosts.openssh_said import explained
from hosts.pipe import PipeActor
from hosts.ssh import SshSpec
from hosts.standing import KeyChangedError, LoginRefusedError
from tests.peers import sshd
from tests.peers.callers import pid_of, until

needs_both = pytest.mark.skipif(sshd.SSHD is None or shutil.which("ssh") is None, reason="needs OpenSSH")


class Longest(random.Random):
    """Draws the longest wait that may be drawn."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
async def reach(ssh_peer: sshd.SshPeer) -> AsyncIterator[Callable[..., OpenSshHost]]:
    made: list[OpenSshHost] = []

    def make(key: str = "plain", **more: Any) -> OpenSshHost:
        whole: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": ssh_peer.port,
            "identity_file": str(ssh_peer.keys[key]),
            "known_hosts": str(ssh_peer.known_hosts),
            "config_file": None,
        }
        made.append(OpenSshHost(SshSpec(**whole | more), connects=Connects(chance=Longest())))
        return made[-1]

    yield make
    for host in made:
        await host.close()


async def failure(host: OpenSshHost, kind: type[UnreachableError] = UnreachableError) -> str:
    async def whole() -> None:
        pipe = await host.open(("cat",))
        try:
            assert await pipe.read() == b""
        finally:
            await pipe.close(5)

    with pytest.raises(kind) as caught:
        await whole()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def options(argv: tuple[str, ...]) -> list[str]:
    return [value for flag, value in pairwise(argv) if flag == "-o"]


def test_the_argument_vector() -> None:
    spec = SshSpec("box", 2222, "op", "/k h", "/a b/known", "", "/etc/c")
    argv = ssh_argv((spec,), "cat")
    assert argv[0] == "ssh"
    assert argv[-4:] == ("-T", "--", "box", "cat")
    assert {("-p", "2222"), ("-l", "op"), ("-i", "/k h"), ("-F", "/etc/c")} <= set(pairwise(argv))
    assert {
        *("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=3", "ServerAliveCountMax=2"),
        *("ClearAllForwardings=yes", "StrictHostKeyChecking=yes", "ProxyJump=none"),
        'UserKnownHostsFile="/a b/known"',
    } <= set(options(argv))
    assert "StrictHostKeyChecking=accept-new" in options(ssh_argv((SshSpec("box", host_keys="accept-new"),), "cat"))
    assert "-F" not in ssh_argv((SshSpec("box"),), "cat")
    with pytest.raises(InputError, match="cannot be given to ssh"):
        ssh_argv((SshSpec("box", known_hosts='/a"b'),), "cat")
    with pytest.raises(InputError, match="login shell"):
        ssh_argv((SshSpec("gate", known_hosts="/a!b"), SshSpec("box")), "cat")


@needs_both
async def test_a_helper_over_it(reach: Any, image: Any, tmp_path: Path) -> None:
    ssh = reach()
    told: list[Way] = []
    ssh.on_change(lambda now: told.append(now.way))
    host = PipeActor(
        "box", ssh.open, image, python=sys.executable, on_close=ssh.close, connection=lambda: ssh.connection
    )
    assert await pid_of(host)
    assert host.connection == ssh.connection
    counter = tmp_path / "counter"
    await host.call("bump", {"counter": str(counter)}, secrets.token_hex(16), 20)
    assert counter.read_text() == "x"
    await host.close()
    assert told == [Way.CONNECTING, Way.UP, Way.IDLE]


@needs_both
async def test_noise_of_the_login_is_no_answer(reach: Any, image: Any) -> None:
    ssh = reach(key="noisy")
    host = PipeActor("box", ssh.open, image, python=sys.executable, on_close=ssh.close)
    assert await pid_of(host)
    await host.close()


@needs_both
async def test_what_a_caller_is_told_of_a_host_that_is_not_there(reach: Any, image: Any) -> None:
    ssh = reach(port=1)
    host = PipeActor("box", ssh.open, image, python=sys.executable, on_close=ssh.close)
    for said in ("refused", r"127.0.0.1: retry in 1 s \(.*refused"):
        with pytest.raises(UnreachableError, match=said) as caught:
            await host.query("ping", None, 20)
        assert "\n" not in str(caught.value)
    assert ssh.connection.way is Way.WAITING
    await host.close()


async def test_what_is_written_to_a_process_that_ended_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    pipe = await open_subprocess(("true",))
    try:
        assert await pipe.read() == b""
        refused = 0
        async with asyncio.timeout(20):  # its input is closed a moment later than its output
            while refused < 20:
                try:
                    await pipe.write(b"x")
                except UnreachableError:
                    refused += 1
                await asyncio.sleep(0)
        assert not caplog.records
    finally:
        await pipe.close(1)


@needs_both
async def test_a_python_that_is_missing_is_no_lost_connection(reach: Any, image: Any) -> None:
    ssh = reach()
    host = PipeActor("box", ssh.open, image, python="/no/such/python", on_close=ssh.close)
    with pytest.raises(InputError, match="/no/such/python cannot be run on box"):
        await host.query("ping", None, 20)
    assert ssh.connection.way is Way.IDLE
    await host.close()


@needs_both
async def test_keys_of_hosts(reach: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    config = tmp_path / "config"
    config.write_text("StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nNoHostAuthenticationForLocalhost yes\n")
    other = sshd.make_key(tmp_path / "other")
    known = tmp_path / "known"
    known.write_text(f"# one\n[127.0.0.1]:{ssh_peer.port} {sshd.public(other)}\n")
    for rule in ("strict", "accept-new"):
        host = reach(known_hosts=str(known), config_file=str(config), host_keys=rule)
        said = await failure(host)
        assert "its host key has changed, so nothing was sent: " in said
        assert f"{known}:2 has another ED25519 key {sshd.fingerprint(other)}, " in said
        assert f"the host offers {sshd.fingerprint(ssh_peer.folder / 'host_key.pub')}" in said
        assert f"ssh-keygen -R '[127.0.0.1]:{ssh_peer.port}' -f {known}" in said
        assert host.connection.way is Way.KEY_CHANGED
        assert "has changed" in await failure(host, KeyChangedError)
    known.write_text("")
    host = reach(known_hosts=str(known), config_file=str(config))
    said = await failure(host)
    offered = sshd.fingerprint(ssh_peer.folder / "host_key.pub")
    assert f"its host key is unknown: {known} has no key for it, the host offers ssh-ed25519 {offered}" in said
    assert host.connection.way is Way.REFUSED
    assert known.read_text() == ""


@needs_both
async def test_a_login_that_is_refused(reach: Any, tmp_path: Path) -> None:
    host = reach(identity_file=str(sshd.make_key(tmp_path / "stranger")))
    assert "login refused: " in await failure(host)
    assert host.connection.way is Way.REFUSED
    assert "retry in 60 s" in await failure(host)
    await host.retry_now()
    assert "retry" not in await failure(host)


@needs_both
async def test_a_key_whose_path_holds_signs_that_ssh_expands(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path
) -> None:
    path = tmp_path / "100% %h key"
    shutil.copy(ssh_peer.keys["plain"], path)
    pipe = await reach(identity_file=str(path)).open(("echo", "in"))
    assert await pipe.read() == b"in\n"


@needs_both
async def test_what_a_server_says_in_its_banner_is_no_error(reach: Any, tmp_path: Path) -> None:
    banner = tmp_path / "banner"
    banner.write_text("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.\n")
    stranger = sshd.make_key(tmp_path / "stranger")
    with sshd.running(tmp_path, f"Banner {banner}\n") as peer:
        host = reach(port=peer.port, known_hosts=str(peer.known_hosts), identity_file=str(stranger))
        assert "login refused: " in await failure(host)


@needs_both
async def test_a_connection_that_is_lost(reach: Any, ssh_peer: sshd.SshPeer) -> None:
    host = reach()
    pipe = await host.open(("cat",))
    await pipe.write(b"x")
    assert await pipe.read() == b"x"
    assert host.connection.way is Way.UP
    for pid in ssh_peer.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with pytest.raises(UnreachableError):
        await pipe.read()
    assert (host.connection.way, bool(host.connection.reason)) == (Way.WAITING, True)
    await pipe.close(1)
    pipe = await host.open(("sleep", "600"))
    pipe.abort()
    status, _errors = await pipe.ended()
    assert status is not None
    await pipe.close(1)


@needs_both
async def test_the_far_side_ends_when_it_is_closed(reach: Any, ssh_peer: sshd.SshPeer) -> None:
    host = reach()
    pipe = await host.open(("cat",))
    await pipe.write(b"x")
    assert await pipe.read() == b"x"
    await host.close()
    assert await until(lambda: not ssh_peer.sessions())


async def test_without_ssh(reach: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    host = reach()
    with pytest.raises(InputError, match="cannot run ssh"):
        await host.open(("cat",))
    assert host.connection.way is Way.IDLE


@needs_both
async def test_a_command_that_gives_every_key_is_not_asked(reach: Any, tmp_path: Path) -> None:
    known, config = tmp_path / "known", tmp_path / "config"
    known.touch()
    command = tmp_path / "any"
    command.write_text(f'#!/bin/sh\necho "$@"\necho "$@" >>{tmp_path}/asked\n')
    command.chmod(0o755)
    # What others say is to be passed over is passed over still
    config.write_text(f"IgnoreUnknown UseKeychain\nUseKeychain yes\nKnownHostsCommand {command} %H %t %K\n")
    said = await failure(reach(known_hosts=str(known), config_file=str(config)))
    assert "its host key is unknown" in said
    assert not (tmp_path / "asked").exists()


@needs_both
async def test_an_older_ssh_that_knows_no_such_command(
    reach: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "ssh"
    older.write_text(
        '#!/bin/sh\ncase "$*" in *KnownHostsCommand*)\n'
        "  echo command-line: line 0: Bad configuration option: knownhostscommand >&2; exit 255\nesac\n"
        f'exec {shutil.which("ssh")} "$@"\n'
    )
    older.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    where_known.cache_clear()
    try:
        pipe = await reach().open(("echo", "in"))
        assert await pipe.read() == b"in\n"
        await pipe.close(5)
    finally:
        where_known.cache_clear()


@pytest.mark.parametrize(
    ("errors", "kind", "said"),
    [
        (b"", UnreachableError, "box: ssh lost the connection"),
        (
            b"a\r\nTimeout, server \x1b[2Jbox not responding.\r\n",
            UnreachableError,
            "box: Timeout, server ?[2Jbox not responding.",
        ),
        (
            b"op@box: Permission denied (publickey).\n",
            LoginRefusedError,
            "box: login refused: op@box: Permission denied (publickey).",
        ),
        (
            b"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\n\xff",
            KeyChangedError,
            "box: its host key has changed, so nothing was sent: the host offers another",
        ),
        (
            b"Host key verification failed.\n",
            LoginRefusedError,
            "box: its host key is unknown: Host key verification failed.",
        ),
    ],
)
def test_what_ssh_says(errors: bytes, kind: type[Exception], said: str) -> None:
    error = explained((SshSpec("box"),), errors)
    assert type(error) is kind
    assert str(error) == said
