"""The way to the host of a log: its profile, where there is one, else SSH as the ssh configuration has it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from hosts.connects import Connects
from hosts.errors import InputError
from hosts.host import HostReader
from hosts.profiles import HostProfile, Ssh, profile_paths, read_profile, select_profile
from hosts.target import parse_target
from jobs.calibration.checkout import find_checkout
from jobs.connect import open_reader
from monitors.logs.opening import Connect


def connecting_by(connects: Connects) -> Connect:
    """What gives a host that can be looked at, by HOST or USER@HOST.

    HOST is a profile of the checkout around us, or whatever ssh makes of it; with a user it is always the latter. It
    raises InputError where the profile cannot be read, or says no way to get there.

    Args:
        connects: What all connections of this process share.
    """

    async def connect(name: str) -> HostReader:
        return await asyncio.to_thread(open_host, name, None, connects)

    return connect


def open_host(name: str, root: str | None = None, connects: Connects | None = None) -> HostReader:
    """A host that can be looked at; this may wait for files.

    Args:
        name: HOST or USER@HOST.
        root: Where the checkout is, None to find it from here.
        connects: What all connections of this process share, where there are several.

    Raises:
        InputError: The profile cannot be read, or says no way to get there.
    """
    return open_reader(named_profile(name, root), connects)


def named_profile(name: str, root: str | None = None) -> HostProfile:
    """The profile that a name means, or one that says no more than where the host is.

    Args:
        name: HOST or USER@HOST.
        root: Where the checkout is, None to find it from here.

    Raises:
        InputError: The name is none, or the profile cannot be read.
    """
    user, host = _named(name)
    folder = None
    with contextlib.suppress(InputError):  # without a checkout there are no profiles
        folder = find_checkout(root).hosts_folder
    if not user and folder is not None and _knows(folder, host):
        selected = select_profile(folder, host, {})
        if selected is not None:
            return selected.file.profile
    return HostProfile(name=name, launcher="ssh", ssh=Ssh(host=host, user=user))


def _named(name: str) -> tuple[str | None, str]:
    """The login name, where one was typed, and the host."""
    user, at, host = name.rpartition("@")
    try:
        place = parse_target(f"{user}{at}[{host}]:." if host.count(":") > 1 else f"{name}:.")
    except InputError:
        place = None
    if place is None or place.host is None or place.path != ".":
        raise InputError(f"{name!r} is not a host: expected a profile's name or [user@]host")
    return place.user, place.host


def _knows(folder: Path, host: str) -> bool:
    names = set()
    for path in profile_paths(folder):
        names.add(path.stem)
        with contextlib.suppress(InputError):  # another host's profile is no obstacle
            names.add(read_profile(path).profile.name)
    return host in names
