from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hosts.host import Cursor, Observation, ProcsWant, TailWant, TreeSeen, TreeWant, Wants
from hosts.local import observe, procs, trees
from hosts.local.observe import Observer, read_range
from tests.peers.forbidden import as_anybody

pytestmark = pytest.mark.travels


def look(root: Path, *globs: str, since: Cursor | None = None, by: Observer | None = None, limit: int = 1 << 20) -> Any:
    want = Wants(trees=(TreeWant(str(root), globs or ("*",), limit),))
    return (by or Observer()).observe(want, since, "here")


def files(seen: Observation) -> dict[str, bytes | None]:
    return {path: file.data for path, file in seen.trees[0].files.items()}


def make(root: Path, **content: str) -> Path:
    for name, text in content.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (("plan.json",), {"plan.json"}),
        (("*.json",), {"plan.json", "x.json"}),
        (("*/run*.json",), {"u/run1.json", "v/run1.json", "v/run2.json"}),
        (("v/run1.json", "u/*"), {"v/run1.json", "u/run1.json", "u/log"}),
        (("*/deep/*/f",), {"u/deep/er/f"}),
        (("[uv]/run?.json",), {"u/run1.json", "v/run1.json", "v/run2.json"}),
        ((".hidden",), {".hidden"}),
        ((".*",), {".hidden"}),
        (("none", "none/*", "plan.json/x"), set()),
        (("*", "plan.json"), {"plan.json", "x.json"}),
    ],
)
def test_a_star_stays_within_one_folder(tmp_path: Path, globs: tuple[str, ...], expected: set[str]) -> None:
    put(tmp_path, "plan.json", "x.json", ".hidden", "u/run1.json", "u/log", "v/run1.json", "v/run2.json", "u/deep/er/f")
    seen = look(tmp_path, *globs)
    assert files(seen) == {name: name.encode() for name in expected}
    assert seen.trees[0].error is None


def test_only_folders_that_can_match_are_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "unit/run1.json", "basetemp/a/b/c", "unit/more/x")
    entered: list[str] = []
    real = os.scandir

    def noting(path: str) -> Any:
        entered.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", noting)
    look(tmp_path, "plan.json", "unit/*.json")
    assert entered == [f"{tmp_path}/unit"]


def test_a_link_to_a_folder_outside_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "root/in/a", "out/b")
    root = tmp_path / "root"
    (root / "link_out").symlink_to(tmp_path / "out")
    (root / "link_in").symlink_to(root / "in")
    (root / "file").symlink_to(tmp_path / "out/b")
    (root / "loop").symlink_to(root)
    (root / "dangling").symlink_to(tmp_path / "none")
    seen = look(root, "*/*", "*")
    assert set(seen.trees[0].files) == {"in/a", "link_in/a", "file", "dangling", "loop/file", "loop/dangling"}
    assert seen.trees[0].files["dangling"].error == "not there"


def test_large_and_unreadable_files_are_listed_without_content(tmp_path: Path) -> None:
    put(tmp_path, "small", "large")
    (tmp_path / "large").write_bytes(bytes(100))
    seen = look(tmp_path, limit=99)
    large = seen.trees[0].files["large"]
    assert (large.data, large.size, large.error) == (None, 100, None)
    assert files(seen)["small"] == b"small"


def test_a_file_that_may_not_be_read_is_named_and_the_others_stand(tmp_path: Path) -> None:
    put(tmp_path, "open", "shut", "dir/x")
    (tmp_path / "shut").chmod(0)
    (tmp_path / "dir").chmod(0)
    with as_anybody():
        seen = look(tmp_path, "*", "*/*")
    (tmp_path / "dir").chmod(0o700)
    assert seen.trees[0].files["shut"].error == "Permission denied"
    assert files(seen)["open"] == b"open"
    assert "cannot list dir/" in (seen.trees[0].error or "")


def test_a_folder_that_cannot_be_listed_any_more_has_lost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a/1", "b/1")
    observer = Observer()
    first = look(tmp_path, "*/*", by=observer)
    real = os.scandir

    def failing(path: str) -> Any:
        if path.endswith("/b"):
            raise OSError(5, "Input/output error")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        (tmp_path / "a/1").unlink()
        second = look(tmp_path, "*/*", by=observer, since=first.cursor)
    assert second.trees[0].gone == ("a/1",)
    assert "cannot list b/: Input/output error" in second.trees[0].error
    third = look(tmp_path, "*/*", by=observer, since=second.cursor)
    assert (dict(third.trees[0].files), third.trees[0].gone, third.trees[0].error) == ({}, (), None)


@pytest.mark.parametrize("glob", ["/etc/passwd", "../x", "a//b", "a/../b", "**/x", "", "a/\0"])
def test_a_glob_stays_below_its_root(tmp_path: Path, glob: str) -> None:
    assert "bad glob" in look(tmp_path, glob).trees[0].error


def test_a_root_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, "a/x", "f")
    want = Wants(trees=tuple(TreeWant(str(tmp_path / name), ("*",)) for name in ("none", "a", "f")))
    seen = Observer().observe(want, None, "here")
    assert [tree.error and tree.error.rpartition(" ")[2] for tree in seen.trees] == ["there", None, "folder"]
    assert list(seen.trees[1].files) == ["x"]


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "runs/a")
    monkeypatch.setenv("HOME", str(tmp_path))
    want = Wants(trees=(TreeWant("~/runs", ("*",)),), tails=(TailWant("~/runs/a"),))
    seen = Observer().observe(want, None, "here")
    assert list(seen.trees[0].files) == ["a"]
    assert seen.trees[0].want.root == "~/runs"
    assert seen.tails[0].data == b"runs/a"


def test_differences_follow_every_kind_of_change(tmp_path: Path) -> None:
    put(tmp_path, "same", "grown", "replaced", "gone", "touched")
    observer = Observer()
    seen = look(tmp_path, by=observer)
    (tmp_path / "grown").open("a").close()
    with (tmp_path / "grown").open("a") as file:
        file.write("!")
    (tmp_path / "new").write_text("new")
    (tmp_path / "other").write_text("REPLACED")
    (tmp_path / "other").rename(tmp_path / "replaced")
    (tmp_path / "gone").unlink()
    seen = look(tmp_path, by=observer, since=seen.cursor)
    assert files(seen) == {"grown": b"grown!", "new": b"new", "replaced": b"REPLACED"}
    assert seen.trees[0].gone == ("gone",)
    assert not seen.trees[0].full


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "f"
    observer = Observer()
    seen = None
    for round_ in range(200):
        path.write_bytes(b"%03d" % round_)
        seen = look(tmp_path, by=observer, since=seen and seen.cursor)
        assert files(seen) == {"f": b"%03d" % round_}


def test_what_has_settled_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a")
    observer = Observer()
    seen = look(tmp_path, by=observer)
    status = (tmp_path / "a").stat()
    monkeypatch.setattr(time, "time_ns", lambda: status.st_ctime_ns + 10_000_000_000)
    seen = look(tmp_path, by=observer, since=seen.cursor)
    assert files(seen) == {}
    monkeypatch.setattr(trees, "read_whole", None)
    seen = look(tmp_path, by=observer, since=seen.cursor)
    assert files(seen) == {}
    assert seen.trees[0].error is None


def test_the_last_four_cursors_are_kept(tmp_path: Path) -> None:
    put(tmp_path, "a")
    observer = Observer()
    seen = [look(tmp_path, by=observer) for _ in range(5)]
    assert look(tmp_path, by=observer, since=seen[4].cursor).trees[0].full is False
    assert look(tmp_path, by=observer, since=seen[0].cursor).trees[0].full is True
    assert look(tmp_path, "a", by=observer, since=seen[4].cursor).trees[0].full is True


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    reads: list[int] = []
    real = trees.read_at

    def racing(fd: int, offset: int, size: int) -> bytes:
        reads.append(1)
        data = real(fd, offset, size)
        if len(reads) == 1:
            path.write_bytes(b"newer")
        return data

    monkeypatch.setattr(trees, "read_at", racing)
    assert files(look(tmp_path)) == {"f": b"newer"}
    assert len(reads) == 2


def test_more_than_fits_comes_in_several_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MAX_CONTENT", 250)
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"%d" % number * 100)
    observer = Observer()
    got: dict[str, bytes] = {}
    seen: Any = None
    for _ in range(3):
        seen = look(tmp_path, by=observer, since=seen and seen.cursor)
        for path, file in seen.trees[0].files.items():
            if file.data is not None:
                assert path not in got
                got[path] = file.data
            else:
                assert file.error is not None
                assert "next look" in file.error
    assert len(got) == 5
    assert files(look(tmp_path, by=observer, since=seen.cursor)) == {}


def test_more_files_than_are_listed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_FILES", 3)
    put(tmp_path, *"abcde")
    seen = look(tmp_path)
    assert len(seen.trees[0].files) == 3
    assert "more than 3 files" in seen.trees[0].error


def test_a_section_that_fails_or_hangs_is_named_and_the_others_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a", "hung/b")
    release = threading.Event()
    real = trees.scan

    def hanging(want: TreeWant, *rest: Any) -> Any:
        if want.root.endswith("hung"):
            release.wait(30)
        return real(want, *rest)

    monkeypatch.setattr(trees, "scan", hanging)
    monkeypatch.setattr(procs, "marked", lambda marks: 1 / 0)
    want = Wants(
        trees=(TreeWant(str(tmp_path / "hung"), ("*",)), TreeWant(str(tmp_path), ("*",))),
        tails=(TailWant(str(tmp_path / "a")),),
        procs=ProcsWant(marks=("A=b",)),
        load=True,
    )
    observer = Observer()
    began = time.monotonic()
    seen = observer.observe(want, None, "here", deadline=0.5)
    assert time.monotonic() - began < 0.5
    assert "no answer in time" in str(seen.trees[0].error)
    assert list(seen.trees[1].files) == ["a"]
    assert seen.procs is None
    assert seen.errors == {"procs": "ZeroDivisionError: division by zero"}
    assert seen.tails[0].data == b"a"
    assert seen.load is not None
    again = observer.observe(want, seen.cursor, "here", deadline=20)
    assert "earlier look" in str(again.trees[0].error)
    release.set()
    while "earlier look" in str(again.trees[0].error):
        again = observer.observe(want, again.cursor, "here", deadline=20)
    assert list(again.trees[0].files) == ["b"]


def test_processes_are_split_into_live_and_dead(tmp_path: Path) -> None:
    import dataclasses

    me = procs.self_ref()
    dead = dataclasses.replace(me, start_ticks=me.start_ticks + 1)
    foreign = dataclasses.replace(me, boot_id="another", host="elsewhere")
    seen = Observer().observe(Wants(procs=ProcsWant((me, dead, foreign))), None, "here").procs
    assert seen is not None
    assert [proc.ref for proc in seen.live] == [me]
    assert seen.live[0].argv
    assert seen.dead == (dead,)


def test_ten_thousand_files_in_a_second(tmp_path: Path) -> None:
    for folder in range(10):
        (tmp_path / str(folder)).mkdir()
        for number in range(1000):
            (tmp_path / str(folder) / f"{number}.json").write_bytes(b"{}")
    observer = Observer()
    began = time.process_time()
    seen = look(tmp_path, "*/*.json", by=observer)
    first = time.process_time() - began
    assert len(seen.trees[0].files) == 10_000
    began = time.process_time()
    again = look(tmp_path, "*/*.json", by=observer, since=seen.cursor)
    assert not again.trees[0].files
    # CPU time, which a busy machine does not stretch; measured at a fifth of this
    assert first < 2
    assert time.process_time() - began < 2


def test_a_range_is_of_one_file_at_one_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old " * 1000)
    real = trees.read_at
    reads: list[int] = []

    def racing(fd: int, offset: int, size: int) -> bytes:
        reads.append(1)
        data = real(fd, offset, size)
        if len(reads) == 1:
            path.write_bytes(b"new " * 1000)  # as copytruncate does: the same inode, and soon the same size
        return data

    monkeypatch.setattr(observe, "read_at", racing)
    chunk = read_range(str(path), 2000, 8)
    assert chunk.data == b"new new "
    assert chunk.fingerprint == read_range(str(path), 0, 0).fingerprint


def test_a_full_tree_is_what_a_fold_gets_first(tmp_path: Path) -> None:
    assert look(make(tmp_path, a="1")).trees[0] == TreeSeen(
        TreeWant(str(tmp_path), ("*",)), look(tmp_path).trees[0].files, (), True, None
    )
