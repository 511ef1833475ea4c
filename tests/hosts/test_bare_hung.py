"""A host without a Python where some paths are never answered about: a real sshd, and an SFTP server that hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bare import BareReader
from hosts.bare_hung import Hung, NoAnswerError
from hosts.bare_sftp import Sftp
from hosts.child import open_subprocess
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.host import Position, TailWant, TreeWant, Wants
from hosts.openssh import OpenSshHost
from hosts.ssh import SshHost, SshSpec
from tests.peers import bare, hang_sftp, sshd
from tests.peers.callers import until

pytestmark = pytest.mark.skipif(not (sshd.SSHD and hang_sftp.SERVER), reason="needs OpenSSH's servers")

PATIENCE = 1.0
MOUNTS = """22 1 259:1 / / rw - ext4 /dev/root rw
30 22 0:40 / /data rw - nfs4 server:/x rw
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What hangs on the host is told here."""
    (tmp_path / "sftp").mkdir()
    return tmp_path / "sftp"


@pytest.fixture
def peer(tmp_path: Path, folder: Path) -> Iterator[sshd.SshPeer]:
    for name in ("sshd", "bin"):
        (tmp_path / name).mkdir()
    settings = bare.settings(tmp_path / "bin") + hang_sftp.settings(folder) + "MaxSessions 10\n"
    with sshd.running(tmp_path / "sshd", settings) as running:
        yield running
        hang_sftp.hang(folder)


@pytest.fixture(params=["asyncssh", "openssh"])
async def host(request: pytest.FixtureRequest, peer: sshd.SshPeer) -> AsyncIterator[BareReader]:
    spec = SshSpec(
        "127.0.0.1", peer.port, None, str(peer.keys["plain"]), known_hosts=str(peer.known_hosts), config_file=None
    )
    shared = Connects(chance=sshd.Soonest())
    ssh: Any = (OpenSshHost if request.param == "openssh" else SshHost)(spec, connects=shared)
    made = BareReader("box", ssh.open_subsystem, ssh.open, interval=0.01, patience=PATIENCE)
    yield made
    await made.close()
    await ssh.close()


def files(tmp_path: Path, *names: str) -> list[str]:
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    return [str(tmp_path / name) for name in names]


async def test_a_path_that_hangs_hides_nothing_else(host: BareReader, folder: Path, tmp_path: Path) -> None:
    good, dead = files(tmp_path, "good", "dead")
    (tmp_path / "below").mkdir()
    hang_sftp.hang(folder, dead, str(tmp_path / "below"))
    want = Wants(
        trees=(TreeWant(str(tmp_path / "below"), ("*",), -1), TreeWant(str(tmp_path), ("good",), -1)),
        tails=(TailWant(dead), TailWant(good)),
        load=True,
        disks=(str(tmp_path), dead),
    )
    seen = await host.observe(want, None, 20)
    assert (seen.tails[1].data, seen.tails[1].error) == (b"good", None)
    assert seen.tails[0].data == b""
    assert f"no answer about {dead}" in str(seen.tails[0].error)
    assert seen.load is not None
    assert seen.load.boot_id
    assert seen.disks[0].total
    assert (seen.disks[1].free, f"no answer about {dead}" in str(seen.disks[1].error)) == (None, True)
    assert "no answer about" in str(seen.trees[0].error)
    assert (list(seen.trees[1].files), seen.trees[1].error) == (["good"], None)
    began = time.monotonic()
    assert (await host.observe(want, None, 20)).tails[1] == seen.tails[1]
    assert time.monotonic() - began < PATIENCE, "what hangs is not asked for again at once"
    with pytest.raises(UnreachableError, match=r"box: cannot read .*dead: no answer about"):
        await host.read(dead, 0, 10)


async def test_a_path_is_well_as_soon_as_it_is_answered_about(host: BareReader, folder: Path, tmp_path: Path) -> None:
    good, dead = files(tmp_path, "good", "dead")
    hang_sftp.hang(folder, dead)
    want = Wants(tails=(TailWant(dead), TailWant(good)))
    assert (await host.observe(want, None, 20)).tails[0].error
    hang_sftp.hang(folder)

    async with asyncio.timeout(20):
        while (await host.observe(want, None, 20)).tails[0].data != b"dead":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_what_is_followed_goes_on_beside_it(host: BareReader, folder: Path, tmp_path: Path) -> None:
    good, dead = files(tmp_path, "good", "dead")
    items = host.follow(good, Position())
    assert (await anext(items)).data == b"good"  # type: ignore[union-attr]
    hang_sftp.hang(folder, dead)
    looking = asyncio.create_task(host.observe(Wants(tails=(TailWant(dead),)), None, 20))
    await asyncio.sleep(0.2)
    (tmp_path / "good").write_bytes(b"good more")
    async with asyncio.timeout(10):
        assert (await anext(items)).data == b" more"  # type: ignore[union-attr]
    await looking
    await items.aclose()


async def test_as_many_hang_as_a_server_can_bear(
    host: BareReader, folder: Path, tmp_path: Path, peer: sshd.SshPeer
) -> None:
    names = [f"dead{number}" for number in range(9)]
    dead = files(tmp_path, *names)
    hang_sftp.hang(folder, *dead)
    said = ""
    for path in dead:
        try:
            await host.observe(Wants(tails=(TailWant(path),)), None, 20)
        except UnreachableError as error:
            said = str(error)
    assert "6 SFTP sessions hang there, at " in said
    assert host.alive
    hang_sftp.hang(folder)  # they end by themselves, and it is all seen again

    async def whole() -> bool:
        try:
            seen = await host.observe(Wants(tails=tuple(map(TailWant, dead))), None, 20)
        except UnreachableError:
            return False
        return [tail.data.decode() for tail in seen.tails] == names

    async with asyncio.timeout(20):
        while not await whole():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_fifo_that_is_opened_hangs_the_real_server(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    hung = Hung()
    sftp = Sftp("box", await open_subprocess((hang_sftp.SERVER,)), hung, 0.3)
    await sftp.start()
    with pytest.raises(UnreachableError, match=r"box: no answer about .*fifo within 0\.3 s"):
        await sftp.open(str(tmp_path / "fifo"))
    assert sftp.stuck == str(tmp_path / "fifo")
    writer = await asyncio.to_thread(os.open, tmp_path / "fifo", os.O_WRONLY)
    os.close(writer)
    async with asyncio.timeout(10):
        await sftp.gone.wait()
    await sftp.close()


async def test_a_server_that_is_stopped_is_not_the_path_s_fault_for_long(tmp_path: Path) -> None:
    [path] = files(tmp_path, "file")
    started: list[int] = []

    async def subsystem(_: str) -> Any:
        pipe = await open_subprocess(("sh", "-c", f"echo $$ >>{tmp_path}/pids; exec {hang_sftp.SERVER}"))
        started.append(1)
        return pipe

    host = BareReader("box", subsystem, open_subprocess, patience=0.3)
    assert (await host.read(path, 0, 10)).data == b"file"
    [pid] = map(int, (tmp_path / "pids").read_text().split())
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(UnreachableError, match="no answer about"):
        await host.read(path, 0, 10)
    assert len(started) == 2
    os.kill(pid, signal.SIGCONT)
    assert await until(lambda: not Path(f"/proc/{pid}").exists())
    assert (await host.read(path, 0, 10)).data == b"file"
    assert len(started) == 2
    await host.close()


def test_a_file_server_that_is_gone_takes_its_mount_with_it() -> None:
    now = 0.0
    hung = Hung(lambda: now)
    hung.add("/data/run/log", MOUNTS)
    with pytest.raises(NoAnswerError, match="cannot read /data/x: no answer about /data; asked again in 60 s"):
        hung.check("/data/x")
    hung.check("/database")
    hung.add("/home/x", MOUNTS)
    hung.check("/home")
    with pytest.raises(NoAnswerError):
        hung.check("/home/x/y")
    now = 61.0
    hung.check("/data/x")
    hung.answered("/data/y")
    hung.add("/data/x", MOUNTS)
    now = 62.0 + 60.0
    hung.check("/data/x")


def test_what_hangs_for_ever_holds_two_sessions_and_no_more() -> None:
    now = 0.0
    hung = Hung(lambda: now)
    for _ in range(2):
        hung.check("/data/x")
        hung.add("/data/x", MOUNTS)
        now += 61.0
    now += 100_000.0
    with pytest.raises(NoAnswerError, match="asked again once there is one"):
        hung.check("/data/x")
    hung.forget()  # a person wants it
    hung.check("/data/x")
    hung.add("/data/x", MOUNTS)
    with pytest.raises(NoAnswerError):
        hung.check("/data/x")
    hung.ended("/data/x")  # the connection was lost
    now += 1_000.0
    hung.check("/data/x")


def test_a_host_whose_root_is_served_is_not_all_left_alone() -> None:
    hung = Hung()
    hung.add("/home/x", "22 1 0:40 / / rw - nfs4 server:/x rw\n")
    hung.check("/proc/loadavg")
