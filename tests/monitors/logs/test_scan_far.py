"""Searches of a log on another host that are done there: through a helper in a child process, and a real sshd."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bootstrap import RunnerImage
from hosts.errors import InputError
from hosts.host import Json
from hosts.lent import lend
from hosts.local import scanwire
from hosts.local.blocks import BlockHits
from hosts.local.levels import Level
from hosts.local.lines import BLOCK, UTF8, UTF16_LE, Encoding
from hosts.stream_scan import Frame, Orders
from hosts.target import Target
from jobs.bundle import build_image
from monitors.logs import remote_way, scan_far, scanning
from monitors.logs.hits import Search
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.pages import PAGE
from monitors.logs.remote import RemoteSource
from monitors.logs.scanning import Scanner
from monitors.logs.types import Filter, Place, Query, Source
from tests.hosts import test_bare
from tests.monitors.logs.test_remote import append, sizes
from tests.monitors.logs.test_remote_stream import WAYS, Far
from tests.peers import bare, sshd
from tests.peers.callers import is_gone, until

MIB = 1 << 20
ALL = 1 << 30
FOR_EVER = Query("(a+)+$", regex=True)
INFO = b"2026-01-02 03:04:05 INFO nothing of any interest to anybody\n"
WARN = b"2026-01-02 03:04:05 WARNING the needle\n"

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def image() -> RunnerImage:
    return build_image()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


@pytest.fixture(params=WAYS)
async def far(request: pytest.FixtureRequest, image: RunnerImage) -> AsyncIterator[Far]:
    made = Far(image, request.getfixturevalue("peer") if request.param == "sshd" else None)
    yield made
    await made.end()


@pytest.fixture
async def look(log: Path, far: Far, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Opens the log, and gives what searches it; the second search of a log shares its worker."""
    monkeypatch.setattr(scan_far, "AGAIN_S", 0.05)
    monkeypatch.setattr(remote_way, "_FIRST_S", 0.01)
    ends: list[Callable[[], Any]] = []
    opened: dict[Path, tuple[Source, Scanner, list[Search]]] = {}

    async def connect(_host: str) -> Any:
        return lend(far)

    async def make(wanted: Query | Filter, path: Path = log, encoding: Encoding = UTF8) -> Search:
        if path not in opened:
            source, scanner = await open_source(Target("box", str(path)), connect), Scanner(small=0)
            searches: list[Search] = []

            def changed() -> None:
                for search in searches:
                    search.update()

            await source.start(changed)
            ends.extend((source.close, scanner.close))
            opened[path] = source, scanner, searches
            assert await until(lambda: bool(sizes(source)))
        source, scanner, searches = opened[path]
        searches.append(Search(source, scanner, wanted, encoding=lambda _: encoding))
        return searches[-1]

    yield make
    for end in reversed(ends):
        await end()


def large(mib: int) -> bytes:
    """A log of so many MiB, with a needle in each."""
    return (INFO * (BLOCK // len(INFO)) + WARN) * mib


async def done(search: Search) -> bool:
    return await until(lambda: search.progress.done, 60)


async def places(search: Search) -> list[Place]:
    found, whole = await search.ahead(Place(0, 0), ALL, wait=True)
    assert whole
    return found


def worker(far: Far) -> int:
    """The worker's process there; 0 while there is none."""
    return next(iter(sshd.children(far.helper)), 0) if far.helper else 0


async def busy(pid: int) -> bool:
    """Wait until a process has worked for a while."""

    def worked() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    began = worked()
    return await until(lambda: worked() > began + os.sysconf("SC_CLK_TCK") // 4)


async def test_a_large_log_is_searched_there(look: Make, far: Far, log: Path) -> None:
    append(log, large(24))
    search = await look(Query("NEEDLE", case=False))
    assert await done(search)
    assert search.progress.hits == 24
    assert far.received < MIB, "and nothing but its end and what was found came here"
    assert await search.next(Place(0, 0)) == Place(0, large(1).index(WARN))
    append(log, WARN)
    assert await until(lambda: search.progress.hits == 25)
    assert await done(search)
    end = len(large(24) + WARN)
    assert await search.previous(Place(0, end)) == Place(0, end - len(WARN))
    assert await search.previous(Place(0, end - len(WARN))) == Place(0, end - 2 * len(WARN))
    assert await search.nth(2) == Place(0, len(large(3)) - len(WARN))
    assert await search.ordinal(Place(0, len(large(2)))) == 2
    assert far.received < MIB


FRAGMENTS = (
    *(b"ERROR x\n", b"error Stra\xc3\x9fe\r\n", b"INFO \xff\xfe needle\n", b" 10%\r 20%\r 30% WARNING\n", b"\n", b"\r"),
    *(
        b"Traceback (most recent call last):\n  File x\n",
        b"[x] 0\x00\n",
        b"NEEDLE",
        b"\xe2\x80\xa8 needle\n",
        b"x" * 70,
    ),
)
WANTED = (
    *(Query("needle"), Query("Needle"), Query("NEEDLE", case=True), Query("stra\u00dfe"), Query("\udcff")),
    *(Query(r"^\s*\d+%", regex=True), Query(r"x$|n..dle", regex=True, case=False), Query(level=Level.WARNING)),
    *(Filter(level=Level.ERROR), Filter(exclude=(Query("x"),)), Filter(include=(Query("needle"),), level=Level.INFO)),
    Filter(include=(Query("e"), Query(r"\d", regex=True)), exclude=(Query("INFO"), Query(level=Level.ERROR))),
)


def some_log(chance: random.Random) -> bytes:
    """Between one and three blocks of anything, long lines among it."""
    parts: list[bytes] = [b"\xef\xbb\xbf"] if chance.random() < 0.5 else []
    for _ in range(chance.randrange(20, 40)):
        one = chance.choice(FRAGMENTS)
        parts.append(one * chance.choice((1, 3, 2_000 // len(one), 60_000 // len(one))))
    parts.append(chance.choice((b"", b"y" * (BLOCK + 100), b"z" * BLOCK)))
    parts += [b"".join(chance.choices(FRAGMENTS, k=500))]
    return b"".join(parts)


@pytest.mark.parametrize("far", ["pipe"], indirect=True)
@pytest.mark.parametrize("seed", range(4))
async def test_what_is_found_there_is_what_is_found_here(
    look: Make, far: Far, log: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    data = some_log(chance)
    encoding = UTF16_LE if seed == 3 else UTF8
    append(log, data.decode("latin-1").encode("utf-16") if seed == 3 else data)
    all_wanted = chance.sample(WANTED, 5)
    there = [await look(wanted, encoding=encoding) for wanted in all_wanted]
    for search in there:
        assert await done(search)
    assert len(sshd.children(far.helper)) == 1
    monkeypatch.setattr(scanning, "searcher_of", lambda *_: None)
    for search, wanted in zip(there, all_wanted, strict=True):
        here = await look(wanted, encoding=encoding)
        assert await done(here)
        found = await places(here)
        assert await places(search) == found, wanted
        assert (await search.behind(Place(0, len(data) // 2), ALL, wait=True))[0] == [
            one for one in found if one.offset < len(data) // 2
        ]
        for at in (Place(0, chance.randrange(len(data))) for _ in range(3)):
            assert await search.next(at) == await here.next(at)
            assert await search.previous(at) == await here.previous(at)
            assert await search.ordinal(at) == await here.ordinal(at)
        assert search.progress == here.progress
        here.close()


@pytest.mark.parametrize("far", ["pipe"], indirect=True)
async def test_rows_without_a_level_at_a_block_s_beginning_begin_where_they_do(look: Make, far: Far, log: Path) -> None:
    rest = b"x" * 30_000 + b"\n"
    rows = [b"INFO "] * 30 + [b"  at "] * 10 + [b"ERROR "] * 3 + [b"  at "] * 2 + [b"INFO "] * 3
    append(log, b"".join(row + rest for row in rows))
    starts = [sum(len(row + rest) for row in rows[:number]) for number in range(len(rows))]
    errors, every = await look(Filter(level=Level.ERROR)), await look(Filter(level=Level.INFO))
    assert await done(errors)
    assert await done(every)
    received = far.received
    assert await places(errors) == [Place(0, start) for start in starts[40:45]]
    assert await places(every) == [Place(0, start) for start in starts]
    assert await errors.next(Place(0, starts[31])) == Place(0, starts[40])
    assert far.received - received < 100_000, "and none of it was read for that"


async def test_a_log_that_turns_over_is_searched_on(look: Make, far: Far, log: Path) -> None:
    append(log, large(6))
    search = await look(Query("needle"))
    assert await done(search)
    os.rename(log, f"{log}.1")
    append(log, large(2))
    assert await until(lambda: search.progress.hits == 8)
    os.rename(f"{log}.1", f"{log}.2")
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, WARN)
    assert await until(lambda: search.progress.hits == 9 and search.progress.done)
    assert [one.generation for one in await places(search)] == [0] * 6 + [1] * 2 + [2]


async def test_of_a_copy_the_rest_is_searched_there(look: Make, far: Far, log: Path) -> None:
    append(log, large(12))
    first = await look(Query("absent"))
    assert await done(first)
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, WARN)
    assert await until(lambda: first.progress.total == len(large(12) + WARN))
    received = far.received
    again = await look(Query("needle"))
    assert await done(again)
    assert again.progress.hits == 13
    assert far.received - received < MIB


@pytest.mark.parametrize("what", ["way", "worker", "helper"])
async def test_what_is_lost_on_the_way_goes_on_where_it_was(
    look: Make, far: Far, log: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, large(48))
    search = await look(Filter(level=Level.WARNING))
    told: list[int] = []
    put = search.hits.put

    def noted(generation: int, found: BlockHits) -> None:
        told.append(found.block)
        put(generation, found)

    monkeypatch.setattr(search.hits, "put", noted)
    assert await until(lambda: search.progress.scanned > 2 * MIB)
    assert not search.progress.done
    if what == "way":
        far.cut()
    else:
        os.kill(worker(far) if what == "worker" else far.helper, signal.SIGKILL)
    assert await done(search)
    assert search.progress.hits == 48
    assert len(told) < 60, "and no block is looked at again but the last"
    assert far.received < 2 * MIB


@pytest.mark.parametrize("how", ["search", "scanner", "way", "helper", "idle"])
async def test_nothing_goes_on_there_that_nobody_waits_for(
    look: Make, far: Far, log: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_far, "LINGER_S", 0.05 if how in {"search", "idle"} else 60.0)
    append(log, b"a" * 60 + b"b\n" + large(1))
    wanted = Query("needle") if how == "idle" else FOR_EVER
    search = await look(wanted)
    assert await until(lambda: worker(far) > 0)
    pid = worker(far)
    if how == "idle":
        assert await done(search)
        search.close()
    else:
        assert await busy(pid)
    if how == "search":
        search.close()
    elif how == "scanner":
        assert search._scan is not None
        await search._scan._scanner.close()
    elif how == "way":
        far.cut()
    elif how == "helper":
        os.kill(far.helper, signal.SIGKILL)
    assert await until(lambda: is_gone(pid))


async def test_a_cancelled_search_leaves_the_others(look: Make, far: Far, log: Path) -> None:
    append(log, b"a" * 60 + b"b\n" + large(3))
    stuck, search = await look(FOR_EVER), await look(Query("needle"))
    assert await until(lambda: worker(far) > 0)
    pid = worker(far)
    stuck.close()
    assert await done(search)
    assert search.progress.hits == 3
    assert worker(far) == pid


async def test_of_hits_that_are_far_apart_a_page_of_each_travels(
    look: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, large(6))

    async def connect(_host: str) -> Any:
        return lend(far)

    source, scanner = await open_source(Target("box", str(log)), connect), Scanner(small=0)
    model = LogModel(source, scanner=scanner)
    read, sizes_read = source.read, [0]

    async def counted(number: int, offset: int, size: int) -> bytes:
        data = await read(number, offset, size)
        sizes_read.append(len(data))
        return data

    monkeypatch.setattr(model._pages, "_fetch", counted)
    await model.start()
    try:
        assert await until(lambda: model.state.lines is not None, 60)
        model.filter(Filter(include=(Query("needle"),)))
        shown: list[int | None] = []

        async def whole() -> bool:
            nonlocal shown
            sizes_read.clear()
            model._pages.forget(())
            window = await model.window(model.end_place(), 5, 0)
            shown = [line.number for line in window.lines]
            return not window.busy and len(shown) == 5

        async with asyncio.timeout(60):
            while not await whole():  # noqa: ASYNC110 - the answer is asked for anew, as a screen does
                await asyncio.sleep(0.05)
        each = BLOCK // len(INFO) + 1
        assert shown == [each * number for number in range(2, 7)]
        assert sum(sizes_read) < 8 * PAGE
    finally:
        await model.close()
        await scanner.close()


async def test_a_search_yields_to_what_runs_there(look: Make, far: Far, log: Path) -> None:
    append(log, large(1))
    assert await done(await look(Query("needle")))
    nice, own = (os.getpriority(os.PRIO_PROCESS, pid) for pid in (worker(far), far.helper))
    assert nice > own or nice == 19


@pytest.mark.parametrize("far", ["pipe"], indirect=True)
async def test_an_expression_that_takes_too_long_is_told(look: Make, far: Far, log: Path) -> None:
    append(log, b"a" * 60 + b"b\n" + large(1))
    search = await look(FOR_EVER)
    assert await until(lambda: "too complicated" in search.progress.problem)
    assert await search.next(Place(0, 0)) is None


async def test_the_newest_log_of_a_folder_is_searched_there(look: Make, far: Far, tmp_path: Path) -> None:
    append(tmp_path / "run.log", large(12))
    search = await look(Query("needle"), tmp_path)
    assert await done(search)
    assert search.progress.hits == 12
    assert far.received < MIB


async def test_where_there_is_one_channel_only_it_is_searched_here(look: Make, far: Far, log: Path) -> None:
    far.most = 1
    append(log, large(2))
    search = await look(Query("needle"))
    assert await done(search)
    assert search.progress.hits == 2
    assert far.received > MIB


@pytest.fixture
def bare_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    """An SSH server without a Python."""
    settings = bare.settings(tmp_path_factory.mktemp("bin")) + bare.SFTP
    with sshd.running(tmp_path_factory.mktemp("bare"), settings) as running:
        yield running


@pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")
@pytest.mark.parametrize("path", ["/proc/uptime", "/sys/class/net/lo/mtu"])
async def test_where_there_is_no_python_a_file_that_does_not_say_how_long_it_is_is_no_empty_log(
    bare_peer: sshd.SshPeer, image: RunnerImage, path: str
) -> None:
    host = test_bare.connect("asyncssh", bare_peer, image)

    async def connect(_host: str) -> Any:
        return lend(host)

    try:
        with pytest.raises(InputError, match=r"box:.* does not say how long it is, and no command"):
            await open_source(Target("box", path), connect)
    finally:
        await host.close()


@pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")
async def test_where_there_is_no_python_it_is_searched_here(
    bare_peer: sshd.SshPeer, image: RunnerImage, log: Path
) -> None:
    append(log, large(2))
    host, scanner = test_bare.connect("asyncssh", bare_peer, image), Scanner(small=0)
    source = RemoteSource(host, str(log), on_close=host.close)
    await source.start(lambda: None)
    assert await until(lambda: sizes(source) == [len(large(2))])
    search = Search(source, scanner, Query("needle"))
    assert await done(search)
    assert search.progress.hits == 2
    assert host.bare
    await scanner.close()
    await source.close()


def hits(block: int, upto: int, **other: Any) -> Frame:
    body = scanwire.JOB.pack(1, 0) + BlockHits(block, upto, **other).pack()
    return scanwire.HITS, body


@pytest.mark.parametrize("far", ["pipe"], indirect=True)
@pytest.mark.parametrize(
    "said",
    [
        (),
        ((scanwire.NEWS, b'["rubbish"]'),),
        ((scanwire.NEWS, b'["read", 1, 0, 100]'),),
        ((scanwire.NEWS, b"[" * 100_000),),
        ((scanwire.NEWS, b'["idle", 1, 99999999]'),),
        ((scanwire.BYTES, b"x"),),
        ((scanwire.HITS, b"\x01"),),
        ((scanwire.HITS, scanwire.JOB.pack(1, 0) + b"x"),),
        (hits(1 << 40, (1 << 60) + 1),),
        (hits(0, BLOCK + 1),),
        (hits(1, 5),),
        (hits(0, BLOCK, bits=b"\xff" * BLOCK),),
        (hits(0, BLOCK, newlines=5),),
        (hits(0, BLOCK, leaves=9),),
        (hits(0, BLOCK, bits=b"\1", starts=(5, 7), ranks=(1, 2)),),
        (hits(0, BLOCK, bits=b"\3", starts=(7, 7), ranks=(1, 2)),),
        (hits(0, BLOCK, bits=b"\1", starts=(BLOCK,), ranks=(1,)),),
        (hits(0, BLOCK, bits=b"\1", starts=(5,), ranks=(6,)),),
        (hits(0, BLOCK, bits=b"\3", starts=(5, 7), ranks=(2, 1)),),
    ],
    ids=lambda said: f"{said[0][0]}" if said else "nothing",
)
async def test_of_a_worker_that_talks_nonsense_nothing_is_believed(
    look: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch, said: tuple[Frame, ...]
) -> None:
    begun: list[Json] = []

    async def scan(orders: Orders) -> AsyncGenerator[Frame]:
        while said and (order := await orders.get())[0] != "scan":
            pass
        begun.append(order[1] if said else None)
        for frame in said:
            yield frame
        if said:
            await asyncio.Event().wait()

    monkeypatch.setattr(scan_far, "AGAIN_S", 0.001)
    monkeypatch.setattr(far, "scan", scan)
    append(log, large(2))
    search = await look(Query("needle"))
    assert await done(search)
    assert search.progress.hits == 2
    assert begun == ([1] * 4 if said else [None])


@pytest.mark.parametrize("far", ["pipe"], indirect=True)
async def test_a_worker_that_says_nothing_is_not_waited_for(
    look: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scan(_orders: Orders) -> AsyncGenerator[Frame]:
        await asyncio.Event().wait()
        yield 0, b""

    monkeypatch.setattr(scan_far, "_STARTING_S", 0.05)
    monkeypatch.setattr(far, "scan", scan)
    append(log, large(2))
    search = await look(Query("needle"))
    assert await done(search)
    assert search.progress.hits == 2


@pytest.mark.parametrize("far", ["pipe"], indirect=True)
async def test_a_worker_that_listens_to_nobody_is_ended(
    look: Make, far: Far, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Json] = []
    ended: list[str] = []

    async def scan(orders: Orders) -> AsyncGenerator[Frame]:
        try:
            yield scanwire.NEWS, b'["sync",0]'
            while True:
                begun.append((await orders.get())[0])
        finally:
            ended.append("one")

    monkeypatch.setattr(scan_far, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(far, "scan", scan)
    append(log, large(2))
    first, second = await look(Query("needle")), await look(Query("INFO"))
    assert await until(lambda: begun.count("scan") == 2)
    assert not ended
    first.close()
    assert await until(lambda: ended == ["one"])
    monkeypatch.undo()
    assert await done(second)
