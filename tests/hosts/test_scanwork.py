"""The scan worker, spoken to over its sockets."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hosts.local import scanwire
from hosts.local.blocks import BlockHits, Matcher, Pattern, unpack
from hosts.local.lines import BLOCK
from hosts.local.ripgrep import find_ripgrep
from hosts.local.scanwire import BYTES, HITS, JOB, NEWS, Frames

pytestmark = pytest.mark.travels

PATIENCE = 30.0
FOR_EVER = Matcher((Pattern("(a+)+$", regex=True),))
LOG = b"x\n" + b"a" * 60 + b"b\n" + b"y\n" * BLOCK


class Client:
    """The other side of a worker.

    Args:
        prepare: Python that the worker runs first, with `scanwork` at hand.
    """

    def __init__(self, house: Path, prepare: str = "pass") -> None:
        self.line, far = socket.socketpair()
        self._descriptors, far_descriptors = socket.socketpair()
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); from hosts.local import scanwork; "
            f"{prepare}; scanwork.main(int(sys.argv[2]), int(sys.argv[3]), True)"
        )
        fds = (far.fileno(), far_descriptors.fileno())
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, str(house), *map(str, fds)], pass_fds=fds, start_new_session=True
        )
        far.close()
        far_descriptors.close()
        self._frames = Frames()
        self._waiting: list[tuple[int, bytes]] = []
        self.line.settimeout(PATIENCE)
        assert self.news() == ["sync", 0]

    def send(self, *order: Any) -> None:
        self.line.sendall(scanwire.news(*order))

    def give(self, file: int, descriptor: int) -> None:
        self._descriptors.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))])
        self.send("file", file, True)

    def scan(self, job: int, size: int, matcher: Matcher | None = None, **more: Any) -> None:
        order = {"file": 1, "encoding": "utf-8", "first": 0, "size": size, "at": 0, "forward": True, "rank": 0}
        matching = None if matcher is None else matcher.to_json()
        self.send("scan", job, {**order, "matcher": matching, "skip": [], **more})

    def next(self) -> tuple[int, bytes]:
        while not self._waiting:
            data = self.line.recv(1 << 16)
            assert data, "the worker ended"
            self._waiting += self._frames.feed(data)
        return self._waiting.pop(0)

    def news(self) -> list[Any]:
        kind, body = self.next()
        assert kind == NEWS
        found: list[Any] = json.loads(body)
        return found

    def until_idle(self, job: int) -> dict[int, BlockHits]:
        """What a job finds until it has nothing to do."""
        found: dict[int, BlockHits] = {}
        while True:
            kind, body = self.next()
            if kind == HITS and JOB.unpack_from(body)[0] == job:
                found.update({block.block: block for block in unpack(body[JOB.size :])})
            elif kind == NEWS and json.loads(body)[:2] == ["idle", job]:
                return found

    def ended(self) -> int:
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.line.close()
        self._descriptors.close()
        self.ended()


@pytest.fixture
def log() -> Iterator[int]:
    descriptor = os.memfd_create("log")
    os.write(descriptor, LOG)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def client(house: Path) -> Iterator[Client]:
    client = Client(house)
    yield client
    client.close()


def test_it_counts_and_finds_in_a_file(client: Client, log: int) -> None:
    client.give(1, log)
    client.scan(1, len(LOG))
    assert sum(block.newlines for block in client.until_idle(1).values()) == LOG.count(b"\n")
    client.scan(2, len(LOG), Matcher((Pattern("b"),)))
    found = client.until_idle(2)
    assert {number: block.bits for number, block in found.items()} == {0: b"\2", 1: b"", 2: b""}


def test_it_asks_for_what_has_no_descriptor(client: Client) -> None:
    client.send("file", 1, False)
    client.scan(1, len(LOG), Matcher((Pattern("b"),)))
    asked = 0
    while True:
        kind, body = client.next()
        if kind == HITS:
            continue
        what, *rest = json.loads(body)
        if what == "idle":
            break
        assert what == "read"
        file, at, size = rest
        assert file == 1
        asked += 1
        client.line.sendall(scanwire.frame(BYTES, LOG[at : at + size]))
    assert asked >= 3


def test_what_cannot_be_had_is_asked_for_again_when_something_changed(client: Client) -> None:
    client.send("file", 1, False)
    client.scan(1, 2)
    assert client.news() == ["read", 1, 0, 2]
    client.send("unread")
    client.send("sync", 7)
    assert client.news() == ["sync", 7]
    client.send("grow", 1, 0, 4)
    assert client.news() == ["read", 1, 0, 4]
    client.line.sendall(scanwire.frame(BYTES, b"a\nb\n"))
    assert client.until_idle(1)[0].newlines == 2


def test_a_job_is_dropped_while_its_bytes_are_waited_for(client: Client) -> None:
    client.send("file", 1, False)
    client.scan(1, 2)
    assert client.news() == ["read", 1, 0, 2]
    client.send("cancel", 1)
    client.send("sync", 1)
    assert client.news() == ["sync", 1]
    client.send("unread")
    client.send("sync", 2)
    assert client.news() == ["sync", 2]


def test_an_expression_without_end_is_given_up_and_others_go_on(house: Path, log: int) -> None:
    client = Client(house, "scanwork.PATIENCE = 0.3")
    client.give(1, log)
    client.scan(1, len(LOG), FOR_EVER)
    kind, body = client.next()
    while kind == HITS:
        kind, body = client.next()
    what, job, problem = json.loads(body)
    assert (what, job) == ("problem", 1)
    assert "too complicated" in problem
    client.scan(2, len(LOG), Matcher((Pattern("a+b", regex=True),)))
    assert client.until_idle(2)[0].bits == b"\2"
    client.close()


def test_results_are_told_before_a_block_that_takes_long(house: Path, log: int) -> None:
    client = Client(house, "scanwork.PATIENCE = 60; scanwork.INTERVAL = 0.2")
    client.give(1, log)
    client.scan(1, len(LOG), FOR_EVER, at=2 * BLOCK, forward=False, skip=[[2, 3]])
    kind, body = client.next()
    assert kind == HITS
    assert [block.block for block in unpack(body[JOB.size :])] == [1]
    client.process.kill()
    client.close()


def test_it_ends_with_its_owner_even_in_an_expression_without_end(house: Path, log: int) -> None:
    client = Client(house, "scanwork.PATIENCE = 600")
    client.give(1, log)
    client.scan(1, len(LOG), FOR_EVER)
    client.scan(2, len(LOG))
    client.send("sync", 1)
    # It does not answer: it is in the expression
    while select.select([client.line], [], [], 0.5)[0]:
        client.next()
    client.line.close()
    assert client.ended() == 0
    client.close()


def test_it_ends_when_nobody_reads_its_results(house: Path, log: int) -> None:
    client = Client(house)
    client.line.shutdown(socket.SHUT_RD)
    client.give(1, log)
    client.scan(1, len(LOG))
    client.line.close()
    assert client.ended() in (0, -signal.SIGPIPE)
    client.close()


def test_a_wrong_expression_is_said(client: Client, log: int) -> None:
    client.give(1, log)
    client.scan(1, len(LOG), Matcher((Pattern("(", regex=True),)))
    assert client.news() == ["problem", 1, "not a regular expression: missing ), unterminated subpattern at position 0"]


def test_a_file_that_cannot_be_read_is_said_and_tried_again(client: Client, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    client.give(1, folder)
    os.close(folder)
    client.scan(1, 100)
    assert client.news() == ["problem", 1, "cannot read: Is a directory"]
    client.send("grow", 1, 0, 100)
    assert client.news() == ["problem", 1, "cannot read: Is a directory"]


def test_ripgrep_is_used_where_there_is_much(house: Path, tmp_path: Path) -> None:
    """A program in its place sees what it is asked, and what it hints at is looked at."""
    program = tmp_path / "rg"
    asked = tmp_path / "asked"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {asked}\necho {BLOCK * 150 + 7}:\n')
    program.chmod(0o700)
    client = Client(
        house, f"import os; os.environ['PATH'] = {str(tmp_path)!r}; scanwork._COSTLY = 0; scanwork._TRIAL = 2"
    )
    descriptor = os.memfd_create("log")
    os.ftruncate(descriptor, 200 * BLOCK)
    for block in range(200):
        os.pwrite(descriptor, b"\n12345a7\n", block * BLOCK)
    client.give(1, descriptor)
    client.scan(1, 200 * BLOCK, Matcher((Pattern("A7", fold=True),)))
    found = client.until_idle(1)
    os.close(descriptor)
    client.close()
    said = asked.read_text().splitlines()
    expressions = {text for option, text in pairwise(said) if option == "--regexp"}
    assert expressions == {r"(?-u)[aA]\x37", r"(?-u)\x1b\[[0-9;:]{0,64}m[^\n]*"}
    assert sum(text.startswith("/proc/self/fd/") for text in said) == 2
    # What it leaves out is not found: it is believed where it has looked
    assert sorted(found) == list(range(200))
    assert (found[0].bits, found[140].bits, found[150].bits) == (b"\2", b"", b"\1")


@pytest.mark.skipif(find_ripgrep() is None, reason="there is no ripgrep on this machine")
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("pattern", [Pattern("a7 needle"), Pattern("A7 N", fold=True), Pattern("a7 ne+d", regex=True)])
def test_ripgrep_does_not_miss_what_colours_divide(house: Path, pattern: Pattern, early: bool) -> None:
    texts = {
        1: b"\x1b[1mhay" if early else b"hay",
        140: b"a7 n\x1b[1;31mee\x1b[mdle",
        150: b"a7 needle",
        160: b"a7 \x1b[1mhay",
    }
    client = Client(house, "scanwork._COSTLY = 0; scanwork._TRIAL = 2")
    descriptor = os.memfd_create("log")
    os.ftruncate(descriptor, 200 * BLOCK)
    for block in range(200):
        os.pwrite(descriptor, b"\n%b\n" % texts.get(block, b"hay"), block * BLOCK)
    client.give(1, descriptor)
    client.scan(1, 200 * BLOCK, Matcher((pattern,)))
    found = client.until_idle(1)
    os.close(descriptor)
    client.close()
    assert {block for block, hits in found.items() if hits.bits} == {140, 150}
