"""A file that is saved: whole or not there at all, over nothing, as the umask says, also where there are no links."""

from __future__ import annotations

import asyncio
import atexit
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitors.logs.types import LogLine, Place
from tests.tui.logs.panes import PaneDesk, desk, numbered
from tui import console
from tui.logs import takepart
from tui.logs.pieces import Piece, pieces
from tui.logs.saving import NewFile, OneWay


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask that tests can tell from any default."""
    before = os.umask(0o026)
    yield
    os.umask(before)


@pytest.fixture(params=["links", "no links"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to save, in a folder of its own; a file system without links cannot be had without being root."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "saved.txt"


@pytest.fixture
def taken(path: Path) -> Path:
    """Where there is something already."""
    path.write_text("mine")
    path.chmod(0o600)
    return path


def found(path: Path) -> tuple[bytes, int, list[str]]:
    """What is there, its mode, and all that is beside it."""
    return path.read_bytes(), path.stat().st_mode & 0o7777, os.listdir(path.parent)


async def save(at: PaneDesk, name: str = "saved.txt") -> None:
    await at.press("S")
    await at.type(name)
    await at.press("enter")


@pytest.mark.usefixtures("umask")
async def test_what_is_saved_is_there_as_the_umask_says(path: Path) -> None:
    async with desk(numbered(500)) as at:
        await save(at)
        await at.until(lambda: "written to saved.txt" in at.shown)
    assert found(path) == (numbered(500), 0o640, [path.name])


async def test_nothing_is_overwritten(taken: Path) -> None:
    async with desk(numbered(500)) as at:
        await save(at)
        await at.until(lambda: "saved.txt: File exists" in at.shown)
    assert found(taken) == (b"mine", 0o600, [taken.name])


def test_whoever_has_the_name_first_keeps_it(path: Path) -> None:
    file = NewFile(path)
    file.write(b"ours")
    path.write_text("theirs")
    with pytest.raises(FileExistsError):
        file.publish()
    file.close()
    assert path.read_text() == "theirs"
    assert os.listdir(path.parent) == [path.name]


def test_a_link_to_nowhere_is_not_followed(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(FileExistsError):
        NewFile(path)
    assert os.listdir(path.parent) == [path.name]


def test_until_it_is_whole_nothing_has_the_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = NewFile(path)
    file.write(b"x" * (1 << 20))
    assert not path.exists()
    seen = []
    rename = os.replace

    def look(source: Path, target: Path) -> None:
        seen.append(path.read_bytes())
        rename(source, target)

    monkeypatch.setattr(os, "replace", look)
    file.publish()
    file.close()
    assert path.read_bytes() == b"x" * (1 << 20)
    assert set(seen) <= {b""}


def test_a_name_that_somebody_wrote_into_meanwhile_is_theirs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = NewFile(path)
    close = os.close

    def write_first(descriptor: int) -> None:
        close(descriptor)
        if path.exists():
            path.write_text("theirs")

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refuse)
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", write_first)
        with pytest.raises(FileExistsError):
            file.publish()
    file.close()
    assert path.read_text() == "theirs"


def test_what_is_given_up_leaves_nothing(path: Path) -> None:
    file = NewFile(path)
    file.write(b"half")
    file.close()
    assert os.listdir(path.parent) == []


def test_a_rename_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    file = NewFile(path)
    with pytest.raises(OSError, match="Input/output"):
        file.publish()
    file.close()
    assert os.listdir(path.parent) == []


async def test_a_home_of_nobody_is_told(path: Path) -> None:
    async with desk(numbered(5)) as at:
        await save(at, "~nobody-of-this-name/x")
        await at.until(lambda: "~nobody-of-this-name/x: no such user" in at.shown)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize(("first", "other"), [("utf-8", "utf-16-le"), ("utf-16-le", "utf-8"), ("utf-8", "utf-16-be")])
def test_what_a_line_began_is_no_part_of_the_next_line(first: str, other: str) -> None:
    """A character may be cut where a piece ends, and where a log does that was rotated before it was written."""

    def line(data: bytes, encoding: str, at: int, piece: int = 0, complete: bool = True) -> LogLine:
        return LogLine(Place(0, at), at + len(data), b"", len(data), None, complete, piece, encoding=encoding)

    whole, behind = "模😀".encode(other), "neu\n".encode(other)
    for cut in range(1, len(whole)):
        way = OneWay()
        way.add(line(b"", first, 0), b"")
        begun = way.add(line(whole[:cut], other, 9, complete=False), whole[:cut])
        rest = way.add(line(whole[cut:], other, 9 + cut, piece=1), whole[cut:])
        assert begun + rest == "模😀".encode(first)
        way.add(line(whole[:cut], other, 9, complete=False), whole[:cut])
        assert way.add(line(behind, other, 99), behind) == "neu\n".encode(first)


class Gate(asyncio.Event):
    """Until it is set, nothing of a log comes that is being saved."""

    reached = False


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    opened = Gate()

    async def late(*given: Any) -> AsyncIterator[Piece]:
        opened.reached = True
        await opened.wait()
        async for piece in pieces(*given):
            yield piece

    monkeypatch.setattr(takepart, "pieces", late)
    return opened


async def test_one_file_is_saved_at_a_time(path: Path, gate: Gate) -> None:
    async with desk(numbered(500)) as at:
        await save(at)
        await at.until(lambda: gate.reached)
        await save(at, "second.txt")
        await at.until(lambda: "saved.txt is still being saved" in at.shown)
        assert at.pane.asking is not None
        gate.set()
        await at.until(lambda: "written to saved.txt" in at.shown)
        await at.press("enter")
        await at.until(lambda: "written to second.txt" in at.shown)
        await save(at)
        await at.until(lambda: "saved.txt: File exists" in at.shown)
        await save(at, "third.txt")
        await at.until(lambda: "written to third.txt" in at.shown)
    folder = path.parent
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == dict.fromkeys(
        ["saved.txt", "second.txt", "third.txt"], numbered(500)
    )


@pytest.mark.parametrize("complete", [False, True])
async def test_who_leaves_in_the_middle_is_told_what_was_not_saved(
    complete: bool, path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[str] = []
    register = atexit.register

    def noted(call: Callable[..., object], *given: Any) -> object:
        if call is not console.warn:
            return register(call, *given)
        late.extend(given)
        return call

    monkeypatch.setattr(atexit, "register", noted)
    async with desk(numbered(500)) as at:
        if complete:
            gate.set()
        await save(at)
        await at.until(lambda: "written to" in at.shown if complete else gate.reached)
    why = "the log was left before all of it was written"
    assert late == ([] if complete else [f"saved.txt was not saved: {why}"])
    async with asyncio.timeout(10):
        while os.listdir(path.parent) != ([path.name] if complete else []):  # noqa: ASYNC110 - a thread takes it away
            await asyncio.sleep(0.01)
