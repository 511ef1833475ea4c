"""Whatever happens to a file between looks: no line is lost but what its writer threw away unseen, none comes twice."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitors.logs import local_shelf
from monitors.logs.local_files import Files
from monitors.logs.local_kept import REWRITES
from monitors.logs.types import CAME_AND_WENT
from tests.monitors.logs.looks import Log

LINE = re.compile(rb"<(\d{8})>x*\n")


class Writer:
    """Writes numbered lines, throws files away, and keeps account of the lines that nobody can have seen."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.count = 0
        self.rest = b""  # of a line of which a part was written
        self.sizes: dict[int, int] = {}  # of each file at the last look
        self.unseen: set[int] = set()  # lines that nobody has looked at
        self.lost: set[int] = set()  # of these, the ones that were thrown away
        self.untold: set[int] = set()  # of these, the ones of files in which nothing was ever seen
        # The file, or its copy, that holds what was seen last; what came after it is known by its place beside it
        self.anchor: int | None = None
        self.anew = False  # since the last look the file was emptied, and may have been written to again
        self.late: Path | None = None  # a file that was renamed, and is still written to
        self.ends = 0  # of the file, that were cut off one after another
        self.beside: set[tuple[int, Path]] = set()  # what was beside the log at the looks since it was turned over last

    def look(self, seconds: float = 0.3) -> None:
        self.reused()
        self.log.look(seconds)
        self.unseen = {self.count - 1} if self.rest else set()
        if self.log.path.exists():
            status = self.log.path.stat()
            before = self.sizes.get(status.st_ino)
            if before is None or (self.anew and before):
                self.beside.clear()
            self.beside |= {(path.stat().st_ino, path) for path in self.log.folder.iterdir() if path != self.log.path}
            self.sizes[status.st_ino] = status.st_size
            self.anchor = status.st_ino if status.st_size else None
        self.anew = False

    def whole(self) -> None:
        """End the line that is being written."""
        if self.rest:
            self.log.append(self.rest, self.late)
            self.rest = b""

    def lines(self, count: int, width: int) -> bytes:
        made = b""
        for _ in range(count):
            made += b"<%s>%s\n" % (f"{self.count:08}"[::-1].encode(), b"x" * width)  # soon unlike the one before
            self.unseen.add(self.count)
            self.count += 1
        return made

    def append(self, count: int, width: int, cut: int) -> None:
        data = self.rest + self.lines(count, width)
        at = len(data) - min(cut, len(data) - 1)
        self.log.append(data[:at], self.late)
        self.rest = data[at:]

    @staticmethod
    def numbers(path: Path) -> set[int]:
        """The lines that are in a file."""
        return {int(number[::-1]) for number in LINE.findall(path.read_bytes())}

    def throw_away(self, path: Path) -> None:
        """What is in a file will be gone."""
        if path.exists():
            lost = self.numbers(path) & self.unseen
            self.lost |= lost
            if not self.sizes.get(path.stat().st_ino) or (self.anew and path == self.log.path):
                self.untold |= lost
            if path.stat().st_ino == self.anchor:
                self.drift()

    def drift(self) -> None:
        """Nothing is left that tells which files beside the log came after what was seen."""
        self.anchor = None
        for path in self.log.folder.iterdir():
            if path != self.log.path:
                self.untraced(path)

    def untraced(self, path: Path) -> None:
        found = self.numbers(path) & self.unseen
        self.lost |= found
        self.untold |= found

    def reused(self) -> None:
        """A new file that got the inode and the name of a deleted one: as if that had been written to, not rotated."""
        for inode, path in self.beside:
            if path.exists() and path.stat().st_ino == inode:
                self.lost |= self.numbers(path) & self.unseen

    def rotate(self, copies: int, late: int) -> None:
        self.whole()
        self.late = None
        if not self.log.path.exists():
            return
        self.ends = 0
        self.throw_away(self.log.beside(f".{copies}"))
        self.log.rotate(copies)
        if late:
            self.late = self.log.beside(".1")
            self.append(late, 5, 0)
            self.late = None
        if self.anchor is None:
            self.untraced(self.log.beside(".1"))

    def copytruncate(self, copies: int) -> None:
        self.whole()
        if not self.log.path.exists():
            return
        self.ends = 0
        self.throw_away(self.log.beside(f".{copies}"))
        self.log.beside(f".{copies}").unlink(missing_ok=True)
        for number in range(copies - 1, 0, -1):
            if self.log.beside(f".{number}").exists():
                self.log.beside(f".{number}").rename(self.log.beside(f".{number + 1}"))
        self.copied()

    def copied(self) -> None:
        if self.anchor is None:
            self.untraced(self.log.path)
        anchored = self.anchor == self.log.path.stat().st_ino
        self.log.copytruncate()
        self.anew = True
        if anchored:
            self.anchor = self.log.beside(".1").stat().st_ino

    def copy_over(self, unseen: int, turned: bool = True) -> None:
        """Copied and truncated, the copy into the file that is there already: what that held is nowhere any more."""
        self.whole()
        if not self.log.path.exists():
            return
        for _ in range(3 * turned):  # so that it is no more the file that is followed
            self.look()
        if unseen:
            self.append(unseen, 5, 0)
        self.ends = 0
        old = self.log.beside(".1")
        self.throw_away(old)
        self.lost |= self.numbers(old) if old.exists() else set()
        self.copied()

    def truncate(self) -> None:
        self.whole()
        if self.log.path.exists():
            self.ends = 0
            self.throw_away(self.log.path)
            os.truncate(self.log.path, 0)
            self.anew = True

    def shorten(self, share: float) -> None:
        self.whole()
        if self.log.path.exists():
            self.look()
            size = self.log.path.stat().st_size
            os.truncate(self.log.path, round(size * share))
            self.ends += self.log.path.stat().st_size < size
            if not self.numbers(self.log.path):
                self.ends = 0  # of whole lines nothing is left: a content of its own
            self.look()
            if self.ends > REWRITES:
                # By intention, and said: what is past is let go of, and what is left comes anew
                self.lost |= set(range(self.count)) - self.numbers(self.log.path)
                self.ends = 0

    def cut_down(self, share: float, rename: bool) -> None:
        self.whole()
        if not self.log.path.exists():
            return
        self.look()
        content = self.log.path.read_bytes()
        at = content.find(b"\n", round(len(content) * share)) + 1
        if at == 0 or len(content) - at < 1000:
            return
        self.ends = 0
        self.drift()
        if rename:
            self.log.beside(".tmp").write_bytes(content[at:])
            self.log.beside(".tmp").rename(self.log.path)
        else:
            self.log.path.write_bytes(content[at:])

    def delete(self) -> None:
        self.whole()
        self.ends = 0
        self.look()  # what is deleted before anybody opened it is gone
        self.log.path.unlink(missing_ok=True)
        self.drift()


Step = tuple[Any, ...]  # a method of the writer and its arguments

copies = st.integers(2, 6)
steps: st.SearchStrategy[Step] = st.one_of(
    *[st.tuples(st.just("look"))] * 3,
    *[st.tuples(st.just("append"), st.integers(1, 60), st.integers(0, 90), st.sampled_from([0, 0, 1, 5]))] * 4,
    st.tuples(st.just("rotate"), copies, st.sampled_from([0, 0, 3])),
    st.tuples(st.just("copytruncate"), copies),
    st.tuples(st.just("copy_over"), st.sampled_from([0, 3])),
    st.tuples(st.just("truncate")),
    st.tuples(st.just("delete")),
    st.tuples(st.just("shorten"), st.floats(0.55, 1.0)),
    st.tuples(st.just("cut_down"), st.floats(0.1, 0.9), st.booleans()),
)

hasty: st.SearchStrategy[Step] = st.one_of(  # before the reader has turned to a new file
    steps,
    st.tuples(st.just("look"), st.just(0.05)),
    st.tuples(st.just("copy_over"), st.sampled_from([0, 3]), st.just(False)),
)


def check(made: list[Step], folder: Path, only_twice: bool = False) -> None:
    log = Log(folder, kept=10_000)
    writer = Writer(log)
    try:
        writer.append(1, 0, 0)
        writer.look()
        for name, *arguments in made:
            getattr(writer, name)(*arguments)
        writer.whole()
        writer.append(1, 0, 0)
        writer.reused()
        for _ in range(3):
            log.settle()
        log.look(30.0)
        found = Counter(int(number[::-1]) for data in log.contents() for number in LINE.findall(data))
        assert not [number for number, times in found.items() if times > 1], "shown twice"
        if only_twice:
            return
        missing = set(range(writer.count)) - set(found)
        assert missing <= writer.lost, "lost"
        if missing - writer.untold:
            assert any(mark.missing is None or mark.missing > 0 for mark in log.marks), "lost without a word"
        assert all(one.live == (one is log.generations[-1]) for one in log.generations)
        places = [mark.at for mark in log.marks]
        assert places == sorted(places)
    finally:
        log.looker.close()


@pytest.fixture(autouse=True)
def _roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_shelf, "IN_MEMORY", 10_000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(steps, max_size=25))
@example(made=[("shorten", 0.75), ("append", 6, 0, 0), *[("shorten", 0.75)] * 4])
@example(made=[("append", 2, 1, 0), *[("shorten", 0.75)] * 4])
@example(made=[("copytruncate", 2), ("append", 1, 0, 0), ("copytruncate", 2), ("rotate", 3, 0)])
@example(
    made=[
        *[("copytruncate", 2), ("rotate", 2, 0), ("look",)],
        *[("append", 1, 0, 0), ("copytruncate", 3), ("rotate", 2, 0)],
    ]
)
@example(
    made=[
        *[("delete",), ("append", 1, 0, 0), ("rotate", 2, 0), ("append", 1, 0, 0), ("look",)],
        *[("copytruncate", 2), ("append", 1, 0, 0), ("copytruncate", 2)],
    ]
)
@example(
    made=[
        *[("copytruncate", 2), ("copytruncate", 2), ("look",)],
        *[("copytruncate", 2), ("append", 1, 0, 0), ("look",)],
        *[("rotate", 3, 0), ("append", 1, 0, 0), ("copytruncate", 3)],
    ]
)
@example(made=[("copytruncate", 2), ("rotate", 2, 0), ("append", 1, 0, 0), ("copy_over", 0)])
@example(made=[("append", 9, 9, 0), ("copy_over", 3), ("append", 60, 9, 0), ("copy_over", 3), ("append", 9, 9, 0)])
@example(made=[("append", 29, 50, 0), ("cut_down", 0.3, False), ("copytruncate", 3), ("rotate", 3, 0)])
@example(made=[("rotate", 3, 0), ("append", 30, 50, 0), ("look",), ("copy_over", 0, False), ("append", 2, 9, 0)])
def test_every_line_comes_once(made: list[Step]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        check(made, folder)
    finally:
        shutil.rmtree(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(hasty, max_size=25))
@example(made=[("append", 30, 50, 0), ("look",), ("rotate", 3, 0), ("append", 1, 50, 0), ("copy_over", 0, False)])
@example(made=[("rotate", 2, 0), ("append", 31, 56, 0), ("cut_down", 0.5, False), ("copy_over", 0, False)])
@example(made=[("rotate", 2, 0), ("append", 1, 0, 0), ("look", 0.05), ("copy_over", 3, False)])
@example(made=[("rotate", 2, 0), ("append", 31, 33, 0), ("cut_down", 0.25, False), ("copy_over", 3, False)])
def test_no_line_comes_twice_before_the_reader_has_turned(made: list[Step]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        check(made, folder, only_twice=True)
    finally:
        shutil.rmtree(folder)


def test_a_file_that_is_written_to_after_it_was_moved_twice_hides_none(tmp_path: Path) -> None:
    log = Log(tmp_path)
    old = log.append()
    log.look()
    log.rotate()
    between = log.append()
    log.rotate()
    late = log.append(path=log.beside(".2"))
    status = log.beside(".1").stat()
    os.utime(log.beside(".2"), ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    new = log.append()
    log.settle()
    assert log.contents() == [old + late, between, new]
    log.looker.close()


class Broken(Files):
    """Files of which some cannot be read."""

    broken: frozenset[int] = frozenset()  # inodes

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        if self.fstat(handle).st_ino in self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().pread(handle, size, offset)


@pytest.mark.parametrize("which", ["old", "new", "both"])
def test_a_file_that_takes_the_place_while_reads_fail_is_opened_once(tmp_path: Path, which: str) -> None:
    files = Broken()
    log = Log(tmp_path, files=files)
    old = log.append()
    log.look()
    log.rotate()
    new = log.append()
    found = {"old": log.beside(".1").stat().st_ino, "new": log.path.stat().st_ino}
    files.broken = frozenset(inode for name, inode in found.items() if which in (name, "both"))
    for _ in range(20):
        log.look(1.0)
    held = [name for name in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(name)]
    assert len(held) <= 2
    files.broken = frozenset()
    log.settle()
    assert log.contents() == [old, new]
    log.looker.close()


def test_a_file_that_came_and_went_and_cannot_be_read_holds_up_nothing(tmp_path: Path) -> None:
    files = Broken()
    log = Log(tmp_path, files=files)
    old = log.append()
    log.look()
    log.rotate()
    log.append()
    files.broken = frozenset({log.path.stat().st_ino})
    log.rotate()
    new = log.append()
    log.settle()
    assert log.contents() == [old, new]
    assert CAME_AND_WENT in [mark.text for mark in log.marks]
    held = [name for name in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(name)]
    assert len(held) == 2
    log.looker.close()
