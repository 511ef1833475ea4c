"""A host whose account runs no commands, as one for files alone: what can be had there, and why there is no more."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bare import BareReader
from hosts.bare_pipe import EitherReader
from hosts.child import open_subprocess
from hosts.connects import Connects
from hosts.errors import NoPythonError, UnreachableError
from hosts.host import Wants
from hosts.not_run import NoCommandError
from hosts.openssh import OpenSshHost
from hosts.pipe import PipeReader
from hosts.session import BytePipe
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")

SFTP_ONLY = "Subsystem sftp internal-sftp\nMatch LocalAddress 127.0.0.1\nForceCommand internal-sftp\nMatch all\n"
SERVER = "/usr/lib/openssh/sftp-server"
FOR_FILES = "echo This service allows sftp connections only."  # as sshd's own internal-sftp does
NOTHING_ELSE = "it runs no commands: This service allows sftp connections only."


@pytest.fixture(scope="module")
def files_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd"), SFTP_ONLY) as running:
        yield running


@pytest.fixture
async def connect(image: Any) -> AsyncIterator[Callable[[sshd.SshPeer, str, Path], EitherReader]]:
    made: list[EitherReader] = []

    def open_it(peer: sshd.SshPeer, transport: str, key: Path) -> EitherReader:
        spec = SshSpec("127.0.0.1", peer.port, None, str(key), known_hosts=str(peer.known_hosts), config_file=None)
        shared = Connects(chance=sshd.Soonest())
        ssh = OpenSshHost(spec, connects=shared) if transport == "openssh" else SshHost(spec, connects=shared)
        bare = BareReader("box", ssh.open_subsystem, ssh.open, interval=0.01)
        host = EitherReader("box", bare=bare, opener=ssh.open, image=image, python=sys.executable, on_close=ssh.close)
        made.append(host)
        return host

    yield open_it
    for host in made:
        await host.close()


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_its_files_can_be_read(connect: Any, files_alone: sshd.SshPeer, transport: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo\n")
    host = connect(files_alone, transport, files_alone.keys["plain"])
    assert (await host.read(str(tmp_path / "log"), 4, 10)).data == b"two\n"
    seen = await host.observe(Wants(load=True), None, 20)
    assert seen.errors["python"] == host.bare == NOTHING_ELSE
    assert seen.load.cores >= 1


@pytest.mark.skipif(not Path(SERVER).exists(), reason="NOT TESTED: there is no sftp-server")
@pytest.mark.parametrize("ending", ["exit 0", "exit 1", "exit 64"])
async def test_one_whose_shell_ends_whatever_it_is_to_run(connect: Any, tmp_path: Path, ending: str) -> None:
    (tmp_path / "sshd").mkdir()
    (tmp_path / "log").write_bytes(b"one\n")
    with sshd.running(tmp_path / "sshd", "Subsystem sftp internal-sftp\n") as peer:
        key = sshd.make_key(tmp_path / "restricted")
        shell = tmp_path / "shell"
        shell.write_text(f'case "$SSH_ORIGINAL_COMMAND" in *sftp*) exec {SERVER};; esac\n{FOR_FILES}; {ending}\n')
        with (peer.folder / "allowed").open("a") as allowed:
            allowed.write(f'command="/bin/sh {shell}" {sshd.public(key)}\n')
        host = connect(peer, "asyncssh", key)
        assert (await host.read(str(tmp_path / "log"), 0, 10)).data == b"one\n"
        assert host.bare == NOTHING_ELSE


@pytest.mark.parametrize(
    ("script", "kind", "told"),
    [
        (f"{FOR_FILES}; exit 1", NoCommandError, f"box: {NOTHING_ELSE}"),
        (
            "echo motd; echo This account is currently not available. >&2; echo bye; exit 1",
            NoCommandError,
            "box: it runs no commands: This account is currently not available.",
        ),
        ("echo no; exit 0", UnreachableError, "box: the helper did not start: it ended with status 0: no"),
        ("exit 3", UnreachableError, "box: the helper did not start: it ended with status 3"),
        (
            "printf 'Fatal Python error: no codec\\n\\n<no Python frame>\\n' >&2; exit 1",
            UnreachableError,
            "box: the helper did not start: it ended with status 1: Fatal Python error: no codec",
        ),
        ("exit 127", NoPythonError, "cannot be run on box (exit status 127)"),
        ("kill -9 $$", UnreachableError, "box: the helper did not start: it ended with status -9"),
        (
            "exec python3 -c 'open(chr(47) + \"none\")'",
            UnreachableError,
            "box: the helper did not start: it ended with status 1: No such file or directory: '/none'",
        ),
        (
            f"cd {shlex.quote(str(Path(__file__).parents[2]))}; exec python3 -c"
            " 'from hosts.errors import GatewatchError as G; raise G(\"no: a\")'",
            UnreachableError,
            "box: the helper did not start: it ended with status 1: no: a",
        ),
        (
            "exec python3 -c 'raise KeyError(1)'",
            UnreachableError,
            "box: the helper did not start: it ended with status 1: KeyError: 1",
        ),
        (
            "echo module: command not found >&2; exec python3 -c 'raise KeyError(1)'",
            UnreachableError,
            "box: the helper did not start: it ended with status 1: KeyError: 1",
        ),
    ],
)
async def test_why_a_helper_did_not_start(image: Any, script: str, kind: type[Exception], told: str) -> None:
    """What a Python that runs comes to grief at is no reason to do without it."""

    async def opener(argv: tuple[str, ...]) -> BytePipe:
        del argv
        return await open_subprocess(("sh", "-c", script.replace("python3", sys.executable)))

    reader = PipeReader("box", opener, image)
    with pytest.raises(kind) as caught:
        await reader.query("ping", None, 20)
    await reader.close()
    assert caught.type is kind
    assert told in str(caught.value)
