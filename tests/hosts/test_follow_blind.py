"""A log that is rotated where nobody tells inodes: files are told apart by their names and by what is in them."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.bare import INODE
from hosts.host import Chunk, Data, Gap, Position, Rotated
from hosts.local.following import BESIDE, BLOCK, HELD, OVERLAP, Follower, Item, Neighbour, Range, seen_by
from hosts.local.observe import NotThereError, read_range
from hosts.local.openfile import OpenFile
from tests.hosts.test_follow_rotations import STEPS, RotatedLog

SECOND = 1_000_000_000


class Blind:
    """Follows a file as it is seen by SFTP: without inodes, in whole seconds, with nothing kept open."""

    def __init__(self, path: Path, at: Position = Position(), last: bytes = b"") -> None:  # noqa: B008
        self.follower = Follower(str(path), at, last)
        self.listed = 0
        self._path = path

    def look(self, block: int = BLOCK) -> list[Item]:
        return seen_by(self.follower.look(block), self._read)

    def all(self, block: int = BLOCK) -> list[Item]:
        """What there is, until there is no more."""
        found: list[Item] = []
        while items := self.look(block):
            found += items
        return found

    def _read(self, wanted: Range) -> Chunk | None:
        if wanted.path == HELD:
            return None
        if wanted.path == BESIDE:
            self.listed += 1
            beside = OpenFile(str(self._path)).beside()
            self.follower.beside = [
                Neighbour(one.name, INODE, one.size, one.mtime_ns // SECOND * SECOND) for one in beside
            ]
            return None
        try:
            chunk = read_range(wanted.path, wanted.offset, wanted.size)
        except NotThereError:
            return None
        return replace(chunk, inode=INODE, mtime_ns=chunk.mtime_ns // SECOND * SECOND)


class Log:
    """A log and whoever rotates it; every write has a second of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log"
        self._clock = itertools.count(1_000)

    def name(self, ending: str) -> Path:
        return self.path.with_name(f"log{ending}")

    def append(self, text: str, ending: str = "") -> None:
        with self.name(ending).open("a") as file:
            file.write(text)
        self.stamp(self.name(ending))

    def stamp(self, path: Path) -> None:
        now = next(self._clock)
        os.utime(path, (now, now))


def numbered(log: Log) -> None:
    shift(log)
    os.rename(log.path, log.name(".1"))


def copied(log: Log) -> None:
    shift(log)
    shutil.copyfile(log.path, log.name(".1"))
    log.stamp(log.name(".1"))
    os.truncate(log.path, 0)


def shift(log: Log) -> None:
    for number in range(9, 0, -1):
        if log.name(f".{number}").exists():
            os.rename(log.name(f".{number}"), log.name(f".{number + 1}"))


def rising(log: Log) -> None:
    os.rename(log.path, next(log.name(f".{one}") for one in range(99) if not log.name(f".{one}").exists()))


def dated(log: Log) -> None:
    name = next(log.name(f"-202401{one}") for one in range(10, 99) if not log.name(f"-202401{one}").exists())
    os.rename(log.path, name)


def plain(items: list[Item]) -> list[str]:
    return "".join(
        item.data.decode() if isinstance(item, Data) else "<gap>" if isinstance(item, Gap) else "\0" for item in items
    ).split("\0")


def whole(items: list[Item]) -> list[bool]:
    return [item.whole for item in items if isinstance(item, Rotated)]


def text(name: str, count: int = 20) -> str:
    return "".join(f"{name} {number}\n" for number in range(count))


BANNER = "the same in every file, whoever begins it\n" * 40

ROTATE = pytest.mark.parametrize("rotate", [numbered, copied, rising, dated])


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@ROTATE
@pytest.mark.parametrize("banner", ["", BANNER], ids=["differ", "begin alike"])
@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_files_that_came_and_went_between_two_looks_are_read(
    log: Log, rotate: Callable[[Log], None], banner: str, times: int
) -> None:
    log.append(banner + text("earlier"))
    blind = Blind(log.path)
    blind.all()
    rotate(log)
    log.append(banner + text("first"))
    assert plain(blind.all()) == ["", banner + text("first")]
    log.append(text("late"))
    for number in range(times):
        rotate(log)
        log.append(banner + text(f"file {number}"))
    items = blind.all()
    assert plain(items) == [text("late"), *(banner + text(f"file {number}") for number in range(times))]
    assert whole(items) == [True] * times
    assert blind.all() == []


def test_a_longer_file_that_begins_with_all_of_one_between_is_not_taken_for_it(log: Log) -> None:
    log.append(text("first"))
    blind = Blind(log.path)
    blind.all()
    numbered(log)
    log.append(BANNER + text("second"))
    numbered(log)
    log.append(BANNER[:500])
    first = blind.look()
    log.append(BANNER[500:] + text("third"))
    assert plain(first + blind.all()) == ["", BANNER + text("second"), BANNER + text("third")]


def test_where_a_file_between_is_packed_that_is_told(log: Log) -> None:
    log.append(text("first"))
    blind = Blind(log.path)
    blind.all()
    os.rename(log.path, log.name(".3"))
    log.append("x" * 50, ".2.gz")
    log.append(text("third"), ".1")
    log.append(text("fourth"))
    items = blind.all()
    assert plain(items) == ["", text("third"), text("fourth")]
    assert whole(items) == [False, True]


def test_a_file_between_that_is_moved_on_before_it_is_read_is_found_again(log: Log) -> None:
    log.append(text("first"))
    blind = Blind(log.path)
    blind.all()
    for name in ("second", "third"):
        numbered(log)
        log.append(text(name))
    items = blind.look()
    assert plain(items) == ["", ""]
    numbered(log)
    log.append(text("fourth"))
    items += blind.all()
    assert plain(items) == ["", text("second"), text("third"), text("fourth")]
    assert whole(items) == [True] * 3


def test_the_new_file_that_is_moved_on_before_it_is_read_is_found_again(log: Log) -> None:
    log.append(text("first"))
    blind = Blind(log.path)
    blind.all()
    numbered(log)
    log.append(text("second"))
    items = blind.look()
    assert plain(items) == ["", ""]
    numbered(log)
    log.append(text("third"))
    assert plain(items + blind.all()) == ["", text("second"), text("third")]


def test_an_empty_new_file_costs_one_listing(log: Log) -> None:
    log.append(text("first"))
    blind = Blind(log.path)
    blind.all()
    for name in ("second", "third"):
        numbered(log)
        log.append("")
        listed = blind.listed
        for _ in range(5):
            assert blind.all() == []
        assert blind.listed <= listed + 1
        log.append(text(name))
        assert plain(blind.all()) == ["", text(name)]


@ROTATE
def test_a_file_that_was_empty_when_it_was_seen_is_read_too(log: Log, rotate: Callable[[Log], None]) -> None:
    log.append(text("first"))
    blind = Blind(log.path)
    blind.all()
    rotate(log)
    log.append("")
    assert blind.all() == []
    log.append(text("second"))
    rotate(log)
    log.append(text("third"))
    assert plain(blind.all()) == ["", text("second"), text("third")]
    rotate(log)
    log.append(text("fourth"))
    rotate(log)
    log.append("")
    assert plain(blind.all()) == ["", text("fourth")], "before anything comes after it"


def test_a_file_that_was_read_and_is_touched_again_did_not_come_between(log: Log) -> None:
    log.append(BANNER + text("first"))
    blind = Blind(log.path)
    blind.all()
    rising(log)
    log.append(BANNER + text("second"))
    blind.all()
    rising(log)
    log.stamp(log.name(".0"))
    log.append(BANNER + text("third"))
    items = blind.all()
    assert plain(items) == ["", BANNER + text("third")]
    assert whole(items) == [True]


@settings(max_examples=150, deadline=None)
@given(
    way=st.sampled_from(["numbered", "copied", "rising", "dated"]), block=st.sampled_from([50, 1 << 20]), steps=STEPS
)
def test_however_often_it_is_rotated_between_two_looks_each_line_comes_once(
    way: str, block: int, steps: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = RotatedLog(Path(folder), way)
        blind = Blind(log.path)
        got = b""

        def see() -> None:
            nonlocal got
            for item in blind.all(block):
                assert not isinstance(item, Gap)
                assert not isinstance(item, Rotated) or item.whole
                got += item.data if isinstance(item, Data) else b""

        see()
        for step in steps:
            if step == "append":
                log.append()
            elif step == "rotate":
                log.rotate()
            elif step == "look":
                see()
            elif step == "resume":
                blind = Blind(log.path, blind.follower.position, got[-OVERLAP:])
        see()
        assert got == log.written
