"""A writer that rotates its log in every way there is, for ten minutes with `--long-proof`, for seconds without."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from monitors.logs.local import LocalSource
from monitors.logs.types import Generation, MarkKind
from tests.monitors.logs.test_local import reading

SECONDS = {False: 4.0, True: 600.0}
PAUSE = {False: 0.35, True: 3.0}  # between two rotations, on average
LINE = re.compile(rb"(\d{9}) x*\Z")

# Writes numbered lines at the rate asked for, and every now and then turns its log over; says at the end how many.
WRITER = r"""
import os, random, shutil, sys, time
path, seconds, pause, rate = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
draw = random.Random(6)
number = written = 0
ways = ["copy", "late", "delete", "twice", "rename"]
def opened():
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
def shift():
    for one in range(4, 0, -1):
        if os.path.exists(f"{path}.{one}"):
            os.rename(f"{path}.{one}", f"{path}.{one + 1}")
def write(lines):
    global number, written
    data = b""
    for _ in range(lines):
        data += b"%09d %s\n" % (number, b"x" * draw.randrange(200))
        number += 1
    at = draw.randrange(len(data))
    os.write(handle, data[:at])
    os.write(handle, data[at:])
    written += len(data)
handle = opened()
begin = time.monotonic()
turn = begin + pause
while time.monotonic() < begin + seconds:
    write(draw.randrange(1, 2000))
    ahead = written / rate - (time.monotonic() - begin)
    if ahead > 0:
        time.sleep(ahead)
    if time.monotonic() < turn:
        continue
    turn = time.monotonic() + pause * draw.uniform(0.2, 1.8)
    if not ways:
        ways = ["copy", "copy", "rename", "late", "twice", "delete"]
        draw.shuffle(ways)
    way = ways.pop()
    if way == "copy":
        shift()
        shutil.copyfile(path, path + ".1")
        os.truncate(path, 0)
        continue
    for _ in range(2 if way == "twice" else 1):
        if way == "delete":
            time.sleep(0.6)  # nobody can have what is deleted before it is looked at,
            os.unlink(path)
            turn = time.monotonic() + pause  # nor tell what came after it if that is moved at once
        else:
            shift()
            os.rename(path, path + ".1")
        if way == "late":
            for _ in range(5):
                write(20)
                time.sleep(0.02)
        os.close(handle)
        handle = opened()
        write(50)
os.close(handle)
print(number)
"""


class Count:
    """Takes the lines of one generation after another, and holds them against what comes next."""

    def __init__(self) -> None:
        self.next = 0
        self.wrong: list[str] = []
        self._rest = b""

    def take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            found = LINE.match(line)
            number = int(found[1]) if found else -1
            if number != self.next:
                self.wrong.append(f"{line[:40]!r} where {self.next} should be")
            self.next = number + 1

    def turn(self, to: Generation) -> None:
        if self._rest:
            self.wrong.append(f"half a line before generation {to.number}")


def resident() -> int:
    """Memory of this process, KiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


@pytest.mark.timeout(900)
async def test_a_log_that_is_turned_over_all_the_time(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    long = bool(request.config.getoption("--long-proof"))
    path = tmp_path / "log"
    settings = [str(SECONDS[long]), str(PAUSE[long]), "20e6"]
    count = Count()
    source = LocalSource(str(path), kept=64)
    async with reading(source) as reader:
        writer = await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-S", "-c", WRITER, str(path), *settings], stdout=asyncio.subprocess.PIPE
        )
        at, offset, total, memory = 0, 0, 0, 0
        written: int | None = None

        async def follow() -> None:
            nonlocal at, offset, total, memory
            for one in source.shape.generations:
                if one.number < at:
                    continue
                if one.number > at:
                    count.turn(one)
                    at, offset = one.number, one.first
                while offset < one.size:
                    data = await source.read(at, offset, 1 << 20)
                    count.take(data)
                    offset += len(data)
                    total += len(data)
            memory = memory or resident()

        said = asyncio.create_task(writer.communicate())
        await reader.until(lambda: source.shape.generations)
        while written is None or count.next < written:
            assert not count.wrong
            before = total
            await follow()
            if said.done() and written is None:
                written = int(said.result()[0])
            if total == before:
                await reader.until(lambda: reader.size or said.done())
                await asyncio.sleep(0.02)
        await follow()
    # Deleted files are let go of when they take too much room; that is said at the beginning
    oldest = source.shape.generations[0].number
    marks = [mark for mark in source.shape.marks if mark.at.generation > oldest]
    print(f"{written} lines, {total / 1e6:.0f} MB, {at + 1} generations, {memory} to {resident()} KiB")  # noqa: T201
    assert count.wrong == []
    assert count.next == written
    assert [mark for mark in marks if mark.kind not in {MarkKind.ROTATED, MarkKind.TRUNCATED}] == []
    assert {mark.missing for mark in marks} == {0}
    assert resident() < memory + (64 << 10)
    assert len(os.listdir("/proc/self/fd")) < 64
