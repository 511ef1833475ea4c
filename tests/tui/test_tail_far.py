"""`gatewatch tail HOST:PATH` over a real sshd: a passphrase is asked for where the log is about to be shown."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import sshd
from tests.peers.terminal import CTRL_C, Terminal

CTRL_U = b"\x15"

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of somebody whose key to the host "box" has a passphrase."""
    folder, home = tmp_path_factory.mktemp("sshd"), tmp_path_factory.mktemp("home")
    with sshd.running(folder) as peer:
        key = sshd.make_key(folder / "mine", "ecdsa")
        with (folder / "allowed").open("a") as allowed:
            allowed.write(f"{sshd.public(key)}\n")
        lock = ["ssh-keygen", "-q", "-p", "-m", "PKCS8", "-N", "open sesame", "-f", str(key)]
        subprocess.run(lock, check=True, capture_output=True)
        (home / ".ssh").mkdir()
        (home / ".ssh" / "config").write_text(
            f"Host box\n HostName 127.0.0.1\n Port {peer.port}\n IdentityFile {key}\n IdentitiesOnly yes\n"
        )
        (home / ".ssh" / "known_hosts").write_text(peer.known_hosts.read_text())
        yield home


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "engine.log"
    path.write_text("".join(f"line {number}\n" for number in range(100)))
    return path


def tail(home: Path, house: Path, *words: str) -> Terminal:
    env = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    argv = [sys.executable, str(house / "gatewatch.py"), "tail", *words]
    return Terminal(argv, home, {**env, "HOME": str(home)}, size=(24, 100))


def test_on_a_screen_it_is_asked_there_and_the_log_follows(home: Path, house: Path, log: Path) -> None:
    with tail(home, house, f"box:{log}") as terminal:
        terminal.until("passphrase of ")
        terminal.until("kept nowhere")
        while "•" not in terminal.text:  # keys of the first moment are not heard
            terminal.press(b"x")
            time.sleep(0.05)
        terminal.press(CTRL_U + b"open sesame\r")
        terminal.until("line 99")
        with log.open("a") as file:
            file.write("a line that came later\n")
        terminal.until("a line that came later")
        terminal.press(b"q")
        assert terminal.wait() == 0
        assert "sesame" not in terminal.text


def test_as_plain_text_it_is_asked_on_the_terminal(home: Path, house: Path, log: Path) -> None:
    with tail(home, house, "--plain", "--follow", f"box:{log}") as terminal:
        terminal.until("passphrase of ")
        terminal.press(b"open sesame\n")
        terminal.until("line 99")
        with log.open("a") as file:
            file.write("a line that came later\n")
        terminal.until("a line that came later")
        terminal.press(CTRL_C)
        terminal.wait()
        assert "sesame" not in terminal.text


def test_where_nobody_can_be_asked_it_is_refused(home: Path, house: Path, log: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    argv = [sys.executable, str(house / "gatewatch.py"), "tail", "--plain", f"box:{log}"]
    ended = subprocess.run(
        argv, env={**env, "HOME": str(home)}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert len(ended.stderr.splitlines()) == 1
    assert "box" in ended.stderr
