from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError, UnreachableError
from hosts.follow import follow
from hosts.host import Chunk, Data, Gap, Position, Rotated
from hosts.local import rotation
from hosts.local.following import BLOCK, OVERLAP, Follower, Neighbour, likely, seen_by
from hosts.local.observe import read_range
from hosts.local.openfile import OpenFile, glance, look

FEW = 1 << 13

pytestmark = pytest.mark.blocks_loop(reason="the writer, and the reads, take their turns in the follower's own task")


class _StopError(Exception):
    """Ends a follow from within its sleep."""


class Log:
    """A log, whoever writes it, and one follower whose sleeps are the writer's turns.

    It is read range by range, or with the file kept open between two looks, or between two glances.
    """

    def __init__(self, folder: Path, way: str) -> None:
        self.path = folder / "log"
        self.way = way
        self.held = way != "read"
        self.reads = 0

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        self.reads += 1
        return read_range(path, offset, size)

    async def beside(self) -> list[Neighbour]:
        return OpenFile(str(self.path)).beside()

    def append(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    async def items(
        self,
        *turns: Callable[[], object],
        at: Position = Position(),  # noqa: B008
        last: bytes = b"",
    ) -> list[Data | Gap | Rotated]:
        """What a follower hands out while the writer takes its turns, one per sleep."""
        left = list(turns)

        async def sleep(_seconds: float) -> None:
            if not left:
                raise _StopError
            left.pop(0)()

        found: list[Data | Gap | Rotated] = []
        with contextlib.suppress(_StopError):
            if self.held:
                await self._look(at, last, sleep, found)
            async for item in follow(self.read, str(self.path), at, 1.0, sleep, last, beside=self.beside):
                found += [item]
        return found

    async def _look(self, at: Position, last: bytes, sleep: Any, found: list[Data | Gap | Rotated]) -> None:
        file, follower = OpenFile(str(self.path)), Follower(str(self.path), at, last)
        with contextlib.closing(file):
            while True:
                items = glance(follower, file, FEW) if self.way == "glance" else look(follower, file, BLOCK)
                found += items
                self.reads += 1
                if not items:
                    await sleep(1.0)


def plain(items: list[Data | Gap | Rotated]) -> list[str]:
    return [
        item.data.decode() if isinstance(item, Data) else f"<{item.why}>" if isinstance(item, Rotated) else "<gap>"
        for item in items
    ]


@pytest.fixture(params=["read", "held", "glance"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    return Log(tmp_path, request.param)


def nothing() -> None:
    """The writer does nothing in this turn."""


async def test_what_is_appended_comes_once(log: Log) -> None:
    log.append("one\n")
    items = await log.items(lambda: log.append("two"), nothing, lambda: log.append("\nthree\n"))
    assert plain(items) == ["one\n", "two", "\nthree\n"]
    assert items[-1].position.offset == 14


async def test_a_file_that_does_not_exist_yet_is_waited_for(log: Log) -> None:
    assert plain(await log.items(nothing, lambda: log.append("born\n"))) == ["born\n"]


async def test_it_goes_on_from_a_position_in_another_session(log: Log) -> None:
    log.append("one\n")
    first = await log.items(lambda: log.append("two\n"))
    log.append("three\n")
    assert plain(await log.items(at=first[0].position)) == ["two\nthree\n"]
    assert plain(await log.items(at=first[1].position)) == ["three\n"]


async def test_it_can_begin_anywhere(log: Log) -> None:
    log.append("x" * 5000 + "end\n")
    assert plain(await log.items(lambda: log.append("more\n"), at=Position(5000))) == ["end\n", "more\n"]


async def test_a_large_file_comes_in_pieces(log: Log) -> None:
    content = "".join(f"line {n}\n" for n in range(400_000))
    log.append(content)
    items = await log.items()
    assert "".join(plain(items)) == content
    assert len(items) > 3
    assert all(isinstance(item, Data) and len(item.data) <= 1 << 20 for item in items)


async def test_truncation_starts_again_with_a_mark(log: Log) -> None:
    log.append("before\n")
    items = await log.items(lambda: log.path.write_text(""), lambda: log.append("after\n"))
    assert plain(items) == ["before\n", "<gap>", "<truncated>", "after\n"]


async def test_copytruncate_that_grew_past_the_old_end_is_noticed(log: Log) -> None:
    log.append("a" * 3000)
    items = await log.items(lambda: log.path.write_text("b" * 5000))
    assert plain(items) == ["a" * 3000, "<gap>", "<truncated>", "b" * 5000]


async def test_copytruncate_with_the_same_beginning_is_noticed_too(log: Log) -> None:
    head = "header\n" * 200
    log.append(head + "old line\n" * 10)
    items = await log.items(lambda: log.path.write_text(head + "new line\n" * 20))
    assert plain(items)[2:] == ["<truncated>", head + "new line\n" * 20]


async def test_copytruncate_with_the_copy_at_hand_loses_nothing(log: Log) -> None:
    def rotate() -> None:
        log.append("unread\n")
        shutil.copy(log.path, f"{log.path}.1")
        log.path.write_text("new\n")

    log.append("".join(f"line {n}\n" for n in range(300)))
    items = plain(await log.items(rotate))
    assert items[1:] == ["unread\n", "<truncated>", "new\n"]


async def test_a_renamed_log_is_read_to_its_end_first(log: Log) -> None:
    def rotate() -> None:
        log.append("last of the old\n")
        log.path.rename(f"{log.path}.1")
        log.append("first of the new\n")

    log.append("old\n")
    assert plain(await log.items(rotate)) == ["old\n", "last of the old\n", "<replaced>", "first of the new\n"]


async def test_a_writer_that_has_not_turned_yet_is_followed_in_the_renamed_file(log: Log) -> None:
    log.append("old\n")
    with log.path.open("a", buffering=1) as writer:
        items = await log.items(
            lambda: log.path.rename(f"{log.path}.1"),
            lambda: writer.write("still old\n"),
            log.path.touch,
            lambda: writer.write("the very last\n"),
            lambda: log.append("new\n"),
        )
    assert plain(items) == ["old\n", "still old\n", "the very last\n", "<replaced>", "new\n"]


async def test_a_replacement_without_a_trace_of_the_old_is_marked(log: Log, tmp_path: Path) -> None:
    def replace() -> None:
        (tmp_path / "other").write_text("new\n")
        (tmp_path / "other").rename(log.path)

    log.append("old\n")
    items = await log.items(replace)
    if log.held:
        assert plain(items) == ["old\n", "<replaced>", "new\n"]
        return
    assert plain(items) == ["old\n", "<gap>", "<replaced>", "new\n"]
    assert isinstance(items[1], Gap)
    assert items[1].missing is None
    assert items[1].position.offset == 0


async def test_a_file_that_is_deleted_and_made_again(log: Log) -> None:
    log.append("old and long\n")
    items = plain(await log.items(log.path.unlink, nothing, lambda: log.append("new\n")))
    assert items[0] == "old and long\n"
    assert items[-1] == "new\n"
    assert ("<gap>" in items) != log.held


async def test_a_file_without_a_name_is_read_to_its_end_where_it_is_kept_open(log: Log) -> None:
    def replace() -> None:
        log.append("last of the old\n")
        log.path.unlink()
        log.append("new\n")

    log.append("old\n")
    if log.held:
        assert plain(await log.items(replace)) == ["old\n", "last of the old\n", "<replaced>", "new\n"]
    else:
        assert plain(await log.items(replace))[:2] == ["old\n", "<gap>"]


async def test_only_what_is_followed_is_kept_open(log: Log) -> None:
    before = set(os.listdir("/proc/self/fd"))
    open_meanwhile = 0

    def rotate() -> None:
        nonlocal open_meanwhile
        log.path.rename(f"{log.path}.1")
        log.append("new\n")
        open_meanwhile = max(open_meanwhile, len(os.listdir("/proc/self/fd")) - len(before))

    log.append("old\n")
    await log.items(*[rotate, nothing] * 10)
    assert open_meanwhile <= 2
    assert set(os.listdir("/proc/self/fd")) == before


async def test_the_last_bytes_of_an_earlier_session_find_a_copy(log: Log) -> None:
    lines = "".join(f"line {n}\n" for n in range(300))
    log.append(lines)
    (first,) = await log.items()
    log.append("unread\n")
    shutil.copy(log.path, f"{log.path}.1")
    log.path.write_text("new\n")
    follower = Follower(str(log.path), first.position, lines.encode()[-OVERLAP:])
    file = OpenFile(str(log.path))
    with contextlib.closing(file):
        items = [item for _ in range(4) for item in look(follower, file, BLOCK)]
    assert plain(items) == ["unread\n", "<truncated>", "new\n"]


async def test_a_small_block_is_kept_to(log: Log) -> None:
    log.append("0123456789" * 300)
    file, follower = OpenFile(str(log.path)), Follower(str(log.path), Position())
    got = b""
    with contextlib.closing(file):
        while items := seen_by(follower.look(7), file.read):
            (item,) = items
            assert isinstance(item, Data)
            assert len(item.data) <= 7
            got += item.data
    assert got == b"0123456789" * 300


@pytest.mark.parametrize("size", [6, 7, 8, 14])
async def test_a_glance_keeps_to_its_block_and_knows_the_end(log: Log, size: int) -> None:
    log.append("header\n" * 200)
    file, follower = OpenFile(str(log.path)), Follower(str(log.path), Position())
    with contextlib.closing(file):
        look(follower, file, BLOCK)
        look(follower, file, BLOCK)
        assert follower.tail() is not None
        log.append("x" * size)
        (first,) = glance(follower, file, 7)
        assert isinstance(first, Data)
        assert first.data == b"x" * min(7, size)
        assert follower.at_end is (size < 7)
        rest = glance(follower, file, 7)
        assert plain(rest) == ([] if size <= 7 else ["x" * (size - 7)])
        assert follower.at_end


async def test_another_log_with_the_same_bytes_before_the_end_is_noticed(log: Log) -> None:
    log.append("a" * 2000 + "-" * 100)
    items = await log.items(nothing, lambda: log.path.write_text("b" * 2000 + "-" * 100 + "more\n"))
    assert plain(items)[2:] == ["<truncated>", "b" * 2000 + "-" * 100 + "more\n"]


def test_a_file_that_shrinks_under_a_glance_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_text("header\n" * 200)
    file, follower = OpenFile(str(path)), Follower(str(path), Position())
    pread = os.pread

    def shrink(descriptor: int, size: int, offset: int) -> bytes:
        data = pread(descriptor, size, offset)
        os.truncate(path, 1200)
        return data

    with contextlib.closing(file):
        look(follower, file, BLOCK)
        look(follower, file, BLOCK)
        with path.open("a") as writer:
            writer.write("new\n")
        monkeypatch.setattr(os, "pread", shrink)
        found = glance(follower, file, FEW)
    assert not any(isinstance(item, Data) for item in found)


def test_a_glance_at_a_file_that_grew_asks_its_name_once_and_itself_thrice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("header\n" * 200)
    file, follower = OpenFile(str(path)), Follower(str(path), Position())
    asked: list[str] = []

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            asked.append(name)
            return call(*args)

        return counted

    with contextlib.closing(file), pytest.MonkeyPatch.context() as patch:
        look(follower, file, BLOCK)
        look(follower, file, BLOCK)
        with path.open("a") as writer:
            writer.write("new\n")
        for name in ("stat", "fstat", "pread", "open"):
            patch.setattr(os, name, counting(name, getattr(os, name)))
        (item,) = glance(follower, file, FEW)
        assert isinstance(item, Data)
        assert item.data == b"new\n"
    assert asked == ["stat", "pread", "pread", "fstat"]


async def test_what_cannot_be_read_is_told(log: Log) -> None:
    log.path.mkdir()
    with pytest.raises(InputError, match="not a regular file"):
        await log.items()


async def test_a_lost_host_ends_it_and_the_position_goes_on(log: Log) -> None:
    log.append("one\n")
    seen: list[Data | Gap | Rotated] = []

    async def lost(path: str, offset: int, size: int) -> Chunk:
        if seen:
            raise UnreachableError("box: gone")
        return read_range(path, offset, size)

    async def run() -> AsyncIterator[None]:
        async for item in follow(lost, str(log.path), Position()):
            seen.append(item)
            yield None

    with pytest.raises(UnreachableError):
        async for _ in run():
            pass
    log.append("two\n")
    assert plain(await log.items(at=seen[-1].position)) == ["two\n"]


async def test_an_idle_file_costs_one_read_per_look(log: Log) -> None:
    log.append("one\n")
    await log.items(*[nothing] * 10)
    assert log.reads == 12


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("seen_often", [True, False])
async def test_no_line_is_lost_or_doubled_without_a_mark(log: Log, seed: int, seen_often: bool) -> None:
    """Whatever a writer does between two looks: lines come in order and once, and a loss has a mark before it."""
    chance = random.Random(seed)
    written = 0
    expected: list[str] = []

    def write() -> None:
        nonlocal written
        lines = [f"line {n} {'x' * chance.randrange(60)}\n" for n in range(written, written + chance.randrange(1, 40))]
        written += len(lines)
        expected.extend(lines)
        log.append("".join(lines))

    def rename() -> None:
        if log.path.exists():
            log.path.rename(f"{log.path}.1")
        if chance.random() < 0.7:
            write()

    def copytruncate() -> None:
        if log.path.exists():
            shutil.copy(log.path, f"{log.path}.1")
            log.path.write_text("")
        if chance.random() < 0.5:
            write()

    def truncate() -> None:
        log.path.write_text("")

    def delete() -> None:
        log.path.unlink(missing_ok=True)

    def turn() -> None:
        for _ in range(1 if seen_often else chance.randrange(1, 4)):
            chance.choices([write, rename, copytruncate, truncate, delete, nothing], [8, 1, 1, 1, 1, 2])[0]()

    write()
    items = await log.items(*[turn] * 40, nothing, nothing)
    got = "".join(item.data.decode() for item in items if isinstance(item, Data)).splitlines(keepends=True)
    numbers = [int(line.split()[1]) for line in got]
    assert numbers == sorted(set(numbers)), "in order and once"
    assert got == [expected[number] for number in numbers], "whole"
    marks = set()
    at = -1
    for item in items:
        if isinstance(item, Data):
            at = int(item.data.decode().splitlines()[-1].split()[1])
        else:
            marks.add(at)
    for before, after in zip([-1, *numbers], numbers, strict=False):
        assert after == before + 1 or before in marks, f"lines between {before} and {after} are lost without a mark"


@pytest.mark.parametrize("name", ["log-20240102", "log.2024-01-02_10-00-00", "elsewhere"])
async def test_what_was_left_of_a_file_is_read_whatever_its_new_name_is(log: Log, name: str) -> None:
    log.append("one\n")
    first = await log.items()
    log.append("two\n")
    os.rename(log.path, log.path.with_name(name))
    log.append("three\n")
    assert plain(await log.items(at=first[-1].position)) == ["two\n", "<replaced>", "three\n"]


async def test_what_was_left_of_a_copy_with_a_date_is_read(log: Log) -> None:
    whole = "".join(f"line {number}\n" for number in range(200))
    log.append(whole)

    def rotate() -> None:
        log.append("late\n")
        shutil.copyfile(log.path, log.path.with_name("log-20240103"))
        os.truncate(log.path, 0)
        log.append("new\n")

    log.path.with_name("log-20240101").write_text("another\n" * 300)
    log.path.with_name("log-20240102.gz").write_bytes(b"x" * 5000)
    shutil.copyfile(log.path, log.path.with_name("log-20240102"))
    assert "".join(plain(await log.items(rotate))) == f"{whole}late\n<truncated>new\n"


def numbered(log: Log, copies: int = 9) -> None:
    """Rotate as logrotate does: the newest is .1."""
    for number in range(copies, 0, -1):
        if log.path.with_name(f"log.{number}").exists():
            os.rename(log.path.with_name(f"log.{number}"), log.path.with_name(f"log.{number + 1}"))
    os.rename(log.path, log.path.with_name("log.1"))


def copied(log: Log) -> None:
    """Rotate by copying, likewise."""
    for number in range(9, 0, -1):
        if log.path.with_name(f"log.{number}").exists():
            os.rename(log.path.with_name(f"log.{number}"), log.path.with_name(f"log.{number + 1}"))
    shutil.copyfile(log.path, log.path.with_name("log.1"))
    os.truncate(log.path, 0)


def rising(log: Log) -> None:
    """Rotate to numbers of which the highest is the newest."""
    number = next(number for number in range(99) if not log.path.with_name(f"log.{number}").exists())
    os.rename(log.path, log.path.with_name(f"log.{number}"))


def dated(log: Log) -> None:
    """Rotate to names with a time."""
    hour = next(hour for hour in range(10, 24) if not log.path.with_name(f"log-20240102T{hour}").exists())
    os.rename(log.path, log.path.with_name(f"log-20240102T{hour}"))


def text(name: str) -> str:
    return "".join(f"{name} {number}\n" for number in range(20))


def stamp(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))


@pytest.mark.parametrize("rotate", [numbered, copied, rising, dated])
@pytest.mark.parametrize("session", ["one", "late", "two"])
async def test_files_that_came_and_went_between_two_looks_are_read(
    log: Log, rotate: Callable[[Log], None], session: str
) -> None:
    names = ["first", "second", "third", "fourth", "fifth"]

    def next_one(name: str, now: int) -> None:
        rotate(log)
        log.append(text(name))
        stamp(log.path, now)

    def turns() -> None:
        log.append(text("late"))
        stamp(log.path, 250)
        for now, name in enumerate(names[2:], 300):
            next_one(name, now)
        if session == "late":
            old = next(one for one in log.path.parent.iterdir() if one.read_text().startswith(names[1]))
            stamp(old, 1000)

    log.append(text(names[0]))
    stamp(log.path, 100)
    next_one(names[1], 200)
    if session != "two":
        items = await log.items(turns, nothing, nothing)
    else:
        items = await log.items()
        turns()
        items += await log.items(nothing, nothing, at=items[-1].position, last=text(names[1]).encode()[-OVERLAP:])
    wanted = [text("second") + text("late"), text("third"), text("fourth"), text("fifth")]
    assert "".join(plain(items)).replace("truncated", "replaced").split("<replaced>") == wanted
    assert all(item.whole for item in items if isinstance(item, Rotated))


async def test_where_a_file_between_is_packed_or_gone_that_is_told(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "MOVING", 0.0)  # no time passes here
    for ending in (".2.gz", None):
        log.path.unlink(missing_ok=True)
        log.append(text("first"))

        def turn(ending: str | None = ending) -> None:
            os.rename(log.path, log.path.with_name("log.3"))
            if ending is not None:
                log.path.with_name(f"log{ending}").write_bytes(b"x" * 50)
            log.path.with_name("log.1").write_text(text("third"))
            log.append(text("fourth"))

        items = await log.items(turn, nothing, nothing)
        assert "".join(plain(items)) == "<replaced>".join(map(text, ("first", "third", "fourth")))
        assert [item.whole for item in items if isinstance(item, Rotated)] == [False, True]
        for one in log.path.parent.iterdir():
            one.unlink()


async def test_what_is_missing_is_told_also_where_the_new_file_is_empty_at_first(log: Log) -> None:
    log.append(text("first"))

    def turn() -> None:
        os.rename(log.path, log.path.with_name("log.2"))
        log.path.with_name("log.1.gz").write_bytes(b"x" * 50)
        log.append("")

    items = await log.items(turn, nothing, lambda: log.append(text("third")), nothing)
    assert "".join(plain(items)) == "<replaced>".join(map(text, ("first", "third")))
    assert [item.whole for item in items if isinstance(item, Rotated)] == [False]


async def test_what_is_no_earlier_content_of_the_log_did_not_come_between(log: Log) -> None:
    log.append(text("log"))
    log.path.with_name("log.1").write_text(text("rank 1"))
    log.path.with_name("log.7").write_text(text("old"))

    def turn() -> None:
        os.rename(log.path, log.path.with_name("log.old"))
        log.path.with_name("log.1").write_text(text("rank 1") * 2)
        log.append(text("new"))

    def copy() -> None:
        numbered(log)  # the other rank's log goes too: it is at .2
        log.append(text("newer"))
        shutil.copyfile(log.path, log.path.with_name("log.0"))

    items = await log.items(turn, nothing, copy, nothing, nothing)
    assert "".join(plain(items)) == "<replaced>".join(map(text, ("log", "new", "newer")))
    assert all(item.whole for item in items if isinstance(item, Rotated))


async def test_an_old_file_that_is_moved_on_while_it_is_read_is_found_again(log: Log) -> None:
    log.append(text("first"))

    def turn() -> None:
        numbered(log)
        log.path.touch()

    def on() -> None:
        os.rename(log.path.with_name("log.1"), log.path.with_name("log.2"))
        with log.path.with_name("log.2").open("a") as old:
            old.write("late\n")
        log.append(text("second"))

    items = await log.items(turn, nothing, on, nothing)
    assert "".join(plain(items)) == text("first") + "late\n<replaced>" + text("second")


def test_files_beside_it_that_are_worth_a_look(tmp_path: Path) -> None:
    at = Position(10, 7, "", 0)
    there = [
        Neighbour("run.log", 7, 50, 9),
        Neighbour("moved", 7, 50, 1),
        Neighbour("run.log-20240101", 1, 50, 2),
        Neighbour("run.2024-01-02.log", 2, 50, 3),
        Neighbour("run.log-20240103", 3, 9, 4),
        Neighbour("run.log-20240104.gz", 4, 50, 5),
        Neighbour("run.err", 5, 50, 6),
        Neighbour("other-20240105", 6, 50, 7),
    ]
    names = [os.path.basename(name) for name in likely(str(tmp_path / "run.log"), at, there)]
    assert names == ["moved", "run.2024-01-02.log", "run.log-20240101"]
