"""A log on a host behind a link that is slow, loses packets, is cut, or whose server dies: nothing is lost.

The server is a real sshd in another network namespace. `--long-proof 1` cuts the link for a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hosts.bootstrap import RunnerImage
from hosts.connection import Way
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from jobs.bundle import build_image
from monitors.logs.remote import RemoteSource
from monitors.logs.types import MarkKind, Status
from tests.peers import badlink, sshd
from tests.peers.callers import is_gone, until
from tests.peers.writing import Writer

NEEDS = badlink.missing() or ("" if sshd.SSHD else "there is no sshd")
pytestmark = [pytest.mark.skipif(bool(NEEDS), reason=NEEDS), pytest.mark.timeout(300)]

KEEPALIVE = 1.0
PATIENCE_S = 60.0


@dataclass
class Far:
    """The far host, and the log that is followed there."""

    link: badlink.BadLink
    peer: sshd.SshPeer
    log: Path
    host: SshHost
    source: RemoteSource
    statuses: list[Status] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)

    def noted(self) -> None:
        """Keep what the source says of itself, when it changes."""
        status = self.source.shape.status
        if not self.statuses or self.statuses[-1] is not status:
            self.statuses.append(status)

    async def whole(self) -> bytes:
        """All bytes of the log as they were followed."""
        found = self.source.shape.generations
        assert len(found) == 1
        return await self.source.read(found[0].number, 0, found[0].size)


@pytest.fixture(scope="module")
def image() -> RunnerImage:
    return build_image()


@contextlib.contextmanager
def behind_a_link(tmp_path: Path) -> Iterator[tuple[badlink.BadLink, sshd.SshPeer]]:
    """The link, with a server on its far side; this thread is on the near one."""
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(badlink.bad_link())
        folder = tmp_path / "sshd"
        folder.mkdir()
        with link.far():
            peer = stack.enter_context(sshd.running(folder, f"ListenAddress {badlink.FAR}\n"))
        with peer.known_hosts.open("a") as known:
            known.write(f"[{badlink.FAR}]:{peer.port} {sshd.public(folder / 'host_key')}\n")
        stack.enter_context(link.near())
        yield link, peer


@pytest.fixture
def link(tmp_path: Path) -> Iterator[tuple[badlink.BadLink, sshd.SshPeer]]:
    with behind_a_link(tmp_path) as made:
        yield made


@pytest.fixture
async def far(link: tuple[badlink.BadLink, sshd.SshPeer], tmp_path: Path, image: RunnerImage) -> AsyncIterator[Far]:
    between, peer = link
    spec = SshSpec(
        badlink.FAR,
        peer.port,
        identity_file=str(peer.keys["plain"]),
        known_hosts=str(peer.known_hosts),
        config_file=None,
    )
    host = SshHost(spec, KEEPALIVE)
    reader = PipeReader("far", host.open, image, heartbeat=2.0, on_close=host.close)
    log = tmp_path / "a.log"
    log.write_bytes(b"")
    source = RemoteSource(reader, str(log))
    made = Far(between, peer, log, host, source)
    host.on_change(lambda one: made.ways.append(one.way))
    try:
        await source.start(made.noted)
        yield made
    finally:
        between.shape()
        await source.close()
        await reader.close()


async def followed(far: Far, trouble: Callable[[], Awaitable[None]]) -> None:
    """While somebody writes, have the trouble, and see that all of it arrives."""
    writer = Writer(far.log)
    writer.start()
    try:
        assert await until(lambda: far.source.shape.status is Status.LIVE, PATIENCE_S)
        await trouble()
        await asyncio.sleep(1.0)
    finally:
        await asyncio.to_thread(writer.finish)
    far.link.shape()
    size = far.log.stat().st_size
    assert size > 10_000
    assert await until(lambda: [one.size for one in far.source.shape.generations] == [size], PATIENCE_S)
    assert await far.whole() == far.log.read_bytes()
    lost = [mark for mark in far.source.shape.marks if mark.kind is not MarkKind.OFFLINE]
    assert lost == []
    assert await until(lambda: far.source.shape.status is Status.LIVE, PATIENCE_S)


async def test_over_200_ms_with_5_percent_of_the_packets_lost(far: Far) -> None:
    async def trouble() -> None:
        far.link.shape(delay=0.1, loss=0.05)
        await asyncio.sleep(5)

    await followed(far, trouble)


async def test_a_link_that_is_cut_is_told_and_comes_back_by_itself(far: Far, request: pytest.FixtureRequest) -> None:
    cut = 60.0 if request.config.getoption("--long-proof") else 6.0

    async def trouble() -> None:
        far.link.shape(up=False)
        began = time.monotonic()
        assert await until(lambda: far.source.shape.status is Status.STALE, PATIENCE_S)
        assert await until(lambda: far.host.connection.way not in (Way.UP, Way.STALE), PATIENCE_S)
        await asyncio.sleep(max(0.0, cut - (time.monotonic() - began)))
        far.link.shape()

    await followed(far, trouble)
    assert Status.STALE in far.statuses
    # What is silent is told as such before it is given up.
    assert Way.STALE in far.ways
    assert far.ways[-1] is Way.UP


async def test_a_dead_host_is_told_within_ten_seconds(
    link: tuple[badlink.BadLink, sshd.SshPeer], request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--long-proof"):
        pytest.skip("measures seconds; needs --long-proof")
    between, peer = link
    key, known = str(peer.keys["plain"]), str(peer.known_hosts)
    host = SshHost(SshSpec(badlink.FAR, peer.port, identity_file=key, known_hosts=known, config_file=None))
    told: list[tuple[Way, float]] = []
    host.on_change(lambda one: told.append((one.way, time.monotonic())))
    try:
        for _ in range(5):
            await host.open(("cat",))
            await asyncio.sleep(random.Random().uniform(1.0, 4.0))
            told.clear()
            cut = time.monotonic()
            between.shape(up=False)
            assert await until(lambda: host.connection.way is Way.WAITING, PATIENCE_S)
            (stale, stale_at), (lost, lost_at) = told
            assert (stale, lost) == (Way.STALE, Way.WAITING)
            assert stale_at - cut < lost_at - cut < 10.0
            print(f"stale after {stale_at - cut:.1f} s, lost after {lost_at - cut:.1f} s")  # noqa: T201 - a figure
            between.shape()
            await host.retry_now()
    finally:
        between.shape()
        await host.close()


async def test_what_waits_behind_a_link_that_was_cut_is_ended_with_it(tmp_path: Path) -> None:
    with behind_a_link(tmp_path) as (between, peer):
        key, known = str(peer.keys["plain"]), str(peer.known_hosts)
        spec = SshSpec(badlink.FAR, peer.port, identity_file=key, known_hosts=known, config_file=None)
        host = SshHost(spec, KEEPALIVE)
        try:
            pipe = await host.open(("sh", "-c", "setsid sh -c 'echo $$; exec sleep 1000' & echo $$; exec cat"))
            said = b""
            while said.count(b"\n") < 2:
                said += await pipe.read()
            begun = [*peer.sessions(), *map(int, said.split())]
            assert len(begun) > 2
            between.shape(up=False)
        finally:
            await host.close()
        assert [pid for pid in begun if is_gone(pid)] == []  # nobody has told them
    assert [pid for pid in begun if not is_gone(pid)] == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_server_that_dies_or_stands_still(far: Far, how: signal.Signals) -> None:
    async def trouble() -> None:
        for _ in range(3):
            struck = far.peer.sessions()
            for pid in struck:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            assert await until(lambda: far.host.connection.way is not Way.UP, PATIENCE_S)
            assert await until(lambda: far.host.connection.way is Way.UP, PATIENCE_S)
            for pid in struck:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    await followed(far, trouble)
