"""A host with an SSH server and no Python: a real sshd whose PATH holds a shell, tail and a stand-in nvidia-smi."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bare import INODE, BareReader
from hosts.bare_pipe import EitherReader
from hosts.connects import Connects
from hosts.errors import InputError, UnreachableError
from hosts.follow import follow
from hosts.host import Chunk, Data, Gap, Position, ProcsWant, Rotated, TailWant, TreeWant, Wants
from hosts.local.mounts import file_system
from hosts.local.observe import NotThereError
from hosts.openssh import OpenSshHost
from hosts.ssh import SshHost, SshSpec
from tests.peers import bare, sshd
from tests.peers.callers import home, until

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
DRIVER = Path("/proc/driver/nvidia/version").exists()
HOSTILE = ["-rf", "'\";$(touch PWNED)`id`", "a\nb", "\udcff\udc80", "[x]*?", "\\", "~"]


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that can be found by name there."""
    return tmp_path_factory.mktemp("bin")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, bin_folder: Path) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd"), bare.settings(bin_folder) + bare.SFTP) as running:
        yield running


@pytest.fixture
def tool(bin_folder: Path, house: Path) -> Iterator[Callable[[str], None]]:
    """Puts an nvidia-smi there that answers out of a recording, slowly or at once, or one that is a script."""

    def put(recording: str, script: str = "", seconds: float = 0) -> None:
        bare.put_smi(bin_folder, house / f"tests/data/nvidia_smi/{recording}.txt", script, seconds)

    yield put
    (bin_folder / "nvidia-smi").unlink(missing_ok=True)


@pytest.fixture(params=["asyncssh", "openssh"])
async def host(request: pytest.FixtureRequest, peer: sshd.SshPeer, image: Any) -> AsyncIterator[Any]:
    made = connect(request.param, peer, image)
    yield made
    await made.close()


def connect(transport: str, peer: sshd.SshPeer, image: Any) -> Any:
    spec = SshSpec(
        "127.0.0.1", peer.port, None, str(peer.keys["plain"]), known_hosts=str(peer.known_hosts), config_file=None
    )
    shared = Connects(chance=sshd.Soonest())
    ssh = OpenSshHost(spec, connects=shared) if transport == "openssh" else SshHost(spec, connects=shared)
    without = BareReader("box", ssh.open_subsystem, ssh.open, interval=0.01)
    host = EitherReader("box", bare=without, opener=ssh.open, image=image, on_close=ssh.close)
    host.cut = ssh.abort  # type: ignore[attr-defined]  # so that a test can cut the way
    return host


async def test_what_it_has_and_why_it_has_no_more(host: Any, tool: Any, tmp_path: Path) -> None:
    tool("rtx2080super-465.27")
    (tmp_path / "log").write_bytes(b"0123456789")
    want = Wants(
        trees=(TreeWant(str(tmp_path), ("*",)),),
        tails=(TailWant(str(tmp_path / "log"), 4), TailWant(str(tmp_path / "none"))),
        procs=ProcsWant(marks=("A=1",)),
        accelerators=True,
        load=True,
        disks=(str(tmp_path), "~", "/none"),
    )
    seen = await host.observe(want, None, 20)
    assert set(seen.errors) == {"python", "procs"}
    assert seen.errors["python"].startswith("no python there: python3 cannot be run on box")
    assert seen.trees[0].error == f"{tmp_path}: {host.bare}", "what is in the files is not read one by one"
    assert (seen.tails[0].data, seen.tails[0].size, seen.tails[0].error) == (b"6789", 10, None)
    assert "not there" in seen.tails[1].error
    [card] = seen.accelerators.devices
    assert (card.name, seen.accelerators.source) == ("NVIDIA GeForce RTX 2080 SUPER", "nvidia-smi")
    assert seen.load.cores == os.cpu_count() or seen.load.cores >= 1
    assert seen.load.memory_total > 0
    assert seen.load.boot_id == BOOT_ID
    assert abs(seen.at - time.time()) < 60
    assert seen.disks[0].total == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert seen.disks[0].file_system == await asyncio.to_thread(file_system, str(tmp_path))
    assert seen.disks[1].free is not None
    assert (seen.disks[2].free, seen.disks[2].error) == (None, "not there")
    assert host.bare


async def test_accelerators_that_are_not_there(host: Any) -> None:
    seen = await host.observe(Wants(accelerators=True), None, 20)
    expected = "unknown" if DRIVER else "none"
    assert seen.accelerators.source == expected


async def test_a_tool_that_hangs_is_asked_once(host: Any, tool: Any, tmp_path: Path) -> None:
    tool("gb10", f"echo x >>{tmp_path}/calls; exec sleep 1000 #")
    for _ in range(2):
        seen = await host.observe(Wants(accelerators=True), None, 2)
        assert "has not answered" in seen.accelerators.detail
    assert (tmp_path / "calls").read_text() == "x\n"


async def test_a_tool_that_is_slow_holds_up_no_look_and_is_told_of_by_the_next(host: Any, tool: Any) -> None:
    tool("rtx2080super-465.27", seconds=1.5)
    want = Wants(accelerators=True, load=True, patience=0.1)
    first = await host.observe(want, None, 20)
    assert first.accelerators is None
    assert first.errors["accelerators"].startswith("no answer yet after")
    assert first.load is not None
    seen = first
    end = time.monotonic() + 30
    while seen.accelerators is None:
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
        seen = await host.observe(want, None, 20)
    assert "accelerators" not in seen.errors
    assert len(seen.accelerators.devices) == 1
    assert first.at - 5 < seen.accelerators.at <= seen.at
    waited = await host.observe(Wants(accelerators=True), None, 20)
    assert (len(waited.accelerators.devices), waited.accelerators.at) == (1, None), "of now, where that is needed"


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_are_names(host: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"here")
    chunk = await host.read(f"{tmp_path}/{name}", 1, 100)
    assert (chunk.data, chunk.size, chunk.inode) == (b"ere", 4, INODE)
    assert await host.query("locate", {"path": str(tmp_path / "*")}, 20) == [f"{tmp_path}/{name}"]


async def test_ranges(host: Any, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_000_001)
    (tmp_path / "data").write_bytes(data)
    for offset, size in ((0, 3_000_001), (5, 100_000), (2_999_999, 1 << 20), (4_000_000, 10), (0, 0)):
        chunk = await host.read(str(tmp_path / "data"), offset, size)
        assert chunk.data == data[offset : offset + size]
        assert chunk.size == len(data)
    with pytest.raises(NotThereError):
        await host.read(str(tmp_path / "none"), 0, 1)
    with pytest.raises(InputError, match="it is a folder"):
        await host.read(str(tmp_path), 0, 1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        await host.read(str(tmp_path / "pipe"), 0, 1)
    with pytest.raises(InputError, match="another user"):
        await host.read("~nobody/x", 0, 1)


async def test_places(host: Any, tmp_path: Path) -> None:
    for name in ("a1/x.log", "a2/x.log", "a2/.x.log", "b/x.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = await host.query("locate", {"path": f"{tmp_path}/a*/*.log"}, 20)
    assert found == [f"{tmp_path}/a1/x.log", f"{tmp_path}/a2/x.log"]
    assert await host.query("locate", {"path": f"{tmp_path}/none"}, 20) == []
    assert await host.query("locate", {"path": "~"}, 20) == [home()]
    with pytest.raises(InputError, match="box: probe needs our helper there, and no python there"):
        await host.query("probe", {}, 20)


class Follow:
    """A file that is followed through lost connections, as whoever watches does."""

    def __init__(self, host: Any, path: Path, at: Position | None = None) -> None:
        self.data = b""
        self.marks: list[str] = []
        self.at = at or Position()
        self._task = asyncio.create_task(self._run(host, path))

    async def _run(self, host: Any, path: Path) -> None:
        while True:
            try:
                async with contextlib.aclosing(host.follow(str(path), self.at)) as items:
                    async for item in items:
                        self._take(item)
            except UnreachableError:
                await asyncio.sleep(0.01)

    def _take(self, item: Data | Gap | Rotated) -> None:
        self.at = item.position
        if isinstance(item, Data):
            self.data += item.data
        else:
            self.marks.append(item.why)

    async def until(self, size: int) -> None:
        assert await until(lambda: len(self.data) >= size), f"{len(self.data)} of {size} arrived; {self.marks}"

    async def stop(self) -> Position:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        return self.at


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def test_nothing_is_lost_or_doubled(host: Any, tmp_path: Path) -> None:
    dice = random.Random(7)
    path = tmp_path / "log"
    written = bytearray()
    follow = Follow(host, path)
    for step in range(40):
        block = dice.randbytes(dice.choice((1, 50, 3000, 200_000)))
        await asyncio.to_thread(append, path, block)
        written += block
        if step % 8 == 3:
            host.cut()
        if step % 13 == 12:
            await follow.until(len(written))
            await asyncio.to_thread(path.rename, tmp_path / "log.1")
            await asyncio.to_thread(append, tmp_path / "log.1", b"last words")
            await asyncio.to_thread(path.touch)
            written += b"last words"
    await follow.until(len(written))
    await follow.stop()
    assert follow.data == bytes(written)
    assert follow.marks == ["truncated"] * 3  # as far as can be told without inodes


async def patient(host: Any, path: str, offset: int, size: int) -> Chunk:
    """A range, however often it has to be asked for."""
    while True:
        try:
            chunk: Chunk = await host.read(path, offset, size)
        except UnreachableError:
            await asyncio.sleep(0.01)
        else:
            return chunk


class Poll(Follow):
    """The same by ranges alone, asked for again after each loss."""

    async def _run(self, host: Any, path: Path) -> None:
        read = functools.partial(patient, host)
        async with contextlib.aclosing(follow(read, str(path), self.at, 0.01)) as items:
            async for item in items:
                self._take(item)


@pytest.mark.parametrize(("way", "first"), [(Follow, "without"), (Poll, "with")])
async def test_a_python_that_comes_and_goes_loses_nothing(
    host: Any, bin_folder: Path, tmp_path: Path, way: type[Follow], first: str
) -> None:
    """It is used from the next connection on, and what is followed goes on where it was, both ways."""
    path, python = tmp_path / "log", bin_folder / "python3"
    append(path, b"0123" * 1000)
    if first == "with":
        python.symlink_to(sys.executable)
    try:
        seen = way(host, path)
        await seen.until(4000)
        for turn in range(1, 4):
            assert bool(host.bare) is not python.exists()
            at = seen.at
            python.unlink() if python.exists() else python.symlink_to(sys.executable)
            host.abort()
            host.cut()
            assert await until(lambda: not host.bare)
            append(path, b"%d more" % turn * 1000)
            await seen.until(4000 + 6000 * turn)
            assert seen.at.inode == at.inode
        await seen.stop()
    finally:
        python.unlink(missing_ok=True)
    assert seen.data == path.read_bytes()
    assert seen.marks == []


@pytest.mark.parametrize("size", [5, 40, 1200])
@pytest.mark.parametrize(("way", "first"), [(Follow, "without"), (Poll, "with"), (Follow, "with"), (Poll, "without")])
async def test_a_small_log_goes_on_whatever_the_way(
    host: Any, bin_folder: Path, tmp_path: Path, way: type[Follow], first: str, size: int
) -> None:
    """What is known of the beginning of a log of a few lines covers less than it holds by the next look."""
    path, python = tmp_path / "log", bin_folder / "python3"
    append(path, b"0" * size)
    if first == "with":
        python.symlink_to(sys.executable)
    try:
        seen = way(host, path)
        await seen.until(size)
        for turn in range(1, 4):
            at = await seen.stop()
            python.unlink() if python.exists() else python.symlink_to(sys.executable)
            host.abort()
            host.cut()
            assert await until(lambda: not host.bare)
            append(path, b"%d" % turn * size)  # while nobody looks
            data, marks, seen = seen.data, seen.marks, way(host, path, at)
            seen.data, seen.marks = data, marks
            await seen.until(size * (turn + 1))
            assert seen.at.inode == at.inode
        await seen.stop()
    finally:
        python.unlink(missing_ok=True)
    assert (seen.data, seen.marks) == (path.read_bytes(), [])


async def test_a_range_of_a_small_log_is_of_the_same_file_whatever_the_way(
    host: Any, bin_folder: Path, tmp_path: Path
) -> None:
    path, python = tmp_path / "log", bin_folder / "python3"
    append(path, b"first\n")
    before = (await host.read(str(path), 0, 10)).inode
    append(path, b"second\n")
    python.symlink_to(sys.executable)
    try:
        host.cut()
        assert await until(lambda: not host.bare)
        assert (await patient(host, str(path), 8, 10)).inode == before
    finally:
        python.unlink()


@pytest.mark.parametrize("size", [1, 1000])
async def test_another_file_is_another_one_whatever_the_way(
    host: Any, bin_folder: Path, tmp_path: Path, size: int
) -> None:
    path, python = tmp_path / "log", bin_folder / "python3"
    append(path, b"old " * size)
    before = (await host.read(str(path), 0, 0)).inode
    path.rename(tmp_path / "log.2")
    append(path, b"new " * size * 2)
    python.symlink_to(sys.executable)
    try:
        host.cut()
        assert await until(lambda: not host.bare)
        assert (await patient(host, str(path), 0, 0)).inode != before
    finally:
        python.unlink()


async def test_without_sftp_there_is_nothing(tmp_path_factory: pytest.TempPathFactory, image: Any) -> None:
    with sshd.running(tmp_path_factory.mktemp("sshd"), bare.settings(tmp_path_factory.mktemp("bin"))) as peer:
        host = connect("asyncssh", peer, image)
        with pytest.raises(UnreachableError, match=r"python3 cannot be run.*no SFTP: 127\.0\.0\.1: no session"):
            await host.read("/etc/passwd", 0, 1)
        await host.close()
