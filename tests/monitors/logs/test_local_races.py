"""A log that is rotated between the very system calls of a look at it."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitors.logs.local_files import Files
from monitors.logs.types import MarkKind
from tests.monitors.logs.looks import Log

CALM = 12  # looks at which nothing happens after a rotation


class Between(Files):
    """The system, in which somebody else does one thing before some of our calls."""

    def __init__(self, draw: random.Random) -> None:
        self.turns: Iterator[int] = iter(())
        self.left = self.calm = 0  # rotations to come, and looks until the next call
        self._draw = draw
        self._often = draw.choice([0.1, 0.3])

    def _other(self) -> None:
        if self.left > 0 and self.calm == 0 and self._draw.random() < self._often:
            self.calm = next(self.turns)
            self.left -= self.calm == CALM

    def stat(self, path: str) -> os.stat_result:
        self._other()
        return super().stat(path)

    def fstat(self, handle: int) -> os.stat_result:
        self._other()
        return super().fstat(handle)

    def open(self, path: str) -> int:
        self._other()
        return super().open(path)

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        self._other()
        return super().pread(handle, size, offset)

    def names(self, folder: str) -> list[str]:
        self._other()
        return super().names(folder)


def turned_over(log: Log, draw: random.Random, written: list[bytes]) -> Iterator[int]:
    """Write and rotate, one call at a time; gives at how many looks nothing is to happen after it."""
    while True:
        for _ in range(draw.randrange(1, 6)):
            written.append(log.append(log.lines(draw.randrange(1, 40), draw.randrange(60))))
            yield 0
        yield draw.choice([0, 0, 1, 2 * CALM])
        way = draw.choice(["once", "late", "twice"])
        for _ in range(2 if way == "twice" else 1):
            for number in range(40, 0, -1):
                if log.beside(f".{number}").exists():
                    log.beside(f".{number}").rename(log.beside(f".{number + 1}"))
                    yield 0
            log.path.rename(log.beside(".1"))
            yield 0
            if way == "late":
                written.append(log.append(log.lines(3), log.beside(".1")))
                yield 0
            log.path.touch()
            yield 0
            written.append(log.append())
            yield 0
        yield CALM


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    files, written = Between(draw), list[bytes]()
    log = Log(tmp_path, kept=200, files=files)
    written.append(log.append())
    log.settle()
    files.turns, files.left = turned_over(log, draw, written), 6
    for _ in range(4000):
        if files.left == 0:
            break
        files.calm = max(0, files.calm - 1)
        log.look(draw.choice([0.01, 0.04]))
    assert files.left == 0
    log.settle()
    assert log.everything() == b"".join(written)
    assert MarkKind.LOST not in log.kinds
    log.looker.close()


def test_a_number_that_is_free_while_files_are_moved_up_is_no_loss(tmp_path: Path) -> None:
    log = Log(tmp_path)
    written = log.append()
    log.look()
    log.rotate()
    written += log.append()
    log.beside(".1").rename(log.beside(".2"))
    log.look()
    log.path.rename(log.beside(".1"))
    written += log.append()
    log.settle()
    assert log.everything() == written
    assert set(log.kinds) == {MarkKind.ROTATED}
    log.looker.close()


def test_what_is_rotated_while_the_log_is_first_looked_at_came_after_it(tmp_path: Path) -> None:
    written: list[bytes] = []

    class Late(Files):
        def open(self, path: str) -> int:
            handle = super().open(path)
            if len(written) == 1:
                for _ in range(2):
                    log.rotate()
                    written.append(log.append())
            return handle

    log = Log(tmp_path, files=Late())
    written.append(log.append())
    log.settle()
    assert log.everything() == b"".join(written)
    log.looker.close()


def test_a_free_number_is_told_as_a_loss_where_copies_are_made(tmp_path: Path) -> None:
    class Copied(Files):
        turn = 0

        def names(self, folder: str) -> list[str]:
            if self.turn == 1:
                self.turn = 2
                log.append()
                log.beside(".1").rename(log.beside(".2"))
            return super().names(folder)

        def stat(self, path: str) -> os.stat_result:
            if self.turn == 2 and path == str(log.path):
                self.turn = 3
                log.copytruncate()
                log.append()
            return super().stat(path)

    files = Copied()
    log = Log(tmp_path, files=files)
    log.append(log.lines(100))
    log.settle()
    log.copytruncate()
    files.turn = 1
    log.settle()
    assert files.turn == 3
    assert MarkKind.LOST in log.kinds
    log.looker.close()


def test_a_log_that_may_not_be_read_has_its_folder_read_once(tmp_path: Path) -> None:
    class Shut(Files):
        listed = 0

        def open(self, path: str) -> int:
            raise PermissionError(errno.EACCES, "no")

        def names(self, folder: str) -> list[str]:
            self.listed += 1
            return super().names(folder)

    files = Shut()
    log = Log(tmp_path, files=files)
    log.append()
    log.look()
    before = files.listed
    for _ in range(5):
        log.look(1.1)
    assert files.listed == before
    log.looker.close()


def test_what_came_beside_a_log_that_may_not_be_read_is_older_than_it(tmp_path: Path) -> None:
    class Shut(Files):
        shut = True

        def open(self, path: str) -> int:
            if self.shut and path.endswith("app.log"):
                raise PermissionError(errno.EACCES, "no")
            return super().open(path)

    files = Shut()
    log = Log(tmp_path, files=files)
    log.append("old\n")
    log.look()
    log.rotate()
    log.append("new\n")
    log.append("late\n", log.beside(".1"))
    later = os.stat(log.path).st_mtime_ns + 5_000_000_000
    os.utime(log.beside(".1"), ns=(later, later))
    files.shut = False
    log.look(1.1)
    log.settle()
    log.rotate()
    log.append("third\n")
    log.settle()
    assert log.contents() == [b"new\n", b"third\n"]
    log.looker.close()
