"""Watching a run on a host far away: one poll is one round trip, however many artifacts there are and have changed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.bootstrap import RunnerImage
from hosts.pipe import PipeReader
from hosts.session import BytePipe
from hosts.ssh import SshHost, SshSpec
from jobs.bundle import build_image
from monitors.calibration import CalibrationMonitor
from monitors.host import HostMonitor
from monitors.poller import HostPoller
from monitors.snapshot import Snapshot, State
from tests.monitors.runs import RunFolder
from tests.peers import badlink, sshd

NEEDS = badlink.missing() or ("" if sshd.SSHD else "there is no sshd")
pytestmark = [pytest.mark.skipif(bool(NEEDS), reason=NEEDS), pytest.mark.timeout(120)]

STAGES, REPEATS = 25, 5
ONE_WAY_S = 0.05


class Turns:
    """A pipe that counts how often somebody speaks who had listened: two turns are a round trip."""

    def __init__(self, pipe: BytePipe, taken: list[str]) -> None:
        self._pipe = pipe
        self._taken = taken

    async def read(self) -> bytes:
        data = await self._pipe.read()
        self._turn("answer")
        return data

    async def write(self, data: bytes) -> None:
        self._turn("ask")
        await self._pipe.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)

    def _turn(self, whose: str) -> None:
        if not self._taken or self._taken[-1] != whose:
            self._taken.append(whose)


@pytest.fixture
def image() -> RunnerImage:
    return build_image()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.make(tmp_path)
    stages = tuple(f"stage{number}" for number in range(STAGES))
    run.plan(stages, REPEATS)
    for stage in stages:
        for repeat in range(1, REPEATS + 1):
            run.cell(stage, repeat)
    return run


@pytest.fixture
def far(tmp_path: Path) -> Iterator[SshSpec]:
    """A server behind a link with a round trip of 100 ms; this thread is on the near side."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(badlink.bad_link())
        with link.far():
            peer = stack.enter_context(sshd.running(folder, f"ListenAddress {badlink.FAR}\n"))
        with peer.known_hosts.open("a") as known:
            known.write(f"[{badlink.FAR}]:{peer.port} {sshd.public(folder / 'host_key')}\n")
        stack.enter_context(link.near())
        link.shape(delay=ONE_WAY_S)
        key, known_hosts = str(peer.keys["plain"]), str(peer.known_hosts)
        yield SshSpec(badlink.FAR, peer.port, identity_file=key, known_hosts=known_hosts, config_file=None)


async def test_one_poll_is_one_round_trip(far: SshSpec, run: RunFolder, image: RunnerImage) -> None:
    taken: list[str] = []
    ssh = SshHost(far)

    async def opener(argv: tuple[str, ...]) -> BytePipe:
        return Turns(await ssh.open(argv), taken)

    # No signs of life of its own in between: they would be turns too
    reader = PipeReader("far", opener, image, python=sys.executable, heartbeat=3600.0, on_close=ssh.close)
    shown: dict[str, Snapshot[Any]] = {}
    poller = HostPoller(
        reader, {"run": CalibrationMonitor(str(run.root)), "host": HostMonitor("far")}, shown.__setitem__
    )
    try:
        await poller.poll()
        for changed in (0, 1, STAGES * REPEATS):
            for number in range(changed):
                run.cell(f"stage{number // REPEATS}", number % REPEATS + 1, duration_s=50.0 + changed)
            taken.clear()
            await poller.poll()
            assert taken == ["ask", "answer"]
            assert shown["host"].state is not State.BLIND
            assert shown["run"].progress.done == STAGES * REPEATS
            durations = [document.get("duration_s") for document in shown["run"].body.documents.values()]
            assert durations.count(50.0 + changed) == changed
    finally:
        await reader.close()
