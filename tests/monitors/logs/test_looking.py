"""Which files a folder or a pattern means, in real folders."""

from __future__ import annotations

import fnmatch
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.errors import InputError
from monitors.logs import looking
from monitors.logs.choosing import Looked
from monitors.logs.looking import IN_TURN, NEWEST, Look, is_text, split_pattern

OLD = 1_000_000_000


def write(path: Path, text: str = "x\n", at: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    if at is not None:
        os.utime(path, (at, at))


def settle(*folders: Path) -> None:
    """Make folders look as if they had not changed for long."""
    for folder in folders:
        os.utime(folder, (OLD, OLD))


def names(seen: Looked, folder: Path) -> list[str]:
    return sorted(os.path.relpath(path, folder) for path in seen.changed)


def pattern(folder: Path, text: str) -> Look:
    return Look(str(folder), tuple(text.split("/")))


def test_a_folder_means_its_files(tmp_path: Path) -> None:
    write(tmp_path / "a.log")
    write(tmp_path / "b.out")
    write(tmp_path / ".hidden.log")
    write(tmp_path / "c.log.gz")
    write(tmp_path / "d.json")
    write(tmp_path / "below" / "e.log")
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    seen = Look(str(tmp_path)).look()
    assert names(seen, tmp_path) == ["a.log", "b.out"]
    assert seen.born == frozenset()
    assert seen.problem == ""


def test_a_folder_without_such_names_means_all_its_files(tmp_path: Path) -> None:
    look = Look(str(tmp_path))
    write(tmp_path / "results.json")
    assert names(look.look(), tmp_path) == ["results.json"]
    write(tmp_path / "a.log")
    seen = look.look()
    assert names(seen, tmp_path) == ["a.log"]
    assert seen.gone == (str(tmp_path / "results.json"),)


def test_what_is_new_is_told_once(tmp_path: Path) -> None:
    look = Look(str(tmp_path))
    write(tmp_path / "a.log")
    look.look()
    assert look.look() == Looked()
    write(tmp_path / "b.log")
    seen = look.look()
    assert names(seen, tmp_path) == ["b.log"]
    assert seen.born == {str(tmp_path / "b.log")}
    write(tmp_path / "a.log")
    seen = look.look()
    assert (names(seen, tmp_path), seen.born) == (["a.log"], frozenset())
    (tmp_path / "a.log").unlink()
    assert look.look().gone == (str(tmp_path / "a.log"),)


def test_another_file_of_the_same_name_is_born(tmp_path: Path) -> None:
    look = Look(str(tmp_path))
    write(tmp_path / "a.log")
    write(tmp_path / "b")
    look.look()
    (tmp_path / "b").rename(tmp_path / "a.log")
    assert look.look().born == {str(tmp_path / "a.log")}


def test_what_is_ours_is_never_meant(tmp_path: Path) -> None:
    write(tmp_path / "a.log")
    write(tmp_path / "out.log")
    status = os.stat(tmp_path / "out.log")
    look = Look(str(tmp_path), own=frozenset({(status.st_dev, status.st_ino)}))
    assert names(look.look(), tmp_path) == ["a.log"]
    write(tmp_path / "out.log")
    (tmp_path / "other.log").symlink_to("out.log")
    assert look.look() == Looked()


def test_a_file_is_ignored_until_somebody_writes_to_it(tmp_path: Path) -> None:
    look = Look(str(tmp_path))
    write(tmp_path / "a.log")
    look.look()
    write(tmp_path / ".temporary")
    look.ignore(os.stat(tmp_path / ".temporary"))
    (tmp_path / ".temporary").rename(tmp_path / "saved.log")
    assert look.look() == Looked()
    (tmp_path / "saved.log").rename(tmp_path / "renamed.log")
    assert look.look() == Looked()
    write(tmp_path / "renamed.log")
    seen = look.look()
    assert (names(seen, tmp_path), seen.born) == (["renamed.log"], frozenset())


@pytest.mark.parametrize("link", [False, True])
def test_what_is_ours_hides_no_others(tmp_path: Path, *, link: bool) -> None:
    write(tmp_path / "output")
    write(tmp_path / "printed")
    (tmp_path / "out.log").symlink_to("printed") if link else (tmp_path / "printed").rename(tmp_path / "out.log")
    status = os.stat(tmp_path / "out.log")
    look = Look(str(tmp_path), own=frozenset({(status.st_dev, status.st_ino)}))
    assert names(look.look(), tmp_path) == ["output"]
    write(tmp_path / "a.log")
    seen = look.look()
    assert (names(seen, tmp_path), seen.gone) == (["a.log"], (str(tmp_path / "output"),))


@pytest.mark.parametrize("kind", ["a link to nothing", "a named pipe"])
def test_what_is_no_file_hides_no_others(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "output")
    if kind == "a named pipe":
        os.mkfifo(tmp_path / "pipe.log")
    else:
        (tmp_path / "gone.log").symlink_to("elsewhere/gone.log")
    look = Look(str(tmp_path))
    assert names(look.look(), tmp_path) == ["output"]
    write(tmp_path / "a.log")
    assert names(look.look(), tmp_path) == ["a.log"]


def test_what_is_ignored_hides_no_others(tmp_path: Path) -> None:
    look = Look(str(tmp_path))
    write(tmp_path / "output")
    write(tmp_path / "saved.log")
    settle(tmp_path)
    assert names(look.look(), tmp_path) == ["saved.log"]
    look.ignore(os.stat(tmp_path / "saved.log"))
    seen = look.look()
    assert (names(seen, tmp_path), seen.gone) == (["output"], (str(tmp_path / "saved.log"),))
    settle(tmp_path)
    look.look()
    write(tmp_path / "saved.log")
    assert names(look.look(), tmp_path) == ["saved.log"]


def test_a_folder_that_does_not_change_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    scandir = os.scandir

    def counted(path: str) -> Any:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    look = Look(str(tmp_path))
    write(tmp_path / "a.log")
    settle(tmp_path)
    look.look()
    for _ in range(5):
        write(tmp_path / "a.log")
        assert names(look.look(), tmp_path) == ["a.log"]
    assert len(listed) == 1
    write(tmp_path / "b.log")
    assert names(look.look(), tmp_path) == ["b.log"]
    assert len(listed) == 2


def test_a_folder_listed_as_it_changed_is_listed_again(tmp_path: Path) -> None:
    """Its time need not move for what came right after."""
    look = Look(str(tmp_path))
    write(tmp_path / "a.log")
    look.look()
    changed = tmp_path.stat().st_mtime_ns
    write(tmp_path / "b.log")
    os.utime(tmp_path, ns=(changed, changed))
    assert names(look.look(), tmp_path) == ["b.log"]


def test_a_link_that_leads_nowhere_yet(tmp_path: Path) -> None:
    (tmp_path / "latest.log").symlink_to("later/run.log")
    look = Look(str(tmp_path))
    assert look.look().changed == {}
    settle(tmp_path)
    look.look()
    write(tmp_path / "later" / "run.log")
    settle(tmp_path)
    assert names(look.look(), tmp_path) == ["latest.log"]


def test_a_time_in_the_future_does_not_come_first(tmp_path: Path) -> None:
    write(tmp_path / "a.log", at=time.time() + 86_400)
    [stamp] = Look(str(tmp_path)).look().changed.values()
    assert stamp.mtime_ns == 0


def test_what_cannot_be_listed_is_told(tmp_path: Path) -> None:
    look = Look(str(tmp_path / "none"))
    assert look.look().problem == f"cannot list {tmp_path}/none: not there"
    write(tmp_path / "none" / "a.log")
    seen = look.look()
    assert (names(seen, tmp_path), seen.problem) == (["none/a.log"], "")
    assert Look(str(tmp_path / "none" / "a.log")).look().problem.endswith("Not a directory")


def test_a_large_folder_is_looked_at_in_parts(tmp_path: Path) -> None:
    count = NEWEST + IN_TURN + 500
    for number in range(count):
        write(tmp_path / f"{number:05}.log", at=OLD + number)
    settle(tmp_path)
    look = Look(str(tmp_path))
    seen = look.look()
    newest = [f"{number:05}.log" for number in range(count - NEWEST, count)]
    assert names(seen, tmp_path) == newest
    write(tmp_path / "00000.log", at=OLD)  # longer, and as old as before
    write(tmp_path / "00007.log")
    found: set[str] = set()
    born: set[str] = set()
    for _ in range(3):
        seen = look.look()
        found |= set(names(seen, tmp_path))
        born |= seen.born
    assert (found, born) == ({"00007.log"}, set()), "written in place, seen in its turn"
    write(tmp_path / "new.log")
    seen = look.look()
    assert names(seen, tmp_path) == ["new.log"]
    assert seen.born == {str(tmp_path / "new.log")}


def test_what_is_kept_has_a_bound_and_the_present_file_stays(tmp_path: Path) -> None:
    look = Look(str(tmp_path))
    write(tmp_path / "present.log", at=OLD)
    known = set(look.look(str(tmp_path / "present.log")).changed)
    for start in range(0, 8 * NEWEST, NEWEST // 2):
        for number in range(start, start + NEWEST // 2):
            write(tmp_path / f"{number:05}.log", at=OLD + 1 + number)
        seen = look.look(str(tmp_path / "present.log"))
        known = known.difference(seen.gone) | set(seen.changed)
        assert len(known) <= 2 * NEWEST
    assert str(tmp_path / "present.log") in known
    write(tmp_path / "present.log")
    assert names(look.look(str(tmp_path / "present.log")), tmp_path) == ["present.log"]


def test_more_files_than_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "FILES", 10)
    for number in range(20):
        write(tmp_path / f"{number:02}.log")
    look = Look(str(tmp_path))
    seen = look.look()
    assert names(seen, tmp_path) == [f"{number}.log" for number in range(10, 20)]
    assert seen.problem == "more than 10 files match; the rest is left out"
    write(tmp_path / "20.log")
    seen = look.look()
    assert seen.born == {str(tmp_path / "20.log")}
    assert seen.gone == (str(tmp_path / "10.log"),)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*.log", ["a.log"]),
        ("?.lo[gx]", ["a.log"]),
        (".*", [".hidden"]),
        ("*", ["a.log", "b"]),
        ("*/*.log", ["x/c.log", "y/d.log"]),
        ("[xy]/*", ["x/c.log", "x/e", "y/d.log"]),
        ("*/f/*.log", ["x/f/g.log"]),
        ("*/f/g.log", ["x/f/g.log"]),
        ("**/*.log", ["a.log", "x/c.log", "x/f/g.log", "y/d.log"]),
        ("**/f/*", ["x/f/g.log"]),
        ("**/**/g.*", ["x/f/g.log"]),
        ("x/**", ["x/c.log", "x/e", "x/f/g.log"]),
        ("*.none", []),
        ("*/.*/*", ["x/.h/i.log"]),
        ("*.log/*", []),
    ],
)
def test_a_pattern(tmp_path: Path, text: str, found: list[str]) -> None:
    for name in ("a.log", "b", ".hidden", "x/c.log", "y/d.log", "x/e", "x/f/g.log", "x/.h/i.log", "x/z.log.gz"):
        write(tmp_path / name)
    assert names(pattern(tmp_path, text).look(), tmp_path) == found


def test_folders_that_come_and_go_under_a_pattern(tmp_path: Path) -> None:
    look = pattern(tmp_path, "*/*.log")
    assert look.look().changed == {}
    write(tmp_path / "run1" / "a.log")
    assert names(look.look(), tmp_path) == ["run1/a.log"]
    settle(tmp_path, tmp_path / "run1")
    look.look()
    write(tmp_path / "run1" / "b.log")
    assert names(look.look(), tmp_path) == ["run1/b.log"]
    (tmp_path / "run1").rename(tmp_path / "run2")
    seen = look.look()
    assert names(seen, tmp_path) == ["run2/a.log", "run2/b.log"]
    assert len(seen.gone) == 2
    assert seen.problem == ""


def test_links_that_lead_back_do_not_lead_on_for_ever(tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.log")
    (tmp_path / "x" / "up").symlink_to(tmp_path)
    (tmp_path / "x" / "self").symlink_to("self")
    assert names(pattern(tmp_path, "**/*.log").look(), tmp_path) == ["x/a.log"]
    assert names(pattern(tmp_path, "*/*/*/*.log").look(), tmp_path) == ["x/up/x/a.log"]


@pytest.mark.parametrize("text", ["*/../x", "*//x", "./*"])
def test_a_pattern_that_leads_out_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="bad pattern"):
        Look("/", tuple(text.split("/")))


@pytest.mark.parametrize(
    ("path", "root", "parts"),
    [
        ("*.log", ".", ("*.log",)),
        ("/*/x", "/", ("*", "x")),
        ("/var/log/*/x", "/var/log", ("*", "x")),
        ("../a/b?.log", "../a", ("b?.log",)),
        ("./*", ".", ("*",)),
        ("a/*/./b//c", "a", ("*", "b", "c")),
        ("a/*/", "a", ("*",)),
    ],
)
def test_where_a_pattern_begins(path: str, root: str, parts: tuple[str, ...]) -> None:
    assert split_pattern(path) == (root, parts)


def test_what_is_text(tmp_path: Path) -> None:
    for name, data in {
        "empty": b"",
        "text": b"a\xff\n",
        "utf16": "Stra\u00dfe\n".encode("utf-16"),
        "bare": ("plain ascii" * 20).encode("utf-16-be"),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert is_text(str(tmp_path / name)), name
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\1")
    for name in ("binary", "none", "."):
        assert not is_text(str(tmp_path / name)), name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "remove", "rename", "look", "settle"]),
            st.sampled_from(["a.log", "b.log", "c", "x/a.log", "x/d.log", "y/a.log"]),
        ),
        max_size=40,
    ),
    text=st.sampled_from(["*.log", "*", "*/*.log", "**/*.log"]),
)
def test_differences_add_up_to_what_is_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], text: str
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    look = pattern(folder, text)
    known: dict[str, int] = {}
    for what, name in [*steps, ("look", "")]:
        path = folder / name
        if what == "write":
            write(path)
        elif what == "remove":
            path.unlink(missing_ok=True)
        elif what == "rename" and path.exists():
            path.rename(path.with_name("moved.log"))
        elif what == "settle":
            look.look()
            # What is old enough when it is listed is not listed again
            settle(*(one for one in [folder, *folder.iterdir()] if one.is_dir()))
            look = pattern(folder, text)
            known = {}
        elif what == "look":
            seen = look.look()
            for gone in seen.gone:
                del known[gone]
            known.update({one: stamp.size for one, stamp in seen.changed.items()})
            there = {str(one): one.stat().st_size for one in folder.rglob("*") if one.is_file()}
            assert known == {one: size for one, size in there.items() if _matches(os.path.relpath(one, folder), text)}


def _matches(name: str, text: str) -> bool:
    if text == "**/*.log":
        return name.endswith(".log")
    return name.count("/") == text.count("/") and fnmatch.fnmatch(name, text)
