"""A host that a program connects to (ProxyCommand): whatever it says on stderr, the connection holds as ssh's does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hosts.connection import Way
from hosts.errors import InputError, UnreachableError
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import until

_RELAY = f"""#!{sys.executable}
import os, socket, sys, threading
how = sys.argv[3]
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
with open(os.path.join(os.path.dirname(sys.argv[0]), "pids"), "a") as pids:
    pids.write(f"{{os.getpid()}}\\n")
if how == "close":
    os.close(2)
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := there.recv(65536):
    if how == "say":
        os.write(2, b"warning: the token \\xff expires soon\\n" * 20)
    if how == "end" and b"SSH-" not in data:
        os.write(2, b"first\\nthe token \\x1b[2J is gone\\n")
        sys.exit(3)
    os.write(1, data)
"""


@pytest.fixture
def relay(tmp_path: Path) -> Path:
    path = tmp_path / "re lay"
    path.write_text(_RELAY)
    path.chmod(0o755)
    return path


def reach(peer: sshd.SshPeer, folder: Path, command: str) -> SshHost:
    config = folder / "config"
    config.write_text(
        f"Host box\n  HostName 127.0.0.1\n  Port {peer.port}\n  IdentityFile {peer.keys['plain']}\n"
        f"  ProxyCommand {command}\n"
    )
    return SshHost(SshSpec("box", known_hosts=str(peer.known_hosts), config_file=str(config)))


def by_ssh(peer: sshd.SshPeer, folder: Path) -> Any:
    words = ["ssh", "-F", str(folder / "config"), "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={peer.known_hosts}"]
    return subprocess.run([*words, "box", "echo in"], stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


@pytest.mark.parametrize(
    "command",
    [
        "'{}' %h %p quiet",
        "'{}' %h %p say",
        "'{}' %h %p close",
        "'{}' %h %p say 2>/dev/null",
        "env A=1 '{}' \"$WHERE\" %p quiet",
        "cat | '{}' %h %p say | cat",
    ],
)
async def test_what_a_program_says_is_no_part_of_the_connection(
    ssh_peer: sshd.SshPeer, tmp_path: Path, relay: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setenv("WHERE", "127.0.0.1")
    host = reach(ssh_peer, tmp_path, command.format(relay))
    if shutil.which("ssh"):
        assert by_ssh(ssh_peer, tmp_path) == b"in\n"
    pipe = await host.open(("cat",))
    for number in range(3):
        await pipe.write(b"%d" % number)
        assert await pipe.read() == b"%d" % number
    big = bytes(range(256)) * 4096
    await pipe.write(big)
    got = b""
    while len(got) < len(big):
        data = await pipe.read()
        assert data
        got += data
    assert got == big
    assert host.connection.way is Way.UP
    await host.close()
    pids = (tmp_path / "pids").read_text().split()
    assert await until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids))


async def test_the_last_words_of_a_program_that_ended(ssh_peer: sshd.SshPeer, tmp_path: Path, relay: Path) -> None:
    host = reach(ssh_peer, tmp_path, f"'{relay}' %h %p end")
    with pytest.raises(UnreachableError) as caught:
        await host.open(("cat",))
    assert str(caught.value) == "box: its ProxyCommand ended with status 3: the token ?[2J is gone"
    await host.close()


async def test_without_a_shell(ssh_peer: sshd.SshPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/nowhere/sh")
    host = reach(ssh_peer, tmp_path, "true")
    with pytest.raises(InputError, match="cannot run its ProxyCommand 'true': /nowhere/sh: no such file"):
        await host.open(("cat",))
    await host.close()
