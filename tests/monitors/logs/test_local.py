from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from hosts.errors import InputError, UnreachableError
from monitors.logs.local import LocalSource
from monitors.logs.local_files import Files
from monitors.logs.local_notice import Notice
from monitors.logs.types import GoneError, MarkKind, Status
from tests.monitors.logs.looks import Log

PATIENCE_S = 20.0


class Reader:
    """Somebody who follows a source."""

    def __init__(self, source: LocalSource) -> None:
        self.source = source
        self.calls = 0
        self._changed = asyncio.Event()

    def changed(self) -> None:
        self.calls += 1
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async def wait() -> None:
            while not condition():
                self._changed.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.05)

        await asyncio.wait_for(wait(), PATIENCE_S)

    async def has(self, size: int) -> None:
        await self.until(lambda: self.size >= size)
        assert self.size == size

    @property
    def size(self) -> int:
        return sum(one.size - one.first for one in self.source.shape.generations)

    async def everything(self) -> bytes:
        found = [await self.source.read(one.number, one.first, one.size) for one in self.source.shape.generations]
        return b"".join(found)


@contextlib.asynccontextmanager
async def reading(source: LocalSource) -> AsyncIterator[Reader]:
    reader = Reader(source)
    await source.start(reader.changed)
    try:
        yield reader
    finally:
        await source.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_file_is_followed(tmp_path: Path) -> None:
    log = Log(tmp_path)
    before = descriptors()
    async with reading(LocalSource(str(log.path))) as reader:
        await reader.until(lambda: reader.source.shape.status is Status.WAITING and reader.source.shape.detail)
        written = log.append()
        await reader.until(lambda: reader.size == len(written))
        for _ in range(5):
            written += log.append()
            await reader.has(len(written))
            assert await reader.everything() == written
        live = reader.source.shape.generations[-1]
        assert live.name == str(log.path)
        handle = reader.source.descriptor(live.number)
        assert handle is not None
        assert os.pread(handle, len(written), 0) == written
        assert await reader.source.read(live.number, live.size, 10) == b""
        with pytest.raises(GoneError):
            await reader.source.read(7, 0, 1)
    assert descriptors() == before


async def test_a_change_is_told_on_the_loop_and_not_too_often(tmp_path: Path) -> None:
    log = Log(tmp_path)
    async with reading(LocalSource(str(log.path), visible_interval=0.001)) as reader:
        started = asyncio.get_running_loop().time()
        written = b""
        for _ in range(300):
            written += log.append()
            await asyncio.sleep(0.001)
        await reader.until(lambda: reader.size == len(written))
        elapsed = asyncio.get_running_loop().time() - started
        assert 1 <= reader.calls <= elapsed * 30 + 2


async def test_a_source_that_was_not_started_or_is_closed_gives_nothing_and_holds_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append()
    before = descriptors()
    source = LocalSource(str(log.path))
    with pytest.raises(UnreachableError):
        await source.read(0, 0, 1)
    await source.close()
    async with reading(LocalSource(str(log.path))) as reader:
        await reader.until(lambda: reader.size)
    with pytest.raises(UnreachableError):
        await reader.source.read(0, 0, 1)
    reader.source.watch(False)
    reader.source.watch(True)
    assert descriptors() == before


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(InputError):
        LocalSource(name)


class Broken(Files):
    """A file system whose reads fail when they are told to."""

    error = 0

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return super().pread(handle, size, offset)


@pytest.mark.parametrize(
    ("error", "status"), [(errno.EIO, Status.FAILED), (errno.ENOTCONN, Status.STALE), (errno.EACCES, Status.DENIED)]
)
async def test_an_error_of_the_file_system_is_said_and_got_over(tmp_path: Path, error: int, status: Status) -> None:
    log = Log(tmp_path)
    written = log.append()
    files = Broken()
    async with reading(LocalSource(str(log.path), files=files)) as reader:
        await reader.until(lambda: reader.size)
        files.error = error
        written += log.append()
        await reader.until(lambda: reader.source.shape.status is status)
        files.error = 0
        await reader.until(lambda: reader.source.shape.status is Status.LIVE and reader.size == len(written))
        assert await reader.everything() == written


async def test_an_error_of_ours_is_not_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    class Wrong(Files):
        def stat(self, path: str) -> os.stat_result:
            raise RuntimeError("wrong")

    async with reading(LocalSource(str(tmp_path / "log"), silence=0.1, files=Wrong())) as reader:
        await reader.until(lambda: reader.source.shape.status is Status.FAILED)
        with pytest.raises(UnreachableError):
            await reader.source.read(0, 0, 1)
        await reader.until(lambda: told)
    assert told[0].exc_type is RuntimeError


class Deaf(Notice):
    """A kernel that accepts to tell, and never does, as for what another machine writes."""

    def told(self) -> bool:
        super().told()
        return False


async def test_a_file_of_which_the_kernel_does_not_tell_is_followed(tmp_path: Path) -> None:
    log = Log(tmp_path)
    notice = Deaf()
    async with reading(LocalSource(str(log.path), visible_interval=0.01, notice=notice)) as reader:
        written = b""
        for _ in range(6):
            written += log.append()
            await reader.has(len(written))
        assert not notice.trusted
        # From now on it is looked as often as for somebody who sees it
        before = reader.source.looks[0]
        await reader.until(lambda: reader.source.looks[0] > before + 20)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify")
async def test_a_file_of_which_the_kernel_tells_is_left_alone_until_it_does(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append()
    notice = Notice()
    source = LocalSource(str(log.path), notice=notice)
    async with reading(source) as reader:
        await reader.until(lambda: reader.size)
        written = log.path.read_bytes()
        for _ in range(20):
            written += log.append()
            await reader.has(len(written))
        assert notice.trusted
        looks = source.looks[0]
        log.path.rename(log.beside(".1"))  # told of too
        await reader.until(lambda: source.shape.detail)
        assert source.looks[0] - looks < 25


@pytest.fixture
def folder_of_another() -> Iterator[Path]:
    """A folder that a person without special rights may use, while the test is that person."""
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    if user == 0:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)


def test_permission_lost_and_regained(folder_of_another: Path) -> None:
    log = Log(folder_of_another)
    first = log.append()
    log.path.chmod(0)
    log.look()
    assert (log.record.shape.status, log.generations) == (Status.DENIED, ())
    assert log.record.shape.detail == "it may not be read: permission denied"
    log.path.chmod(0o600)
    log.look()
    assert (log.record.shape.status, log.contents()) == (Status.LIVE, [first])
    # lost while it is open: it stays open
    log.path.chmod(0)
    log.look()
    assert log.record.shape.status is Status.LIVE
    # a new file that may not be read
    log.path.rename(log.beside(".1"))
    second = log.append()
    log.path.chmod(0)
    log.settle()
    assert (log.record.shape.status, log.contents()) == (Status.DENIED, [first])
    log.path.chmod(0o600)
    log.settle()
    assert (log.record.shape.status, log.contents()) == (Status.LIVE, [first, second])
    # the folder
    log.folder.chmod(0)
    log.look()
    assert (log.record.shape.status, log.contents()) == (Status.DENIED, [first, second])
    log.folder.chmod(0o700)
    second += log.append()
    log.look()
    assert (log.record.shape.status, log.contents()) == (Status.LIVE, [first, second])
    log.looker.close()


def test_a_handle_that_a_server_forgot_is_opened_again(tmp_path: Path) -> None:
    class Stale(Files):
        stale: int | None = None

        def fstat(self, handle: int) -> os.stat_result:
            if handle == self.stale:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return super().fstat(handle)

    files = Stale()
    log = Log(tmp_path, files=files)
    first = log.append(log.lines(100))
    log.look()
    files.stale = log.looker.shelf.handle(0)
    first += log.append()
    log.look()
    files.stale = None
    log.look()
    assert log.contents() == [first]
    assert log.marks == []
    # another file in its place, and the old one gone for good
    files.stale = log.looker.shelf.handle(0)
    log.beside(".new").write_bytes(second := log.lines(3))
    log.beside(".new").rename(log.path)
    log.settle()
    files.stale = None
    log.settle()
    assert log.contents() == [first, second]
    assert log.kinds == [MarkKind.REPLACED]
    log.looker.close()


def test_a_layer_that_hides_the_growing_file_is_got_through(tmp_path: Path) -> None:
    class Lower(Files):
        """What a union mount does: the descriptor goes on showing the lower file."""

        size: int | None = None
        handle: int | None = None

        def fstat(self, handle: int) -> os.stat_result:
            found = super().fstat(handle)
            if handle != self.handle or self.size is None:
                return found
            return os.stat_result([*found[:6], self.size, *found[7:]])

    files = Lower()
    log = Log(tmp_path, files=files)
    written = log.append()
    log.look()
    files.handle, files.size = log.looker.shelf.handle(0), len(written)
    written += log.append()
    for _ in range(5):
        log.look()
    assert log.contents() == [written]
    assert log.marks == []
    log.looker.close()


WRITER = """
import os, sys, time
handle = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
number = int(sys.argv[2])
while True:
    line = b"%08d %s\\n" % (number, b"x" * (number % 300))
    os.write(handle, line[: len(line) // 2])
    os.write(handle, line[len(line) // 2 :])
    number += 1
    time.sleep(0.0002)
"""


async def test_a_writer_that_is_killed_and_started_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with reading(LocalSource(str(path))) as reader:
        for again in range(4):
            enough = reader.size + 20_000
            command = [sys.executable, "-I", "-S", "-c", WRITER, str(path), str(again * 10_000_000)]
            writer = await asyncio.create_subprocess_exec(*command)
            try:
                await reader.until(lambda: reader.size > enough)  # noqa: B023 - awaited in this turn
            finally:
                writer.kill()
                await writer.wait()
        size = path.stat().st_size
        await reader.until(lambda: reader.size == size)
        assert await reader.everything() == path.read_bytes()
        assert len(reader.source.shape.generations) == 1
        assert reader.source.shape.marks == ()


async def test_what_is_there_already_is_known_when_it_has_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    source = LocalSource(str(log))
    await source.start(lambda: None)
    try:
        assert [one.size for one in source.shape.generations] == [7]
    finally:
        await source.close()
