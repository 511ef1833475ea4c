"""A file on another host as a log: over this machine's reader, a helper in a child process, and a real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bootstrap import RunnerImage
from hosts.child import open_subprocess
from hosts.connects import Connects
from hosts.errors import GatewatchError, UnreachableError
from hosts.here import LocalReader
from hosts.host import Chunk
from hosts.pipe import PipeReader
from hosts.profiles import HostProfile, Ssh
from jobs.bundle import build_image
from jobs.connect import open_reader
from monitors.logs import remote, remote_way
from monitors.logs.remote import RemoteSource
from monitors.logs.types import GoneError, MarkKind, Source, Status
from tests.peers import sshd
from tests.peers.callers import until

MIB = 1 << 20

Open = Callable[..., Any]


class Way(LocalReader):
    """This machine, over a way that can be cut, and a count of what was read."""

    def __init__(self) -> None:
        super().__init__("box")
        self.down = False
        self.most: int | None = None  # reads that are answered, before the way is down
        self.silent = asyncio.Event()
        self.silent.set()
        self.bytes_read = 0
        self.reads = 0

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        self.reads += 1
        await self.silent.wait()
        if self.down:
            raise UnreachableError("box: the connection\nwas lost")
        chunk = await super().read(path, offset, size)
        if self.most is not None:
            self.most -= 1
            self.down = self.most < 0
        if self.down:
            raise UnreachableError("box: the connection was lost")  # with the answer on its way
        self.bytes_read += len(chunk.data)
        return chunk


@pytest.fixture
def way() -> Way:
    return Way()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


@pytest.fixture
async def follow(log: Path, way: Way, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Makes and starts sources of the log."""
    monkeypatch.setattr(remote_way, "_FIRST_S", 0.01)
    monkeypatch.setattr(remote_way, "_FIRST_DENIED_S", 0.05)
    made: list[RemoteSource] = []

    async def make(**options: Any) -> RemoteSource:
        whole: dict[str, Any] = {"host": way, "path": str(log), "visible_interval": 0.01, **options}
        source = RemoteSource(**whole)
        made.append(source)
        await source.start(lambda: None)
        return source

    yield make
    for source in made:
        await source.close()


def append(path: Path, data: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def lines(count: int, begin: int = 0) -> bytes:
    return b"".join(b"line %09d of a log that is long enough\n" % number for number in range(begin, begin + count))


async def readable(source: Source) -> bytes:
    """All that can be read, of all generations."""
    found = [await source.read(one.number, one.first, one.size - one.first) for one in source.shape.generations]
    return b"".join(found)


def sizes(source: Source) -> list[int]:
    return [one.size for one in source.shape.generations]


def kinds(source: Source) -> list[MarkKind]:
    return [mark.kind for mark in source.shape.marks]


async def test_a_file_that_grows(follow: Open, log: Path) -> None:
    append(log, "one\n")
    source = await follow(name="box:run.log")
    assert await until(lambda: sizes(source) == [4])
    assert source.shape.status is Status.LIVE
    assert source.shape.name == "box:run.log"
    for count in range(2, 5):
        append(log, "two\n")
        assert await until(lambda: sizes(source) == [4 * count])  # noqa: B023 - used at once
    assert await readable(source) == b"one\ntwo\ntwo\ntwo\n"
    assert source.shape.marks == ()
    assert source.descriptor(0) is None
    for generation, offset in ((1, 0), (0, -1)):
        with pytest.raises(GoneError):
            await source.read(generation, offset, 1)


async def test_an_empty_file_is_there(follow: Open, log: Path) -> None:
    append(log, "")
    source = await follow()
    assert await until(lambda: sizes(source) == [0])
    assert source.shape.status is Status.LIVE


async def test_a_file_that_comes_later(follow: Open, log: Path) -> None:
    source = await follow()
    assert await until(lambda: source.shape.detail == "no such file yet")
    assert source.shape.status is Status.WAITING
    append(log, "one\n")
    assert await until(lambda: sizes(source) == [4])
    shape = source.shape
    assert (shape.status, shape.detail) == (Status.LIVE, "")
    assert await readable(source) == b"one\n"


async def test_of_a_large_file_only_the_end_is_read(follow: Open, log: Path, way: Way) -> None:
    whole = lines(1_000_000)
    append(log, whole)
    source = await follow()
    assert await until(lambda: way.bytes_read > 0)
    assert sizes(source) == [len(whole)]
    end = len(whole)
    assert await source.read(0, end - 1000, 5000) == whole[-1000:]
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [end + 4])
    assert way.bytes_read < MIB
    assert await source.read(0, 20 * MIB, MIB) == whole[20 * MIB : 21 * MIB], "and what is asked for"
    assert way.bytes_read < 2 * MIB + remote._TAIL
    assert await readable(source) == whole + b"new\n"


async def test_a_writer_that_is_faster_than_the_way_is_followed_at_its_end(follow: Open, log: Path, way: Way) -> None:
    append(log, "one\n")
    source = await follow()
    assert await until(lambda: sizes(source) == [4])
    before = way.bytes_read
    whole = b"one\n" + lines(2_000_000)
    append(log, whole[4:])
    assert await until(lambda: sizes(source) == [len(whole)])
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [len(whole) + 4])
    assert way.bytes_read - before < 3 * MIB
    found = hashlib.sha256()
    for offset in range(0, len(whole), 3 * MIB):
        found.update(await source.read(0, offset, 3 * MIB))
    assert found.digest() == hashlib.sha256(whole + b"new\n").digest()


async def test_rotation(follow: Open, log: Path) -> None:
    append(log, "old\n")
    source = await follow()
    assert await until(lambda: sizes(source) == [4])
    append(log, "last of the old\n")
    os.rename(log, f"{log}.1")
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [20, 4])
    assert await readable(source) == b"old\nlast of the old\nnew\n"
    [mark] = source.shape.marks
    assert (mark.kind, mark.missing, mark.at.generation) == (MarkKind.ROTATED, 0, 1)


async def test_files_that_came_and_went_while_nobody_answered(follow: Open, way: Way, log: Path) -> None:
    append(log, "first\n")
    source = await follow()
    assert await until(lambda: sizes(source) == [6])
    way.down = True
    for number in range(40):  # a night's
        os.rename(log, f"{log}-202401{number:02}")
        append(log, f"next {number:02}\n")
    way.down = False
    assert await until(lambda: sizes(source) == [6, *([8] * 40)])
    assert await readable(source) == b"first\n" + b"".join(b"next %02d\n" % number for number in range(40))
    assert [(mark.kind, mark.missing) for mark in source.shape.marks] == [(MarkKind.ROTATED, 0)] * 40


async def test_of_files_that_came_and_went_while_nobody_watched_the_ends_are_read(
    follow: Open, way: Way, log: Path
) -> None:
    append(log, "first\n")
    source = await follow(hidden_interval=0.01)
    assert await until(lambda: sizes(source) == [6])
    source.watch(False)
    way.down = True
    before = way.bytes_read
    large = lines(100_000), lines(100_000, 100_000)
    append(log, large[0])
    for name, text in ((".2", large[1]), (".1", b"last\n")):
        os.rename(log, f"{log}{name}")
        append(log, text)
    way.down = False
    assert await until(lambda: sizes(source) == [6 + len(large[0]), len(large[1]), 5])
    assert way.bytes_read - before < 2 * MIB
    found = [await source.read(one.number, 0, one.size) for one in source.shape.generations]
    assert b"".join(found) == b"first\n" + large[0] + large[1] + b"last\n"


async def test_a_rotated_file_is_read_under_its_later_names(follow: Open, log: Path) -> None:
    whole = lines(400_000)
    append(log, whole)
    source = await follow()
    assert await until(lambda: sizes(source) == [len(whole)])
    for count in range(1, 4):
        for number in range(count, 1, -1):
            os.rename(f"{log}.{number - 1}", f"{log}.{number}")
        os.rename(log, f"{log}.1")
        append(log, f"new {count}\n")
        assert await until(lambda: len(sizes(source)) == count + 1 and sizes(source)[-1] == 6)  # noqa: B023 - at once
        assert await source.read(0, 0, 3000) == whole[:3000]
    os.unlink(f"{log}.3")
    with pytest.raises(GoneError):
        await source.read(0, 0, 3000)
    first = source.shape.generations[0].first
    assert 0 < first < len(whole)
    assert await source.read(0, first, len(whole)) == whole[first:], "what is held here stays"
    lost = source.shape.marks[0]
    assert (lost.kind, lost.missing, lost.at.offset) == (MarkKind.LOST, first, first)


async def test_another_file_that_begins_alike_is_not_taken_for_a_rotated_one(follow: Open, log: Path) -> None:
    whole = lines(400_000)
    append(log, whole)
    source = await follow()
    assert await until(lambda: sizes(source) == [len(whole)])
    os.rename(log, f"{log}.1")
    append(log, "new\n")
    assert await until(lambda: len(sizes(source)) == 2)
    other = bytearray(whole)
    other[-5:] = b"else\n"
    os.unlink(f"{log}.1")
    append(Path(f"{log}.1"), bytes(other))
    with pytest.raises(GoneError):
        await source.read(0, 0, 3000)


@pytest.mark.parametrize("alike", [False, True], ids=["other", "begins alike"])
@pytest.mark.parametrize("held", [remote.HELD, 4000], ids=["end held", "nothing held"])
async def test_a_rotated_file_that_is_written_over_is_not_read_as_what_it_was(
    follow: Open, log: Path, alike: bool, held: int
) -> None:
    whole = lines(400_000)
    append(log, whole)
    source = await follow(held=held)
    assert await until(lambda: source._place()[0].offset == len(whole))
    os.rename(log, f"{log}.1")
    append(log, "new\n" * 2000)
    assert await until(lambda: len(sizes(source)) == 2 and sizes(source)[-1] == 8000)
    assert await source.read(0, 0, 3000) == whole[:3000]
    append(Path(f"{log}.1"), "late\n")
    assert await source.read(0, 0, 3000) == whole[:3000], "it still holds what it held"
    os.truncate(f"{log}.1", 2000 if alike else 0)
    append(Path(f"{log}.1"), lines(500_000, 7))
    with pytest.raises(GoneError):
        await source.read(0, 50_000, 3000)
    first = source.shape.generations[0].first
    assert first > 50_000
    assert [mark.missing for mark in source.shape.marks if mark.kind is MarkKind.LOST] == [first]


async def test_copytruncate(follow: Open, log: Path) -> None:
    append(log, lines(100))
    source = await follow()
    assert await until(lambda: source._place()[0].offset == len(lines(100)))  # its size is known before its bytes are
    append(log, "unread\n")
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [len(lines(100)) + 7, 4])
    assert await readable(source) == lines(100) + b"unread\nnew\n"
    assert kinds(source) == [MarkKind.ROTATED]


async def test_truncation_keeps_what_was_read(follow: Open, log: Path) -> None:
    append(log, lines(300_000))
    source = await follow()
    assert await until(lambda: sizes(source) == [len(lines(300_000))])
    append(log, lines(100, 300_000))
    whole = lines(300_100)
    assert await until(lambda: sizes(source) == [len(whole)])
    os.truncate(log, 0)
    append(log, "new\n")
    assert await until(lambda: len(sizes(source)) == 2 and sizes(source)[1] == 4)
    old, _ = source.shape.generations
    assert len(whole) - remote._TAIL <= old.first + len(lines(100)) < len(whole)
    assert await readable(source) == whole[old.first :] + b"new\n"
    lost, truncated = source.shape.marks
    assert (lost.kind, lost.missing, lost.at.offset) == (MarkKind.LOST, old.first, old.first)
    assert (truncated.kind, truncated.missing) == (MarkKind.TRUNCATED, None)


async def test_a_file_that_is_replaced_without_a_trace(follow: Open, log: Path, tmp_path: Path) -> None:
    append(log, "old\n")
    source = await follow()
    assert await until(lambda: sizes(source) == [4])
    append(tmp_path / "other", "new\n")
    os.rename(tmp_path / "other", log)
    assert await until(lambda: sizes(source) == [4, 4])
    assert kinds(source) == [MarkKind.REPLACED]
    assert await readable(source) == b"old\nnew\n"


async def test_deletion(follow: Open, log: Path) -> None:
    append(log, "old\n")
    source = await follow()
    assert await until(lambda: sizes(source) == [4])
    os.unlink(log)
    assert await until(lambda: source.shape.status is Status.WAITING)
    assert source.shape.detail == "the file is deleted"
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [4, 4])
    assert await readable(source) == b"old\nnew\n"


async def test_what_was_not_held_of_a_deleted_file_is_marked_as_lost(follow: Open, log: Path) -> None:
    written = lines(20_000)
    append(log, written)
    source = await follow()
    assert await until(lambda: source.shape.status is Status.LIVE and sizes(source) == [len(written)])
    assert written.endswith(await source.read(0, len(written) - 100, 100))
    os.unlink(log)
    assert await until(lambda: source.shape.status is Status.WAITING)
    with pytest.raises(GoneError):
        await source.read(0, 0, 100)
    (held,) = source.shape.generations
    assert 0 < held.first < held.size == len(written), "what arrived stays"
    assert await readable(source) == written[held.first :]
    assert [(mark.kind, mark.missing, mark.at.offset) for mark in source.shape.marks] == [
        (MarkKind.LOST, held.first, held.first)
    ]


async def test_a_deleted_file_of_which_nothing_arrived_is_marked_as_lost(follow: Open, log: Path, way: Way) -> None:
    written = lines(20_000)
    append(log, written)
    way.most = 1
    source = await follow()
    assert await until(lambda: sizes(source) == [len(written)] and way.down)
    os.unlink(log)
    way.most, way.down = None, False
    assert await until(lambda: source.shape.status is Status.WAITING)
    with pytest.raises(GoneError):
        await source.read(0, len(written) - 100, 100)
    assert [(one.first, one.size) for one in source.shape.generations] == [(len(written), len(written))]
    assert [mark.missing for mark in source.shape.marks if mark.kind is MarkKind.LOST] == [len(written)]


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("name", ["run.log-20240102", "run.2024-01-02_10-00-00.log"])
async def test_a_file_that_was_moved_to_a_name_with_a_date_is_read_there(
    follow: Open, log: Path, name: str, anew: bool
) -> None:
    written = lines(20_000)
    append(log, written)
    source = await follow()
    assert await until(lambda: source.shape.status is Status.LIVE and sizes(source) == [len(written)])
    append(log, "late\n")
    os.rename(log, log.with_name(name))
    if anew:
        append(log, "new\n")
    assert await until(lambda: sizes(source) == [len(written) + 5, *([4] if anew else [])])
    assert await readable(source) == written + b"late\n" + (b"new\n" if anew else b"")
    assert kinds(source) == ([MarkKind.ROTATED] if anew else [])


async def test_a_copy_with_a_date_is_read_for_what_was_truncated(follow: Open, log: Path) -> None:
    written = lines(20_000)
    append(log, written)
    source = await follow()
    assert await until(lambda: source._place()[0].offset == len(written))  # its size is known before its bytes are
    shutil.copyfile(log, log.with_name("run.log-20240102"))
    os.truncate(log, 0)
    append(log, "new\n")
    assert await until(lambda: sizes(source) == [len(written), 4])
    assert await readable(source) == written + b"new\n"


async def test_what_is_held_of_many_files_has_a_bound(follow: Open, log: Path, tmp_path: Path) -> None:
    append(log, "0" * 400)
    source = await follow(held=1400)
    for count in range(1, 5):
        assert await until(lambda: sizes(source) == [400] * count)  # noqa: B023 - used at once
        append(tmp_path / "other", str(count) * 400)
        os.rename(tmp_path / "other", log)
    assert await until(lambda: sizes(source) == [400] * 5)
    firsts = [one.first for one in source.shape.generations]
    assert firsts == [400, 400, 0, 0, 0], "the oldest goes first, and with it what nobody else has"
    assert await readable(source) == b"2" * 400 + b"3" * 400 + b"4" * 400
    assert kinds(source).count(MarkKind.LOST) == 2
    with pytest.raises(GoneError):
        await source.read(0, 0, 1)


async def test_permission_lost_and_given_back(anybody: None, follow: Open, log: Path) -> None:
    append(log, "one\n")
    source = await follow()
    assert await until(lambda: sizes(source) == [4])
    os.chmod(log, 0)
    assert await until(lambda: source.shape.status is Status.DENIED)
    assert source.shape.detail.endswith("Permission denied")
    os.chmod(log, 0o600)
    append(log, "two\n")
    assert await until(lambda: sizes(source) == [8])
    assert source.shape.status is Status.LIVE


async def test_a_folder_in_its_place_is_told_until_it_is_gone(follow: Open, log: Path) -> None:
    os.mkdir(log)
    source = await follow()
    assert await until(lambda: source.shape.status is Status.FAILED)
    assert source.shape.detail == f"cannot read {log}: not a regular file"
    os.rmdir(log)
    append(log, "one\n")
    assert await until(lambda: sizes(source) == [4])
    assert source.shape.status is Status.LIVE


async def test_a_lost_way_is_told_and_tried_until_it_is_back(follow: Open, log: Path, way: Way) -> None:
    now = [1000.0]
    append(log, "one\n")
    source = await follow(now=lambda: now[0])
    assert await until(lambda: sizes(source) == [4] and way.bytes_read >= 4)
    assert await source.read(0, 0, 100) == b"one\n"
    way.down = True
    assert await until(lambda: source.shape.status is Status.STALE)
    assert source.shape.detail == "box: the connection was lost"
    before = way.reads
    assert await until(lambda: way.reads > before + 2), "again and again"
    assert await source.read(0, 0, 100) == b"one\n", "what is held here can be read all the same"
    append(log, "two\n")
    now[0] += 185
    way.down = False
    assert await until(lambda: sizes(source) == [8])
    assert source.shape.status is Status.LIVE
    [mark] = source.shape.marks
    assert (mark.kind, mark.missing, mark.at.offset) == (MarkKind.OFFLINE, 0, 4)
    assert mark.text == "no answer from box for 3 min 5 s"
    assert await readable(source) == b"one\ntwo\n"


async def test_a_short_cut_needs_no_mark(follow: Open, log: Path, way: Way) -> None:
    append(log, "one\n")
    source = await follow(now=lambda: 1000.0)
    assert await until(lambda: sizes(source) == [4])
    way.down = True
    assert await until(lambda: source.shape.status is Status.STALE)
    way.down = False
    append(log, "two\n")
    assert await until(lambda: sizes(source) == [8])
    assert source.shape.marks == ()


async def test_what_is_not_held_cannot_be_read_while_the_way_is_lost(follow: Open, log: Path, way: Way) -> None:
    whole = lines(400_000)
    append(log, whole)
    source = await follow()
    assert await until(lambda: way.bytes_read > 0)
    way.down = True
    with pytest.raises(UnreachableError):
        await source.read(0, 0, 10)
    way.down = False
    assert await source.read(0, 0, 10) == whole[:10]


async def test_a_host_that_says_nothing_is_told(
    follow: Open, log: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_way, "PATIENCE_S", 0.05)
    append(log, "one\n")
    source = await follow(noticed=0.0)
    assert await until(lambda: sizes(source) == [4])
    way.silent.clear()
    assert await until(lambda: source.shape.status is Status.STALE)
    assert source.shape.detail == "box: no answer for 0.05 s"
    way.silent.set()
    assert await until(lambda: source.shape.status is Status.LIVE)
    assert kinds(source) == [MarkKind.OFFLINE]


async def test_the_wait_between_tries_grows_up_to_a_limit(log: Path, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    source = RemoteSource(way, str(log))
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        way.down = len(waits) < 40

    monkeypatch.setattr(source._way, "pause", pause)
    way.down = True
    append(log, "one\n")
    await source._look(str(log), 0, 0)
    assert len(waits) == 40
    assert len(set(waits)) > 30, "no two hosts try at the same moment"
    for count, wait in enumerate(waits):
        most = min(0.25 * 2**count, 30)
        assert most / 2 <= wait <= most


async def test_nobody_who_looks_costs_less(follow: Open, log: Path, way: Way) -> None:
    append(log, "one\n")
    source = await follow(hidden_interval=60.0)
    assert await until(lambda: way.reads > 5)
    source.watch(False)
    before = -1
    for _ in range(50):  # a look may have begun, and one more is taken to know what changes
        if before == way.reads:
            break
        before = way.reads
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.7)
    assert way.reads == before
    append(log, "two\n")
    source.watch(True)
    assert await until(lambda: sizes(source) == [8])


async def test_closing_ends_it(follow: Open, log: Path, way: Way) -> None:
    closed: list[bool] = []

    async def close() -> None:
        closed.append(True)

    append(log, "one\n")
    source = await follow(on_close=close)
    assert await until(lambda: sizes(source) == [4])
    way.down = True
    await source.close()
    await source.close()
    assert closed == [True]
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Writer:
    """Writes numbered lines, and does to its file what happens to files."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self.written = 0
        self._chance = chance

    def act(self) -> None:
        acts = [self.write, self.rename, self.copytruncate, self.truncate, self.delete]
        self._chance.choices(acts, [8, 1, 1, 1, 1])[0]()

    def write(self) -> None:
        count = self._chance.randrange(1, 60)
        append(self.path, lines(count, self.written))
        self.written += count

    def rename(self) -> None:
        if self.path.exists():
            self.path.rename(f"{self.path}.1")

    def copytruncate(self) -> None:
        if self.path.exists():
            shutil.copy(self.path, f"{self.path}.1")
            self.truncate()

    def truncate(self) -> None:
        self.path.write_bytes(b"")

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)


async def ends_with(source: Source, end: bytes) -> bool:
    """Wait until all that can be read ends so."""
    for _ in range(2000):
        with contextlib.suppress(GoneError):
            if (await readable(source)).endswith(end):
                return True
        await asyncio.sleep(0.01)
    return False


async def runs_of_lines(source: Source) -> list[list[int]]:
    """The numbers of the lines that can be read, parted where a mark of ours stands; each line has to be whole."""
    runs: list[list[int]] = [[]]
    for one in source.shape.generations:
        if any(mark.at.generation == one.number and mark.kind is not MarkKind.OFFLINE for mark in source.shape.marks):
            runs.append([])
        data = await source.read(one.number, one.first, one.size)
        assert len(data) == one.size - one.first
        for line in data.splitlines(keepends=True)[1 if one.first else 0 :]:
            number = int(line.split()[1])
            assert line == lines(1, number)
            runs[-1].append(number)
    return runs


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_lines_come_once_and_a_loss_is_marked(
    follow: Open, log: Path, way: Way, seed: int
) -> None:
    """Random writes, rotations, truncations and cuts, some of them all at once."""
    chance = random.Random(seed)
    writer = Writer(log, chance)
    writer.write()
    source = await follow()
    assert await until(lambda: sum(sizes(source)) > 0)
    for _ in range(60):
        way.down ^= chance.random() < 0.3
        for _ in range(chance.randrange(1, 3)):
            writer.act()
        if chance.random() < 0.7:
            await asyncio.sleep(chance.choice([0, 0.01, 0.03]))
    way.down = False
    writer.write()
    assert await ends_with(source, lines(1, writer.written - 1))
    runs = await runs_of_lines(source)
    for run in runs:
        assert run == list(range(run[0], run[0] + len(run))) if run else True, "between two marks nothing is lost"
    numbers = [number for run in runs for number in run]
    assert numbers == sorted(set(numbers)), "in order and once"
    assert numbers[-1] == writer.written - 1


# Over ways that are really lost.


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def image() -> RunnerImage:
    return build_image()


@pytest.fixture(params=["pipe", sshd.NAME])
async def far(
    request: pytest.FixtureRequest, peer: sshd.SshPeer, image: RunnerImage
) -> AsyncIterator[tuple[Any, Callable[[], None]]]:
    """A host, and what cuts the way to it."""
    if request.param == "pipe":
        reader = PipeReader("box", open_subprocess, image, python=sys.executable)
        yield reader, reader.abort
        await reader.close()
        return
    if peer.pid is None:
        pytest.skip("needs the processes of OpenSSH's sshd")
    ssh = Ssh(
        host="127.0.0.1", port=peer.port, identity_file=str(peer.keys["plain"]), known_hosts=str(peer.known_hosts)
    )
    profile = HostProfile(name="box", ssh=ssh, python=sys.executable)
    host = await asyncio.to_thread(open_reader, profile, Connects(chance=sshd.Soonest()))

    def kill() -> None:
        for pid in peer.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    yield host, kill
    await host.close()


WRITER = """
import os, sys, time
number = 0
with open(sys.argv[1], "ab", buffering=0) as file:
    while not os.path.exists(sys.argv[2]):
        file.write(b"".join(b"line %09d of a log that is long enough\\n" % (number + n) for n in range(500)))
        number += 500
        time.sleep(0.01)
print(number)
"""


async def test_nothing_is_lost_or_repeated_when_the_way_is_cut(
    follow: Open, log: Path, tmp_path: Path, far: tuple[Any, Callable[[], None]]
) -> None:
    host, cut = far
    append(log, "")
    source = await follow(host=host, visible_interval=0.02)
    assert await until(lambda: sizes(source) == [0])
    argv = (sys.executable, "-c", WRITER, str(log), str(tmp_path / "stop"))
    writer = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
    for _ in range(6):
        seen = sizes(source)[-1]
        assert await until(lambda: sizes(source)[-1] > seen)  # noqa: B023 - used at once
        cut()
    append(tmp_path / "stop", "")
    said, _ = await writer.communicate()
    whole = lines(int(said))
    assert await until(lambda: sizes(source) == [len(whole)])
    assert await until(lambda: source.shape.status is Status.LIVE)
    assert hashlib.sha256(await readable(source)).digest() == hashlib.sha256(whole).digest()


async def test_a_host_that_is_not_there_is_no_end(follow: Open, log: Path, peer: sshd.SshPeer) -> None:
    ssh = Ssh(host="127.0.0.1", port=1, known_hosts=str(peer.known_hosts))
    host = await asyncio.to_thread(open_reader, HostProfile(name="box", ssh=ssh))
    source = await follow(host=host)
    assert await until(lambda: source.shape.status is Status.STALE)
    assert source.shape.detail
    assert "\n" not in source.shape.detail
    await source.close()
    await host.close()
    with pytest.raises(GatewatchError):
        await host.read(str(log), 0, 1)
