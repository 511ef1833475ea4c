"""The way to the host of a log: its profile, where there is one, else SSH as the ssh configuration has it."""

from __future__ import annotations

import asyncio

from hosts.connects import Connects
from hosts.host import HostReader
from jobs.connect import open_reader
from jobs.named_host import named_profile
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
