"""Many hosts watched at a time, some of which hang: before they are connected, and while they are watched."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hosts.connects import Connects
from hosts.host import HostReader
from hosts.local.procs import self_ref
from hosts.profiles import HostProfile, Ssh
from jobs.connect import open_reader
from monitors.calibration import CalibrationMonitor
from monitors.host import HostMonitor
from monitors.poller import HostPoller
from monitors.snapshot import Monitor, Snapshot, State
from tests.monitors.runs import RunFolder
from tests.peers.callers import until
from tests.peers.many import GPUS, Many, many

PATIENCE_S = 60.0


@dataclass
class Watched:
    """A host, and what is shown of it."""

    reader: HostReader
    poller: HostPoller
    shown: dict[str, Snapshot[Any]]

    def done(self) -> int | None:
        """How many artifacts there are, where all else is known too."""
        host, run = self.shown.get("host"), self.shown.get("run")
        if host is None or run is None or host.body is None or run.body is None:
            return None
        assert len(host.body.accelerators.devices) == GPUS
        assert run.body.runner == "alive"
        return run.progress.done if State.BLIND not in (host.state, run.state) else None


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Many]:
    """Two that are well, one of each kind that is not, and two that are well in another process."""
    with many(tmp_path, ("good", "good", "mute", "refuses", "silent", "good", "good"), per_process=3) as made:
        for number in made.good():
            run = RunFolder(made.run_dir(number))
            run.root.mkdir()
            run.plan()
            run.lock(self_ref())
        yield made


@pytest.fixture
async def watched(hosts: Many) -> AsyncIterator[list[Watched]]:
    connects = Connects()
    made = []
    for number, port in enumerate(hosts.ports):
        way = Ssh(host="127.0.0.1", port=port, identity_file=str(hosts.key), known_hosts=str(hosts.known_hosts))
        profile = HostProfile(name=f"host{number}", ssh=way, launcher="ssh")
        reader = await asyncio.to_thread(open_reader, profile, connects)
        monitors: dict[str, Monitor[Any]] = {
            "run": CalibrationMonitor(str(hosts.run_dir(number))),
            "host": HostMonitor(profile.name),
        }
        shown: dict[str, Snapshot[Any]] = {}
        made.append(Watched(reader, HostPoller(reader, monitors, shown.__setitem__, deadline=PATIENCE_S), shown))
    yield made
    await asyncio.gather(*(one.reader.close() for one in made))


async def test_a_host_that_hangs_delays_no_other(hosts: Many, watched: list[Watched]) -> None:
    good = [watched[number] for number in hosts.good()]
    well, frozen = good[:2], good[2:]
    hanging = [asyncio.create_task(one.poller.poll()) for one in watched if one not in good]
    await asyncio.gather(*(one.poller.poll() for one in good))
    assert [one.done() for one in good] == [0] * 4
    os.kill(hosts.pids[1], signal.SIGSTOP)
    try:
        hanging += [asyncio.create_task(one.poller.poll()) for one in frozen]
        for repeat in (1, 2):
            for number in hosts.good():
                RunFolder(hosts.run_dir(number)).cell("a", repeat)
            await asyncio.gather(*(one.poller.poll() for one in well))
            assert [one.done() for one in well] == [repeat] * 2
        refused = [one for one, kind in zip(watched, hosts.kinds, strict=True) if kind == "refuses"]
        assert await until(lambda: [one.shown["run"].state for one in refused if one.shown] == [State.BLIND])
        assert all(one.done() in (0, None) for one in frozen), "they cannot have answered"
    finally:
        os.kill(hosts.pids[1], signal.SIGCONT)
    async with asyncio.timeout(PATIENCE_S):
        while [one.done() for one in frozen] != [2] * 2:  # on a slow machine they were given up meanwhile
            await asyncio.gather(*(one.poller.poll() for one in frozen))
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
