"""Streams that are spooled: real pipes, FIFOs, devices and writers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.logs.spool import SpoolSource
from monitors.logs.spool_file import SpoolFile, open_in_memory, open_on_disk
from monitors.logs.types import GoneError, MarkKind, Source, Status
from tests.peers.callers import until

MIB = 1 << 20

Open = Callable[..., Any]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Open]:
    """Makes and starts sources that spool into a folder of the test."""
    made: list[SpoolSource] = []

    async def make(stream: int | str, name: str = "-", **options: Any) -> SpoolSource:
        source = SpoolSource(stream, name, **{"folders": (tmp_path,), **options})
        made.append(source)
        await source.start(lambda: None)
        return source

    yield make
    for source in made:
        await source.close()


async def readable(source: Source) -> bytes:
    """All that can be read, of all generations."""
    found = [
        await source.read(one.number, one.first, one.size - one.first) for one in source.shape.generations if one.size
    ]
    return b"".join(found)


def received(source: Source) -> int:
    return sum(one.size for one in source.shape.generations)


def held(source: Source, generation: int = 0) -> int:
    """Bytes on the disk, as the file system counts them."""
    fd = source.descriptor(generation)
    assert fd is not None
    return os.fstat(fd).st_blocks * 512


def numbers(end: int) -> bytes:
    return b"".join(b"%d\n" % n for n in range(1, end + 1))


@contextlib.contextmanager
def writing(*argv: str, into: int | None = None) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that writes into a pipe, and the end to read from."""
    ours, theirs = os.pipe()
    with subprocess.Popen(argv, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()


async def test_what_came_can_be_read_and_the_end_is_marked(spool: Open, tmp_path: Path) -> None:
    with writing("seq", "1", "100000") as (_, end):
        source = await spool(end)
        assert await until(lambda: source.shape.status is Status.ENDED)
    assert await readable(source) == numbers(100_000)
    [generation], [mark] = source.shape.generations, source.shape.marks
    assert not generation.live
    assert (mark.kind, mark.text, mark.missing, mark.at.offset) == (
        MarkKind.ENDED,
        "standard input ended",
        0,
        generation.size,
    )
    assert os.pread(source.descriptor(0), 4, 2) == b"2\n3\n"
    assert os.listdir(tmp_path) == [], "nobody else can open what is kept"


async def test_what_came_before_the_end_can_be_read_at_once(spool: Open) -> None:
    ours, theirs = os.pipe()
    source = await spool(ours)
    os.write(theirs, b"half a li")
    assert await until(lambda: received(source) == 9)
    assert source.shape.status is Status.LIVE
    assert await source.read(0, 5, 100) == b"a li"
    os.close(theirs)
    assert await until(lambda: source.shape.status is Status.ENDED)


async def test_a_stream_longer_than_the_limit_keeps_its_end(spool: Open) -> None:
    whole = numbers(600_000)
    with writing("seq", "1", "600000") as (_, end):
        source = await spool(end, disk=MIB)
        assert await until(lambda: source.shape.status is Status.ENDED)
    [generation] = source.shape.generations
    assert generation.size == len(whole)
    assert MIB // 2 < generation.size - generation.first <= MIB
    assert await readable(source) == whole[generation.first :]
    assert whole[generation.first - 1 : generation.first] == b"\n", "a line is whole or gone"
    assert held(source) <= MIB
    lost, ended = source.shape.marks
    assert (lost.kind, lost.missing, lost.at.offset) == (MarkKind.LOST, generation.first, generation.first)
    assert ended.kind is MarkKind.ENDED
    for offset in (0, generation.first - 1):
        with pytest.raises(GoneError):
            await source.read(0, offset, 10)


@pytest.mark.parametrize("endless", ["yes", "/dev/zero"])
async def test_what_never_ends_stays_within_the_limit(spool: Open, endless: str) -> None:
    limit = 4 * MIB
    with contextlib.ExitStack() as stack:
        stream = endless if endless.startswith("/") else stack.enter_context(writing(endless))[1]
        source = await spool(stream, disk=limit)
        most = 0

        def looked() -> bool:
            nonlocal most
            with contextlib.suppress(IndexError, AssertionError):  # before the first generation
                most = max(most, held(source))
            return received(source) > 64 * limit

        assert await until(looked)
        assert 0 < most <= limit + MIB // 2, "blocks of the file system's own come on top"
        [generation] = source.shape.generations
        assert generation.size - generation.first <= limit
        [lost] = source.shape.marks
        assert lost.missing == generation.first
        await source.close()


async def test_readers_meet_the_bytes_or_their_loss_while_it_goes_on(spool: Open) -> None:
    """Never the zeros of a hole."""
    with writing("yes") as (_, end):
        source = await spool(end, disk=MIB)
        gone = seen = 0
        while received(source) < 64 * MIB:
            if not source.shape.generations:
                await asyncio.sleep(0)
                continue
            [generation] = source.shape.generations
            try:
                data = await source.read(0, generation.first, 1 << 16)
            except GoneError:
                gone += 1
            else:
                seen += 1
                assert data.strip(b"y\n") == b""
        assert seen + gone > 0


async def test_a_fifo_outlives_its_writers(spool: Open, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    source = await spool(str(path), str(path), folders=None)
    assert await until(lambda: source.shape.status is Status.WAITING and "open for writing" in source.shape.detail)
    for count in range(1, 4):
        with await asyncio.to_thread(open, path, "wb", buffering=0) as writer:
            writer.write(b"first\n")
            assert await until(lambda: received(source) == 12 * count - 6)  # noqa: B023 - used at once
            assert source.shape.status is Status.LIVE
            writer.write(b"again\n")
        assert await until(lambda: received(source) == 12 * count)  # noqa: B023 - used at once
        assert await until(lambda: source.shape.status is Status.WAITING)
    assert await readable(source) == b"first\nagain\n" * 3
    assert source.shape.marks == ()


async def test_a_fifo_made_anew_is_read(spool: Open, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    source = await spool(str(path), str(path), folders=None)
    path.write_bytes(b"one\n")
    assert await until(lambda: received(source) == 4)
    path.unlink()
    assert await until(lambda: "not there" in source.shape.detail)
    assert source.shape.status is Status.WAITING
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(b"two\n",)).start()
    assert await until(lambda: received(source) == 8)
    assert await readable(source) == b"one\ntwo\n"


async def test_a_fifo_that_is_gone_costs_a_look_a_second(spool: Open, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    source = await spool(str(path), str(path), folders=None)
    with await asyncio.to_thread(open, path, "wb", buffering=0) as writer:
        writer.write(b"one\n")
        assert await until(lambda: received(source) == 4)
        path.unlink()
    assert await until(lambda: "not there" in source.shape.detail)
    waits = 0
    wait = source._stream.wait

    def counted(wake: int) -> bool:
        nonlocal waits
        waits += 1
        return bool(wait(wake))

    source._stream.wait = counted
    await asyncio.sleep(0.5)  # nothing is to happen
    assert waits <= 2


async def test_a_fifo_whose_place_something_else_took(spool: Open, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    source = await spool(str(path), str(path), folders=None)
    path.write_bytes(b"one\n")
    assert await until(lambda: received(source) == 4)
    path.unlink()
    path.write_bytes(b"a file\n")
    assert await until(lambda: source.shape.status is Status.FAILED)
    assert source.shape.detail == f"cannot read {path}: it is neither a pipe nor a character device"
    assert await readable(source) == b"one\n"


async def test_the_null_device_ends_at_once(spool: Open) -> None:
    source = await spool("/dev/null", "/dev/null")
    assert await until(lambda: source.shape.status is Status.ENDED)
    assert [mark.text for mark in source.shape.marks] == ["/dev/null ended"]
    assert await source.read(0, 0, 100) == b""


async def test_a_terminal_is_not_read(spool: Open) -> None:
    master, slave = os.openpty()
    source = await spool(os.ttyname(slave), "tty")
    assert await until(lambda: source.shape.status is Status.FAILED)
    assert source.shape.detail == "cannot read tty: it is a terminal"
    os.close(master)
    os.close(slave)


async def test_a_path_that_is_gone_says_so(spool: Open, tmp_path: Path) -> None:
    source = await spool(str(tmp_path / "none"), "none")
    assert await until(lambda: source.shape.status is Status.FAILED)
    assert source.shape.detail == "cannot read none: not there"


async def test_closing_breaks_the_writers_pipe(spool: Open) -> None:
    with writing("yes") as (process, end):
        source = await spool(end)
        assert await until(lambda: received(source) > 0)
        await source.close()
        assert await until(lambda: process.poll() is not None)
    with pytest.raises(GoneError):
        await source.read(0, 0, 1)
    assert source.descriptor(0) is None


async def test_closing_does_not_wait_for_a_stream_that_is_silent(spool: Open) -> None:
    ours, theirs = os.pipe()
    source = await spool(ours)
    assert await until(lambda: source.shape.status is Status.LIVE)
    await source.close()
    with pytest.raises(BrokenPipeError):
        os.write(theirs, b"x")
    os.close(theirs)


async def test_a_source_that_was_never_started_closes_its_stream(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    source = SpoolSource(ours, "-", folders=(tmp_path,))
    await source.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(ours)
    with pytest.raises(BrokenPipeError):
        os.write(theirs, b"x")
    os.close(theirs)


async def test_nothing_stays_open(spool: Open) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with writing("seq", "1", "10") as (_, end):
            source = await spool(end)
            assert await until(lambda: source.shape.status is Status.ENDED)  # noqa: B023 - used at once
            await source.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_without_a_folder_it_is_kept_in_memory(spool: Open, tmp_path: Path) -> None:
    whole = numbers(300_000)
    with writing("seq", "1", "300000") as (_, end):
        source = await spool(end, folders=(tmp_path / "none",), memory=MIB)
        assert await until(lambda: source.shape.status is Status.ENDED)
    [generation] = source.shape.generations
    assert await readable(source) == whole[generation.first :]
    assert MIB // 2 < generation.size - generation.first <= MIB


async def test_a_disk_that_takes_no_more_loses_nothing_that_was_kept(spool: Open) -> None:
    """Files may be no longer than 3 MiB, those in memory neither."""
    whole = numbers(1_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with writing("seq", "1", "1000000") as (_, end):
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, hard))
        try:
            source = await spool(end)
            assert await until(lambda: source.shape.status is Status.ENDED)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await readable(source) == whole
    assert len(source.shape.generations) == 3
    assert [mark.kind for mark in source.shape.marks] == [MarkKind.ROTATED, MarkKind.ROTATED, MarkKind.ENDED]
    assert "in memory" in source.shape.marks[0].text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_costs_the_oldest_lines_alone(spool: Open, small_disk: Path) -> None:
    whole = numbers(1_500_000)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, True)
    source = await spool(ours, folders=(small_disk,), disk=MIB)
    writer = threading.Thread(target=_write_all, args=(theirs, whole))
    assert await until(lambda: source.shape.generations != ())
    fd = os.open(small_disk, os.O_TMPFILE | os.O_RDWR)
    free = os.fstatvfs(fd)
    os.pwrite(fd, b"x" * (free.f_bavail * free.f_frsize - 600_000), 0)  # somebody else takes what was free
    writer.start()
    assert await until(lambda: source.shape.status is Status.ENDED)
    os.close(fd)
    writer.join()
    [generation] = source.shape.generations
    assert generation.size == len(whole)
    assert await readable(source) == whole[generation.first :]
    assert 100_000 < generation.size - generation.first < 600_000


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.close(fd)


def test_a_disk_without_room_is_not_chosen(tmp_path: Path, small_disk: Path) -> None:
    assert open_on_disk((small_disk,), 1 << 30) is None
    chosen = open_on_disk((small_disk, tmp_path), 1 << 30)
    assert chosen is not None
    assert os.fstat(chosen.descriptor).st_dev == tmp_path.stat().st_dev


@given(
    lines=st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 5)), max_size=60),
    limit=st.integers(1, 2 * MIB),
)
def test_a_file_holds_the_end_of_what_was_appended(lines: list[tuple[int, int]], limit: int) -> None:
    file = open_in_memory(limit)
    model = bytearray()
    for count, (length, newlines) in enumerate(lines):
        data = (b"%d " % count) * (length // 4) + b"\n" * newlines
        model += data
        for at in range(0, len(data), file.piece):
            piece = memoryview(data)[at : at + file.piece]
            first = file.room(len(piece))
            assert file.first <= first <= file.size
            if first > file.first:
                file.let_go(first)
            assert file.append(piece) == len(piece)
            assert file.size - file.first <= file.limit
            assert os.fstat(file.descriptor).st_blocks * 512 <= file.limit + (1 << 16)
        assert file.size == len(model)
        assert file.read(file.first, len(model)) == model[file.first :]
    if file.first:
        with pytest.raises(GoneError):
            file.read(file.first - 1, 1)
        assert file.size - file.first >= file.limit // 2


def test_a_cut_of_utf_16_stays_between_characters() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        file = open_in_memory(MIB)
        line = "a line of ĊਊA text\n".encode(encoding)
        for _ in range(100_000):
            first = file.room(len(line))
            if first > file.first:
                file.let_go(first)
            file.append(memoryview(line))
        assert file.first > 0
        assert file.first % 2 == 0
        assert file.read(file.first, MIB).decode(encoding).startswith("a line of ") or "ਊ" in line.decode(encoding)


async def test_the_programs_end_is_not_held_up(house: Path) -> None:
    code = """
import asyncio, os, sys
from monitors.logs.spool import SpoolSource
async def main():
    await SpoolSource(os.dup(0), "-").start(lambda: None)
    await asyncio.sleep(0.05)
asyncio.run(main())
"""
    ours, theirs = os.pipe()
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=house, stdin=ours)
    assert await asyncio.wait_for(ended.wait(), 20) == 0
    os.close(ours)
    os.close(theirs)


def test_a_file_is_closed_with_its_last_holder() -> None:
    file: SpoolFile | None = open_in_memory(MIB)
    assert file is not None
    fd = file.descriptor
    assert os.fstat(fd)
    file = None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
