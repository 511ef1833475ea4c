"""The stations of a dashboard: one by each way to a host, and a name of its own for each.

Profiles of several checkouts, or of one, may bear the same name and mean different machines. What is reached in the
same way is one station, whatever else its profiles say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from monitors.snapshot import Snapshot
from tui.dashboard_hosts import Station, open_host, told_by
from tui.dashboard_runs import HERE

if TYPE_CHECKING:
    from hosts.connects import Connects
    from hosts.profiles import HostProfile


class Stations:
    """Every host that is watched.

    Args:
        connects: What all connections share.
        interval: Seconds between looks that nothing called for.
        publish, failed: As of `Station`.
        opened: Called on the loop with each station once it is there, to have it run.
    """

    def __init__(
        self,
        connects: Connects,
        interval: float,
        publish: Callable[[str, str, Snapshot[Any]], None],
        failed: Callable[[str, str], None],
        opened: Callable[[Station], None],
    ) -> None:
        self._connects = connects
        self._interval = interval
        self._publish = publish
        self._failed = failed
        self._opened = opened
        self._stations: dict[Hashable, Station] = {}
        self._names: dict[Hashable, str] = {}
        self._origins: dict[str, str] = {}

    def __iter__(self) -> Iterator[Station]:
        return iter(self._stations.values())

    def __len__(self) -> int:
        return len(self._stations)

    def named(self, name: str) -> Station | None:
        """The one of this name."""
        return next((station for station in self if station.name == name), None)

    async def at(self, profile: HostProfile | None, local: bool, origin: str = "") -> Station:
        """The station of a host, opened where there is none yet.

        Args:
            profile: None for this machine without one.
            local: It is this machine, whose files are looked at directly.
            origin: The checkout that the profile is of, "" where that is not known.

        Raises:
            GatewatchError: Nothing says how to get there.
        """
        key = _way(profile, local)
        name = self._name(key, profile, origin)
        if key not in self._stations:
            reader = await asyncio.to_thread(open_host, None if local else profile, self._connects)
            if key not in self._stations:  # somebody else may have been quicker
                told = told_by(profile)
                station = Station(name, reader, local, self._interval, self._publish, self._failed, *told)
                self._stations[key] = station
                self._opened(station)
                return station
        station = self._stations[key]
        station.mind(*told_by(profile))
        return station

    def _name(self, key: Hashable, profile: HostProfile | None, origin: str) -> str:
        """What it is called: as its profile says, and where another one is called so already, with what differs."""
        if key in self._names:
            return self._names[key]
        plain = profile.name if profile is not None else HERE
        taken = set(self._names.values())
        words = [_apart(origin, self._origins.get(plain, "")), _address(profile)]
        wordings = [plain, *(f"{plain} ({word})" for word in words if word)]
        name = next((one for one in wordings if one not in taken), "")
        name = name or next(one for one in (f"{plain} ({number})" for number in count(2)) if one not in taken)
        self._names[key] = name
        self._origins.setdefault(plain, origin)
        return name


def _way(profile: HostProfile | None, local: bool) -> Hashable:
    """What two profiles have in common where they mean the same host, looked at in the same way."""
    if local or profile is None:
        return ""
    from jobs.connect import is_local, ssh_spec

    how = profile.ssh.transport if profile.ssh is not None else ""
    return profile.name, None if is_local(profile) else ssh_spec(profile), how, profile.enter, profile.python


def _address(profile: HostProfile | None) -> str:
    """Where it is reached, or else the hop that leads there."""
    if profile is None:
        return ""
    ssh = profile.ssh
    if profile.ssh_host is None or profile.launcher == "local":
        return " ".join(profile.enter)
    user = f"{ssh.user}@" if ssh is not None and ssh.user else ""
    return f"{user}{profile.ssh_host}" + (f":{ssh.port}" if ssh is not None and ssh.port else "")


def _apart(origin: str, other: str) -> str:
    """The folder of a checkout by which one knows it from another, "" where they are the same."""
    if not origin or origin == other:
        return ""
    ours, theirs = (tuple(reversed(PurePath(path).parts)) for path in (origin, other))
    differing = (one for place, one in enumerate(ours) if place >= len(theirs) or one != theirs[place])
    return next(differing, "")
