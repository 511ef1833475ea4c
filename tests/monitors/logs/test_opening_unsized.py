"""Files that the kernel makes up while they are read: no size says how much of them there is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hosts.child import open_subprocess
from hosts.errors import InputError
from hosts.here import LocalReader
from hosts.host import HostReader
from hosts.pipe import PipeReader
from hosts.target import parse_target
from jobs.bundle import build_image
from monitors.logs.local import LocalSource
from monitors.logs.opening import Connect, open_source
from monitors.logs.remote import RemoteSource

UNTOLD = ["/proc/meminfo", "/sys/class/net/lo/mtu"]
"""The one says that it is empty, the other that it is a page long."""


@pytest.mark.parametrize("path", UNTOLD)
async def test_a_file_without_a_size_is_refused_with_a_way_to_read_it(path: str) -> None:
    with pytest.raises(InputError) as caught:
        await open_source(parse_target(path))
    assert str(caught.value) == f"{path} does not say how long it is; try: cat {path} | gatewatch tail -"


@pytest.mark.parametrize("path", UNTOLD)
def test_the_command_says_so_in_one_line(house: Path, path: str) -> None:
    ended = tail(house, path)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.count(b"\n") == 1
    assert b"does not say how long it is" in ended.stderr


@pytest.mark.parametrize("path", UNTOLD)
def test_it_is_no_better_as_standard_input(house: Path, path: str) -> None:
    with Path(path).open("rb") as file:
        ended = tail(house, "-", stdin=file.fileno())
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert f"try: cat {Path(path).resolve()} | gatewatch tail -".encode() in ended.stderr


def tail(house: Path, target: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, str(house / "gatewatch.py"), "tail", "--plain", target]
    return subprocess.run(argv, stdin=stdin, capture_output=True, timeout=60, check=False)


async def test_an_empty_log_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    assert isinstance(await open_source(parse_target(f"{tmp_path}/a.log")), LocalSource)


async def test_a_log_that_is_a_hole_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    os.truncate(tmp_path / "a.log", 1 << 20)
    assert isinstance(await open_source(parse_target(f"{tmp_path}/a.log")), LocalSource)


async def test_a_log_whose_writer_begins_just_now_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    log.touch()
    pread = os.pread

    def late(handle: int, size: int, offset: int) -> bytes:
        log.write_bytes(b"one\n")
        return pread(handle, size, offset)

    monkeypatch.setattr(os, "pread", late)
    assert isinstance(await open_source(parse_target(str(log))), LocalSource)


async def test_a_log_that_is_emptied_just_now_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    log.touch()
    os.truncate(log, 1 << 20)
    pread = os.pread

    def late(handle: int, size: int, offset: int) -> bytes:
        os.truncate(log, 0)
        return pread(handle, size, offset)

    monkeypatch.setattr(os, "pread", late)
    assert isinstance(await open_source(parse_target(str(log))), LocalSource)


@pytest.fixture(params=["local", "pipe"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Gives a host that is this machine, looked at from here or by a helper."""

    async def make(_host: str) -> HostReader:
        if request.param == "local":
            return LocalReader("box")
        image = await asyncio.to_thread(build_image)
        return PipeReader("box", open_subprocess, image, python=sys.executable)

    return make


@pytest.mark.parametrize("path", UNTOLD)
@pytest.mark.parametrize(("host", "who"), [("box", "box"), ("me@[::1]", "me@::1")])
async def test_there_it_is_refused_with_a_way_to_read_it(connect: Connect, host: str, who: str, path: str) -> None:
    with pytest.raises(InputError) as caught:
        await open_source(parse_target(f"{host}:{path}"), connect)
    assert str(caught.value) == (
        f"{host}:{path} does not say how long it is; try: gatewatch hosts exec {who} -- cat {path} | gatewatch tail -"
    )


async def test_there_the_way_to_read_it_passes_the_shell(connect: Connect, tmp_path: Path) -> None:
    link = tmp_path / "it's [1] $up\tx*"
    link.symlink_to("/proc/uptime")
    with pytest.raises(InputError) as caught:
        await open_source(parse_target(f"box:{link}"), connect)
    said = str(caught.value).partition("try: gatewatch hosts exec box -- ")[2].partition(" | gatewatch")[0]
    ran = await asyncio.to_thread(subprocess.run, ["bash", "-c", said], capture_output=True, text=True, check=True)
    assert len(ran.stdout.split()) == 2


@pytest.mark.parametrize("size", [0, 1, 1 << 20])
async def test_there_a_log_is_one(connect: Connect, tmp_path: Path, size: int) -> None:
    (tmp_path / ".[a].log").touch()
    os.truncate(tmp_path / ".[a].log", size)
    source = await open_source(parse_target(f"box:{tmp_path}/.[a].log"), connect)
    assert isinstance(source, RemoteSource)
    await source.close()
