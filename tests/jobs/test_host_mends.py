"""What `hosts check` says mends a way: the command is run, and the next check sees that it did."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from gates.calibration.precheck import Item
from hosts.connects import Connects
from hosts.profiles import HostProfile, Ssh
from jobs.connect import open_reader
from jobs.host_check import check_host
from tests.hosts.test_ssh_login import Person, agent, allowing  # noqa: F401 - a fixture
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without keys, agent and known hosts."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as peer:
        yield peer


async def first(profile: HostProfile, connects: Connects | None = None) -> Item:
    """The first line of a check."""
    reader = await asyncio.to_thread(open_reader, profile, connects)
    try:
        return (await check_host(reader, profile, 20)).items[0]
    finally:
        await reader.close()


async def run(*words: str) -> str:
    child = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await child.communicate()
    return said.decode()


async def mended(profile: HostProfile, config: Path | None, *more: str) -> Item:
    """The first line after the command that mends it was run by a person who says yes."""
    item = await first(profile)
    assert "its host key is unknown" in item.detail or "no known_hosts file" in item.detail
    assert item.mend is not None
    program, *words = shlex.split(item.mend)
    words = [word.replace("=ask", "=accept-new") for word in words]
    await run(program, "-F", str(config) if config is not None else "none", *more, *words)
    return await first(profile)


async def test_checking_that_the_configuration_turns_off(peer: sshd.SshPeer, tmp_path: Path) -> None:
    config = tmp_path / ".ssh/config"
    off = "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"
    config.write_text(f"{off}Host lab\n  HostName 127.0.0.1\n  Port {peer.port}\n  IdentityFile {peer.keys['plain']}\n")
    item = await mended(HostProfile(name="lab", launcher="ssh", ssh=Ssh(host="lab")), config)
    assert item.ok, item.detail


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_a_file_of_known_hosts_with_a_blank_in_its_path(
    peer: sshd.SshPeer, tmp_path: Path, transport: Literal["asyncssh", "openssh"]
) -> None:
    known = tmp_path / "my 100% hosts"
    known.touch()
    way = Ssh(host="127.0.0.1", port=peer.port, identity_file=str(peer.keys["plain"]), known_hosts=str(known))
    item = await mended(
        HostProfile(name="box", launcher="ssh", ssh=way.model_copy(update={"transport": transport})), None
    )
    assert item.ok, item.detail
    assert not (tmp_path / "my").exists()


@pytest.mark.parametrize("configured", [False, True])
async def test_the_key_of_a_host_on_the_way(peer: sshd.SshPeer, tmp_path: Path, configured: bool) -> None:
    known = tmp_path / "known"
    known.write_text(peer.known_hosts.read_text().replace("127.0.0.1", "localhost"))
    config = tmp_path / ".ssh/config"
    config.write_text(f"Host localhost\n  ProxyJump 127.0.0.1:{peer.port}\n" if configured else "")
    way = Ssh(
        host="localhost",
        port=peer.port,
        identity_file=str(peer.keys["plain"]),
        known_hosts=str(known),
        proxy_jump=None if configured else f"127.0.0.1:{peer.port}",
    )
    item = await mended(HostProfile(name="deep", launcher="ssh", ssh=way), config)
    assert item.ok, item.detail


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_a_key_with_a_passphrase_wants_an_agent(
    peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: Literal["asyncssh", "openssh"]
) -> None:
    key = tmp_path / "a key"
    await run("ssh-keygen", "-q", "-t", "ecdsa", "-m", "PKCS8", "-N", "open sesame", "-f", str(key))
    way = Ssh(
        host="127.0.0.1",
        port=peer.port,
        identity_file=str(key),
        known_hosts=str(peer.known_hosts),
        transport=transport,
    )
    profile = HostProfile(name="box", launcher="ssh", ssh=way)
    item = await first(profile)
    assert (item.ok, item.mend) == (False, f"ssh-add '{key}'")
    socket = tmp_path / "agent"
    running = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", socket, stdout=asyncio.subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("SSH_ASKPASS", str(tmp_path / "says"))
        monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
        (tmp_path / "says").write_text("#!/bin/sh\necho open sesame\n")
        os.chmod(tmp_path / "says", 0o700)
        async with asyncio.timeout(30):
            while "Identity added" not in (said := await run(*shlex.split(item.mend or ""))):  # the agent may not be up
                assert "Could not open a connection" in said or "Error connecting" in said
                await asyncio.sleep(0.05)
        item = await first(profile)  # whose key it is, the host does not know
        assert (item.ok, (item.mend or "").split()[0]) == (False, "ssh-copy-id")
    finally:
        running.kill()
        await running.wait()


@pytest.mark.parametrize("answers", [["wrong"] * 3, ["wrong", None], [None]])
async def test_a_passphrase_that_was_not_the_right_one(
    peer: sshd.SshPeer, tmp_path: Path, answers: list[str | None]
) -> None:
    key = tmp_path / "key"
    await run("ssh-keygen", "-q", "-t", "ecdsa", "-m", "PKCS8", "-N", "open sesame", "-f", str(key))
    way = Ssh(host="127.0.0.1", port=peer.port, identity_file=str(key), known_hosts=str(peer.known_hosts))
    profile = HostProfile(name="box", launcher="ssh", ssh=way)
    with allowing(peer, key):
        item = await first(profile, Connects(asker=Person(*answers)))
        assert (item.ok, item.mend) == (False, f"ssh-add {key}")
        told = "does not open the key: the" if answers[-1] else "the"
        assert f"{told} passphrase of {key}" in item.detail
        assert (await first(profile, Connects(asker=Person("wrong", "open sesame")))).ok


async def test_an_agent_with_more_keys_than_a_host_looks_at(
    tmp_path: Path,
    agent: Callable[..., str],  # noqa: F811 - a fixture
) -> None:
    """Of one that hung up, a key that is sent there changes nothing."""
    agent(*(str(sshd.make_key(tmp_path / f"foreign{number}")) for number in range(8)))
    (tmp_path / "peer").mkdir()
    with sshd.running(tmp_path / "peer") as peer:
        for transport in ("asyncssh", "openssh"):
            known = str(peer.known_hosts)
            way = Ssh(host="127.0.0.1", port=peer.port, known_hosts=known, transport=transport)
            item = await first(HostProfile(name="box", launcher="ssh", ssh=way))
            assert "login refused" in item.detail
            assert (item.ok, item.mend) == (False, None)
            assert "; name the key of this host as ssh.identity_file of the profile" in item.detail


async def test_what_cannot_hold_a_key_is_named(peer: sshd.SshPeer, tmp_path: Path) -> None:
    found = []
    for known in (tmp_path, tmp_path / "none/known"):
        way = Ssh(host="127.0.0.1", port=peer.port, identity_file=str(peer.keys["plain"]), known_hosts=str(known))
        item = await first(HostProfile(name="box", launcher="ssh", ssh=way))
        assert (item.ok, item.mend) == (False, None)
        found.append(item.detail.rpartition("; ")[2])
    assert found == [
        f"{tmp_path} is no file: name one as ssh.known_hosts of the profile",
        f"make the folder {tmp_path}/none, in which a key can then be kept, and check again",
    ]


@pytest.mark.usefixtures("anybody")
async def test_a_file_of_known_hosts_that_may_not_be_read_is_named(peer: sshd.SshPeer, tmp_path: Path) -> None:
    closed, other, key = tmp_path / "closed", tmp_path / "other", str(peer.keys["plain"])
    closed.touch(mode=0)
    other.touch()
    config = tmp_path / ".ssh" / "config"
    config.write_text(f"UserKnownHostsFile {closed} {other}\n")
    for known, say in ((str(closed), f"the known_hosts file {closed}: "), (None, f"{closed} cannot be read: ")):
        way = Ssh(host="127.0.0.1", port=peer.port, identity_file=key, known_hosts=known)
        item = await first(HostProfile(name="box", launcher="ssh", ssh=way))
        assert (item.ok, item.mend) == (False, None)
        assert say in item.detail
        assert item.detail.endswith(f"; make {closed} a file that can be read here, and check again")
    # Where only another one is, ssh can still add the key
    config.write_text(f"UserKnownHostsFile {other} {closed}\n")
    profile = HostProfile(name="box", launcher="ssh", ssh=Ssh(host="127.0.0.1", port=peer.port, identity_file=key))
    item = await mended(profile, config)
    assert item.ok
    assert f"127.0.0.1]:{peer.port} " in other.read_text()


async def test_a_configuration_that_asks_for_what_is_not_known_here(peer: sshd.SshPeer, tmp_path: Path) -> None:
    (tmp_path / ".ssh" / "config").write_text("KexAlgorithms sntrup761x25519-sha512@openssh.com\n")
    way = Ssh(
        host="127.0.0.1", port=peer.port, identity_file=str(peer.keys["plain"]), known_hosts=str(peer.known_hosts)
    )
    item = await first(HostProfile(name="box", launcher="ssh", ssh=way))
    assert (item.ok, item.mend) == (False, None)
    assert "no common way to encrypt" in item.detail
    assert item.detail.endswith("; correct that in the profile, or in the ssh configuration")


async def test_a_host_with_neither_python_nor_sftp_is_told_to_lack_them(peer: sshd.SshPeer) -> None:
    way = Ssh(
        host="127.0.0.1", port=peer.port, identity_file=str(peer.keys["plain"]), known_hosts=str(peer.known_hosts)
    )
    item = await first(HostProfile(name="box", launcher="ssh", ssh=way, python="/nonexistent/python3"))
    assert (item.ok, item.mend) == (False, None)
    assert "no python there" in item.detail
    assert item.detail.endswith(
        "; install Python 3.10 or newer there (python: of the profile says where), or allow SFTP"
    )
