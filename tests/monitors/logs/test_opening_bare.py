"""A file without a size on a host that nothing of ours runs on: what is said to read it is run, and reads it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.by_hand import by_hand
from hosts.errors import InputError
from hosts.host import HostReader
from hosts.lent import lend
from hosts.profiles import HostProfile, Ssh
from hosts.ssh_spec import SshSpec
from hosts.target import parse_target
from jobs.connect import open_reader
from monitors.logs import remote as _remote  # noqa: F401 - else it is imported late, on the event loop
from monitors.logs.opening import open_source
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")

UPTIME = "/proc/uptime"
SFTP = "Subsystem sftp internal-sftp\n"
FILES_ALONE = f"{SFTP}Match LocalAddress 127.0.0.1\nForceCommand internal-sftp\nMatch all\n"
NOTHING = "does not say how long it is, and no command can be run there that reads it"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd"), SFTP) as running:
        yield running


def way(peer: sshd.SshPeer, **more: str) -> Ssh:
    """How a profile leads there, whose name ssh does not know."""
    keys = {"identity_file": str(peer.keys["plain"]), "known_hosts": str(peer.known_hosts)}
    return Ssh.model_validate({"host": "127.0.0.1", "port": peer.port, **keys, **more})


async def refused(ssh: Ssh, path: str = UPTIME, lent: bool = False) -> str:
    """What is said of a file there."""
    profile = HostProfile(name="nosnake", launcher="ssh", ssh=ssh, python="/nonexistent/python3")
    reader = await asyncio.to_thread(open_reader, profile)

    async def connect(_name: str) -> HostReader:
        return lend(reader) if lent else reader

    try:
        with pytest.raises(InputError) as caught:
            await open_source(parse_target(f"nosnake:{path}"), connect)
    finally:
        await reader.close()
    return str(caught.value)


async def pasted(said: str) -> str:
    """What comes of the command when it is run as it is printed, but for our own part of it."""
    words, _, rest = said.partition("; try: ")[2].rpartition(" | ")
    assert rest == "gatewatch tail -"
    ran = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
@pytest.mark.parametrize("lent", [False, True])
async def test_the_command_goes_the_way_of_the_profile(peer: sshd.SshPeer, transport: str, lent: bool) -> None:
    assert len((await pasted(await refused(way(peer, transport=transport), lent=lent))).split()) == 2


async def test_paths_that_a_shell_takes_apart_pass_both(peer: sshd.SshPeer, tmp_path: Path) -> None:
    (tmp_path / "my keys").mkdir()
    key = shutil.copy2(peer.keys["plain"], tmp_path / "my keys/it's one")
    known = shutil.copy2(peer.known_hosts, tmp_path / "my keys/known")
    said = await refused(way(peer, identity_file=str(key), known_hosts=str(known)), "/proc/../proc/uptime")
    assert len((await pasted(said)).split()) == 2


async def test_a_host_on_the_way_is_held_to_the_same_files(peer: sshd.SshPeer, tmp_path: Path) -> None:
    known = tmp_path / "100% known"
    known.write_text(peer.known_hosts.read_text() + peer.known_hosts.read_text().replace("127.0.0.1", "localhost"))
    jump = f"127.0.0.1:{peer.port}"
    key = shutil.copy2(peer.keys["plain"], tmp_path / "100%% key")
    files = {"identity_file": str(key), "known_hosts": str(known)}
    for jumps in ({}, {"proxy_jump": jump}, {"proxy_jump": f"{jump},localhost:{peer.port}"}):
        said = await refused(way(peer, host="localhost", **files, **jumps))
        assert len((await pasted(said)).split()) == 2


async def test_an_account_for_files_alone_is_told_of_no_command(tmp_path: Path) -> None:
    with sshd.running(tmp_path, FILES_ALONE) as peer:
        assert await refused(way(peer)) == f"nosnake:{UPTIME} {NOTHING}"


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        (SshSpec("lab"), "ssh lab cat /x"),
        (SshSpec("::1", user="me"), "ssh me@::1 cat /x"),
        (SshSpec("lab", proxy_jump="gate"), "ssh -o ProxyJump=gate lab cat /x"),
    ],
)
def test_nothing_is_said_that_ssh_knows_itself(spec: SshSpec, command: str) -> None:
    assert by_hand("ssh", spec, "cat", "/x") == command
