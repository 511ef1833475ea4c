"""The hosts that a dashboard looks at: one watch each, for all its runs; an error of one never touches another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gates.calibration.layout import PYTEST
from hosts.connection import Connection, Countdown, Way
from hosts.errors import GatewatchError
from hosts.host import HostReader
from hosts.local.mounts import file_system, has_events
from jobs.watching import HostWatch
from monitors.calibration import Calibration
from monitors.calibration.stages import stage_at, stages_by_token
from monitors.host import HostMonitor
from monitors.owners import KnownRun
from monitors.poller import LONGEST_INTERVAL_S
from monitors.snapshot import Monitor, Snapshot
from tui.dashboard_runs import lending
from tui.screens.subject import RunPlace

if TYPE_CHECKING:
    from hosts.connects import Connects
    from hosts.profiles import HostProfile

HOST = ""
"""The name under which a host's own snapshot is published; no run is called so."""

_MOST_FOLDERS = 4000
_MOST_DISKS = 16
_HOME = "~"  # where caches lie that nothing else is said of


class Station:
    """One host, and everything that is watched there.

    Args:
        name: What the host is called.
        reader: To look with; it cannot act.
        local: It is this machine, so that changes can be listened for.
        interval: Seconds between looks that nothing called for.
        publish: Gets the host's name, the watch (`HOST` for the host itself) and its snapshot, on the event loop.
        failed: Gets the host's name and what went wrong in the watching itself.
        places: Paths there whose file systems matter, beside those of the runs.
        most: Seconds that the host may go unobserved.
        steady: A clock that nobody sets, in seconds.
    """

    def __init__(
        self,
        name: str,
        reader: HostReader,
        local: bool,
        interval: float,
        publish: Callable[[str, str, Snapshot[Any]], None],
        failed: Callable[[str, str], None],
        places: Sequence[str] = (),
        most: float = LONGEST_INTERVAL_S,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.reader = reader
        self.local = local
        self._publish = publish
        self._failed = failed
        self._interval = interval
        self._folders: dict[str, str] = {}
        self._known: dict[str, KnownRun] = {}
        self._disks = tuple(dict.fromkeys(places))[:_MOST_DISKS]
        self._countdown = Countdown(steady)
        self._tried: float | None = None
        self._way_then: Connection | None = None
        folders = self.listened if local else None
        self._watch = HostWatch(reader, {HOST: self._monitor()}, self._took, interval, folders, most=most)

    def _monitor(self) -> HostMonitor:
        return HostMonitor(self.name, self._disks, lambda: tuple(self._known.values()))

    def _took(self, watch: str, snapshot: Snapshot[Any]) -> None:
        if isinstance(snapshot.body, Calibration) and watch in self._folders:
            self._known[watch] = known_run(watch, self._folders[watch], snapshot.body)
        if watch == HOST:
            self._way_then = self.connection
        self._publish(self.name, watch, snapshot)

    @property
    def connection(self) -> Connection | None:
        """How the way there stands; None where there is none."""
        found = getattr(self.reader, "connection", None)
        return found if isinstance(found, Connection) else None

    @property
    def recovered(self) -> bool:
        """Whether the way there was down when the host was last told of, or was lost since, and is up."""
        way, before = self.connection, self._way_then
        if way is None or way.way is not Way.UP:
            return False
        return before is None or before.way not in (Way.UP, Way.STALE) or way.since > before.since

    @property
    def runs(self) -> tuple[str, ...]:
        """What is watched there, the host itself apart."""
        return tuple(self._folders)

    async def look_now(self) -> None:
        """Look, however long the host was to be left alone: a person asks for it."""
        retry = getattr(self.reader, "retry_now", None)
        if retry is not None:
            with contextlib.suppress(GatewatchError):  # the look says so
                await retry()
        self.request()

    def place(self, read_only: bool) -> RunPlace:
        """The host without a run, as what shows a log by its own path is given it."""
        from jobs.calibration.locate import Watched

        watched = Watched("", None, self.local, None, None)
        connect = None if self.local else lending(self.reader)
        return RunPlace("", "", watched, self.reader, self.name, read_only, connect, self.request)

    def retry_when_due(self, now: float) -> None:
        """Look as soon as a host that could not be reached may be tried again, not only at the next look."""
        way = self.connection
        if way is not None and self._countdown.left(way, now) <= 0 and way.retry_at != self._tried:
            self._tried = way.retry_at
            self.request()

    @property
    def without_events(self) -> str:
        """Why changes are looked for by polling alone, "" where they are reported."""
        return self._watch.without_events

    def add(self, watch: str, monitor: Monitor[Any], folder: str) -> None:
        """Watch one more run, or a known one with another monitor."""
        self._folders[watch] = folder
        self._known.setdefault(watch, known_run(watch, folder, Calibration()))
        self.mind((posixpath.dirname(folder.rstrip("/")) or folder,))
        self._watch.add(watch, monitor)

    def mind(self, places: Sequence[str], most: float = LONGEST_INTERVAL_S) -> None:
        """Look at the file systems of these places too, and pause no longer than `most` seconds."""
        disks = tuple(dict.fromkeys((*self._disks, *places)))[:_MOST_DISKS]
        if disks != self._disks:
            self._disks = disks
            self._watch.add(HOST, self._monitor())
        self._watch.shorten(most)

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


def open_host(profile: HostProfile | None, connects: Connects | None) -> HostReader:
    """A way to look at a host, None for this machine; from a thread, for what it needs is imported then."""
    from jobs.connect import open_reader

    return open_reader(profile, connects)


def known_run(watch: str, run_dir: str, body: Calibration) -> KnownRun:
    """What the processes of a run are known by, as far as it has been seen."""
    root = run_dir if run_dir.startswith("/") else ""
    return KnownRun(watch, root, body.run_id, stages_by_token(body), stage_at)


def places_of(profile: HostProfile | None) -> tuple[str, ...]:
    """Where the jobs of a host keep their checkout and their caches, as its profile says."""
    if profile is None:
        return (_HOME,)
    kept = profile.physical
    said = (profile.repo_root, kept.hf_hub or _HOME, kept.speaker_sim, kept.omni_ci_home)
    return tuple(place for place in said if place)


def told_by(profile: HostProfile | None) -> tuple[tuple[str, ...], float]:
    """What a profile says of the watching: the places that matter, and the seconds that it may pause at most."""
    return places_of(profile), LONGEST_INTERVAL_S if profile is None else profile.poll_cap


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
