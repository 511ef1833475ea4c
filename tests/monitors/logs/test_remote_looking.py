"""Which files a folder or a pattern means on a host: over this machine's reader, and over a way that is lost."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosts.bare import INODE
from hosts.bootstrap import RunnerImage
from hosts.child import open_subprocess
from hosts.errors import InputError, UnreachableError
from hosts.here import LocalReader
from hosts.host import Cursor, FileSeen, Observation, TreeSeen, Wants
from hosts.pipe import PipeReader
from jobs.bundle import build_image
from monitors.logs import choosing
from monitors.logs.choosing import Chooser, Looked
from monitors.logs.remote_looking import RemoteLooker


def write(path: Path, text: str = "x\n", at: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    if at is not None:
        os.utime(path, (at, at))


def names(seen: Looked, folder: Path) -> list[str]:
    return sorted(os.path.relpath(path, folder) for path in seen.changed)


@pytest.fixture(scope="module")
def image() -> RunnerImage:
    return build_image()


@pytest.fixture(params=["local", "pipe"])
async def host(request: pytest.FixtureRequest, image: RunnerImage) -> AsyncIterator[Any]:
    if request.param == "local":
        yield LocalReader("box")
        return
    reader = PipeReader("box", open_subprocess, image, python=sys.executable)
    yield reader
    await reader.close()


async def test_a_folder_means_its_files(host: Any, tmp_path: Path) -> None:
    for name in ("a.log", "b.out", ".hidden.log", "c.log.gz", "d.json", "below/e.log"):
        write(tmp_path / name)
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    look = RemoteLooker(host, str(tmp_path))
    seen = await look.look(None)
    assert names(seen, tmp_path) == ["a.log", "b.out"]
    assert (seen.born, seen.gone, seen.problem) == (frozenset(), (), "")
    assert await look.look(None) == Looked()


async def test_what_is_new_is_told_once(host: Any, tmp_path: Path) -> None:
    look = RemoteLooker(host, str(tmp_path))
    write(tmp_path / "a.log")
    await look.look(None)
    write(tmp_path / "b.log")
    seen = await look.look(None)
    assert names(seen, tmp_path) == ["b.log"]
    assert seen.born == {str(tmp_path / "b.log")}
    write(tmp_path / "a.log")
    seen = await look.look(None)
    assert names(seen, tmp_path) == ["a.log"]
    assert seen.born == frozenset()
    os.unlink(tmp_path / "a.log")
    assert (await look.look(None)).gone == (str(tmp_path / "a.log"),)
    os.rename(tmp_path / "b.log", tmp_path / "c.log")
    write(tmp_path / "b.log")
    seen = await look.look(None)
    assert seen.born == {str(tmp_path / "b.log"), str(tmp_path / "c.log")}


async def test_without_a_name_like_a_logs_all_files_will_do(host: Any, tmp_path: Path) -> None:
    look = RemoteLooker(host, str(tmp_path))
    write(tmp_path / "d.json")
    write(tmp_path / "core", "\0\0")
    assert names(await look.look(None), tmp_path) == ["core", "d.json"]
    assert await look.is_text(str(tmp_path / "d.json"))
    assert not await look.is_text(str(tmp_path / "core"))
    assert not await look.is_text(str(tmp_path / "none"))
    assert await look.look(None) == Looked(), "only differences"
    write(tmp_path / "a.log")
    assert names(await look.look(None), tmp_path) == ["a.log"]
    write(tmp_path / "d.json")
    assert await look.look(None) == Looked(), "from now on a log is there"
    os.unlink(tmp_path / "a.log")
    seen = await look.look(None)
    assert names(seen, tmp_path) == ["core", "d.json"]
    assert seen.gone == (str(tmp_path / "a.log"),)
    assert seen.born == frozenset()


class Cut(LocalReader):
    """This machine, which answers so many times more."""

    answers = 1

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        self.answers -= 1
        if self.answers < 0:
            raise UnreachableError("box: gone")
        return await super().observe(want, since, deadline)


async def test_nothing_is_missed_when_the_way_is_lost_between_two_questions(tmp_path: Path) -> None:
    host = Cut("box")
    look = RemoteLooker(host, str(tmp_path))
    write(tmp_path / "a.log")
    await look.look(None)
    host.answers = 1
    os.unlink(tmp_path / "a.log")
    write(tmp_path / "d.json")
    with pytest.raises(UnreachableError):
        await look.look(None)
    host.answers = 2
    seen = await look.look(None)
    assert seen.gone == (str(tmp_path / "a.log"),)


async def test_what_went_while_the_way_was_lost_is_gone(tmp_path: Path, image: RunnerImage) -> None:
    reader = PipeReader("box", open_subprocess, image, python=sys.executable)
    look = RemoteLooker(reader, str(tmp_path))
    for name in ("a.log", "b.log", "c.log"):
        write(tmp_path / name)
    await look.look(None)
    reader.abort()
    os.unlink(tmp_path / "a.log")
    write(tmp_path / "d.log")
    seen = await look.look(None)
    assert seen.gone == (str(tmp_path / "a.log"),)
    assert seen.born == {str(tmp_path / "d.log")}
    await look.close()
    with pytest.raises(UnreachableError, match="closed"):
        await reader.read(str(tmp_path / "d.log"), 0, 1)


async def test_a_folder_that_is_not_there_yet(host: Any, tmp_path: Path) -> None:
    look = RemoteLooker(host, f"{tmp_path}/later/")
    assert (await look.look(None)).problem == f"{tmp_path}/later/: not there"
    write(tmp_path / "later" / "a.log")
    seen = await look.look(None)
    assert names(seen, tmp_path) == ["later/a.log"]
    os.rename(tmp_path / "later", tmp_path / "away")
    seen = await look.look(None)
    assert "not there" in seen.problem
    os.rename(tmp_path / "away", tmp_path / "later")
    assert (await look.look(None)).gone == ()


async def test_a_pattern(host: Any, tmp_path: Path) -> None:
    for name in ("x/a.log", "y/a.log", "y/b.out", "y/c.log.gz"):
        write(tmp_path / name)
    look = RemoteLooker(host, str(tmp_path), ("*", "*.log*"))
    assert names(await look.look(None), tmp_path) == ["x/a.log", "y/a.log"]
    for parts in (("**", "x"), ("*", "..", "x")):
        with pytest.raises(InputError, match="on another host"):
            RemoteLooker(host, str(tmp_path), parts)


async def test_a_time_in_the_future_does_not_come_first(host: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.log", at=time.time() + 86_400)
    [stamp] = (await RemoteLooker(host, str(tmp_path)).look(None)).changed.values()
    assert stamp.mtime_ns == 0


class Bare(LocalReader):
    """This machine, as it is told of without a Python there: no inodes, whole seconds, all files each time."""

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        seen = await super().observe(want, None, deadline)
        return replace(seen, cursor=None, trees=tuple(map(self._told, seen.trees)))

    def _told(self, tree: TreeSeen) -> TreeSeen:
        return replace(tree, files={path: self._seen(file) for path, file in tree.files.items()})

    def _seen(self, file: FileSeen) -> FileSeen:
        return replace(file, inode=INODE, mtime_ns=file.mtime_ns // 10**9 * 10**9)


@pytest.mark.parametrize("parts", [None, ("*.log",)])
async def test_without_inodes_it_goes_on_to_the_newer_file(tmp_path: Path, parts: tuple[str, ...] | None) -> None:
    look = RemoteLooker(Bare("box"), str(tmp_path), parts)
    chooser = Chooser(look.rank)
    now = time.time()
    for number in range(4):
        write(tmp_path / f"run{number}.log", at=now - 100 + number * 10)
        seen = await look.look(chooser.current)
        assert chooser.look(seen, number * 2 * choosing.STAY_S) == f"{tmp_path}/run{number}.log"
        assert len(seen.born) == (1 if number else 0)


async def test_without_inodes_one_file_that_is_no_text_hides_no_other(tmp_path: Path) -> None:
    look = RemoteLooker(Bare("box"), str(tmp_path))
    chooser = Chooser(look.rank)
    write(tmp_path / "run0", at=1000)
    write(tmp_path / "core", "\0\0", at=2000)
    assert chooser.look(await look.look(None), 0.0) == f"{tmp_path}/core"
    assert chooser.refuse(f"{tmp_path}/core", 0.0) == f"{tmp_path}/run0"


@pytest.mark.parametrize("name", ["a.2024-01-02.log", "a-20240102T10.log"])
async def test_without_inodes_what_rotation_moved_away_is_not_newer(tmp_path: Path, name: str) -> None:
    look = RemoteLooker(Bare("box"), str(tmp_path))
    chooser = Chooser(look.rank)
    log = f"{tmp_path}/a.log"
    now = time.time()
    write(tmp_path / "a.log", "old\n" * 10, at=now - 100)
    assert chooser.look(await look.look(None), 0.0) == log
    write(tmp_path / "a.log", "late\n", at=now - 50)
    os.rename(log, tmp_path / name)
    write(tmp_path / "a.log", "new\n", at=now - 40)
    assert chooser.look(await look.look(log), 10.0) == log
    write(tmp_path / "a-2.log", "another\n", at=now - 30)
    assert chooser.look(await look.look(log), 20.0) == f"{tmp_path}/a-2.log"
