from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitors.logs import local_shelf
from monitors.logs.local_files import Files, key_of
from monitors.logs.local_look import PATIENCE, QUIET
from monitors.logs.local_ring import LIMIT
from monitors.logs.marks import Marks
from monitors.logs.types import CAME_AND_WENT, GoneError, MarkKind, Status
from tests.monitors.logs.looks import Log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.looker.close()


def test_a_file_that_is_not_there_is_waited_for(log: Log) -> None:
    log.look()
    assert (log.record.shape.status, log.generations) == (Status.WAITING, ())
    written = log.append()
    log.look()
    assert (log.record.shape.status, log.record.shape.detail) == (Status.LIVE, "")
    assert log.contents() == [written]
    assert log.marks == []


def test_what_is_appended_is_read_in_whatever_pieces(log: Log) -> None:
    written = log.append("half a")
    log.look()
    for more in (b" line\nand", b" one \xe2", b"\x82\xac more", b"\r\n"):
        written += log.append(more)
        log.look()
        assert log.contents() == [written]


def test_the_end_of_a_large_file_is_there_before_the_rest(log: Log) -> None:
    written = log.append(log.lines(100_000, 60))
    log.looker.look()
    live = log.generations[-1]
    assert live.size == len(written)
    assert log.looker.read(0, live.size - 100, 100) == written[-100:]
    assert log.looker.read(0, 1 << 20, 1 << 16) == written[1 << 20 :][: 1 << 16]


def test_renamed_and_made_anew(log: Log) -> None:
    first = log.append()
    log.look()
    log.rotate()
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]
    assert [(mark.kind, mark.missing) for mark in log.marks] == [(MarkKind.ROTATED, 0)]
    assert [one.live for one in log.generations] == [False, True]


def test_an_old_file_is_read_on_until_it_is_quiet_and_the_new_one_holds_something(log: Log) -> None:
    old = log.append()
    log.look()
    log.rotate()
    log.path.touch()
    for _ in range(5):
        old += log.append(path=log.beside(".1"))
        log.look(1.0)
        assert log.contents() == [old]
    new = log.append()
    old += log.append(path=log.beside(".1"))
    log.look()
    old += log.append(path=log.beside(".1"))
    log.settle()
    assert log.contents() == [old, new]


def test_what_comes_late_is_no_gap_and_what_goes_on_after_it_neither(log: Log) -> None:
    old = log.append()
    log.look()
    log.rotate()
    new = log.append()
    log.settle()
    late = log.append(path=log.beside(".1"))
    log.settle()
    again = log.append()
    log.settle()
    assert log.contents() == [old, new, late, again]
    assert all(one.first > 0 for one in log.generations[2:])
    marks = Marks()
    marks.update(log.record.shape, 0.0)
    assert [(mark.kind, mark.missing) for mark in marks.between(None, None)] == [(MarkKind.ROTATED, 0)] * 3


def test_two_who_write_to_both_files_do_not_hold_it_up_for_ever_and_nothing_is_lost(log: Log) -> None:
    old = log.append()
    log.look()
    log.rotate()
    new = log.append()
    start = log.time
    while len(log.generations) == 1:
        old += log.append(path=log.beside(".1"))
        log.look(0.1)
        assert log.time < start + 2 * PATIENCE
    late = log.append(path=log.beside(".1"))
    new_rest = log.append()
    log.settle()
    again = log.append()
    log.settle()
    assert log.contents() == [old, new + new_rest, late, again]
    assert log.kinds == [MarkKind.ROTATED] * 3


def test_late_bytes_wait_for_the_end_of_a_line(log: Log) -> None:
    old = log.append()
    log.look()
    log.rotate()
    new = log.append()
    log.settle()
    new += log.append("half")
    late = log.append(path=log.beside(".1"))
    log.settle()
    assert log.contents() == [old, new]
    new += log.append(" a line\n")
    for _ in range(10):
        log.settle()
    assert log.contents()[:3] == [old, new, late]


def test_what_a_file_split_by_late_bytes_held_outlives_its_truncation(log: Log) -> None:
    old = log.append()
    log.look()
    log.rotate()
    new = log.append()
    log.settle()
    late = log.append(path=log.beside(".1"))
    log.settle()
    more = log.append()
    log.look()
    os.truncate(log.path, 0)
    last = log.append()
    log.settle()
    assert log.everything() == old + new + late + more + last


@pytest.mark.parametrize("rotations", [2, 5])
def test_files_that_came_and_went_between_two_looks_are_found(log: Log, rotations: int) -> None:
    log.rotate()
    log.append("something older than all that follows\n", log.beside(".1"))
    written = [log.append()]
    log.look()
    for _ in range(rotations):
        log.rotate()
        written.append(log.append())
    log.look()
    assert log.contents() == written[:rotations]  # the newest one waits until the one before it is quiet
    log.settle()
    assert log.contents() == written
    assert {mark.missing for mark in log.marks} == {0}


def test_files_that_came_and_went_within_a_tick_of_the_clock_are_in_order(log: Log) -> None:
    log.append("older\n", log.beside(".1"))
    written = [log.append()]
    log.look()
    for _ in range(3):
        log.rotate()
        written.append(log.append())
    for path in log.folder.iterdir():
        os.utime(path, ns=(5, 5))
    log.settle()
    assert log.contents() == written


@pytest.mark.parametrize("late", [False, True])
def test_files_whose_numbers_rise_with_time_are_found_within_a_tick_of_the_clock(log: Log, late: bool) -> None:
    log.append("older\n", log.beside(".0"))
    written = [log.append()]
    log.look()
    for number in (1, 2, 3):
        log.path.rename(log.beside(f".{number}"))
        if late:
            written[-1] += log.append(path=log.beside(f".{number}"))
        written.append(log.append())
    tick = log.path.stat().st_mtime_ns
    for number in (1, 2, 3):
        os.utime(log.beside(f".{number}"), ns=(tick, tick))
    log.settle()
    assert log.contents() == written
    assert {mark.missing for mark in log.marks} == {0}


def test_files_whose_numbers_rise_are_found_although_the_one_before_was_written_to_last(log: Log) -> None:
    log.append("older\n", log.beside(".0"))
    written = [log.append()]
    log.look()
    for number in (1, 2, 3):
        log.path.rename(log.beside(f".{number}"))
        written.append(log.append())
    written[0] += log.append(path=log.beside(".1"))
    late = log.path.stat().st_mtime_ns + 1_000_000
    for number, when in ((1, late), (2, late - 1), (3, late - 1)):
        os.utime(log.beside(f".{number}"), ns=(when, when))
    log.settle()
    assert log.contents() == written
    assert {mark.missing for mark in log.marks} == {0}


def test_an_older_file_that_is_unpacked_beside_it_did_not_come_between(log: Log) -> None:
    log.append("packed\n", log.beside(".7.gz"))
    os.utime(log.beside(".7.gz"), ns=(5, 5))
    first = log.append()
    log.look()
    log.rotate()
    log.append("unpacked\n", log.beside(".7"))
    os.utime(log.beside(".7"), ns=(5, 5))
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]


def test_a_file_that_came_and_went_while_nothing_was_there_is_found(log: Log) -> None:
    written = [log.append()]
    log.look()
    log.rotate()
    written.append(log.append())
    log.rotate()
    log.look()  # the first is at .2, the second at .1, and nothing is at the path
    written.append(log.append())
    log.rotate(copies=2)
    written.append(log.append())
    log.settle()
    assert log.contents() == written
    assert {mark.missing for mark in log.marks} == {0}


def test_a_rotated_file_that_is_missing_from_its_place_is_told_of(log: Log) -> None:
    first = log.append()
    log.look()
    log.path.rename(log.beside(".2"))
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]
    assert (MarkKind.LOST, None) in [(mark.kind, mark.missing) for mark in log.marks]


@pytest.mark.parametrize("writes_on", [True, False])
def test_a_file_beside_it_that_was_there_before_is_not_taken_for_what_came_between(log: Log, writes_on: bool) -> None:
    first = log.append()
    os.utime(log.path, ns=(5, 5))
    log.append("rank 1\n", log.beside(".1"))
    log.look()
    if writes_on:
        log.append("rank 1\n", log.beside(".1"))
    log.path.rename(log.beside(".old"))
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]


def test_an_older_file_that_was_written_to_late_is_not_taken_for_a_newer_one(log: Log) -> None:
    first = log.append()
    os.utime(log.path, ns=(5, 5))
    log.append("older, and written to last\n", log.beside(".1"))
    log.look()
    log.rotate()
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]


def test_a_file_that_waits_for_its_turn_and_is_written_over_loses_nothing(log: Log) -> None:
    old = log.append()
    log.look()
    log.rotate()
    written = b""
    for _ in range(3):
        old += log.append(path=log.beside(".1"))
        written += log.append()
        log.look(0.05)
        os.truncate(log.path, 0)
    for _ in range(3):
        log.settle()
    assert sorted(log.everything().splitlines()) == sorted((old + written).splitlines())


def test_a_copy_that_is_being_made_is_not_shown_beside_what_it_is_made_of(log: Log) -> None:
    old = log.append()
    log.look()
    log.rotate()
    new = log.append(log.lines(200))
    log.beside(".1").rename(log.beside(".2"))
    shutil.copyfile(log.path, log.beside(".1"))
    log.settle()
    os.truncate(log.path, 0)
    last = log.append()
    log.settle()
    assert log.contents() == [old, new, last]


def test_files_with_dates_that_came_and_went_are_found(log: Log) -> None:
    log.append("older\n", log.beside("-20240101"))
    written = [log.append()]
    log.look()
    for day in (2, 3, 4):
        log.path.rename(log.beside(f"-2024010{day}"))
        written.append(log.append())
        os.utime(log.path, ns=(0, log.beside(f"-2024010{day}").stat().st_mtime_ns + day))
    log.settle()
    assert log.contents() == written


@pytest.mark.parametrize("form", ["-2024010{}", ".2024-01-0{}_10-00-00"])
def test_a_late_write_to_a_file_with_a_date_hides_none_that_came_and_went_behind_it(log: Log, form: str) -> None:
    log.append("older\n", log.beside(form.format(1)))
    first = log.append()
    log.look()
    log.path.rename(log.beside(form.format(2)))
    second = log.append()
    os.utime(log.path, ns=(5, 5))
    log.path.rename(log.beside(form.format(3)))
    third = log.append()
    late = log.append(path=log.beside(form.format(2)))
    log.settle()
    assert log.contents() == [first + late, second, third]


def test_files_beside_it_that_are_no_rotated_logs_are_left_alone(log: Log) -> None:
    first = log.append()
    log.append("rank 1\n", log.beside(".1"))
    log.look()
    log.append("more of rank 1\n", log.beside(".1"))
    log.append("an error\n", log.beside(".err"))
    log.path.unlink()
    second = log.append()
    log.append("more of rank 1\n", log.beside(".1"))
    log.settle()
    assert log.contents() == [first, second]


def test_files_that_came_and_went_for_good_are_told_of(log: Log) -> None:
    first = log.append()
    log.look()
    for _ in range(4):
        log.rotate(copies=2)
        last = log.append()
    log.settle()
    assert log.contents()[0] == first
    assert log.contents()[-1] == last
    assert (MarkKind.LOST, None) in [(mark.kind, mark.missing) for mark in log.marks]


def test_compressed_between_two_looks_is_told_of(log: Log) -> None:
    log.append()
    log.look()
    log.rotate()
    log.append()
    log.rotate()
    log.beside(".1").unlink()
    log.append("not plain", log.beside(".1.gz"))
    last = log.append()
    log.settle()
    assert log.contents()[-1] == last
    assert (MarkKind.LOST, None) in [(mark.kind, mark.missing) for mark in log.marks]


def test_copied_and_truncated(log: Log) -> None:
    first = log.append()
    log.look()
    first += log.append()
    log.copytruncate()
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]
    assert [(mark.kind, mark.missing) for mark in log.marks] == [(MarkKind.TRUNCATED, 0)]


def test_copied_and_truncated_several_times_between_two_looks(log: Log) -> None:
    written = [log.append()]
    log.look()
    written[0] += log.append()
    for _ in range(3):
        for number in (3, 2, 1):
            if log.beside(f".{number}").exists():
                log.beside(f".{number}").rename(log.beside(f".{number + 1}"))
        log.copytruncate()
        written.append(log.append())
    for _ in range(4):
        log.settle()
    assert log.contents() == written


def test_copied_and_truncated_and_grown_beyond_what_was_seen(log: Log) -> None:
    first = log.append(log.lines(3))
    log.look()
    log.copytruncate()
    second = log.append(log.lines(3))
    assert len(first) == len(second)
    log.look()
    assert log.contents() == [first, second]


def test_a_copy_that_misses_the_end_is_completed_from_memory(log: Log) -> None:
    first = log.append(log.lines(100))
    log.look()
    shutil.copyfile(log.path, log.beside(".1"))
    first += log.append(log.lines(10))
    log.look()
    os.truncate(log.path, 0)
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]


def test_an_old_file_that_begins_with_the_same_words_is_no_copy(log: Log) -> None:
    log.append("=== log ===\nlong ago\n", log.beside(".1"))
    os.utime(log.beside(".1"), (1, 1))
    log.append("=== log ===\n")
    log.look()
    os.truncate(log.path, 0)
    log.look()
    assert log.contents() == [b"=== log ===\n", b""]


def test_what_was_written_over_since_the_last_look_is_not_handed_out(log: Log) -> None:
    log.append(log.lines(100_000, 90))
    log.settle()
    with log.path.open("r+b") as file:
        file.write(log.lines(100_000, 90))
    with pytest.raises(GoneError):
        log.looker.read(0, 0, 100)
    assert len(log.generations) == 2


def test_what_is_left_of_a_shortened_file_outlives_the_truncation_of_the_next(log: Log) -> None:
    first = log.append(log.lines(100))
    log.look()
    os.truncate(log.path, len(first) - 500)
    log.look()
    log.path.unlink()
    second = log.append(log.lines(100))
    log.settle()
    os.truncate(log.path, 0)
    log.settle()
    assert log.everything() == first + second


def test_truncated_without_a_copy_what_was_seen_stays(log: Log) -> None:
    first = log.append(log.lines(1000))
    log.look()
    os.truncate(log.path, 0)
    log.look()
    assert log.contents() == [first, b""]
    second = log.append()
    log.look()
    assert log.contents() == [first, second]
    assert [(mark.kind, mark.missing) for mark in log.marks] == [(MarkKind.TRUNCATED, None)]


def test_of_a_large_file_that_is_truncated_the_end_stays_and_the_rest_is_counted(log: Log) -> None:
    first = log.append(log.lines(100_000, 70))
    log.settle()
    os.truncate(log.path, 0)
    log.look()
    dead = log.generations[0]
    assert LIMIT <= dead.size - dead.first < 2 * LIMIT
    assert log.contents()[0] == first[dead.first :]
    lost = next(mark for mark in log.marks if mark.kind is MarkKind.LOST)
    assert (lost.at.offset, lost.missing) == (dead.first, dead.first)
    with pytest.raises(GoneError):
        log.looker.read(0, 0, 10)


def test_truncated_to_what_is_not_zero_shows_no_line_twice(log: Log) -> None:
    first = log.append(log.lines(100))
    log.look()
    half = len(first) // 2
    os.truncate(log.path, half)
    log.look()
    second = log.append()
    log.look()
    lines = log.everything().splitlines(keepends=True)
    assert sorted(set(lines)) == sorted(lines)
    assert b"".join(lines) == first + second
    # and once more, below that
    os.truncate(log.path, half // 2)
    third = log.append()
    log.settle()
    assert log.everything().splitlines(keepends=True).count(third) == 1
    assert set(first.splitlines()) <= set(log.everything().splitlines())


def test_truncated_and_appended_to_between_two_looks(log: Log) -> None:
    first = log.append(log.lines(1000))
    log.look()
    os.truncate(log.path, 9 * 900)
    second = log.append()
    log.look()
    assert log.everything() == first + second


def test_a_file_that_is_cut_down_to_its_last_lines_shows_none_of_them_twice(log: Log) -> None:
    first = log.append(log.lines(200))
    log.look()
    log.path.write_bytes(first[-900:])
    log.look()
    second = log.append()
    log.look()
    assert log.everything() == first + second


def test_a_file_that_is_replaced_by_its_last_lines_shows_none_of_them_twice(log: Log) -> None:
    first = log.append(log.lines(200))
    log.look()
    log.beside(".tmp").write_bytes(first[-900:])
    log.beside(".tmp").rename(log.path)
    log.settle()
    second = log.append()
    log.look()
    assert log.everything() == first + second


def test_a_file_that_is_replaced_by_its_copy_goes_on(log: Log) -> None:
    first = log.append(log.lines(200))
    log.look()
    shutil.copyfile(log.path, log.beside(".tmp"))
    log.beside(".tmp").rename(log.path)
    first += log.append()
    log.settle()
    first += log.append()
    log.look()
    assert log.contents() == [first]
    assert log.marks == []


def test_files_that_begin_with_the_same_words_are_two_files(log: Log) -> None:
    log.append("=== log ===\n")
    log.look()
    log.path.unlink()
    log.append("=== log ===\nmore\n")
    log.settle()
    assert log.contents() == [b"=== log ===\n", b"=== log ===\nmore\n"]


def test_contents_that_begin_with_the_same_words_are_two_contents(log: Log) -> None:
    first = log.append("=== log ===\n") + log.append(log.lines(50))
    log.look()
    second = b"=== log ===\n" + log.lines(3)
    log.path.write_bytes(second)
    log.look()
    assert log.contents() == [first, second]


def test_written_over_with_as_many_bytes(log: Log) -> None:
    first = log.append(log.lines(10))
    log.look()
    second = log.lines(10)
    with log.path.open("r+b") as file:
        file.write(second)
    log.look()
    assert log.contents() == [first, second]


def test_written_over_within_a_tick_of_the_clock(log: Log) -> None:
    first = log.append(log.lines(10))
    os.utime(log.path, ns=(1, 1))
    log.look()
    second = log.lines(10)
    with log.path.open("r+b") as file:
        file.write(second)
    os.utime(log.path, ns=(1, 1))
    log.look()
    assert log.contents() == [first, second]


def test_a_file_whose_end_is_written_over_again_and_again_stays_whole(log: Log) -> None:
    """As a list in JSON, whose closing bracket moves."""
    body = log.lines(500)
    log.append(body + b"]\n")
    log.look()
    for _ in range(20):
        body += log.lines()
        with log.path.open("r+b") as file:
            file.seek(-2, os.SEEK_END)
            file.write(body[-10:] + b"]\n")
        log.look()
        assert len(log.generations) <= 5
        lines = log.everything().splitlines(keepends=True)
        assert [line for line in lines if line != b"]\n"] == body.splitlines(keepends=True)


def test_a_file_that_was_deleted_is_told_to_have_been(log: Log) -> None:
    first = log.append()
    log.look()
    log.path.unlink()
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]
    assert [mark.text for mark in log.marks] == ["rotated: the file before was deleted, another took the place"]


def test_deleted_while_somebody_writes_on(log: Log) -> None:
    written = log.append()
    log.look()
    with log.path.open("ab", 0) as writer:
        log.path.unlink()
        for _ in range(3):
            more = log.lines()
            writer.write(more)
            written += more
            log.look()
            assert log.contents() == [written]
        assert log.record.shape.status is Status.LIVE
        assert "deleted" in log.record.shape.detail
        new = log.append()
        log.settle()
    assert log.contents() == [written, new]
    assert log.record.shape.detail == ""


def test_an_inode_that_is_used_again_is_no_old_acquaintance(log: Log) -> None:
    written = []
    for _ in range(10):
        written.append(log.append())
        log.settle()
        log.path.unlink()
    log.settle()
    assert log.contents() == written


def test_a_link_that_is_pointed_elsewhere(log: Log, tmp_path: Path) -> None:
    first = log.append(path=tmp_path / "one")
    second = log.append(path=tmp_path / "two")
    log.path.symlink_to("one")
    log.look()
    (tmp_path / "link").symlink_to("two")
    (tmp_path / "link").rename(log.path)
    log.settle()
    assert log.contents() == [first, second]


def test_a_link_that_is_pointed_back_shows_no_line_twice(log: Log, tmp_path: Path) -> None:
    one, two = tmp_path / "run1", tmp_path / "run2"
    first = log.append(path=one)
    log.path.symlink_to(one)
    log.look()

    def point(target: Path) -> None:
        log.path.unlink()
        log.path.symlink_to(target)
        log.settle()

    second = log.append(path=two)
    point(two)
    late = log.append(path=one)
    log.settle()
    shown = b"".join(log.contents())
    assert sorted(shown.split(b"\n")) == sorted((first + second + late).split(b"\n"))
    third = log.append(path=one)
    point(one)
    log.settle()
    fourth = log.append(path=one)
    log.settle()
    fifth = log.append(path=two)
    point(two)
    assert b"".join(log.contents()) == shown + third + fourth + fifth
    marks = Marks()
    marks.update(log.record.shape, 0.0)
    assert {mark.kind for mark in marks.between(None, None)} == {MarkKind.ROTATED}
    two.unlink()
    point(one)
    os.truncate(one, 0)
    sixth = log.append(path=one)
    log.settle()
    assert b"".join(log.contents()) == shown + third + fourth + fifth + sixth


def test_what_a_link_points_to_may_be_rotated_itself(log: Log, tmp_path: Path) -> None:
    real = tmp_path / "real.log"
    log.path.symlink_to("real.log")
    written = [log.append(path=real)]
    log.look()
    for number in (1, 2):
        if number == 2:
            (tmp_path / "real.log.1").rename(tmp_path / "real.log.2")
        real.rename(tmp_path / "real.log.1")
        written.append(log.append(path=real))
    log.settle()
    assert log.contents() == written


def test_a_hole_at_the_beginning_is_left_out(log: Log) -> None:
    """A writer without O_APPEND goes on where it was after its file was truncated."""
    first = log.append(log.lines(1000))
    log.look()
    handle = os.open(log.path, os.O_WRONLY)
    os.lseek(handle, 0, os.SEEK_END)
    os.truncate(log.path, 0)
    second = log.lines()
    os.write(handle, second)
    log.look()
    assert log.contents() == [first, second]
    os.truncate(log.path, 0)
    log.look()
    third = log.lines(3)
    os.write(handle, third)
    os.close(handle)
    log.look()
    assert log.contents() == [first, second, third]
    assert {mark.missing for mark in log.marks if mark.kind is MarkKind.LOST} == {0}


def test_a_hole_that_is_filled_later_holds_no_text_of_ours(log: Log) -> None:
    log.append("x")
    log.look()
    os.truncate(log.path, 1 << 30)
    log.look()
    assert log.generations[-1].size == 1 << 30
    assert log.looker.read(0, 1 << 29, 4) == b"\0\0\0\0"


def test_a_folder_and_a_device_say_what_they_are(log: Log) -> None:
    log.path.mkdir()
    log.look()
    assert (log.record.shape.status, log.record.shape.detail) == (Status.FAILED, "it is a folder, not a file")
    log.path.rmdir()
    log.path.symlink_to("/dev/null")
    log.look()
    assert log.record.shape.detail == "it is a device, not a file"
    log.path.unlink()
    os.mkfifo(log.path)
    log.look()
    assert log.record.shape.detail == "it is a FIFO, not a file"
    log.path.unlink()
    written = log.append()
    log.look()
    assert log.contents() == [written]
    assert log.record.shape.status is Status.LIVE


def test_a_folder_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = Log(folder)
    first = log.append()
    log.look()
    shutil.rmtree(folder)
    log.look()
    assert log.record.shape.status is Status.LIVE
    folder.write_text("a file where there was a folder")
    log.look()
    folder.unlink()
    folder.mkdir()
    second = log.append()
    log.settle()
    assert log.contents() == [first, second]
    log.looker.close()


def test_generations_that_are_not_kept_are_counted_and_their_descriptors_closed(tmp_path: Path) -> None:
    log = Log(tmp_path, kept=3)
    written = [log.append()]
    log.look()
    for _ in range(10):
        log.rotate(copies=50)
        written.append(log.append())
        log.settle()
    for _ in range(8):
        log.look(5)
    assert log.contents() == written[-3:]
    lost = log.marks[0]
    assert (lost.kind, lost.missing) == (MarkKind.LOST, sum(map(len, written[:-3])))
    with pytest.raises(GoneError):
        log.looker.read(2, 0, 1)
    held = [name for name in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(name)]
    assert len(held) == 3
    log.looker.close()


def test_contents_in_memory_are_few(log: Log) -> None:
    written = []
    for _ in range(local_shelf.IN_MEMORY + 3):
        written.append(log.append())
        log.look()
        os.truncate(log.path, 0)
        log.look()
    assert log.contents() == [*written[-local_shelf.IN_MEMORY :], b""]
    assert log.marks[0].missing == sum(map(len, written[: -local_shelf.IN_MEMORY]))


def test_deleted_files_do_not_take_the_disk_for_ever(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_shelf, "HELD", 5000)
    written = []
    for _ in range(8):
        written.append(log.append(log.lines(200)))
        log.settle()
        log.path.unlink()
    log.append()
    for _ in range(4):
        log.settle()
    assert 2 <= len(log.generations) < 6
    assert log.contents()[-2] == written[-1]


def test_rotated_files_that_are_not_deleted_cost_no_room(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_shelf, "HELD", 5000)
    written = []
    for _ in range(8):
        written.append(log.append(log.lines(200)))
        log.settle()
        log.rotate()
    log.settle()
    assert log.contents() == written


def test_nothing_changes_and_nothing_is_read(log: Log) -> None:
    log.append(log.lines(10))
    log.settle()
    before = log.looker.checks
    shape = log.record.shape
    for _ in range(100):
        log.look()
    assert log.looker.checks == before
    assert log.record.shape is shape


def gone(log: Log) -> list[int | None]:
    return [mark.missing for mark in log.marks if mark.kind is MarkKind.LOST]


@pytest.mark.parametrize("lines", [100, 20_000])
def test_a_copy_that_the_next_copy_is_written_over_does_not_stand_for_the_first(log: Log, lines: int) -> None:
    first = log.append(log.lines(1000, 90))
    log.look()
    log.copytruncate()
    second = log.append(log.lines(lines, 90))
    log.look()
    assert log.contents() == [first, second]
    log.copytruncate()
    third = log.append()
    log.look()
    assert log.contents() == [b"", second, third]
    assert gone(log) == [len(first)]


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("with_what", [b"", b"other\n" * 1000])
def test_a_rotated_file_that_is_written_over_is_gone(log: Log, with_what: bytes, asked: bool) -> None:
    first = log.append(log.lines(100, 90))
    log.look()
    log.rotate()
    second = log.append()
    log.settle()
    log.beside(".1").write_bytes(with_what)
    if asked:
        with pytest.raises(GoneError):
            log.looker.read(0, 0, len(first))
    log.look(30.0)
    assert log.contents() == [b"", second]
    assert gone(log) == [len(first)]
    assert len(log.marks) == 2


def test_of_what_is_split_between_a_file_and_memory_the_memory_outlives_the_file(log: Log) -> None:
    first = log.append(log.lines(100, 90))
    log.look()
    copied = len(first)
    shutil.copyfile(log.path, log.beside(".1"))
    rest = log.append()
    log.look()
    os.truncate(log.path, 0)
    second = log.append()
    log.look()
    assert log.contents() == [first + rest, second]
    log.beside(".1").write_bytes(b"other\n")
    log.look(30.0)
    assert log.contents() == [rest, second]
    assert gone(log) == [copied]


def test_a_link_that_is_pointed_back_to_a_file_that_was_written_over_shows_all_of_it(log: Log, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    log.append(log.lines(10), path=one)
    log.path.symlink_to(one)
    log.look()
    second = log.append(path=other)
    for target in (other, one):
        if target is one:
            one.write_bytes(log.lines(20))
        log.path.unlink()
        log.path.symlink_to(target)
        log.settle()
    assert log.contents() == [b"", second, one.read_bytes()]


def test_a_file_that_was_moved_again_and_written_to_late_is_what_it_was(log: Log) -> None:
    first = log.append()
    log.look()
    log.rotate()
    second = log.append()
    log.settle()
    late = log.append(path=log.beside(".1"))
    log.settle()
    log.rotate()
    third = log.append()
    log.settle()
    os.utime(log.beside(".2"))
    log.look(30.0)
    assert b"".join(log.contents()) == first + second + late + third
    assert MarkKind.LOST not in log.kinds


def test_what_came_while_nothing_told_where_one_was_is_said_to_be_unknown(log: Log) -> None:
    log.append()
    log.look()
    log.copytruncate()
    log.look()
    log.path.unlink()
    log.append()
    log.settle()
    assert CAME_AND_WENT in [mark.text for mark in log.marks]


class Forgetful(Files):
    """Files of a server that forgets one of them."""

    forgotten: tuple[int, int] | None = None

    def fstat(self, handle: int) -> os.stat_result:
        status = super().fstat(handle)
        if key_of(status) == self.forgotten:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return status


def test_a_short_file_that_a_server_has_forgotten_is_not_taken_for_another_that_begins_alike(tmp_path: Path) -> None:
    files = Forgetful()
    log = Log(tmp_path, files=files)
    log.append("=== log ===\n")
    log.look()
    files.forgotten = key_of(log.path.stat())
    log.path.rename(tmp_path / "elsewhere")
    log.append("=== log ===\nmore\n")
    log.settle()
    assert log.contents() == [b"=== log ===\n", b"=== log ===\nmore\n"]
    assert MarkKind.REPLACED in log.kinds
    held = [name for name in Path("/proc/self/fd").iterdir() if str(log.path) == os.path.realpath(name)]
    assert len(held) == 1
    log.looker.close()


class Hurried(Files):
    """Files of which one is written to just before it is turned away from."""

    late: tuple[Path, bytes] | None = None
    asked = 0

    def fstat(self, handle: int) -> os.stat_result:
        if self.late is not None and key_of(os.fstat(handle)) == key_of(self.late[0].stat()):
            self.asked += 1
            if self.asked == 2:
                with self.late[0].open("ab") as file:
                    file.write(self.late[1])
        return super().fstat(handle)


def test_a_file_that_grows_just_when_it_is_turned_away_from_is_read_on(tmp_path: Path) -> None:
    files = Hurried()
    log = Log(tmp_path, files=files)
    old = log.append()
    log.look()
    log.rotate()
    new = log.append()
    log.look()
    late = log.lines()
    files.late = log.beside(".1"), late
    log.look(QUIET + 0.01)
    assert files.asked >= 2
    files.late = None
    late += log.append(path=log.beside(".1"))
    log.settle()
    assert log.contents() == [old + late, new]
    log.looker.close()


def test_a_past_file_that_is_written_to_for_ever_is_come_back_to_less_and_less_often(tmp_path: Path) -> None:
    log = Log(tmp_path, kept=1000)
    old = log.append()
    log.look()
    log.rotate()
    new = log.append()
    log.settle()
    late = b""
    for _ in range(1800):
        late += log.append(path=log.beside(".1"))
        log.look(1.0)
    assert len(log.generations) <= 2 + 2 * 5
    for _ in range(2):
        log.look(1000.0)
    assert sorted(log.everything().splitlines()) == sorted((old + new + late).splitlines())
    log.looker.close()


@pytest.mark.parametrize("head", [b"start of run 1\n", b""])
def test_what_came_between_may_repeat_what_was_seen(log: Log, head: bytes) -> None:
    repeated = b"waiting for data\n"
    first = log.append(head + repeated * 60)
    log.look()
    log.rotate()
    between = log.append(repeated * 40 + b"error: lost\n")
    log.rotate()
    last = log.append("start of run 3\n")
    log.settle()
    assert log.contents() == [first, between, last]


@pytest.mark.parametrize("emptied", [False, True])
def test_two_who_begin_with_the_same_word_after_an_empty_file_was_moved_are_two(log: Log, emptied: bool) -> None:
    log.append("x\n" if emptied else "")
    log.look()
    os.truncate(log.path, 0)
    log.look()
    log.rotate()
    log.append("start\n")
    log.append("start\n", log.beside(".1"))
    log.look()
    log.append("OLD ERROR\n", log.beside(".1"))
    log.append("new\n")
    log.settle()
    assert log.contents()[-2:] == [b"start\nOLD ERROR\n", b"start\nnew\n"]


class Counted(Files):
    """Files that count what is read of them."""

    reads = 0

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        self.reads += 1
        return super().pread(handle, size, offset)


@pytest.mark.parametrize("replaced", [False, True])
def test_what_repeats_itself_is_not_compared_without_end(tmp_path: Path, replaced: bool) -> None:
    files = Counted()
    log = Log(tmp_path, files=files)
    log.append(b"start 1\n" + b"." * 200_000 + b"end 1\n")
    log.look()
    second = b"." * 200_000 + b"end 2\n"
    if replaced:
        log.path.unlink()
        log.append(second)
    else:
        log.rotate()
        log.append(second)
        log.rotate()
        log.append(b"new\n")
    before = files.reads
    log.look()
    assert files.reads < before + 200
    log.looker.close()
