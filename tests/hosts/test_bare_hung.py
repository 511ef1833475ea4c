"""A host without a Python where some paths are never answered about: a real sshd, and an SFTP server that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts import bare_hung
from hosts.bare import BareReader
from hosts.bare_hung import Hung, Request
from hosts.bare_pipe import EitherReader
from hosts.bare_sftp import Sftp
from hosts.child import open_subprocess
from hosts.connection import Connection, Way
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.host import Position, TailWant, TreeWant, Wants
from hosts.openssh import BEAT, OpenSshHost
from hosts.session import BytePipe
from hosts.ssh import SshHost, SshSpec
from tests.peers import bare, hang_sftp, sshd
from tests.peers.callers import until

pytestmark = pytest.mark.skipif(not (sshd.SSHD and hang_sftp.SERVER), reason="needs OpenSSH's servers")

PATIENCE = 1.0
OPEN = 3


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
        signalled(running, signal.SIGCONT)
        hang_sftp.hang(folder)


@pytest.fixture(params=["asyncssh", "openssh"])
async def ssh(request: pytest.FixtureRequest, peer: sshd.SshPeer) -> AsyncIterator[Any]:
    spec = SshSpec(
        "127.0.0.1", peer.port, None, str(peer.keys["plain"]), known_hosts=str(peer.known_hosts), config_file=None
    )
    made = (OpenSshHost if request.param == "openssh" else SshHost)(spec, connects=Connects(chance=sshd.Soonest()))
    yield made
    await made.close()


@pytest.fixture
async def host(ssh: Any) -> AsyncIterator[BareReader]:
    made = BareReader("box", ssh.open_subsystem, ssh.open, interval=0.01, patience=PATIENCE)
    yield made
    await made.close()


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


async def seen(host: BareReader, *paths: str) -> list[str]:
    """What is seen of some files; the host has to be there."""
    found = await host.observe(Wants(tails=tuple(map(TailWant, paths)), load=True), None, 60)
    assert found.load is not None
    assert found.load.boot_id
    return [tail.error or tail.data.decode() for tail in found.tails]


async def test_places_that_hang_leave_a_session_for_what_is_well(
    host: BareReader, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_hung, "_FIRST", PATIENCE)
    good, *dead = files(tmp_path, "good", "dead0", "dead1", "dead2")
    hang_sftp.hang(folder, *dead)
    for _ in range(8):  # each is due to be asked about again before the next
        assert (await seen(host, *dead, good))[-1] == "good"
        host.forget()  # and a person wants it
        assert (await seen(host, *dead, good))[-1] == "good"
        await asyncio.sleep(PATIENCE / 2)
    assert all("no answer about" in said for said in await seen(host, *dead))


async def test_a_file_system_of_a_container_in_proc_hides_no_file(
    host: BareReader, folder: Path, tmp_path: Path
) -> None:
    [good] = files(tmp_path, "good")
    hang_sftp.hang(folder, "/proc/loadavg", "/proc/uptime")
    found = await host.observe(Wants(tails=(TailWant(good),), load=True), None, 20)
    assert found.tails[0].data == b"good"
    assert found.load is not None
    assert (found.load.averages, found.load.uptime, found.errors["load"]) == (
        None,
        None,
        "load averages: cannot be read",
    )
    assert found.load.memory_total


async def test_more_hang_than_a_server_can_bear(host: BareReader, folder: Path, tmp_path: Path) -> None:
    names = [f"dead{number}" for number in range(9)]
    good, *dead = files(tmp_path, "good", *names)
    assert await seen(host, good) == ["good"]
    hang_sftp.hang(folder, *dead)
    for path in dead:
        said, whole = await seen(host, path, good)
        assert "no answer about" in said or "5 SFTP sessions hang there; asked for once one of them goes on" in said
        assert whole == "good"
    hang_sftp.hang(folder)  # they end by themselves, and it is all seen again
    async with asyncio.timeout(20):
        while await seen(host, *dead) != names:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_what_was_well_and_hangs_all_at_once_leaves_the_host(
    host: BareReader, folder: Path, tmp_path: Path
) -> None:
    names = [f"dead{number}" for number in range(8)]
    dead = files(tmp_path, *names)
    assert await seen(host, *dead) == names
    hang_sftp.hang(folder, *dead)
    for _ in range(2):
        assert all("no answer about" in said or "SFTP sessions hang" in said for said in await seen(host, *dead))
    hang_sftp.hang(folder)
    async with asyncio.timeout(20):
        while await seen(host, *dead) != names:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_path_that_hangs_when_it_is_opened_is_not_well_for_being_there(
    host: BareReader, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_hung, "_FIRST", PATIENCE / 2)
    good, dead = files(tmp_path, "good", "dead")
    hang_sftp.hang(folder, dead, kind=OPEN)
    for _ in range(8):
        said, whole = await seen(host, dead, good)
        assert "no answer about" in said
        assert whole == "good"
        await asyncio.sleep(PATIENCE / 2)
    assert "asked again once there is one" in said
    hang_sftp.hang(folder)
    async with asyncio.timeout(20):
        while await seen(host, dead) != ["dead"]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


def served(folder: Path) -> bool:
    """Whether an SFTP server runs there."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in place.read_bytes().split(b"\0"):
                return True
    return False


async def test_a_session_that_comes_up_when_it_is_closed_is_ended(ssh: Any, folder: Path, tmp_path: Path) -> None:
    [path] = files(tmp_path, "file")
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def subsystem(name: str) -> BytePipe:
        asked.set()
        await go_on.wait()
        pipe: BytePipe = await ssh.open_subsystem(name)
        return pipe

    host = BareReader("box", subsystem, ssh.open)
    reading = asyncio.create_task(host.read(path, 0, 10))
    await asked.wait()
    await host.close()  # a Python was found
    go_on.set()
    with pytest.raises(UnreachableError, match="its SFTP session was closed"):
        await reading
    assert not host.alive
    assert await until(lambda: not served(folder))
    host.begin()
    assert (await host.read(path, 0, 10)).data == b"file"
    assert served(folder)
    await host.close()


async def test_a_python_that_is_found_while_a_session_comes_up_is_used(
    ssh: Any, folder: Path, tmp_path: Path, image: Any
) -> None:
    good, dead = files(tmp_path, "good", "dead")
    asked, go_on = asyncio.Event(), asyncio.Event()
    go_on.set()

    async def subsystem(name: str) -> BytePipe:
        asked.set()
        await go_on.wait()
        pipe: BytePipe = await ssh.open_subsystem(name)
        return pipe

    without = BareReader("box", subsystem, ssh.open, patience=PATIENCE)
    host = EitherReader("box", bare=without, image=image, opener=ssh.open, on_close=ssh.close, retry=ssh.retry_now)
    want = Wants(tails=(TailWant(dead), TailWant(good)))
    assert (await host.observe(want, None, 20)).tails[1].data == b"good"
    asked.clear()
    go_on.clear()
    hang_sftp.hang(folder, dead)
    looking = asyncio.create_task(host.observe(want, None, 20))
    await asked.wait()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    await host.retry_now()
    go_on.set()
    for seen in (await looking, await host.observe(want, None, 20)):
        assert ([tail.data for tail in seen.tails], seen.errors) == ([b"dead", b"good"], {})
    assert not host.bare
    await host.close()


@pytest.mark.parametrize("ssh", ["openssh"], indirect=True)
async def test_over_ssh_itself_a_host_is_stale_before_it_is_dead(
    ssh: OpenSshHost, peer: sshd.SshPeer, tmp_path: Path
) -> None:
    [path] = files(tmp_path, "file")
    host = BareReader("box", ssh.open_subsystem, ssh.open)
    assert (await host.read(path, 0, 10)).data == b"file"
    told: list[tuple[Connection, float]] = []
    ssh.on_change(lambda now: told.append((now, time.monotonic())))
    signalled(peer, signal.SIGSTOP)
    stopped = time.monotonic()
    asked = asyncio.ensure_future(host.read(path, 0, 10))
    assert await until(lambda: ssh.connection.way not in (Way.UP, Way.STALE))
    assert told[0][0].way is Way.STALE
    assert told[0][0].reason.startswith("nothing heard for ")
    assert told[0][1] - stopped < 2 * BEAT
    assert told[-1][1] - stopped < 12
    signalled(peer, signal.SIGCONT)
    await asyncio.gather(asked, return_exceptions=True)
    await host.close()


def signalled(peer: sshd.SshPeer, what: int) -> None:
    assert peer.pid is not None
    for pid in (peer.pid, *peer.sessions()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


async def test_a_fifo_that_is_opened_hangs_the_real_server(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    hung = Hung()
    sftp = Sftp("box", await open_subprocess((hang_sftp.SERVER,)), hung, 0.3)
    await sftp.start()
    with pytest.raises(UnreachableError, match=r"box: no answer about .*fifo within 0\.3 s"):
        await sftp.open(str(tmp_path / "fifo"))
    assert sftp.stuck == Request(OPEN, str(tmp_path / "fifo"))
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
