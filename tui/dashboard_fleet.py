"""The hosts of a dashboard as screens are given them, and what a screen of hosts asks for."""

from __future__ import annotations

import asyncio
import glob
import importlib
import posixpath
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.screen import ModalScreen

from hosts.connection import Connection
from hosts.errors import InputError
from hosts.target import Target
from monitors.host import HostBody
from monitors.snapshot import Progress, Seen, Snapshot, State
from tui.screens.host_look import HostLook, HostRun, changes_soon

if TYPE_CHECKING:
    from monitors.logs.types import Source
    from tui.app import GatewatchApp
    from tui.dashboard_hosts import Station
    from tui.dashboard_runs import Entry


class Ways:
    """How the ways to the hosts stand, as they were last told.

    Attributes:
        now: By the host's name; one that needs none is not in it.
    """

    def __init__(self) -> None:
        self.now: dict[str, Connection] = {}

    def look(self, stations: Iterable[Station], now: float) -> bool:
        """Take them anew, and try those whose time has come; whether there is anything to paint.

        Args:
            now: Our clock, seconds since the epoch.
        """
        found: dict[str, Connection] = {}
        for station in stations:
            station.retry_when_due(now)
            if (way := station.connection) is not None:
                found[station.name] = way
        before, self.now = self.now, found
        return found != before or any(map(changes_soon, found.values()))


def unseen(name: str) -> Snapshot[HostBody]:
    """A host that has not been looked at yet."""
    nothing = Seen(None, None)
    return Snapshot(name, State.UNKNOWN, nothing, Progress(None, None), None, (), (), (), None, HostBody())


def host_looks(
    stations: Iterable[Station], hosts: Mapping[str, Snapshot[HostBody]], entries: Mapping[str, Entry]
) -> tuple[HostLook, ...]:
    """Every host, and the runs that are watched there."""
    return tuple(
        HostLook(
            station.name,
            station.local,
            _seen(hosts.get(station.name)),
            station.connection,
            tuple(_run(entries[watch]) for watch in station.runs if watch in entries),
            station.without_events,
            station.recovered,
        )
        for station in stations
    )


def _seen(snapshot: Snapshot[HostBody] | None) -> Snapshot[HostBody] | None:
    return None if snapshot is None or snapshot.state is State.UNKNOWN else snapshot


def _run(entry: Entry) -> HostRun:
    if entry.look is None:
        return HostRun(entry.watch, entry.title, State.UNKNOWN, "")
    snapshot = entry.look.snapshot
    stage = ", ".join(item.name for item in snapshot.active)
    log = snapshot.body.supervision.log
    if log is None or entry.place is None:
        return HostRun(entry.watch, entry.title, snapshot.state, stage)
    seen = snapshot.body.logs.get(log)
    path = posixpath.join(entry.place.run_dir, log)  # absolute
    return HostRun(entry.watch, entry.title, snapshot.state, stage, path, seen.written if seen is not None else None)


def uncover(app: App[Any], watch: str) -> bool:
    """Come back to a run that lies open below; whether there is one, and nothing above it that asks something."""
    screens = app.screen_stack
    place = next((place for place, screen in enumerate(screens) if getattr(screen, "watched", None) == watch), None)
    above = screens[place + 1 :] if place is not None else []
    if not above or any(isinstance(screen, ModalScreen) for screen in above):
        return False
    for _ in above:
        _ = app.pop_screen()
    return True


async def log_of(stations: Iterable[Station], host: str, path: str) -> Source:
    """A log over the connection to its host, not started yet.

    Args:
        stations: Those that are watched.
        host: Its name.
        path: Absolute, and a name, whatever characters are in it.

    Raises:
        GatewatchError: It cannot be opened, or the host is not watched.
    """
    await asyncio.to_thread(importlib.import_module, "monitors.logs.opening")
    from monitors.logs.opening import open_source

    station = next((one for one in stations if one.name == host), None)
    if station is None:
        raise InputError("the host is not watched any more")
    target = Target(None if station.local else host, glob.escape(path) if glob.has_magic(path) else path)
    return await open_source(target, station.place(True).connect)


async def show_log(app: GatewatchApp, stations: Iterable[Station], target: str, read_only: bool) -> None:
    """Show a log on a screen of its own: HOST:PATH, of this machine the path alone."""
    await asyncio.to_thread(importlib.import_module, "tui.screens.stage_log")
    from tui.screens.stage_log import RepeatLogScreen

    station, path = station_of(stations, target)
    if station is None:
        app.say(f"{target}: a file of a host is named by its absolute path, or from ~ on", "warning")
    elif app.is_running:
        await app.push_screen(RepeatLogScreen(station.place(read_only), path, station.name))


def station_of(stations: Iterable[Station], target: str) -> tuple[Station | None, str]:
    """The host of a log and its path there, of HOST:PATH; of this machine it is the path alone."""
    for station in stations:
        before = "" if station.local else f"{station.name}:"
        path = target.removeprefix(before)
        if target.startswith(before) and path.startswith(("/", "~")):
            return station, path
    return None, target
