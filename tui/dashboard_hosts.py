"""The hosts that a dashboard looks at: one watch each, for all its runs; an error of one never touches another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from gates.calibration.layout import PYTEST
from hosts.host import HostReader
from hosts.local.mounts import file_system, has_events
from jobs.watching import HostWatch
from monitors.host import HostMonitor
from monitors.snapshot import Monitor, Snapshot

HOST = ""
"""The name under which a host's own snapshot is published; no run is called so."""

_MOST_FOLDERS = 4000


class Station:
    """One host, and everything that is watched there.

    Args:
        name: What the host is called.
        reader: To look with; it cannot act.
        local: It is this machine, so that changes can be listened for.
        interval: Seconds between looks that nothing called for.
        publish: Gets the host's name, the watch (`HOST` for the host itself) and its snapshot, on the event loop.
        failed: Gets the host's name and what went wrong in the watching itself.
    """

    def __init__(
        self,
        name: str,
        reader: HostReader,
        local: bool,
        interval: float,
        publish: Callable[[str, str, Snapshot[Any]], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.reader = reader
        self._failed = failed
        self._interval = interval
        self._folders: dict[str, str] = {}
        self._watch = HostWatch(
            reader,
            {HOST: HostMonitor(name)},
            lambda watch, snapshot: publish(name, watch, snapshot),
            interval,
            self.listened if local else None,
        )

    @property
    def without_events(self) -> str:
        """Why changes are looked for by polling alone, "" where they are reported."""
        return self._watch.without_events

    def add(self, watch: str, monitor: Monitor[Any], folder: str) -> None:
        """Watch one more run, or a known one with another monitor."""
        self._folders[watch] = folder
        self._watch.add(watch, monitor)

    def request(self) -> None:
        """Look now."""
        self._watch.request()

    async def run(self) -> None:
        """Look until cancelled, whatever happens."""
        while True:
            try:
                await self._watch.run()
            except Exception as error:  # noqa: BLE001 - told to whoever watches; the others go on
                leaves = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
                self._failed(self.name, "; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in leaves))
            await asyncio.sleep(self._interval)

    async def close(self) -> None:
        """Give back what the way there holds."""
        await self.reader.close()

    def listened(self) -> list[str]:
        """The folders in which something tells of progress; those whose file system reports nothing are polled."""
        found = [folder for run in list(self._folders.values()) for folder in run_folders(run)]
        heard: dict[int, bool] = {}  # asked after every change: the list of mounts is read once per device
        return [folder for folder in found if _is_heard(folder, heard)][:_MOST_FOLDERS]


def run_folders(run_dir: str) -> list[str]:
    """A run directory and the folders in it, without those of the logs: these grow all the time."""
    try:
        with os.scandir(run_dir) as entries:
            inside = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [run_dir, *(path for path in inside if os.path.basename(path) == PYTEST or not _hidden(path))]


def _is_heard(folder: str, known: dict[int, bool]) -> bool:
    try:
        device = os.stat(folder).st_dev
    except OSError:  # it went; another one may take its place
        return False
    if device not in known:
        known[device] = has_events(file_system(folder))
    return known[device]


def _hidden(path: str) -> bool:
    return os.path.basename(path).startswith((".", "_"))
