"""Which host keys are taken, which are written down, and that nothing turns the check off."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hosts import ssh_files, ssh_keys
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import InputError, UnreachableError
from hosts.ssh import SshHost, SshSpec
from hosts.ssh_keys import Offer, remember
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


_BAD_KEY = b"ssh-dss AAAAB3NzaC1kc3MAAAABAQAAAAH/AAAAAf8AAAAB/w=="
_PASSED_OVER = [
    b"# B\374ro",
    b"foo",
    b"foo ",
    b"@weird foo ssh-ed25519 AAAA",
    b"@revoked",
    b"|1|x| KEY",
    b"|9|YQ==|YQ== KEY",
    b"foo " + _BAD_KEY,
    b"foo 0\0",
    b"foo 0\0 AAAA",
    b"\0\377\r",
]


@pytest.mark.parametrize("line", _PASSED_OVER)
async def test_a_line_that_says_nothing_costs_none_of_the_others(
    ssh_peer: sshd.SshPeer, tmp_path: Path, line: bytes
) -> None:
    known = tmp_path / "known"
    good = line_of(ssh_peer).encode()
    line = line.replace(b"KEY", good.partition(b" ")[2].rstrip())
    for written in (line + b"\n" + good, good + line):
        known.write_bytes(written)
        await Reach(ssh_peer, known, host_keys="strict").up()
    known.write_bytes(line + b"\n" + good.replace(b"127.0.0.1", b"127.0.0.2") + line)
    assert "its host key is unknown" in await Reach(ssh_peer, known, host_keys="strict").refused()


@pytest.mark.parametrize("comment", [b" B\374ro", " Büro".encode(), b"\r", b"\0", b" a\fb\x1c"])
async def test_a_key_counts_whatever_its_comment_is(ssh_peer: sshd.SshPeer, tmp_path: Path, comment: bytes) -> None:
    known = tmp_path / "known"
    good = line_of(ssh_peer).encode().rstrip()
    known.write_bytes(good + comment + b"\n")
    await Reach(ssh_peer, known, host_keys="strict").up()
    known.write_bytes(good + b"\nfoo\n@revoked * " + good.partition(b" ")[2] + comment + b"\n")
    assert "revoked" in await Reach(ssh_peer, known).refused()
    other = sshd.public(sshd.make_key(tmp_path / "other")).encode()
    known.write_bytes(b"foo\n" + good.partition(b" ")[0] + b" " + other + comment + b"\n")
    assert f"{known}:2 has ssh-ed25519" in await Reach(ssh_peer, known).refused(KeyChangedError)


@pytest.mark.parametrize("sign", ["é", "\uff1f", "\x7f", "!", "\x1c", "\x85", "\xa0", "\u2028", b"\xff"])
async def test_a_key_that_is_damaged_is_none_but_still_taken_back(
    ssh_peer: sshd.SshPeer, tmp_path: Path, sign: str | bytes
) -> None:
    known = tmp_path / "known"
    name, kind, key = line_of(ssh_peer).encode().split()
    within = sign if isinstance(sign, bytes) else sign.encode()
    for damaged in (key[:20] + within + key[20:], key + within):
        known.write_bytes(b"%s %s %s\n" % (name, kind, damaged))
        assert "its host key is unknown" in await Reach(ssh_peer, known, host_keys="strict").refused()
        known.write_bytes(b"%s %s %s\n@revoked * %s %s c\n" % (name, kind, key, kind, damaged))
        assert "revoked" in (await Reach(ssh_peer, known).refused()).replace(str(tmp_path), "")


@pytest.mark.parametrize("blank", [b"\r", b"\f", b"\v"])
async def test_blanks_that_ssh_passes_over_damage_no_key(ssh_peer: sshd.SshPeer, tmp_path: Path, blank: bytes) -> None:
    known = tmp_path / "known"
    name, kind, key = line_of(ssh_peer).encode().split()
    for written in (key[:20] + blank + key[20:], key + blank):
        known.write_bytes(b"%s %s %s\n" % (name, kind, written))
        await Reach(ssh_peer, known, host_keys="strict").up()
    known.write_bytes(b"%s %s %s %s\n" % (name, kind, blank, key))
    assert "its host key is unknown" in await Reach(ssh_peer, known, host_keys="strict").refused()


@pytest.mark.parametrize("sign", ["\r", "\f", "\x1c", "\x85", "\u2028"])
async def test_only_the_end_of_a_line_ends_it(ssh_peer: sshd.SshPeer, tmp_path: Path, sign: str) -> None:
    known = tmp_path / "known"
    known.write_bytes(f"# not ours:{sign}{line_of(ssh_peer)}".encode())
    assert "its host key is unknown" in await Reach(ssh_peer, known, host_keys="strict").refused()


@pytest.mark.usefixtures("anybody")
async def test_a_file_that_may_not_be_read_costs_none_of_the_others(ssh_peer: sshd.SshPeer, tmp_path: Path) -> None:
    good, closed, config = tmp_path / "good", tmp_path / "closed", tmp_path / "config"
    good.write_text(line_of(ssh_peer))
    closed.write_text(f"{line_of(ssh_peer).split()[0]} {sshd.public(sshd.make_key(tmp_path / 'other'))}\n")
    closed.chmod(0)

    def host(names: str, rule: str) -> Reach:
        config.write_text(f"UserKnownHostsFile {names}\n")
        reach = Reach(ssh_peer, good)
        key = str(ssh_peer.keys["plain"])
        spec = SshSpec("127.0.0.1", ssh_peer.port, None, key, config_file=str(config), host_keys=rule)  # type: ignore[arg-type]
        reach.host = SshHost(spec)
        return reach

    for names in (f"{good} {closed}", f"{closed} {good}"):
        await host(names, "strict").up()
    good.write_text("")
    for rule in ("strict", "accept-new"):
        # Nobody knows whether it is new
        said = await host(f"{good} {closed}", rule).refused()
        assert f"its host key is unknown: {good}, {closed} has no key for it" in said
        assert f"{closed} cannot be read: permission denied" in said
    assert good.read_text() == ""
    reach = host(f"{good} {closed}", "strict")
    with pytest.raises(UnreachableError, match="cannot be read"):
        await reach.host.open(("cat",))
    closed.chmod(0o600)  # which is no other text
    with pytest.raises(KeyChangedError):
        await reach.host.retry_now()
    await reach.host.close()


@pytest.mark.parametrize("behind", [b"\0", b"\0x", b"\0AAAA", b"\0 comment"])
async def test_a_line_ends_where_it_does_to_ssh(ssh_peer: sshd.SshPeer, tmp_path: Path, behind: bytes) -> None:
    known = tmp_path / "known"
    name, kind, key = line_of(ssh_peer).encode().split()
    known.write_bytes(b"%s %s %s\n" % (name, kind, key + behind))
    await Reach(ssh_peer, known, host_keys="strict").up()
    known.write_bytes(b"%s %s %s\n@revoked * %s %s\n" % (name, kind, key, kind, key + behind))
    assert "is revoked" in await Reach(ssh_peer, known, host_keys="strict").refused()


@pytest.mark.usefixtures("anybody")
async def test_a_file_that_may_not_be_read_has_none_read_for_each_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, system = tmp_path / "own", tmp_path / "system"
    own.touch()
    system.touch(mode=0)
    monkeypatch.setattr(ssh_files, "_SYSTEM_KNOWN_HOSTS", str(system))
    read: list[str] = []
    lines = ssh_keys._lines

    def counted(name: str) -> list[str]:
        read.append(name)
        return lines(name)

    monkeypatch.setattr(ssh_keys, "_lines", counted)
    connects = Connects()
    spec = SshSpec("127.0.0.1", known_hosts=str(own), config_file=None)
    for _ in range(3):
        assert [*(await ssh_files.find_files(spec, connects)).known.unread] == [str(system)]
    assert read == [str(own), str(system)]


async def test_a_file_that_goes_while_it_is_looked_for_is_passed_over(
    ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, system = tmp_path / "own", tmp_path / "system"
    monkeypatch.setattr(ssh_files, "_SYSTEM_KNOWN_HOSTS", str(system))
    own.write_text(line_of(ssh_peer))
    system.touch()
    lines = ssh_keys._lines

    def gone(name: str) -> list[str]:
        if name == str(system):
            system.unlink()
        return lines(name)

    monkeypatch.setattr(ssh_keys, "_lines", gone)
    await Reach(ssh_peer, own, host_keys="strict").up()
    assert not system.exists()


@pytest.mark.usefixtures("anybody")
async def test_a_file_that_may_not_be_read_and_is_the_only_one(
    ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_files, "_SYSTEM_KNOWN_HOSTS", str(tmp_path / "none"))
    closed = tmp_path / "closed"
    closed.touch(mode=0)
    host = Reach(ssh_peer, closed).host
    with pytest.raises(InputError, match=rf"cannot read the known_hosts file {closed}: permission denied"):
        await host.open(("cat",))
    await host.close()


async def test_a_file_that_is_shut_for_a_moment_counts_afterwards(
    ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, system = tmp_path / "own", tmp_path / "system"
    monkeypatch.setattr(ssh_files, "_SYSTEM_KNOWN_HOSTS", str(system))
    own.write_text(f"@revoked * {sshd.public(ssh_peer.folder / 'host_key')}\n")
    system.write_text(line_of(ssh_peer))
    shuts = [errno.EACCES]

    def shut(name: str, *more: Any, **settings: Any) -> Any:
        if name == str(own) and shuts:
            raise OSError(shuts[0], os.strerror(shuts[0]), name)
        return open(name, *more, **settings)

    monkeypatch.setattr(ssh_keys, "open", shut, raising=False)
    reach = Reach(ssh_peer, own)
    await reach.up()
    shuts.clear()  # and nothing that stat tells has changed
    assert "is revoked" in await reach.refused()


async def test_a_file_that_is_open_to_us_and_cannot_be_read_is_not_passed_over(
    ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, system = tmp_path / "own", tmp_path / "system"
    monkeypatch.setattr(ssh_files, "_SYSTEM_KNOWN_HOSTS", str(system))
    own.touch()
    system.write_text(line_of(ssh_peer))

    def stale(name: str, *more: Any, **settings: Any) -> Any:
        if name == str(own):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
        return open(name, *more, **settings)

    monkeypatch.setattr(ssh_keys, "open", stale, raising=False)
    host = Reach(ssh_peer, own).host
    with pytest.raises(InputError, match="cannot read the known_hosts file"):
        await host.open(("cat",))
    await host.close()


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file can grow over that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("before", ["", "# ours\n", "# ours"])
def test_a_line_that_only_half_fits_is_taken_back(tmp_path: Path, before: str) -> None:
    known = tmp_path / "known"
    known.write_text(before)
    offer = Offer("far", None, asyncssh.generate_private_key("ssh-ed25519").convert_to_public())
    with full_at(len(before) + 20), pytest.raises(InputError, match="only a part of the line was written"):
        remember(str(known), offer)
    assert known.read_text() == before


def test_what_another_adds_behind_half_a_line_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tmp_path / "known"
    write = os.write

    def half(handle: int, line: bytes) -> int:
        written = write(handle, line[:9])
        with known.open("ab") as other:
            other.write(b"\nother\n")
        return written

    offer = Offer("far", None, asyncssh.generate_private_key("ssh-ed25519").convert_to_public())
    monkeypatch.setattr(os, "write", half)
    with pytest.raises(InputError, match="only a part of the line was written"):
        remember(str(known), offer)
    assert known.read_bytes().endswith(b"\nother\n")
