"""Which file is read: the rule, one case after the other, and that it never flaps."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.logs.choosing import (
    GONE_S,
    LONGEST_QUIET_S,
    QUIET_S,
    STAY_S,
    Chooser,
    FileStamp,
    Looked,
    rank_in_folder,
    rank_in_glob,
)

SECOND = 1_000_000_000


@dataclass
class Folder:
    """Files that are written, and a chooser that looks at them; the clock moves when a test says so."""

    chooser: Chooser = field(default_factory=lambda: Chooser(rank_in_folder))
    now: float = 1000.0
    files: dict[str, FileStamp] = field(default_factory=dict)
    inode: int = 0
    _seen: dict[str, FileStamp] | None = None

    def write(self, *names: str, size: int = 10, at: float | None = None) -> None:
        for name in names:
            old = self.files.get(name)
            if old is None:
                self.inode += 1
            identity = old.identity if old is not None else (1, self.inode)
            mtime = int((self.now if at is None else at) * SECOND)
            self.files[name] = FileStamp((old.size if old is not None else 0) + size, mtime, identity)

    def remove(self, name: str) -> None:
        del self.files[name]

    def rename(self, name: str, to: str) -> None:
        self.files[to] = self.files.pop(name)

    def look(self, after: float = 0.5) -> str | None:
        self.now += after
        before = self._seen
        changed = {name: one for name, one in self.files.items() if before is None or before.get(name) != one}
        born = {
            name
            for name in changed
            if before is not None and (name not in before or before[name].identity != changed[name].identity)
        }
        gone = tuple(name for name in before or () if name not in self.files)
        self._seen = dict(self.files)
        return self.chooser.look(Looked(changed, frozenset(born), gone), self.now)

    def watch(self, seconds: float, *written: str) -> list[str | None]:
        """Look for some time while these are written to; gives what was pointed to, one after the other."""
        found = [self.look(0.5)]
        until = self.now + seconds
        while self.now < until:
            self.write(*written)
            path = self.look(0.5)
            if path != found[-1]:
                found.append(path)
        return found


@pytest.fixture
def folder() -> Folder:
    return Folder()


def test_at_first_the_file_written_last_then_by_name(folder: Folder) -> None:
    folder.write("/d/b.log", "/d/c.log", at=900)
    folder.write("/d/a.log", at=800)
    assert folder.look() == "/d/c.log"


def test_nothing_is_an_answer(folder: Folder) -> None:
    assert folder.look() is None
    folder.write("/d/a.log")
    assert folder.look() == "/d/a.log"


@pytest.mark.parametrize("name", ["/d/a.log.gz", "/d/.hidden.log", "/d/a.txt.ZST"])
def test_what_is_hidden_or_compressed_is_no_log(folder: Folder, name: str) -> None:
    folder.write(name)
    assert folder.look() is None


@pytest.mark.parametrize("ending", [".log", ".out", ".err", ".txt", ".jsonl", ".LOG"])
def test_in_a_folder_names_like_a_logs_go_first(folder: Folder, ending: str) -> None:
    folder.write("/d/results.json")
    folder.write(f"/d/x{ending}", at=10)
    assert folder.look() == f"/d/x{ending}"


def test_without_such_a_name_any_file_will_do(folder: Folder) -> None:
    folder.write("/d/results")
    assert folder.look() == "/d/results"
    folder.write("/d/x.log", at=10)
    folder.look()
    assert folder.look(STAY_S) == "/d/x.log", "and then it is the older file of the better name"


def test_a_pattern_takes_what_it_matches() -> None:
    assert rank_in_glob("/d/results.json") == rank_in_glob("/d/.hidden") == 2
    assert rank_in_glob("/d/a.log.xz") == 0


def test_a_file_that_is_created_takes_over(folder: Folder) -> None:
    folder.write("/d/one.log")
    folder.watch(10, "/d/one.log")
    folder.write("/d/two.log")
    assert folder.look() == "/d/two.log"
    assert folder.chooser.why == "newer"


def test_an_empty_file_takes_over_with_its_first_byte(folder: Folder) -> None:
    folder.write("/d/two.log", "/d/three.log", size=0)
    folder.write("/d/one.log")
    assert folder.watch(20, "/d/one.log") == ["/d/one.log"]
    folder.write("/d/two.log")
    assert folder.look() == "/d/two.log"
    assert folder.watch(20, "/d/one.log", "/d/two.log") == ["/d/two.log"]
    folder.write("/d/three.log")
    assert folder.look() == "/d/three.log"


def test_a_copy_with_an_old_time_does_not_take_over(folder: Folder) -> None:
    folder.write("/d/one.log")
    folder.watch(3, "/d/one.log")
    folder.write("/d/two.log", at=20)
    assert folder.watch(60, "/d/one.log") == ["/d/one.log"]


def test_two_files_that_are_both_written_do_not_flap(folder: Folder) -> None:
    folder.write("/d/one.log", "/d/two.log")
    assert folder.watch(600, "/d/one.log", "/d/two.log") == ["/d/two.log"]


def test_two_that_are_created_at_once_do_not_flap(folder: Folder) -> None:
    folder.write("/d/zero.log")
    folder.watch(10, "/d/zero.log")
    folder.write("/d/one.log", "/d/two.log")
    assert folder.watch(600, "/d/zero.log", "/d/one.log", "/d/two.log") == ["/d/two.log"]


def test_a_silent_file_gives_way_to_one_that_grows(folder: Folder) -> None:
    folder.write("/d/one.log", at=900)
    folder.write("/d/two.log")
    folder.look()
    folder.watch(3, "/d/one.log", "/d/two.log")
    began = folder.now
    while folder.chooser.current == "/d/two.log":
        folder.write("/d/one.log")
        folder.look()
    assert folder.chooser.current == "/d/one.log"
    assert QUIET_S <= folder.now - began <= QUIET_S + 1
    assert folder.chooser.why == "the one before was silent for 5 s"


def test_a_silent_file_stays_when_the_others_are_silent_too(folder: Folder) -> None:
    folder.write("/d/one.log", at=900)
    folder.write("/d/two.log")
    assert folder.watch(600) == ["/d/two.log"]


def test_a_file_that_grew_before_the_silence_does_not_take_over(folder: Folder) -> None:
    folder.write("/d/one.log", "/d/two.log")
    folder.look()
    folder.write("/d/one.log")
    folder.look()
    folder.write("/d/two.log")
    assert folder.watch(600) == ["/d/two.log"]


def test_files_that_take_turns_are_left_in_peace_more_and_more(folder: Folder) -> None:
    folder.write("/d/one.log", "/d/two.log")
    turns = 0
    last = folder.look()
    for _ in range(200):
        for name in ("/d/one.log", "/d/two.log"):
            for _ in range(16):
                folder.write(name)
                path = folder.look()
                turns += path != last
                last = path
    assert turns == 3, "8 s of silence are enough to leave a file, and to come back to it once"


def test_the_silence_needed_has_an_upper_limit(folder: Folder) -> None:
    folder.write("/d/one.log", "/d/two.log")
    for _ in range(20):
        for name in ("/d/one.log", "/d/two.log"):
            assert folder.watch(2 * LONGEST_QUIET_S, name)[-1] == name


def test_a_file_that_is_gone_is_waited_for_a_moment(folder: Folder) -> None:
    folder.write("/d/one.log", at=900)
    folder.write("/d/two.log")
    folder.look()
    folder.remove("/d/two.log")
    assert folder.look() == "/d/two.log"
    folder.write("/d/two.log")
    assert folder.watch(60) == ["/d/two.log"], "made anew in time"
    folder.remove("/d/two.log")
    assert folder.watch(GONE_S + 1) == ["/d/two.log", "/d/one.log"]
    assert folder.chooser.why == "the one before is gone"


def test_the_only_file_is_waited_for_for_ever(folder: Folder) -> None:
    folder.write("/d/one.log")
    folder.look()
    folder.remove("/d/one.log")
    assert folder.watch(60) == ["/d/one.log"]


def test_another_name_of_the_same_file_does_not_take_over(folder: Folder) -> None:
    folder.write("/d/one.log")
    folder.look()
    folder.rename("/d/one.log", "/d/one-old.log")
    assert folder.watch(60) == ["/d/one.log"]
    folder.write("/d/one.log")
    assert folder.watch(60, "/d/one.log") == ["/d/one.log"]


@pytest.mark.parametrize("ending", [".1", ".12", ".old", ".bak", "~", "-20240501", "-2024-05-01", ".20240501-0300"])
def test_a_rotated_copy_does_not_take_over(ending: str) -> None:
    folder = Folder(Chooser(rank_in_glob))
    folder.write("/d/one.log", f"/d/zwei.log{ending}")
    assert folder.look() == f"/d/zwei.log{ending}", "of a file that is not there it is the only trace"
    folder = Folder(Chooser(rank_in_glob))
    folder.write("/d/one.log")
    folder.look()
    folder.write(f"/d/one.log{ending}")
    assert folder.watch(60, f"/d/one.log{ending}") == ["/d/one.log"]


def test_what_cannot_be_a_log_is_refused_for_good(folder: Folder) -> None:
    folder.write("/d/core", "/d/notes")
    assert folder.look() == "/d/notes"
    assert folder.chooser.refuse("/d/notes", folder.now) == "/d/core"
    folder.write("/d/notes")
    assert folder.watch(600, "/d/notes") == ["/d/core"]
    assert folder.chooser.refuse("/d/core", folder.now) is None


NAMES = ["/d/a.log", "/d/b.log", "/d/c.log", "/d/d", "/d/a.log.1"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.sampled_from(NAMES)),
            st.tuples(st.just("remove"), st.sampled_from(NAMES)),
            st.tuples(st.just("rename"), st.sampled_from(NAMES)),
            st.tuples(st.just("look"), st.sampled_from(["0.5", "3", "30"])),
        ),
        max_size=80,
    )
)
def test_whatever_happens_a_turn_leads_to_another_file_that_is_there(steps: list[tuple[str, str]]) -> None:
    folder = Folder()
    last: str | None = None
    turned = folder.now
    for what, which in steps:
        if what == "write":
            folder.write(which)
        elif what == "remove" and which in folder.files:
            folder.remove(which)
        elif what == "rename" and which in folder.files:
            folder.rename(which, f"{which}-moved")
        elif what == "look":
            path = folder.look(float(which))
            if path != last:
                assert path in folder.files
                assert last is None or folder.now - turned >= min(STAY_S, GONE_S, QUIET_S)
                turned = folder.now
            last = path
    final = folder.look(30)
    assert (final is None) == (not [name for name in folder.files if rank_in_folder(name)]) or last is not None
