"""Logins through a shell that talks, of every kind, where the locale knows no UTF-8: they change no answer."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hosts.host import Data, Position, TreeWant, Wants
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs the forced commands of OpenSSH's sshd")

# What a shell reads before any command, by the shell. dash reads nothing.
STARTS = {
    "bash": ".bashrc",
    "csh": ".cshrc",
    "dash": "",
    "fish": ".config/fish/config.fish",
    "tcsh": ".tcshrc",
    "zsh": ".zshenv",
}
# It writes on both outputs, something like a frame too, asks the terminal that is not there, fails, and goes elsewhere.
NOISE = """\
touch {home}/read
cat {home}/noise
cat {home}/noise >/dev/stderr
stty erase x
false
cd /
"""
LOCALE = "de_DE.ISO-8859-1"
NAME = b"caf\xe9 \xc3\xbc 'q\" \\ \n$(touch x) \xff.log"


@dataclass
class Login:
    """A key whose login goes through a shell, and the shell's home."""

    key: Path
    home: Path


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the locale of the tests in it, or an empty one where it cannot be made, as it is on many hosts."""
    folder = tmp_path_factory.mktemp("locale")
    if shutil.which("localedef"):
        argv = ["localedef", "--no-archive", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / LOCALE)]
        subprocess.run(argv, capture_output=True)
    return folder


@pytest.fixture(params=STARTS)
def login(request: pytest.FixtureRequest, ssh_peer: sshd.SshPeer, latin: Path, tmp_path: Path) -> Iterator[Login]:
    shell = request.param
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"NOT TESTED, there is no {shell} on this machine")
    home = tmp_path / "home"
    start = home / (STARTS[shell] or "nothing")
    start.parent.mkdir(parents=True)
    start.write_text(NOISE.format(home=home))
    (home / "noise").write_bytes(b"Willkommen zur\xfcck \x1b]0;x\x07\nGW1 0123456789abcdef 3 " + b"0" * 64 + b"\nabc\n")
    key = sshd.make_key(tmp_path / "key")
    settings = f"HOME={home} XDG_CONFIG_HOME={home}/.config BASH_ENV={start} LOCPATH={latin} LC_ALL={LOCALE}"
    allowed = ssh_peer.folder / "allowed"
    before = allowed.read_text()
    command = f'{settings} exec {path} -c \\"$SSH_ORIGINAL_COMMAND\\"'
    allowed.write_text(f'{before}command="{command}" {sshd.public(key)}\n')
    yield Login(key, home)
    allowed.write_text(before)
    assert (home / "read").exists() == bool(STARTS[shell]), "the shell did not read what it should have"


def odd_file(folder: Path) -> str:
    path = os.fsdecode(os.fsencode(folder / "logs") + b"/" + NAME)
    (folder / "logs").mkdir()
    Path(path).write_bytes(b"one\n\xff\n")
    return path


async def test_a_talking_shell_without_utf_8(login: Login, ssh_peer: sshd.SshPeer, image: Any, tmp_path: Path) -> None:
    path = odd_file(tmp_path)
    known = str(ssh_peer.known_hosts)
    ssh = SshHost(
        SshSpec("127.0.0.1", ssh_peer.port, identity_file=str(login.key), known_hosts=known, config_file=None)
    )
    host = PipeReader("box", ssh.open, image, python=sys.executable, on_close=ssh.close)
    try:
        assert (await host.read(path, 0, 100)).data == b"one\n\xff\n"
        seen = await host.observe(Wants(trees=(TreeWant(str(tmp_path / "logs"), ("*",), 100),)), None, 30)
        assert [(name, file.data) for name, file in seen.trees[0].files.items()] == [
            (os.fsdecode(NAME), b"one\n\xff\n")
        ]
        async with contextlib.aclosing(host.follow(path, Position())) as items:
            first = await anext(items)
        assert isinstance(first, Data)
        assert first.data == b"one\n\xff\n"
    finally:
        await host.close()
