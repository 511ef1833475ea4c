"""Files followed over a pipe of their own: through a helper in a child process, and through a real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Callable
from io import RawIOBase
from pathlib import Path
from typing import Any

import pytest

from hosts import pipe
from hosts.child import open_subprocess
from hosts.errors import InputError, UnreachableError
from hosts.host import Data, Gap, Position, Rotated
from hosts.link import BytePipe
from hosts.local.observe import NotThereError
from hosts.local.streamwire import WINDOW
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from tests.peers import sshd
from tests.peers.callers import is_gone, until

MB = 1_000_000
WAYS = ["pipe", *(["sshd"] if sshd.SSHD else [])]

Item = Data | Gap | Rotated


class Way:
    """A host whose pipes are counted, and what cuts the way to it."""

    def __init__(self, kind: str, image: Any, peer: sshd.SshPeer | None) -> None:
        self.kind = kind
        self.peer = peer
        self.pipes: list[Any] = []
        self.most = 99
        self._ssh: SshHost | None = None
        if peer is not None:
            known, key = str(peer.known_hosts), str(peer.keys["plain"])
            self._ssh = SshHost(SshSpec("127.0.0.1", peer.port, identity_file=key, known_hosts=known, config_file=None))
        self.host = PipeReader("box", self._open, image, interval=0.01)

    async def _open(self, argv: tuple[str, ...]) -> BytePipe:
        if len(self.pipes) >= self.most:
            raise UnreachableError("box: no session could be opened: open failed")
        made = await (self._ssh.open(argv) if self._ssh is not None else open_subprocess(argv))
        self.pipes.append(made)
        return made

    def cut(self) -> None:
        if self.peer is None:
            self.host.abort()
        else:
            for pid in self.peer.sessions():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def again(self) -> None:
        """As a person would who does not want to wait."""
        await asyncio.sleep(0.01)
        if self._ssh is not None:
            with contextlib.suppress(UnreachableError):
                await self._ssh.retry_now()

    async def close(self) -> None:
        await self.host.close()
        if self._ssh is not None:
            await self._ssh.close()


@pytest.fixture(params=WAYS)
async def way(request: pytest.FixtureRequest, image: Any) -> AsyncIterator[Way]:
    peer = request.getfixturevalue("ssh_peer") if request.param == "sshd" else None
    made = Way(request.param, image, peer)
    yield made
    await made.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


class Writer(threading.Thread):
    """Writes beside the loop; what it does waits for how far the reader got, never for a clock."""

    def __init__(self, work: Callable[[Writer], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._got = 0
        self._more = threading.Condition()
        self.sha256 = hashlib.sha256()
        self.written = 0

    def run(self) -> None:
        self._work(self)

    def write(self, file: RawIOBase, data: bytes) -> None:
        assert file.write(data) == len(data)
        self.sha256.update(data)
        self.written += len(data)

    def received(self, size: int) -> None:
        with self._more:
            self._got += size
            self._more.notify_all()

    def behind(self, most: int) -> None:
        """Wait until no more than this many bytes are not received."""
        with self._more:
            assert self._more.wait_for(lambda: self.written - self._got <= most, 20)


async def test_what_is_written_comes_over_a_pipe_of_its_own(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with contextlib.aclosing(way.host.follow(str(path), Position())) as items:
        await asyncio.to_thread(path.write_bytes, b"one\n")
        first = await anext(items)
        assert isinstance(first, Data)
        assert first.data == b"one\n"
        chunk = await way.host.read(str(path), 0, 4)
        assert first.position == Position(4, chunk.inode, chunk.fingerprint, 4)
        await asyncio.to_thread(append, path, b"two\n")
        second = await anext(items)
        assert isinstance(second, Data)
        assert (second.data, second.position.offset) == (b"two\n", 8)
    assert len(way.pipes) == 2
    async with contextlib.aclosing(way.host.follow(str(path), first.position)) as items:
        assert await anext(items) == second
    assert len(way.pipes) == 2


async def test_where_there_is_one_pipe_only_ranges_are_read(way: Way, tmp_path: Path) -> None:
    way.most = 1
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    async with contextlib.aclosing(way.host.follow(str(path), Position())) as items:
        assert [(await anext(items)).position.offset] == [4]
        append(path, b"two\n")
        assert [(await anext(items)).position.offset] == [8]


async def test_a_copy_is_found_from_where_an_earlier_session_ended(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(300)))
    async with contextlib.aclosing(way.host.follow(str(path), Position())) as items:
        at = (await anext(items)).position
    append(path, b"unread\n")
    shutil.copy(path, f"{path}.1")
    path.write_text("new\n")
    async with contextlib.aclosing(way.host.follow(str(path), at)) as items:
        unread, turned, new = [await anext(items) for _ in range(3)]
    assert isinstance(unread, Data)
    assert isinstance(new, Data)
    assert (unread.data, new.data) == (b"unread\n", b"new\n")
    assert turned == Rotated("truncated", turned.position)


async def test_a_second_pipe_is_tried_for_again(way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "_NO_STREAM", 0.0)
    way.most = 1
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    async with contextlib.aclosing(way.host.follow(str(path), Position())) as items:
        assert [(await anext(items)).position.offset] == [4]
        way.most = 2
        append(path, b"two\n")
        assert [(await anext(items)).position.offset] == [8]
    assert len(way.pipes) == 2


async def test_ranges_come_as_they_are(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = os.urandom(10 * MB)
    path.write_bytes(content)
    large, small = await way.host.read(str(path), 1000, 9 * MB), await way.host.read(str(path), 0, 100)
    assert len(way.pipes) == 2
    assert large.data == content[1000 : 1000 + (8 << 20)]
    same = [(chunk.size, chunk.inode, chunk.mtime_ns, chunk.fingerprint) for chunk in (large, small)]
    assert same[0] == same[1]
    parts = await asyncio.gather(*(way.host.read(str(path), MB * n, MB) for n in range(10)))
    assert b"".join(part.data for part in parts) == content
    assert (await way.host.read(str(path), 11 * MB, MB)).data == b""
    with pytest.raises(NotThereError, match=r"cannot read .*none: not there"):
        await way.host.read(str(tmp_path / "none"), 0, MB)
    with pytest.raises(InputError, match="not a regular file"):
        await way.host.read(str(tmp_path), 0, MB)
    with pytest.raises(InputError, match="bad offset"):
        await way.host.read(str(path), -1, MB)
    stream = way.host._streams.now
    assert stream is not None
    reading = asyncio.gather(*(way.host.read(str(path), 0, 8 * MB) for _ in range(4)))
    assert await until(lambda: stream.used)
    way.cut()
    with pytest.raises(UnreachableError, match="box: "):
        await reading


async def test_what_is_followed_comes_between_long_ranges(way: Way, tmp_path: Path) -> None:
    path, other = tmp_path / "log", tmp_path / "other"
    path.write_bytes(b"one\n")
    other.write_bytes(os.urandom(8 * MB))
    async with contextlib.aclosing(way.host.follow(str(path), Position())) as items:
        assert (await anext(items)).position.offset == 4
        reading = asyncio.gather(*(way.host.read(str(other), 0, 8 * MB) for _ in range(4)))
        append(path, b"two\n")
        assert (await anext(items)).position.offset == 8
        assert [len(chunk.data) for chunk in await reading] == [8 * MB] * 4


async def test_what_cannot_be_read_is_told(way: Way, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        await anext(way.host.follow(str(tmp_path), Position()))


async def test_a_slow_reader_holds_no_more_than_the_window(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = os.urandom(4 * WINDOW)
    path.write_bytes(content)
    got = bytearray()
    waits = 0
    async with contextlib.aclosing(way.host.follow(str(path), Position())) as items:
        async for item in items:
            assert isinstance(item, Data)
            got += item.data
            stream = way.host._streams.now
            assert stream is not None
            if waits < 3 and len(got) < len(content) - WINDOW:
                waits += 1  # until nothing more can come
                assert await until(lambda: stream.held > WINDOW - (WINDOW // 4) - (1 << 20))  # noqa: B023 - awaited in this turn
            if len(got) == len(content):
                break
    assert bytes(got) == content
    assert stream is not None
    assert WINDOW // 2 < stream.most_held <= WINDOW


async def test_the_helper_ends_after_the_last_file(way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "_LINGER", 0.01)
    (tmp_path / "log").write_bytes(b"one\n")
    async with contextlib.aclosing(way.host.follow(str(tmp_path / "log"), Position())) as items:
        await anext(items)
        stream = way.host._streams.now
        assert stream is not None
        pid = stream.pid
        assert not is_gone(pid)
    assert await until(lambda: is_gone(pid))
    async with contextlib.aclosing(way.host.follow(str(tmp_path / "log"), Position())) as items:
        await anext(items)


async def test_the_helper_ends_when_the_way_is_cut(way: Way, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\n")
    items = way.host.follow(str(tmp_path / "log"), Position())
    await anext(items)
    stream = way.host._streams.now
    assert stream is not None
    way.cut()
    with pytest.raises(UnreachableError, match="box: "):
        await anext(items)
    assert await until(lambda: is_gone(stream.pid))


async def test_a_silent_helper_is_given_up(way: Way, tmp_path: Path) -> None:
    way.host._heartbeat = 0.1
    (tmp_path / "log").write_bytes(b"one\n")
    items = way.host.follow(str(tmp_path / "log"), Position())
    await anext(items)
    stream = way.host._streams.now
    assert stream is not None
    os.kill(stream.pid, signal.SIGSTOP)
    try:
        with pytest.raises(UnreachableError, match="stopped answering"):
            await anext(items)
    finally:
        os.kill(stream.pid, signal.SIGCONT)
    assert await until(lambda: is_gone(stream.pid))


async def test_nothing_is_lost_in_a_storm_of_rotations(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "log"

    def work(writer: Writer) -> None:
        for number in range(60):
            before = writer.written
            with path.open("ab", buffering=0) as file:
                for part in range(5):
                    writer.write(file, (b"%d %d " % (number, part)) * (1 + number * 37 % 4000) + b"\n")
                # A file that came and went between two looks is nobody's; of this one something was seen
                writer.behind(writer.written - before - 1)
                if number % 3 == 2:
                    path.unlink()  # with no other name left: only who has it open can read the rest
                else:
                    path.rename(f"{path}.{number % 4}")
                writer.write(file, b"written after it was renamed\n" * (number % 5))
            if number % 7:
                path.touch()
        with path.open("ab", buffering=0) as file:
            writer.write(file, b"the end\n")

    got = await _followed(way, path, Writer(work))
    assert got.digest == got.writer.sha256.hexdigest()
    assert not any(isinstance(item, Gap) for item in got.others)


async def test_nothing_is_lost_or_doubled_while_the_session_is_killed(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "log"
    total = 20 * MB

    def work(writer: Writer) -> None:
        with path.open("ab", buffering=0) as file:
            while writer.written < total:
                writer.write(file, os.urandom(MB // 10))
                writer.behind(3 * MB)
            writer.write(file, b"the end\n")

    got = await _followed(way, path, Writer(work), cuts=[total * step // 11 for step in range(1, 11)])
    assert got.digest == got.writer.sha256.hexdigest()
    assert got.cuts == 10
    assert got.others == []


class Got:
    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.digest = ""
        self.cuts = 0
        self.others: list[Item] = []


async def _followed(way: Way, path: Path, writer: Writer, cuts: list[int] | None = None) -> Got:
    """Follow until the end that the writer wrote, beginning again after each loss of the way."""
    got, digest, size, at, end = Got(writer), hashlib.sha256(), 0, Position(), b""
    left = list(cuts or ())
    writer.start()
    while end != b"the end\n":
        try:
            async with contextlib.aclosing(way.host.follow(str(path), at)) as items:
                async for item in items:
                    at = item.position
                    if not isinstance(item, Data):
                        got.others.append(item)
                        continue
                    digest.update(item.data)
                    size += len(item.data)
                    end = (end + item.data)[-8:]
                    writer.received(len(item.data))
                    if left and size >= left[0]:
                        left.pop(0)
                        way.cut()
                        got.cuts += 1
                    if end == b"the end\n":
                        break
        except UnreachableError:
            await way.again()
    writer.join()
    got.digest = digest.hexdigest()
    return got
