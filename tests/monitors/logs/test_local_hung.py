"""A log on a mount that stops answering."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from hosts.errors import UnreachableError
from monitors.logs.local import LocalSource
from monitors.logs.local_files import Files
from monitors.logs.types import Status
from tests.monitors.logs.looks import Log
from tests.monitors.logs.test_local import PATIENCE_S, Reader, reading


class Held(Files):
    """A file system that stops answering when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0  # how often, while it did not answer

    def wait(self) -> None:
        if not self.answers.is_set():
            self.asked += 1
            self.answers.wait()

    def stat(self, path: str) -> os.stat_result:
        self.wait()
        return super().stat(path)

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        self.wait()
        return super().pread(handle, size, offset)


async def test_a_mount_that_hangs_is_told_of_and_holds_nobody_up(tmp_path: Path) -> None:
    log = Log(tmp_path)
    written = log.append(log.lines(100_000, 100))
    files = Held()
    async with reading(LocalSource(str(log.path), silence=0.3, files=files)) as reader:
        await reader.until(lambda: reader.source.looks[0] > 3 and reader.size)
        files.answers.clear()
        more = log.append()
        await reader.until(lambda: reader.source.shape.status is Status.STALE)
        assert "no answer" in reader.source.shape.detail
        end = await reader.source.read(0, len(written) - 1000, 5000)  # what was seen needs no file
        assert end == written[-1000:]
        with pytest.raises(UnreachableError):
            await reader.source.read(0, 0, 10)
        files.answers.set()
        await reader.until(lambda: reader.source.shape.status is Status.LIVE)
        await reader.until(lambda: reader.size == len(written + more))
        assert await reader.source.read(0, 0, 10) == written[:10]


async def test_closing_does_not_wait_for_a_mount_that_hangs(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append()
    files = Held()
    source = LocalSource(str(log.path), files=files)
    reader = Reader(source)
    await source.start(reader.changed)
    try:
        await reader.until(lambda: reader.size)
        files.answers.clear()
        await reader.until(lambda: files.asked)
        await asyncio.wait_for(source.close(), PATIENCE_S)
        assert source._thread.is_alive()  # it hangs on
    finally:
        files.answers.set()
    await asyncio.wait_for(asyncio.to_thread(source._thread.join), PATIENCE_S)
