"""A passphrase is typed on a real terminal, unseen, for a real sshd."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import sshd
from tests.peers.terminal import CTRL_C, CTRL_D, Terminal
from tui.cli.asking import connects

ASK = """
import asyncio, sys
from tui.cli.asking import connects
try:
    print("answer", ascii(asyncio.run(connects().ask("box\\x1b[2J", "password of op"))))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def asking(house: Path, tmp_path: Path) -> Terminal:
    return Terminal([sys.executable, "-c", ASK], house, dict(os.environ))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (b"open sesame\n", "answer 'open sesame'"),
        (b"\n", "answer ''"),
        ("schön\n".encode(), r"answer 'sch\xf6n'"),
        (CTRL_D, "answer None"),
        (CTRL_C, "interrupted"),
    ],
)
def test_an_answer_is_typed_unseen(asking: Terminal, typed: bytes, said: str) -> None:
    with asking:
        asking.until("password of op: ")
        asking.press(typed)
        asking.wait()
        assert said in asking.text.partition("password of op: ")[2]
        assert asking.text.count("open sesame") == said.count("open sesame")
        assert b"box\x1b[2J" not in asking.output


def test_what_is_typed_in_between_is_shown_again(house: Path) -> None:
    code = ASK + "\nprint('more?'); print('line', sys.stdin.readline())"
    with Terminal([sys.executable, "-c", code], house, dict(os.environ)) as terminal:
        terminal.until("password of op: ")
        terminal.press(b"secret\n")
        terminal.until("more?")
        terminal.press(b"visible\n")
        terminal.wait()
        assert terminal.text.count("visible") == 2
        assert terminal.text.count("secret") == 1


LATE = """
import asyncio, sys
from tui.cli.asking import connects
async def ask():
    try:
        async with asyncio.timeout(2):
            await connects().ask("box", "password of op")
    except TimeoutError:
        print("nobody waits for it")
asyncio.run(ask())
print("line", ascii(sys.stdin.readline()))
"""


def test_what_was_typed_until_nobody_waited_for_it_goes_to_nobody_else(house: Path) -> None:
    with Terminal([sys.executable, "-c", LATE], house, dict(os.environ)) as terminal:
        terminal.until("password of op: ")
        terminal.press(b"sesa")
        terminal.until("nobody waits for it")
        terminal.press(b"me\n")
        terminal.until("line 'me")
        terminal.wait()
        assert "sesa" not in terminal.text


def test_without_a_terminal_nobody_is_asked(house: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ASK], cwd=house, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True
    )
    assert ended.stdout == b"answer None\n"
    assert not connects().can_ask or sys.stdin.isatty()
    ask = "import asyncio; from tui.cli.asking import TerminalAsker; print(asyncio.run(TerminalAsker().ask('a', 'b')))"
    ended = subprocess.run(
        [sys.executable, "-c", ask], cwd=house, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True
    )
    assert ended.stdout == b"None\n"


CONNECT = """
import asyncio, sys
from hosts.ssh import SshHost, SshSpec
from tui.cli.asking import connects
port, key, known = sys.argv[1:]
async def main():
    host = SshHost(SshSpec("127.0.0.1", int(port), None, key, known, config_file=None), connects=connects())
    pipe = await host.open(("echo", "we", "are", "in"))
    print((await pipe.read()).decode())
    await pipe.close(5)
    await host.close()
asyncio.run(main())
"""


@pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")
def test_a_key_is_opened_with_what_is_typed(house: Path, tmp_path: Path) -> None:
    with sshd.running(tmp_path) as peer:
        key = sshd.make_key(tmp_path / "mine", "ecdsa")
        with (tmp_path / "allowed").open("a") as allowed:
            allowed.write(f"{sshd.public(key)}\n")
        lock = ["ssh-keygen", "-q", "-p", "-m", "PKCS8", "-N", "open sesame", "-f", str(key)]
        subprocess.run(lock, check=True, capture_output=True)
        argv = [sys.executable, "-c", CONNECT, str(peer.port), str(key), str(peer.known_hosts)]
        env = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        with Terminal(argv, house, env, size=(24, 300)) as terminal:
            asked = f"127.0.0.1:{peer.port}: passphrase of {key}: "
            terminal.until(asked)
            terminal.press(b"wrong\n")
            terminal.until(f"{asked}\r\n{asked}")
            terminal.press(b"open sesame\n")
            terminal.until("we are in")
            assert terminal.wait() == 0
            assert "sesame" not in terminal.text
