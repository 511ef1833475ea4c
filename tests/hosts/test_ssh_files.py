"""The files that an ssh configuration names for a host: which are of use, and what is told of the others."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hosts import ssh_config, ssh_files
from hosts.connection import Way
from hosts.errors import InputError, UnreachableError
from hosts.openssh import OpenSshHost
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import is_gone, until

needs_ssh = pytest.mark.skipif(sshd.SSHD is None or shutil.which("ssh") is None, reason="needs OpenSSH")


@pytest.fixture
async def reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ssh_peer: sshd.SshPeer
) -> AsyncIterator[Callable[..., SshHost | OpenSshHost]]:
    """Makes ways to a server, for somebody without an agent whose home holds what the test puts there."""
    (tmp_path / ".ssh").mkdir(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made: list[SshHost | OpenSshHost] = []

    def make(
        config: str, kind: type[SshHost | OpenSshHost] = SshHost, profiled: bool = True, **more: Any
    ) -> SshHost | OpenSshHost:
        path = tmp_path / ".ssh" / "config"
        path.write_text(config)
        spec: dict[str, Any] = {
            "port": ssh_peer.port,
            "config_file": str(path),  # `ssh` looks for its own in the home of the account, whatever HOME says
        }
        known = {"known_hosts": str(ssh_peer.known_hosts)} if profiled else {}
        made.append(kind(SshSpec("127.0.0.1", **spec | known | more)))
        return made[-1]

    yield make
    for host in made:
        await host.close()


async def begun(host: SshHost | OpenSshHost) -> None:
    pipe = await host.open(("cat",))
    try:
        await pipe.write(b"x")
        assert await pipe.read() == b"x"
        assert host.connection.way is Way.UP
    finally:
        await pipe.close(5)


async def failure(host: SshHost | OpenSshHost, kind: type[Exception] = UnreachableError) -> str:
    with pytest.raises(kind) as caught:
        await begun(host)
    return str(caught.value)


@pytest.fixture
def bad(tmp_path: Path) -> list[Path]:
    """Files that are no private keys, each in its own way."""
    garbage = tmp_path / "garbage"
    garbage.write_text("what is this\n")
    return [tmp_path / "missing", tmp_path / ".ssh", garbage, Path(f"{sshd.make_key(tmp_path / 'half')}.pub")]


@pytest.mark.parametrize("only", ["", "IdentitiesOnly yes\n"])
async def test_files_that_are_no_keys_are_passed_over(
    reach: Any, ssh_peer: sshd.SshPeer, bad: list[Path], only: str
) -> None:
    named = "".join(f"IdentityFile {name}\nCertificateFile {name}\n" for name in bad)
    await begun(reach(f"Host *\n{only}{named}", identity_file=str(ssh_peer.keys["plain"])))
    await begun(reach(f"Host *\n{only}{named}IdentityFile {ssh_peer.keys['plain']}\n"))


async def test_one_who_is_not_let_in_is_told_of_them(
    reach: Any, ssh_peer: sshd.SshPeer, bad: list[Path], tmp_path: Path
) -> None:
    (tmp_path / ".ssh" / "id_ed25519").write_bytes(ssh_peer.keys["plain"].read_bytes())
    said = await failure(reach("".join(f"IdentityFile {name}\n" for name in bad) + f"CertificateFile {bad[0]}\n"))
    assert "login refused" in said
    assert f"; the key {bad[0]}: no such file or directory; " in said
    assert f"; the key {bad[1]}: not a file; " in said
    for name in bad[2:]:
        assert f"; the key {name}: Invalid private key; " in said
    assert said.endswith(f"; the certificate {bad[0]}: no such file or directory")


async def test_one_of_the_usual_files_that_is_no_key(reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    usual = tmp_path / ".ssh" / "id_ed25519"
    usual.write_text("what is this\n")
    assert f"; the key {usual}: Invalid private key" in await failure(reach(""))
    (tmp_path / ".ssh" / "id_rsa").write_bytes(ssh_peer.keys["plain"].read_bytes())
    await begun(reach(""))


async def test_one_that_a_profile_names_is_told_by_its_name(reach: Any, bad: list[Path]) -> None:
    for name in bad:
        host = reach(f"IdentityFile {bad[0]}x\n", identity_file=str(name))
        assert f"127.0.0.1: cannot use the identity file {name}: " in await failure(host, InputError)


both = pytest.mark.parametrize("kind", [SshHost, pytest.param(OpenSshHost, marks=needs_ssh)])


@both
async def test_no_host_is_known_yet(reach: Any, kind: type, ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    known = tmp_path / ".ssh" / "known_hosts"
    known.unlink(missing_ok=True)
    host = reach(f"UserKnownHostsFile {known}\n", profiled=False, identity_file=str(ssh_peer.keys["plain"]), kind=kind)
    assert f"its host key is unknown: {known} has no key for it, the host offers " in await failure(host)
    assert not known.exists()
    known.write_text(ssh_peer.known_hosts.read_text())
    await host.retry_now()
    await begun(host)


@both
async def test_a_key_in_the_files_that_the_configuration_names(
    reach: Any, kind: type, ssh_peer: sshd.SshPeer, tmp_path: Path
) -> None:
    line = ssh_peer.known_hosts.read_text()
    spec: dict[str, Any] = {"profiled": False, "identity_file": str(ssh_peer.keys["plain"]), "kind": kind}
    config = f"UserKnownHostsFile {tmp_path}/not-yet {tmp_path}/of-%h\n"
    (tmp_path / "of-127.0.0.1").write_text(line)
    await begun(reach(config, **spec))
    (tmp_path / "of-127.0.0.1").write_text("")
    (tmp_path / ".ssh" / "known_hosts").write_text(line)
    said = await failure(reach(config, **spec))
    assert "its host key is unknown: " in said
    for name in ("not-yet", "of-127.0.0.1"):
        assert str(tmp_path / name) in said.partition(" has no key for it")[0]
    await begun(reach(config, **spec | {"host_keys": "accept-new"}))
    assert (tmp_path / "not-yet").read_text() == line
    (tmp_path / "not-yet").unlink()
    await begun(reach(config, **spec | {"profiled": True}))


@both
@pytest.mark.parametrize("none", ["none", "/dev/null"])
async def test_a_configuration_that_names_no_file_does_not_turn_the_check_off(
    reach: Any, kind: type, none: str, ssh_peer: sshd.SshPeer, tmp_path: Path
) -> None:
    spec: dict[str, Any] = {"profiled": False, "identity_file": str(ssh_peer.keys["plain"]), "kind": kind}
    config = f"StrictHostKeyChecking no\nUserKnownHostsFile {none}\n"
    usual = tmp_path / ".ssh" / "known_hosts"
    usual.write_text(f"[127.0.0.1]:{ssh_peer.port} {sshd.public(sshd.make_key(tmp_path / 'other'))}\n")
    for rule in ("strict", "accept-new"):
        said = await failure(reach(config, **spec | {"host_keys": rule}))
        assert "its host key has changed" in said
        assert str(usual) in said
    usual.write_text(ssh_peer.known_hosts.read_text())
    await begun(reach(config, **spec))


async def test_a_program_to_connect_with_that_is_not_there(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    spec = {"identity_file": str(ssh_peer.keys["plain"])}
    said = await failure(reach("ProxyCommand no-such-program %h %p\n", **spec), InputError)
    assert said.startswith("127.0.0.1: cannot run its ProxyCommand 'no-such-program': ")
    assert "not found" in said
    (tmp_path / "text").write_text("")
    said = await failure(reach(f"ProxyCommand {tmp_path}/text\n", **spec), InputError)
    assert said.startswith(f"127.0.0.1: cannot run its ProxyCommand '{tmp_path}/text': ")
    assert "permission denied" in said.lower()


@needs_ssh
async def test_a_configuration_that_asks_for_what_is_not_known_here(reach: Any, ssh_peer: sshd.SshPeer) -> None:
    config = "KexAlgorithms sntrup761x25519-sha512@openssh.com\n"
    key = str(ssh_peer.keys["plain"])
    assert await failure(reach(config, identity_file=key), InputError) == (
        "127.0.0.1: no common way to encrypt: the ssh configuration names no KexAlgorithms that are known here; "
        "with `transport: openssh` in the profile ssh itself connects"
    )
    await begun(reach(config, OpenSshHost, identity_file=key))
    said = await failure(reach("KexAlgorithms diffie-hellman-group1-sha1\n", identity_file=key))
    assert "no common way to encrypt: No matching key exchange algorithm found, sent diffie-hellman" in said


async def test_a_configuration_that_includes_itself(reach: Any) -> None:
    assert "/.ssh/config: its Include goes in circles" in await failure(reach("Include config\n"), InputError)


async def test_a_configuration_that_cannot_be_read_in_time(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"identity_file": str(ssh_peer.keys["plain"])}
    monkeypatch.setattr(ssh_files, "_READ_CONFIG", 0.5)
    host = reach('Match exec "sleep 5"\n', **spec)
    said = await failure(host)
    assert said == f"127.0.0.1: reading {tmp_path}/.ssh/config takes longer than 0.5 s; does a `Match exec` in it hang?"
    assert host.connection.way is Way.WAITING
    monkeypatch.setattr(ssh_files, "_READ_CONFIG", 20.0)
    (tmp_path / ".ssh" / "config").write_text('Match exec "exit 1"\n  Port 1\n')
    await host.retry_now()
    await begun(host)


async def test_a_program_that_never_ends_leaves_nothing_behind(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_config, "_PATIENCE", 1.5)
    runs = tmp_path / "runs"
    hangs = f"echo $$ >>{runs}; sleep 4001 & echo $! >>{runs}; wait"
    host = reach(f'Match exec "{hangs}"\n', identity_file=str(ssh_peer.keys["plain"]))
    said = await failure(host)
    assert said == f"127.0.0.1: reading {tmp_path}/.ssh/config takes longer than 5 s; does a `Match exec` in it hang?"
    assert host.connection.way is Way.WAITING
    shell, child = map(int, runs.read_text().split())
    assert await until(lambda: is_gone(shell) and is_gone(child))
    assert await until(lambda: "ssh config" not in [thread.name for thread in threading.enumerate()])


_QUIT = """
import pathlib, sys, threading, time
from hosts import ssh_config
pid = pathlib.Path(sys.argv[1])
command = (f"echo $$ >{pid}; sleep 4001; true", {}, time.monotonic() + 600)
threading.Thread(target=ssh_config._runs, args=command, daemon=True).start()
while not (pid.is_file() and pid.read_text()):
    time.sleep(0.01)
"""


async def test_a_program_that_never_ends_does_so_with_us(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    us = await asyncio.create_subprocess_exec(sys.executable, "-c", _QUIT, str(pid))
    assert await us.wait() == 0
    assert await until(lambda: is_gone(int(pid.read_text())))


_TERMINAL = """
import fcntl, sys, termios, time
from hosts import ssh_config
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(not ssh_config._runs("tty </dev/tty", {}, time.monotonic() + 30))
"""


async def test_a_program_has_our_terminal() -> None:
    ours, theirs = os.openpty()
    try:
        us = await asyncio.create_subprocess_exec(sys.executable, "-c", _TERMINAL, stdin=theirs, start_new_session=True)
        assert await us.wait() == 0
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("final", ["", "Match final host *\n  ServerAliveInterval 7\n"])
async def test_a_configuration_is_read_once_for_a_connection(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path, final: str
) -> None:
    """What it runs (`Match exec`) may cost a person a touch, or a name server its patience."""
    key, known = str(ssh_peer.keys["plain"]), tmp_path / "known"
    config = f'Match exec "echo x >>{tmp_path}/runs"\n  IdentityFile {key}\n  UserKnownHostsFile {known}\n{final}'
    await begun(reach(config, host_keys="accept-new", profiled=False))
    assert known.read_text() == ssh_peer.known_hosts.read_text()
    # With `Match final` ssh itself reads it twice
    assert (tmp_path / "runs").read_text() == ("x\nx\n" if final else "x\n")


@needs_ssh
async def test_the_way_of_ssh_itself_is_asked_for_once_while_it_is_up(
    reach: Any, ssh_peer: sshd.SshPeer, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    config = f'Match exec "echo x >>{runs}"\n  IdentityFile {ssh_peer.keys["plain"]}\n'
    host = reach(config, OpenSshHost)
    first = await host.open(("cat",))
    await first.write(b"x")
    assert await first.read() == b"x"
    assert runs.read_text() == "x\n" * 2  # to know the way, and by the process itself
    await begun(host)
    assert runs.read_text() == "x\n" * 3
    await first.close(5)
