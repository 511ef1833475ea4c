"""A folder or a pattern as one log, over real files and their real sources."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import UnreachableError
from monitors.logs import pointing
from monitors.logs.choosing import GONE_S, QUIET_S, STAY_S, Looked
from monitors.logs.local import LocalSource
from monitors.logs.looking import Look
from monitors.logs.marks import Marks
from monitors.logs.pointing import LocalLooker, PointingSource
from monitors.logs.types import GoneError, MarkKind, Status
from tests.monitors.logs.memory import MemorySource
from tests.peers.callers import until

Open = Callable[..., Any]


class Clock:
    """The clock of the rule; it moves when a test says so, and a little with every look."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def point(tmp_path: Path, clock: Clock) -> AsyncIterator[Open]:
    """Makes and starts sources that point into the test's folder."""
    made: list[PointingSource] = []

    async def make(text: str = "", **options: Any) -> PointingSource:
        look = Look(str(tmp_path), tuple(text.split("/")) if text else None)
        whole: dict[str, Any] = {"visible_interval": 0.01, "monotonic": clock, **options}
        source = PointingSource(LocalLooker(look), LocalSource, str(tmp_path), "no log yet", **whole)
        made.append(source)
        await source.start(lambda: None)
        return source

    yield make
    for source in made:
        await source.close()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


async def readable(source: PointingSource) -> bytes:
    """All that can be read, of all generations."""
    found = [await source.read(one.number, one.first, one.size - one.first) for one in source.shape.generations]
    return b"".join(found)


async def shows(source: PointingSource, text: bytes) -> bool:
    """Wait until the log ends so."""

    async def ends() -> bool:
        try:
            return (await readable(source)).endswith(text)
        except GoneError:
            return False

    for _ in range(2000):
        if await ends():
            return True
        await asyncio.sleep(0.01)
    return False


def kinds(source: PointingSource) -> list[MarkKind]:
    return [mark.kind for mark in source.shape.marks]


async def test_without_a_log_it_waits_and_says_so(point: Open, tmp_path: Path) -> None:
    source = await point()
    assert await until(lambda: source.shape.detail == "no log yet")
    assert source.shape.status is Status.WAITING
    assert source.shape.generations == ()
    write(tmp_path / "a.log", "one\n")
    assert await shows(source, b"one\n")
    assert await until(lambda: source.shape.status is Status.LIVE)
    assert (source.shape.name, source.shape.marks) == (str(tmp_path / "a.log"), ())


async def test_a_folder_that_is_not_there_yet(point: Open, tmp_path: Path, clock: Clock) -> None:
    os.rmdir(tmp_path)
    source = await point()
    assert await until(lambda: source.shape.detail == f"cannot list {tmp_path}: not there")
    write(tmp_path / "a.log", "one\n")
    assert await shows(source, b"one\n")
    assert source.shape.detail == ""


async def test_a_problem_of_the_looks_says_nothing_of_a_log_that_nobody_has_opened_yet(
    tmp_path: Path, clock: Clock
) -> None:
    class Barred(LocalLooker):
        """One that may not list all of it."""

        async def look(self, current: str | None) -> Looked:
            return replace(await super().look(current), problem="cannot list b/: Permission denied")

    write(tmp_path / "a.log", "one\n")
    looker, log = Barred(Look(str(tmp_path))), MemorySource()
    source = PointingSource(looker, lambda _: log, str(tmp_path), "no log yet", visible_interval=0.01, monotonic=clock)
    heard = list[tuple[Status, str]]()
    await source.start(lambda: heard.append((source.shape.status, source.shape.detail)))
    try:
        assert await until(lambda: len(heard) > 1)
        assert set(heard) == {(Status.WAITING, "")}
        log.append(b"one\n")
        assert await until(lambda: source.shape.status is Status.LIVE)
        assert source.shape.detail == "cannot list b/: Permission denied"
    finally:
        await source.close()


async def test_looks_that_hang_say_so_of_a_log_that_nobody_has_opened_yet(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hung(LocalLooker):
        async def look(self, current: str | None) -> Looked:
            if current is not None:
                await asyncio.Event().wait()
            return await super().look(current)

    monkeypatch.setattr(pointing, "_PATIENCE_S", 0.1)
    write(tmp_path / "a.log", "one\n")
    looker = Hung(Look(str(tmp_path)))  # but for the first look
    source = PointingSource(looker, lambda _: MemorySource(), str(tmp_path), "", visible_interval=0.01, monotonic=clock)
    await source.start(lambda: None)
    try:
        assert await until(lambda: source.shape.detail == f"{tmp_path}/: no answer for 0.1 s")
        assert source.shape.status is Status.STALE
    finally:
        await source.close()


async def test_a_newer_log_takes_over_and_a_mark_says_so(point: Open, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "a.log", "one\n")
    source = await point()
    assert await shows(source, b"one\n")
    clock.now += STAY_S
    write(tmp_path / "a.log", "last of one\n")
    write(tmp_path / "b.log", "two\n")
    assert await shows(source, b"one\nlast of one\ntwo\n")
    old, new = source.shape.generations
    assert (old.number, new.number) == (0, 1)
    assert (old.live, new.live) == (False, True)
    [mark] = source.shape.marks
    assert (mark.kind, mark.text, mark.missing) == (MarkKind.REPOINTED, "now b.log: newer", 0)
    assert (mark.at.generation, mark.at.offset) == (1, 0)
    assert source.shape.name == str(tmp_path / "b.log")
    write(tmp_path / "b.log", "more\n")
    assert await shows(source, b"two\nmore\n")
    assert source.descriptor(0) != source.descriptor(1)
    assert os.pread(source.descriptor(0), 4, 0) == b"one\n"


async def test_what_was_shown_is_not_shown_again(point: Open, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "a.log", "a1\n")
    source = await point()
    assert await shows(source, b"a1\n")
    clock.now += STAY_S
    write(tmp_path / "b.log", "b1\n")
    assert await shows(source, b"b1\n")
    write(tmp_path / "a.log", "a2\n")
    await asyncio.sleep(0.1)  # nothing is to happen
    assert await readable(source) == b"a1\nb1\n"
    clock.now += QUIET_S
    assert await until(lambda: source.shape.name.endswith("a.log"))
    write(tmp_path / "a.log", "a3\n")
    assert await shows(source, b"a1\nb1\na2\na3\n")
    assert [(one.first, one.size) for one in source.shape.generations] == [(0, 3), (0, 3), (3, 9)]
    back = source.shape.marks[-1]
    assert (back.kind, back.at.generation, back.at.offset) == (MarkKind.REPOINTED, 2, 3)
    assert back.text.startswith("now a.log: the one before was silent for ")
    with pytest.raises(GoneError):
        await source.read(2, 0, 3)
    assert await source.read(0, 0, 100) == b"a1\n", "a generation ends where it was left"


async def test_rotation_while_another_file_was_read(point: Open, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "a.log", "a1\n")
    source = await point()
    assert await shows(source, b"a1\n")
    clock.now += STAY_S
    write(tmp_path / "b.log", "b1\n")
    assert await shows(source, b"b1\n")
    write(tmp_path / "a.log", "a2\n")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    write(tmp_path / "a.log", "a3\n")
    clock.now += STAY_S
    assert await shows(source, b"a1\nb1\na2\na3\n")
    assert kinds(source) == [MarkKind.REPOINTED, MarkKind.REPOINTED, MarkKind.ROTATED]
    numbers = [one.number for one in source.shape.generations]
    assert numbers == [0, 1, 2, 3]
    assert source.shape.marks[-1].at.generation == 3


async def test_a_mark_is_not_shown_again(point: Open, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "a.log", "a1\n")
    source = await point()
    assert await shows(source, b"a1\n")
    os.truncate(tmp_path / "a.log", 0)
    assert await until(lambda: kinds(source) == [MarkKind.TRUNCATED])
    for number in range(2):
        clock.now += STAY_S
        write(tmp_path / f"b{number}.log", "b\n")
        assert await shows(source, b"b\n")
        write(tmp_path / "a.log", f"a{number + 3}\n")
        clock.now += 2 * QUIET_S
        assert await until(lambda: source.shape.name.endswith("/a.log"))
        assert await shows(source, f"a{number + 3}\n".encode())
    assert await readable(source) == b"a1\nb\na3\nb\na4\n"
    assert kinds(source) == [MarkKind.TRUNCATED, *[MarkKind.REPOINTED] * 4]


async def test_rotation_of_the_present_file_is_its_sources_own_affair(
    point: Open, tmp_path: Path, clock: Clock
) -> None:
    write(tmp_path / "a.log", "a1\n")
    source = await point("*.log*")
    assert await shows(source, b"a1\n")
    clock.now += STAY_S
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    write(tmp_path / "a.log.1", "a2\n")
    write(tmp_path / "a.log", "a3\n")
    assert await shows(source, b"a1\na2\na3\n")
    assert kinds(source) == [MarkKind.ROTATED]


async def test_when_the_present_file_is_gone_the_next_one_takes_over(point: Open, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "a.log", "a1\n")
    write(tmp_path / "b.log", "b1\n")
    source = await point()
    assert await shows(source, b"b1\n")
    (tmp_path / "b.log").unlink()
    assert await until(lambda: "deleted" in source.shape.detail)

    def later() -> bool:
        clock.now += GONE_S
        return str(source.shape.name).endswith("a.log")

    assert await until(later)
    assert await shows(source, b"b1\na1\n")
    assert source.shape.marks[-1].text == "now a.log: the one before is gone"


async def test_what_was_shown_of_the_one_that_takes_over_is_no_gap(point: Open, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "a.log", "a1\n")
    source = await point()
    assert await shows(source, b"a1\n")
    clock.now += STAY_S + QUIET_S
    write(tmp_path / "b.log", "b1\n")
    assert await shows(source, b"a1\nb1\n")
    (tmp_path / "b.log").unlink()
    write(tmp_path / "a.log", "a2\n")

    def later() -> bool:
        clock.now += GONE_S
        return str(source.shape.name).endswith("a.log")

    assert await until(later)
    assert await shows(source, b"a1\nb1\na2\n")
    assert source.shape.generations[-1].first == 3
    marks = Marks()
    marks.update(source.shape, 0.0)
    assert MarkKind.LOST not in [mark.kind for mark in marks.between(None, None)]


async def test_binary_files_are_passed_over(point: Open, tmp_path: Path) -> None:
    (tmp_path / "z.pt").write_bytes(b"PK\0\0")
    write(tmp_path / "notes", "text\n")
    (tmp_path / "weights.bin").write_bytes(b"\0" * 100)
    source = await point()
    assert await shows(source, b"text\n")
    assert source.shape.name.endswith("notes")


async def test_a_folder_that_may_not_be_listed(anybody: None, point: Open, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0)
    source = await point()
    assert await until(lambda: source.shape.status is Status.DENIED)
    assert source.shape.detail == f"cannot list {tmp_path}: Permission denied"
    os.chmod(tmp_path, 0o700)
    write(tmp_path / "a.log", "one\n")
    assert await shows(source, b"one\n")


async def test_old_files_are_let_go(point: Open, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointing, "KEPT", 3)
    source = await point()
    for number in range(8):
        clock.now += STAY_S
        write(tmp_path / f"{number}.log", f"{number}\n")
        assert await shows(source, f"{number}\n".encode())
    assert await readable(source) == b"4\n5\n6\n7\n"
    lost = source.shape.marks[0]
    assert (lost.kind, lost.missing, lost.text) == (MarkKind.LOST, 8, "8 earlier bytes are not kept any more")
    assert (lost.at.generation, lost.at.offset) == (4, 0)
    assert kinds(source) == [MarkKind.LOST, *[MarkKind.REPOINTED] * 4]
    with pytest.raises(GoneError):
        await source.read(0, 0, 1)
    assert source.descriptor(0) is None
    assert len(source._files) == 4


async def test_a_lost_look_is_told_and_tried_again(tmp_path: Path) -> None:
    class Far:
        """Candidates on a host that does not answer at first."""

        def __init__(self) -> None:
            self.fails = 2

        def rank(self, path: str) -> int:
            return 2

        async def look(self, current: str | None) -> Looked:
            self.fails -= 1
            if self.fails >= 0:
                raise UnreachableError("box: no answer")
            return await asyncio.to_thread(Look(str(tmp_path)).look)

        async def is_text(self, path: str) -> bool:
            return True

        async def close(self) -> None:
            self.fails = -100

    far = Far()
    write(tmp_path / "a.log", "one\n")
    said: list[str] = []
    source = PointingSource(far, LocalSource, str(tmp_path), "no log yet", visible_interval=0.01)
    await source.start(lambda: said.append(source.shape.detail))
    assert await shows(source, b"one\n")
    assert said[0] == "box: no answer"
    assert await until(lambda: source.shape.status is Status.LIVE)
    await source.close()
    assert far.fails == -100


async def test_nothing_stays_behind(point: Open, tmp_path: Path, clock: Clock) -> None:
    before = len(os.listdir("/proc/self/fd"))
    write(tmp_path / "a.log", "one\n")
    source = await point()
    assert await shows(source, b"one\n")
    clock.now += STAY_S
    write(tmp_path / "b.log", "two\n")
    assert await shows(source, b"two\n")
    await source.close()
    assert len(os.listdir("/proc/self/fd")) == before
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks


async def test_who_looks_hears_of_every_change(tmp_path: Path, clock: Clock) -> None:
    heard = asyncio.Event()
    look = LocalLooker(Look(str(tmp_path)))
    source = PointingSource(look, LocalSource, str(tmp_path), "no log yet", visible_interval=0.01, monotonic=clock)
    await source.start(heard.set)
    for number in range(3):
        clock.now += STAY_S
        write(tmp_path / f"{number}.log", f"{number}\n")
        while [one.size for one in source.shape.generations] != [2] * (number + 1):
            await asyncio.wait_for(heard.wait(), 20)
            heard.clear()
    await source.close()


async def test_hidden_and_visible_reach_the_file(point: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", "one\n")
    source = await point(hidden_interval=0.01)
    assert await shows(source, b"one\n")
    inner = source._at.source
    source.watch(False)
    assert inner._interval == 0.25
    source.watch(True)
    assert inner._interval == 0.04
