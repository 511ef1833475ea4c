"""Which host keys are taken, which are written down, and that nothing turns the check off."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from hosts.connection import Way
from hosts.errors import UnreachableError
from hosts.ssh import SshHost, SshSpec
from hosts.standing import KeyChangedError, LoginRefusedError
from tests.peers import sshd


class Reach:
    """One way to the server, with known_hosts at `known`."""

    def __init__(self, peer: sshd.SshPeer, known: Path, **more: str) -> None:
        spec = {"config_file": None, "host_keys": "accept-new", **more}
        self.host = SshHost(
            SshSpec("127.0.0.1", peer.port, None, str(peer.keys["plain"]), str(known), **spec)  # type: ignore[arg-type]
        )

    async def up(self) -> None:
        try:
            pipe = await self.host.open(("cat",))
            await pipe.close(5)
            assert self.host.connection.way is Way.UP
        finally:
            await self.host.close()

    async def refused(self, kind: type[UnreachableError] = LoginRefusedError) -> str:
        with pytest.raises(kind) as caught:
            await self.host.open(("cat",))
        await self.host.close()
        return str(caught.value)


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def line_of(peer: sshd.SshPeer) -> str:
    return f"[127.0.0.1]:{peer.port} {sshd.public(peer.folder / 'host_key')}\n"


@pytest.mark.parametrize("before", ["", "# ours\n", "# ours", "far ssh-ed25519 AAAA\n\n", "what is this"])
async def test_a_new_key_is_added_once_as_a_line_of_its_own(
    ssh_peer: sshd.SshPeer, tmp_path: Path, before: str
) -> None:
    known = tmp_path / "known"
    known.write_text(before)
    for _ in range(2):
        await Reach(ssh_peer, known).up()
        newline = "" if before.endswith("\n") or not before else "\n"
        assert known.read_text() == before + newline + line_of(ssh_peer)
    await Reach(ssh_peer, known, host_keys="strict").up()


async def test_a_known_hosts_file_is_made_for_its_owner_alone(ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    known = tmp_path / "new" / "folder" / "known"
    await Reach(ssh_peer, known).up()
    assert known.read_text() == line_of(ssh_peer)
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    assert stat.S_IMODE(known.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("hashed", [False, True])
async def test_a_changed_key_is_never_taken(ssh_peer: sshd.SshPeer, tmp_path: Path, hashed: bool) -> None:
    known = tmp_path / "known"
    other = sshd.make_key(tmp_path / "other", "ecdsa")
    known.write_text(f"# one\nfar,[127.0.0.1]:{ssh_peer.port} {sshd.public(other)}\n")
    if hashed:
        run("ssh-keygen", "-q", "-H", "-f", str(known))
    before = known.read_text()
    number = len(before.splitlines())
    for rule in ("accept-new", "strict"):
        said = await Reach(ssh_peer, known, host_keys=rule).refused(KeyChangedError)
        assert f"{known}:{number} has ecdsa-sha2-nistp256 {sshd.fingerprint(other)}" in said
    assert known.read_text() == before
    mend = said.rpartition("remove the old one: ")[2]
    run("sh", "-c", mend)
    await Reach(ssh_peer, known).up()


async def test_the_key_of_another_port_is_no_key_of_this_one(ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    known = tmp_path / "known"
    line = f"127.0.0.1 {sshd.public(sshd.make_key(tmp_path / 'other'))}\n"
    known.write_text(line)
    assert "its host key is unknown" in await Reach(ssh_peer, known, host_keys="strict").refused()
    await Reach(ssh_peer, known).up()
    assert known.read_text() == line + line_of(ssh_peer)


@pytest.mark.parametrize("marker", ["@cert-authority", "@revoked"])
async def test_a_host_with_an_authority_or_a_revoked_key_is_not_new(
    ssh_peer: sshd.SshPeer, tmp_path: Path, marker: str
) -> None:
    known = tmp_path / "known"
    other = sshd.make_key(tmp_path / "other")
    known.write_text(f"{marker} [127.0.0.1]:* {sshd.public(other)}\n")
    said = await Reach(ssh_peer, known).refused()
    assert f"{known}:1 has {marker[1:]} ssh-ed25519 {sshd.fingerprint(other)}" in said
    assert "\n[" not in known.read_text()


@pytest.mark.usefixtures("anybody")
async def test_a_key_that_cannot_be_written_down_is_not_taken(tmp_path: Path, ssh_peer: sshd.SshPeer) -> None:
    known = tmp_path / "known"
    known.touch(mode=0o400)
    assert "cannot be added to" in await Reach(ssh_peer, known).refused()
    assert known.read_text() == ""


async def test_nothing_in_the_ssh_configuration_turns_the_check_off(ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    known = tmp_path / "known"
    config = tmp_path / "config"
    config.write_text(
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nGlobalKnownHostsFile none\nCheckHostIP no\n"
        "NoHostAuthenticationForLocalhost yes\nVerifyHostKeyDNS yes\nKnownHostsCommand /bin/true\n"
        "Host 127.*\n  StrictHostKeyChecking off\n"
    )
    known.touch()
    settings = {"host_keys": "strict", "config_file": str(config)}
    assert "its host key is unknown" in await Reach(ssh_peer, known, **settings).refused()
    known.write_text(f"[127.0.0.1]:{ssh_peer.port} {sshd.public(sshd.make_key(tmp_path / 'other'))}\n")
    for rule in ("accept-new", "strict"):
        await Reach(ssh_peer, known, **settings | {"host_keys": rule}).refused(KeyChangedError)
