"""What a target means: real files, folders, pipes, devices and terminals, here and behind a helper."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hosts.child import open_subprocess
from hosts.errors import InputError, UnreachableError
from hosts.host import HostReader
from hosts.pipe import PipeReader
from hosts.target import parse_target
from jobs.bundle import build_image
from monitors.logs import opening
from monitors.logs.local import LocalSource
from monitors.logs.opening import open_source
from monitors.logs.pointing import PointingSource
from monitors.logs.remote import RemoteSource
from monitors.logs.spool import SpoolSource
from monitors.logs.tally_far import CountingSource
from monitors.logs.types import Source, Status
from tests.peers.callers import until

Open = Callable[[str], Awaitable[Source]]


def write(path: Path, text: str, at: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    if at is not None:
        os.utime(path, (at, at))


async def content(source: Source) -> bytes:
    found = [await source.read(one.number, one.first, one.size - one.first) for one in source.shape.generations]
    return b"".join(found)


async def shows(source: Source, text: bytes) -> bool:
    for _ in range(2000):
        if (await content(source)).endswith(text):
            return True
        await asyncio.sleep(0.01)
    return False


def held(source: Source) -> bytes | None:
    """What is here of the newest generation of a log that lies on another host."""
    newest = source.shape.generations[-1]
    assert isinstance(source, CountingSource)
    counter = source.counter(newest.number)
    return None if counter is None else counter.held(newest.first, newest.size - newest.first)


async def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        await open_source(parse_target(text))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens targets of this machine and starts them."""
    made: list[Source] = []

    async def make(text: str) -> Source:
        source = await open_source(parse_target(text))
        made.append(source)
        await source.start(lambda: None)
        return source

    yield make
    for source in made:
        await source.close()


async def test_a_file(opened: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", "one\n")
    source = await opened(str(tmp_path / "a.log"))
    assert isinstance(source, LocalSource)
    assert await shows(source, b"one\n")


async def test_a_file_that_will_come(opened: Open, tmp_path: Path) -> None:
    for name in ("a.log", "later/a.log"):
        source = await opened(str(tmp_path / name))
        assert isinstance(source, LocalSource)
        assert source.shape.status is Status.WAITING
        write(tmp_path / name, "one\n")
        assert await shows(source, b"one\n")


async def test_a_link_to_what_will_come(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "latest.log").symlink_to("a.log")
    source = await opened(str(tmp_path / "latest.log"))
    write(tmp_path / "a.log", "one\n")
    assert await shows(source, b"one\n")


@pytest.mark.parametrize("ending", ["", "/"])
async def test_a_folder(opened: Open, tmp_path: Path, ending: str) -> None:
    write(tmp_path / "a.log", "one\n", at=1000)
    write(tmp_path / "b.log", "two\n")
    source = await opened(f"{tmp_path}{ending}")
    assert isinstance(source, PointingSource)
    assert await shows(source, b"two\n")


async def test_a_folder_that_will_come(opened: Open, tmp_path: Path) -> None:
    source = await opened(f"{tmp_path}/later/")
    assert isinstance(source, PointingSource)
    assert source.shape.detail == "", "nobody has looked"
    assert await until(lambda: source.shape.detail == f"cannot list {tmp_path}/later/: not there")


async def test_a_pattern(opened: Open, tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.log", "one\n", at=1000)
    write(tmp_path / "y" / "a.log", "two\n")
    write(tmp_path / "y" / "b.out", "three\n")
    source = await opened(f"{tmp_path}/*/*.log")
    assert isinstance(source, PointingSource)
    assert await shows(source, b"two\n")
    none = await opened(f"{tmp_path}/*.none")
    assert await until(lambda: none.shape.detail == f"no file matches {tmp_path}/*.none yet")
    assert none.shape.status is Status.WAITING


async def test_a_name_that_looks_like_a_pattern(opened: Open, tmp_path: Path) -> None:
    write(tmp_path / "run[1].log", "one\n")
    write(tmp_path / "run1.log", "two\n")
    source = await opened(f"{tmp_path}/run[1].log")
    assert isinstance(source, LocalSource)
    assert await shows(source, b"one\n")


async def test_a_link_that_looks_like_a_pattern_and_leads_nowhere_yet(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "run[1].log").symlink_to("a.log")
    assert isinstance(await opened(f"{tmp_path}/run[1].log"), LocalSource)


async def test_no_shell_has_a_part_in_it(opened: Open, tmp_path: Path) -> None:
    source = await opened(f"{tmp_path}/$(touch {tmp_path}/bad)*;`touch {tmp_path}/bad`")
    assert await until(lambda: source.shape.detail.startswith("cannot list "))
    assert os.listdir(tmp_path) == []


async def test_the_home_folder(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "logs" / "a.log", "one\n")
    for text in ("~/logs/a.log", "~/logs", "~/lo*/*.log"):
        assert await shows(await opened(text), b"one\n")


async def test_a_fifo(opened: Open, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    source = await opened(str(tmp_path / "fifo"))
    assert isinstance(source, SpoolSource)
    await asyncio.to_thread((tmp_path / "fifo").write_bytes, b"one\n")
    assert await shows(source, b"one\n")


async def test_a_character_device(opened: Open) -> None:
    source = await opened("/dev/null")
    assert isinstance(source, SpoolSource)
    assert await until(lambda: source.shape.status is Status.ENDED)


async def test_what_no_log_can_be(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        assert await refused(f"{tmp_path}/sock") == (
            f"{tmp_path}/sock is a socket; a log is a file, a folder, a pipe or a character device"
        )
    write(tmp_path / "a.log", "one\n")
    assert await refused(f"{tmp_path}/a.log/b") == f"{tmp_path}/a.log/b: {tmp_path}/a.log is not a folder"
    (tmp_path / "round").symlink_to("round")
    assert "levels of symbolic links" in await refused(f"{tmp_path}/round")
    assert "'..' can stand only before" in await refused(f"{tmp_path}/*/../x")
    assert "name too long" in (await refused("x" * 5000)).lower()
    assert await refused("box:/var/log/x") == "box:/var/log/x: logs of other hosts cannot be read here"


async def test_a_terminal_is_refused(tmp_path: Path) -> None:
    master, slave = os.openpty()
    name = os.ttyname(slave)
    assert await refused(name) == f"{name} is a terminal; a log is a file, a folder, a pipe or a character device"
    os.close(master)
    os.close(slave)


STDIN = """
import asyncio, os, sys
from hosts.errors import InputError
from hosts.target import parse_target
from monitors.logs.opening import open_source

async def main():
    try:
        source = await open_source(parse_target("-"))
    except InputError as error:
        print("refused:", error)
        return
    os.close(0)
    await source.start(lambda: None)
    until = asyncio.get_running_loop().time() + 20
    while asyncio.get_running_loop().time() < until:
        shape = source.shape
        size = shape.generations[-1].size if shape.generations else -1
        if shape.status.value == "ended" or (shape.status.value == "live" and size >= int(sys.argv[1])):
            break
        await asyncio.sleep(0.01)
    print(type(source).__name__, shape.status.value, shape.name, await source.read(0, 0, 100))
    await source.close()

asyncio.run(main())
"""


def with_input(house: Path, stdin: int | None, expected: int = 1 << 60) -> str:
    argv = [sys.executable, "-c", STDIN, str(expected)]
    close = (lambda: os.close(0)) if stdin is None else None
    ended = subprocess.run(argv, stdin=stdin, capture_output=True, text=True, cwd=house, preexec_fn=close)
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_standard_input_that_is_a_pipe(house: Path) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"one\n")
    os.close(theirs)
    assert with_input(house, ours) == "SpoolSource ended - b'one\\n'"
    os.close(ours)


def test_standard_input_that_is_a_file(house: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    write(path, "one\n")
    with path.open() as file:
        assert with_input(house, file.fileno(), 4) == f"LocalSource live {path} b'one\\n'"
        path.unlink()
        assert with_input(house, file.fileno()) == "SpoolSource ended - b'one\\n'"


def test_standard_input_that_is_no_log(house: Path) -> None:
    master, slave = os.openpty()
    os.write(master, b"typed\n")
    assert with_input(house, slave) == "refused: standard input is a terminal"
    assert os.read(slave, 100) == b"typed\n", "not a byte of it was taken"
    os.close(master)
    os.close(slave)
    assert with_input(house, subprocess.DEVNULL) == "SpoolSource ended - b''"
    assert with_input(house, None) == "refused: standard input is closed"


def test_a_local_log_costs_no_import_of_what_it_does_not_need(house: Path) -> None:
    code = """
import asyncio, sys
from hosts.target import parse_target
from monitors.logs.opening import open_source
asyncio.run(open_source(parse_target("/etc/passwd")))
print(*sorted({"ctypes", "hosts.follow", "hosts.local.observe", "monitors.logs.spool", "asyncssh", "pydantic"}
              & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=house, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


# On another host.


@pytest.fixture
async def far() -> AsyncIterator[Open]:
    """Opens targets of a host behind a helper, and starts them; every way has to be closed in the end."""
    made: list[Source] = []
    readers: list[PipeReader] = []

    async def connect(host: str) -> HostReader:
        assert host == "me@box"
        image = await asyncio.to_thread(build_image)
        readers.append(PipeReader("box", open_subprocess, image, python=sys.executable))
        return readers[-1]

    async def make(text: str) -> Source:
        source = await open_source(parse_target(text), connect)
        made.append(source)
        await source.start(lambda: None)
        return source

    yield make
    for source in made:
        await source.close()
    for reader in readers:
        with pytest.raises(UnreachableError, match="closed"):
            await reader.read("/any", 0, 1)


async def test_there_a_file(far: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", "one\n")
    source = await far(f"me@box:{tmp_path}/a.log")
    assert isinstance(source, RemoteSource)
    assert await shows(source, b"one\n")
    assert source.shape.name == f"me@box:{tmp_path}/a.log"


async def test_there_a_file_that_will_come(far: Open, tmp_path: Path) -> None:
    source = await far(f"me@box:{tmp_path}/later/a.log")
    assert isinstance(source, RemoteSource)
    assert await until(lambda: source.shape.detail == "no such file yet")
    write(tmp_path / "later" / "a.log", "one\n")
    assert await shows(source, b"one\n")


async def test_there_a_folder(far: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_LOOK_S", 0.05)
    monkeypatch.setattr("monitors.logs.choosing.STAY_S", 0.0)
    write(tmp_path / "results.json", "{}\n")
    write(tmp_path / "weights", "\0\0\0")
    source = await far(f"me@box:{tmp_path}")
    assert isinstance(source, PointingSource)
    assert await shows(source, b"{}\n")
    assert source.shape.name == f"me@box:{tmp_path}/results.json"
    write(tmp_path / "a.log", "one\n")
    assert await shows(source, b"{}\none\n")
    assert [mark.text for mark in source.shape.marks] == ["now a.log: newer"]


async def test_there_a_folder_without_a_log(far: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_LOOK_S", 0.05)
    for text in (f"me@box:{tmp_path}", f"me@box:{tmp_path}/later/"):
        source = await far(text)
        assert source.shape.name.startswith(f"me@box:{tmp_path}")
    assert await until(lambda: "not there" in source.shape.detail)
    write(tmp_path / "later" / "b.log", "one\n")
    assert await shows(source, b"one\n")


async def test_there_a_pattern(far: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "x" / "a.log", "one\n", at=1000)
    write(tmp_path / "y" / "a.log", "two\n")
    for text in (f"{tmp_path}/*/*.log", "~/?/*.log"):
        source = await far(f"me@box:{text}")
        assert isinstance(source, PointingSource)
        assert await shows(source, b"two\n")
    none = await far("me@box:*.none")
    assert await until(lambda: none.shape.name in none.shape.detail), "no other name stands before what is said"
    with pytest.raises(InputError, match=r"on another host it can hold neither '\*\*' nor '..'"):
        await far(f"me@box:{tmp_path}/**/*.log")


async def test_there_a_name_that_looks_like_a_pattern(far: Open, tmp_path: Path) -> None:
    write(tmp_path / "run[1].log", "one\n")
    source = await far(f"me@box:{tmp_path}/run[1].log")
    assert isinstance(source, RemoteSource)
    assert await shows(source, b"one\n")


async def test_there_the_newest_is_followed_as_files_come_and_go(
    far: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_LOOK_S", 0.05)
    monkeypatch.setattr("monitors.logs.choosing.STAY_S", 0.0)
    monkeypatch.setattr("monitors.logs.choosing.GONE_S", 0.2)
    source = await far(f"me@box:{tmp_path}/*.log")
    expected = b""
    for number in range(4):
        write(tmp_path / f"{number}.log", f"{number}\n")
        expected += b"%d\n" % number
        assert await shows(source, expected)
    # What is shown may have been read from the file there; only what was sent as well outlives that
    assert await until(lambda: held(source) == b"3\n")
    os.unlink(tmp_path / "3.log")
    assert await until(lambda: source.shape.name.endswith("2.log"))
    write(tmp_path / "2.log", "more\n")
    assert await shows(source, expected + b"more\n"), "and nothing twice"


async def test_there_what_no_log_can_be(far: Open, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError) as caught:
        await far(f"me@box:{tmp_path}/fifo")
    assert str(caught.value) == (
        f"me@box:{tmp_path}/fifo is neither a file nor a folder; no other log can be read on a host"
    )


async def test_a_host_that_cannot_be_reached() -> None:
    async def connect(host: str) -> HostReader:
        raise UnreachableError(f"{host}: no route")

    with pytest.raises(UnreachableError, match="box: no route"):
        await open_source(parse_target("box:/x"), connect)
