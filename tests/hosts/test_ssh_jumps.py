"""Through one host and several, as a profile or an ssh configuration names them, with asyncssh and with `ssh`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hosts.bootstrap import RunnerImage
from hosts.connection import Way
from hosts.errors import InputError, UnreachableError
from hosts.openssh import OpenSshHost
from hosts.pipe import PipeReader
from hosts.session import BytePipe
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import until

pytestmark = [
    pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd"),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's ssh"),
]

Host = SshHost | OpenSshHost


@dataclass
class Three:
    """Three servers that let the same key in; `known` knows them all."""

    gate: sshd.SshPeer
    near: sshd.SshPeer
    far: sshd.SshPeer
    key: Path
    known: Path

    def config(self, folder: Path, *lines: str) -> str:
        path = folder / "config"
        blocks = [
            f"Host {name}\n  HostName 127.0.0.1\n  Port {peer.port}\n"
            for name, peer in (("gate", self.gate), ("near", self.near), ("far", self.far))
        ]
        path.write_text("".join(f"{line}\n" for line in lines) + "".join(blocks))
        return str(path)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    folder = tmp_path_factory.mktemp("three")
    with contextlib.ExitStack() as stack:
        peers = []
        for name in ("gate", "near", "far"):
            (folder / name).mkdir()
            peers.append(stack.enter_context(sshd.running(folder / name)))
        key = sshd.make_key(folder / "key")
        for peer in peers:
            with (peer.folder / "allowed").open("a") as file:
                file.write(f"{sshd.public(key)}\n")
        known = folder / "known 100% hosts"
        known.write_text("".join(peer.known_hosts.read_text() for peer in peers))
        gate, near, far = peers
        yield Three(gate, near, far, key, known)


@pytest.fixture(params=["asyncssh", "openssh"])
async def reach(request: pytest.FixtureRequest, three: Three) -> AsyncIterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(host: str, **more: Any) -> Host:
        spec = SshSpec(host, **{"identity_file": str(three.key), "known_hosts": str(three.known)} | more)
        made.append(SshHost(spec) if request.param == "asyncssh" else OpenSshHost(spec))
        return made[-1]

    yield make
    for host in made:
        await host.close()


async def begin(host: Host) -> tuple[BytePipe, int]:
    """Run a command there; the port of the server that does."""
    pipe = await host.open(("sh", "-c", 'echo "$SSH_CONNECTION" && cat'))
    told = b""
    while not told.endswith(b"\n"):
        some = await pipe.read()
        assert some, await pipe.ended()
        told += some
    return pipe, int(told.split()[3])


async def came_from(host: Host) -> int:
    pipe, port = await begin(host)
    await pipe.close(5)
    return port


async def failure(host: Host) -> str:
    with pytest.raises(UnreachableError) as caught:
        await came_from(host)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def served(*peers: sshd.SshPeer) -> list[bool]:
    """Which of them hold a connection now."""
    return [bool(peer.pid and sshd.children(peer.pid)) for peer in peers]


async def test_through_hosts_that_a_profile_names(reach: Any, three: Three, tmp_path: Path) -> None:
    config = three.config(tmp_path)
    host = reach("far", proxy_jump="gate, near", config_file=config)
    pipe, port = await begin(host)
    assert port == three.far.port
    assert served(three.gate, three.near, three.far) == [True] * 3
    await pipe.close(5)
    await host.close()
    assert await until(lambda: not any(served(three.gate, three.near, three.far)))
    by_port = f"127.0.0.1:{three.gate.port},[127.0.0.1]:{three.near.port}"
    host = reach("127.0.0.1", port=three.far.port, proxy_jump=by_port, config_file=None)
    assert await came_from(host) == three.far.port


async def test_through_hosts_that_a_configuration_names(reach: Any, three: Three, tmp_path: Path) -> None:
    (tmp_path / "included").write_text("Host f?r !fur\n  ProxyJump near\nHost near\n  ProxyJump gate\n")
    config = three.config(tmp_path, f"Include {tmp_path}/inc*", "Host *", "  RequestTTY force", "  RemoteCommand false")
    host = reach("far", config_file=config)
    pipe, port = await begin(host)
    assert port == three.far.port
    assert served(three.gate, three.near, three.far) == [True] * 3
    await pipe.close(5)


async def test_a_jump_for_all_hosts_is_none_for_itself(reach: Any, three: Three, tmp_path: Path) -> None:
    config = three.config(tmp_path, "Host *", "  ProxyJump gate")
    assert await came_from(reach("far", config_file=config)) == three.far.port
    assert await came_from(reach("gate", config_file=config)) == three.gate.port


async def test_a_configuration_that_goes_in_circles(reach: Any, three: Three, tmp_path: Path) -> None:
    lines = ("Host far", "  ProxyJump near", "Host near", "  ProxyJump gate", "Host gate", "  ProxyJump near")
    with pytest.raises(InputError, match="ProxyJump circle"):
        await reach("far", config_file=three.config(tmp_path, *lines)).open(("cat",))


async def test_every_host_on_the_way_is_checked_whatever_the_configuration_says(
    reach: Any, three: Three, tmp_path: Path
) -> None:
    config = three.config(
        tmp_path, "Host *", "  StrictHostKeyChecking no", f"  UserKnownHostsFile {tmp_path}/any", "  LogLevel DEBUG"
    )
    for missing in (three.gate, three.near, three.far):
        known = tmp_path / f"without{missing.port}"
        lines = three.known.read_text().splitlines(keepends=True)
        known.write_text("".join(line for line in lines if f":{missing.port} " not in line))
        said = await failure(reach("far", proxy_jump="gate,near", config_file=config, known_hosts=str(known)))
        assert "host key is unknown" in said
        known.write_text(known.read_text() + f"[127.0.0.1]:{missing.port} {sshd.public(three.key)}\n")
        host = reach("far", proxy_jump="gate,near", config_file=config, known_hosts=str(known), host_keys="accept-new")
        said = await failure(host)
        assert "its host key has changed" in said
        assert f"{known}:3" in said
        assert f"ssh-keygen -R '[127.0.0.1]:{missing.port}' -f {known}" in said
        assert host.connection.way is Way.KEY_CHANGED
        known.write_text("".join(line for line in lines if f":{missing.port} " not in line))
        host = reach("far", proxy_jump="gate,near", config_file=config, known_hosts=str(known), host_keys="accept-new")
        assert await came_from(host) == three.far.port
        assert sorted(known.read_text().split()) == sorted(three.known.read_text().split())
    assert not (tmp_path / "any").exists()


async def test_a_jump_that_dies_and_comes_back(reach: Any, three: Three, tmp_path: Path) -> None:
    host = reach("far", proxy_jump="gate,near", config_file=three.config(tmp_path))
    for peer in (three.gate, three.near):
        pipe = await host.open(("cat",))
        await pipe.write(b"x")
        assert await pipe.read() == b"x"
        assert host.connection.way is Way.UP
        for pid in peer.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(UnreachableError):
            assert await pipe.read() == b""
        await pipe.close(5)
        assert await until(lambda: host.connection.way is Way.WAITING)
        assert host.connection.reason
        await host.retry_now()
        assert await came_from(host) == three.far.port
    assert peer.pid is not None


async def test_a_jump_that_is_not_there(reach: Any, three: Three, tmp_path: Path) -> None:
    config = three.config(tmp_path, "Host nowhere", "  HostName 127.0.0.1", "  Port 1")
    for jumps in ("nowhere", "nowhere,near", "gate,nowhere", "gate,nowhere,near"):
        host = reach("far", proxy_jump=jumps, config_file=config)
        said = await failure(host)
        assert "on the way there, nowhere: " in said
        assert "refused" in said or "cannot be reached from the host before it" in said
        assert host.connection.way is Way.WAITING
        assert host.connection.reason.startswith("on the way there, nowhere: ")
    said = await failure(reach("nowhere", proxy_jump="gate", config_file=config))
    assert "on the way there" not in said
    assert "refused (127.0.0.1 port 1)" in said or "it cannot be reached from the host before it" in said
    assert "port 1" in await failure(reach("nowhere", config_file=config))


async def test_what_is_wrong_with_a_jump_is_said_of_it(reach: Any, three: Three, tmp_path: Path) -> None:
    config = three.config(tmp_path)
    without = tmp_path / "without"
    lines = three.known.read_text().splitlines(keepends=True)
    without.write_text("".join(line for line in lines if f":{three.near.port} " not in line))
    host = reach("far", proxy_jump="gate,near", config_file=config, known_hosts=str(without))
    said = await failure(host)
    assert f"on the way there, near: its host key is unknown: {without} has no key for it" in said
    assert f"the host offers ssh-ed25519 {sshd.fingerprint(three.near.folder / 'host_key')}; " in said
    without.write_text("".join(line for line in lines if f":{three.far.port} " not in line))
    host = reach("far", proxy_jump="gate,near", config_file=config, known_hosts=str(without))
    said = await failure(host)
    assert "on the way" not in said
    assert f"the host offers ssh-ed25519 {sshd.fingerprint(three.far.folder / 'host_key')}; " in said
    stranger = str(sshd.make_key(tmp_path / "stranger"))
    host = reach("far", proxy_jump="near", config_file=config, identity_file=stranger)
    assert "on the way there, near: login refused" in await failure(host)


async def test_of_a_way_that_broke_no_helper_is_to_blame(reach: Any, three: Three, tmp_path: Path) -> None:
    config = three.config(tmp_path, "Host nowhere", "  HostName 127.0.0.1", "  Port 1")
    host = reach("far", proxy_jump="nowhere", config_file=config)
    reader = PipeReader("box", host.open, RunnerImage.of(b""), on_close=host.close)
    with pytest.raises(UnreachableError) as caught:
        await reader.query("ping", None, 20)
    await reader.close()
    assert "on the way there, nowhere: " in str(caught.value)
    assert "helper" not in str(caught.value)
