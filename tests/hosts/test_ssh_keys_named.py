"""Under which name the key of a host is looked for and written down, each case held against ssh itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.openssh import OpenSshHost
from hosts.ssh import SshHost, SshSpec
from hosts.ssh_files import find_files
from hosts.standing import KeyChangedError, LoginRefusedError
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None or shutil.which("ssh") is None, reason="needs OpenSSH")

_ALIAS = "Host box\n  HostName 127.0.0.1\n  HostKeyAlias box\n"
# What it is called, the configuration, the lines of known_hosts, and what comes of it by each rule. In the lines,
# P is the port, REAL the key of the host and OTHER another one.
_CASES = {
    "an alias, another key": ("box", _ALIAS, "box OTHER\n", "changed", "changed"),
    "an alias, its key": ("box", _ALIAS, "box REAL\n", "up", "up"),
    "an alias, no key": ("box", _ALIAS, "far OTHER\n", "unknown", "up"),
    "an alias, its key under a port": ("box", _ALIAS, "[box]:P REAL\n", "unknown", "up"),
    "an alias in large letters": ("box", _ALIAS.replace("Alias box", "Alias BOX"), "box OTHER\n", "changed", "changed"),
    "a new alias in large letters": ("box", _ALIAS.replace("Alias box", "Alias BOX"), "", "unknown", "up"),
    "a line in large letters": ("box", _ALIAS, "far,BOX OTHER\n", "changed", "changed"),
    "its key in large letters": ("box", _ALIAS, "BOX REAL\n", "up", "up"),
    "a host in large letters": ("LocalHost", "", "[localhost]:P OTHER\n", "changed", "changed"),
    "the address has its key": ("localhost", "", "[localhost]:P OTHER\n[127.0.0.1]:P REAL\n", "changed", "changed"),
    "only the address has its key": ("localhost", "", "[127.0.0.1]:P REAL\n", "unknown", "up"),
    "the address has another key": ("localhost", "", "[127.0.0.1]:P OTHER\n", "unknown", "up"),
    "the name has its key": ("localhost", "", "[127.0.0.1]:P OTHER\n[localhost]:P REAL\n", "up", "up"),
    "its key without the port": ("localhost", "", "localhost REAL\n", "up", "up"),
    "by its address": ("127.0.0.1", "", "[127.0.0.1]:P OTHER\n", "changed", "changed"),
}


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def ssh(config: Path, known: Path, rule: str, name: str) -> str:
    """What ssh does with the same files."""
    settings = (
        *("BatchMode=yes", "UpdateHostKeys=no", "GlobalKnownHostsFile=/dev/null"),
        *(f"UserKnownHostsFile={known}", f"StrictHostKeyChecking={'yes' if rule == 'strict' else rule}"),
    )
    words = [word for setting in settings for word in ("-o", setting)]
    ended = subprocess.run(
        ["ssh", "-F", str(config), *words, "--", name, "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == 0:
        return "up"
    assert "Host key verification failed" in ended.stderr
    return "changed" if "IDENTIFICATION HAS CHANGED" in ended.stderr else "unknown"


async def ours(host: SshHost | OpenSshHost) -> tuple[str, str]:
    """What one of our ways does, and the error if there is one."""
    try:
        pipe = await host.open(("echo", "in"))
        assert await pipe.read() == b"in\n"
        await pipe.close(5)
        return "up", ""
    except KeyChangedError as error:
        return "changed", str(error)
    except LoginRefusedError as error:
        return "unknown", str(error)
    except UnreachableError as error:
        # The read of a process of ssh does not tell by its kind
        return {Way.KEY_CHANGED: "changed", Way.REFUSED: "unknown"}[host.connection.way], str(error)
    finally:
        await host.close()


@pytest.mark.parametrize("rule", ["strict", "accept-new"])
@pytest.mark.parametrize("case", _CASES)
async def test_the_key_of_a_host_stands_where_ssh_has_it(
    ssh_peer: sshd.SshPeer, tmp_path: Path, case: str, rule: Literal["strict", "accept-new"]
) -> None:
    name, config_text, lines, *expected = _CASES[case]
    config = tmp_path / "config"
    common = f"Host *\n  Port {ssh_peer.port}\n  IdentityFile {ssh_peer.keys['plain']}\n"
    config.write_text(config_text + common)
    real, other = sshd.public(ssh_peer.folder / "host_key"), sshd.public(sshd.make_key(tmp_path / "other"))
    before = lines.replace("P ", f"{ssh_peer.port} ").replace("REAL", real).replace("OTHER", other)
    left = {}
    for way in ("ssh", "asyncssh", "openssh"):
        known = tmp_path / f"known_{way}"
        known.write_text(before)
        spec = SshSpec(name, known_hosts=str(known), config_file=str(config), host_keys=rule)
        if way == "ssh":
            found, said = ssh(config, known, rule, name), ""
        else:
            found, said = await ours(SshHost(spec) if way == "asyncssh" else OpenSshHost(spec))
        assert (way, found) == (way, expected[0 if rule == "strict" else 1])
        left[way] = known.read_text()
        if found == "changed" and way != "ssh":
            run("sh", "-c", said.rpartition("remove the old one: ")[2])
            assert ssh(config, known, rule, name) != "changed"
    assert left["asyncssh"] == left["ssh"] == left["openssh"]


async def test_an_alias_that_a_last_look_at_the_configuration_gives(tmp_path: Path) -> None:
    config, known = tmp_path / "config", tmp_path / "known"
    known.touch()
    config.write_text("Host *\n  HostName 127.0.0.1\nMatch final\n  HostKeyAlias box\n")
    spec = SshSpec("far", known_hosts=str(known), config_file=str(config))
    assert "hostkeyalias box\n" in run("ssh", "-F", str(config), "-G", "far")
    assert (await find_files(spec, Connects())).alias == "box"


async def revoked(peer: sshd.SshPeer, known: Path, name: str, rule: Literal["strict", "accept-new"]) -> str:
    """What is said of a key that is taken back, but for where that is written."""
    spec = SshSpec(name, peer.port, None, str(peer.keys["plain"]), str(known), config_file=None, host_keys=rule)
    host = SshHost(spec)
    with pytest.raises(LoginRefusedError) as caught:
        await host.open(("true",))
    await host.close()
    return str(caught.value).replace(str(known), "")


@pytest.mark.parametrize("plain", ["", "localhost", "127.0.0.1"])
@pytest.mark.parametrize("pattern", ["[127.0.0.1]:P", "[127.*]:*", "127.0.0.1", "127.0.0.0/8"])
async def test_a_key_that_is_revoked_for_the_address_is_not_taken(
    ssh_peer: sshd.SshPeer, tmp_path: Path, pattern: str, plain: str
) -> None:
    known = tmp_path / "known"
    key = sshd.public(ssh_peer.folder / "host_key")
    names = f"[localhost]:{ssh_peer.port}" + (f",{plain}" if plain else "")
    known.write_text(f"{names} {key}\n@revoked {pattern.replace('P', str(ssh_peer.port))} {key}\n")
    before = known.read_text()
    assert "is revoked" in await revoked(ssh_peer, known, "localhost", "strict")
    assert known.read_text() == before


@pytest.mark.parametrize("rule", ["strict", "accept-new"])
@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("127.0.0.1", "[127.0.0.1]:P"),
        ("127.0.0.1", "[127.*]:*"),
        ("127.0.0.1", "far,[127.0.0.1]:P"),
        ("localhost", "[localhost]:P"),
    ],
)
async def test_a_key_that_is_revoked_for_the_port_is_not_taken_from_the_name_without_it(
    ssh_peer: sshd.SshPeer, tmp_path: Path, name: str, pattern: str, rule: Literal["strict", "accept-new"]
) -> None:
    known = tmp_path / "known"
    key = sshd.public(ssh_peer.folder / "host_key")
    known.write_text(f"{name} {key}\n@revoked {pattern.replace('P', str(ssh_peer.port))} {key}\n")
    before = known.read_text()
    assert "is revoked" in await revoked(ssh_peer, known, name, rule)
    assert known.read_text() == before
