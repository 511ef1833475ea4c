"""A scan worker beside a stream: what it finds, and that it ends when it is to."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hosts.local import scanwire
from hosts.local.blocks import Alarm, BlockHits, Matcher, Pattern, Sign, unpack
from hosts.local.lines import BLOCK
from hosts.local.scanbeside import Beside
from hosts.local.streamwire import PartReader, Piece

pytestmark = pytest.mark.travels

PATIENCE = 30.0
ROWS = (b"INFO one line of a log\n" * (BLOCK // 23)) * 2
FOR_EVER = Matcher((Pattern("(a+)+$", regex=True),))
TRAP = b"a" * 60 + b"b\n"


class Asked:
    """A worker, and what it has said."""

    def __init__(self) -> None:
        self.hits: dict[int, BlockHits] = {}
        self.ended = False
        self.news: list[Any] = []
        self._said: queue.Queue[bytes] = queue.Queue()
        self._parts = PartReader()
        self._frames = scanwire.Frames()
        self.beside = Beside(self._write, 7)
        self.thread = threading.Thread(target=self.beside.run)
        self.thread.start()
        self.order("sync", 1)
        self.until("sync", 1)

    def _write(self, parts: Sequence[bytes]) -> None:
        self._said.put(b"".join(parts))

    @property
    def pid(self) -> int:
        assert self.beside._process is not None
        return self.beside._process.pid

    def order(self, *order: Any) -> None:
        self.beside.order([*order])

    def open(self, file: Path, **other: Any) -> None:
        status = file.stat()
        head = file.read_bytes()[:1024]
        asked = {"path": str(file), "inode": status.st_ino, "size": status.st_size, "covers": len(head)}
        self.order("open", 1, *({**asked, "head": hashlib.sha256(head).hexdigest(), **other}[key] for key in KEYS))

    def scan(self, matcher: Matcher, size: int, job: int = 1) -> None:
        whole = {"encoding": "utf-8", "first": 0, "size": size, "at": size, "forward": False, "rank": 0, "skip": []}
        self.order("scan", job, {"file": 1, "matcher": matcher.to_json(), **whole})

    def until(self, *news: Any) -> list[Any]:
        """Wait until something is said that begins so; ("end",): that it has ended."""
        end = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < end, f"{news} was not said"
            try:
                data = self._said.get(timeout=PATIENCE)
            except queue.Empty:
                continue
            found: list[Any] | None = None
            for part in self._parts.parts(data):
                assert part.stream == 7
                if not isinstance(part, Piece):
                    self.ended = True
                    continue
                for kind, body in self._frames.feed(part.data):
                    if kind == scanwire.HITS:
                        self.hits |= {one.block: one for one in unpack(body[scanwire.JOB.size :])}
                    else:
                        said = json.loads(body)
                        self.news.append(said)
                        found = said if said[: len(news)] == [*news] else found
            if found is not None or (self.ended and news == ("end",)):
                return found or []

    def count(self) -> int:
        return sum(int.from_bytes(one.bits, "little").bit_count() for one in self.hits.values())


KEYS = ("path", "inode", "size", "head", "covers")


@pytest.fixture
def asked() -> Iterator[Asked]:
    one = Asked()
    yield one
    one.beside.stop()
    one.thread.join(PATIENCE)
    assert not one.thread.is_alive()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a log \udcff"
    path.write_bytes(ROWS + b"ERROR here\n" + ROWS)
    return path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(what: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def busy(pid: int) -> None:
    """Wait until a process has worked for a while."""

    def worked() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    began = worked()
    until(lambda: worked() > began + os.sysconf("SC_CLK_TCK") // 4)


def test_it_searches_a_file_that_it_opened_itself(asked: Asked, log: Path) -> None:
    size = log.stat().st_size
    asked.open(log)
    asked.scan(Matcher((Pattern("here"),)), size)
    assert asked.until("idle") == ["idle", 1, size]
    assert asked.count() == 1
    assert sorted(asked.hits) == list(range(-(-size // BLOCK)))
    with log.open("ab") as file:
        file.write(b"and here\n")
    asked.order("grow", 1, 0, size + 9)
    assert asked.until("idle") == ["idle", 1, size + 9]
    assert asked.count() == 2
    asked.order("close", 1)
    asked.order("sync", 2)
    asked.until("sync", 2)
    assert not any("a log" in os.readlink(one) for one in Path(f"/proc/{asked.pid}/fd").iterdir())


def test_it_finds_what_tells_of_a_failure_by_its_text(asked: Asked, log: Path) -> None:
    alarm = Alarm(3, (Sign(("oom_kill", "oom kill"), r"\boom[_ ]kill\b"),), hint=r"\bno\s*$", speech="^assert")
    with log.open("ab") as file:
        file.write(b"1 oom_kill event\nno oom_kill event\nassert OOM kill\n\xff OOM KILL\n")
    size = log.stat().st_size
    asked.open(log)
    asked.scan(Matcher(alarm=alarm), size)
    assert asked.until("idle") == ["idle", 1, size]
    assert asked.count() == 3  # with the one that names its level


@pytest.mark.parametrize(
    "other", [{"inode": 1}, {"size": 1 << 40}, {"head": "0" * 64}, {"path": "/nowhere"}, {"path": "/dev/null"}], ids=str
)
def test_of_another_file_it_tells_nothing(asked: Asked, log: Path, other: dict[str, Any]) -> None:
    asked.open(log, **other)
    asked.scan(Matcher((Pattern("here"),)), log.stat().st_size)
    assert asked.until("another") == ["another", 1]
    asked.order("sync", 2)
    asked.until("sync", 2)
    assert not asked.hits


def test_what_is_written_anew_while_it_looks_is_not_told(asked: Asked, log: Path) -> None:
    size = log.stat().st_size
    asked.open(log)
    asked.scan(Matcher((Pattern("line"),)), size)
    asked.until("idle")
    with log.open("r+b") as file:  # what copytruncate leaves once its writer has gone on
        file.truncate(0)
        file.write(b"ERROR here, and more\n" * (size // 20))
    asked.hits.clear()
    asked.scan(Matcher((Pattern("here"),)), size, job=2)
    assert asked.until("another") == ["another", 2]
    assert not asked.hits


def test_where_few_hits_begin_is_told(asked: Asked, log: Path) -> None:
    data = log.read_bytes()
    asked.open(log)
    asked.scan(Matcher((Pattern("here"),)), len(data))
    asked.until("idle")
    told = [block * BLOCK + start for block, one in asked.hits.items() for start in one.starts]
    assert told == [data.index(b"ERROR")]
    ranks = [rank for one in asked.hits.values() for rank in one.ranks]
    assert ranks == [data[told[0] // BLOCK * BLOCK : told[0]].count(b"\n")]
    asked.scan(Matcher((Pattern("line"),)), len(data), job=2)
    asked.until("idle", 2)
    assert asked.count() > 1000
    assert not any(one.starts for one in asked.hits.values())


def test_a_file_that_has_a_new_name_is_searched_to_its_end(asked: Asked, log: Path) -> None:
    asked.open(log)
    asked.order("sync", 2)
    asked.until("sync", 2)
    size = log.stat().st_size
    log.rename(log.with_name("log.1"))
    asked.scan(Matcher((Pattern("here"),)), size)
    asked.until("idle")
    assert asked.count() == 1


def test_an_expression_that_never_ends_is_dropped_at_once(asked: Asked, log: Path) -> None:
    log.write_bytes(TRAP * 9)
    asked.open(log)
    asked.scan(FOR_EVER, log.stat().st_size)
    busy(asked.pid)
    asked.order("cancel", 1)
    asked.order("sync", 2)
    asked.until("sync", 2)
    assert not any(news[0] == "problem" for news in asked.news), "and not only once it is given up"
    began = Path(f"/proc/{asked.pid}/stat").read_text().split()[13:15]
    asked.order("sync", 3)
    asked.until("sync", 3)
    assert Path(f"/proc/{asked.pid}/stat").read_text().split()[13:15] == began, "it works on nothing any more"


def test_another_search_is_not_lost_when_one_is_cancelled(asked: Asked, log: Path) -> None:
    log.write_bytes(ROWS + b"aaa ERROR here\n")
    size = log.stat().st_size
    asked.open(log)
    asked.scan(Matcher((Pattern("(a|b)+ (ERROR) (h)ere", regex=True),)), size)
    for job in range(2, 30):
        asked.scan(Matcher((Pattern("nothing", regex=True),)), size, job=job)
        asked.order("cancel", job)
    assert asked.until("idle") == ["idle", 1, size]
    assert asked.count() == 1


@pytest.mark.parametrize("how", ["stopped", "killed", "let alone", "stopped while it stands still"])
def test_it_ends_in_the_middle_of_an_expression(asked: Asked, log: Path, how: str) -> None:
    log.write_bytes(TRAP)
    asked.open(log)
    asked.scan(FOR_EVER, log.stat().st_size)
    pid = asked.pid
    busy(pid)
    if how.startswith("stopped"):
        if how != "stopped":
            os.kill(pid, signal.SIGSTOP)
        asked.beside.stop()
    elif how == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        asked.beside._line.shutdown(2)  # as when whoever started it is killed
    asked.until("end")
    until(lambda: not alive(pid))


def test_what_is_no_order_ends_it(asked: Asked) -> None:
    asked.beside.order({"scan": "everything"})
    asked.order("rubbish")
    asked.until("end")
