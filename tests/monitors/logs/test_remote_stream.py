"""A log on another host that is sent as it is written: through a helper in a child process, and a real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts import pipe, stream
from hosts.bootstrap import RunnerImage
from hosts.child import open_subprocess
from hosts.connects import Connects
from hosts.errors import UnreachableError
from hosts.host import Chunk
from hosts.lent import lend
from hosts.link import BytePipe
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from hosts.target import Target
from jobs.bundle import build_image
from monitors.logs import remote, remote_way, tally_far
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.remote import RemoteSource
from monitors.logs.types import GoneError, MarkKind, Source, Status
from tests.monitors.logs.test_remote import Writer, append, ends_with, lines, readable, runs_of_lines, sizes
from tests.peers import sshd
from tests.peers.callers import is_gone, until

WAYS = ["pipe", *(["sshd"] if sshd.SSHD else [])]
MIB = 1 << 20

Make = Callable[..., Any]


class CountedPipe:
    """A pipe, and the bytes that came out of it."""

    def __init__(self, inner: BytePipe) -> None:
        self.received = 0
        self.open = True
        self._inner = inner

    async def read(self) -> bytes:
        data = await self._inner.read()
        self.received += len(data)
        return data

    async def write(self, data: bytes) -> None:
        await self._inner.write(data)

    async def close(self, patience: float) -> None:
        await self._inner.close(patience)
        self.open = False

    def abort(self) -> None:
        self._inner.abort()

    async def ended(self) -> tuple[int | None, bytes]:
        return await self._inner.ended()


class Far(PipeReader):
    """A host whose pipes and reads are counted, and what cuts the way to it."""

    def __init__(self, image: RunnerImage, peer: sshd.SshPeer | None) -> None:
        self.peer = peer
        self.pipes: list[CountedPipe] = []
        self.most = 99
        self.gate = asyncio.Event()  # of every pipe but the first
        self.gate.set()
        self.reads = 0
        self.bytes_read = 0
        self.ssh: SshHost | None = None
        if peer is not None:
            known, key = str(peer.known_hosts), str(peer.keys["plain"])
            spec = SshSpec("127.0.0.1", peer.port, identity_file=key, known_hosts=known, config_file=None)
            self.ssh = SshHost(spec, connects=Connects(chance=sshd.Soonest()))
        super().__init__("box", self._count, image, python=sys.executable)

    async def _count(self, argv: tuple[str, ...]) -> BytePipe:
        if self.pipes:
            await self.gate.wait()
        if sum(one.open for one in self.pipes) >= self.most:
            raise UnreachableError("box: no session could be opened: open failed")
        made = CountedPipe(await (self.ssh.open(argv) if self.ssh is not None else open_subprocess(argv)))
        self.pipes.append(made)
        return made

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        self.reads += 1
        chunk = await super().read(path, offset, size)
        self.bytes_read += len(chunk.data)
        return chunk

    @property
    def channels(self) -> int:
        """Pipes that are open."""
        return sum(one.open for one in self.pipes)

    @property
    def received(self) -> int:
        """Bytes that came from there, of all kinds."""
        return sum(one.received for one in self.pipes)

    @property
    def helper(self) -> int:
        """The process there that sends; 0 while there is none."""
        session = self._streams.now
        return session.pid if session is not None else 0

    def cut(self) -> None:
        if self.peer is None:
            self.abort()
            return
        for pid in self.peer.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def end(self) -> None:
        await self.close()
        if self.ssh is not None:
            await self.ssh.close()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def image() -> RunnerImage:
    return build_image()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


@pytest.fixture(params=WAYS)
async def far(request: pytest.FixtureRequest, image: RunnerImage) -> AsyncIterator[Far]:
    made = Far(image, request.getfixturevalue("peer") if request.param == "sshd" else None)
    yield made
    await made.end()


@pytest.fixture
async def follow(log: Path, far: Far, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Makes and starts sources of the log."""
    monkeypatch.setattr(remote_way, "_FIRST_S", 0.01)
    monkeypatch.setattr(remote_way, "_FIRST_DENIED_S", 0.05)
    made: list[RemoteSource] = []

    async def make(path: Path = log, **options: Any) -> RemoteSource:
        source = RemoteSource(far, str(path), **options)
        made.append(source)
        await source.start(lambda: None)
        return source

    yield make
    for source in made:
        await source.close()


async def sent(source: RemoteSource, far: Far, size: int) -> bool:
    """Whether the log has grown to this size, and is being sent."""
    return await until(lambda: sizes(source)[-1:] == [size] and bool(far.helper) and source.shape.status is Status.LIVE)


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def signs(far: Far, count: int) -> None:
    """Wait until the far side has given so many signs of life."""
    for _ in range(count):
        before = far.received
        assert await until(lambda: far.received > before)  # noqa: B023 - used at once


async def test_what_is_written_is_sent_and_nobody_looks(
    follow: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BEAT", 0.1)
    append(log, "one\n")
    source = await follow()
    assert await sent(source, far, 4)
    reads, received = far.reads, far.received
    await signs(far, 5)
    assert far.reads == reads, "a log that stands still is not looked at"
    assert far.received - received < 5 * 200 + 400
    for count in range(2, 30):
        append(log, "two\n")
        assert await until(lambda: sizes(source) == [4 * count])  # noqa: B023 - used at once
    assert far.reads == reads, "nor one that grows"
    assert await readable(source) == b"one\n" + 28 * b"two\n"
    assert far.channels == 2


async def test_a_file_that_comes_goes_and_may_not_be_read(anybody: None, follow: Make, far: Far, log: Path) -> None:
    source = await follow()
    assert await until(lambda: source.shape.detail == "no such file yet")
    assert source.shape.status is Status.WAITING
    append(log, "one\n")
    assert await sent(source, far, 4)
    os.unlink(log)
    assert await until(lambda: source.shape.detail == "the file is deleted")
    os.mkdir(log)
    assert await until(lambda: source.shape.status is Status.FAILED)
    os.rmdir(log)
    append(log, "two\n")
    assert await until(lambda: sizes(source) == [4, 4])
    if far.peer is None:  # what may not be read is that of who started the helper
        os.chmod(log, 0)
        far.cut()
        assert await until(lambda: source.shape.status is Status.DENIED)
        os.chmod(log, 0o600)
        append(log, "three\n")
        assert await until(lambda: sizes(source) == [4, 10])
    assert await readable(source) == b"one\ntwo\n" + (b"three\n" if far.peer is None else b"")


async def test_an_empty_file_is_there(follow: Make, far: Far, log: Path) -> None:
    source = await follow()
    assert await until(lambda: source.shape.status is Status.WAITING)
    append(log, "")
    assert await sent(source, far, 0)


async def test_of_a_large_file_the_end_is_sent_and_the_rest_on_demand(follow: Make, far: Far, log: Path) -> None:
    whole = lines(500_000)
    append(log, whole)
    source = await follow()
    assert await sent(source, far, len(whole))
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [len(whole) + 4])
    assert far.received < MIB
    assert await source.read(0, 10 * MIB, MIB) == whole[10 * MIB : 11 * MIB]
    assert await readable(source) == whole + b"new\n"


async def test_a_writer_that_is_faster_than_the_way_is_followed_at_its_end(follow: Make, far: Far, log: Path) -> None:
    append(log, "one\n")
    source = await follow()
    assert await sent(source, far, 4)
    before = far.received
    whole = b"one\n" + lines(2_000_000)
    append(log, whole[4:])
    assert await until(lambda: sizes(source) == [len(whole)])
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [len(whole) + 4])
    assert far.received - before < len(whole) // 4
    found = hashlib.sha256()
    for offset in range(0, len(whole), 3 * MIB):
        found.update(await source.read(0, offset, 3 * MIB))
    assert found.digest() == hashlib.sha256(whole + b"new\n").digest()


async def test_rotation_and_copytruncate(follow: Make, far: Far, log: Path) -> None:
    append(log, "old\n")
    source = await follow()
    assert await sent(source, far, 4)
    append(log, "last of the old\n")
    os.rename(log, f"{log}.1")
    append(log, lines(10))
    assert await until(lambda: sizes(source) == [20, len(lines(10))])
    append(log, "unread\n")
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [20, len(lines(10)) + 7, 4])
    assert await readable(source) == b"old\nlast of the old\n" + lines(10) + b"unread\nnew\n"
    assert [mark.kind for mark in source.shape.marks] == [MarkKind.ROTATED, MarkKind.ROTATED]


@pytest.mark.parametrize("packed", [False, True])
async def test_files_that_came_and_went_while_the_way_was_lost(follow: Make, far: Far, log: Path, packed: bool) -> None:
    append(log, lines(10))
    source = await follow()
    assert await sent(source, far, len(lines(10)))
    far.cut()
    append(log, "last of the old\n")
    for name in ("second", "third", "fourth"):
        for number in (3, 2, 1):
            if log.with_name(f"run.log.{number}").exists():
                os.rename(f"{log}.{number}", f"{log}.{number + 1}")
        os.rename(log, f"{log}.1")
        append(log, f"{name}\n")
    if packed:
        os.rename(f"{log}.2", f"{log}.2.gz")
    between = b"" if packed else b"second\n"
    wanted = lines(10) + b"last of the old\n" + between + b"third\nfourth\n"
    assert await until(lambda: sizes(source)[-2:] == [6, 7])
    assert await readable(source) == wanted
    kinds = [mark.kind for mark in source.shape.marks if mark.kind is not MarkKind.OFFLINE]
    assert kinds == [MarkKind.ROTATED, MarkKind.LOST if packed else MarkKind.ROTATED, MarkKind.ROTATED]
    assert [mark.missing for mark in source.shape.marks if mark.kind is MarkKind.LOST] == ([None] if packed else [])


@pytest.mark.parametrize("copied", [False, True])
async def test_of_large_files_that_came_and_went_the_ends_are_sent_and_the_rest_on_demand(
    follow: Make, far: Far, log: Path, copied: bool
) -> None:
    append(log, lines(9))
    source = await follow()
    assert await sent(source, far, len(lines(9)))
    append(log, lines(1, 9))
    assert await sent(source, far, len(lines(10)))  # by now the others did not only grow, they were sent
    before = far.received
    far.cut()
    large = lines(600_000, 10), lines(600_000, 700_000)
    append(log, large[0])
    for name, text in ((".2", large[1]), (".1", b"last\n")):
        if copied:
            shutil.copy(log, f"{log}{name}")
            os.truncate(log, 0)
        else:
            os.rename(log, f"{log}{name}")
        append(log, text)
    wanted = [len(lines(10)) + len(large[0]), len(large[1]), 5]
    assert await until(lambda: sizes(source) == wanted and source.shape.status is Status.LIVE)
    # What is looked for in a copy is known by the bytes before it, and sent to its end
    assert far.received - before < (len(large[0]) if copied else 0) + 12 * MIB
    found = b"".join(
        [
            await source.read(one.number, offset, 3 * MIB)
            for one in source.shape.generations
            for offset in range(0, one.size, 3 * MIB)
        ]
    )
    assert found == lines(10) + large[0] + large[1] + b"last\n"
    assert MarkKind.LOST not in [mark.kind for mark in source.shape.marks]


async def test_nobody_who_looks_costs_no_channel_and_no_bytes(
    follow: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "_LINGER", 0.05)
    whole = lines(3000)
    append(log, whole)
    source = await follow(hidden_interval=0.02)
    assert await sent(source, far, len(whole))
    helper = far.helper
    source.watch(False)
    assert await until(lambda: is_gone(helper))
    assert await until(lambda: far.channels == 1)
    reads, read = far.reads, far.bytes_read
    assert await until(lambda: far.reads > reads + 5)
    assert far.bytes_read == read, "whether it has grown is asked, and nothing is fetched"
    append(log, "hidden\n")
    assert await until(lambda: sizes(source) == [len(whole) + 7]), "but it is counted"
    assert far.channels == 1
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, "shown\n")
    source.watch(True)
    assert await until(lambda: sizes(source) == [len(whole) + 7, 6])
    assert await readable(source) == whole + b"hidden\nshown\n"
    assert await until(lambda: far.channels == 2)


async def test_where_there_is_one_channel_only_it_is_looked_at(
    follow: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_NO_STREAM_S", 0.2)
    monkeypatch.setattr(pipe, "_NO_STREAM", 0.1)
    far.most = 1
    append(log, "one\n")
    source = await follow()
    for count in range(2, 12):
        append(log, "two\n")
        assert await until(lambda: sizes(source) == [4 * count])  # noqa: B023 - used at once
    assert (far.channels, far.helper) == (1, 0)
    far.most = 99
    assert await until(lambda: bool(far.helper)), "a second one is asked for again"
    append(log, "new\n")
    assert await sent(source, far, 48)
    assert await readable(source) == b"one\n" + 10 * b"two\n" + b"new\n"


async def test_a_far_side_that_stands_still_is_told(
    follow: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_way, "SILENCE_S", 0.3)
    monkeypatch.setattr(remote_way, "_TICK_S", 0.05)
    append(log, "one\n")
    source = await follow(noticed=0.0)
    assert await sent(source, far, 4)
    os.kill(far.helper, signal.SIGSTOP)
    try:
        assert await until(lambda: source.shape.status is Status.STALE)
        assert source.shape.detail == "box: no answer for 0.3 s"
        append(log, "two\n")
    finally:
        os.kill(far.helper, signal.SIGCONT)
    assert await until(lambda: sizes(source) == [8])
    assert await until(lambda: source.shape.status is Status.LIVE)
    assert {mark.kind for mark in source.shape.marks} == {MarkKind.OFFLINE}


async def test_after_an_hour_of_sleep_it_goes_on_by_itself(follow: Make, far: Far, log: Path) -> None:
    """Our clock has jumped and the way is gone; meanwhile much was written, and the log turned over."""
    now = [1000.0]
    whole = lines(100)
    append(log, whole)
    source = await follow(now=lambda: now[0])
    assert await sent(source, far, len(whole))
    before = far.helper
    now[0] += 3600
    append(log, lines(300_000, 100))
    os.rename(log, f"{log}.1")
    append(log, "new\n")
    far.cut()
    assert await until(lambda: sizes(source)[1:] == [4])
    assert await until(lambda: source.shape.status is Status.LIVE)
    assert far.helper != before
    assert await until(lambda: is_gone(before))
    assert await readable(source) == lines(300_100) + b"new\n"
    offline = [mark for mark in source.shape.marks if mark.kind is MarkKind.OFFLINE]
    assert [mark.text for mark in offline] in ([], ["no answer from box for 1 h 0 min"])


async def test_many_logs_of_a_host_share_its_channels_and_give_them_back(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "_LINGER", 0.05)
    connections = far.peer.sessions() if far.peer is not None else []
    opened: list[Source] = []

    async def connect(_host: str) -> Any:
        return lend(far)

    for number in range(5):
        append(tmp_path / f"{number}.log", f"{number}\n")
        source = await open_source(Target("box", str(tmp_path / f"{number}.log")), connect)
        opened.append(source)
        await source.start(lambda: None)
    append(tmp_path / "folder.log", "folder\n")
    for text in (f"{tmp_path}/*.log", str(tmp_path)):
        opened.append(await open_source(Target("box", text), connect))
        await opened[-1].start(lambda: None)
    assert await until(lambda: all(sizes(source) for source in opened))
    for number in range(5):
        append(tmp_path / f"{number}.log", "more\n")
    assert await until(lambda: all(sizes(source) == [7] for source in opened[:5]))
    assert far.channels == 2, "one for what is asked, one for what is sent"
    assert len(far.pipes) == 2
    if far.peer is not None:
        assert len(set(far.peer.sessions()) - set(connections)) <= 2, "one connection: a listener and its child"
    helper = far.helper
    assert await until(lambda: threads(helper) == 1 + len(opened)), "one that listens, and one for each log"
    for source in opened[1:]:
        await source.close()
    assert await until(lambda: threads(helper) == 2), "who sends a log there ends with it"
    await opened[0].close()
    assert await until(lambda: far.channels == 1)
    assert await until(lambda: is_gone(helper))
    assert (await far.read(str(tmp_path / "0.log"), 0, 2)).data == b"0\n", "the host stays"


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_lines_come_once_and_a_loss_is_marked(
    follow: Make, far: Far, log: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random writes, rotations, truncations, cuts, and somebody who looks away."""
    monkeypatch.setattr(pipe, "_LINGER", 0.02)
    chance = random.Random(seed)
    writer = Writer(log, chance)
    writer.write()
    source = await follow(hidden_interval=0.02)
    assert await until(lambda: sum(sizes(source)) > 0)
    for _ in range(40):
        if chance.random() < 0.1:
            far.cut()
        if chance.random() < 0.2:
            source.watch(chance.random() < 0.5)
        for _ in range(chance.randrange(1, 3)):
            writer.act()
        if chance.random() < 0.7:
            await asyncio.sleep(chance.choice([0, 0.01, 0.03]))
    source.watch(True)
    writer.write()
    assert await ends_with(source, lines(1, writer.written - 1))
    runs = await runs_of_lines(source)
    for run in runs:
        assert run == list(range(run[0], run[0] + len(run))) if run else True, "between two marks nothing is lost"
    numbers = [number for run in runs for number in run]
    assert numbers == sorted(set(numbers)), "in order and once"
    assert numbers[-1] == writer.written - 1


async def test_what_is_gone_is_told(follow: Make, far: Far, log: Path) -> None:
    append(log, lines(300_000))
    source = await follow()
    assert await sent(source, far, len(lines(300_000)))
    os.truncate(log, 0)
    append(log, "new\n")
    assert await until(lambda: sizes(source)[1:] == [4])
    with pytest.raises(GoneError):
        await source.read(0, 0, 100)


SLEEPER = """
import asyncio, hashlib, sys
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from jobs.bundle import build_image
from monitors.logs.remote import RemoteSource

async def main(port, key, known, log):
    host = SshHost(SshSpec("127.0.0.1", int(port), identity_file=key, known_hosts=known, config_file=None), 0.5)
    reader = PipeReader("box", host.open, build_image(), python=sys.executable)
    source = RemoteSource(reader, log)
    told = lambda: print(*[one.size for one in source.shape.generations], flush=True)
    await source.start(told)
    await asyncio.to_thread(sys.stdin.readline)
    parts = [await source.read(one.number, 0, one.size) for one in source.shape.generations]
    print(hashlib.sha256(b"".join(parts)).hexdigest(), flush=True)
    await source.close()
    await reader.close()
    await host.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd")
@pytest.mark.parametrize("dropped", [False, True], ids=["the way stays", "the way is dropped"])
async def test_a_laptop_that_slept_goes_on_by_itself(peer: sshd.SshPeer, log: Path, house: Path, dropped: bool) -> None:
    """Our process stands still while the log grows and turns over, for longer than signs of life may be apart."""
    append(log, lines(100))
    argv = [str(peer.port), str(peer.keys["plain"]), str(peer.known_hosts), str(log)]
    pipes = asyncio.subprocess.PIPE
    ours = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLEEPER, *argv, cwd=house, stdin=pipes, stdout=pipes
    )
    assert ours.stdin is not None
    assert ours.stdout is not None
    try:

        async def shows(*expected: int) -> None:
            assert ours.stdout is not None
            async with asyncio.timeout(60):
                while (await ours.stdout.readline()).split() != [b"%d" % size for size in expected]:
                    pass

        await shows(len(lines(100)))
        append(log, "more\n")
        await shows(len(lines(100)) + 5)
        ours.send_signal(signal.SIGSTOP)
        append(log, lines(50_000))
        if dropped:
            for pid in peer.sessions():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        os.rename(log, f"{log}.1")
        append(log, "new\n")
        await asyncio.sleep(3.0)  # so long it sleeps; nothing is waited for
        ours.send_signal(signal.SIGCONT)
        await shows(len(lines(100)) + 5 + len(lines(50_000)), 4)
        append(log, "and on\n")
        await shows(len(lines(100)) + 5 + len(lines(50_000)), 11)
        ours.stdin.write(b"\n")
        whole = lines(100) + b"more\n" + lines(50_000) + b"new\nand on\n"
        assert (await ours.stdout.read()).split()[-1].decode() == hashlib.sha256(whole).hexdigest()
        assert await ours.wait() == 0
    finally:
        if ours.returncode is None:
            ours.kill()
            await ours.wait()


# Counted there.


@pytest.fixture
async def shown(far: Far, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Makes and starts models of logs of the host."""
    monkeypatch.setattr(tally_far, "AGAIN_S", 0.05)
    monkeypatch.setattr(remote_way, "_FIRST_S", 0.01)
    made: list[LogModel] = []

    async def connect(_host: str) -> Any:
        return lend(far)

    async def make(path: object) -> LogModel:
        model = LogModel(await open_source(Target("box", str(path)), connect))
        made.append(model)
        await model.start()
        return model

    yield make
    for model in made:
        await model.close()


async def counts(model: LogModel, number: int) -> bool:
    """Whether so many lines are counted in the end."""
    return await until(lambda: model.state.lines == number and model.state.counted == model.state.bytes)


async def test_the_lines_of_a_large_log_are_counted_there(shown: Make, far: Far, log: Path) -> None:
    append(log, lines(500_000))
    model = await shown(log)
    assert await counts(model, 500_000)
    assert far.received < MIB, "and only its end came here"
    append(log, lines(3))
    assert await counts(model, 500_003)
    append(log, b"unfinished")
    assert await counts(model, 500_004)
    place = await model.at_number(0, 250_000)
    assert place is not None
    window = await model.window(place, 0, 1)
    assert window.lines[0].data == lines(1, 249_999)[:-1]
    assert model._scanner is not None
    assert model._scanner.pid is None, "nor is there a process for it here"


async def test_what_is_shown_first_waits_for_one_channel_only(
    shown: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "_STREAM_OPENING", 3600.0)
    append(log, lines(200_000))
    far.gate.clear()
    model = await shown(log)
    assert await until(lambda: model.state.bytes > 0)
    window = await model.window(model.end_place(), 100, 0)
    assert b"\n".join(line.data for line in window.lines[-3:]) == lines(3, 199_997)[:-1]
    assert far.channels == 1
    far.gate.set()
    assert await counts(model, 200_000)


async def test_what_arrives_is_counted_here(shown: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(log, lines(10))
    model = await shown(log)
    assert await counts(model, 10)
    monkeypatch.setattr(far, "count", None)
    reads = far.reads
    for count in range(11, 40):
        append(log, lines(1))
        assert await counts(model, count)
    assert far.reads == reads


async def test_a_log_of_two_bytes_a_letter_is_counted(shown: Make, log: Path) -> None:
    text = "".join(f"{number} Zeile \u010a\u0a0a\n" for number in range(90_000))
    append(log, text.encode("utf-16"))
    model = await shown(log)
    assert await counts(model, 90_000)
    for count in range(1, 5):
        data = f"mehr {count}\n".encode("utf-16-le")
        append(log, data[:5])
        assert await until(lambda: model.state.bytes % 2 == 1)
        append(log, data[5:])
        assert await counts(model, 90_000 + count)


async def test_a_log_that_turned_over_is_counted(shown: Make, far: Far, log: Path) -> None:
    append(log, lines(100_000))
    model = await shown(log)
    assert await counts(model, 100_000)
    append(log, lines(100_000))
    os.rename(log, f"{log}.1")
    append(log, lines(70_000))
    far.cut()
    assert await counts(model, 270_000)
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, lines(5))
    assert await counts(model, 270_005)


@pytest.mark.parametrize(("channels", "more"), [(1, 0), (1, 100_000), (99, 0), (99, 100_000)])
async def test_what_is_left_of_a_log_that_was_truncated_is_counted_without_another_write(
    shown: Make, far: Far, log: Path, more: int, channels: int
) -> None:
    far.most = channels
    append(log, lines(200_000))
    model = await shown(log)
    assert await counts(model, 200_000)
    append(log, lines(more))
    assert await counts(model, 200_000 + more)
    os.truncate(log, 0)
    assert await until(lambda: len(model.shape.generations) == 2)
    first = model.shape.generations[0].first
    assert first > 0
    assert await counts(model, lines(200_000 + more)[first:].count(b"\n"))


async def test_the_newest_log_of_a_folder_is_counted_there(shown: Make, far: Far, tmp_path: Path) -> None:
    append(tmp_path / "a.log", lines(200_000))
    for path in (tmp_path, tmp_path / "*.log"):
        model = await shown(path)
        assert await counts(model, 200_000)
    assert far.received < MIB


async def test_where_nobody_counts_there_it_is_counted_here(shown: Make, far: Far, log: Path) -> None:
    far.most = 1
    append(log, lines(20_000))
    model = await shown(log)
    assert await counts(model, 20_000)
    append(log, lines(5))
    assert await counts(model, 20_005)
    assert far.channels == 1


async def test_a_way_that_is_cut_over_and_over_does_not_make_it_wrong(shown: Make, far: Far, log: Path) -> None:
    written = 300_000
    append(log, lines(written))
    model = await shown(log)
    for _ in range(5):
        append(log, lines(50_000))
        written += 50_000
        await asyncio.sleep(0.02)
        far.cut()
    assert await counts(model, written)
