from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.bootstrap import RunnerImage, boot_argv, preamble
from hosts.connects import Connects
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Json
from hosts.local.frames import FrameReader
from hosts.pipe import PipeActor, PipeReader
from hosts.ssh import SshHost, SshSpec, remote_command
from tests.hosts.conftest import make_image
from tests.peers import sshd
from tests.peers.callers import pid_of, until_told

SHELLS = ("bash", "csh", "dash", "fish", "tcsh", "zsh")
WORDS = [
    "plain",
    "",
    "a b",
    "'",
    '"',
    "$HOME",
    "`id`",
    "$(id)",
    "~",
    "*",
    ";",
    "&",
    "|",
    ">x",
    "{a,b}",
    "%",
    "#",
    "=",
    "^",
]


@pytest.fixture
async def connect(ssh_peer: sshd.SshPeer, image: Any) -> AsyncIterator[Callable[..., Any]]:
    """Makes hosts behind the server, each with a connection of its own."""
    made: list[Any] = []

    def make(
        actor: bool = False, python: str = sys.executable, key: str = "plain", keepalive: float = 3, **spec: Any
    ) -> Any:
        whole: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": ssh_peer.port,
            "identity_file": str(ssh_peer.keys[key]),
            "known_hosts": str(ssh_peer.known_hosts),
            "config_file": None,
            **spec,
        }
        ssh = SshHost(SshSpec(**whole), keepalive, connects=Connects(chance=sshd.Soonest()))
        host = (PipeActor if actor else PipeReader)("box", ssh.open, image, python=python, on_close=ssh.close)
        made.append(host)
        return host

    yield make
    for host in made:
        await host.close()


async def failure(host: Any) -> GatewatchError:
    with pytest.raises(GatewatchError) as caught:
        await host.query("ping", None, 20)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.skipif(sshd.SSHD is None, reason="needs the forced commands of OpenSSH's sshd")
async def test_noise_of_the_login_is_no_answer(connect: Any) -> None:
    assert await pid_of(connect(key="noisy"))


@pytest.mark.parametrize("shell", SHELLS)
async def test_any_login_shell_will_do(connect: Any, ssh_peer: sshd.SshPeer, shell: str) -> None:
    if shell not in ssh_peer.keys:
        pytest.skip(f"NOT TESTED: there is no {shell} on this machine")
    assert await pid_of(connect(key=shell))


@pytest.mark.parametrize("shell", SHELLS)
def test_words_come_out_of_a_login_shell_as_they_went_in(shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"NOT TESTED: there is no {shell} on this machine")
    argv = [sys.executable, "-c", "import sys; print(sys.argv[1:])", *WORDS]
    ended = subprocess.run([path, "-c", remote_command(argv)], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == repr(WORDS)


@pytest.mark.parametrize("word", ["a\nb", "!!", "\\'; id; '", "\0", "\x1b", "\u2028", "a\r"])
def test_words_that_some_shell_would_misread_are_refused(word: str) -> None:
    with pytest.raises(InputError, match="login shell"):
        remote_command(["docker", "exec", word])


def test_the_boot_command_is_plain_and_short() -> None:
    command = remote_command(boot_argv("python3"))
    assert command.isascii()
    assert "\n" not in command
    assert len(command) < 2000
    for python in ("", "-c", "a\0b"):
        with pytest.raises(InputError):
            boot_argv(python)


@pytest.mark.parametrize("hurt", [lambda body: body[:-1] + b"!", lambda body: bytes(len(body))])
def test_an_archive_that_arrives_damaged_is_told_and_not_run(hurt: Callable[[bytes], bytes]) -> None:
    line, body = preamble(RunnerImage.of(make_image()), "0123456789abcdef", "reader")
    ended = subprocess.run(boot_argv(sys.executable), input=line + hurt(body), capture_output=True)
    assert (ended.returncode, ended.stderr) == (4, b"")
    assert FrameReader("0123456789abcdef").feed(ended.stdout) == [
        {"failed": "image", "message": "the archive arrived damaged"}
    ]


@pytest.mark.parametrize("jump", ["-oProxyCommand=id", "a b", "$(id)", "gate,-J"])
def test_a_host_to_jump_over_is_a_plain_name(jump: str) -> None:
    with pytest.raises(InputError, match="bad host"):
        SshSpec("box").hops(jump)


@pytest.mark.parametrize("host", ["-oProxyCommand=id", "a b", "a;id", "a\nb", "", "$(id)", "a/b", "é"])
def test_a_host_or_user_is_a_plain_name(host: str) -> None:
    with pytest.raises(InputError, match="bad host"):
        SshSpec(host)
    with pytest.raises(InputError, match="bad user"):
        SshSpec("box", user=host)
    with pytest.raises(InputError, match="bad port"):
        SshSpec("box", port=0)


async def test_an_unknown_host_key_stops_everything(connect: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    known = tmp_path / "known"
    known.write_text("")
    error = await failure(connect(known_hosts=str(known)))
    assert isinstance(error, UnreachableError)
    assert error.code == 4
    assert "unknown" in str(error)
    assert str(known) in str(error)
    assert sshd.fingerprint(ssh_peer.folder / "host_key.pub") in str(error)


async def test_a_changed_host_key_stops_everything(connect: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    other = sshd.make_key(tmp_path / "other")
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{ssh_peer.port} {sshd.public(other)}\n")
    error = await failure(connect(known_hosts=str(known)))
    assert isinstance(error, UnreachableError)
    assert "has changed" in str(error)
    assert str(known) in str(error)
    assert str(error).count("SHA256:") == 2


async def test_a_new_kind_of_host_key_stops_everything(connect: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    other = sshd.make_key(tmp_path / "other", "ecdsa")
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{ssh_peer.port} {sshd.public(other)}\n")
    error = await failure(connect(known_hosts=str(known)))
    assert isinstance(error, UnreachableError)
    assert "has changed" in str(error)
    assert "has ecdsa-sha2-nistp256 SHA256:" in str(error)
    assert "offers ssh-ed25519 SHA256:" in str(error)
    with known.open("a") as file:
        file.write(ssh_peer.known_hosts.read_text())
    assert await pid_of(connect(known_hosts=str(known)))


async def test_a_revoked_host_key_stops_everything(connect: Any, tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    known = tmp_path / "known"
    line = ssh_peer.known_hosts.read_text()
    known.write_text(f"{line}@revoked {line}")
    error = await failure(connect(known_hosts=str(known)))
    assert isinstance(error, UnreachableError)
    assert "revoked" in str(error)


async def test_files_that_are_missing_are_named(connect: Any, tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    error = await failure(connect(known_hosts=none))
    assert isinstance(error, InputError)
    assert none in str(error)
    error = await failure(connect(identity_file=none))
    assert isinstance(error, InputError)
    assert none in str(error)
    (tmp_path / "bad").write_text("this is no key")
    error = await failure(connect(identity_file=str(tmp_path / "bad")))
    assert isinstance(error, InputError)
    assert str(tmp_path / "bad") in str(error)


async def test_a_login_that_is_refused(connect: Any, tmp_path: Path) -> None:
    error = await failure(connect(identity_file=str(sshd.make_key(tmp_path / "stranger"))))
    assert isinstance(error, UnreachableError)
    assert "login refused" in str(error)


async def test_a_host_that_is_not_there(connect: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = await failure(connect(port=closed.getsockname()[1]))
    assert isinstance(error, UnreachableError)
    assert str(error).startswith("127.0.0.1: ")
    error = await failure(connect(host="no-such-host.invalid"))
    assert isinstance(error, UnreachableError)
    assert str(error).startswith("no-such-host.invalid: ")


async def test_a_python_that_is_missing_or_no_python(connect: Any) -> None:
    for python in ("no-such-python", "/no/such/python"):
        error = await failure(connect(python=python))
        assert isinstance(error, InputError)
        assert f"{python} cannot be run on box" in str(error)
        assert "set `python:` in the profile" in str(error)
    assert isinstance(await failure(connect(python="/bin/true")), UnreachableError)
    assert "cat" in str(await failure(connect(python="/bin/cat")))


def old_pythons() -> list[str]:
    return [str(path) for path in sorted(Path.home().glob(".pyenv/versions/[23].[6789]*/bin/python"))]


async def test_a_python_that_is_too_old(connect: Any) -> None:
    if not old_pythons():
        pytest.skip("no old Python here")
    for python in old_pythons():
        version = ".".join(Path(python).parts[-3].split(".")[:2])
        error = await failure(connect(python=python))
        assert isinstance(error, InputError)
        said = version if version.startswith("3") else "older than 3.4"
        assert str(error) == (
            f"{python} on box is {said}; gatewatch needs 3.10 or newer there; set `python:` in the profile"
        )


async def test_nothing_is_written_on_the_host(connect: Any, tmp_path: Path) -> None:
    home = Path.home()
    before = {path for path in (home, home / ".cache", Path("/tmp")) for path in _list(path)}
    await connect().query("ping", None, 20)
    after = {path for path in (home, home / ".cache", Path("/tmp")) for path in _list(path)}
    # Benches and demos of tests that run beside this one make folders of their own there.
    others = ("gatewatch-bench-", "gatewatch-demo-")
    assert not [path for path in after - before if "gatewatch" in path.name and not path.name.startswith(others)]


def _list(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


async def test_one_connection_serves_several_sessions(ssh_peer: sshd.SshPeer, image: Any) -> None:
    ssh = SshHost(
        SshSpec(
            "127.0.0.1",
            ssh_peer.port,
            identity_file=str(ssh_peer.keys["plain"]),
            known_hosts=str(ssh_peer.known_hosts),
            config_file=None,
        )
    )
    hosts = [PipeReader(f"box{n}", ssh.open, image, python=sys.executable) for n in range(3)]
    pids = [await pid_of(host) for host in hosts]
    assert len(set(pids)) == 3
    if ssh_peer.pid is not None:
        assert len([pid for pid in ssh_peer.sessions() if pid in sshd.children(ssh_peer.pid)]) == 1
    for host in hosts:
        await host.close()
    await ssh.close()


async def test_through_another_host(connect: Any, ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    host = connect(proxy_jump=f"127.0.0.1:{ssh_peer.port}")
    assert await pid_of(host)
    config = tmp_path / "config"
    config.write_text(
        f"Host far\n  HostName 127.0.0.1\n  Port {ssh_peer.port}\n  ProxyJump near\n  RequestTTY force\n"
        f"Host near\n  HostName 127.0.0.1\n  Port {ssh_peer.port}\n"
        "Host *\n  UserKnownHostsFile none\n  StrictHostKeyChecking no\n  ForwardAgent yes\n"
    )
    host = connect(host="far", port=None, config_file=str(config))
    assert await pid_of(host)
    # what the configuration says of known hosts does not count, for the host to go through neither
    strict = tmp_path / "known"
    strict.write_text("")
    error = await failure(connect(host="far", port=None, config_file=str(config), known_hosts=str(strict)))
    assert "near: its host key is unknown" in str(error)


@pytest.mark.skipif(sshd.SSHD is None, reason="needs the processes of OpenSSH's sshd")
async def test_a_call_runs_once_although_the_server_kills_its_session(
    connect: Any, ssh_peer: sshd.SshPeer, tmp_path: Path
) -> None:
    chance = random.Random(3)
    host = connect(actor=True)
    await host.query("ping", None, 20)
    for round_ in range(6):
        counter = tmp_path / f"counter{round_}"
        payload: Json = {"counter": str(counter), "takes": 0.05}
        key = secrets.token_hex(16)
        call = asyncio.create_task(host.call("bump", payload, key, 20))
        await asyncio.sleep(chance.uniform(0, 0.1))
        for pid in ssh_peer.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.gather(call, return_exceptions=True)
        await until_told(host, "bump", payload, key)
        assert counter.read_text() == "x"


@pytest.mark.skipif(sshd.SSHD is None, reason="needs the processes of OpenSSH's sshd")
async def test_a_server_that_freezes_is_noticed(connect: Any, ssh_peer: sshd.SshPeer) -> None:
    host = connect(keepalive=0.3)
    await host.query("ping", None, 20)
    waiting = asyncio.create_task(host.query("nap", {"takes": 30}, 40))
    await asyncio.sleep(0.1)
    frozen = ssh_peer.sessions()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(UnreachableError, match=r"box: .*keepalive"):
            await asyncio.wait_for(waiting, 15)
    finally:
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                os.kill(pid, signal.SIGCONT)
    assert await pid_of(host)


def test_asyncssh_is_imported_by_the_first_connection_only() -> None:
    code = "import sys, hosts.ssh, hosts.pipe, hosts.child, hosts.here; print('asyncssh' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
