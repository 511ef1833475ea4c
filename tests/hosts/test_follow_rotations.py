from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.host import Data, Gap, Position, Rotated
from hosts.local import following, rotation
from hosts.local.following import OVERLAP, Follower, Item
from hosts.local.openfile import OpenFile, look

STEPS = st.lists(st.sampled_from(["append", "rotate", "rotate", "look", "resume"]), max_size=25)


class RotatedLog:
    """A log that is rotated in one way, with all that was ever written to it."""

    def __init__(self, folder: Path, way: str) -> None:
        self.path = folder / "run.log"
        self.way = way
        self.written = b""
        self.clock = itertools.count(1_000)
        self.lines = itertools.count()
        self.rotations = 0
        self.append()

    def append(self) -> None:
        line = b"line %06d, and enough beside it for a file to be known by this line alone\n" % next(self.lines)
        with self.path.open("ab") as file:
            file.write(line)
        self.written += line
        self.stamp(self.path)

    def stamp(self, path: Path) -> None:
        now = next(self.clock) * 1_000_000_000
        os.utime(path, ns=(now, now))

    def rotate(self) -> None:
        """Move what is there, and begin anew: a file that nobody wrote to could not be told from one by its bytes."""
        names = {
            "numbered": ".1",
            "copied": ".1",
            "rising": f".{self.rotations}",
            "dated": f"-2024{self.rotations:04d}",
        }
        target = Path(f"{self.path}{names[self.way]}")
        if target.exists():
            for number in range(self.rotations, 0, -1):
                os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        if self.way == "copied":
            shutil.copyfile(self.path, target)
            self.stamp(target)
            os.truncate(self.path, 0)
        else:
            os.rename(self.path, target)
        self.rotations += 1
        self.append()


@settings(max_examples=150, deadline=None)
@given(
    way=st.sampled_from(["numbered", "copied", "rising", "dated"]), block=st.sampled_from([50, 1 << 20]), steps=STEPS
)
def test_however_often_it_is_rotated_between_two_looks_each_line_comes_once(
    way: str, block: int, steps: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        log = RotatedLog(Path(folder), way)
        file = stack.enter_context(contextlib.closing(OpenFile(str(log.path))))
        follower = Follower(str(log.path), Position())
        got = b""

        def see() -> None:
            nonlocal got
            while items := look(follower, file, block):
                for item in items:
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
                file = stack.enter_context(contextlib.closing(OpenFile(str(log.path))))
                follower = Follower(str(log.path), follower.position, got[-OVERLAP:])
        see()
        assert got == log.written


@pytest.mark.parametrize("gone", [False, True])
def test_a_number_that_is_free_is_a_file_that_lacks_only_where_it_stays_free(tmp_path: Path, gone: bool) -> None:
    log = RotatedLog(tmp_path, "numbered")
    items: list[Item] = []
    with contextlib.closing(OpenFile(str(log.path))) as file:
        follower = Follower(str(log.path), Position())

        def see() -> None:
            while seen := look(follower, file, 1 << 20):
                items.extend(seen)

        see()
        log.rotate()
        os.rename(f"{log.path}.1", f"{log.path}.2")
        see()
        assert not any(isinstance(item, Rotated) for item in items)
        if not gone:
            os.rename(log.path, f"{log.path}.1")
            log.append()
        time.sleep(0.25)
        see()
    assert b"".join(item.data for item in items if isinstance(item, Data)) == log.written
    assert [item.whole for item in items if isinstance(item, Rotated)] == ([False] if gone else [True, True])


class Seen:
    """What a follower gives of a log, look after look."""

    def __init__(self, path: Path) -> None:
        self.file = OpenFile(str(path))
        self.follower = Follower(str(path), Position())
        self.items: list[Item] = []

    def look(self) -> None:
        while found := look(self.follower, self.file, 1 << 20):
            self.items.extend(found)

    @property
    def whole(self) -> list[bool]:
        return [item.whole for item in self.items if isinstance(item, Rotated)]


def test_each_rotation_has_a_moment_of_its_own_in_which_a_number_is_free(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path, "numbered")
    seen = Seen(log.path)
    with contextlib.closing(seen.file):
        seen.look()
        log.rotate()
        os.rename(f"{log.path}.1", f"{log.path}.2")
        seen.look()
        os.rename(log.path, f"{log.path}.1")
        log.append()
        time.sleep(0.25)  # in which no number is free, and nobody looks
        os.rename(f"{log.path}.2", f"{log.path}.3")
        seen.look()
        os.rename(f"{log.path}.1", f"{log.path}.2")
        os.rename(log.path, f"{log.path}.1")
        log.append()
        seen.look()
    assert seen.whole == [True, True, True]
    assert b"".join(item.data for item in seen.items if isinstance(item, Data)) == log.written


def test_a_log_that_is_rotated_all_the_time_waits_for_a_number_that_is_free_no_longer_than_that(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path, "numbered")
    seen = Seen(log.path)
    with contextlib.closing(seen.file):
        seen.look()
        log.rotate()
        log.rotate()
        os.unlink(f"{log.path}.1")  # for good
        for number in range(2, 30):
            seen.look()
            if seen.whole:
                break
            os.rename(f"{log.path}.{number}", f"{log.path}.{number + 1}")
    assert number < 15
    assert seen.whole == [False]


def test_a_number_that_was_free_before_a_gap_is_no_reason_for_another(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path, "numbered")
    seen = Seen(log.path)
    with contextlib.closing(seen.file):
        seen.look()
        log.rotate()
        os.rename(f"{log.path}.1", f"{log.path}.2")
        seen.look()
        os.truncate(f"{log.path}.2", 0)
        seen.look()
        assert any(isinstance(item, Gap) for item in seen.items)
        seen.items.clear()
        os.unlink(f"{log.path}.2")
        time.sleep(0.25)
        log.rotate()
        os.rename(f"{log.path}.1", f"{log.path}.2")
        seen.look()
        assert seen.whole == []
        os.rename(log.path, f"{log.path}.1")
        log.append()
        seen.look()
    assert seen.whole == [True, True]


def test_little_is_kept_of_files_that_were_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PASSED", 5)
    log = RotatedLog(tmp_path, "numbered")
    seen = Seen(log.path)
    with contextlib.closing(seen.file):
        for _ in range(20):
            seen.look()
            log.rotate()
        seen.look()
        assert len(seen.follower._passed) == 5
    assert b"".join(item.data for item in seen.items if isinstance(item, Data)) == log.written
    assert seen.whole == [True] * 20


def test_numbers_that_are_free_are_told_with_that_of_the_file_before_them() -> None:
    def free(number: int) -> rotation.Numbers:
        old = rotation.sibling("/x/log", f"log.{number}", (0, 1), 9, 5)
        other = rotation.sibling("/x/log", "log.1", (0, 2), 9, 6)
        assert old is not None
        assert other is not None
        return rotation.after([old, other], old, 5, (0, 3), ())[2]

    assert [free(2), free(3), free(4)] == [(), (3, 2), (4, 2, 3)]
